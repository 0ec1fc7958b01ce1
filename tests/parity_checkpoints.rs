//! PyTorch's checkpoint layouts against the values that the fixture folder's generator put into them (README, section 6).

mod golden;

use golden::{Golden, tensor};
use orthanc_ai::manifest::WeightsFormat;
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
