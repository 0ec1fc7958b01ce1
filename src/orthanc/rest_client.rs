//! Calls to Orthanc's REST interface from inside the server, with full rights and no socket.
//!
//! Works from the event OrthancStarted until OrthancStopped has been handled; before and after, the core answers `DatabaseNotInitialized`.
//! Never call it inside an event or a stored-instance callback.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::ptr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::buffer::Buffer;
use super::error::{ErrorCode, HostError};
use super::host::{Host, c_size, c_string};
use super::rest_server::Method;
use super::sys::{self, Service};

/// A client of this server's own REST interface.
#[derive(Debug, Clone)]
pub struct RestClient {
    host: Host,
    after_plugins: bool,
}

impl RestClient {
    /// Reaches Orthanc's built-in routes.
    pub fn new(host: Host) -> Self {
        Self { host, after_plugins: false }
    }

    /// Reaches the routes of plugins as well (DICOMweb, our own). The error of such a route keeps its status from 1.13.0 only; 1.10.1 reports any as
    /// `UnknownResource`.
    #[must_use]
    pub fn after_plugins(mut self) -> Self {
        self.after_plugins = true;
        self
    }

    /// # Errors
    /// [`HostError::Rest`] for any HTTP status but 200, see [`HostError::is_not_found`].
    pub fn get(&self, uri: &str) -> Result<Buffer, HostError> {
        self.call(Method::Get, uri, &[], &[])
    }

    /// # Errors
    /// As [`Self::get`].
    pub fn post(&self, uri: &str, body: &[u8]) -> Result<Buffer, HostError> {
        self.call(Method::Post, uri, &[], body)
    }

    /// # Errors
    /// As [`Self::get`].
    pub fn put(&self, uri: &str, body: &[u8]) -> Result<Buffer, HostError> {
        self.call(Method::Put, uri, &[], body)
    }

    /// # Errors
    /// As [`Self::get`].
    pub fn delete(&self, uri: &str) -> Result<(), HostError> {
        self.call(Method::Delete, uri, &[], &[]).map(drop)
    }

    /// GET, and the answer read as JSON.
    ///
    /// # Errors
    /// As [`Self::get`], and [`HostError::Unexpected`] if the answer has another form.
    pub fn get_json<T: DeserializeOwned>(&self, uri: &str) -> Result<T, HostError> {
        read_json("GET", uri, &self.get(uri)?)
    }

    /// POST of a JSON document, and the answer read as JSON.
    ///
    /// # Errors
    /// As [`Self::get_json`].
    pub fn post_json<T: DeserializeOwned>(&self, uri: &str, body: &impl Serialize) -> Result<T, HostError> {
        let body = serde_json::to_vec(body).map_err(|error| HostError::Unexpected {
            what: format!("the body of POST {uri}"),
            problem: error.to_string(),
        })?;
        read_json("POST", uri, &self.post(uri, &body)?)
    }

