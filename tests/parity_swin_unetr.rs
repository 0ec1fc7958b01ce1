//! SwinUNETR against MONAI on the golden fixtures, both patch-merging variants: every case, seed and size comes from the
//! fixture folder.

mod golden;

use golden::Golden;
use golden::network::{check_tap, close, input, key_list_is_the_contracts, shape, statistics, strided, weights};
use orthanc_ai::manifest::network::{PatchMerging, SwinUnetrSpec};
use orthanc_ai::model::nets::swin_unetr::{SwinUnetr, keys};
use orthanc_ai::model::{Device, Network};

/// Largest and mean difference, README of the fixture folder, section 5.
const LOGITS: (f64, f64) = (1.5e-4, 1.0e-5);

#[test]
fn legacy() {
    check("legacy", PatchMerging::Legacy);
}

#[test]
fn current() {
    check("current", PatchMerging::Current);
}

fn check(variant: &str, patch_merging: PatchMerging) {
    let Some(golden) = Golden::open() else { return };
    let contract = golden.contract("swinunetr");
    let embed = shape(&contract, "swinViT.patch_embed.proj.weight");
    let spec = SwinUnetrSpec {
        in_channels: embed[1],
        out_channels: shape(&contract, "out.conv.conv.bias")[0],
        feature_size: embed[0],
        patch_merging,
    };
    key_list_is_the_contracts(&contract, keys(&spec));
    let mut network = SwinUnetr::from_state_dict(&spec, weights(&contract), Device::cpu()).unwrap();
    let fixture = golden.fixture("swinunetr");
    let runs = |case: &&serde_json::Value| case["variants"].as_array().unwrap().iter().any(|v| v == variant);
    for case in golden.cases("/swinunetr/cases").iter().filter(runs) {
        let (id, input) = input(&golden, &fixture, "swinunetr", "input", case);
        let key = format!("{id}.{variant}");
        let mut taps = 0;
        let logits = network.activations(input.view(), &mut |name, activation| {
            check_tap(&fixture, &format!("{key}.tap.{name}"), &activation);
            taps += 1;
        });
        // Embedding, five hidden states, eight blocks, four mergings, five encoders, five decoders.
        assert_eq!(taps, 28);
        let forward = network.forward(input.view()).unwrap().dense().unwrap();
        assert_eq!(forward, logits.unwrap());
        let stride = case["stride"].as_u64().expect("stride") as usize;
        let expected = fixture.f64s(&format!("{key}.logits.strided"));
        let (worst, mean) = close(&strided(&forward, stride), &expected, LOGITS, &key);
        let stats = fixture.f64s(&format!("{key}.logits.stats"));
        let values: Vec<f32> = forward.iter().copied().collect();
        for (found, expected) in statistics(&values).into_iter().zip(stats) {
            assert!((found - expected).abs() <= LOGITS.0, "{key}: {found} is not {expected}");
        }
        eprintln!("{key}: within {worst:.1e}, {mean:.1e} in the mean");
    }
}
