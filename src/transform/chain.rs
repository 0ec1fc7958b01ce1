//! The steps of a manifest, checked once and applied to many images.

use ndarray::{Array2, Array3, Axis, s};

use crate::imaging::histogram::Histogram;
use crate::imaging::{Pixels, Projection};
use crate::manifest::transform::{CropForegroundSpec, ResizeMode, ResizeSpec, ScaleIntensitySpec, TransformSpec};

use super::crop::{PixelBox, crop_foreground};
use super::resize::{resize_pil_bilinear, resize_rows};
use super::uint8::{Table, uint8_table};
use super::{Applied, ImageRegion, Prepared, Shades, TransformError};

/// A preprocessing chain whose steps fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformChain {
    steps: Vec<TransformSpec>,
}

/// What a step takes and gives: stored values, bytes, or floats with their number of channels.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Stored,
    Bytes,
    Floats { channels: usize },
}

impl TransformChain {
    /// Checks that each step takes what the one before gives.
    ///
    /// # Errors
    /// [`TransformError::Chain`] with the index of the step and the reason.
    pub fn new(steps: &[TransformSpec]) -> Result<Self, TransformError> {
        let mut form = Form::Stored;
        for (index, step) in steps.iter().enumerate() {
            let again = matches!(step, TransformSpec::CropForeground(_)) && index > 0 && form == Form::Stored;
            let next =
                if again { Err("only one CropForeground can be applied".into()) } else { form_after(step, form) };
            form = next.map_err(|reason| TransformError::Chain { index, reason })?;
        }
        if form == Form::Stored {
            let reason = "the chain ends with stored values, expected ConvertToUint8 in it".to_string();
            return Err(TransformError::Chain { index: steps.len(), reason });
        }
        Ok(Self { steps: steps.to_vec() })
    }

    /// Prepares one image for the network. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// [`TransformError::Image`] for an image of no pixels; every other image has a result.
    pub fn apply(&self, image: &Projection) -> Result<Prepared, TransformError> {
        self.apply_to(image, None)
    }

    /// Prepares a region of one image: what lies outside its box is cut away, and what lies outside its mask becomes 0 as soon as
    /// there are bytes. Their minimum and maximum are the whole image's all the same.
    ///
    /// # Errors
    /// [`TransformError::Image`] for an image of no pixels, and a region that does not lie in it.
    pub fn apply_to(&self, image: &Projection, region: Option<&ImageRegion>) -> Result<Prepared, TransformError> {
        let (rows, columns) = image.pixels.dim();
        if rows == 0 || columns == 0 {
            let reason = format!("the image has {rows} × {columns} pixels");
            return Err(TransformError::Image { step: "preprocessing", reason });
        }
        let inside = |r: &&ImageRegion| {
            let (kept, mask) = (r.kept, r.mask.as_ref().map(Array2::dim));
            let lies = kept.rows.0 < kept.rows.1 && kept.rows.1 <= rows && kept.columns.0 < kept.columns.1;
            lies && kept.columns.1 <= columns && mask.is_none_or(|size| size == (rows, columns))
        };
        if region.is_some_and(|r| !inside(&r)) {
            let reason = format!("found a region that is not one of {rows} × {columns} pixels");
            return Err(TransformError::Image { step: "region of interest", reason });
        }
        let mut work = Work::new(image);
        if let Some(region) = region {
            work.kept = region.kept;
            work.mask = region.mask.as_ref();
            work.applied.push(Applied::CropForeground { source: [rows, columns], kept: region.kept });
        }
        self.steps.iter().for_each(|step| work.apply(step));
        Ok(work.finish())
    }
}

