//! The one thread that owns the networks and the device: it claims runs and carries them out.
//!
//! What an attempt leads to is settled in [`super::settle`]; how it keeps its lease is [`super::attempt`].

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::attempt::Attempt;
use super::audit::Audit;
use super::evaluation::queue::Evaluations;
use super::fault;
use super::limits::Limits;
use super::marks::Marks;
use super::metrics::Metrics;
use super::pipeline::{self, FirstModel, RunError, RunOutcome, RunSettings};
use super::record::{Run, RunId};
use super::stages::KnownRegions;
use super::store::{Claim, Lease, RunStore, StoreError, TakeBack};
use crate::document::Language;
use crate::manifest::RegionOfInterestSpec;
use crate::model::{LoadedModels, ModelRegistry};
use crate::source::{InstanceSource, ResultStore};

/// How often the store is asked for runs of other nodes and for those whose time has come.
const POLL: Duration = Duration::from_secs(1);
/// How often other nodes' leases are looked at.
const EXPIRY: Duration = Duration::from_secs(5);
/// A worker of this node's name that has sent no heartbeat for so long is this node in an earlier life, and no other server: ten heartbeats.
const SILENCE: Duration = Duration::from_secs(5);
/// Between attempts to reach a store that is away.
const PATIENCE: Duration = Duration::from_millis(500);

/// How others reach the worker: the run that it is at, and the end of the server.
#[derive(Default)]
pub struct Control {
    run: Mutex<Option<RunId>>,
    cancelled: AtomicBool,
    /// Set once, for every run to come too.
    stopping: AtomicBool,
}

impl Control {
    /// Asks the run to end between stages, without waiting for the next heartbeat; nothing where it is not the current one.
    pub fn cancel(&self, id: &RunId) {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if run.as_ref() == Some(id) {
            self.cancelled.store(true, Ordering::SeqCst);
        }
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// True once the server stops.
    pub fn stopping(&self) -> &AtomicBool {
        &self.stopping
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    fn begin(&self, id: &RunId) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.clone());
        self.cancelled.store(false, Ordering::SeqCst);
    }

    fn end(&self) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What a run may cost, and how long it is remembered.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// This node's name: the same after a restart, another than every other node's.
    pub node: String,
    /// Other nodes take over the runs of a node that has been silent for so long.
    pub lease: Duration,
    /// After so many a run that fails for a reason that may pass has failed for good.
    pub attempts: u32,
    /// Before the second attempt; doubled for each further one.
    pub backoff: Duration,
    pub history: usize,
    pub history_days: Option<u32>,
    pub limits: Limits,
    /// Of the report that is stored as Encapsulated PDF; None: it is not.
    pub encapsulated_pdf: Option<Language>,
}

/// What the worker works with.
pub struct Worker {
    pub store: Arc<dyn RunStore>,
    pub models: ModelRegistry,
    pub control: Arc<Control>,
    pub source: Arc<dyn InstanceSource + Send>,
    pub results: Arc<dyn ResultStore + Send>,
    /// Called when a run is taken up: shows it as a job of the host, and gives the job's id.
    pub announce: fn(&Run) -> Option<String>,
    pub settings: WorkerSettings,
    pub metrics: Arc<Metrics>,
    pub marks: Marks,
    pub audit: Audit,
    pub evaluations: Arc<Evaluations>,
}

impl Worker {
    /// Works until the server stops.
    pub fn work(&self, models: &mut LoadedModels) {
        self.recover();
        let expiry = Cell::new(None::<Instant>);
        while !self.control.is_stopping() {
            let seen = self.store.signal().seen();
            match self.next(models, &expiry) {
                Ok(Some(run)) => {
                    let id = run.id.clone();
                    self.control.begin(&id);
                    // Its lease runs out, and another attempt begins.
                    if catch_unwind(AssertUnwindSafe(|| self.carry_out(run, models))).is_err() {
                        log::error!("run {id}: internal error (a panic; see above for its place)");
                    }
                    self.control.end();
                    // What is too much stays until the next time where the store is away.
                    let _ = self.store.forget_old(self.settings.history, self.settings.history_days);
                }
                // No run waits that could be taken up.
                Ok(None) if self.evaluate(models) => {}
                Ok(None) => self.store.signal().wait(seen, POLL),
                Err(_) => self.pause(),
            }
        }
    }

    /// One input of an evaluation; false where none waits, or the queue is suspended.
    fn evaluate(&self, models: &mut LoadedModels) -> bool {
        if self.evaluations.is_idle() || self.store.is_suspended().unwrap_or(true) {
            return false;
        }
        self.evaluations.step(models, &*self.source, self.settings.limits, &|| self.control.is_stopping())
    }

