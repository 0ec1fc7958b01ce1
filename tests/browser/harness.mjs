// What the specs stand on: a server (a live plugin, or the mock before an Orthanc of our own), a study in it, a browser.
import { spawn } from "node:child_process";
import { mkdtemp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { dceStudy, mammographyStudy } from "./dicom.mjs";
import { startMock } from "./mock.mjs";

// No process of the browser's own may reach out: what the page loads from elsewhere must fail.
export const CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"];

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Below the ports that the kernel gives to connections (from 32768): one of these may be taken before the server listens. */
const freePort = (port = 12000 + Math.floor(20000 * Math.random())) => new Promise((resolve) => {
  const server = net.createServer().listen(port, "127.0.0.1", () => server.close(() => resolve(port)));
  server.on("error", () => resolve(freePort()));
});

async function startOrthanc() {
  const folder = await mkdtemp(path.join(os.tmpdir(), "orthanc-browser-"));
  const port = await freePort();
  const config = path.join(folder, "orthanc.json");
  await writeFile(config, JSON.stringify({ Name: "browser test", StorageDirectory: folder, IndexDirectory: folder, HttpPort: port, DicomServerEnabled: false, RemoteAccessAllowed: false, AuthenticationEnabled: false, Plugins: [] }));
  const [command, ...args] = (process.env.ORTHANC_COMMAND ?? "Orthanc").split(" ");
  const server = spawn(command, [...args, config], { stdio: "ignore" });
  const ended = new Promise((resolve) => { server.on("exit", resolve); server.on("error", resolve); });
  const base = `http://127.0.0.1:${port}`;
  for (let attempt = 0; ; attempt += 1) {
    if (await fetch(`${base}/system`).then((answer) => answer.ok, () => false)) break;
    if (attempt === 100 || server.exitCode !== null) throw new Error(`${command} does not start: install Orthanc or name it in ORTHANC_COMMAND`);
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
  return { base, async stop() { server.kill(); await ended; await rm(folder, { recursive: true }); } };
}

async function upload(base, files) {
  let study;
  for (const file of files) {
    const answer = await fetch(`${base}/instances`, { method: "POST", body: file });
    if (!answer.ok) throw new Error(`upload: HTTP ${answer.status} ${await answer.text()}`);
    study = (await answer.json()).ParentStudy;
  }
  return study;
}

/**
 * The server under test: ORTHANC_URL and STUDY_ID name a live plugin and a study of four views there, DCE_STUDY_ID one of breast
 * DCE-MRI, if there is one; else the mock.
 */
async function startServer() {
  if (process.env.ORTHANC_URL) {
    if (!process.env.STUDY_ID) throw new Error("ORTHANC_URL is set: STUDY_ID must name a four-view study in it");
    return { base: process.env.ORTHANC_URL.replace(/\/$/, ""), study: process.env.STUDY_ID, dceStudy: process.env.DCE_STUDY_ID ?? null, stop() {} };
  }
  const orthanc = await startOrthanc();
  try {
    const study = await upload(orthanc.base, mammographyStudy());
    const dce = await upload(orthanc.base, dceStudy());
    const mock = await startMock(orthanc.base);
    return { base: mock.base, study, dceStudy: dce, async stop() { mock.stop(); await orthanc.stop(); } };
  } catch (error) {
    await orthanc.stop();
    throw error;
  }
}

/**
 * Server and browser. `open(options)` gives a page of its own context whose faults are collected in `faults` (`origin`: the server that
 * it may ask, where that is not the one under test); `on(hash, use)` opens
 * the page /ai/app/ there, with canned answers `[[pattern, answer]]`, and closes it when `use` is done.
 */
export async function start() {
  const server = await startServer();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: CHROMIUM_ARGS });
  const faults = [];
  const open = async ({ origin = server.base, ...options } = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB", timezoneId: "Asia/Seoul", serviceWorkers: "block", ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(20000);
    page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
    page.on("console", (message) => { if (/Content Security Policy/i.test(message.text())) faults.push(message.text()); });
    page.on("request", (request) => {
      const { origin: asked, protocol } = new URL(request.url());
      if (asked !== new URL(origin).origin && !["data:", "blob:"].includes(protocol)) faults.push(`external request: ${request.url()}`);
    });
    return page;
  };
  const app = (hash) => `${server.base}/ai/app/index.html${hash}`;
  const on = async (hash, use, { options, answers = [] } = {}) => {
    const page = await open(options);
    for (const [pattern, answer] of answers) await intercept(page, server.base, pattern, typeof answer === "function" ? answer : () => answer);
    await page.goto(app(hash));
    await use(page);
    await page.context().close();
  };
  return { ...server, faults, open, app, on, async stop() { await browser.close(); await server.stop(); } };
}

/** Saves a picture of the page under SHOTS, where that is set. */
export async function shot(page, name) {
  if (!process.env.SHOTS) return;
  await mkdir(process.env.SHOTS, { recursive: true });
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.screenshot({ path: path.join(process.env.SHOTS, `${name}.png`), fullPage: true });
}

/** axe-core's findings of impact serious or critical; run in the page, past its content security policy. */
export async function serious(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join("; ")}`);
}

/** Answers requests whose path (below the base) matches `pattern` with `answer(request)`: {status, json or body, headers}; undefined: goes through. */
export function intercept(page, base, pattern, answer) {
  return page.route((url) => url.href.startsWith(base) && pattern.test(url.pathname.slice(new URL(base).pathname.replace(/\/$/, "").length)), async (route) => {
    const given = await answer(route.request());
    return given === undefined ? route.fallback() : route.fulfill({ status: given.status ?? 200, json: given.json, body: given.body, contentType: given.contentType, headers: given.headers });
  });
}
