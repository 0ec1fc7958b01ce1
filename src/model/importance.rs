//! The weight of each voxel of a window where windows overlap.

use ndarray::Array3;

use crate::manifest::inferer::{BlendMode, SlidingWindowInfererSpec};

/// MONAI's `compute_importance_map`: 1, or a gaussian around the window's middle with sigma = sigma_scale × roi_size on each axis, the
/// product of the axes in f32, nowhere less than its own least value or 1e-3, whichever is more.
pub fn importance_map(spec: &SlidingWindowInfererSpec) -> Array3<f32> {
    const LEAST: f32 = 1e-3;
    match spec.mode {
        BlendMode::Constant => Array3::ones(spec.roi_size),
        BlendMode::Gaussian => {
            let axes = spec.roi_size.map(|size| {
                let (middle, sigma) = ((size as f64 - 1.0) / 2.0, spec.sigma_scale * size as f64);
                let weight = |i: usize| (-(i as f64 - middle).powi(2) / (2.0 * sigma * sigma)).exp() as f32;
                (0..size).map(weight).collect::<Vec<f32>>()
            });
            let map = Array3::from_shape_fn(spec.roi_size, |(s, r, c)| axes[0][s] * axes[1][r] * axes[2][c]);
            let least = map.iter().copied().fold(f32::MAX, f32::min).max(LEAST);
            map.mapv_into(|weight| weight.max(least))
        }
    }
}
