//! The Orthanc job as a view of a run: live progress in `/jobs`, cancel from there. The run itself is the worker's.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::record::{Run, RunId, RunState};
use super::service::RunService;
use crate::orthanc::host;
use crate::orthanc::jobs::{self, Job, JobStep, StopReason};

const JOB_TYPE: &str = "AiAnalysis";
/// Orthanc looks at progress and cancellation between steps only.
const POLL: Duration = Duration::from_millis(100);

struct HostJob {
    service: Arc<RunService>,
    id: RunId,
}

/// Shows a run that the worker takes up as a job; None (and a log line) where the host refuses: the run goes on without.
pub fn announce(id: &RunId) -> Option<String> {
    let (host, service) = (host::current()?, crate::plugin::service()?);
    let priority = service.store.get(id)?.priority;
    match jobs::submit(&host, JOB_TYPE, Box::new(HostJob { service, id: id.clone() }), priority) {
        Ok(job) => Some(job),
        Err(e) => {
            log::warn!("run {id} is not shown in /jobs: {e}");
            None
        }
    }
}

impl HostJob {
    fn run(&self) -> Option<Run> {
        self.service.store.get(&self.id)
    }
}

impl Job for HostJob {
    fn step(&mut self) -> JobStep {
        match self.service.store.wait_finished(&self.id, POLL).map(|run| run.state) {
            Some(RunState::Succeeded) => JobStep::Success,
            Some(RunState::Queued | RunState::Running) => JobStep::Continue,
            Some(RunState::Failed | RunState::Cancelled) | None => JobStep::Failure,
        }
    }

    fn progress(&self) -> f32 {
        self.run().map_or(1.0, |run| f32::from(run.progress) / 100.0)
    }

    /// A failed plugin job carries no message of its own, so the reason stands here.
    fn content(&self) -> Value {
        let Some(run) = self.run() else { return json!({ "RunID": self.id.to_string() }) };
        json!({
            "RunID": run.id.to_string(),
            "Path": format!("/ai/runs/{}", run.id),
            "Model": run.model,
            "Version": run.version,
            "Resource": run.resource.to_string(),
            "State": run.state,
            "Stage": run.stage,
            "Error": run.error,
            "Stored": run.stored,
        })
    }

    fn stop(&mut self, reason: StopReason) {
        if reason == StopReason::Canceled
            && let Err(e) = self.service.cancel(&self.id)
        {
            log::debug!("run {}: {e}", self.id);
        }
    }

    /// A resubmitted job would be a second run under the first one's id: POST /ai/runs/{id}/retry is the way.
    fn reset(&mut self) -> Result<(), ()> {
        Err(())
    }
}
