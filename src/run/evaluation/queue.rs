//! Evaluations that a server was asked for. They are carried out by the worker, who owns the networks, one input of the model at a time, while
//! no run waits. They live in memory: an evaluation ends with its server, and stores nothing.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use super::{EvaluationError, Evaluator, Names, Unit};
use crate::evaluate::EvaluationReport;
use crate::manifest::{Manifest, Override};
use crate::model::LoadedModels;
use crate::run::limits::Limits;
use crate::run::pipeline::{Monitor, RunError};
use crate::run::record::Stage;
use crate::run::timestamp::Timestamp;
use crate::source::{InstanceId, InstanceSource, Level, Resource};

/// Evaluations that may wait or run.
const WAITING: usize = 10;
/// Finished ones that are remembered.
const HISTORY: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum EvaluationState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl EvaluationState {
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// An evaluation as REST shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct EvaluationView {
    /// A random UUID.
    #[serde(rename = "ID")]
    pub id: String,
    pub model: String,
    pub state: EvaluationState,
    /// Studies that are done, of so many.
    pub done: usize,
    pub studies: usize,
    pub created: Timestamp,
    pub error: Option<String>,
}

/// What an evaluation gave.
#[derive(Debug)]
pub struct Evaluated {
    pub report: EvaluationReport,
    /// The chosen thresholds as `override.json`, or why there are none.
    pub thresholds: Result<Override, String>,
}

/// The evaluations of one life of the plugin.
#[derive(Default)]
pub struct Evaluations(Mutex<Vec<Entry>>);

struct Entry {
    view: EvaluationView,
    unwanted: Arc<AtomicBool>,
    /// None while the worker is at it, and after its end.
    work: Option<Work>,
    evaluated: Option<Arc<Evaluated>>,
}

/// What is left to do.
struct Work {
    evaluator: Evaluator,
    studies: VecDeque<String>,
    /// Of the study that is under way.
    units: VecDeque<Unit>,
}

impl Evaluations {
    /// Puts an evaluation of studies, by Orthanc's ids, behind those that wait.
    ///
    /// # Errors
    /// So many wait already.
    pub fn submit(&self, model: &str, evaluator: Evaluator, studies: Vec<String>) -> Result<EvaluationView, usize> {
        let mut entries = self.lock();
        if entries.iter().filter(|e| !e.view.state.is_final()).count() >= WAITING {
            return Err(WAITING);
        }
        let finished = entries.iter().filter(|e| e.view.state.is_final()).count();
        if let Some(oldest) = entries.iter().position(|e| e.view.state.is_final()).filter(|_| finished >= HISTORY) {
            entries.remove(oldest);
        }
        let view = EvaluationView {
            id: uuid::Uuid::new_v4().to_string(),
            model: model.to_owned(),
            state: EvaluationState::Queued,
            done: 0,
            studies: studies.len(),
            created: Timestamp::now(),
            error: None,
        };
        let work = Work { evaluator, studies: studies.into(), units: VecDeque::new() };
        entries.push(Entry { view: view.clone(), unwanted: Arc::default(), work: Some(work), evaluated: None });
        Ok(view)
    }

    /// Newest first.
    pub fn list(&self) -> Vec<EvaluationView> {
        self.lock().iter().rev().map(|e| e.view.clone()).collect()
    }

    pub fn get(&self, id: &str) -> Option<EvaluationView> {
        self.lock().iter().find(|e| e.view.id == id).map(|e| e.view.clone())
    }

    /// What it gave; None before its end, and where it has failed.
    pub fn evaluated(&self, id: &str) -> Option<Arc<Evaluated>> {
        self.lock().iter().find(|e| e.view.id == id).and_then(|e| e.evaluated.clone())
    }

    /// Ends one that waits or runs. None: there is no such; a finished one stays as it is.
    pub fn cancel(&self, id: &str) -> Option<EvaluationView> {
        let mut entries = self.lock();
        let entry = entries.iter_mut().find(|e| e.view.id == id)?;
        if !entry.view.state.is_final() {
            entry.unwanted.store(true, Ordering::SeqCst);
            // The worker, where it is at it, ends it between two stages.
            if entry.work.take().is_some() {
                entry.view.state = EvaluationState::Cancelled;
            }
        }
        Some(entry.view.clone())
    }

    /// As [`Self::cancel`], and forgets one that is finished.
    pub fn remove(&self, id: &str) -> Option<EvaluationView> {
        let mut entries = self.lock();
        if let Some(place) = entries.iter().position(|e| e.view.id == id && e.view.state.is_final()) {
            return Some(entries.remove(place).view);
        }
        drop(entries);
        self.cancel(id)
    }

