//! Routes that provoke what must not take the server down (feature `fault-injection`, for the live tests only).

use serde::Deserialize;
use serde_json::{Value, json};

use super::decode::decode_frame;
use super::error::{ErrorCode, HostError};
use super::host::{self, Host};
use super::jobs::{self, Job, JobStep, StopReason};
use super::rest_client::RestClient;
use super::rest_error::RestError;
use super::rest_server::{self, Method, Request, Response, Route};
use super::{events, metrics};

static ROUTES: [Route; 7] = [
    Route { pattern: "/ai/fault/panic", handler: |_| panic!("planted by POST /ai/fault/panic") },
    Route { pattern: "/ai/fault/status/([0-9]+)", handler: status },
    Route { pattern: "/ai/fault/echo/([^/]*)(/.*)?", handler: echo },
    Route { pattern: "/ai/fault/redirect", handler: |_| Ok(Response::redirect("echo/redirected")) },
    Route { pattern: "/ai/fault/rest", handler: rest },
    Route { pattern: "/ai/fault/decode", handler: decode },
    Route { pattern: "/ai/fault/job", handler: job },
];

/// Registers the routes, and subscribers that panic on some events.
///
/// # Errors
/// The core refuses.
pub fn register(host: &Host) -> Result<(), HostError> {
    rest_server::register(host, &ROUTES)?;
    super::audit::handler::register(host)?;
    events::subscribe(host, |event| {
        log::info!("event {:?} {:?} {:?}", event.kind, event.level, event.resource_id);
        assert!(event.kind != events::EventKind::NewSeries, "planted in the event NewSeries");
    })?;
    events::subscribe_stored(host, |stored| log::info!("stored {} from {:?}", stored.instance_id, stored.origin))?;
    metrics::on_refresh(host, |host| {
        let _ = metrics::set_integer(host, "orthanc_ai_fault_total{kind=\"metric\"}", 42);
        panic!("planted in the metrics");
    })
}

fn host() -> Result<Host, RestError> {
    host::current().ok_or_else(|| RestError::internal("no host"))
}

fn body<'a, T: Deserialize<'a>>(request: &Request<'a>) -> Result<T, RestError> {
    serde_json::from_slice(request.body).map_err(|error| RestError::bad_request(error.to_string()))
}

/// The error of that status.
fn status(request: &Request<'_>) -> Result<Response, RestError> {
    let status: u16 = request.groups[0].parse().map_err(|_| RestError::bad_request("not a status"))?;
    match status {
        200..400 => Ok(Response::json(&json!({ "Status": status }))?.with_status(status)),
        405 => Err(RestError::method_not_allowed("GET,POST")),
        503 => Err(RestError::unavailable("the queue is full", 30).with_details("planted")),
        _ => Err(RestError::new(status, "planted").with_details("details of the planted error")),
    }
}

/// What a handler sees of its request.
fn echo(request: &Request<'_>) -> Result<Response, RestError> {
    let answer = json!({
        "Method": request.method.as_str(), "Path": request.path, "Groups": request.groups, "Query": request.query,
        "Size": request.body.len(), "ContentType": request.header("Content-Type"), "A": request.query("a"),
    });
    Ok(Response::json(&answer)?.with_header("X-Echo", "1"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RestCall {
    method: String,
    uri: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    after_plugins: bool,
}

/// A REST call from inside.
fn rest(request: &Request<'_>) -> Result<Response, RestError> {
    let call: RestCall = body(request)?;
    let methods = [Method::Get, Method::Post, Method::Put, Method::Delete];
    let method = methods.into_iter().find(|method| method.as_str() == call.method);
    let method = method.ok_or_else(|| RestError::bad_request("no such method"))?;
    let client = RestClient::new(host()?);
    let client = if call.after_plugins { client.after_plugins() } else { client };
    Response::json(&match client.call(method, &call.uri, &[], call.body.as_bytes()) {
        Ok(answer) => json!({ "Size": answer.len(), "Text": String::from_utf8_lossy(&answer) }),
        Err(error) => json!({
            "Error": error.to_string(), "Code": error.code().map(ErrorCode::name), "HttpStatus": error.http_status(),
        }),
    })
}

/// A DICOM file through the core's decoder.
fn decode(request: &Request<'_>) -> Result<Response, RestError> {
    let image = decode_frame(&host()?, request.body, 0)?;
    let sum: u64 = image.data.iter().map(|byte| u64::from(*byte)).sum();
    let format = format!("{:?}", image.pixel_format);
    Response::json(&json!({ "Width": image.width, "Height": image.height, "Format": format, "Sum": sum }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Planted {
    steps: u32,
    #[serde(default)]
    panic_at: Option<u32>,
    #[serde(skip)]
    done: u32,
}

/// A job of so many steps of 50 ms.
fn job(request: &Request<'_>) -> Result<Response, RestError> {
    let id = jobs::submit(&host()?, "AiFault", Box::new(body::<Planted>(request)?), 0)?;
    Response::json(&json!({ "ID": id, "Path": format!("/jobs/{id}") }))
}

impl Job for Planted {
    fn step(&mut self) -> JobStep {
        std::thread::sleep(std::time::Duration::from_millis(50));
        self.done += 1;
        assert!(self.panic_at != Some(self.done), "planted in a job");
        if self.done < self.steps { JobStep::Continue } else { JobStep::Success }
    }

    fn progress(&self) -> f32 {
        self.done as f32 / self.steps as f32
    }

    fn content(&self) -> Value {
        json!({ "Done": self.done })
    }

    fn stop(&mut self, reason: StopReason) {
        log::info!("the planted job stops: {reason:?}");
    }

    fn reset(&mut self) -> Result<(), ()> {
        self.done = 0;
        Ok(())
    }
}
