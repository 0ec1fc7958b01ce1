//! Upload a four-view exam, analyse it, find the report: the first thing a user does.

use std::process::Command;

use serde_json::{Value, json};

use crate::exam;
use crate::on_every_orthanc;
use crate::server::{DEMO, Orthanc, Version, shared};

on_every_orthanc!(
    a_phantom_exam_gets_one_valid_report,
    repeat_answers_already_stored_and_force_makes_a_new_report,
    asynchronous_run_is_seen_in_jobs_and_runs,
    series_and_instance_levels_answer_in_words,
    page_and_buttons_are_served,
);

fn results(run: &Value) -> Vec<(String, String)> {
    let text = |r: &Value, key: &str| r[key].as_str().unwrap().to_string();
    run["Results"].as_array().unwrap().iter().map(|r| (text(r, "View"), text(r, "Class"))).collect()
}

fn a_phantom_exam_gets_one_valid_report(version: Version) {
    let server = Orthanc::start(version);
    let options = exam::options(4001);
    let files = exam::files(&options);
    let study = server.upload_study(&files);
    let run = server.analyse(&study);
    let expected =
        [("L-CC", "Mass"), ("R-CC", "Calcification"), ("L-MLO", "Architectural/Asymmetry"), ("R-MLO", "Normal")];
    let results = results(&run);
    assert!(results.iter().map(|(view, _)| view.as_str()).eq(expected.map(|(view, _)| view)), "{run:#}");
    // The demo weights are right about 95 of 100 phantoms (tests/demo_weights.rs counts).
    let right = results.iter().zip(expected).filter(|((_, class), (_, truth))| class == truth).count();
    assert!(right >= 3, "{right} of 4 right: {run:#}");
    assert_eq!(run["State"], "Succeeded");
    assert_eq!(run["Demo"], true);
    for result in run["Results"].as_array().unwrap() {
        let all = result["AllProbabilities"].as_object().unwrap();
        let sum: f64 = all.values().map(|p| p.as_f64().unwrap()).sum();
        assert!(all.len() == 4 && (sum - 1.0).abs() < 1e-6, "{result}");
        assert_eq!(server.get(&format!("/instances/{}", result["InstanceID"].as_str().unwrap())).status, 200);
    }
    let stored = run["Stored"].as_array().unwrap();
    assert_eq!(stored.len(), 1, "{run:#}");
    assert_eq!(stored[0]["StudyID"], study.as_str());
    assert_eq!(server.count_instances(), 5);
    let report = server.get(&format!("{}/file", stored[0]["Path"].as_str().unwrap())).body;
    check_report(&server, &report, &files);
}

/// Other people's readers. `check_sr` where `../shared` is; dciodvfy alone elsewhere (tests/sr_readers.rs has more).
pub fn check_report(server: &Orthanc, report: &[u8], sources: &[Vec<u8>]) {
    let folder = server.folder().join("check");
    std::fs::create_dir_all(folder.join("source")).unwrap();
    let file = folder.join("sr.dcm");
    std::fs::write(&file, report).unwrap();
    for (i, source) in sources.iter().enumerate() {
        std::fs::write(folder.join(format!("source/{i}.dcm")), source).unwrap();
    }
    let dciodvfy = Command::new("dciodvfy").arg("-new").arg(&file).output().expect("dciodvfy (package dicom3tools)");
    let text = String::from_utf8_lossy(&dciodvfy.stderr).into_owned();
    assert!(!text.lines().any(|l| l.starts_with("Error")), "{text}");
    let Some(check_sr) = shared("tools/validators/check_sr") else { return };
    let out = Command::new(check_sr).arg(&file).arg("--source").arg(folder.join("source")).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{text}");
}

fn repeat_answers_already_stored_and_force_makes_a_new_report(version: Version) {
    let server = Orthanc::start(version);
    let study = server.upload_study(&exam::files(&exam::options(4002)));
    let first = server.analyse(&study);
    let again = server.analyse(&study);
    assert_eq!(first["Status"], "Stored");
    assert_eq!(again["Status"], "AlreadyStored");
    assert_eq!(first["Stored"][0]["ID"], again["Stored"][0]["ID"]);
    assert_eq!(server.count_instances(), 5);
    let body = json!({"Model": DEMO, "Synchronous": true, "Force": true});
    let forced = server.post(&format!("/studies/{study}/ai"), &body).ok();
    assert_eq!(forced["Status"], "Stored");
    assert_ne!(first["Stored"][0]["ID"], forced["Stored"][0]["ID"]);
    assert_eq!(server.count_instances(), 6);
    // Deleting a run deletes what it stored, and only that.
    let id = forced["ID"].as_str().unwrap();
    server.delete(&format!("/ai/runs/{id}")).ok();
    assert_eq!(server.count_instances(), 5);
    server.get(&format!("/ai/runs/{id}")).error(404);
}

