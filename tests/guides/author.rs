//! docs/model-author.md, followed step by step as it is printed, with modules of the test's own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use orthanc_ai::manifest::{Manifest, NetworkSpec};
use serde_json::Value;

use super::torch_script::script;
use super::{blocks, document, root};

/// The guide's manifests by name, as text.
fn manifests() -> Vec<(String, String)> {
    let is_manifest = |text: &String| text.contains("\"manifest_version\"");
    let name = |text: &str| serde_json::from_str::<Value>(text).unwrap()["name"].as_str().unwrap().to_owned();
    let found = blocks(&document("docs/model-author.md"), "json").into_iter().filter(is_manifest);
    found.map(|text| (name(&text), text)).collect()
}

#[test]
fn every_manifest_of_the_guide_is_valid() {
    let manifests = manifests();
    let names: Vec<&str> = manifests.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["my-classifier", "my-ct-classifier", "my-keras-classifier", "my-segmentation", "my-volume-segmentation"]
    );
    for (name, text) in &manifests {
        let manifest = Manifest::from_json(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!manifest.demo && manifest.weights.sha256.is_none(), "{name}");
    }
}

/// Pieces of a manifest in JSON that stand in tables and in sentences are steps.
#[test]
fn every_step_of_the_table_is_one() {
    let guide = document("docs/model-author.md");
    let steps: Vec<&str> = guide.split('`').filter(|t| t.starts_with("{\"") && t.contains(": {")).collect();
    let mut read = 0;
    for step in steps {
        let Ok(step) = serde_json::from_str::<Value>(&step.replace("mean", "[0.5]").replace("std", "[0.5]")) else {
            continue;
        };
        let spec: Result<orthanc_ai::manifest::TransformSpec, _> = serde_json::from_value(step.clone());
        assert!(spec.is_ok(), "{step}: {}", spec.unwrap_err());
        read += 1;
    }
    assert!(read >= 10, "{read}");
}

fn module(name: &str) -> Option<Vec<u8>> {
    Some(match name {
        // One logit an image.
        "my-classifier" => script(&["return torch.slice(torch.mean(x, [2, 3]), 1, 0, 1)"]),
        // What is bright.
        "my-segmentation" => script(&["return torch.mul(torch.sub(x, 0.6), 20.)"]),
        // What becomes brighter.
        "my-volume-segmentation" => script(&[
            "gain = torch.sub(torch.slice(x, 1, 1, 2), torch.slice(x, 1, 0, 1))",
            "return torch.mul(torch.sub(gain, 0.15), 20.)",
        ]),
        _ => return None,
    })
}

/// What a command of the guide works with: the models that need a checkpoint of hundreds of MB are left out.
fn is_followed(command: &str) -> bool {
    let needs_checkpoint = ["import ", "my-ct-", "my-keras-", "phantom head-ct"];
    command.starts_with("orthanc-ai ") && !needs_checkpoint.iter().any(|part| command.contains(part))
}

/// Where the guide was followed, and (command, standard output) of each of its commands.
pub struct Followed {
    pub folder: tempfile::TempDir,
    done: Vec<(String, String)>,
}

/// The guide is followed once, for all tests.
pub fn followed() -> &'static Followed {
    static FOLLOWED: OnceLock<Followed> = OnceLock::new();
    FOLLOWED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let done = follow(folder.path());
        Followed { folder, done }
    })
}

/// Runs the tool in `folder`; its standard output.
pub fn tool(folder: &Path, models: &Path, command: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_orthanc-ai"))
        .args(command.split_whitespace().skip(1))
        .current_dir(folder)
        .env("ORTHANC_AI_MODELS", models)
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn follow(folder: &Path) -> Vec<(String, String)> {
    let models = folder.join("my-models");
    for (name, text) in manifests() {
        let (Some(module), model) = (module(&name), models.join(&name)) else { continue };
        let NetworkSpec::TorchScript(_) = Manifest::from_json(&text).unwrap().network else { panic!("{name}") };
        fs::create_dir_all(&model).unwrap();
        fs::write(model.join("manifest.json"), text).unwrap();
        fs::write(model.join("model.pt"), module).unwrap();
    }
    let commands = blocks(&document("docs/model-author.md"), "sh").concat();
    let commands = commands.lines().filter(|line| is_followed(line));
    commands.map(|command| (command.to_owned(), tool(folder, &models, command))).collect()
}

#[test]
fn the_guide_can_be_followed() {
    let Followed { folder, done } = followed();
    let said = |command: &str| {
        let found: Vec<&str> = done.iter().filter(|(c, _)| c.contains(command)).map(|(_, out)| out.as_str()).collect();
        assert!(!found.is_empty(), "the guide has no {command}");
        found
    };
    let checks = said("check my-classifier");
    assert!(checks[0].starts_with("my-classifier: ready; version 1.0.0, weights SHA-256 "), "{}", checks[0]);
    assert!(checks[1].contains("version 1.0.0+thresholds."), "{}", checks[1]);
    assert!(said("inspect cases")[0].contains("would run on Image 1"));
    assert!(said("evaluate my-classifier")[0].contains("12 cases evaluated, 0 failed"));
    assert!(said("run my-classifier")[0].contains("SR out/"));
    let images = said("run my-segmentation")[0];
    assert!(images.contains("Tumour: ") && images.contains("SEG out/") && images.contains("SR out/"), "{images}");
    let volume = said("run my-volume-segmentation")[0];
    assert!(volume.contains("volume   Tumour: ") && volume.contains(" ml, long axis"), "{volume}");
    assert!(["SEG out/", "SR out/", "M3D out/"].iter().all(|object| volume.contains(object)), "{volume}");
    assert!(folder.path().join("report/evaluation.html").is_file());
}

/// Links to files of the repository lead somewhere.
#[test]
fn links_lead_somewhere() {
    for path in ["README.md", "docs/administrator.md", "docs/model-author.md", "docs/dicom-conformance.md"] {
        let text = document(path);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|t| !t.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file =
                root().join(path).parent().unwrap().join(if file.is_empty() { root().join(path) } else { file.into() });
            assert!(file.exists(), "{path}: {target}");
            let headings = || fs::read_to_string(&file).unwrap();
            assert!(anchor.is_empty() || headings().lines().any(|l| is_heading(l, anchor)), "{path}: {target}");
        }
    }
}

/// As the hosts of repositories make anchors of headings.
fn is_heading(line: &str, anchor: &str) -> bool {
    let Some(heading) = line.strip_prefix('#') else { return false };
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>() == anchor
}
