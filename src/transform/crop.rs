//! CropForeground: the box of the largest region above a threshold.

use crate::imaging::Pixels;
use crate::imaging::bit_mask::BitMask;
use crate::imaging::contours::{Contour, largest_contour};
use crate::imaging::histogram::Histogram;
use crate::imaging::otsu::{otsu_256_bins, otsu_levels};
use crate::manifest::transform::{BoundsSpec, CropForegroundSpec, HistogramSpec, RegionSpec, ThresholdSpec};

use super::Shades;

/// Rows and columns of a rectangle of pixels, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelBox {
    pub rows: (usize, usize),
    pub columns: (usize, usize),
}

impl PixelBox {
    /// (rows, columns)
    pub fn size(&self) -> [usize; 2] {
        [self.rows.1 - self.rows.0, self.columns.1 - self.columns.0]
    }

    pub(super) fn whole((rows, columns): (usize, usize)) -> Self {
        Self { rows: (0, rows), columns: (0, columns) }
    }

    /// The pixels within a contour's extent. `None` if that is no pixel: a region of a corner pixel, say.
    pub(super) fn of_contour(contour: &Contour, bounds: BoundsSpec) -> Option<Self> {
        // Coordinates are doubled: halving rounds down.
        let axis = |i: usize| {
            let (min, max) = (contour.min[i], contour.max[i]);
            let max = if bounds == BoundsSpec::FloorCeil { max + 1 } else { max };
            ((min / 2) as usize, (max / 2) as usize)
        };
        let (rows, columns) = (axis(0), axis(1));
        (rows.0 < rows.1 && columns.0 < columns.1).then_some(Self { rows, columns })
    }
}

/// The box that CropForeground keeps. The whole image where there is no foreground, no background, or no pixel within.
pub fn crop_foreground(pixels: &Pixels, shades: Shades, histogram: &Histogram, spec: &CropForegroundSpec) -> PixelBox {
    let ThresholdSpec::Otsu(otsu) = &spec.threshold;
    let threshold = match otsu.histogram {
        HistogramSpec::Levels => otsu_levels(histogram),
        // Levels are whole numbers: above the threshold is above its integer part.
        HistogramSpec::Bins256 => otsu_256_bins(histogram, |level| level as f32).floor() as i32,
    };
    let RegionSpec::LargestContour = spec.region;
    let largest = largest_contour(&foreground(pixels, shades, threshold));
    largest.and_then(|contour| PixelBox::of_contour(&contour, spec.bounds)).unwrap_or(PixelBox::whole(pixels.dim()))
}

/// `level > threshold`
fn foreground(pixels: &Pixels, shades: Shades, threshold: i32) -> BitMask {
    if shades.inverted() {
        // sum - v > t where v < sum - t, which is where v > sum - t - 1 does not hold
        BitMask::above(pixels, shades.level(threshold) - 1).complement()
    } else {
        BitMask::above(pixels, threshold)
    }
}
