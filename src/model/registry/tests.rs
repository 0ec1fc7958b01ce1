use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use tch::nn::VarStore;

use super::*;
use crate::manifest::network::ResNet50Spec;
use crate::model::nets::resnet50::TrainableResNet50;

/// The shipped manifest, made small: width 4, 64 × 64 pixels.
fn small_manifest(name: &str) -> Value {
    let shipped = include_str!("../../../models/mammography-4view-demo/manifest.json");
    let mut json: Value = serde_json::from_str(shipped).unwrap();
    json["name"] = name.into();
    json["network"]["ResNet50"]["width"] = 4.into();
    for step in json["preprocessing"].as_array_mut().unwrap() {
        if step.get("Resize").is_some() {
            step["Resize"]["spatial_size"] = json!([64, 64]);
        }
    }
    json["weights"].as_object_mut().unwrap().remove("sha256");
    json
}

fn save_weights(file: &Path, classes: usize, spoil: f64) {
    let vs = VarStore::new(tch::Device::Cpu);
    let spec = ResNet50Spec::torchvision(3, classes, 4);
    let _network = TrainableResNet50::new(&vs.root(), &spec).unwrap();
    let bias = vs.variables().remove("fc.bias").unwrap();
    let _ = tch::no_grad(|| bias.shallow_clone().fill_(spoil));
    vs.save(file).unwrap();
}

struct Models(tempfile::TempDir);

impl Models {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn add(&self, folder: &str, manifest: &str) -> PathBuf {
        let folder = self.0.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("manifest.json"), manifest).unwrap();
        folder.join("weights.safetensors")
    }

    /// Adds a model under its own name.
    fn add_json(&self, manifest: &Value) -> PathBuf {
        self.add(manifest["name"].as_str().unwrap(), &manifest.to_string())
    }

    fn scan(&self) -> ModelRegistry {
        ModelRegistry::scan(self.0.path()).unwrap()
    }
}

#[test]
fn every_model_has_its_own_fate() {
    let models = Models::new();
    let good = models.add_json(&small_manifest("good"));
    save_weights(&good, 4, 0.0);
    models.add_json(&small_manifest("weightless"));
    models.add("syntax", "{ \"name\": ");
    models.add("renamed", &small_manifest("good").to_string());
    save_weights(&models.add_json(&small_manifest("misfit")), 3, 0.0);
    save_weights(&models.add_json(&small_manifest("not-a-number")), 4, f64::NAN);
    std::fs::write(models.add_json(&small_manifest("corrupt")), b"PK\x03\x04").unwrap();
    let mut hashed = small_manifest("hashed");
    hashed["weights"]["sha256"] = "0".repeat(64).into();
    save_weights(&models.add_json(&hashed), 4, 0.0);
    // Neither a file nor a folder without a manifest is a model.
    std::fs::write(models.0.path().join("schema.json"), "{}").unwrap();
    std::fs::create_dir(models.0.path().join("empty")).unwrap();

    let registry = models.scan();
    let state = |name: &str| registry.get(name).unwrap().state;
    assert_eq!(state("good"), ModelState::Loading);
    assert_eq!(state("weightless"), ModelState::NoWeights);
    assert_eq!(registry.list().len(), 8);

    let mut loaded = registry.load(Device::cpu(), &AtomicBool::new(false));
    assert_eq!(loaded.names().collect::<Vec<_>>(), ["good"]);
    for (name, expected_state, expected) in [
        ("weightless", ModelState::NoWeights, "put the file weightless/weights.safetensors into the models folder"),
        ("syntax", ModelState::Failed, "syntax/manifest.json: at "),
        ("renamed", ModelState::Failed, "at name: found \"good\", expected the folder's name \"renamed\""),
        (
            "misfit",
            ModelState::Failed,
            "misfit/weights.safetensors: keys do not fit the network: 2 mis-shaped: fc.weight",
        ),
        ("not-a-number", ModelState::Failed, "NaN in a dry run"),
        ("corrupt", ModelState::Failed, "corrupt/weights.safetensors: safetensors: truncated"),
        ("hashed", ModelState::Failed, "the manifest expects 0000"),
    ] {
        let info = registry.get(name).unwrap();
        assert_eq!(info.state, expected_state, "{name}: {:?}", info.reason);
        let reason = info.reason.unwrap();
        assert!(reason.contains(expected), "{name}: {reason}");
        let path = models.0.path().to_str().unwrap();
        assert!(!reason.contains(path), "{name}: an absolute path in \"{reason}\"");
    }

    let info = registry.get("good").unwrap();
    assert_eq!((info.state, &info.reason), (ModelState::Ready, &None));
    assert_eq!(info.weights_sha256.unwrap(), weights::sha256(&good).unwrap());
    assert!(info.load_seconds.unwrap() > 0.0);
    let model = loaded.get_mut("good").unwrap();
    let input = ArrayD::zeros(vec![2, 3, 64, 64]);
    let logits = model.network.forward(input.view()).unwrap().global().unwrap();
    assert_eq!(logits.dim(), (2, 4));
}

