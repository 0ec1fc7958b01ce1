//! Sliding windows against MONAI on the golden fixtures: weights, window order, and SwinUNETR over whole volumes. Every case,
//! seed and size comes from the fixture folder.

mod golden;

use std::ops::ControlFlow;

use golden::Golden;
use golden::network::{close, input, shape, statistics, strided, weights};
use ndarray::{Axis, Ix4};
use orthanc_ai::manifest::network::{PatchMerging, SwinUnetrSpec};
use orthanc_ai::manifest::{BlendMode, InfererSpec, SlidingWindowSpec};
use orthanc_ai::model::Device;
use orthanc_ai::model::importance::importance_map;
use orthanc_ai::model::inferer::{infer, window_starts};
use orthanc_ai::model::nets::swin_unetr::SwinUnetr;
use serde_json::Value;

/// Largest and mean difference, README of the fixture folder, section 5.
const LOGITS: (f64, f64) = (1.5e-4, 1.0e-5);

#[test]
fn importance_maps() {
    let Some(golden) = Golden::open() else { return };
    let fixture = golden.fixture("sliding");
    for roi in golden.cases("/swinunetr/importance_maps") {
        let roi: Vec<usize> = serde_json::from_value(roi.clone()).expect("roi");
        let key = format!("importance.{}", roi.iter().map(usize::to_string).collect::<Vec<_>>().join("x"));
        let map = importance_map(&roi, BlendMode::Gaussian, number(&golden, "sigma_scale"));
        let line: Vec<f32> = (0..roi[0]).map(|z| map[[z, roi[1] / 2, roi[2] / 2]]).collect();
        close(&line, &fixture.f64s(&format!("{key}.center_line_d")), (1e-6, 1e-6), &key);
        let diagonal: Vec<f32> = (0..64).map(|i| map[[i * roi[0] / 64, i * roi[1] / 64, i * roi[2] / 64]]).collect();
        close(&diagonal, &fixture.f64s(&format!("{key}.diagonal")), (1e-6, 1e-6), &key);
        let values: Vec<f32> = map.iter().copied().collect();
        let found: Vec<f32> = statistics(&values).into_iter().map(|v| v as f32).collect();
        close(&found, &fixture.f64s(&format!("{key}.stats")), (1e-6, 1e-6), &key);
    }
}

#[test]
fn whole_volumes() {
    let Some(golden) = Golden::open() else { return };
    let fixture = golden.fixture("sliding");
    let contract = golden.contract("swinunetr");
    let embed = shape(&contract, "swinViT.patch_embed.proj.weight");
    let out_channels = shape(&contract, "out.conv.conv.bias")[0];
    for case in golden.cases("/swinunetr/sliding") {
        let (id, volume) = input(&golden, &fixture, "swinunetr", "sliding", case);
        let volume = volume.index_axis_move(Axis(0), 0).into_dimensionality::<Ix4>().expect("one volume");
        let roi_size: Vec<usize> = serde_json::from_value(case["roi"].clone()).expect("roi");
        let overlap = number(&golden, "overlap");
        let padded: Vec<usize> = roi_size.iter().zip(&volume.shape()[1..]).map(|(a, b)| *a.max(b)).collect();
        let starts = window_starts(&padded, &roi_size, overlap);
        let flat: Vec<i64> = starts.iter().flatten().map(|&at| at as i64).collect();
        assert_eq!(flat, fixture.i64s(&format!("{id}.window_starts")), "{id}");
        for run in case["runs"].as_array().expect("runs") {
            let [variant, mode]: [String; 2] = serde_json::from_value(run.clone()).expect("variant and mode");
            let key = format!("{id}.{variant}.{mode}");
            let patch_merging: PatchMerging = serde_json::from_value(variant.into()).expect("a variant");
            let spec = SwinUnetrSpec { in_channels: embed[1], out_channels, feature_size: embed[0], patch_merging };
            let mut network = SwinUnetr::from_state_dict(&spec, weights(&contract), Device::cpu()).unwrap();
            let inferer = InfererSpec::SlidingWindowInferer(SlidingWindowSpec {
                roi_size: roi_size.clone(),
                overlap,
                mode: serde_json::from_value(mode.into()).expect("a mode"),
                sw_batch_size: case["sw_batch"].as_u64().expect("sw_batch") as usize,
                sigma_scale: number(&golden, "sigma_scale"),
            });
            let mut go_on = |_, _| ControlFlow::Continue(());
            let logits = infer(&mut network, volume.view(), &inferer, &mut go_on).unwrap();
            let logits = logits.insert_axis(Axis(0)).into_dyn();
            let stride = case["stride"].as_u64().expect("stride") as usize;
            let expected = fixture.f64s(&format!("{key}.logits.strided"));
            let (worst, mean) = close(&strided(&logits, stride), &expected, LOGITS, &key);
            let values: Vec<f32> = logits.iter().copied().collect();
            for (found, expected) in statistics(&values).into_iter().zip(fixture.f64s(&format!("{key}.logits.stats"))) {
                assert!((found - expected).abs() <= LOGITS.0, "{key}: {found} is not {expected}");
            }
            eprintln!("{key}: within {worst:.1e}, {mean:.1e} in the mean");
        }
    }
}

/// A parameter that all cases share, from the fixture folder's manifest.
fn number(golden: &Golden, key: &str) -> f64 {
    let path = golden.root.join("manifest.json");
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    manifest["fixtures"]["sliding"][key].as_f64().expect(key)
}
