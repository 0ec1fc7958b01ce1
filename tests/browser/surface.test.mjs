// The page of a surface, one file: what it draws, that it needs nothing else, and that its controls do what they say. Drawn by SwiftShader, so no
// graphics card is needed.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { CHROMIUM_ARGS, serious, shot } from "./harness.mjs";

let browser;
let folder;
const files = [];

/** The page of the first segmentation in the live study; none where nothing has been segmented there yet. */
async function live(base, study) {
  const get = async (address) => {
    const answer = await fetch(`${base}${address}`);
    assert.ok(answer.ok, `${address}: HTTP ${answer.status}`);
    return answer;
  };
  for (const series of await (await get(`/studies/${study}/series`)).json()) {
    if (series.MainDicomTags.Modality === "SEG") return (await get(`/series/${series.ID}/ai/surface.html`)).text();
  }
  return null;
}

before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "orthanc-ai-surface-"));
  if (process.env.SURFACE_HTML) files.push(["file", path.resolve(process.env.SURFACE_HTML)]);
  const { ORTHANC_URL: base, DCE_STUDY_ID: study } = process.env;
  const page = base && study ? await live(base.replace(/\/$/, ""), study) : null;
  if (page) {
    files.push(["live", path.join(folder, "live.html")]);
    await writeFile(files.at(-1)[1], page);
  }
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: [...CHROMIUM_ARGS.filter((arg) => arg !== "--disable-gpu"), "--use-angle=swiftshader", "--enable-unsafe-swiftshader"] });
});
after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true });
});

/** Opens the file, which may ask for nothing; gives the page, and its faults when it is closed. */
async function opened(file, use, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
  page.on("console", (message) => { if (message.type() === "error") faults.push(message.text()); });
  page.on("request", (request) => { if (request.url() !== pathToFileURL(file).href && !/^(data|blob):/.test(request.url())) faults.push(`request: ${request.url()}`); });
  await page.goto(pathToFileURL(file).href);
  await use(page);
  await context.close();
  assert.deepEqual(faults, []);
}

/** How many pixels of the 3D view are of each kind. */
async function colours(page) {
  // Two frames: one that draws, one that shows.
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  const picture = (await page.locator("canvas").screenshot()).toString("base64");
  const reader = await page.context().newPage();
  const counts = await reader.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const { width, height } = image;
    const pen = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    pen.drawImage(image, 0, 0);
    const { data } = pen.getImageData(0, 0, width, height);
    const counts = { all: width * height, red: 0, blue: 0, letters: 0, ground: 0 };
    const shades = new Set();
    for (let i = 0; i < data.length; i += 4) {
      const [r, g, b] = data.subarray(i, i + 3);
      shades.add((r << 16) | (g << 8) | b);
      if (r > 60 && r > 1.6 * g && r > 1.6 * b) counts.red += 1;
      if (b > 60 && b > 1.3 * g && b > 2 * r) counts.blue += 1;
      if (r > 200 && g > 170 && b < 160) counts.letters += 1;
      if (r === 0x10 && g === 0x15 && b === 0x1a) counts.ground += 1;
    }
    return { ...counts, shades: shades.size };
  }, picture);
  await reader.close();
  return { ...counts, picture };
}

const each = (name, use, options) => test(name, async (t) => {
  if (files.length === 0) { t.skip("neither SURFACE_HTML nor a segmentation in DCE_STUDY_ID"); return; }
  for (const [kind, file] of files) await opened(file, (page) => use(page, kind, t), options);
});

each("the surface is drawn, with letters around it", async (page, kind) => {
  const seen = await colours(page);
  assert.ok(seen.red > 0.01 * seen.all || seen.blue > 0.01 * seen.all, JSON.stringify({ ...seen, picture: "" }));
  assert.ok(seen.ground > 0.2 * seen.all && seen.shades > 50 && seen.letters > 50, JSON.stringify({ ...seen, picture: "" }));
  if (kind === "file") assert.ok(seen.red > 0 && seen.blue > 0, "both segments");
  assert.match(await page.textContent("header"), /AI-generated, for research use only/);
  const problem = page.locator("#problem");
  assert.equal(await problem.isVisible(), false);
  assert.match(await page.textContent(".volume"), /^[\d.,]+ mL$/);
  assert.deepEqual(await serious(page), []);
  await shot(page, `surface-${kind}`);
});

each("it turns by mouse, by keys and by the buttons", async (page) => {
  let last = await colours(page);
  const changes = async (what, act) => {
    await act();
    const now = await colours(page);
    assert.notEqual(now.picture, last.picture, what);
    last = now;
  };
  const box = await page.locator("canvas").boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await changes("drag", async () => {
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + 150, y + 40, { steps: 5 });
    await page.mouse.up();
  });
  await changes("wheel", async () => { await page.mouse.wheel(0, -300); });
  for (const side of ["A", "P", "R", "L", "H", "F"]) await changes(side, () => page.locator("#sides button", { hasText: side }).click());
  await changes("key", async () => { await page.locator("canvas").focus(); await page.keyboard.press("ArrowLeft"); });
});

each("a segment is hidden and seen through", async (page, kind) => {
  const whole = await colours(page);
  const opacity = page.locator("#segments input[type=range]").first();
  await opacity.fill("30");
  const through = await colours(page);
  assert.notEqual(through.picture, whole.picture);
  await page.locator("#segments input[type=checkbox]").first().uncheck();
  const without = await colours(page);
  assert.ok(without.red < 0.02 * whole.red, `${without.red} of ${whole.red} red pixels are left`);
  if (kind === "file") assert.ok(without.blue > 0.5 * whole.blue, "the other one stays");
});

each("in Korean, on a telephone", async (page, kind) => {
  assert.match(await page.textContent("h1"), /3D 표면/);
  assert.equal(await page.evaluate(() => document.documentElement.lang), "ko");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "nothing sticks out");
  const seen = await colours(page);
  assert.ok(seen.shades > 50);
  await shot(page, `surface-${kind}-ko-phone`);
}, { locale: "ko-KR", viewport: { width: 390, height: 800 } });

test("without WebGL the page says so", async (t) => {
  if (files.length === 0) { t.skip("neither SURFACE_HTML nor a segmentation in DCE_STUDY_ID"); return; }
  const plain = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: [...CHROMIUM_ARGS, "--disable-3d-apis"] });
  const page = await plain.newPage({ locale: "en-GB" });
  await page.goto(pathToFileURL(files[0][1]).href);
  assert.match(await page.textContent("#problem"), /cannot draw in 3D/);
  await plain.close();
});
