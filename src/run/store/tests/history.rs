//! What is kept, found again and forgotten.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::run::record::{Intent, RunId};
use crate::run::store::{RunCount, RunFilter};

on_every_store!(
    a_run_reads_back_whole,
    everything_is_there_after_reopening,
    lists_are_newest_first_and_filtered,
    the_newest_are_remembered,
    only_finished_runs_are_removed,
    a_run_that_was_put_off_is_hastened,
    superseded_runs_say_by_which,
);

/// A run with a value in every field.
fn full(store: &dyn RunStore) -> Run {
    insert(store, &run("1"));
    let (_, lease) = claimed(store, "a");
    let updated = store.update(&lease, &mut |run| {
        run.job_id = Some("job".into());
        run.stage_seconds.insert("infer".into(), 0.1 + 0.2);
        run.status = Some(StoreStatus::Stored);
        run.stored = vec![stored("sr"), stored("seg")];
        run.intents = vec![Intent { attempt: 1, sop_instance_uid: "uid-sr".into(), existed: false }];
        let image = json!({
            "InstanceID": "instance-1", "View": "L-CC", "InstanceUid": "1", "Success": true, "Class": "Mass", "Color": "#ff0000",
            "Probability": 0.874_123_456_789_012_3, "AllProbabilities": {"Normal": 0.125_876, "Mass": 0.874_123_456_789_012_3}, "Finding": "Mass",
        });
        run.results = vec![serde_json::from_value(image).unwrap()];
    });
    updated.unwrap().unwrap();
    finish(store, &lease, RunState::Succeeded)
}

fn a_run_reads_back_whole(bench: &Bench) {
    let run = full(&*bench.open());
    let read = bench.open().get(&run.id).unwrap().unwrap();
    let text = |run: &Run| serde_json::to_string_pretty(run).unwrap();
    // As text: the order of the classes is the manifest's.
    assert_eq!(text(&read), text(&run));
    let shown = serde_json::to_value(read.view()).unwrap();
    assert_eq!(shown["Origin"], "Rest");
    assert_eq!((&shown["Rule"], &shown["Attempts"], &shown["Node"]), (&json!(null), &json!(1), &json!("a")));
    assert_eq!((&shown["NotBefore"], &shown["SupersededBy"]), (&json!(null), &json!(null)));
    assert_eq!(shown["Results"][0]["AllProbabilities"]["Mass"], 0.874_123_456_789_012_3);
    assert_eq!(shown["Resource"], "/studies/study-1");
    assert!(shown.get("Intents").is_none() && shown.get("Request").is_none());
    assert!(read.made("uid-sr") && !read.made("uid-seg"));
    assert!(bench.open().get(&RunId("unknown".into())).unwrap().is_none());
}

fn everything_is_there_after_reopening(bench: &Bench) {
    let store = bench.open();
    assert_eq!(store.cursor("changes").unwrap(), None);
    let waiting = insert(&*store, &run("2"));
    store.set_cursor("changes", 41).unwrap();
    store.set_cursor("changes", 1 << 40).unwrap();
    store.set_cursor("other", 7).unwrap();
    store.set_suspended(true).unwrap();
    drop(store);
    let store = bench.open();
    assert_eq!(store.cursor("changes").unwrap(), Some(1 << 40));
    assert_eq!(store.cursor("other").unwrap(), Some(7));
    assert!(store.is_suspended().unwrap());
    assert_eq!(state(&*store, &waiting), RunState::Queued);
    store.check().unwrap();
}

