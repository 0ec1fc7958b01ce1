//! POST `/ai/fault/kill` (feature `fault-injection`, for the live tests only).

use serde::Deserialize;
use serde_json::json;

use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Request, Response, Route};
use crate::run::fault;

pub static ROUTES: &[Route] = &[Route { pattern: "/ai/fault/kill", handler: kill }];

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct KillBody {
    at: String,
}

/// The server is killed the next time that a run comes to this moment.
fn kill(request: &Request<'_>) -> Result<Response, RestError> {
    let body: KillBody = super::body::read(request)?;
    fault::arm(body.at);
    Response::json(&json!({}))
}
