//! Values of one grid at the voxels of another.

use ndarray::{Array3, ArrayView3};

use super::Geometry;
use super::geometry::dot;
use super::parts::fill_rows;

/// Voxels of `onto` may lie so far outside the outermost centres of `from`, in voxels: their cubes still overlap.
const MARGIN: f64 = 0.5;

/// Trilinear interpolation of `voxels` (slice, row, column) on the grid `from` at the voxels of `onto`, in the patient's
/// coordinates. Beyond the outermost centres, by at most half a voxel, the outermost values go on.
///
/// # Errors
/// In words: `from` does not cover `onto`, or another Frame of Reference, or `voxels` of another size than `from`.
pub fn resample_linear(voxels: ArrayView3<'_, f32>, from: &Geometry, onto: &Geometry) -> Result<Array3<f32>, String> {
    let [slices, rows, columns] = from.size;
    if voxels.dim() != (slices, rows, columns) || voxels.is_empty() {
        return Err(format!("found {:?} voxels, expected {:?} as the grid has", voxels.dim(), from.size));
    }
    if from.frame_of_reference_uid != onto.frame_of_reference_uid {
        return Err(not_covered("another FrameOfReferenceUID", from, onto));
    }
    let map = IndexMap::new(from, onto).ok_or_else(|| not_covered("a grid without volume", from, onto))?;
    check_covered(&map, from, onto)?;
    let mut out = Array3::zeros(onto.size);
    let [_, onto_rows, onto_columns] = onto.size;
    let lines = onto.size[0] * onto_rows;
    let filled = out.as_slice_mut().unwrap_or_default();
    fill_rows(lines, lines * onto_columns, filled, |part, filled| {
        for (line, values) in part.zip(filled.chunks_exact_mut(onto_columns.max(1))) {
            let start = map.at([(line / onto_rows) as f64, (line % onto_rows) as f64, 0.0]);
            for (column, value) in values.iter_mut().enumerate() {
                let place = std::array::from_fn(|axis| start[axis] + column as f64 * map.steps[2][axis]);
                *value = interpolate(&voxels, place);
            }
        }
    });
    Ok(out)
}

fn not_covered(what: &str, from: &Geometry, onto: &Geometry) -> String {
    format!("{what}: found {}, expected a grid that covers {}", from.describe(), onto.describe())
}

/// From indices of one grid to indices of another: affine.
struct IndexMap {
    origin: [f64; 3],
    /// What one step along each axis adds.
    steps: [[f64; 3]; 3],
}

impl IndexMap {
    fn new(from: &Geometry, onto: &Geometry) -> Option<Self> {
        let inverse = from.inverse_steps()?;
        let steps = onto.steps_mm.map(|step| inverse.map(|row| dot(row, step)));
        Some(Self { origin: from.to_index(onto.origin_mm)?, steps })
    }

    fn at(&self, index: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|axis| self.origin[axis] + (0..3).map(|i| index[i] * self.steps[i][axis]).sum::<f64>())
    }
}

/// Corners are enough: an affine map takes a box into their convex hull.
fn check_covered(map: &IndexMap, from: &Geometry, onto: &Geometry) -> Result<(), String> {
    let last = onto.size.map(|n| n.saturating_sub(1) as f64);
    let mut outside = 0.0f64;
    for corner in 0..8 {
        let index = map.at(std::array::from_fn(|axis| if corner >> axis & 1 == 1 { last[axis] } else { 0.0 }));
        for (at, size) in index.into_iter().zip(from.size) {
            outside = outside.max(-at).max(at - (size - 1) as f64);
        }
    }
    // A thousandth more than half: two files' rounding of one position.
    if outside <= MARGIN + 1e-3 {
        return Ok(());
    }
    Err(not_covered(&format!("voxels lie up to {outside:.2} voxels outside (at most {MARGIN} expected)"), from, onto))
}

fn interpolate(voxels: &ArrayView3<'_, f32>, place: [f64; 3]) -> f32 {
    let (slices, rows, columns) = voxels.dim();
    let [(s0, s1, s), (r0, r1, r), (c0, c1, c)] =
        [neighbours(place[0], slices), neighbours(place[1], rows), neighbours(place[2], columns)];
    // A neighbour of no weight is not looked at: it may be no number.
    let mix = |a: f32, b: f32, t: f32| if t == 0.0 { a } else { a + (b - a) * t };
    let line = |s: usize, r: usize| mix(voxels[[s, r, c0]], voxels[[s, r, c1]], c);
    let slice = |s: usize| mix(line(s, r0), line(s, r1), r);
    mix(slice(s0), slice(s1), s)
}

