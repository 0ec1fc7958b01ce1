//! Networks and what runs them: the only folder that names tch. Everything public speaks ndarray, so another engine fits
//! behind [`Network`].

pub mod compute_thread;
pub mod device;
pub mod ensemble;
mod explanation;
pub mod import;
pub mod importance;
pub mod inferer;
pub mod nets;
pub mod network;
pub mod pace;
pub mod registry;
pub mod train;
pub mod weights;

pub use compute_thread::{ComputeThread, Manners};
pub use device::Device;
pub use explanation::{CamScore, CamTarget, Explanation};
pub use inferer::InferError;
pub use network::{Logits, Network, spread_of};
pub use registry::{LoadedModel, LoadedModels, ModelInfo, ModelRegistry, ModelState};
pub use weights::WeightsError;

/// Why a network could not be made or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{0}")]
    Weights(#[from] WeightsError),
    /// One file of a model that has several.
    #[error("{file}: {error}")]
    WeightsFile { file: String, error: WeightsError },
    /// The array handed to the network.
    #[error("network input: found shape {found:?}, expected {expected}")]
    Input { found: Vec<usize>, expected: String },
    /// What the network gave back.
    #[error("network output: found {found}, expected {expected}")]
    Output { found: String, expected: String },
    /// A heat map was asked for that cannot be.
    #[error("explanation: found {0}, expected a classifier and one of its outputs")]
    Explanation(String),
    #[error("device \"{choice}\": {reason}")]
    Device { choice: String, reason: String },
    /// An error of libtorch's own: its first line, since the rest is a C++ back trace.
    #[error("libtorch: {0}")]
    Torch(String),
    #[error("no thread to compute on: {0}")]
    Thread(String),
    #[error("panic while loading: {0}")]
    Panic(String),
}

impl From<tch::TchError> for ModelError {
    fn from(error: tch::TchError) -> Self {
        Self::Torch(torch_reason(&error))
    }
}

/// The line of a libtorch error that says what happened.
fn torch_reason(error: &tch::TchError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
