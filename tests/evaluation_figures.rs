//! The figures of an evaluation against those of scikit-learn, scipy and MedPy: tests/evaluation/expected.json, made by the script beside
//! it. The numbers are in the repository, so that this holds everywhere, without Python.

use ndarray::Array3;
use orthanc_ai::evaluate::calibration::calibration;
use orthanc_ai::evaluate::classification::{QuestionEvaluation, ScoredCase, Truth, classification};
use orthanc_ai::evaluate::ranked::Ranked;
use orthanc_ai::evaluate::{ClassificationQuestion, GridSize, Measure, ThresholdRule, overlap};
use serde_json::Value;

fn expected() -> Value {
    serde_json::from_str(include_str!("evaluation/expected.json")).unwrap()
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[track_caller]
fn near(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-10, "{what}: found {found}, expected {expected}");
}

#[track_caller]
fn same(found: &Measure, expected: &Value, what: &str) {
    near(found.value().unwrap(), expected, what);
}

/// [value, low, high]
#[track_caller]
fn same_with_interval(found: &Measure, expected: &Value, what: &str) {
    same(found, &expected[0], what);
    let [low, high] = found.interval().unwrap();
    near(low, &expected[1], what);
    near(high, &expected[2], what);
}

fn question(truth: &[f64], scores: &[f64], rules: Vec<ThresholdRule>, threshold: f64) -> QuestionEvaluation {
    let cases: Vec<ScoredCase> = truth
        .iter()
        .zip(scores)
        .map(|(t, s)| ScoredCase {
            truth: Truth::Positive(*t == 1.0),
            probabilities: vec![1.0 - s, *s],
            together: None,
        })
        .collect();
    let question = ClassificationQuestion { positive: vec![1], rules, in_force: vec![threshold; 2] };
    let names = ["no".to_owned(), "yes".to_owned()];
    classification(&names, &cases, &question).unwrap().questions.remove(0)
}

#[test]
fn yes_or_no_is_as_scikit_learn_has_it() {
    for set in expected()["binary"].as_array().unwrap() {
        let (truth, score) = (list(&set["truth"]), list(&set["score"]));
        let found = question(&truth, &score, vec![ThresholdRule::Youden], set["threshold"].as_f64().unwrap());
        same(&found.auc, &set["auc"], "AUC");
        let [low, high] = found.auc.interval().unwrap();
        near(low, &set["auc_interval"][0], "DeLong's interval");
        near(high, &set["auc_interval"][1], "DeLong's interval");
        same(&found.average_precision, &set["average_precision"], "average precision");
        same(&found.calibration.brier, &set["brier"], "Brier score");
        same(&found.calibration.expected_calibration_error, &set["ece"], "ECE");

        let roc = set["roc"].as_array().unwrap();
        assert_eq!(found.roc.len(), roc.len());
        for (point, expected) in found.roc.iter().zip(roc) {
            near(point.false_positive_rate, &expected[0], "ROC");
            near(point.true_positive_rate, &expected[1], "ROC");
            assert_eq!(point.threshold, expected[2].as_f64());
        }
        let curve = set["precision_recall"].as_array().unwrap();
        assert_eq!(found.precision_recall.len(), curve.len());
        for (point, expected) in found.precision_recall.iter().zip(curve) {
            near(point.precision, &expected[0], "precision");
            near(point.recall, &expected[1], "recall");
            assert_eq!(Some(point.threshold), expected[2].as_f64());
        }

        let (point, youden) = (&found.operating_points[0], &found.operating_points[1]);
        let counts = point.counts.unwrap();
        let counts = [counts.true_positives, counts.false_positives, counts.true_negatives, counts.false_negatives];
        assert_eq!(serde_json::json!(counts), set["counts"]);
        let figures = point.figures.as_ref().unwrap();
        same_with_interval(&figures.sensitivity, &set["sensitivity"], "sensitivity");
        same_with_interval(&figures.specificity, &set["specificity"], "specificity");
        same_with_interval(&figures.precision, &set["precision"], "precision");
        same_with_interval(&figures.accuracy, &set["accuracy"], "accuracy");
        same(&figures.f1, &set["f1"], "F1");
        same(&figures.balanced_accuracy, &set["balanced_accuracy"], "balanced accuracy");
        let figures = youden.figures.as_ref().unwrap();
        let index = figures.sensitivity.value().unwrap() + figures.specificity.value().unwrap() - 1.0;
        near(index, &set["youden"], "Youden's index");
    }
}

