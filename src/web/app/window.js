// The window of the slice browser: centre and width in the image's units, by fields, presets, the mouse and keys.
import { announce, h } from "./dom.js";
import { t } from "./text.js";

/** Usual windows of a CT, in HU: `[name, center, width]`. */
export const CT_WINDOWS = [["window.brain", 40, 80], ["window.subdural", 80, 200], ["window.stroke", 40, 40], ["window.bone", 600, 2800], ["window.lung", -600, 1500], ["window.soft", 40, 400]];

const STEP = 0.05; // of the width, by a key
const DRAG = 256; // pixels of travel that are worth a whole width
const LEAST = 1e-3;

const shown = (value) => String(Number(value.toPrecision(Math.abs(value) >= 1000 ? 6 : 4)));

/** Window after a drag by `[right, down]` pixels from `[center, width]`: to the right wider, down darker. */
export const dragged = ([center, width], [right, down]) => [center + (down / DRAG) * width, Math.max(width * (1 + right / DRAG), width * 0.02, LEAST)];

/**
 * `start()` resolves to the window that is shown now, null where there is none to be had; `change(window)` shows another, null the image's own again;
 * `prepare()`: a window will follow the mouse.
 * Gives the element, `help` (what the tools are worked with), `hide()` for pixels without a window, `key(event)` (whether the key was one of ours), `drag(stage)`, `presets()` to offer those of a CT, and `tell(window)` to show what it is.
 */
export function windowTools({ start, change, prepare }) {
  const field = (key, label) => h("input", { type: "number", step: "any", inputmode: "decimal", "data-key": key, "aria-label": label, disabled: true });
  const center = field("window-center", t("window.center"));
  const width = field("window-width", t("window.width"));
  const unit = h("span", { class: "muted" });
  const preset = h("select", { "data-key": "window-preset", "aria-label": t("window.presets") });
  const reset = h("button", { type: "button", "data-key": "window-reset", "aria-keyshortcuts": "0", onclick: () => set(null) }, `${t("window.reset")} (0)`);
  const presetsHelp = h("span", { hidden: true }, ` ${t("window.helpPresets")}`);
  const help = h("span", {}, ` ${t("window.help")}`, presetsHelp);
  const element = h("div", { class: "window-tools", role: "group", "aria-label": t("window.title") },
    h("label", { class: "window-field" }, h("span", {}, t("window.center")), center),
    h("label", { class: "window-field" }, h("span", {}, t("window.width")), width),
    unit, preset, reset);
  let offered = [];
  preset.hidden = true;

  function tell(window) {
    for (const [input, value] of [[center, window?.[0]], [width, window?.[1]]]) {
      input.disabled = !window;
      if (input !== document.activeElement || !window) input.value = window ? shown(value) : "";
    }
    const same = offered.findIndex(([, ...values]) => window && values[0] === window[0] && values[1] === window[1]);
    preset.value = String(same);
  }

  function set(window, say = true) {
    change(window);
    if (say) announce(window ? t("window.now", { center: shown(window[0]), width: shown(window[1]) }) : t("window.own"));
  }

  function entered() {
    if (Number.isFinite(center.valueAsNumber) && width.valueAsNumber >= LEAST) set([center.valueAsNumber, width.valueAsNumber], false);
  }
  center.addEventListener("input", entered);
  width.addEventListener("input", entered);
  preset.addEventListener("change", () => {
    const chosen = offered[Number(preset.value)];
    set(chosen ? [chosen[1], chosen[2]] : null);
  });

  async function step(sideways, down) {
    const now = await start();
    if (now) set([now[0] + down * STEP * now[1], Math.max(now[1] * (1 + sideways * STEP), LEAST)]);
  }

  const steps = { "[": [-1, 0], "]": [1, 0], "-": [0, 1], "+": [0, -1], "=": [0, -1] };
  function key({ key: pressed }) {
    if (pressed in steps) step(...steps[pressed]);
    else if (pressed === "0") set(null);
    else if (offered[Number(pressed) - 1]) set(offered[Number(pressed) - 1].slice(1));
    else return false;
    return true;
  }

  /** With the mouse or a pen: a finger scrolls the page. */
  function drag(stage) {
    stage.addEventListener("pointerdown", (event) => {
      if (element.hidden || event.button !== 0 || event.pointerType === "touch") return;
      stage.setPointerCapture(event.pointerId);
      const from = [event.clientX, event.clientY];
      let at = from;
      let begun = null;
      let moved = false;
      const follow = () => { if (begun && moved) set(dragged(begun, [at[0] - from[0], at[1] - from[1]]), false); };
      const move = (now) => {
        at = [now.clientX, now.clientY];
        if (!moved && Math.hypot(at[0] - from[0], at[1] - from[1]) > 2) { // a click is no drag
          moved = true;
          prepare();
          start().then((window) => {
            begun = window;
            follow();
          });
        }
        follow();
      };
      const end = () => {
        stage.removeEventListener("pointermove", move);
        for (const name of ["pointerup", "pointercancel"]) stage.removeEventListener(name, end);
      };
      stage.addEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, end);
    });
  }

  function presets() {
    offered = CT_WINDOWS;
    const option = (value, text) => h("option", { value }, text);
    preset.replaceChildren(option(-1, t("window.presets")), ...offered.map(([name, ...values], index) => option(index, `${t(name)} ${values.join(" / ")} (${index + 1})`)));
    preset.hidden = false;
    presetsHelp.hidden = false;
    unit.textContent = "HU";
  }

  function hide() {
    element.hidden = true;
    help.hidden = true;
  }

  return { element, help, hide, key, drag, presets, tell };
}
