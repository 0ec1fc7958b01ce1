//! Our routes in Orthanc's REST interface.
//!
//! Only the "no lock" form is used: the other one holds one mutex over the handlers of all plugins. Each request has an HTTP thread of
//! its own, so handlers run concurrently.

use std::borrow::Cow;
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::{PoisonError, RwLock};

use serde::Serialize;

use super::error::HostError;
use super::guard::guard;
use super::host::{self, Host, borrow_c_string, c_size, c_string};
use super::rest_error::RestError;
use super::sys::{self, Service};

/// The methods that Orthanc passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    pub(super) fn from_sys(method: sys::HttpMethod) -> Option<Self> {
        Some(match method {
            sys::HttpMethod::Get => Self::Get,
            sys::HttpMethod::Post => Self::Post,
            sys::HttpMethod::Put => Self::Put,
            sys::HttpMethod::Delete => Self::Delete,
            _ => return None,
        })
    }
}

/// One HTTP request, borrowed from the core for the time of the handler.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub method: Method,
    /// Path without query, such as `/studies/…/ai`.
    pub path: &'a str,
    /// What the groups of the route's pattern matched.
    pub groups: Vec<&'a str>,
    /// The query's keys and values, decoded. Orthanc gives them for GET only.
    pub query: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Names in lower case.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub body: &'a [u8],
    /// What the plugin that authenticates requests says of this one's user; empty where there is none, and before Orthanc 1.12.9.
    pub authentication: &'a [u8],
}

impl<'a> Request<'a> {
    /// A request with nothing but method and path.
    pub fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            groups: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: &[],
            authentication: &[],
        }
    }

    /// The header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }

    /// The first query argument of that name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// Undoes the percent-encoding of the query: 1.10.1 hands it over as the client sent it, 1.13.0 decoded (seen on both; 1.13.0 leaves the query of
    /// calls from inside the server as it is).
    fn decode_query(&mut self) {
        for (key, value) in &mut self.query {
            *key = Cow::Owned(percent_decode(key));
            *value = Cow::Owned(percent_decode(value));
        }
    }

    /// Reads the core's structure.
    ///
    /// # Safety
    /// `request` is what the core gave the callback, at least up to `headersValues` (a core before 1.12.9 allocates no more), and stays
    /// valid for `'a`; so does `uri`.
    unsafe fn read(uri: *const c_char, request: *const sys::OrthancPluginHttpRequest) -> Result<Self, RestError> {
        let problem = |what: &str| RestError::bad_request(format!("the request has {what}"));
        // SAFETY: a C string of the core, by this function's contract.
        let path = unsafe { borrow_c_string::<'a>(uri) }.ok_or_else(|| problem("no URI"))?;
        let path = path.to_str().map_err(|_| problem("a URI that is not UTF-8"))?;
        if request.is_null() {
            return Err(problem("no parameters"));
        }
        // Each block reads fields of the header's OrthancPluginHttpRequest that every supported core has. No reference to the
        // whole structure is made, since older cores allocate a shorter one.
        // SAFETY: `request` is not null and valid up to `headersValues`, by this function's contract.
        let method = unsafe { (*request).method };
        // SAFETY: as above.
        let (groups, groups_count) = unsafe { ((*request).groups, (*request).groupsCount) };
        // SAFETY: as above.
        let (keys, values, count) = unsafe { ((*request).getKeys, (*request).getValues, (*request).getCount) };
        // SAFETY: as above.
        let (names, contents) = unsafe { ((*request).headersKeys, (*request).headersValues) };
        // SAFETY: as above.
        let headers_count = unsafe { (*request).headersCount };
        // SAFETY: as above.
        let (body, body_size) = unsafe { ((*request).body, (*request).bodySize) };

        // SAFETY: "the matched values for the groups", as many as groupsCount.
        let groups: Option<Vec<&str>> =
            unsafe { strings(groups, groups_count) }.map(|group| std::str::from_utf8(group).ok()).collect();
        // SAFETY: "the keys / values of the GET parameters", as many as getCount.
        let query = unsafe { pairs(keys, values, count) };
        // SAFETY: "the keys / values of the HTTP headers", as many as headersCount.
        let headers = unsafe { pairs(names, contents, headers_count) };
        let body = if body.is_null() || body_size == 0 {
            &[][..]
        } else {
            // SAFETY: "the content of the body" and "the number of bytes of the body".
            unsafe { std::slice::from_raw_parts(body.cast::<u8>(), body_size as usize) }
        };
        let method = Method::from_sys(method).ok_or_else(|| problem("an unknown method"))?;
        let groups = groups.ok_or_else(|| problem("a URI that is not UTF-8"))?;
        Ok(Self { method, path, groups, query, headers, body, authentication: &[] })
    }

    /// Reads the fields that cores from 1.12.9 on have.
    ///
    /// # Safety
    /// As for [`Self::read`], and `request` is the whole structure: the core is 1.12.9 or later.
    unsafe fn read_authentication(&mut self, request: *const sys::OrthancPluginHttpRequest) {
        // SAFETY: `request` is not null ([`Self::read`] has gone well) and whole, by this function's contract.
        let (payload, size) = unsafe { ((*request).authenticationPayload, (*request).authenticationPayloadSize) };
        if !payload.is_null() && size > 0 {
            // SAFETY: "the content of the custom payload" and "the size of the custom authentication payload".
            self.authentication = unsafe { std::slice::from_raw_parts(payload.cast::<u8>(), size as usize) };
        }
    }
}

