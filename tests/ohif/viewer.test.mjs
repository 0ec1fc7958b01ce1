// The plugin's SEG and SR in OHIF: where the overlay lies, and what is read there. See README.md for the variables.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { serveViewer } from "./serve.mjs";
import { colorsAt, openResult, openStudy, openViewer, settled, shot, showSeries, showSlice } from "./viewer.mjs";

const { ORTHANC_URL, STUDY_ID, OHIF_DIST, PYTHON = "python3", MODEL = "none", TUMOUR_MM, ORTHANC_VERSION = "" } = process.env;
const OVERLAY_CHANGE = 20; // of 255, in any colour: less is no overlay
const SHIFT = 3; // pixels in which the picture is looked for
const OUTLINE_PIXELS = 2; // an outline runs along pixels' edges or through their centres, and round several regions there may be one each

let server, viewer, page, study, results;

const json = async (where, options) => {
  const answer = await fetch(ORTHANC_URL + where, options);
  assert.ok(answer.ok, `${where}: HTTP ${answer.status} ${answer.ok ? "" : await answer.text()}`);
  return answer.json();
};

/** Orthanc's ids of the SEG and the SR: of a run of MODEL, or those that are in the study. */
async function resultInstances() {
  if (MODEL !== "none") {
    const run = await json(`/studies/${STUDY_ID}/ai`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ Model: MODEL, Synchronous: true }) });
    assert.equal(run.State, "Succeeded", run.Error);
    return run.Stored.map(({ ID }) => ID);
  }
  const series = await json(`/studies/${STUDY_ID}/series`);
  return series.filter(({ MainDicomTags }) => ["SEG", "SR"].includes(MainDicomTags.Modality)).flatMap(({ Instances }) => Instances);
}

/** The results as another reader (pydicom) reads them: `{SEG, SR}`. */
async function readResults() {
  const folder = await mkdtemp(path.join(os.tmpdir(), "orthanc-ai-results-"));
  try {
    const files = await Promise.all((await resultInstances()).map(async (id) => {
      const file = path.join(folder, `${id}.dcm`);
      await writeFile(file, Buffer.from(await (await fetch(`${ORTHANC_URL}/instances/${id}/file`)).arrayBuffer()));
      return file;
    }));
    const { stdout } = await promisify(execFile)(PYTHON, [new URL("read_results.py", import.meta.url).pathname, ...files], { maxBuffer: 1 << 28 });
    return Object.fromEntries(JSON.parse(stdout).map((one) => [one.modality, one]));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The slice of the SEG with most pixels inside, all segments taken together, and its plane. */
function largestSlice({ frames, rows, columns }) {
  const planes = frames.reduce((all, frame) => all.set(frame.position.join(), [...all.get(frame.position.join()) ?? [], frame]), new Map());
  const slices = [...planes.values()].map((group) => ({ ...group[0], rows, columns, inside: new Set(group.flatMap(({ inside }) => inside)) }));
  return slices.reduce((largest, one) => (one.inside.size > largest.inside.size ? one : largest));
}

/** Bounding box `[top, left, bottom, right]` of pixels given as row * columns + column. */
function boxOf(pixels, columns) {
  const rowsOf = pixels.map((at) => Math.floor(at / columns)), columnsOf = pixels.map((at) => at % columns);
  return [Math.min(...rowsOf), Math.min(...columnsOf), Math.max(...rowsOf), Math.max(...columnsOf)];
}

/** `[row, column]` of a point (patient coordinates) on a plane: whole numbers are the pixels' centres. */
function pixelOf(point, { position, orientation, spacing }) {
  const from = point.map((value, axis) => value - position[axis]);
  const along = (direction) => from.reduce((sum, value, axis) => sum + value * direction[axis], 0);
  return [along(orientation.slice(3)) / spacing[0], along(orientation.slice(0, 3)) / spacing[1]];
}

/** Which of the slice's pixels the overlay has changed. */
const changed = (plain, overlaid) => overlaid.flatMap((color, at) => (color && plain[at] && color.some((value, index) => Math.abs(value - plain[at][index]) > OVERLAY_CHANGE) ? [at] : []));

/** Pearson's correlation of two equally long lists. */
function correlation(a, b) {
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  const covariance = (x, meanX, y, meanY) => x.reduce((sum, value, index) => sum + (value - meanX) * (y[index] - meanY), 0);
  return covariance(a, meanA, b, meanB) / Math.sqrt(covariance(a, meanA, a, meanA) * covariance(b, meanB, b, meanB));
}

/** The source slice's grey values as Orthanc itself draws it, read by the browser. */
async function orthancPicture(sopInstanceUid) {
  const [{ ID }] = await json("/tools/lookup", { method: "POST", body: sopInstanceUid });
  const png = Buffer.from(await (await fetch(`${ORTHANC_URL}/instances/${ID}/preview`)).arrayBuffer()).toString("base64");
  return page.evaluate(async (data) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(data), (char) => char.charCodeAt(0))]));
    const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return [...context.getImageData(0, 0, bitmap.width, bitmap.height).data].filter((_, at) => at % 4 === 0);
  }, png);
}

