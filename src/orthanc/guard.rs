//! The panic boundary: no unwinding may cross `extern "C"` (it would abort the whole server).

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

thread_local! {
    /// How many guards are on this thread's stack.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where and why this thread panicked last, under a guard.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic's message may quote what it was given; a line of log has room for no more than this many characters of it.
const MESSAGE_CHARS: usize = 160;

/// A callback has at least this much stack, bytes: CivetWeb gives Orthanc's HTTP threads about 100 KB in all, less than a JSON
/// reader in a build without optimisation needs.
const ENOUGH_STACK: usize = 256 * 1024;
/// What it gets where there is less, bytes; memory is only taken as it is touched.
const MORE_STACK: usize = 2 * 1024 * 1024;

/// Runs the body of a callback, on a stack of its own where the host's thread has too little. A panic becomes one error line in the log, with file and line, and `on_panic` is returned.
///
/// `what` names the callback. The body's captures need not be unwind-safe: what it may leave half-done lies behind locks whose poison
/// our code handles.
pub fn guard<T>(what: &str, on_panic: T, body: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(install_hook);
    DEPTH.set(DEPTH.get() + 1);
    let body = || stacker::maybe_grow(ENOUGH_STACK, MORE_STACK, || framed(body));
    let value = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let panic = PANIC.take().unwrap_or_else(|| "at an unknown place".into());
        discard(payload);
        // A logger that panics must not undo the guard.
        let logged = catch_unwind(|| log::error!("panic in {what} {panic}; the server goes on"));
        logged.unwrap_or_else(discard);
        on_panic
    });
    DEPTH.set(DEPTH.get() - 1);
    value
}

/// Never inlined, so that what the body has on its stack is not taken from the small one before there is another.
#[inline(never)]
fn framed<T>(body: impl FnOnce() -> T) -> T {
    body()
}

/// Drops a panic's payload, whose destructor may panic as well, with a payload of its own.
fn discard(mut payload: Box<dyn Any + Send>) {
    for _ in 0..4 {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

/// Under a guard a panic is noted for the guard's log line; elsewhere the hook that was there before has its say.
fn install_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if DEPTH.get() == 0 {
            previous(info);
            return;
        }
        PANIC.set(Some(describe(info)));
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let location = info.location().map_or_else(|| "?".into(), |at| format!("{}:{}", at.file(), at.line()));
    let payload = info.payload();
    let message =
        payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message");
    let short: String = message.chars().take(MESSAGE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("at {location}: {short}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_given_value() {
        assert_eq!(guard("test", 7, || 1), 1);
        assert_eq!(guard("test", 7, || panic!("planted")), 7);
        assert_eq!(guard("outer", 1, || guard("inner", 2, || panic!("planted")) + 10), 12);
        assert_eq!(DEPTH.get(), 0);
    }

    #[test]
    fn a_thread_with_a_small_stack_has_room() {
        let deep = || {
            let room = std::hint::black_box([1u8; 400 * 1024]);
            room.iter().map(|v| usize::from(*v)).sum::<usize>()
        };
        let small = std::thread::Builder::new().stack_size(100 * 1024);
        let found = small.spawn(move || (guard("test", 0, deep), guard("test", 7, || panic!("planted"))));
        assert_eq!(found.unwrap().join().unwrap(), (400 * 1024, 7));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_stays_inside() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(guard("test", 7, || std::panic::panic_any(Bomb)), 7);
    }

    #[test]
    fn the_note_has_place_and_a_short_message() {
        let long = "x".repeat(1000);
        let caught = guard("outer", String::new(), || {
            let _ = catch_unwind(|| panic!("first\nsecond {long}"));
            PANIC.take().unwrap_or_default()
        });
        assert!(caught.contains("guard.rs:"), "{caught}");
        assert!(caught.contains("first second xxx"), "{caught}");
        assert!(caught.chars().count() < MESSAGE_CHARS + 80, "{caught}");
    }
}
