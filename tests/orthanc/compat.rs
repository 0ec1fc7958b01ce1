//! What the originals' front ends do, request by request, with the demo models on phantoms (docs/compatibility.md).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ColorType, DynamicImage, GrayImage, ImageFormat};
use orthanc_ai::imaging::SegObject;
use orthanc_ai::phantom::{BreastSlicePhantom, SeriesLayout, TumourKind};
use serde_json::{Value, json};

use crate::breast_mri;
use crate::exam;
use crate::on_every_orthanc;
use crate::operations::call;
use crate::server::{Answer, Options, Orthanc, Version};

on_every_orthanc!(
    unless_they_are_wanted_the_routes_are_unknown,
    four_views_become_four_cards,
    what_is_wrong_with_four_views_is_said_in_the_originals_form,
    one_view_that_fails_does_not_stop_the_others,
    four_series_become_a_mask_that_a_page_lays_over_its_slices,
    an_image_is_segmented_and_then_judged,
    the_configuration_says_which_model_answers,
);

const MAMMOGRAPHY: &str = "/ai/compat/api/mri/mammography/analyze/";
/// No server has it.
const NOBODY: &str = "00000000-00000000-00000000-00000000-00000000";

fn start(version: Version) -> Orthanc {
    Orthanc::with(version, &Options { ai: json!({"CompatibilityRoutes": true}), ..Options::default() })
}

/// An error as the originals told them, and nothing else.
#[track_caller]
fn refused(answer: &Answer, status: u16, says: &str) {
    let body = answer.json();
    assert_eq!(answer.status, status, "{body:#}");
    assert_eq!(keys(&body), ["error", "success"]);
    assert!(body["success"] == false && body["error"].as_str().unwrap().contains(says), "{says}: {body:#}");
}

