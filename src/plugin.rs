//! The plugin's life: [`initialize`] is its table of contents.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;

use crate::config::{CompatibilityModels, Config, ConfigError, Contract, stable_age};
use crate::model::{Device, ModelError, ModelRegistry};
use crate::orthanc::events::{self, Event, EventKind, ResourceLevel};
use crate::orthanc::{Host, HostError, audit, explorer, host, http_filter, metrics, rest_server, thread};
use crate::run::audit::AuditEvent;
use crate::run::automatic::{self, Automatic, Trigger};
use crate::run::marks::Marks;
use crate::run::metrics::MetricValue;
use crate::run::service::{Ports, ServiceSettings};
use crate::run::worker::WorkerSettings;
use crate::run::{self, RunService, RunStore, host_job, store};
use crate::source::orthanc::OrthancSource;
use crate::source::{Level, Resource};
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
    #[error("configuration, Ai.Rules[{rule}].Model: found \"{found}\", known models: {known}")]
    RuleModel { rule: usize, found: String, known: String },
    #[error("configuration, Ai.CompatibilityModels.{contract:?}: found \"{found}\", {expected}")]
    CompatibilityModel { contract: Contract, found: String, expected: String },
    #[error("configuration, Ai.ModelsDirectory: the folder cannot be listed: {0}")]
    ModelsDirectory(std::io::Error),
}

/// What lives from start to stop.
pub struct Life {
    pub service: Arc<RunService>,
    pub automatic: Automatic,
    /// Which models answer the originals' routes; None: those routes are unknown.
    pub compatibility: Option<CompatibilityModels>,
}

/// `/tools/reset` ends one life and begins the next in the same process.
static LIFE: RwLock<Option<Arc<Life>>> = RwLock::new(None);

/// None before start, after stop, and where the plugin is off.
pub fn life() -> Option<Arc<Life>> {
    LIFE.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The running service; None as [`life`].
pub fn service() -> Option<Arc<RunService>> {
    life().map(|life| life.service.clone())
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
    let ports = Ports {
        source: Arc::new(OrthancSource),
        results: Arc::new(OrthancSource),
        announce: host_job::announce,
        marks: Marks::new(config.marks.clone(), Arc::new(OrthancSource)),
        audit: tell_audit_log,
        background: config.background.then_some(stand_back as fn()),
    };
    let models = ModelRegistry::scan(&config.models_directory).map_err(PluginError::ModelsDirectory)?;
    let store = run_store(host, &config, &orthanc);
    let service = RunService::new(settings(&config, &orthanc), models, device, store, ports);
    let automatic = automatic(&config, &orthanc, &service)?;
    let compatibility = compatibility(&config, &service)?;
    let life = Life { service: Arc::new(service), automatic, compatibility };
    *LIFE.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(life));

    #[cfg(feature = "fault-injection")]
    crate::orthanc::fault::register(host)?;
    #[cfg(feature = "fault-injection")]
    rest_server::register(host, api::fault::ROUTES)?;
    rest_server::register(host, api::ROUTES)?;
    http_filter::register(host, api::forms::is_allowed)?;
    events::subscribe(host, on_event)?;
    metrics::on_refresh(host, show_metrics)?;
    explorer::extend_orthanc_explorer(host, web::EXPLORER_JS)?;
    explorer::set_root_uri(host, "../ai/app/index.html")?;
    log::info!("orthanc-ai {} on {}", env!("CARGO_PKG_VERSION"), device.describe());
    Ok(())
}

/// In the thread that computes.
fn stand_back() {
    if let Err(error) = thread::run_in_background() {
        log::warn!("runs cannot compute in the background: {error}");
    }
}

/// Where the runs are kept. Nothing is opened yet: Orthanc has not made its folders.
fn run_store(host: &Host, config: &Config, orthanc: &Value) -> Arc<dyn RunStore> {
    let from = host.configuration_path().unwrap_or_default();
    let folder = if from.is_dir() { Some(from.as_path()) } else { from.parent() }.unwrap_or(Path::new(""));
    if let Some(postgres) = config.runs.postgres() {
        let authorities = config.runs.postgre_sql_ca_certificates.as_ref().map(|file| folder.join(file));
        return store::postgres::open(postgres, authorities);
    }
    let path = config.runs.database_path(orthanc, folder);
    // A file with a name of its own may be several servers'; the one beside the index is as much one server's as the index is.
    if config.runs.database.is_some() { store::sqlite::open_shared(path) } else { store::sqlite::open(path) }
}