#[test]
fn networks_move_to_the_thread_that_runs_them() {
    let models = Models::new();
    save_weights(&models.add_json(&small_manifest("good")), 4, 0.0);
    let registry = models.scan();
    let loaded = {
        let registry = registry.clone();
        std::thread::spawn(move || registry.load(Device::cpu(), &AtomicBool::new(false))).join().unwrap()
    };
    let names = std::thread::spawn(move || loaded.names().map(str::to_owned).collect::<Vec<_>>()).join().unwrap();
    assert_eq!(names, ["good"]);
    assert_eq!(registry.get("good").unwrap().state, ModelState::Ready);
}

#[test]
fn a_panic_is_one_models_failure() {
    let outcome: Result<(), ModelError> = guarded(|| panic!("in the\nmiddle of it"));
    let error = outcome.err().unwrap().to_string();
    assert_eq!(error, "panic while loading: in the");
}

#[test]
fn info_is_pascal_case() {
    let models = Models::new();
    models.add_json(&small_manifest("weightless"));
    let json = serde_json::to_value(models.scan().list()).unwrap();
    let info = &json[0];
    for (key, expected) in [("Name", "weightless"), ("State", "NoWeights"), ("Version", "1.1.0")] {
        assert_eq!(info[key], expected, "{key}");
    }
    assert_eq!(info["Demo"], true);
    assert_eq!(info["Classes"].as_array().unwrap().len(), 4);
    assert!(info["Classes"][0]["Color"].as_str().unwrap().starts_with('#'));
    assert!(info["Reason"].is_string() && info["WeightsSha256"].is_null());
    assert!(info["WeightsFile"].as_str().unwrap().starts_with("weightless/"));
}

#[test]
fn a_missing_models_folder_is_an_error() {
    let models = Models::new();
    assert!(ModelRegistry::scan(&models.0.path().join("nowhere")).is_err());
}

