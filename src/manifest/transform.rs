//! The preprocessing steps a manifest may name. One key per step, named as MONAI names it where MONAI has it.
//! `transform` carries them out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One step of the preprocessing chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum TransformSpec {
    /// Crop to the box of the largest foreground region.
    CropForeground(CropForegroundSpec),
    /// To 8 bits.
    ConvertToUint8(ConvertToUint8Spec),
    /// To a fixed size in pixels.
    Resize(ResizeSpec),
    /// Linear map of [a_min, a_max] onto [b_min, b_max], in f32.
    ScaleIntensityRange(ScaleIntensityRangeSpec),
    /// One channel copied to several equal ones.
    RepeatChannel(RepeatChannelSpec),
    /// `(x - subtrahend) / divisor` per channel.
    NormalizeIntensity(NormalizeIntensitySpec),
    /// Minimum and maximum onto [minv, maxv].
    ScaleIntensity(ScaleIntensitySpec),
    /// The middle of a volume: `start = (size - roi_size) / 2`, rounded down.
    CenterSpatialCrop(CenterSpatialCropSpec),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleIntensitySpec {
    pub minv: f32,
    pub maxv: f32,
    /// What minimum and maximum are taken over; of a single image it is the image as the step finds it, whichever is named. Where they
    /// are equal the values stay as they are.
    pub per: ScaleIntensityPer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScaleIntensityPer {
    Slice,
    Channel,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CenterSpatialCropSpec {
    /// (slices, rows, columns); -1 keeps the axis whole. A volume smaller than this is refused.
    pub roi_size: [i64; 3],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CropForegroundSpec {
    /// Foreground is `value > threshold`.
    pub threshold: ThresholdSpec,
    /// Which region's box is cropped to. No region: the whole image stays.
    pub region: RegionSpec,
    /// How the box of half-pixel contour coordinates becomes whole pixels.
    pub bounds: BoundsSpec,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum ThresholdSpec {
    /// Otsu's threshold as skimage.filters.threshold_otsu computes it.
    Otsu(OtsuSpec),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtsuSpec {
    pub histogram: HistogramSpec,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistogramSpec {
    /// One bin a grey level, as skimage does for integer images.
    Levels,
    /// 256 bins between minimum and maximum, as skimage does for float images.
    Bins256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegionSpec {
    /// The contour with the most points (skimage.measure.find_contours at 0.5, `fully_connected='low'`).
    LargestContour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoundsSpec {
    /// `int(min) .. int(max)`, half-open: the original's Python.
    Truncate,
    /// `floor(min) .. ceil(max)`, half-open: every pixel that the contour touches.
    FloorCeil,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConvertToUint8Spec {
    pub mode: Uint8Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Uint8Mode {
    /// `trunc((v - min) / (max - min) * 255)` with minimum and maximum of the whole image (before any crop). A constant image becomes 0.
    MinMax,
    /// Modality LUT, then the first VOI window of the instance (PS3.3 C.11.2) onto 0..=255; without a window as `min_max`.
    VoiWindow,
    /// `v mod 256` of the stored value: what numpy's `astype(uint8)` does. Only for checkpoints trained that way.
    Wrap,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResizeSpec {
    /// (rows, columns) of images, (slices, rows, columns) of volumes.
    pub spatial_size: Vec<usize>,
    pub mode: ResizeMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// `PIL.Image.resize(…, BILINEAR)`: triangle filter, widened when shrinking (antialiasing), 8-bit fixed point.
    PilBilinear,
    /// `scipy.ndimage.zoom(…, order=1)`: linear, the corners' centres fall on one another. Volumes only.
    ZoomLinear,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleIntensityRangeSpec {
    pub a_min: f32,
    pub a_max: f32,
    pub b_min: f32,
    pub b_max: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepeatChannelSpec {
    pub repeats: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NormalizeIntensitySpec {
    /// Per channel.
    pub subtrahend: Vec<f32>,
    /// Per channel, none 0.
    pub divisor: Vec<f32>,
}
