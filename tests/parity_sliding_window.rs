//! The sliding window inferer against MONAI's `sliding_window_inference` on the golden fixtures: importance maps, window starts,
//! and a SwinUNETR's blended logits. Every case, seed and size comes from the fixture folder.

mod golden;

use std::ops::ControlFlow;

use golden::Golden;
use golden::network::{close, input, shape, strided, weights};
use ndarray::Ix4;
use orthanc_ai::manifest::InfererSpec;
use orthanc_ai::manifest::inferer::{BlendMode, SlidingWindowInfererSpec};
use orthanc_ai::manifest::network::{PatchMerging, SwinUnetrSpec};
use orthanc_ai::model::importance::importance_map;
use orthanc_ai::model::inferer::{infer, window_starts};
use orthanc_ai::model::nets::swin_unetr::SwinUnetr;
use orthanc_ai::model::{Device, Network};
use serde_json::Value;

/// Largest and mean difference, README of the fixture folder, section 5.
const LOGITS: (f64, f64) = (1.5e-4, 1.0e-5);
const OVERLAP: f64 = 0.5;

fn spec(roi: &Value, mode: BlendMode, sw_batch_size: usize) -> SlidingWindowInfererSpec {
    let roi_size = serde_json::from_value(roi.clone()).expect("three numbers");
    SlidingWindowInfererSpec { roi_size, overlap: OVERLAP, mode, sw_batch_size, sigma_scale: 0.125 }
}

#[test]
fn importance_maps() {
    let Some(golden) = Golden::open() else { return };
    let fixture = golden.fixture("sliding");
    for roi in golden.cases("/swinunetr/importance_maps") {
        let spec = spec(roi, BlendMode::Gaussian, 1);
        let [slices, rows, columns] = spec.roi_size;
        let map = importance_map(&spec);
        let key = format!("importance.{slices}x{rows}x{columns}");
        let line: Vec<f32> = (0..slices).map(|s| map[[s, rows / 2, columns / 2]]).collect();
        close(&line, &fixture.f64s(&format!("{key}.center_line_d")), (1e-6, 1e-7), &key);
        let diagonal: Vec<f32> = (0..64).map(|i| map[[i * slices / 64, i * rows / 64, i * columns / 64]]).collect();
        close(&diagonal, &fixture.f64s(&format!("{key}.diagonal")), (1e-6, 1e-7), &key);
    }
}

#[test]
fn blended_logits() {
    let Some(golden) = Golden::open() else { return };
    let contract = golden.contract("swinunetr");
    let fixture = golden.fixture("sliding");
    let embed = shape(&contract, "swinViT.patch_embed.proj.weight");
    for case in golden.cases("/swinunetr/sliding") {
        let (id, volume) = input(&golden, &fixture, "swinunetr", "sliding", case);
        let batch = case["sw_batch"].as_u64().expect("sw_batch") as usize;
        for run in case["runs"].as_array().expect("runs") {
            let (variant, blend) = (run[0].as_str().expect("variant"), run[1].as_str().expect("mode"));
            let mode = if blend == "gaussian" { BlendMode::Gaussian } else { BlendMode::Constant };
            let spec = spec(&case["roi"], mode, batch);
            let patch_merging = if variant == "legacy" { PatchMerging::Legacy } else { PatchMerging::Current };
            let out_channels = shape(&contract, "out.conv.conv.bias")[0];
            let network = SwinUnetrSpec { in_channels: embed[1], out_channels, feature_size: embed[0], patch_merging };
            let mut network = SwinUnetr::from_state_dict(&network, weights(&contract), Device::cpu()).unwrap();
            check_case(&golden, &mut network, &id, &format!("{id}.{variant}.{blend}"), &volume, case, spec);
        }
    }
}

fn check_case(
    golden: &Golden,
    network: &mut dyn Network,
    id: &str,
    key: &str,
    volume: &ndarray::ArrayD<f32>,
    case: &Value,
    spec: SlidingWindowInfererSpec,
) {
    let fixture = golden.fixture("sliding");
    let size: Vec<usize> = volume.shape()[2..].to_vec();
    let padded: [usize; 3] = std::array::from_fn(|axis| size[axis].max(spec.roi_size[axis]));
    let starts = window_starts(padded, spec.roi_size, spec.overlap);
    let flat: Vec<i64> = starts.iter().flatten().map(|&s| s as i64).collect();
    assert_eq!(flat, fixture.i64s(&format!("{id}.window_starts")), "{id}");

    let volume = volume.index_axis(ndarray::Axis(0), 0).into_dimensionality::<Ix4>().unwrap();
    let mut windows = 0;
    let spec = InfererSpec::SlidingWindowInferer(spec);
    let logits = infer(network, volume, &spec, &mut |_, total| {
        windows = total;
        ControlFlow::Continue(())
    });
    let logits = logits.unwrap().insert_axis(ndarray::Axis(0)).into_dyn();
    assert_eq!(windows, starts.len());
    let stride = case["stride"].as_u64().expect("stride") as usize;
    let expected = fixture.f64s(&format!("{key}.logits.strided"));
    let (worst, mean) = close(&strided(&logits, stride), &expected, LOGITS, key);
    // The mask that the postprocessing starts from: sigmoid above 0.7 is a logit above ln(7/3).
    let above = logits.iter().filter(|v| f64::from(**v) > (7.0f64 / 3.0).ln()).count() as i64;
    let count = fixture.i64s(&format!("{key}.mask.thr.count"))[0];
    let near = fixture.i64s(&format!("{key}.mask.near_threshold_count_1e-5_1e-4_1e-3"))[1];
    assert!((above - count).abs() <= near, "{key}: {above} voxels above the threshold, expected {count} ± {near}");
    eprintln!("{key}: within {worst:.1e}, {mean:.1e} in the mean");
}
