//! POST `/ai/images`: pictures (JPEG, PNG) become DICOM objects of a patient, and a model runs on them when asked.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::analyse::{finish, reference, run_requests, source_error, submit_error};
use super::body::{self, RunBody};
use super::{allow, audit, orthanc_id, service};
use crate::imaging::{self, ImageAttributes};
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::audit::Action;
use crate::source::orthanc::{OrthancSource, store_picture};
use crate::source::pictures::{NewPatient, PictureKind, PictureObjectError, PictureParent, dicom_picture};
use crate::source::{InstanceHeader, InstanceId, InstanceSource, Level, Resource, StoreStatus, StoredInstance};

/// Bytes of a body, before anything of it is decoded: 48 MB of pictures in base64.
const MAX_BODY: usize = 64 << 20;
/// Pictures of one request.
const MAX_PICTURES: usize = 100;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct ImagesBody {
    images: Vec<PictureBody>,
    /// Orthanc's id of the study that they belong to; or `patient`.
    study: Option<String>,
    patient: Option<NewPatient>,
    /// Absent: Photographic for colour, SecondaryCapture for grey.
    kind: Option<PictureKind>,
    model: Option<String>,
    synchronous: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PictureBody {
    /// The file in base64.
    content: String,
    /// What it is called: kept with the picture, never in a log.
    #[serde(default)]
    name: Option<String>,
}

pub fn post(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Post])?;
    if request.body.len() > MAX_BODY {
        let found = request.body.len();
        return Err(RestError::new(413, format!("body: found {found} bytes, expected at most {MAX_BODY}")));
    }
    let body: ImagesBody = body::read(request)?;
    let count = body.images.len();
    if !(1..=MAX_PICTURES).contains(&count) {
        return Err(RestError::bad_request(format!("Images: found {count}, expected 1 to {MAX_PICTURES}")));
    }
    let service = service()?;
    let parent = Parent::of(&body)?;
    // All of them are made before the first is stored: one that is no picture stores nothing.
    let make = |(i, picture): (usize, &PictureBody)| {
        let at = |status, reason: String| RestError::new(status, format!("Images[{i}]: {reason}"));
        let content =
            STANDARD.decode(picture.content.as_bytes()).map_err(|_| at(400, "Content is not base64".into()))?;
        dicom_picture(&content, &parent.borrowed(), body.kind, i + 1, picture.name.as_deref()).map_err(|e| match e {
            PictureObjectError::Picture(e) => at(422, e.to_string()),
            PictureObjectError::Value(e) => RestError::bad_request(e.to_string()),
        })
    };
    let objects = body.images.iter().enumerate().map(make).collect::<Result<Vec<_>, _>>()?;
    let stored = objects.iter().map(store_picture).collect::<Result<Vec<_>, _>>().map_err(source_error)?;
    let runs = match (&body.model, stored.first()) {
        (Some(model), Some(first)) => {
            let headers = headers_of(&stored)?;
            let wanted = RunBody { model: Some(model.clone()), ..RunBody::default() };
            let resource = Resource::new(Level::Study, first.study_id.clone());
            let mut runs = Vec::new();
            for wanted in run_requests(&service, &resource, &headers, &wanted)? {
                let submitted = service.submit(wanted).map_err(submit_error)?;
                if submitted.is_new {
                    audit::tell(request, &service, Action::AnalysisRequested, &submitted.run);
                }
                let run = &submitted.run;
                runs.push(if body.synchronous { finish(&service, run)? } else { reference(run) });
            }
            runs
        }
        _ => Vec::new(),
    };
    Response::json(&answer(&stored, runs))
}

fn answer(stored: &[StoredInstance], runs: Vec<Value>) -> Value {
    let instance = |s: &StoredInstance| {
        json!({
            "ID": s.id,
            "Path": s.path,
            "ParentSeries": s.series_id,
            "SOPInstanceUID": s.sop_instance_uid,
            "Status": if s.status == StoreStatus::Stored { "Success" } else { "AlreadyStored" },
        })
    };
    json!({
        "ParentStudy": stored.first().map(|s| s.study_id.as_str()),
        "Instances": stored.iter().map(instance).collect::<Vec<_>>(),
        "Runs": runs,
    })
}

/// Of the pictures alone, in their order: the model does not get what else the study holds.
fn headers_of(stored: &[StoredInstance]) -> Result<Vec<InstanceHeader>, RestError> {
    let mut headers: Vec<InstanceHeader> = Vec::with_capacity(stored.len());
    for instance in stored {
        // The same picture twice is one image.
        if headers.iter().all(|h| h.id.0 != instance.id) {
            let resource = Resource::new(Level::Instance, instance.id.clone());
            headers.extend(OrthancSource.headers(&resource).map_err(source_error)?);
        }
    }
    Ok(headers)
}

enum Parent {
    Study(Box<ImageAttributes>),
    Patient(NewPatient),
}

impl Parent {
    fn of(body: &ImagesBody) -> Result<Self, RestError> {
        match (&body.study, &body.patient) {
            (Some(study), None) => study_image(orthanc_id(study)?).map(|image| Self::Study(Box::new(image))),
            (None, Some(patient)) if !patient.patient_id.trim().is_empty() => Ok(Self::Patient(patient.clone())),
            (None, Some(_)) => Err(RestError::bad_request("Patient.PatientID: found none, expected one")),
            (None, None) => Err(RestError::bad_request("Study, Patient: found neither, expected one of them")),
            (Some(_), Some(_)) => Err(RestError::bad_request("Study, Patient: found both, expected one of them")),
        }
    }

    fn borrowed(&self) -> PictureParent<'_> {
        match self {
            Self::Study(image) => PictureParent::StudyOf(image),
            Self::Patient(patient) => PictureParent::New(patient),
        }
    }
}

/// An image of the study, whose patient and study modules are copied.
fn study_image(study: &str) -> Result<ImageAttributes, RestError> {
    let resource = Resource::new(Level::Study, study);
    let headers = OrthancSource.headers(&resource).map_err(source_error)?;
    let read = |id: &InstanceId| imaging::read_attributes(&OrthancSource.fetch(id).ok()?).ok();
    let image = headers.iter().filter(|h| h.unreadable_reason().is_none()).find_map(|h| read(&h.id));
    image.ok_or_else(|| {
        RestError::unprocessable("Study: found no image in it, expected one to take patient and study from")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &[u8]) -> RestError {
        let mut request = Request::new(Method::Post, "/ai/images");
        request.body = body;
        post(&request).err().unwrap()
    }

    #[test]
    fn bodies_are_bounded_and_have_known_keys() {
        assert_eq!(refused(&vec![b' '; MAX_BODY + 1]).status, 413);
        assert_eq!(refused(b"{}").status, 400);
        assert_eq!(refused(br#"{"Images": [], "Patient": {"PatientID": "1"}}"#).status, 400);
        assert_eq!(refused(br#"{"Images": [{"Content": "", "Path": "/etc"}]}"#).status, 400);
        assert_eq!(refused(br#"{"Images": [{"Content": ""}], "Kind": "Dermoscopic"}"#).status, 400);
    }
}
