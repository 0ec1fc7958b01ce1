// The slice browser: a series' slices as Orthanc draws them, or in the reader's own window, with masks or heat maps over them.
//
// Source and layer are drawn in the same moment as their slice's number, and only when all of them are decoded: nothing flickers, and
// the number never belongs to another picture than the one in sight.
import { getPicture, getValues, sliceUrl } from "./api.js";
import { classColor, h, withVariables } from "./dom.js";
import { isCt, photometric, pixelShape, windowOf } from "./headers.js";
import { t } from "./text.js";
import { differing, fullWindow, windowed } from "./values.js";
import { windowTools } from "./window.js";

const KEPT = 64; // decoded slices in memory: about a megabyte each at 512 x 512
const AHEAD = 4; // neighbours loaded in advance, on either side
const PAGE = 10; // slices by PageUp and PageDown
const WHEEL_STEP = 50; // pixels of wheel travel; a notch of a mouse is 100 or more and moves one slice
const LINE_PIXELS = 33; // wheels that count lines
const SAY_WAITING_MS = 250;
const SETTLED_MS = 200; // of a window that is being changed

/** What the layer over the slices is called. */
const WORDS = {
  mask: { layer: "slices.mask", opacity: "slices.opacity", holds: "slices.holds", holdsNone: "slices.holdsNone", lost: "slices.noMask" },
  heat: { layer: "slices.heat", opacity: "slices.heatOpacity", holds: "slices.holdsHeat", holdsNone: "slices.holdsNoHeat", lost: "slices.noHeat" },
};

/** Sorted indices as ranges `[first, last]`. */
export function ranges(indices) {
  const found = [];
  for (const index of indices) {
    if (found.length && found.at(-1)[1] === index - 1) found.at(-1)[1] = index;
    else found.push([index, index]);
  }
  return found;
}

/**
 * The browser of `slices` (`{InstanceID, Frame, Analysed}`), at first on slice `start`. `kind`: what lies over them, "mask" or "heat";
 * `layers(slice)`: the addresses of what lies over one, none for most, null where it is lost; `spans`: what a row of the strip marks,
 * `{name, color, indices: Set}`; `analysed`: `[first, last]` index, null for all; `caption(index)`: what is said in the picture;
 * `onShow(index, [rows, columns])`: a slice is in sight. Gives the element and `go(index)`.
 */
