//! Several answers as one: the logits whose probabilities are the answers' mean or votes, and the probabilities' spread.

use ndarray::{Array2, ArrayD, Axis, Zip};

use crate::manifest::CombineMode;
use crate::model::{Logits, ModelError};

/// How a network's logits become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// Over the outputs (axis 1).
    Softmax,
    /// Each output on its own.
    Sigmoid,
}

/// Sums over the answers so far, in f64: spreads are small differences.
pub(super) struct Combination {
    mode: CombineMode,
    activation: Activation,
    weight: f64,
    sums: Option<Sums>,
}

struct Sums {
    is_global: bool,
    /// Of the probabilities, and of what they lack to 1: near 1 the one says nothing of the other.
    probability: ArrayD<f64>,
    complement: ArrayD<f64>,
    /// Of the probabilities' squares, with the variance that an answer has in itself.
    square: ArrayD<f64>,
    votes: ArrayD<f64>,
}

impl Combination {
    pub(super) fn new(mode: CombineMode, activation: Activation) -> Self {
        Self { mode, activation, weight: 0.0, sums: None }
    }

    /// `spread`: the standard deviation within the answer, of one that is combined itself.
    ///
    /// # Errors
    /// [`ModelError::Output`] for an answer of another shape than the first.
    pub(super) fn add(&mut self, logits: &Logits, spread: Option<&ArrayD<f32>>, weight: f64) -> Result<(), ModelError> {
        let (logits, is_global) = match logits {
            Logits::Global(logits) => (logits.view().into_dyn(), true),
            Logits::Dense(logits) => (logits.view(), false),
        };
        let zeros = || ArrayD::<f64>::zeros(logits.raw_dim());
        let sums = self.sums.get_or_insert_with(|| Sums {
            is_global,
            probability: zeros(),
            complement: zeros(),
            square: zeros(),
            votes: zeros(),
        });
        let same = |shape: &[usize]| shape == sums.probability.shape();
        if !same(logits.shape()) || spread.is_some_and(|s| !same(s.shape())) || is_global != sums.is_global {
            return Err(ModelError::Output {
                found: format!("shape {:?}", logits.shape()),
                expected: format!("that of the other answers, {:?}", sums.probability.shape()),
            });
        }
        let (probability, votes) = match self.activation {
            Activation::Sigmoid => {
                (logits.mapv(|z| sigmoid(f64::from(z))), logits.mapv(|z| if z >= 0.0 { 1.0 } else { 0.0 }))
            }
            Activation::Softmax => softmax_and_vote(&logits.mapv(f64::from)),
        };
        let complement = match self.activation {
            Activation::Sigmoid => logits.mapv(|z| sigmoid(-f64::from(z))),
            Activation::Softmax => probability.mapv(|p| 1.0 - p),
        };
        sums.square.scaled_add(weight, &probability.mapv(|p| p * p));
        if let Some(spread) = spread {
            sums.square.scaled_add(weight, &spread.mapv(|s| f64::from(s).powi(2)));
        }
        sums.probability.scaled_add(weight, &probability);
        sums.complement.scaled_add(weight, &complement);
        sums.votes.scaled_add(weight, &votes);
        self.weight += weight;
        Ok(())
    }

