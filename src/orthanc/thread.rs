//! The place of our threads beside the server's own.

/// Moves the calling thread, and with it every thread that it starts, behind all others of the machine (sched(7), SCHED_IDLE): it computes on
/// processors that nobody else wants, and makes room at once. A niceness does not: from Linux 6.6 on a thread of whatever niceness may finish its
/// slice of some milliseconds first, and receiving an image is a dozen of short turns (benches/ingest.rs: half the rate).
///
/// # Errors
/// The system's refusal; the thread goes on as it was.
pub fn run_in_background() -> std::io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: sched_setscheduler(2) reads the structure during the call; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::run_in_background;

    /// The policy is the 41st field of a thread's stat (proc(5)).
    fn policy() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        after_name.split(' ').nth(41 - 3).unwrap().parse().unwrap()
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_thread_in_the_background_starts_others_there() {
        let policies = std::thread::spawn(|| {
            run_in_background().unwrap();
            [policy(), std::thread::spawn(policy).join().unwrap()]
        });
        assert_eq!(policies.join().unwrap(), [libc::SCHED_IDLE; 2]);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
