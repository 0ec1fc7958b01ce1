// A segmentation's surface in 3D, beside its slices: the page that is also a file of its own, in a frame, loaded when it is asked for.
import { seriesFileUrl } from "./api.js";
import { h } from "./dom.js";
import { planeOf } from "./headers.js";
import { t } from "./text.js";

const STILL_MS = 100; // a slice that was passed by is not asked where it lies

/**
 * The panel of the segmentation that is this series. `changed(open)` is told whether it is shown. Gives the element and `show(slice, size)`: the
 * plane of that slice is drawn in it.
 */
export function solidPanel(series, changed) {
  const url = seriesFileUrl(series, "surface.html");
  const place = h("div", { class: "solid-place" });
  const open = h("button", { type: "button", class: "primary", "aria-expanded": "false", "data-key": "solid-open", onclick: toggle }, t("solid.open"));
  const element = h("section", { class: "panel solid", "aria-label": t("solid.title") },
    h("div", { class: "heading" }, h("h2", {}, t("solid.title")), h("span", { class: "spacer" }), open,
      h("a", { href: url, download: true, "data-key": "solid-download" }, t("solid.download"))),
    place);
  const planes = new Map(); // by slice
  let frame = null;
  let shown = null; // {slice, size}
  let still = null; // until then the slices go by

  function toggle() {
    if (frame) frame = null;
    else {
      // Without an origin of its own: its one script needs none, and reaches nothing of this page.
      frame = h("iframe", { src: url, title: t("solid.title"), sandbox: "allow-scripts" });
      frame.addEventListener("load", tell);
    }
    place.replaceChildren(...(frame ? [h("p", { class: "muted" }, t("loading")), frame] : []));
    open.textContent = t(frame ? "solid.close" : "solid.open");
    open.setAttribute("aria-expanded", String(Boolean(frame)));
    changed(Boolean(frame));
  }

  async function tell() {
    if (!frame || !shown) return;
    const { slice, size } = shown;
    if (!planes.has(slice)) planes.set(slice, planeOf(slice, size));
    const plane = await planes.get(slice);
    // Corners in mm, and nothing that tells of whom; a frame without an origin can be addressed as "*" only.
    if (frame && shown.slice === slice) frame.contentWindow?.postMessage({ plane }, "*");
  }

  return { element, show(slice, size) {
    shown = { slice, size };
    clearTimeout(still);
    still = setTimeout(tell, STILL_MS);
  } };
}
