//! The preprocessing chain of a manifest, carried out on the volumes of one input.
//!
//! Nothing is carried out before it must be: a crop is a view, scales are noted a slice and carried out where rows are
//! read, so that the source volumes are gone over once for their minimum and maximum and once for the result.

use ndarray::{Array4, Axis, CowArray, Ix3, Slice};

use crate::imaging::parts::fill_rows;
use crate::imaging::{Geometry, Volume};
use crate::manifest::transform::{ResizeMode, ScaleIntensityPer, ScaleIntensitySpec, TransformSpec};

use super::intensity::{Scale, all_finite, extremes};
use super::invert::{AppliedVolume, positions};
use super::linear::{Tap, corner_aligned, resample};
use super::{TransformError, counts};

/// What the network takes, and how it came to be.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedVolume {
    /// (channel, slice, row, column)
    pub array: Array4<f32>,
    /// The grid of `array`. An axis that was resized from one voxel to several has steps of 0: all lie at one place.
    pub geometry: Geometry,
    /// The spatial steps in the order they were applied, for the way back to the source's grid.
    pub applied: Vec<AppliedVolume>,
}

impl PreparedVolume {
    /// Number of the source's voxels that the network sees: those within every crop.
    pub fn analysed_voxels(&self) -> usize {
        (0..3).map(|axis| positions(&self.applied, self.geometry.size, axis).iter().flatten().count()).product()
    }

    /// For each slice of the source whether the network saw it.
    pub fn analysed_slices(&self) -> Vec<bool> {
        positions(&self.applied, self.geometry.size, 0).iter().map(Option::is_some).collect()
    }
}

/// A preprocessing chain for volumes whose steps fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeChain {
    steps: Vec<TransformSpec>,
}

impl VolumeChain {
    /// # Errors
    /// [`TransformError::Chain`] with the index of the first step that is not for volumes or has impossible values.
    pub fn new(steps: &[TransformSpec]) -> Result<Self, TransformError> {
        for (index, step) in steps.iter().enumerate() {
            check(step).map_err(|reason| TransformError::Chain { index, reason })?;
        }
        Ok(Self { steps: steps.to_vec() })
    }

    /// Prepares the volumes of one input, a channel each and all on one grid. The result does not depend on the number
    /// of threads.
    ///
    /// # Errors
    /// [`TransformError::Image`]: no channel, grids of different sizes, a volume smaller than a crop, values that are no
    /// numbers.
    pub fn apply(&self, channels: &[Volume]) -> Result<PreparedVolume, TransformError> {
        let mut work = Work::new(channels)?;
        self.steps.iter().try_for_each(|step| work.apply(step))?;
        work.finish()
    }
}

fn check(step: &TransformSpec) -> Result<(), String> {
    match step {
        TransformSpec::CenterSpatialCrop(spec) if spec.roi_size.iter().any(|d| *d != -1 && *d < 1) => {
            Err(format!("CenterSpatialCrop.roi_size is {:?}", spec.roi_size))
        }
        TransformSpec::ScaleIntensityRange(spec) if spec.a_min == spec.a_max => {
            Err(format!("ScaleIntensityRange: a_min and a_max are both {}", spec.a_min))
        }
        TransformSpec::NormalizeIntensity(spec) if spec.divisor.contains(&0.0) => {
            Err("NormalizeIntensity.divisor has a 0".into())
        }
        TransformSpec::Resize(spec) if spec.mode != ResizeMode::ZoomLinear => {
            Err(format!("Resize {:?} is for images", spec.mode))
        }
        TransformSpec::Resize(spec) if spec.spatial_size.len() != 3 || spec.spatial_size.contains(&0) => {
            Err(format!("Resize.spatial_size is {:?}", spec.spatial_size))
        }
        TransformSpec::CropForeground(_) | TransformSpec::ConvertToUint8(_) | TransformSpec::RepeatChannel(_) => {
            Err("CropForeground, ConvertToUint8 and RepeatChannel are for images".into())
        }
        TransformSpec::ToGrey(_)
        | TransformSpec::ToRgb(_)
        | TransformSpec::Windowing(_)
        | TransformSpec::Clahe(_)
        | TransformSpec::ConvertChannelOrder(_) => {
            Err("ToGrey, ToRgb, Windowing, Clahe and ConvertChannelOrder are for images".into())
        }
        TransformSpec::CenterSpatialCrop(_)
        | TransformSpec::ScaleIntensity(_)
        | TransformSpec::ScaleIntensityRange(_)
        | TransformSpec::NormalizeIntensity(_)
        | TransformSpec::Resize(_) => Ok(()),
    }
}

