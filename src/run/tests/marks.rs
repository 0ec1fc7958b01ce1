//! What stands on a study after its runs.

use super::*;
use crate::run::marks::{Change, MarkSettings};
use crate::run::pipeline::RunError;
use crate::run::record::RunState;
use crate::run::store::TakeBack;

use StoreStatus::Stored;

impl Bench {
    /// A run of `model` that ends so.
    fn ended(&self, model: &str, state: RunState) -> Run {
        let waiting = RunRequest { model: model.into(), force: true, ..request("1") };
        let waiting = Run::new(waiting, run("1").card);
        self.store.insert(&waiting, InsertRule { limit: 100, unless_known: false }).unwrap();
        let (run, attempt) = self.claim();
        let outcome = match state {
            RunState::Succeeded => Ok(outcome(&[("sr", Stored)])),
            RunState::Failed => Err(RunError::Volume("no volume".into())),
            _ => Err(RunError::Cancelled),
        };
        self.worker.settle(run, &attempt, outcome);
        let ended = self.get(&waiting);
        assert_eq!(ended.state, state);
        ended
    }

    fn text(&self) -> serde_json::Value {
        let state = self.notes.state.lock().unwrap();
        state.text.as_ref().map_or(serde_json::Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    fn labels(&self) -> Vec<String> {
        self.notes.state.lock().unwrap().labels.iter().cloned().collect()
    }
}

#[test]
fn the_latest_run_of_each_model_counts() {
    let bench = Bench::new();
    let failed = bench.ended("a", RunState::Failed);
    assert_eq!(bench.labels(), ["ai-failed"]);
    assert_eq!(bench.text()["a"]["Run"], failed.id.0.as_str());
    bench.ended("b", RunState::Succeeded);
    assert_eq!(bench.labels(), ["ai-done", "ai-failed"]);
    bench.ended("a", RunState::Cancelled);
    assert_eq!(bench.labels(), ["ai-done", "ai-failed"]);
    bench.ended("a", RunState::Succeeded);
    assert_eq!(bench.labels(), ["ai-done"]);
    assert_eq!(bench.text()["a"]["State"], "Succeeded");
    bench.ended("b", RunState::Failed);
    assert_eq!(bench.labels(), ["ai-done", "ai-failed"]);
}

#[test]
fn the_text_remembers_what_the_store_has_forgotten() {
    let bench = Bench::new();
    let first = bench.ended("a", RunState::Succeeded);
    bench.store.forget_old(0, None).unwrap();
    let second = bench.ended("b", RunState::Failed);
    assert_eq!(bench.labels(), ["ai-done", "ai-failed"]);
    // A run whose results are deleted marks nothing any more.
    bench.worker.marks.set(&*bench.store, &second, Change::Forgotten);
    bench.store.remove(&second.id).unwrap();
    assert_eq!(bench.labels(), ["ai-done"]);
    bench.worker.marks.set(&*bench.store, &first, Change::Forgotten);
    assert_eq!((bench.labels(), bench.text()), (vec![], serde_json::Value::Null));
}

#[test]
fn a_deleted_run_uncovers_the_one_before() {
    let bench = Bench::new();
    bench.ended("a", RunState::Failed);
    let again = bench.ended("a", RunState::Succeeded);
    assert_eq!(bench.labels(), ["ai-done"]);
    bench.worker.marks.set(&*bench.store, &again, Change::Forgotten);
    bench.store.remove(&again.id).unwrap();
    assert_eq!(bench.labels(), ["ai-failed"]);
}

#[test]
fn a_run_whose_servers_were_killed_marks_its_study() {
    let bench = Bench::new();
    bench.insert("1");
    bench.claim();
    bench.worker.give_up(bench.store.take_back(TakeBack::Node("node"), 1).unwrap());
    assert_eq!(bench.labels(), ["ai-failed"]);
}

#[test]
fn what_cannot_be_marked_fails_no_run() {
    let bench = Bench::new();
    bench.notes.state.lock().unwrap().text = Some("somebody else's".into());
    bench.ended("a", RunState::Succeeded);
    assert_eq!(bench.labels(), ["ai-done"]);
    assert_eq!(bench.notes.state.lock().unwrap().text.as_deref(), Some("somebody else's"));
    bench.notes.state.lock().unwrap().away = true;
    bench.ended("a", RunState::Failed);
    assert_eq!(bench.labels(), ["ai-done"]);
    // The next run makes good what could not be written.
    bench.notes.state.lock().unwrap().away = false;
    bench.notes.state.lock().unwrap().text = None;
    bench.ended("b", RunState::Succeeded);
    assert_eq!(bench.labels(), ["ai-done", "ai-failed"]);
}

#[test]
fn another_nodes_text_is_kept() {
    let bench = Bench::new();
    bench.notes.state.lock().unwrap().meanwhile =
        Some(r#"{"x":{"State":"Failed","Run":"r","Finished":"2026-01-02T03:04:05.000Z"}}"#.into());
    bench.ended("a", RunState::Succeeded);
    assert_eq!(bench.labels(), ["ai-done", "ai-failed"]);
    assert_eq!(bench.text().as_object().unwrap().len(), 2);
}

#[test]
fn marks_are_the_administrators_choice() {
    let mut bench = Bench::new();
    let only = |settings: MarkSettings, bench: &Bench| crate::run::marks::Marks::new(settings, bench.notes.clone());
    bench.worker.marks = only(MarkSettings { metadata: 0, failed_label: "bad".into(), ..Default::default() }, &bench);
    bench.ended("a", RunState::Failed);
    assert_eq!((bench.labels(), bench.text()), (vec!["bad".to_owned()], serde_json::Value::Null));
    bench.worker.marks =
        only(MarkSettings { metadata: 0, done_label: String::new(), failed_label: String::new() }, &bench);
    bench.ended("a", RunState::Succeeded);
    assert_eq!(bench.labels(), ["bad"]);
    // An archive without labels.
    bench.notes.state.lock().unwrap().has_labels = false;
    bench.worker.marks = only(MarkSettings::default(), &bench);
    bench.ended("a", RunState::Succeeded);
    assert_eq!((bench.labels(), &bench.text()["a"]["State"]), (vec!["bad".to_owned()], &"Succeeded".into()));
}
