// The slice browser of a segmentation: the source's slices as Orthanc draws them, the masks over them.
//
// Source and mask are drawn in the same moment as their slice's number, and only when all of them are decoded: nothing flickers, and
// the number never belongs to another picture than the one in sight.
import { getNumbers, getPicture, maskUrl, sliceUrl } from "./api.js";
import { classColor, h, withVariables } from "./dom.js";
import { t } from "./text.js";

const KEPT = 64; // decoded slices in memory: about a megabyte each at 512 x 512
const AHEAD = 4; // neighbours loaded in advance, on either side
const PAGE = 10; // slices by PageUp and PageDown
const WHEEL_STEP = 50; // pixels of wheel travel; a notch of a mouse is 100 or more and moves one slice
const LINE_PIXELS = 33; // wheels that count lines
const SAY_WAITING_MS = 250;

/** Sorted indices as ranges `[first, last]`. */
export function ranges(indices) {
  const found = [];
  for (const index of indices) {
    if (found.length && found.at(-1)[1] === index - 1) found.at(-1)[1] = index;
    else found.push([index, index]);
  }
  return found;
}

/** Indices of the slices on which a segment can have mask: those with frames in its span. */
const slicesOf = (segment, slices) => (segment.Found ? [...slices.keys()].filter((index) => index >= segment.FirstSlice && index <= segment.LastSlice && slices[index].MaskFrames?.length) : []);

/** A look-up in the functional groups of a multi-frame instance (shared, then the frame's own), or in a classic instance. */
async function attribute(slice, macro, tag) {
  const multi = slice.Frame !== null && slice.Frame !== undefined;
  const places = multi ? [`5200-9229/0/${macro}/0/${tag}`, `5200-9230/${Number(slice.Frame)}/${macro}/0/${tag}`, tag] : [tag];
  for (const place of places) {
    const numbers = await getNumbers(slice.InstanceID, place);
    if (numbers) return numbers;
  }
  return null;
}

/** `[center, width]` of the slice's first window; null where it has none. One window serves all slices, so that they compare. */
async function windowOf(slice) {
  const [center, width] = await Promise.all([attribute(slice, "0028-9132", "0028-1050"), attribute(slice, "0028-9132", "0028-1051")]);
  return center && width && width[0] > 0 ? [center[0], width[0]] : null;
}

/** Height of a pixel over its width (PixelSpacing: rows first). */
async function pixelShape(slice) {
  const [row, column] = await attribute(slice, "0028-9110", "0028-0030") ?? [];
  return row > 0 && column > 0 ? row / column : 1;
}

/**
 * The browser of `slices` with the masks of `segmentation` (Orthanc id of the SEG; null: there is none), at first on slice `start`.
 * `segments`: `{Name, Color, Found, FirstSlice, LastSlice}`, with `Name` as people shall read it; `analysed`: `[first, last]` index.
 * Gives the element and `go(index)`.
 */
