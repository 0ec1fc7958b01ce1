//! How often each class was answered for each truth, and the figures that follow.

use serde::Serialize;

use super::bootstrap::percentile_interval;
use super::estimate::Measure;

/// Counts, [truth][answer].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: Vec<Vec<usize>>,
}

/// One class against the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClassFigures {
    /// Cases of the class.
    pub cases: usize,
    pub sensitivity: Measure,
    pub specificity: Measure,
    /// Positive predictive value.
    pub precision: Measure,
    pub negative_predictive_value: Measure,
    pub f1: Measure,
}

/// All classes together.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OverallFigures {
    pub accuracy: Measure,
    /// Mean sensitivity of the classes that have cases.
    pub balanced_accuracy: Measure,
    /// Unweighted (Cohen 1960).
    pub cohens_kappa: Measure,
    /// Means over the classes that have the figure. The macro sensitivity is the balanced accuracy, and where each case has one class,
    /// the micro means of precision, sensitivity and F1 are all the accuracy.
    pub macro_precision: Measure,
    pub macro_f1: Measure,
}

/// Counts as numbers, so that a resample is one, too.
type Counts = [Vec<f64>];

impl ConfusionMatrix {
    /// # Errors
    /// A truth or an answer is no class.
    pub fn new(classes: usize, cases: impl IntoIterator<Item = (usize, usize)>) -> Result<Self, String> {
        let mut counts = vec![vec![0; classes]; classes];
        for (truth, answer) in cases {
            let cell = counts.get_mut(truth).and_then(|row: &mut Vec<usize>| row.get_mut(answer));
            *cell.ok_or_else(|| format!("found the classes {truth} and {answer}, expected 0..{classes}"))? += 1;
        }
        Ok(Self { counts })
    }

    /// Truth and answer yes or no; class 1 is yes.
    pub fn binary(true_positives: usize, false_positives: usize, positives: usize, negatives: usize) -> Self {
        let (missed, left_alone) =
            (positives.saturating_sub(true_positives), negatives.saturating_sub(false_positives));
        Self { counts: vec![vec![left_alone, false_positives], vec![missed, true_positives]] }
    }

    pub fn counts(&self) -> &[Vec<usize>] {
        &self.counts
    }

    pub fn cases(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    pub fn class(&self, class: usize) -> ClassFigures {
        let hits = self.counts[class][class];
        let of_class: usize = self.counts[class].iter().sum();
        let answered: usize = self.counts.iter().map(|row| row[class]).sum();
        let others = self.cases() - of_class;
        let left_alone = others - (answered - hits);
        let f1 = |counts: &Counts| f1(counts, class);
        ClassFigures {
            cases: of_class,
            sensitivity: Measure::proportion(hits, of_class, "no case of the class"),
            specificity: Measure::proportion(left_alone, others, "no case of another class"),
            precision: Measure::proportion(hits, answered, "the class was never answered"),
            negative_predictive_value: Measure::proportion(
                left_alone,
                self.cases() - answered,
                "no other class was ever answered",
            ),
            f1: self.bootstrapped(f1, "the class has no case and was never answered"),
        }
    }

    pub fn overall(&self) -> OverallFigures {
        let hits: usize = self.counts.iter().enumerate().map(|(i, row)| row[i]).sum();
        let none = "no case";
        OverallFigures {
            accuracy: Measure::proportion(hits, self.cases(), none),
            balanced_accuracy: self.bootstrapped(balanced_accuracy, none),
            cohens_kappa: self.bootstrapped(kappa, "truth and answers are all one class, or there is no case"),
            macro_precision: self.bootstrapped(|counts| mean_over_classes(counts, precision), none),
            macro_f1: self.bootstrapped(|counts| mean_over_classes(counts, f1), none),
        }
    }

    /// A figure with its bootstrap interval.
    fn bootstrapped(&self, figure: impl Fn(&Counts) -> Option<f64>, none: &str) -> Measure {
        let whole: Vec<Vec<f64>> = self.counts.iter().map(|row| row.iter().map(|n| *n as f64).collect()).collect();
        let Some(value) = figure(&whole) else { return Measure::undefined(none) };
        // Cases of one cell are alike.
        let cells = self.counts.iter().enumerate();
        let cells = cells.flat_map(|(t, row)| row.iter().enumerate().map(move |(a, n)| (t, a, *n)));
        let cases: Vec<(usize, usize)> = cells.flat_map(|(t, a, n)| std::iter::repeat_n((t, a), n)).collect();
        let interval = percentile_interval(cases.len(), |weights| {
            let mut counts = vec![vec![0.0; self.counts.len()]; self.counts.len()];
            for ((truth, answer), weight) in cases.iter().zip(weights) {
                counts[*truth][*answer] += f64::from(*weight);
            }
            figure(&counts)
        });
        Measure::new(value, interval)
    }
}

fn of_class(counts: &Counts, class: usize) -> f64 {
    counts[class].iter().sum()
}

fn answered(counts: &Counts, class: usize) -> f64 {
    counts.iter().map(|row| row[class]).sum()
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn sensitivity(counts: &Counts, class: usize) -> Option<f64> {
    ratio(counts[class][class], of_class(counts, class))
}

fn precision(counts: &Counts, class: usize) -> Option<f64> {
    ratio(counts[class][class], answered(counts, class))
}

fn f1(counts: &Counts, class: usize) -> Option<f64> {
    ratio(2.0 * counts[class][class], of_class(counts, class) + answered(counts, class))
}

fn mean_over_classes(counts: &Counts, figure: fn(&Counts, usize) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = (0..counts.len()).filter_map(|class| figure(counts, class)).collect();
    ratio(values.iter().sum(), values.len() as f64)
}

fn balanced_accuracy(counts: &Counts) -> Option<f64> {
    mean_over_classes(counts, sensitivity)
}

fn kappa(counts: &Counts) -> Option<f64> {
    let classes = 0..counts.len();
    let total: f64 = counts.iter().flatten().sum();
    let observed = ratio(classes.clone().map(|c| counts[c][c]).sum(), total)?;
    let chance = classes.map(|c| of_class(counts, c) * answered(counts, c)).sum::<f64>() / (total * total);
    (chance < 1.0).then(|| (observed - chance) / (1.0 - chance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_never_come_answer_in_words() {
        let matrix = ConfusionMatrix::new(3, [(0, 0), (0, 1), (1, 1)]).unwrap();
        let third = matrix.class(2);
        assert_eq!(third.sensitivity, Measure::undefined("no case of the class"));
        assert_eq!(third.precision, Measure::undefined("the class was never answered"));
        assert_eq!(third.f1, Measure::undefined("the class has no case and was never answered"));
        assert_eq!(third.specificity.value(), Some(1.0));
        let overall = matrix.overall();
        assert_eq!(overall.balanced_accuracy.value(), Some(0.75), "of the two classes that have cases");
        assert!(ConfusionMatrix::new(2, [(0, 2)]).unwrap_err().contains("expected 0..2"));
    }

    #[test]
    fn no_case_and_one_class_answer_in_words() {
        let json = |m: &ConfusionMatrix| serde_json::to_string(&(m.overall(), m.class(1))).unwrap();
        let empty = json(&ConfusionMatrix::new(2, []).unwrap());
        assert!(empty.contains("no case") && !empty.contains("\"Value\":"), "{empty}");
        let one = ConfusionMatrix::new(2, [(1, 1); 4]).unwrap();
        assert!(matches!(one.overall().cohens_kappa, Measure::Undefined(_)));
        assert_eq!(one.class(1).f1, Measure::new(1.0, None), "every resample is perfect: that says nothing");
    }
}
