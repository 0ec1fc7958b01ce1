//! The Orthanc job as a view of one attempt at a run: live progress in `/jobs`, cancel from there. The run itself is the worker's.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::audit::{Action, AuditEvent};
use super::evaluation::queue::{EvaluationState, EvaluationView, Evaluations};
use super::record::{Run, RunState};
use super::service::RunService;
use crate::orthanc::host;
use crate::orthanc::jobs::{self, Job, JobStep, StopReason};

const JOB_TYPE: &str = "AiAnalysis";
const EVALUATION_JOB_TYPE: &str = "AiEvaluation";
/// Orthanc looks at progress and cancellation between steps only.
const POLL: Duration = Duration::from_millis(150);

struct HostJob {
    service: Arc<RunService>,
    /// As it was seen last: the core asks for progress and content after each step.
    run: Run,
}

/// Shows a run that the worker takes up as a job; None (and a log line) where the host refuses: the run goes on without.
pub fn announce(run: &Run) -> Option<String> {
    let (host, service) = (host::current()?, crate::plugin::service()?);
    let job = HostJob { service, run: run.clone() };
    match jobs::submit(&host, JOB_TYPE, Box::new(job), run.request.priority) {
        Ok(job) => Some(job),
        Err(e) => {
            log::warn!("run {} is not shown in /jobs: {e}", run.id);
            None
        }
    }
}

/// Shows an evaluation as a job from its submission on; where the host refuses it goes on without.
pub fn announce_evaluation(view: &EvaluationView) {
    let (Some(host), Some(service)) = (host::current(), crate::plugin::service()) else { return };
    let job = EvaluationJob { evaluations: service.evaluations.clone(), view: view.clone() };
    if let Err(e) = jobs::submit(&host, EVALUATION_JOB_TYPE, Box::new(job), 0) {
        log::warn!("the evaluation {} is not shown in /jobs: {e}", view.id);
    }
}

struct EvaluationJob {
    evaluations: Arc<Evaluations>,
    view: EvaluationView,
}

impl Job for EvaluationJob {
    fn step(&mut self) -> JobStep {
        std::thread::sleep(POLL);
        match self.evaluations.get(&self.view.id) {
            Some(view) => self.view = view,
            // Forgotten: it had ended.
            None => return JobStep::Failure,
        }
        match self.view.state {
            EvaluationState::Succeeded => JobStep::Success,
            EvaluationState::Queued | EvaluationState::Running => JobStep::Continue,
            EvaluationState::Failed | EvaluationState::Cancelled => JobStep::Failure,
        }
    }

    fn progress(&self) -> f32 {
        self.view.done as f32 / self.view.studies.max(1) as f32
    }

    fn content(&self) -> Value {
        json!({
            "EvaluationID": self.view.id,
            "Path": format!("/ai/evaluations/{}", self.view.id),
            "Model": self.view.model,
            "State": self.view.state,
            "Done": self.view.done,
            "Studies": self.view.studies,
            "Error": self.view.error,
        })
    }

    fn stop(&mut self, reason: StopReason) {
        if reason == StopReason::Canceled {
            self.evaluations.cancel(&self.view.id);
        }
    }

    fn reset(&mut self) -> Result<(), ()> {
        Err(())
    }
}

impl Job for HostJob {
    fn step(&mut self) -> JobStep {
        match self.service.store.wait_finished(&self.run.id, POLL) {
            Ok(Some(run)) => self.run = run,
            Ok(None) => return JobStep::Failure,
            // The run goes on while its record cannot be read.
            Err(_) => {
                std::thread::sleep(POLL);
                return JobStep::Continue;
            }
        }
        match self.run.state {
            RunState::Succeeded => JobStep::Success,
            RunState::Running => JobStep::Continue,
            // A run that waits for its next attempt must not keep one of Orthanc's few places for jobs: that attempt has
            // a job of its own.
            RunState::Queued | RunState::Failed | RunState::Cancelled => JobStep::Failure,
        }
    }

    fn progress(&self) -> f32 {
        f32::from(self.run.progress) / 100.0
    }

    /// A failed plugin job carries no message of its own, so the reason stands here.
    fn content(&self) -> Value {
        let run = &self.run;
        json!({
            "RunID": run.id.to_string(),
            "Path": format!("/ai/runs/{}", run.id),
            "Model": run.request.model,
            "Version": run.card.version,
            "Resource": run.request.resource.to_string(),
            "State": run.state,
            "Stage": run.stage,
            "Attempts": run.attempts,
            "Error": run.error,
            "Stored": run.stored,
        })
    }

    fn stop(&mut self, reason: StopReason) {
        if reason != StopReason::Canceled {
            return;
        }
        match self.service.cancel(&self.run.id) {
            // Who asked is not said to jobs.
            Ok(run) => (self.service.audit)(&AuditEvent::own(Action::RunCancelled, &run)),
            Err(e) => log::debug!("run {}: {e}", self.run.id),
        }
    }

    /// A resubmitted job would be a second run under the first one's id: POST /ai/runs/{id}/retry is the way.
    fn reset(&mut self) -> Result<(), ()> {
        Err(())
    }
}
