//! What an explanation costs on top of the answer: ResNet50's `explain` beside its `forward`, in turn; the median of the rounds' ratios.

#[allow(dead_code)]
#[path = "ratio/mod.rs"]
mod ratio;

use ndarray::Array4;
use orthanc_ai::manifest::WeightsFormat;
use orthanc_ai::manifest::network::ResNet50Spec;
use orthanc_ai::model::nets::resnet50::{ResNet50, keys};
use orthanc_ai::model::weights::StateDict;
use orthanc_ai::model::{CamScore, CamTarget, Network};

const ROUNDS: usize = 15;

fn main() {
    let device = ratio::device();
    for (spec, batch, size) in [
        (ResNet50Spec::torchvision(3, 4, 64), 1, 512),
        (ResNet50Spec::keras(3, 1, 64, vec![256, 128]), 1, 224),
        (ResNet50Spec::keras(3, 1, 64, vec![256, 128]), 8, 224),
    ] {
        let input =
            Array4::from_shape_fn((batch, 3, size, size), |(n, c, y, x)| ((n + c + y + 3 * x) % 17) as f32 / 8.0 - 1.0);
        let weights = ratio::weights(keys(&spec));
        let state_dict = StateDict::read(weights.path(), WeightsFormat::Safetensors).unwrap();
        let mut network = ResNet50::from_state_dict(&spec, state_dict, device).unwrap();
        let target = CamTarget { output: None, score: CamScore::Logit };
        let mut ratios = Vec::new();
        for round in 0..=ROUNDS {
            let start = ratio::clock(device);
            network.forward(input.view().into_dyn()).unwrap();
            let middle = ratio::clock(device);
            network.explain(input.view().into_dyn(), target).unwrap().heat_maps();
            let (forward, explain) = (middle - start, ratio::clock(device) - middle);
            // The first round warms up.
            if round > 0 {
                ratios.push((explain / forward, forward));
            }
        }
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (ratio, forward) = ratios[ratios.len() / 2];
        println!("grad_cam/{batch}x{size}x{size}: {:+.1} % on top of {:.1} ms", (ratio - 1.0) * 100.0, forward * 1e3);
    }
}
