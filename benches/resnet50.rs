//! ResNet50 at the sizes that the manifests use, beside a matrix product of the same process.
//!
//! efficiency = 2 × multiply-adds / (seconds × rate of a 2048³ f32 matrix product). The two are measured in turn, so that
//! a slow moment of a shared machine hits both; the median of the rounds' ratios is printed, then criterion's own times.
//! With THREADS=1 the clock is the thread's CPU time, which other processes hardly change; with more, it is the wall's.

#[path = "ratio/mod.rs"]
mod ratio;

use criterion::Criterion;
use ndarray::Array4;
use orthanc_ai::manifest::WeightsFormat;
use orthanc_ai::manifest::network::ResNet50Spec;
use orthanc_ai::model::Network;
use orthanc_ai::model::nets::resnet50::{ResNet50, keys, multiply_adds};
use orthanc_ai::model::weights::StateDict;

const ROUNDS: usize = 15;

fn main() {
    let device = ratio::device();
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    // Images that go through together, width of the network, rows and columns.
    for (batch, width, size) in [(1, 64, 512), (1, 64, 224), (8, 64, 224), (32, 64, 224), (1, 16, 512)] {
        let spec = ResNet50Spec::torchvision(3, 4, width);
        let input =
            Array4::from_shape_fn((batch, 3, size, size), |(_, c, y, x)| ((c + y + 3 * x) % 17) as f32 / 8.0 - 1.0);
        let name = format!("resnet50/width{width}/{batch}x{size}x{size}");
        let weights = ratio::weights(keys(&spec));
        let mut product = device.matrix_product(ratio::GEMM).unwrap();
        product().unwrap();
        let idle = ratio::reset_peak_mib();
        let state_dict = StateDict::read(weights.path(), WeightsFormat::Safetensors).unwrap();
        let mut network = ResNet50::from_state_dict(&spec, state_dict, device).unwrap();
        network.forward(input.view().into_dyn()).unwrap();
        println!("{name}: peak memory of loading and one run {:.0} MiB above idle", ratio::peak_mib() - idle);
        let mut forward = || drop(network.forward(input.view().into_dyn()).unwrap());
        ratio::efficiency(
            &name,
            2.0 * (batch * multiply_adds(&spec, size, size)) as f64,
            device,
            ROUNDS,
            [&mut forward, &mut || product().unwrap()],
        );
        criterion.bench_function(&name, |b| b.iter(|| network.forward(input.view().into_dyn()).unwrap()));
    }
    criterion.final_summary();
}