/// The C strings of an array of the core; a null entry reads as empty.
///
/// # Safety
/// `array` is null or holds `count` pointers, each null or a C string, valid for `'a`.
unsafe fn strings<'a>(array: *const *const c_char, count: u32) -> impl Iterator<Item = &'a [u8]> {
    let count = if array.is_null() { 0 } else { count as usize };
    (0..count).map(move |index| {
        // SAFETY: `index` is below the array's length.
        let string = unsafe { *array.add(index) };
        // SAFETY: null or a C string, by this function's contract.
        unsafe { borrow_c_string::<'a>(string) }.map_or(&[][..], |string| string.to_bytes())
    })
}

/// Two parallel arrays of C strings. Bytes that are not UTF-8 are replaced: a client's odd header must not fail its request.
///
/// # Safety
/// As for [`strings`], for both arrays.
pub(super) unsafe fn pairs<'a>(
    keys: *const *const c_char,
    values: *const *const c_char,
    count: u32,
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    // SAFETY: this function's contract.
    let (keys, values) = unsafe { (strings(keys, count), strings(values, count)) };
    keys.zip(values).map(|(key, value)| (String::from_utf8_lossy(key), String::from_utf8_lossy(value))).collect()
}

/// `%41` → `A`, `+` → space; what is no valid escape stays.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten().and_then(|digits| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
        });
        decoded.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// What a handler answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub content_type: Cow<'static, str>,
    pub headers: Vec<(Cow<'static, str>, String)>,
    pub body: Cow<'static, [u8]>,
}

impl Response {
    /// 200 with this content.
    pub fn ok(content_type: impl Into<Cow<'static, str>>, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { status: 200, content_type: content_type.into(), headers: Vec::new(), body: body.into() }
    }

    /// 200 with a JSON document, laid out for people as Orthanc does.
    ///
    /// # Errors
    /// 500 if `value` has no JSON form (a map whose keys are no strings).
    pub fn json(value: &impl Serialize) -> Result<Self, RestError> {
        let mut body = serde_json::to_vec_pretty(value)
            .map_err(|error| RestError::internal(format!("the answer has no JSON form: {error}")))?;
        body.push(b'\n');
        Ok(Self::ok("application/json", body))
    }

    /// A redirection to `location` (301, from newer cores 307). Keep it relative: Orthanc may lie behind a proxy under another path.
    pub fn redirect(location: impl Into<String>) -> Self {
        Self { status: 301, ..Self::ok("text/plain", Vec::new()) }.with_header("Location", location)
    }

