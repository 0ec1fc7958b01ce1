//! Moments of a run at which the live tests have the server killed (feature `fault-injection`). Without the feature nothing is left of it.

/// This moment is here: the process ends as by `kill -9` if it was asked for.
#[cfg(not(feature = "fault-injection"))]
pub fn point(_name: impl FnOnce() -> String) {}

#[cfg(feature = "fault-injection")]
pub use armed::{arm, point};

#[cfg(feature = "fault-injection")]
mod armed {
    use std::process::Command;
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    static ARMED: Mutex<Option<String>> = Mutex::new(None);

    /// The next time that the moment comes is the process's last.
    pub fn arm(name: String) {
        *ARMED.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
    }

    pub fn point(name: impl FnOnce() -> String) {
        // Held: no other thread gets past a moment of its own.
        let armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        if armed.is_some() && *armed == Some(name()) {
            // SIGKILL: nothing of ours, of libtorch's or of Orthanc's has a chance to tidy up.
            let _sent = Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}
