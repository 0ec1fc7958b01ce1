//! What becomes of a run, and of what its attempts left in the archive.

use std::time::Instant;

use super::*;
use crate::model::LoadedModels;
use crate::run::Timestamp;
use crate::run::pipeline::{Monitor, RunError};
use crate::run::record::RunState;
use crate::run::store::TakeBack;

use StoreStatus::{AlreadyStored, Stored};

#[test]
fn what_may_pass_is_tried_again_and_then_a_dead_letter() {
    let bench = Bench::new();
    let waiting = bench.insert("1");
    let (run, attempt) = bench.claim();
    bench.worker.settle(run, &attempt, Err(RunError::Source(SourceError::Host("the disk is full".into()))));
    let seen = bench.get(&waiting);
    assert_eq!((seen.state, seen.attempts), (RunState::Queued, 1));
    assert_eq!(seen.error.as_deref(), Some("the disk is full"));
    let (run, attempt) = bench.claim();
    bench.worker.settle(run, &attempt, Err(RunError::Panic));
    let seen = bench.get(&waiting);
    assert_eq!(seen.state, RunState::Failed);
    assert_eq!(seen.error.as_deref(), Some("internal error (a panic; see the log for its place) (2 attempts)"));
}

#[test]
fn what_is_wrong_with_the_images_stays_wrong() {
    let bench = Bench::new();
    let waiting = bench.insert("1");
    let (run, attempt) = bench.claim();
    bench.worker.settle(run, &attempt, Err(RunError::Volume("found 2 slices, expected 8 or more".into())));
    let seen = bench.get(&waiting);
    assert_eq!(seen.state, RunState::Failed);
    assert_eq!(seen.error.as_deref(), Some("found 2 slices, expected 8 or more"));
    let gone = RunError::Source(SourceError::UnknownResource("/instances/x".into()));
    assert!(!gone.is_transient() && !RunError::NoImage(Vec::new()).is_transient());
    assert!(RunError::NotLoaded { model: "m".into(), reason: String::new() }.is_transient());
}

#[test]
fn backoff_doubles() {
    let mut bench = Bench::new();
    bench.worker.settings = WorkerSettings { backoff: Duration::from_secs(100), attempts: 9, ..settings() };
    for (attempts, expected) in [(1, 100), (2, 200), (3, 400), (8, 3600)] {
        let waiting = bench.insert("1");
        let (mut run, attempt) = bench.claim();
        run.attempts = attempts;
        bench.worker.settle(run, &attempt, Err(RunError::Panic));
        let seen = bench.get(&waiting);
        let delay = seen.not_before.unwrap().milliseconds() - seen.started.unwrap().milliseconds();
        assert!((0..5000).contains(&(delay - expected * 1000)), "attempt {attempts}: {delay} ms");
        bench.store.cancel(&waiting.id).unwrap();
    }
}

#[test]
fn a_stop_gives_the_run_back() {
    let bench = Bench::new();
    let waiting = bench.insert("1");
    let (run, attempt) = bench.claim();
    bench.worker.control.stop();
    assert!(attempt.is_cancelled());
    bench.worker.settle(run, &attempt, Err(RunError::Cancelled));
    let seen = bench.get(&waiting);
    assert_eq!((seen.state, seen.attempts), (RunState::Queued, 0));
    // The server's REST ends before we do: no fault of the run.
    let (run, attempt) = bench.claim();
    bench.worker.settle(run, &attempt, Err(RunError::Source(SourceError::Host("stopping".into()))));
    assert_eq!(bench.get(&waiting).attempts, 0);
}