fn wrong(step: &'static str, reason: String) -> TransformError {
    TransformError::Image { step, reason }
}

/// The volumes on their way.
struct Work<'a> {
    channels: Vec<Channel<'a>>,
    geometry: Geometry,
    applied: Vec<AppliedVolume>,
}

struct Channel<'a> {
    voxels: CowArray<'a, f32, Ix3>,
    /// Of each slice, in order: still to be carried out on `voxels`.
    scales: Vec<Vec<Scale>>,
}

impl<'a> Work<'a> {
    fn new(volumes: &'a [Volume]) -> Result<Self, TransformError> {
        const STEP: &str = "preprocessing";
        let Some(first) = volumes.first() else {
            return Err(wrong(STEP, "found no volume, expected one or more".into()));
        };
        let geometry = first.geometry.clone();
        if geometry.size.contains(&0) {
            return Err(wrong(STEP, format!("the volume has {} voxels", counts(geometry.size))));
        }
        for (i, volume) in volumes.iter().enumerate() {
            for found in [volume.geometry.size, volume.voxels.dim().into()] {
                if found != geometry.size {
                    let (found, expected) = (counts(found), counts(geometry.size));
                    return Err(wrong(STEP, format!("volume {i}: found {found} voxels, expected {expected}")));
                }
            }
        }
        let slices = geometry.size[0];
        let channel =
            |volume: &'a Volume| Channel { voxels: (&volume.voxels).into(), scales: vec![Vec::new(); slices] };
        Ok(Self { channels: volumes.iter().map(channel).collect(), geometry, applied: Vec::new() })
    }

    fn apply(&mut self, step: &TransformSpec) -> Result<(), TransformError> {
        match step {
            TransformSpec::CenterSpatialCrop(spec) => self.crop(spec.roi_size),
            TransformSpec::ScaleIntensity(spec) => self
                .channels
                .iter_mut()
                .enumerate()
                .try_for_each(|(index, channel)| channel.scale_intensity(index, spec)),
            TransformSpec::ScaleIntensityRange(spec) => {
                self.channels.iter_mut().for_each(|channel| channel.scale(Scale::of_range(spec)));
                Ok(())
            }
            TransformSpec::NormalizeIntensity(spec) => {
                let (found, expected) = ([spec.subtrahend.len(), spec.divisor.len()], self.channels.len());
                if found != [expected; 2] {
                    let [subtrahends, divisors] = found;
                    let found = format!("found {subtrahends} subtrahends and {divisors} divisors");
                    return Err(wrong("NormalizeIntensity", format!("{found}, expected {expected} (volumes)")));
                }
                for (index, channel) in self.channels.iter_mut().enumerate() {
                    Scale::of_normalization(spec, index).into_iter().for_each(|scale| channel.scale(scale));
                }
                Ok(())
            }
            TransformSpec::Resize(spec) => {
                if let [slices, rows, columns] = spec.spatial_size[..] {
                    self.resize([slices, rows, columns]);
                }
                Ok(())
            }
            // Refused by `check`.
            TransformSpec::CropForeground(_)
            | TransformSpec::ConvertToUint8(_)
            | TransformSpec::RepeatChannel(_)
            | TransformSpec::ToGrey(_)
            | TransformSpec::ToRgb(_)
            | TransformSpec::Windowing(_)
            | TransformSpec::Clahe(_)
            | TransformSpec::ConvertChannelOrder(_) => Ok(()),
        }
    }

    fn crop(&mut self, roi_size: [i64; 3]) -> Result<(), TransformError> {
        let from = self.geometry.size;
        let size: [usize; 3] = std::array::from_fn(|i| usize::try_from(roi_size[i]).unwrap_or(from[i]));
        if (0..3).any(|i| size[i] > from[i]) {
            let (found, expected) = (counts(from), counts(size));
            return Err(wrong("CenterSpatialCrop", format!("found {found} voxels, expected at least {expected}")));
        }
        let start: [usize; 3] = std::array::from_fn(|i| (from[i] - size[i]) / 2);
        for channel in &mut self.channels {
            for axis in 0..3 {
                let kept = Slice::from(start[axis]..start[axis] + size[axis]);
                channel.voxels.slice_axis_inplace(Axis(axis), kept);
            }
            channel.scales.truncate(start[0] + size[0]);
            channel.scales.drain(..start[0]);
        }
        self.geometry.origin_mm = self.geometry.to_patient(start.map(|i| i as f64));
        self.geometry.size = size;
        self.applied.push(AppliedVolume::CenterSpatialCrop { from, start, size });
        Ok(())
    }

