//! POST `/ai/models/{name}/evaluate`: a model over studies whose truth the body tells; `/ai/evaluations`: what came of it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::body;
use super::{allow, orthanc_id, service};
use crate::evaluate::labels::{KeyKind, Label, Labels};
use crate::evaluate::report::{cases_csv, html};
use crate::evaluate::{LabelsError, ThresholdRule};
use crate::model::ModelState;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::evaluation::{Combine, EvaluationSettings, Evaluator, LabelSource};
use crate::run::host_job;

/// Studies of one evaluation.
const MAX_STUDIES: usize = 10_000;
/// The page has a style of its own, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct EvaluateBody {
    /// Orthanc's id of a study to its label: a class, or 0 or 1.
    studies: BTreeMap<String, String>,
    /// Orthanc's ids of studies whose images `LabelTag` or `Csv` label, or that hold reference segmentations.
    resources: Vec<String>,
    /// Keyword of the attribute that is each image's label.
    label_tag: Option<String>,
    /// A table as `orthanc-ai evaluate --labels` takes it, with OrthancID as one more name of a case.
    csv: Option<String>,
    /// Classes that count as positive together.
    positive: Vec<String>,
    sensitivity: Option<f64>,
    specificity: Option<f64>,
    youden: bool,
    /// "mean" (the default) or "max".
    combine: Option<String>,
}

/// Answers `{"ID", "Path"}` of the evaluation.
pub fn submit(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Post])?;
    let body: EvaluateBody = body::read(request)?;
    let name = request.groups.first().copied().unwrap_or_default();
    let service = service()?;
    let info = service.models.get(name).ok_or_else(|| RestError::not_found(format!("unknown model \"{name}\"")))?;
    if !service.settings.works {
        return Err(RestError::new(503, "this server carries nothing out (Ai.Worker is false): ask one that does"));
    }
    let manifest = service.models.manifest(name).filter(|_| info.state == ModelState::Ready);
    let manifest = manifest.ok_or_else(|| {
        let reason = info.reason.clone().unwrap_or_else(|| format!("it is {:?}", info.state));
        RestError::unavailable(format!("the model {name} cannot be evaluated: {reason}"), 5)
    })?;
    let weights = info.weights_sha256.clone().unwrap_or_default();
    let (labels, studies) = cases(&body)?;
    let bad = |e: String| RestError::bad_request(format!("body: {e}"));
    let combine = body.combine.as_deref().unwrap_or("mean");
    let combine = Combine::from_name(combine)
        .ok_or_else(|| bad(format!("Combine: found \"{combine}\", expected mean or max")))?;
    let rules = [
        body.sensitivity.map(ThresholdRule::Sensitivity),
        body.specificity.map(ThresholdRule::Specificity),
        body.youden.then_some(ThresholdRule::Youden),
    ];
    if body.youden && (body.sensitivity.is_some() || body.specificity.is_some()) {
        return Err(bad("Youden: found together with Sensitivity or Specificity, expected one or the other".into()));
    }
    let rules = rules.into_iter().flatten().collect();
    let settings = EvaluationSettings { labels, positive: body.positive, rules, combine };
    let evaluator = Evaluator::new(manifest, weights, settings).map_err(|e| bad(e.to_string()))?;
    let submitted = service.evaluations.submit(name, evaluator, studies);
    let view = submitted.map_err(|n| RestError::unavailable(format!("{n} evaluations wait already"), 60))?;
    // The worker may be asleep.
    service.store.signal().raise();
    host_job::announce_evaluation(&view);
    Response::json(&json!({"ID": view.id, "Path": format!("/ai/evaluations/{}", view.id)}))
}

/// Where the truth comes from, and the studies.
fn cases(body: &EvaluateBody) -> Result<(LabelSource, Vec<String>), RestError> {
    let bad = |reason: String| RestError::bad_request(format!("body: {reason}"));
    let sources = [!body.studies.is_empty(), body.label_tag.is_some(), body.csv.is_some()];
    if sources.iter().filter(|given| **given).count() > 1 {
        return Err(bad("found more than one of Studies, LabelTag and Csv, expected one".into()));
    }
    let ids: BTreeSet<&String> = body.studies.keys().chain(&body.resources).collect();
    if ids.is_empty() || ids.len() > MAX_STUDIES {
        return Err(bad(format!("Studies or Resources: found {} studies, expected 1 to {MAX_STUDIES}", ids.len())));
    }
    for id in &ids {
        orthanc_id(id).map_err(|_| bad("Studies, Resources: expected Orthanc's identifiers of studies".into()))?;
    }
    let labels = |e: LabelsError| bad(e.to_string());
    let source = if !body.studies.is_empty() {
        let mut table = Labels::default();
        for ((study, label), line) in body.studies.iter().zip(1..) {
            let (kind, key, value) = (KeyKind::OrthancId, study.clone(), label.clone());
            table.push(Label { line, kind, key, value, reference: None }).map_err(labels)?;
        }
        LabelSource::Table(table)
    } else if let Some(keyword) = &body.label_tag {
        LabelSource::Tag(keyword.clone())
    } else if let Some(csv) = &body.csv {
        LabelSource::Table(Labels::from_csv(csv.as_bytes()).map_err(labels)?)
    } else {
        LabelSource::References
    };
    Ok((source, ids.into_iter().cloned().collect()))
}

pub fn list(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    Response::json(&service()?.evaluations.list())
}

/// GET: where it stands, and when it has ended its report. DELETE: ends it, or forgets it once it has ended.
pub fn one(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get, Method::Delete])?;
    let id = request.groups.first().copied().unwrap_or_default();
    let evaluations = service()?.evaluations.clone();
    if request.method == Method::Delete {
        return Response::json(&evaluations.remove(id).ok_or_else(unknown)?);
    }
    let view = evaluations.get(id).ok_or_else(unknown)?;
    let evaluated = evaluations.evaluated(id);
    let mut answer = serde_json::to_value(&view).map_err(|e| RestError::internal(e.to_string()))?;
    answer["Report"] = json!(evaluated.as_ref().map(|e| &e.report));
    answer["Thresholds"] = match evaluated.as_ref().map(|e| &e.thresholds) {
        Some(Ok(thresholds)) => json!(thresholds),
        Some(Err(_)) | None => json!(null),
    };
    Response::json(&answer)
}

pub fn file(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let id = request.groups.first().copied().unwrap_or_default();
    let evaluations = service()?.evaluations.clone();
    let view = evaluations.get(id).ok_or_else(unknown)?;
    let evaluated = evaluations.evaluated(id).ok_or_else(|| {
        let reason = view.error.map(|e| format!(": {e}")).unwrap_or_default();
        RestError::not_found(format!("the evaluation is {:?}{reason}", view.state))
    })?;
    match request.groups.get(1).copied() {
        Some("report.html") => Ok(Response::ok("text/html; charset=utf-8", html(&evaluated.report).into_bytes())
            .with_header("Content-Security-Policy", POLICY)
            .with_header("X-Content-Type-Options", "nosniff")),
        Some("cases.csv") => Ok(Response::ok("text/csv; charset=utf-8", cases_csv(&evaluated.report))
            .with_header("Content-Disposition", "attachment; filename=\"cases.csv\"")
            .with_header("X-Content-Type-Options", "nosniff")),
        _ => match &evaluated.thresholds {
            Ok(thresholds) => Response::json(thresholds),
            Err(reason) => Err(RestError::not_found(format!("no thresholds: {reason}"))),
        },
    }
}

fn unknown() -> RestError {
    RestError::not_found("unknown evaluation: they are forgotten when the server ends")
}
