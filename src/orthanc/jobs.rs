//! Jobs in Orthanc's `/jobs`: progress and cancel in every user interface that shows them.
//!
//! An Orthanc job is a view, never the truth: the core looks at cancel and progress only between steps, never saves such a job across a
//! restart, forgets finished ones (`JobsHistorySize`) and does not call `stop` when the server stops. So [`Job::step`] is a short poll of a worker.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::buffer;
use super::error::HostError;
use super::guard::guard;
use super::host::{self, Host, c_string};
use super::sys::{self, Service};

/// What one step of a job led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStep {
    Continue,
    Success,
    /// The core shows no message for it: put the reason into [`Job::content`].
    Failure,
}

/// Why a job has left the state "running".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    Success,
    /// It will be resumed later.
    Paused,
    /// It may be resubmitted later, which calls [`Job::reset`].
    Failure,
    Canceled,
}

/// The work, or the view of it, behind an Orthanc job. Calls never overlap.
pub trait Job: Send {
    /// Waits for progress, 100 to 200 ms at most: cancel and progress are looked at between steps only.
    fn step(&mut self) -> JobStep;
    /// From 0 to 1.
    fn progress(&self) -> f32;
    /// A JSON object for `Content` of `/jobs/{id}`.
    fn content(&self) -> serde_json::Value;
    fn stop(&mut self, reason: StopReason);
    /// The user resubmits a failed job.
    ///
    /// # Errors
    /// It cannot be run again.
    #[expect(clippy::result_unit_err, reason = "Orthanc has no place for a reason here")]
    fn reset(&mut self) -> Result<(), ()>;
}

/// Behind the `void*` that the core keeps.
struct Shared {
    /// The header promises one thread for all calls, but cores also ask for content from the threads of `/jobs`.
    job: Mutex<Box<dyn Job>>,
}

