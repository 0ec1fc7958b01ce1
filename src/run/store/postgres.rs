//! Runs in a PostgreSQL database, for several Orthancs that share one archive.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres::config::SslMode;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, Statement};

use super::RunStore;
use super::connection::{Connection, Database, Dialect, Durability, Fault, Value};
use super::schema;
use super::sql::SqlRunStore;
use super::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server or a network that has died without a word is noticed after about this long.
const SILENCE: Duration = Duration::from_secs(10);
/// A statement that takes longer is broken off: the callers include REST requests.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// The store in the database that `config` names. Connects to nothing before it is asked. The connection is encrypted where the server can,
/// or must be (`sslmode=require`). With a file of `authorities` (PEM) it must be, and the server's certificate must be of one of them.
pub fn open(mut config: Config, authorities: Option<PathBuf>) -> Arc<dyn RunStore> {
    if authorities.is_some() {
        config.ssl_mode(SslMode::Require);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("orthanc-ai");
    }
    config.keepalives_idle(SILENCE).keepalives_interval(SILENCE / 4).keepalives_retries(3).tcp_user_timeout(SILENCE);
    let options = config.get_options().unwrap_or_default();
    let timeouts = format!(
        "{options} -c statement_timeout={0} -c idle_in_transaction_session_timeout={0}",
        STATEMENT_TIMEOUT.as_millis()
    );
    config.options(timeouts.trim());
    Arc::new(SqlRunStore::new(Postgres { config, authorities }))
}

struct Postgres {
    config: Config,
    authorities: Option<PathBuf>,
}

struct PostgresConnection {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Database for Postgres {
    type Connection = PostgresConnection;
    const KIND: &'static str = "PostgreSQL";
    const DIALECT: Dialect = Dialect {
        now: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        for_update: "FOR UPDATE",
        skip_locked: "FOR UPDATE SKIP LOCKED",
        serial: "BIGSERIAL PRIMARY KEY",
        // Any number that no other program is likely to use.
        lock: "SELECT pg_advisory_xact_lock(8029759185026511713)",
        has_settings: "SELECT CAST(count(*) AS BIGINT) WHERE to_regclass('orthanc_ai_settings') IS NOT NULL",
        parameter: '$',
    };

    fn open(&self) -> Result<PostgresConnection, Fault> {
        // Read at each connection: certificates are replaced while servers run.
        let tls = tls::connector(self.authorities.as_deref()).map_err(Fault::Gone)?;
        let client = self.config.connect(tls).map_err(|e| Fault::Gone(reason(&e)))?;
        let mut connection = PostgresConnection { client, statements: HashMap::new() };
        schema::migrate(&mut connection, &Self::DIALECT)?;
        Ok(connection)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        Self::KIND.into()
    }
}

impl PostgresConnection {
    fn fault(&self, error: &postgres::Error) -> Fault {
        // Class 57: the server is told to stop, or ends this connection.
        let is_ending = error.code().is_some_and(|code| code.code().starts_with("57P"));
        if self.client.is_closed() || error.is_closed() || error.as_db_error().is_none() || is_ending {
            Fault::Gone(reason(error))
        } else {
            Fault::Refused(reason(error))
        }
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql.to_string(), statement.clone());
        Ok(statement)
    }
}

impl Connection for PostgresConnection {
    fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        self.client.batch_execute(sql).map_err(|e| self.fault(&e))
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, Fault> {
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
        let rows = self.prepared(sql).and_then(|statement| self.client.query(&statement, &parameters));
        let rows = rows.map_err(|e| self.fault(&e))?;
        let values = |row: &postgres::Row| (0..row.len()).map(|i| row.try_get(i)).collect::<Result<Vec<Value>, _>>();
        rows.iter().map(values).collect::<Result<_, _>>().map_err(|e| self.fault(&e))
    }

    fn begin(&mut self, durability: Durability) -> Result<(), Fault> {
        self.batch(match durability {
            Durability::Full => "BEGIN",
            Durability::Relaxed => "BEGIN; SET LOCAL synchronous_commit = off",
        })
    }

    fn roll_back(&mut self) -> Result<(), Fault> {
        self.batch("ROLLBACK")
    }

    fn ended(&mut self, _durability: Durability) -> Result<(), Fault> {
        Ok(())
    }

    fn is_alive(&mut self) -> bool {
        self.client.is_valid(CONNECT_TIMEOUT).is_ok()
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(value) => value.to_sql_checked(kind, out),
            Self::Text(text) => text.to_sql_checked(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        <i64 as ToSql>::accepts(kind) || <String as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        if <i64 as FromSql>::accepts(kind) {
            i64::from_sql(kind, raw).map(Self::Integer)
        } else {
            String::from_sql(kind, raw).map(Self::Text)
        }
    }

    fn from_sql_null(_kind: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        <i64 as FromSql>::accepts(kind) || <String as FromSql>::accepts(kind)
    }
}

/// The server's own sentence, or the cause of a connection's failure: neither names the host or the password.
fn reason(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", error.message(), error.code().code());
    }
    if let Some(reason) = tls::reason(error) {
        return reason;
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
