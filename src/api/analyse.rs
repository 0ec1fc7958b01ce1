//! GET and POST `/{studies,series,instances}/{id}/ai`: what applies, and run it.

use serde_json::{Value, json};

use super::body::{self, RunBody};
use super::{allow, audit, orthanc_id, service, store_error};
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::audit::Action;
use crate::run::automatic;
use crate::run::{Origin, Run, RunFilter, RunRequest, RunService, RunState, SubmitError};
use crate::source::orthanc::{OrthancSource, series_uid, study_of};
use crate::source::{InstanceHeader, InstanceSource, Level, Resource, SourceError};

pub fn resource(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get, Method::Post])?;
    let level = request.groups.first().copied().and_then(Level::from_collection);
    let level = level.ok_or_else(|| RestError::not_found("unknown level"))?;
    let resource = Resource::new(level, orthanc_id(request.groups.get(1).copied().unwrap_or_default())?);
    if request.method == Method::Post { analyse(request, &resource) } else { inspect(&resource) }
}

/// Which models apply and why not, and the runs so far.
fn inspect(resource: &Resource) -> Result<Response, RestError> {
    let service = service()?;
    let headers = OrthancSource.headers(resource).map_err(source_error)?;
    let study = study_of(resource).map_err(source_error)?;
    let models: Vec<Value> = service
        .models
        .list()
        .iter()
        .map(|model| {
            let selection = service.select(&model.name, &headers, &[]);
            let reason = match &selection {
                Ok(s) if model.can_run() => format!("{} images fit", s.inputs.len()),
                Ok(_) => model.reason.clone().unwrap_or_default(),
                Err(e) => e.to_string(),
            };
            json!({
                "Model": model.name,
                "Title": model.title,
                "Demo": model.demo,
                "State": model.state,
                "Applies": selection.is_ok(),
                "Reason": reason,
                "Images": selection.map_or(0, |s| s.inputs.len()),
            })
        })
        .collect();
    let filter = RunFilter { study: Some(study.clone()), ..RunFilter::default() };
    let runs = service.store.list(&filter).map_err(store_error)?;
    let parent = (resource.level != Level::Study).then(|| format!("/studies/{study}"));
    Response::json(&json!({
        "Resource": resource.to_string(),
        "Parent": parent,
        "Models": models,
        "Automatic": automatic(resource, &headers)?,
        "Runs": runs.iter().map(Run::view).collect::<Vec<_>>(),
    }))
}

/// What the configuration's rules make of it.
fn automatic(resource: &Resource, headers: &[InstanceHeader]) -> Result<Vec<Value>, RestError> {
    let Some(life) = crate::plugin::life() else { return Ok(Vec::new()) };
    let settings = &life.automatic.settings;
    let remote_aet = automatic::sender(&settings.rules, &OrthancSource, resource).map_err(source_error)?;
    let verdicts = automatic::explain(&life.service.models, settings, headers, remote_aet.as_deref());
    let verdict = |verdict: automatic::Verdict| {
        json!({
            "Rule": verdict.rule,
            "Model": verdict.model,
            "Trigger": verdict.trigger,
            "Applies": verdict.outcome.is_ok(),
            "Reason": verdict.outcome.map_or_else(|reason| reason, |images| format!("{images} images fit")),
        })
    };
    Ok(verdicts.into_iter().map(verdict).collect())
}

fn analyse(request: &Request<'_>, resource: &Resource) -> Result<Response, RestError> {
    let body: RunBody = body::read(request)?;
    let synchronous = match (body.synchronous, body.asynchronous) {
        (Some(s), Some(a)) if s == a => {
            return Err(RestError::bad_request("body: Synchronous and Asynchronous contradict each other"));
        }
        (Some(s), _) => s,
        (None, Some(a)) => !a,
        (None, None) => false,
    };
    let service = service()?;
    let headers = OrthancSource.headers(resource).map_err(source_error)?;
    let requests = run_requests(&service, resource, &headers, &body)?;
    let mut runs = Vec::with_capacity(requests.len());
    for wanted in requests {
        let submitted = service.submit(wanted).map_err(submit_error)?;
        if submitted.is_new {
            audit::tell(request, &service, Action::AnalysisRequested, &submitted.run);
        }
        runs.push(submitted.run);
    }
    if !synchronous {
        let references: Vec<Value> = runs.iter().map(reference).collect();
        return Response::json(&one_or_list(&body, references));
    }
    let finished = runs.iter().map(|run| finish(&service, run)).collect::<Result<Vec<_>, _>>()?;
    Response::json(&one_or_list(&body, finished))
}

/// One answer where one model was named, else a list.
fn one_or_list(body: &RunBody, mut answers: Vec<Value>) -> Value {
    if body.model.is_some() && answers.len() == 1 { answers.remove(0) } else { Value::Array(answers) }
}

