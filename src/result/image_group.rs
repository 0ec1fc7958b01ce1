//! A segmentation of single images: which of them share one object with masks, and what becomes of all of them.

use super::encapsulated::surface_objects;
use super::report::Report;
use super::seg::segmentation_object;
use super::segmented::Segmented;
use super::sr::images_report;
use super::{ChannelSource, ResultContext, ResultError, ResultObject, Results, SegmentationContext, source};
use crate::imaging::ImageAttributes;
use crate::predict::{Region, Segmentation};

/// What the result objects of a segmentation of single images need to know.
#[derive(Debug, Clone)]
pub struct ImageSegmentationContext<'a> {
    /// `images`: every instance, in the order of the report.
    pub run: ResultContext<'a>,
    pub groups: &'a [ImageGroup],
    pub failures: &'a [ImageFailure],
}

/// Images whose masks lie in one object: the slices of a series that is a regular volume, or the frames of one instance.
#[derive(Debug, Clone)]
pub struct ImageGroup {
    pub source: ChannelSource,
    /// (slice, row, column): as many slices as `images`. Its geometry says how large a pixel is only where the source says it.
    pub segmentation: Segmentation,
    /// One a slice, in its order.
    pub images: Vec<SegmentedImage>,
}

/// One image, or one frame of one.
#[derive(Debug, Clone)]
pub struct SegmentedImage {
    /// Index into the run's images.
    pub image: usize,
    /// "L-CC", "Image 3".
    pub view: String,
    /// One a segment of the manifest; None: no pixel is inside.
    pub regions: Vec<Option<Region>>,
}

/// An image, or a frame of one, that could not be analysed.
#[derive(Debug, Clone)]
pub struct ImageFailure {
    /// Index into the run's images.
    pub image: usize,
    pub view: String,
    /// From 1, of one frame of several.
    pub frame: Option<u32>,
    pub reason: String,
}

/// A group with its object, as reports are written from it.
pub struct EncodedGroup<'a> {
    pub segmented: Segmented<'a>,
    pub images: &'a [SegmentedImage],
    /// The object with the masks; None where no segment has pixels.
    pub seg: Option<ResultObject>,
}

impl EncodedGroup<'_> {
    /// Whether it is a volume, so that there is more to measure than in planes.
    pub fn is_volume(&self) -> bool {
        self.segmented.has_place && self.images.len() > 1
    }
}

/// Data path step 9: the result objects and the report of a segmentation of single images. Each group has its object with masks, but where
/// nothing was found; one report tells of all.
///
/// # Errors
/// [`ResultError`]; in particular `AllFailed` where no image was analysed.
pub fn encode_image_segmentation(ctx: &ImageSegmentationContext) -> Result<Results, ResultError> {
    source::require_one_study(ctx.run.images)?;
    if ctx.groups.is_empty() {
        return Err(ResultError::AllFailed { images: ctx.failures.len() });
    }
    let instances: Vec<Vec<&ImageAttributes>> =
        ctx.groups.iter().map(|g| super::distinct_instances(std::slice::from_ref(&g.source))).collect();
    // What is said of an image does not depend on the others that are analysed with it.
    let contexts: Vec<SegmentationContext> = ctx
        .groups
        .iter()
        .zip(&instances)
        .map(|(group, images)| SegmentationContext {
            run: ResultContext { images, uids: ctx.run.uids.of_images(images), ..ctx.run.clone() },
            channels: std::slice::from_ref(&group.source),
        })
        .collect();
    let mut groups = Vec::with_capacity(ctx.groups.len());
    for (group, context) in ctx.groups.iter().zip(&contexts) {
        check(ctx, group)?;
        let segmented = Segmented::new(context, &group.segmentation)?;
        let seg = segmentation_object(&segmented)?;
        groups.push(EncodedGroup { segmented, images: &group.images, seg });
    }
    let sr = images_report(ctx, &groups)?;
    let report = Report::of_image_segmentation(ctx, &groups)?;
    let (mut surfaces, mut warnings) = (Vec::new(), Vec::new());
    for group in &groups {
        let (objects, reasons) = surface_objects(&group.segmented, group.seg.as_ref())?;
        surfaces.extend(objects);
        warnings.extend(reasons);
    }
    // Of images on their own all for the same reason.
    warnings.dedup();
    let segs = groups.into_iter().filter_map(|g| g.seg);
    Ok(Results { objects: segs.chain([sr]).chain(surfaces).collect(), report, warnings })
}

fn check(ctx: &ImageSegmentationContext, group: &ImageGroup) -> Result<(), ResultError> {
    let slices = group.segmentation.geometry.size[0];
    let segments = ctx.run.manifest.segments().len();
    let fits = |image: &SegmentedImage| image.image < ctx.run.images.len() && image.regions.len() == segments;
    if group.images.len() == slices && group.images.iter().all(fits) {
        return Ok(());
    }
    let reason = format!("found {} images for {slices} slices, expected one each of the run's", group.images.len());
    Err(ResultError::Prediction { reason })
}
