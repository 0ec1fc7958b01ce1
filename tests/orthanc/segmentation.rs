//! Breast DCE-MRI in a live server: a SEG and an SR on the right slices, whatever the orientation and the order of arrival.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use ndarray::Array3;
use orthanc_ai::imaging::{SegObject, read_series};
use orthanc_ai::phantom::{Orientation, SeriesLayout};
use serde_json::{Value, json};

use crate::breast_mri;
use crate::exam::put_text;
use crate::on_every_orthanc;
use crate::server::{Options, Orthanc, Version, shared};
use crate::torch_script::write_model;

on_every_orthanc!(
    four_series_give_a_seg_and_a_report_in_place,
    masks_lie_on_their_voxels_in_every_orientation,
    one_series_may_hold_all_phases,
    a_phase_of_another_grid_is_resampled_and_told,
    a_run_is_cancelled_between_windows,
    real_mr_series,
);

pub const ABOVE: &str = "above";

/// A server with one more model: what is brighter than half of the range.
pub fn with_test_model(
    version: Version,
    channels: &[&str],
    change: impl FnOnce(&mut Value),
) -> (Orthanc, tempfile::TempDir) {
    let models = tempfile::tempdir().unwrap();
    write_model(models.path(), ABOVE, channels, change);
    let server =
        Orthanc::with(version, &Options { ai: json!({"ModelsDirectory": models.path()}), ..Options::default() });
    let state = server.get(&format!("/ai/models/{ABOVE}")).ok();
    assert_eq!(state["State"], "Ready", "{state:#}");
    (server, models)
}

fn analyse(server: &Orthanc, study: &str, model: &str) -> Value {
    server.post(&format!("/studies/{study}/ai"), &json!({"Model": model, "Synchronous": true})).ok()
}

fn stored_file(server: &Orthanc, run: &Value, kind: &str) -> Vec<u8> {
    let stored = run["Stored"].as_array().unwrap().iter().find(|s| s["Kind"] == kind);
    let stored = stored.unwrap_or_else(|| panic!("no {kind}: {run:#}"));
    server.get(&format!("{}/file", stored["Path"].as_str().unwrap())).body
}

/// The mask of a SEG on the grid of `sources` (SOPInstanceUID to slice).
fn mask_of(seg: &[u8], slices: &BTreeMap<String, usize>) -> Array3<u8> {
    let seg = SegObject::read(seg).unwrap();
    let mut mask = Array3::zeros((slices.len(), seg.rows, seg.columns));
    for (i, frame) in seg.frames.iter().enumerate() {
        let slice = slices[&frame.source.as_ref().unwrap().0];
        mask.index_axis_mut(ndarray::Axis(0), slice).assign(&seg.mask(i).unwrap());
    }
    mask
}

fn dice(a: &Array3<u8>, b: &Array3<u8>) -> f64 {
    let both = a.iter().zip(b).filter(|(a, b)| **a != 0 && **b != 0).count();
    let each = a.iter().filter(|v| **v != 0).count() + b.iter().filter(|v| **v != 0).count();
    2.0 * both as f64 / each.max(1) as f64
}

/// The whole of what other people's readers say, with the mask that must come out where one is given.
pub fn check(server: &Orthanc, run: &Value, sources: &[Vec<u8>], expected: Option<&Array3<u8>>) {
    let folder = server.folder().join(format!("check-{}", run["ID"].as_str().unwrap()));
    let source = folder.join("source");
    std::fs::create_dir_all(&source).unwrap();
    for (i, file) in sources.iter().enumerate() {
        std::fs::write(source.join(format!("{i:04}.dcm")), file).unwrap();
    }
    let (seg, sr) = (folder.join("seg.dcm"), folder.join("sr.dcm"));
    std::fs::write(&seg, stored_file(server, run, "SEG")).unwrap();
    std::fs::write(&sr, stored_file(server, run, "SR")).unwrap();
    for file in [&seg, &sr] {
        let dciodvfy = Command::new("dciodvfy").arg("-new").arg(file).output().expect("dciodvfy (package dicom3tools)");
        let text = String::from_utf8_lossy(&dciodvfy.stderr).into_owned();
        assert!(!text.lines().any(|l| l.starts_with("Error")), "{text}");
    }
    let Some(check_seg) = shared("tools/validators/check_seg") else { return };
    let mut arguments = vec!["--source".into(), source.clone().into_os_string()];
    if let Some(mask) = expected {
        let file = folder.join("mask.npy");
        std::fs::write(&file, npy(mask)).unwrap();
        arguments.extend(["--expect-mask".into(), file.into_os_string()]);
    }
    passes(&check_seg, &seg, &arguments);
    // The report refers to the SEG, which must be among its sources.
    std::fs::copy(&seg, source.join("seg.dcm")).unwrap();
    // PixelMed's validator takes half a minute a report; tests/seg_readers.rs runs it.
    let arguments = [&arguments[..2], &["--no-pixelmed".into()]].concat();
    passes(&shared("tools/validators/check_sr").unwrap(), &sr, &arguments);
}

