//! Errors of our routes, in the form in which Orthanc writes its own.

use std::borrow::Cow;
use std::fmt;

use serde_json::json;

use super::error::{ErrorCode, HostError};
use super::rest_server::{Request, Response};

/// An answer that is an error: HTTP status, what went wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestError {
    pub status: u16,
    /// One sentence: what, which key, found and expected. Never a patient's data, never a path of the server's disk.
    pub message: String,
    pub details: Option<String>,
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// `OrthancStatus` of the answer.
    pub code: ErrorCode,
}

impl RestError {
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        let code = match status {
            404 => ErrorCode::UNKNOWN_RESOURCE,
            500.. => ErrorCode::PLUGIN,
            _ => ErrorCode::BAD_REQUEST,
        };
        Self { status, message: message.into(), details: None, headers: Vec::new(), code }
    }

    /// 400: the request itself is wrong (not JSON, an unknown key, an unknown model).
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 404: there is no such resource.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    /// 405: the route exists, not for this method. `allow` lists the methods it has, such as `"GET,POST"`. As with Orthanc's own routes
    /// the answer has that header and no body.
    pub fn method_not_allowed(allow: &str) -> Self {
        Self::new(405, format!("this route takes {allow}")).with_header("Allow", allow)
    }

    /// 422: the request is well formed, but the images are not what the model can take.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, message)
    }

    /// 500: our fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    /// 503: not now; the client may try again after so many seconds.
    pub fn unavailable(message: impl Into<String>, retry_after_s: u32) -> Self {
        Self::new(503, message).with_header("Retry-After", retry_after_s.to_string())
    }

    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The answer to `request`: a JSON object with the keys of Orthanc's own errors.
    pub fn respond(&self, request: &Request<'_>) -> Response {
        // As Orthanc's own: Message is the code's fixed text, Details is what happened here.
        let details = self.details.as_ref().map_or_else(|| self.message.clone(), |d| format!("{}: {d}", self.message));
        let body = json!({
            "HttpError": reason_phrase(self.status),
            "HttpStatus": self.status,
            "Message": self.code.description(),
            "Method": request.method.as_str(),
            "OrthancError": self.code.description(),
            "OrthancStatus": self.code.0,
            "Uri": request.path,
            "Details": details,
        });
        Response {
            status: self.status,
            content_type: "application/json".into(),
            headers: self.headers.clone(),
            body: format!("{body:#}\n").into_bytes().into(),
        }
    }
}

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}: {}", self.status, self.message)
    }
}

impl std::error::Error for RestError {}

impl From<HostError> for RestError {
    /// A resource that the core does not know is the client's error, a server that starts or stops is nobody's, the rest is ours.
    fn from(error: HostError) -> Self {
        if error.is_not_found() {
            Self::not_found(error.to_string())
        } else if error.is_unavailable() {
            Self::unavailable("Orthanc is starting or stopping", 5).with_details(error.to_string())
        } else {
            Self::internal(error.to_string())
        }
    }
}

/// The reason phrases of RFC 9110 for the statuses that this plugin sends.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        409 => "Conflict",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ if status < 500 => "Bad Request",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::super::rest_server::Method;
    use super::*;

    #[test]
    fn an_error_has_the_keys_of_orthancs_own() {
        let request = Request::new(Method::Post, "/studies/x/ai");
        let error = RestError::unavailable("the queue is full: 64 runs wait", 30).with_details("Ai.QueueLength is 64");
        let response = error.respond(&request);
        assert_eq!((response.status, response.content_type.as_ref()), (503, "application/json"));
        assert_eq!(response.headers, [("Retry-After".into(), "30".to_owned())]);
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        let expected = json!({
            "HttpError": "Service Unavailable", "HttpStatus": 503, "Message": "Error encountered within the plugin engine",
            "Method": "POST", "OrthancError": "Error encountered within the plugin engine", "OrthancStatus": 1,
            "Uri": "/studies/x/ai", "Details": "the queue is full: 64 runs wait: Ai.QueueLength is 64",
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn errors_of_the_core_keep_their_meaning() {
        let rest = |code, http_status| HostError::Rest {
            method: "GET",
            uri: "/series/x".into(),
            code,
            http_status,
            details: None,
        };
        let table = [
            (rest(ErrorCode::UNKNOWN_RESOURCE, Some(404)), 404, 17),
            (rest(ErrorCode::INEXISTENT_ITEM, None), 404, 17),
            (rest(ErrorCode::DATABASE_NOT_INITIALIZED, None), 503, 1),
            (HostError::Closed { call: "CallRestApi" }, 503, 1),
            (rest(ErrorCode::BAD_FILE_FORMAT, Some(400)), 500, 1),
        ];
        for (error, status, code) in table {
            let error = RestError::from(error);
            assert_eq!((error.status, error.code.0), (status, code), "{error}");
        }
    }
}
