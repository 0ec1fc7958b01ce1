//! The region of an image that a chain looks at: the box of a segment's pixels, with a margin.

use ndarray::{Array2, ArrayView2};

use super::PixelBox;
use crate::manifest::RegionOfInterestSpec;

/// What of an image goes through the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRegion {
    /// In pixels of the source image.
    pub kept: PixelBox,
    /// Of the whole image, (row, column), 1 inside: bytes outside become 0. None: all pixels of the box stay.
    pub mask: Option<Array2<u8>>,
}

impl ImageRegion {
    /// The box around the pixels of `mask`, (row, column) of the source image with 1 inside, that the manifest asks for; None where
    /// no pixel is inside. `spacing_mm`: of rows and columns, where they are calibrated.
    pub fn around(mask: &Array2<u8>, spec: &RegionOfInterestSpec, spacing_mm: Option<[f64; 2]>) -> Option<Self> {
        let tight = extent(mask.view())?;
        let margin = match spacing_mm.filter(|_| spec.margin_mm > 0.0) {
            Some(spacing) => spacing.map(|mm| (spec.margin_mm / mm).ceil() as usize),
            None => [spec.margin_pixels; 2],
        };
        let (rows, columns) = mask.dim();
        let wider = |(start, end): (usize, usize), margin: usize, size: usize| {
            (start.saturating_sub(margin), end.saturating_add(margin).min(size))
        };
        let kept =
            PixelBox { rows: wider(tight.rows, margin[0], rows), columns: wider(tight.columns, margin[1], columns) };
        Some(Self { kept, mask: spec.mask.then(|| mask.mapv(|v| u8::from(v != 0))) })
    }
}

fn extent(mask: ArrayView2<u8>) -> Option<PixelBox> {
    let inside = |line: ndarray::ArrayView1<u8>| line.iter().any(|v| *v != 0);
    let ends = |lines: Vec<bool>| {
        let first = lines.iter().position(|inside| *inside)?;
        Some((first, lines.iter().rposition(|inside| *inside)? + 1))
    };
    let rows = ends(mask.rows().into_iter().map(inside).collect())?;
    let columns = ends(mask.columns().into_iter().map(inside).collect())?;
    Some(PixelBox { rows, columns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::MissingPolicy;

    #[test]
    fn the_box_has_its_margin_within_the_image() {
        let mask = Array2::from_shape_fn((20, 30), |(r, c)| u8::from((3..6).contains(&r) && (10..25).contains(&c)));
        let spec = |margin_mm, margin_pixels, mask| RegionOfInterestSpec {
            model: "first".into(),
            segment: "Tumour".into(),
            margin_mm,
            margin_pixels,
            mask,
            when_missing: MissingPolicy::Run,
        };
        let around = |spec: &RegionOfInterestSpec, spacing| {
            let region = ImageRegion::around(&mask, spec, spacing).unwrap();
            (region.kept.rows, region.kept.columns, region.mask.is_some())
        };
        let spacing = Some([0.5, 2.0]);
        assert_eq!(around(&spec(0.0, 0, false), None), ((3, 6), (10, 25), false));
        assert_eq!(around(&spec(0.0, 2, true), spacing), ((1, 8), (8, 27), true));
        // 3 mm are 6 rows and, rounded up, 2 columns.
        assert_eq!(around(&spec(3.0, 1, false), spacing), ((0, 12), (8, 27), false));
        assert_eq!(around(&spec(3.0, 1, false), None), ((2, 7), (9, 26), false));
        assert_eq!(around(&spec(0.0, usize::MAX, false), None), ((0, 20), (0, 30), false));
        assert_eq!(ImageRegion::around(&Array2::zeros((4, 4)), &spec(3.0, 1, true), spacing), None);
    }
}
