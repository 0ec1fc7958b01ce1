//! The figures of a classification, from each case's truth and probabilities.

use serde::Serialize;

use super::calibration::{Calibration, calibration, mean};
use super::confusion::{ClassFigures, ConfusionMatrix, OverallFigures};
use super::estimate::Measure;
use super::ranked::{PrecisionRecallPoint, Ranked, RocPoint, ThresholdRule};
use super::{bootstrap, questions};

/// What is known about a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// Index of its class.
    Class(usize),
    /// Whether it is of one of [`ClassificationQuestion::positive`].
    Positive(bool),
}

/// One case: its truth, and one probability (0..=1) a class of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredCase {
    pub truth: Truth,
    pub probabilities: Vec<f64>,
    /// Of the positive classes together, where it is not the sum of theirs: the highest of several images' sums is not the sum of the
    /// highest, and classes of which several may be present do not add up.
    pub together: Option<f64>,
}

/// What is asked of the cases.
#[derive(Debug, Clone, Default)]
pub struct ClassificationQuestion {
    /// Indices of the classes that count as positive together; their probabilities are added. Empty: each class against the others.
    pub positive: Vec<usize>,
    /// How thresholds are chosen.
    pub rules: Vec<ThresholdRule>,
    /// The threshold in force of each class.
    pub in_force: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClassificationEvaluation {
    pub cases: usize,
    /// None where the labels only say positive or negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<ClassesEvaluation>,
    /// The positive classes together where they are named, and each class against the others where labels name classes.
    pub questions: Vec<QuestionEvaluation>,
}

/// The answer is the class of the highest probability, the first of equals.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClassesEvaluation {
    pub names: Vec<String>,
    /// [truth][answer]
    pub confusion: Vec<Vec<usize>>,
    pub overall: OverallFigures,
    /// In the order of `names`.
    pub by_class: Vec<ClassFigures>,
    /// Mean of the classes' areas, each against the others.
    pub macro_auc: Measure,
    /// The area over all pairs of case and class.
    pub micro_auc: Measure,
    /// Mean over the cases of the sum of squared differences, all classes.
    pub brier: Measure,
    /// Of the answered class's probability: is the answer right as often?
    pub confidence: Calibration,
}

/// One yes or no.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct QuestionEvaluation {
    /// The classes that count as positive.
    pub positive: Vec<String>,
    /// Whether the caller named these; else it is one class against the others.
    pub asked: bool,
    pub positives: usize,
    pub negatives: usize,
    pub auc: Measure,
    pub average_precision: Measure,
    pub calibration: Calibration,
    /// The threshold in force first, then the chosen ones.
    pub operating_points: Vec<OperatingPoint>,
    pub roc: Vec<RocPoint>,
    pub precision_recall: Vec<PrecisionRecallPoint>,
}

