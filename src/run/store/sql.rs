//! The store's meaning in SQL, once for both databases.

use std::time::Duration;

use super::connection::{Access, Connection, Database, Durability, Fault, Value};
use super::row::COLUMNS;
use super::statements::{
    HELD, fail_unreadable, first_run, given_back, held, insert_row, integer, known, milliseconds, query, readable,
    text, write_row,
};
use super::{
    Cancelled, Claim, Heartbeat, InsertRule, Inserted, Lease, RunCount, RunFilter, RunStore, Signal, StoreError,
    TakeBack,
};
use crate::run::record::{Run, RunId, RunState, Stage};

const FINAL: &str = "state IN ('Succeeded', 'Failed', 'Cancelled')";

pub(super) struct SqlRunStore<D: Database> {
    access: Access<D>,
    signal: Signal,
}

impl<D: Database> SqlRunStore<D> {
    pub(super) fn new(database: D) -> Self {
        Self { access: Access::new(database), signal: Signal::default() }
    }

    pub(super) fn read(&self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.access.read(|c| c.query(&D::DIALECT.sql(sql), values))
    }

    /// One transaction that no waiter is told of.
    pub(super) fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&mut D::Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.access.write(durability, work)
    }

    /// One statement that changes something; the rows that it returns.
    fn change(&self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let rows = self.access.write(Durability::Full, |c| query::<D>(c, sql, values))?;
        self.signal.raise();
        Ok(rows)
    }

    /// As [`Self::change`], for what is done again and again and mostly changes nothing.
    fn change_quietly(&self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let rows = self.access.write(Durability::Full, |c| query::<D>(c, sql, values))?;
        if !rows.is_empty() {
            self.signal.raise();
        }
        Ok(rows)
    }

    fn one(&self, condition: &str, values: &[Value]) -> Result<Option<Run>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM orthanc_ai_runs WHERE {condition} LIMIT 1");
        self.access.read(|c| first_run(query::<D>(c, &sql, values)?))
    }

    fn setting(&self, name: String) -> Result<Option<i64>, StoreError> {
        let rows = self.read("SELECT value FROM orthanc_ai_settings WHERE name = ?1", &[name.into()])?;
        Ok(rows.first().and_then(|row| integer(row, 0)))
    }

    fn set(&self, name: String, value: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO orthanc_ai_settings (name, value) VALUES (?1, ?2)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.change(sql, &[name.into(), value.into()]).map(drop)
    }
}

