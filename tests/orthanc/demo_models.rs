//! The demo models of head CT, skin lesions and two-stage breast MRI as they come with the plugin: synthetic cases with a known
//! answer, and real files, which get a result or a refusal that says why.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageEncoder, RgbImage};
use orthanc_ai::phantom::{
    BreastSlicePhantom, DermoscopyPhantom, Haemorrhage, HeadCtLayout, HeadCtPhantom, SkinLesion, TumourKind,
};
use serde_json::{Value, json};

use crate::end_to_end::check_report;
use crate::on_every_orthanc;
use crate::server::{Answer, Orthanc, Version, shared};

on_every_orthanc!(
    a_haemorrhage_is_found_in_the_right_series_and_shown,
    a_real_head_with_a_tilted_gantry_has_an_answer,
    every_real_ct_has_an_answer_or_a_reason,
    pictures_of_skin_are_told_apart,
    real_pictures_of_skin_have_an_answer,
    what_is_no_skin_is_marked,
    every_real_picture_has_an_answer_or_a_reason,
    a_tumour_is_outlined_and_then_judged,
    an_empty_server_gets_demo_studies_by_one_request,
);

const HEAD: &str = "head-ct-haemorrhage-demo";
const SKIN: &str = "skin-lesion-demo";
const KINDS: &str = "skin-lesion-7class-demo";
const UNET: &str = "breast-mri-unet-demo";
const TUMOUR: &str = "breast-mri-tumour-demo";

fn ask(server: &Orthanc, resource: &str, model: &str) -> Answer {
    server.post(&format!("{resource}/ai"), &json!({"Model": model, "Synchronous": true}))
}

fn stored(server: &Orthanc, run: &Value, kind: &str) -> Vec<Vec<u8>> {
    let of_kind = run["Stored"].as_array().unwrap().iter().filter(|s| s["Kind"] == kind);
    of_kind.map(|s| server.get(&format!("{}/file", s["Path"].as_str().unwrap())).body).collect()
}

/// A folder of `../shared/data`, sorted by name; None, loudly, where it is absent.
fn real(folder: &str, prefix: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let entries = std::fs::read_dir(shared(folder)?).unwrap().map(|e| e.unwrap().path());
    let name = |p: &std::path::Path| p.file_name().unwrap().to_string_lossy().into_owned();
    let mut paths: Vec<_> = entries.filter(|p| name(p).starts_with(prefix)).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder}/{prefix}*");
    Some(paths.iter().map(|p| (name(p), std::fs::read(p).unwrap())).collect())
}

fn head(seed: u64, haemorrhage: Option<Haemorrhage>) -> Vec<Vec<u8>> {
    let phantom = HeadCtPhantom {
        seed,
        size: [28, 192, 192],
        spacing_mm: [5.0, 1.2, 1.2],
        haemorrhage,
        gantry_tilt_degrees: -12.0,
    };
    let study = phantom.to_dicom(HeadCtLayout { localizer: true, bone: true, reversed: true }).unwrap();
    study.instances.iter().map(|i| i.to_bytes().unwrap()).collect()
}

