//! The steps of a manifest, checked once and applied to many images.

use ndarray::{Array2, Array3, ArrayView2, Axis, s};

use crate::imaging::{Image, ImageAttributes, Projection, SourceFrame};
use crate::manifest::form;
use crate::manifest::transform::{
    ChannelOrder, ClaheSpec, OtherKindPolicy, ResizeMode, ResizeSpec, ScaleIntensitySpec, ToGreySpec, TransformSpec,
    Uint8Mode, WindowingSpec,
};

use super::area::{AreaSample, resize_area};
use super::clahe::clahe;
use super::intensity::Scale;
use super::lab::{lab_to_rgb, rgb_to_lab};
use super::resize::{resize_pil_bilinear, resize_rows};
use super::stored::{Grey, Stored};
use super::windowing::{is_hounsfield, window, window_bytes};
use super::{Applied, ImageRegion, PixelBox, Prepared, TransformError};

/// A preprocessing chain whose steps fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformChain {
    steps: Vec<TransformSpec>,
}

impl TransformChain {
    /// Checks that each step takes what the one before gives.
    ///
    /// # Errors
    /// [`TransformError::Chain`] with the index of the step and the reason.
    pub fn new(steps: &[TransformSpec]) -> Result<Self, TransformError> {
        form::follow(steps).map_err(|(index, reason)| TransformError::Chain { index, reason })?;
        Ok(Self { steps: steps.to_vec() })
    }

    /// Prepares one monochrome image for the network. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// [`TransformError::Image`] for an image of no pixels, or of a kind that the chain does not take.
    pub fn apply(&self, image: &Projection) -> Result<Prepared, TransformError> {
        self.apply_to(image, None)
    }

    /// Prepares a region of one image: what lies outside its box is cut away, and what lies outside its mask becomes 0 as soon as
    /// there are bytes. Their minimum and maximum are the whole image's all the same.
    ///
    /// # Errors
    /// As [`Self::apply`], and for a region that does not lie in the image.
    pub fn apply_to(&self, image: &Projection, region: Option<&ImageRegion>) -> Result<Prepared, TransformError> {
        self.carry_out(image.pixels.dim(), Stored::of_grey(image), region)
    }

    /// As [`Self::apply`], of an image in shades or in colour.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_image(&self, image: &Image) -> Result<Prepared, TransformError> {
        self.apply_image_to(image, None)
    }

    /// As [`Self::apply_to`], of an image in shades or in colour.
    ///
    /// # Errors
    /// As [`Self::apply_to`].
    pub fn apply_image_to(&self, image: &Image, region: Option<&ImageRegion>) -> Result<Prepared, TransformError> {
        match image {
            Image::Grey(grey) => self.apply_to(grey, region),
            Image::Colour(colour) => self.carry_out(image.dim(), Stored::Colour(colour), region),
        }
    }

    /// As [`Self::apply`], of one slice of a series, which is in values after the modality LUT: for chains that begin with
    /// Windowing.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_frame(&self, frame: &SourceFrame) -> Result<Prepared, TransformError> {
        let stored = Stored::Values { values: frame.values.view(), attributes: &frame.instance };
        self.carry_out(frame.values.dim(), stored, None)
    }

    fn carry_out<'a>(
        &self,
        (rows, columns): (usize, usize),
        stored: Stored<'a>,
        region: Option<&'a ImageRegion>,
    ) -> Result<Prepared, TransformError> {
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
        let mut work = Work { stored, region, planes: None, channels: Vec::new(), applied: Vec::new() };
        if let Some(region) = region {
            work.applied.push(Applied::CropForeground { source: [rows, columns], kept: region.kept });
            if let Stored::Grey(grey) = &mut work.stored {
                grey.keep(region);
            }
        }
        self.steps.iter().try_for_each(|step| work.apply(step))?;
        work.finish()
    }
}

/// The pixels of the channels; several channels may be one plane.
enum Planes {
    Bytes(Vec<Array2<u8>>),
    Floats(Vec<Array2<f32>>),
}

/// What the network sees of a plane. Steps on values are noted, and carried out at the end: for bytes on what each of the 256
/// values becomes, not on pixels.
#[derive(Clone)]
struct Channel {
    plane: usize,
    scales: Vec<Scale>,
}

