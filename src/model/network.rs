//! The port to an inference engine.

use std::path::Path;

use ndarray::{Array2, ArrayView4};

use super::nets::{resnet50::ResNet50, torch_script::TorchScript};
use super::{Device, ModelError, weights::StateDict};
use crate::manifest::{NetworkSpec, WeightsFormat};

/// What a network says, before any activation.
#[derive(Debug, Clone, PartialEq)]
pub enum Logits {
    /// One vector an image: N × classes.
    Global(Array2<f32>),
}

/// A network with its weights, on its device. In ndarray's terms, so that engines other than libtorch fit.
pub trait Network: Send {
    /// Runs the network on a batch, N × C × H × W.
    ///
    /// # Errors
    /// [`ModelError::Input`] when the channel count is not the network's, [`ModelError::Output`] when what comes back
    /// does not have the shape that the manifest promises, [`ModelError::Torch`] for what libtorch itself refuses.
    fn forward(&mut self, input: ArrayView4<'_, f32>) -> Result<Logits, ModelError>;
}

/// Makes the network that the manifest describes and fills it from `file`.
///
/// # Errors
/// [`ModelError::Weights`] when the file cannot be read or does not fit the network, key by key.
pub fn load(
    spec: &NetworkSpec,
    file: &Path,
    format: WeightsFormat,
    device: Device,
) -> Result<Box<dyn Network>, ModelError> {
    Ok(match spec {
        NetworkSpec::ResNet50(spec) => {
            let state_dict = StateDict::read(file, format)?;
            Box::new(ResNet50::from_state_dict(spec, state_dict, device)?)
        }
        NetworkSpec::TorchScript(spec) => Box::new(TorchScript::load(spec, file, device)?),
    })
}