export function sliceBrowser({ slices, segmentation, segments, analysed, start }) {
  const source = h("canvas", { class: "slice-source", width: 1, height: 1 });
  const mask = h("canvas", { class: "slice-mask", width: 1, height: 1 });
  const picture = h("div", { class: "slice-picture" }, source, mask);
  const number = h("span", { class: "slice-number" });
  const note = h("p", { class: "slice-note", role: "status" });
  const stage = h("div", { class: "slice-stage", tabindex: 0, role: "img", "data-key": "slice-stage" }, picture, number);
  const slider = h("input", { type: "range", min: 1, max: slices.length, step: 1, value: start + 1, "aria-label": t("slices.slider"), "data-key": "slice-slider" });
  const spans = segments.map((segment) => ({ segment, indices: new Set(slicesOf(segment, slices)) }));
  const { strip, point } = marks(slices.length, spans, analysed);
  const element = h("section", { class: "panel slices", "aria-label": t("slices.title") });

  const cache = new Map(); // index -> pictures, least recently used first
  const failed = new Set(); // neighbours that did not load are not asked for again and again
  let wanted = Math.min(Math.max(start, 0), slices.length - 1);
  let shown = null;
  let ahead = 1; // direction of the last step
  let prefetch = null; // AbortController of the neighbour that is being loaded
  let pumping = false;
  let voi = null; // once known: [center, width], or false

  async function pictures(index, signal) {
    if (cache.has(index)) return cache.get(index);
    const slice = slices[index];
    const frames = segmentation ? slice.MaskFrames ?? [] : [];
    const [image, ...masks] = await Promise.all([sliceUrl(slice, voi || null), ...frames.map((frame) => maskUrl(segmentation, frame))]
      .map((url) => getPicture(url, signal).catch((error) => {
        if (error.name === "AbortError" || error.status === undefined) throw error;
        return null;
      })));
    const fits = masks.every((one) => one && (!image || (one.width === image.width && one.height === image.height)));
    const missing = !segmentation && slice.MaskFrames?.length > 0;
    const loaded = { image, masks: fits ? masks : [], problem: image ? (fits && !missing ? null : t("slices.noMask")) : t("slices.noPicture") };
    if (!loaded.problem) keep(index, loaded);
    return loaded;
  }

  function keep(index, loaded) {
    cache.set(index, loaded);
    for (const [oldest, old] of cache) {
      if (cache.size <= KEPT) break;
      cache.delete(oldest);
      for (const bitmap of [old.image, ...old.masks]) bitmap?.close();
    }
  }

  function present(index, loaded) {
    if (cache.has(index)) { // now the most recently used
      cache.delete(index);
      cache.set(index, loaded);
    }
    const { image, masks, problem } = loaded;
    const [width, height] = [image?.width ?? 1, image?.height ?? 1];
    for (const [canvas, layers] of [[source, image ? [image] : []], [mask, masks]]) {
      const context = canvas.getContext("2d");
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      else context.clearRect(0, 0, width, height);
      for (const layer of layers) context.drawImage(layer, 0, 0);
    }
    if (image) withVariables(picture, { columns: width, rows: height });
    shown = index;
    number.textContent = `${index + 1} / ${slices.length}`;
    stage.setAttribute("aria-label", describe(index));
    stage.dataset.slice = index;
    note.textContent = problem ?? (outside(index) ? t("slices.outside") : "");
    note.classList.toggle("slice-problem", Boolean(problem));
    point(index);
  }

  const outside = (index) => analysed && (index < analysed[0] || index > analysed[1]);

  function describe(index) {
    const names = spans.filter(({ indices }) => indices.has(index)).map(({ segment }) => segment.Name);
    const holds = names.length ? t("slices.holds", { names: names.join(", ") }) : t(outside(index) ? "slices.outside" : "slices.holdsNone");
    return `${t("slices.position", { number: index + 1, total: slices.length })}, ${holds}`;
  }

  function neighbour() {
    const steps = Array.from({ length: AHEAD }, (_, step) => [ahead * (step + 1), -ahead * (step + 1)]).flat();
    return steps.map((step) => wanted + step).find((index) => index >= 0 && index < slices.length && !cache.has(index) && !failed.has(index));
  }

  /** One thing at a time: the slice that is wanted now, whatever was wanted meanwhile left out; then its neighbours. */
  async function pump() {
    if (pumping) return;
    pumping = true;
    try {
      voi ??= await windowOf(slices[wanted]) ?? false;
      while (wanted !== shown) {
        const index = wanted;
        const waiting = setTimeout(() => stage.classList.add("waiting"), SAY_WAITING_MS);
        present(index, await pictures(index).finally(() => clearTimeout(waiting)));
        stage.classList.remove("waiting");
      }
      let index;
      while (wanted === shown && element.isConnected && (index = neighbour()) !== undefined) {
        prefetch = new AbortController();
        const loaded = await pictures(index, prefetch.signal).catch((error) => { if (error.name !== "AbortError") throw error; });
        if (loaded?.problem) failed.add(index);
      }
    } finally {
      prefetch = null;
      pumping = false;
    }
    if (wanted !== shown) pump();
  }

  function go(index) {
    const next = Math.min(Math.max(index, 0), slices.length - 1);
    if (next === wanted) return;
    ahead = Math.sign(next - wanted);
    wanted = next;
    failed.clear();
    slider.value = next + 1;
    slider.setAttribute("aria-valuetext", describe(next));
    prefetch?.abort();
    if (cache.has(next)) present(next, cache.get(next));
    pump();
  }

  const maskButton = h("button", { type: "button", "aria-pressed": "true", "aria-keyshortcuts": "m", "data-key": "slice-mask", onclick: toggle }, `${t("slices.mask")} (M)`);
  function toggle() {
    mask.hidden = !mask.hidden;
    maskButton.setAttribute("aria-pressed", String(!mask.hidden));
  }

  const keys = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE, Home: -Infinity, End: Infinity };
  element.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key.toLowerCase() === "m") toggle();
    else if (event.key in keys && (event.target === stage || event.target === slider)) go(wanted + keys[event.key]);
    else return;
    event.preventDefault();
  });
  slider.addEventListener("input", () => go(slider.valueAsNumber - 1));
  stage.addEventListener("wheel", wheel((step) => go(wanted + step)), { passive: false });
  strip.addEventListener("pointerdown", (event) => {
    const box = strip.getBoundingClientRect();
    go(Math.round((event.clientX - box.left) / box.width * (slices.length - 1)));
  });

  element.append(
    h("div", { class: "heading" }, h("h2", {}, t("slices.title")), note),
    stage,
    h("div", { class: "slice-place" }, slider, strip),
    h("div", { class: "slice-tools" },
      maskButton,
      adjuster("mask-opacity", t("slices.opacity"), 50, 100, picture),
      adjuster("brightness", t("slices.brightness"), 100, 300, picture),
      adjuster("contrast", t("slices.contrast"), 100, 300, picture)),
    h("p", { class: "muted slice-help" }, t("slices.help")));
  stage.setAttribute("aria-label", describe(wanted));
  slider.setAttribute("aria-valuetext", describe(wanted));
  point(wanted);
  pixelShape(slices[wanted]).then((shape) => withVariables(picture, { "pixel-shape": shape }));
  pump();
  return { element, go };
}

