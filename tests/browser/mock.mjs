// A stand-in for the plugin's REST interface, in front of a real Orthanc: it serves the assets that the plugin embeds,
// plays runs over time, adds the buttons to Orthanc Explorer, and hands everything else on to Orthanc.
import { createHash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { fileURLToPath } from "node:url";
import { segmentationModel } from "./canned.mjs";
import { DCE, inTumour } from "./dicom.mjs";
import { png } from "./png.mjs";

const WEB = new URL("../../src/web/", import.meta.url);
const MODELS = new URL("../../models/", import.meta.url);
const TYPES = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8", svg: "image/svg+xml" };
const STAGES = ["fetch", "read", "prepare", "infer", "encode", "store"];
const RUN_MS = 3000;
const DISPLAYED = 1; // the channel on whose slices a segmentation is shown
/** Class probabilities by view, in the order of the manifest's classes. */
const FINDINGS = { "L-CC": [0.0121, 0.0093, 0.0078, 0.9708], "R-CC": [0.9132, 0.0331, 0.0402, 0.0135], "L-MLO": [0.021, 0.0164, 0.7011, 0.2615], "R-MLO": [0.1023, 0.8217, 0.0451, 0.0309] };

class Refusal extends Error {
  constructor(status, details) {
    super(details);
    this.status = status;
  }
}

async function models() {
  const classifying = await Promise.all(["mammography-4view", "mammography-4view-demo"].map(async (name) => {
    const manifest = JSON.parse(await readFile(new URL(`${name}/manifest.json`, MODELS)));
    const ready = manifest.demo === true;
    const { count, views } = manifest.input.select.Images;
    return {
      Name: name, Title: manifest.title, Version: manifest.version, Demo: ready, State: ready ? "Ready" : "NoWeights",
      Reason: ready ? null : `${manifest.weights.file} is not in the model's folder`, Description: manifest.description,
      Disclaimer: manifest.report.disclaimer, Task: "Classification", Count: count, Views: views, Channels: [], Segments: [],
      Classes: manifest.task.Classification.classes.map((one) => ({ Name: one.name, Color: one.color, Translations: one.translations })),
      WeightsFile: manifest.weights.file, WeightsSha256: ready ? createHash("sha256").update(name).digest("hex") : null, LoadSeconds: ready ? 0.21 : null,
    };
  }));
  return [...classifying, segmentationModel()];
}

/** What a perfect model would say of the tests' DCE study: the tumour's numbers, and the frames of the SEG by slice. */
function segmented() {
  const { slices, rows, columns, sliceMm, rowMm, columnMm, phases, tumour } = DCE;
  const areas = Array.from({ length: slices }, (_, slice) => Array.from({ length: rows * columns }, (__, at) => inTumour(slice, Math.floor(at / columns), at % columns)).filter(Boolean).length);
  const held = [...areas.keys()].filter((slice) => areas[slice] > 0);
  const voxels = areas.reduce((sum, area) => sum + area, 0);
  const signal = [280, 900, 800, 700];
  const [model] = segmentationModel().Segments;
  const volume = voxels * sliceMm * rowMm * columnMm / 1000;
  const axis = 2 * Math.max(tumour.radii[0] * sliceMm, tumour.radii[1] * rowMm, tumour.radii[2] * columnMm);
  return {
    frames: held,
    Segmentation: {
      Slices: slices, SeriesUid: "2.25.91121.2", Channel: phases[DISPLAYED], SegInstanceUid: "2.25.91121.8.1", SegSeriesUid: "2.25.91121.8",
      Segments: [{
        Name: model.Name, Color: model.Color, Found: true, VolumeMl: volume, LongAxisMm: axis, RatioPercent: 100 * voxels / (slices * rows * columns),
        Channels: phases.map((name, phase) => ({ Name: name, Mean: signal[phase], ...(phase ? { EnhancementPercent: 100 * (signal[phase] / signal[0] - 1) } : {}) })),
        FirstSlice: held[0], LastSlice: held.at(-1), OutlineSlice: areas.indexOf(Math.max(...areas)), Finding: `${model.Name}: ${volume.toFixed(1)} ml, longest diameter ${axis.toFixed(1)} mm`,
      }],
    },
  };
}

/** A frame of that SEG as the plugin draws it without its source: the segment's colour, transparent elsewhere. */
function overlay(frame) {
  const slice = segmented().frames[frame];
  if (slice === undefined) throw new Refusal(404, `frame: found ${frame}`);
  const color = [1, 3, 5].map((at) => parseInt(segmentationModel().Segments[0].Color.slice(at, at + 2), 16));
  return png(DCE.rows, DCE.columns, (row, column) => (inTumour(slice, row, column) ? [...color, 255] : [0, 0, 0, 0]));
}

/** The page of that SEG's surface, as the plugin makes one (src/web/surface.rs), of a tetrahedron about the tumour's size. */
async function surface() {
  const [three, viewer, style] = await Promise.all(["vendor/three/three.min.js", "surface/viewer.js", "surface/viewer.css"].map((name) => readFile(new URL(name, WEB), "utf8")));
  const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const policy = `default-src 'none'; script-src ${hash(three)} ${hash(viewer)}; style-src ${hash(style)}; img-src data: blob:; base-uri 'none'; form-action 'none'`;
  const { tumour: { center, radii }, sliceMm, rowMm, columnMm } = DCE;
  const origin = [-80 + (center[2] - radii[2]) * columnMm, -70 + (center[1] - radii[1]) * rowMm, (center[0] - radii[0]) * sliceMm];
  const extent = [2 * radii[2] * columnMm, 2 * radii[1] * rowMm, 2 * radii[0] * sliceMm];
  const base64 = (array) => Buffer.from(array.buffer).toString("base64");
  const positions = base64(Uint16Array.from([0, 0, 0, 65535, 0, 0, 0, 65535, 0, 0, 0, 65535]));
  const triangles = base64(Uint32Array.from([0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3]));
  const data = JSON.stringify({ segments: [{ number: 1, label: "Tumour", color: "#d32f2f", volumeMl: 3.2, origin, extent, positions, triangles }] });
  const html = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>3D</title><style>${style}</style></head><body><header><h1 data-text="title"></h1><p class="mark" data-text="mark"></p></header>
<main><div id="view"><p id="problem" role="alert" hidden></p></div><aside><h2 data-text="segments">Segments</h2><ul id="segments"></ul><h2 data-text="look">Look</h2><div id="sides"></div></aside></main>
<script type="application/json" id="data">${data}</script><script>${three}</script><script>${viewer}</script></body></html>`;
  return { html, policy: `${policy}; frame-ancestors 'self'` };
}

/** The mock of the plugin: `orthanc` is the base URL of the real server. */
class Plugin {
  runs = [];

  constructor(orthanc) {
    this.orthanc = orthanc;
  }

  async ask(path) {
    const response = await fetch(this.orthanc + path);
    if (!response.ok) throw new Refusal(404, `${path} does not exist`);
    return response.json();
  }

  async applicability(level, id) {
    const resource = await this.ask(`/${level}/${id}`);
    const instances = level === "instances" ? [resource] : await this.ask(`/${level}/${id}/instances`);
    const parent = level === "studies" ? null : `/studies/${level === "series" ? resource.ParentStudy : (await this.ask(`/series/${resource.ParentSeries}`)).ParentStudy}`;
    return {
      Resource: `/${level}/${id}`, Parent: parent,
      Models: (await models()).map((model) => {
        const needed = model.Channels.length ? model.Channels.length * DCE.slices : model.Count;
        const applies = instances.length === needed;
        const reason = `${needed} images are needed, found ${instances.length}${parent ? ": use the study" : ""}`;
        return { Model: model.Name, Title: model.Title, Demo: model.Demo, Applies: applies, Reason: applies ? "" : reason, Images: instances.length, State: model.State };
      }),
      Runs: this.runs.filter((run) => run.Resource === `/${level}/${id}`).map((run) => this.now(run)),
    };
  }

  async start(level, id, body) {
    const { Models: candidates } = await this.applicability(level, id);
    const wanted = candidates.filter((model) => (body.Model ? model.Model === body.Model : model.Applies && model.State === "Ready"));
    if (body.Model && !wanted.length) throw new Refusal(400, `Model: there is no "${body.Model}"`);
    if (!wanted.length || !wanted[0].Applies) throw new Refusal(422, (wanted[0] ?? candidates[0]).Reason);
    if (wanted[0].State !== "Ready") throw new Refusal(422, `${wanted[0].Model} has no weights`);
    const model = (await models()).find((one) => one.Name === wanted[0].Model);
    const again = !body.Force && this.runs.some((run) => run.Resource === `/${level}/${id}` && run.Model === model.Name);
    const run = {
      ID: randomUUID(), Model: model.Name, ModelTitle: model.Title, Version: model.Version, Demo: model.Demo, Disclaimer: model.Disclaimer,
      Resource: `/${level}/${id}`, Study: id, Origin: "Rest", JobID: null, started: Date.now(), cancelled: null, again,
      outcome: model.Task === "Segmentation" ? await this.segment(id) : await this.classify(level, id, model),
    };
    this.runs.unshift(run);
    return body.Synchronous ? this.now(run) : { ID: run.ID, Path: `/ai/runs/${run.ID}`, Model: run.Model };
  }

  async classify(level, id, model) {
    const instances = level === "instances" ? [await this.ask(`/instances/${id}`)] : await this.ask(`/${level}/${id}/instances`);
    const results = await Promise.all(instances.map(async (instance) => {
      const tags = await this.ask(`/instances/${instance.ID}/simplified-tags`);
      const view = `${tags.ImageLaterality}-${tags.ViewPosition}`;
      const found = FINDINGS[view] ?? [0.25, 0.25, 0.25, 0.25];
      const best = found.indexOf(Math.max(...found));
      return {
        View: view, Success: true, Class: model.Classes[best].Name, Color: model.Classes[best].Color, Probability: found[best],
        AllProbabilities: Object.fromEntries(model.Classes.map((one, index) => [one.Name, found[index]])), Error: null, InstanceUid: tags.SOPInstanceUID, InstanceID: instance.ID,
      };
    }));
    results.sort((a, b) => model.Views.indexOf(a.View) - model.Views.indexOf(b.View));
    return { Results: results, Stored: [{ ID: results[0].InstanceID, Kind: "SR", Path: `/instances/${results[0].InstanceID}`, SeriesID: "", StudyID: id }] };
  }

  async segment(study) {
    const series = (await this.ask(`/studies/${study}/series`)).sort((a, b) => a.MainDicomTags.SeriesNumber - b.MainDicomTags.SeriesNumber)[DISPLAYED];
    const height = (instance) => Number(instance.MainDicomTags.ImagePositionPatient.split("\\")[2]);
    const instances = (await this.ask(`/series/${series.ID}/instances`)).sort((a, b) => height(a) - height(b));
    const { frames, Segmentation } = segmented();
    return {
      Results: [], Segmentation,
      Slices: instances.map(({ ID }, slice) => ({ InstanceID: ID, Frame: null, Analysed: slice > 1 && slice < instances.length - 1, MaskFrames: frames.includes(slice) ? [frames.indexOf(slice)] : [] })),
      Stored: ["SEG", "SR"].map((kind) => ({ ID: `mock-${kind.toLowerCase()}`, Kind: kind, Path: `/instances/mock-${kind.toLowerCase()}`, SeriesID: `mock-series-${kind.toLowerCase()}`, StudyID: study })),
    };
  }

  /** A run as it stands at this moment. */
  now({ started, cancelled, outcome, again, ...run }) {
    const share = Math.min(((cancelled ?? Date.now()) - started) / RUN_MS, 1);
    const done = share === 1;
    const iso = (ms) => new Date(ms).toISOString();
    const state = cancelled ? "Cancelled" : done ? "Succeeded" : share < 0.05 ? "Queued" : "Running";
    return {
      ...run, State: state, Progress: Math.round(100 * share), Stage: state === "Running" ? STAGES[Math.floor(share * STAGES.length)] : null,
      Created: iso(started), Started: share < 0.05 ? null : iso(started + 50), Finished: done || cancelled ? iso(cancelled ?? started + RUN_MS) : null,
      StageSeconds: done ? { fetch: 0.31, read: 0.42, prepare: 0.38, infer: 1.77, encode: 0.02, store: 0.05 } : {},
      Error: null, Status: done ? (again ? "AlreadyStored" : "Stored") : null, Warnings: [],
      ...(done ? outcome : { Results: [], Stored: [] }),
    };
  }

  find(id) {
    const run = this.runs.find((one) => one.ID === id);
    if (!run) throw new Refusal(404, `There is no run ${id}`);
    return run;
  }

  /** The answer of a route, or undefined where it is Orthanc's own. */
  async answer(method, path, query, body) {
    const [first, id, verb, ...rest] = path.slice(1).split("/");
    if (first === "ai" && id === undefined) {
      return { Version: "0.0.0-mock", ApiVersion: 1, Device: "cpu", Threads: 2, OrthancVersion: (await this.ask("/system")).Version, QueueLength: this.runs.filter((run) => this.now(run).State === "Queued").length, QueueLimit: 16, Models: await models() };
    }
    if (path === "/ai/models") return models();
    if (path === "/ai/runs") return this.runs.slice(0, Number(query.get("limit") ?? 100)).map((run) => this.now(run));
    if (first === "ai" && id === "runs") {
      const [runId, action] = [verb, ...rest];
      const run = this.find(runId);
      if (method === "GET" && !action) return this.now(run);
      if (method === "POST" && action === "cancel") return { ...this.now(Object.assign(run, { cancelled: Date.now() })) };
      if (method === "POST" && action === "retry") return this.start("studies", run.Study, { Model: run.Model });
      if (method === "DELETE" && !action) {
        this.runs = this.runs.filter((one) => one !== run);
        return {};
      }
    }
    if (["studies", "series", "instances"].includes(first) && verb === "ai" && !rest.length) {
      if (method === "GET") return this.applicability(first, id);
      if (method === "POST") return this.start(first, id, body);
    }
    return undefined;
  }
}

async function asset(name) {
  try {
    return await readFile(new URL(name || "index.html", new URL("app/", WEB)));
  } catch {
    throw new Refusal(404, `There is no ${name}`);
  }
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function proxy(orthanc, request, response, path, body) {
  const upstream = http.request(orthanc + path, { method: request.method, headers: { ...request.headers, connection: "close" } }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  upstream.on("error", () => response.destroy());
  upstream.end(body);
}

/**
 * Starts the mock before `orthanc` under a path prefix, as a hospital's reverse proxy would; gives its base URL and how to stop it.
 * `answers`, as `intercept` of the harness takes them, come before its own.
 */
export async function startMock(orthanc, prefix = "/pacs/orthanc", port = 0, answers = []) {
  const plugin = new Plugin(orthanc);
  const policy = /CONTENT_SECURITY_POLICY: &str = "([^"]+)"/.exec(await readFile(new URL("mod.rs", WEB), "utf8"))[1];
  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url, "http://mock");
    const path = url.pathname.startsWith(`${prefix}/`) ? url.pathname.slice(prefix.length) : null;
    const send = (status, type, body, headers = {}) => response.writeHead(status, { "Content-Type": type, ...headers }).end(body);
    try {
      if (path === null) throw new Refusal(404, "outside of the prefix");
      const body = await bodyOf(request);
      for (const [, answer] of answers.filter(([pattern]) => pattern.test(path))) {
        const given = typeof answer === "function" ? await answer({ url: () => url.href, method: () => request.method }) : answer;
        if (given) return send(given.status ?? 200, given.contentType ?? "application/json", given.body ?? JSON.stringify(given.json), given.headers);
      }
      // The plugin answers both with a page that goes there, since Orthanc does not tell them apart.
      if (path === "/ai/app" || path === "/ai/app/") return response.writeHead(302, { Location: `${prefix}/ai/app/index.html` }).end();
      if (path.startsWith("/ai/app/")) {
        const name = path.slice("/ai/app/".length);
        return send(200, TYPES[name.split(".").pop()], await asset(name), { "Content-Security-Policy": policy });
      }
      if (path === "/plugins/explorer.js") {
        const own = await (await fetch(orthanc + path)).text();
        return send(200, TYPES.js, own + await readFile(new URL("explorer.js", WEB), "utf8"));
      }
      const report = /^\/ai\/runs\/([^/]+)\/report\.(pdf|html|csv)$/.exec(path);
      if (report) {
        plugin.find(report[1]);
        const [type, content] = { pdf: ["application/pdf", "%PDF-1.7"], html: [TYPES.html, "<!DOCTYPE html><title>mock</title>"], csv: ["text/csv; charset=utf-8", "\ufeffModel\r\n"] }[report[2]];
        return send(200, type, content, { "Content-Disposition": `inline; filename="ai-report-${report[1]}.${report[2]}"` });
      }
      if (path === "/series/mock-series-seg/ai/overlays.zip") return send(200, "application/zip", "PK\u0005\u0006" + "\0".repeat(18));
      if (path === "/series/mock-series-seg/ai/surface.html") {
        const { html, policy: own } = await surface();
        return send(200, TYPES.html, html, { "Content-Security-Policy": own });
      }
      if (path === "/instances/mock-seg/ai/overlay.png") return send(200, "image/png", overlay(Number(url.searchParams.get("frame"))), { "Cache-Control": "private, max-age=3600" });
      const json = body.length && /json/.test(request.headers["content-type"] ?? "") ? JSON.parse(body) : {};
      const isAi = /^\/ai(\/|$)|^\/(studies|series|instances)\/[^/]+\/ai$/.test(path);
      if (isAi && request.method === "POST" && !/^application\/json/.test(request.headers["content-type"] ?? "")) throw new Refusal(400, "Content-Type must be application/json");
      const answer = await plugin.answer(request.method, path, url.searchParams, json);
      if (answer === undefined) return proxy(orthanc, request, response, path + url.search, body);
      return send(200, "application/json", JSON.stringify(answer));
    } catch (error) {
      const status = error.status ?? 500;
      return send(status, "application/json", JSON.stringify({ HttpError: http.STATUS_CODES[status], HttpStatus: status, Message: "Refused", Method: request.method, OrthancError: "Refused", OrthancStatus: 0, Uri: url.pathname, Details: error.message }));
    }
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { base: `http://127.0.0.1:${server.address().port}${prefix}`, stop: () => { server.closeAllConnections(); server.close(); } };
}

// By itself, to work on the page without building the plugin: node mock.mjs ORTHANC_URL [PORT]
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [orthanc = "http://127.0.0.1:8042", port = "8043"] = process.argv.slice(2);
  const { base } = await startMock(orthanc.replace(/\/$/, ""), "", Number(port));
  console.log(`${base}/ai/app/ and ${base}/app/explorer.html before ${orthanc}`);
}
