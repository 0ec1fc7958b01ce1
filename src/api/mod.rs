//! The REST interface: [`ROUTES`] is the table of contents, one file a group of handlers.
//!
//! Handlers read a request and give a response; what they work on is [`crate::plugin::service`]. Errors have Orthanc's
//! own form.

mod analyse;
mod assets;
mod audit;
mod body;
pub mod compat;
mod demo;
mod evaluate;
mod explorer2;
#[cfg(feature = "fault-injection")]
pub mod fault;
mod feedback;
pub mod forms;
mod images;
mod info;
pub mod openapi;
mod overlay;
mod overlays;
pub mod permissions;
mod report;
mod runs;
mod surface;

use std::sync::Arc;

use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Route};
use crate::run::{RunService, StoreError};
use crate::source::orthanc::is_id;

/// Every route of the plugin. A pattern must match the whole path.
pub static ROUTES: &[Route] = &[
    Route { pattern: "/ai", handler: info::overview },
    Route { pattern: "/ai/health", handler: info::health },
    Route { pattern: "/ai/models", handler: info::models },
    Route { pattern: "/ai/models/([^/]+)", handler: info::model },
    Route { pattern: "/ai/models/([^/]+)/card", handler: info::card },
    Route { pattern: "/(studies|series|instances)/([^/]+)/ai", handler: analyse::resource },
    Route { pattern: "/studies/([^/]+)/ai/report", handler: analyse::report },
    Route { pattern: "/studies/([^/]+)/ai/(report.csv|report.html|report.pdf)", handler: report::of_study },
    Route { pattern: "/instances/([^/]+)/ai/overlay.png", handler: overlay::png },
    Route { pattern: "/instances/([^/]+)/ai/frames", handler: overlay::frame },
    Route { pattern: "/(series|instances)/([^/]+)/ai/overlays.zip", handler: overlays::archive },
    Route { pattern: "/series/([^/]+)/ai/surface.stl", handler: surface::file },
    Route { pattern: "/series/([^/]+)/ai/surface.html", handler: surface::page },
    Route { pattern: "/ai/images", handler: images::post },
    Route { pattern: "/ai/demo", handler: demo::post },
    Route { pattern: "/ai/runs", handler: runs::list },
    Route { pattern: "/ai/runs/([^/]+)", handler: runs::one },
    Route { pattern: "/ai/runs/([^/]+)/(cancel|retry)", handler: runs::action },
    Route { pattern: "/ai/runs/([^/]+)/(report.csv|report.html|report.pdf)", handler: report::of_run },
    Route { pattern: "/ai/runs/([^/]+)/feedback", handler: feedback::of_run },
    Route { pattern: "/ai/models/([^/]+)/feedback", handler: feedback::of_model },
    Route { pattern: "/ai/feedback.csv", handler: feedback::table },
    Route { pattern: "/ai/queue/(suspend|resume)", handler: runs::queue },
    Route { pattern: "/ai/models/([^/]+)/evaluate", handler: evaluate::submit },
    Route { pattern: "/ai/evaluations", handler: evaluate::list },
    Route { pattern: "/ai/evaluations/([^/]+)", handler: evaluate::one },
    Route { pattern: "/ai/evaluations/([^/]+)/(report.html|cases.csv|override.json)", handler: evaluate::file },
    Route { pattern: "/ai/compat/api/mri/mammography/analyze", handler: compat::mammography::analyze },
    Route { pattern: "/ai/compat/api/mri/(mammography|segmentation)/health", handler: compat::health },
    Route { pattern: "/ai/compat/api/mri/segmentation/series/([^/]+)/segment", handler: compat::series::segment },
    Route { pattern: "/ai/compat/api/mri/segmentation/instances/([^/]+)/frames", handler: compat::frame },
    Route { pattern: "/ai/compat/api/medical-images/([^/]+)/analyze", handler: compat::images::analyze },
    Route { pattern: "/ai/compat/api/medical-images/([^/]+)/tumor_analysis", handler: compat::images::tumor_analysis },
    Route { pattern: "/ai/compat/api/medical-images/generate_3d_visualization", handler: compat::visualization },
    Route { pattern: "/ai/openapi.json", handler: openapi::get },
    Route { pattern: "/ai/explorer2.json", handler: explorer2::buttons },
    Route { pattern: "/ai/app", handler: assets::entry },
    Route { pattern: "/ai/app/(.*)", handler: assets::file },
];

/// The running service; 503 while the server starts or stops.
fn service() -> Result<Arc<RunService>, RestError> {
    crate::plugin::service().ok_or_else(|| RestError::unavailable("the AI plugin is starting or stopping", 2))
}

/// 503 while the store of runs is away.
fn store_error(error: StoreError) -> RestError {
    match error {
        StoreError::Unavailable { .. } => RestError::unavailable(error.to_string(), 5),
        StoreError::Unreadable { .. } => RestError::internal(error.to_string()),
    }
}

/// 405 with the methods that the route has, for any other. 403 for a GET in disguise: Orthanc takes `GET …?_method=DELETE` for a DELETE, and
/// any page can make a browser send that, with the user's credentials, as the address of a picture.
fn allow(request: &Request<'_>, methods: &[Method]) -> Result<(), RestError> {
    if request.method != Method::Get && request.query("_method").is_some() {
        return Err(RestError::new(403, "_method: found in a GET, expected a request of that method"));
    }
    if methods.contains(&request.method) {
        return Ok(());
    }
    let names: Vec<&str> = methods.iter().map(|m| m.as_str()).collect();
    Err(RestError::method_not_allowed(&names.join(",")))
}

/// A resource id as Orthanc makes them (SHA-1 in five groups). Anything else is unknown, and never becomes part of a path.
fn orthanc_id(text: &str) -> Result<&str, RestError> {
    if is_id(text) { Ok(text) } else { Err(RestError::not_found("unknown resource: not an Orthanc identifier")) }
}
