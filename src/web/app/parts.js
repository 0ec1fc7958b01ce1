// Parts that several views share: badges, bars, the strip that says whose study this is, the table of runs.
import { explorerUrl, getRun, getStudy } from "./api.js";
import { classColor, h, withVariables } from "./dom.js";
import { className, decimals, dicomDate, language, millilitres, moment, named, percent, personName, seconds, t } from "./text.js";

export const isLoading = (model) => model.State === "Loading";
export const isActive = (run) => run.State === "Queued" || run.State === "Running";

/** `follow(ids)`: these runs as they are now, without those that are not to be had. One that has ended is not asked for again. */
export function runFollower() {
  const ended = new Map();
  return async (ids) => {
    const runs = await Promise.all(ids.map((id) => ended.get(id) ?? getRun(id).catch(() => null)));
    for (const run of runs) if (run && !isActive(run)) ended.set(run.ID, run);
    return runs.filter(Boolean);
  };
}

export const badge = (state) => h("span", { class: `badge badge-${String(state).toLowerCase().replace(/[^a-z]/g, "")}` }, named("state", state));

export const demoMark = (demo) => (demo ? h("span", { class: "demo-mark" }, t("demo")) : null);

/** A bar from 0 to 1. `role` is `progressbar` for work in progress and `meter` for a measured value. */
export function bar(role, fraction, label, color) {
  const share = Math.min(Math.max(Number(fraction) || 0, 0), 1);
  const track = h("div", {
    class: "bar", role, "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share * 100),
  }, h("div", { class: "bar-fill" }));
  return withVariables(track, { share: `${share * 100}%`, ...(color ? { "bar-color": color } : {}) });
}

/** What the title of a spread says. `answers`: `{Views, Models}` of a run whose model combines so many; `about`: the sentence. */
export function spreadTitle(answers, about) {
  const { Views: views, Models: models } = answers ?? {};
  const over = !answers ? "answers.several" : models === 1 ? "answers.views" : views === 1 ? "answers.models" : "answers.both";
  return `${t(about, { over: t(over, { views, models }) })} ${t("spread.meaning")}`;
}

/** "± 2.1 %" behind a probability; null where the model does not combine answers. */
export const spread = (value, answers, about = "spread.title") =>
  (Number.isFinite(value) ? h("span", { class: "spread", title: spreadTitle(answers, about) }, ` ± ${percent(value)}`) : null);

/** Progress bar and stage of a run that is waiting or at work. */
export function progress(run) {
  const stage = run.Stage ? named("stage", run.Stage) : t("run.waiting");
  return h("div", { class: "progress" },
    bar("progressbar", run.Progress / 100, t("run.progress")),
    h("span", { class: "progress-text" }, `${stage} · ${Math.round(run.Progress)} %`));
}

/** Wall time of a run in seconds; null while it has not ended. */
function duration(run) {
  const span = (new Date(run.Finished) - new Date(run.Started)) / 1000;
  return run.Started && run.Finished && Number.isFinite(span) ? span : null;
}

export const durationText = (run) => (duration(run) === null ? "–" : seconds(duration(run)));

/** Whose study this is, so that nobody reads one patient's result as another's. `study`: undefined until it has come, null where it may not be seen. */
export function patientStrip(study, studyId) {
  if (study === undefined) return h("p", { class: "patient muted" }, t("loading"));
  if (!study) return h("p", { class: "patient" }, t("patient.unknown", { id: studyId ?? "" }));
  const patient = study.PatientMainDicomTags ?? {};
  const tags = study.MainDicomTags ?? {};
  const facts = [
    ["patient.id", patient.PatientID], ["patient.born", dicomDate(patient.PatientBirthDate)], ["patient.sex", patient.PatientSex],
    ["patient.date", dicomDate(tags.StudyDate)], ["patient.accession", tags.AccessionNumber], ["patient.description", tags.StudyDescription],
  ].filter(([, value]) => value);
  return h("div", { class: "patient" },
    h("strong", {}, personName(patient.PatientName) || patient.PatientID || t("patient.unknown", { id: studyId })),
    facts.map(([key, value]) => h("span", {}, h("span", { class: "muted" }, `${t(key)} `), value)));
}

/** The studies that runs belong to, by Orthanc id. */
export async function studiesOf(runs) {
  const ids = [...new Set(runs.map((run) => run.Study).filter(Boolean))];
  return new Map(await Promise.all(ids.map(async (id) => [id, await getStudy(id)])));
}

function studyCell(run, studies) {
  const study = studies.get(run.Study);
  const name = personName(study?.PatientMainDicomTags?.PatientName) || study?.PatientMainDicomTags?.PatientID;
  const date = dicomDate(study?.MainDicomTags?.StudyDate);
  return h("td", {},
    h("a", { href: `#/studies/${encodeURIComponent(run.Study)}`, title: run.Study, class: name ? null : "nowrap", "data-key": `study-${run.ID}` }, name || run.Study?.slice(0, 8) || "–"),
    date ? h("div", { class: "muted nowrap" }, date) : null);
}