    /// Any call, with HTTP headers (such as `If-Match` for metadata).
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn call(&self, method: Method, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Buffer, HostError> {
        self.send(method, uri, headers, body, None)
    }

    /// GET, and the `ETag` of the answer (of metadata: its revision), where there is one.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn get_with_etag(&self, uri: &str) -> Result<(Buffer, Option<String>), HostError> {
        let mut headers = Buffer::empty(&self.host);
        let answer = self.send(Method::Get, uri, &[], &[], Some(&mut headers))?;
        let headers: BTreeMap<String, String> = serde_json::from_slice(&headers).unwrap_or_default();
        let etag = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("etag"));
        Ok((answer, etag.map(|(_, value)| value)))
    }

    fn send(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        answer_headers: Option<&mut Buffer>,
    ) -> Result<Buffer, HostError> {
        const CALL: &str = "CallRestApi";
        let c_uri = c_string("a URI", uri)?;
        let strings = |what, pick: fn(&(&str, &str)) -> String| -> Result<Vec<CString>, HostError> {
            headers.iter().map(|header| c_string(what, &pick(header))).collect()
        };
        let keys = strings("a header's name", |(key, _)| (*key).to_owned())?;
        let values = strings("a header", |(_, value)| (*value).to_owned())?;
        let key_pointers: Vec<_> = keys.iter().map(|key| key.as_ptr()).collect();
        let value_pointers: Vec<_> = values.iter().map(|value| value.as_ptr()).collect();
        let mut answer = Buffer::empty(&self.host);
        let mut status: u16 = 0;
        let params = sys::_OrthancPluginCallRestApi {
            answerBody: answer.as_mut_ptr(),
            answerHeaders: answer_headers.map_or(ptr::null_mut(), Buffer::as_mut_ptr),
            httpStatus: &raw mut status,
            method: match method {
                Method::Get => sys::HttpMethod::Get,
                Method::Post => sys::HttpMethod::Post,
                Method::Put => sys::HttpMethod::Put,
                Method::Delete => sys::HttpMethod::Delete,
            },
            uri: c_uri.as_ptr(),
            headersCount: c_size("the list of headers", headers.len())?,
            headersKeys: key_pointers.as_ptr(),
            headersValues: value_pointers.as_ptr(),
            body: if body.is_empty() { ptr::null() } else { body.as_ptr().cast::<c_void>() },
            bodySize: c_size("the body of a REST call", body.len())?,
            afterPlugins: u8::from(self.after_plugins),
        };
        // SAFETY: OrthancPluginCallRestApi passes this structure; answerHeaders "can be set to NULL"; all pointers outlive the call.
        let result = unsafe { self.host.invoke(CALL, Service::CallRestApi, &raw const params) };
        let error = |code, http_status, details| HostError::Rest {
            method: method.as_str(),
            uri: uri.to_owned(),
            code,
            http_status,
            details,
        };
        match result {
            Ok(()) if status == 200 => Ok(answer),
            Ok(()) => {
                let (code, details) = read_error(status, &answer);
                Err(error(code, Some(status), details))
            }
            Err(HostError::Service { code, .. }) => Err(error(code, (status != 0).then_some(status), None)),
            Err(other) => Err(other),
        }
    }
}

fn read_json<T: DeserializeOwned>(method: &str, uri: &str, answer: &[u8]) -> Result<T, HostError> {
    serde_json::from_slice(answer).map_err(|error| HostError::Unexpected {
        what: format!("the answer of {method} {uri}"),
        problem: error.to_string(),
    })
}

