//! What becomes of a run after an attempt: done, done again later, back into the queue, or ended; and what is cleaned up.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::attempt::Attempt;
use super::audit::{Action, AuditEvent};
use super::fault;
use super::marks::Change;
use super::pipeline::{AnalysedSlice, RunError, RunOutcome};
use super::record::{ImageResult, Run, RunState, SliceResult};
use super::store::{Heartbeat, RunFilter};
use super::timestamp::Timestamp;
use super::worker::Worker;
use crate::manifest::SupersedePolicy;
use crate::source::{InstanceId, ResultStore, StoreStatus, StoredInstance};

const LONGEST_BACKOFF: Duration = Duration::from_secs(3600);

impl Worker {
    /// `run` as it was claimed.
    pub(super) fn settle(&self, mut run: Run, attempt: &Attempt, outcome: Result<RunOutcome, RunError>) {
        run.intents = attempt.intents();
        let stopping = self.control.is_stopping() && !attempt.is_unwanted();
        match outcome {
            Ok(outcome) => self.succeed(&run, attempt, &outcome),
            Err(_) if attempt.is_lost() => log::warn!("run {}: another node has taken it over", run.id),
            Err(RunError::Cancelled) if stopping => self.release(&run, attempt),
            Err(RunError::Cancelled) => self.end(&run, attempt, RunState::Cancelled, None),
            Err(error) if error.is_transient() && stopping => self.release(&run, attempt),
            Err(error) if error.is_transient() && run.attempts < self.settings.attempts => {
                self.retry_later(&run, attempt, &error);
            }
            Err(error) if run.attempts > 1 => {
                self.end(&run, attempt, RunState::Failed, Some(format!("{error} ({} attempts)", run.attempts)));
            }
            Err(error) => self.end(&run, attempt, RunState::Failed, Some(error.to_string())),
        }
    }

    fn succeed(&self, run: &Run, attempt: &Attempt, outcome: &RunOutcome) {
        if !self.still_holds(attempt) {
            return self.finished_by_another(run, outcome);
        }
        let ours = uids(&outcome.stored);
        discard_left(&*self.results, run, &ours);
        self.supersede_earlier(run, &self.replaceable(run), &ours);
        self.marks.set(&*self.store, run, Change::Ends(RunState::Succeeded));
        fault::point(|| "settling".into());
        let finish = || {
            self.store.update(&attempt.lease, &mut |record| {
                record.state = RunState::Succeeded;
                record.progress = 100;
                record.stage = None;
                record.finished = Some(Timestamp::now());
                fill_in(record, outcome);
            })
        };
        match self.insist(finish) {
            Some(Some(run)) => {
                fault::point(|| "finished".into());
                self.tell_finished(&run);
                if run.status == Some(StoreStatus::Stored) {
                    (self.audit)(&AuditEvent::own(Action::ResultsStored, &run));
                }
                self.give_way_to_later(&run);
            }
            Some(None) => self.finished_by_another(run, outcome),
            // The server stops, the store is away: the next start does it again and finds the results stored.
            None => log::warn!("run {}: its end could not be recorded", run.id),
        }
    }

    /// Asked before anything is removed from the archive: it could be what another node has just stored for this run.
    fn still_holds(&self, attempt: &Attempt) -> bool {
        let beat = || self.store.heartbeat(&attempt.lease, self.settings.lease, None, 99);
        self.insist(beat).is_some_and(|answer| answer != Heartbeat::Lost)
    }

    /// The lease was lost at the last moment. What this attempt stored stays where the run's record has it, or where the
    /// run is not finished: its next attempt knows of it.
    fn finished_by_another(&self, run: &Run, outcome: &RunOutcome) {
        let Some(Some(record)) = self.insist(|| self.store.get(&run.id)) else { return };
        if !record.state.is_final() {
            return;
        }
        for new in outcome.stored.iter().filter(|s| s.status == StoreStatus::Stored) {
            if record.stored.iter().all(|s| s.sop_instance_uid != new.sop_instance_uid) {
                discard(&*self.results, run, &new.path);
            }
        }
    }

    fn release(&self, run: &Run, attempt: &Attempt) {
        match self.insist(|| self.store.release(&attempt.lease)) {
            Some(_) => log::info!("run {}: back into the queue, the server stops", run.id),
            None => log::info!("run {}: taken up again at the next start", run.id),
        }
    }

