//! The DICOM attributes that selection, preprocessing and results need, read once from an instance.

use dicom_object::InMemDicomObject;

/// How stored values become shades (PS3.3 C.7.6.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    /// The lowest value is white: inverted before anything else looks at the image.
    Monochrome1,
    Monochrome2,
    Rgb,
    /// Anything else, decoded by the codec to RGB or refused.
    Other,
}

/// Modality LUT (PS3.3 C.11.1): `output = slope * stored + intercept`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rescale {
    pub slope: f64,
    pub intercept: f64,
}

/// VOI window (PS3.3 C.11.2), in units after the modality LUT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VoiWindow {
    pub center: f64,
    pub width: f64,
    pub function: VoiLutFunction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoiLutFunction {
    Linear,
    LinearExact,
    Sigmoid,
}

/// What we keep of an instance beside its pixels. Everything that identifies the patient stays inside `dataset`,
/// which only `result` copies from: no log, error or metric may print it.
#[derive(Debug, Clone)]
pub struct ImageAttributes {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    pub modality: String,
    pub photometric: Photometric,
    pub rows: usize,
    pub columns: usize,
    pub number_of_frames: usize,
    pub bits_allocated: u16,
    pub bits_stored: u16,
    /// PixelRepresentation = 1
    pub signed: bool,
    pub rescale: Rescale,
    /// First VOI window, if any.
    pub voi: Option<VoiWindow>,
    /// PixelPaddingValue (0028,0120), in stored values.
    pub padding: Option<i32>,
    /// ImageLaterality (0020,0062), or Laterality (0020,0060): "L", "R" or "B".
    pub laterality: Option<String>,
    /// ViewPosition (0018,5101): "CC", "MLO", …
    pub view_position: Option<String>,
    /// Row and column spacing in mm (PixelSpacing, else ImagerPixelSpacing).
    pub pixel_spacing_mm: Option<[f64; 2]>,
    /// The whole data set without PixelData.
    pub dataset: InMemDicomObject,
}