    /// Another status for the same content. Mind that with any status but 200 Orthanc drops the body where `HttpDescribeErrors` is false, and
    /// from 1.12.2 on calls it `text/plain`.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// One route: a Perl regular expression that must match the whole path, and the function that answers (all methods).
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub pattern: &'static str,
    pub handler: fn(&Request<'_>) -> Result<Response, RestError>,
}

type Callback = unsafe extern "C" fn(
    *mut sys::OrthancPluginRestOutput,
    *const c_char,
    *const sys::OrthancPluginHttpRequest,
) -> sys::Code;

/// The registered routes. Orthanc's callback carries no user data, so route number `N` is answered by `rest_callback::<N>`.
static ROUTES: RwLock<Vec<Route>> = RwLock::new(Vec::new());

macro_rules! callbacks {
    ($($n:literal)*) => { [$(rest_callback::<$n>),*] };
}

/// More routes than this are refused at registration.
static CALLBACKS: [Callback; 64] = callbacks!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
);

/// Registers `routes`, during Initialize only. May be called several times; of two patterns that match, the first registered wins, and both win over
/// Orthanc's own routes.
///
/// # Errors
/// The core refuses, or there are more than 64 routes.
pub fn register(host: &Host, routes: &'static [Route]) -> Result<(), HostError> {
    for route in routes {
        let pattern = c_string("a route's pattern", route.pattern)?;
        let callback = push(*route)?;
        let params =
            sys::_OrthancPluginRestCallback { pathRegularExpression: pattern.as_ptr(), callback: Some(callback) };
        // SAFETY: OrthancPluginRegisterRestCallbackNoLock passes this structure; the core copies the pattern.
        unsafe { host.invoke("RegisterRestCallbackNoLock", Service::RegisterRestCallbackNoLock, &raw const params) }?;
    }
    Ok(())
}

/// Forgets the routes of the plugin's previous life.
pub(super) fn clear() {
    ROUTES.write().unwrap_or_else(PoisonError::into_inner).clear();
}

fn push(route: Route) -> Result<Callback, HostError> {
    let mut table = ROUTES.write().unwrap_or_else(PoisonError::into_inner);
    let callback = CALLBACKS.get(table.len()).ok_or_else(|| HostError::Unexpected {
        what: "the route table".into(),
        problem: format!("'{}' is one more than the {} routes there is room for", route.pattern, CALLBACKS.len()),
    })?;
    table.push(route);
    Ok(*callback)
}

unsafe extern "C" fn rest_callback<const N: usize>(
    output: *mut sys::OrthancPluginRestOutput,
    uri: *const c_char,
    raw: *const sys::OrthancPluginHttpRequest,
) -> sys::Code {
    guard("a REST callback", sys::Code::Plugin, || {
        let route = ROUTES.read().unwrap_or_else(PoisonError::into_inner).get(N).copied();
        let (Some(host), Some(route)) = (host::current(), route) else {
            return sys::Code::BadSequenceOfCalls;
        };
        // SAFETY: the core's arguments of OrthancPluginRestCallback, valid until this function returns.
        let response = match unsafe { Request::read(uri, raw) } {
            Ok(mut request) => {
                if !host.at_least(1, 13, 0) {
                    request.decode_query();
                }
                if host.at_least(1, 12, 9) {
                    // SAFETY: the core's argument, read above; this core has the fields.
                    unsafe { request.read_authentication(raw) };
                }
                answer(route, &request)
            }
            Err(error) => error.respond(&Request::new(Method::Get, "")),
        };
        // SAFETY: `output` is the core's argument, valid until this function returns.
        match unsafe { send(&host, output, &response) } {
            Ok(()) => sys::Code::Success,
            Err(error) => {
                log::warn!("an answer could not be sent: {error}");
                error.code().map_or(sys::Code::Plugin, |code| sys::Code(code.0))
            }
        }
    })
}

