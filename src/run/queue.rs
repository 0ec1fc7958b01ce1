//! The runs that wait: bounded, higher priority first, first come first served among equals.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::record::RunId;

pub struct RunQueue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    limit: usize,
}

#[derive(Default)]
struct Waiting {
    /// Sorted: the next run last.
    runs: Vec<(i32, RunId)>,
    closed: bool,
}

/// The queue holds as many runs as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full: {limit} runs are waiting")]
pub struct QueueFull {
    pub limit: usize,
}

impl RunQueue {
    pub fn new(limit: usize) -> Self {
        Self { waiting: Mutex::default(), changed: Condvar::new(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    pub fn len(&self) -> usize {
        self.lock().runs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// # Errors
    /// [`QueueFull`]; the run is not taken.
    pub fn push(&self, id: RunId, priority: i32) -> Result<(), QueueFull> {
        let mut waiting = self.lock();
        if waiting.runs.len() >= self.limit {
            return Err(QueueFull { limit: self.limit });
        }
        // Before all of the same or a higher priority: they are taken from the end.
        let at = waiting.runs.partition_point(|(p, _)| *p < priority);
        waiting.runs.insert(at, (priority, id));
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for the next run; None once the queue is closed.
    pub fn pop(&self) -> Option<RunId> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some((_, id)) = waiting.runs.pop() {
                return Some(id);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes a waiting run out; false where it does not wait (any more).
    pub fn remove(&self, id: &RunId) -> bool {
        let mut waiting = self.lock();
        let before = waiting.runs.len();
        waiting.runs.retain(|(_, r)| r != id);
        waiting.runs.len() < before
    }

    /// Wakes the worker for good; what still waits stays listed.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: i32) -> RunId {
        RunId(n.to_string())
    }

    #[test]
    fn priority_first_then_first_come() {
        let queue = RunQueue::new(10);
        for (n, priority) in [(1, 0), (2, 5), (3, 0), (4, -1), (5, 5)] {
            queue.push(id(n), priority).unwrap();
        }
        let order: Vec<_> = (0..5).map(|_| queue.pop().unwrap().0).collect();
        assert_eq!(order, ["2", "5", "1", "3", "4"]);
    }

    #[test]
    fn a_full_queue_refuses_and_names_its_limit() {
        let queue = RunQueue::new(2);
        queue.push(id(1), 0).unwrap();
        queue.push(id(2), 0).unwrap();
        assert_eq!(queue.push(id(3), 9), Err(QueueFull { limit: 2 }));
        assert!(queue.remove(&id(1)));
        assert!(!queue.remove(&id(1)));
        queue.push(id(3), 9).unwrap();
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn closing_wakes_the_waiting_worker() {
        let queue = std::sync::Arc::new(RunQueue::new(1));
        let worker = std::thread::spawn({
            let queue = queue.clone();
            move || queue.pop()
        });
        queue.close();
        assert_eq!(worker.join().unwrap(), None);
    }
}
