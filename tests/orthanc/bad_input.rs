//! Whatever arrives: a clear error, the server alive, nothing stored, earlier results intact.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use serde_json::json;

use crate::exam::{self, put_text};
use crate::on_every_orthanc;
use crate::server::{DEMO, Options, Orthanc, Version, shared};

on_every_orthanc!(wrong_ids_and_bodies, wrong_counts_and_kinds_of_images, truncated_pixel_data, every_malformed_file,);

fn wrong_ids_and_bodies(version: Version) {
    let server = Orthanc::start(version);
    for level in ["studies", "series", "instances"] {
        let id = "00000000-00000000-00000000-00000000-00000000";
        let details = server.post(&format!("/{level}/{id}/ai"), &json!({"Model": DEMO})).error(404);
        assert!(details.contains(id), "{details}");
        server.get(&format!("/{level}/{id}/ai")).error(404);
    }
    let study = server.upload_study(&exam::files(&exam::options(4201)));
    let path = format!("/studies/{study}/ai");
    for (body, expected) in [
        (r#"{"Model": "nothing"}"#, "unknown model \"nothing\""),
        (r#"{"Modle": "x"}"#, "unknown field `Modle`"),
        (r#"{"Priority": "high"}"#, "at Priority"),
        (r#"{"Synchronous": true, "Asynchronous": true}"#, "contradict"),
        ("{", "body"),
        ("[]x", "body"),
    ] {
        let details = server.post_bytes(&path, "application/json", body.as_bytes()).error(400);
        assert!(details.contains(expected), "{body}: {details}");
    }
    let details = server.post_bytes(&path, "text/plain", b"{}").error(415);
    assert!(details.contains("application/json"), "{details}");
    let details = server.post(&path, &json!({"Model": "mammography-4view"})).error(503);
    assert!(details.contains("weights"), "{details}");
    assert_eq!(server.delete(&path).status, 405);
    server.get("/ai/runs?state=Sleeping").error(400);
    server.get("/ai/runs/00000000").error(404);
    assert_eq!(server.count_instances(), 4);
}

fn wrong_counts_and_kinds_of_images(version: Version) {
    let server = Orthanc::start(version);
    let refused = |files: &[Vec<u8>], expected: &[&str]| {
        let study = server.upload_study(files);
        let before = server.count_instances();
        for body in [json!({"Model": DEMO, "Synchronous": true}), json!({})] {
            let details = server.post(&format!("/studies/{study}/ai"), &body).error(422);
            for text in expected {
                assert!(details.contains(text), "expected \"{text}\" in: {details}");
            }
        }
        assert_eq!(server.count_instances(), before);
    };
    refused(&exam::files(&exam::options(4202))[..3], &["4 images are needed", "found 3"]);
    let mut five = exam::files(&exam::options(4203));
    five.extend(
        exam::changed(&exam::options(4203), |i, d| {
            put_text(d, tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.420300{i}"));
        })
        .into_iter()
        .take(1),
    );
    refused(&five, &["found 5"]);
    let ct = exam::changed(&exam::options(4204), |_, d| put_text(d, tags::MODALITY, VR::CS, "CT"));
    refused(&ct, &["found 0", "4 × Modality = MG expected, found CT"]);
    let rgb = exam::changed(&exam::options(4205), |_, d| put_text(d, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB"));
    refused(&rgb, &["found 0", "found RGB"]);
    for (file, expected) in [
        ("data/mg/wg04_MG__MG1_J2KI", "found RG"),
        ("data/mg/gcp_MG_rgb__example-mg.dcm", "SOPClassUID in"),
        ("data/mg/medcog_DBT__jpeg2k_3d.dcm", "SOPClassUID in"),
    ] {
        if let Some(path) = shared(file) {
            refused(&[std::fs::read(path).unwrap()], &["4 images are needed", expected]);
        }
    }
}

fn truncated_pixel_data(version: Version) {
    let server = Orthanc::start(version);
    let study = server.upload_study(&exam::files(&exam::options(4206)));
    let good = server.analyse(&study);
    let mut files = exam::files(&exam::options(4207));
    for file in &mut files {
        file.truncate(file.len() / 2);
    }
    let before = server.count_instances();
    let answers: Vec<_> = files.iter().map(|f| server.upload(f)).collect();
    // Orthanc may refuse a truncated file by itself; where it takes it, the analysis must refuse it.
    if let Some(taken) = answers.iter().find(|a| a.status == 200) {
        let study = taken.json()["ParentStudy"].as_str().unwrap().to_string();
        let held = server.count_instances();
        let answer = server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO, "Synchronous": true}));
        let details = answer.error(422);
        assert!(!details.is_empty());
        assert_eq!(server.count_instances(), held);
    } else {
        assert_eq!(server.count_instances(), before);
    }
    let report = good["Stored"][0]["Path"].as_str().unwrap();
    assert_eq!(server.get(report).status, 200);
}

/// Every file of the corpus is uploaded, and what the server takes is analysed at each level.
fn every_malformed_file(version: Version) {
    let Some(folder) = shared("data/malformed") else { return };
    let exam = exam::files(&exam::options(4208));
    let analysed = || {
        let server = Orthanc::start(version);
        let study = server.upload_study(&exam);
        let good = server.analyse(&study);
        (server, study, good)
    };
    let (mut server, mut study, mut good) = analysed();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (mut taken, mut refused, mut killers) = (0, 0, 0);
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        let Some(upload) = server.try_upload(&bytes) else {
            // The server died while it parsed the upload, before any plugin sees it. Is it really Orthanc alone?
            let plain =
                Orthanc::with_plugin_off(version, &Options { orthanc: json!({"Plugins": []}), ..Options::default() });
            assert!(
                plain.try_upload(&bytes).is_none(),
                "{} kills the server, but only with the plugin",
                file.display()
            );
            eprintln!("{}: {} kills Orthanc itself, without any plugin", version.name(), file.display());
            killers += 1;
            (server, study, good) = analysed();
            continue;
        };
        let Some(id) = (upload.status == 200).then(|| upload.json()).filter(|j| j["ID"].is_string()) else {
            refused += 1;
            continue;
        };
        taken += 1;
        let held = server.count_instances();
        for (level, key) in [("studies", "ParentStudy"), ("series", "ParentSeries"), ("instances", "ID")] {
            let path = format!("/{level}/{}/ai", id[key].as_str().unwrap());
            let answer = server.post(&path, &json!({"Model": DEMO, "Synchronous": true}));
            let details = answer.error(422);
            assert!(details.contains("images are needed"), "{}: {details}", file.display());
            assert_eq!(server.get(&path).status, 200, "{}", file.display());
        }
        assert_eq!(server.count_instances(), held, "{}: something was stored", file.display());
    }
    eprintln!(
        "{}: {taken} malformed files taken by Orthanc and refused by the analysis, {refused} refused by Orthanc",
        version.name()
    );
    assert!(taken > 0 && taken + refused + killers == files.len());
    assert_eq!(server.get(good["Stored"][0]["Path"].as_str().unwrap()).status, 200);
    assert_eq!(server.analyse(&study)["Status"], "AlreadyStored");
}
