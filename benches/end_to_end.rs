//! Four full-size mammograms through a live Orthanc with the full-size ResNet50 (pseudo-random weights: the time does not depend
//! on them): how much the rest adds to the four inferences, and how much memory a run takes (`make bench`).
//!
//! Prints, of the median run, total / sum of inferences, and peak resident memory above the idle server with the model loaded.

#[path = "full_size/mod.rs"]
mod full_size;
#[path = "ratio/mod.rs"]
#[allow(dead_code)]
mod ratio;
#[allow(dead_code)]
#[path = "../tests/orthanc/server.rs"]
mod server;

use std::collections::HashMap;
use std::path::Path;

use orthanc_ai::phantom::{Class, ExamOptions, exam};
use serde_json::{Value, json};

use server::{Options, Orthanc, Version};

const RUNS: usize = 7;
const MODEL: &str = "mammography-4view";

fn main() {
    // `cargo test --benches` starts every bench with no work to do.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let models = tempfile::tempdir().unwrap();
    full_size_model(models.path());
    let options =
        ExamOptions { seed: 77, classes: Class::ALL, size: (3328, 2840), spacing_mm: 0.07, ..ExamOptions::default() };
    let files: Vec<Vec<u8>> = exam(&options).unwrap().iter().map(|v| v.to_bytes().unwrap()).collect();
    println!("four views of {:.1} MB, ResNet50 at 512x512, 2 threads", files[0].len() as f64 / 1e6);
    for version in [Version::V1_10_1, Version::V1_13_0] {
        let ai = json!({"ModelsDirectory": models.path(), "Threads": 2, "Device": "cpu"});
        let server = Orthanc::with(version, &Options { ai, ..Options::default() });
        let study = server.upload_study(&files);
        let (idle, _) = server.memory();
        let body = json!({"Model": MODEL, "Synchronous": true});
        let mut runs: Vec<Value> =
            (0..=RUNS).map(|_| server.post(&format!("/studies/{study}/ai"), &body).ok()).collect();
        runs.remove(0);
        let seconds = |run: &Value, stage: &str| run["StageSeconds"][stage].as_f64().unwrap_or_default();
        let ratio = |run: &Value| seconds(run, "total") / seconds(run, "infer");
        runs.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        let median = &runs[RUNS / 2];
        let (_, peak) = server.memory();
        println!(
            "Orthanc {}: end to end {:.3} s = {:.3} x four inferences ({:.3} s; all runs {:.3} to {:.3}); \
             fetch {:.3}, read {:.3}, prepare {:.3} (summed over two threads), encode {:.4}, store {:.4}; \
             peak memory {:.0} MB above idle ({:.0} MB)",
            version.name(),
            seconds(median, "total"),
            ratio(median),
            seconds(median, "infer"),
            ratio(&runs[0]),
            ratio(&runs[RUNS - 1]),
            seconds(median, "fetch"),
            seconds(median, "read"),
            seconds(median, "prepare"),
            seconds(median, "encode"),
            seconds(median, "store"),
            (peak.saturating_sub(idle)) as f64 / 1e6,
            idle as f64 / 1e6,
        );
    }
}

/// The shipped manifest of the full-size model with weights that keep activations finite.
fn full_size_model(models: &Path) {
    let tensors: HashMap<String, (Vec<usize>, Vec<u8>)> = resnet50_weights().into_iter().collect();
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &full_size::write_manifest(models, MODEL)).unwrap();
}

/// Key, shape, little-endian f32.
type Weight = (String, (Vec<usize>, Vec<u8>));

/// torchvision's keys and shapes; convolutions uniform in ±sqrt(6 / fan_in).
fn resnet50_weights() -> Vec<Weight> {
    let mut state = 7u64;
    let mut out = Vec::new();
    let mut put = |name: String, shape: Vec<usize>, center: f32, amp: f32| {
        let values = (0..shape.iter().product::<usize>()).flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = ((state >> 40) as f32) / 8_388_608.0 - 1.0;
            (center + amp * unit).to_le_bytes()
        });
        out.push((name, (shape.clone(), values.collect())));
    };
    let conv =
        |put: &mut dyn FnMut(String, Vec<usize>, f32, f32), name: &str, bn: &str, o: usize, i: usize, k: usize| {
            put(format!("{name}.weight"), vec![o, i, k, k], 0.0, (6.0 / (i * k * k) as f32).sqrt());
            for (part, center) in [("weight", 0.5), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
                put(format!("{bn}.{part}"), vec![o], center, 0.05);
            }
        };
    conv(&mut put, "conv1", "bn1", 64, 3, 7);
    let mut channels = 64;
    for (layer, (blocks, width)) in [(3, 64), (4, 128), (6, 256), (3, 512)].into_iter().enumerate() {
        for block in 0..blocks {
            let at = format!("layer{}.{block}", layer + 1);
            conv(&mut put, &format!("{at}.conv1"), &format!("{at}.bn1"), width, channels, 1);
            conv(&mut put, &format!("{at}.conv2"), &format!("{at}.bn2"), width, width, 3);
            conv(&mut put, &format!("{at}.conv3"), &format!("{at}.bn3"), width * 4, width, 1);
            if block == 0 {
                conv(&mut put, &format!("{at}.downsample.0"), &format!("{at}.downsample.1"), width * 4, channels, 1);
            }
            channels = width * 4;
        }
    }
    put("fc.weight".into(), vec![4, 2048], 0.0, 0.02);
    put("fc.bias".into(), vec![4], 0.0, 0.02);
    out
}
