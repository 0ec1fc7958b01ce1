//! Who asks, and the audit log's entry of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::orthanc::rest_server::Request;
use crate::orthanc::{audit, host};
use crate::run::audit::{Action, AuditEvent};
use crate::run::{Run, RunService};

/// A user's name that is longer is none.
const MAX_USER_CHARS: usize = 128;

/// Tells the audit log what the request has done to a run.
pub fn tell(request: &Request<'_>, service: &RunService, action: Action, run: &Run) {
    let user = host::current().filter(audit::is_there).and_then(|_| user_of(request));
    (service.audit)(&AuditEvent { action, user: user.as_deref(), run });
}

/// Who asks, where somebody vouches for it.
pub fn user_of(request: &Request<'_>) -> Option<String> {
    let configuration = host::current()?.configuration().unwrap_or_default();
    user(request, &configuration["RegisteredUsers"])
}

/// The user that somebody vouches for: the plugin that authenticates requests, or Orthanc, whose `RegisteredUsers` they are. A name
/// in a header that nobody has checked is none.
fn user(request: &Request<'_>, registered: &Value) -> Option<String> {
    let name = if request.authentication.is_empty() {
        basic(request.header("authorization")?, registered)?
    } else {
        of_payload(request.authentication)?
    };
    let fits = !name.is_empty() && name.chars().count() <= MAX_USER_CHARS && !name.chars().any(char::is_control);
    fits.then_some(name)
}

/// The payload is whatever the authenticating plugin makes of it: a name, or a JSON object with one.
fn of_payload(payload: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(payload).ok()?;
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(of)) => ["user-id", "id", "user", "username", "name"]
            .into_iter()
            .find_map(|key| of.get(key)?.as_str().map(str::to_owned)),
        Ok(Value::String(name)) => Some(name),
        Ok(_) => None,
        Err(_) => Some(text.to_owned()),
    }
}

/// HTTP basic authentication (RFC 7617), by a registered user with the right password.
fn basic(header: &str, registered: &Value) -> Option<String> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    (registered.get(user)?.as_str()? == password).then(|| user.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::orthanc::rest_server::Method;

    fn of(header: Option<&str>, payload: &'static [u8]) -> Option<String> {
        let mut request = Request::new(Method::Post, "/");
        request.headers.extend(header.map(|h| ("authorization".into(), h.to_owned().into())));
        request.authentication = payload;
        user(&request, &json!({"alice": "secret", "bob": "x:y"}))
    }

    #[test]
    fn a_name_counts_where_somebody_vouches_for_it() {
        let basic = |text: &str| of(Some(&format!("Basic {}", STANDARD.encode(text))), b"");
        assert_eq!(basic("alice:secret").as_deref(), Some("alice"));
        assert_eq!(basic("bob:x:y").as_deref(), Some("bob"));
        for text in ["alice:wrong", "mallory:secret", "alice", ""] {
            assert_eq!(basic(text), None, "{text}");
        }
        assert_eq!(of(Some("Bearer abc"), b""), None);
        assert_eq!(of(Some("Basic ???"), b""), None);
        assert_eq!(of(None, b""), None);
        // Who has authenticated counts, not what the client says beside it.
        let alice = format!("Basic {}", STANDARD.encode("alice:secret"));
        assert_eq!(of(Some(&alice), br#"{"name": "Carol", "user-id": "c-1"}"#).as_deref(), Some("c-1"));
        assert_eq!(of(None, b"carol").as_deref(), Some("carol"));
        assert_eq!(of(None, br#"{"roles": []}"#), None);
        assert_eq!(of(None, b"\xff"), None);
        assert_eq!(of(None, b"a\nb"), None);
    }
}