fn asynchronous_run_is_seen_in_jobs_and_runs(version: Version) {
    let server = Orthanc::start(version);
    let study = server.upload_study(&exam::files(&exam::options(4003)));
    // No model: every model that applies and is ready.
    let started = server.post(&format!("/studies/{study}/ai"), &json!({})).ok();
    let started = started.as_array().unwrap();
    assert_eq!(started.len(), 1, "{started:?}");
    let path = started[0]["Path"].as_str().unwrap();
    assert_eq!(path, format!("/ai/runs/{}", started[0]["ID"].as_str().unwrap()));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let run = loop {
        let run = server.get(path).ok();
        if run["Finished"].is_string() || std::time::Instant::now() > deadline {
            break run;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(run["State"], "Succeeded", "{run:#}");
    assert_eq!(run["Progress"], 100);
    let job_path = format!("/jobs/{}", run["JobID"].as_str().unwrap());
    let job = loop {
        let job = server.get(&job_path).ok();
        if job["State"] == "Success" || std::time::Instant::now() > deadline {
            break job;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(job["State"], "Success", "{job:#}");
    assert_eq!(job["Content"]["RunID"], run["ID"]);
    assert_eq!(job["Progress"], 100);
    let listed = server.get(&format!("/ai/runs?resource=/studies/{study}&state=Succeeded")).ok();
    assert_eq!(listed[0]["ID"], run["ID"]);
    let state = server.get(&format!("/studies/{study}/ai")).ok();
    assert_eq!(state["Runs"][0]["ID"], run["ID"]);
    let report = server.get(&format!("/studies/{study}/ai/report")).ok();
    assert_eq!(report[0]["Images"].as_array().unwrap().len(), 4);
}

fn series_and_instance_levels_answer_in_words(version: Version) {
    let server = Orthanc::start(version);
    let study = server.upload_study(&exam::files(&exam::options(4004)));
    let instance = server.get(&format!("/studies/{study}/instances")).ok()[0]["ID"].as_str().unwrap().to_string();
    let body = json!({"Model": DEMO, "Synchronous": true});
    let details = server.post(&format!("/instances/{instance}/ai"), &body).error(422);
    assert!(details.contains("4 images are needed") && details.contains("found 1"), "{details}");
    assert!(details.contains(&format!("/studies/{study}/ai")), "{details}");
    let state = server.get(&format!("/instances/{instance}/ai")).ok();
    assert_eq!(state["Parent"], format!("/studies/{study}"));
    assert!(state["Models"].as_array().unwrap().iter().all(|m| m["Applies"] == false), "{state:#}");
    let state = server.get(&format!("/studies/{study}/ai")).ok();
    let applies = |name: &str| state["Models"].as_array().unwrap().iter().find(|m| m["Model"] == name).unwrap().clone();
    assert_eq!(applies(DEMO)["Applies"], true);
    let full = applies("mammography-4view");
    assert_eq!((&full["Applies"], &full["State"]), (&json!(true), &json!("NoWeights")));
    assert!(full["Reason"].as_str().unwrap().contains("mammography-4view/weights.pth"), "{full}");
}

fn page_and_buttons_are_served(version: Version) {
    let server = Orthanc::start(version);
    for entry in ["/ai/app", "/ai/app/"] {
        let page = server.get(entry);
        assert!(page.status == 200 && String::from_utf8_lossy(&page.body).contains("/index.html"), "{}", page.status);
    }
    let page = server.get("/ai/app/index.html");
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(
        String::from_utf8_lossy(&server.get("/app/plugins/explorer.js").body).contains("AI analysis")
            || String::from_utf8_lossy(&server.get("/plugins/explorer.js").body).contains("AI analysis")
    );
    server.get("/ai/app/../../etc/passwd").status.checked_sub(400).expect("an error");
    server.get("/ai/app/nothing.js").error(404);
    let health = server.get("/ai/health");
    assert_eq!(health.status, 200, "{}", String::from_utf8_lossy(&health.body));
    let overview = server.get("/ai").ok();
    assert_eq!(overview["OrthancVersion"], version.name());
    assert_eq!(server.get(&format!("/ai/models/{DEMO}")).ok()["State"], "Ready");
    server.get("/ai/models/nothing").error(404);
    let plugin = server.get("/plugins/ai").ok();
    assert!(plugin["RootUri"].as_str().unwrap().contains("ai/app"), "{plugin}");
}
