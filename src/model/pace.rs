//! How a computation gives way to what is more urgent: between two layers the thread that computes looks, and waits.
//!
//! A priority alone is not enough: what computes on one core takes memory bandwidth, cache and (on hyper-threads) the very units that the
//! other needs.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nobody waits longer at a time, however long the urgent lasts …
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// … and then computes so long without looking: a tenth of the time, at worst.
const TURN: Duration = Duration::from_millis(100);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Whether there is something more urgent now.
pub type Urgent = Arc<dyn Fn() -> bool + Send + Sync>;

thread_local! {
    static PACE: RefCell<Option<Pace>> = const { RefCell::new(None) };
}

struct Pace {
    urgent: Urgent,
    /// No look before.
    turn_ends: Option<Instant>,
}

/// The calling thread gives way from now on.
pub fn give_way_to(urgent: Urgent) {
    PACE.with_borrow_mut(|pace| *pace = Some(Pace { urgent, turn_ends: None }));
}

/// Called by networks between two layers. Returns at once on threads that give way to nothing.
pub fn stand_aside() {
    PACE.with_borrow_mut(|pace| {
        if let Some(pace) = pace {
            pace.stand_aside(&mut Instant::now, &mut std::thread::sleep);
        }
    });
}

impl Pace {
    fn stand_aside(&mut self, now: &mut dyn FnMut() -> Instant, sleep: &mut dyn FnMut(Duration)) {
        let began = now();
        if self.turn_ends.is_some_and(|end| began < end) {
            return;
        }
        self.turn_ends = None;
        while (self.urgent)() {
            sleep(LOOK);
            let after = now();
            if after - began >= LONGEST_WAIT {
                self.turn_ends = Some(after + TURN);
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Layers of 10 ms each, for so long; how long was waited.
    fn waited(layers: usize, urgent: impl Fn(Duration) -> bool + Send + Sync + 'static) -> Duration {
        let (start, waited) = (Instant::now(), Cell::new(Duration::ZERO));
        let clock = Cell::new(start);
        let is_urgent = Arc::new(AtomicBool::new(false));
        let seen = is_urgent.clone();
        let mut pace = Pace { urgent: Arc::new(move || seen.load(Ordering::Relaxed)), turn_ends: None };
        let look = || is_urgent.store(urgent(clock.get() - start), Ordering::Relaxed);
        for _ in 0..layers {
            look();
            pace.stand_aside(&mut || clock.get(), &mut |time| {
                clock.set(clock.get() + time);
                waited.set(waited.get() + time);
                look();
            });
            clock.set(clock.get() + Duration::from_millis(10));
        }
        waited.get()
    }

    #[test]
    fn waits_as_long_as_it_is_urgent() {
        assert_eq!(waited(100, |_| false), Duration::ZERO);
        let half_a_second = waited(100, |at| at < Duration::from_millis(500));
        assert!((490..=510).contains(&half_a_second.as_millis()), "{half_a_second:?}");
    }

    #[test]
    fn what_is_always_urgent_leaves_a_tenth_of_the_time() {
        // 1 s of computing in turns of 100 ms, with 1 s before each.
        let waited = waited(100, |_| true);
        assert!((9.0..=11.0).contains(&waited.as_secs_f64()), "{waited:?}");
    }

    #[test]
    fn other_threads_do_not_wait() {
        let urgent: Urgent = Arc::new(|| true);
        std::thread::spawn(move || give_way_to(urgent)).join().unwrap();
        let start = Instant::now();
        stand_aside();
        assert!(start.elapsed() < LONGEST_WAIT);
    }
}
