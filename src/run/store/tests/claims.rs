//! The queue, leases, and what becomes of runs whose worker is gone.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::*;
use crate::run::record::Stage;
use crate::run::store::{Cancelled, Heartbeat, TakeBack};

on_every_store!(
    priority_first_then_first_come,
    a_suspended_queue_is_left_alone,
    a_node_claims_what_it_can_run,
    each_run_is_claimed_once,
    a_lease_is_kept_by_heartbeats,
    an_expired_lease_is_lost_for_good,
    a_released_run_has_lost_no_attempt,
    a_retry_waits_its_time,
    a_restarted_node_takes_its_runs_back,
    a_live_server_of_the_same_name_keeps_its_runs,
    attempts_are_spent_by_crashes,
    cancel_reaches_runs_of_any_node,
    a_cancelled_run_is_not_tried_again,
    waiting_for_the_end_is_woken_by_any_node,
);

fn priority_first_then_first_come(bench: &Bench) {
    let store = bench.open();
    for (uid, priority) in [("1", 0), ("2", 5), ("3", 0), ("4", -1), ("5", 5)] {
        let mut run = run(uid);
        run.request.priority = priority;
        insert(&*store, &run);
    }
    let order: Vec<_> = std::iter::from_fn(|| claim(&*store, "a")).collect();
    let uids: Vec<&str> = order.iter().map(|r| r.request.inputs[0].sop_instance_uid.as_str()).collect();
    assert_eq!(uids, ["2", "5", "1", "3", "4"]);
    let first = &order[0];
    assert_eq!((first.state, first.attempts, first.node.as_deref()), (RunState::Running, 1, Some("a")));
    assert!(first.started.is_some() && first.finished.is_none());
}

fn a_suspended_queue_is_left_alone(bench: &Bench) {
    let store = bench.open();
    insert(&*store, &run("1"));
    assert!(!store.is_suspended().unwrap());
    store.set_suspended(true).unwrap();
    assert!(claim(&*bench.open(), "a").is_none());
    assert!(bench.open().is_suspended().unwrap());
    store.set_suspended(false).unwrap();
    assert!(claim(&*bench.open(), "a").is_some());
}

fn a_node_claims_what_it_can_run(bench: &Bench) {
    let store = bench.open();
    insert(&*store, &run("1"));
    let with = |models: &[&str]| store.claim(&Claim { node: "a", models: Some(models), lease: MINUTE }).unwrap();
    assert!(with(&[]).is_none());
    assert!(with(&["other", "another"]).is_none());
    assert!(with(&["other", "model"]).is_some());
}

fn each_run_is_claimed_once(bench: &Bench) {
    let connections = [bench.open(), bench.open()];
    for uid in 0..60 {
        insert(&*connections[0], &run(&uid.to_string()));
    }
    let times = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for i in 0..8 {
            let (connection, times) = (&connections[i % 2], &times);
            scope.spawn(move || {
                while let Some(run) = claim(&**connection, &format!("node {i}")) {
                    *times.lock().unwrap().entry(run.id).or_insert(0) += 1;
                }
            });
        }
    });
    let times = times.into_inner().unwrap();
    assert_eq!(times.len(), 60);
    assert!(times.values().all(|n| *n == 1), "{times:?}");
}

fn a_lease_is_kept_by_heartbeats(bench: &Bench) {
    let store = bench.open();
    let waiting = insert(&*store, &run("1"));
    let short = Claim { node: "a", models: None, lease: Duration::from_millis(1) };
    let lease = Lease::of(&store.claim(&short).unwrap().unwrap());
    assert_eq!(store.heartbeat(&lease, MINUTE, Some(Stage::Infer), 40).unwrap(), Heartbeat::Held);
    std::thread::sleep(Duration::from_millis(20));
    assert!(store.take_back(TakeBack::Expired, 3).unwrap().is_empty());
    let seen = bench.open().get(&waiting.id).unwrap().unwrap();
    assert_eq!((seen.state, seen.stage, seen.progress), (RunState::Running, Some(Stage::Infer), 40));
    let other_node = Lease { node: "b".into(), ..lease.clone() };
    assert_eq!(store.heartbeat(&other_node, MINUTE, None, 0).unwrap(), Heartbeat::Lost);
}

