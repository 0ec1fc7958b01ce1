//! The demo weights mean something: they are the files that the manifests name, and right on phantoms never seen.

use std::path::{Path, PathBuf};

use orthanc_ai::manifest::Manifest;
use orthanc_ai::model::train::{Detector, EvaluateOptions, Evaluation, evaluate};
use orthanc_ai::model::weights::sha256;

const MAMMOGRAPHY: &str = "mammography-4view-demo";
const BREAST_MRI: &str = "breast-dce-swinunetr-demo";

fn folder(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model)
}

#[test]
fn the_manifests_pin_the_weights() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let folders = std::fs::read_dir(models).unwrap().map(|entry| entry.unwrap().path());
    let demos: Vec<PathBuf> = folders.filter(|path| path.to_string_lossy().ends_with("-demo")).collect();
    assert_eq!(demos.len(), 7, "{demos:?}");
    for folder in demos {
        let manifest = Manifest::from_json(&std::fs::read_to_string(folder.join("manifest.json")).unwrap()).unwrap();
        assert!(manifest.demo);
        assert_eq!(
            manifest.weights.sha256.unwrap(),
            sha256(&folder.join(&manifest.weights.file)).unwrap(),
            "{}",
            manifest.name
        );
        let bytes = std::fs::metadata(folder.join(&manifest.weights.file)).unwrap().len();
        assert!(bytes < 10 << 20, "{}: {bytes} bytes; demo weights lie in the repository", manifest.name);
    }
}

/// Forty of the phantoms that `orthanc-ai evaluate` draws by the hundred, at a quarter of the detector's resolution for
/// speed. The model card has the figures at full size.
#[test]
fn right_on_at_least_95_percent_of_unseen_mammograms() {
    let detector = Detector { spacing_mm: 0.28, size: (832, 640) };
    let options = EvaluateOptions { seed: 7, images: Some(40), detector: Some(detector), threads: 2 };
    let Evaluation::Classification(evaluation) = evaluate(&folder(MAMMOGRAPHY), &options).unwrap() else {
        panic!("expected a classification")
    };
    assert_eq!(evaluation.images(), 40);
    assert!(evaluation.accuracy() >= 0.975, "{evaluation}");
    // Probabilities that mean something: sure, but not beyond doubt.
    assert!((0.7..0.995).contains(&evaluation.mean_confidence), "{evaluation}");
}

/// A dozen at the detector's own size, where the network was once weaker.
#[test]
fn right_on_full_size_mammograms() {
    let detector = Detector { spacing_mm: 0.07, size: (3328, 2840) };
    let options = EvaluateOptions { seed: 21, images: Some(12), detector: Some(detector), threads: 2 };
    let Evaluation::Classification(evaluation) = evaluate(&folder(MAMMOGRAPHY), &options).unwrap() else {
        panic!("expected a classification")
    };
    assert!(evaluation.accuracy() >= 0.9, "{evaluation}");
}

/// Ten of the phantoms that `orthanc-ai evaluate` draws by the dozen, two of them without a tumour.
#[test]
fn finds_the_tumours_of_unseen_breast_mri() {
    let options = EvaluateOptions { seed: 5, images: Some(10), detector: None, threads: 2 };
    let Evaluation::Segmentation(evaluation) = evaluate(&folder(BREAST_MRI), &options).unwrap() else {
        panic!("expected a segmentation")
    };
    assert_eq!(evaluation.cases.len(), 10);
    assert!(evaluation.mean_dice() >= 0.85 && evaluation.min_dice() >= 0.5, "{evaluation}");
    assert_eq!(evaluation.false_positives(), (0, 2), "{evaluation}");
}

/// Of each of the others some of the phantoms that `orthanc-ai evaluate` draws by the hundred. The model cards have the figures.
#[test]
fn right_on_at_least_90_percent_of_unseen_heads_lesions_and_tumours() {
    for (model, images) in [
        ("head-ct-haemorrhage-demo", 60),
        ("skin-lesion-demo", 60),
        ("skin-lesion-7class-demo", 84),
        ("breast-mri-tumour-demo", 60),
    ] {
        let options = EvaluateOptions { seed: 7, images: Some(images), detector: None, threads: 2 };
        let Evaluation::Classification(evaluation) = evaluate(&folder(model), &options).unwrap() else {
            panic!("expected a classification")
        };
        assert_eq!(evaluation.images(), images);
        assert!(evaluation.accuracy() >= 0.9, "{model}: {evaluation}");
    }
}

/// Of fifty slices ten have no tumour.
#[test]
fn finds_the_tumours_of_unseen_slices() {
    let options = EvaluateOptions { seed: 7, images: Some(50), detector: None, threads: 2 };
    let Evaluation::Segmentation(evaluation) = evaluate(&folder("breast-mri-unet-demo"), &options).unwrap() else {
        panic!("expected a segmentation")
    };
    assert!(evaluation.mean_dice() >= 0.88 && evaluation.sensitivity() >= 0.97, "{evaluation}");
    assert_eq!(evaluation.false_positives(), (0, 10), "{evaluation}");
}
