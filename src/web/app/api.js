// The REST interface: Orthanc's own routes and the plugin's.
import { ROOT, TOKENS, send, take } from "./early.js";
import { t } from "./text.js";
import { readNumpy } from "./values.js";

/** A request that failed. `status` is the HTTP status, 0 where no answer came. `message` is for people. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(method, path, body) {
  let response, text;
  try {
    ({ response, text } = await ((method === "GET" && take(path)) || send(method, path, body)));
  } catch {
    throw new ApiError(0, t("error.offline"));
  }
  if (!response.ok) throw new ApiError(response.status, reason(response, text));
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    throw new ApiError(response.status, t("error.notJson"));
  }
}

/** Why the server refused, in its own words where it has any (`Details` is the specific half of Orthanc's form). */
function reason(response, text) {
  let said = "";
  try {
    const error = JSON.parse(text);
    said = error.Details || error.Message || "";
  } catch {
    // A proxy's HTML page says nothing a reader could use.
  }
  const after = response.headers.get("Retry-After");
  const words = said || (response.status === 404 ? t("error.notFound") : t("error.refused"));
  const wait = response.status === 503 && after ? ` ${t("error.retryAfter", { seconds: after })}` : "";
  return `${words}${wait} (HTTP ${response.status})`;
}

const id = encodeURIComponent;

export const getServer = () => request("GET", "ai");
export const getRuns = (limit, { state, model } = {}) => request("GET", `ai/runs?${new URLSearchParams({ limit, ...(state ? { state } : {}), ...(model ? { model } : {}) })}`);
export const getRun = (run) => request("GET", `ai/runs/${id(run)}`);
export const getApplicability = (level, resource) => request("GET", `${level}/${id(resource)}/ai`);
export const startRun = (level, resource, body) => request("POST", `${level}/${id(resource)}/ai`, body);
export const cancelRun = (run) => request("POST", `ai/runs/${id(run)}/cancel`, {});
export const retryRun = (run) => request("POST", `ai/runs/${id(run)}/retry`, {});
export const deleteRun = (run) => request("DELETE", `ai/runs/${id(run)}`);

/** How many studies the archive has; null where that may not be seen. */
export const countStudies = () => request("GET", "statistics").then((all) => Number(all.CountStudies), () => null);
export const storeDemoStudies = () => request("POST", "ai/demo", {});

/** Studies whose patient's name or ID holds `text`, or whose date begins with it; all where it is empty; the newest first, at most `limit`. */
export async function findStudies(text, limit) {
  const find = (query) => request("POST", "tools/find", { Level: "Study", Expand: true, Limit: limit, Query: query });
  const part = text.trim().replace(/[*?\\]/g, "");
  const queries = !part ? [{}] : /^\d{4,8}$/.test(part) ? [{ PatientID: `*${part}*` }, { StudyDate: part.length === 8 ? part : `${part}*` }] : [{ PatientName: `*${part}*` }, { PatientID: `*${part}*` }];
  const found = (await Promise.all(queries.map(find))).flat();
  const unique = [...new Map(found.map((study) => [study.ID, study])).values()];
  return unique.sort((a, b) => String(b.MainDicomTags?.StudyDate).localeCompare(String(a.MainDicomTags?.StudyDate))).slice(0, limit);
}

/** What readers said of a run's findings; an error where the server knows no such thing. */
export const getFeedback = (run) => request("GET", `ai/runs/${id(run)}/feedback`);
export const giveFeedback = (run, body) => request("POST", `ai/runs/${id(run)}/feedback`, body);
/** How often readers agree with a model; null where nobody can say. */
export const getAgreement = (model) => request("GET", `ai/models/${id(model)}/feedback`).catch(() => null);

const studies = new Map();

/** Orthanc's `/studies/{id}`, asked once; null where it may not be seen or is gone. */
export function getStudy(study) {
  if (!studies.has(study)) {
    studies.set(study, request("GET", `studies/${id(study)}`).catch((error) => {
      if (error.status === 0) studies.delete(study);
      return null;
    }));
  }
  return studies.get(study);
}

let models = null;

/** `/ai/models`, asked once: what a run's page needs of them (classes, translations) does not change under it. While one is loading, asked anew. */
export function getModels() {
  models ??= request("GET", "ai/models").then((all) => {
    if (all.some(({ State }) => State === "Loading")) models = null;
    return all;
  }, (error) => {
    models = null;
    throw error;
  });
  return models;
}

/** Address of a page of Orthanc Explorer: `page` is `study`, `series`, `instance` or `job`. */
export const explorerUrl = (page, resource) => new URL(`app/explorer.html#${page}?uuid=${id(resource)}`, ROOT).href;

let plugins = null;

/** Viewers that the server has, as `{name, url}` for a study of this StudyInstanceUID. */
export async function viewersFor(uid) {
  plugins ??= request("GET", "plugins").catch(() => []);
  const known = [["ohif", "OHIF", "ohif/viewer?StudyInstanceUIDs="], ["stone-webviewer", "Stone Web viewer", "stone-webviewer/index.html?study="]];
  const there = await plugins;
  return uid ? known.filter(([plugin]) => there.includes(plugin)).map(([, name, path]) => ({ name, url: new URL(path + id(uid), ROOT).href })) : [];
}

/** A model's card, as its author wrote it (Markdown); null where it has none. */
export async function getCard(model) {
  const response = await fetch(new URL(`ai/models/${id(model)}/card`, ROOT), { headers: TOKENS, credentials: "same-origin" }).catch(() => null);
  return response?.ok ? response.text() : null;
}

