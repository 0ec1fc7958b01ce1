//! How two masks on one grid overlap.

use ndarray::ArrayView3;
use serde::Serialize;

use super::estimate::Measure;
use super::surface::hausdorff_95;

/// What is known of the masks' grid.
#[derive(Debug, Clone, PartialEq)]
pub struct GridSize {
    /// Between voxels' centres along (slice, row, column), at right angles, mm; or why distances cannot be told.
    pub spacing_mm: Result<[f64; 3], String>,
    /// Volume of a voxel; or why it is not known.
    pub voxel_ml: Result<f64, String>,
}

/// One segment in one case: the model's mask against the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Overlap {
    /// Voxels of the reference, of the answer.
    pub reference_voxels: usize,
    pub answer_voxels: usize,
    pub reference_ml: Measure,
    pub answer_ml: Measure,
    /// 2 · both / (answer + reference) (Dice 1945). Undefined where both are empty: the case was rightly left alone.
    pub dice: Measure,
    /// both / either (Jaccard 1901); undefined as above.
    pub intersection_over_union: Measure,
    /// In mm; see [`hausdorff_95`].
    pub hausdorff_95: Measure,
    /// Answer minus reference, ml.
    pub volume_error_ml: Measure,
    /// Of the reference's volume, in percent.
    pub volume_error_percent: Measure,
}

/// `answer` and `reference`: (slice, row, column), other than 0 inside.
///
/// # Errors
/// The masks' shapes differ.
pub fn overlap(answer: ArrayView3<u8>, reference: ArrayView3<u8>, grid: &GridSize) -> Result<Overlap, String> {
    if answer.dim() != reference.dim() {
        return Err(format!("found masks of {:?} and {:?} voxels, expected one shape", answer.dim(), reference.dim()));
    }
    let (mut found, mut wanted, mut both) = (0usize, 0usize, 0usize);
    ndarray::Zip::from(answer).and(reference).for_each(|a, r| {
        found += usize::from(*a != 0);
        wanted += usize::from(*r != 0);
        both += usize::from(*a != 0 && *r != 0);
    });
    let share = |part: usize, whole: usize| match whole {
        0 => Measure::undefined("both masks are empty"),
        whole => Measure::new(part as f64 / whole as f64, None),
    };
    let volume = |voxels: f64| match &grid.voxel_ml {
        Ok(ml) => Measure::new(voxels * ml, None),
        Err(reason) => Measure::undefined(reason.clone()),
    };
    let excess = found as f64 - wanted as f64;
    Ok(Overlap {
        reference_voxels: wanted,
        answer_voxels: found,
        reference_ml: volume(wanted as f64),
        answer_ml: volume(found as f64),
        dice: share(2 * both, found + wanted),
        intersection_over_union: share(both, found + wanted - both),
        hausdorff_95: match &grid.spacing_mm {
            Ok(spacing) => hausdorff_95(answer, reference, *spacing),
            Err(reason) => Measure::undefined(reason.clone()),
        },
        volume_error_ml: volume(excess),
        volume_error_percent: match wanted {
            0 => Measure::undefined("the reference is empty"),
            wanted => Measure::new(100.0 * excess / wanted as f64, None),
        },
    })
}
