//! How well a model finds tumours in phantoms that it has never seen.

use std::time::Instant;

use crate::model::train::{EvaluateOptions, Folder, Purpose, TrainError};
use crate::model::{Device, network};

#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub dice: Vec<f64>,
    pub seconds: f64,
}

impl std::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut d = self.dice.clone();
        d.sort_by(f64::total_cmp);
        writeln!(f, "{:.3?} mean {:.3} {:.0} s", d, d.iter().sum::<f64>() / d.len() as f64, self.seconds)
    }
}

pub fn evaluate(folder: &Folder, options: &EvaluateOptions) -> Result<Evaluation, TrainError> {
    let started = Instant::now();
    let device = Device::from_choice("cpu", Some(options.threads))?;
    device.enter_thread();
    let manifest = &folder.manifest;
    let mut network = network::load(&manifest.network, &folder.weights(), manifest.weights.format, device)?;
    let mut dice = Vec::new();
    for index in 0..options.images.unwrap_or(20) {
        let phantom = super::samples::phantom(options.seed, Purpose::Evaluation, index, options.detector).coarser(2);
        if !phantom.lesion {
            continue;
        }
        let exam = phantom.render()?;
        let (input, truth) = super::prepare::prepare(&exam);
        let logits = network.forward(input.view().insert_axis(ndarray::Axis(0)).into_dyn())?.dense()?;
        let (mut both, mut sizes) = (0.0, 0.0);
        for (l, t) in logits.iter().zip(&truth) {
            let (l, t) = (f64::from(u8::from(*l > 0.0)), f64::from(u8::from(*t > 0.5)));
            both += l * t;
            sizes += l + t;
        }
        eprintln!("{index} {:.1} mm: {:.3}", exam.lesion.map_or(0.0, |l| l.diameter_mm), 2.0 * both / sizes);
        dice.push(2.0 * both / sizes);
    }
    Ok(Evaluation { dice, seconds: started.elapsed().as_secs_f64() })
}
