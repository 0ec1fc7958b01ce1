// Images in numbers on the page /ai/app/#/images: pictures of this computer and images of the archive, each analysed and followed. What a server says of
// them is canned, so that it is the same with a live one.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as canned from "./canned.mjs";
import { serious, shot, start } from "./harness.mjs";
import { png } from "./png.mjs";

const SKIN = { ...canned.model(), Name: "skin-demo", Title: "Skin (DEMO)", Count: 100, MinCount: 1, Views: [] };
let bench;

const picture = (name, mimeType = "image/png") => ({ name, mimeType, buffer: png(4, 4, () => [200, 120, 90, 255]) });

/** A server with `count` photographs; what it was asked for is kept in `asked`. Runs end at the second look. */
function server({ count = 3, asked = [], refuse = () => null, ends = () => true, find = () => null } = {}) {
  const runs = new Map();
  const start = (instance) => {
    const id = `run-${runs.size}`;
    runs.set(id, { looks: 0, instance });
    return { ID: id, Path: `/ai/runs/${id}`, Model: SKIN.Name };
  };
  return [
    [/^\/ai\/models$/, { json: [SKIN, canned.model(), canned.segmentationModel(), { ...SKIN, Name: "no-weights", State: "NoWeights" }] }],
    [/^\/tools\/find$/, async (request) => {
      const query = JSON.parse(request.postData());
      asked.push(["find", query]);
      const given = await find(query);
      if (given) return { json: given };
      const all = [{ ID: "series", ParentStudy: "study", Instances: Array.from({ length: count }, (_, at) => `photo-${at}`), MainDicomTags: { Modality: "XC" } }, { ID: "ours", ParentStudy: "study", Instances: ["heat"], MainDicomTags: { Modality: "OT", Manufacturer: "orthanc-ai" } }];
      const since = query.Since ?? 0;
      const fitting = all.filter(({ MainDicomTags: { Modality } }) => query.Query.Modality.split("\\").includes(Modality));
      return { json: JSON.stringify(query.Query).includes("nobody") ? [] : fitting.slice(since, since + query.Limit) };
    }],
    [/^\/studies\/study$/, { json: { PatientMainDicomTags: { PatientName: `Kim^${canned.HOSTILE}`, PatientID: "7" }, MainDicomTags: { StudyDate: "20260102" } } }],
    [/^\/instances\/[^/]+\/rendered$/, { contentType: "image/png", body: png(8, 8, () => [200, 120, 90, 255]) }],
    [/^\/instances\/[^/]+\/ai$/, (request) => {
      const instance = /instances\/([^/]+)\/ai/.exec(request.url())[1];
      asked.push(["start", instance, JSON.parse(request.postData())]);
      return refuse(instance) ?? { json: start(instance) };
    }],
    [/^\/ai\/images$/, (request) => {
      const body = JSON.parse(request.postData());
      asked.push(["store", body]);
      const [{ Name: name }] = body.Images;
      return refuse(name) ?? { json: { ParentStudy: "study", Instances: [{ ID: `stored-${name}`, Status: "Success" }], Runs: [] } };
    }],
    [/^\/ai\/runs\/run-\d+$/, (request) => {
      const id = request.url().split("/").pop();
      const known = runs.get(id);
      known.looks += 1;
      asked.push(["look", id]);
      const ended = known.looks > 1 && ends(id);
      return { json: canned.run({ ID: id, Model: SKIN.Name, ModelTitle: SKIN.Title, State: ended ? "Succeeded" : "Running", Progress: ended ? 100 : 40, Stage: ended ? null : "infer", Results: ended ? [canned.result("Image 1", "Mass")] : [] }) };
    }],
  ];
}

const rows = (page) => page.locator("table.runs tbody tr");
const startButton = (page) => page.locator('[data-key="images-start"]');

