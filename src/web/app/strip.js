// What stands beside the slices: the strip of what lies where, a slider in percent, the wheel, a key.
import { classColor, h, withVariables } from "./dom.js";

const WHEEL_STEP = 50; // pixels of wheel travel; a notch of a mouse is 100 or more and moves one slice
const LINE_PIXELS = 33; // wheels that count lines

/** Sorted indices as ranges `[first, last]`. */
function ranges(indices) {
  const found = [];
  for (const index of indices) {
    if (found.length && found.at(-1)[1] === index - 1) found.at(-1)[1] = index;
    else found.push([index, index]);
  }
  return found;
}

/** Which slices hold a layer (a row a span), which were analysed, and which one is shown. */
export function marks(count, spans, analysed) {
  const place = (index) => `${Math.min(Math.max(index / Math.max(count - 1, 1), 0), 1) * 100}%`;
  const mark = (kind, [first, last], color) => withVariables(h("span", { class: `strip-${kind}` }), { from: place(first - 0.5), to: place(last + 0.5), ...(color ? { "class-color": color } : {}) });
  const pointer = h("span", { class: "strip-pointer" });
  const strip = h("div", { class: "strip", "aria-hidden": "true" },
    analysed ? mark("analysed", analysed) : null,
    spans.map(({ color, indices }) => h("div", { class: "strip-row" }, ranges(indices).map((range) => mark("mask", range, classColor(color))))),
    pointer);
  return { strip, point: (index) => withVariables(pointer, { from: place(index) }) };
}

/** A slider in percent that sets a CSS variable of `target`. */
export function adjuster(variable, label, value, max, target) {
  const set = (percent) => withVariables(target, { [variable]: percent / 100 });
  set(value);
  return h("label", { class: "adjuster" }, h("span", {}, label),
    h("input", { type: "range", min: 0, max, value, step: 5, "data-key": variable, "aria-valuetext": `${value} %`, oninput: ({ target: input }) => {
      input.setAttribute("aria-valuetext", `${input.value} %`);
      set(input.valueAsNumber);
    } }));
}

/** A wheel's travel as steps of one slice; with Ctrl it zooms the page, as everywhere. */
export function wheel(step) {
  let travel = 0;
  return (event) => {
    if (event.ctrlKey || event.deltaY === 0) return;
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 0 ? 1 : LINE_PIXELS);
    travel = Math.sign(travel) === Math.sign(pixels) ? travel + pixels : pixels;
    if (Math.abs(travel) < WHEEL_STEP) return;
    step(Math.sign(travel));
    travel = 0;
  };
}

/** M, by the letter, or by its place where the keyboard writes another script. */
export const isLayerKey = ({ key, code }) => (/^[ -~]$/.test(key) ? key.toLowerCase() === "m" : code === "KeyM");