    /// The combined logits, and the standard deviation of the probabilities, weighted, over all answers.
    ///
    /// # Errors
    /// [`ModelError::Output`] where there was no answer.
    pub(super) fn finish(self) -> Result<(Logits, ArrayD<f32>), ModelError> {
        let none = || ModelError::Output { found: "no answer".into(), expected: "at least one".into() };
        let weight = self.weight;
        let Sums { is_global, probability, complement, square, votes } = self.sums.ok_or_else(none)?;
        let (yes, no) = match self.mode {
            CombineMode::Mean => (probability.clone(), complement),
            CombineMode::Vote => (votes.clone(), votes.mapv(|v| weight - v)),
        };
        let logits = match self.activation {
            Activation::Sigmoid => Zip::from(&yes).and(&no).map_collect(|&yes, &no| (ln(yes) - ln(no)) as f32),
            Activation::Softmax => yes.mapv(|yes| ln(yes / weight) as f32),
        };
        let spread = Zip::from(&square).and(&probability).map_collect(|&square, &sum| {
            let variance = square / weight - (sum / weight).powi(2);
            // Rounding may leave a little less than nothing; what is no number stays none.
            if variance < 0.0 { 0.0 } else { variance.sqrt() as f32 }
        });
        let logits = if is_global { Logits::Global(two_axes(logits)?) } else { Logits::Dense(logits) };
        Ok((logits, spread))
    }
}

