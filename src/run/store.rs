//! The runs we know of. In memory today; the trait is the seam for a durable store with the same meaning.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::record::{Run, RunId, RunState};
use crate::source::Resource;

/// Which runs to list; everything unset matches.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub state: Option<RunState>,
    pub model: Option<String>,
    pub resource: Option<Resource>,
    /// The source's id of the study.
    pub study: Option<String>,
    pub limit: Option<usize>,
}

/// Keeps runs by id. Every change goes through [`RunStore::update`], so that a later store can make it durable.
pub trait RunStore: Send + Sync {
    fn insert(&self, run: Run);
    fn get(&self, id: &RunId) -> Option<Run>;
    /// Applies `change` and gives the run as it then is; None for an unknown id.
    fn update(&self, id: &RunId, change: &mut dyn FnMut(&mut Run)) -> Option<Run>;
    /// Newest first.
    fn list(&self, filter: &RunFilter) -> Vec<Run>;
    /// Forgets a run.
    fn remove(&self, id: &RunId) -> Option<Run>;
    /// Waits until the run is finished; gives it as it is then, or at the deadline.
    fn wait_finished(&self, id: &RunId, timeout: Duration) -> Option<Run>;
}

/// The last [`MemoryRunStore::new`]`(history)` finished runs, and all that are not finished.
pub struct MemoryRunStore {
    runs: Mutex<Runs>,
    finished: Condvar,
    history: usize,
}

#[derive(Default)]
struct Runs {
    by_id: HashMap<RunId, Run>,
    /// Oldest first.
    order: Vec<RunId>,
}

impl MemoryRunStore {
    pub fn new(history: usize) -> Self {
        Self { runs: Mutex::default(), finished: Condvar::new(), history }
    }

    /// A panic elsewhere leaves whole runs behind: no change is made of two steps.
    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs {
    fn forget_old(&mut self, history: usize) {
        let finished = |runs: &Self, id: &RunId| runs.by_id.get(id).is_none_or(|r| r.state.is_final());
        let mut surplus = self.order.iter().filter(|id| finished(self, id)).count().saturating_sub(history);
        let order = std::mem::take(&mut self.order);
        for id in order {
            if surplus > 0 && finished(self, &id) {
                self.by_id.remove(&id);
                surplus -= 1;
            } else {
                self.order.push(id);
            }
        }
    }
}

impl RunStore for MemoryRunStore {
    fn insert(&self, run: Run) {
        let mut runs = self.lock();
        runs.order.push(run.id.clone());
        runs.by_id.insert(run.id.clone(), run);
        runs.forget_old(self.history);
    }

    fn get(&self, id: &RunId) -> Option<Run> {
        self.lock().by_id.get(id).cloned()
    }

    fn update(&self, id: &RunId, change: &mut dyn FnMut(&mut Run)) -> Option<Run> {
        let mut runs = self.lock();
        let run = runs.by_id.get_mut(id)?;
        change(run);
        if run.state.is_final() {
            self.finished.notify_all();
        }
        Some(run.clone())
    }

    fn list(&self, filter: &RunFilter) -> Vec<Run> {
        let runs = self.lock();
        let matches = |r: &&Run| {
            filter.state.is_none_or(|s| r.state == s)
                && filter.model.as_ref().is_none_or(|m| r.model == *m)
                && filter.resource.as_ref().is_none_or(|x| r.request.resource == *x)
                && filter.study.as_ref().is_none_or(|s| r.study == *s)
        };
        let newest_first = runs.order.iter().rev().filter_map(|id| runs.by_id.get(id));
        newest_first.filter(matches).take(filter.limit.unwrap_or(usize::MAX)).cloned().collect()
    }

    fn remove(&self, id: &RunId) -> Option<Run> {
        let mut runs = self.lock();
        runs.order.retain(|o| o != id);
        runs.by_id.remove(id)
    }

    fn wait_finished(&self, id: &RunId, timeout: Duration) -> Option<Run> {
        let deadline = Instant::now() + timeout;
        let mut runs = self.lock();
        loop {
            let run = runs.by_id.get(id)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if run.state.is_final() || left.is_zero() {
                return Some(run.clone());
            }
            (runs, _) = self.finished.wait_timeout(runs, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