fn a_haemorrhage_is_found_in_the_right_series_and_shown(version: Version) {
    let server = Orthanc::start(version);
    let bled = head(7101, Some(Haemorrhage::Intraparenchymal));
    let study = server.upload_study(&bled);
    let run = ask(&server, &format!("/studies/{study}"), HEAD).ok();
    let overall = &run["Overall"];
    assert_eq!((&overall["Class"], &overall["Total"]), (&"Haemorrhage".into(), &28.into()), "{run:#}");
    let (reports, pictures) = (stored(&server, &run, "SR"), stored(&server, &run, "SC"));
    assert_eq!((reports.len(), pictures.len()), (1, 3), "{run:#}");
    let full = server.get(&format!("/ai/runs/{}", run["ID"].as_str().unwrap())).ok();
    let uids: Vec<&Value> = run["Stored"].as_array().unwrap().iter().map(|s| &s["SopInstanceUid"]).collect();
    let explained = full["Explanations"].as_array().unwrap();
    assert!(explained.len() == 3 && explained.iter().all(|e| uids.contains(&&e["HeatMapInstanceUid"])), "{full:#}");
    check_report(&server, &reports[0], &bled);
    let report = &server.get(&format!("/studies/{study}/ai/report")).ok()[0];
    let said = report.to_string();
    assert!(said.contains("The model sees") && said.contains("출혈"), "sentences in both languages: {report:#}");
    assert!(said.contains("third, about"), "a region with its place: {report:#}");

    let whole = server.upload_study(&head(7102, None));
    let run = ask(&server, &format!("/studies/{whole}"), HEAD).ok();
    assert_eq!(run["Overall"]["Class"], "No haemorrhage", "{run:#}");
    assert_eq!(stored(&server, &run, "SC").len(), 0, "nothing to show: {run:#}");
}

fn a_real_head_with_a_tilted_gantry_has_an_answer(version: Version) {
    let Some(files) = real("data/ct_head", "dcmqa_ct_ge_tilt__") else { return };
    let files: Vec<Vec<u8>> = files.into_iter().map(|(_, file)| file).collect();
    let server = Orthanc::start(version);
    let study = server.upload_study(&files);
    let run = ask(&server, &format!("/studies/{study}"), HEAD).ok();
    assert_eq!((&run["Overall"]["Total"], &run["Overall"]["Analysed"]), (&28.into(), &28.into()), "{run:#}");
    check_report(&server, &stored(&server, &run, "SR")[0], &files);
}

/// A result, or a refusal in words; the server lives.
fn answered(server: &Orthanc, name: &str, answer: &Answer) -> Option<Value> {
    match answer.status {
        200 => {
            let run = answer.json();
            let results = run["Results"].as_array().unwrap();
            let failed: Vec<&Value> = results.iter().filter(|r| r["Success"] == false).collect();
            assert!(failed.iter().all(|r| r["Error"].as_str().is_some_and(|e| e.len() > 10)), "{name}: {run:#}");
            Some(run)
        }
        status => {
            let details = answer.error(status);
            assert!((400..500).contains(&status) && details.len() > 20, "{name}: {status} {details}");
            assert_eq!(server.get("/ai/health").status, 200, "{name}");
            None
        }
    }
}

fn every_real_ct_has_an_answer_or_a_reason(version: Version) {
    let Some(files) = real("data/ct_head", "") else { return };
    let server = Orthanc::start(version);
    let mut heads = Vec::new();
    for (name, file) in files.iter().filter(|(name, _)| !name.starts_with("dcmqa_ct_ge_tilt")) {
        let Some(instance) = server.upload(file).json()["ID"].as_str().map(str::to_owned) else { continue };
        let answer = ask(&server, &format!("/instances/{instance}"), HEAD);
        let found = answered(&server, name, &answer).is_some_and(|run| run["Results"][0]["Success"] == true);
        if found {
            heads.push(name.as_str());
        }
    }
    // Single slices of heads in several transfer syntaxes; chest, spine, plastic and noise are refused.
    assert!(
        heads.iter().any(|n| n.starts_with("cq500")) && heads.iter().any(|n| n.starts_with("wg04_CT2")),
        "{heads:?}"
    );
    assert!(heads.iter().all(|n| n.starts_with("cq500") || n.starts_with("wg04_CT2")), "{heads:?}");
}

fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let (width, height) = picture.dimensions();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 92);
    encoder.write_image(picture, width, height, image::ExtendedColorType::Rgb8).unwrap();
    file
}

/// Stores pictures as DICOM and returns the study.
fn post_pictures(server: &Orthanc, patient: &str, pictures: &[Vec<u8>]) -> String {
    let images: Vec<Value> = pictures.iter().map(|p| json!({"Content": STANDARD.encode(p)})).collect();
    let body = json!({"Images": images, "Patient": {"PatientID": patient}});
    server.post("/ai/images", &body).ok()["ParentStudy"].as_str().unwrap().to_owned()
}

