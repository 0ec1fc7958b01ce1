// The buttons in Orthanc Explorer: against the mock, or against a live plugin (ORTHANC_URL, STUDY_ID).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as canned from "./canned.mjs";
import { intercept, shot, start } from "./harness.mjs";

const RESULT = /[LR]-(CC|MLO) .+ (\d+|>99|<1) %(, [LR]-(CC|MLO) .+ (\d+|>99|<1) %){3}/;
const LABEL = "AI analysis";
let bench, page, series, instance;

const button = (name) => page.locator(`#ai-analysis-${name}`);
const status = (name) => page.locator(`#ai-status-${name}`);
const json = async (path) => (await fetch(bench.base + path)).json();

/** Opens a resource's page in Explorer; by way of about:blank, since a changed hash alone loads nothing. */
async function visit(name, id) {
  await page.goto("about:blank");
  await page.goto(`${bench.base}/app/explorer.html#${name}?uuid=${id}`);
  await button(name).waitFor();
}

const idle = (name) => page.waitForFunction(([id, label]) => document.querySelector(id)?.textContent.trim() === label, [`#ai-analysis-${name}`, LABEL]);

async function analyse(name) {
  await idle(name);
  await button(name).click();
  await page.locator(`#ai-analysis-${name}.ui-disabled`).waitFor();
  await idle(name);
  await status(name).locator("a.ai-result").first().waitFor();
}

