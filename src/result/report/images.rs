//! A segmentation of single images in words and numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::ResultError;
use super::super::charset::fold_typography;
use super::super::image_group::{EncodedGroup, ImageSegmentationContext, SegmentedImage};
use super::super::segmented::Segment;
use super::{ImageReport, Report, SegmentationReport};
use crate::imaging::{SegObject, SliceSource};
use crate::predict::{InPlaneAxis, Region};

/// What was segmented in one image, or one frame of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ImageSegmentationReport {
    pub segments: Vec<ImageSegmentReport>,
    /// SOPInstanceUID and SeriesInstanceUID of the object with the masks; absent where nothing was found in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seg_instance_uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seg_series_uid: Option<String>,
    /// The frames of that object that lie on this image, from 0.
    #[serde(default)]
    pub mask_frames: Vec<usize>,
}

/// One segment of the model in one image: either found (all numbers) or not (none).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ImageSegmentReport {
    pub name: String,
    /// `#rrggbb`
    pub color: String,
    pub found: bool,
    /// One line for people: "Tumour: 3.1 % of the image, 214.5 mm2, long axis 21.4 mm".
    pub finding: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub measurements: Option<RegionMeasurements>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct RegionMeasurements {
    /// SegmentNumber in the object with the masks.
    pub segment_number: u16,
    pub pixels: usize,
    /// Of the image's pixels.
    pub share_percent: f64,
    /// Absent where the image is not calibrated.
    #[serde(rename = "AreaMm2", default, skip_serializing_if = "Option::is_none")]
    pub area_mm2: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_axis_mm: Option<f64>,
    /// Of an image that is not calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_axis_pixels: Option<f64>,
    /// Of the source's values inside.
    pub mean: f64,
    /// Mean over the pixels of the standard deviation of the probability over the answers that the model combines, 0..=0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
}

impl Report {
    /// The report of a segmentation of single images, in the order of the run's images and their frames. Where they are one volume it has what
    /// is said of volumes, too.
    ///
    /// # Errors
    /// [`ResultError`]
    pub fn of_image_segmentation(ctx: &ImageSegmentationContext, groups: &[EncodedGroup]) -> Result<Self, ResultError> {
        let mut images: Vec<((usize, Option<u32>), ImageReport)> = Vec::new();
        for group in groups {
            let frames = mask_frames(group);
            for (n, (slice, image)) in group.segmented.display_slices().iter().zip(group.images).enumerate() {
                let masks = frames.iter().enumerate().filter(|(_, source)| **source == Some(n)).map(|(i, _)| i);
                images.push(((image.image, slice.frame), analysed(group, slice, image, masks.collect())));
            }
        }
        for failure in ctx.failures {
            let source = ctx.run.images.get(failure.image).ok_or(ResultError::NoImages)?;
            let report = ImageReport {
                view: failure.view.clone(),
                frame_number: failure.frame,
                instance_uid: source.sop_instance_uid.clone(),
                success: false,
                error: Some(failure.reason.clone()),
                result: None,
                segmentation: None,
            };
            images.push(((failure.image, failure.frame), report));
        }
        images.sort_by_key(|(place, _)| *place);
        let segmentation = match groups {
            [group] if group.is_volume() => Some(SegmentationReport::new(&group.segmented, group.seg.as_ref())?),
            _ => None,
        };
        let images = images.into_iter().map(|(_, report)| report).collect();
        Ok(Self { images, segmentation, ..Self::empty(&ctx.run)? })
    }
}

/// Of each frame of the group's object the slice that it lies on, as another reader finds it there.
fn mask_frames(group: &EncodedGroup) -> Vec<Option<usize>> {
    let Some(seg) = group.seg.as_ref().and_then(|o| SegObject::read(&o.bytes).ok()) else { return Vec::new() };
    let slices = group.segmented.display_slices();
    let place = |source: &Option<(String, Option<u32>)>| {
        let (uid, frame) = source.as_ref()?;
        slices.iter().position(|s| s.instance.sop_instance_uid == *uid && s.frame == *frame)
    };
    seg.frames.iter().map(|frame| place(&frame.source)).collect()
}

fn analysed(group: &EncodedGroup, slice: &SliceSource, image: &SegmentedImage, mask_frames: Vec<usize>) -> ImageReport {
    let segments = group.segmented.segments.iter().zip(&image.regions);
    let seg = group.seg.as_ref();
    ImageReport {
        view: image.view.clone(),
        instance_uid: slice.instance.sop_instance_uid.clone(),
        frame_number: slice.frame,
        success: true,
        error: None,
        result: None,
        segmentation: Some(ImageSegmentationReport {
            segments: segments.map(|(segment, region)| segment_report(segment, region.as_ref())).collect(),
            seg_instance_uid: seg.map(|s| s.sop_instance_uid.clone()),
            seg_series_uid: seg.map(|s| s.series_instance_uid.clone()),
            mask_frames,
        }),
    }
}

fn segment_report(segment: &Segment, region: Option<&Region>) -> ImageSegmentReport {
    let name = &segment.spec.name;
    let finding = region.map_or_else(|| format!("{name}: not found"), |r| format!("{name}: {}", words(r)));
    let measurements = region.zip(segment.found.as_ref()).map(|(region, found)| {
        let (mm, pixels) = match region.long_axis {
            InPlaneAxis::Millimetres(mm) => (Some(mm), None),
            InPlaneAxis::Pixels(pixels) => (None, Some(pixels)),
        };
        RegionMeasurements {
            segment_number: found.number,
            pixels: region.pixels,
            share_percent: region.share_percent,
            area_mm2: region.area_mm2,
            long_axis_mm: mm,
            long_axis_pixels: pixels,
            mean: region.mean,
            spread: region.spread,
        }
    });
    ImageSegmentReport {
        name: name.clone(),
        color: segment.spec.color.clone(),
        found: region.is_some(),
        finding: fold_typography(&finding),
        measurements,
    }
}

fn words(region: &Region) -> String {
    let share = format!("{:.2} % of the image", region.share_percent);
    match (region.area_mm2, region.long_axis) {
        (Some(area), InPlaneAxis::Millimetres(axis)) => format!("{share}, {area:.1} mm2, long axis {axis:.1} mm"),
        (_, InPlaneAxis::Millimetres(axis) | InPlaneAxis::Pixels(axis)) => {
            format!("{share}, {} pixels, long axis {axis:.1} pixels", region.pixels)
        }
    }
}