    fn retry_later(&self, run: &Run, attempt: &Attempt, error: &RunError) {
        let doublings = run.attempts.saturating_sub(1).min(16);
        let delay = (self.settings.backoff * (1 << doublings)).min(LONGEST_BACKOFF);
        let (n, of) = (run.attempts, self.settings.attempts);
        log::warn!("run {}: attempt {n} of {of} failed, the next is in {} s: {error}", run.id, delay.as_secs());
        self.metrics.retried(&run.request.model);
        self.insist(|| self.store.retry_later(&attempt.lease, delay, &error.to_string()));
    }

    fn end(&self, run: &Run, attempt: &Attempt, state: RunState, error: Option<String>) {
        if !self.still_holds(attempt) {
            return log::warn!("run {}: another node has taken it over", run.id);
        }
        discard_left(&*self.results, run, &[]);
        if state == RunState::Failed {
            self.marks.set(&*self.store, run, Change::Ends(state));
        }
        let finish = || {
            self.store.update(&attempt.lease, &mut |record| {
                record.state = state;
                record.stage = None;
                record.finished = Some(Timestamp::now());
                record.error.clone_from(&error);
            })
        };
        if let Some(Some(run)) = self.insist(finish) {
            self.tell_finished(&run);
        }
    }

    /// Runs that ended because their servers did.
    pub(super) fn give_up(&self, runs: Vec<Run>) {
        for run in runs {
            discard_left(&*self.results, &run, &[]);
            if run.state == RunState::Failed {
                self.marks.set(&*self.store, &run, Change::Ends(run.state));
            }
            self.tell_finished(&run);
        }
    }

    fn tell_finished(&self, run: &Run) {
        self.metrics.finished(
            &run.request.model,
            run.state,
            &run.stage_seconds,
            Timestamp::now().milliseconds() / 1000,
        );
        log_finished(run);
    }

    /// The results of earlier automatic runs of a less complete input go, where the model's manifest wants it. Before this run is recorded
    /// as finished: a server that is killed here does it at the next attempt.
    fn supersede_earlier(&self, run: &Run, others: &[Run], keep: &[&str]) {
        for earlier in others.iter().filter(|earlier| run.supersedes(earlier)) {
            self.supersede(earlier, run, keep);
        }
    }

    /// A more complete input was asked for while this run was at its part of it, and another node has been faster with it. Each of the two looks for
    /// the other after its own end is recorded: one of them sees it.
    fn give_way_to_later(&self, run: &Run) {
        let others = self.replaceable(run);
        match others.iter().find(|later| later.supersedes(run)) {
            Some(later) => self.supersede(run, later, &uids(&later.stored)),
            None => self.supersede_earlier(run, &others, &uids(&run.stored)),
        }
    }

    /// The study's results of the model, where the manifest wants later ones in the place of earlier ones.
    fn replaceable(&self, run: &Run) -> Vec<Run> {
        let policy = self.models.manifest(&run.request.model).map(|m| m.report.supersede);
        let of_study = RunFilter {
            state: Some(RunState::Succeeded),
            model: Some(run.request.model.clone()),
            study: Some(run.request.study.clone()),
            ..RunFilter::default()
        };
        let list = || self.store.list(&of_study);
        if policy == Some(SupersedePolicy::Replace) { self.insist(list).unwrap_or_default() } else { Vec::new() }
    }

    /// Whether a person has asked for the same, and was answered with this object.
    fn is_also_a_persons(&self, stored: &str) -> bool {
        let with_it = RunFilter { stored: Some(stored.to_owned()), ..RunFilter::default() };
        let runs = self.insist(|| self.store.list(&with_it)).unwrap_or_default();
        runs.iter().any(|run| run.request.origin.rule().is_none())
    }