/// Runs the handler; a panic in it is the client's 500 and one line in the log.
fn answer(route: Route, request: &Request<'_>) -> Response {
    let what = format!("the handler of {} {}", request.method.as_str(), route.pattern);
    let failed = RestError::internal("the plugin 'ai' failed while it handled this request; Orthanc's log says where");
    match guard(&what, Err(failed), || (route.handler)(request)) {
        Ok(response) => response,
        Err(error) => error.respond(request),
    }
}

/// Hands the response to the core, with the service that the header demands for its status.
///
/// # Safety
/// `output` is what the core gave the callback that is running.
unsafe fn send(host: &Host, output: *mut sys::OrthancPluginRestOutput, response: &Response) -> Result<(), HostError> {
    let special = match response.status {
        301 => Some(("Location", "Redirect", Service::Redirect)),
        405 => Some(("Allow", "SendMethodNotAllowed", Service::SendMethodNotAllowed)),
        _ => None,
    };
    let mut argument = "";
    for (name, value) in &response.headers {
        if special.is_some_and(|(header, ..)| name.eq_ignore_ascii_case(header)) {
            argument = value;
        } else {
            // SAFETY: `output` by this function's contract.
            unsafe { set_header(host, output, name, value) }?;
        }
    }
    if let Some((header, call, service)) = special {
        let argument = header_value(header, argument)?;
        let params = sys::_OrthancPluginOutputPlusArgument { output, argument: argument.as_ptr() };
        // SAFETY: OrthancPluginRedirect and OrthancPluginSendMethodNotAllowed pass this structure.
        return unsafe { host.invoke(call, service, &raw const params) };
    }
    // These two have no body (RFC 9110, 15.3.5 and 15.4.5); a client would take one for the start of the next answer.
    let content = if matches!(response.status, 204 | 304) { &[] } else { response.body.as_ref() };
    let size = c_size("an HTTP answer", content.len())?;
    let body = if size == 0 { ptr::null() } else { content.as_ptr().cast::<c_void>() };
    if response.status == 200 {
        let mime_type = header_value("Content-Type", &response.content_type)?;
        let params =
            sys::_OrthancPluginAnswerBuffer { output, answer: body, answerSize: size, mimeType: mime_type.as_ptr() };
        // SAFETY: OrthancPluginAnswerBuffer passes this structure; "successful requests (status 200) must use" it.
        unsafe { host.invoke("AnswerBuffer", Service::AnswerBuffer, &raw const params) }
    } else {
        // From 1.12.2 on the core itself adds `text/plain`, to its own errors as well, and a second header would contradict it.
        if size > 0 && !host.at_least(1, 12, 2) {
            // SAFETY: `output` by this function's contract.
            unsafe { set_header(host, output, "Content-Type", &response.content_type) }?;
        }
        let params = sys::_OrthancPluginSendHttpStatus { output, status: response.status, body, bodySize: size };
        // SAFETY: OrthancPluginSendHttpStatus passes this structure.
        unsafe { host.invoke("SendHttpStatus", Service::SendHttpStatus, &raw const params) }
    }
}

/// # Safety
/// As for [`send`].
unsafe fn set_header(
    host: &Host,
    output: *mut sys::OrthancPluginRestOutput,
    name: &str,
    value: &str,
) -> Result<(), HostError> {
    let (key, value) = (header_value("a header's name", name)?, header_value("a header", value)?);
    let params = sys::_OrthancPluginSetHttpHeader { output, key: key.as_ptr(), value: value.as_ptr() };
    // SAFETY: OrthancPluginSetHttpHeader passes this structure; the core copies both strings.
    unsafe { host.invoke("SetHttpHeader", Service::SetHttpHeader, &raw const params) }
}

/// A line break in a header would let a client's text start another header.
fn header_value(what: &'static str, value: &str) -> Result<std::ffi::CString, HostError> {
    if value.chars().any(|c| c.is_control()) {
        return Err(HostError::Unexpected { what: what.into(), problem: "it holds a control character".into() });
    }
    c_string(what, value)
}

#[cfg(test)]
mod tests;
