//! A segmentation in words and numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::ResultObject;
use super::super::segmented::{Found, Segment, Segmented};
use super::super::{ResultError, charset::fold_typography};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SegmentationReport {
    /// Slices of the volume; all numbers of slices below count from 0, in ascending position along the normal.
    pub slices: usize,
    /// The series that the masks are laid over.
    pub series_uid: String,
    /// The channel whose series it is.
    pub channel: String,
    /// SOPInstanceUID and SeriesInstanceUID of the object with the masks; absent where nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seg_instance_uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seg_series_uid: Option<String>,
    pub segments: Vec<SegmentReport>,
}

/// One segment of the model: either found (all numbers) or not (none).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SegmentReport {
    pub name: String,
    /// `#rrggbb`
    pub color: String,
    pub found: bool,
    /// One line for people: "Tumour: 3.21 ml, long axis 21.4 mm, slices 31 to 45".
    pub finding: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub measurements: Option<Measurements>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Measurements {
    /// SegmentNumber in the object with the masks.
    pub segment_number: u16,
    pub tracking_uid: String,
    pub voxels: usize,
    pub volume_ml: f64,
    pub long_axis_mm: f64,
    /// Of the analysed volume.
    pub ratio_percent: f64,
    /// Mean over the voxels of the standard deviation of the probability over the answers that the model combines, 0..=0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    pub channels: Vec<ChannelReport>,
    pub first_slice: usize,
    pub last_slice: usize,
    /// The slice that is outlined in the structured report, and the image it was read from.
    pub outline_slice: usize,
    pub outline_instance_uid: String,
    /// From 1, in a multi-frame instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outline_frame: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ChannelReport {
    pub name: String,
    /// Of the source's values inside the segment.
    pub mean: f64,
    /// Over the first channel's mean; absent for the first itself, where that is not above 0, and of contrasts, which are no phases
    /// of one study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enhancement_percent: Option<f64>,
}

impl SegmentationReport {
    pub(super) fn new(segmented: &Segmented, seg: Option<&ResultObject>) -> Result<Self, ResultError> {
        Ok(Self {
            slices: segmented.geometry.size[0],
            series_uid: segmented.display_instance()?.series_instance_uid.clone(),
            channel: segmented.channels.get(segmented.display).map(|c| c.name.to_owned()).unwrap_or_default(),
            seg_instance_uid: seg.map(|s| s.sop_instance_uid.clone()),
            seg_series_uid: seg.map(|s| s.series_instance_uid.clone()),
            segments: segmented.segments.iter().map(|s| segment_report(segmented, s)).collect::<Result<_, _>>()?,
        })
    }
}

fn segment_report(segmented: &Segmented, segment: &Segment) -> Result<SegmentReport, ResultError> {
    let name = &segment.spec.name;
    let measurements = segment.found.as_ref().map(|f| measurements(segmented, segment, f)).transpose()?;
    let finding = match &measurements {
        Some(m) => {
            let (volume, axis) = (m.volume_ml, m.long_axis_mm);
            // People count slices from 1.
            let (first, last) = (m.first_slice + 1, m.last_slice + 1);
            format!("{name}: {volume:.2} ml, long axis {axis:.1} mm, slices {first} to {last}")
        }
        None => format!("{name}: not found"),
    };
    Ok(SegmentReport {
        name: name.clone(),
        color: segment.spec.color.clone(),
        found: measurements.is_some(),
        finding: fold_typography(&finding),
        measurements,
    })
}

fn measurements(segmented: &Segmented, segment: &Segment, found: &Found) -> Result<Measurements, ResultError> {
    let lesion = found.lesion;
    let outlined = segmented.display_slices().get(lesion.outline.slice).ok_or(ResultError::NoImages)?;
    let channel = |(index, mean): (usize, &f64)| ChannelReport {
        name: segmented.channels.get(index).map(|c| c.name.to_owned()).unwrap_or_default(),
        mean: *mean,
        enhancement_percent: segmented.enhancement_percent(found, index),
    };
    Ok(Measurements {
        segment_number: found.number,
        tracking_uid: segment.tracking_uid.clone(),
        voxels: lesion.voxels,
        volume_ml: lesion.volume_ml,
        long_axis_mm: lesion.long_axis.length_mm,
        ratio_percent: lesion.ratio_percent,
        spread: lesion.spread,
        channels: lesion.channel_means.iter().enumerate().map(channel).collect(),
        first_slice: *found.slices.start(),
        last_slice: *found.slices.end(),
        outline_slice: lesion.outline.slice,
        outline_instance_uid: outlined.instance.sop_instance_uid.clone(),
        outline_frame: outlined.frame,
    })
}
