//! POST `/api/medical-images/{id}/analyze/` and `/api/medical-images/{id}/tumor_analysis/`: one image, segmented and then, on demand, judged.
//!
//! `{id}` is Orthanc's id of the instance. What comes back is the image with its results, the newest first.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::frames::{mask_png, seg_of};
use super::{AnyBody, Compat, choose, labelled, read, route};
use crate::api::analyse::source_error;
use crate::api::overlay::{picture, source_of};
use crate::api::{orthanc_id, store_error};
use crate::config::Contract;
use crate::imaging::SegObject;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::result::report::ImageSegmentationReport;
use crate::run::record::ImageResult;
use crate::run::{Run, RunFilter, RunState};
use crate::source::orthanc::{OrthancSource, study_of};
use crate::source::{InstanceHeader, InstanceId, InstanceSource, Level, Resource};

/// Of the mask over the image.
const OPACITY: f32 = 0.5;

/// Stage 1: the mask, its share of the image, the overlay picture.
pub fn analyze(request: &Request<'_>) -> Result<Response, RestError> {
    route(request, &[Method::Post], |compat| {
        read::<AnyBody>(request)?;
        let (image, headers) = image(request)?;
        let run = compat.run(request, Contract::ImageSegmentation, &image, &headers, &[])?;
        answer(&image.id, vec![segmentation(&run, &image.id)?])
    })
}

/// Stage 2, on the tumour that stage 1 has found.
pub fn tumor_analysis(request: &Request<'_>) -> Result<Response, RestError> {
    route(request, &[Method::Post], |compat| {
        read::<AnyBody>(request)?;
        let (image, headers) = image(request)?;
        let model = compat.chooser().choose(Contract::ImageClassification, &headers, &[])?;
        let first = first_stage(compat, &model, &image)?;
        let run = compat.run(request, Contract::ImageClassification, &image, &headers, &[])?;
        let judged = classification(&run, result(&run, &image.id)?, is_korean(request))?;
        answer(&image.id, vec![judged, segmentation(&first, &image.id)?])
    })
}

fn answer(id: &str, results: Vec<Value>) -> Result<Response, RestError> {
    Response::json(&json!({"id": id, "analysis_results": results}))
}

/// The instance of the request's path, with its header.
fn image(request: &Request<'_>) -> Result<(Resource, Vec<InstanceHeader>), RestError> {
    let id = orthanc_id(request.groups.first().copied().unwrap_or_default())?;
    let image = Resource::new(Level::Instance, id);
    let headers = OrthancSource.headers(&image).map_err(source_error)?;
    Ok((image, headers))
}

/// The latest run, on this image, of the model whose segments `second` looks at.
///
/// # Errors
/// 400 where there is none.
fn first_stage(compat: &Compat, second: &str, image: &Resource) -> Result<Run, RestError> {
    let manifest = compat.service.models.manifest(second);
    let first = manifest.as_ref().and_then(|m| m.input.region_of_interest.as_ref()).map(|region| &region.model);
    // Only of a manifest that cannot be read: the others were looked at before.
    let first = first.ok_or_else(|| choose::not_ready(Contract::ImageClassification))?;
    let filter = RunFilter {
        study: Some(study_of(image).map_err(source_error)?),
        state: Some(RunState::Succeeded),
        model: Some(first.clone()),
        ..RunFilter::default()
    };
    let runs = compat.service.store.list(&filter).map_err(store_error)?;
    let on_this = |run: &Run| run.results.iter().any(|r| r.instance_id == image.id && r.image.success);
    runs.into_iter().find(on_this).ok_or_else(|| {
        let reason = format!("the image has not been segmented yet: {first} is needed first, POST …/analyze/");
        RestError::bad_request(reason)
    })
}

/// # Errors
/// 422 with the reason where the image itself failed.
fn result<'r>(run: &'r Run, id: &str) -> Result<&'r ImageResult, RestError> {
    let result = run.results.iter().find(|r| r.instance_id == id);
    let result = result.ok_or_else(|| RestError::internal("the run says nothing of the image"))?;
    match &result.image.error {
        Some(reason) => Err(RestError::unprocessable(reason.clone())),
        None => Ok(result),
    }
}

