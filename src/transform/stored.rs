//! An image before it is bytes or floats: as it was stored.

use std::borrow::Cow;
use std::sync::OnceLock;

use dicom_object::InMemDicomObject;
use ndarray::{Array2, ArrayView2, Axis, s};

use crate::imaging::histogram::Histogram;
use crate::imaging::{ColourImage, ImageAttributes, Photometric, Pixels, Projection, Rescale};
use crate::manifest::transform::{CropForegroundSpec, LumaMode, Uint8Mode};

use super::crop::{PixelBox, crop_foreground};
use super::uint8::{Table, uint8_table};
use super::{Applied, ImageRegion, Shades, TransformError};

pub(super) enum Stored<'a> {
    Grey(Box<Grey<'a>>),
    Colour(&'a ColourImage),
    /// After the modality LUT already, as slices of a series are read.
    Values {
        values: ArrayView2<'a, f32>,
        attributes: &'a ImageAttributes,
    },
}

impl<'a> Stored<'a> {
    pub fn of_grey(image: &'a Projection) -> Self {
        Self::Grey(Box::new(Grey::new(Cow::Borrowed(&image.pixels), Cow::Borrowed(&image.attributes))))
    }

    pub fn attributes(&self) -> &ImageAttributes {
        match self {
            Self::Grey(grey) => &grey.attributes,
            Self::Colour(image) => &image.attributes,
            Self::Values { attributes, .. } => attributes,
        }
    }

    /// (rows, columns)
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Self::Grey(grey) => grey.pixels.dim(),
            Self::Colour(image) => (image.rgb.len_of(Axis(0)), image.rgb.len_of(Axis(1))),
            Self::Values { values, .. } => values.dim(),
        }
    }

    /// # Errors
    /// The step takes monochrome images as they are stored.
    pub fn grey(&mut self, step: &'static str) -> Result<&mut Grey<'a>, TransformError> {
        let found = match self {
            Self::Grey(grey) => return Ok(grey),
            Self::Colour(image) => format!("a colour image ({})", image.attributes.photometric.term()),
            Self::Values { .. } => "a slice of a series".into(),
        };
        Err(TransformError::Image { step, reason: format!("found {found}, expected a monochrome image") })
    }
}

/// A monochrome image with what has been noted about it.
pub(super) struct Grey<'a> {
    pixels: Cow<'a, Pixels>,
    attributes: Cow<'a, ImageAttributes>,
    shades: Shades,
    /// Of the levels; made when a step asks for it.
    histogram: OnceLock<Histogram>,
    kept: PixelBox,
    /// Of the whole image: bytes where it is 0 become 0.
    mask: Option<&'a Array2<u8>>,
    table: Option<Box<Table>>,
}

impl<'a> Grey<'a> {
    fn new(pixels: Cow<'a, Pixels>, attributes: Cow<'a, ImageAttributes>) -> Self {
        let (shades, kept) = (Shades::of(&attributes), PixelBox::whole(pixels.dim()));
        Self { pixels, attributes, shades, histogram: OnceLock::new(), kept, mask: None, table: None }
    }

    /// The luma of a colour image in 8 bits.
    pub fn of_luma(image: &ColourImage, mode: LumaMode) -> Self {
        let luma = |[r, g, b]: [u8; 3]| {
            let [r, g, b] = [r, g, b].map(u32::from);
            match mode {
                LumaMode::Pil => ((r * 19_595 + g * 38_470 + b * 7_471 + (1 << 15)) >> 16) as u8,
                LumaMode::Opencv => ((r * 9_798 + g * 19_235 + b * 3_735 + (1 << 14)) >> 15) as u8,
            }
        };
        let rgb = &image.rgb;
        let dim = (rgb.shape()[0], rgb.shape()[1]);
        let pixels = Array2::from_shape_fn(dim, |(r, c)| luma([0, 1, 2].map(|i| rgb[[r, c, i]])));
        // Windows and modality LUTs are not for colour (PS3.3 C.11.1, C.11.2).
        let attributes = ImageAttributes {
            photometric: Photometric::Monochrome2,
            samples_per_pixel: 1,
            bits_allocated: 8,
            bits_stored: 8,
            signed: false,
            rescale: Rescale { slope: 1.0, intercept: 0.0 },
            voi: None,
            dataset: InMemDicomObject::new_empty(),
            ..image.attributes.clone()
        };
        Self::new(Cow::Owned(Pixels::U8(pixels)), Cow::Owned(attributes))
    }

