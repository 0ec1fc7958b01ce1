// `#/images`: choose single images of the archive and pictures of this computer, run a model on each, follow them, read the results.
import { findImageSeries, getModels, getStudy, previewUrl, startRun, storePicture } from "./api.js";
import { announce, h, keeper, swap } from "./dom.js";
import { badge, classesByModel, explorerLink, isActive, isLoading, resultCell, runFollower } from "./parts.js";
import { dicomDate, personName, t } from "./text.js";

const SHOWN = 60;
const MOST_BYTES = 48 * 2 ** 20; // what POST /ai/images takes

/** Models that one image is enough for. */
const takesOne = ({ State, Input, Channels = [], MinCount, Count }) => State === "Ready" && Input !== "Series" && !Channels.length && (MinCount ?? Count) === 1;

/** The instances of these series with whose they are, at most `SHOWN`. */
async function imagesOf(series) {
  const all = series.flatMap(({ Instances: instances = [], ParentStudy, MainDicomTags: tags = {} }) => instances.map((id) => ({ id, study: ParentStudy, modality: tags.Modality })));
  return Promise.all(all.slice(0, SHOWN).map(async ({ id, study, modality }) => {
    const { PatientMainDicomTags: patient = {}, MainDicomTags: tags = {} } = await getStudy(study) ?? {};
    return { id, name: personName(patient.PatientName) || patient.PatientID || id.slice(0, 8), text: [dicomDate(tags.StudyDate), modality].filter(Boolean).join(" · ") };
  }));
}

const base64 = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => reject(new Error(t("images.unreadable")));
  reader.readAsDataURL(file);
});

