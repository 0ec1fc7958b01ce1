//! The UNet at its published size, beside a matrix product of the same process: efficiency as in benches/resnet50.rs.

#[path = "ratio/mod.rs"]
mod ratio;

use ndarray::Array4;
use orthanc_ai::manifest::WeightsFormat;
use orthanc_ai::manifest::network::UnetSpec;
use orthanc_ai::model::Network;
use orthanc_ai::model::nets::unet::{UNet, keys, multiply_adds};
use orthanc_ai::model::weights::StateDict;

fn main() {
    let device = ratio::device();
    let spec = UnetSpec { in_channels: 1, out_channels: 1, width: 64, conv_bias: false };
    for (batch, size, rounds) in [(1, 512, 7), (4, 256, 7)] {
        let input = Array4::from_shape_fn((batch, 1, size, size), |(n, _, y, x)| ((n + y + 3 * x) % 17) as f32 / 8.0);
        let name = format!("unet/width64/{batch}x{size}x{size}");
        let weights = ratio::weights(keys(&spec));
        let mut product = device.matrix_product(ratio::GEMM).unwrap();
        product().unwrap();
        let idle = ratio::reset_peak_mib();
        let state_dict = StateDict::read(weights.path(), WeightsFormat::Safetensors).unwrap();
        let mut network = UNet::from_state_dict(&spec, state_dict, device).unwrap();
        network.forward(input.view().into_dyn()).unwrap();
        println!("{name}: peak memory of loading and one run {:.0} MiB above idle", ratio::peak_mib() - idle);
        let mut forward = || drop(network.forward(input.view().into_dyn()).unwrap());
        let flop = 2.0 * (batch * multiply_adds(&spec, size, size)) as f64;
        ratio::efficiency(&name, flop, device, rounds, [&mut forward, &mut || product().unwrap()]);
    }
}
