// Reading a series on the page /ai/app/: its window, heat maps over its slices, its surface in 3D; mock or live, as segmentation.test.mjs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as canned from "./canned.mjs";
import { serious, shot, start } from "./harness.mjs";
import { numpy } from "./numpy.mjs";
import { png } from "./png.mjs";

const MODEL = process.env.DCE_MODEL ?? "breast-dce-swinunetr-demo";
const DEVICES = [["desktop", { width: 1280, height: 900 }], ["tablet", { width: 768, height: 1024 }], ["phone", { width: 390, height: 844 }]];
const [ROWS, COLUMNS] = [12, 16];
let bench, run; // `run`: of the server's own study; null where a live server has none

const stage = (page) => page.locator(".slice-stage");
const at = (page, slice, total) => page.waitForFunction((text) => document.querySelector(".slice-number")?.textContent === text, `${slice + 1} / ${total}`);
const field = (page, name) => page.locator(`[data-key="window-${name}"]`);
const window = async (page) => [await field(page, "center").inputValue(), await field(page, "width").inputValue()].map(Number);

async function analysed() {
  if (!bench.dceStudy) return null;
  const json = async (path, options) => (await fetch(bench.base + path, options)).json();
  const { ID } = await json(`/studies/${bench.dceStudy}/ai`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ Model: MODEL }) });
  for (;;) {
    const now = await json(`/ai/runs/${ID}`);
    if (!["Queued", "Running"].includes(now.State)) return now;
    await new Promise((resolve) => { setTimeout(resolve, 300); });
  }
}

/** Red of every pixel of the source's canvas. */
const greys = (page, selector = ".slice-source") => page.locator(selector).evaluate((canvas) => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data].filter((_, byte) => byte % 4 === 0));

/** The same of what Orthanc draws. */
const served = (page, path) => page.evaluate(async (url) => {
  const image = await createImageBitmap(await (await fetch(url)).blob());
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  return [...context.getImageData(0, 0, image.width, image.height).data].filter((_, byte) => byte % 4 === 0);
}, bench.base + path);

/** Waits until `look()` gives something true. */
async function until(look, what) {
  for (let wait = 0; wait < 100; wait += 1) {
    if (await look()) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  assert.fail(what);
}

/** Pixel of slice `slice` of the canned series: HU from -1000, a step of 20 a column, of 1 a slice. */
const hu = (slice, row, column) => -1000 + 100 * column + 10 * row + slice;

const HEADERS = { "0028-1050": "40", "0028-1051": "80", "0028-0030": "1\\1", "0008-0060": "CT", "0028-0004": "MONOCHROME2" };

/** What a window makes of such a slice. */
const grey = (slice, row, column, center, width) => Math.min(Math.max(Math.round((hu(slice, row, column) - center + width / 2) * 255 / width), 0), 255);

/** A canned CT: in its own window pictures are of the grey 60, in others as a server draws them; heat maps have a red square and a white mark. */
const pictures = ({ headers = HEADERS, asked = [], values = (slice) => ({ body: numpy(ROWS, COLUMNS, (row, column) => hu(slice, row, column)), contentType: "application/octet-stream" }), refuse = () => false, heat = () => null } = {}) => [
  [/^\/instances\/slice-\d+\/frames\/0\/numpy$/, (request) => { asked.push(request.url()); return values(Number(/slice-(\d+)/.exec(request.url())[1])); }],
  [/^\/instances\/slice-\d+\/(rendered|preview)$/, (request) => {
    asked.push(request.url());
    if (refuse(request.url())) return { status: 500, json: {} };
    const [, slice] = /slice-(\d+)/.exec(request.url()).map(Number);
    const query = new URL(request.url()).searchParams;
    const [center, width] = [Number(query.get("window-center")), query.has("window-width") ? Math.max(Number(query.get("window-width")), 1) : 0]; // as Orthanc
    const own = !width || (center === 40 && width === 80) || (center === 39.5 && width === 79); // LINEAR, written as LINEAR_EXACT
    return { contentType: "image/png", body: png(ROWS, COLUMNS, (row, column) => [...Array(3).fill(own ? 60 : grey(slice, row, column, center, width)), 255]) };
  }],
  [/^\/instances\/heat-\d+\/preview$/, (request) => {
    asked.push(request.url());
    const slice = Number(/heat-(\d+)/.exec(request.url())[1]);
    const under = (row, column) => { const byte = heat(slice, row, column); return byte === null ? [61, 60, 59, 255] : [byte, byte, byte, 255]; };
    return { contentType: "image/png", body: png(ROWS, COLUMNS, (row, column) => (row < 2 && column < 3 ? [255, 255, 255, 255] : row > 5 && column > 9 ? [220, 30, 10, 255] : under(row, column))) };
  }],
  [/^\/instances\/seg\/ai\/overlay\.png$/, { contentType: "image/png", body: png(ROWS, COLUMNS, (row) => (row > 6 ? [211, 47, 47, 255] : [0, 0, 0, 0])) }],
  [/^\/instances\/slice-\d+\/content\//, (request) => {
    asked.push(request.url());
    const value = (typeof headers === "function" ? headers(Number(/slice-(\d+)/.exec(request.url())[1])) : headers)[request.url().split("/").pop()];
    return value ? { body: value, contentType: "application/octet-stream" } : { status: 404, json: {} };
  }],
];

