//! Marks on the study: how its analyses ended, as labels and as a text under a number, for whoever looks at the archive and not at us.
//!
//! A model's latest run that succeeded or failed is what counts; one that was cancelled, waits or runs changes nothing. So both labels
//! may stand at once, of two models, and a retry that succeeds takes `ai-failed` away. The text remembers each model's run, so that
//! the marks outlive the store's history.
//!
//! Marks are set before the end of a run is recorded: a server that is killed between the two does both at the next attempt.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::{Run, RunId, RunState};
use super::store::{RunFilter, RunStore};
use super::timestamp::Timestamp;
use crate::source::SourceError;
use crate::source::notes::{Note, StudyNotes};

/// Numbers from here on are the administrator's (Orthanc's user-defined metadata).
const FIRST_NUMBER: u16 = 1024;
/// How often a text is written again that another node has changed meanwhile.
const ATTEMPTS: usize = 5;

/// `Ai.Marks`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct MarkSettings {
    /// The label of a study on which a model's latest run has succeeded; empty: none.
    pub done_label: String,
    /// The label of a study on which a model's latest run has failed; empty: none.
    pub failed_label: String,
    /// The number of the metadata with the state of each model; 0: none.
    pub metadata: u16,
}

impl Default for MarkSettings {
    fn default() -> Self {
        Self { done_label: "ai-done".into(), failed_label: "ai-failed".into(), metadata: 4230 }
    }
}

impl MarkSettings {
    /// # Errors
    /// (the key, what was found and expected)
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        for (key, label) in [("DoneLabel", &self.done_label), ("FailedLabel", &self.failed_label)] {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if label.len() > 64 || !label.chars().all(allowed) {
                return Err((key, "expected at most 64 letters, digits, \"-\" and \"_\"".into()));
            }
        }
        if self.done_label == self.failed_label && !self.done_label.is_empty() {
            return Err(("FailedLabel", "found the same as DoneLabel".into()));
        }
        if self.metadata != 0 && self.metadata < FIRST_NUMBER {
            let found = self.metadata;
            return Err(("Metadata", format!("found {found}, expected 0 (none) or {FIRST_NUMBER} to 65535")));
        }
        Ok(())
    }
}

/// How a model's latest run that ended by itself did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ended {
    state: RunState,
    run: RunId,
    finished: Timestamp,
}

/// By the model's name.
type Standing = BTreeMap<String, Ended>;

/// What happens to the run for whose sake the marks are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is about to be recorded as ended in this state.
    Ends(RunState),
    /// It is about to be forgotten.
    Forgotten,
}

/// Writes the marks.
#[derive(Clone)]
pub struct Marks {
    settings: MarkSettings,
    notes: Arc<dyn StudyNotes>,
}

impl Marks {
    pub fn new(settings: MarkSettings, notes: Arc<dyn StudyNotes>) -> Self {
        Self { settings, notes }
    }

    /// Marks the run's study. What cannot be written is a warning in the log, never the run's failure.
    pub fn set(&self, store: &dyn RunStore, run: &Run, change: Change) {
        if self.settings.metadata == 0 && self.settings.done_label.is_empty() && self.settings.failed_label.is_empty() {
            return;
        }
        let of_study = RunFilter { study: Some(run.request.study.clone()), ..RunFilter::default() };
        let runs = match store.list(&of_study) {
            Ok(runs) => runs,
            Err(e) => return log::warn!("run {}: the study is not marked: {e}", run.id),
        };
        let known = known(&runs, run, change);
        let standing = match self.write_text(run, change, &known) {
            Ok(standing) => standing,
            Err(SourceError::UnknownResource(_)) => return,
            Err(e) => {
                log::warn!("run {}: the study's metadata {} is not written: {e}", run.id, self.settings.metadata);
                known
            }
        };
        match self.write_labels(&run.request.study, &standing) {
            Ok(()) | Err(SourceError::UnknownResource(_)) => {}
            Err(e) => log::warn!("run {}: the study's labels are not set: {e}", run.id),
        }
    }

    /// Gives what holds of the study now.
    fn write_text(&self, run: &Run, change: Change, known: &Standing) -> Result<Standing, SourceError> {
        let (study, number) = (&run.request.study, self.settings.metadata);
        if number == 0 {
            return Ok(known.clone());
        }
        for _ in 0..ATTEMPTS {
            let before = self.notes.note(study, number)?;
            let mut standing = remembered(before.as_ref())?;
            if change == Change::Forgotten {
                standing.retain(|_, ended| ended.run != run.id);
            }
            standing.extend(known.clone());
            let text = (!standing.is_empty()).then(|| serde_json::to_string(&standing).unwrap_or_default());
            let is_written = before.as_ref().map(|note| &note.text) == text.as_ref();
            if is_written || self.notes.set_note(study, number, text.as_deref(), before.as_ref())? {
                return Ok(standing);
            }
        }
        Err(SourceError::Host(format!("others changed it {ATTEMPTS} times meanwhile")))
    }

    fn write_labels(&self, study: &str, standing: &Standing) -> Result<(), SourceError> {
        let Some(labels) = self.notes.labels(study)? else { return Ok(()) };
        let ended_as = |state| standing.values().any(|ended| ended.state == state);
        for (label, wanted) in [
            (&self.settings.done_label, ended_as(RunState::Succeeded)),
            (&self.settings.failed_label, ended_as(RunState::Failed)),
        ] {
            if !label.is_empty() && labels.contains(label) != wanted {
                self.notes.set_label(study, label, wanted)?;
            }
        }
        Ok(())
    }
}

/// What the store knows: each model's latest run that ended by itself. `runs` of one study, newest first.
fn known(runs: &[Run], changed: &Run, change: Change) -> Standing {
    let mut known = Standing::new();
    for run in runs {
        let (state, finished) = match change {
            Change::Forgotten if run.id == changed.id => continue,
            Change::Ends(state) if run.id == changed.id => (state, changed.finished),
            _ => (run.state, run.finished),
        };
        if matches!(state, RunState::Succeeded | RunState::Failed) {
            let finished = finished.unwrap_or_else(Timestamp::now);
            let ended = Ended { state, run: run.id.clone(), finished };
            known.entry(run.request.model.clone()).or_insert(ended);
        }
    }
    known
}

/// What the text says. Somebody else's text is left alone.
fn remembered(note: Option<&Note>) -> Result<Standing, SourceError> {
    let Some(note) = note else { return Ok(Standing::new()) };
    serde_json::from_str(&note.text).map_err(|_| {
        SourceError::Host(
            "it holds something that this plugin has not written: set Ai.Marks.Metadata to another number".into(),
        )
    })
}
