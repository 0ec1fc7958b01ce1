//! Linear resampling of a volume, row by row of the result, in f64.

use ndarray::Array3;

use crate::imaging::parts::{fill_rows, vectorized};

/// Which two neighbours along an axis make a value, and their weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tap {
    first: usize,
    second: usize,
    weights: [f64; 2],
}

impl Tap {
    /// Outside of the volume, which counts as 0.
    pub const OUTSIDE: Self = Self { first: 0, second: 0, weights: [0.0; 2] };

    /// A place between the voxels' centres 0 and `len - 1`; beyond them the last one counts.
    pub fn at(position: f64, len: usize) -> Self {
        let last = len.saturating_sub(1);
        let position = position.clamp(0.0, last as f64);
        let first = position as usize;
        let share = position - first as f64;
        Self { first, second: (first + 1).min(last), weights: [1.0 - share, share] }
    }

    /// The neighbours that count, with their weights.
    fn parts(self) -> impl Iterator<Item = (usize, f64)> {
        [(self.first, self.weights[0]), (self.second, self.weights[1])].into_iter().filter(|(_, weight)| *weight != 0.0)
    }
}

/// Where the voxel `index` of an axis of `from` voxels lies on the same axis with `to` voxels, the first and the last
/// centres of both falling on one another. All of one voxel lie at 0.
///
/// scipy.ndimage.zoom rounds `(to - 1) / (from - 1)` before it multiplies: from 112 voxels to 96, say, its last plane comes
/// to lie a hair beyond the end and is 0 (scipy 1.17). Multiplied first, the last voxel falls on the last.
pub(super) fn corner_aligned(index: f64, from: usize, to: usize) -> f64 {
    if from <= 1 || to == 0 { 0.0 } else { index * (to - 1) as f64 / (from - 1) as f64 }
}

/// The volume that has one voxel for each combination of taps, (slice, row, column). `fill(slice, row, out)` gives a row
/// of the source, of `columns` voxels; `finish` makes a voxel of its interpolated value.
pub(super) fn resample<T: Copy + Default + Send>(
    taps: [&[Tap]; 3],
    columns: usize,
    fill: impl Fn(usize, usize, &mut [f32]) + Sync,
    finish: impl Fn(f64) -> T + Sync,
) -> Array3<T> {
    let [slices, rows, across] = taps;
    let size = (slices.len(), rows.len(), across.len());
    let mut out = Array3::from_elem(size, T::default());
    let voxels = out.as_slice_mut().unwrap_or_default();
    if voxels.is_empty() {
        return out;
    }
    fill_rows(slices.len(), size.0 * size.1 * size.2.max(columns), voxels, |part, out| {
        let (mut row, mut sums) = (vec![0f32; columns], vec![0f64; columns]);
        let lines = slices[part].iter().flat_map(|slice| rows.iter().map(move |row| (slice, row)));
        for ((slice, line), out) in lines.zip(out.chunks_exact_mut(across.len())) {
            sums.fill(0.0);
            for (from_slice, slice_weight) in slice.parts() {
                for (from_row, row_weight) in line.parts() {
                    fill(from_slice, from_row, &mut row);
                    let weight = slice_weight * row_weight;
                    vectorized(|| sums.iter_mut().zip(&row).for_each(|(sum, &v)| *sum += weight * f64::from(v)));
                }
            }
            for (out, tap) in out.iter_mut().zip(across) {
                *out = finish(sums[tap.first] * tap.weights[0] + sums[tap.second] * tap.weights[1]);
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_fall_on_ends() {
        for (from, to) in [(2, 96), (96, 2), (112, 96), (251, 96), (8192, 4096), (7, 7)] {
            assert_eq!(corner_aligned(0.0, from, to), 0.0);
            // Not so with the factor (to - 1) / (from - 1) rounded first.
            assert_eq!(corner_aligned((from - 1) as f64, from, to), (to - 1) as f64, "{from} -> {to}");
        }
        assert_eq!([corner_aligned(0.0, 1, 9), corner_aligned(5.0, 9, 1)], [0.0, 0.0]);
    }

    #[test]
    fn taps_keep_to_the_axis() {
        assert_eq!(Tap::at(2.25, 4), Tap { first: 2, second: 3, weights: [0.75, 0.25] });
        for (position, len, only) in [(0.0, 4, 0), (3.0, 4, 3), (-1e-9, 4, 0), (3.0 + 1e-9, 4, 3), (0.0, 1, 0)] {
            assert_eq!(Tap::at(position, len).parts().collect::<Vec<_>>(), [(only, 1.0)], "{position}");
        }
        assert_eq!(Tap::OUTSIDE.parts().count(), 0);
    }
}
