//! ResNet50 against torchvision on the golden fixtures: every case, seed and size comes from the fixture folder.

mod golden;

use golden::network::{check_tap, close, input, key_list_is_the_contracts, shape, weights};
use golden::{Fixture, Golden};
use ndarray::ArrayViewD;
use orthanc_ai::manifest::network::ResNet50Spec;
use orthanc_ai::model::nets::resnet50::{ResNet50, keys};
use orthanc_ai::model::{Device, Network};

/// Tolerances of the fixture folder's README, section 5.
const LOGITS: (f64, f64) = (5e-5, 5e-5);
const FEATURES: (f64, f64) = (1e-4, 1e-4);

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
    let spec = ResNet50Spec { in_channels: stem[1], num_classes: fc[0], width: stem[0] };
    key_list_is_the_contracts(&contract, keys(&spec));
    let mut network = ResNet50::from_state_dict(&spec, weights(&contract), Device::cpu()).unwrap();
    let fixture = golden.fixture(net);
    for case in golden.cases(&format!("/{net}/cases")) {
        let (id, input) = input(&golden, &fixture, net, "input", case);
        check_case(&mut network, &fixture, &id, input.view());
    }
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
