//! Logits to probabilities (data path step 8).

/// Softmax over one image's logits, in f64 and shifted by the maximum so that no finite logit overflows.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|&l| (f64::from(l) - f64::from(max)).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::softmax;

    #[test]
    fn sums_to_one_and_keeps_order() {
        for logits in [vec![0.0f32, 0.0, 0.0, 0.0], vec![1000.0, -1000.0], vec![1.0, 2.0, 3.0]] {
            let p = softmax(&logits);
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(logits.windows(2).zip(p.windows(2)).all(|(l, p)| (l[0] <= l[1]) == (p[0] <= p[1])));
        }
    }
}
