//! POST `/api/mri/mammography/analyze/`: the four views of an exam, a row each.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{all_there, labelled, read, route};
use crate::api::analyse::source_error;
use crate::api::orthanc_id;
use crate::config::Contract;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::Run;
use crate::run::record::ImageResult;
use crate::source::orthanc::{OrthancSource, study_of};
use crate::source::{InstanceHeader, InstanceSource, Level, Resource};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MammographyBody {
    /// Orthanc's ids of the four images.
    instance_ids: Vec<String>,
}

pub fn analyze(request: &Request<'_>) -> Result<Response, RestError> {
    route(request, &[Method::Post], |compat| {
        let MammographyBody { instance_ids } = read(request)?;
        all_there("images", &instance_ids)?;
        let headers = headers(&instance_ids)?;
        let first = Resource::new(Level::Instance, instance_ids[0].clone());
        let study = Resource::new(Level::Study, study_of(&first).map_err(source_error)?);
        let run = compat.run(request, Contract::Mammography, &study, &headers, &[])?;
        Response::json(&answer(&run, &instance_ids))
    })
}

fn headers(ids: &[String]) -> Result<Vec<InstanceHeader>, RestError> {
    let mut headers = Vec::with_capacity(ids.len());
    for id in ids {
        let resource = Resource::new(Level::Instance, orthanc_id(id)?);
        headers.extend(OrthancSource.headers(&resource).map_err(source_error)?);
    }
    Ok(headers)
}

fn answer(run: &Run, ids: &[String]) -> Value {
    labelled(run, json!({"success": true, "results": rows(run, ids)}))
}

/// A row an image, in the order of the request. One that failed has `"success": false` and the reason, the others no such key.
fn rows(run: &Run, ids: &[String]) -> Vec<Value> {
    let result = |id: &String| run.results.iter().find(|result| result.instance_id == *id);
    ids.iter().enumerate().map(|(i, id)| row(id, i, result(id))).collect()
}

fn row(id: &str, index: usize, result: Option<&ImageResult>) -> Value {
    // An image that does not say its view is called by its place in the request.
    let unnamed = || format!("Image {}", index + 1);
    let view = result.map(|r| r.image.view.clone()).filter(|view| !view.starts_with("Image "));
    let view = view.unwrap_or_else(unnamed);
    match result.and_then(|r| r.image.result.as_ref()) {
        Some(answer) => json!({
            "view": view,
            "predicted_class": answer.class,
            "probability": answer.probability,
            "all_probabilities": answer.all_probabilities,
            "instance_id": id,
        }),
        None => {
            let error = result.and_then(|r| r.image.error.as_deref()).unwrap_or("the image was not analysed");
            json!({"success": false, "view": view, "instance_id": id, "error": error})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::compat::images::tests::run_with;

    #[test]
    fn rows_follow_the_request_and_a_failed_image_has_its_own() {
        let good = |id: &str, view: &str| {
            json!({"InstanceID": id, "View": view, "InstanceUid": "1", "Success": true, "Class": "Mass", "Color": "#d32f2f",
                "Probability": 0.75, "AllProbabilities": {"Mass": 0.75, "Normal": 0.25}, "Finding": "Mass: 75.0 %, present"})
        };
        let bad =
            json!({"InstanceID": "c", "View": "L-MLO", "InstanceUid": "2", "Success": false, "Error": "too short"});
        let run = run_with(json!([good("a", "L-CC"), bad, good("b", "Image 3")]));
        let ids = ["b", "a", "c"].map(str::to_owned);
        let row = |view: &str, id: &str| {
            json!({"view": view, "predicted_class": "Mass", "probability": 0.75,
                "all_probabilities": {"Mass": 0.75, "Normal": 0.25}, "instance_id": id})
        };
        let failed = json!({"success": false, "view": "L-MLO", "instance_id": "c", "error": "too short"});
        assert_eq!(rows(&run, &ids), [row("Image 1", "b"), row("L-CC", "a"), failed]);
        let answer = answer(&run, &ids);
        assert_eq!((&answer["success"], answer["results"].as_array().unwrap().len()), (&json!(true), 3));
        let said = (&answer["demo"], &answer["disclaimer"], &answer["model"]);
        assert_eq!(said, (&json!(true), &json!("For research only."), &json!("m")));
    }
}