describe("Orthanc Explorer", () => {
  before(async () => {
    bench = await start();
    series = (await json(`/studies/${bench.study}/series?expand`)).find((one) => one.MainDicomTags.Modality === "MG");
    [instance] = series.Instances;
    page = await bench.open();
  });
  after(async () => {
    await bench?.stop();
  });

  test("a study is analysed: stages and percent on the button, then a summary and a link to the cards", async () => {
    await visit("study", bench.study);
    await idle("study");
    await page.evaluate((id) => {
      const target = document.querySelector(id);
      window.texts = [];
      new MutationObserver(() => window.texts.push(target.textContent.trim())).observe(target, { childList: true, characterData: true, subtree: true });
    }, "#ai-analysis-study");
    const post = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/ai"));
    await button("study").click();
    assert.match((await post).headers()["content-type"], /^application\/json/);
    await shot(page, "explorer-study-running");
    await idle("study");
    const seen = (await page.evaluate(() => window.texts)).filter(Boolean);
    assert.equal(seen[0], `${LABEL}: starting…`);
    assert.ok(seen.some((text) => /^AI analysis: [a-z ]+ \d+ %$/.test(text)), `no stage with percent among ${JSON.stringify(seen)}`);
    await status("study").locator("a.ai-result").waitFor();
    assert.match(await status("study").innerText(), RESULT);
    await shot(page, "explorer-study-done");
    await status("study").locator("a.ai-result").click();
    await page.locator(".card").nth(3).waitFor();
    assert.match(page.url(), /\/ai\/app\/index\.html(\?[^#]*)?#\/runs\/[^/]+$/);
    assert.equal(await page.locator(".card").count(), 4);
  });

  for (const name of ["series", "instance"]) {
    test(`on the ${name} page the button takes what lies under it, or the study when a model needs more images`, async () => {
      const id = name === "series" ? series.ID : instance;
      const own = `/${name === "series" ? "series" : "instances"}/${id}/ai`;
      const { Models } = await (await fetch(bench.base + own)).json();
      const enough = Models.some(({ Applies, State }) => Applies && State === "Ready");
      assert.equal(enough && name === "instance", false, "one image is not a whole exam");
      await visit(name, id);
      const post = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/ai"));
      await analyse(name);
      assert.ok((await post).url().endsWith(enough ? own : `/studies/${bench.study}/ai`), (await post).url());
      assert.match(await status(name).innerText(), RESULT);
      await shot(page, `explorer-${name}-done`);
    });
  }

  test("going to a series and back leaves one button a page, and the run is taken up again", async () => {
    await visit("study", bench.study);
    await idle("study");
    await button("study").click();
    await page.locator("#ai-analysis-study.ui-disabled").waitFor();
    await page.locator("#list-series li a").first().click();
    await button("series").waitFor();
    await page.goBack();
    await button("study").waitFor();
    await status("study").locator("a.ai-result").waitFor();
    for (const name of ["study", "series"]) assert.equal(await page.locator(`[id="ai-analysis-${name}"]`).count(), 1, name);
  });

  test("a page shows what its last run found without being asked", async () => {
    await visit("study", bench.study);
    await status("study").locator("a.ai-result").waitFor();
    assert.match(await status("study").innerText(), RESULT);
  });

  test("a segmentation's summary says each segment's volume, or that nothing was found", async () => {
    for (const [segments, words] of [[[canned.segment()], "Tumour 3.24 ml"], [[canned.notFound()], "Tumour no finding"]]) {
      const own = await bench.open();
      await intercept(own, bench.base, /^\/studies\/[^/]+\/ai$/, () => ({ json: canned.applicability({ Runs: [canned.segmentationRun({ segments })] }) }));
      await own.goto(`${bench.base}/app/explorer.html#study?uuid=${bench.study}`);
      await own.locator("#ai-status-study", { hasText: words }).waitFor();
      await own.context().close();
    }
  });

  test("polling stops when the page is left", async () => {
    const own = await bench.open();
    let polls = 0;
    await intercept(own, bench.base, /^\/studies\/[^/]+\/ai$/, () => ({ json: canned.applicability({ Runs: [canned.run({ State: "Running", Progress: 40, Stage: "infer" })] }) }));
    await intercept(own, bench.base, /^\/ai\/runs\/canned$/, () => { polls += 1; return { json: canned.run({ State: "Running", Progress: 40, Stage: "infer" }) }; });
    await own.goto(`${bench.base}/app/explorer.html#study?uuid=${bench.study}`);
    await own.locator("#ai-analysis-study", { hasText: "analysing images 40 %" }).waitFor();
    await own.waitForTimeout(1600);
    assert.ok(polls >= 2, `${polls} polls while shown`);
    await own.locator("#study a[href='#lookup']").first().click();
    await own.locator("#lookup-submit").waitFor();
    const before = polls;
    await own.waitForTimeout(1600);
    assert.ok(polls <= before + 1, `${polls - before} polls after leaving`);
    await own.context().close();
  });

  for (const [what, answers, expected] of [
    ["the queue is full", { post: canned.refusal(503, "The queue is full: 16 runs wait", { "Retry-After": "7" }) }, /The queue is full: 16 runs wait Try again in 7 s\. \(HTTP 503\)/],
    ["the input does not fit", { post: canned.refusal(422, "4 images are needed, found 3") }, /4 images are needed, found 3 \(HTTP 422\)/],
    ["the resource is gone", { get: canned.refusal(404, "Unknown resource") }, /Unknown resource \(HTTP 404\)/],
    ["no model applies", { get: { json: canned.applicability({ Models: [{ Model: "m", Title: "Some model", Applies: false, Reason: "Modality CT, expected MG", Images: 0, State: "Ready" }] }) } }, /Some model: Modality CT, expected MG/],
    ["the only model that applies has no weights", { get: { json: canned.applicability({ Models: [{ Model: "m", Title: "Some model", Applies: true, Reason: "", Images: 4, State: "NoWeights" }] }) } }, /Some model: its weights are not installed/],
    ["the server says something hostile", { post: canned.refusal(400, canned.HOSTILE) }, /<img src=x onerror=/],
  ]) {
    test(`says why when ${what}`, async () => {
      const own = await bench.open();
      await intercept(own, bench.base, /^\/studies\/[^/]+\/ai$/, (request) => (request.method() === "POST" ? answers.post : answers.get ?? { json: canned.applicability() }));
      await own.goto(`${bench.base}/app/explorer.html#study?uuid=${bench.study}`);
      await own.locator("#ai-analysis-study").click();
      await own.locator("#ai-status-study", { hasText: expected }).waitFor();
      assert.equal((await own.locator("#ai-analysis-study").textContent()).trim(), LABEL);
      assert.equal(await own.locator("#ai-analysis-study.ui-disabled").count(), 0);
      assert.equal(await own.evaluate(() => window.hacked), undefined);
      if (what === "no model applies") await shot(own, "explorer-study-refused");
      await own.context().close();
    });
  }

  test("several models that apply each get a run, and one refusal does not hide the other", async () => {
    const own = await bench.open();
    const both = [canned.applicability().Models[0], { ...canned.applicability().Models[0], Model: "other", Title: "Other model" }];
    const bodies = [];
    await intercept(own, bench.base, /^\/studies\/[^/]+\/ai$/, (request) => {
      if (request.method() === "GET") return { json: canned.applicability({ Models: both }) };
      bodies.push(request.postDataJSON());
      return request.postDataJSON().Model === "other" ? canned.refusal(422, "RGB") : { json: { ID: "canned", Path: "/ai/runs/canned", Model: "m" } };
    });
    await intercept(own, bench.base, /^\/ai\/runs\/canned$/, () => ({ json: canned.run() }));
    await own.goto(`${bench.base}/app/explorer.html#study?uuid=${bench.study}`);
    await own.locator("#ai-analysis-study").click();
    await own.locator("#ai-status-study a.ai-result").waitFor();
    assert.match(await own.locator("#ai-status-study").innerText(), /Other model: RGB \(HTTP 422\)/);
    assert.deepEqual(bodies.map((body) => body.Model).sort(), ["mammography-4view-demo", "other"]);
    await own.context().close();
  });

  test("Explorer ran without page errors and without requests to elsewhere", () => {
    assert.deepEqual(bench.faults, []);
  });
});
