//! Phantom exams as another reader sees them: David Clunie's dciodvfy finds no error in the IOD.

use std::path::Path;
use std::process::Command;

use orthanc_ai::phantom::{BreastMriPhantom, ExamOptions, Orientation, SeriesLayout, exam};

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
}