fn keys(of: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = of.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Orthanc's ids of the instances, in the order of the files.
fn upload(server: &Orthanc, files: &[Vec<u8>]) -> Vec<String> {
    files.iter().map(|file| server.upload(file).ok()["ID"].as_str().unwrap().to_owned()).collect()
}

fn unless_they_are_wanted_the_routes_are_unknown(version: Version) {
    let server = Orthanc::start(version);
    let ids = upload(&server, &exam::files(&exam::options(8501)));
    server.post(MAMMOGRAPHY, &json!({"instance_ids": ids})).error(404);
    server.post(&format!("/ai/compat/api/mri/segmentation/series/{NOBODY}/segment/"), &json!({})).error(404);
    for stage in ["analyze", "tumor_analysis"] {
        server.post(&format!("/ai/compat/api/medical-images/{}/{stage}/", ids[0]), &json!({})).error(404);
    }
    for path in [
        "mri/mammography/health/",
        "mri/segmentation/health/",
        &format!("mri/segmentation/instances/{}/frames/?frame_index=0", ids[0]),
        "medical-images/generate_3d_visualization/?patient_id=1",
    ] {
        server.get(&format!("/ai/compat/api/{path}")).error(404);
    }
    // Not even of a method that they do not have.
    server.get(MAMMOGRAPHY).error(404);
    assert_eq!(server.get("/ai/runs").ok(), json!([]));
}

fn four_views_become_four_cards(version: Version) {
    let server = start(version);
    let health = server.get("/ai/compat/api/mri/mammography/health/").ok();
    assert_eq!(health, json!({"success": true, "status": "healthy", "model_loaded": true}));
    // Neither the order of the views nor that of arrival.
    let mut ids = upload(&server, &exam::files(&exam::options(8502)));
    ids.rotate_left(1);
    let answer = server.post(MAMMOGRAPHY, &json!({"instance_ids": ids})).ok();
    assert_eq!(keys(&answer), ["demo", "disclaimer", "model", "results", "success"]);
    assert_eq!((&answer["success"], &answer["demo"]), (&json!(true), &json!(true)));
    assert!(answer["disclaimer"].as_str().is_some_and(|text| !text.is_empty()), "{answer:#}");
    assert_eq!(answer["model"], "mammography-4view-demo");
    let rows = answer["results"].as_array().unwrap();
    let text = |key: &str| rows.iter().map(|row| row[key].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(text("instance_id"), ids);
    assert_eq!(text("view"), ["R-CC", "L-MLO", "R-MLO", "L-CC"]);
    let truth = ["Calcification", "Architectural/Asymmetry", "Normal", "Mass"];
    let right = text("predicted_class").iter().zip(truth).filter(|(class, truth)| *class == truth).count();
    assert!(right >= 3, "{answer:#}");
    for row in rows {
        assert_eq!(keys(row), ["all_probabilities", "instance_id", "predicted_class", "probability", "view"]);
        let all = row["all_probabilities"].as_object().unwrap();
        let sum: f64 = all.values().map(|p| p.as_f64().unwrap()).sum();
        assert!(
            all.len() == 4 && truth.iter().all(|class| all.contains_key(*class)) && (sum - 1.0).abs() < 1e-6,
            "{row}"
        );
        assert_eq!(all[row["predicted_class"].as_str().unwrap()], row["probability"]);
    }
    // It is a run as any other, with its report.
    let runs = server.get("/ai/runs").ok();
    assert_eq!(
        (runs.as_array().unwrap().len(), &runs[0]["State"], &runs[0]["Demo"]),
        (1, &json!("Succeeded"), &json!(true))
    );
    assert_eq!(server.count_instances(), 5);
    assert_eq!(server.get(MAMMOGRAPHY).status, 405);
}

fn what_is_wrong_with_four_views_is_said_in_the_originals_form(version: Version) {
    let server = start(version);
    let ids = upload(&server, &exam::files(&exam::options(8503)));
    let post = |ids: Value| server.post(MAMMOGRAPHY, &json!({"instance_ids": ids}));
    refused(&post(json!(ids[..3])), 400, "4 images are needed, found 3");
    refused(&post(json!([])), 400, "4 images are needed, found 0");
    refused(&post(json!([ids[0], ids[0], ids[1], ids[2]])), 400, "4 images are needed, found 4 (3 different ones)");
    refused(&server.post(MAMMOGRAPHY, &json!({})), 400, "4 images are needed");
    refused(&post(json!("all")), 400, "instance_ids");
    refused(&server.post_bytes(MAMMOGRAPHY, "application/json", b"{"), 400, "body");
    refused(&server.post_bytes(MAMMOGRAPHY, "text/plain", b"{}"), 415, "application/json");
    refused(&post(json!([ids[0], ids[1], ids[2], "../../etc"])), 404, "unknown");
    refused(&post(json!([ids[0], ids[1], ids[2], NOBODY])), 404, NOBODY);
    // Of another study, and so of another patient.
    let slice = BreastSlicePhantom { seed: 8504, ..BreastSlicePhantom::default() };
    let other = upload(&server, &[slice.to_dicom().unwrap().to_bytes().unwrap()]);
    refused(&post(json!([ids[0], ids[1], ids[2], other[0]])), 400, "1 of 4 images are of another study");
    // Images that no model of four views takes.
    let files = exam::changed(&exam::options(8510), |i, dataset| {
        if i == 3 {
            exam::put_text(dataset, dicom_dictionary_std::tags::MODALITY, dicom_core::VR::CS, "MR");
        }
    });
    refused(&post(json!(upload(&server, &files))), 422, "Modality");
    assert_eq!(server.get("/ai/runs").ok(), json!([]));
}

fn one_view_that_fails_does_not_stop_the_others(version: Version) {
    let server = start(version);
    let files = exam::changed(&exam::options(8505), |i, dataset| {
        if i == 2 {
            // Twice the rows that the pixel data holds.
            let rows = dicom_core::PrimitiveValue::from(1664u16);
            dataset.put(dicom_core::DataElement::new(dicom_dictionary_std::tags::ROWS, dicom_core::VR::US, rows));
        }
    });
    let ids = upload(&server, &files);
    let answer = server.post(MAMMOGRAPHY, &json!({"instance_ids": ids})).ok();
    let rows = answer["results"].as_array().unwrap();
    assert_eq!((&answer["success"], rows.len()), (&json!(true), 4), "{answer:#}");
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row["instance_id"], ids[i].as_str());
        if i == 2 {
            assert_eq!(keys(row), ["error", "instance_id", "success", "view"]);
            assert!(row["success"] == false && !row["error"].as_str().unwrap().is_empty(), "{row}");
        } else {
            assert!(row["predicted_class"].is_string(), "{row}");
        }
    }
}

/// A mask as the page gets it: a grey picture of 0 and 255.
fn mask(base64: &str) -> GrayImage {
    let png = STANDARD.decode(base64).unwrap();
    let picture = image::load_from_memory_with_format(&png, ImageFormat::Png).unwrap();
    assert_eq!(picture.color(), ColorType::L8);
    let DynamicImage::ImageLuma8(picture) = picture else { panic!("not grey") };
    assert!(picture.pixels().all(|p| p.0[0] == 0 || p.0[0] == 255));
    picture
}