/** Address of what is made of a series that a run stored. */
export const seriesFileUrl = (series, file) => new URL(`series/${id(series)}/ai/${file}`, ROOT).href;

/** Address of a run's report as a file for people, in a language of the plugin's. */
export const reportUrl = (run, kind, language) => new URL(`ai/runs/${id(run)}/report.${kind}?language=${id(language)}`, ROOT).href;

/** Address of the picture of an instance in its own size and window. */
export const pictureUrl = (instance) => new URL(`instances/${id(instance)}/preview`, ROOT).href;

/** Address of a small picture of an instance or its frame (from 1): Orthanc scales it, a mammogram is megabytes at its full size. */
export const previewUrl = ({ InstanceID, FrameNumber }) => new URL(`instances/${id(InstanceID)}${FrameNumber ? `/frames/${FrameNumber - 1}` : ""}/rendered?width=480&height=480`, ROOT).href;

/** Address of a slice's picture. `window` is `[center, width]`, the same for every slice; null: stretched to what the slice holds. */
export function sliceUrl({ InstanceID, Frame }, window) {
  const place = Frame === null || Frame === undefined ? "" : `/frames/${id(Frame)}`;
  const picture = window ? `rendered?window-center=${id(window[0])}&window-width=${id(window[1])}` : "preview";
  return new URL(`instances/${id(InstanceID)}${place}/${picture}`, ROOT).href;
}

/** Address of one frame of a segmentation as a picture: its segments' colours, transparent elsewhere. */
export const maskUrl = (segmentation, frame) => new URL(`instances/${id(segmentation)}/ai/overlay.png?frame=${id(frame)}&opacity=1&source=false`, ROOT).href;

/** The same over its source image. */
export const overlayUrl = (segmentation, frame) => new URL(`instances/${id(segmentation)}/ai/overlay.png?frame=${id(frame)}`, ROOT).href;

const ask = (url, accept, signal) => fetch(url, { headers: { Accept: accept, ...TOKENS }, credentials: "same-origin", signal });

/** What `read(response)` makes of the answer. Throws an `ApiError`; an `AbortError` where `signal` says so. */
async function binary(url, accept, signal, read) {
  let response;
  try {
    response = await ask(url, accept, signal);
    if (response.ok) return await read(response);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(response?.status ?? 0, t("error.offline"));
  }
  throw new ApiError(response.status, t("error.refused"));
}

/** What was asked for, null where the server refused it or is not to be reached. */
export const quietly = (promise) => promise.catch((error) => {
  if (error.name === "AbortError" || error.status === undefined) throw error;
  return null;
});

/** A picture, decoded, so that drawing it takes no time. */
export const getPicture = (url, signal) => binary(url, "image/png", signal, async (response) => createImageBitmap(await response.blob()));

/** A slice's pixel values after the modality LUT, `{rows, columns, values}`; false where they are no single grey value each. */
export function getValues({ InstanceID, Frame }, signal) {
  const url = new URL(`instances/${id(InstanceID)}/frames/${id(Frame ?? 0)}/numpy`, ROOT);
  return binary(url, "application/octet-stream", signal, async (response) => readNumpy(await response.arrayBuffer()) ?? false);
}

/** One attribute of an instance, by Orthanc's path (`0028-1050`, `5200-9229/0/…`); null where it is not there. */
export async function getText(instance, path) {
  const response = await fetch(new URL(`instances/${id(instance)}/content/${path}`, ROOT), { headers: TOKENS, credentials: "same-origin" }).catch(() => null);
  return response?.ok ? (await response.text()).replaceAll("\0", "").trim() : null;
}

/** The same as numbers. */
export async function getNumbers(instance, path) {
  const numbers = (await getText(instance, path))?.split("\\").map((text) => (text.trim() === "" ? NaN : Number(text)));
  return numbers?.every(Number.isFinite) ? numbers : null;
}

const PICTURES = ["XC", "DMS", "ES", "GM", "SM", "OP", "CR", "DX", "MG", "US", "IO", "PX"];
const OTHER = "OT"; // also of what this plugin stores
const OURS = "orthanc-ai";

/** Series of single images (photographs, radiographs), as `findStudies` finds studies; at most `limit`. */
export async function findImageSeries(text, limit) {
  const part = text.trim().replace(/[*?\\]/g, "");
  const queries = part ? [{ PatientName: `*${part}*` }, { PatientID: `*${part}*` }] : [{}];
  const find = (modality, query, since) => request("POST", "tools/find", { Level: "Series", Expand: true, Limit: limit, ...(since ? { Since: since } : {}), CaseSensitive: false, Query: { Modality: modality, ...query } });
  // Heat maps of this plugin may be many: they are passed over, and must not fill the limit.
  const findOther = async (query) => {
    const seen = new Set();
    const others = [];
    for (let since = 0; others.length < limit;) {
      const page = await find(OTHER, query, since);
      const fresh = page.filter(({ ID }) => !seen.has(ID));
      for (const series of fresh) seen.add(series.ID);
      others.push(...fresh.filter((series) => series.MainDicomTags?.Manufacturer !== OURS));
      if (page.length < limit || !fresh.length) break;
      since += page.length;
    }
    return others;
  };
  const found = (await Promise.all(queries.flatMap((query) => [find(PICTURES.join("\\"), query), findOther(query)]))).flat();
  return [...new Map(found.map((series) => [series.ID, series])).values()].filter((series) => series.MainDicomTags?.Manufacturer !== OURS).slice(0, limit);
}

/** Stores one picture (JPEG or PNG, base64) of a patient. */
export const storePicture = (content, name, patient) => request("POST", "ai/images", { Images: [{ Content: content, Name: name }], Patient: patient });
