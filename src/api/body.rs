//! POST bodies: JSON with known keys only.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::orthanc::RestError;
use crate::orthanc::rest_server::Request;

/// POST `/{level}/{id}/ai`
#[derive(Debug, Default, Deserialize, JsonSchema)]
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
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmptyBody {}

/// Reads the body; an empty one is `{}`. Orthanc does not handle CSRF: a page of another site can post forms and plain text, but not
/// `application/json` unless it is let, so another content type is refused. So is none at all from a browser (which says where it
/// comes from: `Origin`), for a script can leave it away. Lua, the host's own REST client and curl without data send none.
///
/// # Errors
/// 415 for another content type, 400 for what is not JSON or has an unknown key.
pub fn read<T: DeserializeOwned + Default>(request: &Request<'_>) -> Result<T, RestError> {
    if let Some(kind) = request.header("content-type") {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(RestError::new(415, "Content-Type: expected application/json"));
        }
    } else if request.header("origin").is_some() {
        return Err(RestError::new(415, "Content-Type: found none, expected application/json"));
    }
    if request.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    // serde takes an array for a struct, too: its fields in their order.
    if request.body.trim_ascii_start().first() == Some(&b'[') {
        return Err(RestError::bad_request("body: found an array, expected an object"));
    }
    let deserializer = &mut serde_json::Deserializer::from_slice(request.body);
    let body = serde_path_to_error::deserialize(&mut *deserializer)
        .map_err(|e| RestError::bad_request(format!("body, at {}: {}", e.path(), e.inner())))?;
    deserializer.end().map_err(|e| RestError::bad_request(format!("body: {e}")))?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orthanc::rest_server::Method;

    fn status(headers: &[(&'static str, &'static str)], body: &'static [u8]) -> u16 {
        let mut request = Request::new(Method::Post, "/ai/queue/suspend");
        request.headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        request.body = body;
        read::<RunBody>(&request).map_or_else(|e| e.status, |_| 200)
    }

    #[test]
    fn what_a_page_of_another_site_can_send_is_refused() {
        let origin = ("origin", "http://elsewhere");
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"] {
            assert_eq!(status(&[("content-type", kind), origin], b"{}"), 415, "{kind}");
            assert_eq!(status(&[("content-type", kind)], b""), 415, "{kind}");
        }
        assert_eq!(status(&[origin], b""), 415);
        assert_eq!(status(&[origin], b"{}"), 415);
        assert_eq!(status(&[("content-type", "Application/JSON; charset=utf-8"), origin], b"{}"), 200);
        assert_eq!(status(&[], b""), 200);
        assert_eq!(status(&[], b"{\"Force\": true}"), 200);
    }

    #[test]
    fn an_array_is_no_object() {
        let json = [("content-type", "application/json")];
        for body in [&b"[]"[..], b" [\"mammography-4view-demo\"]", b"null", b"3"] {
            assert_eq!(status(&json, body), 400, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn no_key_takes_a_path() {
        let body = |json: &str| serde_json::from_str::<RunBody>(json).unwrap_err().to_string();
        let keys = "`Model`, `Channels`, `Synchronous`, `Asynchronous`, `Priority`, `Force`";
        assert!(body("{\"Path\": \"/etc\"}").contains(&format!("unknown field `Path`, expected one of {keys}")));
        assert!(serde_json::from_str::<EmptyBody>("{\"Folder\": \"/etc\"}").is_err());
    }
}
