//! GET `/api/medical-images/generate_3d_visualization/?patient_id=…`: the surface of a patient's latest segmentation, as one HTML file.

use super::{Compat, route};
use crate::api::analyse::source_error;
use crate::api::overlay::invalid;
use crate::api::{store_error, surface};
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::{Run, RunFilter, RunState};
use crate::source::orthanc::studies_of_patient;

/// `patient_id`: Orthanc's id of the patient, or the PatientID itself. `visualization_type` is taken and changes nothing: there is one kind.
pub fn page(request: &Request<'_>) -> Result<Response, RestError> {
    route(request, &[Method::Get], |compat| {
        let mut patient = None;
        for (key, value) in &request.query {
            match key.as_ref() {
                "patient_id" => patient = Some(value.as_ref()),
                "visualization_type" => {}
                other => return Err(invalid("query", other, "patient_id, visualization_type")),
            }
        }
        let patient = patient.filter(|id| !id.is_empty());
        let patient = patient.ok_or_else(|| RestError::bad_request("patient_id: found none, expected one"))?;
        let series = latest_segmentation(compat, patient)?;
        surface::page_of(&series)
    })
}

/// Orthanc's id of the series that the newest segmentation of a volume is.
fn latest_segmentation(compat: &Compat, patient: &str) -> Result<String, RestError> {
    let studies = studies_of_patient(patient).map_err(source_error)?;
    if studies.is_empty() {
        return Err(RestError::not_found("patient_id: no such patient"));
    }
    let mut newest: Option<Run> = None;
    for study in studies {
        let filter = RunFilter { study: Some(study), state: Some(RunState::Succeeded), ..RunFilter::default() };
        for run in compat.service.store.list(&filter).map_err(store_error)? {
            if series_of(&run).is_some() && newest.as_ref().is_none_or(|n| n.finished < run.finished) {
                newest = Some(run);
            }
        }
    }
    newest.as_ref().and_then(series_of).map(str::to_owned).ok_or_else(|| {
        RestError::not_found("no series of this patient has been segmented as a volume: POST /series/{id}/ai does it")
    })
}

/// Where the masks of a volume are; None of single images, which have no surface, and where nothing was found.
fn series_of(run: &Run) -> Option<&str> {
    let uid = run.segmentation.as_ref()?.seg_instance_uid.as_deref()?;
    run.stored.iter().find(|stored| stored.sop_instance_uid == uid).map(|stored| stored.series_id.as_str())
}
