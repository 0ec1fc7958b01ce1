// `#/runs/ID`: one run. Its progress, then a card an image or the slices with their masks, with everything that is needed to trust
// or doubt it.
import { cancelRun, deleteRun, getModels, getRun, getStudy, overlayUrl, pictureUrl, previewUrl, reportUrl, retryRun, seriesFileUrl, viewersFor } from "./api.js";
import { announce, classColor, confirmed, h, textOn, withVariables } from "./dom.js";
import { feedbackPanel } from "./feedback.js";
import { heatMapView } from "./heat.js";
import { badge, bar, classesByModel, demoMark, durationText, explorerLink, facts, isActive, patientStrip, progress, segmentText, spread, spreadTitle } from "./parts.js";
import { segmentationView } from "./segmentation.js";
import { className, language, moment, named, percent, seconds, t } from "./text.js";

const STAGES = ["fetch", "read", "prepare", "infer", "encode", "store"];

export function run(id) {
  const previews = new Map(); // kept over redraws, so that a finished image does not load again at every poll
  const slices = {}; // the slice browser, likewise
  const whose = { asked: null, strip: h("div", {}, patientStrip()), viewers: [] };
  const feedback = {}; // and what the reader is typing
  return {
    async load() {
      const [data, models] = await Promise.all([getRun(id), getModels().catch(() => [])]);
      return { run: data, models };
    },
    title: ({ run: data }) => data.ModelTitle ?? data.Model,
    active: ({ run: data }) => isActive(data),
    render({ run: data, models }, act, redraw) {
      whose.asked ??= (data.Study ? getStudy(data.Study) : Promise.resolve(null)).then(async (study) => { // not waited for: the results come first
        whose.strip.replaceChildren(patientStrip(study, data.Study));
        whose.viewers = await viewersFor(study?.MainDicomTags?.StudyInstanceUID);
        if (whose.viewers.length) redraw();
      });
      const classes = classesByModel(models).get(data.Model) ?? new Map();
      const results = hangingOrder(data.Results ?? []);
      // Where all images have one answer, those that carry it are on its card.
      const cards = data.Overall ? results.filter((result) => !result.Success) : results;
      announce(isActive(data) && data.Stage ? named("stage", data.Stage) : named("state", data.State));
      return [
        disclaimer(data, models),
        h("div", { class: "heading" }, h("h1", {}, data.ModelTitle ?? data.Model), demoMark(data.Demo), badge(data.State), h("span", { class: "spacer" }), actions(data, act)),
        whose.strip,
        isActive(data) ? h("div", { class: "panel" }, progress(data)) : null,
        data.Error ? callout("error", t("run.failed"), [data.Error]) : null,
        callout("warning", t("run.warnings"), warnings(data, results)),
        data.Overall ? overallCard(data.Overall, classes, previews, data.Answers) : null,
        // The slices of a volume are browsed, not laid out.
        cards.length && !data.Segmentation ? h("div", { class: "cards" }, cards.map((result) => card(result, classes, previews, data))) : null,
        data.Segmentation ? segmentationView(data, classes, slices) : null,
        heatMapView(data, classes, slices),
        explanations(data, previews),
        data.State === "Succeeded" ? feedbackPanel(data, classes, feedback, redraw) : null,
        details(data, whose.viewers),
      ].filter(Boolean);
    },
  };
}

/**
 * In sight wherever the reader has scrolled to: the text that limits what the result may be used for, in the reader's language where the model has
 * that same text in it.
 */
function disclaimer(run, models) {
  const { Disclaimer: text, DisclaimerTranslations: translations } = models.find((model) => model.Name === run.Model) ?? {};
  const said = (text === run.Disclaimer && translations?.[language]) || run.Disclaimer;
  return h("aside", { class: run.Demo ? "disclaimer disclaimer-demo" : "disclaimer", "aria-label": t("disclaimer") },
    run.Demo ? h("strong", {}, t("demo.ribbon")) : null, h("span", {}, said));
}

function callout(kind, heading, lines) {
  if (!lines.length) return null;
  return h("div", { class: `callout callout-${kind}` }, h("strong", {}, heading), h("ul", {}, lines.map((line) => h("li", {}, line))));
}

