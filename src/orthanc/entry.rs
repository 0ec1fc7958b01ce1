//! The four functions that Orthanc looks up in the library.
#![allow(non_snake_case, reason = "the names are Orthanc's")]

use std::ffi::{CStr, c_char};

use super::guard::guard;
use super::host::{self, Host};
use super::{events, http_filter, log, metrics, rest_server, sys};
use crate::plugin;

/// What the plugin is called in `/plugins`.
pub const NAME: &CStr = c"ai";
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// Called when Orthanc loads the plugin, and again after each POST `/tools/reset`. There is neither database nor REST interface yet.
///
/// # Safety
/// Called by Orthanc with its context, which stays valid until `OrthancPluginFinalize` returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OrthancPluginInitialize(context: *mut sys::Context) -> i32 {
    let initialized = guard("OrthancPluginInitialize", false, || {
        // SAFETY: this function's contract.
        let host = match unsafe { Host::new(context) } {
            Ok(host) => host,
            Err(error) => {
                // Without a host there is no log of Orthanc's yet.
                eprintln!("orthanc-ai: {error}");
                return false;
            }
        };
        log::install();
        forget_previous_life();
        host::set_current(Some(host.clone()));
        plugin::initialize(&host).inspect_err(|error| ::log::error!("the plugin cannot start: {error}")).is_ok()
    });
    if initialized {
        return 0;
    }
    guard("OrthancPluginInitialize", (), || host::set_current(None));
    -1
}

/// Called when Orthanc unloads the plugin: REST calls fail already, and once this returns the context is gone.
///
/// # Safety
/// Called by Orthanc, after every callback has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OrthancPluginFinalize() {
    guard("plugin::finalize", (), plugin::finalize);
    guard("OrthancPluginFinalize", (), || host::set_current(None));
}

/// # Safety
/// None beyond the signature's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OrthancPluginGetName() -> *const c_char {
    guard("OrthancPluginGetName", NAME.as_ptr(), || NAME.as_ptr())
}

/// # Safety
/// None beyond the signature's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OrthancPluginGetVersion() -> *const c_char {
    let version = VERSION.as_ptr().cast::<c_char>();
    guard("OrthancPluginGetVersion", version, || version)
}

/// The library stays mapped across POST `/tools/reset`, so its statics outlive the server they were filled for.
fn forget_previous_life() {
    rest_server::clear();
    http_filter::clear();
    events::clear();
    metrics::clear();
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, alone};
    use super::*;

    #[test]
    fn name_and_version_are_c_strings() {
        // SAFETY: static C strings.
        let (name, version) =
            unsafe { (CStr::from_ptr(OrthancPluginGetName()), CStr::from_ptr(OrthancPluginGetVersion())) };
        assert_eq!(name, c"ai");
        assert_eq!(version.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn a_context_that_cannot_be_used_is_refused() {
        let _alone = alone();
        // SAFETY: null is checked for.
        assert_eq!(unsafe { OrthancPluginInitialize(std::ptr::null_mut()) }, -1);
        assert!(host::current().is_none());
    }

    #[test]
    fn finalize_closes_the_host_of_each_life() {
        let _alone = alone();
        for version in ["1.10.1", "1.13.0", "1.13.0"] {
            let fake = Fake::new(version);
            forget_previous_life();
            host::set_current(Some(fake.host().clone()));
            let kept = host::current().unwrap();
            assert!(kept.configuration().is_ok());
            guard("test", (), || host::set_current(None));
            assert!(host::current().is_none() && kept.configuration().is_err());
        }
    }
}
