//! A segmentation with its sources, checked once: what SEG, SR and report for people are all written from.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use ndarray::{Array3, Axis};

use super::charset::first_in_ascii;
use super::{ChannelSource, ResultContext, ResultError, SegmentationContext, source};
use crate::imaging::{Geometry, ImageAttributes, SliceSource};
use crate::manifest::{SegmentSpec, SegmentationSpec, SelectSpec, TaskSpec};
use crate::predict::{Lesion, SegmentMask, Segmentation};

pub struct Segmented<'a> {
    pub ctx: &'a ResultContext<'a>,
    pub spec: &'a SegmentationSpec,
    pub geometry: &'a Geometry,
    /// In the manifest's order.
    pub channels: Vec<Channel<'a>>,
    /// Index of the channel whose images the masks are laid over.
    pub display: usize,
    /// Whether the source says where its slices lie in the patient: not projections and photographs.
    pub has_place: bool,
    /// Whether the channels are the phases of one dynamic study: else they are contrasts, and nothing is said to enhance.
    pub dynamic: bool,
    /// In the manifest's order.
    pub segments: Vec<Segment<'a>>,
}

/// The source of one channel.
pub struct Channel<'a> {
    pub name: &'a str,
    /// The name in ASCII, "Channel 2" where nothing of it is.
    pub label: String,
    pub slices: &'a [SliceSource],
    /// Whether the slices are those of the masks' grid, one by one; not where the channel was resampled onto it.
    pub on_grid: bool,
}

/// One segment of the manifest, found or not.
pub struct Segment<'a> {
    pub spec: &'a SegmentSpec,
    pub mask: &'a Array3<u8>,
    /// The same in SEG and SR.
    pub tracking_id: String,
    pub tracking_uid: String,
    pub found: Option<Found<'a>>,
}

/// A segment that has voxels.
#[derive(Clone)]
pub struct Found<'a> {
    /// SegmentNumber: found segments are numbered from 1, for viewers stumble over a segment without frames.
    pub number: u16,
    pub lesion: &'a Lesion,
    /// From the first slice with a voxel to the last.
    pub slices: RangeInclusive<usize>,
}

impl<'a> Segmented<'a> {
    /// # Errors
    /// [`ResultError::Prediction`] where masks, measurements, slices and manifest do not fit together, and what
    /// [`source::require_one_study`] refuses.
    pub fn new(ctx: &'a SegmentationContext<'a>, segmentation: &'a Segmentation) -> Result<Self, ResultError> {
        let TaskSpec::Segmentation(spec) = &ctx.run.manifest.task else {
            return refuse("found masks, expected class probabilities".into());
        };
        source::require_one_study(ctx.run.images)?;
        let geometry = &segmentation.geometry;
        let channels = channels(ctx, geometry)?;
        let dynamic = matches!(&ctx.run.manifest.input.select, SelectSpec::Volumes(s) if s.is_dynamic());
        let wanted = spec.display_channel.unwrap_or(usize::from(dynamic));
        let mut candidates = std::iter::once(wanted).chain(0..channels.len());
        let Some(display) = candidates.find(|&c| channels.get(c).is_some_and(|c| c.on_grid)) else {
            return refuse("found no channel whose slices are those of the masks' grid, expected one".into());
        };
        let first = channels.get(display).and_then(|c| c.slices.first()).ok_or(ResultError::NoImages)?;
        let has_place = first.has_place();
        let segments = segments(ctx, segmentation, spec, &first.instance)?;
        Ok(Self { ctx: &ctx.run, spec, geometry, channels, display, has_place, dynamic, segments })
    }

    /// The slices of the channel that people look at, in the masks' order. At least one.
    pub fn display_slices(&self) -> &'a [SliceSource] {
        self.channels.get(self.display).map_or(&[], |c| c.slices)
    }

    /// The instance of the first of them, whose attributes stand for all.
    pub fn display_instance(&self) -> Result<&'a ImageAttributes, ResultError> {
        self.display_slices().first().map(|s| &*s.instance).ok_or(ResultError::NoImages)
    }

    /// The channels whose slices are those of the masks, the displayed one first.
    pub fn channels_on_grid(&self) -> impl Iterator<Item = &Channel<'a>> {
        let others = self.channels.iter().enumerate().filter(|(i, _)| *i != self.display).map(|(_, c)| c);
        self.channels.get(self.display).into_iter().chain(others.filter(|c| c.on_grid))
    }

    /// By how much a segment's mean of `channel` is above that of the first phase, in percent; None for the first itself, where
    /// the first has no positive mean, and where the channels are no phases.
    pub fn enhancement_percent(&self, found: &Found, channel: usize) -> Option<f64> {
        let means = &found.lesion.channel_means;
        let (first, mean) = (*means.first()?, *means.get(channel)?);
        let comparable = self.dynamic && channel > 0 && first > 0.0;
        comparable.then(|| (mean - first) / first * 100.0).filter(|p| p.is_finite())
    }

    /// How each channel that was not on the masks' grid came onto it.
    pub fn resampling(&self) -> Vec<String> {
        let first = self.channels.first().map(|c| c.label.as_str()).unwrap_or_default();
        let resampled = self.channels.iter().filter(|c| !c.on_grid);
        resampled.map(|c| format!("{}: values interpolated linearly on the grid of {first}", c.label)).collect()
    }

    /// The segments that have voxels, with their numbers.
    pub fn found(&self) -> impl Iterator<Item = (&Segment<'a>, &Found<'a>)> {
        self.segments.iter().filter_map(|s| Some((s, s.found.as_ref()?)))
    }
}

