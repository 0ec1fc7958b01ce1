//! Means of values of the prepared grid inside masks of the source's, without bringing the values there.

use ndarray::{ArrayView2, ArrayView3, Axis};

use super::{Applied, AppliedVolume, invert, invert_image};

/// Mean of `values`, (slice, row, column) of the prepared grid, inside `mask`, (slice, row, column) of the source's with 1 inside: of each voxel
/// inside the value nearest to its centre, as `Invert` has it in mode `nearest`. Of voxels inside that no crop reached nothing is known, and they
/// are not counted. None: no other one is inside, or a value is no finite number.
pub fn mean_inside(values: ArrayView3<f32>, mask: ArrayView3<u8>, applied: &[AppliedVolume]) -> Option<f64> {
    let prepared = values.dim().into();
    mean(values, mask, std::array::from_fn(|axis| invert::positions(applied, prepared, axis)))
}

/// As [`mean_inside`], of a single image: (row, column).
pub fn image_mean_inside(values: ArrayView2<f32>, mask: ArrayView2<u8>, applied: &[Applied]) -> Option<f64> {
    let prepared = values.dim().into();
    let [rows, columns] = std::array::from_fn(|axis| invert_image::positions(applied, prepared, axis));
    mean(values.insert_axis(Axis(0)), mask.insert_axis(Axis(0)), [vec![Some(0.0)], rows, columns])
}

/// `positions`: of each slice, row and column of the mask among the centres of those of `values`.
fn mean(values: ArrayView3<f32>, mask: ArrayView3<u8>, positions: [Vec<Option<f64>>; 3]) -> Option<f64> {
    let prepared: [usize; 3] = values.dim().into();
    let nearest = |(axis, positions): (usize, Vec<Option<f64>>)| -> Vec<Option<usize>> {
        let last = prepared[axis].saturating_sub(1);
        positions.into_iter().map(|position| position.map(|p| ((p + 0.5) as usize).min(last))).collect()
    };
    let nearest: Vec<Vec<Option<usize>>> = positions.into_iter().enumerate().map(nearest).collect();
    let (mut sum, mut count) = (0.0, 0usize);
    for (plane, slice) in mask.outer_iter().zip(&nearest[0]) {
        for (line, row) in plane.outer_iter().zip(&nearest[1]) {
            let Some((slice, row)) = slice.zip(*row) else { continue };
            for (_, column) in line.iter().zip(&nearest[2]).filter(|(inside, _)| **inside != 0) {
                let Some(value) = column.and_then(|column| values.get([slice, row, column])) else { continue };
                sum += f64::from(*value);
                count += 1;
            }
        }
    }
    (count > 0 && sum.is_finite()).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;
    use crate::manifest::InvertMode;
    use crate::transform::{PixelBox, invert_image_probability, invert_probability};

    fn inside<'a>(values: impl Iterator<Item = (&'a f32, &'a u8)>) -> Option<f64> {
        let inside: Vec<f64> = values.filter(|(_, m)| **m != 0).map(|(v, _)| f64::from(*v)).collect();
        (!inside.is_empty()).then(|| inside.iter().sum::<f64>() / inside.len() as f64)
    }

    #[test]
    fn the_mean_is_that_of_the_values_brought_to_the_source() {
        let values = Array3::from_shape_fn((4, 6, 5), |(s, r, c)| ((s * 31 + r * 7 + c * 3) % 17) as f32 / 34.0);
        let applied = [
            AppliedVolume::CenterSpatialCrop { from: [9, 20, 14], start: [1, 4, 2], size: [8, 13, 10] },
            AppliedVolume::Resize { from: [8, 13, 10], to: [4, 6, 5] },
        ];
        let mask = Array3::from_shape_fn((9, 20, 14), |(s, r, c)| {
            u8::from((1..8).contains(&s) && (5..16).contains(&r) && (3..11).contains(&c) && (s + r * c) % 3 != 0)
        });
        let on_source = invert_probability(values.clone(), &applied, InvertMode::Nearest).unwrap();
        let expected = inside(on_source.iter().zip(&mask)).unwrap();
        let found = mean_inside(values.view(), mask.view(), &applied).unwrap();
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        // What is inside beyond the crop has no value, and does not make the mean less.
        let mut wider = mask.clone();
        wider.index_axis_mut(Axis(0), 0).fill(1);
        assert_eq!(mean_inside(values.view(), wider.view(), &applied), Some(found));
        assert_eq!(mean_inside(values.view(), Array3::zeros((9, 20, 14)).view(), &applied), None);
    }

    #[test]
    fn images_go_their_own_way_back() {
        let values = Array2::from_shape_fn((6, 5), |(r, c)| ((r * 5 + c) % 11) as f32 / 22.0);
        let kept = PixelBox { rows: (2, 12), columns: (4, 17) };
        let applied =
            [Applied::CropForeground { source: [13, 20], kept }, Applied::Resize { from: [10, 13], to: [6, 5] }];
        let mask = Array2::from_shape_fn((13, 20), |(r, c)| {
            u8::from((3..11).contains(&r) && (5..16).contains(&c) && (r + c) % 4 != 0)
        });
        let on_source = invert_image_probability(values.view(), &applied, InvertMode::Nearest).unwrap();
        let found = image_mean_inside(values.view(), mask.view(), &applied).unwrap();
        assert!((found - inside(on_source.iter().zip(&mask)).unwrap()).abs() < 1e-9);
        let same = Array2::from_shape_fn((6, 5), |(r, _)| u8::from(r == 1));
        let expected = inside(values.iter().zip(&same));
        assert_eq!(
            image_mean_inside(values.view(), same.view(), &[]).map(|v| (v * 1e9).round()),
            expected.map(|v| (v * 1e9).round())
        );
        let broken = Array2::from_elem((6, 5), f32::NAN);
        assert_eq!(image_mean_inside(broken.view(), same.view(), &[]), None);
    }
}
