// A segmentation run on the page /ai/app/: the slice browser and the numbers, against the mock or a live plugin (DCE_STUDY_ID).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as canned from "./canned.mjs";
import { serious, shot, start } from "./harness.mjs";
import { startMock } from "./mock.mjs";
import { png } from "./png.mjs";

const MODEL = process.env.DCE_MODEL ?? "breast-dce-swinunetr-demo";
let bench, run; // `run`: of the server's own study; null where a live server has none

const json = async (path, options) => (await fetch(bench.base + path, options)).json();
const number = (page) => page.locator(".slice-number");
const stage = (page) => page.locator(".slice-stage");
const at = (page, slice, total) => page.waitForFunction((text) => document.querySelector(".slice-number")?.textContent === text, `${slice + 1} / ${total}`);

/** Starts a run on the server's DCE study and waits for its end. */
async function analysed() {
  if (!bench.dceStudy) return null;
  const { ID } = await json(`/studies/${bench.dceStudy}/ai`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ Model: MODEL }) });
  assert.ok(ID, `no run of ${MODEL} was started`);
  for (;;) {
    const now = await json(`/ai/runs/${ID}`);
    if (!["Queued", "Running"].includes(now.State)) return now;
    await new Promise((resolve) => { setTimeout(resolve, 300); });
  }
}

/** A canvas' picture: its size and, of the pixels that are not transparent, number and bounding box `[left, top, right, bottom]`. */
const drawn = (page, selector) => page.locator(selector).evaluate((canvas) => {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const box = [Infinity, Infinity, -1, -1];
  let count = 0, sum = 0;
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    sum += data[4 * pixel];
    if (data[4 * pixel + 3] === 0) continue;
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    count += 1;
    box.splice(0, 4, Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y));
  }
  return { width, height, count, box, sum };
});

/** The same of pictures that the server gives: loaded by the page itself, one drawn over the other. */
const served = (page, urls) => page.evaluate(async (all) => {
  const images = await Promise.all(all.map(async (url) => createImageBitmap(await (await fetch(url)).blob())));
  const canvas = Object.assign(document.createElement("canvas"), { width: images[0].width, height: images[0].height, id: "served" });
  for (const image of images) canvas.getContext("2d").drawImage(image, 0, 0);
  document.getElementById("served")?.remove();
  document.body.append(canvas);
}, urls.map((url) => bench.base + url)).then(() => drawn(page, "#served"));

/** How much longer work takes here than its CPU time, as other processes want the CPUs as well: 1 on an idle machine. */
function waitingForCpu() {
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  while (process.cpuUsage(cpu).user < 40000);
  const { user, system } = process.cpuUsage(cpu);
  return Math.max((performance.now() - wall) / ((user + system) / 1000), 1);
}

/** Canned pictures of 16 x 12 pixels: slice N is of the grey N, frame N of the SEG of the red N; both late by a random time. */
const pictures = ({ late = 0, asked = [], broken = () => false } = {}) => [
  [/^\/instances\/slice-\d+\/(frames\/\d+\/)?(rendered|preview)$/, async (request) => {
    asked.push(request.url());
    const [, slice, frame] = /slice-(\d+)(?:\/frames\/(\d+))?/.exec(request.url());
    await new Promise((resolve) => { setTimeout(resolve, late * Math.random()); });
    return broken(request.url()) ? { status: 415, json: {} } : { contentType: "image/png", body: png(12, 16, () => [...Array(3).fill(Number(frame ?? slice) % 256), 255]) };
  }],
  [/^\/instances\/seg\/ai\/overlay\.png$/, async (request) => {
    asked.push(request.url());
    const query = new URL(request.url()).searchParams;
    await new Promise((resolve) => { setTimeout(resolve, late * Math.random()); });
    const frame = Number(query.get("frame"));
    return broken(request.url()) ? { status: 404, json: {} } : { contentType: "image/png", body: png(12, 16, (row, column) => (row > 3 && column > 7 ? [frame, 4, 4, 255] : [0, 0, 0, 0])) };
  }],
  [/^\/instances\/slice-\d+\/content\//, (request) => {
    asked.push(request.url());
    const value = { "0028-1050": "40", "0028-1051": "80", "0028-0030": "2\\1" }[request.url().split("/").pop()];
    return value ? { body: value, contentType: "application/octet-stream" } : { status: 404, json: {} };
  }],
];

