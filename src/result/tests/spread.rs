//! How far the answers spread that a model combines: beside each probability of SR and JSON, and nowhere where it answers once.

use serde_json::{Value, json};

use super::*;
use crate::predict::Finding;
use crate::result::Report;

fn combining(change: impl FnOnce(&mut Value)) -> Manifest {
    let mut json = serde_json::to_value(manifest(true)).unwrap();
    json["test_time_augmentation"] = json!({"transforms": [{"Flip": {"spatial_axis": [1]}}]});
    change(&mut json);
    Manifest::from_json(&json.to_string()).unwrap()
}

/// The last image failed.
fn spread(by: f64) -> Prediction {
    let mut prediction = prediction(&[3]);
    for (n, image) in prediction.images.iter_mut().enumerate() {
        let with = |finding: Finding| finding.with_spreads(&[by, by / 2.0, 0.0, by * n as f64 / 10.0]);
        image.outcome = image.outcome.clone().map(with);
    }
    prediction
}

fn made(manifest: &Manifest, prediction: &Prediction) -> Result<(DefaultDicomObject, Report), ResultError> {
    let (exam, images): (Vec<ImageAttributes>, Vec<&ImageAttributes>);
    exam = super::exam();
    images = exam.iter().collect();
    let ctx = context(manifest, &images);
    Ok((read(&measurement_report(&ctx, prediction)?), Report::new(&ctx, prediction)?))
}

#[test]
fn each_probability_has_its_uncertainty() {
    let (sr, _) = made(&combining(|_| ()), &spread(0.25)).unwrap();
    let groups = named(named(&sr, "126010")[0], "125007");
    assert_eq!(groups.len(), 3);
    for (n, group) in groups.iter().enumerate() {
        let mut of_class = vec!["25".to_owned(), "12.5".into(), "0".into(), format!("{}", 2.5 * n as f64)];
        // The winner is the first: view n's is class n.
        let winner = of_class.remove(n);
        of_class.insert(0, winner);
        let mut found = Vec::new();
        for number in named(group, "122157") {
            let [range] = named(number, "371884006")[..] else { panic!("one uncertainty a probability") };
            assert_eq!(text(range, tags::RELATIONSHIP_TYPE).trim(), "HAS PROPERTIES");
            assert_eq!(code(named(range, "121401")[0], tags::CONCEPT_CODE_SEQUENCE), "386136009");
            let measured = &items(range, tags::MEASURED_VALUE_SEQUENCE)[0];
            assert_eq!(code(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE), "%");
            found.push(text(measured, tags::NUMERIC_VALUE).trim().to_owned());
        }
        assert_eq!(found, of_class);
    }
}

#[test]
fn the_parameters_say_whose_answers_were_combined_and_how() {
    let told = |manifest: &Manifest| {
        let (sr, _) = made(manifest, &spread(0.1)).unwrap();
        let group = named(named(&sr, "126010")[0], "125007")[0];
        let parameters = named(group, "111002").into_iter().map(|p| text(p, tags::TEXT_VALUE).trim().to_owned());
        parameters.filter(|p| p.starts_with("answers: ")).collect::<Vec<_>>()
    };
    let ensemble = |json: &mut Value| {
        json["ensemble"] = json!({"combine": "vote", "members": [
            {"weights": {"file": "a.safetensors", "format": "safetensors"}},
            {"weights": {"file": "b.safetensors", "format": "safetensors"}}
        ]});
    };
    let spread = "+/-: standard deviation of each class's probability over them";
    let views = "answers: one network on 2 views of the input, combined by mean";
    assert_eq!(told(&combining(|_| ())), [format!("{views}; {spread}")]);
    let both = "answers: 3 networks on 2 views of the input each, combined by mean of the views, vote of the networks";
    assert_eq!(told(&combining(ensemble)), [format!("{both}; {spread}")]);
    let networks = combining(|json| {
        ensemble(json);
        json.as_object_mut().unwrap().remove("test_time_augmentation");
    });
    assert_eq!(told(&networks), [format!("answers: 3 networks, combined by vote; {spread}")]);
    assert!(told(&manifest(true)).is_empty());
}

#[test]
fn the_report_has_spread_beside_probability_and_older_reports_are_read() {
    let (_, report) = made(&combining(|_| ()), &spread(0.25)).unwrap();
    let mut json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["Answers"], json!({"Views": 2, "Models": 1}));
    assert_eq!((&json["Images"][0]["Spread"], &json["Images"][1]["Spread"]), (&json!(0.25), &json!(0.125)));
    let all = json!({"Mass": 0.25, "Calcification": 0.125, "Architectural/Asymmetry": 0.0, "Normal": 0.025});
    assert_eq!(json["Images"][1]["AllSpreads"], all);
    assert!(json["Images"][3].get("Spread").is_none(), "an image that failed has none");
    assert_eq!(serde_json::from_value::<Report>(json.clone()).unwrap(), report);

    // As it was stored before there were spreads.
    json.as_object_mut().unwrap().remove("Answers");
    for image in json["Images"].as_array_mut().unwrap() {
        image.as_object_mut().unwrap().retain(|key, _| !key.contains("Spread"));
    }
    let (_, plain) = made(&manifest(true), &prediction(&[3])).unwrap();
    assert_eq!(json["Images"], serde_json::to_value(&plain).unwrap()["Images"]);
    let read: Report = serde_json::from_value(json).unwrap();
    assert_eq!((read.answers, &read.images), (None, &plain.images));
}

#[test]
fn what_no_probabilities_can_spread_is_refused() {
    for (by, refused) in [(0.5, false), (0.51, true), (-0.1, true), (f64::NAN, true)] {
        let made = made(&combining(|_| ()), &spread(by));
        assert_eq!(made.is_err(), refused, "{by}");
        assert!(!refused || made.err().unwrap().to_string().contains("expected 0 to 0.5"));
    }
}
