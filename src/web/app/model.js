// `#/models/NAME`: one model with its card, its state, and its last runs.
import { getCard, getModels, getRuns } from "./api.js";
import { h } from "./dom.js";
import { badge, demoMark, isActive, modelProblem, modelFacts, runsTable, studiesOf } from "./parts.js";
import { t } from "./text.js";

const RUNS_SHOWN = 20;

export function model(name) {
  return {
    async load() {
      const [models, card, runs] = await Promise.all([getModels(), getCard(name), getRuns(RUNS_SHOWN, { model: name })]);
      return { one: models.find((candidate) => candidate.Name === name), card, runs, studies: [...await studiesOf(runs)] };
    },
    title: ({ one }) => one?.Title ?? name,
    active: ({ runs }) => runs.some(isActive),
    render({ one, card, runs, studies }) {
      if (!one) return [h("h1", {}, name), h("p", {}, t("error.noSuchPage"))];
      return [
        h("div", { class: "heading" }, h("h1", {}, one.Title), demoMark(one.Demo), badge(one.State)),
        modelProblem(one),
        h("div", { class: "panel" }, h("p", {}, one.Description), modelFacts(one), h("p", { class: "muted" }, one.Disclaimer)),
        h("h2", {}, t("runs")),
        runs.length ? runsTable(runs, [one], new Map(studies)) : h("p", {}, t("runs.none")),
        card ? [h("h2", {}, t("model.card")), h("pre", { class: "panel model-card", tabindex: 0 }, card)] : null,
      ].flat().filter(Boolean);
    },
  };
}
