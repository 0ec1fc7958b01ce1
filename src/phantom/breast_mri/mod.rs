//! Synthetic dynamic contrast-enhanced MRI of both breasts, prone: four phases, and where the tumour is.

mod anatomy;
pub mod dicom;
mod grid;
mod scanner;
mod scene;
mod slice;
mod tumour;
mod vessels;

use ndarray::{Array3, Zip};
use rayon::prelude::*;

use super::PhantomError;
use super::random::Random;
use super::shapes;
use crate::imaging::Geometry;
use scene::Scene;

pub use dicom::{BreastMriInstance, BreastMriStudy, SeriesLayout};
pub use grid::Orientation;
pub use slice::{BreastSlice, BreastSliceInstance, BreastSlicePhantom};
pub use tumour::TumourKind;

/// Pre-contrast, then three post-contrast phases.
pub const PHASES: usize = 4;

/// Signal over the phases; 1 is about the brightest tissue.
pub(crate) type Course = [f32; PHASES];

/// What to draw. Equal values give equal voxels; the body is the seed's, whatever the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreastMriPhantom {
    /// Everything that varies between patients comes from here.
    pub seed: u64,
    /// (slices, rows, columns)
    pub size: [usize; 3],
    /// From a voxel to the next along (slice, row, column).
    pub spacing_mm: [f32; 3],
    pub orientation: Orientation,
    /// Whether there is a tumour.
    pub lesion: bool,
}

impl Default for BreastMriPhantom {
    fn default() -> Self {
        Self {
            seed: 1,
            size: [110, 256, 256],
            spacing_mm: [1.8, 1.3, 1.3],
            orientation: Orientation::Axial,
            lesion: true,
        }
    }
}

/// A drawn exam.
#[derive(Debug, Clone)]
pub struct BreastMri {
    pub geometry: Geometry,
    /// Stored values (12 bits), (slice, row, column).
    pub phases: [Array3<u16>; PHASES],
    /// 1 in the tumour, (slice, row, column).
    pub truth: Array3<u8>,
    pub lesion: Option<TumourPlace>,
}

/// Where the tumour is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TumourPlace {
    /// LPS.
    pub centre_mm: [f64; 3],
    /// Of a ball of the ellipsoid's volume.
    pub diameter_mm: f64,
}

impl BreastMriPhantom {
    /// The same exam, sampled `factor` times as coarsely within the slices.
    #[must_use]
    pub fn coarser(self, factor: usize) -> Self {
        let [slices, rows, columns] = self.size;
        let [slice, row, column] = self.spacing_mm;
        Self {
            size: [slices, rows / factor, columns / factor],
            spacing_mm: [slice, row * factor as f32, column * factor as f32],
            ..self
        }
    }

    /// Draws the exam. About 2 s at full size on one core.
    ///
    /// # Errors
    /// [`PhantomError::Option`] for a size or spacing that no exam has.
    pub fn render(&self) -> Result<BreastMri, PhantomError> {
        self.check()?;
        let scene = Scene::new(self, None);
        let vessels = scene.grid.coverage(&scene.tubes, 0..self.size[0]);
        let plane = self.size[1] * self.size[2];
        let volume = || vec![0u16; plane * self.size[0]];
        let (mut phases, mut truth) = ([(); PHASES].map(|()| volume()), vec![0u8; plane * self.size[0]]);
        let [a, b, c, d] = &mut phases;
        let slices = (
            a.par_chunks_mut(plane),
            b.par_chunks_mut(plane),
            c.par_chunks_mut(plane),
            d.par_chunks_mut(plane),
            truth.par_chunks_mut(plane),
            vessels.par_chunks(plane),
        );
        slices.into_par_iter().enumerate().for_each(|(slice, (a, b, c, d, truth, vessels))| {
            // A stream a slice: the noise does not depend on how many threads draw.
            let mut noise = Random::new(self.seed, 1000 + slice as u64);
            for i in 0..plane {
                let index = [slice, i / self.size[2], i % self.size[2]];
                let (stored, inside) = scene.sample(index, vessels[i], &mut noise);
                truth[i] = u8::from(inside);
                (a[i], b[i], c[i], d[i]) = (stored[0], stored[1], stored[2], stored[3]);
            }
        });
        // The lengths are the size's by construction.
        let shaped = |values: Vec<u16>| Array3::from_shape_vec(self.size, values).unwrap_or_default();
        Ok(BreastMri {
            phases: phases.map(shaped),
            truth: Array3::from_shape_vec(self.size, truth).unwrap_or_default(),
            lesion: scene.lesion(),
            geometry: scene.grid.geometry,
        })
    }

