//! One answer for the images of a run, as the report and its JSON say it.

use serde_json::{Value, json};

use super::*;
use crate::ct_series::{self, CtSeries};
use crate::predict::{Finding, ImagePrediction, aggregate};
use crate::result::Report;

fn manifest_with(change: impl FnOnce(&mut Value)) -> Manifest {
    let mut json = ct_series::manifest("slices");
    change(&mut json);
    Manifest::from_json(&json.to_string()).unwrap()
}

fn attributes(series: &CtSeries) -> Vec<ImageAttributes> {
    (0..series.slices).map(|n| ImageAttributes::from_dataset(series.dataset(n)).unwrap()).collect()
}

/// Slices with these probabilities of haemorrhage; None failed. `frames`: all of one instance.
fn prediction_of(manifest: &Manifest, positive: &[Option<f64>], frames: bool) -> Prediction {
    let image = |(n, p): (usize, &Option<f64>)| ImagePrediction {
        image: if frames { 0 } else { n },
        frame: frames.then_some(n as u32 + 1),
        view: format!("Slice {}", n + 1),
        outcome: p.map(|p| Finding::from_probabilities(&[1.0 - p, p])).ok_or_else(|| "unreadable".into()),
    };
    let images: Vec<ImagePrediction> = positive.iter().enumerate().map(image).collect();
    let crate::manifest::TaskSpec::Classification(task) = &manifest.task else { panic!() };
    let overall = aggregate(task, &images);
    Prediction { images, overall }
}

struct Made {
    sr: DefaultDicomObject,
    json: Value,
}

fn made(manifest: &Manifest, images: &[ImageAttributes], prediction: &Prediction) -> Made {
    let images: Vec<&ImageAttributes> = images.iter().collect();
    let ctx = context(manifest, &images);
    let sr = read(&measurement_report(&ctx, prediction).unwrap());
    Made { sr, json: serde_json::to_value(Report::new(&ctx, prediction).unwrap()).unwrap() }
}

fn values(group: &InMemDicomObject) -> Vec<(String, String)> {
    let value = |num: &&InMemDicomObject| {
        let class = named(num, "121071").first().map(|c| code(c, tags::CONCEPT_CODE_SEQUENCE)).unwrap_or_default();
        (class, text(&items(num, tags::MEASURED_VALUE_SEQUENCE)[0], tags::NUMERIC_VALUE))
    };
    named(group, "122157").iter().map(value).collect()
}

const SLICES: [Option<f64>; 6] = [Some(0.125), Some(0.75), Some(0.0), Some(0.25), Some(0.5), Some(0.875)];