    /// Whether the worker has nothing to do here.
    pub fn is_idle(&self) -> bool {
        self.lock().iter().all(|e| e.work.is_none())
    }

    /// The worker's: one input of the oldest evaluation that is not finished. False: there is none.
    pub fn step(
        &self,
        models: &mut LoadedModels,
        source: &dyn InstanceSource,
        limits: Limits,
        stopping: &(dyn Fn() -> bool + Sync),
    ) -> bool {
        let Some((id, model, unwanted, mut work)) = self.take() else { return false };
        let wanted = || !unwanted.load(Ordering::SeqCst) && !stopping();
        let step = || work.step(&model, models, source, limits, &wanted);
        let outcome = catch_unwind(AssertUnwindSafe(step))
            .unwrap_or_else(|_| Step::Failed("internal error (a panic; see the log for its place)".into()));
        let mut entries = self.lock();
        let Some(entry) = entries.iter_mut().find(|e| e.view.id == id) else { return true };
        entry.view.done = entry.view.studies - work.studies.len() - usize::from(!work.units.is_empty());
        match outcome {
            Step::Goes => entry.work = Some(work),
            Step::Cancelled => entry.view.state = EvaluationState::Cancelled,
            Step::Failed(reason) => {
                entry.view.state = EvaluationState::Failed;
                entry.view.error = Some(reason);
            }
            Step::Done(evaluated) => {
                entry.view.state = EvaluationState::Succeeded;
                entry.evaluated = Some(Arc::new(*evaluated));
            }
        }
        true
    }

    fn take(&self) -> Option<(String, String, Arc<AtomicBool>, Work)> {
        let mut entries = self.lock();
        let entry = entries.iter_mut().find(|e| e.work.is_some())?;
        entry.view.state = EvaluationState::Running;
        Some((entry.view.id.clone(), entry.view.model.clone(), entry.unwanted.clone(), entry.work.take()?))
    }

    /// Whole after every statement.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Step {
    Goes,
    Done(Box<Evaluated>),
    Failed(String),
    Cancelled,
}

impl Work {
    fn step(
        &mut self,
        model: &str,
        models: &mut LoadedModels,
        source: &dyn InstanceSource,
        limits: Limits,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Step {
        if !wanted() {
            return Step::Cancelled;
        }
        let step = models.with_first_stage(model, |model, first| {
            if let Some(unit) = self.units.pop_front() {
                return match self.evaluator.run(&unit, source, (model, first), limits, &Wanted(wanted)) {
                    Ok(()) => Step::Goes,
                    Err(RunError::Cancelled) => Step::Cancelled,
                    Err(error) => Step::Failed(error.to_string()),
                };
            }
            self.next_study(source, &model.manifest)
        });
        step.unwrap_or_else(|| Step::Failed(format!("the model {model} is not loaded")))
    }

    /// Plans the next study, or reports where there is none left.
    fn next_study(&mut self, source: &dyn InstanceSource, manifest: &Manifest) -> Step {
        if let Some(study) = self.studies.pop_front() {
            return match self.plan(source, &study) {
                Ok(()) => Step::Goes,
                Err(error) => Step::Failed(error.to_string()),
            };
        }
        match self.evaluator.report() {
            Ok(report) => {
                let thresholds = report.thresholds(manifest);
                Step::Done(Box::new(Evaluated { report, thresholds }))
            }
            Err(error) => Step::Failed(error.to_string()),
        }
    }

    /// A study that is gone is one whose cases are missing.
    fn plan(&mut self, source: &dyn InstanceSource, study: &str) -> Result<(), EvaluationError> {
        match source.headers(&Resource::new(Level::Study, study)) {
            Ok(headers) => self.units = self.evaluator.plan(&headers, &OrthancNames { study })?.into(),
            Err(_) => self.evaluator.warn("a study cannot be read"),
        }
        Ok(())
    }
}

struct OrthancNames<'a> {
    study: &'a str,
}

impl Names for OrthancNames<'_> {
    fn file(&self, _: &InstanceId) -> Option<String> {
        None
    }

    fn find(&self, _: &str) -> Option<InstanceId> {
        None
    }

    fn orthanc_ids(&self, id: &InstanceId) -> Vec<String> {
        vec![id.0.clone(), self.study.to_owned()]
    }
}

struct Wanted<'a>(&'a (dyn Fn() -> bool + Sync));

impl Monitor for Wanted<'_> {
    fn progress(&self, _: Stage, _: usize, _: usize) {}

    fn is_cancelled(&self) -> bool {
        !(self.0)()
    }
}