fn passes(checker: &Path, file: &Path, arguments: &[std::ffi::OsString]) {
    let out = Command::new(checker).arg(file).args(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{text}");
}

/// NumPy's file format, version 1.0.
fn npy(mask: &Array3<u8>) -> Vec<u8> {
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {:?}, }}", mask.dim());
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(mask.iter());
    file
}

/// The original's chain (middle 96 slices, 96³) around a network whose answer is known.
fn four_series_give_a_seg_and_a_report_in_place(version: Version) {
    let channels = ["pre-contrast", "phase 1", "phase 2", "phase 3"];
    let (server, _models) = with_test_model(version, &channels, |manifest| {
        manifest["preprocessing"] = json!([
            {"CenterSpatialCrop": {"roi_size": [96, -1, -1]}},
            {"ScaleIntensity": {"minv": 0.0, "maxv": 1.0, "per": "channel"}},
            {"Resize": {"spatial_size": [96, 96, 96], "mode": "zoom_linear"}}
        ]);
        manifest["inferer"]["SlidingWindowInferer"]["roi_size"] = json!([96, 96, 96]);
        manifest["task"]["Segmentation"]["postprocessing"] =
            json!([{"AsDiscrete": {"threshold": 0.5}}, {"FillHoles": {}}, {"Invert": {"mode": "linear"}}]);
        manifest["input"]["select"]["Volumes"]["min_slices"] = json!(96);
    });
    let exam =
        breast_mri::study(&breast_mri::phantom(5001), SeriesLayout { reversed: true, ..SeriesLayout::default() });
    let files = breast_mri::files(&exam);
    let study = server.upload_study(&files);
    let state = server.get(&format!("/studies/{study}/ai")).ok();
    assert_eq!(state["Models"][0]["Applies"], true, "{state:#}");
    let info = server.get(&format!("/ai/models/{ABOVE}")).ok();
    assert_eq!((&info["Task"], &info["Channels"][3]), (&json!("Segmentation"), &json!("phase 3")), "{info:#}");

    let before = server.count_instances();
    let run = analyse(&server, &study, ABOVE);
    assert_eq!(run["State"], "Succeeded", "{run:#}");
    assert_eq!(server.count_instances(), before + 2, "a SEG and an SR: {run:#}");
    let segment = &run["Segmentation"]["Segments"][0];
    assert_eq!(segment["Found"], true, "{run:#}");

    // Seen through the objects alone, by the UIDs that they refer to, the mask lies on what is bright; the first and the last
    // two of the hundred slices are outside the crop.
    let uid = |i: &orthanc_ai::phantom::BreastMriInstance| i.object.meta().media_storage_sop_instance_uid().to_string();
    let display = exam.instances.iter().filter(|i| i.phase == 1).map(|i| (uid(i), i.slice)).collect();
    let mask = mask_of(&stored_file(&server, &run, "SEG"), &display);
    let first = exam.exam.phases[0].slice(ndarray::s![2..98, .., ..]).mapv(f32::from);
    let (min, max) = first.iter().fold((f32::MAX, f32::MIN), |(min, max), &v| (min.min(v), max.max(v)));
    let mut expected = Array3::zeros(mask.dim());
    expected.slice_mut(ndarray::s![2..98, .., ..]).assign(&first.mapv(|v| u8::from((v - min) / (max - min) > 0.5)));
    let overlap = dice(&mask, &expected);
    assert!(overlap >= 0.9, "Dice {overlap:.3} with the voxels above half of the range");
    check(&server, &run, &files, Some(&mask));

    // The page's pictures: a frame over its source, and the mask alone.
    let whole = server.get(&format!("/ai/runs/{}", run["ID"].as_str().unwrap())).ok();
    let slices = whole["Slices"].as_array().unwrap();
    assert_eq!(slices.len(), 100);
    assert_eq!(slices.iter().filter(|s| s["Analysed"] == true).count(), 96);
    let masked: Vec<&Value> = slices.iter().filter(|s| !s["MaskFrames"].as_array().unwrap().is_empty()).collect();
    assert!(!masked.is_empty());
    let seg = stored_path(&run, "SEG");
    for query in ["frame=0", "frame=0&source=false&opacity=1"] {
        let picture = server.get(&format!("{seg}/ai/overlay.png?{query}"));
        assert_eq!((picture.status, &picture.body[1..4]), (200, &b"PNG"[..]), "{query}");
    }
    server.get(&format!("{seg}/ai/overlay.png?frame=9999")).error(404);
    // As the original's front end asks: by the number of the analysed slice.
    let first_masked = slices.iter().filter(|s| s["Analysed"] == true).position(|s| !s["MaskFrames"][0].is_null());
    for (index, empty) in [(0, first_masked != Some(0)), (first_masked.unwrap(), false)] {
        let frame = server.get(&format!("{seg}/ai/frames/?frame_index={index}")).ok();
        assert_eq!((&frame["success"], &frame["frame_index"]), (&json!(true), &json!(index)), "{frame:#}");
        let bytes = base64::engine::general_purpose::STANDARD.decode(frame["frame_data"].as_str().unwrap()).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().into_rgba8();
        assert_eq!(picture.dimensions(), (96, 96));
        assert_eq!(picture.pixels().all(|p| p.0[3] == 0), empty, "frame_index {index}");
    }
    let last = server.get(&format!("{seg}/ai/frames?frame_index=95")).ok();
    assert_eq!(last["success"], true);
    assert!(server.get(&format!("{seg}/ai/frames?frame_index=96")).error(404).contains("expected 0 to 95"));
    server.get(&format!("{seg}/ai/overlay.png?frame=x")).error(400);
    let sr = stored_path(&run, "SR");
    assert!(server.get(&format!("{sr}/ai/overlay.png")).error(422).contains("a segmentation"));

    // Our own results are among the study's series now, and no input of a repeat.
    let again = analyse(&server, &study, ABOVE);
    assert_eq!(again["Status"], "AlreadyStored", "{again:#}");
    assert_eq!(server.count_instances(), before + 2);

    // Channels named by the caller, in the caller's order; a series that is not there, and one too few.
    let series = server.get(&format!("/studies/{study}/series")).ok();
    let of_modality = |s: &&Value| s["MainDicomTags"]["Modality"] == "MR";
    let ids: Vec<&str> =
        series.as_array().unwrap().iter().filter(of_modality).map(|s| s["ID"].as_str().unwrap()).collect();
    let body = |channels: &[&str]| json!({"Model": ABOVE, "Synchronous": true, "Channels": channels});
    let named = server.post(&format!("/studies/{study}/ai"), &body(&ids)).ok();
    assert_eq!(named["State"], "Succeeded", "{named:#}");
    server.post(&format!("/studies/{study}/ai"), &body(&ids[..3])).error(422);
    server.post(&format!("/studies/{study}/ai"), &body(&["x"; 4])).error(400);
}

