//! Measurement report of a segmentation of single images (PS3.16 TID 1500, 1410, 1411, 1419, 4019).
//!
//! Each image in which a segment has pixels is a planar group (TID 1410) with its area, its share of the image, its long axis and its
//! outline. Where the images are a volume the segment has a volumetric group (TID 1411) too, under one Tracking Unique Identifier with
//! the planar group of the slice where it is largest; the other slices' are their own. What was not found is stated outside the
//! groups, and so is what could not be analysed.

use super::super::charset::{ascii_line, first_in_ascii};
use super::super::codes;
use super::super::common::Algorithm;
use super::super::content::{Code, Container, Item};
use super::super::evidence::evidence;
use super::super::image_group::{EncodedGroup, ImageSegmentationContext};
use super::super::image_library::image_library;
use super::super::reference::InstanceReference;
use super::super::segmented::{Found, Segment};
use super::super::uid::derived_uid;
use super::super::{ResultError, ResultObject};
use super::segmentation::{absences, number, outline, outline_group, tracked_group, volume_group, with_spread};
use super::{Document, root};
use crate::imaging::{ImageAttributes, SliceSource};
use crate::predict::{InPlaneAxis, Region};

/// The report of a run.
///
/// # Errors
/// [`ResultError`]
pub fn images_report(ctx: &ImageSegmentationContext, groups: &[EncodedGroup]) -> Result<ResultObject, ResultError> {
    let first = ctx.run.images.first().ok_or(ResultError::NoImages)?;
    let masks = groups.iter().filter_map(|g| g.seg.as_ref()).map(InstanceReference::from);
    let sources = ctx.run.images.iter().map(|&i| InstanceReference::from(i));
    // Reports of other masks, or of other failures, are other reports.
    let failed = ctx.failures.iter().map(|f| format!("{} {:?}", f.image, f.frame));
    let uids = groups.iter().filter_map(|g| g.seg.as_ref()).map(|s| s.sop_instance_uid.clone());
    let content: Vec<String> = uids.chain(failed).collect();
    Document {
        root: tree(ctx, groups)?,
        evidence: evidence(sources.chain(masks))?,
        source: first,
        variant: &derived_uid(content.iter().map(String::as_str)),
        incomplete: (!ctx.failures.is_empty()).then_some("Not all images could be analysed"),
    }
    .into_object(&ctx.run)
}

/// TID 1500.
fn tree(ctx: &ImageSegmentationContext, groups: &[EncodedGroup]) -> Result<Item<Container>, ResultError> {
    let algorithm = Algorithm::of(&ctx.run);
    let mut measurements = Vec::new();
    let mut outlined: Vec<&ImageAttributes> = Vec::new();
    for group in groups {
        for (index, segment) in group.segmented.segments.iter().enumerate() {
            let Some(found) = &segment.found else { continue };
            measurements.extend(groups_of(group, &algorithm, index, segment, found)?);
        }
        for (slice, image) in group.segmented.display_slices().iter().zip(group.images) {
            let known = outlined.iter().any(|i| i.sop_instance_uid == slice.instance.sop_instance_uid);
            if !known && image.regions.iter().any(Option::is_some) {
                outlined.push(&slice.instance);
            }
        }
    }
    let mut root = root(&ctx.run, &algorithm)?;
    // Readers stumble over containers without content, so where nothing was found there are none.
    if !measurements.is_empty() {
        let container = Item::container(codes::IMAGING_MEASUREMENTS, None)?;
        root = root.contains(image_library(&outlined)?);
        root = root.contains(measurements.into_iter().fold(container, |all, group| all.contains(group)));
    }
    Ok(root.contains(evaluations(ctx, groups)?))
}

