//! Whether the server is receiving images.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After an image the next one of the same study comes within this time: a slow C-STORE takes as long.
const PAUSE: Duration = Duration::from_millis(100);

/// Told of each instance that arrives.
#[derive(Debug)]
pub struct Receiving {
    start: Instant,
    /// Milliseconds after `start`, plus 1; 0: nothing yet.
    last: AtomicU64,
}

impl Default for Receiving {
    fn default() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl Receiving {
    /// An instance has arrived.
    pub fn note(&self) {
        self.last.store(self.now() + 1, Ordering::Relaxed);
    }

    /// One has arrived just now, and others are to be expected.
    pub fn is_going_on(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last > 0 && u128::from((self.now() + 1).saturating_sub(last)) < PAUSE.as_millis()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_until_a_pause() {
        let receiving = Receiving::default();
        assert!(!receiving.is_going_on());
        receiving.note();
        assert!(receiving.is_going_on());
        std::thread::sleep(PAUSE + Duration::from_millis(20));
        assert!(!receiving.is_going_on());
        receiving.note();
        assert!(receiving.is_going_on());
    }
}
