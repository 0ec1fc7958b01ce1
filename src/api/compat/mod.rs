//! The routes and answers of the systems that this plugin takes the place of, for front ends that change their base address and nothing
//! else (docs/compatibility.md): one file a family of routes. Off, and then unknown, unless `Ai.CompatibilityRoutes` is set.
//!
//! A request becomes a run as any other does, and is waited for; its report is told in the original's words.

mod choose;
mod frames;
mod health;
pub mod images;
pub mod mammography;
pub mod series;
mod visualization;

use std::collections::BTreeSet;
use std::sync::Arc;

use dicom_dictionary_std::tags;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::choose::INPUTS;
use super::analyse::{run_requests, source_error, submit_error, wait};
use super::body::{self, RunBody};
use super::{allow, audit, service};
use crate::config::{CompatibilityModels, Contract};
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::audit::Action;
use crate::run::{Run, RunService};
use crate::source::orthanc::{series_uid, study_of, study_uid};
use crate::source::{InstanceHeader, Level, Resource};

pub use choose::check;
pub use frames::frame;
pub use health::health;
pub use visualization::page as visualization;

/// What a route of this layer works with.
struct Compat {
    service: Arc<RunService>,
    models: CompatibilityModels,
}

/// Carries out a route, and tells its errors as the originals did. Where the layer is off no method of it is known.
fn route(
    request: &Request<'_>,
    methods: &[Method],
    work: impl FnOnce(&Compat) -> Result<Response, RestError>,
) -> Result<Response, RestError> {
    let life = crate::plugin::life();
    if life.as_ref().is_some_and(|life| life.compatibility.is_none()) {
        return Err(RestError::not_found("unknown resource"));
    }
    allow(request, methods)?;
    let models = life.and_then(|life| life.compatibility.clone()).unwrap_or_default();
    let done = service().and_then(|service| work(&Compat { service, models }));
    done.or_else(|error| failure(&error))
}

/// `{"success": false, "error": …}` with the error's own status.
fn failure(error: &RestError) -> Result<Response, RestError> {
    let details = error.details.as_ref().map(|details| format!(": {details}")).unwrap_or_default();
    let body = json!({"success": false, "error": format!("{}{details}", error.message)});
    let mut response = Response::json(&body)?.with_status(error.status);
    response.headers.clone_from(&error.headers);
    Ok(response)
}

/// The body of a route that needs none. What else the originals' pages send is passed over, here and in the other bodies: the originals did.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AnyBody {}

/// As [`body::read`], and nothing at all from a page of this very server: the originals' pages send their POSTs without a body so.
fn read<T: DeserializeOwned + Default>(request: &Request<'_>) -> Result<T, RestError> {
    let nothing = request.body.is_empty() && request.header("content-type").is_none();
    if nothing && is_of_this_site(request) { Ok(T::default()) } else { body::read(request) }
}

