//! POST bodies: JSON with known keys only.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::orthanc::RestError;
use crate::orthanc::rest_server::Request;

/// POST `/{level}/{id}/ai`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct RunBody {
    /// Absent: every model that applies.
    pub model: Option<String>,
    /// Orthanc's ids of the series that are the model's channels, in their order; empty: the model's rule finds them.
    pub channels: Vec<String>,
    pub synchronous: Option<bool>,
    pub asynchronous: Option<bool>,
    pub priority: i32,
    pub force: bool,
}

/// POST of an action: no parameters yet.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmptyBody {}

/// Reads the body; an empty one is `{}`. Orthanc does not handle CSRF: a browser form cannot send `application/json`, so
/// another content type is refused. (Lua and the host's own REST client send none.)
///
/// # Errors
/// 415 for another content type, 400 for what is not JSON or has an unknown key.
pub fn read<T: DeserializeOwned + Default>(request: &Request<'_>) -> Result<T, RestError> {
    if let Some(kind) = request.header("content-type") {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(RestError::new(415, "Content-Type: expected application/json"));
        }
    }
    if request.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    let deserializer = &mut serde_json::Deserializer::from_slice(request.body);
    let body = serde_path_to_error::deserialize(&mut *deserializer)
        .map_err(|e| RestError::bad_request(format!("body, at {}: {}", e.path(), e.inner())))?;
    deserializer.end().map_err(|e| RestError::bad_request(format!("body: {e}")))?;
    Ok(body)
}
