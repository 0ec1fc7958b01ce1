//! How much each voxel of a window counts where windows overlap (monai.data.utils.compute_importance_map).

use ndarray::{ArrayD, Axis, IxDyn};

use crate::manifest::BlendMode;

/// No voxel counts less: the average is a quotient.
const LEAST: f32 = 1e-3;

/// Weights of a window of size `roi`, all above zero. Gaussian: exp(-x² / 2σ²) with σ = `sigma_scale` × size, x from the window's centre,
/// multiplied over the axes; not below the smallest weight or 1e-3, whichever is larger.
pub fn importance_map(roi: &[usize], mode: BlendMode, sigma_scale: f64) -> ArrayD<f32> {
    let mut map = ArrayD::ones(IxDyn(roi));
    if mode == BlendMode::Constant {
        return map;
    }
    for (axis, &size) in roi.iter().enumerate() {
        let double_variance = (2.0 * (sigma_scale * size as f64).powi(2)) as f32;
        let centre = (size as f32 - 1.0) / 2.0;
        for (i, mut plane) in map.axis_iter_mut(Axis(axis)).enumerate() {
            let x = i as f32 - centre;
            let weight = (-(x * x) / double_variance).exp();
            plane.mapv_inplace(|w| w * weight);
        }
    }
    let least = map.iter().copied().fold(f32::INFINITY, f32::min).max(LEAST);
    map.mapv_inplace(|w| w.max(least));
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_fall_towards_the_edge_and_stay_above_zero() {
        let map = importance_map(&[32, 17], BlendMode::Gaussian, 0.125);
        assert_eq!(map[[15, 8]], map[[16, 8]], "an even axis has two centres");
        assert!(map[[16, 8]] > 0.99 && map[[16, 4]] < map[[16, 6]] && map[[4, 8]] < map[[8, 8]]);
        assert_eq!(map[[0, 0]], 1e-3);
        assert!(importance_map(&[3, 4], BlendMode::Constant, 0.125).iter().all(|w| *w == 1.0));
    }
}
