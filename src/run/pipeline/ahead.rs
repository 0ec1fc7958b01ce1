//! Work done ahead of the one who needs it: fetch, read and prepare, while the network is at what came before.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

pub(super) const THREADS: usize = 2;

/// What was made of the items, a queue a thread.
pub(super) struct Queues<M>(Vec<Receiver<M>>);

impl<M> Queues<M> {
    /// Next of what was made of the item of this number; None where its thread has ended.
    pub fn next_of(&self, item: usize) -> Option<M> {
        self.0.get(item % THREADS)?.recv().ok()
    }
}

/// Has `work` done on each item and lets `take` have what it sends, item by item. A thread has every second item and a queue of its own: what
/// is made beyond the item that is waited for is bounded by `waiting` messages a thread, however long that one takes, and the order is always the same.
/// A thread ends where `work` breaks; it should where nobody listens any more, and after an error that ends the run.
pub(super) fn in_order<I: Sync, M: Send, T>(
    items: &[I],
    waiting: usize,
    work: impl Fn(&I, &SyncSender<M>) -> ControlFlow<()> + Sync,
    take: impl FnOnce(Queues<M>) -> T,
) -> T {
    std::thread::scope(|scope| {
        let start = |thread: usize| {
            let (sender, receiver) = sync_channel(waiting);
            let work = &work;
            scope.spawn(move || items.iter().skip(thread).step_by(THREADS).try_for_each(|item| work(item, &sender)));
            receiver
        };
        // The queues go with `take`: threads that still want to hand something over end then, and are waited for.
        take(Queues((0..THREADS.min(items.len())).map(start).collect()))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn send<M>(queue: &SyncSender<M>, message: M) -> ControlFlow<()> {
        queue.send(message).map_or(ControlFlow::Break(()), ControlFlow::Continue)
    }

    #[test]
    fn items_come_in_order_whatever_takes_longest() {
        let items: Vec<u64> = vec![9, 0, 5, 1, 0, 7];
        let work = |item: &u64, queue: &SyncSender<u64>| {
            std::thread::sleep(std::time::Duration::from_millis(*item));
            send(queue, *item)
        };
        let found = in_order(&items, 1, work, |queues| (0..6).map(|i| queues.next_of(i).unwrap()).collect::<Vec<_>>());
        assert_eq!(found, items);
    }

    #[test]
    fn little_is_made_beyond_what_is_taken_and_threads_end_with_the_taker() {
        let made = AtomicUsize::new(0);
        let work = |_: &usize, queue: &SyncSender<()>| {
            made.fetch_add(1, Ordering::SeqCst);
            send(queue, ())
        };
        let items: Vec<usize> = (0..1000).collect();
        in_order(&items, 2, work, |queues| queues.next_of(0).unwrap());
        // One taken, two waiting and one in hand on each thread.
        assert!(made.into_inner() <= 1 + 2 * 3 + 2);
    }

    #[test]
    fn a_thread_that_has_ended_sends_nothing() {
        let work = |item: &usize, queue: &SyncSender<usize>| {
            let _sent = send(queue, *item);
            ControlFlow::Break(())
        };
        let found = in_order(&[3, 4, 5], 4, work, |queues| [0, 1, 2].map(|i| queues.next_of(i)));
        assert_eq!(found, [Some(3), Some(4), None]);
    }
}