export function images() {
  // What was entered and chosen stays over redraws.
  const asked = { text: "", model: "", id: "", name: "", busy: false, problem: "" };
  const chosen = new Map(); // instance -> {id, name}
  const previews = new Map();
  const keep = keeper();
  const follow = runFollower();
  const found = { text: null, images: [] };
  let typed = ""; // and not yet asked for
  let files = []; // {file, key}
  const items = []; // what was sent: {key, name, state: "waiting" | "sending" | "sent", instance, runs: [id], error}
  let counter = 0;
  let label = () => {}; // tells the button how much is chosen

  let archive = 0; // how many pictures were stored in it

  async function find() {
    if (found.text === asked.text) return;
    const { text } = asked;
    const before = archive;
    const answer = await imagesOf(await findImageSeries(text, SHOWN));
    if (text === asked.text && before === archive) Object.assign(found, { images: answer, text });
  }

  return {
    async load() {
      const [models, runs] = await Promise.all([getModels(), follow(items.flatMap((item) => item.runs)), find()]);
      return {
        text: found.text, images: found.images, problem: asked.problem, busy: asked.busy, files: files.map(({ key }) => key), items: items.map((item) => ({ ...item })),
        models: models.filter(takesOne), all: models, runs,
      };
    },
    title: () => t("nav.images"),
    active: ({ runs, all }) => asked.busy || runs.some(isActive) || all.some(isLoading),
    render({ images: shown, text, models, all, runs }, act, redraw) {
      const byId = new Map(runs.map((run) => [run.ID, run]));
      const ended = runs.filter((run) => !isActive(run)).length;
      if (runs.length) announce(t("batch.progress", { done: ended, total: runs.length }));
      const button = keep("start", null, () => h("button", { type: "button", class: "primary", "data-key": "images-start", onclick: () => act(() => analyse(act, redraw)) }));
      label = () => {
        button.textContent = t("images.start", { count: chosen.size + files.length });
        button.disabled = chosen.size + files.length === 0 || asked.busy;
      };
      label();
      const place = keep("files", null, () => filesPanel(act));
      place.tell();
      const progress = keep("progress", null, () => h("p", { role: "status" }));
      progress.textContent = runs.length ? t("batch.progress", { done: ended, total: runs.length }) : "";
      progress.hidden = !runs.length;
      return [
        h("h1", {}, t("nav.images")),
        place.element,
        h("h2", {}, t("images.archive")),
        keep("search", null, () => h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); act(async () => { asked.text = typed; }); } },
          h("label", {}, t("images.search"), h("input", { type: "search", value: typed, "data-key": "images-search", oninput: (event) => { typed = event.target.value; } })),
          h("button", { type: "submit", "data-key": "images-find" }, t("studies.find")))),
        shown.length ? grid(shown) : h("p", {}, t(text ? "images.noneFound" : "images.none")),
        shown.length === SHOWN ? h("p", { class: "muted" }, t("images.most", { count: SHOWN })) : null,
        keep("model", models.map(({ Name, Title }) => [Name, Title]), () => h("div", { class: "filters panel" },
          h("label", {}, t("run.model"), h("select", { "data-key": "images-model", onchange: (event) => { asked.model = event.target.value; } },
            h("option", { value: "" }, t("batch.everyModel")),
            models.map((model) => h("option", { value: model.Name, selected: model.Name === asked.model }, model.Title)))),
          button, progress)),
        items.length ? h("h2", {}, t("images.results")) : null,
        items.length ? results(items, byId, classesByModel(all)) : null,
      ].filter(Boolean);
    },
  };

  function take(list) {
    asked.problem = "";
    for (const file of list) {
      if (/^image\/(jpeg|png)$/.test(file.type)) files.push({ file, key: `file-${counter += 1}` });
      else asked.problem = t("images.notPicture", { name: file.name });
    }
  }

  function filesPanel(act) {
    const input = h("input", { type: "file", multiple: true, accept: "image/jpeg,image/png", "data-key": "images-files", onchange: () => act(async () => {
      take(input.files);
      input.value = ""; // so that the same file can be chosen again
    }) });
    const entry = (key, text, changes) => h("label", {}, t(text), h("input", { type: "text", value: asked[key], autocomplete: "off", "data-key": `images-${key}`, ...changes, oninput: (event) => { asked[key] = event.target.value; } }));
    const given = h("div", {});
    const zone = h("section", { class: "panel drop", "aria-label": t("images.files") },
      h("h2", {}, t("images.files")),
      h("p", { class: "muted" }, t("images.filesText")),
      h("label", { class: "first-steps" }, t("images.choose"), input),
      h("div", { class: "filters" }, entry("id", "images.patientId", { maxlength: 64 }), entry("name", "images.patientName", { maxlength: 64 })),
      given);
    const over = (on) => (event) => {
      event.preventDefault();
      zone.classList.toggle("drop-over", on);
    };
    zone.addEventListener("dragover", over(true));
    zone.addEventListener("dragleave", over(false));
    zone.addEventListener("drop", (event) => {
      over(false)(event);
      act(async () => take(event.dataTransfer.files));
    });
    const remove = (key) => () => act(async () => { files = files.filter((one) => one.key !== key); });
    const tell = () => swap(given, () => [
      asked.problem ? h("p", { class: "error-text", role: "alert" }, asked.problem) : null,
      files.length ? h("ul", { "aria-label": t("images.chosen") }, files.map(({ file, key }) => h("li", { class: "heading" }, h("span", {}, file.name),
        h("button", { type: "button", "data-key": `remove-${key}`, disabled: asked.busy, "aria-label": t("images.remove", { name: file.name }), onclick: remove(key) }, "×")))) : null,
    ].filter(Boolean));
    return { element: zone, tell };
  }

  /** What is ticked goes from the choice when it is sent. */
  function grid(shown) {
    const list = keep("grid", shown, () => choices(shown));
    for (const box of list.querySelectorAll("input")) box.checked = chosen.has(box.value);
    return list;
  }

  function choices(shown) {
    return h("ul", { class: "image-grid", "aria-label": t("images.archive") }, shown.map(({ id, name, text }) => h("li", {},
      h("label", { class: "image-choice" }, preview(id),
        h("span", {}, h("input", {
          type: "checkbox", value: id, "data-key": `image-${id}`, onchange: (event) => {
            if (event.target.checked) chosen.set(id, { id, name: [name, text].filter(Boolean).join(" · ") });
            else chosen.delete(id);
            label();
          },
        }), h("span", {}, name, text ? h("span", { class: "muted" }, ` ${text}`) : null))))));
  }

  /** Kept over redraws, so that it does not load again at every poll. */
  function preview(id) {
    if (!previews.has(id)) {
      const frame = h("span", { class: "preview" });
      frame.append(h("img", { src: previewUrl({ InstanceID: id }), alt: "", loading: "lazy", decoding: "async", onerror: () => frame.replaceChildren(t("card.noPreview")) }));
      previews.set(id, frame);
    }
    return previews.get(id);
  }

  function results(sent, byId, classes) {
    const state = (item) => (item.state === "waiting" ? t("images.waiting") : item.state === "sending" ? t("images.sending") : "");
    const row = (item) => {
      const runs = item.runs.map((id) => byId.get(id)).filter(Boolean);
      return h("tr", {},
        h("td", {}, item.instance ? explorerLink("instance", item.instance, item.name) : item.name),
        h("td", {}, state(item), item.error ? h("span", { class: "error-text" }, item.error) : null,
          runs.map((run) => h("div", { class: "batch-run" }, h("a", { href: `#/runs/${encodeURIComponent(run.ID)}`, "data-key": `image-run-${item.key}-${run.ID}` }, run.ModelTitle ?? run.Model), badge(run.State)))),
        h("td", {}, runs.map((run) => resultCell(run, classes.get(run.Model)))));
    };
    return h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": t("images.results") }, h("table", { class: "runs" },
      h("thead", {}, h("tr", {}, ["images.image", "run.state", "run.result"].map((key) => h("th", { scope: "col" }, t(key))))),
      h("tbody", {}, sent.map(row))));
  }

  /** One after the other: the queue's bound is the server's to keep, and what it refuses stands in the image's line. */
  async function analyse(act, redraw) {
    asked.problem = files.length && !asked.id.trim() ? t("images.noPatient") : "";
    if (asked.problem) return;
    asked.busy = true;
    const sending = [
      ...files.map(({ file, key }) => ({ file, item: { key, name: file.name } })),
      ...[...chosen.values()].map(({ id, name }) => ({ item: { key: `${id}-${counter += 1}`, name, instance: id } })),
    ];
    for (const { item } of sending) items.push(Object.assign(item, { state: "waiting", runs: [], error: null }));
    files = [];
    chosen.clear();
    const patient = { PatientID: asked.id.trim(), PatientName: asked.name.trim() };
    const body = asked.model ? { Model: asked.model } : {};
    act(async () => {}); // follows what has been started, while the rest is sent; not waited for
    try {
      for (const { file, item } of sending) {
        item.state = "sending";
        redraw();
        try {
          if (file) item.instance = await store(file, patient);
          const started = [await startRun("instances", item.instance, body)].flat();
          Object.assign(item, { runs: started.map((run) => run.ID), error: started.length ? null : t("error.nothingStarted") });
        } catch (error) {
          if (error.status === undefined && !file) throw error;
          item.error = error.message;
        }
        item.state = "sent";
      }
    } finally {
      asked.busy = false;
    }
  }

  async function store(file, patient) {
    if (file.size > MOST_BYTES * 0.98) throw new Error(t("images.tooLarge"));
    const stored = await storePicture(await base64(file), file.name, patient);
    archive += 1;
    found.text = null;
    return stored.Instances[0].ID;
  }
}