/// The page counts the images of a series by InstanceNumber, asks for frame `selectedImageIndex - start_slice_index`, and turns it left to right.
fn four_series_become_a_mask_that_a_page_lays_over_its_slices(version: Version) {
    let server = start(version);
    for reversed in [false, true] {
        let phantom = breast_mri::phantom(8506 + u64::from(reversed));
        let study = breast_mri::study(&phantom, SeriesLayout { reversed, ..SeriesLayout::default() });
        let mut series: BTreeMap<usize, String> = BTreeMap::new();
        for instance in study.instances.iter().rev() {
            let stored = server.upload(&instance.to_bytes().unwrap()).ok();
            series.insert(instance.phase, stored["ParentSeries"].as_str().unwrap().to_owned());
        }
        let series: Vec<String> = series.into_values().collect();
        let path = format!("/ai/compat/api/mri/segmentation/series/{}/segment/", series[1]);
        refused(&server.post(&path, &json!({"sequence_series_ids": series[..3]})), 400, "4 series are needed, found 3");
        refused(&server.post(&path, &json!({})), 400, "4 series are needed, found 0");
        let unknown = json!({"sequence_series_ids": [series[0], series[1], series[2], NOBODY]});
        refused(&server.post(&path, &unknown), 404, NOBODY);
        let twice = json!({"sequence_series_ids": [series[0], series[1], series[2], series[2]]});
        refused(&server.post(&path, &twice), 400, "4 series are needed, found 4 (3 different ones)");

        of_one_study(&server, &series, 8520 + u64::from(reversed));

        let answer = server.post(&path, &json!({"sequence_series_ids": series})).ok();
        let expected = [
            "demo",
            "disclaimer",
            "end_slice_index",
            "model",
            "saved_to_orthanc",
            "seg_instance_id",
            "series_id",
            "start_slice_index",
            "success",
            "total_slices",
            "tumor_ratio_percent",
        ];
        assert_eq!(keys(&answer), expected);
        assert_eq!((&answer["demo"], &answer["model"]), (&json!(true), &json!("breast-dce-swinunetr-demo")));
        assert_eq!((&answer["success"], &answer["series_id"]), (&json!(true), &json!(series[1])));
        let number = |key: &str| answer[key].as_u64().unwrap() as usize;
        // (100 - 96) / 2, from either end.
        assert_eq!((number("total_slices"), number("start_slice_index"), number("end_slice_index")), (96, 2, 97));
        assert_eq!(answer["saved_to_orthanc"], true, "a lesion is found: {answer:#}");
        assert!(answer["tumor_ratio_percent"].as_f64().unwrap() > 0.0, "{answer:#}");
        let seg = answer["seg_instance_id"].as_str().unwrap();
        lies_on_its_slices(&server, seg, number("start_slice_index"));
        wrong_frames_are_refused(&server, seg);
        shows_the_surface(&server, &series[0]);
    }
}

/// The series of the path is one of the four, and they are of its study.
fn of_one_study(server: &Orthanc, series: &[String], seed: u64) {
    let slice = BreastSlicePhantom { seed, ..BreastSlicePhantom::default() };
    let stored = server.upload(&slice.to_dicom().unwrap().to_bytes().unwrap()).ok();
    let other = stored["ParentSeries"].as_str().unwrap();
    let post = |shown: &str, series: Value| {
        let path = format!("/ai/compat/api/mri/segmentation/series/{shown}/segment/");
        server.post(&path, &json!({"sequence_series_ids": series}))
    };
    refused(&post(other, json!(series)), 400, "the path's series");
    refused(&post(&series[0], json!([series[0], series[1], series[2], other])), 400, "of another study");
    refused(&post(other, json!([series[0], series[1], series[2], other])), 400, "of another study");
    assert_eq!(server.delete(&format!("/series/{other}")).status, 200);
}

