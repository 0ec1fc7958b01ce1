// OHIF's files and, on the same origin, the DICOMweb interface of an Orthanc: what a reverse proxy in a hospital does.
import { readFile, readdir } from "node:fs/promises";
import http from "node:http";
import path from "node:path";

const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", mjs: "text/javascript", css: "text/css", json: "application/json", svg: "image/svg+xml", wasm: "application/wasm", png: "image/png", ico: "image/x-icon", woff2: "font/woff2" };
const DOCUMENTS = new URL("../../docs/ohif/", import.meta.url);

/** The files below `folder`: address path -> path on disk. Nothing but these can be asked for. */
async function filesBelow(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return new Map(entries.filter((entry) => entry.isFile()).map((entry) => {
    const file = path.join(entry.parentPath ?? entry.path, entry.name);
    return [`/${path.relative(folder, file).split(path.sep).join("/")}`, file];
  }));
}

/** Hands a request on; the Host header stays, as Orthanc makes the addresses in its answers from it. */
function proxy(orthanc, request, response) {
  const upstream = http.request(orthanc + request.url, { method: request.method, headers: { ...request.headers, connection: "close" } }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  upstream.on("error", () => response.destroy());
  response.on("close", () => upstream.destroy());
  request.pipe(upstream);
}

/** Serves the viewer in `dist` before `orthanc` (a base URL) on a free loopback port; its configuration is these files of docs/ohif, one after the other. */
export async function serveViewer(dist, orthanc, configuration = ["app-config.js"]) {
  const files = await filesBelow(dist);
  const config = Buffer.concat(await Promise.all(configuration.map((name) => readFile(new URL(name, DOCUMENTS)))));
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://viewer");
    if (/^\/(dicom-web|wado)(\/|$)/.test(pathname)) return proxy(orthanc, request, response);
    // Addresses inside the viewer (/viewer?…) have no file: they lead to its only page.
    const name = files.has(decodeURIComponent(pathname)) ? decodeURIComponent(pathname) : path.extname(pathname) ? null : "/index.html";
    if (name === null) return response.writeHead(404).end();
    const body = name === "/app-config.js" ? config : await readFile(files.get(name));
    return response.writeHead(200, { "Content-Type": TYPES[path.extname(name).slice(1)] ?? "application/octet-stream", "Content-Length": body.length }).end(body);
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  return { base: `http://127.0.0.1:${server.address().port}`, stop: () => { server.closeAllConnections(); server.close(); } };
}
