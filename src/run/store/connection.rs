//! What the store needs of a database: one connection, opened when it is needed and again after it is lost.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::StoreError;
use crate::run::record::RunId;

/// The two types of columns that the schema has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Why a statement was not carried out.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection is of no use any more.
    Gone(String),
    /// This statement failed; the connection is as good as before.
    Refused(String),
    Unreadable {
        id: RunId,
        reason: String,
    },
}

/// What a transaction costs and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// On the disk when it returns: a power failure takes nothing back.
    Full,
    /// A power failure may take it back, a crash of the server does not: for progress, twice a second.
    Relaxed,
}

/// How the SQL of one database differs from the other's.
pub(super) struct Dialect {
    /// Milliseconds since 1970, by the database's own clock: the nodes' clocks may differ.
    pub now: &'static str,
    /// Ends a SELECT whose rows are about to be changed.
    pub for_update: &'static str,
    /// As `for_update`, but passes over rows that another transaction is at.
    pub skip_locked: &'static str,
    /// Type of the key that counts up.
    pub serial: &'static str,
    /// One transaction at a time passes this, until it ends; empty where transactions follow each other anyway.
    pub lock: &'static str,
    /// Gives 1 where the schema's table of settings is there, else 0.
    pub has_settings: &'static str,
    /// What stands before a parameter's number.
    pub parameter: char,
}

impl Dialect {
    /// Statements are written with `{now}`, `{for update}`, `{skip locked}`, `{serial}` and `?1`.
    pub fn sql(&self, template: &str) -> String {
        template
            .replace("{now}", self.now)
            .replace("{for update}", self.for_update)
            .replace("{skip locked}", self.skip_locked)
            .replace("{serial}", self.serial)
            .replace('?', self.parameter.encode_utf8(&mut [0; 4]))
    }
}

/// One open connection.
pub(super) trait Connection {
    /// Statements without parameters and answers.
    fn batch(&mut self, sql: &str) -> Result<(), Fault>;
    /// One statement; the rows that it answers.
    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, Fault>;
    fn begin(&mut self, durability: Durability) -> Result<(), Fault>;
    /// Takes the transaction back, where the database has not done so itself.
    fn roll_back(&mut self) -> Result<(), Fault>;
    /// The transaction is over, whatever came of it.
    fn ended(&mut self, durability: Durability) -> Result<(), Fault>;
    /// Asked before a connection that has rested is used again.
    fn is_alive(&mut self) -> bool;
}

/// Where connections come from.
pub(super) trait Database: Send + Sync {
    type Connection: Connection + Send;
    const KIND: &'static str;
    const DIALECT: Dialect;
    /// Connects and brings the schema up to date.
    fn open(&self) -> Result<Self::Connection, Fault>;
    /// Other servers may be at the same tables.
    fn is_shared(&self) -> bool;
    /// For the log of this server, in words; may name a path, never a password.
    fn describe(&self) -> String;
}

/// The one connection of a store, and what is known of why there is none.
pub(super) struct Access<D: Database> {
    database: D,
    state: Mutex<State<D::Connection>>,
}

struct State<C> {
    connection: Option<C>,
    used: Instant,
    /// Since the last success, when opening failed.
    failure: Option<Failure>,
    /// The log has heard that the store is away.
    is_reported: bool,
}

struct Failure {
    reason: String,
    again: Instant,
    delay: Duration,
}

const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// A connection that has rested this long may be dead without knowing it.
const REST: Duration = Duration::from_secs(1);

impl<D: Database> Access<D> {
    /// Opens nothing yet.
    pub fn new(database: D) -> Self {
        let state = State { connection: None, used: Instant::now(), failure: None, is_reported: false };
        Self { database, state: Mutex::new(state) }
    }

    pub fn database(&self) -> &D {
        &self.database
    }

    /// Reads that need no transaction.
    pub fn read<T>(&self, work: impl FnOnce(&mut D::Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.with(work)
    }

    /// One transaction: all of `work` or nothing.
    pub fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&mut D::Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.with(|connection| transaction(connection, durability, work))
    }

    fn with<T>(&self, work: impl FnOnce(&mut D::Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Out of the state while it is used: after a panic there is none, rather than one inside a transaction.
        let outcome = self.take(&mut state).and_then(|mut connection| {
            let outcome = work(&mut connection);
            if !matches!(outcome, Err(Fault::Gone(_))) {
                state.connection = Some(connection);
                state.used = Instant::now();
            }
            outcome
        });
        self.report(&mut state, outcome.as_ref().err());
        outcome.map_err(|fault| match fault {
            Fault::Gone(reason) | Fault::Refused(reason) => StoreError::Unavailable { reason },
            Fault::Unreadable { id, reason } => StoreError::Unreadable { id, reason },
        })
    }

    /// The connection, or a new one; not more often than the last failure allows.
    fn take(&self, state: &mut MutexGuard<'_, State<D::Connection>>) -> Result<D::Connection, Fault> {
        if let Some(mut connection) = state.connection.take()
            && (state.used.elapsed() < REST || connection.is_alive())
        {
            return Ok(connection);
        }
        if let Some(failure) = state.failure.as_ref().filter(|failure| Instant::now() < failure.again) {
            return Err(Fault::Gone(failure.reason.clone()));
        }
        match self.database.open() {
            Ok(connection) => {
                state.failure = None;
                Ok(connection)
            }
            Err(fault) => {
                let delay = state.failure.as_ref().map_or(FIRST_DELAY, |f| (f.delay * 2).min(LONGEST_DELAY));
                let (Fault::Gone(reason) | Fault::Refused(reason) | Fault::Unreadable { reason, .. }) = fault;
                state.failure = Some(Failure { reason: reason.clone(), again: Instant::now() + delay, delay });
                Err(Fault::Gone(reason))
            }
        }
    }

    /// Two lines in the log: when the store went, and when it came back.
    fn report(&self, state: &mut MutexGuard<'_, State<D::Connection>>, fault: Option<&Fault>) {
        match fault {
            Some(Fault::Gone(reason) | Fault::Refused(reason)) if !state.is_reported => {
                state.is_reported = true;
                log::error!(
                    "the store of runs ({}) cannot be used: {reason}. It is tried again",
                    self.database.describe()
                );
            }
            None if state.is_reported => {
                state.is_reported = false;
                log::info!("the store of runs ({}) can be used again", self.database.describe());
            }
            _ => {}
        }
    }
}

pub(super) fn transaction<C: Connection, T>(
    connection: &mut C,
    durability: Durability,
    work: impl FnOnce(&mut C) -> Result<T, Fault>,
) -> Result<T, Fault> {
    if let Err(fault) = connection.begin(durability) {
        // What it has prepared for this transaction is not left for the next.
        return Err(connection.ended(durability).err().unwrap_or(fault));
    }
    let outcome = work(connection).and_then(|value| connection.batch("COMMIT").map(|()| value));
    let fault = match outcome {
        Ok(value) => return connection.ended(durability).map(|()| value),
        Err(Fault::Gone(reason)) => return Err(Fault::Gone(reason)),
        Err(fault) => fault,
    };
    let rolled_back = connection.roll_back().and_then(|()| connection.ended(durability));
    Err(match (fault, rolled_back) {
        (fault, Ok(())) => fault,
        // In the words of what went wrong first.
        (Fault::Gone(reason) | Fault::Refused(reason) | Fault::Unreadable { reason, .. }, Err(_)) => {
            Fault::Gone(reason)
        }
    })
}
