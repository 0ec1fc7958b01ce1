//! From the prepared grid back onto the source's.

use ndarray::{Array3, ArrayView3};

use crate::imaging::parts::fill_rows;
use crate::manifest::InvertMode;

use super::linear::{Tap, corner_aligned, resample};
use super::{TransformError, counts};

/// A spatial step on volumes with what its inverse needs. Sizes are (slices, rows, columns).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppliedVolume {
    /// Of the `from` voxels, `size` from `start` on were kept.
    CenterSpatialCrop { from: [usize; 3], start: [usize; 3], size: [usize; 3] },
    /// First and last voxels' centres fell on one another.
    Resize { from: [usize; 3], to: [usize; 3] },
}

/// A mask of the prepared grid on the source's grid, as far as `applied` leads back: 1 inside, 0 outside and wherever no
/// crop reached.
///
/// # Errors
/// [`TransformError::Image`]: the mask is not of the prepared grid's size.
pub fn invert_mask(
    mask: ArrayView3<u8>,
    applied: &[AppliedVolume],
    mode: InvertMode,
) -> Result<Array3<u8>, TransformError> {
    // Halves come out of sums of thirds and sixths too, which rounding may leave below.
    const HALF: f64 = 0.5 - 1e-9;
    check_size(mask.dim().into(), applied)?;
    Ok(match mode {
        InvertMode::Nearest => invert_nearest(mask, applied),
        InvertMode::Linear => invert_linear(mask, applied, f32::from, |value| u8::from(value >= HALF)),
    })
}

/// As [`invert_mask`], for values between 0 and 1.
///
/// # Errors
/// [`TransformError::Image`]: the array is not of the prepared grid's size.
pub fn invert_probability(
    probability: Array3<f32>,
    applied: &[AppliedVolume],
    mode: InvertMode,
) -> Result<Array3<f32>, TransformError> {
    check_size(probability.dim().into(), applied)?;
    Ok(match mode {
        _ if applied.is_empty() => probability,
        InvertMode::Nearest => invert_nearest(probability.view(), applied),
        InvertMode::Linear => invert_linear(probability.view(), applied, |v| v, |value| value as f32),
    })
}

fn check_size(found: [usize; 3], applied: &[AppliedVolume]) -> Result<(), TransformError> {
    let expected = applied.last().map_or(found, |step| match step {
        AppliedVolume::CenterSpatialCrop { size, .. } => *size,
        AppliedVolume::Resize { to, .. } => *to,
    });
    if found == expected {
        return Ok(());
    }
    let reason = format!("found {} voxels, expected {}", counts(found), counts(expected));
    Err(TransformError::Image { step: "Invert", reason })
}

/// Where each voxel of an axis of the source lies on the prepared grid (of `prepared` voxels); `None`: outside a crop.
pub(super) fn positions(applied: &[AppliedVolume], prepared: [usize; 3], axis: usize) -> Vec<Option<f64>> {
    let source = applied.first().map_or(prepared, |step| match step {
        AppliedVolume::CenterSpatialCrop { from, .. } | AppliedVolume::Resize { from, .. } => *from,
    });
    let forward = |position: f64, step: &AppliedVolume| match step {
        AppliedVolume::CenterSpatialCrop { start, size, .. } => {
            // After a resize a source voxel's centre may lie off the centres, yet within a voxel that was kept.
            let (position, end) = (position - start[axis] as f64, size[axis] as f64 - 0.5);
            (-0.5..end).contains(&position).then(|| position.clamp(0.0, end - 0.5))
        }
        AppliedVolume::Resize { from, to } => Some(corner_aligned(position, from[axis], to[axis])),
    };
    (0..source[axis]).map(|i| applied.iter().try_fold(i as f64, forward)).collect()
}

fn invert_linear<S: Copy + Sync, T: Copy + Default + Send>(
    values: ArrayView3<S>,
    applied: &[AppliedVolume],
    read: impl Fn(S) -> f32 + Sync,
    finish: impl Fn(f64) -> T + Sync,
) -> Array3<T> {
    let prepared: [usize; 3] = values.dim().into();
    let taps: [Vec<Tap>; 3] = std::array::from_fn(|axis| {
        let tap = |position: Option<f64>| position.map_or(Tap::OUTSIDE, |p| Tap::at(p, prepared[axis]));
        positions(applied, prepared, axis).into_iter().map(tap).collect()
    });
    let fill = |slice: usize, row: usize, out: &mut [f32]| {
        let values = values.slice(ndarray::s![slice, row, ..]);
        match values.to_slice() {
            Some(values) => out.iter_mut().zip(values).for_each(|(o, &v)| *o = read(v)),
            None => out.iter_mut().zip(values).for_each(|(o, &v)| *o = read(v)),
        }
    };
    resample(taps.each_ref().map(Vec::as_slice), prepared[2], fill, finish)
}

fn invert_nearest<T: Copy + Default + Send + Sync>(values: ArrayView3<T>, applied: &[AppliedVolume]) -> Array3<T> {
    let prepared: [usize; 3] = values.dim().into();
    let [slices, rows, columns]: [Vec<Option<usize>>; 3] = std::array::from_fn(|axis| {
        let nearest = |position: f64| ((position + 0.5) as usize).min(prepared[axis].saturating_sub(1));
        positions(applied, prepared, axis).into_iter().map(|position| position.map(nearest)).collect()
    });
    let mut out = Array3::from_elem((slices.len(), rows.len(), columns.len()), T::default());
    let voxels = out.as_slice_mut().unwrap_or_default();
    if voxels.is_empty() {
        return out;
    }
    fill_rows(slices.len(), slices.len() * rows.len() * columns.len(), voxels, |part, out| {
        let lines = slices[part].iter().flat_map(|slice| rows.iter().map(move |row| slice.zip(*row)));
        for (line, out) in lines.zip(out.chunks_exact_mut(columns.len())) {
            let Some((slice, row)) = line else { continue };
            let row = values.slice(ndarray::s![slice, row, ..]);
            for (out, column) in out.iter_mut().zip(&columns) {
                *out = column.map_or(T::default(), |column| row[column]);
            }
        }
    });
    out
}
