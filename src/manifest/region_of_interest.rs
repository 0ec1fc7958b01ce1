//! Two stages: the region that an earlier model has segmented is what a model looks at.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Of each image the region in which another model has segmented something. An image in which it has found nothing is none for
/// this model, and the report says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionOfInterestSpec {
    /// Name of the other model: a segmentation of images. Its latest result on the same images counts.
    pub model: String,
    /// The name of one of its segments.
    pub segment: String,
    /// Kept around the box of the segment's pixels, in mm, of images whose pixels are calibrated (PixelSpacing).
    #[serde(default)]
    pub margin_mm: f64,
    /// The same in pixels, of images that are not calibrated, and of all where there is no `margin_mm`.
    #[serde(default)]
    pub margin_pixels: usize,
    /// Whether pixels outside of the segment become the image's darkest level; false: they stay as they are.
    #[serde(default)]
    pub mask: bool,
    /// What happens to images that the other model has not analysed yet.
    #[serde(default)]
    pub when_missing: MissingPolicy,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingPolicy {
    /// The other model is run first, in the same run; its results are stored too.
    #[default]
    Run,
    /// Refuse.
    Refuse,
}
