//! How well a model finds tumours in slices that it has never seen.

use std::time::Instant;

use ndarray::{Array3, Axis, Ix4};

use super::samples::{Preparation, slice};
use crate::manifest::TaskSpec;
use crate::model::train::segmentation::{Case, Evaluation};
use crate::model::train::{EvaluateOptions, Folder, Purpose, TrainError};
use crate::model::{Device, ModelError, network};
use crate::predict::activate::sigmoid;
use crate::transform::postprocess_image;

/// Runs the model on slices; Dice is taken on their own grid.
pub fn evaluate(folder: &Folder, options: &EvaluateOptions) -> Result<Evaluation, TrainError> {
    let started = Instant::now();
    let manifest = &folder.manifest;
    let device = Device::from_choice("cpu", Some(options.threads))?;
    device.enter_thread();
    let mut network = network::load(&manifest.network, &folder.weights(), manifest.weights.format, device)?;
    let preparation = Preparation::new(manifest)?;
    let steps = match &manifest.task {
        TaskSpec::Segmentation(task) => task.postprocessing.as_slice(),
        TaskSpec::Classification(_) => &[],
    };
    let mut cases = Vec::new();
    for index in 0..options.images.unwrap_or(200) {
        let (image, instance) = slice(options.seed, Purpose::Evaluation, index, options.detector)?;
        let prepared = preparation.chain.apply(&image)?;
        let logits = network.forward(prepared.array.view().insert_axis(Axis(0)).into_dyn())?.dense()?;
        let found = logits.shape().to_vec();
        let logits = logits.into_dimensionality::<Ix4>().map_err(|_| ModelError::Output {
            found: format!("shape {found:?}"),
            expected: "one map a segment".into(),
        })?;
        let mut probabilities: Array3<f32> = logits.index_axis_move(Axis(0), 0);
        sigmoid(&mut probabilities);
        let masks = postprocess_image(&probabilities, steps, &prepared.applied)?;
        let (mut both, mut voxels, mut truth) = (0usize, 0usize, 0usize);
        for (answer, tumour) in masks.iter().flatten().zip(&instance.slice.truth) {
            both += usize::from(answer & tumour);
            voxels += usize::from(*answer);
            truth += usize::from(*tumour);
        }
        let dice = if voxels + truth == 0 { 1.0 } else { 2.0 * both as f64 / (voxels + truth) as f64 };
        cases.push(Case { diameter_mm: instance.slice.tumour.map(|l| l.diameter_mm), dice, voxels });
    }
    Ok(Evaluation { cases, seconds: started.elapsed().as_secs_f64() })
}