fn pictures_of_skin_are_told_apart(version: Version) {
    let shown = [SkinLesion::Naevus, SkinLesion::Melanoma, SkinLesion::Vascular, SkinLesion::BasalCellCarcinoma];
    let draw = |(n, lesion): (usize, &SkinLesion)| {
        let phantom = DermoscopyPhantom { seed: 7200 + n as u64, lesion: *lesion, size: (450, 600) };
        jpeg(&phantom.render().unwrap().pixels)
    };
    let pictures: Vec<Vec<u8>> = shown.iter().enumerate().map(draw).collect();
    let server = Orthanc::start(version);
    let study = post_pictures(&server, "DEMO-SKIN", &pictures);
    let classes = |model: &str| -> (Value, Vec<String>) {
        let run = ask(&server, &format!("/studies/{study}"), model).ok();
        let results = run["Results"].as_array().unwrap();
        assert_eq!(results.len(), 4, "results of an earlier model are no pictures of skin: {run:#}");
        let class = |r: &Value| r["Class"].as_str().unwrap_or_else(|| panic!("{r:#}")).to_owned();
        (run.clone(), results.iter().map(class).collect())
    };
    let (run, found) = classes(SKIN);
    assert_eq!(found, ["Benign", "Malignant", "Benign", "Malignant"], "{run:#}");
    assert_eq!((stored(&server, &run, "SR").len(), stored(&server, &run, "SC").len()), (1, 2), "{run:#}");
    let (run, found) = classes(KINDS);
    let right = found.iter().zip(&shown).filter(|(found, shown)| *found == shown.abbreviation()).count();
    assert!(right >= 3, "{run:#}");
}

fn real_pictures_of_skin_have_an_answer(version: Version) {
    let Some(pictures) = real("data/vl_derm", "isic_jpg__") else { return };
    let server = Orthanc::start(version);
    let files: Vec<Vec<u8>> = pictures.into_iter().map(|(_, file)| file).collect();
    let study = post_pictures(&server, "ISIC", &files);
    let run = ask(&server, &format!("/studies/{study}"), SKIN).ok();
    let results = run["Results"].as_array().unwrap();
    assert!(results.len() == files.len() && results.iter().all(|r| r["Success"] == true), "{run:#}");
    assert!(!run.to_string().contains("look like a photograph of skin"), "{run:#}");
    let sources: Vec<Vec<u8>> = results
        .iter()
        .map(|r| server.get(&format!("/instances/{}/file", r["InstanceID"].as_str().unwrap())).body)
        .collect();
    check_report(&server, &stored(&server, &run, "SR")[0], &sources);
}

/// Black on white, as a scanned letter.
fn what_is_no_skin_is_marked(version: Version) {
    let letter = RgbImage::from_fn(400, 300, |x, y| {
        image::Rgb(if y % 20 < 9 && (x * 7 + y / 20 * 13) % 11 < 5 { [20; 3] } else { [250; 3] })
    });
    let server = Orthanc::start(version);
    let study = post_pictures(&server, "LETTER", &[jpeg(&letter)]);
    let run = ask(&server, &format!("/studies/{study}"), SKIN).ok();
    assert!(run.to_string().contains("look like a photograph of skin"), "{run:#}");
}