impl Shared {
    /// A job that has panicked under the lock is asked no more than a healthy one: it answers Failure and its last content.
    fn lock(&self) -> MutexGuard<'_, Box<dyn Job>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Submits `job` and returns Orthanc's id of it, for `/jobs/{id}`. A higher `priority` runs first.
///
/// # Errors
/// The core refuses, for instance since it is stopping; the job is dropped then.
pub fn submit(host: &Host, job_type: &str, job: Box<dyn Job>, priority: i32) -> Result<String, HostError> {
    const CALL: &str = "SubmitJob";
    let job = create(host, job_type, job)?;
    let mut id: *mut c_char = ptr::null_mut();
    let params = sys::_OrthancPluginSubmitJob { resultId: &raw mut id, job, priority };
    // SAFETY: OrthancPluginSubmitJob passes this structure; `id` outlives the call.
    if let Err(error) = unsafe { host.invoke(CALL, Service::SubmitJob, &raw const params) } {
        let params = sys::_OrthancPluginFreeJob { job };
        // SAFETY: "it must be freed with OrthancPluginFreeJob(), as long as it is not submitted"; the core then calls `finalize`.
        let freed = unsafe { host.invoke("FreeJob", Service::FreeJob, &raw const params) };
        freed.unwrap_or_else(|error| log::warn!("a job was not freed: {error}"));
        return Err(error);
    }
    // SAFETY: "ID of the newly-submitted job. This string must be freed by OrthancPluginFreeString()".
    unsafe { host.take_string(CALL, "the id of the job", id) }
}

fn create(host: &Host, job_type: &str, job: Box<dyn Job>) -> Result<*mut sys::OrthancPluginJob, HostError> {
    let job_type = c_string("a job's type", job_type)?;
    let shared: *mut Shared = Box::into_raw(Box::new(Shared { job: Mutex::new(job) }));
    let mut target: *mut sys::OrthancPluginJob = ptr::null_mut();
    // CreateJob2 hands the content over in the core's own memory; CreateJob, the only one before 1.11.3, borrows ours.
    let (call, result) = if host.at_least(1, 11, 3) {
        let params = sys::_OrthancPluginCreateJob2 {
            target: &raw mut target,
            job: shared.cast::<c_void>(),
            finalize: Some(finalize),
            type_: job_type.as_ptr(),
            getProgress: Some(progress),
            getContent: Some(content),
            getSerialized: Some(serialized),
            step: Some(step),
            stop: Some(stop),
            reset: Some(reset),
        };
        // SAFETY: OrthancPluginCreateJob2 passes this structure; the core copies it and the type's name.
        ("CreateJob2", unsafe { host.invoke("CreateJob2", Service::CreateJob2, &raw const params) })
    } else {
        let params = sys::_OrthancPluginCreateJob {
            target: &raw mut target,
            job: shared.cast::<c_void>(),
            finalize: Some(finalize),
            type_: job_type.as_ptr(),
            getProgress: Some(progress),
            getContent: Some(borrowed_content),
            getSerialized: Some(not_serialized),
            step: Some(step),
            stop: Some(stop),
            reset: Some(reset),
        };
        // SAFETY: OrthancPluginCreateJob passes this structure; the core copies it and the type's name.
        ("CreateJob", unsafe { host.invoke("CreateJob", Service::CreateJob, &raw const params) })
    };
    if result.is_ok() && !target.is_null() {
        return Ok(target);
    }
    if target.is_null() {
        // SAFETY: no job was made, so nobody else has the pointer and `finalize` will never be called for it.
        drop(unsafe { Box::from_raw(shared) });
    }
    result.and(Err(HostError::NullPointer { call, what: "the job" }))
}

/// # Safety
/// `job` is the pointer that [`create`] gave the core, before `finalize`.
unsafe fn shared<'a>(job: *mut c_void) -> &'a Shared {
    // SAFETY: this function's contract.
    unsafe { &*job.cast::<Shared>() }
}

unsafe extern "C" fn finalize(job: *mut c_void) {
    // SAFETY: the core calls `finalize` once, last ("releases all the resources allocated by the given job").
    guard("a job's finalize", (), || drop(unsafe { Box::from_raw(job.cast::<Shared>()) }));
}

unsafe extern "C" fn step(job: *mut c_void) -> sys::OrthancPluginJobStepStatus {
    use sys::OrthancPluginJobStepStatus as Status;
    // SAFETY: the core passes the pointer of `create`.
    guard("a job's step", Status::Failure, || match unsafe { shared(job) }.lock().step() {
        JobStep::Continue => Status::Continue,
        JobStep::Success => Status::Success,
        JobStep::Failure => Status::Failure,
    })
}

unsafe extern "C" fn stop(job: *mut c_void, reason: sys::OrthancPluginJobStopReason) -> sys::Code {
    use sys::OrthancPluginJobStopReason as Reason;
    guard("a job's stop", sys::Code::Plugin, || {
        let reason = match reason {
            Reason::Success => StopReason::Success,
            Reason::Paused => StopReason::Paused,
            Reason::Canceled => StopReason::Canceled,
            _ => StopReason::Failure,
        };
        // SAFETY: the core passes the pointer of `create`.
        unsafe { shared(job) }.lock().stop(reason);
        sys::Code::Success
    })
}

unsafe extern "C" fn reset(job: *mut c_void) -> sys::Code {
    // SAFETY: the core passes the pointer of `create`.
    guard("a job's reset", sys::Code::Plugin, || match unsafe { shared(job) }.lock().reset() {
        Ok(()) => sys::Code::Success,
        Err(()) => sys::Code::NotImplemented,
    })
}

unsafe extern "C" fn progress(job: *mut c_void) -> f32 {
    guard("a job's progress", 0.0, || {
        // SAFETY: the core passes the pointer of `create`.
        let progress = unsafe { shared(job) }.lock().progress();
        // The core throws on a value outside of 0..=1, and a NaN would reach the JSON.
        if progress.is_nan() { 0.0 } else { progress.clamp(0.0, 1.0) }
    })
}

/// Anything but an object would make `/jobs` fail for every job.
fn content_text(job: *mut c_void) -> String {
    // SAFETY: the core passes the pointer of `create` to the two callbacks that call this function.
    let content = unsafe { shared(job) }.lock().content();
    if content.is_object() { content.to_string() } else { "{}".into() }
}

unsafe extern "C" fn content(target: *mut sys::MemoryBuffer, job: *mut c_void) -> sys::Code {
    guard("a job's content", sys::Code::Plugin, || {
        let text = content_text(job);
        let Some(host) = host::current() else { return sys::Code::BadSequenceOfCalls };
        // SAFETY: `target` is the core's argument, "must be allocated using OrthancPluginCreateMemoryBuffer()", which `fill` does.
        match unsafe { buffer::fill(&host, target, text.as_bytes()) } {
            Ok(()) => sys::Code::Success,
            Err(error) => error.code().map_or(sys::Code::Plugin, |code| sys::Code(code.0)),
        }
    })
}

/// The core reads the string on the calling thread right after the call; a buffer a thread keeps it alive until then, whatever other
/// threads ask for meanwhile.
unsafe extern "C" fn borrowed_content(job: *mut c_void) -> *const c_char {
    thread_local!(static LAST: RefCell<CString> = RefCell::default());
    guard("a job's content", c"{}".as_ptr(), || {
        // serde_json writes control characters as escapes, so there is no NUL.
        let text = CString::new(content_text(job)).unwrap_or_default();
        LAST.with_borrow_mut(|last| {
            *last = text;
            last.as_ptr()
        })
    })
}

/// "0 if serialization is not implemented for this type of job": the runs have a table of their own.
unsafe extern "C" fn serialized(_target: *mut sys::MemoryBuffer, _job: *mut c_void) -> i32 {
    0
}

/// Null: not serialised, as above.
unsafe extern "C" fn not_serialized(_job: *mut c_void) -> *const c_char {
    ptr::null()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::super::error::ErrorCode;
    use super::super::fake::{Fake, alone};
    use super::*;
    use sys::{OrthancPluginJobStepStatus as Status, OrthancPluginJobStopReason as Reason};

    /// Three steps; counts drops; panics where told to.
    struct Three {
        done: u8,
        stopped: Option<StopReason>,
        panics: bool,
        drops: Arc<AtomicUsize>,
    }

    impl Three {
        fn boxed(panics: bool, drops: &Arc<AtomicUsize>) -> Box<dyn Job> {
            Box::new(Self { done: 0, stopped: None, panics, drops: drops.clone() })
        }
    }

    impl Job for Three {
        fn step(&mut self) -> JobStep {
            assert!(!self.panics, "planted");
            self.done += 1;
            if self.done < 3 { JobStep::Continue } else { JobStep::Success }
        }
        fn progress(&self) -> f32 {
            if self.panics { f32::NAN } else { f32::from(self.done) }
        }
        fn content(&self) -> serde_json::Value {
            assert!(!self.panics, "planted");
            json!({ "Done": self.done, "Stopped": format!("{:?}", self.stopped), "Nul": "\0" })
        }
        fn stop(&mut self, reason: StopReason) {
            self.stopped = Some(reason);
        }
        fn reset(&mut self) -> Result<(), ()> {
            (!self.panics).then(|| self.done = 0).ok_or(())
        }
    }

    impl Drop for Three {
        fn drop(&mut self) {
            self.drops.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_job_lives_through_either_service() {
        let _alone = alone();
        for (version, service) in [("1.10.1", Service::CreateJob), ("1.11.3", Service::CreateJob2)] {
            let fake = Fake::new(version);
            host::set_current(Some(fake.host().clone()));
            let drops = Arc::default();
            assert_eq!(submit(fake.host(), "Ai", Three::boxed(false, &drops), 5).unwrap(), "job-5");
            assert_eq!(fake.calls(), [service, Service::SubmitJob]);
            let job = fake.job();
            assert_eq!(job.step(), Status::Continue);
            assert_eq!(job.content(), json!({ "Done": 1, "Stopped": "None", "Nul": "\0" }));
            assert_eq!((job.step(), job.step()), (Status::Continue, Status::Success));
            assert_eq!(job.progress(), 1.0, "clamped");
            assert_eq!(job.stop(Reason::Canceled), sys::Code::Success);
            assert_eq!(job.content()["Stopped"], "Some(Canceled)");
            assert_eq!(job.reset(), sys::Code::Success);
            assert_eq!(job.content()["Done"], 0);
            assert_eq!(drops.load(Ordering::SeqCst), 0);
            job.finalize();
            assert_eq!(drops.load(Ordering::SeqCst), 1);
            assert_eq!(fake.unfreed(), 0);
            host::set_current(None);
        }
    }

    #[test]
    fn a_panicking_job_fails_and_the_core_goes_on() {
        let _alone = alone();
        for version in ["1.10.1", "1.13.0"] {
            let fake = Fake::new(version);
            host::set_current(Some(fake.host().clone()));
            let drops = Arc::default();
            submit(fake.host(), "Ai", Three::boxed(true, &drops), 0).unwrap();
            let job = fake.job();
            assert_eq!((job.step(), job.step()), (Status::Failure, Status::Failure));
            assert_eq!(job.progress(), 0.0);
            assert_eq!(job.reset(), sys::Code::NotImplemented);
            assert_eq!(job.content(), if version == "1.10.1" { json!({}) } else { json!(null) });
            assert_eq!(job.stop(Reason(99)), sys::Code::Success);
            job.finalize();
            assert_eq!((drops.load(Ordering::SeqCst), fake.unfreed()), (1, 0));
            host::set_current(None);
        }
    }

    #[test]
    fn a_refused_job_is_dropped_once() {
        for (version, create) in [("1.10.1", Service::CreateJob), ("1.13.0", Service::CreateJob2)] {
            let drops: Arc<AtomicUsize> = Arc::default();
            let fake = Fake::new(version);
            let refused = || submit(fake.host(), "Ai", Three::boxed(false, &drops), 0).unwrap_err();
            fake.fail(create, sys::Code::NotEnoughMemory);
            assert_eq!(refused().code(), Some(ErrorCode(4)));
            fake.null(create);
            assert!(matches!(refused(), HostError::NullPointer { what: "the job", .. }));
            assert_eq!(drops.load(Ordering::SeqCst), 2);
            fake.pass(create);
            fake.fail(Service::SubmitJob, sys::Code::DatabaseNotInitialized);
            assert!(refused().is_unavailable());
            assert_eq!(drops.load(Ordering::SeqCst), 3, "FreeJob has called finalize");
            fake.null(Service::SubmitJob);
            assert!(matches!(refused(), HostError::NullPointer { what: "the id of the job", .. }));
            assert_eq!(drops.load(Ordering::SeqCst), 3, "the core has it");
            fake.job().finalize();
            assert!(matches!(
                submit(fake.host(), "A\0i", Three::boxed(false, &drops), 0).unwrap_err(),
                HostError::Nul { .. }
            ));
            assert_eq!((drops.load(Ordering::SeqCst), fake.unfreed()), (5, 0));
        }
    }
}
