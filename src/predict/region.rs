//! What was segmented in one image, and how large it is there.

use ndarray::{Array2, ArrayView2, Axis};

use super::{LongAxis, Outline, measure};
use crate::imaging::Geometry;

/// The pixels of one segment in one image, and what was measured on them.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageMask {
    /// (row, column) of the source image, 1 inside.
    pub mask: Array2<u8>,
    /// None: no pixel is inside.
    pub region: Option<Region>,
}

/// Measurements of a segment in one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    pub pixels: usize,
    /// Share of the image's pixels that are inside, in percent.
    pub share_percent: f64,
    /// None where nobody knows how large a pixel is.
    pub area_mm2: Option<f64>,
    /// The longest distance between two of the pixels' centres.
    pub long_axis: InPlaneAxis,
    /// Mean of the source's values inside, after the modality LUT.
    pub mean: f64,
    /// Mean over the segment's pixels of the standard deviation of the probabilities (0 to 0.5), of a model that combines several
    /// answers.
    pub spread: Option<f64>,
    /// Of the largest connected part. Its slice is 0.
    pub outline: Outline,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InPlaneAxis {
    Millimetres(f64),
    /// Of images that are not calibrated, in pixels.
    Pixels(f64),
}

impl Region {
    /// Measures a mask, (row, column) with 1 inside. `spacing_mm`: of rows and columns, where they are calibrated. `mean`: of the source's
    /// values inside. None: no pixel is inside. The spread is not measured here.
    pub fn measure(mask: ArrayView2<u8>, spacing_mm: Option<[f64; 2]>, mean: f64) -> Option<Self> {
        let (rows, columns) = mask.dim();
        let [row, column] = spacing_mm.unwrap_or([1.0, 1.0]);
        let plane = Geometry::of_plane([rows, columns], [row, column]);
        let lesion = measure(mask.insert_axis(Axis(0)), &plane, &[], mask.len())?;
        let LongAxis { length_mm, .. } = lesion.long_axis;
        Some(Self {
            pixels: lesion.voxels,
            share_percent: lesion.ratio_percent,
            area_mm2: spacing_mm.map(|_| lesion.voxels as f64 * row * column),
            long_axis: if spacing_mm.is_some() {
                InPlaneAxis::Millimetres(length_mm)
            } else {
                InPlaneAxis::Pixels(length_mm)
            },
            mean,
            spread: None,
            outline: lesion.outline,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn area_share_and_axis_are_those_of_the_pixels() {
        // A bar of 3 rows and 5 columns.
        let mask = Array2::from_shape_fn((10, 20), |(r, c)| u8::from((2..5).contains(&r) && (4..9).contains(&c)));
        let region = Region::measure(mask.view(), Some([2.0, 0.5]), 7.5).unwrap();
        assert_eq!((region.pixels, region.share_percent, region.mean), (15, 7.5, 7.5));
        assert_eq!(region.area_mm2, Some(15.0));
        // From corner to corner: 2 rows of 2 mm, 4 columns of 0.5 mm.
        let InPlaneAxis::Millimetres(axis) = region.long_axis else { panic!("{region:?}") };
        assert!((axis - 4f64.hypot(2.0)).abs() < 1e-12, "{axis}");
        assert_eq!(region.outline.points, [[4.0, 2.0], [9.0, 2.0], [9.0, 5.0], [4.0, 5.0], [4.0, 2.0]]);

        let uncalibrated = Region::measure(mask.view(), None, 0.0).unwrap();
        assert_eq!(uncalibrated.area_mm2, None);
        let InPlaneAxis::Pixels(axis) = uncalibrated.long_axis else { panic!("{uncalibrated:?}") };
        assert!((axis - 2f64.hypot(4.0)).abs() < 1e-12, "{axis}");
        assert_eq!(Region::measure(Array2::zeros((3, 3)).view(), None, 0.0), None);
    }
}
