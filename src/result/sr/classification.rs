//! Measurement report with the classification of each image (PS3.16 TID 1500, 1410, 1419, 4019).
//!
//! One report a run. Each analysed image is a planar measurement group (TID 1410) whose region is the whole image: a
//! group without a region (TID 1501) is the purer form, but OHIF 3.13 does not load it. Each class's probability is a
//! NUM whose concept is post-coordinated with the class by a modifier "Finding" (TID 1419 row 6). Images that could not
//! be analysed are stated as such, never as "Absent".

use super::super::charset::ascii_line;
use super::super::codes::{self, Presence};
use super::super::common::{Algorithm, concept};
use super::super::content::{Container, Item, Num, Scoord};
use super::super::evidence::evidence;
use super::super::image_library::image_library;
use super::super::{Remarks, ResultContext, ResultError, ResultObject, source, vr};
use super::{Document, algorithm_identification, explanation, finding_site, root};
use crate::imaging::ImageAttributes;
use crate::manifest::{ClassSpec, TaskSpec};
use crate::predict::{ClassProbability, Finding, ImagePrediction, Prediction};

/// The report of a whole run.
///
/// # Errors
/// [`ResultError`]; in particular `AllFailed` where no image was analysed and `MixedStudies`.
pub fn measurement_report(ctx: &ResultContext, prediction: &Prediction) -> Result<ResultObject, ResultError> {
    remarked_report(ctx, prediction, &Remarks::default())
}

/// The report of a whole run, with what its answers rest on and what else is to be said of them.
///
/// # Errors
/// As [`measurement_report`], and `Prediction` where an explanation is of none of the run's images or classes.
pub fn remarked_report(
    ctx: &ResultContext,
    prediction: &Prediction,
    remarks: &Remarks<'_>,
) -> Result<ResultObject, ResultError> {
    source::require_one_study(ctx.images)?;
    validate(ctx, prediction)?;
    let first = ctx.images.first().ok_or(ResultError::NoImages)?;
    let failed: Vec<String> = failures(prediction).map(|(p, _)| p.image.to_string()).collect();
    if failed.len() == prediction.images.len() {
        return Err(ResultError::AllFailed { images: failed.len() });
    }
    Document {
        root: tree(ctx, prediction, remarks)?,
        evidence: evidence(ctx.images.iter().copied())?,
        source: first,
        variant: &explanation::variant(&failed.join(","), remarks.explanations),
        incomplete: (!failed.is_empty()).then_some("Not all images could be analysed"),
    }
    .into_object(ctx)
}

/// Every image exactly once, every class of the model, probabilities that are some.
fn validate(ctx: &ResultContext, prediction: &Prediction) -> Result<(), ResultError> {
    let refuse = |reason: String| Err(ResultError::Prediction { reason });
    let mut indices: Vec<usize> = prediction.images.iter().map(|p| p.image).collect();
    indices.sort_unstable();
    if !indices.iter().copied().eq(0..ctx.images.len()) {
        return refuse(format!("found images {indices:?}, expected each of 0..{} once", ctx.images.len()));
    }
    let classes = ctx.manifest.classes().len();
    for (p, finding) in prediction.images.iter().filter_map(|p| Some((p, p.outcome.as_ref().ok()?))) {
        if !finding.all.iter().map(|c| c.class).eq(0..classes) || finding.class >= classes {
            return refuse(format!("image {}: expected the {classes} classes of the model in order", p.image));
        }
        let values = finding.all.iter().map(|c| c.probability).chain([finding.probability]);
        if let Some(value) = values.into_iter().find(|v| !(0.0..=1.0 + 1e-9).contains(v)) {
            return refuse(format!("image {}: found probability {value}, expected 0 to 1", p.image));
        }
    }
    Ok(())
}

/// The images that failed, with the reason.
fn failures(prediction: &Prediction) -> impl Iterator<Item = (&ImagePrediction, &str)> {
    prediction.images.iter().filter_map(|p| Some((p, p.outcome.as_ref().err()?.as_str())))
}

/// TID 1500.
fn tree(ctx: &ResultContext, prediction: &Prediction, remarks: &Remarks<'_>) -> Result<Item<Container>, ResultError> {
    let algorithm = Algorithm::of(ctx);
    let mut measurements = Item::container(codes::IMAGING_MEASUREMENTS, None)?;
    for p in &prediction.images {
        if let (Ok(finding), Some(image)) = (&p.outcome, ctx.images.get(p.image)) {
            measurements = measurements.contains(measurement_group(ctx, &algorithm, p, image, finding)?);
        }
    }
    measurements = explanation::put_regions(measurements, ctx, &algorithm, remarks.explanations)?;
    let root = explanation::put_comments(root(ctx, &algorithm)?, ctx, prediction, remarks)?;
    let root = root.contains(image_library(ctx.images)?).contains(measurements);
    Ok(match not_analysed(ctx, prediction)? {
        Some(statements) => root.contains(statements),
        None => root,
    })
}

