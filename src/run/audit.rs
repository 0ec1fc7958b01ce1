//! What the host's audit log is told: who had which study analysed, and what became of the results.
//!
//! Ids, the model's name and the rule's; nothing of the patient.

use serde_json::{Value, json};

use super::record::Run;
use crate::source::StoreStatus;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A new run was asked for, by a person or by a rule.
    AnalysisRequested,
    /// A run has succeeded, and what was not there before lies in the archive.
    ResultsStored,
    /// What a run had stored was removed: with the run, or because a more complete input was analysed.
    ResultsDeleted,
    RunCancelled,
    /// A reader has judged a finding; what was said stays in the store.
    FeedbackGiven,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Self::AnalysisRequested => "ai-analysis-requested",
            Self::ResultsStored => "ai-results-stored",
            Self::ResultsDeleted => "ai-results-deleted",
            Self::RunCancelled => "ai-run-cancelled",
            Self::FeedbackGiven => "ai-feedback-given",
        }
    }
}

/// Something that was done to a study.
#[derive(Debug, Clone, Copy)]
pub struct AuditEvent<'a> {
    pub action: Action,
    /// Who did it; None: nobody that is known, or the plugin by itself.
    pub user: Option<&'a str>,
    pub run: &'a Run,
}

/// Where events go.
pub type Audit = fn(&AuditEvent);

impl<'a> AuditEvent<'a> {
    /// Of what the plugin does by itself.
    pub fn own(action: Action, run: &'a Run) -> Self {
        Self { action, user: None, run }
    }

    /// What the log keeps beside user, study and action. `Instances` are the objects that were not there before the run.
    pub fn data(&self) -> Value {
        let run = self.run;
        let own = run.stored.iter().filter(|s| s.status == StoreStatus::Stored);
        let instances: Vec<&str> = own.map(|s| s.id.as_str()).collect();
        json!({
            "RunID": run.id,
            "Model": run.request.model,
            "Version": run.card.version,
            "Resource": run.request.resource.to_string(),
            "Origin": run.request.origin.name(),
            "Rule": run.request.origin.rule(),
            "Instances": instances,
        })
    }
}
