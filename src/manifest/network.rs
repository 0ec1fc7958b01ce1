//! The network and its weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which network, with its parameters. Native networks read checkpoints with the reference implementation's key names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkSpec {
    /// torchvision's ResNet50 (bottleneck blocks 3, 4, 6, 3; stride on the 3×3 convolution).
    ResNet50(ResNet50Spec),
    /// A TorchScript module `[N, in_channels, H, W] -> [N, num_classes]` of the site's own.
    TorchScript(TorchScriptSpec),
}

impl NetworkSpec {
    pub fn in_channels(&self) -> usize {
        match self {
            Self::ResNet50(s) => s.in_channels,
            Self::TorchScript(s) => s.in_channels,
        }
    }

    pub fn num_classes(&self) -> usize {
        match self {
            Self::ResNet50(s) => s.num_classes,
            Self::TorchScript(s) => s.num_classes,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNet50Spec {
    pub in_channels: usize,
    pub num_classes: usize,
    /// Channels of the stem; 64 is the published network, every other layer scales with it.
    pub width: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TorchScriptSpec {
    pub in_channels: usize,
    pub num_classes: usize,
}

/// The weights file, beside the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsSpec {
    /// File name in the model's folder (no path).
    pub file: String,
    pub format: WeightsFormat,
    /// SHA-256 of the file in hexadecimal. Absent: any file is taken, and its hash is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightsFormat {
    Safetensors,
    /// PyTorch `torch.save`: a bare state dict, or one under `model_state_dict` or `state_dict`. No pickle code is executed.
    Pytorch,
    /// `torch.jit.save`
    Torchscript,
}
