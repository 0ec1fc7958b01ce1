//! What REST and events ask of runs: submit, cancel, retry, forget, suspend. Owns the worker's thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::audit::{Action, Audit, AuditEvent};
use super::enqueue::Queue;
use super::evaluation::queue::Evaluations;
use super::marks::Marks;
use super::metrics::Metrics;
use super::receiving::Receiving;
use super::record::{Origin, Run, RunId, RunRequest, RunState};
use super::select::{self, NotApplicable, Selection};
use super::settle;
use super::store::{Cancelled, InsertRule, Inserted, RunFilter, RunStore, StoreError};
use super::worker::{Control, Worker, WorkerSettings};
use crate::model::pace::Urgent;
use crate::model::{ComputeThread, Device, LoadedModels, Manners, ModelInfo, ModelRegistry, ModelState};
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
    #[error("the queue is full: {limit} runs are waiting")]
    QueueFull { limit: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a run could not be cancelled, done again or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("unknown run {0}")]
    UnknownRun(RunId),
    #[error("the run is {found:?}, expected {expected}")]
    State { found: RunState, expected: &'static str },
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A run that answers the request.
#[derive(Debug, Clone)]
pub struct Submitted {
    pub run: Run,
    /// False: it was there already.
    pub is_new: bool,
}

/// The models, the runs and the worker of one life of the plugin.
pub struct RunService {
    pub device: Device,
    pub models: ModelRegistry,
    pub store: Arc<dyn RunStore>,
    pub settings: ServiceSettings,
    pub metrics: Arc<Metrics>,
    pub marks: Marks,
    pub audit: Audit,
    /// To be told of each instance that arrives.
    pub receiving: Arc<Receiving>,
    pub evaluations: Arc<Evaluations>,
    /// Synchronous requests that wait.
    waiting: AtomicUsize,
    control: Arc<Control>,
    background: Option<fn()>,
    results: Arc<dyn ResultStore + Send>,
    /// Until the server has started.
    idle: Mutex<Option<Worker>>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// Runs that may wait.
    pub queue_limit: usize,
    /// How long a synchronous request waits.
    pub synchronous_timeout: Duration,
    /// How many may wait at once: each holds one of the server's HTTP threads, and others want answers too.
    pub synchronous_limit: usize,
    /// False: this node takes requests, other nodes carry them out.
    pub works: bool,
    pub worker: WorkerSettings,
}

/// The worker's ports, and how it shows a run in the host.
pub struct Ports {
    pub source: Arc<dyn InstanceSource + Send>,
    pub results: Arc<dyn ResultStore + Send>,
    pub announce: fn(&Run) -> Option<String>,
    pub marks: Marks,
    pub audit: Audit,
    /// Moves the thread that computes, which calls it first, behind the server's others; that thread also gives way to images that arrive.
    /// None: networks compute on the worker's thread, like any other.
    pub background: Option<fn()>,
}

impl RunService {
    /// Nothing runs before [`Self::begin`].
    pub fn new(
        settings: ServiceSettings,
        models: ModelRegistry,
        device: Device,
        store: Arc<dyn RunStore>,
        ports: Ports,
    ) -> Self {
        let control = Arc::new(Control::default());
        let metrics = Arc::new(Metrics::new(models.list().into_iter().map(|m| m.name)));
        let evaluations = Arc::new(Evaluations::default());
        let worker = Worker {
            store: store.clone(),
            models: models.clone(),
            control: control.clone(),
            source: ports.source,
            results: ports.results.clone(),
            announce: ports.announce,
            settings: settings.worker.clone(),
            metrics: metrics.clone(),
            marks: ports.marks.clone(),
            audit: ports.audit,
            evaluations: evaluations.clone(),
        };
        Self {
            device,
            models,
            store,
            settings,
            metrics,
            marks: ports.marks,
            audit: ports.audit,
            receiving: Arc::default(),
            evaluations,
            waiting: AtomicUsize::new(0),
            control,
            background: ports.background,
            results: ports.results,
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
        let (registry, device, works) = (self.models.clone(), self.device, self.settings.works);
        let background = self.background.map(|enter| Manners { enter, urgent: Some(self.urgent()) });
        let thread = std::thread::Builder::new().name("orthanc-ai".into()).spawn(move || {
            let stop = worker.control.stopping();
            if works {
                let mut loaded = registry.load(device, stop);
                log_models(&registry);
                // Not before: a busy machine would never be done with loading.
                if let Some(manners) = background {
                    compute_in_background(&mut loaded, device, manners);
                }
                worker.work(&mut loaded);
            } else {
                registry.identify(stop);
                log_models(&registry);
                // It may have been a worker before.
                worker.recover();
            }
        })?;
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// While images arrive; the end of the server does not wait for them.
    fn urgent(&self) -> Urgent {
        let (receiving, control) = (self.receiving.clone(), self.control.clone());
        Arc::new(move || receiving.is_going_on() && !control.is_stopping())
    }

    /// The server stops: whoever works or waits here ends soon.
    pub fn ask_to_stop(&self) {
        self.control.stop();
        self.store.signal().raise();
    }

    /// Puts the run in flight back into the queue, between two stages, and waits for the worker. The next start goes on.
    pub fn stop(&self) {
        self.ask_to_stop();
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if worker.is_some_and(|w| w.join().is_err()) {
            log::error!("the worker ended in a panic");
        }
    }

    /// False once the worker's thread has ended; on a node that does not work there is none to end.
    pub fn worker_is_alive(&self) -> bool {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        !self.settings.works || worker.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// False while weights are being read: then nobody can say yet what takes a study.
    pub fn models_are_loaded(&self) -> bool {
        self.models.list().iter().all(|m| m.state != ModelState::Loading)
    }

    /// Whether `model` takes these instances; `channels` as [`select::select`] takes them.
    ///
    /// # Errors
    /// [`SubmitError::UnknownModel`], [`SubmitError::NotReady`], [`SubmitError::NotApplicable`]
    pub fn select(
        &self,
        model: &str,
        headers: &[InstanceHeader],
        channels: &[String],
    ) -> Result<Selection, SubmitError> {
        select(&self.models, model, headers, channels)
    }

    /// Puts a run into the queue, unless one that answers the same question waits or runs already; what a rule asks for is not
    /// asked a second time, whatever became of the first. Durable when it returns.
    ///
    /// # Errors
    /// [`SubmitError`]; then there is no new run.
    pub fn submit(&self, request: RunRequest) -> Result<Submitted, SubmitError> {
        let by_rule = matches!(request.origin, Origin::Rule(_));
        let submitted = self.put(request, by_rule)?;
        if by_rule && submitted.is_new {
            self.withdraw_earlier(&submitted.run)?;
        }
        Ok(submitted)
    }

    /// A more complete input has come: what waits to analyse a part of it need not.
    fn withdraw_earlier(&self, run: &Run) -> Result<(), StoreError> {
        let waiting = RunFilter {
            state: Some(RunState::Queued),
            model: Some(run.request.model.clone()),
            study: Some(run.request.study.clone()),
            ..RunFilter::default()
        };
        for earlier in self.store.list(&waiting)?.iter().filter(|earlier| run.supersedes(earlier)) {
            // One that has just been taken up ends cancelled, or is superseded when this run ends.
            if let Cancelled::Now(cancelled) = self.store.cancel(&earlier.id)? {
                settle::discard_left(&*self.results, &cancelled, &[]);
                self.store.supersede(&earlier.id, &run.id)?;
                (self.audit)(&AuditEvent::own(Action::RunCancelled, &cancelled));
            }
        }
        Ok(())
    }

    fn put(&self, request: RunRequest, unless_known: bool) -> Result<Submitted, SubmitError> {
        let rule = InsertRule { limit: self.settings.queue_limit, unless_known };
        let run_priority = request.priority;
        match (Queue { store: &*self.store, models: &self.models }).insert(request, rule, None)? {
            Inserted::New(run) => Ok(Submitted { run, is_new: true }),
            Inserted::Known(run) => {
                // Somebody waits for what a rule has put off.
                if !unless_known && run.state == RunState::Queued {
                    self.store.hasten(&run.id, run_priority)?;
                }
                Ok(Submitted { run, is_new: false })
            }
            Inserted::Full { limit } => Err(SubmitError::QueueFull { limit }),
        }
    }

    /// Cancels a run that waits at once, one that runs (on any node) between two stages.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRun`], [`ChangeError::State`] for a finished run.
    pub fn cancel(&self, id: &RunId) -> Result<Run, ChangeError> {
        match self.store.cancel(id)? {
            Cancelled::Now(run) => {
                // Of an attempt that a kill ended.
                settle::discard_left(&*self.results, &run, &[]);
                Ok(run)
            }
            Cancelled::Asked(run) => {
                self.control.cancel(id);
                Ok(run)
            }
            Cancelled::TooLate(run) => Err(ChangeError::State { found: run.state, expected: "Queued or Running" }),
            Cancelled::Unknown => Err(ChangeError::UnknownRun(id.clone())),
        }
    }

    /// Asks for a finished run's work again, as a new run of the same origin and priority.
    ///
    /// # Errors
    /// [`ChangeError`]
    pub fn retry(&self, id: &RunId) -> Result<Run, ChangeError> {
        let run = self.finished(id, "Succeeded, Failed or Cancelled")?;
        Ok(self.put(run.request, false)?.run)
    }

    /// A place for a synchronous request, which is given back when it is dropped; None where [`ServiceSettings::synchronous_limit`] wait already.
    pub fn place_to_wait(&self) -> Option<WaitingPlace<'_>> {
        let free = |waiting| (waiting < self.settings.synchronous_limit).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free).ok().map(|_| WaitingPlace(&self.waiting))
    }

    /// Waits until the run is finished, by whichever node, as long as a synchronous request may wait; but not for a queue that is suspended, and
    /// not over the server's stop, which waits for its requests. Gives the run as it is then; None where there is no such run (any more).
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn wait_finished(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        const LOOK: Duration = Duration::from_secs(1);
        let deadline = Instant::now() + self.settings.synchronous_timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let run = self.store.wait_finished(id, left.min(LOOK))?;
            let Some(found) = &run else { return Ok(None) };
            let is_held = found.state == RunState::Queued && self.store.is_suspended()?;
            if found.state.is_final() || is_held || left.is_zero() || self.is_stopping() {
                return Ok(run);
            }
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.control.is_stopping()
    }

    /// The run, if it is finished.
    ///
    /// # Errors
    /// [`ChangeError`]
    pub fn finished(&self, id: &RunId, expected: &'static str) -> Result<Run, ChangeError> {
        let run = self.store.get(id)?.ok_or_else(|| ChangeError::UnknownRun(id.clone()))?;
        if run.state.is_final() { Ok(run) } else { Err(ChangeError::State { found: run.state, expected }) }
    }
}

/// See [`RunService::place_to_wait`].
#[derive(Debug)]
pub struct WaitingPlace<'a>(&'a AtomicUsize);

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether `model` takes these instances; `channels` as [`select::select`] takes them.
///
/// # Errors
/// As [`RunService::select`].
pub fn select(
    models: &ModelRegistry,
    model: &str,
    headers: &[InstanceHeader],
    channels: &[String],
) -> Result<Selection, SubmitError> {
    let info = known(models, model)?;
    let manifest = models.manifest(model).ok_or_else(|| not_ready(&info))?;
    select::select(&manifest.input, headers, channels)
        .map_err(|reason| SubmitError::NotApplicable { model: model.into(), reason })
}

fn compute_in_background(models: &mut LoadedModels, device: Device, manners: Manners) {
    match ComputeThread::start(device, manners) {
        Ok(thread) => models.compute_on(&thread),
        Err(error) => log::warn!("runs do not compute in the background: {error}"),
    }
}

pub(super) fn known(models: &ModelRegistry, name: &str) -> Result<ModelInfo, SubmitError> {
    models.get(name).ok_or_else(|| SubmitError::UnknownModel {
        name: name.chars().take(64).collect(),
        known: models.list().into_iter().map(|m| m.name).collect(),
    })
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

pub(super) fn not_ready(info: &ModelInfo) -> SubmitError {
    SubmitError::NotReady { name: info.name.clone(), reason: info.reason.clone().unwrap_or_default() }
}