function warnings(run, results) {
  const failed = results.filter((result) => !result.Success).length;
  return [...(failed ? [t("run.imagesFailed", { failed, total: run.Overall?.Total ?? results.length })] : []), ...(run.Warnings ?? [])];
}

/** Mammograms hang with the right breast on the reader's left; images of other kinds keep the server's order. */
function hangingOrder(results) {
  if (!results.every((result) => /^[LR]-\w+$/.test(result.View ?? ""))) return results;
  return [...results].sort((a, b) => a.View.slice(2).localeCompare(b.View.slice(2)) || b.View.localeCompare(a.View));
}

/** The answer for all images, with pictures of those that carry it. */
function overallCard(overall, classes, previews, answers) {
  return h("article", { class: "panel overall", "aria-label": t("overall.title") },
    h("h2", {}, t("overall.title")),
    verdict({ ...overall, View: "overall" }, classes, answers, "spread.overall"),
    sentences(overall),
    h("p", { class: "muted" }, `${t("overall.analysed", { analysed: overall.Analysed, total: overall.Total })} · ${overall.Method}`),
    h("h3", {}, t("overall.carrying")),
    h("ul", { class: "carrying" }, overall.CarryingImages.map((image) => h("li", {},
      preview(image, previews),
      h("span", {}, image.InstanceID ? explorerLink("instance", image.InstanceID, image.View) : image.View, " ", h("span", { class: "number" }, percent(image.AllProbabilities?.[overall.Class]), spread(image.AllSpreads?.[overall.Class], answers)))))));
}

function card(result, classes, previews, { Stored: stored, Answers: answers }) {
  return h("article", { class: result.Success ? "panel card" : "panel card card-failed", "aria-label": result.View },
    preview(result, previews, overlayOf(result, stored ?? [])),
    h("div", { class: "card-body" },
      h("div", { class: "card-head" },
        h("h2", {}, result.View),
        result.InstanceID ? explorerLink("instance", result.InstanceID, h("span", { title: t("card.openImage"), "aria-label": `${t("card.openImage")}: ${result.View}` }, "DICOM ↗")) : null),
      result.Success && result.Segments ? segments(result, classes, answers) : result.Success ? [verdict(result, classes, answers), sentences(result)] : [h("p", {}, h("strong", {}, t("card.failed"))), h("p", { class: "error-text" }, result.Error)]));
}

/** What the model says of it, in the reader's language where the manifest has it; the disclaimer, always the last, stands above all. */
function sentences({ Texts: texts }) {
  const said = (texts?.[language] ?? texts?.en ?? []).slice(0, -1);
  return said.length ? h("ul", { class: "sentences" }, said.map((sentence) => h("li", {}, sentence))) : null;
}

/** The heat maps that were stored, each with what is said of its regions. */
function explanations(run, previews) {
  const all = run.Explanations ?? [];
  if (!all.length) return null;
  const views = new Map((run.Results ?? []).map((result) => [`${result.InstanceUid} ${result.FrameNumber ?? ""}`, result.View]));
  const one = (explanation) => {
    const view = views.get(`${explanation.InstanceUid} ${explanation.Frame ?? ""}`) ?? "";
    const stored = (run.Stored ?? []).find((object) => object.SopInstanceUid === explanation.HeatMapInstanceUid);
    return h("li", { class: "explanation" },
      stored ? picture(stored.ID, t("explain.alt", { view }), previews) : null,
      h("div", {}, h("h3", {}, view, " ", h("span", { class: "number" }, percent(explanation.Probability))), sentences(explanation),
        stored ? h("p", {}, explorerLink("instance", stored.ID, t("explain.open"))) : null));
  };
  return h("section", { class: "panel", "aria-label": t("explain.title") },
    h("h2", {}, t("explain.title")), h("ul", { class: "explanations" }, all.map(one)), h("p", { class: "muted" }, t("explain.note")));
}

/** A stored picture in its own size, kept over redraws. */
function picture(id, alt, previews) {
  if (!previews.has(id)) previews.set(id, h("img", { src: pictureUrl(id), alt, loading: "lazy", decoding: "async", fetchpriority: "low" }));
  return previews.get(id);
}

