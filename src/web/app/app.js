// The page's frame: which view an address shows, loading it, and polling only while something is under way and seen.
import { getServer } from "./api.js";
import { h, swap } from "./dom.js";
import { images } from "./images.js";
import { model } from "./model.js";
import { overview } from "./overview.js";
import { resource } from "./resource.js";
import { run } from "./run.js";
import { studies } from "./studies.js";
import { language, t } from "./text.js";

const POLL_MS = 1000;
const RETRY_MS = 5000;

/**
 * Address → view. A view gives `load() -> data`, `title(data)`, `active(data)`, `render(data, act, redraw) -> nodes`.
 */
const ROUTES = [
  [/^#?\/?$/, overview],
  [/^#\/runs\/([^/]+)$/, run],
  [/^#\/models\/([^/]+)$/, model],
  [/^#\/studies$/, studies],
  [/^#\/images$/, images],
  [/^#\/(studies|series|instances)\/([^/]+)$/, resource],
];

const main = document.getElementById("main");
const notice = document.getElementById("notice");
let shown = null; // {view, json, timer, turn}: a new object for every address, so that late answers of the last one are dropped

function say(problem) {
  notice.textContent = problem ?? "";
}

async function refresh(page) {
  clearTimeout(page.timer);
  page.turn += 1;
  const { turn } = page;
  const late = () => page !== shown || turn !== page.turn; // a newer turn was asked: what an older one says is not so any more
  let wait = null;
  try {
    const data = await page.view.load();
    if (late()) return;
    if (page.offline) say(null);
    page.offline = false;
    draw(page, data);
    if (page.view.active(data)) wait = POLL_MS;
  } catch (error) {
    if (late()) return;
    if (error.status === undefined) throw error; // a fault of this page belongs in the console, not in the reader's face
    page.offline = error.status === 0;
    if (page.offline) wait = RETRY_MS;
    say(page.offline ? t("error.retrying", { reason: error.message }) : error.message);
    if (page.json === null) main.replaceChildren(h("p", {}, h("a", { href: "#/" }, t("action.back"))));
  }
  if (wait !== null && !document.hidden) page.timer = setTimeout(refresh, wait, page);
}

function draw(page, data) {
  const json = JSON.stringify(data);
  if (json === page.json) return;
  const first = page.json === null;
  Object.assign(page, { json, data });
  document.title = `${page.view.title(data)} – ${t("title")}`;
  swap(main, () => page.view.render(data, act, () => redraw(page)));
  if (first && page.moved) main.focus();
}

/** Draws what is known of the same address once more. */
function redraw(page) {
  if (page !== shown) return;
  page.json = `${page.json} `;
  draw(page, page.data);
}

/** Runs what a button asks for, says what went wrong, and shows the new state. */
async function act(action) {
  const page = shown;
  say(null);
  try {
    await action();
  } catch (error) {
    if (error.status === undefined) throw error;
    say(error.message);
  }
  if (page === shown) await refresh(page);
}

async function show(moved) {
  const hash = location.hash;
  const [pattern, view] = ROUTES.find(([candidate]) => candidate.test(hash)) ?? [];
  if (shown) clearTimeout(shown.timer);
  say(null);
  if (!view) {
    shown = null;
    say(t("error.noSuchPage"));
    main.replaceChildren(h("p", {}, h("a", { href: "#/" }, t("action.back"))));
    return;
  }
  shown = { view: view(...pattern.exec(hash).slice(1).map(decodeURIComponent)), json: null, timer: null, turn: 0, moved, offline: false };
  main.replaceChildren(h("p", { class: "muted" }, t("loading")));
  await refresh(shown);
}

async function showServer() {
  const server = await getServer().catch(() => null);
  if (!server) return;
  document.getElementById("server").textContent = t("server.line", {
    device: server.Device, orthanc: server.OrthancVersion, version: server.Version,
  });
}

document.documentElement.lang = language;
document.getElementById("brand").textContent = t("title");
document.getElementById("to-runs").textContent = t("nav.runs");
document.getElementById("to-studies").textContent = t("nav.studies");
document.getElementById("to-images").textContent = t("nav.images");
document.getElementById("skip").textContent = t("skip");
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // a hash of its own would be taken for an address of the page
  main.focus();
});
// A file that is dropped beside the place for it is not opened in the page's stead.
for (const name of ["dragover", "drop"]) {
  window.addEventListener(name, (event) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}
window.addEventListener("hashchange", () => show(true));
document.addEventListener("visibilitychange", () => {
  if (!shown) return;
  if (document.hidden) clearTimeout(shown.timer);
  else refresh(shown);
});
show(false).finally(showServer);