const answersOf = (data, options) => [[/^\/ai\/runs\/canned$/, (request) => (request.method() === "GET" ? { json: typeof data === "function" ? data() : data } : undefined)],
  [/^\/ai\/models$/, { json: [canned.segmentationModel(), HEAD_CT] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }], ...pictures(options)];

const segmented = (count = 40) => canned.segmentationRun({ count, segments: [canned.segment({ FirstSlice: 18, LastSlice: 22, OutlineSlice: 20 })] });

const HEAD_CT = { ...canned.model(), Name: "head-ct", Title: "Head CT", Count: 0, Input: "Series", Classes: [{ Name: "Haemorrhage", Color: "#d32f2f", Translations: { ko: "출혈" } }, { Name: "Normal", Color: "#388e3c", Translations: { ko: "정상" } }] };

/** A head CT of 40 slices, of which 11, 12 and 30 have heat maps; slice 5 was not analysed. */
function classified() {
  const result = (slice) => (slice === 5
    ? { View: "Slice 6", Success: false, Error: "truncated", InstanceUid: "2.25.5", InstanceID: "slice-5" }
    : { View: `Slice ${slice + 1}`, Success: true, Class: "Normal", Color: "#388e3c", Probability: 0.5, AllProbabilities: { Haemorrhage: slice / 100, Normal: 1 - slice / 100 }, InstanceUid: `2.25.${slice}`, InstanceID: `slice-${slice}` });
  const Results = Array.from({ length: 40 }, (_, slice) => result(slice));
  const heat = [11, 12, 30];
  return canned.run({
    Model: "head-ct", ModelTitle: "Head CT", Results, Overall: { Class: "Haemorrhage", Color: "#d32f2f", Probability: 0.87, AllProbabilities: { Haemorrhage: 0.87, Normal: 0.13 }, Method: "greatest", Total: 40, Analysed: 39, CarryingImages: [Results[30], Results[12]] },
    Explanations: heat.map((slice) => ({ InstanceUid: `2.25.${slice}`, Class: "Haemorrhage", Probability: slice / 100, HeatMapInstanceUid: `2.25.99.${slice}`, HeatMapSeriesUid: "2.25.9", Regions: [], Texts: {} })),
    Stored: heat.map((slice) => ({ ID: `heat-${slice}`, Kind: "SC", SopInstanceUid: `2.25.99.${slice}`, SeriesID: "s" })),
  });
}