describe(`results in OHIF, Orthanc ${ORTHANC_VERSION}`, () => {
  let slice, plain, overlaid;

  before(async () => {
    results = await readResults();
    assert.ok(results.SEG?.frames.length, "no SEG: the model found nothing");
    slice = largestSlice(results.SEG);
    study = await json(`/studies/${STUDY_ID}`);
    server = await serveViewer(OHIF_DIST, ORTHANC_URL);
    viewer = await openViewer(server.base);
    page = viewer.page;
  });
  afterEach(async () => {
    await shot(page, `ohif-last-${ORTHANC_VERSION}`); // what a test that failed was looking at
  });
  after(async () => {
    await viewer?.stop();
    server?.stop();
  });

  test("the results are a SEG with something in it, and an SR with measurements", () => {
    assert.ok(results.SR?.numbers.length, "no SR, or nothing measured in it");
    assert.ok(slice.inside.size > 20, `${slice.inside.size} pixels on the largest slice`);
  });

  test("the study opens, and OHIF draws the source slice where its geometry says", async () => {
    await openStudy(page, server.base, study.MainDicomTags.StudyInstanceUID, study.Series.length);
    await showSeries(page, results.SEG.series);
    await showSlice(page, slice.source);
    plain = await colorsAt(page, slice);
    await shot(page, `ohif-plain-${ORTHANC_VERSION}`);
    assert.ok(plain.filter(Boolean).length > 0.9 * plain.length, "the slice is not wholly on the screen");
    assert.ok(plain.every((color) => !color || Math.max(...color) - Math.min(...color) < 12), "colours before any overlay");
    const picture = await orthancPicture(slice.source);
    const shifted = (down, right) => {
      const pairs = plain.flatMap((color, at) => {
        const [row, column] = [Math.floor(at / slice.columns) + down, at % slice.columns + right];
        return color && row >= 0 && column >= 0 && row < slice.rows && column < slice.columns ? [[color[0], picture[row * slice.columns + column]]] : [];
      });
      return correlation(pairs.map(([ours]) => ours), pairs.map(([, theirs]) => theirs));
    };
    const offsets = Array.from({ length: 2 * SHIFT + 1 }, (_, at) => at - SHIFT);
    const tried = offsets.flatMap((down) => offsets.map((right) => ({ down, right, fit: shifted(down, right) })));
    const best = tried.reduce((a, b) => (b.fit > a.fit ? b : a));
    assert.deepEqual([best.down, best.right], [0, 0], `the picture fits best when shifted by ${best.down} rows and ${best.right} columns (${best.fit})`);
    assert.ok(best.fit > 0.9, `correlation with Orthanc's picture ${best.fit}`);
  });

  test("the SEG loads with its segments, and its overlay covers the mask's pixels and no others", async () => {
    await openResult(page, "SEG");
    await page.waitForFunction(() => window.services.segmentationService.getSegmentations().length > 0);
    const labels = await page.evaluate(() => window.services.segmentationService.getSegmentations().flatMap(({ segments }) => Object.values(segments).map(({ label }) => label)));
    assert.deepEqual(labels, results.SEG.segments.map(({ label }) => label));
    await showSlice(page, slice.source);
    overlaid = await colorsAt(page, slice);
    const covered = changed(plain, overlaid);
    const common = covered.filter((at) => slice.inside.has(at)).length;
    const dice = 2 * common / (covered.length + slice.inside.size);
    const [expected, found] = [boxOf([...slice.inside], slice.columns), boxOf(covered, slice.columns)];
    console.log(`overlay: ${covered.length} pixels, mask: ${slice.inside.size}, Dice ${dice.toFixed(3)}; box ${found}, mask's ${expected} (top, left, bottom, right)`);
    await shot(page, `ohif-seg-${ORTHANC_VERSION}`);
    assert.ok(expected.every((value, side) => Math.abs(value - found[side]) <= 1), `the overlay spans ${found}, the mask ${expected}`);
    assert.ok(dice > 0.9, `Dice of overlay and mask ${dice}`);
  });

  test("the overlay lies where the tumour was put", (context) => {
    if (!TUMOUR_MM) return context.skip("the study's tumour is not known: TUMOUR_MM says where it is");
    const [row, column] = pixelOf(TUMOUR_MM.split(",").map(Number), slice);
    const [top, left, bottom, right] = boxOf(changed(plain, overlaid), slice.columns);
    const middle = [(top + bottom) / 2, (left + right) / 2];
    const reach = Math.max(bottom - top, right - left) / 2;
    console.log(`tumour at row ${row.toFixed(1)}, column ${column.toFixed(1)}; overlay ${top} to ${bottom}, ${left} to ${right}`);
    assert.ok(Math.hypot(row - middle[0], column - middle[1]) <= Math.max(reach / 2, 2), `the tumour is at ${row}, ${column}, the overlay's middle at ${middle}`);
  });

  test("the SR loads: its outline lies on the mask, its measurements can be read", async () => {
    await openResult(page, "SR");
    await page.waitForFunction(() => window.cornerstoneTools?.annotation.state.getAllAnnotations().some(({ metadata }) => metadata.toolName === "DICOMSRDisplay"));
    await settled(page);
    // While slices are still arriving, OHIF may draw an annotation only when something moves over the picture.
    for (let step = 0; step < 60 && (await page.locator("svg.svg-layer text").count()) === 0; step += 1) {
      await page.mouse.move(700 + (step % 2) * 20, 450);
      await page.waitForTimeout(500);
    }
    await shot(page, `ohif-sr-${ORTHANC_VERSION}`);
    const annotations = await page.evaluate(() => window.cornerstoneTools.annotation.state.getAllAnnotations().filter(({ metadata }) => metadata.toolName === "DICOMSRDisplay")
      .map(({ metadata, data }) => ({ image: metadata.referencedImageId, labels: data.labels.map(({ value }) => value), outlines: data.renderableData.POLYLINE ?? [] })));
    const read = annotations.flatMap(({ labels }) => labels);
    const shown = (await page.locator("svg.svg-layer text").allTextContents()).join("\n");
    for (const { name, value, unit } of results.SR.numbers) {
      const text = `${value.toFixed(2)} ${unit}`;
      assert.ok(read.includes(text), `${name}: ${text} is not among what OHIF has read: ${read.join(", ")}`);
      // OHIF writes five lines at most beside an outline: what a reader looks for must be among them.
      if (["Volume", "Long axis"].includes(name)) assert.ok(shown.includes(text), `${name}: ${text} is not among what OHIF writes beside the outlines:\n${shown}`);
    }
    const outlines = annotations.flatMap(({ image, outlines: lines }) => lines.map((points) => ({ image, points })));
    assert.ok(outlines.length > 0, "no outline is drawn");
    for (const { image, points } of outlines) {
      const frames = results.SEG.frames.filter(({ source }) => image.includes(`/${source}/`));
      assert.ok(frames.length > 0, "the outline lies on a slice without mask");
      const [{ position, orientation, spacing }] = frames;
      const mask = boxOf(frames.flatMap(({ inside }) => inside), results.SEG.columns);
      const pixels = points.map((point) => pixelOf(point, { position, orientation, spacing }));
      const outline = [Math.min(...pixels.map(([row]) => row)), Math.min(...pixels.map(([, column]) => column)), Math.max(...pixels.map(([row]) => row)), Math.max(...pixels.map(([, column]) => column))];
      console.log(`outline ${outline.map((value) => value.toFixed(1))}, mask ${mask} (top, left, bottom, right)`);
      assert.ok(outline.every((value, side) => Math.abs(value - mask[side]) <= OUTLINE_PIXELS), `the outline spans ${outline}, the mask ${mask}`);
    }
  });

  test("no page error, no error boundary, no HTTP error, no request to elsewhere", async () => {
    assert.equal(await page.getByText("Something went wrong").count(), 0);
    assert.deepEqual(viewer.faults, []);
  });
});
