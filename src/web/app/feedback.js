// A reader's own word on each finding of a run: accepted, rejected, a comment.
import { getFeedback, giveFeedback } from "./api.js";
import { announce, h } from "./dom.js";
import { t } from "./text.js";

const SAID = { Accept: "feedback.accepted", Reject: "feedback.rejected" };
const SHOWN = 6; // findings that are open to see; a series has hundreds

/**
 * The panel. `kept`: what the server said last and what is being typed, over redraws; `changed()` draws the page again. Null where the
 * server has no such route, or the run no finding.
 */
export function feedbackPanel(runId, kept, changed) {
  if (!kept.asked) {
    kept.asked = true;
    kept.drafts = new Map();
    getFeedback(runId).then((answer) => { kept.answer = answer; changed(); }, () => {});
  }
  const { Findings: findings = [], Feedback: given = [], User: user } = kept.answer ?? {};
  if (!findings.length) return null;
  const mine = new Map(given.filter((one) => one.Current && (one.User ?? null) === (user ?? null)).map((one) => [one.Finding, one]));
  const others = (key) => given.filter((one) => one.Current && one.Finding === key && (one.User ?? null) !== (user ?? null));
  const rows = (some) => some.map((finding) => row(runId, finding, mine.get(finding.Finding), others(finding.Finding), kept, changed));
  const rest = findings.slice(SHOWN);
  const list = h("ul", { class: "feedback-list" }, kept.open ? rows(rest) : []);
  // Hundreds of rows are made when they are asked for.
  const unfold = ({ target }) => {
    kept.open = target.open;
    if (target.open && !list.childElementCount) list.append(...rows(rest));
  };
  return h("section", { class: "panel feedback", "aria-label": t("feedback.title") },
    h("h2", {}, t("feedback.title")), h("p", { class: "muted" }, t("feedback.text")),
    h("ul", { class: "feedback-list" }, rows(findings.slice(0, SHOWN))),
    rest.length ? h("details", { "data-key": "feedback-rest", ontoggle: unfold }, h("summary", {}, t("feedback.more", { count: rest.length })), list) : null);
}

function row(runId, finding, mine, others, kept, changed) {
  const key = finding.Finding;
  const send = (verdict) => async () => {
    const comment = (kept.drafts.get(key) ?? mine?.Comment ?? "").trim();
    try {
      await giveFeedback(runId, { Finding: key, Verdict: verdict, Comment: comment || null });
      kept.drafts.delete(key);
      kept.problem = null;
      kept.answer = await getFeedback(runId);
      announce(t("feedback.kept"));
    } catch (error) {
      if (error.status === undefined) throw error;
      kept.problem = { key, text: error.message };
    }
    changed();
  };
  const button = (verdict, label) => h("button", {
    type: "button", "aria-pressed": String(mine?.Verdict === verdict), "data-key": `${verdict}-${key}`, "aria-label": `${t(label)}: ${finding.Answer}`,
    onclick: send(mine?.Verdict === verdict ? null : verdict),
  }, t(label));
  return h("li", {},
    h("span", { class: "feedback-answer" }, finding.Answer),
    h("div", { class: "actions" }, button("Accept", "feedback.accept"), button("Reject", "feedback.reject"),
      h("input", { type: "text", maxlength: 2000, value: kept.drafts.get(key) ?? mine?.Comment ?? "", placeholder: t("feedback.comment"), "aria-label": `${t("feedback.comment")}: ${finding.Answer}`, "data-key": `comment-${key}`, oninput: (event) => { kept.drafts.set(key, event.target.value); } }),
      h("button", { type: "button", "data-key": `say-${key}`, onclick: send(mine?.Verdict ?? null) }, t("feedback.say"))),
    kept.problem?.key === key ? h("p", { class: "error-text" }, kept.problem.text) : null,
    others.map((one) => h("p", { class: "muted" }, `${one.User ?? t("feedback.somebody")}: ${SAID[one.Verdict] ? t(SAID[one.Verdict]) : ""} ${one.Comment ?? ""}`)));
}
