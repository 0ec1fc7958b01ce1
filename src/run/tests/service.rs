//! Submit, retry, cancel: what a request leads to.

use super::*;
use crate::model::{Device, ModelState};
use crate::run::record::RunState;
use crate::run::service::{ChangeError, Ports, RunService, ServiceSettings, SubmitError};

/// A node that takes requests, with one model whose weights are there and one without.
fn service(queue_limit: usize) -> (tempfile::TempDir, RunService) {
    let models = tempfile::tempdir().unwrap();
    let shipped = include_str!("../../../models/mammography-4view-demo/manifest.json");
    for name in ["model", "weightless"] {
        let mut manifest: serde_json::Value = serde_json::from_str(shipped).unwrap();
        manifest["name"] = name.into();
        manifest["weights"].as_object_mut().unwrap().remove("sha256");
        std::fs::create_dir(models.path().join(name)).unwrap();
        std::fs::write(models.path().join(name).join("manifest.json"), manifest.to_string()).unwrap();
    }
    std::fs::write(models.path().join("model/weights.safetensors"), b"weights").unwrap();
    let settings = ServiceSettings {
        queue_limit,
        synchronous_timeout: Duration::from_secs(1),
        synchronous_limit: 2,
        works: false,
        worker: settings(),
    };
    let ports = Ports {
        source: Arc::new(NoSource),
        results: Arc::new(Archive::default()),
        announce: |_| None,
        marks: Marks::new(MarkSettings::default(), Arc::new(Notes::default())),
        audit: |_| (),
        background: None,
    };
    let registry = ModelRegistry::scan(models.path()).unwrap();
    let service = RunService::new(settings, registry, Device::cpu(), sqlite::in_memory(), ports);
    (models, service)
}

#[test]
fn a_node_that_does_not_work_takes_requests() {
    let (_models, service) = service(10);
    // Also while it starts: the key needs the weights' hash.
    let early = service.submit(request("1")).unwrap();
    service.begin().unwrap();
    while service.models.get("model").unwrap().state == ModelState::Loading {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(service.models.get("model").unwrap().state, ModelState::Ready);
    let late = service.submit(request("1")).unwrap();
    assert!(early.is_new && !late.is_new);
    assert_eq!(early.run.id, late.run.id);
    assert_eq!(early.run.card.weights_sha256.len(), 64);
    assert!(service.worker_is_alive());
    assert_eq!(service.store.get(&early.run.id).unwrap().unwrap().state, RunState::Queued);
    service.stop();
}

#[test]
fn who_waits_waits_neither_for_a_suspended_queue_nor_over_the_stop() {
    let (_models, mut service) = service(10);
    service.settings.synchronous_timeout = Duration::from_secs(3600);
    let run = service.submit(request("1")).unwrap().run;
    service.store.set_suspended(true).unwrap();
    assert_eq!(service.wait_finished(&run.id).unwrap().unwrap().state, RunState::Queued);
    service.store.set_suspended(false).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| service.wait_finished(&run.id).unwrap().unwrap());
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished() && !service.is_stopping());
        service.ask_to_stop();
        assert_eq!(waiting.join().unwrap().state, RunState::Queued);
    });
}

#[test]
fn requests_that_wait_leave_threads_for_others() {
    let (_models, service) = service(10);
    let places = [service.place_to_wait(), service.place_to_wait()];
    assert!(places.iter().all(Option::is_some) && service.place_to_wait().is_none());
    drop(places);
    assert!(service.place_to_wait().is_some());
}

#[test]
fn refusals_are_in_words() {
    let (_models, service) = service(1);
    let error = |request: RunRequest| service.submit(request).unwrap_err().to_string();
    assert_eq!(
        error(RunRequest { model: "x".into(), ..request("1") }),
        "unknown model \"x\", known models: model, weightless"
    );
    assert!(error(RunRequest { model: "weightless".into(), ..request("1") }).contains("cannot run: no weights"));
    service.submit(request("1")).unwrap();
    assert!(matches!(service.submit(request("2")), Err(SubmitError::QueueFull { limit: 1 })));
}

#[test]
fn a_retry_is_a_new_run_of_the_same_origin() {
    let (_models, service) = service(10);
    let rule = RunRequest { origin: Origin::Rule("night".into()), priority: 3, ..request("1") };
    let first = service.submit(rule.clone()).unwrap().run;
    assert!(matches!(service.retry(&first.id), Err(ChangeError::State { found: RunState::Queued, .. })));
    assert_eq!(service.cancel(&first.id).unwrap().state, RunState::Cancelled);
    assert!(matches!(service.cancel(&first.id), Err(ChangeError::State { found: RunState::Cancelled, .. })));
    // The rule does not ask twice, a person may.
    assert!(!service.submit(rule).unwrap().is_new);
    let again = service.retry(&first.id).unwrap();
    assert_ne!(again.id, first.id);
    assert_eq!((again.request.origin.rule(), again.request.priority), (Some("night"), 3));
    let unknown = crate::run::RunId("x".into());
    assert!(matches!(service.retry(&unknown), Err(ChangeError::UnknownRun(_))));
    assert!(matches!(service.cancel(&unknown), Err(ChangeError::UnknownRun(_))));
}
