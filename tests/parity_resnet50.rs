//! ResNet50 against torchvision on the golden fixtures: every case, seed and size comes from the fixture folder.

mod golden;

use golden::{Fixture, Golden, block_input, crc32, tensor};
use ndarray::{Array4, ArrayView4};
use orthanc_ai::manifest::WeightsFormat;
use orthanc_ai::manifest::network::ResNet50Spec;
use orthanc_ai::model::nets::resnet50::{ResNet50, keys};
use orthanc_ai::model::weights::StateDict;
use orthanc_ai::model::{Device, Logits, Network};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::Value;

/// Tolerances of the fixture folder's README, section 5.
const LOGITS: f64 = 5e-5;
const FEATURES: f64 = 1e-4;
/// Relative to the root mean square of the activation.
const TAP: f64 = 2e-4;
const TAP_EXTREMES: f64 = 1e-3;

#[test]
fn resnet50_2() {
    check("resnet50_2");
}

#[test]
fn resnet50_4() {
    check("resnet50_4");
}

fn check(net: &str) {
    let Some(golden) = Golden::open() else { return };
    let contract = golden.contract(net);
    let spec = spec(&contract);
    key_list_is_the_contracts(&contract, &spec);
    let mut network = ResNet50::from_state_dict(&spec, weights(&contract), Device::cpu()).unwrap();
    let fixture = golden.fixture(net);
    for case in golden.cases(&format!("/{net}/cases")) {
        let id = case["id"].as_str().expect("case id");
        let shape: Vec<usize> = serde_json::from_value(case["shape"].clone()).expect("case shape");
        let stream = format!("{}:{net}:input:{id}", golden.seed(net));
        let block = case["block"].as_u64().expect("case block") as usize;
        let values = block_input(&stream, &shape, block, case["fine"].as_f64().unwrap_or(0.25));
        let crc = crc32(values.iter().map(|v| v.to_le_bytes()));
        assert_eq!(crc, fixture.crc32(&format!("{id}.input.crc32")), "{net} {id}: the generated input differs");
        let input = Array4::from_shape_vec((shape[0], shape[1], shape[2], shape[3]), values).unwrap();
        check_case(&mut network, &fixture, id, input.view());
    }
}

fn check_case(network: &mut ResNet50, fixture: &Fixture, id: &str, input: ArrayView4<'_, f32>) {
    let got = network.activations(input).unwrap();
    assert!(got.taps.len() == 17, "stem and 16 blocks, found {}", got.taps.len());
    // In the network's order, so that the first assertion to fail names the first layer that differs.
    for (name, activation) in &got.taps {
        let key = format!("{id}.tap.{name}");
        let shape: Vec<i64> = activation.shape().iter().map(|&d| d as i64).collect();
        assert_eq!(shape, fixture.i64s(&format!("{key}.shape")), "{key}");
        let stats = fixture.f64s(&format!("{key}.stats"));
        let rms = stats[5];
        let sample = fixture.f64s(&format!("{key}.sample"));
        let flat: Vec<f32> = activation.iter().copied().collect();
        let picked = (0..sample.len()).map(|j| f64::from(flat[j * flat.len() / sample.len()]));
        let worst = picked.zip(&sample).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst <= TAP_EXTREMES * rms, "{key}.sample: off by {worst:e}, rms {rms}");
        for (i, (found, expected)) in statistics(&flat).into_iter().zip(stats).enumerate() {
            let accept = if i == 2 || i == 3 { TAP_EXTREMES } else { TAP } * rms;
            assert!((found - expected).abs() <= accept, "{key}.stats[{i}]: found {found}, expected {expected}");
        }
    }
    let features = close(got.features.iter(), &fixture.f64s(&format!("{id}.features")), FEATURES, id);
    let logits = close(got.logits.iter(), &fixture.f64s(&format!("{id}.logits")), LOGITS, id);
    let Logits::Global(forward) = network.forward(input).unwrap();
    close(forward.iter(), &fixture.f64s(&format!("{id}.logits")), LOGITS, id);
    eprintln!("{id}: features within {features:.1e}, logits within {logits:.1e}");
}

/// The largest difference, at most `accept`.
fn close<'a>(found: impl Iterator<Item = &'a f32>, expected: &[f64], accept: f64, what: &str) -> f64 {
    let found: Vec<f64> = found.map(|&v| f64::from(v)).collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst <= accept, "{what}: off by {worst:e}, accepted {accept:e}");
    worst
}

/// Mean, population standard deviation, minimum, maximum, mean of |x|, root mean square.
fn statistics(values: &[f32]) -> [f64; 6] {
    let n = values.len() as f64;
    let sum = |f: fn(f64) -> f64| values.iter().map(|&v| f(f64::from(v))).sum::<f64>() / n;
    let (mean, square) = (sum(|v| v), sum(|v| v * v));
    let min = values.iter().copied().fold(f32::INFINITY, f32::min);
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    [mean, (square - mean * mean).max(0.0).sqrt(), min.into(), max.into(), sum(f64::abs), square.sqrt()]
}

fn entries(contract: &Value) -> impl Iterator<Item = (&str, Vec<usize>, &Value)> {
    contract["tensors"].as_array().expect("tensors").iter().map(|entry| {
        let shape = serde_json::from_value(entry["shape"].clone()).expect("shape");
        (entry["key"].as_str().expect("key"), shape, entry)
    })
}

/// Width, channels and classes are those of the contract's shapes.
fn spec(contract: &Value) -> ResNet50Spec {
    let shape = |key: &str| entries(contract).find(|(k, ..)| *k == key).expect(key).1;
    let (stem, fc) = (shape("conv1.weight"), shape("fc.weight"));
    ResNet50Spec { in_channels: stem[1], num_classes: fc[0], width: stem[0] }
}

fn key_list_is_the_contracts(contract: &Value, spec: &ResNet50Spec) {
    let mut ours: Vec<(String, Vec<usize>)> =
        keys(spec).into_iter().map(|(k, s)| (k, s.into_iter().map(|d| d as usize).collect())).collect();
    let mut theirs: Vec<(String, Vec<usize>)> = entries(contract)
        .filter(|(key, ..)| !key.ends_with("num_batches_tracked"))
        .map(|(key, shape, _)| (key.to_owned(), shape))
        .collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

/// The generated weights, checked against the contract's checksums, through a real safetensors file.
fn weights(contract: &Value) -> StateDict {
    let stream = contract["stream"].as_str().expect("stream");
    let mut tensors = Vec::new();
    for (key, shape, entry) in entries(contract) {
        if entry["kind"] == "fixed" {
            tensors.push((key.to_owned(), Dtype::I64, shape, 0i64.to_le_bytes().to_vec()));
            continue;
        }
        let number = |name: &str| entry[name].as_f64().expect(name);
        let numel = shape.iter().product();
        let values = tensor(&stream.replace("<key>", key), numel, number("center"), number("amp"));
        let crc = format!("{:08x}", crc32(values.iter().map(|v| v.to_le_bytes())));
        assert_eq!(crc, entry["crc32"].as_str().expect("crc32"), "{key}: the generated weights differ");
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensors.push((key.to_owned(), Dtype::F32, shape, bytes));
    }
    let views = tensors.iter().map(|(key, dtype, shape, bytes)| {
        (key.as_str(), TensorView::new(*dtype, shape.clone(), bytes).expect("shape and bytes agree"))
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    serialize_to_file(views, None, &file).unwrap();
    StateDict::read(&file, WeightsFormat::Safetensors).unwrap()
}
