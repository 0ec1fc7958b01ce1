//! POST `/ai/demo`: synthetic studies into the archive, so that an empty server has something to try.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::analyse::source_error;
use super::{allow, body};
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::phantom::demo::DemoStudy;
use crate::source::orthanc::store_demo_file;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct DemoBody {
    /// `Mammography`, `BreastMri`, `BreastSlice`, `HeadCt`, `Dermoscopy`; none: all.
    studies: Vec<String>,
}

pub fn post(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Post])?;
    let body: DemoBody = body::read(request)?;
    let known = || DemoStudy::ALL.map(DemoStudy::name).join(", ");
    let wanted = |name: &String| {
        let unknown = || RestError::bad_request(format!("Studies: found \"{name}\", expected some of {}", known()));
        DemoStudy::from_name(name).ok_or_else(unknown)
    };
    let mut studies = body.studies.iter().map(wanted).collect::<Result<Vec<_>, _>>()?;
    if studies.is_empty() {
        studies.extend(DemoStudy::ALL);
    }
    let stored = studies.into_iter().map(store).collect::<Result<Vec<_>, _>>()?;
    Response::json(&json!({"Studies": stored}))
}

fn store(study: DemoStudy) -> Result<Value, RestError> {
    let files = study.files().map_err(|e| RestError::internal(e.to_string()))?;
    let mut id = None;
    for file in &files {
        id = Some(store_demo_file(file).map_err(source_error)?.study_id);
    }
    Ok(
        json!({"Name": study.name(), "ID": id, "Path": id.as_ref().map(|id| format!("/studies/{id}")), "Instances": files.len()}),
    )
}
