// `#/`: what is installed and what has been run.
import { countStudies, getRuns, getServer, storeDemoStudies } from "./api.js";
import { announce, h, keeper } from "./dom.js";
import { badge, demoMark, isActive, modelFacts, modelProblem, runsTable, studiesOf } from "./parts.js";
import { named, t } from "./text.js";

const RUNS_SHOWN = 50;
const STATES = ["Queued", "Running", "Succeeded", "Failed", "Cancelled"];

export function overview() {
  const filter = { state: "", model: "", limit: RUNS_SHOWN }; // stays over redraws
  const keep = keeper();
  return {
    async load() {
      const [server, runs] = await Promise.all([getServer(), getRuns(filter.limit, filter)]);
      const empty = !runs.length && !filter.state && !filter.model && await countStudies() === 0;
      return { server, runs, empty, studies: [...await studiesOf(runs)] };
    },
    title: () => t("models"),
    active: ({ server, runs }) => runs.some(isActive) || server.Models.some((model) => model.State === "Loading"),
    render({ server, runs, empty, studies }, act) {
      const running = runs.find(isActive);
      announce(running ? `${running.ModelTitle ?? running.Model}: ${named("stage", running.Stage ?? "fetch")}` : "");
      const filtered = filter.state || filter.model;
      return [
        h("h1", {}, t("models")),
        empty ? firstSteps(act) : null,
        server.Models.length ? h("ul", { class: "models" }, server.Models.map(modelItem)) : h("p", {}, t("models.none")),
        h("div", { class: "heading" },
          h("h2", {}, t("runs")),
          h("span", { class: "muted" }, t("server.queue", { length: server.QueueLength, limit: server.QueueLimit })),
          h("button", { type: "button", "data-key": "refresh", onclick: () => act(async () => {}) }, t("refresh"))),
        keep("filters", server.Models.map(({ Name, Title }) => [Name, Title]), () => h("div", { class: "filters" },
          choice("filter-state", t("run.state"), filter.state, STATES.map((state) => [state, named("state", state)]), (state) => act(async () => { filter.state = state; })),
          choice("filter-model", t("run.model"), filter.model, server.Models.map((model) => [model.Name, model.Title]), (model) => act(async () => { filter.model = model; })))),
        runs.length ? runsTable(runs, server.Models, new Map(studies)) : h("p", {}, t(filtered ? "runs.noneSuch" : "runs.none")),
        runs.length === filter.limit ? h("p", {}, h("button", { type: "button", "data-key": "more", onclick: () => act(async () => { filter.limit += RUNS_SHOWN; }) }, t("runs.more"))) : null,
      ].filter(Boolean);
    },
  };
}

/** On an archive without any study: some to try, by one click. */
function firstSteps(act) {
  const start = (event) => {
    event.currentTarget.disabled = true;
    announce(t("first.storing"));
    return act(async () => {
      await storeDemoStudies();
      location.hash = "#/studies";
    }).finally(() => { event.target.disabled = false; });
  };
  return h("section", { class: "panel first-steps", "aria-label": t("first.title") },
    h("h2", {}, t("first.title")), h("p", {}, t("first.text")),
    h("button", { type: "button", class: "primary", "data-key": "demo-studies", onclick: start }, t("first.button")));
}

function choice(key, label, value, options, choose) {
  return h("label", {}, label, h("select", { "data-key": key, onchange: (event) => choose(event.target.value) },
    h("option", { value: "" }, t("filter.all")),
    options.map(([option, text]) => h("option", { value: option, selected: option === value }, text))));
}

function modelItem(model) {
  return h("li", { class: "panel model" },
    h("div", { class: "model-head" }, h("h2", {}, h("a", { href: `#/models/${encodeURIComponent(model.Name)}`, "data-key": `model-${model.Name}` }, model.Title)), demoMark(model.Demo), badge(model.State)),
    modelProblem(model),
    h("p", { class: "muted" }, model.Description),
    modelFacts(model));
}