    fn check(&self) -> Result<(), PhantomError> {
        let fail = |key, found: String, expected| Err(PhantomError::Option { key, found, expected });
        if !self.size.iter().all(|d| (16..=1024).contains(d)) {
            return fail("size", format!("{:?}", self.size), "16 to 1024 slices, rows and columns");
        }
        if !self.spacing_mm.iter().all(|s| (0.3..=8.0).contains(s)) {
            return fail("spacing", format!("{:?} mm", self.spacing_mm), "0.3 to 8 mm");
        }
        let lengths: Vec<f32> = self.size.iter().zip(self.spacing_mm).map(|(n, s)| *n as f32 * s).collect();
        if lengths[0] < 140.0 || lengths[1..].iter().any(|l| *l < 170.0) {
            let expected = "at least 140 mm of slices and 170 mm in the plane: there is no room for the breasts";
            return fail("field of view", format!("{lengths:.0?} mm"), expected);
        }
        Ok(())
    }
}

impl BreastMri {
    /// The slices through the tumour's middle (or the volume's) in all phases, side by side, the tumour outlined in the
    /// last; the brightest thousandth is white.
    pub fn picture(&self) -> image::RgbImage {
        let slice = self.truth.outer_iter().map(|s| s.iter().filter(|v| **v > 0).count()).enumerate();
        let slice =
            slice.max_by_key(|(i, n)| (*n, *i)).filter(|(_, n)| *n > 0).map_or(self.truth.dim().0 / 2, |(i, _)| i);
        let truth = self.truth.index_axis(ndarray::Axis(0), slice);
        let mut values: Vec<u16> =
            self.phases[PHASES - 1].index_axis(ndarray::Axis(0), slice).iter().copied().collect();
        values.sort_unstable();
        let white = f32::from(values[values.len() - 1 - values.len() / 1000]).max(1.0);
        let (rows, columns) = truth.dim();
        image::RgbImage::from_fn((PHASES * columns) as u32, rows as u32, |x, y| {
            let (phase, row, column) = (x as usize / columns, y as usize, x as usize % columns);
            let inside = |r: usize, c: usize| truth.get((r, c)).is_some_and(|v| *v > 0);
            let edge = phase == PHASES - 1
                && inside(row, column)
                && !(inside(row + 1, column)
                    && inside(row, column + 1)
                    && inside(row.wrapping_sub(1), column)
                    && inside(row, column.wrapping_sub(1)));
            let v = (255.0 * f32::from(self.phases[phase][[slice, row, column]]) / white).min(255.0) as u8;
            image::Rgb(if edge { [255, 0, 0] } else { [v, v, v] })
        })
    }

    /// Mean of each phase over the voxels where `mask` is 1.
    pub fn means(&self, mask: &Array3<u8>) -> [f64; PHASES] {
        let voxels = mask.iter().filter(|v| **v > 0).count().max(1) as f64;
        std::array::from_fn(|phase| {
            let mut sum = 0.0;
            Zip::from(mask).and(&self.phases[phase]).for_each(|m, v| sum += f64::from(u16::from(*m > 0) * v));
            sum / voxels
        })
    }
}

/// `course` becomes `other` by the share `t`.
fn mix(course: &mut Course, other: &Course, t: f32) {
    course.iter_mut().zip(other).for_each(|(c, o)| *c += (o - *c) * t);
}

#[cfg(test)]
mod tests;
