// `#/`: what is installed and what has been run.
import { getRuns, getServer } from "./api.js";
import { announce, h, withVariables, classColor } from "./dom.js";
import { badge, demoMark, facts, isActive, modelProblem, runsTable, studiesOf } from "./parts.js";
import { className, named, seconds, t } from "./text.js";

const RUNS_SHOWN = 50;

export function overview() {
  return {
    async load() {
      const [server, runs] = await Promise.all([getServer(), getRuns(RUNS_SHOWN)]);
      return { server, runs, studies: [...await studiesOf(runs)] };
    },
    title: () => t("models"),
    active: ({ server, runs }) => runs.some(isActive) || server.Models.some((model) => model.State === "Loading"),
    render({ server, runs, studies }, act) {
      const running = runs.find(isActive);
      announce(running ? `${running.ModelTitle ?? running.Model}: ${named("stage", running.Stage ?? "fetch")}` : "");
      return [
        h("h1", {}, t("models")),
        server.Models.length ? h("ul", { class: "models" }, server.Models.map(modelItem)) : h("p", {}, t("models.none")),
        h("div", { class: "heading" },
          h("h2", {}, t("runs")),
          h("span", { class: "muted" }, t("server.queue", { length: server.QueueLength, limit: server.QueueLimit })),
          h("button", { type: "button", "data-key": "refresh", onclick: () => act(async () => {}) }, t("refresh"))),
        runs.length ? runsTable(runs, server.Models, new Map(studies)) : h("p", {}, t("runs.none")),
      ];
    },
  };
}

function modelItem(model) {
  const chips = (classes) => (classes?.length ? h("ul", { class: "chips" }, classes.map((one) => h("li", {},
    withVariables(h("span", { class: "dot" }), { "class-color": classColor(one.Color) }), className(one, one.Name)))) : null);
  return h("li", { class: "panel model" },
    h("div", { class: "model-head" }, h("h2", {}, model.Title), demoMark(model.Demo), badge(model.State)),
    modelProblem(model),
    h("p", { class: "muted" }, model.Description),
    facts([
      [t("model.name"), h("code", {}, model.Name)],
      [t("model.version"), model.Version],
      [t("model.input"), input(model)],
      [t("model.classes"), chips(model.Classes)],
      [t("model.segments"), chips(model.Segments)],
      [t("model.weights"), weights(model)],
    ]));
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
