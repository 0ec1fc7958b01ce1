//! What the network's outputs mean.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClassSpec, CodedConcept, ExplanationSpec};

/// What the model does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum TaskSpec {
    /// One answer an image, and one for all of a run's together where `aggregate` says how.
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
    /// How the images of a run make one answer. Absent: each image has its own, and there is no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<AggregateSpec>,
}

impl ClassificationSpec {
    /// (negative, positive), where the two classes share one number: what is a threshold of one is one of the other.
    pub fn binary(&self) -> Option<(&ClassSpec, &ClassSpec)> {
        match &self.classes[..] {
            [negative, positive] if self.activation == Activation::SigmoidBinary => Some((negative, positive)),
            _ => None,
        }
    }

    /// The class that says that nothing was found, where the manifest tells which it is.
    pub fn negative(&self) -> Option<usize> {
        if self.activation == Activation::SigmoidBinary {
            return Some(0);
        }
        let name = self.aggregate.as_ref()?.negative()?;
        self.classes.iter().position(|c| c.name == name)
    }
}

/// From logits to probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Exactly one class; probabilities sum to 1. The most probable class is the answer.
    Softmax,
    /// Each class on its own: none, one or several may be present. The answer is the most probable of the classes that are present by their
    /// thresholds, else of all.
    Sigmoid,
    /// One logit for two classes, [negative, positive]. The answer is the positive class at its threshold `present` and above, the negative
    /// one below `absent`, and between the two the more probable one.
    SigmoidBinary,
}

/// From the probabilities of a run's images to those of all of them together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AggregateSpec {
    /// Mean of the `k` images that speak most for a finding: a finding on a few slices counts, one slice alone does not decide.
    TopKMean(TopKMeanSpec),
    /// The image that speaks most for a finding.
    Max(MaxSpec),
    /// Mean of all images.
    Mean(MeanSpec),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopKMeanSpec {
    /// Of fewer images all are taken.
    pub k: usize,
    /// As in [`MaxSpec`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxSpec {
    /// With `softmax`: the name of the class that says that nothing was found. The less probable it is, the more an image speaks for a
    /// finding. (`sigmoid_binary`: the first class is it; `sigmoid`: each class is aggregated on its own.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeanSpec {}

impl AggregateSpec {
    /// Images that make the answer; None: all.
    pub fn k(&self) -> Option<usize> {
        match self {
            Self::TopKMean(s) => Some(s.k),
            Self::Max(_) => Some(1),
            Self::Mean(_) => None,
        }
    }

    /// The class that says that nothing was found, where the manifest names it.
    pub fn negative(&self) -> Option<&str> {
        match self {
            Self::TopKMean(TopKMeanSpec { negative, .. }) | Self::Max(MaxSpec { negative }) => negative.as_deref(),
            Self::Mean(_) => None,
        }
    }

    /// For people: `mean of the 3 images that speak most for a finding`.
    pub fn describe(&self) -> String {
        match self {
            Self::TopKMean(s) => format!("mean of the {} images that speak most for a finding", s.k),
            Self::Max(_) => "the image that speaks most for a finding".into(),
            Self::Mean(_) => "mean of all images".into(),
        }
    }
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
    /// Of volumes. The channel (from 0, in the order of `input.select.Volumes.channels`) that people look at: masks and outlines are
    /// laid over its images. Absent: the second of several phases, which is the first after contrast, else the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_channel: Option<usize>,
    /// Surfaces beside the masks. Absent: none is stored; the page of a segmentation in 3D makes its own of any masks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<SurfaceSpec>,
}

/// The surface of each segment that is found: smoothed, decimated, closed, in the patient's mm, of the volume of its voxels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SurfaceSpec {
    /// Stores each as DICOM Encapsulated STL, in a series beside the segmentation's. Of masks over several slices that lie in the patient and have a
    /// FrameOfReferenceUID; of others a warning of the run says why there is none.
    pub store: bool,
    /// At most so many triangles a segment, 1000 to 1000000: a file has 50 bytes a triangle. Absent: 60000.
    #[serde(default = "default_max_triangles")]
    pub max_triangles: usize,
}

fn default_max_triangles() -> usize {
    60_000
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
    /// scipy.ndimage.binary_fill_holes: what face-connected background cannot reach from outside becomes 1. Of single images in the
    /// plane.
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
    /// (slices, rows, columns), odd numbers; of single images the first is 1.
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
