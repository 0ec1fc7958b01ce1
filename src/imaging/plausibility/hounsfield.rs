//! Shares of voxels by ranges of HU.

use ndarray::{ArrayView2, s};

use super::SAMPLED_SIDE;

/// The share of the slices' pixels, 0 to 1, in each of the ranges (both ends included). Of each slice at most 256 × 256 pixels are counted. 0
/// each where there is no pixel.
pub fn shares_between(slices: &[ArrayView2<f32>], ranges: &[[f32; 2]]) -> Vec<f64> {
    let (mut inside, mut all) = (vec![0usize; ranges.len()], 0usize);
    for slice in slices {
        let stride = slice.nrows().max(slice.ncols()).div_ceil(SAMPLED_SIDE).max(1) as isize;
        for value in slice.slice(s![..;stride, ..;stride]) {
            all += 1;
            for (count, [from, to]) in inside.iter_mut().zip(ranges) {
                *count += usize::from((*from..=*to).contains(value));
            }
        }
    }
    inside.into_iter().map(|count| count as f64 / all.max(1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn shares_are_over_all_slices() {
        let slices = [array![[-1000.0f32, 0.0], [40.0, 1200.0]], array![[f32::NAN, 40.0], [40.0, 40.0]]];
        let views: Vec<ArrayView2<f32>> = slices.iter().map(|slice| slice.view()).collect();
        let found = shares_between(&views, &[[-2000.0, -300.0], [0.0, 80.0], [300.0, 4000.0]]);
        assert_eq!(found, [0.125, 0.625, 0.125]);
        assert_eq!(shares_between(&[], &[[0.0, 1.0]]), [0.0]);
    }
}