/// An image on its way. Nothing is carried out before it must be: the first resampling of a monochrome image reads through the
/// crop and the 8-bit table.
struct Work<'a> {
    stored: Stored<'a>,
    region: Option<&'a ImageRegion>,
    /// None: still as stored, perhaps with a crop and a table.
    planes: Option<Planes>,
    channels: Vec<Channel>,
    applied: Vec<Applied>,
}

fn wrong(step: &'static str, reason: impl Into<String>) -> TransformError {
    TransformError::Image { step, reason: reason.into() }
}

impl Work<'_> {
    /// One step; `TransformChain::new` has seen to it that it fits the one before.
    fn apply(&mut self, step: &TransformSpec) -> Result<(), TransformError> {
        match step {
            TransformSpec::ToGrey(spec) => self.take_luma(spec),
            TransformSpec::ToRgb(spec) => return self.take_rgb(spec.grey),
            TransformSpec::CropForeground(spec) => {
                let crop = self.stored.grey("CropForeground")?.crop(spec);
                self.applied.push(crop);
            }
            TransformSpec::ConvertToUint8(spec) => {
                self.stored.grey("ConvertToUint8")?.tabulate(spec.mode);
                self.channels = channels(&[0]);
            }
            TransformSpec::Windowing(spec) => return self.windowing(spec),
            TransformSpec::Resize(spec) => return self.resize(spec),
            TransformSpec::Clahe(spec) => return self.equalize(spec),
            TransformSpec::ScaleIntensityRange(spec) => {
                self.channels.iter_mut().for_each(|channel| channel.scales.push(Scale::of_range(spec)));
            }
            TransformSpec::RepeatChannel(spec) => {
                self.channels = (0..spec.repeats).flat_map(|_| self.channels.clone()).collect();
            }
            TransformSpec::ConvertChannelOrder(spec) => {
                let ChannelOrder::Bgr = spec.order;
                self.channels.reverse();
            }
            TransformSpec::NormalizeIntensity(spec) => {
                for (index, channel) in self.channels.iter_mut().enumerate() {
                    channel.scales.extend(Scale::of_normalization(spec, index));
                }
            }
            TransformSpec::ScaleIntensity(spec) => return self.scale_intensity(spec),
            // Refused by `form::follow`.
            TransformSpec::CenterSpatialCrop(_) => {}
        }
        Ok(())
    }

    fn take_luma(&mut self, spec: &ToGreySpec) {
        if let Stored::Colour(image) = self.stored {
            let mut grey = Grey::of_luma(image, spec.mode);
            if let Some(region) = self.region {
                grey.keep(region);
            }
            self.stored = Stored::Grey(Box::new(grey));
        }
    }

    fn take_rgb(&mut self, grey: OtherKindPolicy) -> Result<(), TransformError> {
        if let Stored::Colour(image) = self.stored {
            let kept = self.region.map_or_else(|| PixelBox::whole(self.stored.dim()), |region| region.kept);
            let place = s![kept.rows.0..kept.rows.1, kept.columns.0..kept.columns.1];
            let mask = self.region.and_then(|region| region.mask.as_ref());
            let plane = |c| {
                let mut plane = image.rgb.index_axis(Axis(2), c).slice(place).to_owned();
                if let Some(mask) = mask {
                    plane.zip_mut_with(&mask.slice(place), |byte, &inside| *byte *= u8::from(inside != 0));
                }
                plane
            };
            self.planes = Some(Planes::Bytes(vec![plane(0), plane(1), plane(2)]));
            self.channels = channels(&[0, 1, 2]);
            return Ok(());
        }
        if grey == OtherKindPolicy::Refuse {
            return Err(wrong("ToRgb", "found a monochrome image, expected one in colour"));
        }
        self.stored.grey("ToRgb")?.tabulate(Uint8Mode::AsShown);
        self.channels = channels(&[0, 0, 0]);
        Ok(())
    }

    fn windowing(&mut self, spec: &WindowingSpec) -> Result<(), TransformError> {
        let attributes = self.stored.attributes();
        if !is_hounsfield(attributes) {
            if spec.pictures == OtherKindPolicy::Refuse {
                return Err(wrong("Windowing", not_hounsfield(attributes)));
            }
            self.stored.grey("Windowing")?.tabulate(Uint8Mode::AsShown);
            self.channels = channels(&vec![0; spec.windows.len()]);
            if window_bytes(spec.output).is_none() {
                let share = Scale::linear(0.0, 255.0);
                self.channels.iter_mut().for_each(|channel| channel.scales.push(share));
            }
            return Ok(());
        }
        let values = match &mut self.stored {
            Stored::Values { values, .. } => values.to_owned(),
            stored => stored.grey("Windowing")?.modality_values(),
        };
        let masked = self.region.and_then(|region| Some((region.kept, region.mask.as_ref()?)));
        let shares = spec.windows.iter().map(|w| {
            let mut share = window(values.view(), *w);
            if let Some((kept, mask)) = masked {
                let mask = mask.slice(s![kept.rows.0..kept.rows.1, kept.columns.0..kept.columns.1]);
                share.zip_mut_with(&mask, |share, &inside| *share *= f32::from(u8::from(inside != 0)));
            }
            share
        });
        self.planes = Some(match window_bytes(spec.output) {
            Some(byte) => Planes::Bytes(shares.map(|share| share.mapv(byte)).collect()),
            None => Planes::Floats(shares.collect()),
        });
        self.channels = channels(&Vec::from_iter(0..spec.windows.len()));
        Ok(())
    }

    fn resize(&mut self, spec: &ResizeSpec) -> Result<(), TransformError> {
        let [rows, columns] = spec.spatial_size[..] else { return Ok(()) };
        let to = [rows, columns];
        let from = self.size()?;
        self.planes = Some(match (self.planes.take(), spec.mode) {
            (None, ResizeMode::PilBilinear) => {
                let grey = &*self.stored.grey("Resize")?;
                Planes::Bytes(vec![resize_rows(from, to, |row, out| grey.fill_row(row, out))])
            }
            (planes, mode) => {
                let planes = match planes {
                    Some(planes) => planes,
                    None => Planes::Bytes(vec![self.stored.grey("Resize")?.bytes()]),
                };
                match (planes, mode) {
                    (Planes::Bytes(bytes), ResizeMode::PilBilinear) => {
                        Planes::Bytes(bytes.iter().map(|plane| resize_pil_bilinear(plane.view(), to)).collect())
                    }
                    // Steps on values that have been noted are carried out before pixels are mixed.
                    (Planes::Bytes(bytes), _) if self.channels.iter().all(|c| c.scales.is_empty()) => {
                        Planes::Bytes(area(&bytes, to, self.channels.len()))
                    }
                    (planes, _) => Planes::Floats(area(&self.settled(&planes), to, self.channels.len())),
                }
            }
        });
        self.applied.push(Applied::Resize { from, to });
        Ok(())
    }

    /// Minimum and maximum over all channels of the pixels as they are now; where they are equal the values stay.
    fn scale_intensity(&mut self, spec: &ScaleIntensitySpec) -> Result<(), TransformError> {
        let planes = self.take_planes()?;
        let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
        for channel in &self.channels {
            for &value in &channel.of(&planes) {
                (min, max) = (min.min(value), max.max(value));
            }
        }
        self.planes = Some(planes);
        if min < max {
            let scale = Scale::of_intensity(spec, [min, max]);
            self.channels.iter_mut().for_each(|channel| channel.scales.extend(scale));
        }
        Ok(())
    }

    /// Floats with all that was noted, a plane a channel.
    fn settled(&mut self, planes: &Planes) -> Vec<Array2<f32>> {
        let settled = self.channels.iter().map(|channel| channel.of(planes)).collect();
        self.channels = channels(&Vec::from_iter(0..self.channels.len()));
        settled
    }

    fn equalize(&mut self, spec: &ClaheSpec) -> Result<(), TransformError> {
        let Planes::Bytes(planes) = self.take_planes()? else { return Ok(()) };
        let equalized = |plane: ArrayView2<u8>| clahe(plane, spec.clip_limit, spec.tile_grid_size);
        let of: Vec<usize> = self.channels.iter().map(|channel| channel.plane).collect();
        self.planes = Some(Planes::Bytes(match of[..] {
            [red, green, blue] => {
                self.channels = channels(&[0, 1, 2]);
                equalize_luminance([red, green, blue].map(|plane| &planes[plane]), equalized)
            }
            _ => planes.iter().map(|plane| equalized(plane.view())).collect(),
        }));
        Ok(())
    }

    /// (rows, columns) of what there is now.
    fn size(&mut self) -> Result<[usize; 2], TransformError> {
        let (rows, columns) = match &self.planes {
            Some(Planes::Bytes(planes)) => planes.first().map_or((0, 0), Array2::dim),
            Some(Planes::Floats(planes)) => planes.first().map_or((0, 0), Array2::dim),
            None => return Ok(self.stored.grey("preprocessing")?.size()),
        };
        Ok([rows, columns])
    }

    fn take_planes(&mut self) -> Result<Planes, TransformError> {
        match self.planes.take() {
            Some(planes) => Ok(planes),
            None => Ok(Planes::Bytes(vec![self.stored.grey("preprocessing")?.bytes()])),
        }
    }

    fn finish(mut self) -> Result<Prepared, TransformError> {
        let [rows, columns] = self.size()?;
        let planes = self.take_planes()?;
        let mut array = Array3::zeros((self.channels.len(), rows, columns));
        for (mut out, channel) in array.axis_iter_mut(Axis(0)).zip(&self.channels) {
            channel.write(&planes, out.view_mut());
        }
        Ok(Prepared { array, applied: self.applied })
    }
}

