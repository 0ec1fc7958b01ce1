//! The loss: Dice and cross entropy, which MONAI calls DiceCELoss.

use tch::nn::VarStore;
use tch::{Kind, Reduction, TchError, Tensor};

/// Where the answer begins: nearly everything is no tumour, and a bias is slow to learn that (Lin et al. 2017).
const PRIOR_LOGIT: f64 = -4.0;

/// Keeps a batch without a tumour from dividing by 0; in voxels.
const SMOOTH: f64 = 1.0;

/// `1 - Dice + binary cross entropy` of logits against shares (N × 1 × spatial, alike). Dice is taken over the whole batch: a
/// cube without a tumour has none of its own (Milletari et al. 2016; `batch=True` in MONAI).
///
/// # Errors
/// What libtorch refuses.
pub fn dice_ce(logits: &Tensor, truth: &Tensor) -> Result<Tensor, TchError> {
    let probability = logits.f_sigmoid()?;
    let both = probability.f_mul(truth)?.f_sum(Kind::Float)?;
    let sizes = probability.f_sum(Kind::Float)?.f_add(&truth.f_sum(Kind::Float)?)?;
    let dice = both.f_mul_scalar(2.0)?.f_add_scalar(SMOOTH)?.f_div(&sizes.f_add_scalar(SMOOTH)?)?;
    let entropy =
        logits.f_binary_cross_entropy_with_logits(truth, None::<&Tensor>, None::<&Tensor>, Reduction::Mean)?;
    entropy.f_sub(&dice)?.f_add_scalar(1.0)
}

/// (voxels in both, sum of both sizes) where answer and truth are above one half.
///
/// # Errors
/// What libtorch refuses.
pub fn overlap(logits: &Tensor, truth: &Tensor) -> Result<(f64, f64), TchError> {
    let (answer, truth) = (logits.f_gt(0.0)?, truth.f_gt(0.5)?);
    let count = |mask: &Tensor| f64::try_from(&mask.f_sum(Kind::Double)?);
    Ok((count(&answer.f_logical_and(&truth)?)?, count(&answer)? + count(&truth)?))
}

/// Sets the output's bias so that an untrained network finds nothing.
///
/// # Errors
/// What libtorch refuses.
pub fn start_with_nothing(variables: &VarStore, bias: &str) -> Result<(), TchError> {
    if let Some(bias) = variables.variables().get_mut(bias) {
        let _filled = tch::no_grad(|| bias.f_fill_(PRIOR_LOGIT))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(logits: &[f32], truth: &[f32]) -> f64 {
        let tensor = |values: &[f32]| Tensor::from_slice(values).view([1, 1, 1, 1, -1]);
        f64::try_from(dice_ce(&tensor(logits), &tensor(truth)).unwrap()).unwrap()
    }

    #[test]
    fn equals_the_formula() {
        let (logits, truth) = ([1.5f32, -0.5, 0.3, -2.0], [1.0f32, 0.0, 0.25, 0.0]);
        let p = logits.map(|v| 1.0 / (1.0 + (-f64::from(v)).exp()));
        let t = truth.map(f64::from);
        let both: f64 = p.iter().zip(t).map(|(p, t)| p * t).sum();
        let dice = (2.0 * both + 1.0) / (p.iter().sum::<f64>() + t.iter().sum::<f64>() + 1.0);
        let entropy = p.iter().zip(t).map(|(p, t)| -t * p.ln() - (1.0 - t) * (1.0 - p).ln()).sum::<f64>() / 4.0;
        assert!((loss(&logits, &truth) - (1.0 - dice + entropy)).abs() < 1e-5);
    }

    #[test]
    fn the_right_answer_costs_nothing_and_silence_is_right_where_nothing_is() {
        assert!(loss(&[20.0, -20.0, -20.0], &[1.0, 0.0, 0.0]) < 1e-4);
        assert!(loss(&[-20.0; 3], &[0.0; 3]) < 1e-4);
        assert!(loss(&[20.0, -20.0, -20.0], &[0.0; 3]) > 0.4);
    }
}
