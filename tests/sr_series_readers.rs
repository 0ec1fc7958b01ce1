//! Other people's readers on reports of series: one answer for all slices, single slices, multi-frame instances, two named classes, and
//! probabilities with the spread of the answers that they combine.

#[path = "support/ct_series.rs"]
mod ct_series;
#[path = "support/readers.rs"]
mod readers;

use std::path::{Path, PathBuf};

use ct_series::{CtSeries, class, code};
use orthanc_ai::imaging::ImageAttributes;
use orthanc_ai::manifest::{ClassificationSpec, Manifest, TaskSpec};
use orthanc_ai::predict::{Finding, ImagePrediction, Prediction, aggregate, decide};
use orthanc_ai::result::{ResultContext, ResultUids, SrSopClass, measurement_report};
use readers::{check_script, keep, python, run, text};
use serde_json::json;
use time::macros::datetime;

struct Case {
    name: &'static str,
    manifest: Manifest,
    series: CtSeries,
    multi_frame: bool,
    /// Of the second class, one a slice; None failed.
    probabilities: Vec<Option<f64>>,
}

fn cases() -> Vec<Case> {
    let manifest = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = ct_series::manifest("slices");
        change(&mut json);
        Manifest::from_json(&json.to_string()).unwrap()
    };
    let wave = |n: usize| (0..n).map(|i| Some(((i * 37) % 101) as f64 / 101.0)).collect::<Vec<_>>();
    let base = |name, slices| Case {
        name,
        manifest: manifest(&|_| ()),
        series: CtSeries::new(3, slices),
        multi_frame: false,
        probabilities: wave(slices),
    };
    let failing = |mut probabilities: Vec<Option<f64>>| {
        probabilities[4] = None;
        probabilities[31] = None;
        probabilities
    };
    vec![
        base("one_image", 1),
        base("series_60", 60),
        Case { probabilities: failing(wave(60)), ..base("series_two_failed", 60) },
        Case {
            manifest: manifest(&|m| {
                m["test_time_augmentation"] = json!({"transforms": [{"Flip": {"spatial_axis": [1]}}]});
            }),
            ..base("augmented", 20)
        },
        Case { multi_frame: true, ..base("multi_frame", 24) },
        Case {
            multi_frame: true,
            manifest: manifest(&|m| drop(m["task"]["Classification"].as_object_mut().unwrap().remove("aggregate"))),
            ..base("frames", 4)
        },
        Case {
            manifest: manifest(&|m| {
                m["input"]["select"] = json!({"Images": {"count": {"min": 1, "max": 4}}});
                m["network"]["ResNet50"]["num_classes"] = json!(2);
                let task = m["task"]["Classification"].as_object_mut().unwrap();
                task.remove("aggregate");
                task["activation"] = json!("softmax");
                task["classes"] = json!([
                    class("Benign", "#388e3c", &code("30807003", "SCT", "Benign"), (0.5, 0.5)),
                    class("Malignant", "#d32f2f", &code("21594007", "SCT", "Malignant"), (0.5, 0.5))
                ]);
            }),
            ..base("benign_or_malignant", 3)
        },
    ]
}

fn instances(case: &Case) -> Vec<ImageAttributes> {
    let read = |dataset| ImageAttributes::from_dataset(dataset).unwrap();
    match case.multi_frame {
        true => vec![read(case.series.multi_frame_dataset())],
        false => (0..case.series.slices).map(|n| read(case.series.dataset(n))).collect(),
    }
}

/// Where the model is augmented the answers spread more the less sure they are.
fn finding(case: &Case, task: &ClassificationSpec, p: f64) -> Finding {
    let finding = decide(task, &[1.0 - p, p]);
    match case.manifest.answers() {
        Some(_) => finding.with_spreads(&[p * (1.0 - p) / 2.0; 2]),
        None => finding,
    }
}

fn prediction(case: &Case) -> Prediction {
    let TaskSpec::Classification(task) = &case.manifest.task else { panic!() };
    let image = |(n, p): (usize, &Option<f64>)| ImagePrediction {
        image: if case.multi_frame { 0 } else { n },
        frame: case.multi_frame.then_some(n as u32 + 1),
        view: format!("Slice {}", n + 1),
        outcome: p.map(|p| finding(case, task, p)).ok_or_else(|| "the decoder found a truncated frame".into()),
    };
    let images: Vec<ImagePrediction> = case.probabilities.iter().enumerate().map(image).collect();
    let overall = aggregate(task, &images);
    Prediction { images, overall }
}

/// The report, and a folder with the files that it is about.
fn write(dir: &Path, case: &Case) -> (PathBuf, PathBuf) {
    let instances = instances(case);
    let images: Vec<&ImageAttributes> = instances.iter().collect();
    let sha = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let ctx = ResultContext {
        manifest: &case.manifest,
        weights_sha256: sha,
        images: &images,
        created: datetime!(2026-03-02 11:22:33 UTC),
        uids: ResultUids::new(&images, &case.manifest, sha),
        software_version: "0.1.0",
        sr_sop_class: SrSopClass::Comprehensive3d,
    };
    let report = dir.join(format!("{}.dcm", case.name));
    std::fs::write(&report, measurement_report(&ctx, &prediction(case)).unwrap().bytes).unwrap();
    let sources = dir.join(format!("{}_source", case.name));
    std::fs::create_dir(&sources).unwrap();
    let files = if case.multi_frame { vec![case.series.multi_frame_file()] } else { case.series.files() };
    for (n, file) in files.iter().enumerate() {
        std::fs::write(sources.join(format!("{n:04}.dcm")), file).unwrap();
    }
    (report, sources)
}

