//! ResNet50 at the sizes that the manifests use, beside a matrix product of the same process.
//!
//! efficiency = 2 × multiply-adds / (seconds × rate of a 2048³ f32 matrix product). The two are measured in turn, so that
//! a slow moment of a shared machine hits both; the median of the rounds' ratios is printed, then criterion's own times.
//! With THREADS=1 the clock is the thread's CPU time, which other processes hardly change; with more, it is the wall's.

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
        let input = Array4::from_shape_fn((1, 3, size, size), |(_, c, y, x)| ((c + y + 3 * x) % 17) as f32 / 8.0 - 1.0);
        let name = format!("resnet50/width{width}/{size}x{size}");
        let weights = weights(&spec);
        let mut product = device.matrix_product(GEMM).unwrap();
        product().unwrap();
        let idle = reset_peak_mib();
        let state_dict = StateDict::read(weights.path(), WeightsFormat::Safetensors).unwrap();
        let mut network = ResNet50::from_state_dict(&spec, state_dict, device).unwrap();
        network.forward(input.view().into_dyn()).unwrap();
        println!("{name}: peak memory of loading and one run {:.0} MiB above idle", status_mib("VmHWM") - idle);
        let mut forward = || drop(network.forward(input.view().into_dyn()).unwrap());
        efficiency(
            &name,
            2.0 * multiply_adds(&spec, size, size) as f64,
            device,
            [&mut forward, &mut || product().unwrap()],
        );
        criterion.bench_function(&name, |b| b.iter(|| network.forward(input.view().into_dyn()).unwrap()));
    }
    criterion.final_summary();
}

/// Seconds: of CPU time of this thread (proc(5), schedstat) where it computes alone, else of the wall clock.
fn clock(device: Device) -> f64 {
    if device.threads() > 1 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        return now.unwrap().as_secs_f64();
    }
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    schedule.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-9
}

fn efficiency(name: &str, flop: f64, device: Device, [forward, product]: [&mut dyn FnMut(); 2]) {
    let gemm_flop = 2.0 * (GEMM as f64).powi(3);
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let start = clock(device);
        forward();
        let middle = clock(device);
        product();
        let (seconds, gemm) = (middle - start, clock(device) - middle);
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
fn weights(spec: &ResNet50Spec) -> tempfile::NamedTempFile {
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
    let file = tempfile::NamedTempFile::new().unwrap();
    let views = tensors.iter().map(|(k, s, b)| (k, TensorView::new(Dtype::F32, s.clone(), b).unwrap()));
    serialize_to_file(views, None, file.path()).unwrap();
    file
}

/// Sets the peak back to what is resident now, and gives that (proc(5), clear_refs).
fn reset_peak_mib() -> f64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    status_mib("VmRSS")
}

fn status_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