fn every_real_picture_has_an_answer_or_a_reason(version: Version) {
    let Some(files) = real("data/vl_derm", "") else { return };
    let server = Orthanc::start(version);
    let (mut answers, mut marked) = (Vec::new(), Vec::new());
    for (name, file) in &files {
        let instance = if name.ends_with(".jpg") {
            let study = post_pictures(&server, name, std::slice::from_ref(file));
            server.get(&format!("/studies/{study}/instances")).ok()[0]["ID"].as_str().unwrap().to_owned()
        } else {
            // What the server itself refuses never reaches a model.
            let Some(id) = server.upload(file).json()["ID"].as_str().map(str::to_owned) else { continue };
            id
        };
        let answer = ask(&server, &format!("/instances/{instance}"), SKIN);
        let Some(run) = answered(&server, name, &answer).filter(|run| run["Results"][0]["Success"] == true) else {
            continue;
        };
        answers.push(name.clone());
        if run.to_string().contains("look like a photograph of skin") {
            marked.push(name.clone());
        }
    }
    let all = |prefix: &str, among: &[String]| {
        files.iter().filter(|(name, _)| name.starts_with(prefix)).all(|(name, _)| among.contains(name))
    };
    for skin in ["isic_jpg", "derived_isic", "ssynth_jpg"] {
        assert!(all(skin, &answers) && !marked.iter().any(|n| n.starts_with(skin)), "{skin}: {answers:?} {marked:?}");
    }
    // Fundus, stained tissue, a test chart: answered, if they can be read at all, but marked as no skin.
    for other in ["wg04_VL4", "wg04_VL6", "pm5644"] {
        let answered = answers.iter().filter(|n| n.starts_with(other)).count();
        assert!(
            answered > 0 && marked.iter().filter(|n| n.starts_with(other)).count() == answered,
            "{other}: {answers:?} {marked:?}"
        );
    }
}

fn a_tumour_is_outlined_and_then_judged(version: Version) {
    let slices: Vec<Vec<u8>> = [(7301, TumourKind::Benign), (7302, TumourKind::Malignant)]
        .into_iter()
        .map(|(seed, kind)| {
            let phantom = BreastSlicePhantom { seed, tumour: Some(kind), ..BreastSlicePhantom::default() };
            phantom.to_dicom().unwrap().to_bytes().unwrap()
        })
        .collect();
    let server = Orthanc::start(version);
    for (slice, class) in slices.iter().zip(["Benign", "Malignant"]) {
        let study = server.upload_study(std::slice::from_ref(slice));
        let first = ask(&server, &format!("/studies/{study}"), UNET).ok();
        assert_eq!(stored(&server, &first, "SEG").len(), 1, "{first:#}");
        let second = ask(&server, &format!("/studies/{study}"), TUMOUR).ok();
        assert_eq!(second["Results"][0]["Class"], class, "{second:#}");
        check_report(&server, &stored(&server, &second, "SR")[0], std::slice::from_ref(slice));
    }
}

fn an_empty_server_gets_demo_studies_by_one_request(version: Version) {
    let server = Orthanc::start(version);
    let details = server.post("/ai/demo", &json!({"Studies": ["Knee"]})).error(400);
    assert!(details.contains("found \"Knee\", expected some of Mammography, "), "{details}");
    assert_eq!(server.get("/ai/demo").status, 405);
    let answer = server.post("/ai/demo", &json!({})).ok();
    let studies = answer["Studies"].as_array().unwrap();
    let instances: u64 = studies.iter().map(|s| s["Instances"].as_u64().unwrap()).sum();
    assert_eq!((studies.len(), server.count_instances()), (5, instances), "{answer:#}");
    assert_eq!(server.post("/ai/demo", &json!({})).ok(), answer, "the same studies again");
    assert_eq!(server.count_instances(), instances);
    // Each is what some demo model takes.
    for study in studies {
        let state = server.get(&format!("{}/ai", study["Path"].as_str().unwrap())).ok();
        let models = state["Models"].as_array().unwrap();
        assert!(models.iter().any(|m| m["Applies"] == true && m["State"] == "Ready"), "{state:#}");
    }
    let run = ask(&server, studies[4]["Path"].as_str().unwrap(), SKIN).ok();
    assert_eq!(run["Results"][0]["Class"], "Malignant", "{run:#}");
    let card = server.get(&format!("/ai/models/{HEAD}/card"));
    assert!(card.status == 200 && String::from_utf8_lossy(&card.body).starts_with("# head-ct-haemorrhage-demo"));
    server.get("/ai/models/nothing/card").error(404);
}
