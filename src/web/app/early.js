// Runs before the page's other files have come, and needs none of them: asks for the run that the address names, and for what is shown of it.

/** Orthanc's root, two levels above this file: a reverse proxy's path prefix needs no configuration. */
export const ROOT = new URL("../../", import.meta.url);

/** Orthanc Explorer hands these on from its address as request headers for the authorization plugin; so do we. */
export const TOKENS = Object.fromEntries([...new URLSearchParams(location.search)]
  .filter(([name]) => ["token", "auth-token", "authorization"].includes(name)));

/** A request to a path below the root and the text that comes back: `{response, text}`. `body`: what is sent as JSON, undefined for nothing. */
export async function send(method, path, body) {
  const headers = { Accept: "application/json", ...TOKENS };
  // The JSON content type is what keeps other sites' forms from posting here (the server insists on it).
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(new URL(path, ROOT), {
    method, headers, credentials: "same-origin", cache: "no-store",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { response, text: await response.text() };
}

const asked = new Map(); // path → promise of what came back

function ask(path) {
  const answer = send("GET", path);
  answer.catch(() => {}); // who takes it hears of it
  asked.set(path, answer);
  return answer;
}

/** What came back from a path that was asked for early, once: what is asked for again is to be new. Undefined for every other. */
export function take(path) {
  const answer = asked.get(path);
  asked.delete(path);
  return answer;
}

const [, run] = /^#\/runs\/([\w-]+)$/.exec(location.hash) ?? [];
if (run) {
  ask("ai/models");
  ask(`ai/runs/${run}`).then(({ response, text }) => {
    const { Study: study } = response.ok ? JSON.parse(text) : {};
    if (study) ask(`studies/${encodeURIComponent(study)}`);
  }).catch(() => {}); // the page says what was wrong with it
}