#[test]
fn the_answer_comes_first_and_then_the_slices_that_carry_it() {
    let (manifest, series) = (manifest_with(|_| ()), CtSeries::new(3, 6));
    let Made { sr, json } = made(&manifest, &attributes(&series), &prediction_of(&manifest, &SLICES, false));
    let groups = named(named(&sr, "126010")[0], "125007");
    let of = |group: &InMemDicomObject| text(named(group, "112039")[0], tags::TEXT_VALUE);
    let names: Vec<String> = groups.iter().map(|g| of(g)).collect();
    assert_eq!(names, ["Series", "Slice 6 whole image", "Slice 2 whole image", "Slice 5 whole image"]);
    let uids: std::collections::BTreeSet<String> =
        groups.iter().map(|g| text(named(g, "112040")[0], tags::UID)).collect();
    assert_eq!(uids.len(), 4, "each is tracked on its own");

    let whole = groups[0];
    assert_eq!(values(whole), [("1386000".into(), "70.8333".into()), ("17621005".into(), "29.1667".into())]);
    assert_eq!(referenced(whole), [series.instance_uid(5)], "OHIF wants a region in each group");
    assert_eq!(code(named(whole, "1386000")[0], tags::CONCEPT_CODE_SEQUENCE), "52101004");
    assert_eq!(code(named(whole, "17621005")[0], tags::CONCEPT_CODE_SEQUENCE), "272519000");
    let derivations: Vec<String> =
        named(whole, "122157").iter().map(|n| code(named(n, "121401")[0], tags::CONCEPT_CODE_SEQUENCE)).collect();
    assert_eq!(derivations, ["373098007", "373098007"]);
    let words = text(named(named(whole, "122157")[0], "121106")[0], tags::TEXT_VALUE);
    assert_eq!(
        words,
        "mean of the 3 images that speak most for a finding, of 6 images of which 6 were analysed: Slice 6, Slice 2, Slice 5"
    );
    let parameters: Vec<String> = named(whole, "111002").iter().map(|p| text(p, tags::TEXT_VALUE)).collect();
    assert_eq!(parameters[0], "calibration: none (uncalibrated sigmoid)");
    assert_eq!(parameters[1], format!("aggregation: {words}"));
    assert_eq!(parameters[3], "Haemorrhage: Present >= 0.5, Absent < 0.3");

    assert_eq!(referenced(named(&sr, "111028")[0]).len(), 3, "the library holds what is referred to");
    let evidence =
        items(&items(&sr, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)[0], tags::REFERENCED_SERIES_SEQUENCE);
    assert_eq!(items(&evidence[0], tags::REFERENCED_SOP_SEQUENCE).len(), 6, "the evidence all that was analysed");

    let overall = &json["Overall"];
    assert_eq!((&overall["Class"], &overall["Carrying"]), (&"Haemorrhage".into(), &json!([5, 1, 4])));
    assert_eq!(overall["Finding"], "Haemorrhage: 70.8 %, present");
    assert_eq!((&overall["Total"], &overall["Analysed"]), (&6.into(), &6.into()));
    assert_eq!(overall["SeriesUid"], series.series_uid());
    let back: Report = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&back).unwrap(), json);
}

#[test]
fn nothing_is_absent_where_a_slice_was_not_seen() {
    let (manifest, series) = (manifest_with(|_| ()), CtSeries::new(3, 3));
    let presence = |slices: &[Option<f64>]| {
        let Made { sr, json } = made(&manifest, &attributes(&series), &prediction_of(&manifest, slices, false));
        let groups = named(named(&sr, "126010")[0], "125007");
        let said = |class: &str| code(named(groups[0], class)[0], tags::CONCEPT_CODE_SEQUENCE);
        let finding = json["Overall"]["Finding"].as_str().unwrap().to_owned();
        (said("1386000"), said("17621005"), finding, text(&sr, tags::COMPLETION_FLAG))
    };
    let [present, absent, undetermined] = ["52101004", "272519000", "373068000"].map(str::to_owned);
    let complete = presence(&[Some(0.1), Some(0.2), Some(0.0)]);
    assert_eq!(complete, (absent, present.clone(), "No haemorrhage: 90.0 %, present".into(), "COMPLETE".into()));
    let partial = presence(&[Some(0.1), None, Some(0.0)]);
    let words = "No haemorrhage: 95.0 %, undetermined".to_owned();
    assert_eq!(partial, (undetermined.clone(), undetermined, words, "PARTIAL".into()));
    assert_eq!(presence(&[Some(0.9), None, Some(0.8)]).0, present, "what was found was found");
}

