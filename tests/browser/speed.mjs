// How fast the page is on a server, in figures; nothing is asserted, machines differ:
//
//     ORTHANC_URL=http://127.0.0.1:8042 node speed.mjs STUDY_ID
//
// The latest run of the study that succeeded is looked at (one with slices, where there is one); RUN_ID names another. ROUNDS: 10.
//
// - results: from the start of navigation until the frame that shows the run's result (cards or slice browser) has been painted, nothing cached
// - first slice: until the slice and what lies over it are painted; again: the same with the browser's cache warm
// - overlay picture: a frame's mask from the server until it is decoded, no other picture asked for beside it
// - overlay frame: from a key's press on a slice that is not in memory until it and its layer are painted; neighbours loaded in advance are told apart
// - window: from a key's press (the server draws it) or a move of the mouse (the page does) until the slice is painted in the new window
// - page weight: bytes of the page's own files, and of all that was loaded until the first slice stood
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { CHROMIUM_ARGS } from "./harness.mjs";

const { ORTHANC_URL, RUN_ID, CHROMIUM = "/usr/bin/chromium", ROUNDS = "10" } = process.env;

const sorted = (times) => [...times].sort((a, b) => a - b);
const median = (times) => sorted(times)[Math.floor(times.length / 2)];
const told = (times) => (times.length ? `median ${median(times).toFixed(0)} ms, best ${sorted(times)[0].toFixed(0)}, worst ${sorted(times).at(-1).toFixed(0)} (${times.length})` : "none");

/** In the page: moments, in ms since navigation began, at which a frame had been painted that shows them. */
const watch = () => {
  window.moments = {};
  const once = (name, there) => { if (!window.moments[name] && there) window.moments[name] = performance.now(); };
  const look = () => {
    once("results", document.querySelector(".cards, .overall, .segmentation, .segments"));
    once("slice", document.querySelector(".slice-stage[data-slice]"));
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
};

/** In the page: does `act` and resolves to the ms until the frame is painted in which the slice is another (or the picture, where `act` gives true). */
const untilShown = (page, key) => page.evaluate((pressed) => new Promise((resolve) => {
  const stage = document.querySelector(".slice-stage");
  const before = stage.dataset.slice;
  const begin = performance.now();
  stage.dispatchEvent(new KeyboardEvent("keydown", { key: pressed, bubbles: true }));
  const look = () => {
    if (stage.dataset.slice === before) return performance.now() - begin < 5000 ? setTimeout(look, 0) : resolve(null);
    // The frame after the next begins when this one has been painted.
    const channel = new MessageChannel();
    channel.port1.onmessage = () => resolve(performance.now() - begin);
    return requestAnimationFrame(() => channel.port2.postMessage(0));
  };
  look();
}), key);

async function runOf(base, study) {
  if (RUN_ID) return RUN_ID;
  const { Runs: runs } = await (await fetch(`${base}/studies/${study}/ai`)).json();
  const ended = (runs ?? []).filter((run) => run.State === "Succeeded");
  const run = ended.find((one) => one.Segmentation || one.Overall) ?? ended[0];
  if (!run) throw new Error(`study ${study}: found no run that succeeded, expected one`);
  return run.ID;
}

/** In the page: ms that each of some frames' masks takes, from asking until it is decoded. */
const overlays = async (segmentation) => {
  const times = [];
  for (let frame = 0; frame < 5; frame += 1) {
    const begin = performance.now();
    const answer = await fetch(new URL(`../../instances/${segmentation}/ai/overlay.png?frame=${frame}&opacity=1&source=false`, location.href), { cache: "no-store" });
    (await createImageBitmap(await answer.blob())).close();
    times.push(performance.now() - begin);
  }
  return times;
};

/** Figures of one server's run, and of the segmentation that it stored; `browser` is Playwright's. */
export async function figures(browser, base, run, segmentation = null, rounds = Number(ROUNDS)) {
  const address = `${base}/ai/app/index.html#/runs/${run}`;
  const result = { results: [], slice: [], overlays: [], again: [], frames: [], neighbours: [], window: [], mouse: [], paint: [], own: 0, all: 0, requests: 0 };
  const open = async (context) => {
    const page = await context.newPage();
    const bodies = [];
    page.on("response", (response) => bodies.push(response.body().then((body) => [response.url(), body.length], () => [response.url(), 0])));
    await page.addInitScript(watch);
    await page.goto(address);
    await page.locator(".cards, .overall, .segmentation, .segments").first().waitFor();
    const slices = await page.locator(".slices").count() > 0;
    if (slices) await page.locator(".slice-stage[data-slice]").waitFor();
    return { page, bodies, slices, moments: await page.evaluate(() => window.moments) };
  };
  for (let round = 0; round < rounds; round += 1) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB" });
    const { page, bodies, slices, moments } = await open(context);
    result.results.push(moments.results);
    result.paint.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN));
    if (slices) result.slice.push(moments.slice);
    const sizes = await Promise.all(bodies);
    result.requests = sizes.length;
    result.own = sizes.filter(([url]) => url.includes("/ai/app/")).reduce((sum, [, size]) => sum + size, 0);
    result.all = sizes.reduce((sum, [, size]) => sum + size, 0);
    if (slices) await browse(page, result);
    if (segmentation) {
      await page.waitForTimeout(500);
      result.overlays.push(...await page.evaluate(overlays, segmentation));
    }
    await page.close();
    const second = await open(context);
    if (second.moments.slice) result.again.push(second.moments.slice);
    await context.close();
  }
  return result;
}

