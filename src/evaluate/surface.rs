//! Distances between the surfaces of two masks.

use ndarray::{Array3, ArrayView3, Axis, Zip};

use super::bootstrap::quantile;
use super::estimate::Measure;

/// A distance map of so many voxels takes 1 GiB.
const MAX_BOX_VOXELS: usize = 1 << 27;

/// The 95 % Hausdorff distance in mm, as MONAI takes it: of each mask's surface voxels the distances to the other's nearest surface
/// voxel, between centres; of these the 95th percentile (linear between neighbours); of the two directions the larger.
///
/// A surface voxel has a face neighbour outside its mask; what lies outside the array is outside. In an array of one slice the four
/// neighbours within the slice count. `spacing_mm`: (slice, row, column), axes at right angles.
///
/// Undefined where a mask is empty: there is no distance to nothing.
pub fn hausdorff_95(answer: ArrayView3<u8>, reference: ArrayView3<u8>, spacing_mm: [f64; 3]) -> Measure {
    if spacing_mm.iter().any(|s| !s.is_finite() || *s <= 0.0) {
        return Measure::undefined("the voxels' spacing is no positive number");
    }
    let surfaces = [surface(answer), surface(reference)];
    match [surfaces[0].is_empty(), surfaces[1].is_empty()] {
        [true, true] => return Measure::undefined("both masks are empty"),
        [true, false] => return Measure::undefined("the model's mask is empty"),
        [false, true] => return Measure::undefined("the reference is empty"),
        [false, false] => {}
    }
    let bounds = Bounds::of(surfaces.iter().flatten());
    let voxels = bounds.size.iter().fold(1usize, |n, d| n.saturating_mul(*d));
    if voxels > MAX_BOX_VOXELS {
        return Measure::undefined(format!(
            "the masks' box has {voxels} voxels, at most {MAX_BOX_VOXELS} are compared"
        ));
    }
    let directed = |from: &[[usize; 3]], to: &[[usize; 3]]| {
        let squares = squared_distances(&bounds, to, spacing_mm);
        let mut distances: Vec<f64> = from.iter().map(|voxel| squares[bounds.inside(*voxel)].sqrt()).collect();
        distances.sort_by(f64::total_cmp);
        quantile(&distances, 0.95).unwrap_or(f64::NAN)
    };
    let [answer, reference] = &surfaces;
    Measure::new(directed(answer, reference).max(directed(reference, answer)), None)
}

/// The voxels of a mask that have a face neighbour outside of it.
fn surface(mask: ArrayView3<u8>) -> Vec<[usize; 3]> {
    let (slices, rows, columns) = mask.dim();
    let size = [slices, rows, columns];
    let axes = if slices == 1 { 1..3 } else { 0..3 };
    let is_surface = |voxel: [usize; 3]| {
        axes.clone().any(|axis| {
            let mut neighbour = voxel;
            let below = voxel[axis].checked_sub(1).is_none_or(|i| {
                neighbour[axis] = i;
                mask[neighbour] == 0
            });
            neighbour[axis] = voxel[axis] + 1;
            below || neighbour[axis] == size[axis] || mask[neighbour] == 0
        })
    };
    let inside = mask.indexed_iter().filter(|(_, value)| **value != 0).map(|((s, r, c), _)| [s, r, c]);
    inside.filter(|voxel| is_surface(*voxel)).collect()
}

/// The smallest box that holds all voxels.
struct Bounds {
    first: [usize; 3],
    size: [usize; 3],
}

impl Bounds {
    fn of<'a>(voxels: impl Iterator<Item = &'a [usize; 3]>) -> Self {
        let (mut first, mut last) = ([usize::MAX; 3], [0usize; 3]);
        for voxel in voxels {
            first = std::array::from_fn(|axis| first[axis].min(voxel[axis]));
            last = std::array::from_fn(|axis| last[axis].max(voxel[axis]));
        }
        Self { first, size: std::array::from_fn(|axis| (last[axis] + 1).saturating_sub(first[axis])) }
    }

    fn inside(&self, voxel: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| voxel[axis] - self.first[axis])
    }
}

/// The square of each voxel's distance to the nearest of `points`, exact: one pass an axis (Felzenszwalb and Huttenlocher 2012).
fn squared_distances(bounds: &Bounds, points: &[[usize; 3]], spacing_mm: [f64; 3]) -> Array3<f64> {
    let mut squares = Array3::from_elem(bounds.size, f64::INFINITY);
    for point in points {
        squares[bounds.inside(*point)] = 0.0;
    }
    for (axis, spacing) in spacing_mm.into_iter().enumerate() {
        Zip::from(squares.lanes_mut(Axis(axis))).for_each(|mut lane| {
            let values: Vec<f64> = lane.iter().copied().collect();
            lane.iter_mut().zip(lower_envelope(&values, spacing)).for_each(|(voxel, square)| *voxel = square);
        });
    }
    squares
}

