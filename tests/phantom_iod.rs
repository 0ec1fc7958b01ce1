//! Phantom exams as another reader sees them: David Clunie's dciodvfy finds no error in the IOD.

use std::path::Path;
use std::process::Command;

use orthanc_ai::phantom::{
    BreastMriPhantom, BreastSlicePhantom, DermoscopyPhantom, DermoscopySopClass, ExamOptions, HeadCtLayout,
    HeadCtPhantom, Orientation, SeriesLayout, exam,
};

fn installed(test: &str) -> bool {
    let there = Command::new("dciodvfy").arg("-version").output().is_ok();
    if !there {
        eprintln!("SKIPPED {test}: dciodvfy is not installed (Debian: dicom3tools)");
    }
    there
}

#[track_caller]
fn no_error(path: &Path, iod: &str) {
    let output = Command::new("dciodvfy").arg("-new").arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(iod), "{text}");
    let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("Error")).collect();
    assert!(errors.is_empty(), "{iod}: {errors:#?}");
}

#[test]
fn mammograms() {
    if !installed("mammograms") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (bits_stored, inverted) in [(12, false), (16, true)] {
        let options = ExamOptions { size: (400, 300), spacing_mm: 0.6, bits_stored, inverted, ..Default::default() };
        for instance in exam(&options).unwrap() {
            no_error(&instance.write_to(folder.path()).unwrap(), "MammographyImageForPresentation");
        }
    }
}

#[test]
fn breast_mri() {
    if !installed("breast_mri") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (orientation, one_series) in [
        (Orientation::Axial, false),
        (Orientation::Coronal, true),
        (Orientation::Sagittal, false),
        (Orientation::Oblique, true),
    ] {
        let phantom =
            BreastMriPhantom { size: [40, 48, 48], spacing_mm: [4.0, 5.0, 5.0], orientation, ..Default::default() };
        let study = phantom.to_dicom(SeriesLayout { one_series, reversed: one_series }).unwrap();
        for instance in study.instances.iter().step_by(37) {
            no_error(&instance.write_to(folder.path()).unwrap(), "MRImage");
        }
    }
    let slice = BreastSlicePhantom { size: (64, 64), spacing_mm: 5.0, ..Default::default() }.to_dicom().unwrap();
    no_error(&slice.write_to(folder.path(), "slice").unwrap(), "MRImage");
}

#[test]
fn head_ct() {
    if !installed("head_ct") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for gantry_tilt_degrees in [0.0, -15.0] {
        let base = HeadCtPhantom { size: [5, 128, 128], spacing_mm: [20.0, 1.8, 1.8], ..Default::default() };
        let phantom = HeadCtPhantom { gantry_tilt_degrees, ..base };
        let layout = HeadCtLayout { localizer: true, bone: true, reversed: false };
        for instance in phantom.to_dicom(layout).unwrap().instances {
            no_error(&instance.write_to(folder.path()).unwrap(), "CTImage");
        }
    }
}

/// (dciodvfy does not know Supplement 221's Dermoscopic Photography yet.)
#[test]
fn dermoscopy() {
    if !installed("dermoscopy") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let phantom = DermoscopyPhantom { size: (90, 120), ..Default::default() };
    let instance = phantom.to_dicom(DermoscopySopClass::VlPhotographic).unwrap();
    no_error(&instance.write_to(folder.path(), "picture").unwrap(), "VLPhotographicImage");
}
