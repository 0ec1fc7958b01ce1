//! Where in the patient a region of an image lies: side, and front, middle or back of the inside of the skull.
//!
//! Everything is told in the patient's axes (LPS: x to the left, y to the back, z to the head; PS3.3 C.7.6.2.1.1), so that it holds for heads
//! that were scanned feet first, for images whose rows or columns run the other way round, and for a tilted gantry. The head's own turn is found
//! by the symmetry of the inside of the skull.

use ndarray::ArrayView2;

use crate::imaging::Geometry;
use crate::imaging::geometry::{dot, norm, sub, unit};
use crate::imaging::skull::{SkullRing, skull_ring};
use crate::imaging::symmetry::symmetry_axis;
use crate::manifest::SkullPlaceSpec;

/// Of the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
    Midline,
}

/// Thirds of the inside of the skull along the head's antero-posterior axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Front,
    Middle,
    Back,
}

/// Of a picture, as one looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSide {
    Left,
    Right,
}

/// What can be said of a region's place; nothing of it is guessed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    pub side: Option<Side>,
    pub part: Option<Part>,
    /// Of a picture alone, which does not say how it lies in the patient.
    pub image_side: Option<ImageSide>,
}

/// An axis of the patient lies in a slice's plane where its shadow there is at least so long (45°).
const IN_PLANE: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// A skull's inside that is less symmetric has no midline that could be told.
const MAX_ASYMMETRY: f64 = 0.12;
/// Bounds of what may be the inside of a skull in one slice.
const AREA_MM2: std::ops::Range<f64> = 1500.0..32_000.0;
const MIN_SOFT_TISSUE_SHARE: f64 = 0.5;
const MIN_WALL_SHARE: f64 = 0.7;
/// Rows and columns that the skull is looked for on, at most.
const MAX_SIDE: usize = 512;

/// The inside of the skull in one slice, and how the head is turned.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadFrame {
    /// Centre of the inside, in the patient (mm).
    pub center_mm: [f64; 3],
    /// Unit vector in the slice's plane from the midline to the patient's left; None of a sagittal plane.
    pub left: Option<[f64; 3]>,
    /// Unit vector in the slice's plane to the front, and how far the inside reaches along it from the centre (back, front; mm); None of a
    /// coronal plane.
    pub anterior: Option<([f64; 3], [f64; 2])>,
    /// See [`crate::imaging::symmetry::SymmetryAxis::asymmetry`]; None of a sagittal plane.
    pub asymmetry: Option<f64>,
    midline_mm: f64,
}

impl HeadFrame {
    /// Finds the frame of a CT slice: HU (rows, columns), lying where `geometry` has its slice `slice`. None where no closed skull around soft
    /// tissue is found, or nothing can be said of its directions.
    pub fn of_slice(hu: ArrayView2<f32>, geometry: &Geometry, slice: usize, spec: &SkullPlaceSpec) -> Option<Self> {
        let [_, row_mm, column_mm] = geometry.spacing_mm();
        let ring = skull_ring(hu, [row_mm, column_mm], spec.bone_hu, MAX_SIDE)?;
        let plausible = AREA_MM2.contains(&ring.area_mm2)
            && ring.soft_tissue_share >= MIN_SOFT_TISSUE_SHARE
            && ring.wall_share >= MIN_WALL_SHARE;
        if !plausible {
            return None;
        }
        let plane = PlaneAxes::of(geometry, slice);
        let spacing = [row_mm, column_mm].map(|mm| mm * ring.stride as f64);
        let (left, anterior) = (plane.shadow([1.0, 0.0, 0.0]), plane.shadow([0.0, -1.0, 0.0]));
        let has = |shadow: [f64; 2]| shadow[0].hypot(shadow[1]) >= IN_PLANE;
        match (has(left), has(anterior)) {
            (false, false) => None,
            (false, true) => {
                let center = centroid_mm(&ring, spacing)?;
                Some(Self::along(&plane, &ring, spacing, center, normalized(anterior), spec))
            }
            (true, front) => {
                // In the plane, the midline is at right angles to left and right; in an axial one it points to the front.
                let across = [-left[1], left[0]];
                let toward_front = across[0] * anterior[0] + across[1] * anterior[1] >= 0.0;
                let expected = if toward_front { across } else { across.map(|v| -v) };
                let axis = symmetry_axis(ring.inside.view(), spacing, expected)?;
                if axis.asymmetry > MAX_ASYMMETRY {
                    return None;
                }
                let found = Self::along(&plane, &ring, spacing, axis.center_mm, axis.direction, spec);
                let side = [axis.direction[1], -axis.direction[0]];
                let to_left = side[0] * left[0] + side[1] * left[1] >= 0.0;
                Some(Self {
                    left: Some(plane.direction(if to_left { side } else { side.map(|v| -v) })),
                    anterior: found.anterior.filter(|_| front),
                    asymmetry: Some(axis.asymmetry),
                    ..found
                })
            }
        }
    }

