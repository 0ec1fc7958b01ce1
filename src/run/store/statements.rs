//! Statements that more than one method of the store needs, and what is read from their rows.

use std::time::Duration;

use super::connection::{Connection, Database, Fault, Value};
use super::row::{self, COLUMNS};
use super::{InsertRule, Lease};
use crate::run::record::{Run, RunId, RunState, Stage};
use crate::run::timestamp::Timestamp;

/// A run that may not be asked for a second time.
const ACTIVE: &str = "state IN ('Queued', 'Running') AND forced = 0 AND cancel_requested = 0";
/// Of a lease: ?1 its run, ?2 its node, ?3 its attempt.
pub(super) const HELD: &str = "id = ?1 AND node = ?2 AND attempts = ?3 AND state = 'Running'";

pub(super) fn query<D: Database>(c: &mut D::Connection, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, Fault> {
    c.query(&D::DIALECT.sql(sql), values)
}

pub(super) fn first_run(rows: Vec<Vec<Value>>) -> Result<Option<Run>, Fault> {
    rows.into_iter().next().map(row::run).transpose()
}

pub(super) fn integer(row: &[Value], column: usize) -> Option<i64> {
    match row.get(column) {
        Some(Value::Integer(value)) => Some(*value),
        _ => None,
    }
}

pub(super) fn text(row: &[Value], column: usize) -> &str {
    match row.get(column) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// Runs that can be read; a line in the log for any other.
pub(super) fn readable(rows: Vec<Vec<Value>>) -> Vec<Run> {
    let run = |row| match row::run(row) {
        Ok(run) => Some(run),
        Err(Fault::Unreadable { id, reason }) => {
            log::warn!("the record of run {id} cannot be read, it is left out: {reason}");
            None
        }
        Err(Fault::Gone(_) | Fault::Refused(_)) => None,
    };
    rows.into_iter().filter_map(run).collect()
}

pub(super) fn held(lease: &Lease) -> [Value; 3] {
    [lease.id.0.as_str().into(), lease.node.as_str().into(), i64::from(lease.attempt).into()]
}

pub(super) fn milliseconds(duration: Duration) -> Value {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).into()
}

/// What a run that its worker gives back is set to: to wait until `not_before`, or cancelled where that is wanted.
pub(super) fn given_back(not_before: &str) -> String {
    format!(
        "state = CASE WHEN cancel_requested <> 0 THEN 'Cancelled' ELSE 'Queued' END,
        finished = CASE WHEN cancel_requested <> 0 THEN {{now}} END,
        not_before = CASE WHEN cancel_requested <> 0 THEN NULL ELSE {not_before} END,
        lease_until = NULL, stage = NULL, progress = 0"
    )
}

/// The run that stands in the way of a new one.
pub(super) fn known<D: Database>(c: &mut D::Connection, run: &Run, rule: InsertRule) -> Result<Option<Run>, Fault> {
    let condition = if rule.unless_known {
        "1 = 1"
    } else if run.request.force {
        return Ok(None);
    } else {
        ACTIVE
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM orthanc_ai_runs WHERE run_key = ?1 AND {condition} ORDER BY sequence DESC LIMIT 1"
    );
    first_run(query::<D>(c, &sql, &[run.key.as_str().into()])?)
}

pub(super) fn insert_row<D: Database>(c: &mut D::Connection, run: &Run) -> Result<(), Fault> {
    let sql =
        "INSERT INTO orthanc_ai_runs (id, run_key, model, resource, study, priority, forced, created, state, document,
            not_before)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let request = &run.request;
    let values: [Value; 11] = [
        run.id.0.as_str().into(),
        run.key.as_str().into(),
        request.model.as_str().into(),
        request.resource.to_string().into(),
        request.study.as_str().into(),
        i64::from(request.priority).into(),
        i64::from(request.force).into(),
        run.created.milliseconds().into(),
        RunState::Queued.name().into(),
        row::document(run)?.into(),
        run.not_before.map(Timestamp::milliseconds).into(),
    ];
    query::<D>(c, sql, &values).map(drop)
}

/// Writes back a run that the lease holds.
pub(super) fn write_row<D: Database>(c: &mut D::Connection, lease: &Lease, run: &Run) -> Result<(), Fault> {
    let sql = format!(
        "UPDATE orthanc_ai_runs SET state = ?4, progress = ?5, stage = ?6, finished = ?7, error = ?8, job_id = ?9,
            document = ?10, lease_until = CASE WHEN ?4 = 'Running' THEN lease_until END
        WHERE {HELD}"
    );
    let mut values = held(lease).to_vec();
    values.extend::<[Value; 7]>([
        run.state.name().into(),
        i64::from(run.progress).into(),
        run.stage.map(Stage::name).into(),
        run.finished.map(Timestamp::milliseconds).into(),
        run.error.as_deref().into(),
        run.job_id.as_deref().into(),
        row::document(run)?.into(),
    ]);
    query::<D>(c, &sql, &values)?;
    for stored in &run.stored {
        let sql = "INSERT INTO orthanc_ai_stored (instance, run) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        query::<D>(c, sql, &[stored.id.as_str().into(), run.id.0.as_str().into()])?;
    }
    Ok(())
}

pub(super) fn fail_unreadable<D: Database>(c: &mut D::Connection, id: &RunId, reason: &str) -> Result<(), Fault> {
    log::error!("the record of run {id} cannot be read, it is given up: {reason}");
    let sql = "UPDATE orthanc_ai_runs SET state = 'Failed', finished = {now}, error = ?2 WHERE id = ?1";
    query::<D>(c, sql, &[id.0.as_str().into(), format!("its record cannot be read: {reason}").into()]).map(drop)
}
