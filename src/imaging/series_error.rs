//! Why frames make no volume.

use super::ImagingError;
use super::geometry::decimal;

/// What keeps the frames of a series from being one volume, or one a time point. Positions are in mm along the slices'
/// normal, from the origin of the patient's coordinates; patient data is never in the text.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SeriesError {
    #[error("the series has no frame, expected at least one")]
    Empty,

    /// One instance cannot be read; `number` counts the files from 1, as they came.
    #[error("file {number} of the series: {error}")]
    Instance { number: usize, error: ImagingError },

    #[error("the series has more than {limit} voxels")]
    TooLarge { limit: usize },

    /// An attribute that all frames of a volume share differs.
    #[error("{keyword}: found {found} in {frames} of {all} frames, expected {expected} as in the first")]
    Mixed { keyword: &'static str, found: String, frames: usize, all: usize, expected: String },

    #[error("an instance is there twice: found {frames} frames, expected {expected} (SOPInstanceUID and frame number)")]
    SameInstance { frames: usize, expected: usize },

    /// Several frames share a position, and no attribute tells them apart.
    #[error(
        "{frames} frames lie at {positions} positions (up to {most} at one), and nothing tells them apart in time: \
         {looked_at}; expected an attribute that makes groups of {positions} frames, one a position"
    )]
    NotToldApart { frames: usize, positions: usize, most: usize, looked_at: String },

    #[error("{time_point}: {frames} frames at {}, expected one", millimetres(&[*position_mm]))]
    Duplicate { time_point: TimePoint, frames: usize, position_mm: f64 },

    #[error("{time_point}: no slice at {}, where other time points have one", millimetres(missing_mm))]
    MissingSlices { time_point: TimePoint, missing_mm: Vec<f64> },

    #[error(
        "gap: {} from the slice at {} to the next, expected {} as between the others (slices are missing, or one series \
         has two spacings)",
        millimetres(&[*found_mm]), millimetres(&[*after_mm]), millimetres(&[*expected_mm])
    )]
    Gap { after_mm: f64, found_mm: f64, expected_mm: f64 },

    #[error(
        "unequal spacing: found {} to {} between slices, expected {} (the slice at {} lies {} from its place on a regular \
         grid, at most {} is rounding)",
        millimetres(&[*least_mm]), millimetres(&[*most_mm]), millimetres(&[*expected_mm]), millimetres(&[*at_mm]),
        millimetres(&[*off_mm]), millimetres(&[*tolerance_mm])
    )]
    UnequalSpacing { least_mm: f64, most_mm: f64, expected_mm: f64, at_mm: f64, off_mm: f64, tolerance_mm: f64 },

    #[error(
        "the slice at {} is shifted by {} within its plane, expected slices in one line (at most {} is rounding)",
        millimetres(&[*at_mm]), millimetres(&[*off_mm]), millimetres(&[*tolerance_mm])
    )]
    Shifted { at_mm: f64, off_mm: f64, tolerance_mm: f64 },
}

/// Which group of frames, by the attribute that told them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimePoint {
    /// From 1, in the order of time.
    pub number: usize,
    pub of: usize,
    pub keyword: String,
}

impl std::fmt::Display for TimePoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "time point {} of {} (by {})", self.number, self.of, self.keyword)
    }
}

/// At most eight positions.
fn millimetres(values: &[f64]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = values.iter().take(SHOWN).map(|v| decimal(*v, 3)).collect();
    let more = values.len().saturating_sub(SHOWN);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{} mm{rest}", shown.join(", "))
}
