// A segmentation run's result: the slice browser beside its surface in 3D and a card a segment with its numbers.
import { maskUrl } from "./api.js";
import { classColor, h, textOn, withVariables } from "./dom.js";
import { facts, spreadTitle } from "./parts.js";
import { sliceBrowser } from "./slices.js";
import { solidPanel } from "./solid.js";
import { className, decimals, language, millilitres, percent, t } from "./text.js";

/** First and last slice that the network saw, as indices; null where it saw all of them. */
function analysedRange(slices) {
  const seen = [...slices.keys()].filter((index) => slices[index].Analysed !== false);
  return seen.length && seen.length < slices.length ? [seen[0], seen.at(-1)] : null;
}

/** Where reading begins: on the slice with the first found segment's largest area, else in the middle. */
const startSlice = (segments, count) => segments.find((segment) => segment.Found)?.OutlineSlice ?? Math.floor(count / 2);

/** Indices of the slices on which a segment can have mask: those with frames in its span. */
const slicesOf = (segment, slices) => (segment.Found ? [...slices.keys()].filter((index) => index >= segment.FirstSlice && index <= segment.LastSlice && slices[index].MaskFrames?.length) : []);

/**
 * The nodes of a run with `Segmentation`. `kept` holds them over redraws: a page that is drawn again must not lose the slice that its reader is
 * looking at, nor load the surface anew.
 */
export function segmentationView(run, names, kept) {
  const key = JSON.stringify([run.Segmentation, run.Finished]);
  if (kept.key !== key) Object.assign(kept, { key, view: view(run, names) });
  return kept.view;
}

function view(run, names) {
  const { Segmentation: found, Slices: slices = [] } = run;
  const segments = found.Segments.map((segment) => ({ ...segment, Label: className(names.get(segment.Name), segment.Name) }));
  const analysed = analysedRange(slices);
  const seg = run.Stored?.find((stored) => stored.Kind === "SEG");
  const element = h("div", { class: slices.length ? "segmentation" : "segments" });
  const solid = seg?.SeriesID && segments.some((segment) => segment.Found) ? solidPanel(seg.SeriesID, (open) => element.classList.toggle("with-solid", open)) : null;
  const browser = slices.length ? sliceBrowser({
    slices, analysed, kind: "mask", start: startSlice(segments, slices.length),
    layers: ({ MaskFrames: frames = [] }) => (seg ? frames.map((frame) => maskUrl(seg.ID, frame)) : frames.length ? null : []),
    spans: segments.map((segment) => ({ name: segment.Label, color: segment.Color, indices: new Set(slicesOf(segment, slices)) })),
    onShow: (index, size) => solid?.show(slices[index], size),
  }) : null;
  element.append(...[
    browser?.element, solid?.element,
    h("div", { class: "segments" },
      segments.map((segment) => card(segment, browser, run.Answers)),
      analysed ? h("p", { class: "muted" }, t("segment.analysed", { count: analysed[1] - analysed[0] + 1, total: slices.length, first: analysed[0] + 1, last: analysed[1] + 1 })) : null),
  ].filter(Boolean));
  return element;
}

function card(segment, browser, answers) {
  const color = classColor(segment.Color);
  return h("article", { class: "panel segment", "aria-label": segment.Label },
    h("div", { class: "heading" },
      withVariables(h("h2", { class: "class-pill" }, segment.Label), { "class-color": color, "class-text": textOn(color) }),
      segment.Found ? null : h("strong", { class: "no-finding" }, t("segment.noFinding"))),
    segment.Found ? measured(segment, browser, answers) : h("p", {}, t("segment.noFindingText", { name: segment.Label })),
    segment.Finding && language === "en" ? h("p", { class: "muted segment-finding" }, segment.Finding) : null);
}

function measured(segment, browser, answers) {
  const channels = segment.Channels ?? [];
  // Contrasts are no phases of one study: nothing enhances from one to the next.
  const phases = channels.some((channel) => Number.isFinite(channel.EnhancementPercent));
  return [
    facts([
      [t("segment.volume"), h("span", { class: "measure" }, millilitres(segment.VolumeMl))],
      [t("segment.longAxis"), h("span", { class: "measure" }, decimals(segment.LongAxisMm, 1, "mm"))],
      [t("segment.ratio"), h("span", { class: "measure" }, decimals(segment.RatioPercent, 2, "%"))],
      [t("segment.spread"), Number.isFinite(segment.Spread) ? h("span", { class: "measure", title: spreadTitle(answers, "spread.segment") }, percent(segment.Spread)) : null],
    ]),
    h("p", { class: "heading" },
      h("span", {}, t("segment.slices", { first: segment.FirstSlice + 1, last: segment.LastSlice + 1 })),
      browser ? h("button", { type: "button", "data-key": `largest-${segment.Name}`, onclick: () => browser.go(segment.OutlineSlice) }, t("segment.largest", { number: segment.OutlineSlice + 1 })) : null),
    channels.length ? h("table", { class: "phases" },
      h("caption", {}, t("segment.signal")),
      h("thead", {}, h("tr", {}, (phases ? ["segment.phase", "segment.mean", "segment.enhancement"] : ["segment.channel", "segment.mean"]).map((key) => h("th", { scope: "col" }, t(key))))),
      h("tbody", {}, channels.map((channel) => h("tr", {},
        h("th", { scope: "row" }, channel.Name),
        h("td", { class: "number" }, decimals(channel.Mean, 1)),
        phases ? h("td", { class: "number" }, Number.isFinite(channel.EnhancementPercent) ? decimals(channel.EnhancementPercent, 0, "%") : "–") : null)))) : null,
  ];
}
