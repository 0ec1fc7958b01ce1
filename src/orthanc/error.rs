//! What can go wrong between us and the core.

use std::fmt;

use super::host::Version;
use super::sys;

/// One of Orthanc's error codes (`OrthancPluginErrorCode`), known to this SDK or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i32);

impl ErrorCode {
    pub const INTERNAL_ERROR: Self = Self(sys::Code::InternalError.0);
    pub const PLUGIN: Self = Self(sys::Code::Plugin.0);
    pub const BAD_REQUEST: Self = Self(sys::Code::BadRequest.0);
    pub const BAD_FILE_FORMAT: Self = Self(sys::Code::BadFileFormat.0);
    pub const UNKNOWN_RESOURCE: Self = Self(sys::Code::UnknownResource.0);
    pub const BAD_PARAMETER_TYPE: Self = Self(sys::Code::BadParameterType.0);
    pub const INEXISTENT_ITEM: Self = Self(sys::Code::InexistentItem.0);
    pub const NOT_IMPLEMENTED: Self = Self(sys::Code::NotImplemented.0);
    pub const FULL_STORAGE: Self = Self(sys::Code::FullStorage.0);
    /// The REST interface and the database cannot be used: the server is starting or stopping.
    pub const DATABASE_NOT_INITIALIZED: Self = Self(sys::Code::DatabaseNotInitialized.0);

    /// The name in the SDK, such as `UnknownResource`.
    pub fn name(self) -> &'static str {
        self.entry().map_or("UnknownErrorCode", |(_, name, _)| name)
    }

    /// The SDK's sentence, such as "Unknown resource".
    pub fn description(self) -> &'static str {
        self.entry().map_or("Error code that this SDK does not know", |(_, _, description)| description)
    }

    fn entry(self) -> Option<(i32, &'static str, &'static str)> {
        let codes = sys::ERROR_CODES;
        codes.binary_search_by_key(&self.0, |(value, ..)| *value).ok().map(|index| codes[index])
    }
}

impl From<sys::Code> for ErrorCode {
    fn from(code: sys::Code) -> Self {
        Self(code.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A call to the core that did not give what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// `OrthancPluginFinalize` has begun (or `OrthancPluginInitialize` has not): the context may not be used.
    #[error("{call}: Orthanc has unloaded the plugin")]
    Closed { call: &'static str },
    /// The core refused the call.
    #[error("{call}: Orthanc answered {code}: {}", code.description())]
    Service { call: &'static str, code: ErrorCode },
    /// A call to the REST interface did not succeed. `details` is `Message`/`Details` of Orthanc's answer where there is one.
    #[error("{method} {uri}: Orthanc answered {}{code}{}", .http_status.map(|status| format!("HTTP {status}, ")).unwrap_or_default(), .details.as_deref().map(|details| format!(": {details}")).unwrap_or_default())]
    Rest { method: &'static str, uri: String, code: ErrorCode, http_status: Option<u16>, details: Option<String> },
    /// The core reported success but gave no result.
    #[error("{call}: Orthanc gave a null pointer for {what}")]
    NullPointer { call: &'static str, what: &'static str },
    #[error("{what} holds a NUL character, which a C string cannot")]
    Nul { what: &'static str },
    #[error("{what} has {size} bytes, Orthanc's SDK takes at most {}", u32::MAX)]
    TooLarge { what: &'static str, size: usize },
    #[error("{call} needs Orthanc {needed} or later, this is {found}")]
    TooOld { call: &'static str, needed: Version, found: Version },
    #[error("{what} is not what was expected: {problem}")]
    Unexpected { what: String, problem: String },
}

impl HostError {
    /// Orthanc's error code, where the core gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Service { code, .. } | Self::Rest { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The HTTP status of a call to the REST interface, where the core gave one.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Rest { http_status, .. } => *http_status,
            _ => None,
        }
    }

    /// The resource that was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.http_status() == Some(404)
            || matches!(self.code(), Some(ErrorCode::UNKNOWN_RESOURCE | ErrorCode::INEXISTENT_ITEM))
    }

    /// The server is starting or stopping: the call may succeed another time.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Closed { .. }) || self.code() == Some(ErrorCode::DATABASE_NOT_INITIALIZED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_carry_the_names_and_words_of_the_header() {
        assert_eq!(ErrorCode::UNKNOWN_RESOURCE.name(), "UnknownResource");
        assert_eq!(ErrorCode::UNKNOWN_RESOURCE.description(), "Unknown resource");
        assert_eq!(ErrorCode(-1).name(), "InternalError");
        assert_eq!(ErrorCode(3000).name(), "UnsupportedMediaType");
        assert_eq!(ErrorCode(123_456).to_string(), "UnknownErrorCode (123456)");
        assert!(sys::ERROR_CODES.is_sorted_by_key(|(value, ..)| *value));
    }

    #[test]
    fn a_rest_error_says_what_was_asked_and_what_came_back() {
        let error = HostError::Rest {
            method: "GET",
            uri: "/studies/x".into(),
            code: ErrorCode::UNKNOWN_RESOURCE,
            http_status: Some(404),
            details: None,
        };
        assert_eq!(error.to_string(), "GET /studies/x: Orthanc answered HTTP 404, UnknownResource (17)");
        assert!(error.is_not_found() && !error.is_unavailable());
    }
}
