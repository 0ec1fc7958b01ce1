//! UNet against the reference on the golden fixtures: every case, seed and size comes from the fixture folder.

mod golden;

use golden::Golden;
use golden::network::{check_tap, close, entries, input, key_list_is_the_contracts, shape, weights};
use orthanc_ai::manifest::network::UnetSpec;
use orthanc_ai::model::nets::unet::{UNet, keys};
use orthanc_ai::model::{Device, Network};

/// Largest and mean difference, README of the fixture folder, section 5.
const LOGITS: (f64, f64) = (2e-4, 2e-5);

#[test]
fn without_bias() {
    let Some(golden) = Golden::open() else { return };
    let cases = golden.cases("/unet/cases");
    check(&golden, "unet", cases, &["x1", "x2", "x3", "x4", "x5", "up1.up", "up1", "up2", "up3", "up4"]);
}

#[test]
fn with_bias() {
    let Some(golden) = Golden::open() else { return };
    let case = golden.config["unet"]["bias_case"].clone();
    check(&golden, "unet_bias", &[case], &[]);
}

fn check(golden: &Golden, net: &str, cases: &[serde_json::Value], taps: &[&str]) {
    let contract = golden.contract(net);
    let (first, out) = (shape(&contract, "inc.double_conv.0.weight"), shape(&contract, "outc.conv.weight"));
    let spec = UnetSpec {
        in_channels: first[1],
        out_channels: out[0],
        width: first[0],
        conv_bias: entries(&contract).any(|(key, ..)| key == "inc.double_conv.0.bias"),
    };
    key_list_is_the_contracts(&contract, keys(&spec));
    let mut network = UNet::from_state_dict(&spec, weights(&contract), Device::cpu()).unwrap();
    let fixture = golden.fixture("unet");
    for case in cases {
        // `unet_bias` shares seed and fixture file with `unet`.
        let (id, input) = input(golden, &fixture, net, "input", case);
        let mut seen = Vec::new();
        let logits = network.activations(input.view(), &mut |name, activation| {
            if taps.contains(&name) {
                check_tap(&fixture, &format!("{id}.tap.{name}"), &activation);
                seen.push(name.to_owned());
            }
        });
        assert_eq!(seen, taps);
        let forward = network.forward(input.view()).unwrap().dense().unwrap();
        assert_eq!(forward, logits.unwrap());
        let (shape, expected) = fixture.values(&format!("{id}.logits"));
        assert_eq!(forward.shape(), shape);
        let values: Vec<f32> = forward.iter().copied().collect();
        let (worst, mean) = close(&values, &expected, LOGITS, &id);
        eprintln!("{net} {id}: within {worst:.1e}, {mean:.1e} in the mean");
    }
}