    fn histogram(&self) -> &Histogram {
        self.histogram.get_or_init(|| self.shades.histogram(&self.pixels))
    }

    /// Looks at a region alone from now on.
    pub fn keep(&mut self, region: &'a ImageRegion) {
        self.kept = region.kept;
        self.mask = region.mask.as_ref();
    }

    pub fn crop(&mut self, spec: &CropForegroundSpec) -> Applied {
        let (rows, columns) = self.pixels.dim();
        self.kept = crop_foreground(&self.pixels, self.shades, self.histogram(), spec);
        Applied::CropForeground { source: [rows, columns], kept: self.kept }
    }

    /// Notes what the stored values become in 8 bits.
    pub fn tabulate(&mut self, mode: Uint8Mode) {
        self.table = Some(uint8_table(mode, &self.attributes, self.shades, self.histogram()));
    }

    /// (rows, columns) of the box that is kept.
    pub fn size(&self) -> [usize; 2] {
        self.kept.size()
    }

    /// Values of the box that is kept after the modality LUT.
    pub fn modality_values(&self) -> Array2<f32> {
        let Rescale { slope, intercept } = self.attributes.rescale;
        let value = |stored: i32| (slope * f64::from(stored) + intercept) as f32;
        let kept = s![self.kept.rows.0..self.kept.rows.1, self.kept.columns.0..self.kept.columns.1];
        match &*self.pixels {
            Pixels::U8(a) => a.slice(kept).mapv(|v| value(v.into())),
            Pixels::U16(a) => a.slice(kept).mapv(|v| value(v.into())),
            Pixels::I16(a) => a.slice(kept).mapv(|v| value(v.into())),
        }
    }

    /// One row of the kept box, in 8 bits.
    pub fn fill_row(&self, row: usize, out: &mut [u8]) {
        let Some(table) = self.table.as_deref() else { return };
        let (row, columns) = (self.kept.rows.0 + row, self.kept.columns.0..self.kept.columns.1);
        let place = s![row, columns];
        match &*self.pixels {
            Pixels::U8(a) => look_up(table, a.slice(place), out, u16::from),
            Pixels::U16(a) => look_up(table, a.slice(place), out, |v| v),
            Pixels::I16(a) => look_up(table, a.slice(place), out, |v| v as u16),
        }
        if let Some(mask) = self.mask {
            out.iter_mut().zip(mask.slice(place)).for_each(|(byte, &inside)| *byte *= u8::from(inside != 0));
        }
    }

    /// The kept box in 8 bits.
    pub fn bytes(&self) -> Array2<u8> {
        let [rows, columns] = self.size();
        let mut bytes = vec![0; rows * columns];
        bytes.chunks_exact_mut(columns).enumerate().for_each(|(row, out)| self.fill_row(row, out));
        Array2::from_shape_vec((rows, columns), bytes).unwrap_or_default()
    }
}

fn look_up<T: Copy>(table: &Table, row: ndarray::ArrayView1<T>, out: &mut [u8], pattern: impl Fn(T) -> u16) {
    match row.to_slice() {
        Some(row) => out.iter_mut().zip(row).for_each(|(o, &v)| *o = table[usize::from(pattern(v))]),
        None => out.iter_mut().zip(row).for_each(|(o, &v)| *o = table[usize::from(pattern(v))]),
    }
}
