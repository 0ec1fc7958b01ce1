//! Two triggers for the same input make one run; and the queue has a limit.

use std::sync::Mutex;

use super::*;
use crate::run::store::{Cancelled, Inserted};

on_every_store!(
    a_full_queue_refuses_and_names_its_limit,
    an_active_run_answers_for_a_second_one,
    a_rule_asks_once,
    a_run_that_shall_be_cancelled_answers_for_nobody,
    one_of_many_triggers_wins,
);

const BY_RULE: InsertRule = InsertRule { limit: usize::MAX, unless_known: true };

fn a_full_queue_refuses_and_names_its_limit(bench: &Bench) {
    let store = bench.open();
    let two = InsertRule { limit: 2, unless_known: false };
    for uid in ["1", "2"] {
        assert!(matches!(store.insert(&run(uid), two).unwrap(), Inserted::New(_)));
    }
    assert!(matches!(bench.open().insert(&run("3"), two).unwrap(), Inserted::Full { limit: 2 }));
    // One that is known needs no place.
    assert!(matches!(store.insert(&run("2"), two).unwrap(), Inserted::Known(_)));
    claimed(&*store, "a");
    assert!(matches!(store.insert(&run("3"), two).unwrap(), Inserted::New(_)));
    assert_eq!(store.queue_length().unwrap(), 2);
}

#[track_caller]
fn known(store: &dyn RunStore, run: &Run, rule: InsertRule) -> Run {
    match store.insert(run, rule).unwrap() {
        Inserted::Known(run) => run,
        other => panic!("{other:?}"),
    }
}

fn forced(uid: &str) -> Run {
    let mut run = run(uid);
    run.request.force = true;
    run
}

fn an_active_run_answers_for_a_second_one(bench: &Bench) {
    let store = bench.open();
    let first = insert(&*store, &run("1"));
    assert_eq!(known(&*store, &run("1"), WITHOUT_LIMIT).id, first.id);
    let (_, lease) = claimed(&*store, "a");
    let seen = known(&*bench.open(), &run("1"), WITHOUT_LIMIT);
    assert_eq!((seen.id, seen.state), (first.id.clone(), RunState::Running));
    // A forced run is another question, and answers no plain one.
    let second = insert(&*store, &forced("1"));
    insert(&*store, &forced("1"));
    finish(&*store, &lease, RunState::Failed);
    let third = insert(&*store, &run("1"));
    assert_ne!(third.id, first.id);
    assert_ne!(third.id, second.id);
}

fn a_rule_asks_once(bench: &Bench) {
    for ending in [RunState::Succeeded, RunState::Failed, RunState::Cancelled] {
        let store = bench.open();
        let uid = format!("{ending:?}");
        let first = insert(&*store, &run(&uid));
        let (_, lease) = claimed(&*store, "a");
        finish(&*store, &lease, ending);
        assert_eq!(known(&*store, &run(&uid), BY_RULE).id, first.id);
        assert!(matches!(store.insert(&run(&uid), WITHOUT_LIMIT).unwrap(), Inserted::New(_)));
        let (_, lease) = claimed(&*store, "a");
        finish(&*store, &lease, ending);
    }
}

fn a_run_that_shall_be_cancelled_answers_for_nobody(bench: &Bench) {
    let store = bench.open();
    let first = insert(&*store, &run("1"));
    claimed(&*store, "a");
    assert!(matches!(store.cancel(&first.id).unwrap(), Cancelled::Asked(_)));
    assert_ne!(insert(&*store, &run("1")).id, first.id);
}

fn one_of_many_triggers_wins(bench: &Bench) {
    let connections = [bench.open(), bench.open()];
    for round in 0..5 {
        let ids = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for i in 0..8 {
                let (connection, ids) = (&connections[i % 2], &ids);
                let rule = if i < 4 { BY_RULE } else { WITHOUT_LIMIT };
                scope.spawn(move || {
                    let (id, new) = match connection.insert(&run(&round.to_string()), rule).unwrap() {
                        Inserted::New(run) => (run.id, 1),
                        Inserted::Known(run) => (run.id, 0),
                        full @ Inserted::Full { .. } => panic!("{full:?}"),
                    };
                    ids.lock().unwrap().push((id, new));
                });
            }
        });
        let ids = ids.into_inner().unwrap();
        assert_eq!(ids.iter().map(|(_, new)| new).sum::<i32>(), 1, "{ids:?}");
        assert!(ids.iter().all(|(id, _)| *id == ids[0].0), "{ids:?}");
    }
    assert_eq!(connections[0].queue_length().unwrap(), 5);
}
