//! Measurement report of a segmentation (PS3.16 TID 1500, 1411, 1410, 1419, 4019).
//!
//! A segment that has voxels has two groups under one Tracking Unique Identifier: a planar one (TID 1410) with the outline on
//! the slice where it is largest, since OHIF 3.13 loads no group that has nothing to draw, and a volumetric one (TID 1411) with
//! what was measured on the voxels and a reference to the segment in the Segmentation instance. What was not found is stated
//! outside the groups, as a qualitative evaluation "Absent".

use super::super::codes::{self, Concept};
use super::super::common::{Algorithm, concept};
use super::super::content::{Code, Container, Item, Num, Scoord};
use super::super::evidence::evidence;
use super::super::image_library::image_library;
use super::super::reference::InstanceReference;
use super::super::segmented::{Found, Segment, Segmented};
use super::super::{ResultError, ResultObject, vr};
use super::{Document, algorithm_identification, finding_site, root, spread};
use crate::imaging::{ImageAttributes, SliceSource};
use crate::manifest::task::PostprocessingSpec;

/// GraphicData is a value with a 16-bit length (PS3.5 7.1.2): 16383 numbers.
const MAX_POINTS: usize = 8191;

/// The report of a run; `segmentation` is the object with the masks, None where no segment has voxels.
///
/// # Errors
/// [`ResultError`]
pub fn segmentation_report(
    segmented: &Segmented,
    segmentation: Option<&ResultObject>,
) -> Result<ResultObject, ResultError> {
    let ctx = segmented.ctx;
    let masks = segmentation.map(InstanceReference::from);
    // All that was analysed, in the tree or not, and what came of it.
    let sources = ctx.images.iter().map(|&i| InstanceReference::from(i));
    let evidence = evidence(sources.chain(masks))?;
    Document {
        root: tree(segmented, masks)?,
        evidence,
        source: segmented.display_instance()?,
        // Reports of different masks are different reports.
        variant: segmentation.map_or("nothing found", |s| &s.sop_instance_uid),
        incomplete: None,
    }
    .into_object(ctx)
}

/// TID 1500.
fn tree(segmented: &Segmented, masks: Option<InstanceReference>) -> Result<Item<Container>, ResultError> {
    let algorithm = Algorithm::of(segmented.ctx);
    let mut groups = Vec::new();
    let mut outlined: Vec<&ImageAttributes> = Vec::new();
    for (segment, found) in segmented.found() {
        let Some(masks) = masks else {
            return Err(ResultError::Prediction { reason: "found masks, expected their Segmentation instance".into() });
        };
        let slice = segmented.display_slices().get(found.lesion.outline.slice).ok_or(ResultError::NoImages)?;
        if outlined.iter().all(|i| i.sop_instance_uid != slice.instance.sop_instance_uid) {
            outlined.push(&slice.instance);
        }
        // The outline first: OHIF shows the numbers of the first group that it finds under a tracking UID.
        groups.push(outline_group(segmented, &algorithm, segment, found, slice)?);
        groups.push(volume_group(segmented, &algorithm, segment, found, masks)?);
    }
    let mut root = root(segmented.ctx, &algorithm)?;
    // A library lists what the tree refers to: the hundreds of slices are in the evidence. Readers stumble over containers
    // without content, so where nothing was found there are none.
    if !groups.is_empty() {
        let measurements = Item::container(codes::IMAGING_MEASUREMENTS, None)?;
        root = root.contains(image_library(&outlined)?);
        root = root.contains(groups.into_iter().fold(measurements, |all, group| all.contains(group)));
    }
    Ok(root.contains(evaluations(segmented)?))
}

/// What both groups of a segment begin with: the two are one thing.
fn group(
    segmented: &Segmented,
    algorithm: &Algorithm,
    segment: &Segment,
    template: &str,
) -> Result<Item<Container>, ResultError> {
    tracked_group(segmented, algorithm, segment, [&segment.tracking_id, &segment.tracking_uid], template)
}

