//! GET /ai, /ai/health, /ai/models: what runs here and in what state.

use serde_json::json;

use super::{allow, service};
use crate::model::ModelState;
use crate::orthanc::RestError;
use crate::orthanc::host;
use crate::orthanc::rest_server::{Method, Request, Response};

pub fn overview(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let service = service()?;
    Response::json(&json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "ApiVersion": 1,
        "OrthancVersion": host::current().map(|h| h.version().to_string()),
        "Device": service.device.describe(),
        "Threads": service.device.threads(),
        "QueueLength": service.queue.len(),
        "QueueLimit": service.queue.limit(),
        "Models": service.models.list(),
    }))
}

/// One entry a check; 503 unless all hold. Models without weights are no fault: the administrator may not want them.
pub fn health(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let service = service()?;
    let models = service.models.list();
    let failed: Vec<&str> = models.iter().filter(|m| m.state == ModelState::Failed).map(|m| m.name.as_str()).collect();
    let loading = models.iter().any(|m| m.state == ModelState::Loading);
    let ready = models.iter().any(|m| m.state == ModelState::Ready);
    let worker = service.worker_is_alive();
    let queue = service.queue.len() < service.queue.limit();
    let checks = json!({
        "Models": {"Ok": ready && failed.is_empty() && !loading, "Failed": failed, "Loading": loading},
        "Worker": {"Ok": worker},
        "Queue": {"Ok": queue, "Length": service.queue.len(), "Limit": service.queue.limit()},
    });
    let healthy = ready && failed.is_empty() && !loading && worker && queue;
    let body = json!({"Status": if healthy { "Healthy" } else { "Unhealthy" }, "Checks": checks});
    Ok(Response::json(&body)?.with_status(if healthy { 200 } else { 503 }))
}

pub fn models(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    Response::json(&service()?.models.list())
}

pub fn model(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let name = request.groups.first().copied().unwrap_or_default();
    let model = service()?.models.get(name);
    let model = model.ok_or_else(|| RestError::not_found(format!("unknown model \"{name}\"")))?;
    Response::json(&model)
}
