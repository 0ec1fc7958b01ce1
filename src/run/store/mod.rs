//! The runs we know of, durably: the truth that REST, jobs and workers look at.
//!
//! [`RunStore`] is the meaning; [`sql`] carries it out once, in SQL that both databases read alike: [`sqlite`] in a file beside
//! the archive, [`postgres`] where several servers share one archive. A worker holds a run by a [`Lease`]: whoever has
//! lost it (a server that slept, a network that parted) can change the run no more.

mod connection;
mod feedback;
pub mod postgres;
mod row;
mod schema;
mod signal;
mod sql;
pub mod sqlite;
mod statements;
#[cfg(test)]
mod tests;
mod tls;

use std::time::{Duration, Instant};

use super::record::{Run, RunId, RunState, Stage};
use super::timestamp::Timestamp;
use crate::source::Resource;

pub use feedback::FeedbackStore;
pub use signal::Signal;

/// How often runs of other processes are looked at by [`RunStore::wait_finished`].
const POLL: Duration = Duration::from_millis(250);

/// Why the store did not answer. No message carries a path, an address or a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Not now: the database is away, locked, damaged, full … It may come back, and is tried again.
    #[error("the store of runs cannot be used: {reason}")]
    Unavailable { reason: String },
    /// One record is not what this version of the plugin writes.
    #[error("the record of run {id} cannot be read: {reason}")]
    Unreadable { id: RunId, reason: String },
}

/// Which runs to list; everything unset matches.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub state: Option<RunState>,
    pub model: Option<String>,
    pub resource: Option<Resource>,
    /// The source's id of the study.
    pub study: Option<String>,
    /// The source's id of an instance that the run stored, or found stored.
    pub stored: Option<String>,
    /// Created then or later.
    pub since: Option<Timestamp>,
    pub limit: Option<usize>,
}

/// When a run is not inserted.
#[derive(Debug, Clone, Copy)]
pub struct InsertRule {
    /// Runs that may wait.
    pub limit: usize,
    /// Not where a run with the same key was ever seen, whatever became of it: nobody asked for a second one. False: not
    /// where such a run waits or runs, and never for a forced run.
    pub unless_known: bool,
}

#[derive(Debug, Clone)]
pub enum Inserted {
    New(Run),
    /// The run that answers the same question.
    Known(Run),
    Full {
        limit: usize,
    },
}

/// Who wants to work, on what.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub node: &'a str,
    /// Names of the models that the node can run; None: whatever waits.
    pub models: Option<&'a [&'a str]>,
    /// How long the run is the node's without a heartbeat.
    pub lease: Duration,
}

/// The right to work on a run: of one node, for one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub id: RunId,
    pub node: String,
    pub attempt: u32,
}

