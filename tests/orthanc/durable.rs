//! Runs outlive the server: nothing is lost by a stop, a kill, or a database that goes away.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::automatic::reports;
use crate::exam;
use crate::on_every_orthanc;
use crate::postgres_server::PostgresServer;
use crate::server::{DEMO, Options, Orthanc, Version};

on_every_orthanc!(
    runs_go_on_after_a_stop,
    a_killed_server_goes_on_and_makes_each_result_once,
    two_requests_for_the_same_images_make_one_run,
    a_suspended_queue_waits_also_over_a_restart,
    a_damaged_database_is_told_and_kept,
    runs_live_in_postgresql,
);

fn wait_finished(server: &Orthanc) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let runs = server.get("/ai/runs?limit=1000").ok().as_array().unwrap().clone();
        if runs.iter().all(|r| r["Finished"].is_string()) {
            return runs;
        }
        assert!(Instant::now() < deadline, "{runs:#?}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Studies with a run each, asked for at once.
fn ask(server: &Orthanc, seeds: std::ops::Range<u64>) -> Vec<String> {
    let studies: Vec<String> = seeds.map(|seed| server.upload_study(&exam::files(&exam::options(seed)))).collect();
    for study in &studies {
        server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO})).ok();
    }
    studies
}

#[track_caller]
fn each_has_one_result(server: &Orthanc, studies: &[String]) {
    for study in studies {
        assert_eq!(reports(server, study), 1, "study {study}\n{}", server.log());
    }
}

fn runs_go_on_after_a_stop(version: Version) {
    let mut server = Orthanc::start(version);
    let studies = ask(&server, 4501..4507);
    assert!(server.terminate().success(), "{}", server.log());
    server.start_again();
    let runs = wait_finished(&server);
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|r| r["State"] == "Succeeded" && r["Attempts"] == 1), "{runs:#?}");
    each_has_one_result(&server, &studies);
}

fn a_killed_server_goes_on_and_makes_each_result_once(version: Version) {
    let ai = json!({"Runs": {"Attempts": 100}});
    let mut server = Orthanc::with(version, &Options { ai, ..Options::default() });
    let studies = ask(&server, 4511..4517);
    for pause in [0, 130, 260, 390] {
        std::thread::sleep(Duration::from_millis(pause));
        server.kill();
        server.start_again();
    }
    let runs = wait_finished(&server);
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|r| r["State"] == "Succeeded"), "{runs:#?}");
    // What a killed attempt stored is the run's own all the same.
    assert!(runs.iter().all(|r| r["Status"] == "Stored"), "{runs:#?}");
    each_has_one_result(&server, &studies);
}

fn two_requests_for_the_same_images_make_one_run(version: Version) {
    let server = Orthanc::start(version);
    server.post("/ai/queue/suspend", &json!({})).ok();
    let study = server.upload_study(&exam::files(&exam::options(4521)));
    let path = format!("/studies/{study}/ai");
    let first = server.post(&path, &json!({"Model": DEMO})).ok();
    let second = server.post(&path, &json!({"Model": DEMO, "Priority": 5})).ok();
    let forced = server.post(&path, &json!({"Model": DEMO, "Force": true})).ok();
    assert_eq!(first["ID"], second["ID"]);
    assert_ne!(first["ID"], forced["ID"]);
}

fn a_suspended_queue_waits_also_over_a_restart(version: Version) {
    let mut server = Orthanc::start(version);
    assert_eq!(server.post("/ai/queue/suspend", &json!({})).ok()["Suspended"], true);
    let studies = ask(&server, 4531..4532);
    assert!(server.terminate().success(), "{}", server.log());
    server.start_again();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(server.get("/ai/runs").ok()[0]["State"], "Queued");
    let overview = server.get("/ai").ok();
    assert_eq!((&overview["Suspended"], &overview["QueueLength"]), (&json!(true), &json!(1)));
    assert_eq!(server.get("/ai/health").status, 200);
    assert_eq!(server.post("/ai/queue/resume", &json!({})).ok()["Suspended"], false);
    wait_finished(&server);
    each_has_one_result(&server, &studies);
    server.get("/ai/queue/resume").status.checked_sub(405).expect("405");
}

fn a_damaged_database_is_told_and_kept(version: Version) {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("runs.sqlite");
    let text = "somebody's letters, and not a database; ".repeat(50);
    std::fs::write(&file, &text).unwrap();
    let ai = json!({"Runs": {"Database": file}});
    let server = Orthanc::with(version, &Options { ai, ..Options::default() });
    let study = server.upload_study(&exam::files(&exam::options(4541)));
    let refused = server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO}));
    let details = refused.error(503);
    assert!(details.contains("the file is not a SQLite database"), "{details}");
    assert!(!details.contains(folder.path().to_str().unwrap()), "{details}");
    assert!(refused.header("retry-after").is_some());
    let health = server.get("/ai/health");
    assert_eq!((health.status, &health.json()["Checks"]["Store"]["Ok"]), (503, &json!(false)));
    assert_eq!(server.get("/ai").ok()["QueueLength"], json!(null));
    server.get("/ai/runs").error(503);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    // The administrator moves it away; no restart is needed.
    std::fs::rename(&file, folder.path().join("letters")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.get("/ai/health").status != 200 {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(server.analyse(&study)["State"], "Succeeded");
}

fn runs_live_in_postgresql(version: Version) {
    let Some(mut database) = PostgresServer::start() else { return };
    let ai = json!({"Runs": {"PostgreSql": database.database(), "Node": "one"}});
    let mut server = Orthanc::with(version, &Options { ai, ..Options::default() });
    let overview = server.get("/ai").ok();
    assert_eq!((&overview["Store"]["Kind"], &overview["Node"]), (&json!("PostgreSQL"), &json!("one")));
    let studies = ask(&server, 4551..4554);
    // The database goes away under the runs.
    database.stop();
    assert_eq!(server.get("/ai/health").status, 503);
    server.post(&format!("/studies/{}/ai", studies[0]), &json!({"Model": DEMO})).error(503);
    database.restart();
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.get("/ai/health").status != 200 {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    server.kill();
    server.start_again();
    let runs = wait_finished(&server);
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(|r| r["State"] == "Succeeded" && r["Node"] == "one"), "{runs:#?}");
    each_has_one_result(&server, &studies);
    assert!(server.terminate().success(), "{}", server.log());
}