#[test]
fn a_cancel_from_another_node_is_seen_by_the_heart() {
    let bench = Bench::new();
    let waiting = bench.insert("1");
    let (run, attempt) = bench.claim();
    bench.store.cancel(&waiting.id).unwrap();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let _end = attempt.end_on_drop();
        scope.spawn(|| attempt.beat());
        while !attempt.is_cancelled() {
            assert!(start.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    bench.worker.settle(run, &attempt, Err(RunError::Cancelled));
    assert_eq!(bench.get(&waiting).state, RunState::Cancelled);
}

#[test]
fn an_object_of_a_killed_attempt_is_this_runs_own() {
    let bench = Bench::new();
    let waiting = bench.insert("1");
    let (_, killed) = bench.claim();
    killed.storing(&["seg", "sr"]).unwrap();
    bench.archive.put("seg");
    bench.store.take_back(TakeBack::Node("node"), 9).unwrap();
    let (run, attempt) = bench.claim();
    attempt.storing(&["seg", "sr"]).unwrap();
    bench.archive.put("sr");
    bench.worker.settle(run, &attempt, Ok(outcome(&[("seg", AlreadyStored), ("sr", Stored)])));
    let seen = bench.get(&waiting);
    assert_eq!((seen.state, seen.status, seen.progress), (RunState::Succeeded, Some(Stored), 100));
    assert!(seen.stored.iter().all(|s| s.status == Stored), "{:?}", seen.stored);
    assert_eq!(bench.archive.uids(), ["seg", "sr"]);
}

#[test]
fn other_objects_of_a_killed_attempt_are_removed() {
    let bench = Bench::new();
    bench.insert("1");
    bench.archive.put("of-another-run");
    let (_, killed) = bench.claim();
    killed.storing(&["of-another-run", "seg-cpu"]).unwrap();
    bench.archive.put("seg-cpu");
    bench.store.take_back(TakeBack::Node("node"), 9).unwrap();
    let (run, attempt) = bench.claim();
    attempt.storing(&["seg-gpu", "sr"]).unwrap();
    bench.archive.put("seg-gpu");
    bench.archive.put("sr");
    bench.worker.settle(run, &attempt, Ok(outcome(&[("seg-gpu", Stored), ("sr", Stored)])));
    assert_eq!(bench.archive.uids(), ["of-another-run", "seg-gpu", "sr"]);
}

#[test]
fn a_run_that_fails_leaves_nothing() {
    let bench = Bench::new();
    bench.insert("1");
    let (_, killed) = bench.claim();
    killed.storing(&["seg", "sr"]).unwrap();
    bench.archive.put("seg");
    bench.store.take_back(TakeBack::Node("node"), 9).unwrap();
    let (run, attempt) = bench.claim();
    bench.worker.settle(run, &attempt, Err(RunError::Volume("gone".into())));
    assert_eq!(bench.archive.uids(), [""; 0]);
    // Nor one whose servers were killed too often.
    let waiting = bench.insert("2");
    let (_, killed) = bench.claim();
    killed.storing(&["seg"]).unwrap();
    bench.archive.put("seg");
    bench.store.update(&killed.lease, &mut |_| ()).unwrap();
    bench.worker.give_up(bench.store.take_back(TakeBack::Node("node"), 1).unwrap());
    assert_eq!(bench.get(&waiting).state, RunState::Failed);
    assert_eq!(bench.archive.uids(), [""; 0]);
}

#[test]
fn a_run_already_stored_stays_so() {
    let bench = Bench::new();
    let waiting = bench.insert("1");
    bench.archive.put("sr");
    let (run, attempt) = bench.claim();
    attempt.storing(&["sr"]).unwrap();
    bench.worker.settle(run, &attempt, Ok(outcome(&[("sr", AlreadyStored)])));
    assert_eq!(bench.get(&waiting).status, Some(AlreadyStored));
}

#[test]
fn who_has_lost_the_run_changes_nothing_and_takes_its_own_objects_away() {
    let bench = Bench::new();
    let waiting = bench.insert("1");
    let (slow_run, slow) = bench.claim();
    slow.storing(&["seg-slow", "sr"]).unwrap();
    bench.store.take_back(TakeBack::Node("node"), 9).unwrap();
    assert!(matches!(slow.storing(&["seg-slow"]), Err(RunError::Cancelled)), "another holds the run");
    let (run, attempt) = bench.claim();
    attempt.storing(&["seg", "sr"]).unwrap();
    bench.archive.put("seg");
    bench.archive.put("sr");
    bench.worker.settle(run, &attempt, Ok(outcome(&[("seg", Stored), ("sr", Stored)])));
    bench.archive.put("seg-slow");
    let late = outcome(&[("seg-slow", Stored), ("sr", AlreadyStored)]);
    bench.worker.settle(slow_run.clone(), &slow, Ok(late));
    assert_eq!(bench.archive.uids(), ["seg", "sr"]);
    let fresh = Attempt::new(&bench.worker, slow.lease.clone(), &slow_run);
    bench.worker.settle(slow_run, &fresh, Err(RunError::Volume("late".into())));
    assert_eq!(bench.get(&waiting).state, RunState::Succeeded);
    assert_eq!(bench.archive.uids(), ["seg", "sr"]);
}

#[test]
fn the_worker_works_until_the_server_stops() {
    let bench = Bench::new();
    let waiting = bench.insert("1");
    std::thread::scope(|scope| {
        scope.spawn(|| bench.worker.work(&mut LoadedModels::default()));
        let ended = bench.store.wait_finished(&waiting.id, Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!((ended.state, ended.attempts), (RunState::Failed, 2));
        let error = ended.error.unwrap();
        assert_eq!(error, "the model model is not loaded: unknown model (2 attempts)");
        // One that comes later wakes it.
        let start = Instant::now();
        let later = bench.insert("2");
        bench.store.wait_finished(&later.id, Duration::from_secs(20)).unwrap();
        assert!(start.elapsed() < Duration::from_secs(5));
        bench.worker.control.stop();
        bench.store.signal().raise();
    });
}

#[test]
fn a_store_that_is_away_keeps_nobody_from_stopping() {
    let mut bench = Bench::new();
    bench.worker.store = sqlite::open("/nowhere/runs.sqlite".into());
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| bench.worker.work(&mut LoadedModels::default()));
        std::thread::sleep(Duration::from_millis(100));
        bench.worker.control.stop();
        bench.worker.store.signal().raise();
    });
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

/// A registry that knows the manifest of "model", which wants later results in the place of earlier ones.
fn registry() -> (tempfile::TempDir, ModelRegistry) {
    let models = tempfile::tempdir().unwrap();
    let mut manifest: serde_json::Value =
        serde_json::from_str(include_str!("../../../models/mammography-4view-demo/manifest.json")).unwrap();
    manifest["name"] = "model".into();
    std::fs::create_dir(models.path().join("model")).unwrap();
    std::fs::write(models.path().join("model/manifest.json"), manifest.to_string()).unwrap();
    let registry = ModelRegistry::scan(models.path()).unwrap();
    (models, registry)
}

/// A run by rule on these instances, the `n`th that was asked for.
fn by_rule(uids: &[&str], n: i64) -> Run {
    let mut request = request(uids[0]);
    request.inputs = uids.iter().flat_map(|uid| self::request(uid).inputs).collect();
    request.origin = Origin::Rule("rule".into());
    let mut run = Run::new(request, run("").card);
    run.created = Timestamp::from_milliseconds(run.created.milliseconds() + n).unwrap();
    run
}

#[test]
fn of_two_runs_on_growing_inputs_the_later_ones_results_stay_whoever_finishes_first() {
    for earlier_first in [true, false] {
        let (_models, registry) = registry();
        let mut bench = Bench::new();
        bench.worker.models = registry;
        for run in [by_rule(&["1"], 0), by_rule(&["1", "2"], 1)] {
            bench.store.insert(&run, InsertRule { limit: 9, unless_known: true }).unwrap();
        }
        let (earlier, earlier_attempt) = bench.claim();
        let (later, later_attempt) = bench.claim();
        assert!(later.supersedes(&earlier));
        let end = |run: &Run, attempt: &Attempt, uid: &str| {
            attempt.storing(&[uid]).unwrap();
            bench.archive.put(uid);
            bench.worker.settle(run.clone(), attempt, Ok(outcome(&[(uid, Stored)])));
        };
        if earlier_first {
            end(&earlier, &earlier_attempt, "sr-of-1");
            end(&later, &later_attempt, "sr-of-2");
        } else {
            end(&later, &later_attempt, "sr-of-2");
            end(&earlier, &earlier_attempt, "sr-of-1");
        }
        assert_eq!(bench.archive.uids(), ["sr-of-2"], "earlier first: {earlier_first}");
        assert_eq!(bench.get(&earlier).superseded_by, Some(later.id.clone()));
        assert_eq!(bench.get(&later).superseded_by, None);
    }
}