fn form_after(step: &TransformSpec, form: Form) -> Result<Form, String> {
    let wrong = |name: &str, expected: &str| Err(format!("{name} takes {expected}, found {form:?}"));
    match (step, form) {
        (TransformSpec::CropForeground(_), Form::Stored) => Ok(Form::Stored),
        (TransformSpec::CropForeground(_), _) => wrong("CropForeground", "stored values"),
        (TransformSpec::ConvertToUint8(_), Form::Stored) => Ok(Form::Bytes),
        (TransformSpec::ConvertToUint8(_), _) => wrong("ConvertToUint8", "stored values"),
        (TransformSpec::Resize(spec), _) if spec.mode != ResizeMode::PilBilinear => {
            Err(format!("Resize {:?} is for volumes", spec.mode))
        }
        (TransformSpec::Resize(spec), Form::Bytes)
            if spec.spatial_size.len() == 2 && !spec.spatial_size.contains(&0) =>
        {
            Ok(Form::Bytes)
        }
        (TransformSpec::Resize(spec), Form::Bytes) => Err(format!("Resize.spatial_size is {:?}", spec.spatial_size)),
        (TransformSpec::Resize(_), _) => wrong("Resize pil_bilinear", "bytes"),
        (TransformSpec::ScaleIntensityRange(spec), Form::Bytes | Form::Floats { .. }) if spec.a_min != spec.a_max => {
            Ok(if form == Form::Bytes { Form::Floats { channels: 1 } } else { form })
        }
        (TransformSpec::ScaleIntensityRange(spec), Form::Bytes | Form::Floats { .. }) => {
            Err(format!("ScaleIntensityRange: a_min and a_max are both {}", spec.a_min))
        }
        (TransformSpec::ScaleIntensityRange(_), Form::Stored) => wrong("ScaleIntensityRange", "bytes or floats"),
        (TransformSpec::RepeatChannel(spec), Form::Floats { channels: 1 }) if spec.repeats > 0 => {
            Ok(Form::Floats { channels: spec.repeats })
        }
        (TransformSpec::RepeatChannel(spec), Form::Floats { channels: 1 }) => {
            Err(format!("RepeatChannel.repeats is {}", spec.repeats))
        }
        (TransformSpec::RepeatChannel(_), _) => wrong("RepeatChannel", "floats of one channel"),
        (TransformSpec::NormalizeIntensity(spec), Form::Floats { channels }) => {
            let (subtrahends, divisors) = (spec.subtrahend.len(), spec.divisor.len());
            if (subtrahends, divisors) != (channels, channels) {
                return Err(format!(
                    "NormalizeIntensity has {subtrahends} subtrahends and {divisors} divisors, expected {channels} (channels)"
                ));
            }
            if spec.divisor.contains(&0.0) { Err("NormalizeIntensity.divisor has a 0".into()) } else { Ok(form) }
        }
        (TransformSpec::NormalizeIntensity(_), _) => wrong("NormalizeIntensity", "floats"),
        (TransformSpec::ScaleIntensity(_), Form::Bytes) => Ok(Form::Floats { channels: 1 }),
        (TransformSpec::ScaleIntensity(_), Form::Floats { .. }) => Ok(form),
        (TransformSpec::ScaleIntensity(_), Form::Stored) => wrong("ScaleIntensity", "bytes or floats"),
        (TransformSpec::CenterSpatialCrop(_), _) => Err("CenterSpatialCrop is for volumes".into()),
    }
}

/// An image on its way. Nothing is carried out before it must be: the resampling reads through the crop and the 8-bit
/// table, and steps on floats work on what each of the 256 byte values becomes, not on pixels.
struct Work<'a> {
    image: &'a Projection,
    shades: Shades,
    histogram: Histogram,
    kept: PixelBox,
    /// Of the whole image: bytes where it is 0 become 0.
    mask: Option<&'a Array2<u8>>,
    table: Option<Box<Table>>,
    /// After Resize.
    bytes: Option<Array2<u8>>,
    /// The floats of each channel, by byte.
    channels: Vec<[f32; 256]>,
    applied: Vec<Applied>,
}

impl<'a> Work<'a> {
    fn new(image: &'a Projection) -> Self {
        let shades = Shades::of(&image.attributes);
        Self {
            image,
            shades,
            histogram: shades.histogram(&image.pixels),
            kept: PixelBox::whole(image.pixels.dim()),
            mask: None,
            table: None,
            bytes: None,
            channels: vec![std::array::from_fn(|byte| byte as f32)],
            applied: Vec::new(),
        }
    }

    /// One step; `TransformChain::new` has seen to it that it fits.
    fn apply(&mut self, step: &TransformSpec) {
        match step {
            TransformSpec::CropForeground(spec) => self.crop(spec),
            TransformSpec::ConvertToUint8(spec) => {
                self.table = Some(uint8_table(spec.mode, &self.image.attributes, self.shades, &self.histogram));
            }
            TransformSpec::Resize(spec) => self.resize(spec),
            TransformSpec::ScaleIntensityRange(spec) => {
                let scale =
                    |v: f32| (v - spec.a_min) / (spec.a_max - spec.a_min) * (spec.b_max - spec.b_min) + spec.b_min;
                self.channels.iter_mut().for_each(|channel| *channel = channel.map(scale));
            }
            TransformSpec::RepeatChannel(spec) => self.channels = self.channels.repeat(spec.repeats),
            TransformSpec::NormalizeIntensity(spec) => {
                let parameters = spec.subtrahend.iter().zip(&spec.divisor);
                for (channel, (&subtrahend, &divisor)) in self.channels.iter_mut().zip(parameters) {
                    *channel = channel.map(|v| (v - subtrahend) / divisor);
                }
            }
            TransformSpec::ScaleIntensity(spec) => self.scale_intensity(spec),
            // Refused by `form_after`.
            TransformSpec::CenterSpatialCrop(_) => {}
        }
    }