fn stored_path(run: &Value, kind: &str) -> String {
    let stored = run["Stored"].as_array().unwrap().iter().find(|s| s["Kind"] == kind).unwrap();
    stored["Path"].as_str().unwrap().to_string()
}

/// The model's answer is known voxel by voxel; so must be the SEG's, seen by other people's readers.
fn masks_lie_on_their_voxels_in_every_orientation(version: Version) {
    let channels = ["pre-contrast", "phase 1", "phase 2", "phase 3"];
    let (server, _models) = with_test_model(version, &channels, |_| {});
    for (seed, orientation) in
        [Orientation::Axial, Orientation::Coronal, Orientation::Sagittal, Orientation::Oblique].into_iter().enumerate()
    {
        let exam = breast_mri::study(&breast_mri::small(5100 + seed as u64, orientation), SeriesLayout::default());
        let files = breast_mri::files(&exam);
        let study = server.upload_study(&files);
        let run = analyse(&server, &study, ABOVE);
        let first = exam.exam.phases[0].mapv(f32::from);
        let (min, max) = first.iter().fold((f32::MAX, f32::MIN), |(min, max), &v| (min.min(v), max.max(v)));
        let expected = first.mapv(|v| u8::from((v - min) / (max - min) > 0.5));
        assert!(expected.iter().any(|v| *v != 0));
        check(&server, &run, &files, Some(&expected));
    }
}

