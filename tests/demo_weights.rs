//! The demo weights mean something: they are the file that the manifest names, and right on phantoms never seen.

use std::path::Path;

use orthanc_ai::manifest::Manifest;
use orthanc_ai::model::train::{Detector, EvaluateOptions, Evaluation, evaluate};
use orthanc_ai::model::weights::sha256;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/mammography-4view-demo");

#[test]
fn the_manifest_pins_the_weights() {
    let folder = Path::new(FOLDER);
    let manifest = Manifest::from_json(&std::fs::read_to_string(folder.join("manifest.json")).unwrap()).unwrap();
    assert!(manifest.demo);
    assert_eq!(manifest.weights.sha256.unwrap(), sha256(&folder.join(manifest.weights.file)).unwrap());
}

/// Forty of the phantoms that `orthanc-ai evaluate` draws by the hundred, at a quarter of the detector's resolution for
/// speed. The model card has the figures at full size.
#[test]
fn right_on_at_least_95_percent_of_unseen_phantoms() {
    let detector = Detector { spacing_mm: 0.28, size: (832, 640) };
    let options = EvaluateOptions { seed: 7, images: Some(40), detector: Some(detector), threads: 2 };
    let Evaluation::Classification(evaluation) = evaluate(Path::new(FOLDER), &options).unwrap() else {
        panic!("expected a classification")
    };
    assert_eq!(evaluation.images(), 40);
    assert!(evaluation.accuracy() >= 0.95, "{evaluation}");
    // Probabilities that mean something: sure, but not beyond doubt.
    assert!((0.7..0.995).contains(&evaluation.mean_confidence), "{evaluation}");
}
