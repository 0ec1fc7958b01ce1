//! What REST and events ask of runs: submit, cancel, retry, delete. Owns the worker's thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::queue::{QueueFull, RunQueue};
use super::record::{Run, RunId, RunRequest, RunState, Timestamp};
use super::select::{self, NotApplicable, Selection};
use super::store::{MemoryRunStore, RunStore};
use super::worker::{Current, Worker};
use crate::config::RunsConfig;
use crate::model::{Device, ModelInfo, ModelRegistry, ModelState};
use crate::source::{InstanceHeader, InstanceSource, ResultStore};

/// Why a run was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("unknown model \"{name}\", known models: {}", .known.join(", "))]
    UnknownModel { name: String, known: Vec<String> },
    #[error("the model {name} cannot run: {reason}")]
    NotReady { name: String, reason: String },
    #[error("{model}: {reason}")]
    NotApplicable { model: String, reason: NotApplicable },
    #[error(transparent)]
    QueueFull(#[from] QueueFull),
}

/// Why a run could not be cancelled or done again.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("unknown run {0}")]
    UnknownRun(RunId),
    #[error("the run is {found:?}, expected {expected}")]
    State { found: RunState, expected: &'static str },
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// The models, the queue, the runs and the worker of one life of the plugin.
pub struct RunService {
    pub device: Device,
    pub models: ModelRegistry,
    pub queue: Arc<RunQueue>,
    pub store: Arc<dyn RunStore>,
    pub synchronous_timeout: Duration,
    current: Arc<Current>,
    /// Until the server has started.
    idle: Mutex<Option<Worker>>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// The worker's two ports, and how it shows a run in the host.
pub struct Ports {
    pub source: Arc<dyn InstanceSource + Send>,
    pub results: Arc<dyn ResultStore + Send>,
    pub announce: fn(&RunId) -> Option<String>,
}

impl RunService {
    /// Nothing runs before [`Self::begin`].
    pub fn new(config: &RunsConfig, models: ModelRegistry, device: Device, ports: Ports) -> Self {
        let queue = Arc::new(RunQueue::new(config.queue_limit));
        let store: Arc<dyn RunStore> = Arc::new(MemoryRunStore::new(config.history));
        let current = Arc::new(Current::default());
        let worker = Worker {
            queue: queue.clone(),
            store: store.clone(),
            current: current.clone(),
            source: ports.source,
            results: ports.results,
            announce: ports.announce,
        };
        Self {
            device,
            models,
            queue,
            store,
            synchronous_timeout: Duration::from_secs(config.synchronous_timeout),
            current,
            idle: Mutex::new(Some(worker)),
            worker: Mutex::new(None),
        }
    }

    /// Starts the worker, which loads the weights ahead of the first run. Called when the server has started: libtorch's start-up beside
    /// the core's own was seen to hang both.
    ///
    /// # Errors
    /// The thread cannot start.
    pub fn begin(&self) -> std::io::Result<()> {
        let Some(worker) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        let (registry, device) = (self.models.clone(), self.device);
        let thread = std::thread::Builder::new().name("orthanc-ai".into()).spawn(move || {
            let mut loaded = registry.load(device);
            log_models(&registry);
            worker.work(&mut loaded);
        })?;
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Ends the run in flight between two stages and waits for the worker. Runs that wait are cancelled: until runs are
    /// durable, nobody could take them up again.
    pub fn stop(&self) {
        self.current.stop();
        self.queue.close();
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if worker.is_some_and(|w| w.join().is_err()) {
            log::error!("the worker ended in a panic");
        }
        let waiting = super::RunFilter { state: Some(RunState::Queued), ..Default::default() };
        for run in self.store.list(&waiting) {
            self.store.update(&run.id, &mut cancel_queued);
        }
    }

    /// False once the worker's thread has ended.
    pub fn worker_is_alive(&self) -> bool {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        worker.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Whether `model` takes these instances; `channels` as [`select::select`] takes them.
    ///
    /// # Errors
    /// [`SubmitError`] but [`SubmitError::QueueFull`].
    pub fn select(
        &self,
        model: &str,
        headers: &[InstanceHeader],
        channels: &[String],
    ) -> Result<Selection, SubmitError> {
        let info = self.known(model)?;
        let manifest = self.models.manifest(model).ok_or_else(|| not_ready(&info))?;
        select::select(&manifest.input, headers, channels)
            .map_err(|reason| SubmitError::NotApplicable { model: model.into(), reason })
    }

    fn known(&self, name: &str) -> Result<ModelInfo, SubmitError> {
        self.models.get(name).ok_or_else(|| SubmitError::UnknownModel {
            name: name.chars().take(64).collect(),
            known: self.models.list().into_iter().map(|m| m.name).collect(),
        })
    }

    /// Puts a run into the queue.
    ///
    /// # Errors
    /// [`SubmitError`]; then there is no run.
    pub fn submit(&self, request: RunRequest) -> Result<Run, SubmitError> {
        let info = self.known(&request.model)?;
        let manifest = self.models.manifest(&request.model).filter(|_| info.can_run());
        let manifest = manifest.ok_or_else(|| not_ready(&info))?;
        let run = Run {
            id: RunId::random(),
            model: manifest.name.clone(),
            model_title: manifest.title.clone(),
            version: manifest.version.clone(),
            demo: manifest.demo,
            disclaimer: manifest.report.disclaimer.clone(),
            resource: request.resource.clone(),
            study: request.study.clone(),
            origin: request.origin,
            priority: request.priority,
            force: request.force,
            state: RunState::Queued,
            progress: 0,
            stage: None,
            created: Timestamp::now(),
            started: None,
            finished: None,
            stage_seconds: Default::default(),
            error: None,
            status: None,
            job_id: None,
            warnings: request.warnings.clone(),
            results: Vec::new(),
            segmentation: None,
            slices: Vec::new(),
            stored: Vec::new(),
            request,
            report: None,
        };
        // Into the store first: the worker may take the run up at once.
        self.store.insert(run.clone());
        if let Err(full) = self.queue.push(run.id.clone(), run.priority) {
            self.store.remove(&run.id);
            return Err(full.into());
        }
        Ok(run)
    }

    /// Cancels a run that waits at once, one that runs between two stages.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRun`], [`ChangeError::State`] for a finished run.
    pub fn cancel(&self, id: &RunId) -> Result<Run, ChangeError> {
        let mut before = RunState::Queued;
        let run = self.store.update(id, &mut |run| {
            before = run.state;
            cancel_queued(run);
        });
        let run = run.ok_or_else(|| ChangeError::UnknownRun(id.clone()))?;
        match before {
            RunState::Queued => {
                self.queue.remove(id);
            }
            RunState::Running => {
                self.current.cancel(id);
            }
            found => return Err(ChangeError::State { found, expected: "Queued or Running" }),
        }
        Ok(run)
    }

    /// Asks for a finished run's work again, as a new run.
    ///
    /// # Errors
    /// [`ChangeError`]
    pub fn retry(&self, id: &RunId) -> Result<Run, ChangeError> {
        let run = self.store.get(id).ok_or_else(|| ChangeError::UnknownRun(id.clone()))?;
        if !run.state.is_final() {
            return Err(ChangeError::State { found: run.state, expected: "Succeeded, Failed or Cancelled" });
        }
        Ok(self.submit(run.request)?)
    }

    /// Forgets a finished run and gives what it was, so that the caller can delete what it stored.
    ///
    /// # Errors
    /// [`ChangeError`]
    pub fn forget(&self, id: &RunId) -> Result<Run, ChangeError> {
        let run = self.store.get(id).ok_or_else(|| ChangeError::UnknownRun(id.clone()))?;
        if !run.state.is_final() {
            return Err(ChangeError::State { found: run.state, expected: "a finished run: cancel it first" });
        }
        self.store.remove(id).ok_or_else(|| ChangeError::UnknownRun(id.clone()))
    }
}

/// One line a model: the administrator's first look.
fn log_models(registry: &ModelRegistry) {
    for model in registry.list() {
        let demo = if model.demo { " [DEMO weights: results mean nothing for a patient]" } else { "" };
        let (name, version, reason) = (&model.name, &model.version, model.reason.as_deref().unwrap_or_default());
        match model.state {
            ModelState::Ready => log::info!("model {name} {version} is ready{demo}"),
            ModelState::Failed => log::error!("model {name} failed: {reason}"),
            ModelState::NoWeights | ModelState::Loading => log::warn!("model {name}: {reason}"),
        }
    }
}

fn cancel_queued(run: &mut Run) {
    if run.state == RunState::Queued {
        run.state = RunState::Cancelled;
        run.finished = Some(Timestamp::now());
    }
}

fn not_ready(info: &ModelInfo) -> SubmitError {
    SubmitError::NotReady { name: info.name.clone(), reason: info.reason.clone().unwrap_or_default() }
}
