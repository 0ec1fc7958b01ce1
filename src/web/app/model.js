// `#/models/NAME`: one model with its card, its state, and its last runs.
import { getAgreement, getCard, getModels, getRuns } from "./api.js";
import { h } from "./dom.js";
import { badge, demoMark, isActive, modelProblem, modelFacts, runsTable, studiesOf } from "./parts.js";
import { percent, t } from "./text.js";

const RUNS_SHOWN = 20;

export function model(name) {
  return {
    async load() {
      const [models, card, runs, agreement] = await Promise.all([getModels(), getCard(name), getRuns(RUNS_SHOWN, { model: name }), getAgreement(name)]);
      return { one: models.find((candidate) => candidate.Name === name), card, runs, agreement, studies: [...await studiesOf(runs)] };
    },
    title: ({ one }) => one?.Title ?? name,
    active: ({ one, runs }) => runs.some(isActive) || one?.State === "Loading",
    render({ one, card, runs, studies, agreement }) {
      if (!one) return [h("h1", {}, name), h("p", {}, t("error.noSuchPage"))];
      return [
        h("div", { class: "heading" }, h("h1", {}, one.Title), demoMark(one.Demo), badge(one.State)),
        modelProblem(one),
        h("div", { class: "panel" }, h("p", {}, one.Description), modelFacts(one), h("p", { class: "muted" }, one.Disclaimer), agreed(agreement)),
        h("h2", {}, t("runs")),
        runs.length ? runsTable(runs, [one], new Map(studies)) : h("p", {}, t("runs.none")),
        card ? [h("h2", {}, t("model.card")), h("pre", { class: "panel model-card", tabindex: 0 }, card)] : null,
      ].flat().filter(Boolean);
    },
  };
}

/** How often readers of this server agreed, with its 95 % interval; null where none has said anything. */
function agreed(agreement) {
  const { Accepted: accepted = 0, Rejected: rejected = 0, Agreement: share } = agreement ?? {};
  if (!(accepted + rejected)) return null;
  const between = Array.isArray(share?.Interval) ? ` (${share.Interval.map(percent).join(" – ")})` : "";
  return h("p", {}, t("feedback.agreement", { accepted, total: accepted + rejected, share: `${percent(accepted / (accepted + rejected))}${between}` }));
}