/// TID 1410: what the model says of one image.
fn measurement_group(
    ctx: &ResultContext,
    algorithm: &Algorithm,
    p: &ImagePrediction,
    image: &ImageAttributes,
    finding: &Finding,
) -> Result<Item<Container>, ResultError> {
    let classes = ctx.manifest.classes();
    let tracking = ascii_line(&format!("{} whole image", p.view));
    let mut group = Item::container(codes::MEASUREMENT_GROUP, Some("1410"))?
        .has_obs_context(Item::text(codes::TRACKING_IDENTIFIER, &tracking)?)
        .has_obs_context(Item::uid(codes::TRACKING_UNIQUE_IDENTIFIER, &ctx.uids.tracking(&image.sop_instance_uid))?);
    if let Some(winner) = classes.get(finding.class) {
        group = group.contains(Item::code(codes::FINDING, concept(&winner.concept))?);
    }
    group = group.has_concept_mod(finding_site(ctx, image)?);
    for text in algorithm_identification(ctx, algorithm, &parameters(classes))? {
        group = group.has_concept_mod(text);
    }
    group = group.contains(whole_image(image)?);
    for (class, all) in winner_first(finding).filter_map(|c| Some((classes.get(c.class)?, c))) {
        group = group.contains(probability(ctx, class, all.probability)?);
    }
    for (class, all) in classes.iter().zip(&finding.all) {
        let presence = Presence::of(all.probability, class.thresholds);
        group = group.contains(Item::code(concept(&class.concept), presence.concept())?);
    }
    Ok(group)
}

/// The winning class, then the others in the manifest's order: readers that take the first number take the winner's.
fn winner_first(finding: &Finding) -> impl Iterator<Item = &ClassProbability> {
    let winner = finding.all.iter().filter(|c| c.class == finding.class);
    winner.chain(finding.all.iter().filter(|c| c.class != finding.class))
}

/// TID 1419 rows 5 and 6: the probability, in %, of one class.
fn probability(ctx: &ResultContext, class: &ClassSpec, probability: f64) -> Result<Item<Num>, ResultError> {
    let percent = vr::decimal_string("Probability", probability * 100.0, 4)?;
    let TaskSpec::Classification(task) = &ctx.manifest.task else {
        return Err(ResultError::Prediction { reason: "found class probabilities, expected masks".into() });
    };
    let item = Item::num(concept(&task.probability_concept), &percent, codes::PERCENT)?;
    Ok(item.has_concept_mod(Item::code(codes::FINDING, concept(&class.concept))?))
}

/// How the probabilities came about and what is made of them.
fn parameters(classes: &[ClassSpec]) -> Vec<String> {
    let threshold =
        |c: &ClassSpec| format!("{}: Present >= {}, Absent < {}", c.name, c.thresholds.present, c.thresholds.absent);
    std::iter::once("calibration: none (uncalibrated softmax)".to_owned())
        .chain(classes.iter().map(threshold))
        .collect()
}

/// The image's outline as the group's region.
fn whole_image(image: &ImageAttributes) -> Result<Item<Scoord>, ResultError> {
    let (columns, rows) = (image.columns as f32, image.rows as f32);
    let outline = [[0.0, 0.0], [columns, 0.0], [columns, rows], [0.0, rows], [0.0, 0.0]];
    Item::polyline(codes::IMAGE_REGION, &outline, Item::image(codes::ORIGINAL_SOURCE, image)?)
}

/// TID 1500 row 12: for each image that failed, that it did, why, and which it is.
fn not_analysed(ctx: &ResultContext, prediction: &Prediction) -> Result<Option<Item<Container>>, ResultError> {
    let mut statements = Item::container(codes::QUALITATIVE_EVALUATIONS, None)?;
    let mut any = false;
    for (p, reason) in failures(prediction) {
        let Some(image) = ctx.images.get(p.image) else { continue };
        let words =
            ascii_line(&format!("{}: not analysed, nothing is said about this image. Reason: {reason}", p.view));
        let statement = Item::code(codes::CAD_PROCESSING_SUMMARY, codes::NO_ALGORITHMS_SUCCEEDED)?
            .has_properties(Item::text(codes::COMMENT, &words)?)
            .inferred_from(Item::image(codes::ORIGINAL_SOURCE, image)?);
        statements = statements.contains(statement);
        any = true;
    }
    Ok(any.then_some(statements))
}