/// Each frame of the mask is on the image that the page shows it over.
fn lies_on_its_slices(server: &Orthanc, seg: &str, start: usize) {
    let run = server.get("/ai/runs?limit=1").ok()[0]["ID"].as_str().unwrap().to_owned();
    let run = server.get(&format!("/ai/runs/{run}")).ok();
    let slices = run["Slices"].as_array().unwrap();
    let object = SegObject::read(&server.get(&format!("/instances/{seg}/file")).body).unwrap();
    // The images of the series that the mask lies on, as a page orders them.
    let first = slices[0]["InstanceID"].as_str().unwrap();
    let series = server.get(&format!("/instances/{first}/series")).ok()["ID"].as_str().unwrap().to_owned();
    let mut images: Vec<(usize, String)> = Vec::new();
    for image in server.get(&format!("/series/{series}/instances")).ok().as_array().unwrap() {
        let number = image["MainDicomTags"]["InstanceNumber"].as_str().unwrap().trim().parse().unwrap();
        images.push((number, image["ID"].as_str().unwrap().to_owned()));
    }
    images.sort();
    let mut seen = 0;
    for slice in slices.iter().filter(|s| s["MaskFrames"].as_array().is_some_and(|frames| !frames.is_empty())) {
        let selected = images.iter().position(|(_, id)| slice["InstanceID"] == id.as_str()).unwrap();
        let path = format!("/ai/compat/api/mri/segmentation/instances/{seg}/frames/?frame_index={}", selected - start);
        let answer = server.get(&path).ok();
        assert_eq!(keys(&answer), ["frame_data", "frame_index", "success"]);
        assert_eq!((&answer["success"], &answer["frame_index"]), (&json!(true), &json!(selected - start)));
        let expected = object.mask(slice["MaskFrames"][0].as_u64().unwrap() as usize).unwrap();
        let given = mask(answer["frame_data"].as_str().unwrap());
        assert_eq!((given.width() as usize, given.height() as usize), (object.columns, object.rows));
        // scaleX(-1)
        let on_the_page = image::imageops::flip_horizontal(&given);
        let straight = server.get(&format!("{path}&mirrored=false")).ok();
        assert_eq!(mask(straight["frame_data"].as_str().unwrap()), on_the_page);
        for ((row, column), value) in expected.indexed_iter() {
            assert_eq!(on_the_page.get_pixel(column as u32, row as u32).0[0] != 0, *value != 0, "{path}");
        }
        seen += 1;
    }
    assert!(seen >= 2 && seen <= object.frames.len(), "{seen} slices with a mask");
}

fn wrong_frames_are_refused(server: &Orthanc, seg: &str) {
    let frames =
        |seg: &str, query: &str| server.get(&format!("/ai/compat/api/mri/segmentation/instances/{seg}/frames/{query}"));
    refused(&frames(seg, "?frame_index=96"), 404, "expected 0 to 95");
    refused(&frames(seg, "?frame_index=-1"), 400, "frame_index");
    refused(&frames(seg, "?frame=0"), 400, "frame_index");
    refused(&frames(NOBODY, "?frame_index=0"), 404, "unknown");
    refused(&frames("1", "?frame_index=0"), 404, "unknown");
    let study = server.get(&format!("/instances/{seg}/study")).ok()["ID"].as_str().unwrap().to_owned();
    let series = server.get(&format!("/studies/{study}/series")).ok();
    let source = series.as_array().unwrap().iter().find(|s| s["MainDicomTags"]["Modality"] == "MR").unwrap();
    refused(&frames(source["Instances"][0].as_str().unwrap(), "?frame_index=0"), 422, "a segmentation");
}

fn shows_the_surface(server: &Orthanc, series: &str) {
    let patient = server.get(&format!("/series/{series}/patient")).ok();
    let (id, name) = (patient["ID"].as_str().unwrap(), patient["MainDicomTags"]["PatientID"].as_str().unwrap());
    let page = |query: &str| server.get(&format!("/ai/compat/api/medical-images/generate_3d_visualization/{query}"));
    for patient in [id, name] {
        let answer = page(&format!("?patient_id={patient}&visualization_type=volume"));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 200 && text.starts_with("<!"), "{patient}: {} {text:.200}", answer.status);
    }
    refused(&page("?patient_id=nobody-at-all"), 404, "no such patient");
    refused(&page(&format!("?patient_id={NOBODY}")), 404, "no such patient");
    refused(&page(""), 400, "patient_id");
    refused(&page("?patient_id="), 400, "patient_id");
}

