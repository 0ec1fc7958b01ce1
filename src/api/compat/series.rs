//! POST `/api/mri/segmentation/series/{id}/segment/`: the four phases of a dynamic breast MRI, one mask.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::frames::{Pages, seg_of};
use super::{all_there, labelled, read, route};
use crate::api::analyse::source_error;
use crate::api::orthanc_id;
use crate::config::Contract;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::Run;
use crate::source::orthanc::{OrthancSource, study_of};
use crate::source::{InstanceSource, Level, Resource};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SegmentBody {
    /// Orthanc's ids of the four series, in the order of the phases.
    sequence_series_ids: Vec<String>,
}

pub fn segment(request: &Request<'_>) -> Result<Response, RestError> {
    route(request, &[Method::Post], |compat| {
        let SegmentBody { sequence_series_ids: series } = read(request)?;
        let shown = orthanc_id(request.groups.first().copied().unwrap_or_default())?;
        all_there("series", &series)?;
        is_one_of(shown, &series)?;
        let mut headers = Vec::new();
        for id in &series {
            let resource = Resource::new(Level::Series, orthanc_id(id)?);
            headers.extend(OrthancSource.headers(&resource).map_err(source_error)?);
        }
        let study = study_of(&Resource::new(Level::Series, shown)).map_err(source_error)?;
        let study = Resource::new(Level::Study, study);
        let run = compat.run(request, Contract::BreastSegmentation, &study, &headers, &series)?;
        Response::json(&answer(&run, shown, &Pages::of(&OrthancSource, &run.slices)?)?)
    })
}

/// 400 unless the path's series, whose study the run is of, is one of those that are analysed.
fn is_one_of(shown: &str, series: &[String]) -> Result<(), RestError> {
    if series.iter().any(|id| id == shown) {
        return Ok(());
    }
    let reason = format!("sequence_series_ids: found four without the path's series {shown}, expected it among them");
    Err(RestError::bad_request(reason))
}

/// Slices are counted from 0 as a page shows them; `total_slices` are those that were analysed. Where nothing was found there is no object with
/// masks: `seg_instance_id` is null and `saved_to_orthanc` false.
fn answer(run: &Run, series: &str, pages: &Pages<'_>) -> Result<Value, RestError> {
    let segmentation = run.segmentation.as_ref();
    let segmentation = segmentation.ok_or_else(|| RestError::internal("the run has no segmentation"))?;
    let (first, last) = pages.analysed().ok_or_else(|| RestError::internal("the run has no analysed slice"))?;
    let found = segmentation.segments.iter().filter_map(|segment| segment.measurements.as_ref());
    let seg = seg_of(run, segmentation.seg_instance_uid.as_deref());
    let answer = json!({
        "success": true,
        "series_id": series,
        "total_slices": last - first + 1,
        "start_slice_index": first,
        "end_slice_index": last,
        "seg_instance_id": seg,
        "tumor_ratio_percent": found.map(|m| m.ratio_percent).sum::<f64>(),
        "saved_to_orthanc": seg.is_some(),
    });
    Ok(labelled(run, answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::compat::frames::tests::slices;
    use crate::api::compat::images::tests::run_with;

    #[test]
    fn the_series_of_the_path_is_one_of_the_four() {
        let series = ["a", "b", "c", "d"].map(str::to_owned);
        assert!(is_one_of("c", &series).is_ok());
        let error = is_one_of("e", &series).unwrap_err();
        assert!(error.status == 400 && error.message.contains("the path's series e"), "{}", error.message);
    }

    #[test]
    fn a_run_in_the_words_of_the_original() {
        let mut run = run_with(json!([]));
        run.slices = slices(100, 2..=97);
        let mut segment = json!({"Name": "Tumour", "Color": "#d32f2f", "Found": true, "Finding": "Tumour", "SegmentNumber": 1,
            "TrackingUid": "1", "Voxels": 10, "VolumeMl": 1.0, "LongAxisMm": 9.0, "RatioPercent": 0.25, "Channels": [],
            "FirstSlice": 40, "LastSlice": 50, "OutlineSlice": 44, "OutlineInstanceUid": "2"});
        let report = |segment: &Value, seg: Value| {
            let report = json!({"Slices": 100, "SeriesUid": "1", "Channel": "phase 1", "SegInstanceUid": seg, "SegSeriesUid": seg,
                "Segments": [segment]});
            serde_json::from_value(report).unwrap()
        };
        run.segmentation = Some(report(&segment, json!("1.2.3")));
        run.stored = serde_json::from_value(json!([
            {"ID": "sr", "Kind": "SR", "Path": "/instances/sr", "SeriesID": "s", "StudyID": "t", "SopInstanceUid": "9", "Status": "Stored"},
            {"ID": "seg", "Kind": "SEG", "Path": "/instances/seg", "SeriesID": "s", "StudyID": "t", "SopInstanceUid": "1.2.3", "Status": "Stored"},
        ]))
        .unwrap();
        let pages = Pages { slices: &run.slices, reversed: false };
        let expected = json!({"success": true, "series_id": "x", "total_slices": 96, "start_slice_index": 2, "end_slice_index": 97,
            "seg_instance_id": "seg", "tumor_ratio_percent": 0.25, "saved_to_orthanc": true,
            "demo": true, "disclaimer": "For research only.", "model": "m"});
        assert_eq!(answer(&run, "x", &pages).unwrap(), expected);

        segment = json!({"Name": "Tumour", "Color": "#d32f2f", "Found": false, "Finding": "none"});
        run.segmentation = Some(report(&segment, Value::Null));
        let nothing = answer(&run, "x", &Pages { slices: &run.slices, reversed: false }).unwrap();
        assert_eq!((&nothing["seg_instance_id"], &nothing["saved_to_orthanc"]), (&Value::Null, &json!(false)));
        assert_eq!((&nothing["tumor_ratio_percent"], &nothing["success"]), (&json!(0.0), &json!(true)));
    }
}
