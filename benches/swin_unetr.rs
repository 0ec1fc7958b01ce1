//! SwinUNETR at its published size, beside a matrix product of the same process.
//!
//! efficiency = 2 × multiply-adds / (seconds × rate of a 2048³ f32 matrix product). The two are measured in turn, so that
//! a slow moment of a shared machine hits both; the median of the rounds' ratios is printed. With THREADS=1 the clock is the thread's
//! CPU time, which other processes hardly change; with more, it is the wall's.
//!
//! Where the time goes (4 × 96³, one thread, AVX2): the blocks at full size, encoder1 and decoder1, 48 %; the transformer 42 %, of which
//! two thirds are stage 1's two blocks; the other blocks 10 %. The convolutions themselves run at the matrix product's rate.
//! What costs beside them is attention's exponentials and new memory: a fresh tensor of a full-size activation (85 MB) takes ten times as long
//! as LeakyReLU in place on it, so that norms, sums and shortcuts reuse what is there.

#[path = "ratio/mod.rs"]
mod ratio;

use ndarray::ArrayD;
use orthanc_ai::manifest::WeightsFormat;
use orthanc_ai::manifest::network::{PatchMerging, SwinUnetrSpec};
use orthanc_ai::model::Network;
use orthanc_ai::model::nets::swin_unetr::{SwinUnetr, keys, multiply_adds};
use orthanc_ai::model::weights::StateDict;

const ROUNDS: usize = 5;

fn main() {
    let device = ratio::device();
    let spec =
        SwinUnetrSpec { in_channels: 4, out_channels: 1, feature_size: 24, patch_merging: PatchMerging::Current };
    for side in [96, 64] {
        let shape = [1, spec.in_channels, side, side, side];
        let input =
            ArrayD::from_shape_fn(&shape[..], |i| ((i[1] + i[2] + 3 * i[3] + i[4] * i[2]) % 17) as f32 / 8.0 - 1.0);
        let name = format!("swin_unetr/feature_size24/{side}x{side}x{side}");
        let weights = ratio::weights(keys(&spec));
        let mut product = device.matrix_product(ratio::GEMM).unwrap();
        product().unwrap();
        let idle = ratio::reset_peak_mib();
        let state_dict = StateDict::read(weights.path(), WeightsFormat::Safetensors).unwrap();
        let mut network = SwinUnetr::from_state_dict(&spec, state_dict, device).unwrap();
        network.forward(input.view()).unwrap();
        println!("{name}: peak memory of loading and one run {:.0} MiB above idle", ratio::peak_mib() - idle);
        let mut forward = || drop(network.forward(input.view()).unwrap());
        let flop = 2.0 * multiply_adds(&spec, [side; 3]) as f64;
        ratio::efficiency(&name, flop, device, ROUNDS, [&mut forward, &mut || product().unwrap()]);
    }
}
