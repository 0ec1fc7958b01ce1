//! The "Ai" section of Orthanc's configuration.

use std::path::PathBuf;

use serde::Deserialize;

/// Keys as an administrator writes them; `ORTHANC__AI__MODELS_DIRECTORY` in the Docker image maps to `Ai.ModelsDirectory`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    pub runs: RunsConfig,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct RunsConfig {
    /// Runs that may wait; one more is refused with 503.
    pub queue_limit: usize,
    /// Finished runs that are remembered.
    pub history: usize,
    /// Seconds that a synchronous POST waits before it answers 504; the run goes on.
    pub synchronous_timeout: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enable: false,
            models_directory: "/usr/share/orthanc-ai/models".into(),
            device: "auto".into(),
            threads: None,
            runs: RunsConfig::default(),
        }
    }
}

impl Default for RunsConfig {
    fn default() -> Self {
        Self { queue_limit: 100, history: 1000, synchronous_timeout: 3600 }
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
        if config.threads == Some(0) {
            return refuse("Threads", "found 0, expected at least 1");
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Config;

    #[test]
    fn off_by_default_and_by_absence() {
        assert_eq!(Config::from_orthanc(&json!({"Name": "x"})).unwrap(), Config::default());
        assert!(!Config::from_orthanc(&json!({"Ai": {}})).unwrap().enable);
    }

    #[test]
    fn keys_are_read_and_mistakes_named() {
        let config =
            Config::from_orthanc(&json!({"Ai": {"Enable": true, "ModelsDirectory": "/m", "Runs": {"QueueLimit": 3}}}));
        let config = config.unwrap();
        assert!(config.enable && config.runs.queue_limit == 3 && config.runs.history == 1000);
        for (section, expected) in [
            (json!({"ModelDirectory": "/m"}), "unknown field `ModelDirectory`"),
            (json!({"Enable": "yes"}), "Ai.Enable: invalid type"),
            (json!({"Runs": {"QueueLimit": 0}}), "Ai.Runs.QueueLimit: found 0"),
            (json!({"Runs": {"QueueLimit": -1}}), "Ai.Runs.QueueLimit: invalid value"),
            (json!({"Threads": 0}), "Ai.Threads: found 0"),
        ] {
            let error = Config::from_orthanc(&json!({"Ai": section})).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
