//! ResNet50 at the sizes that the manifests use, beside a matrix product of the same process.
//!
//! efficiency = 2 × multiply-adds / (seconds × rate of a 2048³ f32 matrix product). The two are measured in turn, so that
//! a slow moment of a shared machine hits both; the median of the rounds' ratios is printed, then criterion's own times.

use criterion::Criterion;
use ndarray::Array4;
use orthanc_ai::manifest::WeightsFormat;
use orthanc_ai::manifest::network::ResNet50Spec;
use orthanc_ai::model::nets::resnet50::{ResNet50, keys, multiply_adds};
use orthanc_ai::model::weights::StateDict;
use orthanc_ai::model::{Device, Network};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

const GEMM: i64 = 2048;
const ROUNDS: usize = 15;

fn main() {
    let threads = std::env::var("THREADS").ok().and_then(|t| t.parse().ok());
    let device = Device::from_choice("cpu", threads).unwrap();
    device.enter_thread();
    println!("{}", device.describe());
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    for (width, size) in [(64, 512), (64, 224), (16, 512)] {
        let spec = ResNet50Spec { in_channels: 3, num_classes: 4, width };
        let mut network = network(&spec, device);
        let input = Array4::from_shape_fn((1, 3, size, size), |(_, c, y, x)| ((c + y + 3 * x) % 17) as f32 / 8.0 - 1.0);
        let name = format!("resnet50/width{width}/{size}x{size}");
        efficiency(&name, &spec, size, device, &mut || drop(network.forward(input.view()).unwrap()));
        criterion.bench_function(&name, |b| b.iter(|| network.forward(input.view()).unwrap()));
    }
    criterion.final_summary();
}

fn efficiency(name: &str, spec: &ResNet50Spec, size: usize, device: Device, forward: &mut dyn FnMut()) {
    let flop = 2.0 * multiply_adds(spec, size, size) as f64;
    let gemm_flop = 2.0 * (GEMM as f64).powi(3);
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let gemm_before = device.gemm_seconds(GEMM).unwrap();
        let started = std::time::Instant::now();
        forward();
        let seconds = started.elapsed().as_secs_f64();
        let gemm = (gemm_before + device.gemm_seconds(GEMM).unwrap()) / 2.0;
        // The first round warms up caches and oneDNN's primitives.
        if round > 0 {
            rounds.push((flop / seconds / (gemm_flop / gemm), seconds, gemm_flop / gemm / 1e9));
        }
    }
    let median = |of: fn(&(f64, f64, f64)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "{name}: efficiency {:.2}, {:.1} ms, matrix product {:.0} GFLOP/s (medians of {ROUNDS} rounds)",
        median(|r| r.0),
        median(|r| r.1) * 1e3,
        median(|r| r.2)
    );
}

/// Weights that keep activations in a sane range; their values do not matter to the time.
fn network(spec: &ResNet50Spec, device: Device) -> ResNet50 {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = keys(spec)
        .into_iter()
        .map(|(key, shape)| {
            let numel: i64 = shape.iter().product();
            let scale = if shape.len() > 1 { (2.0 / (numel / shape[0]) as f32).sqrt() } else { 1.0 };
            let value = |i: i64| if shape.len() > 1 { ((i * 7919 % 1009) as f32 / 504.5 - 1.0) * scale } else { scale };
            let bytes = (0..numel).flat_map(|i| value(i).to_le_bytes()).collect();
            (key, shape.into_iter().map(|d| d as usize).collect(), bytes)
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    let views = tensors.iter().map(|(k, s, b)| (k, TensorView::new(Dtype::F32, s.clone(), b).unwrap()));
    serialize_to_file(views, None, &file).unwrap();
    ResNet50::from_state_dict(spec, StateDict::read(&file, WeightsFormat::Safetensors).unwrap(), device).unwrap()
}
