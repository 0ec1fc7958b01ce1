//! A stack of slices on a regular grid, and where each slice came from.

use std::sync::Arc;

use ndarray::Array3;

use super::{Geometry, ImageAttributes, Plane};

/// One time point of a series.
#[derive(Debug, Clone)]
pub struct Volume {
    pub geometry: Geometry,
    /// Values after the modality LUT (PS3.3 C.11.1), (slice, row, column); slices sorted along the normal.
    pub voxels: Array3<f32>,
    /// One a slice, in the order of `voxels`.
    pub slices: Vec<SliceSource>,
}

impl Volume {
    /// The value that every voxel has, where it is one: an acquisition that failed, a placeholder, an empty reconstruction.
    pub fn constant_value(&self) -> Option<f32> {
        let first = *self.voxels.first()?;
        self.voxels.iter().all(|v| *v == first).then_some(first)
    }

    /// How far the way from slice to slice leans against the slices' normal, 0 to 90 degrees: a CT whose gantry was
    /// tilted. The grid is right all the same (`geometry.steps_mm`); what assumes a box of right angles must ask.
    /// Files round positions, so that an upright series may have a few hundredths of a degree.
    pub fn gantry_tilt_degrees(&self) -> f64 {
        self.geometry.tilt_degrees()
    }
}

/// The instance, and the frame of it, that a slice was read from.
#[derive(Debug, Clone)]
pub struct SliceSource {
    pub instance: Arc<ImageAttributes>,
    /// Number of the frame, from 1, in a multi-frame instance; None in a single-frame one.
    pub frame: Option<u32>,
    /// ImagePositionPatient as the source writes it (DS): results repeat the text, not a number printed anew. Empty texts: the
    /// source does not say where it lies.
    pub position: [String; 3],
    /// ImageOrientationPatient as the source writes it.
    pub orientation: [String; 6],
    /// PixelSpacing as the source writes it; empty texts where it does not.
    pub pixel_spacing: [String; 2],
    /// SliceThickness as the source writes it.
    pub thickness: Option<String>,
}

impl SliceSource {
    /// Of a frame that was read.
    pub fn new(instance: Arc<ImageAttributes>, frame: Option<u32>, plane: Plane) -> Self {
        Self {
            instance,
            frame,
            position: plane.position_text,
            orientation: plane.orientation_text,
            pixel_spacing: plane.pixel_spacing_text,
            thickness: plane.thickness_text,
        }
    }

    /// Of a projection, a photograph, a scanned picture: no place in the patient. Its orientation is the plane's own, which viewers take
    /// for what says none.
    pub fn without_place(instance: Arc<ImageAttributes>, frame: Option<u32>, pixel_spacing: [String; 2]) -> Self {
        let orientation = ["1", "0", "0", "0", "1", "0"].map(str::to_owned);
        Self { instance, frame, position: Default::default(), orientation, pixel_spacing, thickness: None }
    }

    /// Whether the source says where the slice lies in the patient.
    pub fn has_place(&self) -> bool {
        self.position.iter().all(|text| !text.is_empty())
    }
}
