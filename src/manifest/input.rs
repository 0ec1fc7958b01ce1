//! Which instances a model takes: the selection rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;

/// What the rule looks for under the resource (study, series or instance) that a run is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Instances that fulfil every condition are the model's candidates; the others are left out, with the reason kept
    /// for the answer. Our own results are always left out.
    #[serde(rename = "where")]
    pub conditions: Vec<Condition>,
    /// What one run takes of the candidates.
    pub select: SelectSpec,
}

/// What one run is made of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum SelectSpec {
    /// Single images, each analysed on its own.
    Images(ImagesSpec),
    /// Volumes on one grid, the channels of one input.
    Volumes(VolumesSpec),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagesSpec {
    /// Exactly so many images make one run; any other number is refused.
    pub count: usize,
    /// The views expected, "{ImageLaterality}-{ViewPosition}", in the order they are reported.
    #[serde(default)]
    pub views: Vec<String>,
    /// What happens when the images' views are not the expected ones.
    #[serde(default)]
    pub view_policy: ViewPolicy,
}

/// One volume a channel: as many series, or one series with as many time points.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumesSpec {
    /// The channels' names, in the order of acquisition ("pre-contrast", "phase 1", …); as many volumes make one run.
    pub channels: Vec<String>,
    /// Attributes that tell time points apart, and order them: the first that every slice has and that makes equally large
    /// groups decides.
    pub time_points: Vec<TimePointKey>,
    /// A volume of fewer slices is refused.
    #[serde(default = "one")]
    pub min_slices: usize,
    /// What happens to volumes of one Frame of Reference whose grids differ.
    #[serde(default)]
    pub mismatch: MismatchPolicy,
}

fn one() -> usize {
    1
}

/// An attribute that tells the time points of a dynamic series apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TimePointKey {
    /// (0020,0100)
    TemporalPositionIdentifier,
    /// (0018,1060)
    TriggerTime,
    /// (0020,0012)
    AcquisitionNumber,
    /// (0008,002A), else AcquisitionDate and AcquisitionTime (0008,0032)
    AcquisitionTime,
    /// (0008,0033) with ContentDate
    ContentTime,
    /// (0020,0011): tells series apart, never slices of one
    SeriesNumber,
}

impl TimePointKey {
    /// The attribute's DICOM keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::TemporalPositionIdentifier => "TemporalPositionIdentifier",
            Self::TriggerTime => "TriggerTime",
            Self::AcquisitionNumber => "AcquisitionNumber",
            Self::AcquisitionTime => "AcquisitionTime",
            Self::ContentTime => "ContentTime",
            Self::SeriesNumber => "SeriesNumber",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MismatchPolicy {
    /// Refuse, with both grids in the message.
    #[default]
    Refuse,
    /// Resample onto the first channel's grid, linearly; a volume that does not cover it is refused.
    Resample,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ViewPolicy {
    /// Run all the same and say so in the result.
    #[default]
    Warn,
    /// Refuse.
    Require,
}