/// A group of another tracking identifier and UID than the segment's.
pub(super) fn tracked_group(
    segmented: &Segmented,
    algorithm: &Algorithm,
    segment: &Segment,
    [tracking_id, tracking_uid]: [&str; 2],
    template: &str,
) -> Result<Item<Container>, ResultError> {
    let ctx = segmented.ctx;
    let mut group = Item::container(codes::MEASUREMENT_GROUP, Some(template))?
        .has_obs_context(Item::text(codes::TRACKING_IDENTIFIER, tracking_id)?)
        .has_obs_context(Item::uid(codes::TRACKING_UNIQUE_IDENTIFIER, tracking_uid)?)
        .contains(Item::code(codes::FINDING, concept(&segment.spec.concept))?)
        .has_concept_mod(finding_site(ctx, segmented.display_instance()?)?);
    for text in algorithm_identification(ctx, algorithm, &parameters(segmented))? {
        group = group.has_concept_mod(text);
    }
    Ok(group)
}

/// TID 1411: what was measured on the voxels.
pub(super) fn volume_group(
    segmented: &Segmented,
    algorithm: &Algorithm,
    segment: &Segment,
    found: &Found,
    masks: InstanceReference,
) -> Result<Item<Container>, ResultError> {
    let lesion = found.lesion;
    let mut group = group(segmented, algorithm, segment, "1411")?
        .contains(
            number(codes::VOLUME, lesion.volume_ml, codes::CUBIC_CENTIMETER)?
                .has_concept_mod(Item::code(codes::MEASUREMENT_METHOD, codes::SUM_OF_VOXELS)?),
        )
        .contains(number(codes::VOLUME_SHARE, lesion.ratio_percent, codes::PERCENT)?);
    group = with_spread(group, lesion.spread)?;
    if let Some((signal, unit)) = codes::signal(&segmented.display_instance()?.modality, segmented.dynamic) {
        for (index, (channel, mean)) in segmented.channels.iter().zip(&lesion.channel_means).enumerate() {
            let mean = number(signal, *mean, unit)?.has_concept_mod(Item::code(codes::DERIVATION, codes::MEAN)?);
            group = group.contains(of_channel(segmented, mean, &channel.label)?);
            if let Some(percent) = segmented.enhancement_percent(found, index) {
                let enhancement = number(codes::ENHANCEMENT, percent, codes::PERCENT)?;
                group = group.contains(of_channel(segmented, enhancement, &channel.label)?);
            }
        }
    }
    group = group.contains(Item::segment(codes::REFERENCED_SEGMENT, masks, found.number)?);
    let series = &segmented.display_instance()?.series_instance_uid;
    Ok(group.contains(Item::uid(codes::SOURCE_SERIES, series)?))
}

/// TID 1410: the outline, and the long axis, which a viewer shows beside it.
pub(super) fn outline_group(
    segmented: &Segmented,
    algorithm: &Algorithm,
    segment: &Segment,
    found: &Found,
    slice: &SliceSource,
) -> Result<Item<Container>, ResultError> {
    let lesion = found.lesion;
    let long_axis = number(codes::LONG_AXIS, lesion.long_axis.length_mm, codes::MILLIMETER)?
        .has_properties(Item::text(codes::COMMENT, "In three dimensions, between the centres of voxels")?);
    Ok(group(segmented, algorithm, segment, "1410")?
        .contains(long_axis)
        .contains(outline(&lesion.outline.points, slice)?))
}

pub(super) fn outline(points: &[[f32; 2]], slice: &SliceSource) -> Result<Item<Scoord>, ResultError> {
    let image = Item::slice(codes::ORIGINAL_SOURCE, slice)?;
    Item::polyline(codes::IMAGE_REGION, &at_most(points, MAX_POINTS), image)
}

/// `points`, or every n-th of them where there are more than `max`; the last one always, since it closes the polygon.
fn at_most(points: &[[f32; 2]], max: usize) -> Vec<[f32; 2]> {
    let Some((last, rest)) = points.split_last() else { return Vec::new() };
    let step = rest.len().div_ceil(max - 1).max(1);
    rest.iter().step_by(step).chain([last]).copied().collect()
}

/// How far the answers agree on what is inside, in %, where the model combines several. `spread`: 0 to 0.5.
pub(super) fn with_spread(group: Item<Container>, spread: Option<f64>) -> Result<Item<Container>, ResultError> {
    let Some(spread) = spread else { return Ok(group) };
    Ok(group.contains(number(codes::SEGMENT_SPREAD, spread * 100.0, codes::PERCENT)?))
}

