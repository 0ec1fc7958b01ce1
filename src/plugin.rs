//! The plugin's life in Orthanc: what is registered, started and stopped.

use crate::orthanc::{Host, HostError};

/// Why the plugin cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Called while the server starts: there is no REST interface yet.
///
/// # Errors
/// Orthanc refuses a registration.
#[cfg_attr(not(feature = "fault-injection"), expect(clippy::unnecessary_wraps, reason = "registers nothing yet"))]
pub fn initialize(host: &Host) -> Result<(), PluginError> {
    #[cfg(feature = "fault-injection")]
    crate::orthanc::fault::register(host)?;
    log::info!("orthanc-ai {} in Orthanc {}", env!("CARGO_PKG_VERSION"), host.version());
    Ok(())
}

/// Called while the server stops.
pub fn finalize() {}
