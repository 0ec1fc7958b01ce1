use ndarray::Array4;
use tch::nn::VarStore;
use tch::{Kind, Tensor};

use super::*;
use crate::manifest::WeightsFormat;

const SPEC: ResNet50Spec = ResNet50Spec { in_channels: 3, num_classes: 5, width: 4 };

/// A narrow network whose batch norms are not the identity: random weights, running statistics of random batches.
fn trainable() -> (VarStore, TrainableResNet50) {
    tch::manual_seed(7);
    let vs = VarStore::new(tch::Device::Cpu);
    let network = TrainableResNet50::new(&vs.root(), &SPEC).unwrap();
    tch::no_grad(|| {
        for (name, mut variable) in vs.variables() {
            if name.contains("bn") || name.contains("downsample.1") {
                let _ = variable.f_uniform_(0.4, 1.2).unwrap();
            }
        }
    });
    (vs, network)
}

fn saved(vs: &VarStore) -> (tempfile::TempDir, StateDict) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    vs.save(&file).unwrap();
    let state_dict = StateDict::read(&file, WeightsFormat::Safetensors).unwrap();
    (folder, state_dict)
}

fn image(n: usize, rows: usize, columns: usize) -> Array4<f32> {
    Array4::from_shape_fn((n, 3, rows, columns), |(n, c, y, x)| ((n + 3 * c + 5 * y + 7 * x) % 13) as f32 / 6.5 - 1.0)
}

#[test]
fn folded_form_says_what_the_trainable_form_says() {
    let (vs, plain) = trainable();
    let (_folder, state_dict) = saved(&vs);
    let mut folded = ResNet50::from_state_dict(&SPEC, state_dict, Device::cpu()).unwrap();
    assert!(folded.one_dnn.is_some(), "the libtorch we build against has the fused operators");
    compare(&plain, &mut folded);
    // Where it has not, and from packed weights back to plain ones.
    folded.one_dnn = None;
    compare(&plain, &mut folded);
}

fn compare(plain: &TrainableResNet50, folded: &mut ResNet50) {
    // Odd sizes too: the paddings of strided convolutions differ there.
    for (n, rows, columns) in [(1, 64, 64), (3, 75, 118), (2, 33, 32), (1, 64, 64)] {
        let input = image(n, rows, columns);
        let x = input_tensor(input.view().into_dyn(), 3, 2, Device::cpu()).unwrap();
        let expected = tch::no_grad(|| plain.forward_t(&x, false)).unwrap();
        let expected: ndarray::Array2<f32> = array(&expected).unwrap();
        let logits = folded.forward(input.view().into_dyn()).unwrap().global().unwrap();
        let scale = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
        let worst = logits.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(scale > 0.01 && worst <= 1e-5 * scale.max(1.0), "off by {worst} of {scale}");
        // Nothing but the batch decides: the same again, bit for bit.
        assert_eq!(folded.forward(input.view().into_dyn()).unwrap(), Logits::Global(logits));
    }
}

#[test]
fn keys_are_those_of_the_variables() {
    let (vs, _) = trainable();
    let mut found: Vec<_> = vs.variables().into_iter().map(|(k, v)| (k, v.size())).collect();
    let mut expected = keys(&SPEC);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    // 53 convolutions with 4 vectors each, and fc.
    assert_eq!(expected.len(), 53 * 5 + 2);
}

/// Published figures of the full network: 25.6 M parameters at 1000 classes, 4.09 GMAC at 224².
#[test]
fn published_size() {
    let full = ResNet50Spec { in_channels: 3, num_classes: 1000, width: 64 };
    let parameters: i64 = keys(&full)
        .iter()
        .filter(|(key, _)| !key.contains("running"))
        .map(|(_, shape)| shape.iter().product::<i64>())
        .sum();
    assert_eq!(parameters, 25_557_032);
    assert_eq!(multiply_adds(&full, 224, 224), 4_089_184_256);
}

#[test]
fn training_moves_weights_and_statistics() {
    let (vs, network) = trainable();
    let x = input_tensor(image(4, 64, 64).view().into_dyn(), 3, 2, Device::cpu()).unwrap();
    let targets = Tensor::from_slice(&[0i64, 1, 2, 3]);
    let statistics = |key: &str| vs.variables()[key].sum(Kind::Double).double_value(&[]);
    let before = statistics("layer1.0.bn1.running_mean");
    let _ = tch::no_grad(|| network.forward_t(&x, false)).unwrap();
    assert_eq!(before, statistics("layer1.0.bn1.running_mean"), "eval mode leaves the statistics");
    let loss = network.forward_t(&x, true).unwrap().cross_entropy_for_logits(&targets);
    assert_ne!(before, statistics("layer1.0.bn1.running_mean"), "train mode moves the statistics");
    loss.backward();
    for (name, variable) in vs.variables() {
        let gradient = variable.requires_grad().then(|| variable.grad().abs().sum(Kind::Double).double_value(&[]));
        assert_eq!(gradient.is_some(), !name.contains("running"), "{name}");
        assert!(gradient.is_none_or(|g| g > 0.0), "{name}: no gradient");
    }
}

#[test]
fn wrong_channels_and_wrong_keys_are_named() {
    let (vs, _) = trainable();
    let (_folder, state_dict) = saved(&vs);
    let other = ResNet50Spec { num_classes: 4, ..SPEC };
    let error = ResNet50::from_state_dict(&other, state_dict, Device::cpu()).err().unwrap().to_string();
    assert_eq!(
        error,
        "keys do not fit the network: 2 mis-shaped: fc.weight (found [5, 128], expected [4, 128]), fc.bias (found [5], expected [4])"
    );
    let (_folder, state_dict) = saved(&vs);
    let mut network = ResNet50::from_state_dict(&SPEC, state_dict, Device::cpu()).unwrap();
    let error = network.forward(Array4::zeros((1, 1, 64, 64)).view().into_dyn()).unwrap_err().to_string();
    assert_eq!(error, "network input: found shape [1, 1, 64, 64], expected [N, 3, H, W]");
}
