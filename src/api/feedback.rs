//! What readers say: `/ai/runs/{id}/feedback`, `/ai/models/{name}/feedback`, `/ai/feedback.csv`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{allow, audit, body, service, store_error};
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::audit::Action;
use crate::run::feedback::agreement::ModelAgreement;
use crate::run::feedback::{JudgedFinding, Judgement, Verdict, check_comment, feedback_csv, findings};
use crate::run::{Run, RunId, RunService, RunState};

/// Keys that an error names; GET answers them all.
const NAMED_FINDINGS: usize = 8;

/// POST `/ai/runs/{id}/feedback`. Values of any kind are taken up first: an error of the parser would quote what may be a comment.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FeedbackBody {
    /// One of the run's: GET answers them.
    #[schemars(with = "String")]
    finding: Value,
    /// null: takes an earlier one back.
    #[serde(default)]
    #[schemars(with = "Option<Verdict>")]
    verdict: Value,
    /// One line, at most 2000 characters.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    comment: Value,
}

pub fn of_run(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get, Method::Post])?;
    let id = RunId(request.groups.first().copied().unwrap_or_default().to_owned());
    if request.method == Method::Post {
        let body: FeedbackBody = body::read(request)?;
        let service = service()?;
        return judge(request, &service, &run(&service, &id)?, &body);
    }
    let service = service()?;
    let run = run(&service, &id)?;
    let feedback = service.store.feedback_of(&id).map_err(store_error)?;
    Response::json(&json!({
        "Run": run.id,
        "Model": run.request.model,
        "Version": run.card.version,
        "User": audit::user_of(request),
        "Findings": findings(&run),
        "Feedback": feedback,
    }))
}

fn run(service: &RunService, id: &RunId) -> Result<Run, RestError> {
    let run = service.store.get(id).map_err(store_error)?;
    run.ok_or_else(|| RestError::not_found(format!("unknown run {id}")))
}

fn judge(request: &Request<'_>, service: &RunService, run: &Run, body: &FeedbackBody) -> Result<Response, RestError> {
    if run.state != RunState::Succeeded {
        return Err(RestError::new(409, format!("the run is {:?}, expected Succeeded", run.state)));
    }
    let mut judgement = judgement(body, &findings(run)).map_err(|e| RestError::bad_request(format!("body: {e}")))?;
    judgement.user = audit::user_of(request);
    let given = service.store.judge(run, &judgement).map_err(store_error)?;
    let given = given.ok_or_else(|| RestError::not_found(format!("unknown run {}", run.id)))?;
    audit::tell(request, service, Action::FeedbackGiven, run);
    service.metrics.count(&*service.store);
    Response::json(&given)
}

/// # Errors
/// In words that name the key and what is allowed; none has the comment.
fn judgement(body: &FeedbackBody, findings: &[JudgedFinding]) -> Result<Judgement, String> {
    let finding = body.finding.as_str().and_then(|key| findings.iter().find(|finding| finding.key == key));
    let finding = finding.ok_or_else(|| format!("Finding: expected one of this run's: {}", named(findings)))?;
    let verdict = match &body.verdict {
        Value::Null => None,
        Value::String(name) => Verdict::from_name(name).map(Some).ok_or(VERDICTS)?,
        _ => return Err(VERDICTS.into()),
    };
    let comment = match &body.comment {
        Value::Null => None,
        Value::String(text) => {
            check_comment(text).map_err(|e| format!("Comment: {e}"))?;
            Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
        }
        _ => return Err("Comment: expected a string or null".into()),
    };
    Ok(Judgement { finding: finding.key.clone(), answer: finding.answer.clone(), verdict, comment, user: None })
}

const VERDICTS: &str = "Verdict: expected \"Accept\", \"Reject\" or null";

fn named(findings: &[JudgedFinding]) -> String {
    let keys: Vec<&str> = findings.iter().take(NAMED_FINDINGS).map(|finding| finding.key.as_str()).collect();
    match findings.len() {
        0 => "it has none".into(),
        count if count > NAMED_FINDINGS => format!("{} … ({count} in all: GET answers them)", keys.join(", ")),
        _ => keys.join(", "),
    }
}

