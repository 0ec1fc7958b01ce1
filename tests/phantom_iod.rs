//! Phantom exams as another reader sees them: David Clunie's dciodvfy finds no error in the IOD.

use std::process::Command;

use orthanc_ai::phantom::{ExamOptions, exam};

#[test]
fn dciodvfy_finds_no_error() {
    if Command::new("dciodvfy").arg("-version").output().is_err() {
        eprintln!("SKIPPED dciodvfy_finds_no_error: dciodvfy is not installed (Debian: dicom3tools)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (bits_stored, inverted) in [(12, false), (16, true)] {
        let options = ExamOptions { size: (400, 300), spacing_mm: 0.6, bits_stored, inverted, ..Default::default() };
        for instance in exam(&options).unwrap() {
            let path = instance.write_to(folder.path()).unwrap();
            let output = Command::new("dciodvfy").arg("-new").arg(&path).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(text.contains("MammographyImageForPresentation"), "{text}");
            let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("Error")).collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", instance.view_name());
        }
    }
}
