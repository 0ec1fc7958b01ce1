// What a run's page offers as files: that the links are there, in the reader's language, and that what they lead to opens. Against the mock or a
// live plugin.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as canned from "./canned.mjs";
import { serious, shot, start } from "./harness.mjs";

const MODELS = [process.env.DCE_MODEL ?? "breast-dce-swinunetr-demo", "mammography-4view-demo"];
let bench, run;

const json = async (path, options) => (await fetch(bench.base + path, options)).json();

describe("a run as files", () => {
  before(async () => {
    bench = await start();
    const [study, Model] = bench.dceStudy ? [bench.dceStudy, MODELS[0]] : [bench.study, MODELS[1]];
    const { ID } = await json(`/studies/${study}/ai`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ Model }) });
    assert.ok(ID, `no run of ${Model} was started`);
    do {
      await new Promise((resolve) => { setTimeout(resolve, 300); });
      run = await json(`/ai/runs/${ID}`);
    } while (["Queued", "Running"].includes(run.State));
    assert.equal(run.State, "Succeeded", run.Error);
  });
  after(async () => {
    await bench?.stop();
  });

  test("every link leads to a file of its kind, in the page's language", async () => {
    const masks = run.Stored.some(({ Kind }) => Kind === "SEG") ? [["Images with masks (ZIP)", /^application\/zip/, "PK"]] : [];
    const files = [["Report (PDF)", /^application\/pdf/, "%PDF-"], ["Report (HTML)", /^text\/html/, "<!DO"], ["Numbers (CSV)", /^text\/csv/, "\ufeffM"], ...masks];
    await bench.on(`#/runs/${run.ID}`, async (page) => {
      for (const [name, type, begin] of files) {
        const href = await page.getByRole("link", { name, exact: true }).getAttribute("href");
        assert.equal(new URL(href).searchParams.get("language"), name.includes("ZIP") ? null : "en");
        const answer = await fetch(href);
        assert.equal(answer.status, 200, `${name}: ${href}`);
        assert.match(answer.headers.get("content-type"), type);
        const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(await answer.arrayBuffer());
        assert.equal(text.slice(0, begin.length), begin, name);
      }
      await shot(page, "downloads");
      assert.deepEqual(await serious(page), []);
    });
    await bench.on(`#/runs/${run.ID}`, async (page) => {
      assert.match(await page.getByRole("link", { name: "보고서 (PDF)" }).getAttribute("href"), /report\.pdf\?language=ko$/);
    }, { options: { locale: "ko-KR" } });
  });

  test("a series has its pictures once, and a run that failed has no files", async () => {
    const of = (changes) => ({ answers: [[/^\/ai\/runs\/canned$/, { json: canned.run(changes) }], [/^\/ai\/models$/, { json: [canned.model()] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]] });
    const stored = ["SC", "SC", "DOC"].map((Kind, number) => ({ ID: `o${number}`, Kind, Path: `/instances/o${number}`, SeriesID: "heat", StudyID: "canned-study" }));
    await bench.on("#/runs/canned", async (page) => {
      await page.getByText("Report as a document (DOC)").waitFor();
      assert.match(await page.getByRole("link", { name: "Heat maps (ZIP)" }).getAttribute("href"), /\/series\/heat\/ai\/overlays\.zip$/);
      assert.equal(await page.getByRole("link", { name: "Images with masks (ZIP)" }).count(), 0);
    }, of({ Stored: stored }));
    await bench.on("#/runs/canned", async (page) => {
      await page.locator(".callout-error").waitFor();
      assert.equal(await page.getByRole("link", { name: "Report (PDF)" }).count(), 0);
    }, of({ State: "Failed", Error: "no", Results: [], Stored: [] }));
  });
});
