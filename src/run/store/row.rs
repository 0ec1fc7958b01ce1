//! A run as a row: the document, with the columns laid over it.

use super::connection::{Fault, Value};
use crate::run::record::{Run, RunId, RunState, Stage};
use crate::run::timestamp::Timestamp;

/// What [`run`] reads, in this order.
pub(super) const COLUMNS: &str = "id, document, state, progress, stage, attempts, not_before, node, started, finished, \
     error, job_id, superseded_by";

/// # Errors
/// [`Fault::Unreadable`]
pub(super) fn run(row: Vec<Value>) -> Result<Run, Fault> {
    let mut columns = Columns(row.into_iter());
    let id = RunId(columns.text().unwrap_or_default());
    let document = columns.text().unwrap_or_default();
    let unreadable = |reason: String| Fault::Unreadable { id: id.clone(), reason };
    let mut run: Run = serde_json::from_str(&document).map_err(|e| unreadable(e.to_string()))?;
    let state = columns.text().unwrap_or_default();
    run.state = RunState::from_name(&state).ok_or_else(|| unreadable(format!("found the state \"{state}\"")))?;
    run.progress = columns.number().unwrap_or_default();
    run.stage = columns.text().as_deref().and_then(Stage::from_name);
    run.attempts = columns.number().unwrap_or_default();
    run.not_before = columns.time();
    run.node = columns.text();
    run.started = columns.time();
    run.finished = columns.time();
    run.error = columns.text();
    run.job_id = columns.text();
    run.superseded_by = columns.text().map(RunId);
    Ok(run)
}

/// The JSON of the document.
///
/// # Errors
/// [`Fault::Unreadable`]: a number that JSON cannot say, from a network that went wrong.
pub(super) fn document(run: &Run) -> Result<String, Fault> {
    serde_json::to_string(run).map_err(|e| Fault::Unreadable { id: run.id.clone(), reason: e.to_string() })
}

struct Columns(std::vec::IntoIter<Value>);

impl Columns {
    fn text(&mut self) -> Option<String> {
        match self.0.next() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn number<T: TryFrom<i64>>(&mut self) -> Option<T> {
        match self.0.next() {
            Some(Value::Integer(number)) => T::try_from(number).ok(),
            _ => None,
        }
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.number::<i64>().and_then(Timestamp::from_milliseconds)
    }
}
