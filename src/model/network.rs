//! The port to an inference engine.

use std::path::Path;

use ndarray::{Array, Array2, ArrayD, ArrayViewD, Dimension};

use super::nets::{resnet50::ResNet50, swin_unetr::SwinUnetr, torch_script::TorchScript, unet::UNet};
use super::{CamTarget, Device, Explanation, ModelError, weights::StateDict};
use crate::manifest::{NetworkSpec, WeightsFormat};

/// What a network says, before any activation.
#[derive(Debug, Clone, PartialEq)]
pub enum Logits {
    /// One vector an image: N × classes.
    Global(Array2<f32>),
    /// One vector a pixel or voxel: N × channels × spatial.
    Dense(ArrayD<f32>),
}

impl Logits {
    /// N × classes.
    ///
    /// # Errors
    /// [`ModelError::Output`] for a network that answers pixel by pixel.
    pub fn global(self) -> Result<Array2<f32>, ModelError> {
        match self {
            Self::Global(logits) => Ok(logits),
            Self::Dense(logits) => Err(ModelError::Output {
                found: format!("shape {:?}", logits.shape()),
                expected: "one vector an image".into(),
            }),
        }
    }

    /// N × channels × spatial.
    ///
    /// # Errors
    /// [`ModelError::Output`] for a network that answers once an image.
    pub fn dense(self) -> Result<ArrayD<f32>, ModelError> {
        match self {
            Self::Dense(logits) => Ok(logits),
            Self::Global(logits) => Err(ModelError::Output {
                found: format!("shape {:?}", logits.shape()),
                expected: "one vector a pixel or voxel".into(),
            }),
        }
    }
}

/// A network with its weights, on its device. In ndarray's terms, so that engines other than libtorch fit.
pub trait Network: Send {
    /// Runs the network on a batch: images N × C × H × W or volumes N × C × D × H × W, as the network takes them.
    ///
    /// # Errors
    /// [`ModelError::Input`] when dimensions, channels or size are not the network's, [`ModelError::Output`] when what comes
    /// back does not have the shape that the manifest promises, [`ModelError::Torch`] for what libtorch itself refuses.
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError>;

    /// As [`Network::forward`], and of a network that combines several answers (test-time augmentation, an ensemble) the standard
    /// deviation of their probabilities, in the logits' shape.
    ///
    /// # Errors
    /// As [`Network::forward`].
    fn forward_with_spread(&mut self, input: ArrayViewD<'_, f32>) -> Result<(Logits, Option<ArrayD<f32>>), ModelError> {
        Ok((self.forward(input)?, None))
    }

    /// Runs a classifier on a batch N × C × H × W and says for each image where the evidence for an output lies; the logits are those of
    /// [`Network::forward`].
    ///
    /// # Errors
    /// As [`Network::forward`], and [`ModelError::Explanation`] for an output that is not there and for a network that can say no such
    /// thing (`NetworkSpec::is_explainable`).
    fn explain(&mut self, _input: ArrayViewD<'_, f32>, _target: CamTarget) -> Result<Explanation, ModelError> {
        Err(ModelError::Explanation("a network without a class activation map".into()))
    }
}

/// The spread that [`Network::forward_with_spread`] gives beside logits of `shape`, in as many axes.
///
/// # Errors
/// [`ModelError::Output`]: it has another shape.
pub fn spread_of<D: Dimension>(
    spread: Option<ArrayD<f32>>,
    shape: &[usize],
) -> Result<Option<Array<f32, D>>, ModelError> {
    let Some(spread) = spread else { return Ok(None) };
    let misfit = ModelError::Output {
        found: format!("a spread of shape {:?}", spread.shape()),
        expected: format!("that of the logits, {shape:?}"),
    };
    if spread.shape() != shape {
        return Err(misfit);
    }
    spread.into_dimensionality().map(Some).map_err(|_| misfit)
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
        NetworkSpec::UNet(spec) => {
            let state_dict = StateDict::read(file, format)?;
            Box::new(UNet::from_state_dict(spec, state_dict, device)?)
        }
        NetworkSpec::SwinUNETR(spec) => {
            let state_dict = StateDict::read(file, format)?;
            Box::new(SwinUnetr::from_state_dict(spec, state_dict, device)?)
        }
        NetworkSpec::TorchScript(spec) => Box::new(TorchScript::load(spec, file, device)?),
    })
}
