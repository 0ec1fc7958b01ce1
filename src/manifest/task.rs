//! What the network's outputs mean.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClassSpec, CodedConcept, ExplanationSpec};

/// What the model does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum TaskSpec {
    /// One answer an image.
    Classification(ClassificationSpec),
    /// One mask a segment, on the source's grid.
    Segmentation(SegmentationSpec),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassificationSpec {
    pub activation: Activation,
    /// In the order of the network's outputs.
    pub classes: Vec<ClassSpec>,
    /// What the probability is, e.g. (122157, DCM, "Probability").
    pub probability_concept: CodedConcept,
    /// Heat maps of what the answers rest on. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<ExplanationSpec>,
}

/// From logits to probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Exactly one class; probabilities sum to 1.
    Softmax,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentationSpec {
    pub activation: DenseActivation,
    /// From probabilities on the network's grid to masks on the source's, in order. `AsDiscrete` and `Invert` appear once each.
    pub postprocessing: Vec<PostprocessingSpec>,
    /// In the order of the network's output channels.
    pub segments: Vec<SegmentSpec>,
    #[serde(default)]
    pub encoding: SegEncoding,
    /// The channel (from 0, in the order of `input.select.Volumes.channels`) that people look at: masks and outlines are
    /// laid over its images. Absent: the second of several phases, which is the first after contrast, else the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_channel: Option<usize>,
}

/// From a voxel's logits to probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DenseActivation {
    /// Each segment on its own.
    Sigmoid,
}

/// One step of the postprocessing, named as MONAI or scipy names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum PostprocessingSpec {
    /// 1 where the probability is above the threshold.
    AsDiscrete(AsDiscreteSpec),
    /// scipy.ndimage.binary_erosion with a cuboid of ones, outside counting as 0.
    BinaryErosion(BinaryErosionSpec),
    /// scipy.ndimage.binary_fill_holes: what face-connected background cannot reach from outside becomes 1.
    FillHoles(FillHolesSpec),
    /// The face-connected component of most voxels; the first in index order of equals.
    KeepLargestConnectedComponent(KeepLargestSpec),
    /// Back onto the source's grid: the inverse of every spatial step of the preprocessing.
    Invert(InvertSpec),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsDiscreteSpec {
    pub threshold: f32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BinaryErosionSpec {
    /// (slices, rows, columns), odd numbers.
    pub size: [usize; 3],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FillHolesSpec {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepLargestSpec {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvertSpec {
    pub mode: InvertMode,
}

/// How values between voxels come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvertMode {
    Nearest,
    /// Linear between voxels; a mask is 1 where the result is at least one half.
    Linear,
}

/// How masks are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SegEncoding {
    /// Segmentation Storage, one bit a voxel: what every viewer reads. Orthanc renders its frames only where Columns is a multiple of 8.
    #[default]
    Binary,
    /// Label Map Segmentation Storage (Supplement 243), one byte a voxel.
    Labelmap,
    /// Binary, but Labelmap where the source's Columns is no multiple of 8.
    Auto,
}

/// One output channel of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentSpec {
    /// SegmentLabel.
    pub name: String,
    /// `#rrggbb`: RecommendedDisplayCIELabValue, and the overlay on the page.
    pub color: String,
    /// SegmentedPropertyCategoryCodeSequence.
    pub category: CodedConcept,
    /// SegmentedPropertyTypeCodeSequence, and the report's Finding.
    pub concept: CodedConcept,
    /// The segment's name by language ("ko").
    #[serde(default)]
    pub translations: BTreeMap<String, String>,
}