    fn supersede(&self, earlier: &Run, later: &Run, keep: &[&str]) {
        let outdated = |s: &&StoredInstance| {
            let uid = s.sop_instance_uid.as_str();
            earlier.made(uid) && !keep.contains(&uid) && !self.is_also_a_persons(&s.id)
        };
        let outdated: Vec<&StoredInstance> = earlier.stored.iter().filter(outdated).collect();
        // What cannot be removed now is when the next run on the study ends.
        if outdated.iter().filter(|stored| !discard(&*self.results, earlier, &stored.path)).count() > 0 {
            return;
        }
        self.insist(|| self.store.supersede(&earlier.id, &later.id));
        if !outdated.is_empty() {
            (self.audit)(&AuditEvent::own(Action::ResultsDeleted, earlier));
        }
        log::info!("run {}: superseded by run {}", earlier.id, later.id);
    }
}

fn uids(stored: &[StoredInstance]) -> Vec<&str> {
    stored.iter().map(|s| s.sop_instance_uid.as_str()).collect()
}

/// Takes away what attempts of this run have put into the archive, but for `keep`: a run leaves all of its objects or none.
pub(super) fn discard_left(results: &dyn ResultStore, run: &Run, keep: &[&str]) {
    let intended: BTreeSet<&str> = run.intents.iter().map(|i| i.sop_instance_uid.as_str()).collect();
    for uid in intended.into_iter().filter(|uid| run.made(uid) && !keep.contains(uid)) {
        match results.find(uid) {
            Ok(Some(path)) => {
                discard(results, run, &path);
            }
            Ok(None) => {}
            Err(e) => log::warn!("run {}: whether an object of an earlier attempt is left is unknown: {e}", run.id),
        }
    }
}

/// False where the object is still there.
fn discard(results: &dyn ResultStore, run: &Run, path: &str) -> bool {
    match results.discard(path) {
        Ok(()) => log::info!("run {}: the object {path} is removed from the archive", run.id),
        Err(e) => {
            log::warn!("run {}: the object {path} stays in the archive: {e}", run.id);
            return false;
        }
    }
    true
}

fn fill_in(run: &mut Run, outcome: &RunOutcome) {
    run.stage_seconds.clone_from(&outcome.stage_seconds);
    run.stored.clone_from(&outcome.stored);
    run.warnings.clone_from(&outcome.warnings);
    for i in 0..run.stored.len() {
        // Stored by an attempt before this one: still this run's.
        if run.made(&run.stored[i].sop_instance_uid) {
            run.stored[i].status = StoreStatus::Stored;
        }
    }
    let all_old = run.stored.iter().all(|s| s.status == StoreStatus::AlreadyStored);
    run.status = Some(if all_old { StoreStatus::AlreadyStored } else { StoreStatus::Stored });
    let ids = run.request.inputs.iter().map(|i| i.id.to_string());
    run.results = ids
        .zip(&outcome.report.images)
        .map(|(instance_id, image)| ImageResult { instance_id, image: image.clone() })
        .collect();
    run.overall.clone_from(&outcome.report.overall);
    run.segmentation.clone_from(&outcome.report.segmentation);
    let id_of: HashMap<&str, &InstanceId> =
        run.request.inputs.iter().map(|i| (i.sop_instance_uid.as_str(), &i.id)).collect();
    let slice = |s: &AnalysedSlice| {
        Some(SliceResult {
            instance_id: id_of.get(s.sop_instance_uid.as_str())?.to_string(),
            frame: s.frame.map(|n| n.saturating_sub(1)),
            analysed: s.analysed,
            mask_frames: s.mask_frames.clone(),
        })
    };
    run.slices = outcome.slices.iter().filter_map(slice).collect();
    run.report = Some(outcome.report.clone());
}

/// One line a run, ids only.
fn log_finished(run: &Run) {
    let (id, model, resource) = (&run.id, &run.request.model, &run.request.resource);
    let seconds = run.stage_seconds.get("total").copied().unwrap_or_default();
    let demo = if run.card.demo { " [DEMO weights]" } else { "" };
    match run.state {
        RunState::Failed => {
            log::error!("run {id}: {model}{demo} on {resource} failed: {}", run.error.as_deref().unwrap_or_default());
        }
        RunState::Cancelled => log::info!("run {id}: {model}{demo} on {resource} was cancelled"),
        _ => {
            let failed = run.results.iter().filter(|r| !r.image.success).count();
            let (images, stored) = (run.request.inputs.len(), run.stored.len());
            log::info!(
                "run {id}: {model}{demo} on {resource}: {images} images ({failed} failed), {stored} stored in {seconds:.2} s"
            );
        }
    }
}
