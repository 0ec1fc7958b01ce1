// `#/studies/ID` (series and instances the same): which models apply, or why not, and what has been run.
import { getApplicability, getModels, getStudy, startRun } from "./api.js";
import { announce, h, keeper } from "./dom.js";
import { badge, demoMark, explorerLink, isActive, isLoading, modelProblem, patientStrip, runsTable } from "./parts.js";
import { named, t } from "./text.js";

const EXPLORER_PAGE = { studies: "study", series: "series", instances: "instance" };

export function resource(level, id) {
  const force = { checked: false };
  const keep = keeper();
  return {
    async load() {
      const [applicability, models] = await Promise.all([getApplicability(level, id), getModels()]);
      const studyId = level === "studies" ? id : applicability.Parent?.split("/").pop();
      return { applicability, models, studyId, study: studyId ? await getStudy(studyId) : null };
    },
    title: () => t(`resource.${level}`),
    active: ({ applicability, models }) => applicability.Runs.some(isActive) || models.some(isLoading),
    render({ applicability, models, studyId, study }, act) {
      const running = applicability.Runs.find(isActive);
      announce(running?.Stage ? named("stage", running.Stage) : "");
      return [
        h("h1", {}, t(`resource.${level}`)),
        patientStrip(study, studyId),
        h("p", {}, explorerLink(EXPLORER_PAGE[level], id, "Orthanc Explorer")),
        applicability.Parent ? h("p", { class: "callout" }, `${t("resource.parent")} `,
          h("a", { href: `#${applicability.Parent}`, "data-key": "parent" }, t("resource.openParent"))) : null,
        h("h2", {}, t("resource.models")),
        h("ul", { class: "models" }, applicability.Models.map((model) => modelItem(model, models.find((one) => one.Name === model.Model), level, id, force, act))),
        keep("force", null, () => h("label", { class: "force" },
          h("input", { type: "checkbox", checked: force.checked, "data-key": "force", onchange: (event) => { force.checked = event.target.checked; } }), t("action.force"))),
        h("h2", {}, t("runs")),
        applicability.Runs.length ? runsTable(applicability.Runs, models, null) : h("p", {}, t("runs.noneHere")),
      ].filter(Boolean);
    },
  };
}

function modelItem(model, installed, level, id, force, act) {
  const canRun = model.Applies && model.State === "Ready";
  const start = (event) => {
    event.currentTarget.disabled = true; // one press, one run
    const body = force.checked ? { Model: model.Model, Force: true } : { Model: model.Model };
    return act(async () => {
      const started = [await startRun(level, id, body)].flat()[0];
      announce(started ? t("state.Queued") : t("error.nothingStarted"));
    }).finally(() => { event.target.disabled = false; });
  };
  return h("li", { class: "panel model model-row" },
    h("div", {},
      h("div", { class: "model-head" },
        h("h3", {}, model.Title ?? model.Model), demoMark(model.Demo),
        h("span", { class: `badge badge-${model.Applies ? "ready" : "cancelled"}` }, t(model.Applies ? "resource.applies" : "resource.appliesNot")),
        model.State === "Ready" ? null : badge(model.State)),
      h("p", { class: "muted" }, [model.Reason, model.Images ? t("resource.images", { images: model.Images }) : null].filter(Boolean).join(" · ")),
      model.Applies && model.State !== "Ready" && installed ? modelProblem(installed) : null),
    h("button", { type: "button", class: "primary", disabled: !canRun, "data-key": `start-${model.Model}`, "aria-label": `${t("action.run")}: ${model.Title ?? model.Model}`, onclick: start }, t("action.run")));
}
