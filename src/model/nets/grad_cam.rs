//! Grad-CAM (Selvaraju et al. 2017) for a network that ends in a head on its last activation.

use ndarray::Array2;
use tch::{Kind, TchError, Tensor};

use super::tensor::array;
use crate::model::{CamTarget, Explanation, ModelError};

/// `activation` is the last block's output, N × C × H × W, computed without gradients; `head` goes on from there to the logits, N × classes.
/// Autograd sees the head alone, which costs next to nothing beside the blocks.
pub fn grad_cam(
    activation: &Tensor,
    head: impl Fn(&Tensor) -> Result<Tensor, TchError>,
    target: CamTarget,
) -> Result<Explanation, ModelError> {
    tch::with_grad(|| {
        let activation = activation.f_detach()?.f_set_requires_grad(true)?;
        let scores = head(&activation)?;
        let logits: Array2<f32> = array(&scores.f_detach()?)?;
        let outputs = outputs(&logits, target.output)?;
        let index: Vec<i64> = outputs.iter().map(|&output| output as i64).collect();
        let index = Tensor::f_from_slice(&index)?.f_view([-1, 1])?.f_to_device(scores.device())?;
        // No image's logits depend on another image: the gradient of the sum is the gradients side by side.
        let sum = scores.f_gather(1, &index, false)?.f_sum(Kind::Float)?;
        let gradients = Tensor::f_run_backward(&[sum], &[&activation], false, false)?;
        let gradient = gradients.first().ok_or_else(|| ModelError::Output {
            found: "no gradient".into(),
            expected: "one of the last activation".into(),
        })?;
        let weights = gradient.f_mean_dim([2i64, 3].as_slice(), true, Kind::Float)?;
        let slopes: Vec<f32> =
            logits.outer_iter().zip(&outputs).map(|(l, &o)| target.score.slope(l[o]) as f32).collect();
        let slopes = Tensor::f_from_slice(&slopes)?.f_view([-1, 1, 1, 1])?.f_to_device(weights.device())?;
        let weights = weights.f_mul(&slopes)?;
        let maps = activation.f_detach()?.f_mul(&weights)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
        let channel_weights = array(&weights.f_flatten(1, -1)?)?;
        Ok(Explanation { logits, outputs, channel_weights, activation_maps: array(&maps)? })
    })
}

/// The output to explain of each image.
fn outputs(logits: &Array2<f32>, wanted: Option<usize>) -> Result<Vec<usize>, ModelError> {
    let count = logits.ncols();
    match wanted {
        Some(output) if output < count => Ok(vec![output; logits.nrows()]),
        Some(output) => {
            Err(ModelError::Explanation(format!("output {output} of a network with {count}, counted from 0")))
        }
        None => {
            let largest = |row: ndarray::ArrayView1<'_, f32>| {
                row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(output, _)| output)
            };
            let outputs = logits.outer_iter().map(largest).collect::<Option<_>>();
            outputs.ok_or_else(|| ModelError::Explanation("a network without outputs".into()))
        }
    }
}
