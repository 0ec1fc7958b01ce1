//! Real mammograms under `../shared/data`; skipped, loudly, where it is absent.

use std::path::PathBuf;

use serde_json::json;

use crate::end_to_end::check_report;
use crate::on_every_orthanc;
use crate::server::{DEMO, Orthanc, Version, shared};

on_every_orthanc!(the_real_four_view_exam, one_mammogram_in_four_transfer_syntaxes);

fn files(prefix: &[&str]) -> Option<Vec<Vec<u8>>> {
    let folder: PathBuf = shared("data/mg")?;
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| prefix.iter().any(|x| p.file_name().unwrap().to_string_lossy().starts_with(x)));
    paths.sort();
    assert_eq!(paths.len(), 4, "{paths:?}");
    Some(paths.iter().map(|p| std::fs::read(p).unwrap()).collect())
}

/// JPEG lossless, JPEG 2000, JPEG-LS and RLE in one study.
fn the_real_four_view_exam(version: Version) {
    let Some(files) = files(&["derived_nyubirads__"]) else { return };
    let server = Orthanc::start(version);
    let study = server.upload_study(&files);
    let run = server.analyse(&study);
    let views: Vec<&str> = run["Results"].as_array().unwrap().iter().map(|r| r["View"].as_str().unwrap()).collect();
    assert_eq!(views, ["L-CC", "R-CC", "L-MLO", "R-MLO"]);
    assert!(run["Results"].as_array().unwrap().iter().all(|r| r["Success"] == true), "{run:#}");
    let report = server.get(&format!("{}/file", run["Stored"][0]["Path"].as_str().unwrap())).body;
    check_report(&server, &report, &files);
}

/// The same pixels however they are compressed: the same probabilities, and a warning about the views.
fn one_mammogram_in_four_transfer_syntaxes(version: Version) {
    let Some(files) = files(&["fodicom_MG__GH133", "derived_transcode__GH133"]) else { return };
    let server = Orthanc::start(version);
    let study = server.upload_study(&files);
    let answer = server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO, "Synchronous": true}));
    let run = answer.ok();
    let results = run["Results"].as_array().unwrap();
    assert!(results.iter().all(|r| r["AllProbabilities"] == results[0]["AllProbabilities"]), "{run:#}");
    assert!(run["Warnings"][0].as_str().unwrap().contains("missing: L-CC"), "{run:#}");
}
