//! From an image's prepared grid back onto its own: the inverse of crops and resizes.

use ndarray::{Array2, ArrayView2, Axis};

use crate::manifest::InvertMode;

use super::linear::{Tap, resample};
use super::{Applied, TransformError};

/// Halves come out of sums of thirds and sixths too, which rounding may leave below.
const HALF: f64 = 0.5 - 1e-9;

/// A mask of the prepared grid on the source image's, as far as `applied` leads back: 1 inside, 0 outside and wherever no crop reached.
///
/// # Errors
/// [`TransformError::Image`]: the mask is not of the prepared grid's size.
pub fn invert_image_mask(
    mask: ArrayView2<u8>,
    applied: &[Applied],
    mode: InvertMode,
) -> Result<Array2<u8>, TransformError> {
    check_size(mask.dim().into(), applied)?;
    Ok(match mode {
        _ if applied.is_empty() => mask.to_owned(),
        InvertMode::Nearest => nearest(mask, applied),
        InvertMode::Linear => linear(mask, applied, f32::from, |value| u8::from(value >= HALF)),
    })
}

/// As [`invert_image_mask`], for values between 0 and 1.
///
/// # Errors
/// [`TransformError::Image`]: the array is not of the prepared grid's size.
pub fn invert_image_probability(
    probability: ArrayView2<f32>,
    applied: &[Applied],
    mode: InvertMode,
) -> Result<Array2<f32>, TransformError> {
    check_size(probability.dim().into(), applied)?;
    Ok(match mode {
        _ if applied.is_empty() => probability.to_owned(),
        InvertMode::Nearest => nearest(probability, applied),
        InvertMode::Linear => linear(probability, applied, |v| v, |value| value as f32),
    })
}

fn check_size(found: [usize; 2], applied: &[Applied]) -> Result<(), TransformError> {
    let expected = applied.last().map_or(found, |step| match step {
        Applied::CropForeground { kept, .. } => kept.size(),
        Applied::Resize { to, .. } => *to,
    });
    if found == expected {
        return Ok(());
    }
    let reason = format!("found {} × {} pixels, expected {} × {}", found[0], found[1], expected[0], expected[1]);
    Err(TransformError::Image { step: "Invert", reason })
}

/// Where the centre of each row (axis 0) or column (1) of the source image lies among the centres of the prepared grid's, of which there
/// are `prepared`; None: outside a crop. Resizing keeps the image's outer edges where they are, and so does the way back: as
/// torch's interpolate with `align_corners=False`.
pub(super) fn positions(applied: &[Applied], prepared: [usize; 2], axis: usize) -> Vec<Option<f64>> {
    let source = applied.first().map_or(prepared, |step| match step {
        Applied::CropForeground { source, .. } => *source,
        Applied::Resize { from, .. } => *from,
    });
    let forward = |position: f64, step: &Applied| match step {
        Applied::CropForeground { kept, .. } => {
            let (start, end) = [kept.rows, kept.columns][axis];
            // After a resize a source pixel's centre may lie off the centres, yet within a pixel that was kept.
            let (position, size) = (position - start as f64, (end - start) as f64);
            (-0.5..size - 0.5).contains(&position).then(|| position.clamp(0.0, size - 1.0))
        }
        Applied::Resize { from, to } => {
            let (from, to) = (from[axis] as f64, to[axis] as f64);
            Some(((position + 0.5) * to / from - 0.5).clamp(0.0, to - 1.0))
        }
    };
    (0..source[axis]).map(|i| applied.iter().try_fold(i as f64, forward)).collect()
}

fn linear<S: Copy + Sync, T: Copy + Default + Send>(
    values: ArrayView2<S>,
    applied: &[Applied],
    read: impl Fn(S) -> f32 + Sync,
    finish: impl Fn(f64) -> T + Sync,
) -> Array2<T> {
    let prepared: [usize; 2] = values.dim().into();
    let [rows, columns]: [Vec<Tap>; 2] = std::array::from_fn(|axis| {
        let tap = |position: Option<f64>| position.map_or(Tap::OUTSIDE, |p| Tap::at(p, prepared[axis]));
        positions(applied, prepared, axis).into_iter().map(tap).collect()
    });
    let fill = |_: usize, row: usize, out: &mut [f32]| {
        out.iter_mut().zip(values.row(row)).for_each(|(o, &v)| *o = read(v));
    };
    resample([&[Tap::at(0.0, 1)], &rows, &columns], prepared[1], fill, finish).index_axis_move(Axis(0), 0)
}