fn two_axes(logits: ArrayD<f32>) -> Result<Array2<f32>, ModelError> {
    let found = format!("shape {:?}", logits.shape());
    logits.into_dimensionality().map_err(|_| ModelError::Output { found, expected: "N × classes".into() })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Finite for a probability of 0, which then is one of less than 1e-300; what is no number stays none.
fn ln(probability: f64) -> f64 {
    if probability < f64::MIN_POSITIVE { f64::MIN_POSITIVE.ln() } else { probability.ln() }
}

/// Softmax over axis 1, and 1 at the first of the largest.
fn softmax_and_vote(logits: &ArrayD<f64>) -> (ArrayD<f64>, ArrayD<f64>) {
    let (mut probability, mut votes) = (logits.clone(), ArrayD::zeros(logits.raw_dim()));
    for (mut p, mut v) in probability.lanes_mut(Axis(1)).into_iter().zip(votes.lanes_mut(Axis(1))) {
        let max = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let winner = p.iter().position(|&z| z >= max);
        p.mapv_inplace(|z| (z - max).exp());
        let sum = p.sum();
        p /= sum;
        if let Some(vote) = winner.and_then(|winner| v.get_mut(winner)) {
            *vote = 1.0;
        }
    }
    (probability, votes)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::predict::activate;

    fn combine(
        mode: CombineMode,
        activation: Activation,
        answers: &[(Array2<f32>, f64)],
    ) -> (Array2<f32>, ArrayD<f32>) {
        let mut combination = Combination::new(mode, activation);
        for (logits, weight) in answers {
            combination.add(&Logits::Global(logits.clone()), None, *weight).unwrap();
        }
        let (logits, spread) = combination.finish().unwrap();
        (logits.global().unwrap(), spread)
    }

    #[test]
    fn softmax_of_the_combined_logits_is_the_weighted_mean() {
        let answers = [(array![[0.0f32, 1.0, -2.0]], 1.0), (array![[3.0f32, 0.0, 0.5]], 3.0)];
        let (logits, spread) = combine(CombineMode::Mean, Activation::Softmax, &answers);
        let p: Vec<Vec<f64>> = answers.iter().map(|(l, _)| activate::softmax(l.as_slice().unwrap())).collect();
        let found = activate::softmax(logits.as_slice().unwrap());
        for i in 0..3 {
            let mean = (p[0][i] + 3.0 * p[1][i]) / 4.0;
            assert!((found[i] - mean).abs() < 1e-6, "{i}: {} {mean}", found[i]);
            let variance = ((p[0][i] - mean).powi(2) + 3.0 * (p[1][i] - mean).powi(2)) / 4.0;
            assert!((f64::from(spread[[0, i]]) - variance.sqrt()).abs() < 1e-6);
        }
    }

    #[test]
    fn sigmoid_of_the_combined_logits_is_the_mean_also_near_its_ends() {
        let answers = [(array![[-2.0f32, 30.0, -90.0]], 1.0), (array![[2.5f32, 33.0, -80.0]], 1.0)];
        let (logits, _) = combine(CombineMode::Mean, Activation::Sigmoid, &answers);
        let p = |z: f64| 1.0 / (1.0 + (-z).exp());
        assert!((p(f64::from(logits[[0, 0]])) - (p(-2.0) + p(2.5)) / 2.0).abs() < 1e-6);
        // 1 - p is (e^-30 + e^-33) / 2, p is (e^-90 + e^-80) / 2.
        assert!((f64::from(logits[[0, 1]]) + (((-30f64).exp() + (-33f64).exp()) / 2.0).ln()).abs() < 1e-4);
        assert!((f64::from(logits[[0, 2]]) - (((-90f64).exp() + (-80f64).exp()) / 2.0).ln()).abs() < 1e-4);
    }

    #[test]
    fn equal_answers_are_the_answer_and_have_no_spread() {
        for activation in [Activation::Softmax, Activation::Sigmoid] {
            let answer = array![[0.3f32, -1.5], [12.0, 11.0]];
            let (logits, spread) =
                combine(CombineMode::Mean, activation, &[(answer.clone(), 1.0), (answer.clone(), 0.5)]);
            let mut difference = logits - &answer;
            if activation == Activation::Softmax {
                // Up to what softmax does not see.
                let first = difference.column(0).to_owned().insert_axis(Axis(1));
                difference -= &first;
            }
            assert!(difference.iter().all(|d| d.abs() < 1e-5), "{difference}");
            assert!(spread.iter().all(|s| *s < 1e-6), "{spread}");
        }
    }

    #[test]
    fn votes_are_shares_and_finite() {
        let answers = [(array![[5.0f32, 1.0]], 1.0), (array![[0.0f32, 0.1]], 1.0), (array![[9.0f32, -1.0]], 2.0)];
        let (logits, _) = combine(CombineMode::Vote, Activation::Softmax, &answers);
        let found = activate::softmax(logits.as_slice().unwrap());
        assert!((found[0] - 0.75).abs() < 1e-6, "{found:?}");
        let (logits, spread) = combine(CombineMode::Vote, Activation::Sigmoid, &answers);
        // The first output has every vote (0 is as probable as not), the second half of them.
        assert!(logits[[0, 0]] > 700.0 && logits[[0, 0]].is_finite() && logits[[0, 1]].abs() < 1e-6, "{logits}");
        assert!(spread[[0, 0]] > 0.1, "the spread is the probabilities', not the votes'");
    }

    #[test]
    fn spread_within_an_answer_is_added_to_that_between_answers() {
        let mut combination = Combination::new(CombineMode::Mean, Activation::Sigmoid);
        let logits = Logits::Global(array![[0.0f32]]);
        combination.add(&logits, Some(&array![[0.3f32]].into_dyn()), 1.0).unwrap();
        combination.add(&logits, Some(&array![[0.4f32]].into_dyn()), 1.0).unwrap();
        let (_, spread) = combination.finish().unwrap();
        assert!((f64::from(spread[[0, 0]]) - (0.25f64 / 2.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_number_stays_none_and_other_shapes_are_refused() {
        let (logits, _) = combine(CombineMode::Mean, Activation::Sigmoid, &[(array![[f32::NAN]], 1.0)]);
        assert!(logits[[0, 0]].is_nan());
        // A member that says nothing has no vote, but the answer is known by its spread.
        let answers = [(array![[f32::NAN]], 1.0), (array![[3.0]], 1.0)];
        assert!(combine(CombineMode::Vote, Activation::Sigmoid, &answers).1[[0, 0]].is_nan());
        let mut combination = Combination::new(CombineMode::Mean, Activation::Sigmoid);
        combination.add(&Logits::Global(array![[0.0f32]]), None, 1.0).unwrap();
        assert!(combination.add(&Logits::Global(array![[0.0f32, 1.0]]), None, 1.0).is_err());
        assert!(combination.add(&Logits::Dense(array![[0.0f32]].into_dyn()), None, 1.0).is_err());
        assert!(Combination::new(CombineMode::Mean, Activation::Sigmoid).finish().is_err());
    }
}
