//! Segmentation of single images, and a second model that looks at what the first has found, in a live server.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use orthanc_ai::imaging::SegObject;
use orthanc_ai::phantom::{Orientation, SeriesLayout};
use serde_json::{Value, json};

use crate::breast_mri;
use crate::exam::{self, put_text};
use crate::image_models::{CLASSIFIER, SEGMENT, UNET, write_classifier, write_unet};
use crate::on_every_orthanc;
use crate::segmentation::check;
use crate::server::{Options, Orthanc, Version, shared};

on_every_orthanc!(
    one_image_many_images_a_series,
    a_multi_frame_image,
    a_real_series,
    the_second_stage_on_demand,
    the_second_stage_at_once,
    the_second_stage_after_a_restart,
    models_that_do_not_fit_have_failed,
);

/// A server with both models.
fn with_models(version: Version, change: impl Fn(&mut Value)) -> (Orthanc, tempfile::TempDir) {
    let models = tempfile::tempdir().unwrap();
    write_unet(models.path(), &change);
    write_classifier(models.path(), &change);
    let server =
        Orthanc::with(version, &Options { ai: json!({"ModelsDirectory": models.path()}), ..Options::default() });
    (server, models)
}

fn ask(server: &Orthanc, resource: &str, model: &str) -> crate::server::Answer {
    server.post(&format!("{resource}/ai"), &json!({"Model": model, "Synchronous": true}))
}

fn stored<'r>(run: &'r Value, kind: &str) -> Vec<&'r Value> {
    run["Stored"].as_array().unwrap().iter().filter(|s| s["Kind"] == kind).collect()
}

fn picture_of(server: &Orthanc, seg: &Value) {
    for query in ["frame=0", "frame=0&source=false&opacity=1"] {
        let picture = server.get(&format!("{}/ai/overlay.png?{query}", seg["Path"].as_str().unwrap()));
        assert_eq!((picture.status, &picture.body[1..4]), (200, &b"PNG"[..]), "{query}");
    }
}

/// One phase of a small breast MRI.
fn slices(seed: u64) -> Vec<Vec<u8>> {
    let study = breast_mri::study(&breast_mri::small(seed, Orientation::Oblique), SeriesLayout::default());
    breast_mri::changed(&study, |phase, _| phase == 1, |_, _, _| {})
}

fn one_image_many_images_a_series(version: Version) {
    let views = exam::files(&exam::options(8001));
    let (server, _models) = with_models(version, |_| {});
    let study = server.upload_study(&views);
    let run = ask(&server, &format!("/studies/{study}"), UNET).ok();
    assert_eq!((stored(&run, "SEG").len(), stored(&run, "SR").len()), (4, 1), "{run:#}");
    for image in run["Results"].as_array().unwrap() {
        let segment = &image["Segments"][0];
        assert!(segment["Found"] == true && segment["SharePercent"].as_f64().unwrap() > 0.0, "{image:#}");
        assert!(segment["AreaMm2"].as_f64().unwrap() > 0.0, "calibrated: {image:#}");
        assert!(stored(&run, "SEG").iter().any(|s| s["SopInstanceUid"] == image["SegInstanceUid"]), "{image:#}");
    }
    picture_of(&server, stored(&run, "SEG")[0]);
    let report = server.get(&format!("/studies/{study}/ai/report")).ok();
    assert_eq!(report[0]["Images"].as_array().unwrap().len(), 4, "{report:#}");
    server.get(&format!("/ai/runs/{}", run["ID"].as_str().unwrap())).ok();
    let again = ask(&server, &format!("/studies/{study}"), UNET).ok();
    assert_eq!(again["Status"], "AlreadyStored", "{again:#}");
    drop(server);

    let (server, _models) = with_models(version, |_| {});
    let study = server.upload_study(&views[..1]);
    let run = ask(&server, &format!("/studies/{study}"), UNET).ok();
    assert_eq!((stored(&run, "SEG").len(), stored(&run, "SR").len()), (1, 1), "{run:#}");
    drop(server);

    let files = slices(8002);
    let (server, _models) = with_models(version, |_| {});
    let study = server.upload_study(&files);
    let run = ask(&server, &format!("/studies/{study}"), UNET).ok();
    assert_eq!((stored(&run, "SEG").len(), stored(&run, "SR").len()), (1, 1), "{run:#}");
    assert!(run["Segmentation"]["Segments"][0]["VolumeMl"].as_f64().unwrap() > 0.0, "{run:#}");
    check(&server, &run, &files, None);
    picture_of(&server, stored(&run, "SEG")[0]);
}

fn a_multi_frame_image(version: Version) {
    let Some(file) = shared("data/mr/nema_emf_T1post__BRTUM008") else { return };
    let files = vec![std::fs::read(file).unwrap()];
    let (server, _models) = with_models(version, |_| {});
    let study = server.upload_study(&files);
    let run = ask(&server, &format!("/studies/{study}"), UNET).ok();
    let frames = run["Results"].as_array().unwrap();
    assert!(frames.len() > 1, "{run:#}");
    assert!(frames.iter().enumerate().all(|(n, f)| f["FrameNumber"] == json!(n + 1)), "{run:#}");
    check(&server, &run, &files, None);
    picture_of(&server, stored(&run, "SEG")[0]);
}

