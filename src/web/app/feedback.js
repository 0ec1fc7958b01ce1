// A reader's own word on each finding of a run: accepted, rejected, a comment.
import { getFeedback, giveFeedback } from "./api.js";
import { announce, h } from "./dom.js";
import { segmentText } from "./parts.js";
import { className, language, percent, t } from "./text.js";

const SAID = { Accept: "feedback.accepted", Reject: "feedback.rejected" };
const SHOWN = 6; // findings that are open to see; a series has hundreds

/** What is to be judged, and on which image: the class or segment and its number as the cards say them, where the manifest's words are not the reader's. */
function answerOf(finding, run, classes) {
  const same = (result) => result.InstanceUid === finding.InstanceUid && (result.FrameNumber ?? null) === (finding.FrameNumber ?? null);
  const of = finding.InstanceUid ? (run.Results ?? []).find(same) : run.Segmentation ?? run.Overall;
  const said = language === "en" || !of ? finding.Answer : inWords(finding, of, classes);
  return finding.InstanceUid && of?.View ? `${of.View} · ${said}` : said;
}

function inWords(finding, of, classes) {
  const segment = (of.Segments ?? []).find(({ Name }) => Name === finding.Segment);
  if (segment) return segmentText(segment, classes);
  return finding.Class ? `${className(classes.get(finding.Class), finding.Class)}: ${percent(of.Probability)}` : finding.Answer;
}

/**
 * The panel of a run; `classes`: of its model, by name. `kept`: what the server said last and what is being typed, over redraws; `changed()` draws the page again. Null where the
 * server has no such route, or the run no finding.
 */
export function feedbackPanel(run, classes, kept, changed) {
  if (!kept.asked) {
    kept.asked = true;
    kept.drafts = new Map();
    getFeedback(run.ID).then((answer) => { kept.answer = answer; changed(); }, () => {});
  }
  const { Findings: findings = [], Feedback: given = [], User: user } = kept.answer ?? {};
  if (!findings.length) return null;
  const mine = new Map(given.filter((one) => one.Current && (one.User ?? null) === (user ?? null)).map((one) => [one.Finding, one]));
  const others = (key) => given.filter((one) => one.Current && one.Finding === key && (one.User ?? null) !== (user ?? null));
  const rows = (some) => some.map((finding) => row(run.ID, { ...finding, Answer: answerOf(finding, run, classes) }, mine.get(finding.Finding), others(finding.Finding), kept, changed));
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