pub(super) fn number(name: Concept, value: f64, unit: Concept) -> Result<Item<Num>, ResultError> {
    Item::num(name, &vr::decimal_string(name.meaning, value, 4)?, unit)
}

/// Says which of several channels a number is of: a phase is a time point, a contrast is not.
fn of_channel(segmented: &Segmented, number: Item<Num>, label: &str) -> Result<Item<Num>, ResultError> {
    if segmented.dynamic {
        Ok(number.has_concept_mod(Item::text(codes::TIME_POINT, label)?))
    } else if segmented.channels.len() > 1 {
        Ok(number.has_properties(Item::text(codes::COMMENT, label)?))
    } else {
        Ok(number)
    }
}

/// TID 1500 row 12: whether there is anything, and what is not.
fn evaluations(segmented: &Segmented) -> Result<Item<Container>, ResultError> {
    let any = segmented.found().next().is_some();
    let summary = if any { codes::SUCCEEDED_WITH_FINDINGS } else { codes::SUCCEEDED_WITHOUT_FINDINGS };
    let statements = Item::container(codes::QUALITATIVE_EVALUATIONS, None)?
        .contains(Item::code(codes::CAD_PROCESSING_SUMMARY, summary)?);
    Ok(absences(segmented)?.into_iter().fold(statements, |all, absent| all.contains(absent)))
}

/// Of each segment that has no voxels that it is absent, as far as the model can tell.
pub(super) fn absences(segmented: &Segmented) -> Result<Vec<Item<Code>>, ResultError> {
    let mut statements = Vec::new();
    let algorithm = Algorithm::of(segmented.ctx);
    let series = &segmented.display_instance()?.series_instance_uid;
    for segment in segmented.segments.iter().filter(|s| s.found.is_none()) {
        let words = format!("{}: nothing was segmented. This does not exclude the finding.", segment.tracking_id);
        let mut absent = Item::code(concept(&segment.spec.concept), codes::Presence::Absent.concept())?
            .has_concept_mod(finding_site(segmented.ctx, segmented.display_instance()?)?);
        for text in algorithm_identification(segmented.ctx, &algorithm, &parameters(segmented))? {
            absent = absent.has_concept_mod(text);
        }
        absent = absent
            .has_properties(Item::text(codes::COMMENT, &words)?)
            .has_properties(Item::uid(codes::SOURCE_SERIES, series)?);
        // Of a single image it says of which.
        statements.push(match segmented.display_slices() {
            [slice] => absent.inferred_from(Item::slice(codes::ORIGINAL_SOURCE, slice)?),
            _ => absent,
        });
    }
    Ok(statements)
}

/// How the masks came about.
fn parameters(segmented: &Segmented) -> Vec<String> {
    let step = |step: &PostprocessingSpec| match step {
        PostprocessingSpec::AsDiscrete(s) => format!("inside: probability > {}", s.threshold),
        PostprocessingSpec::BinaryErosion(s) => {
            let [slices, rows, columns] = s.size;
            format!("binary erosion: {slices} x {rows} x {columns} voxels")
        }
        PostprocessingSpec::FillHoles(_) => "holes filled".into(),
        PostprocessingSpec::KeepLargestConnectedComponent(_) => "largest connected component kept".into(),
        PostprocessingSpec::Invert(s) => format!("onto the source's grid: {:?}", s.mode).to_lowercase(),
    };
    std::iter::once("calibration: none (uncalibrated sigmoid)".to_owned())
        .chain(segmented.spec.postprocessing.iter().map(step))
        .chain(segmented.resampling())
        .chain(spread::parameter(segmented.ctx.manifest, "spread: standard deviation of the probability over them"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_outlines_stay_closed() {
        for n in [4, 8190, 8191, 8192, 20_000] {
            let mut points: Vec<[f32; 2]> = (0..n).map(|i| [i as f32, 1.0]).collect();
            points.push(points[0]);
            let kept = at_most(&points, MAX_POINTS);
            assert!(kept.len() <= MAX_POINTS && kept.len() > MAX_POINTS.min(n) / 2, "{n}: {}", kept.len());
            assert_eq!(kept.first(), kept.last());
            assert!(n > 8190 || kept == points);
        }
    }
}
