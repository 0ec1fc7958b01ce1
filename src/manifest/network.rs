//! The network and its weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which network, with its parameters. Native networks read checkpoints with the reference implementation's key names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkSpec {
    /// ResNet50 (He et al. 2016; bottleneck blocks 3, 4, 6, 3): torchvision's, and with its optional keys Keras's.
    ResNet50(ResNet50Spec),
    /// The classical 2D UNet (Ronneberger et al. 2015) with batch norm and transposed convolutions; one logit map an output channel.
    UNet(UnetSpec),
    /// MONAI's SwinUNETR in 3D (Hatamizadeh et al. 2022; depths 2, heads 3, 6, 12, 24, window 7); one logit volume an output channel.
    SwinUNETR(SwinUnetrSpec),
    /// A TorchScript module of the site's own: `[N, in_channels, spatial…] -> [N, num_classes]`, or `-> [N, num_classes, spatial…]` for
    /// a segmentation.
    TorchScript(TorchScriptSpec),
}

impl NetworkSpec {
    /// The key in the manifest.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ResNet50(_) => "ResNet50",
            Self::UNet(_) => "UNet",
            Self::SwinUNETR(_) => "SwinUNETR",
            Self::TorchScript(_) => "TorchScript",
        }
    }

    pub fn in_channels(&self) -> usize {
        match self {
            Self::ResNet50(s) => s.in_channels,
            Self::UNet(s) => s.in_channels,
            Self::SwinUNETR(s) => s.in_channels,
            Self::TorchScript(s) => s.in_channels,
        }
    }

    /// Classes, or output channels of a segmentation.
    pub fn num_classes(&self) -> usize {
        match self {
            Self::ResNet50(s) => s.num_classes,
            Self::UNet(s) => s.out_channels,
            Self::SwinUNETR(s) => s.out_channels,
            Self::TorchScript(s) => s.num_classes,
        }
    }

    /// Every side of the input is a multiple of this.
    pub fn size_divisor(&self) -> usize {
        match self {
            Self::SwinUNETR(_) => SwinUnetrSpec::SIZE_DIVISOR,
            Self::ResNet50(_) | Self::UNet(_) | Self::TorchScript(_) => 1,
        }
    }

    /// Whether a heat map can say where in an image an answer comes from (`model::Network::explain`).
    pub fn is_explainable(&self) -> bool {
        matches!(self, Self::ResNet50(_))
    }

    /// 2 for images N × C × H × W, 3 for volumes N × C × D × H × W.
    pub fn spatial_dims(&self) -> usize {
        match self {
            Self::ResNet50(_) | Self::UNet(_) => 2,
            Self::SwinUNETR(_) => 3,
            Self::TorchScript(s) => s.spatial_dims,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNet50Spec {
    pub in_channels: usize,
    pub num_classes: usize,
    /// Channels of the stem; 64 is the published network, every other layer scales with it.
    pub width: usize,
    /// Widths of the dense layers, each with ReLU, that stand between the pooled features and the last layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden_features: Vec<usize>,
    /// The convolution of a block that halves the image: the first 1×1 (true: He et al. 2016, Keras) or the 3×3 (false: torchvision).
    #[serde(default, skip_serializing_if = "is_false")]
    pub stride_in_1x1: bool,
    /// Whether the convolutions have a bias of their own beside their batch norm, as Keras's have.
    #[serde(default, skip_serializing_if = "is_false")]
    pub conv_bias: bool,
    /// What batch norm adds to the variance: 1e-5 in PyTorch, 1.001e-5 in Keras's ResNet50.
    #[serde(default = "torch_epsilon", skip_serializing_if = "is_torch_epsilon")]
    pub batch_norm_epsilon: f64,
}

impl ResNet50Spec {
    /// torchvision's network: what the manifest says where the optional keys are left out.
    pub const fn torchvision(in_channels: usize, num_classes: usize, width: usize) -> Self {
        Self {
            in_channels,
            num_classes,
            width,
            hidden_features: Vec::new(),
            stride_in_1x1: false,
            conv_bias: false,
            batch_norm_epsilon: torch_epsilon(),
        }
    }

    /// `keras.applications.ResNet50` with dense layers on its pooled features.
    pub const fn keras(in_channels: usize, num_classes: usize, width: usize, hidden_features: Vec<usize>) -> Self {
        Self {
            in_channels,
            num_classes,
            width,
            hidden_features,
            stride_in_1x1: true,
            conv_bias: true,
            batch_norm_epsilon: 1.001e-5,
        }
    }
}

/// torch.nn.BatchNorm2d's default.
const fn torch_epsilon() -> f64 {
    1e-5
}

/// serde asks by reference.
fn is_torch_epsilon(epsilon: &f64) -> bool {
    *epsilon == torch_epsilon()
}

/// serde asks by reference.
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnetSpec {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Channels of the first level, doubled at each of the four below; 64 is the published network.
    pub width: usize,
    /// Whether the 3×3 convolutions have a bias of their own beside their batch norm: checkpoints exist of either kind.
    #[serde(default, skip_serializing_if = "is_false")]
    pub conv_bias: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwinUnetrSpec {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Channels of the first level; a multiple of 12.
    pub feature_size: usize,
    pub patch_merging: PatchMerging,
}

impl SwinUnetrSpec {
    /// Every side of the input is a multiple of this: it is halved five times.
    pub const SIZE_DIVISOR: usize = 32;
}

/// Which neighbours a patch merging layer puts side by side. The checkpoint does not tell: take what it was trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PatchMerging {
    /// MONAI 0.9 to 1.4: two of the eight neighbours are taken twice, two are left out.
    Legacy,
    /// MONAI 1.5.0 and later: each of the eight neighbours once.
    Current,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TorchScriptSpec {
    pub in_channels: usize,
    /// Classes, or output channels of a segmentation.
    pub num_classes: usize,
    /// 2 for images, 3 for volumes.
    #[serde(default = "two")]
    pub spatial_dims: usize,
}

fn two() -> usize {
    2
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
