//! Logits to probabilities (data path step 8).

use ndarray::{Array, Dimension};

use crate::manifest::Activation;

/// The probabilities of one image's classes, in the manifest's order, in f64.
pub fn probabilities(activation: Activation, logits: &[f32]) -> Vec<f64> {
    let sigmoid = |logit: &f32| 1.0 / (1.0 + (-f64::from(*logit)).exp());
    match activation {
        Activation::Softmax => softmax(logits),
        Activation::Sigmoid => logits.iter().map(sigmoid).collect(),
        Activation::SigmoidBinary => logits.iter().map(sigmoid).flat_map(|p| [1.0 - p, p]).collect(),
    }
}

/// The standard deviations of one image's classes, in the manifest's order, of those of its network's outputs (0 to 0.5). Of two classes
/// that share one output both have its own.
pub fn spreads(activation: Activation, outputs: &[f32]) -> Vec<f64> {
    let spread = outputs.iter().map(|s| f64::from(*s));
    match activation {
        Activation::Softmax | Activation::Sigmoid => spread.collect(),
        Activation::SigmoidBinary => spread.flat_map(|s| [s, s]).collect(),
    }
}

/// Softmax over one image's logits, in f64 and shifted by the maximum so that no finite logit overflows.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|&l| (f64::from(l) - f64::from(max)).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / sum).collect()
}

/// `1 / (1 + exp(-x))` of each element, in place; -∞ and ∞ become 0 and 1.
pub fn sigmoid<D: Dimension>(logits: &mut Array<f32, D>) {
    logits.mapv_inplace(|logit| 1.0 / (1.0 + (-logit).exp()));
}

#[cfg(test)]
mod tests {
    use super::{probabilities, sigmoid, softmax, spreads};
    use crate::manifest::Activation;

    #[test]
    fn each_activation_has_a_probability_a_class() {
        assert_eq!(probabilities(Activation::Softmax, &[0.5, 0.5]), [0.5, 0.5]);
        assert_eq!(probabilities(Activation::SigmoidBinary, &[0.0]), [0.5, 0.5]);
        let sure = probabilities(Activation::SigmoidBinary, &[3.0]);
        assert!((sure[1] - 0.952_574_126_822_433_1).abs() < 1e-15 && (sure[0] + sure[1] - 1.0).abs() < 1e-15);
        assert_eq!(probabilities(Activation::Sigmoid, &[f32::MAX, f32::MIN, 0.0]), [1.0, 0.0, 0.5]);
    }

    #[test]
    fn each_class_has_the_spread_of_its_output() {
        assert_eq!(spreads(Activation::Softmax, &[0.25, 0.125]), [0.25, 0.125]);
        assert_eq!(spreads(Activation::SigmoidBinary, &[0.25]), [0.25, 0.25]);
    }

    #[test]
    fn sums_to_one_and_keeps_order() {
        for logits in [vec![0.0f32, 0.0, 0.0, 0.0], vec![1000.0, -1000.0], vec![1.0, 2.0, 3.0]] {
            let p = softmax(&logits);
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(logits.windows(2).zip(p.windows(2)).all(|(l, p)| (l[0] <= l[1]) == (p[0] <= p[1])));
        }
    }

    #[test]
    fn sigmoid_equals_that_in_double_precision() {
        let logits = ndarray::Array1::linspace(-120.0f32, 120.0, 4801);
        let mut found = logits.clone();
        sigmoid(&mut found);
        for (&logit, &p) in logits.iter().zip(&found) {
            let expected = 1.0 / (1.0 + (-f64::from(logit)).exp());
            assert!((f64::from(p) - expected).abs() < 1.5e-7, "sigmoid({logit}) = {p}, expected {expected}");
        }
        let mut ends = ndarray::array![f32::NEG_INFINITY, -1000.0, 0.0, 1000.0, f32::INFINITY];
        sigmoid(&mut ends);
        assert_eq!(ends, ndarray::array![0.0, 0.0, 0.5, 1.0, 1.0]);
    }
}
