//! Local validation over REST: the worker evaluates studies in the archive and stores nothing in them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::exam;
use crate::on_every_orthanc;
use crate::server::{DEMO, Orthanc, Version};

on_every_orthanc!(labelled_studies_are_evaluated_and_nothing_is_stored, bad_labels_are_refused_at_once);

fn finished(server: &Orthanc, path: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let evaluation = server.get(path).ok();
        if !["Queued", "Running"].contains(&evaluation["State"].as_str().unwrap()) {
            return evaluation;
        }
        assert!(Instant::now() < deadline, "{evaluation:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn labelled_studies_are_evaluated_and_nothing_is_stored(version: Version) {
    let server = Orthanc::start(version);
    let studies: Vec<String> = (0..2).map(|i| server.upload_study(&exam::files(&exam::options(4501 + i)))).collect();
    let lines: Vec<String> = studies
        .iter()
        .flat_map(|study| {
            let instances = server.get(&format!("/studies/{study}/instances")).ok();
            let order = ["Mass", "Calcification", "Architectural/Asymmetry", "Normal"];
            let line = |instance: &Value| {
                let number: usize =
                    instance["MainDicomTags"]["InstanceNumber"].as_str().unwrap().trim().parse().unwrap();
                format!("{},{}", instance["ID"].as_str().unwrap(), order[number - 1])
            };
            instances.as_array().unwrap().iter().map(line).collect::<Vec<_>>()
        })
        .collect();
    let csv = format!("OrthancID,label\n{}\n", lines.join("\n"));
    let body = json!({"Resources": studies, "Csv": csv, "Youden": true});
    let submitted = server.post(&format!("/ai/models/{DEMO}/evaluate"), &body).ok();
    let path = submitted["Path"].as_str().unwrap();
    let evaluation = finished(&server, path);
    assert_eq!(evaluation["State"], "Succeeded", "{evaluation:#}");
    assert_eq!((&evaluation["Done"], &evaluation["Studies"]), (&2.into(), &2.into()));
    let overall = &evaluation["Report"]["Classification"]["Classes"]["Overall"];
    assert_eq!(overall["Accuracy"]["Counts"][1], 8);
    assert!(overall["Accuracy"]["Value"].as_f64().unwrap() >= 0.75, "{overall}");
    assert_eq!(server.count_instances(), 8, "an evaluation stores nothing");

    let page = server.get(&format!("{path}/report.html"));
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains("research use only") && !page.contains(&studies[0]));
    let table = String::from_utf8(server.get(&format!("{path}/cases.csv")).body).unwrap();
    assert!(lines.iter().all(|line| table.contains(line.split(',').next().unwrap())));
    let thresholds = server.get(&format!("{path}/override.json")).ok();
    assert_eq!(thresholds["model"], DEMO);
    assert_eq!(thresholds["thresholds"].as_object().unwrap().len(), 4);
    assert_eq!(server.get("/ai/evaluations").ok().as_array().unwrap().len(), 1);
    let jobs = server.get("/jobs?expand").ok();
    assert!(jobs.as_array().unwrap().iter().any(|job| job["Type"] == "AiEvaluation"), "{jobs:#}");

    // A study's label is a case of its four images.
    let body = json!({"Studies": {&studies[0]: "1", &studies[1]: "0"}, "Positive": ["Mass"], "Combine": "max"});
    let submitted = server.post(&format!("/ai/models/{DEMO}/evaluate"), &body).ok();
    let evaluation = finished(&server, submitted["Path"].as_str().unwrap());
    assert_eq!(evaluation["Report"]["Cases"][0]["Images"], 4, "{evaluation:#}");
    server.delete(path).ok();
    server.get(path).error(404);
}

fn bad_labels_are_refused_at_once(version: Version) {
    let server = Orthanc::start(version);
    let study = "0123abcd-0123abcd-0123abcd-0123abcd-0123abcd";
    let path = format!("/ai/models/{DEMO}/evaluate");
    for (body, words) in [
        (json!({}), "found 0 studies"),
        (json!({"Studies": {study: "Massive"}}), "found the label \"Massive\", expected one of Mass"),
        (json!({"Studies": {study: "1"}}), "which classes does 1 mean?"),
        (json!({"Studies": {"../x": "Mass"}}), "expected Orthanc's identifiers"),
        (json!({"Studies": {study: "Mass"}, "LabelTag": "Modality"}), "more than one of"),
        (json!({"Resources": [study], "LabelTag": "NoSuchTag"}), "expected the keyword"),
        (json!({"Resources": [study], "Csv": "PatientID,label\nA,Mass\nA,Mass\n"}), "line 3: the case of line 2 again"),
        (json!({"Studies": {study: "Mass"}, "Sensitivity": 95}), "expected a share between 0 and 1"),
        (json!({"Label": 1}), "unknown field"),
    ] {
        let details = server.post(&path, &body).error(400);
        assert!(details.contains(words), "{details}");
    }
    server.post("/ai/models/nothing/evaluate", &json!({"Studies": {study: "Mass"}})).error(404);
    // A study that is not there is a case that is not there.
    let submitted = server.post(&path, &json!({"Studies": {study: "Mass"}})).ok();
    let evaluation = finished(&server, submitted["Path"].as_str().unwrap());
    assert_eq!(evaluation["State"], "Failed");
    assert!(evaluation["Error"].as_str().unwrap().contains("not among the studies"), "{evaluation:#}");
}