/** What was segmented in one image. */
const segments = (result, classes, answers) => result.Segments.map((segment) => h("p", { class: segment.Found ? null : "muted" },
  withVariables(h("span", { class: "dot" }), { "class-color": classColor(segment.Color) }), " ",
  segmentText(segment, classes),
  Number.isFinite(segment.Spread) ? h("span", { class: "spread", title: spreadTitle(answers, "spread.segment") }, ` · ${t("segment.spread")}: ${percent(segment.Spread)}`) : null));

/** The address of the image with its masks drawn over it; null where it has none. */
function overlayOf(result, stored) {
  const seg = stored.find((object) => object.SopInstanceUid && object.SopInstanceUid === result.SegInstanceUid);
  return seg && result.MaskFrames?.length ? overlayUrl(seg.ID, result.MaskFrames[0]) : null;
}

function verdict(result, classes, answers, about) {
  const color = classColor(result.Color);
  return [
    withVariables(h("p", { class: "class-pill" }, breakable(className(classes.get(result.Class), result.Class))), { "class-color": color, "class-text": textOn(color) }),
    h("p", { class: "verdict" }, h("span", { class: "muted" }, t("card.probability")), h("span", { class: "probability" }, percent(result.Probability), spread(result.Spread, answers, about))),
    bar("meter", result.Probability, `${t("card.probability")}: ${result.Class}`, color),
    probabilities(result, classes, answers, about),
  ];
}

/** A name that may break after its slashes, where it is too long for its line. */
const breakable = (name) => name.split(/(?<=\/)/).flatMap((part, index) => (index ? [h("wbr"), part] : [part]));

function probabilities(result, classes, answers, about) {
  const all = result.AllProbabilities ?? {};
  const names = [...classes.keys()].filter((name) => name in all);
  const order = names.length === Object.keys(all).length ? names : Object.keys(all);
  return h("details", { "data-key": `all-${result.View}-${result.InstanceID}` },
    h("summary", {}, t("card.all")),
    h("ul", { class: "probabilities" }, order.map((name) => h("li", {},
      h("span", {}, className(classes.get(name), name)),
      h("span", { class: "number" }, percent(all[name]), spread(result.AllSpreads?.[name], answers, about)),
      bar("meter", all[name], `${t("card.probability")}: ${name}`, classColor(classes.get(name)?.Color))))));
}

/** A small picture of the image; where Orthanc cannot decode it (415) words take its place. */
function preview(result, previews, overlay) {
  const key = `${result.InstanceID} ${result.FrameNumber ?? ""}`;
  if (!result.InstanceID) return h("div", { class: "preview" }, h("span", {}, t("card.noPreview")));
  if (!previews.has(key)) {
    const frame = h("div", { class: "preview" });
    frame.append(h("img", {
      src: overlay ?? previewUrl(result), alt: t("card.preview", { view: result.View }), loading: "lazy", decoding: "async", fetchpriority: "low", // after the slice that is read
      onerror: () => frame.replaceChildren(h("span", {}, t("card.noPreview"))),
    }));
    previews.set(key, frame);
  }
  return previews.get(key);
}

function actions(run, act) {
  const button = (name, key, onclick) => h("button", { type: "button", class: name === "delete" ? "danger" : null, "data-key": name, onclick }, t(key));
  const ask = (question, yes, no, action) => async () => { if (await confirmed(question, yes, no)) act(action); };
  const incomplete = run.State === "Failed" || run.State === "Cancelled" || (run.Results ?? []).some((result) => !result.Success);
  const buttons = isActive(run)
    ? [button("cancel", "action.cancel", ask(t("confirm.cancel"), t("confirm.cancelYes"), t("confirm.cancelNo"), () => cancelRun(run.ID)))]
    : [
      incomplete ? button("retry", "action.retry", ask(t("confirm.retry"), t("action.retry"), t("action.back"), () => retryRun(run.ID).then((again) => follow(run, again)))) : null,
      button("delete", "action.delete", ask(t("confirm.delete"), t("action.delete"), t("action.keep"), () => deleteRun(run.ID).then(() => { location.hash = `#/studies/${encodeURIComponent(run.Study)}`; }))),
    ];
  return h("div", { class: "actions" }, buttons);
}