/// Also of a model that is not there any more, as long as somebody has judged a run of it.
pub fn of_model(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let name = request.groups.first().copied().unwrap_or_default();
    let service = service()?;
    let counts = service.store.feedback_counts(Some(name)).map_err(store_error)?;
    if counts.is_empty() && service.models.get(name).is_none() {
        return Err(RestError::not_found(format!("unknown model \"{name}\"")));
    }
    Response::json(&ModelAgreement::new(name, &counts))
}

pub fn table(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let mut model = None;
    for (key, value) in &request.query {
        match key.as_ref() {
            "model" => model = Some(value.as_ref()),
            // jQuery's cache buster.
            "_" => {}
            _ => return Err(RestError::bad_request(format!("unknown parameter \"{key}\", known: model"))),
        }
    }
    let feedback = service()?.store.feedback(model).map_err(store_error)?;
    Ok(Response::ok("text/csv; charset=utf-8", feedback_csv(&feedback))
        .with_header("Content-Disposition", "attachment; filename=\"feedback.csv\"")
        .with_header("X-Content-Type-Options", "nosniff"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(key: &str) -> JudgedFinding {
        JudgedFinding {
            key: key.into(),
            answer: "Mass!".into(),
            instance_id: None,
            instance_uid: None,
            frame_number: None,
            class: None,
            segment: None,
        }
    }

    fn judged(body: &[u8]) -> Result<Judgement, String> {
        let mut request = Request::new(Method::Post, "/ai/runs/x/feedback");
        request.body = body;
        let body = body::read(&request).map_err(|e| e.message)?;
        judgement(&body, &[finding("overall"), finding("1.2/Mass")])
    }

    #[test]
    fn a_judgement_is_of_a_finding_of_the_run() {
        let given =
            judged(r#"{"Finding": "1.2/Mass", "Verdict": "Reject", "Comment": "  a vessel, ä "}"#.as_bytes()).unwrap();
        assert_eq!(
            (given.finding.as_str(), given.answer.as_str(), given.verdict),
            ("1.2/Mass", "Mass!", Some(Verdict::Reject))
        );
        assert_eq!((given.comment.as_deref(), given.user), (Some("a vessel, ä"), None));
        let back = judged(br#"{"Finding": "overall", "Verdict": null, "Comment": ""}"#).unwrap();
        assert_eq!((back.verdict, back.comment), (None, None));
        for body in [&b""[..], br#"{"Finding": "1.3/Mass"}"#, br#"{"Finding": 1}"#] {
            assert_eq!(judged(body).unwrap_err(), "Finding: expected one of this run's: overall, 1.2/Mass");
        }
        assert!(judged(b"{\"Verdict\": \"Accept\"}").unwrap_err().contains("missing field `Finding`"));
        for verdict in ["\"accept\"", "true", "{}"] {
            let body = format!("{{\"Finding\": \"overall\", \"Verdict\": {verdict}}}");
            assert_eq!(judged(body.as_bytes()).unwrap_err(), VERDICTS);
        }
        assert!(judged(br#"{"Finding": "overall", "User": "mallory"}"#).unwrap_err().contains("unknown field `User`"));
    }

    #[test]
    fn no_error_quotes_a_comment() {
        let secret = "Miller 1970";
        for comment in [
            format!("\"{secret}\\n\""),
            format!("[\"{secret}\"]"),
            format!("{{\"{secret}\": 1}}"),
            format!("\"{}\"", secret.repeat(200)),
            "197012310001".to_owned(),
        ] {
            let error = judged(format!("{{\"Finding\": \"overall\", \"Comment\": {comment}}}").as_bytes()).unwrap_err();
            assert!(error.starts_with("Comment: "), "{error}");
            assert!(!error.contains("Miller") && !error.contains("1970"), "{error}");
        }
    }

    #[test]
    fn of_many_findings_an_error_names_the_first() {
        let many: Vec<JudgedFinding> = (0..500).map(|n| finding(&format!("1.{n}/Mass"))).collect();
        assert!(named(&many).ends_with("1.7/Mass … (500 in all: GET answers them)"));
        assert_eq!(named(&[]), "it has none");
    }
}
