//! Keras's ResNet50 with its heads on the golden fixtures, through a file of Keras's own layout and `import`; and the checkpoint samples
//! that Keras itself wrote.

mod golden;

use std::collections::BTreeMap;
use std::path::Path;

use golden::network::{check_tap, close, entries, input, shape};
use golden::{Golden, crc32, tensor};
use hdf5_writer::{DatasetBuilder, Hdf5Builder, WriteOptions};
use ndarray::{Array2, Axis};
use orthanc_ai::manifest::NetworkSpec;
use orthanc_ai::manifest::network::ResNet50Spec;
use orthanc_ai::model::import::import;
use orthanc_ai::model::nets::resnet50::ResNet50;
use orthanc_ai::model::weights::keras;
use orthanc_ai::model::{CamScore, CamTarget, Device, Network};
use serde_json::Value;

/// Tolerances of the fixture folder's README, section 5.
const PROBABILITY: (f64, f64) = (1e-5, 1e-5);
const LOGIT: (f64, f64) = (5e-5, 5e-5);
const FEATURES: (f64, f64) = (1e-4, 1e-4);
/// Relative to the largest value.
const GRAD_CAM: f64 = 1e-4;

#[test]
fn keras_e() {
    check("keras_e", |layer, weight| format!("model_weights/{layer}/{layer}/{weight}"));
}

#[test]
fn keras_f() {
    // The other layout, as Keras 2 writes it: numbers in the order of the layers, and no names.
    let mut counts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    check("keras_f", |layer, weight| {
        let kind = ["conv", "bn"].into_iter().find(|kind| layer.ends_with(&format!("_{kind}"))).unwrap_or("dense");
        let layers = counts.entry(kind).or_default();
        let place = layers.iter().position(|l| l == layer).unwrap_or_else(|| {
            layers.push(layer.to_owned());
            layers.len() - 1
        });
        let kind = match kind {
            "conv" => "conv2d",
            "bn" => "batch_normalization",
            other => other,
        };
        let suffix = if place == 0 { String::new() } else { format!("_{place}") };
        let numbers = ["kernel/bias", "gamma/beta/moving_mean/moving_variance"];
        let number = numbers.iter().find_map(|order| order.split('/').position(|name| name == weight)).unwrap();
        format!("layers/{kind}{suffix}/vars/{number}")
    });
}

/// Writes the contract's weights as Keras would, checked against the contract's checksums.
fn write(contract: &Value, file: &Path, mut path: impl FnMut(&str, &str) -> String) {
    let stream = contract["stream"].as_str().unwrap();
    let mut builder = Hdf5Builder::new();
    for (key, shape, entry) in entries(contract) {
        let number = |name: &str| entry[name].as_f64().unwrap();
        let values = tensor(&stream.replace("<key>", key), shape.iter().product(), number("center"), number("amp"));
        let crc = format!("{:08x}", crc32(values.iter().map(|v| v.to_le_bytes())));
        assert_eq!(crc, entry["crc32"].as_str().unwrap(), "{key}: the generated weights differ");
        let (layer, weight) = key.split_once('/').unwrap();
        let shape: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
        builder = builder.dataset(DatasetBuilder::typed_data(path(layer, weight), shape, &values).unwrap());
    }
    std::fs::write(file, builder.into_plan().unwrap().encode(WriteOptions::default()).unwrap()).unwrap();
}