/// Orthanc's default is 50.
fn http_threads(orthanc: &Value) -> usize {
    let set = orthanc.get("HttpThreadsCount").and_then(Value::as_u64);
    set.and_then(|count| usize::try_from(count).ok()).unwrap_or(50)
}

fn settings(config: &Config, orthanc: &Value) -> ServiceSettings {
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    ServiceSettings {
        queue_limit: config.runs.queue_limit,
        synchronous_timeout: Duration::from_secs(config.runs.synchronous_timeout),
        synchronous_limit: http_threads(orthanc).div_ceil(2),
        works: config.worker,
        worker: WorkerSettings {
            node: config.runs.node_name(orthanc, host_name.trim()),
            lease: config.runs.lease(),
            attempts: config.runs.attempts,
            backoff: config.runs.backoff(),
            history: config.runs.history,
            history_days: config.runs.history_days,
            limits: config.limits,
            encapsulated_pdf: config.results.encapsulated_pdf,
        },
    }
}

/// # Errors
/// A rule names a model that is not there.
fn automatic(config: &Config, orthanc: &Value, service: &RunService) -> Result<Automatic, PluginError> {
    for (i, rule) in config.rules.iter().enumerate() {
        if service.models.get(&rule.model).is_none() {
            let known: Vec<String> = service.models.list().into_iter().map(|m| m.name).collect();
            return Err(PluginError::RuleModel { rule: i, found: rule.model.clone(), known: known.join(", ") });
        }
    }
    Ok(Automatic::new(automatic::Settings {
        rules: config.rules.clone(),
        automatic: config.automatic,
        stable_age: stable_age(orthanc),
    }))
}

/// # Errors
/// A contract's model is not there, or is made for another question.
fn compatibility(config: &Config, service: &RunService) -> Result<Option<CompatibilityModels>, PluginError> {
    let named = &config.compatibility_models;
    api::compat::check(&service.models, named).map_err(|(contract, expected)| {
        let found = named.get(contract).unwrap_or_default().to_owned();
        PluginError::CompatibilityModel { contract, found, expected }
    })?;
    Ok(config.compatibility_routes.then(|| config.compatibility_models.clone()))
}

/// Runs on the thread that all plugins share: everything here returns at once, but for the stop.
fn on_event(event: Event) {
    if event.kind == EventKind::NewInstance
        && let Some(life) = life()
    {
        life.service.receiving.note();
    }
    let trigger = match event.kind {
        EventKind::OrthancStarted => return begin(),
        // The last moment at which REST still works.
        EventKind::OrthancStopped => return stop(),
        EventKind::StableStudy => (Level::Study, Trigger::StableStudy),
        EventKind::StableSeries => (Level::Series, Trigger::StableSeries),
        EventKind::NewInstance => (Level::Instance, Trigger::NewInstance),
        _ => return,
    };
    if let (Some(life), Some(id)) = (life(), event.resource_id) {
        life.automatic.event(Resource::new(trigger.0, id), trigger.1);
    }
}

/// Nothing on a core without an audit log.
fn tell_audit_log(event: &AuditEvent) {
    let Some(host) = host::current().filter(audit::is_there) else { return };
    let entry = audit::AuditLog {
        user: event.user.unwrap_or_default(),
        level: ResourceLevel::Study,
        resource_id: &event.run.request.study,
        action: event.action.name(),
        data: &event.data(),
    };
    if let Err(e) = audit::emit(&host, &entry) {
        log::warn!("run {}: the audit log is not told: {e}", event.run.id);
    }
}

/// Runs inside the scrape.
fn show_metrics(host: &Host) {
    let Some(service) = service() else { return };
    let models = service.models.list();
    for (name, value) in service.metrics.values().into_iter().chain(run::metrics::models(&models)) {
        // The next scrape tries again.
        let _refused = match value {
            MetricValue::Integer(value) => metrics::set_integer(host, &name, value),
            MetricValue::Float(value) => metrics::set(host, &name, value as f32),
        };
    }
}

/// Nothing of this life is left behind, whether or not the event of the stop came.
pub fn finalize() {
    stop();
}

fn begin() {
    let Some(life) = life() else { return };
    if let Err(error) = life.service.begin() {
        log::error!("the worker's thread cannot start, nothing will be analysed: {error}");
    }
    let ports = automatic::Ports { source: Arc::new(OrthancSource), catalogue: Arc::new(OrthancSource) };
    if let Err(error) = life.automatic.begin(life.service.clone(), ports) {
        log::error!("the watcher's thread cannot start, nothing will be analysed by itself: {error}");
    }
}

fn stop() {
    let life = LIFE.write().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(life) = life {
        life.service.ask_to_stop();
        life.automatic.stop();
        life.service.stop();
    }
}
