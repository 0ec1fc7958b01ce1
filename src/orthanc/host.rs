//! The core of Orthanc as seen from a plugin: one context pointer and one function, `InvokeService`.
//!
//! POST `/tools/reset` unloads and loads all plugins in the same process, with a new context each time, so the context is
//! re-settable and a [`Host`] that outlives its server answers [`HostError::Closed`] rather than touching freed memory.

use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::error::HostError;
use super::sys::{self, Service};

/// The host of the plugin's present life, between Initialize and Finalize.
static CURRENT: RwLock<Option<Host>> = RwLock::new(None);

/// The running Orthanc, or `None` before `OrthancPluginInitialize` and after `OrthancPluginFinalize`.
pub fn current() -> Option<Host> {
    CURRENT.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Makes `host` the current one, or none, and closes the one before it.
pub(super) fn set_current(host: Option<Host>) {
    let previous = std::mem::replace(&mut *CURRENT.write().unwrap_or_else(PoisonError::into_inner), host);
    if let Some(previous) = previous {
        previous.close();
    }
}

/// A version of Orthanc's core. `mainline` (a build between releases) compares as newer than all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// The oldest core that we run on.
    pub const MINIMUM: Self = Self(1, 10, 1);
    const MAINLINE: Self = Self(u32::MAX, 0, 0);

    /// As the header's `OrthancPluginCheckVersionAdvanced` reads it: `mainline` or `major.minor.revision`, whatever follows.
    fn parse(text: &str) -> Option<Self> {
        if text == "mainline" {
            return Some(Self::MAINLINE);
        }
        let mut parts = text.splitn(3, '.').map(|part| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..end].parse::<u32>().ok()
        });
        Some(Self(parts.next()??, parts.next()??, parts.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::MAINLINE { f.write_str("mainline") } else { write!(f, "{}.{}.{}", self.0, self.1, self.2) }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A handle on the core, cheap to clone, usable from every thread. After Finalize each call answers [`HostError::Closed`].
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    /// Null once closed.
    context: AtomicPtr<sys::Context>,
    invoke: sys::InvokeService,
    free: sys::Free,
    version: Version,
    /// Calls to the core that have not returned; `close` waits for them.
    in_flight: AtomicUsize,
}

impl Host {
    /// Wraps the context of `OrthancPluginInitialize`.
    ///
    /// # Errors
    /// [`HostError::NullPointer`] for a context that is not filled in, [`HostError::TooOld`] for a core before 1.10.1,
    /// [`HostError::Unexpected`] for a version that cannot be read.
    ///
    /// # Safety
    /// `context` is null or points to a context that stays valid until [`Host::close`] returns.
    pub(super) unsafe fn new(context: *mut sys::Context) -> Result<Self, HostError> {
        const CALL: &str = "OrthancPluginInitialize";
        let null = |what| HostError::NullPointer { call: CALL, what };
        // SAFETY: null or valid by this function's contract ("the Orthanc plugin context, as received by OrthancPluginInitialize()").
        let fields = unsafe { context.as_ref() }.ok_or_else(|| null("the context"))?;
        let invoke = fields.InvokeService.ok_or_else(|| null("InvokeService"))?;
        let free = fields.Free.ok_or_else(|| null("Free"))?;
        // SAFETY: `orthancVersion` is a C string that lives as long as the context.
        let text = unsafe { borrow_c_string(fields.orthancVersion) }.ok_or_else(|| null("orthancVersion"))?;
        let text = text.to_string_lossy();
        let version = Version::parse(&text).ok_or_else(|| HostError::Unexpected {
            what: "Orthanc's version".into(),
            problem: format!("found '{text}', expected 'mainline' or three numbers such as 1.10.1"),
        })?;
        if version < Version::MINIMUM {
            return Err(HostError::TooOld { call: "the plugin", needed: Version::MINIMUM, found: version });
        }
        let context = AtomicPtr::new(context);
        Ok(Self(Arc::new(Inner { context, invoke, free, version, in_flight: AtomicUsize::new(0) })))
    }

    /// Calls one service of the core.
    ///
    /// # Errors
    /// [`HostError::Closed`] after Finalize, [`HostError::Service`] for any answer but Success.
    ///
    /// # Safety
    /// `params` is what the header's inline function of that service passes: the same structure, or the same C string, with every
    /// pointer in it valid for the call.
    pub(super) unsafe fn invoke<P>(
        &self,
        call: &'static str,
        service: Service,
        params: *const P,
    ) -> Result<(), HostError> {
        let lease = self.lease().ok_or(HostError::Closed { call })?;
        // SAFETY: the lease keeps the context valid; the caller vouches for `params`.
        let code = unsafe { (self.0.invoke)(lease.context, service, params.cast::<c_void>()) };
        match code {
            sys::Code::Success => Ok(()),
            code => Err(HostError::Service { call, code: code.into() }),
        }
    }

    /// Ends the use of the context: later calls answer `Closed`, and this returns when no call is in the core any more.
    /// Calls may nest (REST call → our own handler → log line), which a lock would turn into a deadlock; a counter does not.
    pub(super) fn close(&self) {
        self.0.context.store(ptr::null_mut(), Ordering::SeqCst);
        while self.0.in_flight.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn lease(&self) -> Option<Lease<'_>> {
        // First the counter, then the pointer; `close` does it the other way round: one of the two sees the other.
        self.0.in_flight.fetch_add(1, Ordering::SeqCst);
        let lease = Lease { context: self.0.context.load(Ordering::SeqCst), in_flight: &self.0.in_flight };
        (!lease.context.is_null()).then_some(lease)
    }

    /// The function that frees what the core has allocated. It is code of the server itself and outlives the context.
    pub(super) fn free(&self) -> sys::Free {
        self.0.free
    }

    /// The core's version.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// Whether the core is of this version or later.
    pub fn at_least(&self, major: u32, minor: u32, revision: u32) -> bool {
        self.0.version >= Version(major, minor, revision)
    }

    /// The whole configuration of the server, comments stripped and files merged (`OrthancPluginGetConfiguration`).
    ///
    /// # Errors
    /// The core refuses, or the answer is not JSON.
    pub fn configuration(&self) -> Result<serde_json::Value, HostError> {
        const CALL: &str = "GetConfiguration";
        let mut result: *mut c_char = ptr::null_mut();
        let params = sys::_OrthancPluginRetrieveDynamicString { result: &raw mut result, argument: ptr::null() };
        // SAFETY: OrthancPluginGetConfiguration passes this structure, argument NULL; `result` outlives the call.
        unsafe { self.invoke(CALL, Service::GetConfiguration, &raw const params) }?;
        // SAFETY: "a newly allocated string … must be freed by OrthancPluginFreeString()".
        let text = unsafe { self.take_string(CALL, "the configuration", result) }?;
        serde_json::from_str(&text).map_err(|error| HostError::Unexpected {
            what: "Orthanc's configuration".into(),
            problem: error.to_string(),
        })
    }

    /// The file or the folder that the configuration was read from: relative paths in it start there. Empty where the server was
    /// started without one.
    ///
    /// # Errors
    /// The core refuses.
    pub fn configuration_path(&self) -> Result<PathBuf, HostError> {
        const CALL: &str = "GetConfigurationPath";
        let mut result: *mut c_char = ptr::null_mut();
        let params = sys::_OrthancPluginRetrieveDynamicString { result: &raw mut result, argument: ptr::null() };
        // SAFETY: OrthancPluginGetConfigurationPath passes this structure, argument NULL; `result` outlives the call.
        unsafe { self.invoke(CALL, Service::GetConfigurationPath, &raw const params) }?;
        // SAFETY: "a newly allocated string … must be freed by OrthancPluginFreeString()".
        unsafe { self.take_string(CALL, "the configuration's path", result) }.map(PathBuf::from)
    }

    /// Copies a string that the core has allocated, and frees it.
    ///
    /// # Safety
    /// `string` is null or a C string that the core allocated for us and that nobody else frees.
    pub(super) unsafe fn take_string(
        &self,
        call: &'static str,
        what: &'static str,
        string: *mut c_char,
    ) -> Result<String, HostError> {
        // SAFETY: null or a C string, by this function's contract.
        let text = unsafe { borrow_c_string(string) }.map(|text| text.to_string_lossy().into_owned());
        let text = text.ok_or(HostError::NullPointer { call, what })?;
        // SAFETY: OrthancPluginFreeString is `context->Free(str)`; the text above is a copy.
        unsafe { (self.free())(string.cast::<c_void>()) };
        Ok(text)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host(Orthanc {})", self.0.version)
    }
}

/// One call's right to use the context.
struct Lease<'a> {
    context: *mut sys::Context,
    in_flight: &'a AtomicUsize,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `text` as a C string.
pub(super) fn c_string(what: &'static str, text: &str) -> Result<CString, HostError> {
    CString::new(text).map_err(|_| HostError::Nul { what })
}

/// `size` as the 32-bit size that the SDK's structures hold.
pub(super) fn c_size(what: &'static str, size: usize) -> Result<u32, HostError> {
    u32::try_from(size).map_err(|_| HostError::TooLarge { what, size })
}

/// A C string of the core, `None` if null.
///
/// # Safety
/// `string` is null or a NUL-terminated string that stays valid and unchanged for `'a`.
pub(super) unsafe fn borrow_c_string<'a>(string: *const c_char) -> Option<&'a CStr> {
    if string.is_null() {
        return None;
    }
    // SAFETY: not null; NUL-terminated and valid for 'a by this function's contract.
    Some(unsafe { CStr::from_ptr(string) })
}

#[cfg(test)]
mod tests {
    use super::super::error::ErrorCode;
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn versions_are_read_as_the_header_reads_them() {
        assert_eq!(Version::parse("1.12.10"), Some(Version(1, 12, 10)));
        assert_eq!(Version::parse("1.10.1+dfsg"), Some(Version(1, 10, 1)));
        assert!(Version::parse("mainline").unwrap() > Version(9, 9, 9));
        assert_eq!(Version::parse("1.12"), None);
        assert_eq!(Version::parse("mainline-x"), None);
        assert!(Version(1, 9, 7) < Version::MINIMUM && Version(1, 12, 10) > Version(1, 12, 9));
    }

    #[test]
    fn initialisation_refuses_what_cannot_work() {
        // SAFETY: null is allowed.
        let error = unsafe { Host::new(ptr::null_mut()) }.unwrap_err();
        assert_eq!(error, HostError::NullPointer { call: "OrthancPluginInitialize", what: "the context" });
        let mut empty = sys::Context::default();
        // SAFETY: the context outlives the call and is not kept (it is refused).
        let error = unsafe { Host::new(&raw mut empty) }.unwrap_err();
        assert!(matches!(error, HostError::NullPointer { what: "InvokeService", .. }), "{error}");
        assert!(matches!(Fake::try_new("1.9.7").unwrap_err(), HostError::TooOld { found: Version(1, 9, 7), .. }));
        assert!(matches!(Fake::try_new("nonsense").unwrap_err(), HostError::Unexpected { .. }));
    }

    #[test]
    fn versions_gate_services() {
        let fake = Fake::new("1.11.3");
        assert!(fake.host().at_least(1, 11, 3) && fake.host().at_least(1, 10, 1));
        assert!(!fake.host().at_least(1, 11, 4) && !fake.host().at_least(1, 12, 0) && !fake.host().at_least(2, 0, 0));
    }

    #[test]
    fn the_configuration_is_copied_and_freed() {
        let fake = Fake::new("1.10.1");
        fake.set_configuration(Some(r#"{"Ai": {"Enable": true}}"#));
        assert_eq!(fake.host().configuration().unwrap()["Ai"]["Enable"], true);
        assert_eq!(fake.unfreed(), 0);
        fake.set_configuration(Some("{"));
        assert!(matches!(fake.host().configuration().unwrap_err(), HostError::Unexpected { .. }));
        fake.set_configuration(None);
        assert!(matches!(fake.host().configuration().unwrap_err(), HostError::NullPointer { .. }));
        fake.set_configuration(Some("/etc/orthanc/orthanc.json"));
        assert_eq!(fake.host().configuration_path().unwrap(), std::path::Path::new("/etc/orthanc/orthanc.json"));
        fake.fail(Service::GetConfiguration, sys::Code::InternalError);
        assert_eq!(fake.host().configuration().unwrap_err().code(), Some(ErrorCode::INTERNAL_ERROR));
        assert_eq!(fake.unfreed(), 0);
    }

    #[test]
    fn a_closed_host_never_reaches_the_core() {
        let fake = Fake::new("1.13.0");
        let host = fake.host().clone();
        host.close();
        assert_eq!(host.configuration().unwrap_err(), HostError::Closed { call: "GetConfiguration" });
        assert_eq!(fake.calls(), [] as [Service; 0]);
    }

    #[test]
    fn closing_waits_for_the_calls_in_flight() {
        let fake = Fake::new("1.13.0");
        let host = fake.host().clone();
        let lease = host.lease().unwrap();
        let closing = std::thread::spawn({
            let host = host.clone();
            move || host.close()
        });
        while !host.0.context.load(Ordering::SeqCst).is_null() {
            std::thread::yield_now();
        }
        assert!(!closing.is_finished());
        assert!(host.lease().is_none());
        drop(lease);
        closing.join().unwrap();
    }

    #[test]
    fn a_reset_brings_another_context() {
        let _alone = super::super::fake::alone();
        let (first, second) = (Fake::new("1.10.1"), Fake::new("1.13.0"));
        set_current(Some(first.host().clone()));
        let old = current().unwrap();
        set_current(None);
        assert!(current().is_none());
        set_current(Some(second.host().clone()));
        assert_eq!(current().unwrap().version(), Version(1, 13, 0));
        assert!(matches!(old.configuration(), Err(HostError::Closed { .. })));
        assert!(current().unwrap().configuration().is_ok());
        assert_eq!(first.calls(), [] as [Service; 0]);
        set_current(None);
    }
}
