//! PyTorch's checkpoint layouts against the values that the fixture folder's generator put into them (README, section 6).

mod golden;

use golden::network::{entries, shape, weights};
use golden::{Golden, tensor};
use orthanc_ai::manifest::network::{PatchMerging, ResNet50Spec, SwinUnetrSpec, UnetSpec};
use orthanc_ai::manifest::{NetworkSpec, WeightsFormat};
use orthanc_ai::model::import::import;
use orthanc_ai::model::weights::StateDict;

fn read(golden: &Golden, file: &str) -> StateDict {
    let path = golden.root.join("ckpt_samples").join(file);
    StateDict::read(&path, WeightsFormat::Pytorch).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Values of the stream `<seed>:ckpt:<key>`.
fn stream(golden: &Golden, key: &str, n: usize, center: f64, amp: f64) -> Vec<f64> {
    let stream = format!("{}:ckpt:{key}", golden.seed("ckpt"));
    tensor(&stream, n, center, amp).into_iter().map(f64::from).collect()
}

#[test]
fn every_layout_gives_the_same_state_dict() {
    let Some(golden) = Golden::open() else { return };
    let files =
        ["bare.pth", "wrapped_model_state_dict.pth", "wrapped_state_dict_module_prefix.pth", "legacy_nonzip.pth"];
    for file in files {
        let state_dict = read(&golden, file);
        let shapes: Vec<(&str, Vec<i64>)> = state_dict.shapes().collect();
        let expected = [
            ("bn1.num_batches_tracked", vec![]),
            ("bn1.running_var", vec![4]),
            ("bn1.weight", vec![4]),
            ("conv1.weight", vec![4, 3, 3, 3]),
            ("fc.weight", vec![2, 5]),
        ];
        assert_eq!(shapes, expected, "{file}");
        let values = |key: &str| state_dict.values(key).unwrap();
        assert_eq!(values("bn1.num_batches_tracked"), [1_234_567.0], "{file}");
        for (key, n, center, amp) in [
            ("bn1.running_var", 4, 1.0, 0.25),
            ("bn1.weight", 4, 1.0, 0.2),
            ("conv1.weight", 108, 0.0, 1.0),
            ("fc.weight", 10, 0.0, 1.0),
        ] {
            assert_eq!(values(key), stream(&golden, key, n, center, amp), "{file}: {key}");
        }
    }
}

#[test]
fn views_and_dtypes() {
    let Some(golden) = Golden::open() else { return };
    let state_dict = read(&golden, "views_and_dtypes.pth");
    let values = |key: &str| state_dict.values(key).unwrap_or_else(|| panic!("{key} is missing"));
    let shape = |key: &str| state_dict.shapes().find(|(k, _)| *k == key).unwrap().1;
    // Row-major 6 × 8.
    let shared = stream(&golden, "shared", 48, 0.0, 1.0);
    let at = |row: usize, column: usize| shared[row * 8 + column];
    let grid = |rows: usize, columns: usize, f: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        (0..rows * columns).map(|i| f(i / columns, i % columns)).collect()
    };
    for (key, rows, columns, expected) in [
        ("view_offset", 2, 8, grid(2, 8, &|r, c| at(r + 2, c))),
        ("transposed", 8, 6, grid(8, 6, &|r, c| at(c, r))),
        ("strided", 6, 4, grid(6, 4, &|r, c| at(r, 2 * c))),
        ("f64", 6, 8, shared.clone()),
    ] {
        assert_eq!(shape(key), [rows, columns], "{key}");
        assert_eq!(values(key), expected, "{key}");
    }
    assert_eq!(values("param"), shared[..8]);
    assert_eq!(shape("channels_last"), [4, 3, 3, 3]);
    assert_eq!(values("channels_last"), stream(&golden, "conv1.weight", 108, 0.0, 1.0));
    // Rounded to 11 and 8 significant bits: that near, and with no bit more.
    for (key, bits) in [("half", 11), ("bf16", 8)] {
        assert_eq!(shape(key), [6, 8], "{key}");
        for (found, exact) in values(key).into_iter().zip(&shared) {
            let accept = exact.abs() * 2f64.powi(-bits) + 2f64.powi(-25);
            assert!((found - exact).abs() <= accept, "{key}: found {found}, expected {exact}");
            assert_eq!((found as f32).to_bits() & ((1 << (24 - bits)) - 1), 0, "{key}: {found} has too many bits");
        }
    }
}

/// Every network of the contracts is recognised by its tensors, with its parameters, and none of them is changed.
#[test]
fn networks_are_recognised() {
    let Some(golden) = Golden::open() else { return };
    let folder = tempfile::tempdir().unwrap();
    for net in ["resnet50_2", "resnet50_4", "unet", "unet_bias", "swinunetr"] {
        let contract = golden.contract(net);
        let mut state_dict = weights(&contract);
        // Integers are no weights: tables that the network computes itself, and counters.
        let integers: Vec<&str> =
            entries(&contract).filter(|(.., entry)| entry["kind"] == "fixed").map(|(key, ..)| key).collect();
        state_dict.discard(|key| integers.contains(&key));
        let file = folder.path().join("weights.safetensors");
        state_dict.save(&file).unwrap();
        let side = |key: &str, axis: usize| shape(&contract, key)[axis];
        let expected = match net {
            "unet" | "unet_bias" => NetworkSpec::UNet(UnetSpec {
                in_channels: side("inc.double_conv.0.weight", 1),
                out_channels: side("outc.conv.weight", 0),
                width: side("inc.double_conv.0.weight", 0),
                conv_bias: net == "unet_bias",
            }),
            "swinunetr" => NetworkSpec::SwinUNETR(SwinUnetrSpec {
                in_channels: side("encoder1.layer.conv1.conv.weight", 1),
                out_channels: side("out.conv.conv.weight", 0),
                feature_size: side("out.conv.conv.weight", 1),
                patch_merging: PatchMerging::Current,
            }),
            _ => NetworkSpec::ResNet50(ResNet50Spec::torchvision(
                side("conv1.weight", 1),
                side("fc.weight", 0),
                side("conv1.weight", 0),
            )),
        };
        let imported = import(&file).unwrap_or_else(|e| panic!("{net}: {e}"));
        assert_eq!(imported.network, expected, "{net}");
        let asks = imported.notes.iter().any(|note| note.contains("patch_merging cannot be told"));
        assert_eq!(asks, net == "swinunetr", "{net}: {:?}", imported.notes);
        let floats = || entries(&contract).filter(|(.., entry)| entry["kind"] != "fixed");
        assert_eq!(imported.state_dict.shapes().count(), floats().count(), "{net}");
        for (key, _, entry) in floats() {
            let values = imported.state_dict.values(key).unwrap_or_else(|| panic!("{net}: {key} is missing"));
            let first: Vec<f64> = serde_json::from_value(entry["first"].clone()).unwrap();
            assert_eq!(values[..first.len()], first, "{net}: {key}");
            assert_eq!(values.last().copied(), entry["last"].as_f64(), "{net}: {key}");
        }
    }
}

/// Samples of a few tensors each, which are no network: said by name, whatever the layout.
#[test]
fn what_is_no_network_is_named() {
    let Some(golden) = Golden::open() else { return };
    for file in
        ["bare.pth", "wrapped_model_state_dict.pth", "wrapped_state_dict_module_prefix.pth", "legacy_nonzip.pth"]
    {
        let error = import(&golden.root.join("ckpt_samples").join(file)).unwrap_err().to_string();
        assert!(error.contains("no known network") && error.contains("conv1.weight [4, 3, 3, 3]"), "{file}: {error}");
    }
}
