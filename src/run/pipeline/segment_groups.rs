//! Which images share one object with masks: the slices of a series that is a regular volume in the patient; else the frames of one
//! instance, each instance for itself.

use std::sync::Arc;

use dicom_dictionary_std::tags;
use ndarray::{Array3, Axis};

use crate::imaging::{
    FrameTimes, Geometry, ImageAttributes, Plane, SliceSource, SourceFrame, calibrated_spacing, grid,
};
use crate::predict::{ImageMask, SegmentMask, Segmentation, measure};
use crate::result::source::valid_text;
use crate::result::{ChannelSource, ImageGroup, SegmentedImage};

/// One image, or one frame of one, with its masks.
pub(super) struct AnalysedFrame {
    /// Index into the run's images.
    pub image: usize,
    pub view: String,
    pub instance: Arc<ImageAttributes>,
    /// From 1, in a multi-frame instance.
    pub frame: Option<u32>,
    pub plane: Option<Plane>,
    /// One a segment of the manifest.
    pub segments: Vec<ImageMask>,
}

impl AnalysedFrame {
    /// The frame as its place in the patient is told, without its values; None where it has none.
    fn placed(&self) -> Option<SourceFrame> {
        let frame_of_reference_uid = Some(valid_text(&self.instance, tags::FRAME_OF_REFERENCE_UID)?);
        Some(SourceFrame {
            instance: self.instance.clone(),
            frame: self.frame,
            plane: self.plane.clone()?,
            frame_of_reference_uid,
            times: FrameTimes::default(),
            values: ndarray::Array2::zeros((0, 0)),
        })
    }
}

/// Groups of `frames`, all with masks of `segments` segments, and what a reader should know of them.
pub(super) fn groups(frames: Vec<AnalysedFrame>, segments: usize) -> (Vec<ImageGroup>, Vec<String>) {
    let (mut groups, mut warnings) = (Vec::new(), Vec::new());
    for series in by(frames, |f| &f.instance.series_instance_uid) {
        let images = series.len();
        match in_place(series) {
            Ok((geometry, frames)) => groups.push(group(&geometry, frames, true, segments)),
            Err((reason, series)) => {
                if let Some(reason) = reason {
                    warnings.push(format!(
                        "{images} images of a series are no regular volume, so that each has masks of its own: {reason}"
                    ));
                }
                for instance in by(series, |f| &f.instance.sop_instance_uid) {
                    groups.extend(of_instance(instance, segments));
                }
            }
        }
    }
    (groups, warnings)
}

/// The frames, and why they are none where they have places in the patient.
type NoVolume = (Option<String>, Vec<AnalysedFrame>);

/// By `key`, in order of first appearance.
fn by(frames: Vec<AnalysedFrame>, key: impl Fn(&AnalysedFrame) -> &String) -> Vec<Vec<AnalysedFrame>> {
    let mut places = std::collections::HashMap::new();
    let mut groups: Vec<Vec<AnalysedFrame>> = Vec::new();
    for frame in frames {
        let place = *places.entry(key(&frame).clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(frame),
            None => groups.push(vec![frame]),
        }
    }
    groups
}

/// The grid of frames that are a volume in the patient, in their order in it; else the frames, with the reason where they have places.
fn in_place(frames: Vec<AnalysedFrame>) -> Result<(Geometry, Vec<AnalysedFrame>), NoVolume> {
    let Some(placed) = frames.iter().map(AnalysedFrame::placed).collect::<Option<Vec<_>>>() else {
        return Err((None, frames));
    };
    match grid(&placed) {
        Ok((geometry, order)) => {
            let mut frames: Vec<Option<AnalysedFrame>> = frames.into_iter().map(Some).collect();
            let sorted = order.into_iter().filter_map(|i| frames.get_mut(i)?.take()).collect();
            Ok((geometry, sorted))
        }
        Err(reason) => Err((Some(reason.to_string()), frames)),
    }
}

/// One group where the instance's frames are a volume, or have no place at all; else one a frame.
fn of_instance(frames: Vec<AnalysedFrame>, segments: usize) -> Vec<ImageGroup> {
    match in_place(frames) {
        Ok((geometry, frames)) => vec![group(&geometry, frames, true, segments)],
        Err((None, frames)) => vec![without_place(frames, segments)],
        Err((Some(_), frames)) => {
            let alone = |frame: AnalysedFrame| match in_place(vec![frame]) {
                Ok((geometry, frames)) => group(&geometry, frames, true, segments),
                Err((_, frames)) => without_place(frames, segments),
            };
            frames.into_iter().map(alone).collect()
        }
    }
}

fn without_place(frames: Vec<AnalysedFrame>, segments: usize) -> ImageGroup {
    let first = frames.first();
    let size = first.map_or([0, 0], |f| [f.instance.rows, f.instance.columns]);
    let spacing = first.and_then(spacing_of).map_or([1.0, 1.0], |(mm, _)| mm);
    let mut geometry = Geometry::of_plane(size, spacing);
    geometry.size[0] = frames.len();
    group(&geometry, frames, false, segments)
}

fn spacing_of(frame: &AnalysedFrame) -> Option<([f64; 2], [String; 2])> {
    let plane = frame.plane.as_ref().map(|p| (p.pixel_spacing_mm, p.pixel_spacing_text.clone()));
    plane.or_else(|| calibrated_spacing(&frame.instance))
}

fn group(geometry: &Geometry, mut frames: Vec<AnalysedFrame>, has_place: bool, segments: usize) -> ImageGroup {
    let size = geometry.size;
    let segment = |index: usize| {
        let mut mask = Array3::zeros(size);
        let (mut sum, mut pixels) = (0.0, 0usize);
        let mut spread = Some(0.0);
        for (n, frame) in frames.iter_mut().enumerate() {
            let Some(of_frame) = frame.segments.get_mut(index) else { continue };
            let image = std::mem::take(&mut of_frame.mask);
            if image.dim() == (size[1], size[2]) {
                mask.index_axis_mut(Axis(0), n).assign(&image);
            }
            if let Some(region) = &of_frame.region {
                sum += region.mean * region.pixels as f64;
                pixels += region.pixels;
                spread = spread.zip(region.spread).map(|(sum, spread)| sum + spread * region.pixels as f64);
            }
        }
        let mut lesion = measure(mask.view(), geometry, &[], mask.len());
        if let Some(lesion) = &mut lesion {
            lesion.channel_means = vec![sum / pixels.max(1) as f64];
            lesion.spread = spread.map(|sum| sum / pixels.max(1) as f64);
        }
        SegmentMask { mask, lesion }
    };
    let masks = (0..segments).map(segment).collect();
    let (mut slices, mut images) = (Vec::with_capacity(frames.len()), Vec::with_capacity(frames.len()));
    for frame in frames {
        let spacing = spacing_of(&frame).map(|(_, texts)| texts).unwrap_or_default();
        let AnalysedFrame { image, view, instance, frame, plane, segments } = frame;
        slices.push(match plane.filter(|_| has_place) {
            Some(plane) => SliceSource::new(instance, frame, plane),
            None => SliceSource::without_place(instance, frame, spacing),
        });
        images.push(SegmentedImage { image, view, regions: segments.into_iter().map(|s| s.region).collect() });
    }
    ImageGroup {
        source: ChannelSource { slices, resampled: false },
        segmentation: Segmentation { geometry: geometry.clone(), segments: masks },
        images,
    }
}