/// All groups of one segment that has pixels.
fn groups_of(
    group: &EncodedGroup,
    algorithm: &Algorithm,
    index: usize,
    segment: &Segment,
    found: &Found,
) -> Result<Vec<Item<Container>>, ResultError> {
    let Some(seg) = &group.seg else {
        return Err(ResultError::Prediction { reason: "found masks, expected their Segmentation instance".into() });
    };
    let largest = found.lesion.outline.slice;
    let mut groups = Vec::new();
    for (n, (slice, image)) in group.segmented.display_slices().iter().zip(group.images).enumerate() {
        let Some(region) = image.regions.get(index).and_then(Option::as_ref) else { continue };
        if n == largest && group.is_volume() {
            // The outline first: OHIF shows the numbers of the first group that it finds under a tracking UID.
            let planar = outline_group(&group.segmented, algorithm, segment, found, slice)?;
            groups.push(with_area(planar, region)?);
            groups.push(volume_group(&group.segmented, algorithm, segment, found, InstanceReference::from(seg))?);
        } else {
            // Of a plane that stands for the whole segment, the segment's own; else one a slice.
            let uid = if n == largest { segment.tracking_uid.clone() } else { slice_uid(group, segment, slice) };
            let name = [image.view.as_str(), "image"];
            let id = ascii_line(&format!("{} {}", segment.tracking_id, first_in_ascii(name)));
            let planar = tracked_group(&group.segmented, algorithm, segment, [&id, &uid], "1410")?;
            let (axis, unit) = match region.long_axis {
                InPlaneAxis::Millimetres(mm) => (mm, codes::MILLIMETER),
                InPlaneAxis::Pixels(pixels) => (pixels, codes::PIXELS),
            };
            let planar = with_area(planar, region)?.contains(number(codes::LONG_AXIS, axis, unit)?);
            let planar = with_spread(planar, region.spread)?;
            groups.push(planar.contains(outline(&region.outline.points, slice)?));
        }
    }
    Ok(groups)
}

fn slice_uid(group: &EncodedGroup, segment: &Segment, slice: &SliceSource) -> String {
    let uid = &slice.instance.sop_instance_uid;
    let frame = slice.frame.map(|n| format!(" frame {n}")).unwrap_or_default();
    group.segmented.ctx.uids.tracking(&format!("{uid}{frame} {}", segment.spec.name))
}

/// The area in mm² where the pixels are calibrated, and the share of the image in any case.
fn with_area(group: Item<Container>, region: &Region) -> Result<Item<Container>, ResultError> {
    let group = match region.area_mm2 {
        Some(area) => group.contains(number(codes::AREA, area, codes::SQUARE_MILLIMETER)?),
        None => group,
    };
    Ok(group.contains(number(codes::IMAGE_SHARE, region.share_percent, codes::PERCENT)?))
}

/// TID 1500 row 12: whether there is anything, what is not, and what could not be looked at.
fn evaluations(ctx: &ImageSegmentationContext, groups: &[EncodedGroup]) -> Result<Item<Container>, ResultError> {
    let any = groups.iter().any(|g| g.seg.is_some());
    let summary = if any { codes::SUCCEEDED_WITH_FINDINGS } else { codes::SUCCEEDED_WITHOUT_FINDINGS };
    let mut statements = Item::container(codes::QUALITATIVE_EVALUATIONS, None)?;
    // The summary is of all algorithms on all images.
    if ctx.failures.is_empty() {
        statements = statements.contains(Item::code(codes::CAD_PROCESSING_SUMMARY, summary)?);
    }
    for group in groups {
        statements = absences(&group.segmented)?.into_iter().fold(statements, Item::contains);
    }
    for failure in not_analysed(ctx)? {
        statements = statements.contains(failure);
    }
    Ok(statements)
}

fn not_analysed(ctx: &ImageSegmentationContext) -> Result<Vec<Item<Code>>, ResultError> {
    let mut statements = Vec::new();
    for failure in ctx.failures {
        let Some(image) = ctx.run.images.get(failure.image) else { continue };
        let (view, reason) = (&failure.view, &failure.reason);
        let words = ascii_line(&format!("{view}: not analysed, nothing is said about it. Reason: {reason}"));
        statements.push(
            Item::code(codes::CAD_PROCESSING_SUMMARY, codes::NO_ALGORITHMS_SUCCEEDED)?
                .has_properties(Item::text(codes::COMMENT, &words)?)
                .inferred_from(Item::image(codes::ORIGINAL_SOURCE, image)?),
        );
    }
    Ok(statements)
}
