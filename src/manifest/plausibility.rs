//! Whether an image can be what the model was made for, by its pixels: checks that any model may name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A check on the decoded images, before the network. One on Hounsfield units looks at CT slices and passes pictures over; one on colours or grey
/// levels looks at pictures and passes CT slices over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlausibilitySpec {
    pub check: PlausibilityCheck,
    /// What becomes of images that do not pass.
    #[serde(default)]
    pub policy: PlausibilityPolicy,
    /// What the images are expected to be, for the message: "a head CT".
    pub expected: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlausibilityPolicy {
    /// The run ends with the reason.
    #[default]
    Refuse,
    /// The run goes on; every result says that the images are out of the model's domain, and why.
    Flag,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum PlausibilityCheck {
    /// How the pixels of all slices are spread over ranges of HU.
    HounsfieldRange(HounsfieldRangeSpec),
    /// A closed ring of bone around soft tissue, in enough of the slices.
    SkullRing(SkullRingSpec),
    /// A grey picture of a head CT: no colour, dark corners, a bright ring.
    GreyLevels(GreyLevelsSpec),
    /// A photograph of skin: no text, chart, stained tissue, fundus.
    SkinColour(SkinColourSpec),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HounsfieldRangeSpec {
    pub ranges: Vec<HounsfieldShare>,
}

/// The share of pixels, 0 to 1, that is expected in a range of HU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HounsfieldShare {
    /// "air", "soft tissue", "bone": for the message.
    pub name: String,
    pub from_hu: f32,
    pub to_hu: f32,
    #[serde(default)]
    pub min_share: f64,
    #[serde(default = "all")]
    pub max_share: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkullRingSpec {
    /// Bone is this many HU and more.
    #[serde(default = "bone_hu")]
    pub bone_hu: f32,
    /// What the ring encloses, in cm².
    pub min_area_cm2: f64,
    pub max_area_cm2: f64,
    /// Least share of the enclosed area with the HU of soft tissue (-20 to 100), 0 to 1.
    pub min_soft_tissue_share: f64,
    /// Least share of the slices that have such a ring, 0 to 1: skull base and vertex have none. Up to 12 slices at even distances are looked at.
    pub min_slices_share: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GreyLevelsSpec {
    /// Least share of pixels without colour, 0 to 1.
    pub min_grey_share: f64,
    /// Greatest mean level of the picture's four corners, 0 to 255.
    pub max_corner_level: f64,
    /// What a bright ring encloses, as a share of the picture.
    pub min_ring_share: f64,
    pub max_ring_share: f64,
    /// Least share of the enclosed pixels that are neither black nor bright.
    pub min_mid_grey_share: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkinColourSpec {
    /// Least share of pixels with colours that skin and its lesions have under any light.
    pub min_skin_share: f64,
    /// Greatest share of pixels that equal their neighbour.
    pub max_flat_share: f64,
    /// Greatest share of pixels without colour.
    pub max_grey_share: f64,
    /// Least rows and columns.
    pub min_side: usize,
}

fn all() -> f64 {
    1.0
}

fn bone_hu() -> f32 {
    300.0
}