fn segmentation(run: &Run, id: &str) -> Result<Value, RestError> {
    let result = result(run, id)?;
    let report = result.image.segmentation.as_ref();
    let report = report.ok_or_else(|| RestError::internal("the run has no segmentation of the image"))?;
    let seg = seg_of(run, report.seg_instance_uid.as_deref()).filter(|_| !report.mask_frames.is_empty());
    let pictures = seg.map(|seg| pictures(seg, &report.mask_frames)).transpose()?;
    Ok(segmentation_entry(run, report, seg, pictures))
}

/// Mask and overlay as data URLs: an address of their own would have to know where the page sees this server.
fn pictures(seg: &str, frames: &[usize]) -> Result<[String; 2], RestError> {
    let gone = |_| RestError::not_found("the segmentation is no longer on the server");
    let bytes = OrthancSource.fetch(&InstanceId(seg.to_owned())).map_err(gone)?;
    let seg = SegObject::read(&bytes).map_err(|e| RestError::internal(e.to_string()))?;
    let source = frames.first().map(|frame| source_of(&seg, *frame)).transpose()?;
    let url = |png: Vec<u8>| format!("data:image/png;base64,{}", STANDARD.encode(png));
    Ok([url(mask_png(&seg, frames, false)?), url(picture(&seg, frames, source, OPACITY)?)])
}

fn segmentation_entry(
    run: &Run,
    report: &ImageSegmentationReport,
    seg: Option<&str>,
    pictures: Option<[String; 2]>,
) -> Value {
    let found: Vec<_> = report.segments.iter().filter_map(|segment| segment.measurements.as_ref()).collect();
    let [mask, overlay] = pictures.map_or([None, None], |[mask, overlay]| [Some(mask), Some(overlay)]);
    let results = json!({
        "tumor_detected": !found.is_empty(),
        "tumor_pixel_count": found.iter().map(|m| m.pixels).sum::<usize>(),
        "tumor_ratio_percent": found.iter().map(|m| m.share_percent).sum::<f64>(),
        "mask_url": mask,
        "overlay_url": overlay,
        "seg_instance_id": seg,
    });
    let findings: Vec<&str> = report.segments.iter().map(|segment| segment.finding.as_str()).collect();
    entry(run, "BREAST_MRI_SEGMENTATION", &results, None, &findings.join("; "), &run.card.disclaimer)
}

fn classification(run: &Run, result: &ImageResult, korean: bool) -> Result<Value, RestError> {
    let answer =
        result.image.result.as_ref().ok_or_else(|| RestError::internal("the run has no class of the image"))?;
    let results = json!({"predicted_class": answer.class, "probabilities": answer.all_probabilities});
    let said =
        answer.texts.get("ko").filter(|_| korean).or_else(|| answer.texts.get("en")).map(|texts| texts.join(" "));
    let said = said.unwrap_or_else(|| run.card.disclaimer.clone());
    Ok(entry(run, "BREAST_MRI_CLASSIFICATION", &results, Some(answer.probability), &answer.finding, &said))
}

/// Whether the reader's first language is Korean: sentences are in it then, where the model's manifest has them.
fn is_korean(request: &Request<'_>) -> bool {
    request.header("accept-language").is_some_and(|languages| languages.trim_start().starts_with("ko"))
}

