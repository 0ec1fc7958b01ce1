//! Other programs' checkpoints as safetensors with our key names, and the part of the manifest that fits them.
//!
//! Nothing of the file is executed. What the file cannot say (an activation, a MONAI version) is said in [`Imported::notes`].

mod keras;
mod torch;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use super::nets::{resnet50, swin_unetr, unet};
use super::weights::keras::{HDF5_MAGIC, ZIP_MAGIC, ZIP_WEIGHTS};
use super::weights::{self, KeyMismatch, StateDict};
use super::{ModelError, WeightsError};
use crate::manifest::{NetworkSpec, WeightsFormat, WeightsSpec};

/// Channels of any layer that a manifest can name.
const MAX_SIZE: usize = 65_536;

/// A checkpoint that fits its network key by key.
#[derive(Debug)]
pub struct Imported {
    /// What the tensors' names and shapes say. `patch_merging` of a SwinUNETR is not among it: see [`Imported::manifest_part`].
    pub network: NetworkSpec,
    /// Under our key names, without what inference does not need.
    pub state_dict: StateDict,
    /// For people: what was assumed, and what only they can know.
    pub notes: Vec<String>,
}

/// What a file is, by its first bytes.
enum Kind {
    Keras,
    PyTorch,
    Safetensors,
}

impl Kind {
    fn of(file: &Path) -> Result<Self, WeightsError> {
        let mut head = Vec::new();
        File::open(file)?.take(16).read_to_end(&mut head)?;
        if head.starts_with(HDF5_MAGIC) {
            return Ok(Self::Keras);
        }
        if head.starts_with(ZIP_MAGIC) {
            let is_keras =
                zip::ZipArchive::new(File::open(file)?).is_ok_and(|zip| zip.index_for_name(ZIP_WEIGHTS).is_some());
            return Ok(if is_keras { Self::Keras } else { Self::PyTorch });
        }
        // The header's length in 8 bytes, then JSON.
        Ok(if head.get(8) == Some(&b'{') { Self::Safetensors } else { Self::PyTorch })
    }
}

/// Reads a checkpoint of Keras (`.h5`, `.weights.h5`, `.keras`), PyTorch (`.pth`) or safetensors, and finds out which network it is of:
/// Keras's ResNet50 with dense layers, torchvision's ResNet50, the classical UNet, MONAI's SwinUNETR.
///
/// # Errors
/// [`ModelError::Weights`]: the file cannot be read, is of no known network, or differs from it, with every tensor that is missing, too
/// many or of another shape.
pub fn import(file: &Path) -> Result<Imported, ModelError> {
    let imported = match Kind::of(file)? {
        Kind::Keras => keras::import(weights::keras::read(file)?)?,
        Kind::PyTorch => torch::import(StateDict::read(file, WeightsFormat::Pytorch)?)?,
        Kind::Safetensors => torch::import(StateDict::read(file, WeightsFormat::Safetensors)?)?,
    };
    Ok(imported)
}

impl Imported {
    /// Writes the weights and gives back the manifest's entry for them. `file`'s name is the one in the manifest.
    ///
    /// # Errors
    /// [`WeightsError::Write`], [`WeightsError::Format`] for a name that is no text, [`WeightsError::Kind`] for integers.
    pub fn save(self, file: &Path) -> Result<WeightsSpec, WeightsError> {
        let name = file.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| WeightsError::Format("the name to write to is no text".into()))?.to_owned();
        self.state_dict.save(file)?;
        Ok(WeightsSpec { file: name, format: WeightsFormat::Safetensors, sha256: Some(weights::sha256(file)?) })
    }

    /// `{"network": …, "weights": …}` as it stands in a manifest. Where the file leaves a choice open, the value is a sentence, which a
    /// manifest refuses: the choice has to be made.
    ///
    /// # Errors
    /// None that a network could cause.
    pub fn manifest_part(network: &NetworkSpec, weights: &WeightsSpec) -> Result<Value, serde_json::Error> {
        let mut part = json!({ "network": serde_json::to_value(network)?, "weights": serde_json::to_value(weights)? });
        if let Some(value) = part.pointer_mut("/network/SwinUNETR/patch_merging") {
            *value = "choose: legacy (trained with MONAI 0.9 to 1.4) or current (1.5.0 and later)".into();
        }
        Ok(part)
    }
}

/// The keys that the network needs, with their shapes.
fn keys(network: &NetworkSpec) -> Vec<(String, Vec<i64>)> {
    match network {
        NetworkSpec::ResNet50(spec) => resnet50::keys(spec),
        NetworkSpec::UNet(spec) => unet::keys(spec),
        NetworkSpec::SwinUNETR(spec) => swin_unetr::keys(spec),
        NetworkSpec::TorchScript(_) => Vec::new(),
    }
}

/// Sizes beyond a manifest's, which only tensors without elements can claim: nothing is computed from them.
fn within_bounds(network: &NetworkSpec) -> Result<(), WeightsError> {
    let widths = match network {
        NetworkSpec::ResNet50(spec) => [&[spec.width][..], &spec.hidden_features].concat(),
        NetworkSpec::UNet(spec) => vec![spec.width],
        NetworkSpec::SwinUNETR(spec) => vec![spec.feature_size],
        NetworkSpec::TorchScript(_) => Vec::new(),
    };
    let sizes = [widths, vec![network.in_channels(), network.num_classes()]].concat();
    match sizes.iter().find(|size| **size > MAX_SIZE) {
        None => Ok(()),
        Some(size) => {
            let name = network.name();
            Err(WeightsError::Format(format!("found a {name} of {size} channels, expected at most {MAX_SIZE}")))
        }
    }
}

/// Compares the tensors with the network; the names of what differs are the file's own, by `origin` from ours.
fn check(state_dict: &StateDict, network: &NetworkSpec, origin: impl Fn(&str) -> String) -> Result<(), WeightsError> {
    within_bounds(network)?;
    match state_dict.check(&keys(network)) {
        Err(WeightsError::Keys(KeyMismatch { missing, extra, misshaped })) => Err(WeightsError::Keys(KeyMismatch {
            missing: missing.iter().map(|key| origin(key)).collect(),
            extra: extra.iter().map(|key| origin(key)).collect(),
            misshaped: misshaped.into_iter().map(|(key, found, expected)| (origin(&key), found, expected)).collect(),
        })),
        other => other,
    }
}

#[cfg(test)]
mod tests;
