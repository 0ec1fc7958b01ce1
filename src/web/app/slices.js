// The slice browser: a series' slices as Orthanc draws them, or in the reader's own window, with masks or heat maps over them.
//
// Source and layer are drawn in the same moment as their slice's number, and only when all of them are decoded: nothing flickers, and
// the number never belongs to another picture than the one in sight.
import { getPicture, getValues, quietly, sliceUrl } from "./api.js";
import { SliceCache, close } from "./cache.js";
import { h, withVariables } from "./dom.js";
import { isCt, photometric, pixelShape, windowOf } from "./headers.js";
import { cover, groundOf } from "./layers.js";
import { adjuster, isLayerKey, marks, wheel } from "./strip.js";
import { t } from "./text.js";
import { fullWindow, windowed } from "./values.js";
import { windowTools } from "./window.js";

const AHEAD = 4; // neighbours loaded in advance, on either side
const PAGE = 10; // slices by PageUp and PageDown
const SAY_WAITING_MS = 250;
const SETTLED_MS = 200; // of a window that is being changed
const NARROW = 1; // narrower windows the server widens to this: they are drawn here

/** What the layer over the slices is called. */
const WORDS = {
  mask: { layer: "slices.mask", opacity: "slices.opacity", holds: "slices.holds", holdsNone: "slices.holdsNone", lost: "slices.noMask" },
  heat: { layer: "slices.heat", opacity: "slices.heatOpacity", holds: "slices.holdsHeat", holdsNone: "slices.holdsNoHeat", lost: "slices.noHeat" },
};

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

  const cache = new SliceCache(() => ({ wanted, pinned: [shown, loading] })); // index -> what was loaded
  const tried = new Set(); // neighbours that did not load, or for which there is no room, are not asked for again and again
  let wanted = Math.min(Math.max(start, 0), slices.length - 1);
  let shown = null;
  let current = null; // what was loaded of the slice that is shown
  let ahead = 1; // direction of the last step
  let prefetch = null; // AbortController of the neighbour that is being loaded
  let pumping = false;
  let loading = null; // the slice that is on its way to be shown
  let view = null; // the reader's own window; null: the image's
  let inverted = false;
  const own = windowOf(slices[wanted]); // one window serves all slices, so that they compare

  const named = (window) => String(window ?? "own");
  /** Whether it can be drawn in the window that is wanted now: its picture was made in it, or its values are there to make one of. */
  const ready = (loaded) => loaded && ((view && loaded.values) || (loaded.image !== undefined && loaded.window === named(view)));

  async function pictures(index, signal) {
    const loaded = of(index) ?? {};
    if (ready(loaded)) return loaded;
    const slice = slices[index];
    const window = named(view);
    const over = layers(slice);
    const covered = loaded.layer !== undefined;
    const address = Promise.resolve(view ?? own).then((asked) => sliceUrl(slice, asked));
    const [image, drawn] = await Promise.all([
      address.then((url) => quietly(getPicture(url, signal))),
      covered ? [] : Promise.all((over ?? []).map((url) => quietly(getPicture(url, signal)))),
      view && view[1] <= NARROW ? valuesOf(index, loaded) : null,
    ]);
    if (!covered && over) loaded.layer = await cover(drawn, image, kind === "heat" ? () => quietly(groundOf(slice, address, image, signal)) : null);
    else if (covered && loaded.layer === undefined) { // there was no room for it meanwhile
      image?.close();
      return pictures(index, signal);
    }
    loaded.image?.close();
    Object.assign(loaded, { image, window, problem: !image ? t("slices.noPicture") : loaded.layer === undefined ? t(words.lost) : null });
    if (loaded.problem) cache.forget(index); // what failed once may come the next time
    else cache.keep(index, loaded);
    return loaded;
  }

  /** The pixel values of a slice, asked for once and kept with it; null where there are none to be had. */
  function valuesOf(index, loaded) {
    loaded.asked ??= quietly(getValues(slices[index])).then((values) => {
      if (values === false) colourless();
      else if (!values) loaded.asked = null;
      loaded.values = values || undefined;
      if (cache.get(index) === loaded) cache.keep(index, loaded); // heavier now
      return values || null;
    });
    return loaded.asked;
  }

  /** Values of the slice that is wanted, with which a window follows the mouse at once; without them Orthanc draws every one. */
  async function loadValues() {
    const loaded = of(wanted);
    if (!loaded || loaded.values) return;
    await valuesOf(wanted, loaded);
    if (loaded === current) drawSource();
  }

  /** What was loaded of a slice; of the one in sight even where it is not all that it should be. */
  const of = (index) => cache.get(index) ?? (index === shown ? current : undefined);

  function drawSource() {
    const context = source.getContext("2d");
    if (view && current.values) context.putImageData(new ImageData(windowed(current.values, view, inverted), current.values.columns), 0, 0);
    else if (current.image) context.drawImage(current.image, 0, 0);
  }

  function present(index, loaded) {
    const before = current;
    const unkept = before && before !== loaded && cache.get(shown) !== before;
    current = loaded;
    if (unkept) close(before);
    const { width = 1, height = 1 } = loaded.image ?? {};
    for (const canvas of [source, layer]) {
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      else canvas.getContext("2d").clearRect(0, 0, width, height);
    }
    drawSource();
    if (loaded.layer) layer.getContext("2d").drawImage(loaded.layer, 0, 0);
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
    const mixed = kind === "heat" && view && current.layer;
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
    const values = await valuesOf(wanted, of(wanted) ?? {});
    return values ? view ?? fullWindow(values) : null;
  }

  let painting = false;
  let settling = null; // neighbours are not loaded for windows that are passed by
  function changeWindow(window) {
    if (tools.element.hidden && window) return; // a mouse that was still on its way
    prefetch?.abort();
    tried.clear();
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
    return steps.slice(0, Math.max(cache.room(current) - 1, 0)).map((step) => wanted + step).find((index) => index >= 0 && index < slices.length && !ready(cache.get(index)) && !tried.has(index));
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
        loading = index;
        const waiting = setTimeout(() => stage.classList.add("waiting"), SAY_WAITING_MS);
        const loaded = await pictures(index).finally(() => clearTimeout(waiting));
        present(index, loaded);
        stage.classList.remove("waiting");
        described ??= describeSeries();
      }
      let index;
      while (!isBehind() && settling === null && element.isConnected && (index = neighbour()) !== undefined) {
        prefetch = new AbortController();
        tried.add(index);
        const loaded = await pictures(index, prefetch.signal).catch((error) => { if (error.name !== "AbortError") throw error; });
        if (loaded?.problem && loaded !== current) close(loaded);
      }
    } finally {
      prefetch = null;
      loading = null;
      pumping = false;
    }
    if (isBehind()) pump();
  }

  function go(index) {
    const next = Math.min(Math.max(index, 0), slices.length - 1);
    if (next === wanted) return;
    ahead = Math.sign(next - wanted);
    wanted = next;
    tried.clear();
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
    tools.hide();
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
    if (isLayerKey(event)) toggle();
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
    h("p", { class: "muted slice-help" }, t("slices.help"), tools.help));
  stage.setAttribute("aria-label", describe(wanted));
  slider.setAttribute("aria-valuetext", describe(wanted));
  point(wanted);
  pixelShape(slices[wanted]).then((shape) => withVariables(picture, { "pixel-shape": shape }));
  pump();
  return { element, go };
}