fn an_image_is_segmented_and_then_judged(version: Version) {
    let server = start(version);
    let post = |id: &str, stage: &str| server.post(&format!("/ai/compat/api/medical-images/{id}/{stage}/"), &json!({}));
    for (seed, kind, class) in [(7301, TumourKind::Benign, "Benign"), (7302, TumourKind::Malignant, "Malignant")] {
        let phantom = BreastSlicePhantom { seed, tumour: Some(kind), ..BreastSlicePhantom::default() };
        let id = upload(&server, &[phantom.to_dicom().unwrap().to_bytes().unwrap()]).remove(0);
        refused(&post(&id, "tumor_analysis"), 400, "has not been segmented yet");

        let answer = post(&id, "analyze").ok();
        assert_eq!((keys(&answer), &answer["id"]), (vec!["analysis_results", "id"], &json!(id)));
        let results = answer["analysis_results"].as_array().unwrap();
        assert_eq!((results.len(), &results[0]["analysis_type"]), (1, &json!("BREAST_MRI_SEGMENTATION")));
        let found = &results[0]["results"];
        assert_eq!(found["tumor_detected"], true, "{found}");
        let share = found["tumor_ratio_percent"].as_f64().unwrap();
        let picture = |key: &str| found[key].as_str().unwrap().strip_prefix("data:image/png;base64,").unwrap();
        let mask = mask(picture("mask_url"));
        let inside = mask.pixels().filter(|p| p.0[0] != 0).count();
        assert_eq!(found["tumor_pixel_count"], inside);
        let expected = 100.0 * inside as f64 / f64::from(mask.width() * mask.height());
        assert!((share - expected).abs() < 1e-6 && share > 0.0, "{share} {expected}");
        let overlay = image::load_from_memory(&STANDARD.decode(picture("overlay_url")).unwrap()).unwrap();
        assert_eq!((overlay.width(), overlay.height()), mask.dimensions());
        assert_eq!(server.get(&format!("/instances/{}", found["seg_instance_id"].as_str().unwrap())).status, 200);

        let answer = post(&id, "tumor_analysis").ok();
        let results = answer["analysis_results"].as_array().unwrap();
        assert_eq!(results.len(), 2, "{answer:#}");
        assert_eq!(results[0]["analysis_type"], "BREAST_MRI_CLASSIFICATION");
        assert_eq!(results[1]["analysis_type"], "BREAST_MRI_SEGMENTATION");
        let judged = &results[0]["results"];
        assert_eq!(judged["predicted_class"], class, "{judged}");
        assert_eq!(judged["probabilities"][class], results[0]["confidence"]);
        for (result, model) in results.iter().zip(["breast-mri-tumour-demo", "breast-mri-unet-demo"]) {
            assert_eq!((&result["demo"], &result["model"]), (&json!(true), &json!(model)));
        }
        for key in ["disclaimer", "findings", "recommendations", "model_version", "analysis_date"] {
            assert!(results[0][key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {answer:#}");
        }
        // Single images have no surface.
        let patient = server.get(&format!("/instances/{id}/patient")).ok()["ID"].as_str().unwrap().to_owned();
        let path = format!("/ai/compat/api/medical-images/generate_3d_visualization/?patient_id={patient}");
        refused(&server.get(&path), 404, "segmented as a volume");
    }
    let view = upload(&server, &exam::files(&exam::options(8507))[..1]).remove(0);
    for stage in ["analyze", "tumor_analysis"] {
        refused(&post(NOBODY, stage), 404, NOBODY);
        refused(&post("1", stage), 404, "unknown");
        refused(&post(&view, stage), 422, "Modality");
        let path = format!("/ai/compat/api/medical-images/{view}/{stage}/");
        // What else a page sends is passed over.
        refused(&server.post(&path, &json!({"image": "x"})), 422, "Modality");
        // The page posts nothing at all; a page of this site may, another's not.
        let host = format!("http://127.0.0.1:{}", server.http);
        assert_eq!(call(&server, "POST", &path, &[("Origin", &host)], b"").0, 422, "{stage}");
        assert_eq!(call(&server, "POST", &path, &[("Origin", "http://elsewhere")], b"").0, 415, "{stage}");
    }
}

fn the_configuration_says_which_model_answers(version: Version) {
    let with = |ai: Value| Options { ai, ..Options::default() };
    // A model whose weights are not there.
    let none = json!({"CompatibilityRoutes": true, "CompatibilityModels": {"Mammography": "mammography-4view"}});
    let server = Orthanc::with(version, &with(none));
    let ids = upload(&server, &exam::files(&exam::options(8509)));
    refused(&server.post(MAMMOGRAPHY, &json!({"instance_ids": ids})), 503, "mammography-4view");
    let health = server.get("/ai/compat/api/mri/mammography/health/");
    assert_eq!((health.status, health.json()["status"].as_str()), (503, Some("unavailable")));
    assert_eq!(server.get("/ai/compat/api/mri/segmentation/health/").status, 200);
    let server = Orthanc::with_plugin_off(version, &with(json!({"CompatibilityModels": {"Mammography": "nothing"}})));
    assert!(server.log().contains("Ai.CompatibilityModels.Mammography: found \"nothing\""), "{}", server.log());
    // Models of another question.
    let skin = json!({"CompatibilityModels": {"Mammography": "skin-lesion-demo"}});
    let server = Orthanc::with_plugin_off(version, &with(skin));
    let expected = "Ai.CompatibilityModels.Mammography: found \"skin-lesion-demo\", expected a model that classifies";
    assert!(server.log().contains(expected), "{}", server.log());
}
