//! `orthanc-ai evaluate` as a person uses it: a folder of exams, labels, a report, and thresholds that hold from then on.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use orthanc_ai::phantom::{BreastSlicePhantom, Class, ExamOptions, TumourKind, exam};
use serde_json::Value;

const DEMO: &str = "mammography-4view-demo";
const BREAST_MRI: &str = "breast-dce-swinunetr-demo";

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn tool_in(models: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_orthanc-ai")).args(args).env("ORTHANC_AI_MODELS", models).output().unwrap()
}

#[track_caller]
fn ok(args: &[&str]) -> String {
    succeeded(&tool_in(&models(), args))
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(args: &[&str]) -> String {
    let output = tool_in(&models(), args);
    assert!(!output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// Three exams of four views in folders by class: "Mass/exam1-L-CC.dcm". Returns each file's name below the folder, its class, and its
/// SOPInstanceUID.
fn exams(folder: &Path) -> Vec<(String, Class, String)> {
    let mut files = Vec::new();
    for seed in 1..=3usize {
        let mut classes = Class::ALL;
        classes.rotate_left(seed);
        let options = ExamOptions {
            seed: 40 + seed as u64,
            classes,
            size: (832, 640),
            spacing_mm: 0.28,
            ..ExamOptions::default()
        };
        for instance in exam(&options).unwrap() {
            let class = instance.phantom.class;
            let name = format!("{}/exam{seed}-{}.dcm", class.name(), instance.view_name());
            let path = folder.join(&name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, instance.to_bytes().unwrap()).unwrap();
            let uid = instance.object.element_by_name("SOPInstanceUID").unwrap().to_str().unwrap().trim().to_owned();
            files.push((name, class, uid));
        }
    }
    files
}

struct Bench {
    folder: tempfile::TempDir,
    files: Vec<(String, Class, String)>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = exams(&folder.path().join("cases"));
        Self { folder, files }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A table with one line a file.
    fn table(&self, name: &str, header: &str, line: impl Fn(&(String, Class, String)) -> String) -> String {
        let lines: Vec<String> = self.files.iter().map(line).collect();
        std::fs::write(self.path(name), format!("\u{feff}{header}\r\n{}\r\n", lines.join("\r\n"))).unwrap();
        self.path(name)
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(file)).unwrap()).unwrap()
    }
}

#[test]
fn exams_with_a_table_of_labels_give_a_report_and_thresholds_that_hold() {
    let bench = Bench::new();
    let (cases, out) = (bench.path("cases"), bench.path("out"));
    let labels = bench.table("labels.csv", "SOPInstanceUID;Label", |(_, class, uid)| format!("{uid};{}", class.name()));
    let asked = ["--positive", "mass", "--sensitivity", "1", "--specificity", "1"];
    let text = ok(&[&["evaluate", DEMO, &cases, "--labels", &labels, "--out", &out], &asked[..]].concat());
    assert!(text.contains(&format!("{DEMO} 1.1.0: 12 cases evaluated, 0 failed")), "{text}");
    assert!(text.contains("research use only"), "{text}");

    let report = bench.json("out/evaluation.json");
    let overall = &report["Classification"]["Classes"]["Overall"];
    assert_eq!(overall["Accuracy"]["Counts"][1], 12);
    assert!(overall["Accuracy"]["Value"].as_f64().unwrap() >= 10.0 / 12.0, "{overall}");
    let questions = report["Classification"]["Questions"].as_array().unwrap();
    assert_eq!(questions.len(), 4, "Mass as asked, then the three others");
    assert_eq!(questions[0]["Positive"], serde_json::json!(["Mass"]));
    assert_eq!((&questions[0]["Positives"], &questions[0]["Negatives"]), (&3.into(), &9.into()));
    assert_eq!(questions[0]["OperatingPoints"].as_array().unwrap().len(), 3);
    assert_eq!(report["Cases"].as_array().unwrap().len(), 12);

    // Identifiers are in the table alone.
    let (_, _, uid) = &bench.files[0];
    let page = std::fs::read_to_string(bench.path("out/evaluation.html")).unwrap();
    assert!(!report.to_string().contains(uid.as_str()) && !page.contains(uid.as_str()));
    assert!(page.contains("<svg") && !page.contains("<script"));
    let table = std::fs::read_to_string(bench.path("out/cases.csv")).unwrap();
    assert!(table.starts_with("\u{feff}Number,Case,") && table.contains(uid.as_str()), "{table}");
    assert!(std::fs::read_dir(&cases).unwrap().count() == 4, "nothing is stored beside the cases");

    // Into the model's folder: of a copy.
    let copy = bench.folder.path().join("models");
    let (from, to) = (models().join(DEMO), copy.join(DEMO));
    std::fs::create_dir_all(&to).unwrap();
    for file in ["manifest.json", "weights.safetensors"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let folder = to.to_str().unwrap();
    let write = [&["evaluate", folder, &cases, "--labels", &labels, "--write-thresholds"], &asked[..]].concat();
    succeeded(&tool_in(&copy, &write));
    assert_eq!(
        serde_json::from_slice::<Value>(&std::fs::read(to.join("override.json")).unwrap()).unwrap()["thresholds"],
        bench.json("out/override.json")["thresholds"]
    );
    let checked = succeeded(&tool_in(&copy, &["check", DEMO]));
    assert!(checked.contains("version 1.1.0+thresholds."), "{checked}");
    // The same question with other thresholds is another object, which says so.
    let one = bench.folder.path().join("one");
    std::fs::create_dir(&one).unwrap();
    for (name, _, _) in bench.files.iter().filter(|(name, ..)| name.contains("exam1")) {
        std::fs::copy(Path::new(&cases).join(name), one.join(name.replace('/', "-"))).unwrap();
    }
    let results = bench.path("results");
    let run = succeeded(&tool_in(&copy, &["run", DEMO, one.to_str().unwrap(), "-o", &results]));
    assert!(run.contains("1.1.0+thresholds."), "{run}");
    ok(&["run", DEMO, one.to_str().unwrap(), "-o", &results]);
    let objects: Vec<Vec<u8>> =
        std::fs::read_dir(&results).unwrap().map(|e| std::fs::read(e.unwrap().path()).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    let says = |object: &Vec<u8>| object.windows(19).any(|w| w == b"a local validation ");
    assert_eq!(objects.iter().filter(|o| says(o)).count(), 1);
    // Evaluated again, the version that was validated is the manifest's.
    succeeded(&tool_in(&copy, &write));
    // Other weights than those that were validated.
    let json = std::fs::read_to_string(to.join("override.json")).unwrap();
    std::fs::write(to.join("override.json"), json.replace("\"1.1.0\"", "\"1.0.0\"")).unwrap();
    let output = tool_in(&copy, &["check", DEMO]);
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && words.contains("override.json: at version: found \"1.0.0\""), "{words}");
}

/// The tumours that the second model judges are those that the first one finds.
#[test]
fn a_second_stage_is_evaluated_on_what_the_first_one_finds() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..6u64 {
        let (kind, name) =
            if seed % 2 == 0 { (TumourKind::Benign, "benign") } else { (TumourKind::Malignant, "malignant") };
        let phantom = BreastSlicePhantom { seed: 900 + seed, tumour: Some(kind), ..BreastSlicePhantom::default() };
        phantom.to_dicom().unwrap().write_to(folder.path(), &format!("{name}-{seed}")).unwrap();
    }
    let none = BreastSlicePhantom { seed: 990, tumour: None, ..BreastSlicePhantom::default() };
    none.to_dicom().unwrap().write_to(folder.path(), "benign-6").unwrap();
    let out = tempfile::tempdir().unwrap();
    let (cases, out) = (folder.path().to_str().unwrap(), out.path().join("out"));
    let pattern = "^(?<label>[a-z]+)-";
    let args =
        ["evaluate", "breast-mri-tumour-demo", cases, "--label-from-name", pattern, "--out", out.to_str().unwrap()];
    // A case in which the first model finds nothing has no answer of the second.
    assert!(ok(&args).contains("6 cases evaluated, 1 failed"));
    let report: Value = serde_json::from_slice(&std::fs::read(out.join("evaluation.json")).unwrap()).unwrap();
    let accuracy = &report["Classification"]["Classes"]["Overall"]["Accuracy"];
    assert_eq!(accuracy["Counts"][1], 6);
    assert!(accuracy["Counts"][0].as_u64().unwrap() >= 5, "{accuracy}");
}

#[test]
fn labels_come_from_names_and_attributes_as_well() {
    let bench = Bench::new();
    let cases = bench.path("cases");
    let pattern = "^(?<label>Mass|Calcification|Architectural/Asymmetry|Normal)/";
    let by_name = ok(&["evaluate", DEMO, &cases, "--label-from-name", pattern]);
    let by_file = bench.table("file.csv", "file,truth", |(name, class, _)| format!("\"{name}\",{}", class.name()));
    let by_file = ok(&["evaluate", DEMO, &cases, "--labels", &by_file]);
    let figures =
        |text: &str| text.lines().filter(|l| l.starts_with("accuracy") || l.starts_with('|')).collect::<String>();
    assert_eq!(figures(&by_name), figures(&by_file));
    assert!(by_name.contains("12 cases evaluated, 0 failed"), "{by_name}");
    // Yes or no: what is not normal. One case a patient, by its most suspicious view.
    let lines = "PatientID,label\nPHANTOM-41,1\nPHANTOM-42,1\nPHANTOM-43,1\n";
    std::fs::write(bench.path("patients.csv"), lines).unwrap();
    let (patients, abnormal) = (bench.path("patients.csv"), "Mass,Calcification,Architectural/Asymmetry");
    let of = ["evaluate", DEMO, &cases, "--labels", &patients, "--positive", abnormal, "--combine", "max"];
    let text = ok(&of);
    assert!(text.contains("3 positive, 0 negative; AUC none: no negative case"), "{text}");
    let error = refused(&["evaluate", DEMO, &cases, "--label-tag", "ViewPosition"]);
    assert!(error.contains("no case could be evaluated") && error.contains("is none of Mass"), "{error}");
}

#[test]
fn what_is_wrong_with_labels_is_named() {
    let bench = Bench::new();
    let cases = bench.path("cases");
    let with = |lines: &str| {
        std::fs::write(bench.path("labels.csv"), lines).unwrap();
        bench.path("labels.csv")
    };
    for (lines, words) in [
        (
            "PatientID,label\nPHANTOM-41,Massive\n",
            "line 2: found the label \"Massive\", expected one of Mass, Calcification",
        ),
        ("PatientID,label\nPHANTOM-41,Mass\nPHANTOM-41,Mass\n", "line 3: the case of line 2 again"),
        ("PatientID,label\nPHANTOM-41,Mass\nPHANTOM-99,Mass\n", "belongs to the case of line 3; --allow-missing"),
        ("PatientID,label\nPHANTOM-41,1\n", "which classes does 1 mean?"),
        ("Name,label\nx,1\n", "no column that names the case"),
    ] {
        let error = refused(&["evaluate", DEMO, &cases, "--labels", &with(lines)]);
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("PHANTOM"), "a patient's id is on the screen: {error}");
    }
    assert!(refused(&["evaluate", DEMO, &cases]).contains("labels: found none, expected a table"));
    assert!(refused(&["evaluate", DEMO, &cases, "--labels", "nowhere.csv"]).contains("--labels"));
    let both = ["evaluate", DEMO, &cases, "--label-tag", "Modality", "--label-from-name", "x"];
    assert!(refused(&both).contains("cannot be used with"));
    assert!(refused(&["evaluate", DEMO, "--labels", "x.csv"]).contains("required"));

    // Missing cases that are allowed, and an image that cannot be read, are listed; the others count.
    let (broken, class, _) = &bench.files[0];
    let path = Path::new(&cases).join(broken);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let rows: Vec<String> = bench.files.iter().map(|(name, class, _)| format!("{name},{}", class.name())).collect();
    let labels = with(&format!("file,label\n{}\nnowhere.dcm,{}\n", rows.join("\n"), class.name()));
    let out = bench.path("out");
    let text = ok(&["evaluate", DEMO, &cases, "--labels", &labels, "--allow-missing", "--out", &out]);
    assert!(text.contains("11 cases evaluated, 2 failed") || text.contains("8 cases evaluated, 5 failed"), "{text}");
    assert!(text.contains("the case is not among the studies"), "{text}");
    let table = std::fs::read_to_string(bench.path("out/cases.csv")).unwrap();
    assert!(table.contains("nowhere.dcm") && table.contains(broken.as_str()), "{table}");
}

