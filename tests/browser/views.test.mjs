// The page's other views: studies chosen in numbers, filters, model cards, heat maps, an archive without a study; mock or live, as app.test.mjs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as canned from "./canned.mjs";
import { serious, shot, start } from "./harness.mjs";
import { png } from "./png.mjs";

const DEMO = "mammography-4view-demo";
let bench;
const on = (...visit) => bench.on(...visit);

describe("the page's other views", () => {
  before(async () => { bench = await start(); });
  after(async () => { await bench?.stop(); });

  test("studies are searched, chosen, analysed and followed", async () => {
    await on("#/studies", async (page) => {
      const box = page.locator(`[data-key="choose-${bench.study}"]`);
      await box.waitFor();
      const startButton = page.locator('[data-key="batch-start"]');
      assert.equal(await startButton.isDisabled(), true);
      await box.check();
      assert.match(await startButton.innerText(), /1/);
      await page.locator('[data-key="batch-model"]').selectOption(DEMO);
      await startButton.click();
      const row = page.locator("tr", { has: box });
      await row.locator(".badge", { hasText: "Succeeded" }).waitFor({ timeout: 120000 });
      assert.match(await page.locator("main").innerText(), /1 of 1 runs have ended/);
      await row.locator('a[href^="#/runs/"]').click();
      await page.locator(".card").first().waitFor();
    });
  });

  test("what a study cannot be run on stands in its line, and a search that finds nothing says so", async () => {
    await on("#/studies", async (page) => {
      await page.locator(`[data-key="choose-${bench.study}"]`).check();
      await page.locator('[data-key="batch-start"]').click();
      await page.locator("tr .error-text", { hasText: "4 images are needed, found 3" }).waitFor();
      await page.locator('[data-key="studies-search"]').fill("nobody-of-this-name");
      await page.locator('[data-key="studies-find"]').click();
      await page.getByText("No study found.").waitFor();
    }, { answers: [[/^\/studies\/[^/]+\/ai$/, (request) => (request.method() === "POST" ? canned.refusal(422, "4 images are needed, found 3") : undefined)]] });
  });

  test("while the runs of studies are followed, the fields stay the same, and what is typed is not searched before it is sent", async () => {
    const asked = [];
    const running = { json: canned.run({ ID: "long", State: "Running", Progress: 40, Stage: "infer", Results: [] }) };
    await on("#/studies", async (page) => {
      await page.locator('[data-key="choose-one"]').check();
      await page.locator('[data-key="batch-start"]').click();
      await page.locator("main").getByText("0 of 1 runs have ended").waitFor();
      const held = ["studies-search", "batch-model", "choose-one"];
      await page.evaluate((keys) => { window.held = keys.map((key) => document.querySelector(`[data-key="${key}"]`)); }, held);
      await page.locator('[data-key="studies-search"]').pressSequentially("Lee");
      await page.waitForTimeout(2500);
      assert.deepEqual(await page.evaluate((keys) => keys.map((key, at) => document.querySelector(`[data-key="${key}"]`) === window.held[at]), held), held.map(() => true));
      assert.equal(await page.locator('[data-key="studies-search"]').evaluate((input) => input === document.activeElement && input.value), "Lee");
      assert.equal(await page.locator('[data-key="choose-one"]').isChecked(), false, "what was sent is chosen no more");
      assert.deepEqual(new Set(asked), new Set(["{}"]));
    }, { answers: [
      [/^\/tools\/find$/, (request) => { asked.push(JSON.stringify(JSON.parse(request.postData()).Query)); return { json: [{ ID: "one", PatientMainDicomTags: { PatientName: "Kim" }, MainDicomTags: {} }] }; }],
      [/^\/studies\/one\/ai$/, { json: { ID: "long" } }], [/^\/ai\/runs\/long$/, () => ({ ...running, json: { ...running.json, Progress: Math.random() * 100 } })], [/^\/ai\/models$/, { json: [canned.model()] }],
    ] });
  });

  test("a model that is loading is asked for until it is ready", async () => {
    let looks = 0;
    await on(`#/models/${DEMO}`, async (page) => {
      await page.locator(".badge", { hasText: "Loading" }).first().waitFor();
      await page.locator(".heading .badge", { hasText: "Ready" }).waitFor();
      const before = looks;
      await page.waitForTimeout(1500);
      assert.equal(looks, before, "and then no more");
    }, { answers: [[/^\/ai\/models$/, () => { looks += 1; return { json: [canned.model({ State: looks > 2 ? "Ready" : "Loading" })] }; }], [/^\/ai\/runs$/, { json: [] }], [/^\/ai\/models\/[^/]+\/(card|feedback)$/, { status: 404, json: {} }]] });
  });

  test("a search for letters asks for names and IDs, one for a year for dates", async () => {
    const asked = [];
    await on("#/studies", async (page) => {
      await page.getByText("The archive has no study.").waitFor();
      for (const text of ["Lee*", "2025"]) {
        await page.locator('[data-key="studies-search"]').fill(text);
        await page.locator('[data-key="studies-find"]').click();
        await page.getByText("No study found.").waitFor();
        await page.waitForTimeout(300);
      }
    }, { answers: [[/^\/tools\/find$/, (request) => { asked.push(JSON.parse(request.postData()).Query); return { json: [] }; }]] });
    const seen = new Set(asked.map((query) => JSON.stringify(query)));
    for (const query of [{}, { PatientName: "*Lee*" }, { PatientID: "*Lee*" }, { PatientID: "*2025*" }, { StudyDate: "2025*" }]) assert.ok(seen.has(JSON.stringify(query)), JSON.stringify(query));
  });

  test("runs are filtered by state and model", async () => {
    const asked = [];
    const runs = (request) => {
      const query = new URL(request.url()).searchParams;
      asked.push(query.toString());
      return { json: query.get("state") === "Failed" ? [canned.run({ State: "Failed", Error: "no weights" })] : query.get("model") ? [] : [canned.run()] };
    };
    await on("#/", async (page) => {
      await page.locator(".runs .badge", { hasText: "Succeeded" }).waitFor();
      await page.locator('[data-key="filter-state"]').selectOption("Failed");
      await page.locator(".runs .badge", { hasText: "Failed" }).waitFor();
      await page.locator('[data-key="filter-state"]').selectOption("");
      await page.locator('[data-key="filter-model"]').selectOption(DEMO);
      await page.getByText("No run of this kind.").waitFor();
      assert.equal(await page.locator('[data-key="filter-model"]').inputValue(), DEMO);
    }, { answers: [[/^\/ai$/, { json: canned.server([canned.model()]) }], [/^\/ai\/runs$/, runs]] });
    assert.ok(asked.some((query) => query.includes("state=Failed")) && asked.some((query) => query.includes(`model=${DEMO}`)), asked.join(" "));
  });

  test("an archive without a study offers some, by one click", async () => {
    let stored = 0;
    await on("#/", async (page) => {
      await page.getByRole("button", { name: "Store the demo studies" }).click();
      await page.waitForURL(/#\/studies$/);
      assert.equal(stored, 1);
    }, { answers: [[/^\/ai$/, { json: canned.server([canned.model()]) }], [/^\/ai\/runs$/, { json: [] }], [/^\/statistics$/, { json: { CountStudies: 0 } }],
      [/^\/ai\/demo$/, (request) => { stored += request.method() === "POST" ? 1 : 0; return { json: { Studies: [] } }; }]] });
    await on("#/", async (page) => {
      await page.getByText("Nothing has been analysed yet.").waitFor();
      assert.equal(await page.getByRole("button", { name: "Store the demo studies" }).count(), 0);
    }, { answers: [[/^\/ai$/, { json: canned.server([canned.model()]) }], [/^\/ai\/runs$/, { json: [] }], [/^\/statistics$/, { json: { CountStudies: 7 } }]] });
  });

  test("a model has a page with its card, as text", async () => {
    await on(`#/models/${DEMO}`, async (page) => {
      const card = page.locator(".model-card");
      await card.waitFor();
      assert.match(await card.innerText(), /# mammography-4view-demo/);
      assert.match(await page.locator("main").innerText(), /DEMO/);
      assert.equal(await card.locator("*").count(), 0, "the card is text");
      await shot(page, "model");
      assert.deepEqual(await serious(page), []);
    }, { answers: [[/^\/ai\/models\/[^/]+\/card$/, { contentType: "text/markdown", body: `# mammography-4view-demo\n${canned.HOSTILE}` }]] });
  });

  test("heat maps are shown with what is said of them, in both languages", async () => {
    const image = canned.result("Slice 9", "Mass", { InstanceUid: "2.25.9", Texts: { en: ["The model sees strong signs of Mass (91.0 %).", "The disclaimer."], ko: ["모델이 종괴를 보았습니다.", "면책."] } });
    const explanation = { InstanceUid: "2.25.9", Class: "Mass", Probability: 0.91, HeatMapInstanceUid: "2.25.77", HeatMapSeriesUid: "2.25.7", Regions: [], Texts: { en: ["Region 1: left, back third.", "The disclaimer."], ko: ["영역 1: 왼쪽.", "면책."] } };
    const run = canned.run({ Results: [image], Explanations: [explanation], Stored: [{ ID: "heat", Kind: "SC", SopInstanceUid: "2.25.77", SeriesID: "s" }, { ID: "sr", Kind: "SR", SopInstanceUid: "2.25.78", SeriesID: "s" }] });
    const answers = [[/^\/ai\/runs\/canned$/, { json: run }], [/^\/ai\/models$/, { json: [canned.model()] }], [/^\/studies\/canned-study$/, { json: { MainDicomTags: { StudyInstanceUID: "2.25.1" } } }],
      [/^\/plugins$/, { json: ["ohif", "ai"] }], [/^\/instances\/heat\/preview$/, { contentType: "image/png", body: png(64, 64, () => [200, 40, 20, 255]) }]];
    await on("#/runs/canned", async (page) => {
      const panel = page.getByRole("region", { name: "What the answer rests on" });
      await panel.getByRole("img", { name: "Heat map of Slice 9" }).waitFor();
      const text = await panel.innerText();
      assert.match(text, /Region 1: left, back third\./);
      assert.doesNotMatch(text, /The disclaimer/);
      assert.match(await page.locator(".card").innerText(), /strong signs of Mass/);
      assert.match(await page.getByRole("link", { name: "Open the study in OHIF" }).getAttribute("href"), /\/ohif\/viewer\?StudyInstanceUIDs=2\.25\.1$/);
      assert.match(await page.locator("main").innerText(), /Heat map \(SC\)/);
      await shot(page, "heat-map");
      assert.deepEqual(await serious(page), []);
    }, { answers });
    await on("#/runs/canned", async (page) => { await page.getByText("영역 1: 왼쪽.").waitFor(); }, { answers, options: { locale: "ko-KR" } });
  });

  test("a segmentation's surface is offered", async () => {
    await on("#/runs/canned", async (page) => {
      const link = (name) => page.getByRole("link", { name });
      await link("3D surface (HTML)").waitFor();
      for (const [name, path] of [["3D surface (HTML)", /\/series\/s\/ai\/surface\.html$/], ["3D surface (STL)", /\/series\/s\/ai\/surface\.stl$/]]) {
        assert.match(await link(name).getAttribute("href"), path);
      }
    }, { answers: [[/^\/ai\/runs\/canned$/, { json: canned.segmentationRun({ count: 3, segments: [canned.segment({ FirstSlice: 0, LastSlice: 2, OutlineSlice: 1 })] }) }], [/^\/ai\/models$/, { json: [canned.segmentationModel()] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]] });
    await on("#/runs/canned", async (page) => {
      await page.locator(".callout-error").waitFor();
      assert.equal(await page.getByRole("link", { name: "3D surface (HTML)" }).count(), 0);
    }, { answers: [[/^\/ai\/runs\/canned$/, { json: canned.run({ State: "Failed", Error: "no", Results: [], Stored: [] }) }], [/^\/ai\/models$/, { json: [canned.model()] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]] });
  });

  test("a reader accepts, rejects and comments each finding; what was said stands there, and what was refused says why", async () => {
    const said = [];
    const findings = ["overall", "2.25.9/Mass"].map((Finding) => ({ Finding, Answer: `${Finding}: 91.0 %, present` }));
    let refuse = false;
    const feedback = (request) => {
      if (request.method() !== "POST") return { json: { Findings: findings, User: null, Feedback: [...said, { Finding: "overall", Verdict: "Reject", Comment: canned.HOSTILE, User: "kim", Current: true }] } };
      if (refuse) return canned.refusal(400, "Comment: found 3000 characters, expected at most 2000");
      const body = JSON.parse(request.postData());
      for (const one of said) one.Current = one.Current && one.Finding !== body.Finding;
      said.push({ ...body, User: null, Current: true });
      return { json: said.at(-1) };
    };
    await on("#/runs/canned", async (page) => {
      const panel = page.getByRole("region", { name: "Your reading" });
      const row = panel.locator("li", { hasText: "2.25.9/Mass" });
      await row.getByRole("textbox").fill("too far lateral");
      await row.getByRole("button", { name: /^Accept/ }).click();
      await row.locator('button[aria-pressed="true"]', { hasText: "Accept" }).waitFor();
      assert.deepEqual(said.at(-1), { Finding: "2.25.9/Mass", Verdict: "Accept", Comment: "too far lateral", User: null, Current: true });
      await row.getByRole("button", { name: /^Reject/ }).click();
      await row.locator('button[aria-pressed="true"]', { hasText: "Reject" }).waitFor();
      assert.equal(await row.getByRole("textbox").inputValue(), "too far lateral");
      await row.getByRole("button", { name: /^Reject/ }).click();
      await row.locator('button[aria-pressed="false"]', { hasText: "Reject" }).waitFor();
      assert.equal(said.at(-1).Verdict, null, "a second press takes it back");
      assert.match(await panel.locator("li", { hasText: "overall" }).innerText(), /kim: rejected/);
      refuse = true;
      await row.getByRole("button", { name: /^Accept/ }).click();
      await row.locator(".error-text", { hasText: "found 3000 characters" }).waitFor();
      await shot(page, "feedback");
      assert.deepEqual(await serious(page), []);
    }, { answers: [[/^\/ai\/runs\/canned$/, { json: canned.run() }], [/^\/ai\/runs\/canned\/feedback$/, feedback], [/^\/ai\/models$/, { json: [canned.model()] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]] });
    const { Name: one } = canned.model();
    const models = [canned.model({ DisclaimerTranslations: { ko: "환자에 대한 의미가 없습니다." } })];
    const judged = { Findings: [{ Finding: "2.25.9/Mass", Answer: "Mass: 91.0 %, present", InstanceUid: "2.25.9", Class: "Mass" }], User: null, Feedback: [] };
    const image = canned.result("R-CC", "Mass", { InstanceUid: "2.25.9" });
    const answers = (changes = {}) => [[/^\/ai\/runs\/canned$/, { json: canned.run({ Results: [image], ...changes }) }], [/^\/ai\/runs\/canned\/feedback$/, { json: judged }], [/^\/ai\/models$/, { json: models }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]];
    await on("#/runs/canned", async (page) => {
      assert.equal(await page.locator(".feedback-answer").innerText(), "R-CC · Mass: 91.0 %, present");
    }, { answers: answers() });
    await on("#/runs/canned", async (page) => {
      assert.equal(await page.locator(".feedback-answer").innerText(), "R-CC · 종괴 (Mass): 91.0 %");
      assert.match(await page.locator(".disclaimer").innerText(), /환자에 대한 의미가 없습니다/);
    }, { answers: answers(), options: { locale: "ko-KR" } });
    await on("#/runs/canned", async (page) => { // what this run was told is not what the model says today
      await page.locator(".disclaimer", { hasText: "An older one." }).waitFor();
    }, { answers: answers({ Disclaimer: "An older one." }), options: { locale: "ko-KR" } });
    await on("#/runs/canned", async (page) => {
      await page.locator(".segments, .card p", { hasText: "종양 (Tumour): 4.10 %, 최장 직경 21.4 mm" }).first().waitFor();
      await page.locator(".feedback-answer", { hasText: "종양 (Tumour): 4.10 %" }).waitFor();
    }, { answers: [[/^\/ai\/runs\/canned$/, { json: canned.run({ Results: [{ View: "Slice 3", Success: true, InstanceUid: "2.25.9", Segments: [{ Name: "Tumour", Color: "#d32f2f", Found: true, SharePercent: 4.1, LongAxisMm: 21.4, Finding: "Tumour: 4.1 % of the image" }] }] }) }], [/^\/ai\/runs\/canned\/feedback$/, { json: { ...judged, Findings: [{ Finding: "2.25.9/segment/1", Answer: "Tumour: 4.1 % of the image", InstanceUid: "2.25.9", Segment: "Tumour" }] } }], [/^\/ai\/models$/, { json: [{ ...canned.segmentationModel(), Name: one }] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]], options: { locale: "ko-KR" } });
    await on(`#/models/${DEMO}`, async (page) => {
      await page.getByText("accepted 9 of 10 findings: 90.0 % (59.6 % – 98.2 %)").waitFor();
    }, { answers: [[/^\/ai\/models$/, { json: [canned.model()] }], [/^\/ai\/models\/[^/]+\/feedback$/, { json: { Accepted: 9, Rejected: 1, Agreement: { Value: 0.9, Interval: [0.596, 0.982], Counts: [9, 10] } } }]] });
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [device, viewport] of [["desktop", { width: 1280, height: 900 }], ["tablet", { width: 768, height: 1024 }], ["phone", { width: 390, height: 844 }]]) {
      test(`studies, ${colorScheme}, ${device}: axe-core finds nothing serious, nothing runs over the edge`, async () => {
        await on("#/studies", async (page) => {
          await page.locator(".runs").waitFor();
          await shot(page, `studies-${colorScheme}-${device}`);
          assert.deepEqual(await serious(page), []);
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.ok(over <= 0, `${over} px over the edge`);
        }, { options: { colorScheme, viewport } });
      });
    }
  }

  test("nothing was loaded from elsewhere and nothing broke", () => {
    assert.deepEqual(bench.faults, []);
  });
});
