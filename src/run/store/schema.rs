//! The tables, and how an older schema becomes this one.
//!
//! What changes during a run's life stands in columns of its own and is changed by single statements; the rest (the request, the
//! outcome) is one JSON text, `document`. Where both hold a value the column counts. The names have a prefix since
//! administrators give us the database that Orthanc's own index is in.

use super::connection::{Connection, Dialect, Durability, Fault, transaction};

/// Each takes the schema from one version to the next.
const MIGRATIONS: [&str; 3] = [
    "
    CREATE TABLE orthanc_ai_settings (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
    CREATE TABLE orthanc_ai_runs (
        sequence {serial},
        id TEXT NOT NULL UNIQUE,
        run_key TEXT NOT NULL,
        model TEXT NOT NULL,
        resource TEXT NOT NULL,
        study TEXT NOT NULL,
        priority BIGINT NOT NULL,
        forced BIGINT NOT NULL,
        created BIGINT NOT NULL,
        state TEXT NOT NULL,
        progress BIGINT NOT NULL DEFAULT 0,
        stage TEXT,
        attempts BIGINT NOT NULL DEFAULT 0,
        not_before BIGINT,
        node TEXT,
        lease_until BIGINT,
        cancel_requested BIGINT NOT NULL DEFAULT 0,
        started BIGINT,
        finished BIGINT,
        error TEXT,
        job_id TEXT,
        superseded_by TEXT,
        document TEXT NOT NULL
    );
    CREATE UNIQUE INDEX orthanc_ai_runs_active ON orthanc_ai_runs (run_key)
        WHERE state IN ('Queued', 'Running') AND forced = 0 AND cancel_requested = 0;
    CREATE INDEX orthanc_ai_runs_key ON orthanc_ai_runs (run_key);
    CREATE INDEX orthanc_ai_runs_queue ON orthanc_ai_runs (state, priority DESC, sequence);
    CREATE INDEX orthanc_ai_runs_study ON orthanc_ai_runs (study);
    CREATE TABLE orthanc_ai_stored (
        instance TEXT NOT NULL,
        run TEXT NOT NULL REFERENCES orthanc_ai_runs (id) ON DELETE CASCADE,
        PRIMARY KEY (instance, run)
    );
    CREATE INDEX orthanc_ai_stored_run ON orthanc_ai_stored (run);
",
    // A lease says until when a run is a worker's, not whether the worker lives.
    "ALTER TABLE orthanc_ai_runs ADD COLUMN heartbeat BIGINT;",
    // A reader without a name is '', which is equal to itself.
    "
    CREATE TABLE orthanc_ai_feedback (
        sequence {serial},
        run TEXT NOT NULL REFERENCES orthanc_ai_runs (id) ON DELETE CASCADE,
        finding TEXT NOT NULL,
        reader TEXT NOT NULL,
        model TEXT NOT NULL,
        version TEXT NOT NULL,
        answer TEXT NOT NULL,
        verdict TEXT,
        comment TEXT,
        created BIGINT NOT NULL,
        is_current BIGINT NOT NULL
    );
    CREATE UNIQUE INDEX orthanc_ai_feedback_current ON orthanc_ai_feedback (run, finding, reader) WHERE is_current = 1;
    CREATE INDEX orthanc_ai_feedback_run ON orthanc_ai_feedback (run);
    CREATE INDEX orthanc_ai_feedback_model ON orthanc_ai_feedback (model);
",
];

const VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings the schema up to date, one process at a time. A newer one is left alone.
pub(super) fn migrate<C: Connection>(connection: &mut C, dialect: &Dialect) -> Result<(), Fault> {
    transaction(connection, Durability::Full, |c| {
        if !dialect.lock.is_empty() {
            c.batch(dialect.lock)?;
        }
        let version = if integer(c, dialect.has_settings)?.unwrap_or_default() == 0 {
            0
        } else {
            integer(c, "SELECT value FROM orthanc_ai_settings WHERE name = 'schema'")?.unwrap_or_default()
        };
        if version > VERSION {
            let reason =
                format!("its schema is of a newer version of this plugin: found {version}, expected at most {VERSION}");
            return Err(Fault::Refused(reason));
        }
        for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or_default()) {
            c.batch(&dialect.sql(migration))?;
        }
        let set = "INSERT INTO orthanc_ai_settings (name, value) VALUES ('schema', ?1)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        if version < VERSION { c.query(&dialect.sql(set), &[VERSION.into()]).map(drop) } else { Ok(()) }
    })
}

/// The single number that a statement answers.
fn integer<C: Connection>(connection: &mut C, sql: &str) -> Result<Option<i64>, Fault> {
    let rows = connection.query(sql, &[])?;
    Ok(rows.first().and_then(|row| match row.first() {
        Some(super::connection::Value::Integer(value)) => Some(*value),
        _ => None,
    }))
}