fn each(check: impl Fn(&Case, &str, &str)) {
    let dir = tempfile::tempdir().unwrap();
    for case in cases() {
        let (report, sources) = write(dir.path(), &case);
        check(&case, report.to_str().unwrap(), sources.to_str().unwrap());
    }
    keep(dir.path());
}

#[test]
fn dciodvfy_finds_no_error() {
    each(|case, report, _| {
        let Some(output) = run(Path::new("dciodvfy"), &["-new", report]) else { return };
        let text = text(&output);
        assert!(text.lines().any(|l| l.trim() == "Comprehensive3DSR"), "{}:\n{text}", case.name);
        let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("Error") || l.starts_with("Abort")).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", case.name);
    });
}

#[test]
fn dsrdump_reads_strictly() {
    each(|case, report, _| {
        let Some(output) = run(Path::new("dsrdump"), &[report]) else { return };
        let text = text(&output);
        let bad = text.lines().any(|l| l.starts_with("E:") || l.starts_with("F:"));
        assert!(output.status.success() && !bad, "{}:\n{text}", case.name);
    });
}

#[test]
fn highdicom_reads_a_group_for_all_and_for_each_that_carries() {
    const SCRIPT: &str = r"
import sys, highdicom as hd
for g in hd.sr.srread(sys.argv[1]).content.get_planar_roi_measurement_groups():
    print(g.tracking_identifier, g.finding_type.value, len(g.get_measurements()), sep='|')
";
    let Some(python) = python() else { return };
    each(|case, report, _| {
        let Some(output) = run(&python, &["-c", SCRIPT, report]) else { return };
        assert!(output.status.success(), "{}:\n{}", case.name, text(&output));
        let stdout = String::from_utf8_lossy(&output.stdout);
        let groups = match &prediction(case).overall {
            Some(overall) => 1 + overall.carrying.len(),
            None => case.probabilities.iter().flatten().count(),
        };
        assert_eq!(stdout.lines().count(), groups, "{}:\n{stdout}", case.name);
        assert_eq!(
            stdout.starts_with("Series|1386000|2"),
            prediction(case).overall.is_some(),
            "{}:\n{stdout}",
            case.name
        );
    });
}

/// What highdicom reads of a probability's uncertainty is the spread, in the probability's unit; the probabilities are as many as ever.
#[test]
fn highdicom_reads_the_spread_beside_each_probability() {
    const SCRIPT: &str = r"
import sys, highdicom as hd
for g in hd.sr.srread(sys.argv[1]).content.get_planar_roi_measurement_groups():
    for m in g.get_measurements():
        found = [i for i in m[0].ContentSequence if i.name.value == '371884006']
        assert all(i.relationship_type.value == 'HAS PROPERTIES' and i.unit == m.unit for i in found)
        assert all(i.ContentSequence[0].ConceptCodeSequence[0].CodeValue == '386136009' for i in found)
        print(m.name.value, *(i.value for i in found), sep='|')
";
    let Some(python) = python() else { return };
    each(|case, report, _| {
        let Some(output) = run(&python, &["-c", SCRIPT, report]) else { return };
        assert!(output.status.success(), "{}:\n{}", case.name, text(&output));
        let prediction = prediction(case);
        let carrying =
            prediction.overall.iter().flat_map(|o| &o.carrying).map(|i| prediction.images[*i].outcome.as_ref());
        let alone =
            prediction.images.iter().filter(|_| prediction.overall.is_none()).map(|image| image.outcome.as_ref());
        let images = carrying.chain(alone).filter_map(Result::ok);
        let findings = prediction.overall.iter().map(|o| &o.finding).chain(images);
        let mut expected = Vec::new();
        for finding in findings {
            let mut order = finding.all.clone();
            order.sort_by_key(|c| (c.class != finding.class, c.class));
            let percent = |spread: f64| format!("|{}", (spread * 1e6).round() / 1e4);
            expected.extend(order.iter().map(|c| format!("122157{}", c.spread.map(percent).unwrap_or_default())));
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout.lines().collect::<Vec<_>>(), expected, "{}", case.name);
        assert_eq!(stdout.contains('|'), case.name == "augmented");
    });
}

/// PixelMed's template validator, OHIF's bundle and the rest; PixelMed takes its time and gets the reports of every form.
#[test]
fn check_sr_passes() {
    let Some(check_sr) = check_script("check_sr") else { return };
    each(|case, report, sources| {
        let mut args = vec![report, "--source", sources];
        if !matches!(case.name, "series_two_failed" | "multi_frame" | "augmented") {
            args.push("--no-pixelmed");
        }
        let Some(output) = run(&check_sr, &args) else { return };
        let text = text(&output);
        if text.contains("venv/bin/python: not found") {
            return eprintln!("SKIPPED check_sr: its environment is not set up");
        }
        eprintln!("{}: {}", case.name, text.trim().replace('\n', "; "));
        let pass = output.status.success() && text.contains("RESULT PASS");
        assert!(pass || case.name == "augmented" && only_false_alarms(&text), "{}:\n{text}", case.name);
    });
}

/// PixelMed takes any NUM under a measurement for what the measurement is inferred from (TID 300 rows 9 and 10, "NUM *"), also where it has found
/// it to be the measurement's uncertainty (TID 310 row 5, which TID 300 includes).
fn only_false_alarms(text: &str) -> bool {
    text.lines().all(|line| match line.trim() {
        line if line.starts_with('!') => {
            let uncertainty = line.contains(r#"/NUM (122157,DCM,"Probability")/NUM (371884006,SCT,"#);
            uncertainty && ["[Row 9] NUM *", "[Row 10] NUM *"].iter().any(|row| line.contains(row))
        }
        line => !line.starts_with("FAIL") || line == "FAIL pixelmed DicomSRValidator",
    })
}