/// The masks of a run as reference of an evaluation of the same images: nothing can overlap better.
#[test]
fn masks_are_compared_with_reference_segmentations() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cases, out) = (path("cases"), path("out"));
    let size = ["--size", "100,96,96", "--spacing-mm", "1.8,3.4,3.4"];
    ok(&[&["phantom", "breast-mri", "--out", &cases, "--seed", "3"], &size[..]].concat());
    ok(&["run", BREAST_MRI, &cases, "-o", &out]);
    // Our own results are no references unless the table names them.
    let modality = |path: &PathBuf| {
        dicom_object::open_file(path).unwrap().element_by_name("Modality").unwrap().to_str().unwrap().into_owned()
    };
    let mut results = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().path());
    let seg = results.find(|path| modality(path) == "SEG").unwrap();
    let reference = Path::new(&cases).join("reference.dcm");
    std::fs::copy(seg, &reference).unwrap();
    let error = refused(&["evaluate", BREAST_MRI, &cases]);
    assert!(error.contains("no case could be evaluated"), "{error}");
    let header = dicom_object::open_file(&reference).unwrap();
    let patient = header.element_by_name("PatientID").unwrap().to_str().unwrap().trim().to_owned();
    std::fs::write(path("labels.csv"), format!("PatientID,reference\n{patient},reference.dcm\n")).unwrap();
    let report = path("report");
    let text = ok(&["evaluate", BREAST_MRI, &cases, "--labels", &path("labels.csv"), "--out", &report]);
    assert!(text.contains("1 cases evaluated, 0 failed") && text.contains("Dice 1.000"), "{text}");
    assert!(text.contains("HD95 0.000 mm") && text.contains("found 1.000"), "{text}");
    let json: Value = serde_json::from_slice(&std::fs::read(path("report/evaluation.json")).unwrap()).unwrap();
    assert!(json["Cases"][0]["Segments"][0]["ReferenceMl"]["Value"].as_f64().unwrap() > 0.0, "{json}");
    // Nothing to find: whatever the model marks is wrong.
    std::fs::write(path("labels.csv"), format!("PatientID,label\n{patient},0\n")).unwrap();
    let text = ok(&["evaluate", BREAST_MRI, &cases, "--labels", &path("labels.csv")]);
    assert!(text.contains("rightly left alone 0.000") && text.contains("Dice 0.000"), "{text}");
}

#[test]
fn without_a_folder_the_cases_are_phantoms() {
    let size = ["--rows", "832", "--columns", "640", "--spacing-mm", "0.28"];
    let text = ok(&[&["evaluate", DEMO, "--images", "4"], &size[..]].concat());
    assert!(text.contains("truth \\ answer"), "{text}");
    assert!(refused(&["evaluate", DEMO, "somewhere", "--images", "4"]).contains("cannot be used with"));
}
