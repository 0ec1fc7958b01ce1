//! The source's own log of changes, read again behind its events: what an event was lost for (a restart before a study was stable, another
//! node that died) is found there.
//!
//! The log is read up to `lag` ago, so that what is read has had the time to become stable. The position is durable and moves on only when
//! everything before it has been evaluated: nothing is lost, and looking twice at a study makes no second run (its key is known).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use time::OffsetDateTime;

use super::rule::Trigger;
use crate::source::{Catalogue, Change, ChangeKind, Level, Resource, SourceError};

/// Changes asked for at a time.
const PAGE: usize = 500;

/// The evaluation has to be tried again: the queue is full, the store or the server is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later(pub String);

pub struct Replay {
    /// Up to here everything has been evaluated.
    cursor: i64,
    lag: Duration,
    /// When a resource was last evaluated because of an event, or by the replay.
    evaluated: HashMap<Resource, OffsetDateTime>,
}

impl Replay {
    pub fn new(cursor: i64, lag: Duration) -> Self {
        Self { cursor, lag, evaluated: HashMap::new() }
    }

    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// An event has had the resource evaluated.
    pub fn evaluated(&mut self, resource: Resource, at: OffsetDateTime) {
        self.evaluated.insert(resource, at);
    }

    /// Reads what has become old enough, and has `evaluate` look at each resource that no event has had it look at since it changed.
    /// Gives whether there is more to read at once.
    ///
    /// # Errors
    /// The log cannot be read, or an evaluation is to be tried [`Later`]: the position then stands before its change.
    pub fn step(
        &mut self,
        log: &dyn Catalogue,
        now: OffsetDateTime,
        triggers: &[Trigger],
        evaluate: &mut dyn FnMut(&Resource, Trigger) -> Result<(), Later>,
    ) -> Result<bool, Later> {
        let failed = |e: SourceError| Later(e.to_string());
        let page = log.changes(self.cursor, PAGE).map_err(failed)?;
        let (full, horizon) = (page.len() >= PAGE, now - self.lag);
        let mut studies: HashMap<String, String> = HashMap::new();
        let mut done: HashSet<Resource> = HashSet::new();
        for change in page {
            if change.date > horizon {
                self.forget(horizon);
                return Ok(false);
            }
            for (resource, trigger) in resources(log, &change, triggers, &mut studies).map_err(failed)? {
                // The log's clock has seconds only.
                let seen = self.evaluated.get(&resource).is_some_and(|at| *at > change.date + Duration::from_secs(1));
                if !seen && done.insert(resource.clone()) && rests(log, &resource, horizon).map_err(failed)? {
                    evaluate(&resource, trigger)?;
                    self.evaluated.insert(resource, now);
                }
            }
            self.cursor = change.seq;
        }
        Ok(full)
    }

    /// What was evaluated before all that is still to be read.
    fn forget(&mut self, horizon: OffsetDateTime) {
        self.evaluated.retain(|_, at| *at > horizon);
    }
}

/// What is to be looked at because of a change, as far as a rule has such a trigger. Empty where the resource is gone.
fn resources(
    log: &dyn Catalogue,
    change: &Change,
    triggers: &[Trigger],
    studies: &mut HashMap<String, String>,
) -> Result<Vec<(Resource, Trigger)>, SourceError> {
    let mut found = Vec::new();
    let mut add = |trigger: Trigger, level: Level, id: &str| {
        if triggers.contains(&trigger) {
            found.push((Resource::new(level, id), trigger));
        }
    };
    match change.kind {
        ChangeKind::StableStudy => add(Trigger::StableStudy, Level::Study, &change.id),
        ChangeKind::StableSeries => add(Trigger::StableSeries, Level::Series, &change.id),
        ChangeKind::NewInstance => {
            add(Trigger::NewInstance, Level::Instance, &change.id);
            // Its study and series may never have been told stable.
            if triggers.iter().any(|t| *t != Trigger::NewInstance)
                && let Some(series) = log.parent(&Resource::new(Level::Instance, &change.id))?
            {
                add(Trigger::StableSeries, Level::Series, &series.id);
                if !studies.contains_key(&series.id)
                    && let Some(study) = log.parent(&series)?
                {
                    studies.insert(series.id.clone(), study.id);
                }
                if let Some(study) = studies.get(&series.id) {
                    add(Trigger::StableStudy, Level::Study, study);
                }
            }
        }
        ChangeKind::Other => {}
    }
    Ok(found)
}