describe("images in numbers", () => {
  before(async () => { bench = await start(); });
  after(async () => { await bench?.stop(); });

  test("files and images of the archive are sent one after the other, followed, and their results listed", async () => {
    const asked = [];
    await bench.on("#/images", async (page) => {
      await page.locator('[data-key="image-photo-1"]').waitFor();
      assert.equal(await startButton(page).isDisabled(), true);
      assert.deepEqual(await page.locator('[data-key="images-model"] option').allInnerTexts(), ["every model that applies", "Skin (DEMO)"], "models that one image is enough for");
      assert.equal(await page.locator(".image-grid li").count(), 3, "what this plugin made is no input");
      assert.equal(await page.evaluate(() => window.hacked), undefined);
      await page.locator('[data-key="images-files"]').setInputFiles([picture("one.png"), picture("two.jpg", "image/jpeg")]);
      await page.getByRole("list", { name: "Chosen pictures" }).getByText("two.jpg").waitFor();
      await page.locator('[data-key="image-photo-1"]').check();
      await startButton(page).click();
      await page.getByText("A picture needs the ID of its patient.").waitFor();
      assert.deepEqual(asked.filter(([what]) => !["find", "look"].includes(what)), [], "nothing is sent without a patient");
      await page.locator('[data-key="images-id"]').fill("4711");
      await page.locator('[data-key="images-name"]').fill("Lee^Mina");
      await page.locator('[data-key="images-model"]').selectOption("skin-demo");
      assert.match(await startButton(page).innerText(), /3/);
      await startButton(page).click();
      await page.locator("main").getByText("3 of 3 runs have ended").waitFor();
      assert.equal(await rows(page).count(), 3);
      for (const row of await rows(page).all()) assert.match(await row.innerText(), /Succeeded[\s\S]*Mass 91\.0 %/);
      assert.match(await rows(page).first().locator("a").last().getAttribute("href"), /^#\/runs\/run-0$/);
      assert.equal(await page.getByRole("list", { name: "Chosen pictures" }).count(), 0, "what was sent is chosen no more");
      assert.equal(await startButton(page).isDisabled(), true);
      await shot(page, "images-done");
      assert.deepEqual(await serious(page), []);
    }, { answers: server({ asked }) });
    const sent = asked.filter(([what]) => !["find", "look"].includes(what));
    assert.deepEqual(sent.map(([what, which]) => (what === "store" ? which.Images[0].Name : which)), ["one.png", "stored-one.png", "two.jpg", "stored-two.jpg", "photo-1"]);
    const [, body] = sent[0];
    assert.deepEqual(body.Patient, { PatientID: "4711", PatientName: "Lee^Mina" });
    assert.deepEqual(Buffer.from(body.Images[0].Content, "base64"), picture("one.png").buffer);
    assert.ok(sent.filter(([what]) => what === "start").every(([, , options]) => options.Model === "skin-demo"));
  });

  test("what is refused stands in its line, the others go on", async () => {
    await bench.on("#/images", async (page) => {
      await page.locator('[data-key="images-files"]').setInputFiles([picture("bad.png"), picture("good.png")]);
      await page.locator('[data-key="images-id"]').fill("4711");
      await page.locator('[data-key="image-photo-0"]').check();
      await startButton(page).click();
      await page.locator("main").getByText("1 of 1 runs have ended").waitFor();
      const texts = await rows(page).allInnerTexts();
      assert.match(texts[0], /bad\.png[\s\S]*Images\[0\]: not a picture/);
      assert.match(texts[1], /Succeeded/);
      assert.match(texts[2], /one colour image is needed/);
    }, { answers: server({ refuse: (what) => (what === "bad.png" ? canned.refusal(422, "Images[0]: not a picture") : what === "photo-0" ? canned.refusal(422, "one colour image is needed") : null) }) });
  });

  test("files are dropped, told apart from what is no picture, and taken off the list", async () => {
    await bench.on("#/images", async (page) => {
      await page.locator(".drop").waitFor();
      const files = await page.evaluateHandle(() => {
        const transfer = new DataTransfer();
        for (const [name, type] of [["a.png", "image/png"], ["b.jpg", "image/jpeg"], ["letter.pdf", "application/pdf"]]) transfer.items.add(new File([new Uint8Array(8)], name, { type }));
        return transfer;
      });
      await page.dispatchEvent(".drop", "dragover", { dataTransfer: files });
      assert.equal(await page.locator(".drop-over").count(), 1);
      await page.dispatchEvent(".drop", "drop", { dataTransfer: files });
      await page.getByText("letter.pdf: neither JPEG nor PNG").waitFor();
      const list = page.getByRole("list", { name: "Chosen pictures" });
      assert.equal(await list.locator("li").count(), 2);
      await page.getByRole("button", { name: "Remove a.png" }).click();
      await page.waitForFunction(() => document.querySelectorAll(".drop li").length === 1);
      assert.match(await startButton(page).innerText(), /1/);
    }, { answers: server() });
  });

  test("a search asks for names and IDs, once; many images are bounded; none is said in words, in Korean too", async () => {
    const asked = [];
    await bench.on("#/images", async (page) => {
      await page.getByText("The first 60 are shown").waitFor();
      assert.equal(await page.locator(".image-grid li").count(), 60);
      await page.locator('[data-key="images-search"]').fill("nobody*");
      await page.locator('[data-key="images-find"]').click();
      await page.getByText("No image found.").waitFor();
    }, { answers: server({ count: 100, asked }) });
    const queries = asked.map(([, query]) => query.Query);
    for (const [first, others] of [["XC", (modality) => modality !== "OT"], ["OT", (modality) => modality === "OT"]]) {
      const these = queries.filter(({ Modality }) => Modality.split("\\").includes(first));
      assert.deepEqual(these.map(({ Modality, ...rest }) => rest), [{}, { PatientName: "*nobody*" }, { PatientID: "*nobody*" }]);
      assert.ok(these.every(({ Modality }) => Modality.split("\\").every((one) => others(one) && one !== "CT")));
    }
    await bench.on("#/images", async (page) => { await page.getByText("이 컴퓨터의 사진").waitFor(); }, { answers: server(), options: { locale: "ko-KR" } });
  });

  test("while runs are followed, who types keeps field, caret and selection, and a run that has ended is not asked for again", async () => {
    const asked = [];
    await bench.on("#/images", async (page) => {
      for (const photo of [0, 1]) await page.locator(`[data-key="image-photo-${photo}"]`).check();
      await startButton(page).click();
      await page.locator("main").getByText("1 of 2 runs have ended").waitFor();
      const looks = (id) => asked.filter(([what, which]) => what === "look" && which === id).length;
      const before = [looks("run-0"), looks("run-1")];
      const held = ["images-search", "images-id", "images-name", "images-model", "image-photo-2"];
      await page.evaluate((keys) => { window.held = keys.map((key) => document.querySelector(`[data-key="${key}"]`)); }, held);
      const search = page.locator('[data-key="images-search"]');
      await search.pressSequentially("Kim Mina");
      await search.evaluate((input) => input.setSelectionRange(1, 3));
      await page.waitForTimeout(2500);
      assert.deepEqual(await page.evaluate((keys) => keys.map((key, at) => document.querySelector(`[data-key="${key}"]`) === window.held[at]), held), held.map(() => true));
      assert.deepEqual(await search.evaluate((input) => [input === document.activeElement, input.value, input.selectionStart, input.selectionEnd]), [true, "Kim Mina", 1, 3]);
      assert.equal(looks("run-0"), before[0], "run-0 has ended");
      assert.ok(looks("run-1") > before[1], "run-1 is followed");
      assert.ok(asked.every(([what, query]) => what !== "find" || !JSON.stringify(query).includes("Kim")), "what is not sent is not searched");
    }, { answers: server({ asked, ends: (id) => id === "run-0" }) });
  });

  test("an older search that answers later does not take the place of the newer", async () => {
    const series = (name) => [{ ID: name, ParentStudy: "study", Instances: [`${name}-picture`], MainDicomTags: { Modality: "XC" } }];
    let late = () => {};
    const find = async ({ Query: { PatientName: name = "", PatientID: id = "", Modality } }) => {
      if (Modality === "OT" || id) return [];
      if (name.includes("slow")) await new Promise((resolve) => { late = resolve; });
      return series(name.replaceAll("*", "") || "all");
    };
    await bench.on("#/images", async (page) => {
      const search = async (text) => {
        await page.locator('[data-key="images-search"]').fill(text);
        await page.locator('[data-key="images-find"]').click();
      };
      await page.locator('[data-key="image-all-picture"]').waitFor();
      await search("slow");
      await page.waitForTimeout(200);
      await search("fast");
      await page.locator('[data-key="image-fast-picture"]').waitFor();
      late();
      await page.waitForTimeout(500);
      assert.equal(await page.locator('[data-key="image-fast-picture"]').count(), 1);
      assert.equal(await page.locator('[data-key="image-slow-picture"]').count(), 0);
    }, { answers: server({ find }) });
  });

  test("this plugin's heat maps, however many, leave the pictures of others in sight", async () => {
    const one = (id, tags) => ({ ID: id, ParentStudy: "study", Instances: [`${id}-picture`], MainDicomTags: { Modality: "OT", ...tags } });
    const others = [...Array.from({ length: 150 }, (_, at) => one(`ours-${at}`, { Manufacturer: "orthanc-ai" })), one("theirs", { Manufacturer: "Camera" })];
    const find = ({ Query, Since = 0, Limit }) => (Query.Modality === "OT" ? others.slice(Since, Since + Limit) : []);
    await bench.on("#/images", async (page) => {
      await page.locator('[data-key="image-theirs-picture"]').waitFor();
      assert.equal(await page.locator(".image-grid li").count(), 1);
    }, { answers: server({ find }) });
  });

  test("a file that is dropped beside its place does not take the page away", async () => {
    await bench.on("#/images", async (page) => {
      await page.locator(".drop").waitFor();
      const prevented = await page.evaluate(() => ["dragover", "drop"].map((name) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(8)], "a.png", { type: "image/png" }));
        return !document.querySelector("h1").dispatchEvent(new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: transfer }));
      }));
      assert.deepEqual(prevented, [true, true]);
      assert.equal(await page.locator(".drop li").count(), 0, "nor is it taken");
    }, { answers: server() });
  });

  test("an image of the archive itself is found and shown", async (context) => {
    if (process.env.ORTHANC_URL) return context.skip("what a live archive holds is not known here");
    await bench.on("#/images", async (page) => {
      await page.locator(".image-grid li").nth(3).waitFor();
      assert.equal(await page.locator(".image-grid li").count(), 4, "the four mammograms, and no slice of the MR");
      assert.match(await page.locator(".image-grid li").first().innerText(), /Phantom Synthetic/);
      await page.waitForFunction(() => [...document.querySelectorAll(".image-grid img")].every((image) => image.complete && image.naturalWidth > 0));
    });
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [device, viewport] of [["desktop", { width: 1280, height: 900 }], ["tablet", { width: 768, height: 1024 }], ["phone", { width: 390, height: 844 }]]) {
      test(`images, ${colorScheme}, ${device}: axe-core finds nothing serious, nothing runs over the edge`, async () => {
        await bench.on("#/images", async (page) => {
          await page.locator('[data-key="images-files"]').setInputFiles([picture("a-very-long-name-of-a-picture-as-cameras-and-people-give-them-20260102-030405-final.png")]);
          await page.locator('[data-key="images-id"]').fill("4711");
          await startButton(page).click();
          await page.locator("main").getByText("1 of 1 runs have ended").waitFor();
          await page.locator('[data-key="images-files"]').setInputFiles([picture("another.png")]);
          await page.getByText("another.png").waitFor();
          await shot(page, `images-${colorScheme}-${device}`);
          assert.deepEqual(await serious(page), []);
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.ok(over <= 0, `${over} px over the edge`);
        }, { options: { colorScheme, viewport }, answers: server() });
      });
    }
  }

  test("nothing broke the content security policy, no page error, no request to elsewhere", () => {
    assert.deepEqual(bench.faults, []);
  });
});
