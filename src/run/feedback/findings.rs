//! The findings of a run, each with a key.

use schemars::JsonSchema;
use serde::Serialize;

use crate::result::report::{ImageReport, SegmentReport, SegmentationReport};
use crate::run::record::{ImageResult, Run};

/// Something that a run says and a reader can accept or reject: also that a segment was not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct JudgedFinding {
    /// Stays the same for the run's life: `overall` for the answer of all images; `segment/2` for the second of the segments of a volume;
    /// `{SOPInstanceUID}/{class}` for an image's answer and `{SOPInstanceUID}/segment/2` for its second segment, with the frame's number (from 1)
    /// behind the UID where the image is one of several frames.
    #[serde(rename = "Finding")]
    pub key: String,
    /// In the model's words: "Mass: 87.0 %, present".
    pub answer: String,
    /// The source's id of the image.
    #[serde(rename = "InstanceID", skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_uid: Option<String>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
}

/// What the run found, the answer for all images first; nothing before it has succeeded.
pub fn findings(run: &Run) -> Vec<JudgedFinding> {
    if let Some(volume) = &run.segmentation {
        return of_volume(volume);
    }
    let overall = run.overall.as_ref().map(|overall| JudgedFinding {
        key: "overall".into(),
        answer: overall.result.finding.clone(),
        instance_id: None,
        instance_uid: None,
        frame_number: None,
        class: Some(overall.result.class.clone()),
        segment: None,
    });
    overall.into_iter().chain(run.results.iter().flat_map(of_image)).collect()
}

fn of_volume(volume: &SegmentationReport) -> Vec<JudgedFinding> {
    let segment = |(n, segment): (usize, &SegmentReport)| JudgedFinding {
        key: format!("segment/{n}"),
        answer: segment.finding.clone(),
        instance_id: None,
        instance_uid: None,
        frame_number: None,
        class: None,
        segment: Some(segment.name.clone()),
    };
    (1..).zip(&volume.segments).map(segment).collect()
}

fn of_image(result: &ImageResult) -> Vec<JudgedFinding> {
    let image = &result.image;
    let finding = |what: &str, answer: &str, class: Option<&String>, segment: Option<&String>| JudgedFinding {
        key: format!("{}/{what}", place(image)),
        answer: answer.to_owned(),
        instance_id: Some(result.instance_id.clone()),
        instance_uid: Some(image.instance_uid.clone()),
        frame_number: image.frame_number,
        class: class.cloned(),
        segment: segment.cloned(),
    };
    let class = image.result.as_ref().map(|c| finding(&c.class, &c.finding, Some(&c.class), None));
    let segments = image.segmentation.iter().flat_map(|of| (1..).zip(&of.segments));
    let segments = segments.map(|(n, s): (usize, _)| finding(&format!("segment/{n}"), &s.finding, None, Some(&s.name)));
    class.into_iter().chain(segments).collect()
}

fn place(image: &ImageReport) -> String {
    match image.frame_number {
        Some(frame) => format!("{}/{frame}", image.instance_uid),
        None => image.instance_uid.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::run::record::{ModelCard, Origin, RunRequest};
    use crate::source::{Level, Resource};

    fn run() -> Run {
        let request = json!({"Model": "m", "Resource": Resource::new(Level::Study, "s"), "Study": "s", "Inputs": [],
            "Warnings": [], "Origin": Origin::Rest, "Priority": 0, "Force": false});
        let request: RunRequest = serde_json::from_value(request).unwrap();
        let card = ModelCard {
            title: "M".into(),
            version: "1".into(),
            weights_sha256: "w".into(),
            demo: false,
            disclaimer: String::new(),
        };
        Run::new(request, card)
    }

    fn image(uid: &str, more: &Value) -> ImageResult {
        let mut image = json!({"InstanceID": format!("id-{uid}"), "View": "v", "InstanceUid": uid, "Success": true});
        image.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(image).unwrap()
    }

    fn keys(run: &Run) -> Vec<String> {
        findings(run).into_iter().map(|f| f.key).collect()
    }

    fn class(name: &str) -> Value {
        json!({"Class": name, "Color": "#ff0000", "Probability": 0.5, "AllProbabilities": {}, "Finding": format!("{name}!")})
    }

    #[test]
    fn each_answer_has_a_key_of_its_own() {
        let mut run = run();
        assert_eq!(keys(&run), [""; 0]);
        let failed = json!({"Success": false, "Error": "no pixel"});
        let mut frame = class("Normal");
        frame["FrameNumber"] = json!(7);
        run.results = vec![image("1.2", &class("Mass / other")), image("1.3", &frame), image("1.4", &failed)];
        assert_eq!(keys(&run), ["1.2/Mass / other", "1.3/7/Normal"]);
        let first = findings(&run).remove(0);
        assert_eq!((first.answer.as_str(), first.instance_id.as_deref()), ("Mass / other!", Some("id-1.2")));
        let mut overall = class("Bleeding");
        overall
            .as_object_mut()
            .unwrap()
            .extend(json!({"Method": "max", "Total": 3, "Analysed": 2, "Carrying": [0]}).as_object().unwrap().clone());
        run.overall = Some(serde_json::from_value(overall).unwrap());
        assert_eq!(keys(&run), ["overall", "1.2/Mass / other", "1.3/7/Normal"]);
    }

    #[test]
    fn what_was_not_found_can_be_judged_as_well() {
        let mut run = run();
        let segment = |name: &str| json!({"Name": name, "Color": "#ff0000", "Found": false, "Finding": format!("{name}: not found")});
        let segments = json!([segment("Breast"), segment("Tumour")]);
        run.results = vec![image("1.2", &json!({"Segments": segments}))];
        assert_eq!(keys(&run), ["1.2/segment/1", "1.2/segment/2"]);
        let volume = json!({"Slices": 3, "SeriesUid": "1", "Channel": "c", "Segments": segments});
        run.segmentation = Some(serde_json::from_value(volume).unwrap());
        assert_eq!(keys(&run), ["segment/1", "segment/2"], "of slices of one volume the volume counts");
        assert_eq!(findings(&run)[1].segment.as_deref(), Some("Tumour"));
    }
}