impl Lease {
    /// Of a run that was claimed.
    pub fn of(run: &Run) -> Self {
        Self { id: run.id.clone(), node: run.node.clone().unwrap_or_default(), attempt: run.attempts }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heartbeat {
    Held,
    /// Still held; somebody on some node wants the run to end.
    CancelRequested,
    /// Another has the run, or nobody.
    Lost,
}

/// What became of the wish to cancel.
#[derive(Debug, Clone)]
pub enum Cancelled {
    /// It waited and is cancelled.
    Now(Run),
    /// It runs; its worker sees the wish within a second.
    Asked(Run),
    /// It is finished.
    TooLate(Run),
    Unknown,
}

/// Whose runs are taken back.
#[derive(Debug, Clone, Copy)]
pub enum TakeBack<'a> {
    /// Of workers whose lease has run out.
    Expired,
    /// Of the node itself, in an earlier life: where the store is its own.
    Node(&'a str),
    /// The same where the store is shared: another server may have been given the node's name, and its heartbeats go on.
    Silent { node: &'a str, silence: Duration },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunCount {
    pub model: String,
    pub state: RunState,
    pub runs: usize,
}

/// Keeps runs by id. Every method is one transaction: done as a whole and durable when it returns, or not at all. Any may
/// fail with [`StoreError::Unavailable`].
pub trait RunStore: FeedbackStore + Send + Sync {
    /// "SQLite" or "PostgreSQL".
    fn kind(&self) -> &'static str;

    /// Other nodes may work on the same runs.
    fn is_shared(&self) -> bool;

    /// Told of every change that this process makes.
    fn signal(&self) -> &Signal;

    /// # Errors
    /// Why the store cannot be used.
    fn check(&self) -> Result<(), StoreError>;

    /// Puts a new run into the queue, where `rule` lets it.
    fn insert(&self, run: &Run, rule: InsertRule) -> Result<Inserted, StoreError>;

    /// # Errors
    /// [`StoreError::Unreadable`]
    fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError>;

    /// Newest first. A record that cannot be read is left out, with a line in the log.
    fn list(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError>;

    fn counts(&self) -> Result<Vec<RunCount>, StoreError>;

    /// The waiting run that is next (higher priority first, then first come), now Running and the node's. None where nothing
    /// waits, or the queue is suspended.
    fn claim(&self, claim: &Claim) -> Result<Option<Run>, StoreError>;

    /// Keeps the lease for `length` from now, and says how far the run is.
    fn heartbeat(
        &self,
        lease: &Lease,
        length: Duration,
        stage: Option<Stage>,
        progress: u8,
    ) -> Result<Heartbeat, StoreError>;

    /// Applies `change` to a run that the lease holds, and gives it as it then is; None where the lease is lost. A change to
    /// a final state ends the lease.
    fn update(&self, lease: &Lease, change: &mut dyn FnMut(&mut Run)) -> Result<Option<Run>, StoreError>;

    /// Back into the queue as if it had not been claimed: the server stops. False where the lease is lost.
    fn release(&self, lease: &Lease) -> Result<bool, StoreError>;

    /// Back into the queue for another attempt after `delay`; a run that shall be cancelled is. False where the lease is
    /// lost.
    fn retry_later(&self, lease: &Lease, delay: Duration, error: &str) -> Result<bool, StoreError>;

    /// Runs whose worker is gone go back into the queue; those that have had their `attempts` end as Failed, those that
    /// shall be cancelled as Cancelled. Gives the ones that ended.
    fn take_back(&self, whose: TakeBack, attempts: u32) -> Result<Vec<Run>, StoreError>;

    fn cancel(&self, id: &RunId) -> Result<Cancelled, StoreError>;

    /// A run that waits waits for no time of day any longer, and has at least this priority; false where it does not wait.
    fn hasten(&self, id: &RunId, priority: i32) -> Result<bool, StoreError>;

    /// False for an unknown run.
    fn supersede(&self, id: &RunId, by: &RunId) -> Result<bool, StoreError>;

    /// Forgets a finished run; false where there is none.
    fn remove(&self, id: &RunId) -> Result<bool, StoreError>;

    /// Forgets finished runs but for the newest `history`, and (unless it is None) those that finished `days` ago or
    /// earlier. Gives how many.
    fn forget_old(&self, history: usize, days: Option<u32>) -> Result<usize, StoreError>;

    /// How far a reader of some sequence has come, by the reader's name.
    fn cursor(&self, name: &str) -> Result<Option<i64>, StoreError>;

    fn set_cursor(&self, name: &str, value: i64) -> Result<(), StoreError>;

    /// Whether waiting runs are left where they are, on every node.
    fn is_suspended(&self) -> Result<bool, StoreError>;

    fn set_suspended(&self, suspended: bool) -> Result<(), StoreError>;

    /// Runs that wait.
    fn queue_length(&self) -> Result<usize, StoreError> {
        Ok(self.counts()?.iter().filter(|c| c.state == RunState::Queued).map(|c| c.runs).sum())
    }

    /// Waits until the run is finished, by whichever node; gives it as it is then, or at the deadline. None where there is
    /// no such run (any more).
    fn wait_finished(&self, id: &RunId, timeout: Duration) -> Result<Option<Run>, StoreError> {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.signal().seen();
            let run = self.get(id)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || run.as_ref().is_none_or(|run| run.state.is_final()) {
                return Ok(run);
            }
            self.signal().wait(seen, left.min(POLL));
        }
    }
}