/// Orthanc's code and words out of the body of an error, if the core gave one (for many errors it gives the bare status).
fn read_error(status: u16, answer: &[u8]) -> (ErrorCode, Option<String>) {
    let body: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let code = body["OrthancStatus"].as_i64().and_then(|code| i32::try_from(code).ok()).map(ErrorCode);
    let details = body["Details"].as_str().or_else(|| body["Message"].as_str()).map(str::to_owned);
    let code = code.unwrap_or(match status {
        404 => ErrorCode::UNKNOWN_RESOURCE,
        500.. => ErrorCode::INTERNAL_ERROR,
        _ => ErrorCode::BAD_REQUEST,
    });
    (code, details)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::{Fake, RestCall};
    use super::*;

    #[test]
    fn a_call_carries_method_uri_headers_and_body() {
        let fake = Fake::new("1.10.1");
        fake.set_rest_answer(200, Some(b"answer"));
        let client = RestClient::new(fake.host().clone()).after_plugins();
        let answer = client.call(Method::Put, "/a?b", &[("If-Match", "\"1\"")], b"body").unwrap();
        assert_eq!((&*answer, answer.to_str().unwrap()), (&b"answer"[..], "answer"));
        assert_eq!(format!("{answer:?}"), "Buffer(6 bytes)");
        let call = RestCall {
            method: 3,
            uri: "/a?b".into(),
            headers: vec![("If-Match".into(), "\"1\"".into())],
            body: b"body".to_vec(),
            after_plugins: true,
        };
        assert_eq!(fake.rest_calls(), [call]);
        assert_eq!(fake.unfreed(), 1);
        drop(answer);
        assert_eq!(fake.unfreed(), 0);
    }

    #[test]
    fn an_answer_outlives_its_host() {
        let fake = Fake::new("1.10.1");
        fake.set_rest_answer(200, Some(b"answer"));
        let answer = RestClient::new(fake.host().clone()).get("/a").unwrap();
        drop(fake);
        assert_eq!(&*answer, b"answer");
    }

    #[test]
    fn json_goes_both_ways() {
        let fake = Fake::new("1.13.0");
        let client = RestClient::new(fake.host().clone());
        fake.set_rest_answer(200, Some(br#"{"ID": "x"}"#));
        assert_eq!(client.get_json::<serde_json::Value>("/a").unwrap()["ID"], "x");
        client.post_json::<serde_json::Value>("/b", &json!({ "Level": "Study" })).unwrap();
        assert_eq!(fake.rest_calls()[1].body, br#"{"Level":"Study"}"#);
        assert!(matches!(client.get_json::<Vec<String>>("/a").unwrap_err(), HostError::Unexpected { .. }));
        fake.set_rest_answer(200, None);
        assert!(client.get("/a").unwrap().is_empty());
        client.delete("/a").unwrap();
        assert!(client.get_json::<serde_json::Value>("/a").is_err());
        fake.set_rest_answer(200, Some(b"\xff"));
        assert!(client.get("/a").unwrap().to_str().is_err());
        assert_eq!(fake.unfreed(), 0);
    }

    #[test]
    fn an_etag_comes_with_the_answer() {
        let fake = Fake::new("1.13.0");
        let client = RestClient::new(fake.host().clone());
        fake.set_rest_answer(200, Some(b"x=1"));
        assert_eq!(client.get_with_etag("/a").unwrap().1, None);
        fake.set_rest_answer_headers(r#"{"content-type": "text/plain", "ETag": "\"1-5661\""}"#);
        let (answer, etag) = client.get_with_etag("/a").unwrap();
        assert_eq!((&*answer, etag.as_deref()), (&b"x=1"[..], Some("\"1-5661\"")));
        drop(answer);
        assert_eq!(fake.unfreed(), 0);
    }

    #[test]
    fn errors_carry_status_code_and_words() {
        let fake = Fake::new("1.13.0");
        let client = RestClient::new(fake.host().clone());
        fake.set_rest_answer(409, Some(br#"{"OrthancStatus": 43, "Message": "Bad revision"}"#));
        let error = client.put("/x", b"").unwrap_err();
        assert_eq!(error.to_string(), "PUT /x: Orthanc answered HTTP 409, Revision (43): Bad revision");
        fake.set_rest_answer(404, None);
        assert_eq!(client.get("/x").unwrap_err().code(), Some(ErrorCode::UNKNOWN_RESOURCE));
        fake.set_rest_answer(0, None);
        fake.fail(Service::CallRestApi, sys::Code::UnknownResource);
        let error = client.get("/x").unwrap_err();
        assert!(error.is_not_found() && error.http_status().is_none());
        fake.fail(Service::CallRestApi, sys::Code::DatabaseNotInitialized);
        assert!(client.get("/x").unwrap_err().is_unavailable());
        assert!(matches!(client.get("/x\0").unwrap_err(), HostError::Nul { what: "a URI" }));
        assert!(matches!(client.call(Method::Get, "/x", &[("a\0", "")], b""), Err(HostError::Nul { .. })));
        fake.host().close();
        assert!(matches!(client.get("/x").unwrap_err(), HostError::Closed { .. }));
        assert_eq!(fake.unfreed(), 0);
    }
}
