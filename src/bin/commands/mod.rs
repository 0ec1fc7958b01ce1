//! The tool's subcommands, one file each: arguments and what is printed; the work is the library's.

pub mod check;
mod configuration;
pub mod evaluate;
pub mod import;
pub mod inspect;
pub mod phantom;
pub mod run;
mod studies;
pub mod train;

use std::error::Error;
use std::path::PathBuf;

use orthanc_ai::model::{Device, LoadedModel, ModelRegistry};
use orthanc_ai::run::{Monitor, Stage};

/// Where the models are and what they run on.
#[derive(Debug, clap::Args)]
pub struct ModelsArgs {
    /// Folder with one folder a model
    #[arg(long, default_value = "models", env = "ORTHANC_AI_MODELS")]
    pub models_directory: PathBuf,
    /// cpu, cuda, cuda:1 or auto
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// CPU threads; one a core where it is left out
    #[arg(long)]
    pub threads: Option<usize>,
}

impl ModelsArgs {
    pub fn registry(&self) -> Result<ModelRegistry, Box<dyn Error>> {
        let folder = &self.models_directory;
        ModelRegistry::scan(folder).map_err(|e| format!("--models-directory {}: {e}", folder.display()).into())
    }

    pub fn device(&self) -> Result<Device, Box<dyn Error>> {
        Ok(Device::from_choice(&self.device, self.threads)?)
    }
}

/// The tool runs in the foreground: Ctrl-C is its cancel.
pub struct Quiet;

impl Monitor for Quiet {
    fn progress(&self, stage: Stage, done: usize, total: usize) {
        log::debug!("{} {done}/{total}", stage.name());
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Loads one model by name, or says why it is not ready.
pub fn load(registry: &ModelRegistry, name: &str, device: Device) -> Result<LoadedModel, String> {
    if let Some(model) = registry.load_model(name, device) {
        return Ok(model);
    }
    let known = || registry.list().into_iter().map(|m| m.name).collect::<Vec<_>>().join(", ");
    Err(match registry.get(name) {
        Some(info) => info.reason.unwrap_or_else(|| format!("{:?}", info.state)),
        None => format!("unknown model \"{name}\", known models: {}", known()),
    })
}

/// `orthanc-ai schema`
pub fn schema() -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::to_string_pretty(&orthanc_ai::manifest::Manifest::json_schema())?);
    Ok(())
}

/// `orthanc-ai openapi`
pub fn openapi() -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::to_string_pretty(&orthanc_ai::api::openapi::document())?);
    Ok(())
}
