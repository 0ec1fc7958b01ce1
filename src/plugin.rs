//! The plugin's life: [`initialize`] is its table of contents.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;

use crate::config::{Config, ConfigError};
use crate::model::{Device, ModelError, ModelRegistry};
use crate::orthanc::events::{self, Event, EventKind};
use crate::orthanc::{Host, HostError, explorer, rest_server};
use crate::run::service::{Ports, ServiceSettings};
use crate::run::worker::WorkerSettings;
use crate::run::{RunService, RunStore, host_job, store};
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
    let orthanc = host.configuration()?;
    let config = Config::from_orthanc(&orthanc)?;
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
    let store = run_store(host, &config, &orthanc);
    let service = RunService::new(settings(&config, &orthanc), models, device, store, ports);
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

/// Where the runs are kept. Nothing is opened yet: Orthanc has not made its folders.
fn run_store(host: &Host, config: &Config, orthanc: &Value) -> Arc<dyn RunStore> {
    if let Some(postgres) = config.runs.postgres() {
        return store::postgres::open(postgres);
    }
    let from = host.configuration_path().unwrap_or_default();
    let folder = if from.is_dir() { Some(from.as_path()) } else { from.parent() };
    store::sqlite::open(config.runs.database_path(orthanc, folder.unwrap_or(Path::new(""))))
}

fn settings(config: &Config, orthanc: &Value) -> ServiceSettings {
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    ServiceSettings {
        queue_limit: config.runs.queue_limit,
        synchronous_timeout: Duration::from_secs(config.runs.synchronous_timeout),
        works: config.worker,
        worker: WorkerSettings {
            node: config.runs.node_name(orthanc, host_name.trim()),
            lease: config.runs.lease(),
            attempts: config.runs.attempts,
            backoff: config.runs.backoff(),
            history: config.runs.history,
            history_days: config.runs.history_days,
        },
    }
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
