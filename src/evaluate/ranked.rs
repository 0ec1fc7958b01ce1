//! Scores of positive and negative cases, ranked: the ROC and the precision-recall curve, the areas under them, and thresholds.

use serde::Serialize;

use super::bootstrap::percentile_interval;
use super::estimate::{Measure, Z_95};

/// Cases in descending order of their scores.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// (score, positive, index of the case)
    cases: Vec<(f64, bool, usize)>,
    positives: usize,
}

/// A point of the ROC curve. A case counts as positive from `threshold` on; None: no case does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RocPoint {
    pub threshold: Option<f64>,
    pub false_positive_rate: f64,
    pub true_positive_rate: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PrecisionRecallPoint {
    pub threshold: f64,
    pub precision: f64,
    pub recall: f64,
}

/// How a threshold is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ThresholdRule {
    /// The highest threshold that finds at least this share of the positive cases.
    Sensitivity(f64),
    /// The lowest threshold that leaves at least this share of the negative cases alone.
    Specificity(f64),
    /// The highest sensitivity + specificity - 1 (Youden 1950); the highest threshold of equals.
    Youden,
}

impl std::fmt::Display for ThresholdRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sensitivity(wanted) => write!(f, "sensitivity of at least {wanted}"),
            Self::Specificity(wanted) => write!(f, "specificity of at least {wanted}"),
            Self::Youden => f.write_str("Youden's index"),
        }
    }
}

/// What lies at a score and above.
#[derive(Debug, Clone, Copy)]
struct Step {
    score: f64,
    true_positives: u64,
    false_positives: u64,
}

impl Ranked {
    /// # Errors
    /// Scores and truths are not as many, or a score is no finite number.
    pub fn new(scores: &[f64], positive: &[bool]) -> Result<Self, String> {
        if scores.len() != positive.len() {
            return Err(format!("found {} scores, expected {}, one a case", scores.len(), positive.len()));
        }
        if let Some(bad) = scores.iter().find(|s| !s.is_finite()) {
            return Err(format!("found the score {bad}, expected finite numbers"));
        }
        let cases =
            scores.iter().zip(positive).enumerate().map(|(index, (score, positive))| (*score, *positive, index));
        let mut cases: Vec<_> = cases.collect();
        cases.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok(Self { cases, positives: positive.iter().filter(|p| **p).count() })
    }

    pub fn positives(&self) -> usize {
        self.positives
    }

    pub fn negatives(&self) -> usize {
        self.cases.len() - self.positives
    }

    /// Why there is no curve.
    fn one_sided(&self) -> Option<String> {
        match (self.positives(), self.negatives()) {
            (0, 0) => Some("no case".into()),
            (0, _) => Some("no positive case".into()),
            (_, 0) => Some("no negative case".into()),
            _ => None,
        }
    }