/** One line for a table: each image's class or each segment's volume, or how far the run is, or why it failed. */
export function resultCell(run, classes) {
  if (isActive(run)) return progress(run);
  if (run.State === "Failed") return h("span", { class: "error-text" }, run.Error ?? "–");
  const dot = (color) => withVariables(h("span", { class: "dot" }), { "class-color": classColor(color) });
  if (run.Segmentation) {
    return h("ul", { class: "chips" }, run.Segmentation.Segments.map((segment) => h("li", {},
      dot(segment.Color), `${className(classes?.get(segment.Name), segment.Name)} `,
      h("span", { class: segment.Found ? "nowrap" : "nowrap muted" }, segment.Found ? decimals(segment.VolumeMl, 1, "ml") : t("segment.noFinding")))));
  }
  // One answer for all images, and beside it those that failed.
  const results = run.Overall ? [{ ...run.Overall, View: t("overall.short"), Success: true }, ...(run.Results ?? [])] : run.Results ?? [];
  return h("ul", { class: "chips" }, results.map((result) => h("li", {},
    h("span", { class: "muted" }, `${result.View} `),
    result.Success && result.Segments
      ? result.Segments.map((segment) => [dot(segment.Color), `${className(classes?.get(segment.Name), segment.Name)} `,
        h("span", { class: segment.Found ? "nowrap" : "nowrap muted" }, segment.Found ? decimals(segment.SharePercent, 2, "%") : t("segment.noFinding"))])
    : result.Success
      ? [dot(result.Color), `${className(classes?.get(result.Class), result.Class)} `, h("span", { class: "nowrap" }, percent(result.Probability))]
      : h("span", { class: "error-text" }, t("card.failed")))));
}

/** What every model can say, classes or segments, by name: `model -> class -> {Name, Color, Translations}`. */
export const classesByModel = (models) => new Map(models.map((model) => [model.Name, new Map([...model.Classes ?? [], ...model.Segments ?? []].map((one) => [one.Name, one]))]));

/**
 * What was measured of a segment, in a line: the server's words where they are in the reader's language, else its name and how large it is.
 */
export function segmentText(segment, classes) {
  const name = className(classes.get(segment.Name), segment.Name);
  if (!segment.Found) return `${name}: ${t("segment.noFinding")}`;
  if (language === "en") return segment.Finding;
  const size = Number.isFinite(segment.VolumeMl) ? millilitres(segment.VolumeMl) : decimals(segment.SharePercent, 2, "%");
  const axis = Number.isFinite(segment.LongAxisMm) ? [`${t("segment.longAxis")} ${decimals(segment.LongAxisMm, 1, "mm")}`] : [];
  return `${name}: ${[size, ...axis].join(", ")}`;
}

/** Table of runs, newest first as the server gives them. `studies`: what `studiesOf` gave, or null to leave that column out. */
export function runsTable(runs, models, studies) {
  const classes = classesByModel(models);
  const columns = ["run.state", "run.model", studies && "run.study", "run.created", "run.duration", "run.result"].filter(Boolean);
  return h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": t("runs") }, h("table", { class: "runs" },
    h("thead", {}, h("tr", {}, columns.map((key) => h("th", { scope: "col", class: `column-${key.split(".")[1]}` }, t(key))))),
    h("tbody", {}, runs.map((run) => h("tr", {},
      h("td", {}, badge(run.State)),
      h("td", {}, h("a", { href: `#/runs/${encodeURIComponent(run.ID)}`, "data-key": `run-${run.ID}` }, run.ModelTitle ?? run.Model), " ", demoMark(run.Demo)),
      studies ? studyCell(run, studies) : null,
      h("td", { class: "nowrap column-created" }, moment(run.Created)),
      h("td", { class: "nowrap number column-duration" }, durationText(run)),
      h("td", {}, resultCell(run, classes.get(run.Model))))))));
}

export const explorerLink = (page, id, text) => h("a", { href: explorerUrl(page, id), "data-key": `explorer-${page}-${id}` }, text);

/** Why a model cannot run, and for missing weights what to put where; null for one that can. */
export function modelProblem(model) {
  if (model.State === "NoWeights") {
    return h("div", { class: "callout callout-warning" },
      h("p", {}, t("model.noWeights", { file: model.WeightsFile, name: model.Name })),
      model.Reason ? h("p", { class: "muted" }, model.Reason) : null);
  }
  return model.Reason ? h("p", { class: "callout callout-error" }, model.Reason) : null;
}

/** A list of terms and values; entries without a value are left out. */
export const facts = (entries) => h("dl", { class: "facts" },
  entries.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));

/** A model's name, version, input, classes and weights. */
export function modelFacts(model) {
  const chips = (classes) => (classes?.length ? h("ul", { class: "chips" }, classes.map((one) => h("li", {},
    withVariables(h("span", { class: "dot" }), { "class-color": classColor(one.Color) }), className(one, one.Name)))) : null);
  return facts([
    [t("model.name"), h("code", {}, model.Name)],
    [t("model.version"), model.Version],
    [t("model.input"), input(model)],
    [t("model.classes"), chips(model.Classes)],
    [t("model.segments"), chips(model.Segments)],
    [t("model.weights"), weights(model)],
  ]);
}

/** What one run takes: series by name, images by view, or so many images. */
function input({ Channels: channels = [], Views: views = [], Count: most, MinCount: least = most, Input: kind }) {
  if (kind === "Series") return t("model.inputSlices");
  const count = least === most ? most : `${least}–${most}`;
  if (channels.length) return t("model.inputSeries", { count: channels.length, names: channels.join(", ") });
  return t(views.length ? "model.inputViews" : "model.inputCount", { count, views: views.join(", ") });
}

function weights(model) {
  if (!model.WeightsFile) return null;
  const hash = model.WeightsSha256;
  return [
    h("code", {}, model.WeightsFile),
    hash ? [" · SHA-256 ", h("code", { title: hash }, `${hash.slice(0, 12)}…`)] : null,
    Number.isFinite(model.LoadSeconds) ? ` · ${t("model.loaded", { seconds: seconds(model.LoadSeconds) })}` : null,
  ];
}
