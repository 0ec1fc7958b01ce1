//! A model of a series' slices: one answer for the series, with the slices that carry it, whatever level is asked for.

use orthanc_ai::imaging::read_header;
use serde_json::{Value, json};

use crate::ct_series::{CtSeries, write_model};
use crate::on_every_orthanc;
use crate::server::{Options, Orthanc, Version, shared};

on_every_orthanc!(
    a_study_a_series_and_an_instance_are_asked_for,
    frames_of_one_instance_are_slices,
    a_rule_takes_a_series,
    the_real_head_with_a_tilted_gantry,
);

const MODEL: &str = "head-slices";

fn start(version: Version, ai: Value) -> (Orthanc, tempfile::TempDir) {
    let models = tempfile::tempdir().unwrap();
    write_model(models.path(), MODEL, |_| ());
    let mut section = json!({"ModelsDirectory": models.path()});
    for (key, value) in ai.as_object().unwrap() {
        section[key] = value.clone();
    }
    (Orthanc::with(version, &Options { ai: section, ..Options::default() }), models)
}

/// Soft tissue, bone, and a localizer.
fn study() -> Vec<Vec<u8>> {
    let soft = CtSeries::new(3, 20);
    let bone = CtSeries { kernel: "Hr68s\\3", ..CtSeries::new(4, 30) };
    let scout = CtSeries { image_type: "ORIGINAL\\PRIMARY\\LOCALIZER", ..CtSeries::new(1, 2) };
    [scout.files(), bone.files(), soft.files()].concat()
}

#[track_caller]
fn ask(server: &Orthanc, path: &str) -> Value {
    server.post(&format!("{path}/ai"), &json!({"Model": MODEL, "Synchronous": true})).ok()
}

fn positive(answer: &Value) -> f64 {
    answer["AllProbabilities"]["Haemorrhage"].as_f64().unwrap()
}

/// The one answer is the mean of the three highest of the slices' own.
#[track_caller]
fn check_overall(server: &Orthanc, run: &Value, slices: usize) {
    let overall = &run["Overall"];
    assert_eq!((&overall["Total"], &overall["Analysed"]), (&slices.into(), &slices.into()), "{overall:#}");
    let full = server.get(&format!("/ai/runs/{}", run["ID"].as_str().unwrap())).ok();
    let results = full["Results"].as_array().unwrap();
    assert_eq!(results.len(), slices);
    let mut each: Vec<f64> = results.iter().map(positive).collect();
    each.sort_by(|a, b| b.total_cmp(a));
    assert!((positive(overall) - each[..3].iter().sum::<f64>() / 3.0).abs() < 1e-9, "{overall:#}");
    let carrying = overall["CarryingImages"].as_array().unwrap();
    assert_eq!(carrying.iter().map(positive).collect::<Vec<_>>(), each[..3]);
    assert!(
        carrying.iter().all(|c| server.get(&format!("/instances/{}", c["InstanceID"].as_str().unwrap())).status == 200)
    );
    assert!(run["Results"].as_array().unwrap().is_empty(), "a run among others lists the slices that failed alone");
}

fn a_study_a_series_and_an_instance_are_asked_for(version: Version) {
    let (server, _models) = start(version, json!({}));
    let study = server.upload_study(&study());
    let explained = server.get(&format!("/studies/{study}/ai")).ok();
    assert_eq!((&explained["Models"][0]["Applies"], &explained["Models"][0]["Images"]), (&true.into(), &20.into()));

    let run = ask(&server, &format!("/studies/{study}"));
    check_overall(&server, &run, 20);
    assert!(run["Warnings"][0].as_str().unwrap().contains("1 other series of the study left out"), "{run:#}");
    let report = &server.get(&format!("/studies/{study}/ai/report")).ok()[0];
    assert_eq!(report["Overall"]["Class"], run["Overall"]["Class"]);
    assert_eq!(report["Overall"]["SeriesUid"], CtSeries::new(3, 20).series_uid());
    let sr = server.get(&format!("{}/file", run["Stored"][0]["Path"].as_str().unwrap())).body;
    assert!(read_header(&sr).is_ok());

    // The bone series by itself: no preference keeps the caller from it.
    let series = server.get(&format!("/studies/{study}/series")).ok();
    let of = |number: &str| {
        let wanted = |s: &&Value| s["MainDicomTags"]["SeriesNumber"] == number;
        series.as_array().unwrap().iter().find(wanted).unwrap()["ID"].as_str().unwrap().to_owned()
    };
    check_overall(&server, &ask(&server, &format!("/series/{}", of("4"))), 30);
    let body = json!({"Model": MODEL, "Synchronous": true, "Channels": [of("4")]});
    check_overall(&server, &server.post(&format!("/studies/{study}/ai"), &body).ok(), 30);
    let refused = server.post(&format!("/series/{}/ai", of("1")), &json!({"Model": MODEL})).error(422);
    assert!(refused.contains("one series is needed, found 0") && refused.contains("LOCALIZER"), "{refused}");

    // One slice has its own answer, the one that it has within the series.
    let instance = run["Overall"]["CarryingImages"][0].clone();
    let alone = ask(&server, &format!("/instances/{}", instance["InstanceID"].as_str().unwrap()));
    assert!(alone.get("Overall").is_none() && alone["Results"].as_array().unwrap().len() == 1, "{alone:#}");
    assert!((positive(&alone["Results"][0]) - positive(&instance)).abs() < 1e-5);
}

fn frames_of_one_instance_are_slices(version: Version) {
    let (server, _models) = start(version, json!({}));
    let study = server.upload_study(&[CtSeries::new(3, 20).multi_frame_file()]);
    let run = ask(&server, &format!("/studies/{study}"));
    check_overall(&server, &run, 20);
    assert!(run["Overall"]["CarryingImages"].as_array().unwrap().iter().all(|c| c["FrameNumber"].as_u64().is_some()));
}

fn a_rule_takes_a_series(version: Version) {
    let (server, _models) = start(version, json!({"Rules": [{"Name": "heads", "Model": MODEL}]}));
    let study = server.upload_study(&study());
    let runs = crate::automatic::wait_for(&server, "the rule's run", crate::automatic::all_succeeded(1));
    assert_eq!((&runs[0]["Rule"], &runs[0]["Study"]), (&"heads".into(), &study.into()));
    assert_eq!(runs[0]["Overall"]["Total"], 20);
}

fn the_real_head_with_a_tilted_gantry(version: Version) {
    let Some(folder) = shared("data/ct_head") else { return };
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let tilted = entries.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("dcmqa_ct_ge_tilt"));
    let files: Vec<Vec<u8>> = tilted.map(|p| std::fs::read(p).unwrap()).collect();
    let (server, _models) = start(version, json!({}));
    let study = server.upload_study(&files);
    check_overall(&server, &ask(&server, &format!("/studies/{study}")), files.len());
}
