//! How an answer is explained: heat map, regions, places, and sentences graded by probability.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A heat map of what the answer rests on (Grad-CAM), stored as a picture over the source image, and the regions found in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplanationSpec {
    /// The classes whose evidence is shown, by name; where another class wins, nothing is explained. Empty: whichever wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Images that get a heat map, at most: those that speak most for the answer.
    #[serde(default = "three")]
    pub max_images: usize,
    /// How the heat map is laid over the image, 0 to 1: 1 hides the image where the heat is greatest.
    #[serde(default = "opacity")]
    pub opacity: f32,
    #[serde(default)]
    pub regions: RegionsSpec,
    /// How the place of a region is told. Absent: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceSpec>,
}

/// What counts as a region of the heat map, whose values go from 0 to 1, 1 being the place that speaks most for the class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionsSpec {
    /// A region's pixels have this value and more.
    pub threshold: f32,
    /// Smaller ones are left out; percent of the image's pixels.
    pub min_area_percent: f64,
    /// Those of the highest peaks are kept.
    pub max_regions: usize,
}

impl Default for RegionsSpec {
    fn default() -> Self {
        Self { threshold: 0.5, min_area_percent: 0.1, max_regions: 5 }
    }
}

/// What tells left from right and front from back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum PlaceSpec {
    /// The inside of the skull in a CT slice that says how it lies in the patient: its axis of symmetry tells left from right, thirds of its
    /// length front, middle and back. Of a picture, which does not say how it lies, the side of the image.
    Skull(SkullPlaceSpec),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkullPlaceSpec {
    /// Bone is this many HU and more.
    #[serde(default = "bone_hu")]
    pub bone_hu: f32,
    /// A region whose centre is no further from the axis is in the midline, on neither side.
    #[serde(default = "midline_mm")]
    pub midline_mm: f64,
}

/// A sentence that is said where the answer's class and probability fit. Of those about one thing, the first that fits is taken and no other; one
/// with a placeholder for what is not known (the side of a region that has none) does not fit.
///
/// Placeholders: `{class}`, `{probability}` (percent), `{regions}` (their count); about a region also `{region}` (its number), `{side}`,
/// `{part}`, `{size}` (mm), `{peak}` (percent of the greatest heat).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SentenceSpec {
    pub about: SentenceSubject,
    /// The class by name. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Least probability of the class, 0 to 1.
    #[serde(default)]
    pub at_least: f64,
    /// The probability is below this. Absent: up to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// In English. It says what the model says, and makes no diagnosis.
    pub text: String,
    /// By language ("ko").
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SentenceSubject {
    /// The answer itself.
    Finding,
    /// Each region of the heat map in turn.
    Region,
    /// An explained answer whose heat map has no region.
    NoRegion,
    /// What is recommended.
    Recommendation,
}

/// Words that stand for `{side}` and `{part}` in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceWords {
    pub left: String,
    pub right: String,
    pub midline: String,
    pub front: String,
    pub middle: String,
    pub back: String,
    /// Sides of a picture that does not say how it lies in the patient.
    pub image_left: String,
    pub image_right: String,
}

impl PlaceWords {
    pub fn english() -> Self {
        Self {
            left: "left".into(),
            right: "right".into(),
            midline: "midline".into(),
            front: "front".into(),
            middle: "middle".into(),
            back: "back".into(),
            image_left: "left side of the image".into(),
            image_right: "right side of the image".into(),
        }
    }
}

fn three() -> usize {
    3
}

fn opacity() -> f32 {
    0.5
}

fn bone_hu() -> f32 {
    300.0
}

fn midline_mm() -> f64 {
    5.0
}