async function browse(page, result) {
  await page.locator(".slice-stage").focus();
  for (const key of ["Home", "PageDown", "PageDown", "End", "PageUp"]) {
    const ms = await untilShown(page, key);
    if (ms !== null) result.frames.push(ms);
  }
  await page.waitForTimeout(800);
  for (let step = 0; step < 3; step += 1) {
    const ms = await untilShown(page, "ArrowUp");
    if (ms !== null) result.neighbours.push(ms);
  }
  if (await page.locator(".window-tools").isHidden()) return;
  // In the middle, where a window makes a difference.
  await page.locator('[data-key="slice-slider"]').evaluate((slider) => {
    slider.value = String(Math.round(Number(slider.max) / 2));
    slider.dispatchEvent(new Event("input"));
  });
  await page.waitForTimeout(800);
  const keyed = await untilDrawn(page, ["keydown", { key: "]" }]);
  if (keyed !== null) result.window.push(keyed);
  const { x, y, width, height } = await page.locator(".slice-stage").boundingBox();
  const [left, top] = [x + width / 2, y + height / 2];
  await page.mouse.move(left, top);
  await page.mouse.down();
  await page.mouse.move(left + 10, top, { steps: 3 });
  await page.waitForTimeout(1000); // the slice's values have come
  const moved = await untilDrawn(page, ["pointermove", { clientX: left + 60, clientY: top + 20 }]);
  await page.mouse.up();
  if (moved !== null) result.mouse.push(moved);
}

/** In the page: ms from an event on the slice until another picture of it has been painted. */
const untilDrawn = (page, event) => page.evaluate(([type, init]) => new Promise((resolve) => {
  const canvas = document.querySelector(".slice-source");
  const sum = () => canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data.reduce((all, value) => all + value, 0);
  const before = sum();
  const begin = performance.now();
  const Kind = type === "keydown" ? KeyboardEvent : PointerEvent;
  document.querySelector(".slice-stage").dispatchEvent(new Kind(type, { bubbles: true, pointerType: "mouse", ...init }));
  const look = () => {
    if (sum() === before) return performance.now() - begin < 3000 ? setTimeout(look, 0) : resolve(null);
    const channel = new MessageChannel();
    channel.port1.onmessage = () => resolve(performance.now() - begin);
    return requestAnimationFrame(() => channel.port2.postMessage(0));
  };
  look();
}), event);

async function main() {
  const [study] = process.argv.slice(2);
  if (!ORTHANC_URL || (!study && !RUN_ID)) throw new Error("usage: ORTHANC_URL=http://127.0.0.1:8042 node speed.mjs STUDY_ID (or RUN_ID=… without a study)");
  const base = ORTHANC_URL.replace(/\/$/, "");
  const run = await runOf(base, study);
  const { Slices: slices = [], Results: results = [], Stored: stored = [], Model: model } = await (await fetch(`${base}/ai/runs/${run}`)).json();
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: CHROMIUM_ARGS });
  try {
    const found = await figures(browser, base, run, stored.find(({ Kind }) => Kind === "SEG")?.ID);
    console.log(`run ${run} of ${model}: ${slices.length} slices, ${results.length} images`);
    console.log(`first contentful paint:      ${told(found.paint)}`);
    console.log(`results painted:             ${told(found.results)}; wanted: 300`);
    console.log(`first slice painted:         ${told(found.slice)}`);
    console.log(`the same, files cached:      ${told(found.again)}`);
    console.log(`overlay picture:             ${told(found.overlays)}; wanted: 30`);
    console.log(`overlay frame, not loaded:   ${told(found.frames)}; wanted: 30`);
    console.log(`overlay frame, neighbour:    ${told(found.neighbours)}; wanted: 30`);
    console.log(`another window, by a key:    ${told(found.window)}; wanted: 30`);
    console.log(`another window, by mouse:    ${told(found.mouse)}; wanted: 30`);
    console.log(`page weight:                 ${found.own} bytes of own files, ${found.all} with the run's data and first slice, ${found.requests} requests; wanted: below 500000`);
  } finally {
    await browser.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