    fn resize(&mut self, to: [usize; 3]) {
        let from = self.geometry.size;
        let taps: [Vec<Tap>; 3] = std::array::from_fn(|axis| {
            let (from, to) = (from[axis], to[axis]);
            (0..to).map(|i| Tap::at(corner_aligned(i as f64, to, from), from)).collect()
        });
        for channel in &mut self.channels {
            let fill = |slice: usize, row: usize, out: &mut [f32]| channel.fill_row(slice, row, out);
            let resized = resample(taps.each_ref().map(Vec::as_slice), from[2], fill, |value| value as f32);
            *channel = Channel { voxels: resized.into(), scales: vec![Vec::new(); to[0]] };
        }
        for axis in 0..3 {
            // scipy resizes to one voxel by taking the first one as it is.
            let step = if to[axis] == 1 { 1.0 } else { corner_aligned(1.0, to[axis], from[axis]) };
            self.geometry.steps_mm[axis] = self.geometry.steps_mm[axis].map(|mm| mm * step);
        }
        self.geometry.size = to;
        self.applied.push(AppliedVolume::Resize { from, to });
    }

    fn finish(self) -> Result<PreparedVolume, TransformError> {
        let [slices, rows, columns] = self.geometry.size;
        let mut array = Array4::zeros((self.channels.len(), slices, rows, columns));
        let (planes, voxels) = (self.channels.len() * slices, array.len());
        let values = array.as_slice_mut().unwrap_or_default();
        fill_rows(planes, voxels, values, |part, out| {
            for (plane, out) in part.zip(out.chunks_exact_mut(rows * columns)) {
                let (channel, slice) = (&self.channels[plane / slices], plane % slices);
                out.chunks_exact_mut(columns).enumerate().for_each(|(row, out)| channel.fill_row(slice, row, out));
            }
        });
        if !all_finite(values) {
            let reason = "found a value that is no finite number, expected none".to_string();
            return Err(wrong("preprocessing", reason));
        }
        Ok(PreparedVolume { array, geometry: self.geometry, applied: self.applied })
    }
}

impl Channel<'_> {
    /// One row of a slice, scaled.
    fn fill_row(&self, slice: usize, row: usize, out: &mut [f32]) {
        let voxels = self.voxels.slice(ndarray::s![slice, row, ..]);
        match voxels.to_slice() {
            Some(voxels) => out.copy_from_slice(voxels),
            None => out.iter_mut().zip(voxels).for_each(|(o, &v)| *o = v),
        }
        self.scales[slice].iter().for_each(|scale| scale.apply(out));
    }

    /// The same scale for every slice.
    fn scale(&mut self, scale: Scale) {
        self.scales.iter_mut().for_each(|scales| scales.push(scale));
    }

    fn scale_intensity(&mut self, channel: usize, spec: &ScaleIntensitySpec) -> Result<(), TransformError> {
        let mut slices = Vec::with_capacity(self.scales.len());
        for (slice, (found, scales)) in extremes(self.voxels.view()).into_iter().zip(&self.scales).enumerate() {
            let scaled = found.map(|found| scales.iter().fold(found, |extremes, scale| scale.of_extremes(extremes)));
            // Of finite values too, minimum and maximum may be too far apart for f32.
            let Some(extremes) = scaled.filter(|[min, max]| (max - min).is_finite()) else {
                let reason =
                    format!("volume {channel}, slice {slice}: found values that are no finite numbers or too large");
                return Err(wrong("ScaleIntensity", reason));
            };
            slices.push(extremes);
        }
        // A constant slice stays as it is, a constant volume is no image: a crop may leave nothing else.
        if let [min, max] = slices[0]
            && min == max
            && slices.iter().all(|slice| *slice == [min, max])
        {
            let reason = format!("volume {channel}: found the value {min} in every voxel, expected an image");
            return Err(wrong("ScaleIntensity", reason));
        }
        if spec.per == ScaleIntensityPer::Channel {
            let min = slices.iter().fold(f32::INFINITY, |min, slice| min.min(slice[0]));
            let max = slices.iter().fold(f32::NEG_INFINITY, |max, slice| max.max(slice[1]));
            slices.fill([min, max]);
        }
        for (scales, extremes) in self.scales.iter_mut().zip(slices) {
            scales.extend(Scale::of_intensity(spec, extremes));
        }
        Ok(())
    }
}
