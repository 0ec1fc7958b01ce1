//! Masks from probabilities, and their erosion. A mask is an array (slice, row, column) of bytes, 1 inside and 0 outside.

use ndarray::{Array3, ArrayView3, Axis, Slice};

/// 1 where the value is above the threshold: a value equal to it, or NaN, is outside.
pub fn threshold(values: ArrayView3<f32>, threshold: f32) -> Array3<u8> {
    values.map(|&value| u8::from(value > threshold))
}

/// Erosion with a cuboid of ones of `size` (slices, rows, columns), odd numbers; beyond the border is outside. Equals
/// scipy.ndimage.binary_erosion with `structure=ones(size)`, `border_value=0`.
pub fn binary_erosion(mask: ArrayView3<u8>, size: [usize; 3]) -> Array3<u8> {
    // Inside the cuboid is inside the segment along each axis in turn.
    (0..3).fold(mask.as_standard_layout().into_owned(), |mask, axis| erode(mask, Axis(axis), size[axis] / 2))
}

/// Keeps what has `reach` voxels of the mask on either side along an axis.
fn erode(mask: Array3<u8>, axis: Axis, reach: usize) -> Array3<u8> {
    if reach == 0 {
        return mask;
    }
    let mut eroded = Array3::zeros(mask.raw_dim());
    let Some(kept) = mask.len_of(axis).checked_sub(2 * reach) else { return eroded };
    let shifted = |by: usize| mask.slice_axis(axis, Slice::from(by..by + kept));
    let mut centers = eroded.slice_axis_mut(axis, Slice::from(reach..reach + kept));
    centers.assign(&shifted(0));
    for by in 1..=2 * reach {
        centers.zip_mut_with(&shifted(by), |center, &neighbour| *center &= neighbour);
    }
    eroded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_above_the_threshold_is_inside() {
        let above = f32::from_bits(0.7f32.to_bits() + 1);
        let values = ndarray::array![[[0.7, above, f32::NAN, 1.0, 0.0]]];
        assert_eq!(threshold(values.view(), 0.7), ndarray::array![[[0, 1, 0, 1, 0]]]);
    }

    #[test]
    fn erosion_keeps_voxels_whose_whole_cuboid_is_inside() {
        // No voxel's neighbourhood is like another's: a fixed scramble, mostly ones.
        let mask = Array3::from_shape_fn((7, 9, 11), |(s, r, c)| u8::from((s * 131 + r * 37 + c * 17) % 23 != 0));
        for size in [[1, 1, 1], [3, 3, 3], [1, 3, 5], [5, 1, 1], [7, 1, 3], [9, 1, 1], [1, 1, 11], [1, 1, 13]] {
            let reach = size.map(|d: usize| (d / 2) as i64);
            let inside = |at: [i64; 3]| {
                let at = at.map(|i| usize::try_from(i).unwrap_or(usize::MAX));
                mask.get(at) == Some(&1)
            };
            let expected = Array3::from_shape_fn(mask.raw_dim(), |(s, r, c)| {
                let all = (-reach[0]..=reach[0]).all(|ds| {
                    (-reach[1]..=reach[1]).all(|dr| {
                        (-reach[2]..=reach[2]).all(|dc| inside([s as i64 + ds, r as i64 + dr, c as i64 + dc]))
                    })
                });
                u8::from(all)
            });
            assert_eq!(binary_erosion(mask.view(), size), expected, "{size:?}");
        }
        assert_eq!(binary_erosion(Array3::zeros((0, 3, 3)).view(), [3; 3]).len(), 0);
    }
}
