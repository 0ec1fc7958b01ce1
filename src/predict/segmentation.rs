//! What a segmentation model said.

use ndarray::Array3;

use crate::imaging::Geometry;

/// All that the model said of one volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// The grid of the masks: the source volume's.
    pub geometry: Geometry,
    /// One a segment of the manifest, in its order.
    pub segments: Vec<SegmentMask>,
}

/// The voxels of one segment, and what was measured on them.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentMask {
    /// (slice, row, column), 1 inside.
    pub mask: Array3<u8>,
    /// None: no voxel is inside.
    pub lesion: Option<Lesion>,
}

/// Measurements of a segment that has voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesion {
    pub voxels: usize,
    /// Sum of the voxels' volumes.
    pub volume_ml: f64,
    /// Share of the analysed volume's voxels that are inside, in percent (the original's `tumor_ratio_percent`).
    pub ratio_percent: f64,
    pub long_axis: LongAxis,
    /// Mean of the source's values inside the segment, one a channel (phase).
    pub channel_means: Vec<f64>,
    /// Mean over the segment's voxels of the standard deviation of the probabilities (0 to 0.5), of a model that combines several
    /// answers.
    pub spread: Option<f64>,
    pub outline: Outline,
}

/// The longest distance between two of the segment's voxels, from centre to centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LongAxis {
    pub length_mm: f64,
    /// Its ends, LPS in mm.
    pub from_mm: [f64; 3],
    pub to_mm: [f64; 3],
}

/// The closed outline of the segment's largest region on the slice where it has most voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Index of the slice.
    pub slice: usize,
    /// (column, row) in SCOORD's terms (PS3.3 C.18.6.1.2): the first pixel's corner at 0, its centre at 0.5. The last point
    /// repeats the first.
    pub points: Vec<[f32; 2]>,
}
