//! Images that failed, and requests that make no sense.

use super::*;
use dicom_core::{DataElement, VR};

#[test]
fn a_failed_image_is_stated_and_never_absent() {
    let result = report(&exam(), &prediction(&[2])).unwrap();
    let sr = read(&result);
    assert_eq!(text(&sr, tags::COMPLETION_FLAG), "PARTIAL");
    let failed = exam()[2].sop_instance_uid.clone();
    let groups = named(named(&sr, "126010")[0], "125007");
    assert_eq!(groups.len(), 3);
    assert!(groups.iter().all(|g| !referenced(g).contains(&failed)));
    let statements = children(named(&sr, "C0034375")[0]);
    assert_eq!(statements.len(), 1);
    assert_eq!(code(&statements[0], tags::CONCEPT_CODE_SEQUENCE), "111245");
    assert_eq!(referenced(&statements[0]), [failed]);
    let words = text(named(&statements[0], "121106")[0], tags::TEXT_VALUE);
    assert!(words.starts_with("L-MLO: not analysed") && words.contains("truncated frame"), "{words}");
}

#[test]
fn a_partial_report_does_not_block_the_complete_one() {
    let uid = |failed: &[usize]| report(&exam(), &prediction(failed)).unwrap().sop_instance_uid;
    assert_ne!(uid(&[2]), uid(&[]));
    assert_ne!(uid(&[2]), uid(&[1]));
    assert_eq!(uid(&[2]), uid(&[2]));
}

#[test]
fn no_report_without_a_finding() {
    let error = report(&exam(), &prediction(&[0, 1, 2, 3])).unwrap_err();
    assert!(matches!(error, ResultError::AllFailed { images: 4 }), "{error}");
    let none = report(&[], &Prediction { images: vec![], overall: None }).unwrap_err();
    assert!(matches!(none, ResultError::NoImages), "{none}");
}

#[test]
fn images_of_two_patients_or_studies_are_refused_without_their_values() {
    let mut images = exam();
    images[3].dataset.put(DataElement::new(tags::PATIENT_ID, VR::LO, "SECRET-9"));
    let error = report(&images, &prediction(&[])).unwrap_err().to_string();
    assert!(error.contains("PatientID") && !error.contains("SECRET-9") && !error.contains("PHANTOM-1"), "{error}");
    let mut images = exam();
    images[1].study_instance_uid = "2.25.77".into();
    let error = report(&images, &prediction(&[])).unwrap_err().to_string();
    assert!(error.contains("StudyInstanceUID") && !error.contains("2.25.77"), "{error}");
    let mut images = exam();
    images[3].dataset.put(DataElement::new(tags::PATIENT_ID, VR::LO, "PHANTOM-1 "));
    assert!(report(&images, &prediction(&[])).is_ok(), "padding is not another patient");
}

#[test]
fn a_prediction_of_something_else_is_refused() {
    type Change = fn(&mut Prediction);
    let changes: [(Change, &str); 5] = [
        (|p| p.images[1].image = 0, "each of 0..4 once"),
        (|p| p.images.truncate(3), "each of 0..4 once"),
        (|p| p.images[0].outcome.as_mut().unwrap().all.truncate(3), "the 4 classes"),
        (|p| p.images[0].outcome.as_mut().unwrap().class = 4, "the 4 classes"),
        (|p| p.images[0].outcome.as_mut().unwrap().all[2].probability = f64::NAN, "NaN, expected 0 to 1"),
    ];
    for (change, expected) in changes {
        let mut prediction = prediction(&[]);
        change(&mut prediction);
        let error = report(&exam(), &prediction).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_source_that_cannot_be_referred_to_is_refused() {
    let mut images = exam();
    images[2].series_instance_uid.clear();
    let error = report(&images, &prediction(&[])).unwrap_err().to_string();
    assert_eq!(error, "source image, SeriesInstanceUID: not of the form that VR UI wants");
}
