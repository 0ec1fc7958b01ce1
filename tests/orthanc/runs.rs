//! The queue: bounded, cancellable, and errors of one image.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use serde_json::json;

use crate::exam;
use crate::on_every_orthanc;
use crate::server::{DEMO, Options, Orthanc, Version};

on_every_orthanc!(
    a_full_queue_answers_503_with_retry_after,
    waiting_and_running_runs_can_be_cancelled_and_retried,
    one_bad_image_does_not_stop_the_other_three,
);

fn a_full_queue_answers_503_with_retry_after(version: Version) {
    let server = Orthanc::with(version, &Options { ai: json!({"Runs": {"QueueLimit": 2}}), ..Options::default() });
    let study = server.upload_study(&exam::files(&exam::options(4101)));
    let path = format!("/studies/{study}/ai");
    let mut refused = None;
    for _ in 0..50 {
        let answer = server.post(&path, &json!({"Model": DEMO, "Force": true}));
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("50 runs fitted into a queue of 2");
    let details = refused.error(503);
    assert!(details.contains("the queue is full: 2 runs are waiting"), "{details}");
    assert!(refused.header("retry-after").is_some());
    // What was taken is done.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while server.get("/ai/runs?state=Queued").ok() != json!([])
        || server.get("/ai/runs?state=Running").ok() != json!([])
    {
        assert!(std::time::Instant::now() < deadline, "the queue does not empty");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(server.get("/ai/runs?state=Failed").ok(), json!([]));
}

fn waiting_and_running_runs_can_be_cancelled_and_retried(version: Version) {
    let server = Orthanc::start(version);
    let study = server.upload_study(&exam::files(&exam::options(4102)));
    let path = format!("/studies/{study}/ai");
    let ids: Vec<String> = (0..20)
        .map(|_| server.post(&path, &json!({"Model": DEMO, "Force": true})).ok()["ID"].as_str().unwrap().to_string())
        .collect();
    let waiting = server.post(&format!("/ai/runs/{}/cancel", ids[19]), &json!({})).ok();
    assert_eq!(waiting["State"], "Cancelled");
    // One that runs: it ends between stages and leaves nothing.
    let running = server.get("/ai/runs?state=Running").ok();
    if let Some(id) = running[0]["ID"].as_str() {
        let answer = server.post(&format!("/ai/runs/{id}/cancel"), &json!({}));
        assert!(answer.status == 200 || answer.status == 409, "{}", answer.status);
    }
    for id in &ids[1..19] {
        server.post(&format!("/ai/runs/{id}/cancel"), &json!({}));
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let runs = loop {
        let runs = server.get("/ai/runs").ok();
        if runs.as_array().unwrap().iter().all(|r| r["Finished"].is_string()) {
            break runs;
        }
        assert!(std::time::Instant::now() < deadline, "{runs:#}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let of = |state: &str| runs.as_array().unwrap().iter().filter(|r| r["State"] == state).count();
    assert_eq!(of("Succeeded") + of("Cancelled"), 20, "{runs:#}");
    assert!(of("Cancelled") >= 1);
    let stored = runs.as_array().unwrap().iter().filter(|r| !r["Stored"].as_array().unwrap().is_empty()).count();
    assert_eq!(stored, of("Succeeded"), "a cancelled run stored something");
    assert_eq!(server.count_instances(), 4 + stored as u64);
    let details = server.post(&format!("/ai/runs/{}/cancel", ids[19]), &json!({})).error(409);
    assert!(details.contains("Cancelled"), "{details}");
    let again = server.post(&format!("/ai/runs/{}/retry", ids[19]), &json!({})).ok();
    assert_ne!(again["ID"], ids[19].as_str());
    server.post("/ai/runs/0000/cancel", &json!({})).error(404);
}

fn one_bad_image_does_not_stop_the_other_three(version: Version) {
    let server = Orthanc::start(version);
    // R-CC claims twice the rows that its pixel data holds.
    let files = exam::changed(&exam::options(4103), |i, dataset| {
        if i == 1 {
            dataset.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(1664u16)));
        }
    });
    let study = server.upload_study(&files);
    let run = server.analyse(&study);
    let results = run["Results"].as_array().unwrap();
    let failed: Vec<&str> =
        results.iter().filter(|r| r["Success"] == false).map(|r| r["View"].as_str().unwrap()).collect();
    assert_eq!(failed, ["R-CC"], "{run:#}");
    let error = results[1]["Error"].as_str().unwrap();
    assert!(error.contains("1664") || error.contains("Rows"), "{error}");
    assert_eq!(run["Stored"].as_array().unwrap().len(), 1);
    let report = server.get(&format!("{}/file", run["Stored"][0]["Path"].as_str().unwrap())).body;
    crate::end_to_end::check_report(&server, &report, &files);
}
