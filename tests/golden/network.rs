//! Networks against the fixtures: weights as the contract says, inputs as the cases say, outputs and taps within tolerance.

use ndarray::ArrayD;
use orthanc_ai::manifest::WeightsFormat;
use orthanc_ai::model::weights::StateDict;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::Value;

use super::{Fixture, Golden, block_input, crc32, tensor};

/// Relative to the root mean square of the activation (README of the fixture folder, section 5).
const TAP: f64 = 2e-4;
const TAP_EXTREMES: f64 = 1e-3;

/// The keys of a contract with their shapes and generator parameters.
pub fn entries(contract: &Value) -> impl Iterator<Item = (&str, Vec<usize>, &Value)> {
    contract["tensors"].as_array().expect("tensors").iter().map(|entry| {
        let shape = serde_json::from_value(entry["shape"].clone()).expect("shape");
        (entry["key"].as_str().expect("key"), shape, entry)
    })
}

/// Shape of one tensor of the contract.
pub fn shape(contract: &Value, key: &str) -> Vec<usize> {
    entries(contract).find(|(k, ..)| *k == key).expect(key).1
}

/// Our keys are the contract's, but for the integer tensors, which inference does not need.
pub fn key_list_is_the_contracts(contract: &Value, keys: Vec<(String, Vec<i64>)>) {
    let mut ours: Vec<(String, Vec<usize>)> =
        keys.into_iter().map(|(k, s)| (k, s.into_iter().map(|d| d as usize).collect())).collect();
    let floats = entries(contract).filter(|(.., entry)| entry["kind"] != "fixed");
    let mut theirs: Vec<(String, Vec<usize>)> = floats.map(|(key, shape, _)| (key.to_owned(), shape)).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

/// The generated weights, checked against the contract's checksums, through a real safetensors file.
pub fn weights(contract: &Value) -> StateDict {
    let stream = contract["stream"].as_str().expect("stream");
    let mut tensors = Vec::new();
    for (key, shape, entry) in entries(contract) {
        let numel = shape.iter().product();
        let (dtype, bytes): (_, Vec<u8>) = if entry["kind"] == "fixed" {
            let values = if numel == 1 { vec![0] } else { relative_position_index(numel) };
            (Dtype::I64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        } else {
            let number = |name: &str| entry[name].as_f64().expect(name);
            let values = tensor(&stream.replace("<key>", key), numel, number("center"), number("amp"));
            (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        };
        let crc = format!("{:08x}", crc32(bytes.iter().map(|b| [*b])));
        assert_eq!(crc, entry["crc32"].as_str().expect("crc32"), "{key}: the generated weights differ");
        tensors.push((key.to_owned(), dtype, shape, bytes));
    }
    let views = tensors.iter().map(|(key, dtype, shape, bytes)| {
        (key.as_str(), TensorView::new(*dtype, shape.clone(), bytes).expect("shape and bytes agree"))
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    serialize_to_file(views, None, &file).unwrap();
    StateDict::read(&file, WeightsFormat::Safetensors).unwrap()
}

/// Swin's index of `numel` pairs of tokens of a cubic window, as the checkpoints carry it.
fn relative_position_index(numel: usize) -> Vec<i64> {
    let tokens = numel.isqrt() as i64;
    let side = (1..).find(|side: &i64| side.pow(3) >= tokens).expect("a side");
    let at = |token: i64| [token / side / side, token / side % side, token % side];
    let offset = |a: i64, b: i64, axis: usize| at(a)[axis] - at(b)[axis] + side - 1;
    let span = 2 * side - 1;
    let row = |a, b| (offset(a, b, 0) * span + offset(a, b, 1)) * span + offset(a, b, 2);
    (0..tokens).flat_map(|a| (0..tokens).map(move |b| (a, b))).map(|(a, b)| row(a, b)).collect()
}

/// A case's input, checked against the fixture's checksum. `stream` is what stands before the case's name.
pub fn input(golden: &Golden, fixture: &Fixture, net: &str, stream: &str, case: &Value) -> (String, ArrayD<f32>) {
    let id = case["id"].as_str().expect("case id").to_owned();
    let shape: Vec<usize> = serde_json::from_value(case["shape"].clone()).expect("case shape");
    let block = case["block"].as_u64().expect("case block") as usize;
    let stream = format!("{}:{net}:{stream}:{id}", golden.seed(net));
    let values = block_input(&stream, &shape, block, case["fine"].as_f64().unwrap_or(0.25));
    if fixture.has(&format!("{id}.input.crc32")) {
        let crc = crc32(values.iter().map(|v| v.to_le_bytes()));
        assert_eq!(crc, fixture.crc32(&format!("{id}.input.crc32")), "{net} {id}: the generated input differs");
    }
    (id, ArrayD::from_shape_vec(shape, values).unwrap())
}

/// One activation against `<key>.shape`, `.stats` and `.sample`.
pub fn check_tap(fixture: &Fixture, key: &str, activation: &ArrayD<f32>) {
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

/// The largest and the mean difference, at most `accept`.
pub fn close(found: &[f32], expected: &[f64], accept: (f64, f64), what: &str) -> (f64, f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let off = || found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
    let worst = off().fold(0.0, f64::max);
    // Not a number where an output is none.
    let mean = off().sum::<f64>() / found.len() as f64;
    assert!(
        worst <= accept.0 && mean <= accept.1,
        "{what}: off by at most {worst:e}, {mean:e} in the mean, accepted {accept:?}"
    );
    (worst, mean)
}

/// Every `stride`-th pixel or voxel of N × C × spatial.
pub fn strided(dense: &ArrayD<f32>, stride: usize) -> Vec<f32> {
    let every = |axis: ndarray::AxisDescription| if axis.axis.0 < 2 { 1 } else { stride as isize };
    dense.slice_each_axis(|axis| ndarray::Slice::new(0, None, every(axis))).iter().copied().collect()
}

/// Mean, population standard deviation, minimum, maximum, mean of |x|, root mean square.
pub fn statistics(values: &[f32]) -> [f64; 6] {
    let n = values.len() as f64;
    let sum = |f: fn(f64) -> f64| values.iter().map(|&v| f(f64::from(v))).sum::<f64>() / n;
    let (mean, square) = (sum(|v| v), sum(|v| v * v));
    let min = values.iter().copied().fold(f32::INFINITY, f32::min);
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    [mean, (square - mean * mean).max(0.0).sqrt(), min.into(), max.into(), sum(f64::abs), square.sqrt()]
}
