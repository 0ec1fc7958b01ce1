// OHIF in headless Chromium: opening a study, displaying a series and a slice, reading what is on the screen.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";

// WebGL by SwiftShader, in software; and no process of the browser's own may reach out.
const CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"];
const PATIENCE_MS = 180000;

/** A viewer at `base` whose faults (page errors, error boundaries, HTTP errors, requests to elsewhere) are collected in `faults`. */
export async function openViewer(base) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: CHROMIUM_ARGS });
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, serviceWorkers: "block" });
  await context.addInitScript(() => localStorage.setItem("shownTours", JSON.stringify(["basicViewerTour"]))); // else its guided tour covers the page
  const faults = [];
  await context.route((url) => url.origin !== base && !["blob:", "data:"].includes(url.protocol), (route) => {
    faults.push(`external request: ${route.request().url()}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
  page.on("console", (message) => { if (/Error Boundary/i.test(message.text())) faults.push(message.text().slice(0, 300)); });
  page.on("response", (response) => { if (response.status() >= 400) faults.push(`HTTP ${response.status()}: ${response.url()}`); });
  return { page, faults, stop: () => browser.close() };
}

/** Opens a study and waits until OHIF knows all of its `count` series and has drawn one. */
export async function openStudy(page, base, studyUid, count) {
  await page.goto(`${base}/viewer?StudyInstanceUIDs=${studyUid}`, { waitUntil: "commit" });
  await page.waitForFunction((wanted) => window.services?.displaySetService?.getActiveDisplaySets().length >= wanted, count);
  await drawn(page, studyUid);
}

/** Shows the series with this UID, as a reader does: by a double click on its thumbnail. */
export async function showSeries(page, seriesUid) {
  const displaySet = await page.evaluate((uid) => window.services.displaySetService.getActiveDisplaySets().find((one) => one.SeriesInstanceUID === uid)?.displaySetInstanceUID, seriesUid);
  if (!displaySet) throw new Error("OHIF does not know the series");
  await page.locator(`[id="thumbnail-${displaySet}"]`).dblclick();
  await drawn(page, seriesUid);
}

/**
 * Goes to the slice of this SOP instance and waits until it is drawn. OHIF makes its viewports anew when it opens something, and goes
 * to slices of its own: hence only a viewport that is at rest is told, and told again where it did not stay.
 */
export async function showSlice(page, sopInstanceUid) {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    await drawn(page, sopInstanceUid, "getImageIds");
    await page.evaluate(async (uid) => {
      const { viewportGridService, cornerstoneViewportService } = window.services;
      const viewport = cornerstoneViewportService.getCornerstoneViewport(viewportGridService.getActiveViewportId());
      await viewport.setImageIdIndex(viewport.getImageIds().findIndex((id) => id.includes(`/${uid}/`)));
    }, sopInstanceUid);
    await settled(page);
    if (await shows(page, sopInstanceUid)) return;
  }
  throw new Error("OHIF does not stay on the slice");
}

/** Whether the image that the active viewport has drawn (or any of its stack, with `getImageIds`) has this UID in its address. */
const shows = (page, uid, what = "getCurrentImageId") => page.evaluate(([wanted, getter]) => {
  const { viewportGridService, cornerstoneViewportService } = window.services;
  const viewport = cornerstoneViewportService.getCornerstoneViewport(viewportGridService.getActiveViewportId());
  const image = viewport?.getCornerstoneImage?.();
  return Boolean(image) && image.imageId === viewport.getCurrentImageId() && [viewport[getter]()].flat().some((id) => id.includes(`/${wanted}/`));
}, [uid, what]);

/** Waits until the active viewport shows this UID, as `shows` tells, and has come to rest. */
async function drawn(page, uid, what) {
  const deadline = Date.now() + PATIENCE_MS;
  do {
    while (!await shows(page, uid, what)) {
      if (Date.now() > deadline) {
        const state = await page.evaluate(() => {
          const { viewportGridService, cornerstoneViewportService } = window.services;
          const viewport = cornerstoneViewportService.getCornerstoneViewport(viewportGridService.getActiveViewportId());
          return { type: viewport?.type, current: viewport?.getCurrentImageId?.(), drawn: viewport?.getCornerstoneImage?.()?.imageId, images: viewport?.getImageIds?.().length };
        });
        throw new Error(`OHIF does not show ${uid}: ${JSON.stringify(state)}`);
      }
      await page.waitForTimeout(250);
    }
    await settled(page);
  } while (!await shows(page, uid, what));
}

/** Waits until the picture on the screen has not changed for a second. */
export async function settled(page) {
  let last = null;
  for (let same = 0; same < 4;) {
    await page.waitForTimeout(250);
    const now = (await screen(page)).join();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}

/** Sums over the active viewport's canvas: enough to see whether it changes. */
const screen = (page) => page.evaluate(() => {
  const canvas = document.querySelector("canvas.cornerstone-canvas");
  if (!canvas) return [];
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const sums = [0, 0, 0];
  for (let at = 0; at < data.length; at += 4) for (let color = 0; color < 3; color += 1) sums[color] += data[at + color] * (1 + (at % 1021));
  return sums;
});

/**
 * The colours on the screen at the centres of the pixels of a plane `{position, orientation, spacing, rows, columns}` (patient
 * coordinates): `[red, green, blue]` a pixel, null where it lies outside of the viewport.
 */
export const colorsAt = (page, plane) => page.evaluate(({ position, orientation, spacing, rows, columns }) => {
  const { viewportGridService, cornerstoneViewportService } = window.services;
  const viewport = cornerstoneViewportService.getCornerstoneViewport(viewportGridService.getActiveViewportId());
  const canvas = viewport.getCanvas();
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const ratio = canvas.width / canvas.clientWidth;
  return Array.from({ length: rows * columns }, (_, at) => {
    const [down, right] = [Math.floor(at / columns) * spacing[0], (at % columns) * spacing[1]];
    const world = position.map((value, axis) => value + right * orientation[axis] + down * orientation[axis + 3]);
    const [x, y] = viewport.worldToCanvas(world).map((value) => Math.floor(value * ratio));
    if (x < 0 || y < 0 || x >= canvas.width || y >= canvas.height) return null;
    return [...data.subarray(4 * (y * canvas.width + x), 4 * (y * canvas.width + x) + 3)];
  });
}, plane);

/** Opens the study's SEG or SR as a reader does: by a double click on its entry in the study browser. */
export const openResult = (page, modality) => page.locator('[data-cy="study-browser-thumbnail-no-image"]').filter({ hasText: new RegExp(`^\\s*${modality}`) }).first().dblclick();

/** Saves a picture of the page under SHOTS, where that is set. */
export async function shot(page, name) {
  if (!process.env.SHOTS) return;
  await mkdir(process.env.SHOTS, { recursive: true });
  await page.screenshot({ path: path.join(process.env.SHOTS, `${name}.png`) });
}
