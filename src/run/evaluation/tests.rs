//! Which cases an evaluation makes of studies and labels; what it runs is tested with the tool.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use regex::Regex;

use super::cases::Case;
use super::*;
use crate::evaluate::Labels;

fn manifest() -> Arc<Manifest> {
    Arc::new(Manifest::from_json(include_str!("../../../models/mammography-4view-demo/manifest.json")).unwrap())
}

/// A four-view exam; instance ids are "{exam}{image}".
fn exam(number: usize) -> Vec<InstanceHeader> {
    let views = [("L", "CC"), ("R", "CC"), ("L", "MLO"), ("R", "MLO")];
    let header = |(image, (laterality, view)): (usize, (&str, &str))| {
        let values: BTreeMap<Tag, String> = [
            (tags::MODALITY, "MG".to_owned()),
            (tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.1.2".into()),
            (tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2".into()),
            (tags::STUDY_INSTANCE_UID, format!("1.2.{number}")),
            (tags::SERIES_INSTANCE_UID, format!("1.2.{number}.0")),
            (tags::SOP_INSTANCE_UID, format!("1.2.{number}.{image}")),
            (tags::PATIENT_ID, format!("P{}", number / 2)),
            (tags::STUDY_DESCRIPTION, if image == 3 { "normal" } else { "Mass" }.into()),
            (tags::IMAGE_LATERALITY, laterality.into()),
            (tags::VIEW_POSITION, view.into()),
        ]
        .into();
        InstanceHeader::new(InstanceId(format!("{number}{image}")), values)
    };
    views.into_iter().enumerate().map(header).collect()
}

struct Files;

impl Names for Files {
    fn file(&self, id: &InstanceId) -> Option<String> {
        let (exam, image) = id.0.split_at(1);
        Some(format!("exam{exam}/mass-{image}.dcm"))
    }

    fn find(&self, _: &str) -> Option<InstanceId> {
        None
    }
}

fn evaluator(labels: LabelSource, positive: &[&str]) -> Result<Evaluator, EvaluationError> {
    let positive = positive.iter().map(|p| (*p).to_owned()).collect();
    let settings = EvaluationSettings { labels, positive, rules: Vec::new(), combine: Combine::Mean };
    Evaluator::new(manifest(), "0".repeat(64), settings)
}

fn table(text: &str) -> LabelSource {
    LabelSource::Table(Labels::from_csv(text.as_bytes()).unwrap())
}

/// (images, failure) of each case after planning exams 0 to 2; the second study of patient P0 is exam 1.
fn planned(evaluator: &mut Evaluator) -> (usize, Vec<(usize, Option<String>)>) {
    let units: usize = (0..3).map(|n| evaluator.plan(&exam(n), &Files).unwrap().len()).sum();
    (units, evaluator.cases.values().map(|c| (c.images, c.failure.clone())).collect())
}

#[test]
fn a_case_is_what_a_line_names() {
    for (text, units, images) in [
        ("SOPInstanceUID,label\n1.2.0.1,Mass\n1.2.0.2,Normal\n", 1, vec![1, 1]),
        ("SeriesInstanceUID,label\n1.2.2.0,Mass\n", 1, vec![4]),
        ("study,label\n1.2.0,Mass\n1.2.2,Normal\n", 2, vec![4, 4]),
        ("PatientID,label\nP0,Mass\nP1,Normal\n", 3, vec![8, 4]),
        ("file,label\nexam0/mass-1.dcm,Mass\nexam2,Normal\n", 2, vec![1, 4]),
        // The most particular name of an image counts.
        ("PatientID,SOPInstanceUID,label\nP0,,Mass\n,1.2.0.3,Normal\n", 2, vec![7, 1]),
    ] {
        let mut evaluator = evaluator(table(text), &[]).unwrap();
        let (found, cases) = planned(&mut evaluator);
        let all: Vec<usize> = cases.iter().map(|(images, _)| *images).collect();
        assert_eq!((found, all), (units, images), "{text}");
        assert!(cases.iter().all(|(_, failure)| failure.is_none()) && evaluator.missing().is_empty());
    }
}

#[test]
fn labels_by_name_and_attribute_are_of_single_images() {
    let pattern = LabelSource::Name(Regex::new("/(?<label>[a-z]+)-[0-2]").unwrap());
    let mut by_name = evaluator(pattern, &[]).unwrap();
    let (units, cases) = planned(&mut by_name);
    assert_eq!((units, cases.len(), by_name.unlabelled), (3, 9, 3));
    let mut by_tag = evaluator(LabelSource::Tag("StudyDescription".into()), &[]).unwrap();
    assert_eq!(planned(&mut by_tag).1.len(), 12);
    // A view is no class: the image fails, and its value is not repeated.
    let mut by_view = evaluator(LabelSource::Tag("ViewPosition".into()), &[]).unwrap();
    let failed = planned(&mut by_view).1;
    assert!(failed.iter().all(|(_, f)| f.as_ref().is_some_and(|f| f.contains("none of Mass, ") && !f.contains("CC"))));
}

#[test]
fn impossible_labels_are_refused_before_anything_runs() {
    let refused: [(LabelSource, &[&str], &str); 8] = [
        (table("study,label\n1.2.0,Mass\n1.2.1,Massive\n"), &[], "labels, line 3: found the label \"Massive\""),
        (table("study,label\n1.2.0,1\n"), &[], "which classes does 1 mean? Name them as positive: one or more of Mass"),
        (table("study,label\n1.2.0,1\n1.2.1,Mass\n"), &["Mass"], "some name a class, others say 0 or 1"),
        (table("study,label,reference\n1.2.0,Mass,a.dcm\n"), &[], "line 2: found a reference, but the model does not"),
        (table("study,label\n1.2.0,1\n"), &["Cyst"], "positive: found \"Cyst\", expected classes of the model: Mass"),
        (
            table("study,label\n1.2.0,1\n"),
            &["Mass", "Calcification", "Architectural/Asymmetry", "Normal"],
            "positive: found every class",
        ),
        (LabelSource::Tag("NoKeyword".into()), &[], "found \"NoKeyword\", expected the keyword"),
        (LabelSource::References, &[], "labels: found none, expected a table"),
    ];
    for (source, positive, words) in refused {
        let error = evaluator(source, positive).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
    let rules = vec![ThresholdRule::Sensitivity(90.0)];
    let labels = table("study,label\n1.2.0,1\n");
    let settings = EvaluationSettings { labels, positive: vec!["mass".into()], rules, combine: Combine::Max };
    let error = Evaluator::new(manifest(), String::new(), settings).err().unwrap().to_string();
    assert!(error.contains("expected a share between 0 and 1"), "{error}");
}

#[test]
fn cases_that_are_not_there_and_exams_that_do_not_fit_are_listed() {
    let mut evaluator =
        evaluator(table("study,label\n1.2.0,Mass\n1.2.9,Mass\n1.2.1,Normal\n1.2.8,Normal\n"), &[]).unwrap();
    assert_eq!(evaluator.plan(&exam(0), &Files).unwrap().len(), 1);
    assert_eq!(evaluator.plan(&exam(1)[..3], &Files).unwrap().len(), 0);
    assert_eq!(evaluator.missing(), [3, 5], "lines of the file, the header being the first");
    let Err(EvaluationError::NoCase(reason)) = evaluator.report() else { panic!("no image was analysed") };
    assert!(reason.contains("0 of 4 images were answered"), "{reason}");
}

#[test]
fn answers_of_one_case_are_combined() {
    let case = |truth| {
        let probabilities = vec![vec![0.9, 0.1], vec![0.5, 0.5], vec![0.1, 0.9]];
        Case { truth, images: 3, probabilities, ..Case::default() }
    };
    let scored = |combine, positive: &[usize]| {
        case(Some(crate::evaluate::Truth::Class(1))).scored(combine, positive, true).unwrap()
    };
    assert_eq!(scored(Combine::Max, &[]).probabilities, [0.9, 0.9]);
    assert!(scored(Combine::Mean, &[]).probabilities.iter().all(|p| (p - 0.5).abs() < 1e-12));
    // Of an image both classes together are certain; the sum of the two highest would be 1.8.
    assert_eq!(scored(Combine::Max, &[0, 1]).together, Some(1.0));
    // Classes on their own do not add up.
    let own = case(Some(crate::evaluate::Truth::Class(1))).scored(Combine::Max, &[0, 1], false);
    assert_eq!(own.unwrap().together, Some(0.9));
    assert!(case(None).scored(Combine::Mean, &[], true).is_none());
    let mut failed = case(Some(crate::evaluate::Truth::Class(1)));
    failed.fail("one image");
    failed.fail("another");
    assert_eq!((failed.scored(Combine::Mean, &[], true), failed.failure.as_deref()), (None, Some("one image")));
}

/// What a run of the exam says: of image `i` Mass with 0.1 × `i`, of all together `overall`.
fn outcome(exam: usize, overall: Option<f64>) -> RunOutcome {
    use serde_json::json;
    let answer = |mass: f64| {
        json!({
            "Class": "Mass", "Color": "#000000", "Probability": mass, "Finding": "",
            "AllProbabilities": {
                "Mass": mass, "Calcification": 0.0, "Architectural/Asymmetry": 0.0, "Normal": 1.0 - mass
            }
        })
    };
    let merged = |mass: f64, more: serde_json::Value| {
        let mut answer = answer(mass);
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer
    };
    let image = |i: usize| {
        let uid = format!("1.2.{exam}.{i}");
        merged(0.1 * i as f64, json!({"View": "", "InstanceUid": uid, "Success": true}))
    };
    let mut report = json!({
        "Model": "m", "Title": "", "Version": "1", "Weights": "", "Demo": true, "Disclaimer": "", "Created": "",
        "Images": (0..4).map(image).collect::<Vec<_>>()
    });
    if let Some(mass) = overall {
        report["Overall"] = merged(mass, json!({"Method": "", "Total": 4, "Analysed": 3, "Carrying": [0]}));
    }
    RunOutcome {
        report: serde_json::from_value(report).unwrap(),
        slices: Vec::new(),
        stored: Vec::new(),
        warnings: Vec::new(),
        stage_seconds: BTreeMap::new(),
    }
}

#[test]
fn the_models_own_answer_for_all_images_is_that_of_their_case() {
    let answers = |labels: &str, overall| {
        let mut evaluator = evaluator(table(labels), &[]).unwrap();
        for number in 0..2 {
            for unit in evaluator.plan(&exam(number), &Files).unwrap() {
                evaluator.keep_answers(&unit, &outcome(number, overall));
            }
        }
        let warned = evaluator.warnings.len();
        let mass = |case: &Case| case.probabilities.iter().map(|p| p[0]).collect::<Vec<f64>>();
        let found = evaluator.cases.values().map(|case| (case.answered, case.images, mass(case))).collect::<Vec<_>>();
        // Each image is in an answer, so that the case is counted.
        assert_eq!(evaluator.report().unwrap().failures().count(), 0);
        (found, warned)
    };
    let each = vec![0.0, 0.1, 0.2, 0.1 * 3.0];
    let study = "study,label\n1.2.0,Mass\n1.2.1,Normal\n";
    assert_eq!(answers(study, None), (vec![(4, 4, each.clone()), (4, 4, each)], 0));
    assert_eq!(answers(study, Some(0.8)), (vec![(4, 4, vec![0.8]), (4, 4, vec![0.8])], 1));
    // A patient's two studies are two answers.
    assert_eq!(answers("PatientID,label\nP0,Mass\n", Some(0.8)).0, [(8, 8, vec![0.8, 0.8])]);
    // Labels of single images ask for the answers of single images.
    let single = answers("SOPInstanceUID,label\n1.2.0.1,Mass\n1.2.0.2,Normal\n", Some(0.8));
    assert_eq!(single, (vec![(1, 1, vec![0.1]), (1, 1, vec![0.2])], 0));
    // One image that nobody labelled is in the overall answer, too.
    let part = "SOPInstanceUID,label\n1.2.0.1,Mass\n";
    assert_eq!(answers(part, Some(0.8)).0, [(1, 1, vec![0.1])]);
}

/// Nobody asks for the network.
struct NoSource;

impl InstanceSource for NoSource {
    fn headers(&self, resource: &Resource) -> Result<Vec<InstanceHeader>, crate::source::SourceError> {
        Err(crate::source::SourceError::UnknownResource(resource.to_string()))
    }

    fn fetch(&self, id: &InstanceId) -> Result<crate::source::InstanceBytes, crate::source::SourceError> {
        Err(crate::source::SourceError::UnknownResource(id.to_string()))
    }
}

#[test]
fn evaluations_wait_are_ended_and_are_forgotten() {
    use self::queue::{EvaluationState, Evaluations};
    let queue = Evaluations::default();
    let submit = || queue.submit("m", evaluator(table("OrthancID,label\na,Mass\n"), &[]).unwrap(), vec!["a".into()]);
    let ids: Vec<String> = (0..10).map(|_| submit().unwrap().id).collect();
    assert_eq!(submit().unwrap_err(), 10, "so many wait already");
    let state = |id: &str| queue.get(id).map(|view| view.state);
    assert_eq!(queue.remove(&ids[3]).unwrap().state, EvaluationState::Cancelled);
    assert_eq!(state(&ids[3]), Some(EvaluationState::Cancelled), "it can still be looked at");
    queue.remove(&ids[3]).unwrap();
    assert_eq!((state(&ids[3]), queue.remove("nothing").is_none()), (None, true));

    // The oldest first; a model that is not loaded is said.
    let step = |stopping: bool| {
        queue.step(&mut crate::model::LoadedModels::default(), &NoSource, Limits::default(), &|| stopping)
    };
    assert!(step(false));
    let failed = queue.get(&ids[0]).unwrap();
    assert_eq!((failed.state, failed.error.as_deref()), (EvaluationState::Failed, Some("the model m is not loaded")));
    assert!(queue.evaluated(&ids[0]).is_none());
    assert!(step(true));
    assert_eq!(state(&ids[1]), Some(EvaluationState::Cancelled), "the server stops");
    while step(false) {}
    assert!(queue.is_idle() && !step(false));
    assert_eq!(queue.list().first().unwrap().id, ids[9], "the newest first");
}

#[test]
fn an_image_is_found_by_the_ids_of_the_server() {
    struct Server;
    impl Names for Server {
        fn file(&self, _: &InstanceId) -> Option<String> {
            None
        }
        fn find(&self, _: &str) -> Option<InstanceId> {
            None
        }
        fn orthanc_ids(&self, id: &InstanceId) -> Vec<String> {
            vec![id.0.clone(), format!("study-{}", &id.0[..1])]
        }
    }
    let mut evaluator = evaluator(table("OrthancID,label\nstudy-0,Mass\n13,Normal\nstudy-7,Mass\n"), &[]).unwrap();
    let units: usize = (0..2).map(|n| evaluator.plan(&exam(n), &Server).unwrap().len()).sum();
    let images: Vec<usize> = evaluator.cases.values().map(|c| c.images).collect();
    assert_eq!((units, images, evaluator.missing()), (2, vec![4, 1], vec![4]));
}

#[test]
fn a_cases_spread_goes_with_its_probability() {
    let mut case = Case {
        probabilities: vec![vec![0.2, 0.8], vec![0.9, 0.1]],
        spreads: vec![vec![0.1, 0.1], vec![0.3, 0.2]],
        ..Case::default()
    };
    assert_eq!(case.spreads(Combine::Max), [0.3, 0.1]);
    let mean = case.spreads(Combine::Mean);
    assert!((mean[0] - 0.2).abs() < 1e-12 && (mean[1] - 0.15).abs() < 1e-12);
    case.spreads.clear();
    assert!(case.spreads(Combine::Mean).is_empty());
}
