//! The intensity steps of volumes: minimum and maximum, and linear maps that are carried out where values are read.

use ndarray::{ArrayView2, ArrayView3, Axis, s};

use crate::imaging::parts::{map_rows, vectorized};
use crate::manifest::transform::{NormalizeIntensitySpec, ScaleIntensityRangeSpec, ScaleIntensitySpec};

/// `(v - subtrahend) / divisor * factor + summand`, each operation in f32: what numpy makes of the steps' formulas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    subtrahend: f32,
    divisor: f32,
    factor: f32,
    summand: f32,
}

impl Scale {
    /// `None`: minimum and maximum are equal, the values stay as they are.
    pub fn of_intensity(spec: &ScaleIntensitySpec, [min, max]: [f32; 2]) -> Option<Self> {
        (min != max).then_some(Self {
            subtrahend: min,
            divisor: max - min,
            factor: spec.maxv - spec.minv,
            summand: spec.minv,
        })
    }

    pub fn of_range(spec: &ScaleIntensityRangeSpec) -> Self {
        Self {
            subtrahend: spec.a_min,
            divisor: spec.a_max - spec.a_min,
            factor: spec.b_max - spec.b_min,
            summand: spec.b_min,
        }
    }

    /// `(v - subtrahend) / divisor`
    pub fn linear(subtrahend: f32, divisor: f32) -> Self {
        Self { subtrahend, divisor, factor: 1.0, summand: 0.0 }
    }

    pub fn of_normalization(spec: &NormalizeIntensitySpec, channel: usize) -> Option<Self> {
        let (&subtrahend, &divisor) = spec.subtrahend.get(channel).zip(spec.divisor.get(channel))?;
        Some(Self::linear(subtrahend, divisor))
    }

    #[inline(always)]
    fn of(self, value: f32) -> f32 {
        (value - self.subtrahend) / self.divisor * self.factor + self.summand
    }

    /// Scales each value of a row.
    pub fn apply(self, row: &mut [f32]) {
        vectorized(|| row.iter_mut().for_each(|value| *value = self.of(*value)));
    }

    /// Minimum and maximum after scaling: rounding keeps the order, so they are what the extremes become.
    pub fn of_extremes(self, [min, max]: [f32; 2]) -> [f32; 2] {
        let (a, b) = (self.of(min), self.of(max));
        [a.min(b), a.max(b)]
    }
}

/// Minimum and maximum of each slice. `None` where a value is not finite.
pub(super) fn extremes(voxels: ArrayView3<f32>) -> Vec<Option<[f32; 2]>> {
    let slices = voxels.len_of(Axis(0));
    let of_part = |part: std::ops::Range<usize>| -> Vec<Option<[f32; 2]>> {
        voxels.slice(s![part, .., ..]).outer_iter().map(slice_extremes).collect()
    };
    map_rows(slices, voxels.len(), of_part).into_iter().flatten().collect()
}

fn slice_extremes(slice: ArrayView2<f32>) -> Option<[f32; 2]> {
    let mut lanes = Lanes { min: [f32::INFINITY; 16], max: [f32::NEG_INFINITY; 16], spoilt: [0.0; 16] };
    for row in slice.rows() {
        match row.to_slice() {
            Some(row) => vectorized(|| lanes.add(row)),
            None => lanes.add(&row.to_vec()),
        }
    }
    let finite = lanes.spoilt.iter().all(|v| *v == 0.0);
    let min = lanes.min.into_iter().fold(f32::INFINITY, f32::min);
    finite.then(|| [min, lanes.max.into_iter().fold(f32::NEG_INFINITY, f32::max)])
}

/// Whether every value is a number.
pub(super) fn all_finite(values: &[f32]) -> bool {
    let mut lanes = Lanes { min: [0.0; 16], max: [0.0; 16], spoilt: [0.0; 16] };
    vectorized(|| lanes.add(values));
    lanes.spoilt.iter().all(|v| *v == 0.0)
}

/// Sixteen running results, so that neighbours in memory go through one instruction.
struct Lanes {
    min: [f32; 16],
    max: [f32; 16],
    /// Sum of `0 * value`: 0, but NaN once there was an infinity or a NaN.
    spoilt: [f32; 16],
}

impl Lanes {
    #[inline(always)] // into code compiled for wide vectors
    fn add(&mut self, values: &[f32]) {
        let (chunks, rest) = values.as_chunks::<16>();
        for chunk in chunks {
            for (lane, &value) in chunk.iter().enumerate() {
                self.put(lane, value);
            }
        }
        rest.iter().enumerate().for_each(|(lane, &value)| self.put(lane, value));
    }

    #[inline(always)]
    fn put(&mut self, lane: usize, value: f32) {
        self.min[lane] = if value < self.min[lane] { value } else { self.min[lane] };
        self.max[lane] = if value > self.max[lane] { value } else { self.max[lane] };
        self.spoilt[lane] += 0.0 * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn extremes_are_those_of_each_slice() {
        let mut voxels = Array3::from_shape_fn((3, 5, 37), |(s, r, c)| ((s * 7 + r * 31 + c * 13) % 101) as f32 - 20.0);
        let plain = |slice: ArrayView2<f32>| {
            Some([slice.iter().copied().fold(f32::MAX, f32::min), slice.iter().copied().fold(f32::MIN, f32::max)])
        };
        let expected: Vec<_> = voxels.outer_iter().map(plain).collect();
        assert_eq!(extremes(voxels.view()), expected);
        // Rows of other steps in memory than one.
        let turned = voxels.view().permuted_axes([0, 2, 1]);
        assert_eq!(extremes(turned), expected);

        for (at, value) in [([0, 0, 0], f32::NAN), ([1, 4, 36], f32::INFINITY), ([2, 2, 17], f32::NEG_INFINITY)] {
            let kept = std::mem::replace(&mut voxels[at], value);
            let found = extremes(voxels.view());
            assert!((0..3).all(|s| found[s] == if s == at[0] { None } else { expected[s] }), "{value} at {at:?}");
            assert!(!all_finite(voxels.as_slice().unwrap()), "{value} at {at:?}");
            voxels[at] = kept;
        }
        assert!(all_finite(voxels.as_slice().unwrap()));
    }

    #[test]
    fn a_falling_scale_swaps_the_extremes() {
        let falling = ScaleIntensityRangeSpec { a_min: 0.0, a_max: 10.0, b_min: 1.0, b_max: 0.0 };
        assert_eq!(Scale::of_range(&falling).of_extremes([0.0, 5.0]), [0.5, 1.0]);
    }
}
