//! Runs in a SQLite file of our own: beside the archive, for one Orthanc, which is the default; or where an administrator wants it, for
//! several on one machine (WAL needs memory that they share: a network's file system has none).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ToSql, params_from_iter};

use super::RunStore;
use super::connection::{Connection, Database, Dialect, Durability, Fault, Value};
use super::schema;
use super::sql::SqlRunStore;

/// In the file's header: tells our file from any other SQLite database.
const APPLICATION_ID: i64 = 0x6f61_6931;
/// How long another program may keep the file locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The store in `path`, whose folder has to be there, of one server. Opens nothing before it is asked.
pub fn open(path: PathBuf) -> Arc<dyn RunStore> {
    Arc::new(SqlRunStore::new(Sqlite { path: Some(path), flags: OpenFlags::default(), is_shared: false }))
}

/// As [`open`], of servers that may be several.
pub fn open_shared(path: PathBuf) -> Arc<dyn RunStore> {
    Arc::new(SqlRunStore::new(Sqlite { path: Some(path), flags: OpenFlags::default(), is_shared: true }))
}

/// A store that ends with the process, for tests.
pub fn in_memory() -> Arc<dyn RunStore> {
    Arc::new(SqlRunStore::new(Sqlite { path: None, flags: OpenFlags::default(), is_shared: false }))
}

struct Sqlite {
    /// None: in memory.
    path: Option<PathBuf>,
    flags: OpenFlags,
    is_shared: bool,
}

impl Database for Sqlite {
    type Connection = rusqlite::Connection;
    const KIND: &'static str = "SQLite";
    const DIALECT: Dialect = Dialect {
        now: "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)",
        for_update: "",
        skip_locked: "",
        serial: "INTEGER PRIMARY KEY AUTOINCREMENT",
        lock: "",
        has_settings: "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'orthanc_ai_settings'",
        parameter: '?',
    };

    fn open(&self) -> Result<rusqlite::Connection, Fault> {
        let opened = match &self.path {
            Some(path) => rusqlite::Connection::open_with_flags(path, self.flags),
            None => rusqlite::Connection::open_in_memory(),
        };
        let mut connection = opened.map_err(fault)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
        ours_or_empty(&connection)?;
        // In WAL mode readers do not wait for writers, and FULL syncs the log at each commit: nothing is lost with the power.
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
            .map_err(fault)?;
        let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fault)?;
        if check != "ok" {
            return Err(Fault::Gone(DAMAGED.into()));
        }
        if connection.is_readonly("main").map_err(fault)? {
            return Err(Fault::Gone(NOT_WRITABLE.into()));
        }
        schema::migrate(&mut connection, &Self::DIALECT)?;
        Ok(connection)
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn describe(&self) -> String {
        let path = self.path.as_ref().map_or_else(|| "in memory".into(), |path| path.display().to_string());
        format!("{}, {path}", Self::KIND)
    }
}

/// Marks a new file; refuses one with somebody else's tables (Orthanc's own index, say), untouched.
fn ours_or_empty(connection: &rusqlite::Connection) -> Result<(), Fault> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fault);
    // In this order: who opens the new file beside us marks it before it has tables.
    let has_tables = number("SELECT count(*) FROM sqlite_master")? > 0;
    if number("PRAGMA application_id")? == APPLICATION_ID {
        return Ok(());
    }
    if has_tables {
        return Err(Fault::Gone("the file is the database of another program, and is left alone".into()));
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(fault)
}

impl Connection for rusqlite::Connection {
    fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        self.execute_batch(sql).map_err(fault)
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, Fault> {
        let mut statement = self.prepare_cached(sql).map_err(fault)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(values)).map_err(fault)?;
        let mut answer = Vec::new();
        while let Some(row) = rows.next().map_err(fault)? {
            let value = |i: usize| match row.get_ref(i).map_err(fault)? {
                ValueRef::Integer(value) => Ok(Value::Integer(value)),
                ValueRef::Text(text) => Ok(Value::Text(String::from_utf8_lossy(text).into_owned())),
                ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Ok(Value::Null),
            };
            answer.push((0..columns).map(value).collect::<Result<_, _>>()?);
        }
        Ok(answer)
    }

    /// IMMEDIATE: a transaction that begins by reading could not become a writing one while another process writes.
    fn begin(&mut self, durability: Durability) -> Result<(), Fault> {
        if durability == Durability::Relaxed {
            self.batch("PRAGMA synchronous = NORMAL")?;
        }
        self.batch("BEGIN IMMEDIATE")
    }

    /// SQLite takes a transaction back by itself where the disk is full or fails.
    fn roll_back(&mut self) -> Result<(), Fault> {
        if self.is_autocommit() { Ok(()) } else { self.batch("ROLLBACK") }
    }

    fn ended(&mut self, durability: Durability) -> Result<(), Fault> {
        if durability == Durability::Relaxed { self.batch("PRAGMA synchronous = FULL") } else { Ok(()) }
    }

    fn is_alive(&mut self) -> bool {
        true
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

const DAMAGED: &str = "the database file is damaged; move it away, or put a copy in its place";
const NOT_WRITABLE: &str = "the database file is not writable";

/// In words of our own: SQLite's name the path, which REST must not show.
fn fault(error: rusqlite::Error) -> Fault {
    let code = error.sqlite_error_code();
    let gone = |reason: &str| Fault::Gone(reason.into());
    match code {
        Some(ErrorCode::CannotOpen) => gone("the database file cannot be opened or made"),
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => gone(NOT_WRITABLE),
        Some(ErrorCode::NotADatabase) => gone("the file is not a SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => gone(DAMAGED),
        Some(ErrorCode::SystemIoFailure) => gone("the disk cannot be read or written"),
        Some(ErrorCode::DiskFull) => Fault::Refused("the disk is full".into()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::Refused("the database file is locked by another program".into())
        }
        _ => Fault::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.sqlite");
        let with = |flags| Sqlite { path: Some(path.clone()), flags, is_shared: false }.open();
        with(OpenFlags::default()).unwrap();
        // As SQLite opens a file, or one on a medium, that it may not write.
        match with(OpenFlags::SQLITE_OPEN_READ_ONLY) {
            Err(Fault::Gone(reason)) => assert_eq!(reason, NOT_WRITABLE),
            other => panic!("{:?}", other.map(drop)),
        }
    }

    #[test]
    fn a_full_disk_refuses_one_change_and_keeps_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = Some(folder.path().join("runs.sqlite"));
        let mut connection = Sqlite { path, flags: OpenFlags::default(), is_shared: false }.open().unwrap();
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        connection.query_row(&format!("PRAGMA max_page_count = {}", pages + 4), [], |_| Ok(())).unwrap();
        let sql = "INSERT INTO orthanc_ai_settings (name, value) VALUES (?1, 1)";
        let insert = |c: &mut rusqlite::Connection, n: usize| {
            let name = format!("{n} {}", "x".repeat(2000));
            super::super::connection::transaction(c, Durability::Full, |c| c.query(sql, &[name.into()]))
        };
        let mut done = 0;
        let fault = loop {
            match insert(&mut connection, done) {
                Ok(_) => done += 1,
                Err(fault) => break fault,
            }
            assert!(done < 100);
        };
        assert!(matches!(&fault, Fault::Refused(reason) if reason == "the disk is full"), "{fault:?}");
        connection.query_row("PRAGMA max_page_count = 1000", [], |_| Ok(())).unwrap();
        insert(&mut connection, done).unwrap();
        let kept: i64 = connection.query_row("SELECT count(*) FROM orthanc_ai_settings", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, done as i64 + 2);
    }
}