/// The voxels around a coordinate, and the weight of the second.
fn neighbours(at: f64, size: usize) -> (usize, usize, f32) {
    let last = size - 1;
    let at = at.clamp(0.0, last as f64);
    let low = at as usize;
    (low, (low + 1).min(last), (at - low as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::geometry::{cross, sub, unit};

    /// A tilted oblique grid around the origin.
    fn grid(size: [usize; 3], spacing: [f64; 3], tilt: f64, offset: [f64; 3]) -> Geometry {
        let row = unit([0.9, 0.3, 0.2]);
        let column = unit(cross([0.1, -0.2, 0.95], row));
        let normal = cross(row, column);
        let step: [f64; 3] = std::array::from_fn(|i| spacing[0] * (normal[i] + tilt * column[i]));
        let mut grid = Geometry {
            size,
            origin_mm: [0.0; 3],
            steps_mm: [step, column.map(|v| v * spacing[1]), row.map(|v| v * spacing[2])],
            frame_of_reference_uid: None,
        };
        let middle = grid.to_patient(size.map(|n| (n as f64 - 1.0) / 2.0));
        grid.origin_mm = sub(offset, middle);
        grid
    }

    /// A function that is linear in the patient's coordinates: trilinear interpolation reproduces it exactly.
    fn ramp(grid: &Geometry) -> Array3<f32> {
        Array3::from_shape_fn(grid.size, |(s, r, c)| {
            let p = grid.to_patient([s as f64, r as f64, c as f64]);
            (2.0 * p[0] - 3.0 * p[1] + 0.5 * p[2] + 10.0) as f32
        })
    }

    #[test]
    fn a_linear_function_of_the_place_stays_one_on_any_grid() {
        let from = grid([21, 31, 41], [2.0, 1.0, 1.5], 0.2, [3.0, -4.0, 5.0]);
        let mut turned = grid([9, 8, 7], [1.5, 1.1, 0.9], 0.0, [3.2, -4.1, 5.3]);
        turned.steps_mm.swap(0, 2);
        for onto in [turned, grid([21, 31, 41], [1.0, 0.7, 0.8], 0.0, [3.5, -4.2, 4.9])] {
            let out = resample_linear(ramp(&from).view(), &from, &onto).unwrap();
            let expected = ramp(&onto);
            let worst = out.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{worst}");
        }
    }

    #[test]
    fn the_same_grid_gives_the_same_values_whatever_their_neighbours() {
        let from = grid([3, 4, 5], [2.0, 1.0, 1.5], 0.1, [0.0; 3]);
        let mut values = ramp(&from);
        values[[1, 2, 3]] = f32::NAN;
        let out = resample_linear(values.view(), &from, &from).unwrap();
        // The NaN may reach its neighbours by rounding of the index only, with a weight of 1e-16: not beyond.
        for (index, value) in out.indexed_iter() {
            let near = index.0.abs_diff(1) <= 1 && index.1.abs_diff(2) <= 1 && index.2.abs_diff(3) <= 1;
            assert!(near || (value - values[index]).abs() < 1e-4, "{index:?}");
        }
    }

    #[test]
    fn half_a_voxel_outside_takes_the_outermost_value_and_more_is_refused() {
        let from = grid([5, 6, 7], [2.0, 1.0, 1.5], 0.0, [0.0; 3]);
        let values = ramp(&from);
        for axis in 0..3 {
            let moved = |voxels: f64| {
                let mut index = [0.0; 3];
                index[axis] = voxels;
                Geometry { origin_mm: from.to_patient(index), ..from.clone() }
            };
            for shift in [0.5, -0.5] {
                let out = resample_linear(values.view(), &from, &moved(shift)).unwrap();
                let (inside, edge) = if shift > 0.0 { (0, from.size[axis] - 1) } else { (from.size[axis] - 1, 0) };
                let at = |i: usize| {
                    let mut index = [2, 3, 3];
                    index[axis] = i;
                    index
                };
                assert!((out[at(edge)] - values[at(edge)]).abs() < 1e-3);
                let neighbour = if shift > 0.0 { 1 } else { inside - 1 };
                let middle = (values[at(inside)] + values[at(neighbour)]) / 2.0;
                assert!((out[at(inside)] - middle).abs() < 1e-3);
            }
            for shift in [0.6, -0.6, 100.0] {
                let error = resample_linear(values.view(), &from, &moved(shift)).unwrap_err();
                assert!(error.contains("voxels outside") && error.contains("5 slices of 6 × 7"), "{error}");
            }
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let from = grid([2, 3, 4], [1.0; 3], 0.0, [0.0; 3]);
        let other = Geometry { frame_of_reference_uid: Some("1.2".into()), ..from.clone() };
        assert!(resample_linear(ramp(&from).view(), &from, &other).unwrap_err().contains("FrameOfReferenceUID"));
        let wrong = Array3::<f32>::zeros((2, 3, 5));
        assert!(resample_linear(wrong.view(), &from, &from).unwrap_err().contains("(2, 3, 5)"));
        let flat = Geometry { steps_mm: [from.steps_mm[0], from.steps_mm[0], from.steps_mm[1]], ..from.clone() };
        assert!(resample_linear(ramp(&from).view(), &flat, &from).unwrap_err().contains("without volume"));
    }

    #[test]
    fn a_single_slice_holds_within_half_its_thickness() {
        let from = grid([1, 4, 4], [5.0, 1.0, 1.0], 0.0, [0.0; 3]);
        let mut onto = grid([3, 2, 2], [2.0, 1.0, 1.0], 0.0, [0.0; 3]);
        let out = resample_linear(Array3::from_elem((1, 4, 4), 7.0).view(), &from, &onto).unwrap();
        assert!(out.iter().all(|v| *v == 7.0));
        onto.steps_mm[0] = onto.steps_mm[0].map(|v| 2.0 * v);
        assert!(resample_linear(Array3::from_elem((1, 4, 4), 7.0).view(), &from, &onto).is_err());
    }
}