    /// The frame whose front lies in `direction` (rows, columns; unit length).
    fn along(
        plane: &PlaneAxes,
        ring: &SkullRing,
        spacing: [f64; 2],
        center: [f64; 2],
        direction: [f64; 2],
        spec: &SkullPlaceSpec,
    ) -> Self {
        let inside = ring.inside.indexed_iter().filter(|(_, v)| **v != 0);
        let along = inside.map(|((row, column), _)| {
            (row as f64 * spacing[0] - center[0]) * direction[0]
                + (column as f64 * spacing[1] - center[1]) * direction[1]
        });
        let reach = along.fold([0.0f64; 2], |[back, front], at| [back.min(at), front.max(at)]);
        Self {
            center_mm: plane.place(center),
            left: None,
            anterior: Some((plane.direction(direction), reach)),
            asymmetry: None,
            midline_mm: spec.midline_mm,
        }
    }

    /// The place of a point of the patient (LPS, mm), which may lie in another slice of the same head.
    pub fn place(&self, point_mm: [f64; 3]) -> Place {
        let from_center = sub(point_mm, self.center_mm);
        let side = self.left.map(|left| match dot(from_center, left) {
            offset if offset.abs() <= self.midline_mm => Side::Midline,
            offset if offset > 0.0 => Side::Left,
            _ => Side::Right,
        });
        let part = self.anterior.map(|(anterior, [back, front])| {
            match (dot(from_center, anterior) - back) / (front - back).max(f64::MIN_POSITIVE) {
                share if share > 2.0 / 3.0 => Part::Front,
                share if share < 1.0 / 3.0 => Part::Back,
                _ => Part::Middle,
            }
        });
        Place { side, part, image_side: None }
    }
}

impl Place {
    /// Of a picture of `columns` columns, where nothing says how it lies in the patient: `column` counts from 0 at the first one's centre.
    pub fn in_picture(column: f64, columns: usize) -> Self {
        let left = column + 0.5 < columns as f64 / 2.0;
        Self { image_side: Some(if left { ImageSide::Left } else { ImageSide::Right }), ..Self::default() }
    }
}

/// The plane of a slice, with unit vectors along increasing rows and columns.
struct PlaneAxes {
    origin: [f64; 3],
    rows: [f64; 3],
    columns: [f64; 3],
}

impl PlaneAxes {
    fn of(geometry: &Geometry, slice: usize) -> Self {
        let [_, row_step, column_step] = geometry.steps_mm;
        Self { origin: geometry.to_patient([slice as f64, 0.0, 0.0]), rows: unit(row_step), columns: unit(column_step) }
    }

    /// The shadow (rows, columns) of a direction of the patient.
    fn shadow(&self, direction: [f64; 3]) -> [f64; 2] {
        [dot(direction, self.rows), dot(direction, self.columns)]
    }

    fn direction(&self, in_plane: [f64; 2]) -> [f64; 3] {
        unit(std::array::from_fn(|i| in_plane[0] * self.rows[i] + in_plane[1] * self.columns[i]))
    }

    fn place(&self, in_plane_mm: [f64; 2]) -> [f64; 3] {
        std::array::from_fn(|i| self.origin[i] + in_plane_mm[0] * self.rows[i] + in_plane_mm[1] * self.columns[i])
    }
}

fn centroid_mm(ring: &SkullRing, spacing: [f64; 2]) -> Option<[f64; 2]> {
    let inside = ring.inside.indexed_iter().filter(|(_, v)| **v != 0);
    let (sum, count) = inside.fold(([0.0; 2], 0usize), |(sum, n), ((r, c), _)| {
        ([sum[0] + r as f64 * spacing[0], sum[1] + c as f64 * spacing[1]], n + 1)
    });
    (count > 0).then(|| sum.map(|v| v / count as f64))
}

fn normalized(v: [f64; 2]) -> [f64; 2] {
    let length = norm([v[0], v[1], 0.0]).max(f64::MIN_POSITIVE);
    v.map(|part| part / length)
}

#[cfg(test)]
mod tests;