#[test]
fn an_ensemble_is_one_model_of_several_files() {
    let models = Models::new();
    let mut json = small_manifest("ensemble");
    json["test_time_augmentation"] = json!({ "transforms": [{ "Flip": { "spatial_axis": [1] } }] });
    json["ensemble"] = json!({
        "weight": 2.0,
        "members": [{ "weights": { "file": "second.safetensors", "format": "safetensors" } }],
    });
    let first = models.add_json(&json);
    let second = first.with_file_name("second.safetensors");
    save_weights(&first, 4, 0.0);
    // One member that is not there is named.
    let info = models.scan().get("ensemble").unwrap();
    assert_eq!(info.state, ModelState::NoWeights);
    assert!(info.reason.unwrap().contains("ensemble/second.safetensors"));
    // Nor does one that does not fit pass for the other.
    save_weights(&second, 3, 0.0);
    let registry = models.scan();
    assert!(registry.load_model("ensemble", Device::cpu()).is_none());
    let reason = registry.get("ensemble").unwrap().reason.unwrap();
    assert!(reason.starts_with("ensemble/second.safetensors: keys do not fit the network"), "{reason}");

    save_weights(&second, 4, 1.0);
    let registry = models.scan();
    let mut model = registry.load_model("ensemble", Device::cpu()).unwrap();
    let hashes = [&first, &second].map(|file| weights::sha256(file).unwrap());
    assert_eq!(model.weights_sha256, weights::sha256_of(hashes.concat().as_bytes()));
    assert_eq!(models.scan().weights_sha256("ensemble").unwrap(), model.weights_sha256);
    let input =
        ArrayD::from_shape_fn(vec![1, 3, 64, 64], |i| ((i[1] + 3 * i[2] + i[3] * i[2]) % 13) as f32 / 6.5 - 1.0);
    let (logits, spread) = model.network.forward_with_spread(input.view()).unwrap();
    let found = crate::predict::activate::softmax(logits.global().unwrap().as_slice().unwrap());
    // Each network by itself, on the image and its mirror image.
    let mut mirrored = input.clone();
    mirrored.invert_axis(ndarray::Axis(3));
    let mut expected = [0.0; 4];
    for (file, weight) in [(&first, 2.0), (&second, 1.0)] {
        let spec = &model.manifest.network;
        let format = crate::manifest::WeightsFormat::Safetensors;
        let mut network = crate::model::network::load(spec, file, format, Device::cpu()).unwrap();
        let mut turned = [0.0; 4];
        for image in [&input, &mirrored] {
            let logits = network.forward(image.view()).unwrap().global().unwrap();
            let p = crate::predict::activate::softmax(logits.as_slice().unwrap());
            turned.iter_mut().zip(p).for_each(|(sum, p)| *sum += p / 2.0);
        }
        expected.iter_mut().zip(turned).for_each(|(sum, p)| *sum += p * weight / 3.0);
    }
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    assert!(spread.unwrap().iter().any(|s| *s > 1e-4));
}

#[test]
fn thresholds_of_the_sites_own_are_for_the_weights_they_were_chosen_with() {
    let models = Models::new();
    let mut json = small_manifest("ensemble");
    json["ensemble"] = json!({ "members": [{ "weights": { "file": "second.safetensors", "format": "safetensors" } }] });
    let first = models.add_json(&small_manifest("single"));
    save_weights(&first, 4, 0.0);
    let hash = weights::sha256(&first).unwrap();
    // The manifest names the first file's hash; the override that of both.
    json["weights"]["sha256"] = hash.clone().into();
    let of_both = models.add_json(&json);
    std::fs::copy(&first, &of_both).unwrap();
    std::fs::copy(&first, of_both.with_file_name("second.safetensors")).unwrap();
    let both = weights::sha256_of([hash.clone(), hash.clone()].concat().as_bytes());
    for (name, file, right) in [("single", &first, &hash), ("ensemble", &of_both, &both)] {
        let with = |hash: &str| {
            let text = json!({
                "override_version": 1, "model": name, "version": "1.1.0", "weights_sha256": hash,
                "thresholds": {"Mass": {"present": 0.4, "absent": 0.3}},
                "evaluation": {"created": "2026-01-02T03:04:05Z", "rule": "", "cases": 1}
            });
            std::fs::write(file.with_file_name(OVERRIDE_FILE), text.to_string()).unwrap();
            models.scan()
        };
        let registry = with(right);
        let model = registry.load_model(name, Device::cpu()).unwrap();
        assert_eq!(model.manifest.classes()[0].thresholds, Thresholds { present: 0.4, absent: 0.3 });
        let info = registry.get(name).unwrap();
        assert!(info.r#override.is_some() && info.version.starts_with("1.1.0+thresholds."));
        assert_eq!(info.classes[0].thresholds, Some(Thresholds { present: 0.4, absent: 0.3 }));

        let wrong = "1".repeat(64);
        let expected = format!("{name}/weights.safetensors: SHA-256 is {right}, override.json is for {wrong}");
        let registry = with(&wrong);
        assert!(registry.load_model(name, Device::cpu()).is_none());
        assert!(registry.get(name).unwrap().reason.unwrap().starts_with(&expected));
        // Also on a node that runs no networks.
        let registry = with(&wrong);
        registry.identify(&AtomicBool::new(false));
        let info = registry.get(name).unwrap();
        assert_eq!(info.state, ModelState::Failed);
        assert!(info.reason.unwrap().starts_with(&expected));
    }
}
