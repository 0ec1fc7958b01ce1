//! /ai/runs: list, one, cancel, retry, delete; /ai/queue: suspend, resume.

use serde_json::json;

use super::body::{self, EmptyBody};
use super::{allow, audit, service, store_error};
use crate::orthanc::RestError;
use crate::orthanc::host;
use crate::orthanc::rest_client::RestClient;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::audit::Action;
use crate::run::marks::Change;
use crate::run::service::ChangeError;
use crate::run::{Run, RunFilter, RunId, RunState};
use crate::source::{Level, Resource, StoreStatus};

/// Runs shown where `limit` is not given.
const DEFAULT_LIMIT: usize = 100;

pub fn list(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let runs = service()?.store.list(&filter(request)?).map_err(store_error)?;
    Response::json(&runs.iter().map(Run::view).collect::<Vec<_>>())
}

fn filter(request: &Request<'_>) -> Result<RunFilter, RestError> {
    let mut filter = RunFilter { limit: Some(DEFAULT_LIMIT), ..RunFilter::default() };
    for (key, value) in &request.query {
        let refuse = |expected: &str| RestError::bad_request(format!("{key}: found \"{value}\", expected {expected}"));
        match key.as_ref() {
            "state" => {
                let state = RunState::from_name(value);
                filter.state = Some(state.ok_or_else(|| refuse("Queued, Running, Succeeded, Failed or Cancelled"))?);
            }
            "model" => filter.model = Some(value.to_string()),
            "resource" => filter.resource = Some(resource(value).ok_or_else(|| refuse("/studies/{id} or the like"))?),
            "since" => filter.since = Some(value.parse().map_err(|_| refuse("a time such as 2026-01-02T03:04:05Z"))?),
            "limit" => filter.limit = Some(value.parse().map_err(|_| refuse("a number"))?),
            // jQuery's cache buster.
            "_" => {}
            _ => {
                return Err(RestError::bad_request(format!(
                    "unknown parameter \"{key}\", known: state, model, resource, since, limit"
                )));
            }
        }
    }
    Ok(filter)
}

fn resource(path: &str) -> Option<Resource> {
    let (collection, id) = path.trim_start_matches('/').split_once('/')?;
    Some(Resource::new(Level::from_collection(collection)?, id))
}

pub fn one(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get, Method::Delete])?;
    let id = run_id(request);
    if request.method == Method::Delete {
        return delete(request, &id);
    }
    let run = service()?.store.get(&id).map_err(store_error)?;
    let run = run.ok_or_else(|| RestError::not_found(format!("unknown run {id}")))?;
    Response::json(&run.view_in_full())
}

/// Deletes what the run stored, then forgets the run. An object that another run stored first stays with that run.
fn delete(request: &Request<'_>, id: &RunId) -> Result<Response, RestError> {
    let service = service()?;
    let run = service.finished(id, "a finished run: cancel it first").map_err(change_error)?;
    let client = RestClient::new(host::current().ok_or_else(|| RestError::unavailable("the server is stopping", 2))?);
    for stored in run.stored.iter().filter(|s| s.status == StoreStatus::Stored) {
        match client.delete(&stored.path) {
            Ok(()) => {}
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(RestError::new(500, format!("{} was not deleted: {e}", stored.path))),
        }
    }
    service.marks.set(&*service.store, &run, Change::Forgotten);
    service.store.remove(id).map_err(store_error)?;
    audit::tell(request, &service, Action::ResultsDeleted, &run);
    Response::json(&json!({}))
}

pub fn action(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Post])?;
    body::read::<EmptyBody>(request)?;
    let id = run_id(request);
    let service = service()?;
    if request.groups.get(1) == Some(&"cancel") {
        let run = service.cancel(&id).map_err(change_error)?;
        audit::tell(request, &service, Action::RunCancelled, &run);
        return Response::json(&run.view());
    }
    let run = service.retry(&id).map_err(change_error)?;
    audit::tell(request, &service, Action::AnalysisRequested, &run);
    Response::json(&super::analyse::reference(&run))
}

/// Suspend: what runs goes on, what waits stays, on every node that shares the store, until it is resumed; also over a restart.
pub fn queue(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Post])?;
    body::read::<EmptyBody>(request)?;
    let suspended = request.groups.first() == Some(&"suspend");
    service()?.store.set_suspended(suspended).map_err(store_error)?;
    log::warn!("the queue is {}", if suspended { "suspended" } else { "resumed" });
    Response::json(&json!({"Suspended": suspended}))
}

fn run_id(request: &Request<'_>) -> RunId {
    RunId(request.groups.first().copied().unwrap_or_default().to_string())
}

fn change_error(error: ChangeError) -> RestError {
    match error {
        ChangeError::UnknownRun(_) => RestError::not_found(error.to_string()),
        ChangeError::State { .. } => RestError::new(409, error.to_string()),
        ChangeError::Submit(e) => super::analyse::submit_error(e),
        ChangeError::Store(e) => store_error(e),
    }
}