fn one_series_may_hold_all_phases(version: Version) {
    let channels = ["pre-contrast", "phase 1", "phase 2", "phase 3"];
    let (server, _models) = with_test_model(version, &channels, |_| {});
    let layout = SeriesLayout { one_series: true, ..SeriesLayout::default() };
    let exam = breast_mri::study(&breast_mri::small(5002, Orientation::Axial), layout);
    let files = breast_mri::files(&exam);
    let study = server.upload_study(&files);
    let run = analyse(&server, &study, ABOVE);
    assert_eq!(run["Segmentation"]["Segments"][0]["Found"], true, "{run:#}");
    check(&server, &run, &files, None);
}

/// The third phase has larger pixels: its values are interpolated on the first one's grid, where the masks lie.
fn a_phase_of_another_grid_is_resampled_and_told(version: Version) {
    let channels = ["pre-contrast", "phase 1", "phase 2", "phase 3"];
    let (server, _models) = with_test_model(version, &channels, |manifest| {
        manifest["input"]["select"]["Volumes"]["mismatch"] = json!("resample");
    });
    let exam = breast_mri::study(&breast_mri::small(5006, Orientation::Oblique), SeriesLayout::default());
    let files = breast_mri::changed(
        &exam,
        |_, _| true,
        |phase, _, d| {
            if phase == 2 {
                put_text(d, tags::PIXEL_SPACING, VR::DS, "7\\6.5");
            }
        },
    );
    let study = server.upload_study(&files);
    let run = analyse(&server, &study, ABOVE);
    let told = "phase 2 was resampled onto the grid of pre-contrast";
    assert!(run["Warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains(told)), "{run:#}");
    let first = exam.exam.phases[0].mapv(f32::from);
    let (min, max) = first.iter().fold((f32::MAX, f32::MIN), |(min, max), &v| (min.min(v), max.max(v)));
    check(&server, &run, &files, Some(&first.mapv(|v| u8::from((v - min) / (max - min) > 0.5))));
    let seg = dicom_object::from_reader(std::io::Cursor::new(stored_file(&server, &run, "SEG"))).unwrap();
    let series = seg.element(tags::REFERENCED_SERIES_SEQUENCE).unwrap().items().unwrap().len();
    assert_eq!(series, 3, "the resampled phase is no source of the frames");
}

/// Windows one by one: enough of them to be cancelled in between.
fn a_run_is_cancelled_between_windows(version: Version) {
    let channels = ["pre-contrast", "phase 1", "phase 2", "phase 3"];
    let (server, _models) = with_test_model(version, &channels, |manifest| {
        manifest["inferer"]["SlidingWindowInferer"] =
            json!({"roi_size": [4, 8, 8], "overlap": 0.9, "mode": "constant", "sw_batch_size": 1});
    });
    let exam = breast_mri::study(&breast_mri::phantom(5004), SeriesLayout::default());
    let study = server.upload_study(&breast_mri::files(&exam));
    let before = server.count_instances();
    let started = server.post(&format!("/studies/{study}/ai"), &json!({"Model": ABOVE})).ok();
    let path = started["Path"].as_str().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    let wait = |done: &dyn Fn(&Value) -> bool| loop {
        let run = server.get(path).ok();
        if done(&run) || std::time::Instant::now() > deadline {
            return run;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    // Progress counts windows: it is seen between 10 % (prepared) and 95 % (all windows done).
    let running = wait(&|run| run["Stage"] == "infer" && run["Progress"].as_u64() > Some(10));
    assert!((11..95).contains(&running["Progress"].as_u64().unwrap()), "{running:#}");
    server.post(&format!("{path}/cancel"), &json!({})).ok();
    let cancelled = wait(&|run| run["Finished"].is_string());
    assert_eq!(cancelled["State"], "Cancelled", "{cancelled:#}");
    assert_eq!(server.count_instances(), before);
}

/// Real series: what comes out is not judged, where it lies is.
fn real_mr_series(version: Version) {
    let Some(folder) = shared("data/mr") else { return };
    let (server, _models) = with_test_model(version, &["volume"], |_| {});
    for prefix in ["qin_prostate_adc__", "nema_emf_T1post__"] {
        let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        paths.retain(|p| p.file_name().unwrap().to_string_lossy().starts_with(prefix));
        paths.sort();
        let files: Vec<Vec<u8>> = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
        let study = server.upload_study(&files);
        let run = analyse(&server, &study, ABOVE);
        let volume = read_series(&files, None, &[]).unwrap().remove(0);
        let (min, max) = volume.voxels.iter().fold((f32::MAX, f32::MIN), |(min, max), &v| (min.min(v), max.max(v)));
        let expected = volume.voxels.mapv(|v| u8::from((v - min) / (max - min) > 0.5));
        check(&server, &run, &files, Some(&expected));
    }
}
