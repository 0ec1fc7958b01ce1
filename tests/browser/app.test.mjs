// The page /ai/app/: against the mock, or against a live plugin (ORTHANC_URL, STUDY_ID).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as canned from "./canned.mjs";
import { serious, shot, start } from "./harness.mjs";

const DEMO = "mammography-4view-demo";
let bench, runId;

const app = (hash) => bench.app(hash);
const on = (...visit) => bench.on(...visit);
const api = async (method, path, body) => (await fetch(bench.base + path, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) })).json();

const cannedRun = (changes) => [[/^\/ai\/runs\/canned$/, (request) => (request.method() === "GET" ? { json: canned.run(changes) } : undefined)], [/^\/ai\/models$/, { json: [canned.model()] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]];
const cannedOverview = (models, runs = []) => [[/^\/ai$/, { json: canned.server(models) }], [/^\/ai\/runs$/, { json: runs }]];

describe("the page /ai/app/", () => {
  before(async () => {
    bench = await start();
    runId = (await api("POST", `/studies/${bench.study}/ai`, { Model: DEMO })).ID;
    assert.ok(runId, "the run that the tests look at was not started");
  });
  after(async () => {
    await bench?.stop();
  });

  test("is served with a strict content security policy, and /ai/app leads to it with or without a slash", async () => {
    const answer = await fetch(app(""));
    assert.match(answer.headers.get("content-security-policy"), /^default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.match(answer.headers.get("content-type"), /^text\/html/);
    for (const entry of ["/ai/app", "/ai/app/"]) {
      const page = await bench.open();
      await page.goto(`${bench.base}${entry}#/runs/${runId}`);
      await page.waitForURL(`${bench.base}/ai/app/index.html#/runs/${runId}`);
      await page.context().close();
    }
  });

  test("a run shows its progress, then a card for each of the four views", async () => {
    await on(`#/runs/${runId}`, async (page) => {
      await page.locator(".card").nth(3).waitFor({ timeout: 120000 });
      assert.deepEqual(await page.locator(".card h2").allInnerTexts(), ["R-CC", "L-CC", "R-MLO", "L-MLO"]);
      for (const card of await page.locator(".card").all()) {
        const [pill, probability] = [card.locator(".class-pill"), await card.locator(".probability").innerText()];
        assert.match(probability, /^(\d+\.\d|>99\.9|<0\.1) %$/);
        assert.notEqual(await pill.evaluate((node) => getComputedStyle(node).backgroundColor), "rgba(0, 0, 0, 0)");
        const filled = await card.locator(".bar").first().evaluate((node) => node.firstElementChild.offsetWidth / node.offsetWidth);
        assert.ok(Math.abs(filled * 100 - parseFloat(probability.replace(/[<>]/, ""))) < 2, `bar ${filled}, text ${probability}`);
      }
      assert.match(await page.locator(".disclaimer").innerText(), /DEMO/);
      await page.locator(".disclaimer").waitFor();
      await page.mouse.wheel(0, 5000);
      await page.waitForTimeout(200);
      const top = await page.locator(".disclaimer").evaluate((node) => node.getBoundingClientRect().top);
      assert.ok(top >= 0 && top < 200, `the disclaimer is at ${top} after scrolling`);
    });
  });

  test("all probabilities open on demand, one a class, and add up to one", async () => {
    await on(`#/runs/${runId}`, async (page) => {
      const card = page.locator(".card").first();
      assert.equal(await card.locator(".probabilities").isVisible(), false);
      await card.locator("summary").click();
      const texts = await card.locator(".probabilities .number").allInnerTexts();
      assert.equal(texts.length, 4);
      const sum = texts.reduce((total, text) => total + parseFloat(text.replace(/[<>]/, "")), 0);
      assert.ok(Math.abs(sum - 100) < 0.5, texts.join(" "));
      await shot(page, "run-probabilities");
    });
  });

  test("pictures of the images come from Orthanc", async () => {
    await on(`#/runs/${runId}`, async (page) => {
      await page.locator(".card").nth(3).waitFor();
      await page.waitForFunction(() => [...document.querySelectorAll(".preview")].every((frame) => !frame.querySelector("img") || frame.querySelector("img").complete));
      for (const frame of await page.locator(".preview").all()) {
        const drawn = await frame.locator("img").count() ? await frame.locator("img").evaluate((image) => image.naturalWidth) : (await frame.innerText()).length;
        assert.ok(drawn > 0, "neither a picture nor words");
      }
    });
  });

  test("an image that Orthanc cannot decode leaves words in its place", async () => {
    await on("#/runs/canned", async (page) => {
      await page.locator(".preview", { hasText: "No preview" }).first().waitFor();
      assert.equal(await page.locator(".preview img").count(), 0);
    }, { answers: [...cannedRun({ Results: [canned.result("L-CC", "Normal", { InstanceID: "undecodable" })] }), [/^\/instances\/undecodable\/rendered$/, { status: 415, json: {} }]] });
  });

  test("one answer for all images is one card, with the images that carry it", async () => {
    const slices = [7, 8, 3].map((number) => canned.result(`Slice ${number}`, "Mass"));
    const failed = canned.result("Slice 5", "Mass", { Success: false, Class: null, Color: null, Probability: null, AllProbabilities: null, Error: "PixelData is truncated" });
    const Overall = { ...canned.result("", "Mass", { Probability: 0.85 }), Method: "mean of the 3 images that speak most for a finding", Total: 20, Analysed: 19, Carrying: [6, 7, 2], CarryingImages: slices };
    await on("#/runs/canned", async (page) => {
      const card = page.locator(".overall");
      await card.locator(".class-pill", { hasText: "Mass" }).waitFor();
      assert.equal(await card.locator(".probability").innerText(), "85.0 %");
      assert.match(await card.innerText(), /19 of 20 images analysed · mean of the 3 images/);
      assert.deepEqual((await card.locator(".carrying li").allInnerTexts()).map((text) => text.match(/Slice \d+/)[0]), ["Slice 7", "Slice 8", "Slice 3"]);
      assert.equal(await page.locator(".card").count(), 1, "of the slices those that failed have a card");
      assert.match(await page.locator(".callout-warning").innerText(), /1 of 20 images could not be analysed/);
    }, { answers: cannedRun({ Overall, Results: [...slices, failed] }) });
  });

  test("behind a probability stands how far the answers spread that a model combines, with what that is", async () => {
    const spreads = { Spread: 0.0213, AllSpreads: { Mass: 0.0213, Calcification: 0.0004, "Architectural/Asymmetry": 0, Normal: 0.01 } };
    const image = canned.result("L-CC", "Mass", spreads);
    const Overall = { ...canned.result("", "Mass", { ...spreads, Spread: 0.05 }), Method: "mean", Total: 1, Analysed: 1, Carrying: [0], CarryingImages: [image] };
    await on("#/runs/canned", async (page) => {
      const [first, second] = ["L-CC", "R-CC"].map((view) => page.getByRole("article", { name: view }));
      await first.locator(".spread").first().waitFor();
      assert.equal(await first.locator(".probability").innerText(), "91.0 % ± 2.1 %");
      assert.match(await first.locator(".probability .spread").getAttribute("title"), /over 2 models, each on 3 views of the image/);
      await first.locator("summary").click();
      assert.deepEqual((await first.locator(".probabilities .spread").allInnerTexts()).map((text) => text.trim()), ["± 2.1 %", "± <0.1 %", "± 0.0 %", "± 1.0 %"]);
      assert.equal(await second.locator(".spread").count(), 0, "a result of an older server has none");
    }, { answers: cannedRun({ Answers: { Views: 3, Models: 2 }, Results: [image, canned.result("R-CC", "Normal")] }) });
    await on("#/runs/canned", async (page) => {
      assert.equal(await page.locator(".overall .probability").innerText(), "91.0 % ± 5.0 %");
      assert.match(await page.locator(".overall .probability .spread").getAttribute("title"), /over 4 views of the image .*, mean over the images/);
      assert.match(await page.locator(".carrying li").innerText(), /91\.0 % ± 2\.1 %/);
    }, { answers: cannedRun({ Answers: { Views: 4, Models: 1 }, Overall, Results: [image] }) });
  });

  test("an image that failed shows its error, the others their class; warnings are shown", async () => {
    const failed = canned.result("R-MLO", "Mass", { Success: false, Class: null, Color: null, Probability: null, AllProbabilities: null, Error: "PixelData is truncated: 10 of 20 bytes" });
    await on("#/runs/canned", async (page) => {
      await page.locator(".card-failed", { hasText: "PixelData is truncated" }).waitFor();
      assert.equal(await page.locator(".card .class-pill").count(), 1);
      const warnings = await page.locator(".callout-warning").innerText();
      assert.match(warnings, /1 of 2 images could not be analysed/);
      assert.match(warnings, /ViewPosition is missing/);
      await page.getByRole("button", { name: "Run again" }).waitFor();
      await shot(page, "run-partly-failed");
    }, { answers: cannedRun({ Results: [canned.result("L-CC", "Normal"), failed], Warnings: ["ViewPosition is missing in 1 image"] }) });
  });

  test("a run that failed says why", async () => {
    await on("#/runs/canned", async (page) => {
      await page.locator(".callout-error", { hasText: "Rows: expected 4 images, found 3" }).waitFor();
      assert.equal(await page.locator(".card").count(), 0);
    }, { answers: cannedRun({ State: "Failed", Status: null, Results: [], Stored: [], Error: "Rows: expected 4 images, found 3" }) });
  });

  test("a running run has a labelled progress bar; cancelling asks first and posts JSON", async () => {
    let cancelled = null;
    await on("#/runs/canned", async (page) => {
      const progress = page.getByRole("progressbar", { name: "Progress of the analysis" });
      await progress.waitFor();
      assert.equal(await progress.getAttribute("aria-valuenow"), "62");
      assert.equal(await page.locator("#live").innerText(), "Analysing images");
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.getByRole("button", { name: "Let it finish" }).click();
      assert.equal(cancelled, null, "cancelled without consent");
      await page.getByRole("button", { name: "Cancel" }).click();
      await shot(page, "run-running");
      await page.getByRole("button", { name: "Stop it" }).click();
      await page.locator(".badge", { hasText: "Cancelled" }).waitFor();
      assert.match(cancelled.headers()["content-type"], /^application\/json/);
      assert.equal(cancelled.postData(), "{}");
    }, {
      answers: [...cannedRun().slice(1), [/^\/ai\/runs\/canned(\/cancel)?$/, (request) => {
        if (request.method() === "POST") cancelled = request;
        return { json: canned.run(cancelled ? { State: "Cancelled", Results: [], Stored: [] } : { State: "Running", Progress: 62, Stage: "infer", Results: [], Stored: [], Finished: null }) };
      }]],
    });
  });

  test("polls while something runs, not when all is done, and not while the tab is hidden", async () => {
    let asked = 0, state = "Running";
    const hide = (hidden) => (page) => page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { value, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
    await on("#/runs/canned", async (page) => {
      const asks = async (ms) => { const before = asked; await page.waitForTimeout(ms); return asked - before; };
      await page.getByRole("progressbar").waitFor();
      assert.ok(await asks(2600) >= 2, "no polls while running");
      await hide(true)(page);
      assert.ok(await asks(2600) <= 1, "polls while hidden");
      await hide(false)(page);
      assert.ok(await asks(1500) >= 1, "no polls after coming back");
      state = "Succeeded";
      await page.locator(".card").first().waitFor();
      assert.equal(await asks(2600), 0, "polls after the end");
    }, { answers: [...cannedRun().slice(1), [/^\/ai\/runs\/canned$/, () => { asked += 1; return { json: canned.run(state === "Running" ? { State: state, Progress: asked, Stage: "infer", Results: [] } : {}) }; }]] });
  });

  test("models: state, version, DEMO mark; missing weights say which file goes where; failures say why", async () => {
    const models = [canned.model(), canned.model({ Name: "mammography-4view", Title: "Mammography, four views", Demo: false, State: "NoWeights", Reason: "the site's checkpoint is not there", WeightsFile: "site.pth", WeightsSha256: null, LoadSeconds: null }), canned.model({ Name: "broken", Title: "Broken", Demo: false, State: "Failed", Reason: "fc.weight: expected [4, 2048], found [2, 2048]" })];
    await on("#/", async (page) => {
      const items = page.locator(".models > li");
      await items.nth(2).waitFor();
      assert.match(await items.nth(0).innerText(), /DEMO[\s\S]*Ready[\s\S]*1\.0\.0/);
      assert.match(await items.nth(1).innerText(), /No weights[\s\S]*site\.pth into the folder mammography-4view[\s\S]*the site's checkpoint is not there/);
      assert.match(await items.nth(2).innerText(), /Failed[\s\S]*fc\.weight: expected \[4, 2048\]/);
      assert.equal(await page.locator(".model .demo-mark").count(), 1);
      await shot(page, "overview-states");
    }, { answers: cannedOverview(models, [canned.run({ State: "Running", Progress: 40, Stage: "prepare", Finished: null }), canned.run({ ID: "b" }), canned.run({ ID: "c", State: "Failed", Error: "Modality: expected MG, found CT" })]) });
  });

  test("the overview lists the run of the live server and leads to it", async () => {
    await on("#/", async (page) => {
      await page.locator(`a[href="#/runs/${runId}"]`).click();
      await page.locator(".card").first().waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.id), "main", "focus follows to the new view");
    });
  });

  test("a study's page says what applies and starts a run", async () => {
    await on(`#/studies/${bench.study}`, async (page) => {
      const item = page.locator(".models > li", { has: page.locator(`[data-key="start-${DEMO}"]`) });
      await item.getByText("Applies", { exact: true }).waitFor();
      const before = await page.locator(".runs tbody tr").count();
      await item.getByRole("button").click();
      await page.waitForFunction((rows) => document.querySelectorAll(".runs tbody tr").length > rows, before);
      await page.locator(".runs tbody tr").first().locator(".badge", { hasText: "Succeeded" }).waitFor({ timeout: 120000 });
    });
  });

  test("a model that does not apply says why and cannot be started", async () => {
    const models = [{ Model: "m", Title: "Some model", Demo: false, Applies: false, Reason: "Modality CT, expected MG", Images: 0, State: "Ready" }];
    await on("#/studies/canned-study", async (page) => {
      await page.getByText("Modality CT, expected MG").waitFor();
      assert.equal(await page.getByRole("button", { name: "Run: Some model" }).isDisabled(), true);
    }, { answers: [[/^\/studies\/canned-study\/ai$/, { json: canned.applicability({ Models: models }) }], [/^\/ai\/models$/, { json: [] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]] });
  });

  test("what the server refuses is said in its own words", async () => {
    await on("#/studies/canned-study", async (page) => {
      await page.getByRole("button", { name: /^Run/ }).click();
      await page.locator("#notice", { hasText: "The queue is full Try again in 7 s. (HTTP 503)" }).waitFor();
      assert.equal(await page.locator("#notice").getAttribute("role"), "alert");
    }, { answers: [[/^\/studies\/canned-study\/ai$/, (request) => (request.method() === "POST" ? canned.refusal(503, "The queue is full", { "Retry-After": "7" }) : { json: canned.applicability() })], [/^\/ai\/models$/, { json: [canned.model()] }], [/^\/studies\/canned-study$/, { status: 404, json: {} }]] });
  });

  test("a run that does not exist, and an address that does not, are said in words", async () => {
    await on("#/runs/00000000-0000-0000-0000-000000000000", async (page) => {
      await page.locator("#notice", { hasText: "(HTTP 404)" }).waitFor();
      await page.getByRole("link", { name: "Back" }).click();
      await page.locator("h1", { hasText: "Models" }).waitFor();
      assert.equal(await page.locator("#notice").innerText(), "");
      await page.goto(app("#/nowhere"));
      await page.locator("#notice", { hasText: "There is no such page." }).waitFor();
    });
  });

  test("a server that goes away is said, and the page recovers by itself", async () => {
    let away = false;
    await on("#/runs/canned", async (page) => {
      await page.getByRole("progressbar").waitFor();
      await page.route(/\/ai\/runs\/canned$/, (route) => (away ? route.abort() : route.fallback()));
      away = true;
      await page.locator("#notice", { hasText: "The server does not answer." }).waitFor();
      await page.getByRole("progressbar").waitFor();
      away = false;
      await page.waitForFunction(() => document.getElementById("notice").textContent === "");
    }, { answers: cannedRun({ State: "Running", Progress: 20, Stage: "read", Results: [] }) });
  });

  test("hostile text from a server stays text", async () => {
    const hostile = canned.HOSTILE;
    const model = canned.model({ Title: hostile, Description: hostile, Name: hostile, Reason: hostile, State: "Failed", Version: hostile, WeightsFile: hostile, Views: [hostile], Classes: [{ Name: hostile, Color: "red;background:url(x)", Translations: { ko: hostile } }] });
    const run = { ModelTitle: hostile, Model: hostile, Disclaimer: hostile, Error: hostile, Warnings: [hostile], Version: hostile, Origin: hostile, Resource: hostile, Results: [canned.result("L-CC", "Mass", { View: hostile, Class: hostile, Color: hostile, AllProbabilities: { [hostile]: 1 }, Spread: 0.1, AllSpreads: { [hostile]: hostile } })], Answers: { Views: hostile, Models: hostile }, Stored: [{ ID: "javascript:alert(1)", Kind: hostile }] };
    const study = { ID: "canned-study", MainDicomTags: { StudyDescription: hostile }, PatientMainDicomTags: { PatientName: hostile, PatientID: hostile } };
    const answers = [...cannedOverview([model], [canned.run(run)]), ...cannedRun(run).slice(0, 2), [/^\/studies\/canned-study$/, { json: study }]];
    for (const hash of ["#/", "#/runs/canned"]) {
      await on(hash, async (page) => {
        await page.locator("main h1").waitFor();
        await page.waitForTimeout(200);
        assert.equal(await page.evaluate(() => window.hacked), undefined);
        assert.equal(await page.locator("main script, main img[src='x']").count(), 0);
        const links = await page.locator("a").evaluateAll((all) => all.map((link) => link.protocol));
        assert.deepEqual(links.filter((protocol) => !/^https?:$/.test(protocol)), []);
      }, { answers });
    }
  });

  test("in Korean for a Korean browser, with the classes' translations", async () => {
    await on(`#/runs/${runId}`, async (page) => {
      await page.locator(".card").nth(3).waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), "ko");
      assert.match(await page.locator("main").innerText(), /완료[\s\S]*(종괴 \(Mass\)|석회화 \(Calcification\)|정상 \(Normal\)|구조 왜곡)/);
      await shot(page, "run-korean");
      await page.goto(app("#/"));
      await page.locator(".models > li").first().waitFor();
      await shot(page, "overview-korean");
    }, { options: { locale: "ko-KR" } });
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [name, hash, ready] of [["overview", () => "#/", ".runs"], ["run", () => `#/runs/${runId}`, ".card"], ["study", () => `#/studies/${bench.study}`, ".models"]]) {
      for (const [device, viewport] of [["desktop", { width: 1280, height: 900 }], ["tablet", { width: 768, height: 1024 }], ["phone", { width: 390, height: 844 }]]) {
        test(`${name}, ${colorScheme}, ${device}: axe-core finds nothing serious, nothing runs over the edge`, async () => {
          await on(hash(), async (page) => {
            await page.locator(ready).first().waitFor();
            for (const summary of await page.locator("summary").all()) await summary.click();
            await page.waitForTimeout(600);
            await shot(page, `${name}-${colorScheme}-${device}`);
            assert.deepEqual(await serious(page), []);
            const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
            assert.ok(over <= 0, `${over} px over the edge`);
            const scrolled = await page.locator(".table-scroll").evaluateAll((all) => all.map((table) => table.scrollWidth - table.clientWidth));
            if (device !== "phone") assert.ok(scrolled.every((pixels) => pixels <= 0), `tables scroll by ${scrolled} px`);
          }, { options: { colorScheme, viewport } });
        });
      }
    }
  }

  test("deleting asks first, then the run is gone", async () => {
    await on(`#/runs/${runId}`, async (page) => {
      await page.getByRole("button", { name: "Delete" }).click();
      await page.getByRole("button", { name: "Keep" }).click();
      assert.equal((await fetch(`${bench.base}/ai/runs/${runId}`)).status, 200, "deleted without consent");
      await page.getByRole("button", { name: "Delete" }).click();
      await shot(page, "run-delete");
      await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
      await page.waitForURL(/#\/studies\//);
      assert.equal((await fetch(`${bench.base}/ai/runs/${runId}`)).status, 404);
    });
  });

  test("nothing broke the content security policy, no page error, no request to elsewhere", () => {
    assert.deepEqual(bench.faults, []);
  });
});