impl Channel {
    fn write(&self, planes: &Planes, mut out: ndarray::ArrayViewMut2<f32>) {
        match planes {
            Planes::Bytes(bytes) => {
                let mut table: [f32; 256] = std::array::from_fn(|byte| byte as f32);
                self.scales.iter().for_each(|scale| scale.apply(&mut table));
                out.zip_mut_with(&bytes[self.plane], |out, &byte| *out = table[usize::from(byte)]);
            }
            Planes::Floats(floats) => {
                out.assign(&floats[self.plane]);
                if let Some(values) = out.as_slice_mut() {
                    self.scales.iter().for_each(|scale| scale.apply(values));
                }
            }
        }
    }

    fn of(&self, planes: &Planes) -> Array2<f32> {
        let dim = match planes {
            Planes::Bytes(bytes) => bytes[self.plane].dim(),
            Planes::Floats(floats) => floats[self.plane].dim(),
        };
        let mut out = Array2::zeros(dim);
        self.write(planes, out.view_mut());
        out
    }
}

fn channels(planes: &[usize]) -> Vec<Channel> {
    planes.iter().map(|&plane| Channel { plane, scales: Vec::new() }).collect()
}

fn area<T: AreaSample>(planes: &[Array2<T>], to: [usize; 2], channels: usize) -> Vec<Array2<T>> {
    planes.iter().map(|plane| resize_area(plane.view(), to, channels)).collect()
}