/// What the browser says, and no page can: `Sec-Fetch-Site` (sent to HTTPS and to localhost), else `Origin` beside `Host`.
fn is_of_this_site(request: &Request<'_>) -> bool {
    if let Some(site) = request.header("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = request.header("origin").and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, origin)| request.header("host").is_some_and(|host| host.eq_ignore_ascii_case(origin)))
}

/// With what every result says: whether its weights are a demonstration's, what it is not for, and which model it is of.
fn labelled(run: &Run, mut answer: Value) -> Value {
    if let Some(keys) = answer.as_object_mut() {
        keys.insert("demo".into(), run.card.demo.into());
        keys.insert("disclaimer".into(), run.card.disclaimer.clone().into());
        keys.insert("model".into(), run.request.model.clone().into());
    }
    answer
}

/// 400 unless the images are of this study (its StudyInstanceUID) and of one patient: the run is recorded under it. One whose header cannot be
/// read is never analysed.
fn of_one_study(headers: &[InstanceHeader], study: &str) -> Result<(), RestError> {
    let readable: Vec<_> = headers.iter().filter(|h| h.unreadable_reason().is_none()).collect();
    let others = readable.iter().filter(|h| h.get(tags::STUDY_INSTANCE_UID).unwrap_or_default() != study).count();
    if others > 0 {
        let reason =
            format!("{others} of {} images are of another study, expected one StudyInstanceUID", headers.len());
        return Err(RestError::bad_request(reason));
    }
    // Wrongly, studies of two patients may share it.
    match readable.iter().map(|h| h.get(tags::PATIENT_ID)).collect::<BTreeSet<_>>().len() {
        0 | 1 => Ok(()),
        patients => {
            Err(RestError::bad_request(format!("the images are of {patients} patients, expected one PatientID")))
        }
    }
}

/// 400 unless these are the four inputs of a contract, each once.
fn all_there(what: &str, ids: &[String]) -> Result<(), RestError> {
    let (found, distinct) = (ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    match (found, distinct) {
        (INPUTS, INPUTS) => Ok(()),
        (INPUTS, _) => {
            let reason = format!("{INPUTS} {what} are needed, found {found} ({distinct} different ones)");
            Err(RestError::bad_request(reason))
        }
        _ => Err(RestError::bad_request(format!("{INPUTS} {what} are needed, found {found}"))),
    }
}

impl Compat {
    /// Runs the contract's model and waits for it. `channels`: Orthanc's ids of the series that are the channels, in their order.
    ///
    /// # Errors
    /// The images are not of the resource's study, no model fits or is ready, it does not take the images, or the run does not succeed in time.
    fn run(
        &self,
        request: &Request<'_>,
        contract: Contract,
        resource: &Resource,
        headers: &[InstanceHeader],
        channels: &[String],
    ) -> Result<Run, RestError> {
        let study = Resource::new(Level::Study, study_of(resource).map_err(source_error)?);
        of_one_study(headers, &study_uid(&study).map_err(source_error)?)?;
        let uids = channels.iter().map(|id| series_uid(id)).collect::<Result<Vec<_>, _>>();
        let model = self.chooser().choose(contract, headers, &uids.map_err(source_error)?)?;
        let body = RunBody { model: Some(model), channels: channels.to_vec(), ..RunBody::default() };
        let mut wanted = run_requests(&self.service, resource, headers, &body)?;
        let wanted = wanted.pop().ok_or_else(|| RestError::internal("no run was made of the request"))?;
        let submitted = self.service.submit(wanted).map_err(submit_error)?;
        if submitted.is_new {
            audit::tell(request, &self.service, Action::AnalysisRequested, &submitted.run);
        }
        wait(&self.service, &submitted.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::InstanceId;

    #[test]
    fn an_error_is_told_as_the_originals_did() {
        let error = RestError::unavailable("the queue is full", 10).with_details("100 runs");
        let response = failure(&error).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((response.status, body), (503, json!({"success": false, "error": "the queue is full: 100 runs"})));
        assert_eq!(response.headers, error.headers);
    }

    #[test]
    fn four_are_needed_and_each_once() {
        let said = |ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            all_there("images", &ids).map_or_else(|e| format!("{} {}", e.status, e.message), |()| String::new())
        };
        assert_eq!(said(&["a", "b", "c", "d"]), "");
        assert_eq!(said(&[]), "400 4 images are needed, found 0");
        assert_eq!(said(&["a", "b", "c", "d", "e"]), "400 4 images are needed, found 5");
        assert_eq!(said(&["a", "b", "c", "a"]), "400 4 images are needed, found 4 (3 different ones)");
    }

    #[test]
    fn images_are_of_the_study_that_the_run_is_of() {
        let header = |study: &str, patient: &str| {
            let values = [(tags::STUDY_INSTANCE_UID, study.to_owned()), (tags::PATIENT_ID, patient.to_owned())];
            InstanceHeader::new(InstanceId("i".into()), values.into())
        };
        let said = |headers: &[InstanceHeader]| {
            of_one_study(headers, "1.2").map_or_else(|e| format!("{} {}", e.status, e.message), |()| String::new())
        };
        let lost = InstanceHeader::unreadable(InstanceId("i".into()), "lost");
        assert_eq!(said(&[header("1.2", "p"), header("1.2", "p"), lost]), "");
        let other = "400 1 of 2 images are of another study, expected one StudyInstanceUID";
        assert_eq!(said(&[header("1.2", "p"), header("1.3", "p")]), other);
        // All of one study, but not of this.
        assert!(said(&[header("1.3", "p"), header("1.3", "p")]).starts_with("400 2 of 2 images"));
        let two = "400 the images are of 2 patients, expected one PatientID";
        assert_eq!(said(&[header("1.2", "p"), header("1.2", "q")]), two);
    }

    fn empty_post(headers: &[(&'static str, &'static str)]) -> u16 {
        let mut request = Request::new(Method::Post, "/ai/compat/api/medical-images/1/analyze");
        request.headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        read::<AnyBody>(&request).map_or_else(|e| e.status, |_| 200)
    }

    #[test]
    fn a_post_of_nothing_comes_from_this_site_or_no_browser() {
        let (host, own) = (("host", "pacs:8042"), ("origin", "http://pacs:8042"));
        assert_eq!(empty_post(&[]), 200);
        assert_eq!(empty_post(&[host, own]), 200);
        for origin in ["http://elsewhere", "http://pacs", "http://pacs:80420", "null", "pacs:8042"] {
            assert_eq!(empty_post(&[host, ("origin", origin)]), 415, "{origin}");
        }
        assert_eq!(empty_post(&[own]), 415);
        // What the browser says itself goes before what a proxy may have changed.
        assert_eq!(empty_post(&[("host", "127.0.0.1"), own, ("sec-fetch-site", "same-origin")]), 200);
        for site in ["cross-site", "same-site", "none"] {
            assert_eq!(empty_post(&[host, own, ("sec-fetch-site", site)]), 415, "{site}");
        }
        assert_eq!(empty_post(&[host, own, ("content-type", "text/plain")]), 415);
    }
}
