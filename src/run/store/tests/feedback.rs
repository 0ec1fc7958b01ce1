//! What readers said is kept with its run.

use super::*;
use crate::run::feedback::agreement::FeedbackCount;
use crate::run::feedback::{Judgement, Verdict};
use crate::run::record::RunId;

on_every_store!(
    the_latest_of_a_user_counts_and_the_others_are_kept,
    feedback_goes_with_its_run,
    a_retried_or_superseded_run_keeps_its_own,
    one_of_two_at_once_is_the_later,
);

fn judgement(finding: &str, user: Option<&str>, verdict: Option<Verdict>) -> Judgement {
    Judgement {
        finding: finding.into(),
        answer: "Mass: 87.0 %, present".into(),
        verdict,
        comment: Some("'; DROP TABLE orthanc_ai_feedback; -- ä".into()),
        user: user.map(str::to_owned),
    }
}

/// A run that has succeeded.
fn succeeded(store: &dyn RunStore, uid: &str) -> Run {
    insert(store, &run(uid));
    let (_, lease) = claimed(store, "a");
    finish(store, &lease, RunState::Succeeded)
}

fn counted(store: &dyn RunStore, model: Option<&str>) -> [usize; 2] {
    let counts = store.feedback_counts(model).unwrap();
    Verdict::ALL.map(|verdict| counts.iter().filter(|c| c.verdict == verdict).map(|c| c.verdicts).sum())
}

fn the_latest_of_a_user_counts_and_the_others_are_kept(bench: &Bench) {
    let store = bench.open();
    let run = succeeded(&*store, "1");
    let judge = |finding: &str, user: Option<&str>, verdict| {
        store.judge(&run, &judgement(finding, user, verdict)).unwrap().unwrap()
    };
    let before = Timestamp::now().milliseconds() - 5000;
    let first = judge("1/Mass", Some("alice"), Some(Verdict::Accept));
    assert_eq!((&first.run, first.model.as_str(), first.version.as_str()), (&run.id, "model", "1.0"));
    assert_eq!((first.study.as_str(), first.finding.as_str()), ("study-1", "1/Mass"));
    assert_eq!((first.verdict, first.user.as_deref()), (Some(Verdict::Accept), Some("alice")));
    assert_eq!(first.comment.as_deref(), Some("'; DROP TABLE orthanc_ai_feedback; -- ä"));
    assert_eq!(first.answer, "Mass: 87.0 %, present");
    assert!(first.current && (before..before + 65_000).contains(&first.time.milliseconds()), "{first:?}");
    judge("1/Mass", Some("alice"), Some(Verdict::Reject));
    judge("1/Mass", Some("bob"), Some(Verdict::Accept));
    judge("1/Mass", None, Some(Verdict::Accept));
    judge("overall", Some("alice"), Some(Verdict::Accept));
    assert_eq!(counted(&*store, None), [3, 1]);
    let counts = store.feedback_counts(Some("model")).unwrap();
    let day = first.time.milliseconds() / 86_400_000;
    let expected =
        |verdict, verdicts| FeedbackCount { model: "model".into(), version: "1.0".into(), day, verdict, verdicts };
    assert_eq!(counts, [expected(Verdict::Accept, 3), expected(Verdict::Reject, 1)]);
    // Who takes it back has no verdict.
    judge("overall", Some("alice"), None);
    assert_eq!((counted(&*store, Some("model")), counted(&*store, Some("other"))), ([2, 1], [0, 0]));
    let said = |feedback: Vec<crate::run::feedback::Feedback>| -> Vec<(String, Option<String>, Option<Verdict>, bool)> {
        feedback.into_iter().map(|f| (f.finding, f.user, f.verdict, f.current)).collect()
    };
    let (alice, bob) = (Some("alice".to_owned()), Some("bob".to_owned()));
    let mut expected = vec![
        ("1/Mass".to_owned(), alice.clone(), Some(Verdict::Accept), false),
        ("1/Mass".to_owned(), alice.clone(), Some(Verdict::Reject), true),
        ("1/Mass".to_owned(), bob, Some(Verdict::Accept), true),
        ("1/Mass".to_owned(), None, Some(Verdict::Accept), true),
        ("overall".to_owned(), alice.clone(), Some(Verdict::Accept), false),
        ("overall".to_owned(), alice, None, true),
    ];
    assert_eq!(said(bench.open().feedback(Some("model")).unwrap()), expected);
    expected.reverse();
    assert_eq!(said(store.feedback_of(&run.id).unwrap()), expected);
    assert_eq!(said(store.feedback(Some("other")).unwrap()), []);
}

fn feedback_goes_with_its_run(bench: &Bench) {
    let store = bench.open();
    let (first, second) = (succeeded(&*store, "1"), succeeded(&*store, "2"));
    for run in [&first, &second] {
        store.judge(run, &judgement("overall", None, Some(Verdict::Reject))).unwrap().unwrap();
    }
    assert!(store.remove(&first.id).unwrap());
    assert_eq!(store.feedback_of(&first.id).unwrap(), []);
    assert_eq!((counted(&*store, None), store.feedback(None).unwrap().len()), ([0, 1], 1));
    // Of a run that is gone nothing is kept, nor of one that never was.
    let late = judgement("overall", None, Some(Verdict::Accept));
    assert_eq!(store.judge(&first, &late).unwrap(), None);
    assert_eq!(store.judge(&run("3"), &late).unwrap(), None);
    assert_eq!(store.feedback_of(&RunId("unknown".into())).unwrap(), []);
    // Runs that are forgotten with time take theirs along.
    assert_eq!(store.forget_old(0, None).unwrap(), 1);
    assert_eq!((counted(&*store, None), store.feedback(None).unwrap().len()), ([0, 0], 0));
}

fn a_retried_or_superseded_run_keeps_its_own(bench: &Bench) {
    let store = bench.open();
    let first = succeeded(&*store, "1");
    store.judge(&first, &judgement("overall", Some("alice"), Some(Verdict::Accept))).unwrap().unwrap();
    // The same question again is another run.
    let again = succeeded(&*store, "1");
    assert_eq!((&again.key, store.feedback_of(&again.id).unwrap().len()), (&first.key, 0));
    store.judge(&again, &judgement("overall", Some("alice"), Some(Verdict::Reject))).unwrap().unwrap();
    assert!(store.supersede(&first.id, &again.id).unwrap());
    assert_eq!(store.feedback_of(&first.id).unwrap()[0].verdict, Some(Verdict::Accept));
    assert_eq!(counted(&*store, None), [1, 1]);
}

fn one_of_two_at_once_is_the_later(bench: &Bench) {
    let store = bench.open();
    let run = succeeded(&*store, "1");
    std::thread::scope(|scope| {
        for verdict in Verdict::ALL {
            let (store, run) = (bench.open(), &run);
            scope.spawn(move || {
                for _ in 0..10 {
                    store.judge(run, &judgement("overall", Some("alice"), Some(verdict))).unwrap().unwrap();
                }
            });
        }
    });
    let feedback = store.feedback_of(&run.id).unwrap();
    assert_eq!(feedback.len(), 20);
    let current: Vec<usize> = (0..20).filter(|i| feedback[*i].current).collect();
    assert_eq!(current, [0], "the newest alone counts");
}