fn refuse<T>(reason: String) -> Result<T, ResultError> {
    Err(ResultError::Prediction { reason })
}

fn channels<'a>(ctx: &SegmentationContext<'a>, geometry: &Geometry) -> Result<Vec<Channel<'a>>, ResultError> {
    let names: Vec<&str> = match &ctx.run.manifest.input.select {
        SelectSpec::Volumes(s) => s.names(),
        SelectSpec::Images(_) | SelectSpec::Series(_) => vec!["image"],
    };
    if ctx.channels.len() != names.len() {
        return refuse(format!("found {} channels, expected {}", ctx.channels.len(), names.len()));
    }
    let known: HashSet<&str> = ctx.run.images.iter().map(|i| i.sop_instance_uid.as_str()).collect();
    let mut channels = Vec::new();
    for (number, (name, source)) in (1..).zip(names.into_iter().zip(ctx.channels)) {
        let ChannelSource { slices, resampled } = source;
        if slices.iter().any(|s| !known.contains(s.instance.sop_instance_uid.as_str())) {
            return refuse(format!("channel {number}: a slice is of none of the run's images"));
        }
        if !resampled {
            same_size(slices, geometry).or_else(|reason| refuse(format!("channel {number}: {reason}")))?;
        }
        let label = first_in_ascii([name, &format!("Channel {number}")]);
        channels.push(Channel { name, label, slices, on_grid: !resampled });
    }
    Ok(channels)
}

/// Where the slices lie is known where the volumes were made; here, that none is lacking.
fn same_size(slices: &[SliceSource], geometry: &Geometry) -> Result<(), String> {
    let [count, rows, columns] = geometry.size;
    let found = slices.first().map_or([0, 0], |s| [s.instance.rows, s.instance.columns]);
    if slices.len() != count || slices.iter().any(|s| [s.instance.rows, s.instance.columns] != [rows, columns]) {
        let (found_count, [found_rows, found_columns]) = (slices.len(), found);
        return Err(format!(
            "found {found_count} slices of {found_rows} x {found_columns}, expected {count} of {rows} x {columns} as the masks"
        ));
    }
    Ok(())
}

fn segments<'a>(
    ctx: &SegmentationContext<'a>,
    segmentation: &'a Segmentation,
    spec: &'a SegmentationSpec,
    tracked: &ImageAttributes,
) -> Result<Vec<Segment<'a>>, ResultError> {
    let (found, expected) = (segmentation.segments.len(), spec.segments.len());
    if found != expected {
        return refuse(format!("found {found} masks, expected {expected}, one a segment"));
    }
    let mut number = 0;
    let mut segments = Vec::new();
    for (index, (spec, segment)) in spec.segments.iter().zip(&segmentation.segments).enumerate() {
        let found = check(ctx, &segmentation.geometry, segment)
            .map_err(|reason| ResultError::Prediction { reason: format!("segment {index}: {reason}") })?;
        let tracked = format!("{} {}", tracked.sop_instance_uid, spec.name);
        segments.push(Segment {
            spec,
            mask: &segment.mask,
            tracking_id: first_in_ascii([spec.name.as_str(), &spec.concept.meaning, &format!("Segment {}", index + 1)]),
            tracking_uid: ctx.run.uids.tracking(&tracked),
            found: found.map(|(lesion, slices)| {
                number += 1;
                Found { number, lesion, slices }
            }),
        });
    }
    Ok(segments)
}

type Measured<'a> = Option<(&'a Lesion, RangeInclusive<usize>)>;

/// Whether mask and measurements speak of the same thing; a segment with voxels gives its slices.
fn check<'a>(ctx: &SegmentationContext, geometry: &Geometry, segment: &'a SegmentMask) -> Result<Measured<'a>, String> {
    let (slices, rows, columns) = segment.mask.dim();
    if [slices, rows, columns] != geometry.size {
        return Err(format!("found a mask of {slices} x {rows} x {columns}, expected {:?}", geometry.size));
    }
    let filled = |n: &usize| segment.mask.index_axis(Axis(0), *n).iter().any(|v| *v != 0);
    let extent = (0..slices).find(filled).zip((0..slices).rev().find(filled));
    let (lesion, (first, last)) = match (&segment.lesion, extent) {
        (Some(lesion), Some(extent)) => (lesion, extent),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err("found measurements of an empty mask".into()),
        (None, Some(_)) => return Err("found a mask with voxels, expected measurements of it".into()),
    };
    let channels = ctx.channels.len();
    if lesion.channel_means.len() != channels {
        return Err(format!("found means of {} channels, expected {channels}", lesion.channel_means.len()));
    }
    if let Some(spread) = lesion.spread.filter(|v| !(0.0..=0.5 + 1e-6).contains(v)) {
        return Err(format!("found a spread of {spread}, expected 0 to 0.5"));
    }
    let outline = &lesion.outline;
    let closed = outline.points.len() >= 4 && outline.points.first() == outline.points.last();
    if !closed || !outline.points.iter().flatten().all(|v| v.is_finite()) {
        return Err(format!("found an outline of {} points, expected a closed polygon", outline.points.len()));
    }
    if !(first..=last).contains(&outline.slice) {
        return Err(format!("found the outline on slice {}, expected {first} to {last}", outline.slice));
    }
    Ok(Some((lesion, first..=last)))
}