fn nearest<T: Copy + Default>(values: ArrayView2<T>, applied: &[Applied]) -> Array2<T> {
    let prepared: [usize; 2] = values.dim().into();
    let [rows, columns]: [Vec<Option<usize>>; 2] = std::array::from_fn(|axis| {
        let nearest = |position: f64| ((position + 0.5) as usize).min(prepared[axis].saturating_sub(1));
        positions(applied, prepared, axis).into_iter().map(|position| position.map(nearest)).collect()
    });
    Array2::from_shape_fn((rows.len(), columns.len()), |(row, column)| {
        rows[row].zip(columns[column]).map_or(T::default(), |(row, column)| values[[row, column]])
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::manifest::PostprocessingSpec;
    use crate::manifest::task::{AsDiscreteSpec, FillHolesSpec, InvertSpec, KeepLargestSpec};
    use crate::transform::{PixelBox, postprocess_image};

    fn crop(source: [usize; 2], rows: (usize, usize), columns: (usize, usize)) -> Applied {
        Applied::CropForeground { source, kept: PixelBox { rows, columns } }
    }

    fn resize(from: [usize; 2], to: [usize; 2]) -> Applied {
        Applied::Resize { from, to }
    }

    fn pattern(size: [usize; 2]) -> Array2<u8> {
        Array2::from_shape_fn(size, |(r, c)| u8::from((r * 7 + c * 5 + r * c) % 3 == 0))
    }

    #[test]
    fn a_crop_comes_back_to_its_place() {
        let mask = pattern([4, 6]);
        let applied = [crop([10, 9], (5, 9), (2, 8))];
        for mode in [InvertMode::Nearest, InvertMode::Linear] {
            let source = invert_image_mask(mask.view(), &applied, mode).unwrap();
            let expected = Array2::from_shape_fn((10, 9), |(r, c)| {
                if (5..9).contains(&r) && (2..8).contains(&c) { mask[[r - 5, c - 2]] } else { 0 }
            });
            assert_eq!(source, expected, "{mode:?}");
        }
    }

    #[test]
    fn whole_factors_come_back_pixel_by_pixel() {
        let mask = pattern([5, 7]);
        // Enlarged before the network, taken back: each source pixel has a block of prepared ones.
        let enlarged = Array2::from_shape_fn((15, 14), |(r, c)| mask[[r / 3, c / 2]]);
        for mode in [InvertMode::Nearest, InvertMode::Linear] {
            let applied = [resize([5, 7], [15, 14])];
            assert_eq!(invert_image_mask(enlarged.view(), &applied, mode).unwrap(), mask, "{mode:?}");
        }
        // Made smaller before the network: each prepared pixel becomes a block.
        let blocks = invert_image_mask(mask.view(), &[resize([15, 14], [5, 7])], InvertMode::Nearest).unwrap();
        assert_eq!(blocks, enlarged);
    }

    #[test]
    fn probabilities_are_those_of_the_formula_for_pixels_as_areas() {
        let probability = Array2::from_shape_fn((6, 5), |(r, c)| ((r * 5 + c) % 11) as f32 / 11.0);
        let (source, kept) = ([13usize, 20usize], PixelBox { rows: (2, 12), columns: (4, 17) });
        let applied = [Applied::CropForeground { source, kept }, resize([10, 13], [6, 5])];
        let found = invert_image_probability(probability.view(), &applied, InvertMode::Linear).unwrap();
        let axis = |i: usize, (start, end): (usize, usize), to: usize| {
            (start..end).contains(&i).then(|| {
                let x = ((i - start) as f64 + 0.5) * to as f64 / (end - start) as f64 - 0.5;
                let x = x.clamp(0.0, to as f64 - 1.0);
                let low = x.floor();
                (low as usize, (low as usize + 1).min(to - 1), x - low)
            })
        };
        for ((r, c), found) in found.indexed_iter() {
            let expected = axis(r, kept.rows, 6).zip(axis(c, kept.columns, 5)).map_or(0.0, |(row, column)| {
                let at = |r: usize, c: usize| f64::from(probability[[r, c]]);
                let line = |r| at(r, column.0) * (1.0 - column.2) + at(r, column.1) * column.2;
                line(row.0) * (1.0 - row.2) + line(row.1) * row.2
            });
            assert!((f64::from(*found) - expected).abs() < 1e-6, "({r}, {c}): {found}, expected {expected}");
        }
    }

    #[test]
    fn steps_work_in_the_plane_of_the_network() {
        // A ring, a speck: the ring's hole is filled, the speck is gone, all of it twice as large in the source.
        let mut probabilities = Array3::zeros((2, 8, 8));
        for (r, c) in (1..6).flat_map(|r| (1..6).map(move |c| (r, c))).filter(|at| *at != (3, 3)) {
            probabilities[[0, r, c]] = 0.9;
        }
        probabilities[[0, 7, 7]] = 0.8;
        let steps = [
            PostprocessingSpec::AsDiscrete(AsDiscreteSpec { threshold: 0.5 }),
            PostprocessingSpec::KeepLargestConnectedComponent(KeepLargestSpec {}),
            PostprocessingSpec::FillHoles(FillHolesSpec {}),
            PostprocessingSpec::Invert(InvertSpec { mode: InvertMode::Nearest }),
        ];
        let applied = [resize([16, 16], [8, 8])];
        let masks = postprocess_image(&probabilities, &steps, &applied).unwrap();
        let expected = Array2::from_shape_fn((16, 16), |(r, c)| u8::from((2..12).contains(&r) && (2..12).contains(&c)));
        assert_eq!(masks, [expected, Array2::zeros((16, 16))]);

        let wrong_size = postprocess_image(&Array3::zeros((1, 8, 9)), &steps, &applied).unwrap_err().to_string();
        assert!(wrong_size.contains("found 8 × 9 pixels, expected 8 × 8"), "{wrong_size}");
        let too_early = postprocess_image(&probabilities, &steps[1..], &applied).unwrap_err().to_string();
        assert!(too_early.contains("postprocessing[0]: takes a mask"), "{too_early}");
        probabilities[[1, 0, 0]] = f32::NAN;
        assert!(postprocess_image(&probabilities, &steps, &applied).is_err());
    }
}
