//! The "Ai" section of Orthanc's configuration.

mod compatibility;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::run::Limits;
use crate::run::automatic::Rule;
use crate::run::marks::MarkSettings;

pub use compatibility::{CompatibilityModels, Contract};

/// Keys as an administrator writes them; `ORTHANC__AI__MODELS_DIRECTORY` in the Docker image maps to `Ai.ModelsDirectory`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct Config {
    /// The plugin does nothing unless this is true.
    pub enable: bool,
    /// A folder with one folder a model.
    pub models_directory: PathBuf,
    /// "cpu", "cuda", "cuda:1", or "auto": the first card if there is one.
    pub device: String,
    /// CPU threads of the networks; absent: one a core.
    pub threads: Option<usize>,
    /// Runs compute on processors that the server's own threads (receiving images above all) and other programs leave; false: they compete for them.
    pub background: bool,
    /// What one run may take.
    pub limits: Limits,
    /// False: this server takes requests, others that share its store of runs carry them out.
    pub worker: bool,
    /// Every ready model that is no demo, on each stable study that its selection rule takes.
    pub automatic: bool,
    /// Which arrivals are analysed by themselves.
    pub rules: Vec<Rule>,
    /// What is written on a study whose analyses have ended.
    pub marks: MarkSettings,
    pub runs: RunsConfig,
    /// The routes of the systems that this plugin takes the place of (docs/compatibility.md).
    pub compatibility_routes: bool,
    pub compatibility_models: CompatibilityModels,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct RunsConfig {
    /// Runs that may wait; one more is refused with 503.
    pub queue_limit: usize,
    /// Finished runs that are remembered.
    pub history: usize,
    /// Days that a finished run is remembered; absent: until there are too many.
    pub history_days: Option<u32>,
    /// Seconds that a synchronous POST waits before it answers 504; the run goes on.
    pub synchronous_timeout: u64,
    /// The SQLite file that keeps the runs; absent: in the folder of Orthanc's index.
    pub database: Option<PathBuf>,
    /// Where several servers share the runs: "host=… user=… password=… dbname=…" or postgresql://…
    pub postgre_sql: Option<Secret>,
    /// PEM of the authorities of PostgreSQL's certificate: with it the connection is encrypted, and to no other server.
    pub postgre_sql_ca_certificates: Option<PathBuf>,
    /// This server's name among those that share the runs, the same at each start; absent: host name and HTTP port.
    pub node: Option<String>,
    /// Seconds of silence after which another server takes over a run.
    pub lease_seconds: u64,
    /// How often a run is tried that fails for a reason that may pass.
    pub attempts: u32,
    /// Seconds before the second attempt; doubled for each further one.
    pub backoff_seconds: u64,
}

/// Never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enable: false,
            models_directory: "/usr/share/orthanc-ai/models".into(),
            device: "auto".into(),
            threads: None,
            background: true,
            limits: Limits::default(),
            worker: true,
            automatic: false,
            rules: Vec::new(),
            marks: MarkSettings::default(),
            runs: RunsConfig::default(),
            compatibility_routes: false,
            compatibility_models: CompatibilityModels::default(),
        }
    }
}

impl Default for RunsConfig {
    fn default() -> Self {
        Self {
            queue_limit: 100,
            history: 1000,
            history_days: None,
            synchronous_timeout: 3600,
            database: None,
            postgre_sql: None,
            postgre_sql_ca_certificates: None,
            node: None,
            lease_seconds: 60,
            attempts: 3,
            backoff_seconds: 10,
        }
    }
}

/// The section is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("configuration, Ai.{path}: {reason}")]
pub struct ConfigError {
    path: String,
    reason: String,
}

