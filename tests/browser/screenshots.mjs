// Pictures of the page for docs/screenshots, of an Orthanc that is made for it (an empty one: the demo studies are put into it and analysed):
//
//     ORTHANC_URL=http://127.0.0.1:8042 node screenshots.mjs ../../docs/screenshots
import path from "node:path";
import { chromium } from "playwright-core";
import { CHROMIUM_ARGS } from "./harness.mjs";

const { ORTHANC_URL: base, CHROMIUM = "/usr/bin/chromium" } = process.env;
const folder = process.argv[2];

const ask = async (where, body) => {
  const answer = await fetch(base + where, body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${where}: HTTP ${answer.status}: ${await answer.text()}`);
  return answer.json();
};

/** The run of a model on the study that it takes, once it has succeeded. */
async function analysed(model) {
  for (const study of await ask("/studies")) {
    const { Models: models } = await ask(`/studies/${study}/ai`);
    if (!models.find((one) => one.Model === model)?.Applies) continue;
    return { study, run: (await ask(`/studies/${study}/ai`, { Model: model, Synchronous: true })).ID };
  }
  throw new Error(`${model} takes no study`);
}

await ask("/ai/demo", {});
const runs = {};
for (const model of ["mammography-4view-demo", "breast-dce-swinunetr-demo", "head-ct-haemorrhage-demo"]) {
  runs[model] = await analysed(model);
}
const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: [...CHROMIUM_ARGS, "--enable-unsafe-swiftshader"] });

/** A picture of a view, when it holds what `there` names and `act` has been done. */
async function shot(name, address, there, { locale = "en-GB", colorScheme = "light", act = async () => {} } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale, colorScheme });
  const page = await context.newPage();
  await page.goto(`${base}/ai/app/index.html#${address}`);
  await page.locator(there).first().waitFor();
  await act(page);
  await page.waitForTimeout(1500);
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
  await context.close();
}

const threeD = async (page) => {
  await page.getByRole("button", { name: /3D/ }).first().click();
  await page.locator("iframe").waitFor();
  await page.waitForTimeout(4000);
};
await shot("page-runs", "/", "main table, main .cards, main li");
await shot("page-studies", "/studies", "main table, main li");
await shot("page-mammography-ko", `/runs/${runs["mammography-4view-demo"].run}`, ".cards", { locale: "ko-KR" });
await shot("page-segmentation-3d", `/runs/${runs["breast-dce-swinunetr-demo"].run}`, ".slice-stage[data-slice]", { act: threeD });
await shot("page-head-ct-dark", `/runs/${runs["head-ct-haemorrhage-demo"].run}`, ".slice-stage[data-slice]", { colorScheme: "dark" });
await browser.close();
