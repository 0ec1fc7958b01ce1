//! Whether a probability of 70 % is right seven times in ten.

use serde::Serialize;

use super::bootstrap::percentile_interval;
use super::estimate::Measure;

/// Bins of equal width between 0 and 1.
pub const BINS: usize = 10;

/// The cases whose probability lies above `from` (of the first bin: at it) and at most at `to`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReliabilityBin {
    pub from: f64,
    pub to: f64,
    pub cases: usize,
    /// None in an empty bin.
    pub mean_probability: Option<f64>,
    /// Share of the bin's cases that the event came true for.
    pub observed: Measure,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Calibration {
    /// Mean squared difference of probability and truth (Brier 1950): 0 is perfect, one half always 0.25.
    pub brier: Measure,
    /// Expected calibration error: mean over the bins of |observed - mean probability|, by their cases (Naeini et al. 2015).
    pub expected_calibration_error: Measure,
    pub bins: Vec<ReliabilityBin>,
}

/// `probability`: of the event; `happened`: whether it came true. Equally many, probabilities within 0..=1.
pub fn calibration(probability: &[f64], happened: &[bool]) -> Calibration {
    let square = |i: usize| (probability[i] - f64::from(u8::from(happened[i]))).powi(2);
    Calibration {
        brier: mean(probability.len(), square),
        expected_calibration_error: expected_calibration_error(probability, happened),
        bins: (0..BINS).map(|number| bin(number, probability, happened)).collect(),
    }
}

/// Mean of a value of each case, with a bootstrap interval.
pub(super) fn mean(cases: usize, value: impl Fn(usize) -> f64) -> Measure {
    if cases == 0 {
        return Measure::undefined("no case");
    }
    let values: Vec<f64> = (0..cases).map(value).collect();
    let weighted = |w: &[u32]| Some(values.iter().zip(w).map(|(v, w)| v * f64::from(*w)).sum::<f64>() / cases as f64);
    Measure::new(values.iter().sum::<f64>() / cases as f64, percentile_interval(cases, weighted))
}

/// The bin that a probability falls into; an edge belongs to the bin below.
fn bin_of(probability: f64) -> usize {
    (1..BINS).filter(|edge| probability > edge_at(*edge)).count()
}

fn edge_at(number: usize) -> f64 {
    number as f64 / BINS as f64
}

fn bin(number: usize, probability: &[f64], happened: &[bool]) -> ReliabilityBin {
    let members: Vec<usize> = (0..probability.len()).filter(|i| bin_of(probability[*i]) == number).collect();
    let sum: f64 = members.iter().map(|i| probability[*i]).sum();
    let hits = members.iter().filter(|i| happened[**i]).count();
    ReliabilityBin {
        from: edge_at(number),
        to: edge_at(number + 1),
        cases: members.len(),
        mean_probability: (!members.is_empty()).then(|| sum / members.len() as f64),
        observed: Measure::proportion(hits, members.len(), "no case in the bin"),
    }
}

fn expected_calibration_error(probability: &[f64], happened: &[bool]) -> Measure {
    let cases = probability.len();
    if cases == 0 {
        return Measure::undefined("no case");
    }
    let bins: Vec<usize> = probability.iter().map(|p| bin_of(*p)).collect();
    let error = |weight: &dyn Fn(usize) -> f64| {
        let mut excess = [0.0; BINS];
        for i in 0..cases {
            excess[bins[i]] += weight(i) * (f64::from(u8::from(happened[i])) - probability[i]);
        }
        excess.iter().map(|e: &f64| e.abs()).sum::<f64>() / cases as f64
    };
    Measure::new(error(&|_| 1.0), percentile_interval(cases, |w| Some(error(&|i| f64::from(w[i])))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_probability_is_in_one_bin() {
        let probability = [0.0, 0.1, 0.100_000_1, 0.55, 0.999, 1.0];
        let found = calibration(&probability, &[false, true, false, true, true, true]);
        let cases: Vec<usize> = found.bins.iter().map(|b| b.cases).collect();
        assert_eq!(cases, [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(found.bins[0].observed.value(), Some(0.5));
        assert_eq!(found.bins[2].observed, Measure::undefined("no case in the bin"));
    }

    #[test]
    fn no_case_answers_in_words() {
        let json = serde_json::to_string(&calibration(&[], &[])).unwrap();
        assert!(json.contains("no case") && !json.contains("NaN"), "{json}");
    }
}
