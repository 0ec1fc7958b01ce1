use super::*;
use crate::evaluate::{ClassificationQuestion, ScoredCase, ThresholdRule, Truth, classification};

fn manifest() -> Manifest {
    Manifest::from_json(include_str!("../../../models/mammography-4view-demo/manifest.json")).unwrap()
}

/// The shipped manifest with one number for two classes.
fn binary_manifest() -> Manifest {
    let mut json: serde_json::Value = serde_json::to_value(manifest()).unwrap();
    json["network"]["ResNet50"]["num_classes"] = 1.into();
    let task = &mut json["task"]["Classification"];
    task["activation"] = "sigmoid_binary".into();
    let mut classes = [task["classes"][3].clone(), task["classes"][0].clone()];
    for class in &mut classes {
        class["thresholds"] = serde_json::json!({"present": 0.5, "absent": 0.5});
    }
    task["classes"] = classes.to_vec().into();
    Manifest::from_json(&json.to_string()).unwrap()
}

/// Forty cases of the four classes, one of them failed.
fn report(positive: &[usize], rules: &[ThresholdRule]) -> EvaluationReport {
    let classes: Vec<String> = manifest().classes().iter().map(|c| c.name.clone()).collect();
    let scored: Vec<ScoredCase> = (0..40)
        .map(|i| {
            let truth = i % 4;
            let mut probabilities = vec![0.1; 4];
            // Every seventh answer is wrong.
            probabilities[if i % 7 == 0 { (truth + 1) % 4 } else { truth }] = 0.4 + 0.005 * f64::from(i as u32);
            ScoredCase { truth: Truth::Class(truth), probabilities, together: None }
        })
        .collect();
    let question =
        ClassificationQuestion { positive: positive.to_vec(), rules: rules.to_vec(), in_force: vec![0.5; 4] };
    let cases = scored.iter().enumerate().map(|(i, case)| CaseReport {
        number: i + 1,
        id: Some(if i == 3 { "=SECRET\"1\"".into() } else { format!("SECRET-{i}") }),
        images: 1,
        truth: Some(classes[i % 4].clone()),
        answer: Some("<Mass>".into()),
        probabilities: case.probabilities.clone(),
        spreads: Vec::new(),
        segments: Vec::new(),
        failed: None,
    });
    let failed = CaseReport {
        number: 41,
        id: Some("SECRET-41".into()),
        images: 4,
        truth: None,
        answer: None,
        probabilities: Vec::new(),
        spreads: Vec::new(),
        segments: Vec::new(),
        failed: Some("PixelData: found 3 bytes & expected 8".into()),
    };
    let cases = cases.chain([failed]).collect();
    EvaluationReport {
        model: "mammography-4view-demo".into(),
        title: "Mammography <DEMO>".into(),
        version: "1.1.0".into(),
        weights: "c51f25576bd9d00a49cf5fac49a5d7cc29bcbfe095194aa3cf3a44d24cad2a09".into(),
        demo: true,
        disclaimer: "Not for diagnostic use.".into(),
        created: "2026-01-02T03:04:05Z".into(),
        software_version: "0".into(),
        labels: "a table".into(),
        combination: "an image".into(),
        patients: 10,
        warnings: vec!["2 images have no label".into()],
        classification: Some(classification(&classes, &scored, &question).unwrap()),
        classes,
        segmentation: Vec::new(),
        cases,
    }
}

#[test]
fn identifiers_are_in_the_table_alone() {
    let report = report(&[], &[ThresholdRule::Youden]);
    let (json, page) = (serde_json::to_string(&report).unwrap(), html(&report));
    assert!(!json.contains("SECRET") && !page.contains("SECRET"));
    assert!(!json.contains("NaN"));
    let table = String::from_utf8(cases_csv(&report)).unwrap();
    assert!(table.starts_with("\u{feff}Number,Case,Images,Truth,Answer,P(Mass),"), "{table}");
    assert!(table.contains("\r\n4,\"'=SECRET\"\"1\"\"\",1,Normal,"), "a formula stays text: {table}");
    assert!(table.contains("\r\n41,SECRET-41,4,,,,,,,PixelData: found 3 bytes & expected 8\r\n"), "{table}");
    assert_eq!(table.lines().count(), 42);
}