fn lists_are_newest_first_and_filtered(bench: &Bench) {
    let store = bench.open();
    let first = full(&*store);
    std::thread::sleep(Duration::from_millis(5));
    let mut other = run("2");
    other.request.model = "other".into();
    let other = insert(&*store, &other);
    insert(&*store, &run("3"));
    let list = |filter: RunFilter| {
        let runs = store.list(&filter).unwrap();
        runs.iter().map(|r| r.request.inputs[0].sop_instance_uid.clone()).collect::<Vec<_>>()
    };
    let all = RunFilter::default;
    assert_eq!(list(all()), ["3", "2", "1"]);
    assert_eq!(list(RunFilter { limit: Some(1), ..all() }), ["3"]);
    assert_eq!(list(RunFilter { state: Some(RunState::Succeeded), ..all() }), ["1"]);
    assert_eq!(list(RunFilter { model: Some("other".into()), ..all() }), ["2"]);
    assert_eq!(list(RunFilter { study: Some("study-3".into()), ..all() }), ["3"]);
    assert_eq!(list(RunFilter { resource: Some(first.request.resource), ..all() }), ["1"]);
    assert_eq!(list(RunFilter { since: Some(other.created), ..all() }), ["3", "2"]);
    assert_eq!(list(RunFilter { stored: Some("seg".into()), ..all() }), ["1"]);
    assert_eq!(list(RunFilter { stored: Some("nothing".into()), ..all() }), [""; 0]);
    let with = RunFilter { state: Some(RunState::Queued), model: Some("model".into()), limit: Some(5), ..all() };
    assert_eq!(list(with), ["3"]);
    let mut counts = store.counts().unwrap();
    counts.sort_by(|a, b| (&a.model, a.state.name()).cmp(&(&b.model, b.state.name())));
    let count = |model: &str, state| RunCount { model: model.into(), state, runs: 1 };
    let expected =
        [count("model", RunState::Queued), count("model", RunState::Succeeded), count("other", RunState::Queued)];
    assert_eq!(counts, expected);
}

fn the_newest_are_remembered(bench: &Bench) {
    let store = bench.open();
    for uid in ["1", "2", "3", "4"] {
        insert(&*store, &run(uid));
        let (_, lease) = claimed(&*store, "a");
        finish(&*store, &lease, RunState::Succeeded);
    }
    let waiting = insert(&*store, &run("5"));
    assert_eq!(store.forget_old(10, None).unwrap(), 0);
    assert_eq!(store.forget_old(2, Some(1)).unwrap(), 2);
    let left = store.list(&RunFilter::default()).unwrap();
    let uids: Vec<&str> = left.iter().map(|r| r.request.inputs[0].sop_instance_uid.as_str()).collect();
    assert_eq!(uids, ["5", "4", "3"]);
    // Finished today: older than none of their days.
    assert_eq!(store.forget_old(10, Some(0)).unwrap(), 2);
    assert_eq!(store.forget_old(0, Some(0)).unwrap(), 0);
    assert_eq!(state(&*store, &waiting), RunState::Queued);
}

fn only_finished_runs_are_removed(bench: &Bench) {
    let store = bench.open();
    let done = full(&*store);
    let waiting = insert(&*store, &run("2"));
    assert!(!store.remove(&waiting.id).unwrap());
    claimed(&*store, "a");
    assert!(!store.remove(&waiting.id).unwrap());
    assert!(store.remove(&done.id).unwrap());
    assert!(!store.remove(&done.id).unwrap());
    let of_stored = RunFilter { stored: Some("sr".into()), ..RunFilter::default() };
    assert!(store.list(&of_stored).unwrap().is_empty());
}

fn a_run_that_was_put_off_is_hastened(bench: &Bench) {
    let store = bench.open();
    let mut later = run("1");
    later.not_before = Timestamp::from_milliseconds(Timestamp::now().milliseconds() + 3_600_000);
    let later = insert(&*store, &later);
    assert_eq!(store.get(&later.id).unwrap().unwrap().not_before, later.not_before);
    let claim = || store.claim(&Claim { node: "a", models: None, lease: MINUTE }).unwrap();
    assert!(claim().is_none(), "not its time");
    assert!(store.hasten(&later.id, 3).unwrap());
    assert_eq!(claim().unwrap().id, later.id);
    assert!(!store.hasten(&later.id, 3).unwrap(), "it runs");
}

fn superseded_runs_say_by_which(bench: &Bench) {
    let store = bench.open();
    let (early, late) = (full(&*store), insert(&*store, &run("2")));
    assert!(store.supersede(&early.id, &late.id).unwrap());
    assert_eq!(store.get(&early.id).unwrap().unwrap().superseded_by, Some(late.id.clone()));
    assert!(!store.supersede(&run("3").id, &late.id).unwrap());
}
