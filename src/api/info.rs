//! GET /ai, /ai/health, /ai/models: what runs here and in what state.

use serde_json::{Value, json};

use super::{allow, service};
use crate::model::ModelState;
use crate::orthanc::RestError;
use crate::orthanc::host;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::{RunService, StoreError};

pub fn overview(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let service = service()?;
    let queue = Queue::of(&service);
    Response::json(&json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "ApiVersion": 1,
        "OrthancVersion": host::current().map(|h| h.version().to_string()),
        "Device": service.device.describe(),
        "Threads": service.device.threads(),
        "Node": service.settings.worker.node,
        "Worker": service.settings.works,
        "QueueLength": queue.as_ref().ok().map(|q| q.length),
        "QueueLimit": service.settings.queue_limit,
        "Suspended": queue.as_ref().ok().map(|q| q.suspended),
        "Store": store(&service, queue.as_ref().err()),
        "Models": service.models.list(),
    }))
}

/// What the store says of the queue.
struct Queue {
    length: usize,
    suspended: bool,
}

impl Queue {
    fn of(service: &RunService) -> Result<Self, StoreError> {
        Ok(Self { length: service.store.queue_length()?, suspended: service.store.is_suspended()? })
    }
}

fn store(service: &RunService, error: Option<&StoreError>) -> Value {
    json!({"Ok": error.is_none(), "Kind": service.store.kind(), "Error": error.map(ToString::to_string)})
}

/// One entry a check; 503 unless all hold. Models without weights are no fault: the administrator may not want them. Nor is
/// a queue that somebody has suspended.
pub fn health(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let service = service()?;
    let models = service.models.list();
    let failed: Vec<&str> = models.iter().filter(|m| m.state == ModelState::Failed).map(|m| m.name.as_str()).collect();
    let loading = models.iter().any(|m| m.state == ModelState::Loading);
    let ready = models.iter().any(|m| m.state == ModelState::Ready);
    let models = ready && failed.is_empty() && !loading;
    let worker = service.worker_is_alive();
    let limit = service.settings.queue_limit;
    let queue = Queue::of(&service);
    let room = queue.as_ref().is_ok_and(|q| q.length < limit);
    let checks = json!({
        "Models": {"Ok": models, "Failed": failed, "Loading": loading},
        "Worker": {"Ok": worker, "Enabled": service.settings.works, "Node": service.settings.worker.node},
        "Store": store(&service, queue.as_ref().err()),
        "Queue": {
            "Ok": room,
            "Length": queue.as_ref().ok().map(|q| q.length),
            "Limit": limit,
            "Suspended": queue.as_ref().ok().map(|q| q.suspended),
        },
    });
    let healthy = models && worker && room;
    let body = json!({"Status": if healthy { "Healthy" } else { "Unhealthy" }, "Checks": checks});
    Ok(Response::json(&body)?.with_status(if healthy { 200 } else { 503 }))
}

pub fn models(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    Response::json(&service()?.models.list())
}

/// The card that lies in the model's folder, as it was written (Markdown).
pub fn card(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let name = request.groups.first().copied().unwrap_or_default();
    let none = || RestError::not_found(format!("no card: \"{name}\" is no model, or has no README.md in its folder"));
    let card = service()?.models.card(name).ok_or_else(none)?;
    Ok(Response::ok("text/markdown; charset=utf-8", card.into_bytes()))
}

pub fn model(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let name = request.groups.first().copied().unwrap_or_default();
    let model = service()?.models.get(name);
    let model = model.ok_or_else(|| RestError::not_found(format!("unknown model \"{name}\"")))?;
    Response::json(&model)
}