    /// One a distinct score, from the highest, each case counted as often as `weight` says.
    fn steps(&self, weight: impl Fn(usize) -> u32) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let (mut true_positives, mut false_positives) = (0u64, 0u64);
        for &(score, positive, index) in &self.cases {
            let weight = u64::from(weight(index));
            if positive {
                true_positives += weight;
            } else {
                false_positives += weight;
            }
            let step = Step { score, true_positives, false_positives };
            match steps.last_mut() {
                // 0.0 and -0.0 are one score.
                Some(last) if last.score == score => *last = step,
                _ => steps.push(step),
            }
        }
        steps
    }

    /// Area under the ROC curve (a tie counts half) with DeLong's 95 % interval (DeLong, DeLong and Clarke-Pearson 1988).
    pub fn auc(&self) -> Measure {
        if let Some(reason) = self.one_sided() {
            return Measure::Undefined(reason);
        }
        let steps = self.steps(|_| 1);
        let (positives, negatives) = (self.positives as f64, self.negatives() as f64);
        // Each positive case's share of the negatives below it, and each negative's of the positives above it.
        let (mut of_positive, mut of_negative) = (Moments::default(), Moments::default());
        let (mut above, mut passed) = (0.0, 0.0);
        for step in &steps {
            let (tied_positives, tied_negatives) =
                (step.true_positives as f64 - above, step.false_positives as f64 - passed);
            of_positive.add(tied_positives, (negatives - passed - tied_negatives / 2.0) / negatives);
            of_negative.add(tied_negatives, (above + tied_positives / 2.0) / positives);
            (above, passed) = (step.true_positives as f64, step.false_positives as f64);
        }
        let auc = of_positive.mean();
        let variance = of_positive.variance().zip(of_negative.variance()).map(|(p, n)| p / positives + n / negatives);
        let half = variance.filter(|v| *v > 0.0).map(|v| Z_95 * v.sqrt());
        Measure::new(auc, half.map(|half| [(auc - half).max(0.0), (auc + half).min(1.0)]))
    }

    /// Average precision, Σ (Rᵢ - Rᵢ₋₁) Pᵢ over the distinct scores, with a bootstrap interval.
    pub fn average_precision(&self) -> Measure {
        let Some(value) = self.weighted_average_precision(|_| 1) else {
            return Measure::undefined(if self.cases.is_empty() { "no case" } else { "no positive case" });
        };
        Measure::new(value, percentile_interval(self.cases.len(), |w| self.weighted_average_precision(|i| w[i])))
    }

    fn weighted_average_precision(&self, weight: impl Fn(usize) -> u32) -> Option<f64> {
        let steps = self.steps(weight);
        let positives = steps.last()?.true_positives;
        let (mut sum, mut before) = (0.0, 0);
        for step in steps.iter().filter(|s| s.true_positives + s.false_positives > 0) {
            let precision = step.true_positives as f64 / (step.true_positives + step.false_positives) as f64;
            sum += (step.true_positives - before) as f64 * precision;
            before = step.true_positives;
        }
        (positives > 0).then(|| sum / positives as f64)
    }

    /// The area under the ROC curve of a resample; None where it has one kind of case only.
    pub(super) fn weighted_auc(&self, weights: &[u32]) -> Option<f64> {
        let steps = self.steps(|i| weights[i]);
        let last = *steps.last()?;
        let (mut sum, mut above, mut passed) = (0.0, 0, 0);
        for step in &steps {
            sum += (step.false_positives - passed) as f64 * (above + step.true_positives) as f64 / 2.0;
            (above, passed) = (step.true_positives, step.false_positives);
        }
        let pairs = last.true_positives as f64 * last.false_positives as f64;
        (pairs > 0.0).then(|| sum / pairs)
    }

    /// From (0, 0) to (1, 1); points within a straight line are left out. Empty where there is one kind of case only.
    pub fn roc(&self) -> Vec<RocPoint> {
        if self.one_sided().is_some() {
            return Vec::new();
        }
        let steps = self.steps(|_| 1);
        let bends = |i: usize| {
            if i == 0 || i + 1 == steps.len() {
                return true;
            }
            let (a, b, c) = (steps[i - 1], steps[i], steps[i + 1]);
            2 * b.true_positives != a.true_positives + c.true_positives
                || 2 * b.false_positives != a.false_positives + c.false_positives
        };
        let (positives, negatives) = (self.positives as f64, self.negatives() as f64);
        let point = |step: &Step| RocPoint {
            threshold: Some(step.score),
            false_positive_rate: step.false_positives as f64 / negatives,
            true_positive_rate: step.true_positives as f64 / positives,
        };
        let origin = RocPoint { threshold: None, false_positive_rate: 0.0, true_positive_rate: 0.0 };
        let kept = steps.iter().enumerate().filter(|(i, _)| bends(*i)).map(|(_, step)| point(step));
        std::iter::once(origin).chain(kept).collect()
    }

    /// One point a distinct score, from the highest. Empty without a positive case.
    pub fn precision_recall(&self) -> Vec<PrecisionRecallPoint> {
        let positives = self.positives as f64;
        let point = |step: &Step| PrecisionRecallPoint {
            threshold: step.score,
            precision: step.true_positives as f64 / (step.true_positives + step.false_positives) as f64,
            recall: step.true_positives as f64 / positives,
        };
        if self.positives == 0 { Vec::new() } else { self.steps(|_| 1).iter().map(point).collect() }
    }

    /// A threshold midway between the score that the rule picks and the next lower one (0 below the lowest): another device rounds
    /// scores differently, and the answers to these cases stay the same.
    ///
    /// # Errors
    /// In words: one kind of case only, or no threshold does.
    pub fn threshold(&self, rule: ThresholdRule) -> Result<f64, String> {
        if let Some(reason) = self.one_sided() {
            return Err(reason);
        }
        self.weighted_threshold(rule, |_| 1).ok_or_else(|| format!("no score gives a {rule}"))
    }

    /// Where the chosen threshold lies over resamples of the cases.
    pub fn threshold_interval(&self, rule: ThresholdRule) -> Option<[f64; 2]> {
        percentile_interval(self.cases.len(), |weights| self.weighted_threshold(rule, |i| weights[i]))
    }

    fn weighted_threshold(&self, rule: ThresholdRule, weight: impl Fn(usize) -> u32) -> Option<f64> {
        let steps = self.steps(weight);
        let last = steps.last().filter(|s| s.true_positives > 0 && s.false_positives > 0)?;
        let (positives, negatives) = (last.true_positives as f64, last.false_positives as f64);
        let sensitivity = |s: &Step| s.true_positives as f64 / positives;
        let specificity = |s: &Step| 1.0 - s.false_positives as f64 / negatives;
        // 0.9 of 10 cases is 9 of them, whatever 1 - 1/10 rounds to.
        const ROUNDING: f64 = 1e-12;
        let chosen = match rule {
            ThresholdRule::Sensitivity(wanted) => steps.iter().position(|s| sensitivity(s) + ROUNDING >= wanted),
            ThresholdRule::Specificity(wanted) => steps.iter().rposition(|s| specificity(s) + ROUNDING >= wanted),
            ThresholdRule::Youden => {
                let index = |s: &Step| sensitivity(s) + specificity(s);
                let best = steps.iter().map(index).fold(f64::NEG_INFINITY, f64::max);
                steps.iter().position(|s| index(s) + ROUNDING >= best)
            }
        }?;
        let below = steps.get(chosen + 1).map_or_else(|| steps[chosen].score.min(0.0), |s| s.score);
        let middle = below + (steps[chosen].score - below) / 2.0;
        // Neighbours may have no number between them.
        Some(if middle > below { middle } else { steps[chosen].score })
    }

    /// (true positives, false positives) from `threshold` on.
    pub fn at(&self, threshold: f64) -> (usize, usize) {
        let found = self.cases.iter().take_while(|(score, ..)| *score >= threshold);
        found.fold((0, 0), |(t, f), (_, positive, _)| if *positive { (t + 1, f) } else { (t, f + 1) })
    }
}