fn entry(
    run: &Run,
    kind: &str,
    results: &Value,
    confidence: Option<f64>,
    findings: &str,
    recommendations: &str,
) -> Value {
    let entry = json!({
        "id": run.id,
        "analysis_type": kind,
        "results": results,
        "confidence": confidence,
        "findings": findings,
        "recommendations": recommendations,
        "model_version": run.card.version,
        "analysis_date": run.finished,
    });
    labelled(run, entry)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::run::record::{ModelCard, Origin, RunRequest};

    /// A run whose images are these.
    pub fn run_with(results: Value) -> Run {
        let request = json!({"Model": "m", "Resource": Resource::new(Level::Study, "s"), "Study": "s", "Inputs": [],
            "Warnings": [], "Origin": Origin::Rest, "Priority": 0, "Force": false});
        let request: RunRequest = serde_json::from_value(request).unwrap();
        let card = ModelCard {
            title: "M".into(),
            version: "1.2.0".into(),
            weights_sha256: "w".into(),
            demo: true,
            disclaimer: "For research only.".into(),
        };
        let mut run = Run::new(request, card);
        run.results = serde_json::from_value(results).unwrap();
        run
    }

    #[test]
    fn a_segmented_image_in_the_words_of_the_original() {
        let segment = json!({"Name": "Tumour", "Color": "#d32f2f", "Found": true, "Finding": "Tumour: 2.5 % of the image",
            "SegmentNumber": 1, "Pixels": 90, "SharePercent": 2.5, "LongAxisPixels": 3.0, "Mean": 7.0});
        let image = |segment: Value| json!([{"InstanceID": "a", "View": "Image 1", "InstanceUid": "1", "Success": true, "Segments": [segment], "MaskFrames": [0]}]);
        let run = run_with(image(segment));
        let report = result(&run, "a").unwrap().image.segmentation.clone().unwrap();
        let entry = segmentation_entry(&run, &report, Some("seg"), Some(["m".into(), "o".into()]));
        assert_eq!(entry["analysis_type"], "BREAST_MRI_SEGMENTATION");
        let expected = json!({"tumor_detected": true, "tumor_pixel_count": 90, "tumor_ratio_percent": 2.5, "mask_url": "m",
            "overlay_url": "o", "seg_instance_id": "seg"});
        assert_eq!(entry["results"], expected);
        assert_eq!((&entry["demo"], &entry["model"]), (&json!(true), &json!("m")));
        assert_eq!((&entry["findings"], &entry["confidence"]), (&json!("Tumour: 2.5 % of the image"), &Value::Null));
        assert_eq!(
            (&entry["recommendations"], &entry["model_version"]),
            (&json!("For research only."), &json!("1.2.0"))
        );

        let run = run_with(image(json!({"Name": "Tumour", "Color": "#d32f2f", "Found": false, "Finding": "none"})));
        let report = result(&run, "a").unwrap().image.segmentation.clone().unwrap();
        let results = &segmentation_entry(&run, &report, None, None)["results"];
        assert_eq!((&results["tumor_detected"], &results["tumor_ratio_percent"]), (&json!(false), &json!(0.0)));
        assert_eq!((&results["mask_url"], &results["seg_instance_id"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_judged_tumour_in_the_words_of_the_original() {
        let mut image = json!({"InstanceID": "a", "View": "Image 1", "InstanceUid": "1", "Success": true, "Class": "Malignant",
            "Color": "#d32f2f", "Probability": 0.75, "AllProbabilities": {"Benign": 0.25, "Malignant": 0.75}, "Finding": "Malignant: 75.0 %"});
        let told = |image: &Value, korean: bool| {
            let run = run_with(json!([image]));
            classification(&run, result(&run, "a").unwrap(), korean).unwrap()
        };
        let entry = told(&image, false);
        let expected = json!({"predicted_class": "Malignant", "probabilities": {"Benign": 0.25, "Malignant": 0.75}});
        assert_eq!((&entry["results"], &entry["confidence"]), (&expected, &json!(0.75)));
        assert_eq!(
            (&entry["analysis_type"], &entry["findings"]),
            (&json!("BREAST_MRI_CLASSIFICATION"), &json!("Malignant: 75.0 %"))
        );
        assert_eq!(entry["recommendations"], "For research only.");
        assert_eq!((&entry["demo"], &entry["disclaimer"]), (&json!(true), &json!("For research only.")));
        image["Texts"] = json!({"en": ["A biopsy.", "Research."], "ko": ["조직검사.", "연구용."]});
        assert_eq!(told(&image, false)["recommendations"], "A biopsy. Research.");
        assert_eq!(told(&image, true)["recommendations"], "조직검사. 연구용.");
    }

    #[test]
    fn an_image_that_failed_is_an_error_with_its_reason() {
        let failed =
            json!([{"InstanceID": "a", "View": "Image 1", "InstanceUid": "1", "Success": false, "Error": "no tumour"}]);
        let error = result(&run_with(failed), "a").unwrap_err();
        assert_eq!((error.status, error.message.as_str()), (422, "no tumour"));
    }
}