/// Equalizes L of LAB.
fn equalize_luminance(
    [red, green, blue]: [&Array2<u8>; 3],
    equalized: impl Fn(ArrayView2<u8>) -> Array2<u8>,
) -> Vec<Array2<u8>> {
    let lab: Vec<[u8; 3]> = red.iter().zip(green).zip(blue).map(|((&r, &g), &b)| rgb_to_lab([r, g, b])).collect();
    let mut luminance = red.clone();
    luminance.iter_mut().zip(&lab).for_each(|(l, lab)| *l = lab[0]);
    let luminance = equalized(luminance.view());
    let mut planes = vec![red.clone(), green.clone(), blue.clone()];
    for (i, (&l, [_, a, b])) in luminance.iter().zip(lab).enumerate() {
        for (plane, value) in planes.iter_mut().zip(lab_to_rgb([l, a, b])) {
            if let Some(pixel) = plane.as_slice_mut().and_then(|pixels| pixels.get_mut(i)) {
                *pixel = value;
            }
        }
    }
    planes
}

/// The Modality is repeated where it looks like one: dirty headers hold anything.
fn not_hounsfield(attributes: &ImageAttributes) -> String {
    let modality = &attributes.modality;
    let is_code = (1..=16).contains(&modality.len()) && modality.bytes().all(|b| b.is_ascii_uppercase());
    let found = if is_code { format!("Modality {modality}") } else { "another Modality".into() };
    format!(
        "found an image that is not in Hounsfield units ({found}), expected CT with RescaleSlope and RescaleIntercept"
    )
}
