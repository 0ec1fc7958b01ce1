//! ResNet50 against torchvision on the golden fixtures: every case, seed and size comes from the fixture folder.

mod golden;

use golden::network::{check_tap, close, input, key_list_is_the_contracts, shape, statistics, weights};
use golden::{Fixture, Golden};
use ndarray::{ArrayViewD, Axis, s};
use orthanc_ai::manifest::network::ResNet50Spec;
use orthanc_ai::model::nets::resnet50::{ResNet50, keys};
use orthanc_ai::model::{CamScore, CamTarget, Device, Network};

/// Tolerances of the fixture folder's README, section 5.
const LOGITS: (f64, f64) = (5e-5, 5e-5);
const FEATURES: (f64, f64) = (1e-4, 1e-4);
/// Relative to the largest value.
const GRAD_CAM: f64 = 1e-4;

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
    // Width, channels and classes are those of the contract's shapes.
    let (stem, fc) = (shape(&contract, "conv1.weight"), shape(&contract, "fc.weight"));
    let spec = ResNet50Spec::torchvision(stem[1], fc[0], stem[0]);
    key_list_is_the_contracts(&contract, keys(&spec));
    let mut network = ResNet50::from_state_dict(&spec, weights(&contract), Device::cpu()).unwrap();
    let fixture = golden.fixture(net);
    for case in golden.cases(&format!("/{net}/cases")) {
        let (id, input) = input(&golden, &fixture, net, "input", case);
        check_case(&mut network, &fixture, &id, input.view());
        for class in case["gradcam"].as_array().into_iter().flatten() {
            grad_cam(&mut network, &fixture, &id, class.as_u64().expect("class") as usize, input.view());
        }
    }
}

/// The fixture explains the first image of a case.
fn grad_cam(network: &mut ResNet50, fixture: &Fixture, id: &str, class: usize, input: ArrayViewD<'_, f32>) {
    let explained = network.explain(input.view(), CamTarget { output: Some(class), score: CamScore::Logit }).unwrap();
    assert_eq!(explained.logits, network.forward(input.view()).unwrap().global().unwrap());
    let key = |what: &str| format!("{id}.gradcam.class{class}.{what}");
    let relative = |found: Vec<f32>, what: &str| {
        let expected = fixture.f64s(&key(what));
        let max = expected.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        close(&found, &expected, (GRAD_CAM * max, GRAD_CAM * max), &key(what)).0 / max
    };
    let alpha = relative(explained.channel_weights.row(0).to_vec(), "alpha");
    let raw = relative(explained.activation_maps.index_axis(Axis(0), 0).iter().copied().collect(), "raw");
    let heat_map = &explained.heat_maps()[0];
    // Where nothing is positive the expected map is 0 everywhere, and so must ours be: the tolerance is relative to its maximum.
    let norm = relative(heat_map.values().iter().copied().collect(), "norm");
    let up = heat_map.resize(input.shape()[2], input.shape()[3]);
    let found = statistics(&up.values().iter().copied().collect::<Vec<f32>>());
    for (i, (found, expected)) in found.into_iter().zip(fixture.f64s(&key("up.stats"))).enumerate() {
        assert!((found - expected).abs() <= GRAD_CAM, "{}[{i}]: found {found}, expected {expected}", key("up.stats"));
    }
    let up = relative(up.values().slice(s![..;4, ..;4]).iter().copied().collect(), "up_s4");
    eprintln!(
        "{id} class {class}: Grad-CAM alpha within {alpha:.1e}, raw {raw:.1e}, norm {norm:.1e}, resized {up:.1e}"
    );
}

fn check_case(network: &mut ResNet50, fixture: &Fixture, id: &str, input: ArrayViewD<'_, f32>) {
    let got = network.activations(input.view()).unwrap();
    assert!(got.taps.len() == 17, "stem and 16 blocks, found {}", got.taps.len());
    // In the network's order, so that the first assertion to fail names the first layer that differs.
    for (name, activation) in got.taps {
        check_tap(fixture, &format!("{id}.tap.{name}"), &activation.into_dyn());
    }
    let values = |array: ndarray::Array2<f32>| array.iter().copied().collect::<Vec<f32>>();
    let features = close(&values(got.features), &fixture.f64s(&format!("{id}.features")), FEATURES, id);
    let expected = fixture.f64s(&format!("{id}.logits"));
    let logits = close(&values(got.logits), &expected, LOGITS, id);
    close(&values(network.forward(input).unwrap().global().unwrap()), &expected, LOGITS, id);
    eprintln!("{id}: features within {:.1e}, logits within {:.1e}", features.0, logits.0);
}
