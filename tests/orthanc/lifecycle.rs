//! Start, reset, panic, stop.

use serde_json::json;

use crate::exam;
use crate::on_every_orthanc;
use crate::server::{DEMO, Options, Orthanc, Version};

on_every_orthanc!(
    ten_resets_in_a_row,
    a_panic_in_a_handler_costs_one_request,
    a_clean_stop_with_a_run_in_flight,
    one_bad_model_stops_neither_the_others_nor_the_server,
    a_wrong_configuration_leaves_the_server_alive,
);

fn ten_resets_in_a_row(version: Version) {
    let mut server = Orthanc::start(version);
    let study = server.upload_study(&exam::files(&exam::options(4301)));
    for i in 0..10 {
        if i % 2 == 1 {
            server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO})).ok();
        }
        server.post("/tools/reset", &json!({}));
        std::thread::sleep(std::time::Duration::from_millis(300));
        server.wait_ready();
    }
    assert_eq!(server.analyse(&study)["State"], "Succeeded");
    assert!(server.terminate().success(), "{}", server.log());
}

fn a_panic_in_a_handler_costs_one_request(version: Version) {
    let server = Orthanc::with(version, &Options { fault: true, ..Options::default() });
    for _ in 0..3 {
        server.post("/ai/fault/panic", &json!({})).error(500);
    }
    let log = server.log();
    assert!(log.contains("panic") && log.contains(".rs:"), "{log}");
    let study = server.upload_study(&exam::files(&exam::options(4302)));
    assert_eq!(server.analyse(&study)["State"], "Succeeded");
}

fn a_clean_stop_with_a_run_in_flight(version: Version) {
    let mut server = Orthanc::start(version);
    let study = server.upload_study(&exam::files(&exam::options(4303)));
    for _ in 0..40 {
        server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO, "Force": true})).ok();
    }
    let stop = std::time::Instant::now();
    let status = server.terminate();
    assert!(status.success(), "{status}:\n{}", server.log());
    assert!(stop.elapsed().as_secs() < 20, "{:?}", stop.elapsed());
    assert!(!server.log().contains("panic"), "{}", server.log());
}

fn one_bad_model_stops_neither_the_others_nor_the_server(version: Version) {
    let models = tempfile::tempdir().unwrap();
    let shipped = crate::server::root().join("models");
    let copy = |name: &str, to: &str| {
        let folder = models.path().join(to);
        std::fs::create_dir(&folder).unwrap();
        for file in ["manifest.json", "weights.safetensors"] {
            std::fs::copy(shipped.join(name).join(file), folder.join(file)).unwrap();
        }
        folder
    };
    copy(DEMO, DEMO);
    let broken = copy(DEMO, "broken-json");
    std::fs::write(broken.join("manifest.json"), "{\"name\": ").unwrap();
    let unknown = copy(DEMO, "unknown-key");
    let text = std::fs::read_to_string(unknown.join("manifest.json")).unwrap();
    std::fs::write(
        unknown.join("manifest.json"),
        text.replace("\"mammography-4view-demo\"", "\"unknown-key\"").replacen("\"demo\"", "\"dmeo\"", 1),
    )
    .unwrap();
    let hash = copy(DEMO, "wrong-hash");
    let text = std::fs::read_to_string(hash.join("manifest.json")).unwrap();
    std::fs::write(hash.join("manifest.json"), text.replace("\"mammography-4view-demo\"", "\"wrong-hash\"")).unwrap();
    std::fs::write(hash.join("weights.safetensors"), b"not weights").unwrap();
    let server =
        Orthanc::with(version, &Options { ai: json!({"ModelsDirectory": models.path()}), ..Options::default() });
    let models = server.get("/ai/models").ok();
    let reason = |name: &str| {
        let model = models.as_array().unwrap().iter().find(|m| m["Name"] == name).unwrap();
        assert_eq!(model["State"], "Failed", "{model}");
        model["Reason"].as_str().unwrap().to_string()
    };
    assert!(reason("broken-json").contains("manifest.json"), "{}", reason("broken-json"));
    assert!(reason("unknown-key").contains("dmeo"), "{}", reason("unknown-key"));
    assert!(reason("wrong-hash").to_lowercase().contains("sha-256"), "{}", reason("wrong-hash"));
    assert_eq!(server.get("/ai/health").status, 503);
    let study = server.upload_study(&exam::files(&exam::options(4304)));
    assert_eq!(server.analyse(&study)["State"], "Succeeded");
}

fn a_wrong_configuration_leaves_the_server_alive(version: Version) {
    for ai in [json!({"ModelDirectory": "/x"}), json!({"Device": "cuda:9"})] {
        let server = Orthanc::with_plugin_off(version, &Options { ai, ..Options::default() });
        assert!(server.log().contains("configuration, Ai."), "{}", server.log());
        assert_eq!(server.get("/system").status, 200);
    }
    let server = Orthanc::with_plugin_off(version, &Options { ai: json!({"Enable": false}), ..Options::default() });
    assert!(server.log().contains("plugin is off"), "{}", server.log());
}
