//! Automatic analysis: what arrives is analysed by rule, once, and nothing is lost.

use std::path::Path;
use std::time::{Duration, Instant};

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use orthanc_ai::phantom::{Orientation, Random, SeriesLayout};
use serde_json::{Value, json};

use crate::breast_mri;
use crate::exam;
use crate::on_every_orthanc;
use crate::segmentation::ABOVE;
use crate::server::{DEMO, Options, Orthanc, Version, root};
use crate::torch_script::write_model;

on_every_orthanc!(
    a_study_that_arrives_by_dicom_is_analysed_once,
    a_rule_says_why_it_does_not_apply,
    an_incomplete_study_waits_for_its_last_view,
    single_images_are_analysed_as_they_come,
    a_series_is_analysed_when_it_is_stable,
    a_full_queue_delays_and_loses_nothing,
    sequences_among_the_main_tags_hinder_nothing,
    two_triggers_make_one_run,
    an_archive_is_not_analysed_because_the_plugin_was_installed,
    a_stable_event_that_a_kill_swallowed_is_made_good,
    quiet_hours_let_runs_wait,
    wrong_rules_leave_the_plugin_off_with_the_reason,
    kills_at_any_moment_lose_nothing_and_double_nothing,
);

fn rule(name: &str, more: &Value) -> Value {
    let mut rule = json!({"Name": name, "Model": DEMO});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

fn with_rules(version: Version, rules: &[Value], orthanc: Value) -> Orthanc {
    Orthanc::with(version, &Options { ai: json!({"Rules": rules}), orthanc, ..Options::default() })
}

/// Waits until no run waits or runs and `done` holds of all runs.
#[track_caller]
pub fn wait_for(server: &Orthanc, what: &str, done: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let runs = server.get("/ai/runs?limit=10000").ok();
        let runs = runs.as_array().unwrap();
        if done(runs) {
            return runs.clone();
        }
        assert!(Instant::now() < deadline, "{what}: not after 90 s\n{runs:#?}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn all_succeeded(count: usize) -> impl Fn(&[Value]) -> bool {
    move |runs| runs.len() == count && runs.iter().all(|r| r["State"] == "Succeeded")
}

/// The reports in a study.
pub fn reports(server: &Orthanc, study: &str) -> usize {
    results(server, study, "SR")
}

/// A study's instances of series with the modality.
pub fn results(server: &Orthanc, study: &str, modality: &str) -> usize {
    let series = server.get(&format!("/studies/{study}/series")).ok();
    let wanted = |s: &&Value| s["MainDicomTags"]["Modality"] == modality;
    let instances = |s: &Value| s["Instances"].as_array().unwrap().len();
    series.as_array().unwrap().iter().filter(wanted).map(instances).sum()
}

fn study_of(server: &Orthanc, files: &[Vec<u8>]) -> String {
    // Uploading again tells where it is, and fires no event.
    server.upload(&files[0]).ok()["ParentStudy"].as_str().unwrap().to_string()
}

fn a_study_that_arrives_by_dicom_is_analysed_once(version: Version) {
    let mr1 = rule(
        "from MR1",
        &json!({"RemoteAet": ["MAMMO1"], "Priority": 3,
        "Where": [{"keyword": "Modality", "in": ["MG"]}, {"keyword": "Rows", "range": {"min": 100}}]}),
    );
    let server = with_rules(version, &[mr1], json!({"DicomAlwaysAllowStore": true}));
    let (wanted, other) = (exam::files(&exam::options(6001)), exam::files(&exam::options(6002)));
    server.store_scu("MAMMO1", &wanted);
    server.store_scu("ELSEWHERE", &other);
    let runs = wait_for(&server, "the run", all_succeeded(1));
    assert_eq!((&runs[0]["Origin"], &runs[0]["Rule"]), (&json!("Rule"), &json!("from MR1")), "{:#}", runs[0]);
    assert_eq!(runs[0]["Priority"], 3);
    let study = study_of(&server, &wanted);
    assert_eq!(runs[0]["Study"], json!(study));
    assert_eq!(reports(&server, &study), 1);
    // Our report makes the study stable once more, and the log of changes is read after that, too.
    std::thread::sleep(Duration::from_secs(9));
    assert_eq!(wait_for(&server, "no second run", |_| true).len(), 1);
    assert_eq!(reports(&server, &study), 1);
    assert_eq!(reports(&server, &study_of(&server, &other)), 0);
}

fn a_rule_says_why_it_does_not_apply(version: Version) {
    let ct = rule(
        "ct only",
        &json!({"Where": [{"any": [{"keyword": "Modality", "equals": "CT"}, {"keyword": "PatientName", "regex": "^X"}]}]}),
    );
    let off = rule("off", &json!({"Enable": false}));
    let fits = rule("fits", &json!({"RemoteAet": ["A"]}));
    let server = with_rules(version, &[ct, off, fits], json!({}));
    let study = server.upload_study(&exam::files(&exam::options(6011)));
    let state = server.get(&format!("/studies/{study}/ai")).ok();
    let reason = |name: &str| {
        let rules = state["Automatic"].as_array().unwrap();
        let rule = rules.iter().find(|r| r["Rule"] == name).unwrap_or_else(|| panic!("no {name}: {state:#}"));
        assert_eq!(rule["Applies"], false, "{rule:#}");
        rule["Reason"].as_str().unwrap().to_string()
    };
    assert!(
        reason("ct only").contains("not fulfilled: (Modality = CT or PatientName like /^X/)"),
        "{}",
        reason("ct only")
    );
    assert!(reason("off").contains("switched off"));
    assert!(reason("fits").contains("RemoteAet in [A] expected, found no DICOM sender"), "{}", reason("fits"));
}

fn an_incomplete_study_waits_for_its_last_view(version: Version) {
    let server = with_rules(version, &[rule("all four", &json!({}))], json!({}));
    let files = exam::files(&exam::options(6021));
    let study = server.upload_study(&files[..3]);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(wait_for(&server, "nothing", |_| true).len(), 0);
    server.upload(&files[3]).ok();
    wait_for(&server, "the run", all_succeeded(1));
    assert_eq!(reports(&server, &study), 1);
}

/// The demo's manifest for one image at a time.
fn one_image_model(models: &Path) {
    let name = "one-image";
    let folder = models.join(name);
    std::fs::create_dir(&folder).unwrap();
    let shipped = root().join("models").join(DEMO);
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(shipped.join("manifest.json")).unwrap()).unwrap();
    manifest["name"] = json!(name);
    manifest["input"]["select"] = json!({"Images": {"count": 1}});
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    std::fs::copy(shipped.join("weights.safetensors"), folder.join("weights.safetensors")).unwrap();
}

fn single_images_are_analysed_as_they_come(version: Version) {
    let models = tempfile::tempdir().unwrap();
    one_image_model(models.path());
    let rule = json!({"Name": "each", "Model": "one-image", "Trigger": "NewInstance"});
    let ai = json!({"ModelsDirectory": models.path(), "Rules": [rule]});
    let server = Orthanc::with(version, &Options { ai, orthanc: json!({"StableAge": 60}), ..Options::default() });
    let files = exam::files(&exam::options(6031));
    let study = server.upload_study(&files);
    // The same again is no new image.
    server.upload_study(&files);
    wait_for(&server, "a run an image", all_succeeded(4));
    assert_eq!(reports(&server, &study), 4);
}

fn a_series_is_analysed_when_it_is_stable(version: Version) {
    let models = tempfile::tempdir().unwrap();
    write_model(models.path(), ABOVE, &["volume"], |_| ());
    let rules = json!([{"Name": "series", "Model": ABOVE, "Trigger": "StableSeries"}]);
    let ai = json!({"ModelsDirectory": models.path(), "Rules": rules});
    let server = Orthanc::with(version, &Options { ai, ..Options::default() });
    // Four phases, each a series and so an input of its own.
    let exam = breast_mri::study(&breast_mri::small(6036, Orientation::Axial), SeriesLayout::default());
    let study = server.upload_study(&breast_mri::files(&exam));
    let runs = wait_for(&server, "a run a series", all_succeeded(4));
    assert!(runs.iter().all(|r| r["Resource"].as_str().unwrap().starts_with("/series/")), "{runs:#?}");
    assert_eq!((results(&server, &study, "SEG"), reports(&server, &study)), (4, 4));
}

/// What finds no place in the queue waits outside.
fn a_full_queue_delays_and_loses_nothing(version: Version) {
    let ai = json!({"Rules": [rule("study", &json!({}))], "Runs": {"QueueLimit": 2}});
    let server = Orthanc::with(version, &Options { ai, ..Options::default() });
    server.post("/ai/queue/suspend", &json!({})).ok();
    let studies: Vec<String> =
        (6201..6206).map(|seed| server.upload_study(&exam::files(&exam::options(seed)))).collect();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(wait_for(&server, "two runs", |runs| runs.len() == 2).len(), 2);
    // A person is told.
    let refused = server.post(&format!("/studies/{}/ai", studies[0]), &json!({"Model": DEMO, "Force": true}));
    assert!(refused.error(503).contains("queue"));
    assert!(refused.header("retry-after").is_some());
    server.post("/ai/queue/resume", &json!({})).ok();
    wait_for(&server, "a run a study", all_succeeded(5));
    assert!(studies.iter().all(|study| reports(&server, study) == 1));
}

/// From Orthanc 1.11.1 on a site may keep sequences with the series, for DICOMweb.
fn sequences_among_the_main_tags_hinder_nothing(version: Version) {
    let main_tags = json!({"ExtraMainDicomTags": {"Series": ["RequestAttributesSequence"]}});
    let server = with_rules(version, &[rule("study", &json!({}))], main_tags);
    let item = InMemDicomObject::from_element_iter([DataElement::new(
        tags::SCHEDULED_PROCEDURE_STEP_ID,
        VR::SH,
        PrimitiveValue::from("S1"),
    )]);
    let files = exam::changed(&exam::options(6211), |_, dataset| {
        let items = DataSetSequence::from(vec![item.clone()]);
        dataset.put(DataElement::new(tags::REQUEST_ATTRIBUTES_SEQUENCE, VR::SQ, items));
    });
    let study = server.upload_study(&files);
    wait_for(&server, "the run", all_succeeded(1));
    assert_eq!(reports(&server, &study), 1);
}

fn two_triggers_make_one_run(version: Version) {
    let lua = root().join("lua/analyse_stable_studies.lua");
    let rules = [rule("study", &json!({})), rule("study again", &json!({"Priority": 1}))];
    let server = with_rules(version, &rules, json!({"LuaScripts": [lua]}));
    let study = server.upload_study(&exam::files(&exam::options(6041)));
    wait_for(&server, "a run", |runs| !runs.is_empty() && runs.iter().all(|r| r["State"] == "Succeeded"));
    std::thread::sleep(Duration::from_secs(6));
    let runs = wait_for(&server, "the end", |runs| runs.iter().all(|r| r["State"] == "Succeeded"));
    // Lua asks as a person does, after the first is done perhaps: then it is told that the result is there.
    let by_rule = runs.iter().filter(|r| r["Origin"] == "Rule").count();
    assert!(by_rule <= 1, "{runs:#?}");
    assert_eq!(reports(&server, &study), 1, "{runs:#?}");
}

fn an_archive_is_not_analysed_because_the_plugin_was_installed(version: Version) {
    let server = with_rules(version, &[], json!({}));
    let study = server.upload_study(&exam::files(&exam::options(6051)));
    std::thread::sleep(Duration::from_secs(2));
    let mut server = server;
    server.kill();
    server.configure(|config| config["Ai"]["Rules"] = json!([rule("new", &json!({}))]));
    server.start_again();
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(wait_for(&server, "nothing", |_| true).len(), 0);
    assert_eq!(reports(&server, &study), 0);
    // What comes from now on is.
    let study = server.upload_study(&exam::files(&exam::options(6052)));
    wait_for(&server, "the run", all_succeeded(1));
    assert_eq!(reports(&server, &study), 1);
}

fn a_stable_event_that_a_kill_swallowed_is_made_good(version: Version) {
    let mut server = with_rules(version, &[rule("study", &json!({}))], json!({"StableAge": 4}));
    // The position in the log is known from now on.
    std::thread::sleep(Duration::from_secs(1));
    let study = server.upload_study(&exam::files(&exam::options(6061)));
    server.kill();
    server.start_again();
    wait_for(&server, "the run", all_succeeded(1));
    assert_eq!(reports(&server, &study), 1);
}

fn quiet_hours_let_runs_wait(version: Version) {
    let now = chrono::Local::now();
    let at = |minutes: i64| (now + chrono::Duration::minutes(minutes)).format("%H:%M").to_string();
    let hours = json!({"QuietHours": {"From": at(-60), "To": at(60)}});
    let server = with_rules(version, &[rule("at night", &hours)], json!({}));
    let study = server.upload_study(&exam::files(&exam::options(6071)));
    let runs = wait_for(&server, "the run", |runs| runs.len() == 1);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(runs[0]["State"], "Queued");
    assert!(runs[0]["NotBefore"].is_string(), "{:#}", runs[0]);
    assert_eq!(reports(&server, &study), 0);
    // A person need not wait.
    assert_eq!(server.analyse(&study)["State"], "Succeeded");
}

fn wrong_rules_leave_the_plugin_off_with_the_reason(version: Version) {
    for (rule, expected) in [
        (
            json!({"Name": "a", "Model": DEMO, "Where": [{"keyword": "Modalty", "exists": true}]}),
            "Rules[0].Where[0].keyword",
        ),
        (json!({"Name": "a", "Model": DEMO, "Trigger": "Sometimes"}), "Ai.Rules[0].Trigger"),
        (json!({"Name": "a", "Model": "no-such-model"}), "no-such-model"),
    ] {
        let ai = json!({"Rules": [rule]});
        let server = Orthanc::with_plugin_off(version, &Options { ai, ..Options::default() });
        assert!(server.log().contains(expected), "{expected}:\n{}", server.log());
    }
}

/// Kills come at random moments of arrival, queue, run and storing. At the end each study has its one report.
fn kills_at_any_moment_lose_nothing_and_double_nothing(version: Version) {
    const KILLS: u64 = 25;
    // A kill spends an attempt: by chance the same run may be hit several times.
    let ai = json!({"Rules": [rule("study", &json!({}))], "Runs": {"Attempts": 50}});
    let mut server = Orthanc::with(version, &Options { ai, ..Options::default() });
    std::thread::sleep(Duration::from_secs(1));
    let mut random = Random::new(6081, 0);
    let mut studies = Vec::new();
    for i in 0..KILLS {
        studies.push(server.upload_study(&exam::files(&exam::options(6100 + i))));
        // Stable after 1 s; a run takes some tenths of a second.
        std::thread::sleep(Duration::from_millis(random.integer(0, 3000) as u64));
        server.kill();
        server.start_again();
    }
    let done = |_: &[Value]| studies.iter().all(|study| reports(&server, study) == 1);
    let runs = wait_for(&server, "each study's report", done);
    std::thread::sleep(Duration::from_secs(6));
    let counts: Vec<usize> = studies.iter().map(|study| reports(&server, study)).collect();
    assert!(counts.iter().all(|n| *n == 1), "{counts:?}");
    let runs = wait_for(&server, "all runs to end", |now| {
        now.len() >= runs.len() && now.iter().all(|r| r["State"] == "Succeeded")
    });
    assert_eq!(runs.len(), studies.len(), "a run a study");
    let attempts: u64 = runs.iter().map(|r| r["Attempts"].as_u64().unwrap()).sum();
    eprintln!("{KILLS} kills, {} studies, {attempts} attempts", studies.len());
}