/** Which slices hold mask (a row a segment), which were analysed, and which one is shown. */
function marks(count, spans, analysed) {
  const place = (index) => `${Math.min(Math.max(index / Math.max(count - 1, 1), 0), 1) * 100}%`;
  const mark = (kind, [first, last], color) => withVariables(h("span", { class: `strip-${kind}` }), { from: place(first - 0.5), to: place(last + 0.5), ...(color ? { "class-color": color } : {}) });
  const pointer = h("span", { class: "strip-pointer" });
  const strip = h("div", { class: "strip", "aria-hidden": "true" },
    analysed ? mark("analysed", analysed) : null,
    spans.map(({ segment, indices }) => h("div", { class: "strip-row" }, ranges(indices).map((range) => mark("mask", range, classColor(segment.Color))))),
    pointer);
  return { strip, point: (index) => withVariables(pointer, { from: place(index) }) };
}

/** A slider in percent that sets a CSS variable of `target`. */
function adjuster(variable, label, value, max, target) {
  const set = (percent) => withVariables(target, { [variable]: percent / 100 });
  set(value);
  return h("label", { class: "adjuster" }, h("span", {}, label),
    h("input", { type: "range", min: 0, max, value, step: 5, "data-key": variable, "aria-valuetext": `${value} %`, oninput: ({ target: input }) => {
      input.setAttribute("aria-valuetext", `${input.value} %`);
      set(input.valueAsNumber);
    } }));
}

/** A wheel's travel as steps of one slice; with Ctrl it zooms the page, as everywhere. */
function wheel(step) {
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