#[test]
fn sentences_of_all_images_say_nothing_of_what_was_not_seen() {
    let manifest = manifest_with(|json| {
        json["report"]["sentences"] = json!([
            {"about": "finding", "class": "Haemorrhage", "text": "The model sees signs of {class} ({probability})."},
            {"about": "finding", "text": "The model finds nothing that stands out."}
        ]);
    });
    let series = CtSeries::new(3, 3);
    let said = |slices: &[Option<f64>]| {
        let Made { sr, json } = made(&manifest, &attributes(&series), &prediction_of(&manifest, slices, false));
        let comments = named(&sr, "121106").into_iter().map(|comment| text(comment, tags::TEXT_VALUE));
        let comments: Vec<String> = comments.filter(|c| c.contains("The model")).collect();
        let words = json["Overall"]["Texts"]["en"][0].as_str().map(str::to_owned);
        // Beside the answer for all, single slices have no sentence in the SR.
        assert!(comments.len() < 2 && comments.first().is_none_or(|c| c.contains("All images: ")), "{comments:?}");
        assert!(comments.first().map_or(words.is_none(), |c| c.ends_with(words.as_deref().unwrap())), "{comments:?}");
        words
    };
    let nothing = "The model finds nothing that stands out.";
    assert_eq!(said(&[Some(0.1), Some(0.2), Some(0.0)]).as_deref(), Some(nothing));
    assert_eq!(said(&[Some(0.1), None, Some(0.0)]), None);
    assert_eq!(said(&[Some(0.9), None, Some(0.7)]).as_deref(), Some("The model sees signs of Haemorrhage (80 %)."));
}

#[test]
fn frames_are_referred_to_by_their_number() {
    let (manifest, series) = (manifest_with(|_| ()), CtSeries::new(3, 6));
    let images = [ImageAttributes::from_dataset(series.multi_frame_dataset()).unwrap()];
    let prediction = prediction_of(&manifest, &[Some(0.1), Some(0.9), None, Some(0.2), Some(0.8), Some(0.7)], true);
    let Made { sr, json } = made(&manifest, &images, &prediction);
    let frames = |item: &InMemDicomObject| -> Vec<String> {
        let references = tree(item).into_iter().flat_map(|i| items(i, tags::REFERENCED_SOP_SEQUENCE));
        references
            .map(|r| {
                r.get(tags::REFERENCED_FRAME_NUMBER).map_or(String::new(), |e| e.to_str().unwrap().trim().to_owned())
            })
            .collect()
    };
    let groups = named(named(&sr, "126010")[0], "125007");
    assert_eq!(groups.iter().map(|g| frames(g)).collect::<Vec<_>>(), [["2"], ["2"], ["5"], ["6"]]);
    assert_eq!(frames(named(&sr, "C0034375")[0]), ["3"], "the frame that failed");
    assert_eq!(frames(named(&sr, "111028")[0]), [""], "the library lists the instance, once");
    assert_eq!((&json["Images"][4]["FrameNumber"], &json["Images"][2]["Success"]), (&5.into(), &false.into()));

    // Twice the same frame, or a frame beside the whole instance, is no prediction.
    for frame in [Some(1), None] {
        let mut twice = prediction.clone();
        twice.images[1].frame = frame;
        let images: Vec<&ImageAttributes> = images.iter().collect();
        assert!(measurement_report(&context(&manifest, &images), &twice).is_err());
    }
}

/// A model whose classes are findings of their own: what is not present is not named as found.
#[test]
fn a_finding_is_named_only_where_it_is_present() {
    let manifest = manifest_with(|m| {
        m["task"]["Classification"]["activation"] = json!("sigmoid");
        m["network"]["ResNet50"]["num_classes"] = json!(2);
        m["task"]["Classification"].as_object_mut().unwrap().remove("aggregate");
    });
    let series = CtSeries::new(3, 2);
    let mut prediction = prediction_of(&manifest, &[Some(0.9), Some(0.45)], false);
    prediction.images[1].outcome = Ok(Finding::from_probabilities(&[0.2, 0.1]));
    assert!(prediction.overall.is_none());
    let Made { sr, .. } = made(&manifest, &attributes(&series), &prediction);
    let groups = named(named(&sr, "126010")[0], "125007");
    let findings = |group: &InMemDicomObject| named(group, "121071").len();
    assert_eq!(groups.iter().map(|g| findings(g)).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(code(named(groups[1], "1386000")[0], tags::CONCEPT_CODE_SEQUENCE), "272519000");
}