#[test]
fn the_page_stands_alone_and_quotes_what_it_shows() {
    let page = html(&report(&[], &[ThresholdRule::Sensitivity(0.9)]));
    for forbidden in ["<script", "http:", "https:", "url(", "src=", "<Mass>", "<DEMO>", "NaN"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for expected in [
        "DEMO weights. Figures of AI-generated",
        "Not for diagnostic use.",
        "prefers-color-scheme:dark",
        "&lt;Mass&gt;",
        "Mammography &lt;DEMO&gt;",
        "found 3 bytes &amp; expected 8",
        "Architectural/Asymmetry against the others",
        "sensitivity of at least 0.9",
        "40 evaluated, 1 failed, of 10 patients",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    assert_eq!(page.matches("<svg").count(), 1 + 4 * 3);
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn chosen_thresholds_make_an_override_that_the_manifest_takes() {
    let apply = |report: &EvaluationReport| {
        let found = report.thresholds(&manifest()).unwrap();
        let mut manifest = manifest();
        manifest.apply_override(&serde_json::to_string(&found).unwrap()).unwrap();
        (found, manifest)
    };
    // One class that was asked for.
    let (found, with) = apply(&report(&[0], &[ThresholdRule::Sensitivity(0.8)]));
    assert_eq!(found.thresholds.keys().collect::<Vec<_>>(), ["Mass"]);
    let t = with.classes()[0].thresholds;
    assert!(t.present == t.absent && t.present > 0.1 && t.present < 0.7, "{t:?}");
    assert_eq!(with.classes()[1].thresholds, manifest().classes()[1].thresholds);
    let point = &found.evaluation.operating_points["Mass"];
    assert!(point.sensitivity >= 0.8 && point.positives == 10 && point.negatives == 30);
    // Every class, two rules: undetermined between them.
    let (found, _) = apply(&report(&[], &[ThresholdRule::Sensitivity(1.0), ThresholdRule::Specificity(1.0)]));
    assert_eq!(found.thresholds.len(), 4);
    assert!(found.thresholds.values().any(|t| t.absent < t.present), "{found:?}");
    assert_eq!(found.evaluation.rule, "sensitivity of at least 1, specificity of at least 1");

    let refused =
        |positive: &[usize], rules: &[ThresholdRule]| report(positive, rules).thresholds(&manifest()).unwrap_err();
    assert!(refused(&[0, 1], &[ThresholdRule::Youden]).contains("several classes"));
    assert!(refused(&[0], &[]).contains("no threshold was asked for"));
    let three = [ThresholdRule::Youden, ThresholdRule::Youden, ThresholdRule::Youden];
    assert!(refused(&[0], &three).contains("found 3 rules"));
}

#[test]
fn two_classes_of_one_number_get_thresholds_that_agree() {
    let before = binary_manifest();
    let names: Vec<String> = before.classes().iter().map(|c| c.name.clone()).collect();
    let scored: Vec<ScoredCase> = (0..40)
        .map(|i| {
            let p = (f64::from(i) * 0.37).fract();
            let truth = usize::from(p + f64::from(i % 3) * 0.1 > 0.45);
            ScoredCase { truth: Truth::Class(truth), probabilities: vec![1.0 - p, p], together: None }
        })
        .collect();
    let two = [ThresholdRule::Sensitivity(1.0), ThresholdRule::Specificity(1.0)];
    // Nothing asked, the positive class, the negative class; one rule and two.
    for positive in [vec![], vec![1], vec![0]] {
        for rules in [&two[..1], &two[..]] {
            let question =
                ClassificationQuestion { positive: positive.clone(), rules: rules.to_vec(), in_force: vec![0.5; 2] };
            let classification = Some(classification(&names, &scored, &question).unwrap());
            let report = EvaluationReport { classification, classes: names.clone(), ..report(&[], &[]) };
            let found = report.thresholds(&before).unwrap();
            assert_eq!(found.thresholds.len(), 2);
            // The figures are those of the class that was looked at.
            let chosen = &names[positive.first().copied().unwrap_or(1)];
            assert_eq!(found.evaluation.operating_points.keys().collect::<Vec<_>>(), [chosen]);
            let mut after = before.clone();
            after.apply_override(&serde_json::to_string(&found).unwrap()).unwrap();
            let [negative, positive] = [0, 1].map(|i| after.classes()[i].thresholds);
            assert!(negative.are_near(positive.other_side()), "{negative:?} {positive:?}");
            assert_ne!(positive, before.classes()[1].thresholds);
            assert!(rules.len() == 1 || positive.absent < positive.present, "{positive:?}");
            // What the file makes is a manifest that could be shipped.
            assert!(Manifest::from_json(&serde_json::to_string(&after).unwrap()).is_ok());
        }
    }
}

#[test]
fn the_table_has_the_spreads_where_there_are_some() {
    let mut report = report(&[], &[]);
    let lines = |report: &EvaluationReport| -> Vec<String> {
        String::from_utf8(cases_csv(report)).unwrap().lines().map(str::to_owned).collect()
    };
    assert!(!lines(&report)[0].contains("SD("));
    report.cases[0].spreads = vec![0.01, 0.02, 0.03, 0.04];
    let with = lines(&report);
    assert!(
        with[0].ends_with(",P(Normal),SD(Mass),SD(Calcification),SD(Architectural/Asymmetry),SD(Normal),Failed"),
        "{}",
        with[0]
    );
    assert!(with[1].ends_with(",0.01,0.02,0.03,0.04,"), "{}", with[1]);
    assert!(with[2].ends_with(",,,,,"), "{}", with[2]);
}