export function sliceBrowser({ slices, kind, layers, spans, analysed = null, start, caption = () => "", onShow = () => {} }) {
  const words = WORDS[kind];
  const source = h("canvas", { class: "slice-source", width: 1, height: 1 });
  const layer = h("canvas", { class: `slice-layer slice-${kind}`, width: 1, height: 1 });
  const picture = h("div", { class: "slice-picture" }, source, layer);
  const number = h("span", { class: "slice-number" });
  const said = h("span", { class: "slice-caption" });
  const note = h("p", { class: "slice-note", role: "status" });
  const stage = h("div", { class: "slice-stage", tabindex: 0, role: "img", "data-key": "slice-stage" }, picture, said, number);
  const slider = h("input", { type: "range", min: 1, max: slices.length, step: 1, value: start + 1, "aria-label": t("slices.slider"), "data-key": "slice-slider" });
  const { strip, point } = marks(slices.length, spans, analysed);
  const element = h("section", { class: "panel slices", "aria-label": t("slices.title") });

  const cache = new Map(); // index -> what was loaded, least recently used first
  const failed = new Set(); // neighbours that did not load are not asked for again and again
  let wanted = Math.min(Math.max(start, 0), slices.length - 1);
  let shown = null;
  let current = null; // what was loaded of the slice that is shown
  let ahead = 1; // direction of the last step
  let prefetch = null; // AbortController of the neighbour that is being loaded
  let pumping = false;
  let view = null; // the reader's own window; null: the image's
  let inverted = false;
  const own = windowOf(slices[wanted]); // one window serves all slices, so that they compare

  const quietly = (promise) => promise.catch((error) => {
    if (error.name === "AbortError" || error.status === undefined) throw error;
    return null;
  });

  const named = (window) => String(window ?? "own");
  /** Whether it can be drawn in the window that is wanted now: its picture was made in it, or its values are there to make one of. */
  const ready = (loaded) => loaded && ((view && loaded.values) || (loaded.image !== undefined && loaded.window === named(view)));

  async function pictures(index, signal) {
    const loaded = cache.get(index) ?? {};
    if (ready(loaded)) return loaded;
    const slice = slices[index];
    const window = named(view);
    const over = layers(slice);
    const draw = (wanted) => quietly(getPicture(sliceUrl(slice, wanted), signal));
    // A heat map is told apart from the picture that it was made of, in the image's own window.
    const ground = view && kind === "heat" && over?.length > 0 && !loaded.layers ? own.then(draw) : null;
    const [image, drawn, base] = await Promise.all([view ? draw(view) : own.then(draw), loaded.layers ?? Promise.all((over ?? []).map((url) => quietly(getPicture(url, signal)))), ground]);
    const fits = drawn.every((one) => one && (!image || (one.width === image.width && one.height === image.height)));
    if (!loaded.layers) {
      const under = base ?? image;
      loaded.layers = !fits ? [] : kind === "heat" && under ? await Promise.all(drawn.map((one) => hotOnly(one, under))) : drawn;
      loaded.lost = !fits || !over;
      base?.close();
    }
    loaded.image?.close();
    Object.assign(loaded, { image, window, problem: !image ? t("slices.noPicture") : loaded.lost ? t(words.lost) : null });
    if (!loaded.problem) keep(index, loaded);
    return loaded;
  }

  /** Values of the slice that is wanted, with which a window follows the mouse at once; without them Orthanc draws every one. */
  async function loadValues() {
    const loaded = cache.get(wanted);
    if (!loaded || loaded.values) return;
    const values = await quietly(getValues(slices[wanted]));
    if (values === false) colourless();
    else if (values) loaded.values = values;
    if (loaded === current) drawSource();
  }

  function keep(index, loaded) {
    cache.delete(index);
    cache.set(index, loaded);
    for (const [oldest, old] of cache) {
      if (cache.size <= KEPT) break;
      cache.delete(oldest);
      if (old !== current) for (const bitmap of [old.image, ...old.layers]) bitmap?.close();
    }
  }

  function drawSource() {
    const context = source.getContext("2d");
    if (view && current.values) context.putImageData(new ImageData(windowed(current.values, view, inverted), current.values.columns), 0, 0);
    else if (current.image) context.drawImage(current.image, 0, 0);
  }

  function present(index, loaded) {
    if (cache.has(index)) keep(index, loaded); // now the most recently used
    current = loaded;
    const { width = 1, height = 1 } = loaded.image ?? {};
    for (const canvas of [source, layer]) {
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      else canvas.getContext("2d").clearRect(0, 0, width, height);
    }
    drawSource();
    for (const one of loaded.layers) layer.getContext("2d").drawImage(one, 0, 0);
    if (loaded.image) withVariables(picture, { columns: width, rows: height });
    shown = index;
    number.textContent = `${index + 1} / ${slices.length}`;
    said.textContent = caption(index);
    stage.setAttribute("aria-label", describe(index));
    stage.dataset.slice = index;
    tellNote();
    point(index);
    onShow(index, [height, width]);
  }

  function tellNote() {
    // A heat map's picture was made in one window: under its colours there is no other.
    const mixed = kind === "heat" && view && current.layers.length > 0;
    note.textContent = current.problem ?? (outside(shown) ? t("slices.outside") : mixed ? t("slices.heatWindow") : "");
    note.classList.toggle("slice-problem", Boolean(current.problem));
  }

  const outside = (index) => analysed && (index < analysed[0] || index > analysed[1]);

  function describe(index) {
    const names = spans.filter(({ indices }) => indices.has(index)).map(({ name }) => name);
    const holds = names.length ? t(words.holds, { names: names.join(", ") }) : t(outside(index) ? "slices.outside" : words.holdsNone);
    return [t("slices.position", { number: index + 1, total: slices.length }), holds, caption(index)].filter(Boolean).join(", ");
  }

  /** The window that is shown; null where pixels have no values to be windowed. */
  async function windowNow() {
    const now = view ?? await own;
    if (now) return now;
    const values = await quietly(getValues(slices[wanted]));
    if (values === false) colourless();
    return values ? view ?? fullWindow(values) : null;
  }

  let painting = false;
  let settling = null; // neighbours are not loaded for windows that are passed by
  function changeWindow(window) {
    if (tools.element.hidden && window) return; // a mouse that was still on its way
    prefetch?.abort();
    clearTimeout(settling);
    settling = setTimeout(() => {
      settling = null;
      pump();
    }, SETTLED_MS);
    view = window;
    tools.tell(view ?? windowOfFile);
    if (!current || !ready(current)) pump();
    else if (!painting) { // a mouse tells its place more often than a screen draws
      painting = true;
      requestAnimationFrame(() => {
        painting = false;
        if (!current || !ready(current)) return;
        drawSource();
        tellNote();
      });
    }
  }

  function neighbour() {
    const steps = Array.from({ length: AHEAD }, (_, step) => [ahead * (step + 1), -ahead * (step + 1)]).flat();
    return steps.map((step) => wanted + step).find((index) => index >= 0 && index < slices.length && !ready(cache.get(index)) && !failed.has(index));
  }

  /** Whether another slice is wanted than the one that is shown, or another window. */
  const isBehind = () => wanted !== shown || !ready(current);

  /** One thing at a time: the slice that is wanted now, whatever was wanted meanwhile left out; then its neighbours. */
  async function pump() {
    if (pumping) return;
    pumping = true;
    try {
      while (isBehind()) {
        const index = wanted;
        const waiting = setTimeout(() => stage.classList.add("waiting"), SAY_WAITING_MS);
        const loaded = await pictures(index).finally(() => clearTimeout(waiting));
        present(index, loaded);
        stage.classList.remove("waiting");
        described ??= describeSeries();
      }
      let index;
      while (!isBehind() && settling === null && element.isConnected && (index = neighbour()) !== undefined) {
        prefetch = new AbortController();
        const loaded = await pictures(index, prefetch.signal).catch((error) => { if (error.name !== "AbortError") throw error; });
        if (loaded?.problem) failed.add(index);
      }
    } finally {
      prefetch = null;
      pumping = false;
    }
    if (isBehind()) pump();
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
    if (ready(cache.get(next))) present(next, cache.get(next));
    pump();
  }

  const layerButton = h("button", { type: "button", "aria-pressed": "true", "aria-keyshortcuts": "m", "data-key": "slice-layer", onclick: toggle }, `${t(words.layer)} (M)`);
  function toggle() {
    layer.hidden = !layer.hidden;
    layerButton.setAttribute("aria-pressed", String(!layer.hidden));
  }

  let windowOfFile = null;
  const tools = windowTools({ start: windowNow, change: changeWindow, prepare: loadValues });
  tools.drag(stage);
  own.then((window) => {
    windowOfFile = window;
    tools.tell(view ?? window);
  });
  /** To colours no window applies. */
  function colourless() {
    tools.element.hidden = true;
    if (view) changeWindow(null);
  }

  /** What the tools need to know, and the first slice does not wait for. */
  let described = null;
  async function describeSeries() {
    const [ct, shows] = await Promise.all([isCt(slices[wanted]), photometric(slices[wanted])]);
    inverted = shows === "MONOCHROME1";
    if (shows && !shows.startsWith("MONOCHROME")) colourless();
    if (view && current) drawSource();
    if (ct) tools.presets();
    tools.tell(view ?? windowOfFile);
  }

  const keys = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE, Home: -Infinity, End: Infinity };
  element.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input[type=number], select")) return;
    if (event.key.toLowerCase() === "m") toggle();
    else if (event.key in keys && (event.target === stage || event.target === slider)) go(wanted + keys[event.key]);
    else if (tools.element.hidden || !tools.key(event)) return;
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
      layerButton,
      adjuster("layer-opacity", t(words.opacity), kind === "heat" ? 100 : 50, 100, picture)),
    tools.element,
    h("p", { class: "muted slice-help" }, t("slices.help")));
  stage.setAttribute("aria-label", describe(wanted));
  slider.setAttribute("aria-valuetext", describe(wanted));
  point(wanted);
  pixelShape(slices[wanted]).then((shape) => withVariables(picture, { "pixel-shape": shape }));
  pump();
  return { element, go };
}

/** What a heat map's picture adds to the image: its heat, its outlines and letters. */
async function hotOnly(heat, image) {
  const { width, height } = image;
  const pixels = [heat, image].map((one) => {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(one, 0, 0);
    return context.getImageData(0, 0, width, height);
  });
  differing(pixels[0].data, pixels[1].data);
  heat.close();
  return createImageBitmap(pixels[0]);
}

/** Which slices hold a layer (a row a span), which were analysed, and which one is shown. */
function marks(count, spans, analysed) {
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
