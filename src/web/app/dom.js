// Building blocks of the page's DOM. Text reaches the document as text nodes only: what a server or a DICOM file says
// is never parsed as HTML.

/**
 * An element. Attributes that are null, undefined or false are left out; `on<event>` adds a listener; children are
 * nodes or strings, nested lists allowed, null and false left out.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * Replaces a container's content by what `render()` gives, keeping the focus and the opened <details> of elements that carry the
 * same `data-key` before and after: a page that polls must not take away what its reader is holding.
 */
export function swap(container, render) {
  const keyed = (selector) => [...container.querySelectorAll(selector)].map((element) => element.dataset.key);
  const open = new Set(keyed("details[open][data-key]"));
  const holder = container.contains(document.activeElement) ? document.activeElement : null;
  const focused = holder?.dataset.key;
  const caret = typeof holder?.selectionStart === "number" ? [holder.selectionStart, holder.selectionEnd, holder.selectionDirection] : null;
  const next = render(); // not before: it may move elements that are kept, and they lose the focus
  // An element that is there before and after is not touched: a frame that is moved loads anew.
  for (const child of [...container.childNodes]) if (!next.includes(child)) child.remove();
  next.forEach((node, at) => { if (container.childNodes[at] !== node) container.insertBefore(node, container.childNodes[at] ?? null); });
  for (const element of container.querySelectorAll("[data-key]")) {
    if (open.has(element.dataset.key)) element.open = true;
    if (focused === undefined || element.dataset.key !== focused || element === document.activeElement) continue;
    element.focus({ preventScroll: true });
    if (caret && typeof element.selectionStart === "number") element.setSelectionRange(...caret);
  }
}

/**
 * `keep(name, of, make)`: what `make()` gave under this name, for as long as `of` reads the same. Who types, composes a syllable or
 * has a list open must not have the field replaced by a redraw: elements that readers hold are made once, and `swap` leaves them in place.
 */
export function keeper() {
  const kept = new Map();
  return (name, of, make) => {
    const key = JSON.stringify(of);
    if (kept.get(name)?.key !== key) kept.set(name, { key, made: make() });
    return kept.get(name).made;
  };
}

/** A class's colour as the manifest gives it, or a neutral grey where it is no `#rrggbb`. */
export function classColor(color) {
  return /^#[0-9a-f]{6}$/i.test(color ?? "") ? color : "#757575";
}

/** Black or white, whichever reads better on `color` (`#rrggbb`): contrast by WCAG 2.2's relative luminance. */
export function textOn(color) {
  const [red, green, blue] = [1, 3, 5].map((start) => {
    const channel = parseInt(color.slice(start, start + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) ? "#000000" : "#ffffff";
}

/** Sets CSS variables on an element: through the CSSOM, since the content security policy bans style attributes. */
export function withVariables(element, variables) {
  for (const [name, value] of Object.entries(variables)) element.style.setProperty(`--${name}`, value);
  return element;
}

/** Says `message` to screen readers, once however often it is repeated. */
export function announce(message) {
  const live = document.getElementById("live");
  if (live.textContent !== message) live.textContent = message;
}

/** Asks before something that cannot be taken back. Resolves to whether the user confirmed. */
export function confirmed(question, confirmLabel, cancelLabel) {
  return new Promise((resolve) => {
    const answer = (value) => () => dialog.close(value);
    const dialog = h("dialog", { "aria-labelledby": "dialog-question" },
      h("p", { id: "dialog-question" }, question),
      h("div", { class: "actions" },
        h("button", { type: "button", autofocus: true, onclick: answer("cancel") }, cancelLabel),
        h("button", { type: "button", class: "danger", onclick: answer("confirm") }, confirmLabel)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "confirm");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
