//! A look at every HTTP request from outside before the core does anything with it.
//!
//! It is needed for one thing: of a `multipart/form-data` POST the core hands each part to the route as a request of its own, with the
//! part's headers in place of the request's (seen on 1.10.1 and 1.13.0). The route cannot tell; here the request is still whole.

use std::ffi::c_char;
use std::sync::{PoisonError, RwLock};

use super::error::HostError;
use super::guard::guard;
use super::host::{Host, borrow_c_string};
use super::rest_server::{Method, pairs};
use super::sys::{self, Service};

/// Whether a request may pass: its method, its path as the client sent it, and its content type. It is called by many threads at a time,
/// for every request to the server: it only looks.
pub type Filter = fn(Method, &str, Option<&str>) -> bool;

static FILTER: RwLock<Option<Filter>> = RwLock::new(None);

/// Has `filter` asked for every request, during Initialize only; what it refuses is answered with 403. A later call replaces the filter.
///
/// # Errors
/// The core refuses.
pub fn register(host: &Host, filter: Filter) -> Result<(), HostError> {
    if replace(Some(filter)).is_some() {
        return Ok(());
    }
    let params = sys::_OrthancPluginIncomingHttpRequestFilter2 { callback: Some(filter_callback) };
    let service = Service::RegisterIncomingHttpRequestFilter2;
    // SAFETY: OrthancPluginRegisterIncomingHttpRequestFilter2 passes this structure.
    unsafe { host.invoke("RegisterIncomingHttpRequestFilter2", service, &raw const params) }
}

/// Forgets the filter of the plugin's previous life.
pub(super) fn clear() {
    replace(None);
}

fn replace(filter: Option<Filter>) -> Option<Filter> {
    std::mem::replace(&mut *FILTER.write().unwrap_or_else(PoisonError::into_inner), filter)
}

/// 1: allowed, 0: forbidden. A panic forbids nothing: the rest of the server is not ours.
unsafe extern "C" fn filter_callback(
    method: sys::HttpMethod,
    uri: *const c_char,
    _ip: *const c_char,
    headers_count: u32,
    headers_keys: *const *const c_char,
    headers_values: *const *const c_char,
    _arguments_count: u32,
    _arguments_keys: *const *const c_char,
    _arguments_values: *const *const c_char,
) -> i32 {
    guard("the filter of HTTP requests", 1, || {
        let filter = *FILTER.read().unwrap_or_else(PoisonError::into_inner);
        let (Some(filter), Some(method)) = (filter, Method::from_sys(method)) else { return 1 };
        // SAFETY: null or a C string of the core, valid until this function returns.
        let uri = unsafe { borrow_c_string(uri) }.map(|uri| uri.to_string_lossy()).unwrap_or_default();
        // SAFETY: "the keys / values of the HTTP headers", as many as headersCount, valid until this function returns.
        let headers = unsafe { pairs(headers_keys, headers_values, headers_count) };
        let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        i32::from(filter(method, &uri, kind.map(|(_, kind)| kind.as_ref())))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, alone};
    use super::*;

    #[test]
    fn a_request_is_seen_whole_before_its_route() {
        let _alone = alone();
        clear();
        let fake = Fake::new("1.10.1");
        register(fake.host(), |method, path, kind| {
            assert_ne!(path, "/panic");
            !(method == Method::Post && path == "/ai" && kind == Some("text/plain"))
        })
        .unwrap();
        let text: &[(&[u8], &[u8])] = &[(b"host", b"a"), (b"content-type", b"text/plain")];
        assert_eq!(fake.filter(2, "/ai", text), 0);
        assert_eq!(fake.filter(1, "/ai", text), 1);
        assert_eq!(fake.filter(2, "/ai", &[]), 1);
        assert_eq!(fake.filter(2, "/panic", &[]), 1);
        assert_eq!(fake.filter(99, "/ai", text), 1);
        register(fake.host(), |_, _, _| false).unwrap();
        assert_eq!(fake.calls(), [Service::RegisterIncomingHttpRequestFilter2]);
        assert_eq!(fake.filter(1, "/", &[]), 0);
        clear();
        assert_eq!(fake.filter(1, "/", &[]), 1);
    }
}