/// Whether nothing has come into the resource since the horizon; what has come will be read later.
fn rests(log: &dyn Catalogue, resource: &Resource, horizon: OffsetDateTime) -> Result<bool, SourceError> {
    if resource.level == Level::Instance {
        return Ok(true);
    }
    Ok(log.last_update(resource)?.is_some_and(|updated| updated <= horizon))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// One study "s" of one series "q", seconds after an hour.
    struct Log {
        changes: Vec<Change>,
        updated: i64,
    }

    fn at(second: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000 + second).unwrap()
    }

    fn change(seq: i64, kind: ChangeKind, id: &str, second: i64) -> Change {
        Change { seq, kind, id: id.into(), date: at(second) }
    }

    impl Catalogue for Log {
        fn changes(&self, since: i64, limit: usize) -> Result<Vec<Change>, SourceError> {
            Ok(self.changes.iter().filter(|c| c.seq > since).take(limit).cloned().collect())
        }
        fn last_change(&self) -> Result<i64, SourceError> {
            Ok(self.changes.last().map_or(0, |c| c.seq))
        }
        fn parent(&self, resource: &Resource) -> Result<Option<Resource>, SourceError> {
            Ok(match resource.level {
                Level::Instance if resource.id != "gone" => Some(Resource::new(Level::Series, "q")),
                Level::Series => Some(Resource::new(Level::Study, "s")),
                _ => None,
            })
        }
        fn last_update(&self, _: &Resource) -> Result<Option<OffsetDateTime>, SourceError> {
            Ok(Some(at(self.updated)))
        }
        fn remote_aet(&self, _: &Resource) -> Result<Option<String>, SourceError> {
            Ok(None)
        }
        fn modalities(&self, _: &Resource) -> Result<Option<Vec<String>>, SourceError> {
            Ok(None)
        }
    }

    fn steps(replay: &mut Replay, log: &Log, now: i64, triggers: &[Trigger]) -> Vec<String> {
        let seen = RefCell::new(Vec::new());
        let mut look = |resource: &Resource, _: Trigger| {
            seen.borrow_mut().push(resource.to_string());
            Ok(())
        };
        while replay.step(log, at(now), triggers, &mut look).unwrap() {}
        seen.into_inner()
    }

    const STUDIES: [Trigger; 1] = [Trigger::StableStudy];

    #[test]
    fn a_study_whose_stable_event_was_lost_is_found_by_its_instances() {
        let log =
            Log { changes: (1..=700).map(|i| change(i, ChangeKind::NewInstance, "i", i / 100)).collect(), updated: 7 };
        let mut replay = Replay::new(0, Duration::from_secs(10));
        assert_eq!(steps(&mut replay, &log, 5, &STUDIES), [""; 0], "too early");
        assert_eq!(replay.cursor(), 0);
        assert_eq!(steps(&mut replay, &log, 14, &STUDIES), [""; 0], "still growing at the horizon");
        assert_eq!(steps(&mut replay, &log, 17, &STUDIES), ["/studies/s"], "once, over two pages");
        assert_eq!(replay.cursor(), 700);
        assert_eq!(steps(&mut replay, &log, 99, &STUDIES), [""; 0]);
    }

    #[test]
    fn what_an_event_has_had_evaluated_is_not_looked_at_again() {
        let mut log = Log {
            changes: vec![change(1, ChangeKind::NewInstance, "i", 0), change(2, ChangeKind::StableStudy, "s", 5)],
            updated: 0,
        };
        let mut replay = Replay::new(0, Duration::from_secs(10));
        replay.evaluated(Resource::new(Level::Study, "s"), at(7));
        assert_eq!(steps(&mut replay, &log, 20, &STUDIES), [""; 0]);
        // A late slice, whose event was lost.
        log.changes.push(change(3, ChangeKind::NewInstance, "late", 30));
        log.updated = 30;
        assert_eq!(steps(&mut replay, &log, 41, &STUDIES), ["/studies/s"]);
    }

    #[test]
    fn what_has_to_wait_is_tried_again_and_holds_the_position() {
        let log = Log {
            changes: vec![change(1, ChangeKind::StableStudy, "a", 0), change(2, ChangeKind::StableStudy, "b", 0)],
            updated: 0,
        };
        let mut replay = Replay::new(0, Duration::from_secs(1));
        let mut full = |resource: &Resource, _: Trigger| match resource.id.as_str() {
            "a" => Ok(()),
            _ => Err(Later("the queue is full".into())),
        };
        assert_eq!(replay.step(&log, at(9), &STUDIES, &mut full), Err(Later("the queue is full".into())));
        assert_eq!(replay.cursor(), 1);
        assert_eq!(steps(&mut replay, &log, 9, &STUDIES), ["/studies/b"]);
    }

    #[test]
    fn only_what_a_rule_waits_for_is_looked_at() {
        let log = Log {
            changes: vec![
                change(1, ChangeKind::NewInstance, "i", 0),
                change(2, ChangeKind::NewInstance, "gone", 0),
                change(3, ChangeKind::Other, "x", 0),
                change(4, ChangeKind::StableSeries, "q", 1),
            ],
            updated: 0,
        };
        let seen = |triggers: &[Trigger]| steps(&mut Replay::new(0, Duration::from_secs(1)), &log, 9, triggers);
        assert_eq!(seen(&[Trigger::NewInstance]), ["/instances/i", "/instances/gone"]);
        assert_eq!(seen(&[Trigger::StableSeries]), ["/series/q"]);
        assert_eq!(seen(&[Trigger::StableSeries, Trigger::StableStudy]), ["/series/q", "/studies/s"]);
        assert_eq!(seen(&[]), [""; 0]);
    }
}