fn an_expired_lease_is_lost_for_good(bench: &Bench) {
    let (store, other) = (bench.open(), bench.open());
    let waiting = insert(&*store, &run("1"));
    let short = Claim { node: "a", models: None, lease: Duration::from_millis(1) };
    let lost = Lease::of(&store.claim(&short).unwrap().unwrap());
    std::thread::sleep(Duration::from_millis(20));
    assert!(other.take_back(TakeBack::Expired, 3).unwrap().is_empty());
    assert_eq!(state(&*other, &waiting), RunState::Queued);
    // The same node name: it is the attempt that tells them apart.
    let (again, lease) = claimed(&*other, "a");
    assert_eq!((again.id.clone(), again.attempts), (waiting.id.clone(), 2));
    assert_eq!(store.heartbeat(&lost, MINUTE, None, 0).unwrap(), Heartbeat::Lost);
    assert!(store.update(&lost, &mut |run| run.state = RunState::Succeeded).unwrap().is_none());
    assert!(!store.release(&lost).unwrap());
    assert!(!store.retry_later(&lost, Duration::ZERO, "late").unwrap());
    assert_eq!(state(&*store, &waiting), RunState::Running);
    finish(&*other, &lease, RunState::Succeeded);
    assert!(other.update(&lease, &mut |_| ()).unwrap().is_none(), "a finished run has no holder");
}

fn a_released_run_has_lost_no_attempt(bench: &Bench) {
    let store = bench.open();
    insert(&*store, &run("1"));
    let (_, lease) = claimed(&*store, "a");
    store.heartbeat(&lease, MINUTE, Some(Stage::Infer), 40).unwrap();
    assert!(store.release(&lease).unwrap());
    let seen = store.get(&lease.id).unwrap().unwrap();
    assert_eq!((seen.state, seen.attempts, seen.progress, seen.stage), (RunState::Queued, 0, 0, None));
    assert_eq!(claimed(&*store, "b").0.attempts, 1);
}

fn a_retry_waits_its_time(bench: &Bench) {
    let store = bench.open();
    insert(&*store, &run("1"));
    let (_, lease) = claimed(&*store, "a");
    assert!(store.retry_later(&lease, Duration::from_millis(300), "no answer").unwrap());
    let seen = store.get(&lease.id).unwrap().unwrap();
    assert_eq!((seen.state, seen.error.as_deref()), (RunState::Queued, Some("no answer")));
    assert!(seen.not_before.is_some());
    assert!(claim(&*store, "a").is_none());
    std::thread::sleep(Duration::from_millis(400));
    let (again, _) = claimed(&*store, "a");
    assert_eq!((again.attempts, again.error, again.not_before), (2, None, None));
}

fn a_restarted_node_takes_its_runs_back(bench: &Bench) {
    let store = bench.open();
    let (mine, other) = (insert(&*store, &run("1")), insert(&*store, &run("2")));
    claimed(&*store, "a");
    claimed(&*store, "b");
    let restarted = bench.open();
    assert!(restarted.take_back(TakeBack::Node("a"), 3).unwrap().is_empty());
    assert_eq!(state(&*store, &mine), RunState::Queued);
    assert_eq!(state(&*store, &other), RunState::Running);
    assert_eq!(claimed(&*restarted, "a").0.attempts, 2);
}

fn a_live_server_of_the_same_name_keeps_its_runs(bench: &Bench) {
    let (live, other) = (bench.open(), bench.open());
    let (dead, beating) = (insert(&*live, &run("1")), insert(&*live, &run("2")));
    let (_, lost) = claimed(&*live, "a");
    std::thread::sleep(Duration::from_millis(1000));
    let (_, lease) = claimed(&*live, "a");
    let silence = Duration::from_millis(700);
    let silent = |node| other.take_back(TakeBack::Silent { node, silence }, 3).unwrap();
    assert!(silent("b").is_empty());
    assert_eq!(state(&*other, &dead), RunState::Running, "of another node, whose lease goes on");
    assert!(silent("a").is_empty());
    assert_eq!((state(&*other, &dead), state(&*other, &beating)), (RunState::Queued, RunState::Running));
    assert_eq!(claimed(&*other, "a").0.attempts, 2);
    assert_eq!(live.heartbeat(&lost, MINUTE, None, 0).unwrap(), Heartbeat::Lost);
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!(live.heartbeat(&lease, MINUTE, None, 0).unwrap(), Heartbeat::Held);
    assert!(silent("a").is_empty());
    assert_eq!(state(&*other, &beating), RunState::Running);
    finish(&*live, &lease, RunState::Succeeded);
}

