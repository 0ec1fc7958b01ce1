// `#/studies`: choose studies of the archive, run a model on all of them, follow each.
import { findStudies, getModels, startRun } from "./api.js";
import { announce, h, keeper, swap } from "./dom.js";
import { badge, isActive, isLoading, progress, runFollower } from "./parts.js";
import { dicomDate, personName, t } from "./text.js";

const STUDIES_SHOWN = 100;

export function studies() {
  // What was entered and chosen stays over redraws.
  const asked = { text: "", model: "", busy: false };
  const chosen = new Set();
  const keep = keeper();
  const follow = runFollower();
  let typed = ""; // and not yet asked for
  let label = () => {}; // tells the button how much is chosen
  const outcomes = new Map(); // study -> {runs: [id], error}
  return {
    async load() {
      const { text } = asked;
      const [found, models, runs] = await Promise.all([findStudies(text, STUDIES_SHOWN), getModels(), follow([...outcomes.values()].flatMap(({ runs: ids }) => ids))]);
      // All that is drawn: what stays the same is not drawn again.
      return { text, busy: asked.busy, outcomes: [...outcomes], found, loading: models.some(isLoading), models: models.filter((model) => model.State === "Ready"), runs: runs.map(({ ID, State, Progress, Stage, ModelTitle, Model, Error: reason }) => ({ ID, State, Progress, Stage, ModelTitle, Model, Error: reason })) };
    },
    title: () => t("nav.studies"),
    active: ({ runs, loading }) => asked.busy || loading || runs.some(isActive),
    render({ found, text, models, runs }, act, redraw) {
      const byId = new Map(runs.map((run) => [run.ID, run]));
      const ended = runs.filter((run) => !isActive(run)).length;
      if (runs.length) announce(t("batch.progress", { done: ended, total: runs.length }));
      const start = keep("start", null, () => h("button", { type: "button", class: "primary", "data-key": "batch-start", onclick: () => act(() => analyse(act, redraw)) }));
      label = () => {
        start.textContent = t("batch.start", { count: chosen.size });
        start.disabled = chosen.size === 0 || asked.busy;
      };
      label();
      const ending = keep("progress", null, () => h("p", { role: "status" }));
      ending.textContent = runs.length ? t("batch.progress", { done: ended, total: runs.length }) : "";
      ending.hidden = !runs.length;
      return [
        h("h1", {}, t("nav.studies")),
        keep("search", null, () => h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); act(async () => { asked.text = typed; }); } },
          h("label", {}, t("studies.search"), h("input", { type: "search", value: typed, "data-key": "studies-search", oninput: (event) => { typed = event.target.value; } })),
          h("button", { type: "submit", "data-key": "studies-find" }, t("studies.find")))),
        found.length ? list(found, byId) : h("p", {}, t(text ? "studies.noneFound" : "studies.none")),
        found.length === STUDIES_SHOWN ? h("p", { class: "muted" }, t("studies.most", { count: STUDIES_SHOWN })) : null,
        keep("model", models.map(({ Name, Title }) => [Name, Title]), () => h("div", { class: "filters panel" },
          h("label", {}, t("run.model"), h("select", { "data-key": "batch-model", onchange: (event) => { asked.model = event.target.value; } },
            h("option", { value: "" }, t("batch.everyModel")),
            models.map((model) => h("option", { value: model.Name, selected: model.Name === asked.model }, model.Title)))),
          start, ending)),
      ].filter(Boolean);
    },
  };

  /** The table stays, with what is ticked and pressed in it; what came of a study is written into its line. */
  function list(found, byId) {
    const { element, tell } = keep("table", found, () => table(found));
    tell(byId);
    return element;
  }

  function table(found) {
    const all = h("input", { type: "checkbox", "aria-label": t("batch.chooseAll"), "data-key": "batch-all" });
    const boxes = found.map(({ ID, PatientMainDicomTags: patient = {} }) => h("input", {
      type: "checkbox", "data-key": `choose-${ID}`, "aria-label": t("batch.choose", { name: personName(patient.PatientName) || patient.PatientID || ID }),
      onchange: (event) => {
        if (event.target.checked) chosen.add(ID);
        else chosen.delete(ID);
        all.checked = found.every((study) => chosen.has(study.ID));
        label();
      },
    }));
    all.addEventListener("change", () => {
      for (const [index, { ID }] of found.entries()) {
        boxes[index].checked = all.checked;
        if (all.checked) chosen.add(ID);
        else chosen.delete(ID);
      }
      label();
    });
    const cells = found.map(() => h("td", {}));
    const tell = (byId) => {
      for (const [index, { ID }] of found.entries()) {
        boxes[index].checked = chosen.has(ID);
        swap(cells[index], () => outcome(ID, byId));
      }
      all.checked = found.every(({ ID }) => chosen.has(ID));
    };
    const head = ["patient.name", "patient.id", "patient.date", "patient.description", "run.result"];
    const element = h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": t("nav.studies") }, h("table", { class: "runs" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, all), head.map((key) => h("th", { scope: "col" }, t(key))))),
      h("tbody", {}, found.map(({ ID, PatientMainDicomTags: patient = {}, MainDicomTags: tags = {} }, index) => h("tr", {},
        h("td", {}, boxes[index]),
        h("td", {}, h("a", { href: `#/studies/${encodeURIComponent(ID)}`, "data-key": `study-${ID}` }, personName(patient.PatientName) || "–")),
        h("td", {}, patient.PatientID ?? ""),
        h("td", { class: "nowrap" }, dicomDate(tags.StudyDate) ?? ""),
        h("td", {}, tags.StudyDescription ?? ""),
        cells[index])))));
    return { element, tell };
  }

  function outcome(study, byId) {
    const { runs: ids = [], error } = outcomes.get(study) ?? {};
    if (error) return [h("span", { class: "error-text" }, error)];
    return ids.map((id) => byId.get(id)).filter(Boolean).map((run) => h("div", { class: "batch-run" },
      h("a", { href: `#/runs/${encodeURIComponent(run.ID)}`, "data-key": `batch-run-${run.ID}` }, run.ModelTitle ?? run.Model), " ",
      isActive(run) ? progress(run) : badge(run.State), run.Error ? h("span", { class: "error-text" }, ` ${run.Error}`) : null));
  }

  /** One after the other: the queue's bound is the server's to keep, and what it refuses stands in the study's line. */
  async function analyse(act, redraw) {
    asked.busy = true;
    act(async () => {}); // follows what has been started, while the rest is sent; not waited for
    try {
      for (const study of [...chosen]) {
        try {
          const started = [await startRun("studies", study, asked.model ? { Model: asked.model } : {})].flat();
          outcomes.set(study, { runs: started.map((run) => run.ID), error: started.length ? null : t("error.nothingStarted") });
        } catch (error) {
          if (error.status === undefined) throw error;
          outcomes.set(study, { runs: [], error: error.message });
        }
        chosen.delete(study);
        redraw();
      }
    } finally {
      asked.busy = false;
    }
  }
}
