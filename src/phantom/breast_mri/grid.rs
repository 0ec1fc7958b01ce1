//! Where the voxels lie in the body and in the patient's coordinates.

use std::ops::Range;

use super::BreastMriPhantom;
use super::shapes::{Point, Tube, inside_segment};
use crate::imaging::Geometry;
use crate::phantom::noise::smoothstep;
use crate::phantom::random::Random;

/// How the slices lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    /// Slices from the feet to the head.
    Axial,
    /// Slices from the front to the back.
    Coronal,
    /// Slices from the left to the right.
    Sagittal,
    /// Axial, turned by 20 degrees about the left-right axis and by 12 about the one that is vertical then.
    Oblique,
}

impl Orientation {
    /// Unit vectors (LPS) along (slice, row, column) index, right-handed: slice = column direction × row direction, as
    /// slices are sorted along the normal.
    fn axes(self) -> [[f64; 3]; 3] {
        match self {
            Self::Axial => [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
            Self::Coronal => [[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]],
            Self::Sagittal => [[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
            Self::Oblique => {
                let ((s, c), (t, d)) = (20f64.to_radians().sin_cos(), 12f64.to_radians().sin_cos());
                let turn = |[x, y, z]: [f64; 3]| {
                    let (x, y) = (d * x - t * y, t * x + d * y);
                    [x, c * y - s * z, s * y + c * z]
                };
                Self::Axial.axes().map(turn)
            }
        }
    }

    /// The point of the body in the middle of the grid: coronal slices lie about the breasts, others about the chest.
    fn centre(self) -> Point {
        match self {
            Self::Coronal => [0.0, -60.0, 0.0],
            Self::Axial | Self::Sagittal | Self::Oblique => [0.0; 3],
        }
    }
}

/// The grid in both frames: the body's, in which the anatomy is drawn, and the patient's, whose origin is the scanner's.
pub(crate) struct Grid {
    pub geometry: Geometry,
    size: [usize; 3],
    spacing_mm: [f32; 3],
    axes: [Point; 3],
    /// Voxel (0, 0, 0) in the body's frame.
    first: Point,
    /// The body's origin in the patient's coordinates.
    offset: [f64; 3],
}

impl Grid {
    pub fn new(phantom: &BreastMriPhantom, random: &mut Random) -> Self {
        let axes = phantom.orientation.axes();
        // The patient does not lie in the scanner's centre. Whole tenths: what DICOM's text holds is the number itself.
        let offset = [(-8.0, 8.0), (-30.0, 10.0), (-40.0, 40.0)].map(|(low, high)| {
            let tenths: f32 = random.uniform(10.0 * low, 10.0 * high);
            f64::from(tenths.round()) / 10.0
        });
        let spacing = phantom.spacing_mm.map(|s| (f64::from(s) * 1e4).round() / 1e4);
        let half: [f64; 3] = std::array::from_fn(|i| 0.5 * (phantom.size[i] - 1) as f64 * spacing[i]);
        let centre = phantom.orientation.centre();
        let first: [f64; 3] =
            std::array::from_fn(|axis| f64::from(centre[axis]) - (0..3).map(|i| half[i] * axes[i][axis]).sum::<f64>());
        let geometry = Geometry {
            size: phantom.size,
            origin_mm: std::array::from_fn(|axis| first[axis] + offset[axis]),
            steps_mm: std::array::from_fn(|i| axes[i].map(|v| v * spacing[i])),
            frame_of_reference_uid: None,
        };
        Self {
            geometry,
            size: phantom.size,
            spacing_mm: spacing.map(|s| s as f32),
            axes: axes.map(|a| a.map(|v| v as f32)),
            first: first.map(|v| v as f32),
            offset,
        }
    }

    /// A voxel's centre in the body's frame.
    pub fn body(&self, index: [usize; 3]) -> Point {
        let along: [f32; 3] = std::array::from_fn(|i| index[i] as f32 * self.spacing_mm[i]);
        std::array::from_fn(|axis| self.first[axis] + (0..3).map(|i| along[i] * self.axes[i][axis]).sum::<f32>())
    }

    /// A point of the body in the patient's coordinates.
    pub fn patient(&self, p: Point) -> [f64; 3] {
        std::array::from_fn(|axis| f64::from(p[axis]) + self.offset[axis])
    }

    /// mm from voxel (0, 0, 0) along (slice, row, column).
    fn along(&self, p: Point) -> Point {
        self.axes.map(|axis| (0..3).map(|i| (p[i] - self.first[i]) * axis[i]).sum())
    }

    /// Distance of a point to the nearest face of the box that analysis sees: the whole plane, the middle 96
    /// slices.
    pub fn room(&self, p: Point) -> f32 {
        let along = self.along(p);
        let room = |i: usize| {
            let length = (self.size[i] - 1) as f32 * self.spacing_mm[i];
            let border = if i == 0 { (self.size[0].saturating_sub(96) / 2) as f32 * self.spacing_mm[0] } else { 0.0 };
            along[i].min(length - along[i]) - border
        };
        room(0).min(room(1)).min(room(2))
    }

    /// The slice nearest to a point.
    pub fn slice_of(&self, p: Point) -> usize {
        ((self.along(p)[0] / self.spacing_mm[0]).round().max(0.0) as usize).min(self.size[0] - 1)
    }

    /// How much of each voxel of some slices lies in a tube: 0 to 255, in index order. The blur is the scanner's, not the grid's,
    /// so that a coarser grid shows the same picture.
    pub fn coverage(&self, tubes: &[Tube], slices: Range<usize>) -> Vec<u8> {
        const BLUR_MM: f32 = 0.7;
        let [_, rows, columns] = self.size;
        let mut coverage = vec![0u8; slices.len() * rows * columns];
        for pair in tubes.iter().flat_map(|tube| tube.0.windows(2)) {
            let [a, b] = [pair[0], pair[1]].map(|(p, radius)| (self.along(p), radius));
            let reach = a.1.max(b.1) + BLUR_MM;
            let range = |i: usize| {
                let (low, high) = (a.0[i].min(b.0[i]) - reach, a.0[i].max(b.0[i]) + reach);
                let index = |mm: f32| (mm / self.spacing_mm[i]).max(0.0) as usize;
                index(low)..(index(high) + 1).min(if high < 0.0 { 0 } else { self.size[i] })
            };
            let drawn = range(0);
            for slice in drawn.start.max(slices.start)..drawn.end.min(slices.end) {
                for row in range(1) {
                    for column in range(2) {
                        let p = [slice, row, column];
                        let p: Point = std::array::from_fn(|i| p[i] as f32 * self.spacing_mm[i]);
                        let share = smoothstep(-BLUR_MM, BLUR_MM, inside_segment(p, a, b));
                        let voxel = &mut coverage[((slice - slices.start) * rows + row) * columns + column];
                        *voxel = (*voxel).max((255.0 * share) as u8);
                    }
                }
            }
        }
        coverage
    }
}
