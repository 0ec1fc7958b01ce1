//! Which instances a model takes: the selection rule.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::condition::Condition;
use super::plausibility::PlausibilitySpec;
use super::region_of_interest::RegionOfInterestSpec;

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
    /// Of each image only what another model has segmented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_of_interest: Option<RegionOfInterestSpec>,
    /// Whether the decoded images can be what the model was made for: checks carried out before the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plausibility: Vec<PlausibilitySpec>,
}

/// What one run is made of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum SelectSpec {
    /// Single images, each analysed on its own. Each frame of a multi-frame instance is an image.
    Images(ImagesSpec),
    /// The slices of one series, each analysed on its own; or the one instance that a run is asked for.
    Series(SeriesSpec),
    /// Volumes on one grid, the channels of one input.
    Volumes(VolumesSpec),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagesSpec {
    /// So many images make one run; any other number is refused.
    pub count: CountSpec,
    /// The views expected, "{ImageLaterality}-{ViewPosition}", in the order they are reported. As many as images, where the number of
    /// these is one.
    #[serde(default)]
    pub views: Vec<String>,
    /// What happens when the images' views are not the expected ones.
    #[serde(default)]
    pub view_policy: ViewPolicy,
}

/// How many: exactly so many (`4`), or from `min` to `max` (`{"min": 1, "max": 4}`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum CountSpec {
    Exactly(usize),
    Between(CountRange),
}

/// Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountRange {
    pub min: usize,
    pub max: usize,
}

impl CountSpec {
    pub fn min(self) -> usize {
        match self {
            Self::Exactly(n) => n,
            Self::Between(range) => range.min,
        }
    }

    pub fn max(self) -> usize {
        match self {
            Self::Exactly(n) => n,
            Self::Between(range) => range.max,
        }
    }

    pub fn contains(self, n: usize) -> bool {
        (self.min()..=self.max()).contains(&n)
    }
}

impl fmt::Display for CountSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min() == self.max() { self.min().fmt(f) } else { write!(f, "{} to {}", self.min(), self.max()) }
    }
}

/// By hand, for a derived one tells nothing of what is wrong.
impl<'de> Deserialize<'de> for CountSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;
        impl<'de> Visitor<'de> for Count {
            type Value = CountSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or an object with \"min\" and \"max\"")
            }

            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<CountSpec, E> {
                usize::try_from(n).map(CountSpec::Exactly).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CountSpec, A::Error> {
                CountRange::deserialize(MapAccessDeserializer::new(map)).map(CountSpec::Between)
            }
        }
        deserializer.deserialize_any(Count)
    }
}

/// The slices of one series, in the order of their positions along their normal; without positions by InstanceNumber. Where several series
/// of a study are left, `prefer` decides between them, or the caller does.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeriesSpec {
    /// Conditions, the most important first: of the series that are left, those whose slices all fulfil it are kept, where there are
    /// any. `[{"keyword": "ConvolutionKernel", "regex": "soft"}, {"keyword": "SliceThickness", "range": {"min": 4}}]`
    #[serde(default)]
    pub prefer: Vec<Condition>,
    /// A series of fewer slices is left out. An instance that a run is asked for is enough by itself.
    #[serde(default = "one")]
    pub min_slices: usize,
}

/// One volume a channel. The channels are either phases of one dynamic study, told apart and ordered by `time_points`: as
/// many series, or one series with as many time points. Or they are contrasts (T1, T2, ADC …), each found by its own
/// conditions, or named by the caller.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumesSpec {
    /// As many volumes make one run, in this order. Of phases the names alone, in the order of acquisition ("pre-contrast",
    /// "phase 1", …); of contrasts names with conditions. All with conditions or none.
    pub channels: Vec<ChannelSpec>,
    /// Attributes that tell phases apart, and order them: the first that every slice has and that makes equally large
    /// groups decides. Empty: the channels are no phases.
    #[serde(default)]
    pub time_points: Vec<TimePointKey>,
    /// A volume of fewer slices is refused.
    #[serde(default = "one")]
    pub min_slices: usize,
    /// What happens to volumes of one Frame of Reference whose grids differ.
    #[serde(default)]
    pub mismatch: MismatchPolicy,
}

impl VolumesSpec {
    /// Whether the channels are the phases of one dynamic study, so that one can be compared with the first.
    pub fn is_dynamic(&self) -> bool {
        self.channels.len() > 1 && !self.time_points.is_empty()
    }

    /// Whether each channel says which series it is.
    pub fn has_conditions(&self) -> bool {
        self.channels.iter().any(|c| !c.conditions().is_empty())
    }

    /// The channels' names, for people.
    pub fn names(&self) -> Vec<&str> {
        self.channels.iter().map(ChannelSpec::name).collect()
    }
}

/// One channel: its name, or an object with `name` and `where`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ChannelSpec {
    /// A phase, or a channel that the caller names.
    Named(String),
    /// The one series whose images fulfil conditions.
    Found(FoundChannelSpec),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundChannelSpec {
    pub name: String,
    /// Beside those of `input.where`.
    #[serde(rename = "where")]
    pub conditions: Vec<Condition>,
}

impl ChannelSpec {
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Found(found) => &found.name,
        }
    }

    /// None where the channel is told by its place in time, or by the caller.
    pub fn conditions(&self) -> &[Condition] {
        match self {
            Self::Named(_) => &[],
            Self::Found(found) => &found.conditions,
        }
    }
}

/// By hand, for a derived one tells nothing of what is wrong within the object.
impl<'de> Deserialize<'de> for ChannelSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Channel;
        impl<'de> Visitor<'de> for Channel {
            type Value = ChannelSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a channel's name, or an object with \"name\" and \"where\"")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<ChannelSpec, E> {
                Ok(ChannelSpec::Named(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ChannelSpec, A::Error> {
                FoundChannelSpec::deserialize(MapAccessDeserializer::new(map)).map(ChannelSpec::Found)
            }
        }
        deserializer.deserialize_any(Channel)
    }
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