impl<D: Database> RunStore for SqlRunStore<D> {
    fn kind(&self) -> &'static str {
        D::KIND
    }

    fn is_shared(&self) -> bool {
        self.access.database().is_shared()
    }

    fn signal(&self) -> &Signal {
        &self.signal
    }

    fn check(&self) -> Result<(), StoreError> {
        self.read("SELECT value FROM orthanc_ai_settings WHERE name = 'schema'", &[]).map(drop)
    }

    fn insert(&self, run: &Run, rule: InsertRule) -> Result<Inserted, StoreError> {
        let inserted = self.access.write(Durability::Full, |c| {
            if !D::DIALECT.lock.is_empty() {
                c.batch(D::DIALECT.lock)?;
            }
            if let Some(known) = known::<D>(c, run, rule)? {
                return Ok(Inserted::Known(known));
            }
            let waiting = query::<D>(c, "SELECT count(*) FROM orthanc_ai_runs WHERE state = 'Queued'", &[])?;
            let waiting = waiting.first().and_then(|row| integer(row, 0)).unwrap_or_default();
            if usize::try_from(waiting).is_ok_and(|waiting| waiting >= rule.limit) {
                return Ok(Inserted::Full { limit: rule.limit });
            }
            insert_row::<D>(c, run)?;
            Ok(Inserted::New(run.clone()))
        })?;
        self.signal.raise();
        Ok(inserted)
    }

    fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        self.one("id = ?1", &[id.0.as_str().into()])
    }

    fn list(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        let mut conditions = vec!["1 = 1".to_string()];
        let mut values: Vec<Value> = Vec::new();
        let mut and = |condition: &str, value: Option<Value>| {
            if let Some(value) = value {
                values.push(value);
                conditions.push(condition.replace('?', &format!("?{}", values.len())));
            }
        };
        and("state = ?", filter.state.map(|s| s.name().into()));
        and("model = ?", filter.model.as_deref().map(Into::into));
        and("resource = ?", filter.resource.as_ref().map(|r| r.to_string().into()));
        and("study = ?", filter.study.as_deref().map(Into::into));
        and("created >= ?", filter.since.map(|t| t.milliseconds().into()));
        and("id IN (SELECT run FROM orthanc_ai_stored WHERE instance = ?)", filter.stored.as_deref().map(Into::into));
        values.push(i64::try_from(filter.limit.unwrap_or(usize::MAX)).unwrap_or(i64::MAX).into());
        let sql = format!(
            "SELECT {COLUMNS} FROM orthanc_ai_runs WHERE {} ORDER BY sequence DESC LIMIT ?{}",
            conditions.join(" AND "),
            values.len()
        );
        self.read(&sql, &values).map(readable)
    }

    fn counts(&self) -> Result<Vec<RunCount>, StoreError> {
        let rows = self.read("SELECT model, state, count(*) FROM orthanc_ai_runs GROUP BY model, state", &[])?;
        let count = |row: &Vec<Value>| {
            let state = RunState::from_name(text(row, 1))?;
            let runs = usize::try_from(integer(row, 2)?).ok()?;
            Some(RunCount { model: text(row, 0).to_string(), state, runs })
        };
        Ok(rows.iter().filter_map(count).collect())
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Run>, StoreError> {
        let mut values: Vec<Value> = vec![claim.node.into(), milliseconds(claim.lease)];
        let mut of_models = String::new();
        if let Some(models) = claim.models {
            values.extend(models.iter().map(|m| Value::from(*m)));
            let numbers: Vec<String> = (3..values.len() + 1).map(|n| format!("?{n}")).collect();
            of_models = format!("AND model IN ({})", numbers.join(", "));
            if models.is_empty() {
                return Ok(None);
            }
        }
        let sql = format!(
            "UPDATE orthanc_ai_runs SET state = 'Running', node = ?1, lease_until = {{now}} + ?2, heartbeat = {{now}},
                attempts = attempts + 1, started = {{now}}, finished = NULL, not_before = NULL, error = NULL, job_id = NULL, stage = NULL, progress = 0
            WHERE id = (
                SELECT id FROM orthanc_ai_runs
                WHERE state = 'Queued' AND (not_before IS NULL OR not_before <= {{now}}) {of_models}
                    AND NOT EXISTS (SELECT 1 FROM orthanc_ai_settings WHERE name = 'suspended' AND value <> 0)
                ORDER BY priority DESC, sequence LIMIT 1 {{skip locked}})
            RETURNING {COLUMNS}"
        );
        loop {
            // An unreadable record would otherwise be the next one for ever.
            let claimed = self.access.write(Durability::Full, |c| {
                let rows = query::<D>(c, &sql, &values)?;
                match first_run(rows) {
                    Err(Fault::Unreadable { id, reason }) => fail_unreadable::<D>(c, &id, &reason).map(|()| Err(())),
                    run => run.map(Ok),
                }
            })?;
            match claimed {
                Ok(run) => return Ok(run),
                Err(()) => self.signal.raise(),
            }
        }
    }

    fn heartbeat(
        &self,
        lease: &Lease,
        length: Duration,
        stage: Option<Stage>,
        progress: u8,
    ) -> Result<Heartbeat, StoreError> {
        let sql = format!(
            "UPDATE orthanc_ai_runs SET lease_until = {{now}} + ?4, heartbeat = {{now}}, stage = ?5, progress = ?6
            WHERE {HELD} RETURNING cancel_requested"
        );
        let mut values = held(lease).to_vec();
        values.extend([milliseconds(length), stage.map(Stage::name).into(), i64::from(progress).into()]);
        let rows = self.access.write(Durability::Relaxed, |c| query::<D>(c, &sql, &values))?;
        Ok(match rows.first().map(|row| integer(row, 0)) {
            None => Heartbeat::Lost,
            Some(Some(0)) => Heartbeat::Held,
            Some(_) => Heartbeat::CancelRequested,
        })
    }

    fn update(&self, lease: &Lease, change: &mut dyn FnMut(&mut Run)) -> Result<Option<Run>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM orthanc_ai_runs WHERE {HELD} {{for update}}");
        let run = self.access.write(Durability::Full, |c| {
            let Some(mut run) = first_run(query::<D>(c, &sql, &held(lease))?)? else { return Ok(None) };
            change(&mut run);
            write_row::<D>(c, lease, &run)?;
            Ok(Some(run))
        })?;
        if run.as_ref().is_some_and(|run| run.state.is_final()) {
            self.signal.raise();
        }
        Ok(run)
    }

    fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let sql = format!(
            "UPDATE orthanc_ai_runs SET attempts = attempts - 1, {} WHERE {HELD} RETURNING id",
            given_back("not_before")
        );
        self.change(&sql, &held(lease)).map(|rows| !rows.is_empty())
    }

    fn retry_later(&self, lease: &Lease, delay: Duration, error: &str) -> Result<bool, StoreError> {
        let sql =
            format!("UPDATE orthanc_ai_runs SET error = ?4, {} WHERE {HELD} RETURNING id", given_back("{now} + ?5"));
        let mut values = held(lease).to_vec();
        values.extend([error.into(), milliseconds(delay)]);
        self.change(&sql, &values).map(|rows| !rows.is_empty())
    }

    fn take_back(&self, whose: TakeBack, attempts: u32) -> Result<Vec<Run>, StoreError> {
        let (whose, more) = match whose {
            TakeBack::Expired => ("lease_until < {now}", Vec::new()),
            TakeBack::Node(node) => ("node = ?3", vec![node.into()]),
            TakeBack::Silent { node, silence } => {
                ("node = ?3 AND COALESCE(heartbeat, 0) < {now} - ?4", vec![node.into(), milliseconds(silence)])
            }
        };
        let sql = format!(
            "UPDATE orthanc_ai_runs SET
                state = CASE WHEN cancel_requested <> 0 THEN 'Cancelled' WHEN attempts >= ?1 THEN 'Failed' ELSE 'Queued' END,
                error = CASE WHEN cancel_requested = 0 AND attempts >= ?1
                    THEN 'the server ended during this run, at attempt ' || attempts || ' of ' || ?2 END,
                finished = CASE WHEN cancel_requested <> 0 OR attempts >= ?1 THEN {{now}} END,
                lease_until = NULL, stage = NULL, progress = 0
            WHERE state = 'Running' AND {whose} RETURNING {COLUMNS}"
        );
        let mut values: Vec<Value> = vec![i64::from(attempts).into(), attempts.to_string().into()];
        values.extend(more);
        let runs = readable(self.change_quietly(&sql, &values)?);
        Ok(runs.into_iter().filter(|run| run.state.is_final()).collect())
    }

    fn cancel(&self, id: &RunId) -> Result<Cancelled, StoreError> {
        let cancel = "UPDATE orthanc_ai_runs SET state = 'Cancelled', finished = {now}, not_before = NULL
            WHERE id = ?1 AND state = 'Queued' RETURNING id";
        let ask = "UPDATE orthanc_ai_runs SET cancel_requested = 1 WHERE id = ?1 AND state = 'Running' RETURNING id";
        let id: Value = id.0.as_str().into();
        let cancelled = self.access.write(Durability::Full, |c| {
            // Locked first: between the two a worker could take the run up.
            let sql = format!("SELECT {COLUMNS} FROM orthanc_ai_runs WHERE id = ?1 {{for update}}");
            let find = |c: &mut D::Connection| first_run(query::<D>(c, &sql, std::slice::from_ref(&id))?);
            let Some(run) = find(c)? else { return Ok(Cancelled::Unknown) };
            if !query::<D>(c, cancel, std::slice::from_ref(&id))?.is_empty() {
                return Ok(find(c)?.map_or(Cancelled::Unknown, Cancelled::Now));
            }
            let asked = !query::<D>(c, ask, std::slice::from_ref(&id))?.is_empty();
            Ok(if asked { Cancelled::Asked(run) } else { Cancelled::TooLate(run) })
        })?;
        self.signal.raise();
        Ok(cancelled)
    }

    fn hasten(&self, id: &RunId, priority: i32) -> Result<bool, StoreError> {
        let sql = "UPDATE orthanc_ai_runs
            SET not_before = NULL, priority = CASE WHEN priority < ?2 THEN ?2 ELSE priority END
            WHERE id = ?1 AND state = 'Queued' RETURNING id";
        self.change(sql, &[id.0.as_str().into(), i64::from(priority).into()]).map(|rows| !rows.is_empty())
    }

    fn supersede(&self, id: &RunId, by: &RunId) -> Result<bool, StoreError> {
        let sql = "UPDATE orthanc_ai_runs SET superseded_by = ?2 WHERE id = ?1 RETURNING id";
        self.change(sql, &[id.0.as_str().into(), by.0.as_str().into()]).map(|rows| !rows.is_empty())
    }

    fn remove(&self, id: &RunId) -> Result<bool, StoreError> {
        let sql = format!("DELETE FROM orthanc_ai_runs WHERE id = ?1 AND {FINAL} RETURNING id");
        self.change(&sql, &[id.0.as_str().into()]).map(|rows| !rows.is_empty())
    }

    fn forget_old(&self, history: usize, days: Option<u32>) -> Result<usize, StoreError> {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        let sql = format!(
            "DELETE FROM orthanc_ai_runs WHERE {FINAL} AND (
                sequence <= (SELECT sequence FROM orthanc_ai_runs WHERE {FINAL} ORDER BY sequence DESC LIMIT 1 OFFSET ?1)
                OR finished <= {{now}} - ?2)
            RETURNING id"
        );
        let age = days.map_or(i64::MAX / 4, |days| i64::from(days) * DAY_MS);
        let history = i64::try_from(history).unwrap_or(i64::MAX);
        self.change_quietly(&sql, &[history.into(), age.into()]).map(|rows| rows.len())
    }

    fn cursor(&self, name: &str) -> Result<Option<i64>, StoreError> {
        self.setting(format!("cursor {name}"))
    }

    fn set_cursor(&self, name: &str, value: i64) -> Result<(), StoreError> {
        self.set(format!("cursor {name}"), value)
    }

    fn is_suspended(&self) -> Result<bool, StoreError> {
        self.setting("suspended".into()).map(|value| value.unwrap_or_default() != 0)
    }

    fn set_suspended(&self, suspended: bool) -> Result<(), StoreError> {
        self.set("suspended".into(), i64::from(suspended))
    }
}