    fn crop(&mut self, spec: &CropForegroundSpec) {
        let (rows, columns) = self.image.pixels.dim();
        self.kept = crop_foreground(&self.image.pixels, self.shades, &self.histogram, spec);
        self.applied.push(Applied::CropForeground { source: [rows, columns], kept: self.kept });
    }

    fn resize(&mut self, spec: &ResizeSpec) {
        let [rows, columns] = spec.spatial_size[..] else { return };
        let to = [rows, columns];
        let (from, bytes) = match &self.bytes {
            Some(bytes) => ([bytes.nrows(), bytes.ncols()], resize_pil_bilinear(bytes.view(), to)),
            None => (self.kept.size(), resize_rows(self.kept.size(), to, |row, out| self.fill_row(row, out))),
        };
        self.applied.push(Applied::Resize { from, to });
        self.bytes = Some(bytes);
    }

    /// Minimum and maximum over all channels of the pixels as they are now; where they are equal the values stay.
    fn scale_intensity(&mut self, spec: &ScaleIntensitySpec) {
        let bytes = self.take_bytes();
        let mut occurs = [false; 256];
        bytes.iter().for_each(|&byte| occurs[usize::from(byte)] = true);
        self.bytes = Some(bytes);
        let values =
            self.channels.iter().flat_map(|channel| channel.iter().zip(&occurs).filter(|(_, occurs)| **occurs));
        let (min, max) =
            values.fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), (&v, _)| (min.min(v), max.max(v)));
        if min < max {
            let scale = |v: f32| (v - min) / (max - min) * (spec.maxv - spec.minv) + spec.minv;
            self.channels.iter_mut().for_each(|channel| *channel = channel.map(scale));
        }
    }

    /// One row of the kept box, in 8 bits.
    fn fill_row(&self, row: usize, out: &mut [u8]) {
        let Some(table) = self.table.as_deref() else { return };
        let (row, columns) = (self.kept.rows.0 + row, self.kept.columns.0..self.kept.columns.1);
        self.look_up_row(table, row, columns.clone(), out);
        if let Some(mask) = self.mask {
            out.iter_mut().zip(mask.slice(s![row, columns])).for_each(|(byte, &inside)| *byte *= u8::from(inside != 0));
        }
    }

    fn look_up_row(&self, table: &Table, row: usize, columns: std::ops::Range<usize>, out: &mut [u8]) {
        match &self.image.pixels {
            Pixels::U8(a) => look_up(table, a.slice(s![row, columns]), out, u16::from),
            Pixels::U16(a) => look_up(table, a.slice(s![row, columns]), out, |v| v),
            Pixels::I16(a) => look_up(table, a.slice(s![row, columns]), out, |v| v as u16),
        }
    }

    /// The pixels in 8 bits as they are now.
    fn take_bytes(&mut self) -> Array2<u8> {
        self.bytes.take().unwrap_or_else(|| {
            let [rows, columns] = self.kept.size();
            let mut bytes = vec![0; rows * columns];
            bytes.chunks_exact_mut(columns).enumerate().for_each(|(row, out)| self.fill_row(row, out));
            Array2::from_shape_vec((rows, columns), bytes).unwrap_or_default()
        })
    }

    fn finish(mut self) -> Prepared {
        let bytes = self.take_bytes();
        let mut array = Array3::zeros((self.channels.len(), bytes.nrows(), bytes.ncols()));
        for (mut out, channel) in array.axis_iter_mut(Axis(0)).zip(&self.channels) {
            out.zip_mut_with(&bytes, |out, &byte| *out = channel[usize::from(byte)]);
        }
        Prepared { array, applied: self.applied }
    }
}

fn look_up<T: Copy>(table: &Table, row: ndarray::ArrayView1<T>, out: &mut [u8], pattern: impl Fn(T) -> u16) {
    match row.to_slice() {
        Some(row) => out.iter_mut().zip(row).for_each(|(o, &v)| *o = table[usize::from(pattern(v))]),
        None => out.iter_mut().zip(row).for_each(|(o, &v)| *o = table[usize::from(pattern(v))]),
    }
}
