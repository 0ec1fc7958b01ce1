//! Wakes the threads of this process that wait for a change in the store. Changes of other processes are found by polling.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Signal {
    changes: Mutex<u64>,
    changed: Condvar,
}

impl Signal {
    /// The number of changes so far: taken before looking, so that none is missed between the look and [`Self::wait`].
    pub fn seen(&self) -> u64 {
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn raise(&self) {
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// Returns at the first change after `seen`, or after `timeout`.
    pub fn wait(&self, seen: u64, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        while *changes == seen {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            (changes, _) = self.changed.wait_timeout(changes, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_wakes_and_none_is_missed() {
        let signal = Signal::default();
        let seen = signal.seen();
        signal.raise();
        // Raised before the wait began.
        signal.wait(seen, Duration::from_secs(60));
        let seen = signal.seen();
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| signal.wait(seen, Duration::from_secs(60)));
            signal.raise();
        });
        assert!(start.elapsed() < Duration::from_secs(30));
        signal.wait(signal.seen(), Duration::from_millis(1));
    }
}