/// What a threshold leads to on these cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OperatingPoint {
    /// "in force", or the rule that chose it.
    pub rule: String,
    /// A case counts as positive from here on. None: `reason` says why none could be chosen.
    pub threshold: Option<f64>,
    /// 95 % of resamples of the cases choose a threshold in here.
    pub threshold_interval: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<PointFigures>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Counts {
    pub true_positives: usize,
    pub false_positives: usize,
    pub true_negatives: usize,
    pub false_negatives: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PointFigures {
    pub sensitivity: Measure,
    pub specificity: Measure,
    pub precision: Measure,
    pub negative_predictive_value: Measure,
    pub accuracy: Measure,
    pub balanced_accuracy: Measure,
    pub f1: Measure,
}

/// # Errors
/// A case does not fit `classes`, a probability is none, or the truths name classes in some cases and yes or no in others.
pub fn classification(
    classes: &[String],
    cases: &[ScoredCase],
    question: &ClassificationQuestion,
) -> Result<ClassificationEvaluation, String> {
    check(classes, cases, question)?;
    let truths: Option<Vec<usize>> = cases.iter().map(|c| class_of(c.truth)).collect();
    let truths = truths.filter(|t| !t.is_empty() || question.positive.is_empty());
    let of_classes = truths.as_ref().map(|truths| of_classes(classes, cases, truths)).transpose()?;
    let asked = questions::asked(classes.len(), &question.positive, truths.is_some());
    let questions = asked.iter().map(|positive| one(classes, cases, positive, question)).collect::<Result<_, _>>()?;
    Ok(ClassificationEvaluation { cases: cases.len(), classes: of_classes, questions })
}

fn class_of(truth: Truth) -> Option<usize> {
    match truth {
        Truth::Class(class) => Some(class),
        Truth::Positive(_) => None,
    }
}

fn check(classes: &[String], cases: &[ScoredCase], question: &ClassificationQuestion) -> Result<(), String> {
    let n = classes.len();
    if question.positive.iter().any(|class| *class >= n) || question.in_force.len() > n {
        return Err(format!("the question names a class that is not one of the model's {n}"));
    }
    let by_name = cases.iter().filter(|c| class_of(c.truth).is_some()).count();
    if by_name != 0 && by_name != cases.len() {
        return Err("some labels name a class, others say positive or negative: expected one kind".into());
    }
    if by_name != cases.len() && question.positive.is_empty() {
        return Err("the labels say positive or negative, but not which classes are positive".into());
    }
    for case in cases {
        if class_of(case.truth).is_some_and(|class| class >= n) {
            return Err(format!("found a truth that is none of the {n} classes"));
        }
        if case.probabilities.len() != n {
            return Err(format!("found {} probabilities, expected {n}, one a class", case.probabilities.len()));
        }
        if let Some(bad) = case.probabilities.iter().chain(&case.together).find(|p| !(0.0..=1.0 + 1e-9).contains(*p)) {
            return Err(format!("found the probability {bad}, expected 0 to 1"));
        }
    }
    Ok(())
}

/// The class of the highest probability, the first of equals.
pub fn answer(probabilities: &[f64]) -> usize {
    let better = |best: usize, i: usize| if probabilities[i] > probabilities[best] { i } else { best };
    (1..probabilities.len()).fold(0, better)
}

fn of_classes(classes: &[String], cases: &[ScoredCase], truths: &[usize]) -> Result<ClassesEvaluation, String> {
    let answers: Vec<usize> = cases.iter().map(|c| answer(&c.probabilities)).collect();
    let matrix = ConfusionMatrix::new(classes.len(), truths.iter().copied().zip(answers.iter().copied()))?;
    let square = |i: usize| -> f64 {
        let of_class = |(class, p): (usize, &f64)| (p - f64::from(u8::from(class == truths[i]))).powi(2);
        cases[i].probabilities.iter().enumerate().map(of_class).sum()
    };
    let confidence: Vec<f64> = cases.iter().zip(&answers).map(|(c, a)| c.probabilities[*a].min(1.0)).collect();
    let right: Vec<bool> = truths.iter().zip(&answers).map(|(t, a)| t == a).collect();
    Ok(ClassesEvaluation {
        names: classes.to_vec(),
        confusion: matrix.counts().to_vec(),
        overall: matrix.overall(),
        by_class: (0..classes.len()).map(|class| matrix.class(class)).collect(),
        macro_auc: macro_auc(classes, cases, truths)?,
        micro_auc: micro_auc(classes.len(), cases, truths)?,
        brier: mean(cases.len(), square),
        confidence: calibration(&confidence, &right),
    })
}

fn against_others(cases: &[ScoredCase], truths: &[usize], class: usize) -> Result<Ranked, String> {
    let scores: Vec<f64> = cases.iter().map(|c| c.probabilities[class]).collect();
    Ranked::new(&scores, &truths.iter().map(|t| *t == class).collect::<Vec<_>>())
}

fn macro_auc(classes: &[String], cases: &[ScoredCase], truths: &[usize]) -> Result<Measure, String> {
    let ranked: Vec<Ranked> =
        (0..classes.len()).map(|class| against_others(cases, truths, class)).collect::<Result<_, _>>()?;
    let missing = ranked.iter().zip(classes).filter(|(r, _)| r.positives() == 0 || r.negatives() == 0);
    let missing: Vec<&str> = missing.map(|(_, name)| name.as_str()).collect();
    if !missing.is_empty() {
        return Ok(Measure::undefined(format!("no case, or nothing but cases, of {}", missing.join(", "))));
    }
    let mean_area = |weights: &[u32]| {
        let areas: Option<Vec<f64>> = ranked.iter().map(|r| r.weighted_auc(weights)).collect();
        areas.map(|areas| areas.iter().sum::<f64>() / areas.len() as f64)
    };
    Ok(match mean_area(&vec![1; cases.len()]) {
        Some(value) => Measure::new(value, bootstrap::percentile_interval(cases.len(), mean_area)),
        None => Measure::undefined("no case"),
    })
}

/// Pairs of one case are resampled together.
fn micro_auc(classes: usize, cases: &[ScoredCase], truths: &[usize]) -> Result<Measure, String> {
    let scores: Vec<f64> = cases.iter().flat_map(|c| c.probabilities.iter().copied()).collect();
    let positive: Vec<bool> = truths.iter().flat_map(|t| (0..classes).map(move |class| class == *t)).collect();
    let ranked = Ranked::new(&scores, &positive)?;
    let area = |weights: &[u32]| {
        let pairs: Vec<u32> = weights.iter().flat_map(|w| std::iter::repeat_n(*w, classes)).collect();
        ranked.weighted_auc(&pairs)
    };
    Ok(match area(&vec![1; cases.len()]) {
        Some(value) => Measure::new(value, bootstrap::percentile_interval(cases.len(), area)),
        None => Measure::undefined("no case"),
    })
}

fn one(
    classes: &[String],
    cases: &[ScoredCase],
    positive: &[usize],
    question: &ClassificationQuestion,
) -> Result<QuestionEvaluation, String> {
    let asked = !question.positive.is_empty() && positive == question.positive;
    let score = |case: &ScoredCase| {
        let sum = || positive.iter().map(|class| case.probabilities[*class]).sum::<f64>();
        case.together.filter(|_| asked).unwrap_or_else(sum).min(1.0)
    };
    let scores: Vec<f64> = cases.iter().map(score).collect();
    let truth = |case: &ScoredCase| match case.truth {
        Truth::Class(class) => positive.contains(&class),
        Truth::Positive(positive) => positive,
    };
    let truths: Vec<bool> = cases.iter().map(truth).collect();
    let ranked = Ranked::new(&scores, &truths)?;
    // A sum of probabilities has no threshold of the manifest's.
    let in_force = match positive {
        [class] => question.in_force.get(*class).copied(),
        _ => None,
    };
    let in_force = in_force.map(|threshold| point(&ranked, "in force".into(), threshold, None));
    let chosen = question.rules.iter().map(|rule| match ranked.threshold(*rule) {
        Ok(threshold) => point(&ranked, rule.to_string(), threshold, ranked.threshold_interval(*rule)),
        Err(reason) => OperatingPoint {
            rule: rule.to_string(),
            threshold: None,
            threshold_interval: None,
            reason: Some(reason),
            counts: None,
            figures: None,
        },
    });
    Ok(QuestionEvaluation {
        positive: positive.iter().map(|class| classes[*class].clone()).collect(),
        asked,
        positives: ranked.positives(),
        negatives: ranked.negatives(),
        auc: ranked.auc(),
        average_precision: ranked.average_precision(),
        calibration: calibration(&scores, &truths),
        operating_points: in_force.into_iter().chain(chosen).collect(),
        roc: ranked.roc(),
        precision_recall: ranked.precision_recall(),
    })
}

fn point(ranked: &Ranked, rule: String, threshold: f64, threshold_interval: Option<[f64; 2]>) -> OperatingPoint {
    let (true_positives, false_positives) = ranked.at(threshold);
    let matrix = ConfusionMatrix::binary(true_positives, false_positives, ranked.positives(), ranked.negatives());
    let (positive, overall) = (matrix.class(1), matrix.overall());
    OperatingPoint {
        rule,
        threshold: Some(threshold),
        threshold_interval,
        reason: None,
        counts: Some(Counts {
            true_positives,
            false_positives,
            true_negatives: ranked.negatives() - false_positives,
            false_negatives: ranked.positives() - true_positives,
        }),
        figures: Some(PointFigures {
            sensitivity: positive.sensitivity,
            specificity: positive.specificity,
            precision: positive.precision,
            negative_predictive_value: positive.negative_predictive_value,
            f1: positive.f1,
            accuracy: overall.accuracy,
            balanced_accuracy: overall.balanced_accuracy,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(truth: Truth, probabilities: &[f64]) -> ScoredCase {
        ScoredCase { truth, probabilities: probabilities.to_vec(), together: None }
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("class {i}")).collect()
    }

    #[test]
    fn labels_of_two_kinds_and_impossible_cases_are_refused() {
        let question = ClassificationQuestion::default();
        let refuse = |cases: &[ScoredCase], words: &str| {
            let error = classification(&names(2), cases, &question).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        let good = case(Truth::Class(0), &[0.5, 0.5]);
        refuse(&[good.clone(), case(Truth::Positive(true), &[0.5, 0.5])], "one kind");
        refuse(&[case(Truth::Positive(true), &[0.5, 0.5])], "which classes are positive");
        refuse(&[case(Truth::Class(2), &[0.5, 0.5])], "none of the 2 classes");
        refuse(&[case(Truth::Class(0), &[0.5])], "expected 2, one a class");
        for bad in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
            refuse(&[case(Truth::Class(0), &[bad, 0.5])], "expected 0 to 1");
        }
    }

    #[test]
    fn degenerate_sets_answer_in_words_and_never_nan() {
        let cases =
            [vec![], vec![case(Truth::Class(0), &[1.0, 0.0, 0.0])], vec![case(Truth::Class(1), &[0.2, 0.5, 0.3]); 3]];
        let rules = vec![ThresholdRule::Youden, ThresholdRule::Sensitivity(0.9), ThresholdRule::Specificity(1.0)];
        let question = ClassificationQuestion { positive: vec![1, 2], rules, in_force: vec![0.5; 3] };
        for cases in cases {
            let evaluation = classification(&names(3), &cases, &question).unwrap();
            // serde_json writes NaN as null: every null here is an Option.
            let text = serde_json::to_string(&evaluation).unwrap();
            assert!(!text.contains("\"Value\":null"), "{text}");
            let point = &evaluation.questions[0].operating_points[0];
            assert!(point.threshold.is_none() && point.reason.as_ref().is_some_and(|r| r.starts_with("no ")));
        }
    }

    #[test]
    fn positive_classes_count_together() {
        let positive = |yes| Truth::Positive(yes);
        let cases = [
            case(positive(true), &[0.4, 0.3, 0.3]),
            case(positive(false), &[0.9, 0.1, 0.0]),
            case(positive(true), &[0.2, 0.0, 0.8]),
        ];
        let question = ClassificationQuestion { positive: vec![1, 2], ..ClassificationQuestion::default() };
        let evaluation = classification(&names(3), &cases, &question).unwrap();
        assert!(evaluation.classes.is_none());
        assert_eq!(evaluation.questions.len(), 1);
        let of = &evaluation.questions[0];
        assert_eq!((of.positives, of.negatives, of.auc.value()), (2, 1, Some(1.0)));
        assert_eq!(of.positive, ["class 1", "class 2"]);
    }

    #[test]
    fn both_thresholds_come_with_their_operating_points() {
        let of = |truth: usize, p: f64| case(Truth::Class(truth), &[1.0 - p, p]);
        let cases = [of(1, 0.9), of(1, 0.6), of(1, 0.4), of(0, 0.5), of(0, 0.3), of(0, 0.1)];
        let rules = vec![ThresholdRule::Sensitivity(1.0), ThresholdRule::Specificity(1.0)];
        let question = ClassificationQuestion { positive: vec![1], rules, in_force: vec![0.5, 0.5] };
        let evaluation = classification(&names(2), &cases, &question).unwrap();
        assert_eq!(evaluation.questions.len(), 2, "class 1, then class 0; not class 1 again");
        let points = &evaluation.questions[0].operating_points;
        let thresholds: Vec<f64> = points.iter().filter_map(|p| p.threshold).collect();
        assert_eq!(thresholds, [0.5, 0.35, 0.55]);
        let figures = points[1].figures.as_ref().unwrap();
        assert_eq!((figures.sensitivity.value(), figures.specificity.value()), (Some(1.0), Some(2.0 / 3.0)));
        assert_eq!(points[0].rule, "in force");
    }
}
