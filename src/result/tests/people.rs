//! The JSON for people.

use super::*;
use crate::result::Report;

#[test]
fn the_report_for_people() {
    let (manifest, images) = (manifest(true), exam());
    let images: Vec<&ImageAttributes> = images.iter().collect();
    let json = serde_json::to_value(Report::new(&context(&manifest, &images), &prediction(&[1])).unwrap()).unwrap();
    assert_eq!(json["Model"], "mammography-4view-demo");
    assert_eq!(json["Demo"], true);
    assert_eq!(json["Created"], "2026-03-02T22:30:15Z");
    let (ok, failed) = (&json["Images"][0], &json["Images"][1]);
    assert_eq!((&ok["View"], &ok["InstanceUid"]), (&"L-CC".into(), &"2.25.40000".into()));
    assert_eq!((&ok["Success"], &ok["Class"], &ok["Color"]), (&true.into(), &"Mass".into(), &"#d32f2f".into()));
    assert_eq!(ok["Finding"], "Mass: 54.6 %, present");
    let names: Vec<&String> = ok["AllProbabilities"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["Mass", "Calcification", "Architectural/Asymmetry", "Normal"]);
    let sum: f64 = ok["AllProbabilities"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    assert!(ok.get("Error").is_none());
    assert_eq!(failed["Success"], false);
    assert_eq!(failed["Error"], "the decoder found a truncated frame");
    assert!(failed.get("Class").is_none());
    assert!(!json.to_string().contains("PHANTOM-1") && !json.to_string().contains("ller"), "no patient data");
}

#[test]
fn a_run_without_success_still_has_a_report() {
    let (manifest, images) = (manifest(true), exam());
    let images: Vec<&ImageAttributes> = images.iter().collect();
    let report = Report::new(&context(&manifest, &images), &prediction(&[0, 1, 2, 3])).unwrap();
    assert!(report.images.iter().all(|i| !i.success && i.result.is_none()));
}