impl Config {
    /// Reads the section out of Orthanc's whole configuration. No section: the defaults, which leave the plugin off.
    ///
    /// # Errors
    /// [`ConfigError`] names the key; a mistyped key is refused rather than ignored.
    pub fn from_orthanc(configuration: &serde_json::Value) -> Result<Self, ConfigError> {
        let Some(section) = configuration.get("Ai") else { return Ok(Self::default()) };
        let config: Self = serde_path_to_error::deserialize(section.clone())
            .map_err(|e| ConfigError { path: e.path().to_string(), reason: e.inner().to_string() })?;
        let refuse = |path: &str, reason: &str| Err(ConfigError { path: path.into(), reason: reason.into() });
        if config.runs.queue_limit == 0 {
            return refuse("Runs.QueueLimit", "found 0, expected at least 1");
        }
        for (i, rule) in config.rules.iter().enumerate() {
            rule.validate().map_err(|(path, reason)| ConfigError { path: format!("Rules[{i}]{path}"), reason })?;
            if config.rules[..i].iter().any(|other| other.name == rule.name) {
                return refuse(&format!("Rules[{i}].Name"), "found the name of an earlier rule, expected another");
            }
        }
        if let Err((key, reason)) = config.marks.validate() {
            return refuse(&format!("Marks.{key}"), &reason);
        }
        if config.threads == Some(0) {
            return refuse("Threads", "found 0, expected at least 1");
        }
        if config.limits.memory_megabytes < MIN_MEMORY_MB {
            let reason = format!("found {}, expected at least {MIN_MEMORY_MB}", config.limits.memory_megabytes);
            return refuse("Limits.MemoryMegabytes", &reason);
        }
        if config.runs.lease_seconds < MIN_LEASE_S {
            let reason = format!("found {}, expected at least {MIN_LEASE_S}", config.runs.lease_seconds);
            return refuse("Runs.LeaseSeconds", &reason);
        }
        if config.runs.attempts == 0 {
            return refuse("Runs.Attempts", "found 0, expected at least 1");
        }
        if config.runs.node.as_ref().is_some_and(String::is_empty) {
            return refuse("Runs.Node", "found an empty name");
        }
        if config.runs.postgre_sql.is_some() && config.runs.database.is_some() {
            return refuse("Runs.Database", "found together with PostgreSql, expected one of the two");
        }
        if config.runs.postgre_sql.is_some() && config.runs.postgres().is_none() {
            // The parser's own words could quote the password.
            let expected = "expected \"host=… user=… password=… dbname=…\" or postgresql://user@host/dbname";
            return refuse("Runs.PostgreSql", &format!("found an invalid connection string, {expected}"));
        }
        if config.runs.postgre_sql_ca_certificates.is_some() && config.runs.postgre_sql.is_none() {
            return refuse("Runs.PostgreSqlCaCertificates", "found without PostgreSql");
        }
        if !config.worker && config.runs.postgre_sql.is_none() && config.runs.database.is_none() {
            let reason = "found false without Runs.PostgreSql or Runs.Database: nobody else would see the runs";
            return refuse("Worker", reason);
        }
        Ok(config)
    }
}

/// After how many seconds without a new instance Orthanc calls a resource stable.
pub fn stable_age(orthanc: &Value) -> Duration {
    Duration::from_secs(orthanc.get("StableAge").and_then(Value::as_u64).unwrap_or(60))
}

/// Less is no limit but a mistake.
const MIN_MEMORY_MB: usize = 64;

/// Heartbeats come twice a second; a shorter lease would be lost to a slow disk.
const MIN_LEASE_S: u64 = 5;

impl RunsConfig {
    /// The PostgreSQL database of the runs, if that is where they are.
    pub fn postgres(&self) -> Option<postgres::Config> {
        self.postgre_sql.as_ref()?.0.parse().ok()
    }

    /// The SQLite file of the runs. As Orthanc reads its own paths, a relative one starts at `folder`, where its configuration is.
    pub fn database_path(&self, orthanc: &Value, folder: &Path) -> PathBuf {
        if let Some(path) = &self.database {
            return folder.join(path);
        }
        let named = |key: &str| orthanc.get(key).and_then(Value::as_str).filter(|path| !path.is_empty());
        // "OrthancStorage" is Orthanc's own default.
        let index = named("IndexDirectory").or_else(|| named("StorageDirectory")).unwrap_or("OrthancStorage");
        folder.join(index).join("orthanc-ai.sqlite")
    }

