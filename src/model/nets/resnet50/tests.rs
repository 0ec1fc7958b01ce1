use ndarray::Array4;
use tch::nn::VarStore;
use tch::{Kind, Tensor};

use super::*;
use crate::manifest::WeightsFormat;
use crate::model::CamScore;

const SPEC: ResNet50Spec = ResNet50Spec::torchvision(3, 5, 4);

/// A narrow network whose batch norms are not the identity: random weights, running statistics of random batches.
fn trainable() -> (VarStore, TrainableResNet50) {
    trainable_of(&SPEC)
}

fn trainable_of(spec: &ResNet50Spec) -> (VarStore, TrainableResNet50) {
    tch::manual_seed(7);
    let vs = VarStore::new(tch::Device::Cpu);
    let network = TrainableResNet50::new(&vs.root(), spec).unwrap();
    tch::no_grad(|| {
        for (name, mut variable) in vs.variables() {
            if name.contains("bn") || name.contains("downsample.1") || name.ends_with("conv1.bias") {
                let _ = variable.f_uniform_(0.4, 1.2).unwrap();
            }
        }
    });
    (vs, network)
}

/// The variables of one network into another.
fn copy_variables(from: &VarStore, to: &VarStore) {
    let variables = from.variables();
    tch::no_grad(|| {
        to.variables().into_iter().for_each(|(name, mut v)| v.f_copy_(&variables[&name]).map(drop).unwrap())
    });
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
    let full = ResNet50Spec::torchvision(3, 1000, 64);
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

/// Keras's variant: another stride, biases, another epsilon, hidden layers.
fn keras_spec() -> ResNet50Spec {
    ResNet50Spec { batch_norm_epsilon: 1e-2, ..ResNet50Spec::keras(3, 2, 4, vec![16, 8]) }
}

#[test]
fn every_optional_key_changes_the_network_and_both_forms_alike() {
    let base = keras_spec();
    let variants = [
        base.clone(),
        ResNet50Spec { stride_in_1x1: false, ..base.clone() },
        ResNet50Spec { batch_norm_epsilon: 1e-5, ..base.clone() },
    ];
    // One set of weights fits all three: what differs is not in the file.
    let (vs, _) = trainable_of(&base);
    let input = image(2, 64, 96);
    let mut logits: Vec<ndarray::Array2<f32>> = Vec::new();
    for spec in variants {
        let (_folder, state_dict) = saved(&vs);
        let mut folded = ResNet50::from_state_dict(&spec, state_dict, Device::cpu()).unwrap();
        let (other, plain) = trainable_of(&spec);
        copy_variables(&vs, &other);
        compare(&plain, &mut folded);
        logits.push(folded.forward(input.view().into_dyn()).unwrap().global().unwrap());
    }
    let off = |a: &ndarray::Array2<f32>, b: &ndarray::Array2<f32>| {
        a.iter().zip(b).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()))
    };
    assert!(off(&logits[0], &logits[1]) > 1e-4 && off(&logits[0], &logits[2]) > 1e-4, "{logits:?}");
    // 53 convolutions with a bias and 4 vectors each, three dense layers.
    assert_eq!(keys(&base).len(), 53 * 6 + 2 * 3);
    assert_eq!(keys(&base).iter().filter(|(key, _)| key.starts_with("hidden.")).count(), 4);
}

/// Keras's own count of the model: 24,145,281 parameters, 24,092,161 of them trainable.
#[test]
fn keras_with_a_head_of_three_has_the_parameters_that_keras_counts() {
    let keys = keys(&ResNet50Spec::keras(3, 1, 64, vec![256, 128]));
    let count = |of: &dyn Fn(&str) -> bool| -> i64 {
        keys.iter().filter(|(key, _)| of(key)).map(|(_, shape)| shape.iter().product::<i64>()).sum()
    };
    assert_eq!(count(&|_| true), 24_145_281);
    assert_eq!(count(&|key| !key.contains("running")), 24_092_161);
}

/// Image by image and in the plain form, where the network itself takes the whole batch in the folded form.
#[test]
fn explanation_is_the_gradient_of_the_asked_output() {
    for spec in [SPEC, keras_spec()] {
        let (vs, plain) = trainable_of(&spec);
        let (_folder, state_dict) = saved(&vs);
        let mut network = ResNet50::from_state_dict(&spec, state_dict, Device::cpu()).unwrap();
        let input = image(3, 96, 64);
        let forward = network.forward(input.view().into_dyn()).unwrap().global().unwrap();
        for output in 0..spec.num_classes {
            let target = CamTarget { output: Some(output), score: CamScore::Logit };
            let explained = network.explain(input.view().into_dyn(), target).unwrap();
            assert_eq!(explained.logits, forward, "the very logits of a forward");
            assert_eq!(explained.outputs, vec![output; 3]);
            assert_eq!(explained.activation_maps.dim(), (3, 3, 2));
            let x = input_tensor(input.view().into_dyn(), 3, 2, Device::cpu()).unwrap();
            let last =
                tch::no_grad(|| plain.graph.blocks(&x, |unit, x, tail| unit.forward_t(x, false, tail), &mut |_, _| {}));
            let last = last.unwrap().set_requires_grad(true);
            let scores = plain.head.forward(&pool(&last).unwrap(), &mut |_| {}).unwrap();
            for image in 0..3i64 {
                let score = scores.get(image).get(output as i64);
                let gradient = &Tensor::run_backward(&[score], &[&last], true, false)[0];
                let alpha = gradient.get(image).mean_dim([1i64, 2].as_slice(), true, Kind::Float);
                let raw = (alpha * last.get(image)).sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
                let raw: ndarray::Array2<f32> = array(&raw.detach()).unwrap();
                let scale = raw.iter().fold(0f32, |m, v| m.max(v.abs()));
                let found = explained.activation_maps.index_axis(ndarray::Axis(0), image as usize);
                let worst = raw.iter().zip(found).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                // Weights are random: sums of both signs round to 1e-5 of the whole, now and then a little more.
                assert!(scale > 1e-6 && worst <= 1e-4 * scale, "off by {worst} of {scale}");
            }
        }
        let sigmoid = |score| network.explain(input.view().into_dyn(), CamTarget { output: Some(0), score }).unwrap();
        let [logit, probability, complement] =
            [CamScore::Logit, CamScore::Sigmoid, CamScore::SigmoidComplement].map(sigmoid);
        for (i, (l, p)) in logit.heat_maps().iter().zip(probability.heat_maps()).enumerate() {
            let worst = l.values().iter().zip(p.values()).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst < 1e-5, "image {i}: the heat map of a probability is that of its logit, off by {worst}");
        }
        assert_eq!(complement.activation_maps, -probability.activation_maps);
    }
}

#[test]
fn explanation_takes_the_largest_output_and_refuses_one_that_is_not_there() {
    let (vs, _) = trainable();
    let (_folder, state_dict) = saved(&vs);
    let mut network = ResNet50::from_state_dict(&SPEC, state_dict, Device::cpu()).unwrap();
    let input = image(4, 64, 64);
    let largest = CamTarget { output: None, score: CamScore::Logit };
    let explained = network.explain(input.view().into_dyn(), largest).unwrap();
    for (row, &output) in explained.logits.outer_iter().zip(&explained.outputs) {
        assert!(row.iter().all(|&logit| logit <= row[output]));
    }
    let absent = CamTarget { output: Some(5), ..largest };
    let error = network.explain(input.view().into_dyn(), absent).unwrap_err().to_string();
    assert!(error.contains("output 5 of a network with 5"), "{error}");
}