fn attempts_are_spent_by_crashes(bench: &Bench) {
    let store = bench.open();
    insert(&*store, &run("1"));
    for attempt in 1..=3 {
        let (run, _) = claimed(&*store, "a");
        assert_eq!(run.attempts, attempt);
        let ended = store.take_back(TakeBack::Node("a"), 3).unwrap();
        assert_eq!(ended.len(), usize::from(attempt == 3));
        if let Some(run) = ended.first() {
            assert_eq!(run.state, RunState::Failed);
            let error = run.error.as_deref().unwrap();
            assert_eq!(error, "the server ended during this run, at attempt 3 of 3");
            assert!(run.finished.is_some());
        }
    }
    assert!(claim(&*store, "a").is_none());
}

fn cancel_reaches_runs_of_any_node(bench: &Bench) {
    let (worker, other) = (bench.open(), bench.open());
    let (running, waiting) = (insert(&*worker, &run("1")), insert(&*worker, &run("2")));
    let (_, lease) = claimed(&*worker, "a");
    assert!(matches!(other.cancel(&waiting.id).unwrap(), Cancelled::Now(run) if run.state == RunState::Cancelled));
    assert!(matches!(other.cancel(&running.id).unwrap(), Cancelled::Asked(run) if run.state == RunState::Running));
    assert_eq!(worker.heartbeat(&lease, MINUTE, None, 0).unwrap(), Heartbeat::CancelRequested);
    assert!(claim(&*worker, "a").is_none());
    finish(&*worker, &lease, RunState::Cancelled);
    assert!(matches!(other.cancel(&running.id).unwrap(), Cancelled::TooLate(_)));
    assert!(matches!(other.cancel(&run("3").id).unwrap(), Cancelled::Unknown));
}

fn a_cancelled_run_is_not_tried_again(bench: &Bench) {
    let store = bench.open();
    for (uid, give_back) in [("1", "release"), ("2", "retry"), ("3", "crash")] {
        let run = insert(&*store, &run(uid));
        let (_, lease) = claimed(&*store, "a");
        store.cancel(&run.id).unwrap();
        match give_back {
            "release" => assert!(store.release(&lease).unwrap()),
            "retry" => assert!(store.retry_later(&lease, Duration::ZERO, "x").unwrap()),
            _ => assert_eq!(store.take_back(TakeBack::Node("a"), 3).unwrap().len(), 1),
        }
        let seen = store.get(&run.id).unwrap().unwrap();
        assert_eq!(seen.state, RunState::Cancelled, "{give_back}");
        assert!(seen.finished.is_some(), "{give_back}");
    }
}

fn waiting_for_the_end_is_woken_by_any_node(bench: &Bench) {
    let (here, there) = (bench.open(), bench.open());
    for store in [&here, &there] {
        insert(&*here, &run("1"));
        let (running, lease) = claimed(&*here, "a");
        let asked = here.wait_finished(&running.id, Duration::from_millis(1)).unwrap().unwrap();
        assert_eq!(asked.state, RunState::Running);
        let start = Instant::now();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| here.wait_finished(&running.id, MINUTE).unwrap().unwrap());
            finish(&**store, &lease, RunState::Succeeded);
            assert_eq!(waiting.join().unwrap().state, RunState::Succeeded);
        });
        assert!(start.elapsed() < Duration::from_secs(10));
        here.remove(&running.id).unwrap();
        assert!(here.wait_finished(&running.id, MINUTE).unwrap().is_none());
    }
}