const cannedRun = (changes, options) => [
  [/^\/ai\/runs\/canned$/, (request) => (request.method() === "GET" ? { json: typeof changes === "function" ? changes() : canned.segmentationRun(changes) } : undefined)],
  [/^\/ai\/models$/, { json: [canned.segmentationModel()] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }], ...pictures(options),
];

describe("a segmentation run on the page", () => {
  before(async () => {
    bench = await start();
    run = await analysed();
    if (run) assert.equal(run.State, "Succeeded", run.Error);
  });
  after(async () => {
    await bench?.stop();
  });

  /** A test that needs the server's own study and a finding in it. */
  const found = (name, body) => test(name, async (context) => {
    if (!run) return context.skip("the live server has no DCE study: name it in DCE_STUDY_ID");
    const segment = run.Segmentation.Segments.find((one) => one.Found);
    assert.ok(segment, "nothing was found in the study, which holds a tumour");
    return bench.on(`#/runs/${run.ID}`, async (page) => {
      await at(page, segment.OutlineSlice, run.Slices.length);
      await body(page, segment);
    });
  });

  found("opens on the slice of the largest area, as Orthanc draws it, with the SEG's frame over it", async (page, segment) => {
    const slice = run.Slices[segment.OutlineSlice];
    const [center, width] = await Promise.all(["0028-1050", "0028-1051"].map(async (tag) => (await (await fetch(`${bench.base}/instances/${slice.InstanceID}/content/${tag}`)).text()).split("\\")[0].trim()));
    const seg = run.Stored.find(({ Kind }) => Kind === "SEG").ID;
    assert.ok(slice.MaskFrames.length > 0, "no mask on the slice of the largest area");
    assert.deepEqual(await drawn(page, ".slice-source"), await served(page, [`/instances/${slice.InstanceID}/rendered?window-center=${center}&window-width=${width}`]));
    const mask = await drawn(page, ".slice-mask");
    assert.deepEqual(mask, await served(page, slice.MaskFrames.map((frame) => `/instances/${seg}/ai/overlay.png?frame=${frame}&opacity=1&source=false`)));
    assert.ok(mask.count > 20 && mask.count < mask.width * mask.height / 4, `${mask.count} pixels of mask`);
    await shot(page, "segmentation");
  });

  found("source and mask lie in the same place, in the shape of the patient", async (page) => {
    const boxes = await page.locator(".slice-picture canvas").evaluateAll((all) => all.map((canvas) => { const { x, y, width, height } = canvas.getBoundingClientRect(); return [x, y, width, height]; }));
    assert.deepEqual(boxes[0], boxes[1]);
    const { width, height } = await drawn(page, ".slice-source");
    const spacing = await (await fetch(`${bench.base}/instances/${run.Slices[0].InstanceID}/content/0028-0030`)).text();
    const [row, column] = spacing.split("\\").map(Number);
    const [expected, shown] = [width * column / (height * row), boxes[0][2] / boxes[0][3]];
    assert.ok(Math.abs(shown / expected - 1) < 0.01, `${shown} wide over high, expected ${expected}`);
  });

  found("the cards say what the server measured", async (page, segment) => {
    const card = page.locator(".segment", { hasText: segment.Name });
    const measures = await card.locator(".measure").allInnerTexts();
    for (const [text, value, unit] of [[measures[0], segment.VolumeMl, "ml"], [measures[1], segment.LongAxisMm, "mm"], [measures[2], segment.RatioPercent, "%"]]) {
      assert.match(text, new RegExp(` ${unit}$`));
      assert.ok(Math.abs(parseFloat(text.replace("<", "")) - value) <= 0.051, `${text}: ${value}`);
    }
    const rows = await card.locator(".phases tbody tr").allInnerTexts();
    assert.equal(rows.length, segment.Channels.length);
    segment.Channels.forEach((channel, index) => {
      const [name, mean, enhancement] = rows[index].split("\t").map((text) => text.trim());
      assert.equal(name, channel.Name);
      assert.ok(Math.abs(Number(mean) - channel.Mean) <= 0.051, rows[index]);
      if (channel.EnhancementPercent === undefined) assert.equal(enhancement, "–");
      else assert.ok(Math.abs(parseFloat(enhancement) - channel.EnhancementPercent) <= 0.51, rows[index]);
    });
    assert.match(await page.locator(".disclaimer").innerText(), /DEMO/);
    assert.match(await page.locator(".details").innerText(), /Segmentation \(SEG\)[\s\S]*Structured report \(SR\)/);
  });

  found("wheel, keys, slider and strip go through the slices; the mask is there exactly where the SEG has frames", async (page, segment) => {
    const last = run.Slices.length - 1;
    const is = async (slice) => {
      await at(page, slice, run.Slices.length);
      assert.equal((await drawn(page, ".slice-mask")).count > 0, run.Slices[slice].MaskFrames.length > 0, `mask on slice ${slice}`);
    };
    const middle = segment.OutlineSlice;
    await stage(page).hover();
    await page.mouse.wheel(0, 100);
    await is(middle + 1);
    await page.mouse.wheel(0, -100);
    await is(middle);
    for (let small = 0; small < 5; small += 1) await page.mouse.wheel(0, 12); // a touchpad
    await is(middle + 1);
    assert.equal(await page.evaluate(() => window.scrollY), 0, "the page scrolled under the wheel");
    for (const target of [stage(page), page.getByRole("slider", { name: "Slice", exact: true })]) {
      await target.focus();
      for (const [key, slice] of [["Home", 0], ["ArrowRight", 1], ["ArrowDown", 2], ["ArrowUp", 1], ["ArrowLeft", 0], ["ArrowLeft", 0], ["End", last], ["ArrowDown", last], ["PageUp", last - 10], ["PageDown", last], ["Home", 0], ["PageDown", 10]]) {
        await page.keyboard.press(key);
        await is(slice);
      }
    }
    await page.getByRole("slider", { name: "Slice", exact: true }).fill(String(middle + 1));
    await is(middle);
    const strip = await page.locator(".strip").boundingBox();
    await page.locator(".strip").click({ position: { x: strip.width * segment.FirstSlice / last, y: 5 } });
    await is(segment.FirstSlice);
    await page.getByRole("button", { name: `Largest area: slice ${middle + 1}` }).click();
    await is(middle);
  });

  found("M and the button put the mask away and back, its opacity follows the slider", async (page) => {
    const mask = page.locator(".slice-mask");
    const button = page.getByRole("button", { name: "Mask (M)" });
    await stage(page).focus();
    await page.keyboard.press("m");
    assert.equal(await mask.isVisible(), false);
    assert.equal(await button.getAttribute("aria-pressed"), "false");
    await button.click();
    assert.equal(await mask.isVisible(), true);
    assert.equal(await mask.evaluate((canvas) => getComputedStyle(canvas).opacity), "0.5");
    for (const [percent, opacity] of [[100, "1"], [25, "0.25"], [0, "0"]]) {
      await page.getByRole("slider", { name: "Mask opacity" }).fill(String(percent));
      assert.equal(await mask.evaluate((canvas) => getComputedStyle(canvas).opacity), opacity);
    }
  });

  test("whatever is asked for how fast, picture, mask and number belong together in every frame, and nothing flickers", async () => {
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 201, 400);
      await page.evaluate(() => {
        window.seen = [];
        const look = () => {
          const pixel = (selector) => document.querySelector(selector).getContext("2d").getImageData(15, 11, 1, 1).data;
          const [source, mask] = [pixel(".slice-source"), pixel(".slice-mask")];
          window.seen.push([parseInt(document.querySelector(".slice-number").textContent, 10) - 1, source[3] ? source[0] : null, mask[3] ? mask[0] : null]);
          requestAnimationFrame(look);
        };
        look();
      });
      await stage(page).focus();
      for (let step = 0; step < 30; step += 1) await page.keyboard.press("ArrowDown", { delay: 15 });
      for (let step = 0; step < 15; step += 1) await page.keyboard.press(step % 4 ? "ArrowUp" : "PageUp");
      const expected = 201 + 30 - 4 * 10 - 11;
      await at(page, expected, 400);
      const seen = await page.evaluate(() => window.seen);
      const wrong = seen.filter(([slice, source, mask]) => source !== slice || mask !== (slice >= 180 && slice <= 219 ? slice - 180 : null));
      assert.deepEqual(wrong, []);
      assert.ok(new Set(seen.map(([slice]) => slice)).size > 8, "hardly any slice was seen on the way");
    }, { answers: cannedRun({}, { late: 60 }) });
  });

  test("neighbours are loaded in advance, the other 390 slices are not", async () => {
    const asked = [];
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 201, 400);
      const slices = () => new Set(asked.flatMap((url) => (/slice-(\d+)\/rendered/.exec(url) ?? []).slice(1)).map(Number));
      // A busy machine takes its time for the nine; what came after them would be one too many.
      for (let wait = 0; wait < 100 && slices().size < 9; wait += 1) await page.waitForTimeout(100);
      await page.waitForTimeout(700);
      assert.deepEqual([...slices()].sort((a, b) => a - b), [197, 198, 199, 200, 201, 202, 203, 204, 205]);
      const before = asked.length;
      await stage(page).focus();
      await page.keyboard.press("ArrowDown");
      await at(page, 202, 400);
      await page.waitForTimeout(300);
      assert.deepEqual(asked.slice(before).filter((url) => /slice-202/.test(url)), []);
    }, { answers: cannedRun({}, { asked }) });
  });

  test("400 slices: the time to the first slice with its mask is told, and the page with it weighs less than 500 kB", async () => {
    const server = await startMock(bench.base, "/fast", 0, cannedRun()); // no interception by the browser, which costs time
    const times = [];
    const slowdowns = [];
    let bytes = 0;
    for (let round = 0; round < 12; round += 1) {
      const page = await bench.open({ origin: server.base });
      const sizes = [];
      page.on("response", (response) => sizes.push(response.body().then((body) => body.length, () => 0)));
      await page.addInitScript(() => {
        const look = () => (document.querySelector(".slice-stage[data-slice]") ? Object.assign(window, { painted: performance.now() }) : requestAnimationFrame(look));
        look();
      });
      await page.goto(`${server.base}/ai/app/index.html#/runs/canned`);
      await at(page, 201, 400);
      assert.ok((await drawn(page, ".slice-mask")).count > 0);
      times.push(await page.evaluate(() => window.painted));
      bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
      await page.context().close();
      slowdowns.push(waitingForCpu());
    }
    server.stop();
    const sorted = times.map(Math.round).sort((a, b) => a - b);
    const slowdown = slowdowns.sort((a, b) => a - b)[6];
    console.log(`first slice after ${sorted.join(", ")} ms, all files anew; ${bytes} bytes; this machine is busy by a factor of ${slowdown.toFixed(1)}`);
    assert.ok(bytes > 10000 && bytes < 500000, `${bytes} bytes`);
    console.log(`first paint: best of ${sorted.length} ${sorted[0]} ms (wanted: 300), machine busy by ${slowdown.toFixed(1)}`); // a figure, not a gate: machines are noisy
    assert.ok(sorted[0] <= 5000, `best of ${sorted.length}: ${sorted[0]} ms`);
  });

  test("a run without finding says so in words, and shows the slices", async () => {
    const asked = [];
    await bench.on("#/runs/canned", async (page) => {
      const card = page.locator(".segment");
      await card.getByText("No finding", { exact: true }).waitFor();
      assert.match(await card.innerText(), /marked nothing as Tumour/);
      assert.equal(await card.locator(".measure, table").count(), 0);
      await at(page, 200, 400);
      assert.equal(await page.locator(".strip-mask").count(), 0);
      assert.match(await stage(page).getAttribute("aria-label"), /^Slice 201 of 400, no mask$/);
      assert.deepEqual(asked.filter((url) => /overlay/.test(url)), []);
      await shot(page, "segmentation-no-finding");
    }, { answers: cannedRun({ segments: [canned.notFound()] }, { asked }) });
  });

  test("several segments: a card and a row of the strip each, their masks over each other", async () => {
    const segments = [canned.segment({ OutlineSlice: 200 }), canned.segment({ Name: "Breast", Color: "#388e3c", FirstSlice: 190, LastSlice: 300 }), canned.notFound({ Name: "Node", Color: "#1976d2" })];
    const asked = [];
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 200, 400);
      assert.deepEqual(await page.locator(".segment h2").allInnerTexts(), ["Tumour", "Breast", "Node"]);
      assert.deepEqual(await page.locator(".strip-row").evaluateAll((rows) => rows.map((row) => row.childElementCount)), [1, 1, 0]);
      assert.deepEqual(asked.filter((url) => /overlay/.test(url)).slice(0, 2).map((url) => new URL(url).searchParams.get("frame")), ["20", "50"]);
      assert.match(await stage(page).getAttribute("aria-label"), /mask: Tumour, Breast$/);
    }, { answers: cannedRun({ segments }, { asked }) });
  });

  test("frames of a multi-frame instance: addressed as such, with the window of their functional groups", async () => {
    const asked = [];
    const Slices = Array.from({ length: 20 }, (_, slice) => ({ InstanceID: "slice-0", Frame: 19 - slice, Analysed: true, MaskFrames: [] }));
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 10, 20);
      const paths = asked.map((url) => url.split("/instances/slice-0/")[1]);
      assert.ok(paths.includes("content/5200-9229/0/0028-9132/0/0028-1050"), paths.join(" "));
      assert.ok(paths.includes("frames/9/rendered?window-center=40&window-width=80"), paths.join(" "));
      assert.equal((await drawn(page, ".slice-source")).sum, 9 * 16 * 12);
    }, { answers: cannedRun({ segments: [canned.notFound()], Slices }, { asked }) });
  });

  test("without a window in the file, the picture that Orthanc stretches", async () => {
    const asked = [];
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 201, 400);
      assert.ok(asked.some((url) => url.endsWith("/instances/slice-201/preview")), asked.join(" "));
    }, { answers: [...cannedRun({}, { asked }), [/^\/instances\/slice-\d+\/content\//, { status: 404, json: {} }]] });
  });

  test("a slice that cannot be shown and a mask that cannot be loaded are said in words", async () => {
    await bench.on("#/runs/canned", async (page) => {
      const note = page.locator(".slice-note");
      await at(page, 201, 400);
      assert.equal(await note.innerText(), "The mask of this slice could not be loaded.");
      assert.ok((await drawn(page, ".slice-source")).sum > 0);
      await stage(page).focus();
      await page.keyboard.press("ArrowDown");
      await at(page, 202, 400);
      assert.equal(await note.innerText(), "Orthanc cannot show this slice.");
      assert.equal((await drawn(page, ".slice-source")).count, 0);
      await page.keyboard.press("ArrowDown");
      await at(page, 203, 400);
      assert.equal(await note.innerText(), "");
    }, { answers: cannedRun({}, { broken: (url) => /frame=21&|slice-202/.test(url) }) });
  });

  test("slices that were not analysed are told apart", async () => {
    const run = canned.segmentationRun({ count: 110, segments: [canned.segment({ FirstSlice: 40, LastSlice: 60, OutlineSlice: 50 })] });
    run.Slices.forEach((slice, index) => { slice.Analysed = index >= 7 && index <= 102; });
    await bench.on("#/runs/canned", async (page) => {
      await page.getByText("96 of 110 slices were analysed: 8 to 103.").waitFor();
      await at(page, 50, 110);
      await stage(page).focus();
      await page.keyboard.press("Home");
      await at(page, 0, 110);
      assert.equal(await page.locator(".slice-note").innerText(), "not analysed");
      assert.equal(await page.locator(".strip-analysed").count(), 1);
    }, { answers: cannedRun(() => run) });
  });

  test("when the run changes under the reader, the slice stays", async () => {
    let warnings = [];
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 201, 400);
      await stage(page).focus();
      await page.keyboard.press("Home");
      await at(page, 0, 400);
      warnings = ["Something new"];
      await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      await page.getByText("Something new").waitFor();
      assert.equal(await number(page).innerText(), "1 / 400");
      assert.ok((await stage(page).evaluate((node) => node === document.activeElement)), "the focus stays as well");
    }, { answers: cannedRun(() => canned.segmentationRun({ Warnings: warnings })) });
  });

  test("runs are listed with each segment's volume, models with their series and segments; in Korean with translations", async () => {
    const answers = [[/^\/ai$/, { json: canned.server([canned.model(), canned.segmentationModel()]) }], [/^\/ai\/runs$/, { json: [canned.segmentationRun(), canned.segmentationRun({ ID: "b", segments: [canned.notFound()] })] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]];
    await bench.on("#/", async (page) => {
      await page.locator(".runs tbody tr").nth(1).waitFor();
      assert.deepEqual((await page.locator(".runs .chips").allInnerTexts()).map((text) => text.trim()), ["Tumour 3.2 ml", "Tumour No finding"]);
      const model = await page.locator(".model", { hasText: "SwinUNETR" }).innerText();
      assert.match(model, /4 series: pre-contrast, phase 1, phase 2, phase 3/);
      assert.match(model, /Segments\s+Tumour/);
      assert.doesNotMatch(model, /Classes|images/);
      await shot(page, "overview-segmentation");
    }, { answers });
    await bench.on("#/", async (page) => {
      await page.locator(".runs .chips", { hasText: "종양 (Tumour) 3.2 ml" }).waitFor();
    }, { answers, options: { locale: "ko-KR" } });
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 201, 400);
      assert.match(await page.locator("main").innerText(), /종양 \(Tumour\)[\s\S]*최장 직경/);
      await shot(page, "segmentation-korean");
    }, { answers: cannedRun(), options: { locale: "ko-KR" } });
  });

  test("contrasts are listed without enhancement: they are no phases", async () => {
    const segment = canned.segment({ Channels: [{ Name: "T1", Mean: 281.26 }, { Name: "T2", Mean: 900.5 }] });
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 201, 400);
      assert.deepEqual(await page.locator(".phases thead th").allInnerTexts(), ["Channel", "Mean"]);
      assert.deepEqual(await page.locator(".phases tbody tr").first().locator("th, td").allInnerTexts(), ["T1", "281.3"]);
    }, { answers: cannedRun({ segments: [segment] }) });
  });

  test("a segment of a model that combines answers has their spread, with what it is", async () => {
    const answers = cannedRun({ segments: [canned.segment({ Spread: 0.0421 })], Answers: { Views: 1, Models: 3 } });
    await bench.on("#/runs/canned", async (page) => {
      const measure = page.locator(".segment .measure", { hasText: "4.2 %" });
      await measure.waitFor();
      assert.match(await measure.getAttribute("title"), /over 3 models, mean over what is inside/);
      assert.match(await page.locator(".segment .facts").innerText(), /Spread of the answers/);
    }, { answers });
    await bench.on("#/runs/canned", async (page) => {
      await page.locator(".segment .facts").waitFor();
      assert.doesNotMatch(await page.locator(".segment .facts").innerText(), /Spread/);
    }, { answers: cannedRun({ segments: [canned.segment()] }) });
  });

  test("hostile text from a server stays text", async () => {
    const hostile = canned.HOSTILE;
    const segment = canned.segment({ Name: hostile, Finding: hostile, Color: "red;background:url(x)", Channels: [{ Name: hostile, Mean: hostile, EnhancementPercent: hostile }], VolumeMl: hostile });
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 201, 400);
      assert.equal(await page.evaluate(() => window.hacked), undefined);
      assert.equal(await page.locator("main script, main img").count(), 0);
    }, { answers: cannedRun({ segments: [segment] }) });
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [device, viewport] of [["desktop", { width: 1280, height: 900 }], ["tablet", { width: 768, height: 1024 }], ["phone", { width: 390, height: 844 }]]) {
      test(`${colorScheme}, ${device}: axe-core finds nothing serious, nothing runs over the edge`, async () => {
        const own = run?.Segmentation.Segments.some((one) => one.Found);
        await bench.on(own ? `#/runs/${run.ID}` : "#/runs/canned", async (page) => {
          await page.locator(".slice-stage[data-slice]").waitFor();
          await shot(page, `segmentation-${colorScheme}-${device}`);
          assert.deepEqual(await serious(page), []);
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.ok(over <= 0, `${over} px over the edge`);
          const seen = await stage(page).evaluate((node) => node.getBoundingClientRect().height);
          assert.ok(seen <= viewport.height, "the picture is higher than the window");
        }, { options: { colorScheme, viewport }, answers: own ? [] : cannedRun() });
      });
    }
  }

  test("nothing broke the content security policy, no page error, no request to elsewhere", () => {
    assert.deepEqual(bench.faults, []);
  });
});