fn a_real_series(version: Version) {
    let Some(folder) = shared("data/mr") else { return };
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.file_name().unwrap().to_string_lossy().starts_with("qin_prostate_adc__"));
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
    let (server, _models) = with_models(version, |_| {});
    let study = server.upload_study(&files);
    let run = ask(&server, &format!("/studies/{study}"), UNET).ok();
    assert_eq!(stored(&run, "SEG").len(), 1, "{run:#}");
    check(&server, &run, &files, None);
}

/// Of five slices one without anything.
fn with_a_dark_one() -> Vec<Vec<u8>> {
    let study = breast_mri::study(&breast_mri::small(8003, Orientation::Axial), SeriesLayout::default());
    breast_mri::changed(
        &study,
        |phase, slice| phase == 1 && (6..11).contains(&slice),
        |_, slice, d| {
            if slice == 8 {
                let pixels = d.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().len();
                let dark = dicom_core::PrimitiveValue::U8(vec![0; pixels].into());
                d.put(dicom_core::DataElement::new(tags::PIXEL_DATA, VR::OW, dark));
            }
            put_text(d, tags::SERIES_DESCRIPTION, VR::LO, "five slices");
        },
    )
}

fn is_second(run: &Value) {
    let results = run["Results"].as_array().unwrap();
    let classified = results.iter().filter(|r| r["Success"] == true).count();
    let reasons: Vec<&str> = results.iter().filter_map(|r| r["Error"].as_str()).collect();
    assert_eq!((classified, reasons.len()), (4, 1), "{run:#}");
    assert!(reasons[0].contains(&format!("not applicable: no {SEGMENT} found in this image")), "{run:#}");
    assert!(results.iter().all(|r| r["Success"] != true || r["AllProbabilities"]["Malignant"].is_number()), "{run:#}");
}

fn the_second_stage_on_demand(version: Version) {
    let files = with_a_dark_one();
    let (server, _models) = with_models(version, |_| {});
    let study = server.upload_study(&files);
    let first = ask(&server, &format!("/studies/{study}"), UNET).ok();
    let second = ask(&server, &format!("/studies/{study}"), CLASSIFIER).ok();
    is_second(&second);
    assert_eq!(second["Warnings"].as_array().unwrap().len(), 0, "the stored masks are used: {second:#}");
    assert_eq!(stored(&second, "SR").len(), 1);
    let again = ask(&server, &format!("/studies/{study}"), CLASSIFIER).ok();
    assert_eq!(again["Status"], "AlreadyStored", "{again:#}");

    // The first model's results are gone: it is run again.
    server.delete(&format!("/ai/runs/{}", first["ID"].as_str().unwrap())).ok();
    let alone = ask(&server, &format!("/studies/{study}"), CLASSIFIER).ok();
    is_second(&alone);
    assert!(alone["Warnings"][0].as_str().unwrap().contains("was run first"), "{alone:#}");
    assert_eq!(stored(&alone, "SEG").len(), 1, "its objects too: {alone:#}");
    let seg = server.get(&format!("{}/file", stored(&alone, "SEG")[0]["Path"].as_str().unwrap())).body;
    assert!(SegObject::read(&seg).unwrap().frames.len() >= 4);
}

fn the_second_stage_at_once(version: Version) {
    let files = with_a_dark_one();
    let (server, _models) = with_models(version, |m| {
        if m["name"] == UNET {
            m["then"] = json!([CLASSIFIER]);
        }
    });
    let study = server.upload_study(&files);
    ask(&server, &format!("/studies/{study}"), UNET).ok();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let second = loop {
        let runs = server.get(&format!("/ai/runs?model={CLASSIFIER}")).ok();
        let runs = runs.as_array().unwrap().clone();
        if let Some(run) = runs.into_iter().find(|r| r["Finished"].is_string()) {
            break run;
        }
        assert!(std::time::Instant::now() < deadline, "the second model was not run");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(second["State"], "Succeeded", "{second:#}");
    is_second(&second);
    let reports = server.get(&format!("/studies/{study}/ai/report")).ok();
    assert_eq!(reports.as_array().unwrap().len(), 2, "{reports:#}");
}

fn the_second_stage_after_a_restart(version: Version) {
    let files = with_a_dark_one();
    let (mut server, _models) = with_models(version, |m| {
        if m["name"] == CLASSIFIER {
            m["input"]["region_of_interest"]["when_missing"] = json!("refuse");
        }
    });
    let study = server.upload_study(&files);
    let refused = ask(&server, &format!("/studies/{study}"), CLASSIFIER).error(422);
    assert!(refused.contains(&format!("{UNET} has not analysed these images yet")), "{refused}");
    ask(&server, &format!("/studies/{study}"), UNET).ok();
    server.terminate();
    server.start_again();
    let second = ask(&server, &format!("/studies/{study}"), CLASSIFIER).ok();
    is_second(&second);
}

fn models_that_do_not_fit_have_failed(version: Version) {
    let (server, _models) = with_models(version, |m| {
        if m["name"] == CLASSIFIER {
            m["input"]["region_of_interest"]["segment"] = json!("Cyst");
        }
    });
    let model = server.get(&format!("/ai/models/{CLASSIFIER}")).ok();
    assert_eq!(model["State"], "Failed", "{model:#}");
    assert!(
        model["Reason"].as_str().unwrap().contains("at input.region_of_interest.segment: found \"Cyst\""),
        "{model:#}"
    );
    assert_eq!(server.get(&format!("/ai/models/{UNET}")).ok()["State"], "Ready");
}
