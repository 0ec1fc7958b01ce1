//! The plugin's life: [`initialize`] is its table of contents.

use std::sync::{Arc, PoisonError, RwLock};

use crate::config::{Config, ConfigError};
use crate::model::{Device, ModelError, ModelRegistry};
use crate::orthanc::events::{self, Event, EventKind};
use crate::orthanc::{Host, HostError, explorer, rest_server};
use crate::run::service::Ports;
use crate::run::{RunService, host_job};
use crate::source::orthanc::OrthancSource;
use crate::{api, web};

/// Why the plugin is off. The server goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("configuration, Ai.Device: {0}")]
    Device(#[from] ModelError),
    #[error("configuration, Ai.ModelsDirectory: the folder cannot be listed: {0}")]
    ModelsDirectory(std::io::Error),
}

/// The service of this life: `/tools/reset` ends one and begins the next in the same process.
static SERVICE: RwLock<Option<Arc<RunService>>> = RwLock::new(None);

/// The running service; None before start, after stop, and where the plugin is off.
pub fn service() -> Option<Arc<RunService>> {
    SERVICE.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Called while the server starts. Whatever is wrong leaves the plugin off and says so: a mistake in its configuration must
/// not keep a hospital's archive from starting.
///
/// # Errors
/// None today; Orthanc would stop the server.
#[allow(clippy::unnecessary_wraps, reason = "the host layer's signature")]
pub fn initialize(host: &Host) -> Result<(), PluginError> {
    if let Err(error) = start(host) {
        log::error!("the AI plugin is off: {error}");
        finalize();
    }
    Ok(())
}

/// Reads the configuration and the manifests, makes the service (its worker begins when the server has started), registers routes, events and
/// buttons. No database and no REST yet.
fn start(host: &Host) -> Result<(), PluginError> {
    let config = Config::from_orthanc(&host.configuration()?)?;
    explorer::set_description(
        host,
        "Runs AI models inside Orthanc and stores the results as DICOM (research use only)",
    )?;
    if !config.enable {
        log::warn!("the AI plugin is off: set \"Ai\": {{\"Enable\": true}} in Orthanc's configuration");
        return Ok(());
    }
    let device = Device::from_choice(&config.device, config.threads)?;
    let ports =
        Ports { source: Arc::new(OrthancSource), results: Arc::new(OrthancSource), announce: host_job::announce };
    let models = ModelRegistry::scan(&config.models_directory).map_err(PluginError::ModelsDirectory)?;
    let service = RunService::new(&config.runs, models, device, ports);
    *SERVICE.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(service));

    #[cfg(feature = "fault-injection")]
    crate::orthanc::fault::register(host)?;
    rest_server::register(host, api::ROUTES)?;
    events::subscribe(host, on_event)?;
    explorer::extend_orthanc_explorer(host, web::EXPLORER_JS)?;
    explorer::set_root_uri(host, "../ai/app/index.html")?;
    log::info!("orthanc-ai {} on {}", env!("CARGO_PKG_VERSION"), device.describe());
    Ok(())
}

/// Runs on the thread that all plugins share: everything here returns at once, but for the stop.
fn on_event(event: Event) {
    match event.kind {
        EventKind::OrthancStarted => begin(),
        // The last moment at which REST still works.
        EventKind::OrthancStopped => stop(),
        _ => {}
    }
}

/// Nothing of this life is left behind, whether or not the event of the stop came.
pub fn finalize() {
    stop();
}

fn begin() {
    if let Some(Err(error)) = service().map(|service| service.begin()) {
        log::error!("the worker's thread cannot start, nothing will be analysed: {error}");
    }
}

fn stop() {
    let service = SERVICE.write().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(service) = service {
        service.stop();
    }
}