/// Mean and sample variance of weighted values, about a shifted origin.
#[derive(Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    const ORIGIN: f64 = 0.5;

    fn add(&mut self, count: f64, value: f64) {
        let value = value - Self::ORIGIN;
        self.count += count;
        self.sum += count * value;
        self.squares += count * value * value;
    }

    fn mean(&self) -> f64 {
        Self::ORIGIN + self.sum / self.count
    }

    fn variance(&self) -> Option<f64> {
        let around = self.squares - self.sum * self.sum / self.count;
        (self.count > 1.0).then(|| around.max(0.0) / (self.count - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(scores: &[f64], positive: &[u8]) -> Ranked {
        Ranked::new(scores, &positive.iter().map(|p| *p == 1).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn thresholds_give_what_was_wanted_on_the_same_cases() {
        let mut state = 9u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for n in [2, 3, 10, 57] {
            let positive: Vec<bool> = (0..n).map(|i| i % 3 == 0).collect();
            // Few distinct scores: many ties.
            let scores: Vec<f64> =
                positive.iter().map(|p| ((random() % 7) + usize::from(*p) * 3) as f64 / 10.0).collect();
            let ranked = Ranked::new(&scores, &positive).unwrap();
            for wanted in [0.0, 0.5, 0.9, 1.0] {
                let threshold = ranked.threshold(ThresholdRule::Sensitivity(wanted)).unwrap();
                let share = |t: f64| ranked.at(t).0 as f64 / ranked.positives() as f64;
                assert!(share(threshold) >= wanted && !scores.contains(&threshold) || threshold == 0.0);
                let higher = scores.iter().copied().filter(|s| *s > threshold);
                let lowest = higher.fold(f64::INFINITY, f64::min);
                assert!(wanted == 0.0 || share(lowest + 1e-9) < wanted, "no higher threshold does");
                if let Ok(threshold) = ranked.threshold(ThresholdRule::Specificity(wanted)) {
                    let (_, passed) = ranked.at(threshold);
                    assert!(1.0 - passed as f64 / ranked.negatives() as f64 >= wanted - 1e-12);
                }
            }
        }
    }

    #[test]
    fn cases_of_one_kind_answer_in_words() {
        let sets: [(&[f64], &[u8], &str); 3] = [
            (&[], &[], "no case"),
            (&[0.1, 0.9], &[1, 1], "no negative case"),
            (&[0.1, 0.9], &[0, 0], "no positive case"),
        ];
        for (scores, positive, words) in sets {
            let ranked = ranked(scores, positive);
            assert_eq!(ranked.auc(), Measure::undefined(words));
            assert_eq!(ranked.threshold(ThresholdRule::Youden), Err(words.into()));
            assert!(ranked.roc().is_empty());
        }
        assert!(Ranked::new(&[f64::NAN], &[true]).unwrap_err().contains("NaN"));
        assert!(Ranked::new(&[0.5], &[]).is_err());
        let same = ranked(&[0.5, 0.5], &[1, 0]);
        let error = same.threshold(ThresholdRule::Specificity(0.9)).unwrap_err();
        assert_eq!(error, "no score gives a specificity of at least 0.9");
    }

    #[test]
    fn a_perfect_ranking_has_no_interval() {
        let auc = ranked(&[0.1, 0.2, 0.8, 0.9], &[0, 0, 1, 1]).auc();
        assert_eq!(auc, Measure::new(1.0, None), "DeLong's variance is 0 there, which says nothing");
        assert_eq!(ranked(&[0.5; 4], &[0, 1, 0, 1]).auc().value(), Some(0.5));
    }
}
