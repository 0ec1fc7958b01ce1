//! The `log` crate's records into Orthanc's log.
//!
//! Only this crate's own records pass: libraries quote what they read, and what they read may be a patient's.

use std::ffi::CString;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::entry::NAME;
use super::error::HostError;
use super::host::{self, Host};
use super::sys::{self, Service};

struct HostLog;

/// `log` takes one logger a process, and the library survives POST `/tools/reset`: so there is one, and it asks for the current host each time.
static LOGGER: HostLog = HostLog;

/// Makes Orthanc's log the process's. Later calls change nothing.
pub fn install() {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

impl Log for HostLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = env!("CARGO_CRATE_NAME");
        metadata.target().split("::").next() == Some(ours)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata())
            && let Some(host) = host::current()
        {
            // There is nowhere to report it to.
            let _ = write(&host, record);
        }
    }

    fn flush(&self) {}
}

fn write(host: &Host, record: &Record<'_>) -> Result<(), HostError> {
    let text = record.args().to_string();
    if !host.at_least(1, 12, 4) {
        let message = printable(&format!("{}: {text}", NAME.to_string_lossy()));
        let (call, service) = match record.level() {
            Level::Error => ("LogError", Service::LogError),
            Level::Warn => ("LogWarning", Service::LogWarning),
            Level::Info | Level::Debug | Level::Trace => ("LogInfo", Service::LogInfo),
        };
        // SAFETY: OrthancPluginLogError, …Warning and …Info pass the message itself.
        return unsafe { host.invoke(call, service, message.as_ptr()) };
    }
    let message = printable(&text);
    let file = printable(record.file().unwrap_or("?"));
    let params = sys::_OrthancPluginLogMessage {
        message: message.as_ptr(),
        plugin: NAME.as_ptr(),
        file: file.as_ptr(),
        line: record.line().unwrap_or(0),
        category: sys::OrthancPluginLogCategory::Generic,
        level: match record.level() {
            Level::Error => sys::OrthancPluginLogLevel::Error,
            Level::Warn => sys::OrthancPluginLogLevel::Warning,
            Level::Info => sys::OrthancPluginLogLevel::Info,
            Level::Debug | Level::Trace => sys::OrthancPluginLogLevel::Trace,
        },
    };
    // SAFETY: OrthancPluginLogMessage passes this structure; the core copies the strings.
    unsafe { host.invoke("LogMessage", Service::LogMessage, &raw const params) }
}

/// One line without control characters: no forged log lines, and no NUL, which would end a C string.
fn printable(text: &str) -> CString {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    CString::new(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, alone};
    use super::*;

    fn emit(target: &str, level: Level, text: &str) {
        let arguments = format_args!("{text}");
        LOGGER.log(
            &Record::builder().target(target).level(level).args(arguments).file(Some("a.rs")).line(Some(7)).build(),
        );
    }

    #[test]
    fn each_core_gets_the_service_it_knows() {
        let _alone = alone();
        let cases = [("1.12.3", "error ai: one  two"), ("1.12.4", "0 ai a.rs:7 one  two")];
        for (version, expected) in cases {
            let fake = Fake::new(version);
            host::set_current(Some(fake.host().clone()));
            emit("orthanc_ai::run", Level::Error, "one\0\ntwo");
            emit("dicom_object::mem", Level::Error, "quotes a patient");
            emit("orthanc_ai_other", Level::Error, "not ours");
            assert_eq!(fake.texts(), [expected], "{version}");
            host::set_current(None);
            emit("orthanc_ai", Level::Error, "nobody listens");
            assert_eq!(fake.texts().len(), 1);
        }
    }

    #[test]
    fn levels_keep_their_order() {
        let _alone = alone();
        let fake = Fake::new("1.13.0");
        host::set_current(Some(fake.host().clone()));
        for level in [Level::Error, Level::Warn, Level::Info, Level::Debug] {
            emit("orthanc_ai", level, "x");
        }
        assert_eq!(fake.texts(), ["0 ai a.rs:7 x", "1 ai a.rs:7 x", "2 ai a.rs:7 x", "3 ai a.rs:7 x"]);
        host::set_current(None);
    }
}