fn check(net: &str, path: impl FnMut(&str, &str) -> String) {
    let Some(golden) = Golden::open() else { return };
    let contract = golden.contract(net);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.h5");
    write(&contract, &file, path);
    let imported = import(&file).unwrap();
    // The head's widths are the contract's: the outputs of its dense layers, in their order.
    let dense = entries(&contract).filter(|(key, ..)| key.starts_with("dense") && key.ends_with("/kernel"));
    let mut widths: Vec<usize> = dense.map(|(_, shape, _)| shape[1]).collect();
    let classes = widths.pop().unwrap();
    let stem = shape(&contract, "conv1_conv/kernel");
    let spec = ResNet50Spec::keras(stem[2], classes, stem[3], widths.clone());
    assert_eq!(imported.network, NetworkSpec::ResNet50(spec.clone()));
    let mut network = ResNet50::from_state_dict(&spec, imported.state_dict, Device::cpu()).unwrap();

    let fixture = golden.fixture(net);
    for case in golden.cases(&format!("/{net}/cases")) {
        let (id, input) = input(&golden, &fixture, net, "input", case);
        let crc = crc32(input.iter().map(|v| v.to_le_bytes()));
        assert_eq!(crc, fixture.crc32(&format!("{id}.input_nchw.crc32")), "{id}: the generated input differs");
        let got = network.activations(input.view()).unwrap();
        assert_eq!(got.taps.len(), 17);
        for (name, activation) in got.taps {
            let theirs = keras_tap(&name);
            check_tap(
                &fixture,
                &format!("{id}.tap_nhwc.{theirs}"),
                &activation.permuted_axes([0, 2, 3, 1]).as_standard_layout().to_owned().into_dyn(),
            );
        }
        let flat = |array: &Array2<f32>| array.iter().copied().collect::<Vec<f32>>();
        let pooled = fixture.f64s(&format!("{id}.global_average_pooling2d"));
        let features = close(&flat(&got.features), &pooled, FEATURES, &id);
        for (i, hidden) in got.hidden.iter().enumerate() {
            let name = if i == 0 { "dense".to_owned() } else { format!("dense_{i}") };
            close(&flat(hidden), &fixture.f64s(&format!("{id}.{name}")), FEATURES, &name);
        }
        assert_eq!(got.hidden.len(), widths.len());
        let logits = network.forward(input.view()).unwrap().global().unwrap();
        let logit = close(&flat(&logits), &fixture.f64s(&format!("{id}.logit_from_prob")), LOGIT, &id);
        let mut probabilities = logits.clone();
        orthanc_ai::predict::activate::sigmoid(&mut probabilities);
        let last = if widths.is_empty() { "dense".to_owned() } else { format!("dense_{}", widths.len()) };
        let probability = close(&flat(&probabilities), &fixture.f64s(&format!("{id}.{last}")), PROBABILITY, &id);
        eprintln!(
            "{id}: features within {:.1e}, logits {:.1e}, probabilities {:.1e}",
            features.0, logit.0, probability.0
        );
        if case["gradcam"] == true {
            let target = CamTarget { output: Some(0), score: CamScore::Sigmoid };
            let explained = network.explain(input.view(), target).unwrap();
            assert_eq!(explained.logits, logits);
            for (i, heat_map) in explained.heat_maps().iter().enumerate() {
                let key = |what: &str| format!("{id}.gradcam.{i}.{what}");
                let relative = |found: Vec<f32>, what: &str| {
                    let expected = fixture.f64s(&key(what));
                    let max = expected.iter().fold(0f64, |m, v| m.max(v.abs()));
                    close(&found, &expected, (GRAD_CAM * max, GRAD_CAM * max), &key(what)).0 / max
                };
                let raw = explained.activation_maps.index_axis(Axis(0), i).iter().copied().collect();
                let alpha = relative(explained.channel_weights.row(i).to_vec(), "alpha");
                let raw = relative(raw, "raw");
                let norm = relative(heat_map.values().iter().copied().collect(), "norm");
                let (rows, columns) = (input.shape()[2], input.shape()[3]);
                let up = heat_map.resize(rows, columns);
                let up = up.values().slice(ndarray::s![..;4, ..;4]).iter().copied().collect();
                let up = relative(up, "up_s4");
                eprintln!(
                    "{id} {i}: Grad-CAM alpha within {alpha:.1e}, raw {raw:.1e}, norm {norm:.1e}, resized {up:.1e}"
                );
            }
        }
    }
}

/// Keras's name of the activation that we call "stem" or "layer2.0".
fn keras_tap(name: &str) -> String {
    let Some((layer, block)) = name.strip_prefix("layer").and_then(|rest| rest.split_once('.')) else {
        return "pool1_pool".into();
    };
    let number = |text: &str| text.parse::<usize>().unwrap() + 1;
    format!("conv{}_block{}_out", number(layer), number(block))
}

#[test]
fn files_of_keras_itself() {
    let Some(golden) = Golden::open() else { return };
    let seed = golden.seed("ckpt_keras");
    for file in ["keras2_tiny_legacy.h5", "keras3_tiny_legacy.h5", "keras3_tiny.weights.h5", "keras3_tiny.keras"] {
        let path = golden.root.join("ckpt_samples").join(file);
        let found = keras::read(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
        let mut names: Vec<String> = found.variables.iter().map(keras::Variable::path).collect();
        names.sort();
        let expected = [
            "conv1_bn/beta",
            "conv1_bn/gamma",
            "conv1_bn/moving_mean",
            "conv1_bn/moving_variance",
            "conv1_conv/bias",
            "conv1_conv/kernel",
            "dense/bias",
            "dense/kernel",
        ];
        assert_eq!(names, expected, "{file}");
        assert_eq!(found.config.is_some(), !file.ends_with(".weights.h5"), "{file}: the model's description");
        for variable in found.variables {
            let fan_in: usize = variable.values.shape().iter().rev().skip(1).product();
            let (center, amp) = match (variable.weight.as_str(), variable.values.ndim()) {
                ("kernel", 4) => (0.0, (6.0 / fan_in as f64).sqrt()),
                ("kernel", _) => (0.0, (3.0 / fan_in as f64).sqrt()),
                ("gamma", _) => (1.0, 0.2),
                ("moving_variance", _) => (1.0, 0.25),
                _ => (0.0, 0.1),
            };
            let stream = format!("{seed}:ckpt_keras:{}", variable.path());
            let values: Vec<f32> = variable.values.iter().copied().collect();
            assert_eq!(values, tensor(&stream, values.len(), center, amp), "{file}: {}", variable.path());
        }
        // Its own network is none of ours, which import says by name.
        let error = import(&path).unwrap_err().to_string();
        assert!(error.contains("conv2_block1_1_conv"), "{file}: {error}");
    }
}
