//! How well a model finds tumours in slices that it has never seen.

use std::time::Instant;

use ndarray::{Array3, Axis, Ix4};

use super::samples::{Preparation, slice};
use crate::model::ModelError;
use crate::model::train::segmentation::{Case, Evaluation};
use crate::model::train::{EvaluateOptions, Folder, PhantomSet, TrainError};
use crate::predict::activate::sigmoid;
use crate::transform::postprocess_image;

/// Runs the model on slices; Dice is taken on their own grid.
pub fn evaluate(folder: &Folder, options: &EvaluateOptions) -> Result<Evaluation, TrainError> {
    let started = Instant::now();
    let mut network = folder.network(options.threads)?;
    let preparation = Preparation::new(&folder.manifest)?;
    let set = PhantomSet::evaluation(options);
    let mut cases = Vec::new();
    for index in 0..options.images.unwrap_or(200) {
        let (image, instance) = slice(&set, index)?;
        let prepared = preparation.chain.apply(&image)?;
        let logits = network.forward(prepared.array.view().insert_axis(Axis(0)).into_dyn())?.dense()?;
        let found = logits.shape().to_vec();
        let logits = logits.into_dimensionality::<Ix4>().map_err(|_| ModelError::Output {
            found: format!("shape {found:?}"),
            expected: "one map a segment".into(),
        })?;
        let mut probabilities: Array3<f32> = logits.index_axis_move(Axis(0), 0);
        sigmoid(&mut probabilities);
        let masks = postprocess_image(&probabilities, folder.postprocessing(), &prepared.applied)?;
        let diameter_mm = instance.slice.tumour.map(|l| l.diameter_mm);
        cases.push(Case::compare(diameter_mm, &masks[0], &instance.slice.truth));
    }
    Ok(Evaluation { cases, seconds: started.elapsed().as_secs_f64() })
}