#[test]
fn bins_are_scikit_learns() {
    for set in expected()["binary"].as_array().unwrap() {
        let happened: Vec<bool> = list(&set["truth"]).iter().map(|t| *t == 1.0).collect();
        let found = calibration(&list(&set["score"]), &happened);
        let filled: Vec<_> = found.bins.iter().filter(|b| b.cases > 0).collect();
        let (observed, mean) = (list(&set["reliability"][0]), list(&set["reliability"][1]));
        assert_eq!(filled.len(), observed.len());
        for ((bin, observed), mean) in filled.iter().zip(observed).zip(mean) {
            assert!((bin.observed.value().unwrap() - observed).abs() < 1e-10);
            assert!((bin.mean_probability.unwrap() - mean).abs() < 1e-10);
        }
    }
}

#[test]
fn classes_are_as_scikit_learn_has_them() {
    for set in expected()["classes"].as_array().unwrap() {
        let truth = list(&set["truth"]);
        let cases: Vec<ScoredCase> = truth
            .iter()
            .zip(set["probabilities"].as_array().unwrap())
            .map(|(t, p)| ScoredCase { truth: Truth::Class(*t as usize), probabilities: list(p), together: None })
            .collect();
        let names: Vec<String> = (0..cases[0].probabilities.len()).map(|i| format!("class {i}")).collect();
        let found = classification(&names, &cases, &ClassificationQuestion::default()).unwrap();
        let classes = found.classes.unwrap();
        assert_eq!(serde_json::json!(classes.confusion), set["confusion"]);
        let overall = &classes.overall;
        for (figure, key) in [
            (&overall.accuracy, "accuracy"),
            (&overall.accuracy, "micro_f1"),
            (&overall.balanced_accuracy, "balanced_accuracy"),
            (&overall.cohens_kappa, "cohens_kappa"),
            (&overall.macro_precision, "macro_precision"),
            (&overall.macro_f1, "macro_f1"),
            (&classes.macro_auc, "macro_auc"),
            (&classes.micro_auc, "micro_auc"),
            (&classes.brier, "brier"),
            (&classes.confidence.expected_calibration_error, "ece"),
        ] {
            same(figure, &set[key], key);
            let [low, high] = figure.interval().unwrap();
            let value = figure.value().unwrap();
            // An error is never below 0, so that resamples lie above it.
            assert!(low < high && low <= value && (value <= high || key == "ece"), "{key}: {figure:?}");
        }
        for (i, class) in classes.by_class.iter().enumerate() {
            same(&class.precision, &set["precision"][i], "precision");
            same(&class.sensitivity, &set["sensitivity"][i], "sensitivity");
            same(&class.f1, &set["f1"][i], "F1");
            same(&found.questions[i].auc, &set["auc"][i], "AUC");
        }
    }
}

#[test]
fn overlaps_and_distances_are_as_medpy_and_scipy_have_them() {
    for set in expected()["masks"].as_array().unwrap() {
        let shape: Vec<usize> = list(&set["shape"]).iter().map(|n| *n as usize).collect();
        let spacing: [f64; 3] = list(&set["spacing"]).try_into().unwrap();
        let mask = |key: &str| {
            let mut mask = vec![0u8; shape.iter().product()];
            list(&set[key]).iter().for_each(|i| mask[*i as usize] = 1);
            Array3::from_shape_vec((shape[0], shape[1], shape[2]), mask).unwrap()
        };
        let voxel_ml = spacing.iter().product::<f64>() / 1000.0;
        let grid = GridSize { spacing_mm: Ok(spacing), voxel_ml: Ok(voxel_ml) };
        let (answer, reference) = (mask("answer"), mask("reference"));
        let found = overlap(answer.view(), reference.view(), &grid).unwrap();
        same(&found.dice, &set["dice"], "Dice");
        same(&found.intersection_over_union, &set["iou"], "IoU");
        same(&found.hausdorff_95, &set["hd95"], "HD95");
        same(&found.volume_error_percent, &set["volume_error_percent"], "volume error");
        let inside = reference.iter().filter(|v| **v == 1).count();
        assert!((found.reference_ml.value().unwrap() - inside as f64 * voxel_ml).abs() < 1e-12);
        let other = overlap(reference.view(), answer.view(), &grid).unwrap();
        assert_eq!(other.hausdorff_95, found.hausdorff_95, "it has no direction");
    }
}

/// Over many samples of one population, 95 % of the intervals hold the true area: 0.8413 for normal scores one deviation apart times √2.
#[test]
fn delongs_interval_holds_what_it_says() {
    let mut state = 77u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut normal = || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
    let truth: Vec<bool> = (0..100).map(|i| i % 2 == 0).collect();
    let mut held = 0;
    for _ in 0..1000 {
        let scores: Vec<f64> = truth.iter().map(|t| normal() + if *t { 2f64.sqrt() } else { 0.0 }).collect();
        let [low, high] = Ranked::new(&scores, &truth).unwrap().auc().interval().unwrap();
        held += usize::from((low..=high).contains(&0.841_344_746));
    }
    assert!((920..=975).contains(&held), "{held} of 1000 intervals");
}
