//! The one thread that owns the networks and the device: it takes runs from the queue and carries them out.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::pipeline::{self, AnalysedSlice, Monitor, RunError, RunOutcome};
use super::queue::RunQueue;
use super::record::{ImageResult, Run, RunId, RunState, SliceResult, Stage, Timestamp};
use super::store::RunStore;
use crate::model::{LoadedModel, LoadedModels};
use crate::source::{InstanceId, InstanceSource, ResultStore, StoreStatus};

/// The run the worker is at, and whether it is still wanted.
#[derive(Default)]
pub struct Current {
    run: Mutex<Option<RunId>>,
    cancelled: AtomicBool,
    /// The server stops: set once, for every run to come too.
    stopping: AtomicBool,
}

impl Current {
    /// Asks the run to end between stages; false where it is not the current one.
    pub fn cancel(&self, id: &RunId) -> bool {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = run.as_ref() == Some(id);
        if is_current {
            self.cancelled.store(true, Ordering::SeqCst);
        }
        is_current
    }

    /// Ends whatever runs: the server stops.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) || self.stopping.load(Ordering::SeqCst)
    }

    fn begin(&self, id: &RunId) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.clone());
        self.cancelled.store(false, Ordering::SeqCst);
    }

    fn end(&self) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What the worker works with.
pub struct Worker {
    pub queue: Arc<RunQueue>,
    pub store: Arc<dyn RunStore>,
    pub current: Arc<Current>,
    pub source: Arc<dyn InstanceSource + Send>,
    pub results: Arc<dyn ResultStore + Send>,
    /// Called when a run is taken up: shows it as a job of the host, and gives the job's id.
    pub announce: fn(&RunId) -> Option<String>,
}

impl Worker {
    /// Works until the queue is closed.
    pub fn work(&self, models: &mut LoadedModels) {
        while let Some(id) = self.queue.pop() {
            self.current.begin(&id);
            self.carry_out(&id, models);
            self.current.end();
        }
    }

    fn carry_out(&self, id: &RunId, models: &mut LoadedModels) {
        let job_id = (self.announce)(id);
        let taken_up = self.store.update(id, &mut |run| {
            if run.state == RunState::Queued {
                run.state = RunState::Running;
                run.started = Some(Timestamp::now());
                run.job_id.clone_from(&job_id);
            }
        });
        let Some(run) = taken_up.filter(|run| run.state == RunState::Running) else { return };
        let outcome = match models.get_mut(&run.model) {
            None => Err(format!("the model {} is not loaded", run.model)),
            // A panic in a third-party codec or in libtorch costs this run, not the worker.
            Some(model) => catch_unwind(AssertUnwindSafe(|| self.run(&run, model)))
                .unwrap_or_else(|_| Err("internal error (a panic; see the log for its place)".to_string())),
        };
        self.finish(id, outcome);
    }

    fn run(&self, run: &Run, model: &mut LoadedModel) -> Result<Option<RunOutcome>, String> {
        let monitor = RunMonitor { id: &run.id, store: &*self.store, current: &self.current };
        match pipeline::run(&*self.source, &*self.results, model, &run.request, &monitor) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(RunError::Cancelled) => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    fn finish(&self, id: &RunId, outcome: Result<Option<RunOutcome>, String>) {
        let finished = self.store.update(id, &mut |run| {
            run.finished = Some(Timestamp::now());
            run.stage = None;
            match &outcome {
                Ok(Some(outcome)) => succeed(run, outcome),
                Ok(None) => run.state = RunState::Cancelled,
                Err(reason) => {
                    run.state = RunState::Failed;
                    run.error = Some(reason.clone());
                }
            }
        });
        if let Some(run) = finished {
            log_finished(&run);
        }
    }
}

fn succeed(run: &mut Run, outcome: &RunOutcome) {
    run.state = RunState::Succeeded;
    run.progress = 100;
    run.stage_seconds.clone_from(&outcome.stage_seconds);
    run.stored.clone_from(&outcome.stored);
    run.warnings.extend(outcome.warnings.iter().cloned());
    let all_old = outcome.stored.iter().all(|s| s.status == StoreStatus::AlreadyStored);
    run.status = Some(if all_old { StoreStatus::AlreadyStored } else { StoreStatus::Stored });
    let ids = run.request.inputs.iter().map(|i| i.id.to_string());
    run.results = ids
        .zip(&outcome.report.images)
        .map(|(instance_id, image)| ImageResult { instance_id, image: image.clone() })
        .collect();
    run.segmentation.clone_from(&outcome.report.segmentation);
    let id_of: HashMap<&str, &InstanceId> =
        run.request.inputs.iter().map(|i| (i.sop_instance_uid.as_str(), &i.id)).collect();
    let slice = |s: &AnalysedSlice| {
        Some(SliceResult {
            instance_id: id_of.get(s.sop_instance_uid.as_str())?.to_string(),
            frame: s.frame.map(|n| n.saturating_sub(1)),
            analysed: s.analysed,
            mask_frames: s.mask_frames.clone(),
        })
    };
    run.slices = outcome.slices.iter().filter_map(slice).collect();
    run.report = Some(outcome.report.clone());
}

/// One line a run, ids only.
fn log_finished(run: &Run) {
    let (id, model, resource) = (&run.id, &run.model, &run.resource);
    let seconds = run.stage_seconds.get("total").copied().unwrap_or_default();
    let demo = if run.demo { " [DEMO weights]" } else { "" };
    match run.state {
        RunState::Failed => {
            log::error!("run {id}: {model}{demo} on {resource} failed: {}", run.error.as_deref().unwrap_or_default());
        }
        RunState::Cancelled => log::info!("run {id}: {model}{demo} on {resource} was cancelled"),
        _ => {
            let failed = run.results.iter().filter(|r| !r.image.success).count();
            let (images, stored) = (run.request.inputs.len(), run.stored.len());
            log::info!(
                "run {id}: {model}{demo} on {resource}: {images} images ({failed} failed), {stored} stored in {seconds:.2} s"
            );
        }
    }
}

struct RunMonitor<'a> {
    id: &'a RunId,
    store: &'a dyn RunStore,
    current: &'a Current,
}

impl Monitor for RunMonitor<'_> {
    fn progress(&self, stage: Stage, done: usize, total: usize) {
        let percent = stage.percent(done, total);
        self.store.update(self.id, &mut |run| {
            run.stage = Some(stage);
            run.progress = run.progress.max(percent);
        });
    }

    fn is_cancelled(&self) -> bool {
        self.current.is_cancelled()
    }
}