describe("reading a series on the page", () => {
  before(async () => {
    bench = await start();
    run = await analysed();
  });
  after(async () => { await bench?.stop(); });

  test("a window by fields is what Orthanc draws of it, on this slice and the next, and goes with a press", async (context) => {
    if (!run) return context.skip("the live server has no DCE study: name it in DCE_STUDY_ID");
    await bench.on(`#/runs/${run.ID}`, async (page) => {
      await page.locator(".slice-stage[data-slice]").waitFor();
      const first = Number(await stage(page).getAttribute("data-slice"));
      const own = await greys(page);
      const file = await Promise.all(["0028-1050", "0028-1051"].map(async (tag) => parseFloat(await (await fetch(`${bench.base}/instances/${run.Slices[first].InstanceID}/content/${tag}`)).text())));
      await until(async () => String(await window(page)) === String(file), "the fields show the file's window");
      await field(page, "center").fill("300");
      await field(page, "width").fill("250");
      for (const slice of [first, first + 1]) {
        if (slice > first) await stage(page).press("ArrowDown");
        await at(page, slice, run.Slices.length);
        const orthanc = await served(page, `/instances/${run.Slices[slice].InstanceID}/rendered?window-center=300&window-width=250`);
        await until(async () => (await greys(page)).every((grey, pixel) => Math.abs(grey - orthanc[pixel]) <= 1), `slice ${slice} is not in the window 300/250`);
      }
      await stage(page).press("ArrowUp");
      await page.locator('[data-key="window-reset"]').click();
      await until(async () => String(await greys(page)) === String(own), "the file's own window is back");
      assert.deepEqual(await window(page), file);
    });
  });

  test("presets of a CT by choice and by key: each slice in that window, neighbours too, and no window that was passed by", async () => {
    const asked = [];
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      const preset = page.locator('[data-key="window-preset"]');
      await preset.waitFor();
      assert.deepEqual((await preset.locator("option").allInnerTexts()).slice(1), ["Brain 40 / 80 (1)", "Subdural 80 / 200 (2)", "Stroke 40 / 40 (3)", "Bone 600 / 2800 (4)", "Lung -600 / 1500 (5)", "Soft tissue, abdomen 40 / 400 (6)"]);
      const expected = (center, width, slice = 20) => Array.from({ length: ROWS * COLUMNS }, (_, pixel) => grey(slice, Math.floor(pixel / COLUMNS), pixel % COLUMNS, center, width));
      const is = async (center, width, slice) => {
        await until(async () => (await greys(page)).every((grey, pixel) => Math.abs(grey - expected(center, width, slice)[pixel]) <= 1), `not the window ${center}/${width}`);
        assert.deepEqual(await window(page), [center, width]);
      };
      await preset.selectOption({ label: "Bone 600 / 2800 (4)" });
      await is(600, 2800);
      await stage(page).press("5");
      await is(-600, 1500);
      assert.equal(await preset.inputValue(), "4");
      await stage(page).press("ArrowDown");
      await at(page, 21, 40);
      await is(-600, 1500, 21);
      await stage(page).press("]");
      await is(-600, 1575, 21);
      await stage(page).press("-");
      await is(-521.3, 1575, 21);
      assert.match(await page.locator("#live").innerText(), /Level -521\.3, width 1575/);
      await stage(page).press("0");
      await until(async () => (await greys(page)).every((grey) => grey === 60), "the file's window is Orthanc's picture");
      assert.deepEqual(await window(page), [40, 80]);
      // Typing a number is no key of the browser's.
      await field(page, "width").fill("");
      await field(page, "width").pressSequentially("400");
      await is(40, 400, 21);
      const inWindow = (width) => asked.filter((url) => new URL(url).searchParams.get("window-width") === width).map((url) => Number(/slice-(\d+)/.exec(url)[1]));
      await until(async () => new Set(inWindow("400")).size === 9, "the slice and its neighbours in the last window");
      assert.deepEqual([...new Set(inWindow("1575"))], [21], "no neighbour in a window that was passed by");
      assert.deepEqual(asked.filter((url) => url.endsWith("numpy")), [], "values are for the mouse");
    }, { answers: answersOf(segmented(), { asked }) });
  });

  test("the mouse: to the right wider, down darker; a click changes nothing", async () => {
    const asked = [];
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      await until(async () => (await window(page))[1] === 80, "the file's window is shown");
      const box = await stage(page).boundingBox();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      await page.mouse.click(x, y);
      assert.deepEqual(await window(page), [40, 80]);
      await page.mouse.move(x, y);
      await page.mouse.down();
      await page.mouse.move(x + 128, y + 64, { steps: 8 });
      await until(async () => String(await window(page)) === "60,120", "half as wide again, a quarter of the width up");
      const dark = (await greys(page)).reduce((sum, grey) => sum + grey, 0);
      await page.mouse.move(x + 128, y - 64, { steps: 4 });
      await page.mouse.up();
      await until(async () => String(await window(page)) === "20,120", "the window follows");
      await until(async () => (await greys(page)).reduce((sum, grey) => sum + grey, 0) > dark, "up is brighter");
      await page.mouse.move(x, y);
      assert.deepEqual(await window(page), [20, 120], "the button is up");
      assert.deepEqual(asked.filter((url) => url.endsWith("numpy")).map((url) => /slice-\d+/.exec(url)[0]), ["slice-20"], "its values, once");
      const before = asked.filter((url) => /slice-20\/rendered/.test(url)).length;
      await page.mouse.down();
      await page.mouse.move(x + 64, y, { steps: 4 });
      await page.mouse.up();
      await until(async () => String(await window(page)) === "20,150", "the window follows again");
      await until(async () => (await greys(page)).every((seen, pixel) => Math.abs(seen - grey(20, Math.floor(pixel / COLUMNS), pixel % COLUMNS, 20, 150)) <= 1), "drawn of the values");
      assert.equal(asked.filter((url) => /slice-20\/rendered/.test(url)).length, before, "with its values nothing is asked for");
    }, { answers: answersOf(segmented(), { asked }) });
  });

  test("MONOCHROME1 stays inverted; without a window in the file, from the smallest to the greatest value; a colour has none", async () => {
    const drag = async (page) => {
      const box = await stage(page).boundingBox();
      await page.mouse.move(box.x + 50, box.y + 50);
      await page.mouse.down();
      await page.mouse.move(box.x + 70, box.y + 50, { steps: 4 });
      await page.mouse.up();
    };
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      await page.locator('[data-key="window-preset"]').waitFor();
      await stage(page).press("5");
      await drag(page);
      await until(async () => { const seen = await greys(page); return seen[0] > 150 && seen.at(-1) < 50; }, "the smallest is white");
    }, { answers: answersOf(segmented(), { headers: { ...HEADERS, "0028-0004": "MONOCHROME1 " } }) });
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      await page.waitForTimeout(300);
      assert.equal(await page.locator('[data-key="window-preset"]').isVisible(), false, "no presets of a CT for an MR");
      assert.equal(await field(page, "center").isDisabled(), true);
      await stage(page).press("]");
      const [low, high] = [hu(20, 0, 0), hu(20, ROWS - 1, COLUMNS - 1)];
      await until(async () => Math.abs((await window(page))[1] - (high - low) * 1.05) < 1, "wider than all values");
      assert.ok(Math.abs((await window(page))[0] - (low + high) / 2) < 1);
    }, { answers: answersOf(segmented(), { headers: { "0008-0060": "MR" } }) });
    const colour = { body: numpy(ROWS, COLUMNS, () => 1, { channels: 3 }), contentType: "application/octet-stream" };
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      await page.locator(".window-tools").waitFor({ state: "hidden" });
      await stage(page).press("]");
      await stage(page).press("ArrowDown");
      await at(page, 21, 40);
      assert.ok((await greys(page)).every((seen) => seen === 60), "the picture stays");
    }, { answers: answersOf(segmented(), { headers: { ...HEADERS, "0028-0004": "RGB" } }) });
    await bench.on("#/runs/canned", async (page) => { // one that does not say so
      await at(page, 20, 40);
      await drag(page);
      await page.locator(".window-tools").waitFor({ state: "hidden" });
      await until(async () => (await greys(page)).every((seen) => seen === 60), "the picture comes back");
    }, { answers: answersOf(segmented(), { values: () => colour, headers: { ...HEADERS, "0028-0004": undefined } }) });
  });

  test("where values do not come, the server draws every window", async () => {
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      const box = await stage(page).boundingBox();
      await page.mouse.move(box.x + 50, box.y + 50);
      await page.mouse.down();
      await page.mouse.move(box.x + 306, box.y + 50, { steps: 4 });
      await page.mouse.up();
      await until(async () => String(await window(page)) === "40,160", "the window follows");
      await until(async () => (await greys(page)).every((seen, pixel) => seen === grey(20, Math.floor(pixel / COLUMNS), pixel % COLUMNS, 40, 160)), "as the server draws it");
      assert.equal(await page.locator(".slice-note").innerText(), "");
    }, { answers: answersOf(segmented(), { values: () => ({ status: 500, json: {} }) }) });
  });

  test("a classified series is browsed: heat maps over the slices that have one, marked on the strip, with each slice's probability", async () => {
    const asked = [];
    const heat = async (page) => page.locator(".slice-heat").evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return Array.from({ length: data.length / 4 }, (_, pixel) => data[4 * pixel + 3]).filter(Boolean).length;
    });
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 30, 40); // the likeliest
      assert.equal(await page.locator(".slice-caption").innerText(), "Haemorrhage 30.0 %");
      assert.equal(await heat(page), 2 * 3 + 6 * 6, "what differs from the image lies over it, and nothing else");
      assert.match(await stage(page).getAttribute("aria-label"), /^Slice 31 of 40, heat map: Haemorrhage, Haemorrhage 30\.0 %$/);
      assert.deepEqual(await page.locator(".strip-row").evaluateAll((rows) => rows.map((row) => row.childElementCount)), [2], "11 and 12 together, 30");
      await stage(page).press("ArrowUp");
      await at(page, 29, 40);
      assert.equal(await heat(page), 0);
      assert.match(await stage(page).getAttribute("aria-label"), /no heat map, Haemorrhage 29\.0 %$/);
      await page.getByRole("slider", { name: "Slice", exact: true }).fill("6");
      await at(page, 5, 40);
      assert.equal(await page.locator(".slice-caption").innerText(), "Not analysed");
      await page.getByRole("slider", { name: "Slice", exact: true }).fill("13");
      await at(page, 12, 40);
      assert.ok(await heat(page) > 0);
      await page.getByRole("slider", { name: "Heat map opacity" }).fill("40");
      assert.equal(await page.locator(".slice-heat").evaluate((canvas) => getComputedStyle(canvas).opacity), "0.4");
      await stage(page).press("4");
      await until(async () => (await greys(page)).some((grey) => grey !== 60), "another window under the heat map");
      assert.equal(await heat(page), 2 * 3 + 6 * 6);
      await stage(page).press("m");
      assert.equal(await page.locator(".slice-heat").isVisible(), false);
      assert.equal(await page.locator(".card").count(), 1, "the slices are browsed, not laid out: the one that failed is told");
      await shot(page, "heat-slices");
    }, { answers: answersOf(classified(), { asked }) });
    assert.ok(asked.filter((url) => /slice-\d+\/rendered/.test(url)).length < 35, "not all slices are loaded");
  });

  const hot = (page) => page.locator(".slice-heat").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return Array.from({ length: data.length / 4 }, (_, pixel) => data[4 * pixel + 3]).filter(Boolean).length;
  });
  const HOT = 2 * 3 + 6 * 6;
  /** A byte as the plugin draws it (`displayed`, src/transform/uint8.rs): PS3.3 C.11.2.1.2.1 and C.11.2.1.3.1. */
  const DRAWN = {
    LINEAR: (x, c, w) => (x <= c - 0.5 - (w - 1) / 2 ? 0 : x > c - 0.5 + (w - 1) / 2 ? 255 : Math.trunc(((x - (c - 0.5)) / (w - 1) + 0.5) * 255)),
    SIGMOID: (x, c, w) => Math.trunc(255 / (1 + Math.exp(-4 * (x - c) / w))),
  };

  for (const name of ["LINEAR", "SIGMOID"]) {
    for (const [center, width] of [[-200, 700], [-100, 20], [-300, 1.5]]) {
      test(`heat is told apart from the slice in its own window, ${name} ${center}/${width}, not the one in sight`, async () => {
        const own = (slice) => (slice === 12 ? { ...HEADERS, "0028-1050": String(center), "0028-1051": String(width), ...(name === "LINEAR" ? {} : { "0028-1056": `${name} ` }) } : HEADERS);
        const heat = (slice, row, column) => (slice === 12 ? DRAWN[name](hu(slice, row, column), center, width) : null);
        await bench.on("#/runs/canned", async (page) => {
          await at(page, 30, 40);
          assert.equal(await hot(page), HOT);
          await page.getByRole("slider", { name: "Slice", exact: true }).fill("13");
          await at(page, 12, 40);
          // Pixels of the corner that are white anyhow are not told apart from it.
          const white = Array.from({ length: 6 }, (_, pixel) => heat(12, Math.floor(pixel / 3), pixel % 3)).filter((byte) => byte > 249).length;
          assert.equal(await hot(page), HOT - white);
          await stage(page).press("4");
          await page.waitForTimeout(200);
          assert.equal(await hot(page), HOT - white);
        }, { answers: answersOf(classified(), { headers: own, heat }) });
      });
    }
  }

  test("where the slice's own window does not come, heat is lost and said to be, not drawn wrong", async () => {
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 30, 40);
      await stage(page).press("4");
      await page.waitForTimeout(300);
      await page.getByRole("slider", { name: "Slice", exact: true }).fill("13");
      await at(page, 12, 40);
      assert.equal(await hot(page), 0);
      assert.match(await page.locator(".slice-note").innerText(), /heat map of this slice could not be loaded/);
      assert.ok((await greys(page)).some((grey) => grey > 0), "the slice itself is there");
    }, { answers: answersOf(classified(), { refuse: (url) => /slice-12\/rendered.*window-width=79/.test(url) }) });
  });

  test("a slice that failed once is shown when the reader comes to it", async () => {
    let [refusing, refused] = [true, 0];
    const refuse = (url) => {
      if (!refusing || !/slice-21\/rendered.*window-width=2800/.test(url)) return false;
      refused += 1;
      return true;
    };
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      await until(async () => (await window(page))[1] === 80, "the file's window is shown");
      await page.locator('[data-key="window-preset"]').waitFor();
      await page.waitForTimeout(500); // the neighbours are there in the file's window
      await stage(page).press("4");
      await until(async () => refused > 0, "slice 21 failed as a neighbour, in another window");
      await page.waitForTimeout(300);
      for (const round of ["failed", "came"]) {
        await stage(page).press("ArrowDown");
        await at(page, 21, 40);
        assert.equal(await page.locator(".slice-note").innerText(), round === "failed" ? "Orthanc cannot show this slice." : "");
        refusing = false;
        await stage(page).press("ArrowUp");
        await at(page, 20, 40);
      }
      await stage(page).press("ArrowDown");
      await at(page, 21, 40);
      assert.ok((await greys(page)).every((seen, pixel) => Math.abs(seen - grey(21, Math.floor(pixel / COLUMNS), pixel % COLUMNS, 600, 2800)) <= 1));
    }, { answers: answersOf(segmented(), { refuse }) });
  });

  test("a mask is one layer of all segments of a slice", async () => {
    const two = canned.segmentationRun({ count: 40, segments: [18, 20].map((first) => canned.segment({ FirstSlice: first, LastSlice: 22, OutlineSlice: 20 })) });
    const band = (request) => {
      const frame = Number(new URL(request.url()).searchParams.get("frame"));
      return { contentType: "image/png", body: png(ROWS, COLUMNS, (row) => (row === (frame < 5 ? 2 : 8) ? [211, 47, 47, 255] : [0, 0, 0, 0])) };
    };
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      const alpha = await page.locator(".slice-mask").evaluate((canvas) => [2, 5, 8].map((row) => canvas.getContext("2d").getImageData(0, row, 1, 1).data[3]));
      assert.deepEqual(alpha, [255, 0, 255]);
    }, { answers: [[/^\/instances\/seg\/ai\/overlay\.png$/, band], ...answersOf(two).filter(([pattern]) => !pattern.source.includes("seg\\/ai"))] });
  });

  test("a click asks for no values: not of a colour, not of an image without a window; a drag asks once", async () => {
    const click = async (page) => {
      const box = await stage(page).boundingBox();
      await page.mouse.click(box.x + 50, box.y + 50);
      await page.waitForTimeout(300);
    };
    for (const headers of [{ ...HEADERS, "0028-0004": "RGB" }, { "0008-0060": "MR" }]) {
      const asked = [];
      await bench.on("#/runs/canned", async (page) => {
        await at(page, 20, 40);
        await page.waitForTimeout(300);
        await click(page);
        const values = () => asked.filter((url) => url.endsWith("numpy")).length;
        assert.equal(values(), 0);
        const box = await stage(page).boundingBox();
        await page.mouse.move(box.x + 50, box.y + 50);
        await page.mouse.down();
        await page.mouse.move(box.x + 90, box.y + 60, { steps: 4 });
        await page.mouse.up();
        await page.waitForTimeout(300);
        await stage(page).press("]");
        await page.waitForTimeout(200);
        assert.equal(values(), headers["0028-0004"] ? 0 : 1);
      }, { answers: answersOf(segmented(), { headers, asked }) });
    }
  });

  test("a window narrower than 1 is drawn of the values, which the server would widen", async () => {
    const [center, width] = [hu(20, 3, 4) + 0.1, 0.5];
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      await until(async () => (await window(page))[1] === 80, "the file's window is shown");
      await field(page, "center").fill(String(center));
      await field(page, "width").fill(String(width));
      await until(async () => (await greys(page)).every((seen, pixel) => Math.abs(seen - grey(20, Math.floor(pixel / COLUMNS), pixel % COLUMNS, center, width)) <= 1), "not the narrow window");
      assert.ok((await greys(page)).some((seen) => seen > 50 && seen < 100));
      await stage(page).press("ArrowDown");
      await at(page, 21, 40);
      await until(async () => (await greys(page)).every((seen, pixel) => Math.abs(seen - grey(21, Math.floor(pixel / COLUMNS), pixel % COLUMNS, center, width)) <= 1), "nor on the next slice");
    }, { answers: answersOf(segmented()) });
  });

  test("the caption names the class of the heat map in sight", async () => {
    const run = classified();
    run.Explanations.find(({ InstanceUid }) => InstanceUid === "2.25.12").Class = "Normal";
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 30, 40);
      const caption = page.locator(".slice-caption");
      assert.equal(await caption.innerText(), "Haemorrhage 30.0 %");
      await page.getByRole("slider", { name: "Slice", exact: true }).fill("13");
      await at(page, 12, 40);
      assert.equal(await caption.innerText(), "Normal 88.0 %");
      assert.match(await stage(page).getAttribute("aria-label"), /heat map: Normal, Normal 88\.0 %/);
    }, { answers: answersOf(run) });
  });

  test("help speaks of tools that are there; M works under another script", async () => {
    const help = async (headers, ready) => {
      let text;
      await bench.on("#/runs/canned", async (page) => {
        await at(page, 20, 40);
        await page.waitForFunction(ready);
        text = await page.locator(".slice-help").innerText();
        for (const [key, code, hidden] of [["ㅡ", "KeyM", true], [",", "KeyM", true], ["m", "Semicolon", false]]) {
          await stage(page).evaluate((node, given) => node.dispatchEvent(new KeyboardEvent("keydown", { ...given, bubbles: true, cancelable: true })), { key, code });
          assert.equal(await page.locator(".slice-mask").isVisible(), !hidden, `${key} ${code}`);
        }
      }, { answers: answersOf(segmented(), { headers }) });
      return text;
    };
    const ct = await help(HEADERS, () => !document.querySelector('[data-key="window-preset"]').hidden);
    assert.match(ct, /Slices: .*Window: .*1 to 6/);
    const mr = await help({ ...HEADERS, "0008-0060": "MR" }, () => document.querySelector('[data-key="window-width"]').value === "80");
    assert.match(mr, /Slices: .*Window: /);
    assert.doesNotMatch(mr, /1 to 6/);
    const colour = await help({ ...HEADERS, "0028-0004": "RGB" }, () => document.querySelector(".window-tools").hidden);
    assert.match(colour, /Slices: /);
    assert.doesNotMatch(colour, /Window|1 to 6/);
  });

  test("slices that are passed by are not asked where they lie", async () => {
    const asked = [];
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      await page.getByRole("button", { name: "Show in 3D" }).click();
      await page.frameLocator(".solid iframe").getByText("a surface").waitFor();
      for (let step = 0; step < 10; step += 1) await stage(page).press("ArrowDown");
      await at(page, 30, 40);
      const planes = () => new Set(asked.filter((url) => /0020-0032/.test(url)).map((url) => Number(/slice-(\d+)/.exec(url)[1])));
      await until(async () => planes().has(30), "the one that stays is");
      assert.ok(planes().size < 6, `asked of ${[...planes()]}`);
    }, { answers: [[/^\/series\/s\/ai\/surface\.html$/, { contentType: "text/html", body: "<!DOCTYPE html><title>t</title><p>a surface</p>" }], ...answersOf(segmented(), { asked })] });
  });

  test("in Korean; without stored heat maps there is no browser of them", async () => {
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 30, 40);
      assert.equal(await page.locator(".slice-caption").innerText(), "출혈 (Haemorrhage) 30.0 %");
      assert.match(await page.locator(".slices").innerText(), /히트맵[\s\S]*레벨/);
    }, { answers: answersOf(classified()), options: { locale: "ko-KR" } });
    await bench.on("#/runs/canned", async (page) => {
      await page.locator(".overall").waitFor();
      assert.equal(await page.locator(".slices").count(), 0);
    }, { answers: answersOf({ ...classified(), Stored: [] }) });
  });

  test("3D is loaded when it is asked for, shows the slice's plane, and can be put away", async (context) => {
    if (!run?.Stored.some(({ Kind }) => Kind === "SEG")) return context.skip("no segmentation of a DCE study there");
    const loaded = [];
    await bench.on(`#/runs/${run.ID}`, async (page) => {
      page.on("request", (request) => { if (/surface\.html/.test(request.url())) loaded.push(request.url()); });
      await page.locator(".slice-stage[data-slice]").waitFor();
      await page.waitForTimeout(500);
      assert.deepEqual(loaded, [], "nothing of it before it is asked for");
      const panel = page.getByRole("region", { name: "3D surface" });
      assert.match(await panel.getByRole("link", { name: "Download (HTML)" }).getAttribute("href"), /\/series\/[^/]+\/ai\/surface\.html$/);
      assert.notEqual(await panel.getByRole("link").getAttribute("download"), null);
      await panel.getByRole("button", { name: "Show in 3D" }).click();
      const frame = page.frameLocator(".solid iframe");
      await frame.locator("h1", { hasText: "3D surface of a segmentation" }).waitFor();
      await until(async () => loaded.length === 1, "loaded once");
      if (await frame.locator("canvas").count()) await frame.locator('#view[data-plane="true"]').waitFor();
      else assert.match(await frame.locator("#problem").innerText(), /cannot draw in 3D/);
      const [slices, solid] = await Promise.all([page.locator(".slices").boundingBox(), page.locator(".solid").boundingBox()]);
      assert.ok(solid.x >= slices.x + slices.width && Math.abs(solid.y - slices.y) < 2, "beside the slices");
      await stage(page).focus();
      await page.keyboard.press("ArrowDown");
      await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      await page.waitForTimeout(300);
      assert.equal(loaded.length, 1, "a page drawn again does not load it anew");
      await shot(page, "solid");
      assert.deepEqual(await serious(page), []);
      await panel.getByRole("button", { name: "Hide" }).click();
      assert.equal(await page.locator("iframe").count(), 0);
    });
  });

  test("the frame has no origin of its own, and a reader's word on a finding does not load it anew", async () => {
    let loads = 0;
    const findings = [{ Finding: "Tumour", Answer: "Tumour: 3.2 ml" }];
    const given = [];
    const feedback = (request) => {
      if (request.method() === "POST") given.push({ ...JSON.parse(request.postData()), User: null, Current: true });
      return { json: request.method() === "POST" ? given.at(-1) : { Findings: findings, User: null, Feedback: given } };
    };
    await bench.on("#/runs/canned", async (page) => {
      await at(page, 20, 40);
      await page.getByRole("button", { name: "Show in 3D" }).click();
      const frame = page.frameLocator(".solid iframe");
      await frame.getByText("a surface").waitFor();
      assert.equal(await page.locator(".solid iframe").getAttribute("sandbox"), "allow-scripts");
      await page.getByRole("region", { name: "Your reading" }).getByRole("button", { name: /^Accept/ }).click();
      await page.locator('button[aria-pressed="true"]', { hasText: "Accept" }).waitFor();
      assert.equal(loads, 1);
      assert.equal(await page.locator(".slice-number").innerText(), "21 / 40");
    }, { answers: [[/^\/ai\/runs\/canned\/feedback$/, feedback], [/^\/series\/s\/ai\/surface\.html$/, () => { loads += 1; return { contentType: "text/html", body: "<!DOCTYPE html><title>t</title><p>a surface</p>" }; }], ...answersOf(segmented())] });
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [device, viewport] of DEVICES) {
      test(`${colorScheme}, ${device}: window tools, heat maps and 3D: axe-core finds nothing serious, nothing runs over the edge`, async () => {
        const over = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        await bench.on("#/runs/canned", async (page) => {
          await at(page, 30, 40);
          await page.locator('[data-key="window-preset"]').waitFor();
          await shot(page, `heat-slices-${colorScheme}-${device}`);
          assert.deepEqual(await serious(page), []);
          assert.ok(await over(page) <= 0, `${await over(page)} px over the edge`);
        }, { options: { colorScheme, viewport }, answers: answersOf(classified()) });
        await bench.on("#/runs/canned", async (page) => {
          await at(page, 20, 40);
          await page.getByRole("button", { name: "Show in 3D" }).click();
          await page.frameLocator(".solid iframe").getByText("a surface").waitFor();
          await shot(page, `solid-${colorScheme}-${device}`);
          assert.deepEqual(await serious(page), []);
          assert.ok(await over(page) <= 0, `${await over(page)} px over the edge`);
        }, { options: { colorScheme, viewport }, answers: [[/^\/series\/s\/ai\/surface\.html$/, { contentType: "text/html", body: "<!DOCTYPE html><html lang=en><title>t</title><main><h1>a surface</h1></main>" }], ...answersOf(segmented())] });
      });
    }
  }

  test("nothing broke the content security policy, no page error, no request to elsewhere", () => {
    assert.deepEqual(bench.faults, []);
  });
});