pub(super) fn run_requests(
    service: &RunService,
    resource: &Resource,
    headers: &[InstanceHeader],
    body: &RunBody,
) -> Result<Vec<RunRequest>, RestError> {
    let study = study_of(resource).map_err(source_error)?;
    let channels = body.channels.iter().map(|id| channel(id)).collect::<Result<Vec<String>, _>>()?;
    let request = |model: &str| -> Result<RunRequest, SubmitError> {
        let selection = service.select(model, headers, &channels)?;
        Ok(RunRequest {
            model: model.to_string(),
            resource: resource.clone(),
            study: study.clone(),
            inputs: selection.inputs,
            warnings: selection.warnings,
            origin: Origin::Rest,
            priority: body.priority,
            force: body.force,
            not_before: None,
        })
    };
    let hint = |text: String| match resource.level {
        Level::Study => text,
        _ => format!("{text}. The whole study: POST /studies/{study}/ai"),
    };
    if let Some(model) = &body.model {
        return request(model).map(|r| vec![r]).map_err(|e| match e {
            SubmitError::NotApplicable { .. } => RestError::unprocessable(hint(e.to_string())),
            e => submit_error(e),
        });
    }
    // The first of two stages goes first, so that the second finds its results.
    let mut models = service.models.list();
    let second = |name: &str| service.models.manifest(name).is_some_and(|m| m.input.region_of_interest.is_some());
    models.sort_by_cached_key(|model| second(&model.name));
    let (mut requests, mut reasons) = (Vec::new(), Vec::new());
    for model in models.iter().filter(|m| m.can_run()) {
        match request(&model.name) {
            Ok(r) => requests.push(r),
            Err(e) => reasons.push(e.to_string()),
        }
    }
    if !requests.is_empty() {
        return Ok(requests);
    }
    if reasons.is_empty() {
        return Err(RestError::new(503, "no model is ready: GET /ai/models tells why"));
    }
    Err(RestError::unprocessable(hint(format!("no model applies: {}", reasons.join("; ")))))
}

/// The SeriesInstanceUID of a series that the body names.
fn channel(id: &str) -> Result<String, RestError> {
    let id = orthanc_id(id).map_err(|_| RestError::bad_request("Channels: expected Orthanc identifiers of series"))?;
    series_uid(id).map_err(|e| match e {
        SourceError::UnknownResource(_) => RestError::bad_request(format!("Channels: found no series {id}")),
        e => source_error(e),
    })
}

/// `{"ID", "Path"}`, as Orthanc answers for what runs on its own.
pub(super) fn reference(run: &Run) -> Value {
    json!({"ID": run.id, "Path": format!("/ai/runs/{}", run.id), "Model": run.request.model})
}

/// Waits for a run and gives its view; a failed run is an error of this request.
pub(super) fn finish(service: &RunService, run: &Run) -> Result<Value, RestError> {
    let run = wait(service, run)?;
    serde_json::to_value(run.view()).map_err(|e| RestError::new(500, e.to_string()))
}

/// Waits for a run until it has succeeded.
///
/// # Errors
/// 422: it failed; 409: it was cancelled; 404: it was deleted; 504: it goes on; 503: the store is away, the queue is suspended, too many wait, or the server is stopping.
pub(super) fn wait(service: &RunService, run: &Run) -> Result<Run, RestError> {
    let _place = service.place_to_wait().ok_or_else(|| {
        let limit = service.settings.synchronous_limit;
        let reason = format!("{limit} requests wait for runs already: run {0} goes on, see /ai/runs/{0}", run.id);
        RestError::unavailable(reason, 10)
    })?;
    let finished = service.wait_finished(&run.id);
    let run =
        finished.map_err(store_error)?.ok_or_else(|| RestError::new(404, format!("the run {} was deleted", run.id)))?;
    match run.state {
        RunState::Succeeded => Ok(run),
        RunState::Failed => {
            Err(RestError::unprocessable(format!("run {}: {}", run.id, run.error.as_deref().unwrap_or("failed"))))
        }
        RunState::Cancelled => Err(RestError::new(409, format!("run {} was cancelled", run.id))),
        _ if service.is_stopping() => {
            Err(RestError::unavailable(format!("the server is stopping: run {} goes on at its next start", run.id), 10))
        }
        RunState::Queued if service.store.is_suspended().map_err(store_error)? => {
            Err(RestError::new(503, format!("run {0} waits, as the queue is suspended: see /ai/runs/{0}", run.id)))
        }
        RunState::Queued | RunState::Running => {
            Err(RestError::new(504, format!("run {} goes on: see /ai/runs/{}", run.id, run.id)))
        }
    }
}

/// The latest succeeded run's report of each model, newest first.
pub fn report(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let study = orthanc_id(request.groups.first().copied().unwrap_or_default())?;
    let resource = Resource::new(Level::Study, study);
    study_of(&resource).map_err(source_error)?;
    let filter = RunFilter { study: Some(study.to_string()), state: Some(RunState::Succeeded), ..RunFilter::default() };
    let mut reports: Vec<crate::result::Report> = Vec::new();
    let runs = service()?.store.list(&filter).map_err(store_error)?;
    for report in runs.into_iter().filter_map(|run| run.report) {
        if reports.iter().all(|r| r.model != report.model) {
            reports.push(report);
        }
    }
    if reports.is_empty() {
        return Err(RestError::new(404, format!("no analysis of {resource} has succeeded yet")));
    }
    Response::json(&reports)
}

pub(super) fn submit_error(error: SubmitError) -> RestError {
    let status = match error {
        SubmitError::Store(error) => return store_error(error),
        SubmitError::UnknownModel { .. } => 400,
        SubmitError::NotApplicable { .. } => 422,
        SubmitError::NotReady { .. } => 503,
        SubmitError::QueueFull { .. } => return RestError::unavailable(error.to_string(), 10),
    };
    RestError::new(status, error.to_string())
}

pub(super) fn source_error(error: SourceError) -> RestError {
    let status = if matches!(error, SourceError::UnknownResource(_)) { 404 } else { 500 };
    RestError::new(status, error.to_string())
}
