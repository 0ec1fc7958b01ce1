//! The steps of a manifest, checked once and applied to many images.

use ndarray::{Array2, Array3, Axis};

use crate::imaging::histogram::Histogram;
use crate::imaging::{Pixels, Projection};
use crate::manifest::transform::{CropForegroundSpec, ResizeMode, ResizeSpec, TransformSpec, Uint8Mode};

use super::crop::{PixelBox, crop_foreground};
use super::resize::resize_rows;
use super::uint8::{Table, uint8_table};
use super::{Applied, Prepared, Shades, TransformError};

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
        let (rows, columns) = image.pixels.dim();
        if rows == 0 || columns == 0 {
            let reason = format!("the image has {rows} × {columns} pixels");
            return Err(TransformError::Image { step: "preprocessing", reason });
        }
        let mut work = Work::new(image);
        self.steps.iter().for_each(|step| work.apply(step));
        let array = work.into_floats();
        Ok(Prepared { array, applied: work.applied })
    }
}

fn form_after(step: &TransformSpec, form: Form) -> Result<Form, String> {
    let wrong = |name: &str, expected: &str| Err(format!("{name} takes {expected}, found {form:?}"));
    match (step, form) {
        (TransformSpec::CropForeground(_), Form::Stored) => Ok(Form::Stored),
        (TransformSpec::CropForeground(_), _) => wrong("CropForeground", "stored values"),
        (TransformSpec::ConvertToUint8(_), Form::Stored) => Ok(Form::Bytes),
        (TransformSpec::ConvertToUint8(_), _) => wrong("ConvertToUint8", "stored values"),
        (TransformSpec::Resize(spec), Form::Bytes) if !spec.spatial_size.contains(&0) => Ok(Form::Bytes),
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
    }
}

/// An image on its way. The crop and the 8-bit table are remembered, not carried out: the resampling reads through them.
struct Work<'a> {
    image: &'a Projection,
    shades: Shades,
    histogram: Histogram,
    kept: PixelBox,
    table: Option<Box<Table>>,
    state: State,
    applied: Vec<Applied>,
}

enum State {
    /// As stored, seen through `kept` and `table`.
    Source,
    Bytes(Array2<u8>),
    Floats(Array3<f32>),
}

impl<'a> Work<'a> {
    fn new(image: &'a Projection) -> Self {
        let shades = Shades::of(&image.attributes);
        Self {
            image,
            shades,
            histogram: shades.histogram(&image.pixels),
            kept: PixelBox::whole(image.pixels.dim()),
            table: None,
            state: State::Source,
            applied: Vec::new(),
        }
    }

    /// One step; `TransformChain::new` has seen to it that it fits.
    fn apply(&mut self, step: &TransformSpec) {
        match step {
            TransformSpec::CropForeground(spec) => self.crop(spec),
            TransformSpec::ConvertToUint8(spec) => self.table = Some(self.tabulate(spec.mode)),
            TransformSpec::Resize(spec) => self.resize(spec),
            TransformSpec::ScaleIntensityRange(spec) => {
                let floats = self.into_floats();
                let scale =
                    |v: f32| (v - spec.a_min) / (spec.a_max - spec.a_min) * (spec.b_max - spec.b_min) + spec.b_min;
                self.state = State::Floats(floats.mapv_into(scale));
            }
            TransformSpec::RepeatChannel(spec) => {
                let floats = self.into_floats();
                let (_, rows, columns) = floats.dim();
                let repeated = floats.broadcast((spec.repeats, rows, columns)).map(|view| view.to_owned());
                self.state = State::Floats(repeated.unwrap_or(floats));
            }
            TransformSpec::NormalizeIntensity(spec) => {
                let mut floats = self.into_floats();
                let parameters = spec.subtrahend.iter().zip(&spec.divisor);
                for (mut channel, (&subtrahend, &divisor)) in floats.axis_iter_mut(Axis(0)).zip(parameters) {
                    channel.mapv_inplace(|v| (v - subtrahend) / divisor);
                }
                self.state = State::Floats(floats);
            }
        }
    }

    fn crop(&mut self, spec: &CropForegroundSpec) {
        let (rows, columns) = self.image.pixels.dim();
        self.kept = crop_foreground(&self.image.pixels, self.shades, &self.histogram, spec);
        self.applied.push(Applied::CropForeground { source: [rows, columns], kept: self.kept });
    }

    fn tabulate(&self, mode: Uint8Mode) -> Box<Table> {
        uint8_table(mode, &self.image.attributes, self.shades, &self.histogram)
    }

    fn resize(&mut self, spec: &ResizeSpec) {
        let ResizeMode::PilBilinear = spec.mode;
        let to = spec.spatial_size;
        let (from, bytes) = match &self.state {
            State::Bytes(bytes) => ([bytes.nrows(), bytes.ncols()], super::resize_pil_bilinear(bytes.view(), to)),
            _ => (self.kept.size(), resize_rows(self.kept.size(), to, |row, out| self.fill_row(row, out))),
        };
        self.applied.push(Applied::Resize { from, to });
        self.state = State::Bytes(bytes);
    }

    /// One row of the kept box, in 8 bits.
    fn fill_row(&self, row: usize, out: &mut [u8]) {
        let Some(table) = self.table.as_deref() else { return };
        let (row, columns) = (self.kept.rows.0 + row, self.kept.columns.0..self.kept.columns.1);
        match &self.image.pixels {
            Pixels::U8(a) => look_up(table, a.slice(ndarray::s![row, columns]), out, |v| u16::from(v)),
            Pixels::U16(a) => look_up(table, a.slice(ndarray::s![row, columns]), out, |v| v),
            Pixels::I16(a) => look_up(table, a.slice(ndarray::s![row, columns]), out, |v| v as u16),
        }
    }

    /// Takes the image out as floats, (channel, row, column).
    fn into_floats(&mut self) -> Array3<f32> {
        let bytes = match std::mem::replace(&mut self.state, State::Source) {
            State::Floats(floats) => return floats,
            State::Bytes(bytes) => bytes,
            State::Source => {
                let [rows, columns] = self.kept.size();
                let mut bytes = Array2::zeros((rows, columns));
                for (row, mut out) in bytes.rows_mut().into_iter().enumerate() {
                    if let Some(out) = out.as_slice_mut() {
                        self.fill_row(row, out);
                    }
                }
                bytes
            }
        };
        bytes.mapv(f32::from).insert_axis(Axis(0))
    }
}

fn look_up<T: Copy>(table: &Table, row: ndarray::ArrayView1<T>, out: &mut [u8], pattern: impl Fn(T) -> u16) {
    out.iter_mut().zip(row).for_each(|(o, &v)| *o = table[usize::from(pattern(v))]);
}