    /// Takes back what this node was at when it ended without a word. On a shared store that is seen by and by.
    pub fn recover(&self) {
        if self.store.is_shared() {
            return;
        }
        let ended = self.insist(|| self.store.take_back(TakeBack::Node(&self.settings.node), self.settings.attempts));
        self.give_up(ended.unwrap_or_default());
    }

    fn next(&self, models: &LoadedModels, expiry: &Cell<Option<Instant>>) -> Result<Option<Run>, StoreError> {
        let now = Instant::now();
        if expiry.get().is_none_or(|last| now - last >= EXPIRY.min(self.settings.lease)) {
            self.metrics.count(&*self.store);
            self.take_back_of_the_dead()?;
            expiry.set(Some(now));
        }
        let names: Vec<&str> = models.names().collect();
        // Where nobody else works, a run whose model is not loaded shall not wait for ever: it is claimed, and fails in words.
        let names = self.store.is_shared().then_some(&names[..]);
        self.store.claim(&Claim { node: &self.settings.node, models: names, lease: self.settings.lease })
    }

    /// Other nodes' runs when their leases have run out, and on a shared store this node's own of an earlier life sooner.
    fn take_back_of_the_dead(&self) -> Result<(), StoreError> {
        let attempts = self.settings.attempts;
        self.give_up(self.store.take_back(TakeBack::Expired, attempts)?);
        if self.store.is_shared() {
            let own = TakeBack::Silent { node: &self.settings.node, silence: SILENCE };
            self.give_up(self.store.take_back(own, attempts)?);
        }
        Ok(())
    }

    fn carry_out(&self, run: Run, models: &mut LoadedModels) {
        let lease = Lease::of(&run);
        if let Some(job_id) = (self.announce)(&run) {
            // The job is a view: a run without its number is as good.
            let _ = self.store.update(&lease, &mut |run| run.job_id = Some(job_id.clone()));
        }
        let attempt = Attempt::new(self, lease, &run);
        fault::point(|| "claimed".into());
        std::thread::scope(|scope| {
            let _end = attempt.end_on_drop();
            let heart = std::thread::Builder::new().name("orthanc-ai-beat".into());
            let beats = heart.spawn_scoped(scope, || attempt.beat());
            let outcome = match beats {
                Ok(_) => self.run(&run, models, &attempt),
                Err(e) => Err(RunError::Source(crate::source::SourceError::Host(format!("no thread: {e}")))),
            };
            self.settle(run, &attempt, outcome);
        });
    }

    fn run(&self, run: &Run, models: &mut LoadedModels, attempt: &Attempt) -> Result<RunOutcome, RunError> {
        let name = &run.request.model;
        let spec = self.models.manifest(name).and_then(|m| m.input.region_of_interest.clone());
        let regions = spec.as_ref().and_then(|spec| self.regions(run, spec));
        let outcome = models.with_first_stage(name, |model, first| {
            let stage = FirstModel { model: first, regions: regions.as_ref() };
            let ports: (&dyn InstanceSource, &dyn ResultStore) = (&*self.source, &*self.results);
            let settings =
                RunSettings { limits: self.settings.limits, encapsulated_pdf: self.settings.encapsulated_pdf };
            // A panic in a third-party codec or in libtorch costs this attempt, not the worker.
            let work = || pipeline::run_staged(ports, model, stage, &run.request, settings, attempt);
            catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(RunError::Panic))
        });
        outcome.unwrap_or_else(|| {
            let info = self.models.get(name);
            let reason = info.map_or_else(|| "unknown model".into(), |m| m.reason.unwrap_or_default());
            Err(RunError::NotLoaded { model: name.clone(), reason })
        })
    }

    /// Those that were known when the run was asked for; else whether the earlier model has been run since.
    fn regions(&self, run: &Run, spec: &RegionOfInterestSpec) -> Option<KnownRegions> {
        run.regions.clone().or_else(|| {
            let find = || KnownRegions::find(&*self.store, spec, &run.request.study, &run.request.inputs);
            self.insist(find).flatten().filter(KnownRegions::any)
        })
    }

    /// Asks the store until it answers; None where the server stops first, or the record is unreadable.
    pub(super) fn insist<T>(&self, mut ask: impl FnMut() -> Result<T, StoreError>) -> Option<T> {
        loop {
            match ask() {
                Ok(answer) => return Some(answer),
                Err(error @ StoreError::Unreadable { .. }) => {
                    log::error!("{error}");
                    return None;
                }
                Err(StoreError::Unavailable { .. }) if self.control.is_stopping() => return None,
                Err(StoreError::Unavailable { .. }) => self.pause(),
            }
        }
    }

    /// Woken by the end of the server.
    fn pause(&self) {
        let seen = self.store.signal().seen();
        if !self.control.is_stopping() {
            self.store.signal().wait(seen, PATIENCE);
        }
    }
}
