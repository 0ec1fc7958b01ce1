//! The core's audit log (1.12.9 and later): what is emitted reaches every plugin that has asked for it, such as PostgreSQL's, which stores it.

use std::ffi::c_void;

use serde_json::Value;

use super::entry::NAME;
use super::error::HostError;
use super::events::ResourceLevel;
use super::host::{Host, c_size, c_string};
use super::sys::{self, Service};

/// One thing that somebody has done to a resource.
#[derive(Debug)]
pub struct AuditLog<'a> {
    /// Empty where nobody is known.
    pub user: &'a str,
    pub level: ResourceLevel,
    /// Orthanc's id of the resource.
    pub resource_id: &'a str,
    pub action: &'a str,
    pub data: &'a Value,
}

/// Whether the core has an audit log.
pub fn is_there(host: &Host) -> bool {
    host.at_least(1, 12, 9)
}

/// Tells the audit log; nothing on a core that has none.
///
/// # Errors
/// The core refuses; a text holds a NUL.
pub fn emit(host: &Host, entry: &AuditLog) -> Result<(), HostError> {
    if !is_there(host) {
        return Ok(());
    }
    let user = c_string("a user", entry.user)?;
    let resource = c_string("a resource", entry.resource_id)?;
    let action = c_string("an action", entry.action)?;
    let data = entry.data.to_string();
    let params = sys::_OrthancPluginEmitAuditLog {
        sourcePlugin: NAME.as_ptr(),
        userId: user.as_ptr(),
        resourceType: entry.level.to_sys(),
        resourceId: resource.as_ptr(),
        action: action.as_ptr(),
        logData: data.as_ptr().cast::<c_void>(),
        logDataSize: c_size("the data of an audit log", data.len())?,
    };
    // SAFETY: OrthancPluginEmitAuditLog passes this structure; the core copies what it holds for its handlers.
    unsafe { host.invoke("EmitAuditLog", Service::EmitAuditLog, &raw const params) }
}

/// What a handler is told, as text.
#[cfg(any(test, feature = "fault-injection"))]
pub mod handler {
    use std::ffi::c_char;
    use std::slice;

    use super::super::guard::guard;
    use super::super::host::borrow_c_string;
    use super::*;

    /// Writes every audit log of the server to the log of the server: for the live tests.
    ///
    /// # Errors
    /// The core refuses.
    pub fn register(host: &Host) -> Result<(), HostError> {
        if !is_there(host) {
            return Ok(());
        }
        let params = sys::_OrthancPluginAuditLogHandler { handler: Some(handle) };
        let service = Service::RegisterAuditLogHandler;
        // SAFETY: OrthancPluginRegisterAuditLogHandler passes this structure.
        unsafe { host.invoke("RegisterAuditLogHandler", service, &raw const params) }
    }

    unsafe extern "C" fn handle(
        source: *const c_char,
        user: *const c_char,
        level: sys::OrthancPluginResourceType,
        resource: *const c_char,
        action: *const c_char,
        data: *const c_void,
        size: u32,
    ) -> sys::Code {
        guard("the audit log handler", sys::Code::Plugin, || {
            let text = |string| {
                // SAFETY: null or a C string of the core, valid until this function returns.
                unsafe { borrow_c_string(string) }.map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
            };
            let data = if data.is_null() || size == 0 {
                &[][..]
            } else {
                // SAFETY: "a pointer to custom log data" and "the size of the custom log data".
                unsafe { slice::from_raw_parts(data.cast::<u8>(), size as usize) }
            };
            let level = ResourceLevel::from_sys(level);
            let (source, user, resource, action) = (text(source), text(user), text(resource), text(action));
            // Orthanc shows warnings unless it is told to show more.
            ::log::warn!(
                "audit: {source} user=\"{user}\" {level:?} {resource} {action} {}",
                String::from_utf8_lossy(data)
            );
            sys::Code::Success
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::Fake;
    use super::*;

    fn log<'a>(user: &'a str, data: &'a Value) -> AuditLog<'a> {
        AuditLog { user, level: ResourceLevel::Study, resource_id: "s-1", action: "ai-results-stored", data }
    }

    #[test]
    fn an_entry_reaches_the_core_whole_and_only_one_that_has_a_log() {
        let data = json!({"RunID": "r"});
        let fake = Fake::new("1.12.9");
        emit(fake.host(), &log("alice", &data)).unwrap();
        emit(fake.host(), &log("", &data)).unwrap();
        let expected = |user: &str| format!("audit ai [{user}] 1 s-1 ai-results-stored {{\"RunID\":\"r\"}}");
        assert_eq!(fake.texts(), [expected("alice"), expected("")]);
        assert!(matches!(emit(fake.host(), &log("a\0", &data)).unwrap_err(), HostError::Nul { .. }));
        let old = Fake::new("1.12.8");
        emit(old.host(), &log("alice", &data)).unwrap();
        handler::register(old.host()).unwrap();
        assert_eq!(old.calls(), [] as [Service; 0]);
    }
}
