//! Several answers to one question: of one network to input that is turned, of several networks, or both.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NetworkSpec, WeightsSpec};

/// How answers become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CombineMode {
    /// The mean of the probabilities, by the members' weights.
    #[default]
    Mean,
    /// The share of the answers, by the members' weights, for which a class is the most probable, or at least as probable as not.
    Vote,
}

impl CombineMode {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Vote => "vote",
        }
    }
}

/// Test-time augmentation: the network also answers to the input flipped and rotated; dense answers are turned back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestTimeAugmentationSpec {
    /// Beside the input as it is.
    pub transforms: Vec<AugmentationSpec>,
    #[serde(default)]
    pub combine: CombineMode,
}

/// One way to turn the input, named as MONAI names it. Axes are counted from 0: rows and columns of an image, slices, rows and columns
/// of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AugmentationSpec {
    Flip(FlipSpec),
    Rotate90(Rotate90Spec),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlipSpec {
    pub spatial_axis: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate90Spec {
    /// Quarter turns, 1 to 3, from the first of the axes towards the second.
    pub k: usize,
    pub spatial_axes: [usize; 2],
}

/// Other networks beside the manifest's own that answer the same question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsembleSpec {
    pub members: Vec<MemberSpec>,
    #[serde(default)]
    pub combine: CombineMode,
    /// The weight of the manifest's own network among them.
    #[serde(default = "one")]
    pub weight: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberSpec {
    /// Absent: the manifest's own network, with other weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkSpec>,
    pub weights: WeightsSpec,
    #[serde(default = "one")]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

/// How many answers a model's one is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Answers {
    /// Ways in which each network sees the input, the one as it is among them.
    pub views: usize,
    /// Networks.
    pub models: usize,
}

impl Answers {
    /// None: one network answers once, and there is no spread.
    pub fn of(augmentation: Option<&TestTimeAugmentationSpec>, ensemble: Option<&EnsembleSpec>) -> Option<Self> {
        let views = 1 + augmentation.map_or(0, |spec| spec.transforms.len());
        let models = 1 + ensemble.map_or(0, |spec| spec.members.len());
        (views * models > 1).then_some(Self { views, models })
    }

    /// For people: "2 networks on 4 views of the input each".
    pub fn describe(self) -> String {
        match (self.models, self.views) {
            (1, views) => format!("one network on {views} views of the input"),
            (models, 1) => format!("{models} networks"),
            (models, views) => format!("{models} networks on {views} views of the input each"),
        }
    }
}