/** A retry may go on under the same id or under a new one. */
function follow(run, again) {
  if (again?.ID && again.ID !== run.ID) location.hash = `#/runs/${encodeURIComponent(again.ID)}`;
}

const STORED = { SEG: "run.segmentation", SC: "run.heatMap", M3D: "run.surface", DOC: "run.document" };

/** What a volume's segmentation looks like in 3D. */
function surfaces(run) {
  const seg = run.Segmentation && (run.Stored ?? []).find((object) => object.Kind === "SEG");
  if (!seg) return [];
  const found = run.Segmentation.Segments.filter((segment) => segment.Found);
  const files = [["surface.page", "html"], ...(found.length === 1 ? [["surface.stl", "stl"]] : [])];
  return files.map(([key, kind]) => h("li", {}, h("a", { href: seriesFileUrl(seg.SeriesID, `surface.${kind}`), target: "_blank", rel: "noopener", "data-key": key }, t(key))));
}

/** The run as files: its report, and the pictures of each series of masks or heat maps. */
function downloads(run) {
  if (run.State !== "Succeeded") return null;
  const link = (key, href) => h("li", {}, h("a", { href, target: "_blank", rel: "noopener", "data-key": `${key} ${href}` }, t(key)));
  const reports = [["download.pdf", "pdf"], ["download.html", "html"], ["download.csv", "csv"]].map(([key, kind]) => link(key, reportUrl(run.ID, kind, language)));
  const pictures = [["SEG", "download.overlays"], ["SC", "download.heatMaps"]].flatMap(([kind, key]) => {
    const series = new Set((run.Stored ?? []).filter((object) => object.Kind === kind).map((object) => object.SeriesID));
    return [...series].map((one) => link(key, seriesFileUrl(one, `overlays.zip`)));
  });
  return h("section", { class: "panel", "aria-label": t("download.title") }, h("h2", {}, t("download.title")), h("ul", { class: "links" }, reports, pictures));
}

function details(run, viewers) {
  const stages = [...STAGES, ...Object.keys(run.StageSeconds ?? {}).filter((stage) => !STAGES.includes(stage) && stage !== "total")];
  const timed = stages.filter((stage) => Number.isFinite(run.StageSeconds?.[stage]));
  const status = { Stored: "run.stored", AlreadyStored: "run.alreadyStored" }[run.Status];
  return h("div", { class: "details" },
    h("section", { class: "panel" }, h("h2", {}, t("run.links")),
      status ? h("p", {}, t(status)) : null,
      h("ul", { class: "links" },
        (run.Stored ?? []).map((stored) => h("li", {}, explorerLink("instance", stored.ID, t(STORED[stored.Kind] ?? "run.report", { kind: stored.Kind })))),
        surfaces(run),
        viewers.map(({ name, url }) => h("li", {}, h("a", { href: url, "data-key": `viewer-${name}` }, t("viewer.open", { name })))),
        run.Study ? h("li", {}, explorerLink("study", run.Study, t("run.openStudy"))) : null,
        run.JobID ? h("li", {}, explorerLink("job", run.JobID, t("run.job"))) : null,
        run.Study ? h("li", {}, h("a", { href: `#/studies/${encodeURIComponent(run.Study)}`, "data-key": "all-runs" }, t("run.allOfStudy"))) : null)),
    downloads(run),
    h("section", { class: "panel" }, h("h2", {}, t("run.model")),
      facts([[t("model.name"), h("code", {}, run.Model)], [t("model.version"), run.Version], [t("run.created"), moment(run.Created)], [t("run.origin"), run.Origin], [t("run.scope"), h("code", { class: "wrap" }, run.Resource)]])),
    timed.length ? h("section", { class: "panel" }, h("h2", {}, t("run.timings")),
      h("table", { class: "timings" }, h("tbody", {},
        timed.map((stage) => h("tr", {}, h("th", { scope: "row" }, named("stage", stage)), h("td", { class: "number" }, seconds(run.StageSeconds[stage])))),
        h("tr", { class: "total" }, h("th", { scope: "row" }, t("run.total")), h("td", { class: "number" }, durationText(run)))))) : null);
}
