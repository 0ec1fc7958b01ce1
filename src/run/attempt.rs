//! One attempt at a run: its lease, its progress, and whether it is still wanted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::fault;
use super::pipeline::{Monitor, RunError};
use super::record::{Intent, Run, Stage};
use super::store::{Heartbeat, Lease, Signal};
use super::worker::Worker;

/// Between heartbeats: how fine progress is seen by others, and how soon a cancel from another node is.
const BEAT: Duration = Duration::from_millis(500);
/// How often what waits and runs is counted meanwhile.
const BEATS_A_COUNT: u32 = 10;

/// What the pipeline tells, kept in the store by a thread of its own: a window of a volume may take ten seconds.
pub(super) struct Attempt<'a> {
    worker: &'a Worker,
    pub lease: Lease,
    progress: Mutex<(Option<Stage>, u8)>,
    /// Of this attempt and of those before.
    intents: Mutex<Vec<Intent>>,
    /// Somebody wants the run to end, as the store has it.
    cancelled: AtomicBool,
    lost: AtomicBool,
    over: AtomicBool,
    end: Signal,
}

impl<'a> Attempt<'a> {
    pub fn new(worker: &'a Worker, lease: Lease, run: &Run) -> Self {
        Self {
            worker,
            lease,
            progress: Mutex::new((None, 0)),
            intents: Mutex::new(run.intents.clone()),
            cancelled: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            over: AtomicBool::new(false),
            end: Signal::default(),
        }
    }

    /// Keeps the lease until the end.
    pub fn beat(&self) {
        for beat in 1_u32.. {
            let seen = self.end.seen();
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            self.end.wait(seen, BEAT);
            let (stage, progress) = *self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            // The worker, who counts between runs, may be at this one for minutes.
            if beat.is_multiple_of(BEATS_A_COUNT) {
                self.worker.metrics.count(&*self.worker.store);
            }
            match self.worker.store.heartbeat(&self.lease, self.worker.settings.lease, stage, progress) {
                // While the store is away nobody can take the run over: the work goes on.
                Ok(Heartbeat::Held) | Err(_) => {}
                Ok(Heartbeat::CancelRequested) => self.cancelled.store(true, Ordering::SeqCst),
                Ok(Heartbeat::Lost) => self.lost.store(true, Ordering::SeqCst),
            }
        }
    }

    /// The heart stops when this is dropped, by a panic too: the thread that holds it waits for the heart's.
    pub fn end_on_drop(&self) -> impl Drop {
        End(self)
    }

    /// Another has the run.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Somebody wants the run to end.
    pub fn is_unwanted(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) || self.worker.control.is_cancelled()
    }

    pub fn intents(&self) -> Vec<Intent> {
        self.intents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct End<'a, 'w>(&'a Attempt<'w>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
        self.0.end.raise();
    }
}

impl Monitor for Attempt<'_> {
    fn progress(&self, stage: Stage, done: usize, total: usize) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *progress = (Some(stage), progress.1.max(stage.percent(done, total)));
        fault::point(|| format!("{} {done}", stage.name()));
    }

    fn is_cancelled(&self) -> bool {
        self.is_unwanted() || self.is_lost() || self.worker.control.is_stopping()
    }

    /// Written down before anything is stored: from here on whatever happens to this server, the next attempt knows what it
    /// may have left. And only the run's holder gets past this.
    fn storing(&self, sop_instance_uids: &[&str]) -> Result<(), RunError> {
        let mut own = Vec::with_capacity(sop_instance_uids.len());
        for uid in sop_instance_uids {
            let existed = self.worker.results.find(uid)?.is_some();
            own.push(Intent { attempt: self.lease.attempt, sop_instance_uid: (*uid).to_string(), existed });
        }
        let record = || self.worker.store.update(&self.lease, &mut |run| run.intents.extend(own.iter().cloned()));
        match self.worker.insist(record) {
            Some(Some(run)) => {
                *self.intents.lock().unwrap_or_else(PoisonError::into_inner) = run.intents;
                fault::point(|| "intended".into());
                Ok(())
            }
            Some(None) => {
                self.lost.store(true, Ordering::SeqCst);
                Err(RunError::Cancelled)
            }
            None => Err(RunError::Cancelled),
        }
    }
}
