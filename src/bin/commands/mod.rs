//! The tool's subcommands, one file each.

pub mod check;
pub mod inspect;
pub mod run;
mod studies;

use std::path::PathBuf;

use orthanc_ai::model::ModelError;
use orthanc_ai::source::SourceError;

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

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("{0}")]
    Message(String),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Model(#[from] ModelError),
}
