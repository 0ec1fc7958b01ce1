use ndarray::ArrayD;
use tch::nn::VarStore;
use tch::{Kind, Reduction};

use super::*;
use crate::manifest::WeightsFormat;
use crate::manifest::network::PatchMerging;

const SPEC: SwinUnetrSpec =
    SwinUnetrSpec { in_channels: 2, out_channels: 3, feature_size: 12, patch_merging: PatchMerging::Current };

/// Parameters far enough from their first values that each of them matters.
fn trainable(spec: &SwinUnetrSpec) -> (VarStore, TrainableSwinUnetr) {
    tch::manual_seed(7);
    tch::manual_seed(7);
    let vs = VarStore::new(tch::Device::Cpu);
    let network = TrainableSwinUnetr::new(&vs.root(), spec).unwrap();
    tch::no_grad(|| {
        for (name, mut variable) in vs.variables() {
            if name.contains("norm") || name.ends_with("bias") || name.ends_with("_table") {
                let _ = variable.f_uniform_(0.2, 1.2).unwrap();
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

fn volume(shape: [usize; 5]) -> ArrayD<f32> {
    ArrayD::from_shape_fn(shape.to_vec(), |i| {
        ((i[0] + 3 * i[1] + 5 * i[2] + 7 * i[3] + i[4] * i[2]) % 13) as f32 / 6.5 - 1.0
    })
}

/// The inference form and the trainable one, the two against the trainable one in double precision.
#[test]
fn inference_form_says_what_the_trainable_form_says() {
    let values = |y: Tensor| -> ArrayD<f32> { array(&y).unwrap() };
    for patch_merging in [PatchMerging::Current, PatchMerging::Legacy] {
        let spec = SwinUnetrSpec { patch_merging, ..SPEC };
        let (mut vs, plain) = trainable(&spec);
        let (_folder, state_dict) = saved(&vs);
        let mut network = SwinUnetr::from_state_dict(&spec, state_dict, Device::cpu()).unwrap();
        assert!(network.one_dnn.is_some(), "the libtorch we build against has the fused operators");
        let mut infer = |input: &ArrayD<f32>| network.forward(input.view()).unwrap().dense().unwrap();
        let train = |x: &Tensor| values(tch::no_grad(|| plain.forward_t(x)).unwrap());

        let input = volume([1, 2, 32, 32, 96]);
        let x = input_tensor(input.view(), 2, 3, Device::cpu()).unwrap();
        vs.double();
        let expected = train(&x.to_kind(Kind::Double));
        vs.float();
        let logits = infer(&input);
        compare(&logits, &expected);
        compare(&train(&x), &expected);
        // Two volumes, of another size; then the first again: what is kept for one size is not used for the other.
        let two = volume([2, 2, 64, 32, 32]);
        compare(&infer(&two), &train(&input_tensor(two.view(), 2, 3, Device::cpu()).unwrap()));
        assert_eq!(infer(&input), logits, "the same again, bit for bit");
        // Where oneDNN is not there.
        network.one_dnn = None;
        compare(&network.forward(input.view()).unwrap().dense().unwrap(), &expected);
    }
}

#[track_caller]
fn compare(logits: &ArrayD<f32>, expected: &ArrayD<f32>) {
    assert_eq!(logits.shape(), expected.shape());
    let scale = (expected.mapv(|v| v * v).mean().unwrap()).sqrt();
    let off = (logits - expected).mapv(f32::abs);
    let (worst, mean) = (off.fold(0f32, |m, d| m.max(*d)), off.mean().unwrap());
    eprintln!("within {:.1e}, {:.1e} in the mean, of {scale}", worst / scale, mean / scale);
    // The deepest norms are over two to six voxels and may divide by little; a mistake is off by a hundredth at least (the golden
    // fixtures have the tight bounds).
    assert!(scale > 0.1 && worst <= 5e-3 * scale && mean <= 1e-4 * scale, "off by {worst}, {mean}, of {scale}");
}

#[test]
fn keys_are_those_of_the_variables() {
    let (vs, _) = trainable(&SPEC);
    let mut found: Vec<_> = vs.variables().into_iter().map(|(k, v)| (k, v.size())).collect();
    let mut expected = keys(&SPEC);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    // MONAI's count of its own feature_size 24 network with four inputs and one output.
    let published = SwinUnetrSpec { in_channels: 4, out_channels: 1, feature_size: 24, ..SPEC };
    let parameters: i64 = keys(&published).iter().map(|(_, shape)| shape.iter().product::<i64>()).sum();
    assert_eq!(parameters, 15_705_571);
    let multiply_adds = multiply_adds(&published, [96; 3]) as f64;
    assert!((multiply_adds / 84.5e9 - 1.0).abs() < 0.01, "{multiply_adds}");
}

/// Every parameter has a gradient, and stepping along it lowers the loss.
#[test]
fn the_trainable_form_learns() {
    let (vs, network) = trainable(&SPEC);
    let x = input_tensor(volume([2, 2, 64, 32, 64]).view(), 2, 3, Device::cpu()).unwrap();
    let target = x.narrow(1, 0, 1).gt(0.0).to_kind(Kind::Float).expand([2, 3, 64, 32, 64], false);
    let loss = || {
        let logits = network.forward_t(&x).unwrap();
        logits.binary_cross_entropy_with_logits::<Tensor>(&target, None, None, Reduction::Mean)
    };
    let before = loss();
    before.backward();
    for (name, mut variable) in vs.variables() {
        let gradient = variable.grad();
        assert!(gradient.defined(), "{name}: no gradient");
        let norm = gradient.norm().double_value(&[]);
        assert!(norm.is_finite() && norm > 0.0, "{name}: gradient {norm}");
        let _ = tch::no_grad(|| variable.f_add_(&(gradient * (-1e-3 / norm))).unwrap());
    }
    let after = tch::no_grad(loss);
    assert!(after.double_value(&[]) < before.double_value(&[]), "{after:?} is not below {before:?}");
}

#[test]
fn wrong_inputs_and_wrong_keys_are_named() {
    let (vs, _) = trainable(&SPEC);
    let (_folder, state_dict) = saved(&vs);
    let other = SwinUnetrSpec { out_channels: 4, ..SPEC };
    let error = SwinUnetr::from_state_dict(&other, state_dict, Device::cpu()).err().unwrap().to_string();
    assert!(error.contains("2 mis-shaped: out.conv.conv.weight (found [3, 12, 1, 1, 1], expected [4, 12"), "{error}");
    let (_folder, state_dict) = saved(&vs);
    let mut network = SwinUnetr::from_state_dict(&SPEC, state_dict, Device::cpu()).unwrap();
    for (shape, expected) in [
        ([1, 1, 32, 32, 32], "expected [N, 2, D, H, W]"),
        ([1, 2, 32, 32, 40], "found shape [1, 2, 32, 32, 40], expected sides divisible by 32"),
    ] {
        let error = network.forward(volume(shape).view()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