    /// This server's name among those that share the runs.
    pub fn node_name(&self, orthanc: &Value, host_name: &str) -> String {
        let port = || orthanc.get("HttpPort").and_then(Value::as_u64).unwrap_or(8042);
        self.node.clone().unwrap_or_else(|| format!("{host_name}:{}", port()))
    }

    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    pub fn backoff(&self) -> Duration {
        Duration::from_secs(self.backoff_seconds)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{Config, Contract, RunsConfig};

    #[test]
    fn off_by_default_and_by_absence() {
        assert!(!Config::from_orthanc(&json!({"Name": "x"})).unwrap().enable);
        assert!(!Config::from_orthanc(&json!({"Ai": {}})).unwrap().enable);
    }

    #[test]
    fn keys_are_read_and_mistakes_named() {
        let config =
            Config::from_orthanc(&json!({"Ai": {"Enable": true, "ModelsDirectory": "/m", "Runs": {"QueueLimit": 3}}}));
        let config = config.unwrap();
        assert!(config.enable && config.runs.queue_limit == 3 && config.runs.history == 1000);
        assert!(!config.compatibility_routes);
        let compat = json!({"CompatibilityRoutes": true, "CompatibilityModels": {"ImageSegmentation": "m"}});
        let config = Config::from_orthanc(&json!({"Ai": compat})).unwrap();
        assert!(config.compatibility_routes);
        let named = Contract::ALL.map(|contract| config.compatibility_models.get(contract));
        assert_eq!(named, [None, None, Some("m"), None]);
        for (section, expected) in [
            (json!({"ModelDirectory": "/m"}), "unknown field `ModelDirectory`"),
            (json!({"Enable": "yes"}), "Ai.Enable: invalid type"),
            (json!({"Runs": {"QueueLimit": 0}}), "Ai.Runs.QueueLimit: found 0"),
            (json!({"Runs": {"QueueLimit": -1}}), "Ai.Runs.QueueLimit: invalid value"),
            (json!({"Threads": 0}), "Ai.Threads: found 0"),
            (json!({"Background": 1}), "Ai.Background: invalid type"),
            (json!({"Limits": {"MemoryMegabytes": 1}}), "Ai.Limits.MemoryMegabytes: found 1, expected at least 64"),
            (json!({"Limits": {"Memory": 1}}), "Ai.Limits.Memory: unknown field `Memory`"),
            (json!({"Runs": {"LeaseSeconds": 1}}), "Ai.Runs.LeaseSeconds: found 1, expected at least 5"),
            (json!({"Runs": {"Attempts": 0}}), "Ai.Runs.Attempts: found 0"),
            (json!({"Runs": {"Node": ""}}), "Ai.Runs.Node: found an empty name"),
            (json!({"Runs": {"PostgreSql": "secret=1"}}), "Ai.Runs.PostgreSql: found an invalid connection string"),
            (json!({"Runs": {"PostgreSql": "host=h", "Database": "d"}}), "Ai.Runs.Database: found together"),
            (
                json!({"Runs": {"PostgreSqlCaCertificates": "ca.pem"}}),
                "Ai.Runs.PostgreSqlCaCertificates: found without",
            ),
            (json!({"Rules": [{"Name": "a"}]}), "Ai.Rules[0]: missing field `Model`"),
            (
                json!({"Rules": [{"Name": "a", "Model": "m", "Where": [{"keyword": "X", "exists": true}]}]}),
                "Ai.Rules[0].Where[0].keyword",
            ),
            (
                json!({"Rules": [{"Name": "a", "Model": "m"}, {"Name": "a", "Model": "n"}]}),
                "Ai.Rules[1].Name: found the name",
            ),
            (json!({"Marks": {"DoneLabel": "is done"}}), "Ai.Marks.DoneLabel: expected at most 64 letters"),
            (json!({"Marks": {"DoneLabel": "ai-failed"}}), "Ai.Marks.FailedLabel: found the same"),
            (json!({"Marks": {"Metadata": 7}}), "Ai.Marks.Metadata: found 7, expected 0 (none) or 1024 to 65535"),
            (json!({"CompatibilityRoutes": "on"}), "Ai.CompatibilityRoutes: invalid type"),
            (json!({"CompatibilityModels": {"Skin": "m"}}), "Ai.CompatibilityModels.Skin: unknown field `Skin`"),
            (json!({"Worker": false}), "Ai.Worker: found false without Runs.PostgreSql or"),
        ] {
            let error = Config::from_orthanc(&json!({"Ai": section})).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_database_lies_beside_the_index() {
        let folder = Path::new("/etc/orthanc");
        let path = |orthanc: Value, database: Option<&str>| {
            let runs = RunsConfig { database: database.map(Into::into), ..RunsConfig::default() };
            runs.database_path(&orthanc, folder).display().to_string()
        };
        let both = json!({"IndexDirectory": "/db", "StorageDirectory": "/files"});
        assert_eq!(path(both.clone(), None), "/db/orthanc-ai.sqlite");
        assert_eq!(path(both, Some("/runs.db")), "/runs.db");
        assert_eq!(path(json!({"StorageDirectory": "files"}), None), "/etc/orthanc/files/orthanc-ai.sqlite");
        assert_eq!(path(json!({}), None), "/etc/orthanc/OrthancStorage/orthanc-ai.sqlite");
    }

    #[test]
    fn a_node_is_named_by_host_and_port() {
        let name = |runs: RunsConfig, orthanc: Value| runs.node_name(&orthanc, "pacs");
        assert_eq!(name(RunsConfig::default(), json!({})), "pacs:8042");
        assert_eq!(name(RunsConfig::default(), json!({"HttpPort": 80})), "pacs:80");
        assert_eq!(name(RunsConfig { node: Some("a".into()), ..RunsConfig::default() }, json!({})), "a");
    }

    #[test]
    fn a_connection_string_is_not_printed() {
        let config = Config::from_orthanc(&json!({"Ai": {"Runs": {"PostgreSql": "host=h password=secret"}}})).unwrap();
        assert!(config.runs.postgres().is_some());
        assert!(!format!("{config:?}").contains("secret"));
    }
}
