// docs/ohif/orthanc-ai.js in OHIF: a study with results opens with them, without a click. Runs after viewer.test.mjs (node sorts files, hence a call of its own), on the results that are there.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { serveViewer } from "./serve.mjs";
import { openViewer, settled, shot } from "./viewer.mjs";

const { ORTHANC_URL, STUDY_ID, OHIF_DIST, ORTHANC_VERSION = "" } = process.env;

const json = async (where) => (await fetch(ORTHANC_URL + where)).json();

/** What each viewport shows: its modality, what kind of viewport it is, and the segmentations in it. */
const viewports = (page) => page.evaluate(() => {
  const { displaySetService, viewportGridService, segmentationService } = window.services;
  return [...viewportGridService.getState().viewports.values()].map(({ viewportId, displaySetInstanceUIDs }) => ({
    series: displaySetInstanceUIDs.map((uid) => displaySetService.getDisplaySetByUID(uid).SeriesInstanceUID),
    modalities: displaySetInstanceUIDs.map((uid) => displaySetService.getDisplaySetByUID(uid).Modality),
    segmentations: segmentationService.getSegmentationRepresentations(viewportId).map(({ segmentationId }) => displaySetService.getDisplaySetByUID(segmentationId).SeriesInstanceUID),
  }));
});

describe(`results open by themselves in OHIF, Orthanc ${ORTHANC_VERSION}`, () => {
  let server, viewer, page, study, series;

  before(async () => {
    study = await json(`/studies/${STUDY_ID}`);
    series = await json(`/studies/${STUDY_ID}/series`);
    server = await serveViewer(OHIF_DIST, ORTHANC_URL, ["app-config.js", "orthanc-ai.js"]);
    viewer = await openViewer(server.base);
    page = viewer.page;
  });
  after(async () => {
    await viewer?.stop();
    server?.stop();
  });

  test("the segmentation lies over its series and the report stands beside it, and nothing was pressed", async () => {
    const uid = (modality) => series.filter(({ MainDicomTags }) => MainDicomTags.Modality === modality).map(({ MainDicomTags }) => MainDicomTags.SeriesInstanceUID);
    assert.ok(uid("SEG").length > 0 && uid("SR").length > 0, "the study has no results");
    await page.goto(`${server.base}/viewer?StudyInstanceUIDs=${study.MainDicomTags.StudyInstanceUID}`, { waitUntil: "commit" });
    await page.waitForFunction(() => window.services?.segmentationService.getSegmentations().length > 0);
    await page.waitForFunction(() => window.cornerstoneTools?.annotation.state.getAllAnnotations().some(({ metadata }) => metadata.toolName === "DICOMSRDisplay"));
    await page.waitForFunction(() => [...window.services.viewportGridService.getState().viewports.keys()].some((id) => window.services.segmentationService.getSegmentationRepresentations(id).length > 0));
    await settled(page);
    await shot(page, `ohif-by-itself-${ORTHANC_VERSION}`);
    const [first, second, ...others] = await viewports(page);
    assert.deepEqual(others, []);
    assert.deepEqual(first.modalities, ["MR"], JSON.stringify(first));
    assert.ok(first.segmentations.some((one) => uid("SEG").includes(one)), JSON.stringify(first));
    assert.deepEqual(second.modalities, ["SR"], JSON.stringify(second));
    assert.ok(uid("SR").includes(second.series[0]), JSON.stringify(second));
  });

  test("what a reader opens afterwards stays", async () => {
    const image = await page.evaluate(() => window.services.displaySetService.getActiveDisplaySets().find(({ Modality }) => Modality === "MR").displaySetInstanceUID);
    await page.locator(`[id="thumbnail-${image}"]`).dblclick();
    await settled(page);
    await page.waitForTimeout(2000);
    const [first] = await viewports(page);
    assert.deepEqual(first.modalities, ["MR"], JSON.stringify(first));
  });

  test("no page error, no error boundary, no HTTP error, no request to elsewhere", async () => {
    assert.equal(await page.getByText("Something went wrong").count(), 0);
    assert.deepEqual(viewer.faults, []);
  });
});
