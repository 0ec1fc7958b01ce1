//! A network's time as a ratio to a matrix product's, and its memory. Shared by the benches.

use orthanc_ai::model::Device;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

/// Rows and columns of the matrices.
pub const GEMM: i64 = 2048;

/// The CPU with THREADS threads (one a core where it is not set), entered by the calling thread and printed.
pub fn device() -> Device {
    let threads = std::env::var("THREADS").ok().and_then(|t| t.parse().ok());
    let device = Device::from_choice("cpu", threads).unwrap();
    device.enter_thread();
    println!("{}", device.describe());
    device
}

/// Seconds: of CPU time of this thread (proc(5), schedstat) where it computes alone, else of the wall clock.
pub fn clock(device: Device) -> f64 {
    if device.threads() > 1 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        return now.unwrap().as_secs_f64();
    }
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    schedule.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-9
}

/// Prints the efficiency of `forward`, whose work is `flop`, beside `product`, a product of [`GEMM`]² matrices.
pub fn efficiency(
    name: &str,
    flop: f64,
    device: Device,
    round_count: usize,
    [forward, product]: [&mut dyn FnMut(); 2],
) {
    let gemm_flop = 2.0 * (GEMM as f64).powi(3);
    let mut rounds = Vec::new();
    for round in 0..=round_count {
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
        "{name}: efficiency {:.2}, {:.1} ms, matrix product {:.0} GFLOP/s (medians of {round_count} rounds)",
        median(|r| r.0),
        median(|r| r.1) * 1e3,
        median(|r| r.2)
    );
}

/// Weights that keep activations in a sane range; their values do not matter to the time.
pub fn weights(keys: Vec<(String, Vec<i64>)>) -> tempfile::NamedTempFile {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = keys
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
pub fn reset_peak_mib() -> f64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    status_mib("VmRSS")
}

pub fn peak_mib() -> f64 {
    status_mib("VmHWM")
}

fn status_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
