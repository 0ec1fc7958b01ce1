//! The command-line tool as a person uses it: phantom, inspect, check, run, and run again.

#[path = "support/ct_series.rs"]
mod ct_series;
#[allow(dead_code)]
#[path = "support/shared_data.rs"]
mod shared_data;

use std::path::Path;
use std::process::{Command, Output};

use ct_series::CtSeries;

const DEMO: &str = "mammography-4view-demo";

fn tool(args: &[&str]) -> Output {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    Command::new(env!("CARGO_BIN_EXE_orthanc-ai")).args(args).env("ORTHANC_AI_MODELS", models).output().unwrap()
}

#[track_caller]
fn ok(args: &[&str]) -> String {
    let output = tool(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(args: &[&str]) -> String {
    let output = tool(args);
    assert!(!output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_folder_is_inspected_and_analysed_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let (exam, out) = (folder.path().join("exam"), folder.path().join("out"));
    let (exam, out) = (exam.to_str().unwrap(), out.to_str().unwrap());
    let size = ["--rows", "832", "--columns", "640", "--spacing-mm", "0.28"];
    ok(&[&["phantom", "mammography", "--out", exam], &size[..]].concat());

    let text = ok(&["inspect", exam]);
    assert!(text.contains("1 studies") && text.contains("would run on L-CC, R-CC, L-MLO, R-MLO"), "{text}");

    let first = ok(&["run", DEMO, exam, "-o", out]);
    assert!(first.contains("R-MLO") && first.contains("research use only"), "{first}");
    assert!(!first.contains("PHANTOM"), "a patient's name or id is on the screen: {first}");
    let again = ok(&["run", DEMO, exam, "-o", out]);
    assert!(again.contains("was there already"), "{again}");
    let files = || std::fs::read_dir(out).unwrap().count();
    assert_eq!(files(), 1);
    ok(&["run", DEMO, exam, "-o", out, "--force"]);
    assert_eq!(files(), 2);

    std::fs::remove_file(Path::new(exam).join("L-CC.dcm")).unwrap();
    let error = refused(&["run", DEMO, exam, "-o", out]);
    assert!(error.contains("4 images are needed (L-CC, R-CC, L-MLO, R-MLO), found 3"), "{error}");
    assert!(ok(&["inspect", exam]).contains("would not run"));
}

/// `orthanc-ai schema | head -1`: no panic, no trace.
#[test]
fn a_reader_that_has_seen_enough_is_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_orthanc-ai"))
        .arg("schema")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Longer than a pipe holds, so that the tool is still writing, or begins to.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    for args in [&["inspect", "no-such-folder"][..], &["run", DEMO, "no-such-folder", "-o", "out"]] {
        let error = refused(args);
        assert!(error.contains("no-such-folder: the folder cannot be listed"), "{error}");
    }
}

#[test]
fn models_are_checked() {
    let text = ok(&["check"]);
    assert!(text.contains(&format!("{DEMO}: ready")), "{text}");
    assert!(text.contains("mammography-4view: no weights: put the file mammography-4view/weights.pth"), "{text}");
    refused(&["check", "mammography-4view"]);
    let output = tool(&["check", "nothing"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("unknown model \"nothing\""));
}

#[test]
fn a_checkpoint_is_imported_and_its_manifest_printed() {
    let folder = tempfile::tempdir().unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(DEMO);
    let (weights, out) = (model.join("weights.safetensors"), folder.path().join("model.safetensors"));
    let (weights, out) = (weights.to_str().unwrap(), out.to_str().unwrap());
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let part = json(&ok(&["import", weights, "--out", out]));
    let manifest = json(&std::fs::read_to_string(model.join("manifest.json")).unwrap());
    assert_eq!(part["network"], manifest["network"]);
    assert_eq!(part["weights"]["file"], "model.safetensors");
    assert_eq!(part["weights"]["format"], "safetensors");
    assert_eq!(part["weights"]["sha256"].as_str().unwrap().len(), 64);
    let error = refused(&["import", weights, "--out", out]);
    assert!(error.contains("is there already"), "{error}");
    let manifest = model.join("manifest.json");
    let other = folder.path().join("other.safetensors");
    let error = refused(&["import", manifest.to_str().unwrap(), "--out", other.to_str().unwrap()]);
    assert!(error.contains("manifest.json: ") && !other.exists(), "{error}");
}

#[test]
fn rules_of_a_configuration_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let exam = folder.path().join("exam");
    let exam = exam.to_str().unwrap();
    ok(&["phantom", "mammography", "--out", exam, "--rows", "832", "--columns", "640", "--spacing-mm", "0.28"]);
    let config = folder.path().join("orthanc.json");
    let text = format!(
        r#"{{
  // Orthanc allows comments.
  "Name": "http://x", /* and these,
  over lines */
  "Ai": {{ "Rules": [
    {{ "Name": "all", "Model": "{DEMO}" }},
    {{ "Name": "ct", "Model": "{DEMO}", "Where": [ {{ "keyword": "Modality", "equals": "CT" }} ] }},
    {{ "Name": "from MG1", "Model": "{DEMO}", "RemoteAet": ["MG1"] }},
    {{ "Name": "gone", "Model": "no-such-model" }}
  ] }}
}}"#
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let text = ok(&["inspect", exam, "--config", config]);
    for expected in [
        format!("rule \"all\" ({DEMO}, StableStudy) applies: 4 images fit"),
        "found 0 instances that fulfil the rule, expected 1 or more; not fulfilled: Modality = CT".into(),
        "rule \"from MG1\"".into(),
        "does not apply: RemoteAet in [MG1] expected, found no DICOM sender".into(),
        "does not apply: unknown model \"no-such-model\"".into(),
    ] {
        assert!(text.contains(&expected), "{expected}:\n{text}");
    }
    let text = ok(&["inspect", exam, "--config", config, "--remote-aet", "MG1"]);
    assert!(text.contains(&format!("rule \"from MG1\" ({DEMO}, StableStudy) applies")), "{text}");
    std::fs::write(config, "{\n\n  // one\n  \"Ai\": {\"Rules\": 3}}").unwrap();
    assert!(refused(&["inspect", exam, "--config", config]).contains("Ai.Rules"));
    std::fs::write(config, "{\n\n  // one\n  \"Ai\": }").unwrap();
    assert!(refused(&["inspect", exam, "--config", config]).contains("line 4"));
}

const HEADS: &str = "head-slices";

/// A folder with the model of a series' slices.
fn heads() -> tempfile::TempDir {
    let models = tempfile::tempdir().unwrap();
    ct_series::write_model(models.path(), HEADS, |_| ());
    models
}

#[test]
fn the_slices_of_a_series_get_one_answer() {
    let (folder, models) = (tempfile::tempdir().unwrap(), heads());
    let models = ["--models-directory", models.path().to_str().unwrap()];
    let bone = CtSeries { kernel: "Hr68s\\3", ..CtSeries::new(4, 30) };
    let scout = CtSeries { image_type: "ORIGINAL\\PRIMARY\\LOCALIZER", ..CtSeries::new(1, 2) };
    let exam = folder.path().join("exam");
    std::fs::create_dir(&exam).unwrap();
    for (n, file) in [scout.files(), bone.files(), CtSeries::new(3, 20).files()].concat().iter().enumerate() {
        std::fs::write(exam.join(format!("{n:04}.dcm")), file).unwrap();
    }
    let (exam, out) = (exam.to_str().unwrap(), folder.path().join("out"));
    let text = ok(&[&["inspect", exam], &models[..]].concat());
    assert!(text.contains("would run on Slice 1 to Slice 20 (20 images)"), "{text}");
    let text = ok(&[&["run", HEADS, exam, "-o", out.to_str().unwrap()], &models[..]].concat());
    assert!(text.contains("of the 3 images that speak most for a finding; 20 of 20 analysed; carried by:"), "{text}");
    assert_eq!(text.lines().filter(|l| l.trim_start().starts_with("Slice ")).count(), 3, "{text}");
    assert!(text.contains("warning: 1 other series of the study left out") && !text.contains("PHANTOM"), "{text}");
}

/// Other people's head CT: a tilted gantry with slices of two thicknesses, one series of four slices at one place, single slices. No two series
/// of it are of one study.
#[test]
fn real_heads_are_analysed_or_refused_in_words() {
    let Some(folder) = shared_data::folder("ct_head") else { return };
    let (models, out) = (heads(), tempfile::tempdir().unwrap());
    let models = ["--models-directory", models.path().to_str().unwrap()];
    let text = ok(&[&["inspect", folder.to_str().unwrap()], &models[..]].concat());
    assert!(text.contains("would run on Slice 1 to Slice 28 (28 images)"), "the tilted series: {text}");
    assert!(text.contains("would run on Slice 1, Slice 2, Slice 3, Slice 4, Slice 5, Slice 6"), "{text}");
    let verdicts = text.lines().filter(|l| l.contains(HEADS)).count();
    assert_eq!(verdicts, text.matches("study ").count(), "{text}");
    let output =
        tool(&[&["run", HEADS, folder.to_str().unwrap(), "-o", out.path().to_str().unwrap()], &models[..]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    // One study has a file without pixels: it fails in words, and the others have their results.
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("Slice 1: PixelData is missing"), "{error}");
    assert!(text.contains("28 of 28 analysed; carried by:"), "{text}");
    assert!(text.contains("3 slices lie at the place of another one"), "{text}");
}