/// min over q of `values[q] + (spacing · (p - q))²`, for each p.
fn lower_envelope(values: &[f64], spacing: f64) -> Vec<f64> {
    // (place of the parabola's vertex, its height, from where on it is the lowest)
    let mut parabolas: Vec<(f64, f64, f64)> = Vec::new();
    for (q, height) in values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
        let q = q as f64 * spacing;
        let mut from = f64::NEG_INFINITY;
        while let Some(&(vertex, other, begins)) = parabolas.last() {
            from = ((height + q * q) - (other + vertex * vertex)) / (2.0 * (q - vertex));
            if from > begins {
                break;
            }
            parabolas.pop();
            from = f64::NEG_INFINITY;
        }
        parabolas.push((q, *height, from));
    }
    let mut lowest = 0;
    let square = |p: usize| {
        let p = p as f64 * spacing;
        while parabolas.get(lowest + 1).is_some_and(|next| next.2 <= p) {
            lowest += 1;
        }
        parabolas.get(lowest).map_or(f64::INFINITY, |(vertex, height, _)| height + (p - vertex) * (p - vertex))
    };
    (0..values.len()).map(square).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random_mask(state: &mut u64, size: (usize, usize, usize), percent: u64) -> Array3<u8> {
        Array3::from_shape_simple_fn(size, || {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::from((*state >> 33) % 100 < percent)
        })
    }

    fn by_all_pairs(a: &Array3<u8>, b: &Array3<u8>, spacing: [f64; 3]) -> f64 {
        let directed = |from: &[[usize; 3]], to: &[[usize; 3]]| {
            let to_nearest = |p: &[usize; 3]| {
                let squares =
                    to.iter().map(|q| (0..3).map(|i| ((p[i] as f64 - q[i] as f64) * spacing[i]).powi(2)).sum::<f64>());
                squares.fold(f64::INFINITY, f64::min).sqrt()
            };
            let mut distances: Vec<f64> = from.iter().map(to_nearest).collect();
            distances.sort_by(f64::total_cmp);
            quantile(&distances, 0.95).unwrap()
        };
        let (a, b) = (surface(a.view()), surface(b.view()));
        directed(&a, &b).max(directed(&b, &a))
    }

    #[test]
    fn distances_equal_those_of_all_pairs() {
        let mut state = 5;
        for (size, percent) in [((5, 6, 7), 3), ((1, 9, 8), 20), ((7, 1, 9), 10), ((6, 7, 8), 40), ((8, 9, 10), 95)] {
            for spacing in [[1.0, 1.0, 1.0], [3.0, 0.7, 0.45]] {
                let a = random_mask(&mut state, size, percent);
                let b = random_mask(&mut state, size, percent);
                let found = hausdorff_95(a.view(), b.view(), spacing);
                if surface(a.view()).is_empty() || surface(b.view()).is_empty() {
                    assert_eq!(found.value(), None);
                    continue;
                }
                let expected = by_all_pairs(&a, &b, spacing);
                assert!((found.value().unwrap() - expected).abs() < 1e-9, "{size:?} {spacing:?}: {found:?} {expected}");
            }
        }
    }

    #[test]
    fn empty_masks_and_impossible_spacings_answer_in_words() {
        let (empty, full) = (Array3::zeros((2, 2, 2)), Array3::ones((2, 2, 2)));
        let words = |a: &Array3<u8>, b: &Array3<u8>, s: f64| match hausdorff_95(a.view(), b.view(), [s, 1.0, 1.0]) {
            Measure::Undefined(words) => words,
            Measure::Estimate(found) => panic!("{found:?}"),
        };
        assert_eq!(words(&empty, &empty, 1.0), "both masks are empty");
        assert_eq!(words(&empty, &full, 1.0), "the model's mask is empty");
        assert_eq!(words(&full, &empty, 1.0), "the reference is empty");
        for bad in [0.0, -1.0, f64::NAN] {
            assert!(words(&full, &full, bad).contains("spacing"));
        }
        assert_eq!(hausdorff_95(full.view(), full.view(), [1.0; 3]).value(), Some(0.0));
    }
}
