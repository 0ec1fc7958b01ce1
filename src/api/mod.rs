//! The REST interface: [`ROUTES`] is the table of contents, one file a group of handlers.
//!
//! Handlers read a request and give a response; what they work on is [`crate::plugin::service`]. Errors have Orthanc's
//! own form.

mod analyse;
mod assets;
mod body;
mod info;
mod runs;

use std::sync::Arc;

use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Request, Response, Route};
use crate::run::RunService;

/// Every route of the plugin. Patterns are anchored by Orthanc.
pub static ROUTES: &[Route] = &[
    Route { pattern: "/ai", handler: info::overview },
    Route { pattern: "/ai/health", handler: info::health },
    Route { pattern: "/ai/models", handler: info::models },
    Route { pattern: "/ai/models/([a-z0-9-]+)", handler: info::model },
    Route { pattern: "/(studies|series|instances)/([0-9a-f-]+)/ai", handler: analyse::resource },
    Route { pattern: "/studies/([0-9a-f-]+)/ai/report", handler: analyse::report },
    Route { pattern: "/ai/runs", handler: runs::list },
    Route { pattern: "/ai/runs/([0-9a-f-]+)", handler: runs::one },
    Route { pattern: "/ai/runs/([0-9a-f-]+)/(cancel|retry)", handler: runs::action },
    Route { pattern: "/ai/app", handler: assets::to_index },
    Route { pattern: "/ai/app/(.*)", handler: assets::file },
];

/// The running service; 503 while the server starts or stops.
fn service() -> Result<Arc<RunService>, RestError> {
    crate::plugin::service().ok_or_else(|| RestError::new(503, "the AI plugin is starting or stopping").header("Retry-After", "2"))
}

/// Lets handlers use `?`.
fn respond(request: &Request<'_>, handler: impl FnOnce() -> Result<Response, RestError>) -> Response {
    handler().unwrap_or_else(|error| error.respond(request))
}
