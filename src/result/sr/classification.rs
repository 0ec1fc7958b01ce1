//! Measurement report with the classification of each image, or of all images of a run together (PS3.16 TID 1500, 1410, 1419, 4019).
//!
//! One report a run. Each analysed image is a planar measurement group (TID 1410) whose region is the whole image: a
//! group without a region (TID 1501) is the purer form, but OHIF 3.13 does not load it. Each class's probability is a
//! NUM whose concept is post-coordinated with the class by a modifier "Finding" (TID 1419 row 6). Images that could not
//! be analysed are stated as such, never as "Absent". Where a model combines several answers, their spread is the probability's uncertainty.
//!
//! Where a run has one answer for all its images, its group comes first, for the same reason on the image that speaks most for it, and then
//! one each for the images that carry it; the others are in the evidence alone.

use super::super::charset::ascii_line;
use super::super::codes::{self, Presence};
use super::super::common::{Algorithm, concept};
use super::super::content::{Code, Container, Item, Num, Scoord};
use super::super::evidence::evidence;
use super::super::image_library::image_library;
use super::super::report::{method, one_series, said_of_all};
use super::super::{Remarks, ResultContext, ResultError, ResultObject, source, vr};
use super::{Document, algorithm_identification, explanation, finding_site, root, spread};
use crate::imaging::ImageAttributes;
use crate::manifest::{Activation, AggregateSpec, ClassSpec, ClassificationSpec, TaskSpec};
use crate::predict::{ClassProbability, Finding, ImagePrediction, OverallPrediction, Prediction};

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
    let place =
        |p: &ImagePrediction| p.frame.map_or_else(|| p.image.to_string(), |frame| format!("{} frame {frame}", p.image));
    let failed: Vec<String> = failures(prediction).map(|(p, _)| place(p)).collect();
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

/// Every image exactly once (of a multi-frame one each frame), every class of the model, probabilities that are some.
fn validate(ctx: &ResultContext, prediction: &Prediction) -> Result<(), ResultError> {
    let refuse = |reason: String| Err(ResultError::Prediction { reason });
    let mut indices: Vec<(usize, Option<u32>)> = prediction.images.iter().map(|p| (p.image, p.frame)).collect();
    indices.sort_unstable();
    let once = indices.windows(2).all(|pair| pair[0] != pair[1] && (pair[0].0 != pair[1].0 || pair[0].1.is_some()));
    let mut images: Vec<usize> = indices.into_iter().map(|(image, _)| image).collect();
    images.dedup();
    if !once || !images.iter().copied().eq(0..ctx.images.len()) {
        return refuse(format!("found images {images:?}, expected each of 0..{} once", ctx.images.len()));
    }
    for (p, finding) in prediction.images.iter().filter_map(|p| Some((p, p.outcome.as_ref().ok()?))) {
        validate_finding(ctx, finding, &format!("image {}", p.image))?;
    }
    let Some(overall) = &prediction.overall else { return Ok(()) };
    validate_finding(ctx, &overall.finding, "all images")?;
    let analysed = |i: &usize| prediction.images.get(*i).is_some_and(|p| p.outcome.is_ok());
    if overall.carrying.is_empty() || !overall.carrying.iter().all(analysed) {
        return refuse(format!(
            "found images {:?} to carry the answer, expected images that were analysed",
            overall.carrying
        ));
    }
    Ok(())
}

fn validate_finding(ctx: &ResultContext, finding: &Finding, of: &str) -> Result<(), ResultError> {
    let refuse = |reason: String| Err(ResultError::Prediction { reason });
    let classes = ctx.manifest.classes().len();
    if !finding.all.iter().map(|c| c.class).eq(0..classes) || finding.class >= classes {
        return refuse(format!("{of}: expected the {classes} classes of the model in order"));
    }
    let values = finding.all.iter().map(|c| c.probability).chain([finding.probability]);
    if let Some(value) = values.into_iter().find(|v| !(0.0..=1.0 + 1e-9).contains(v)) {
        return refuse(format!("{of}: found probability {value}, expected 0 to 1"));
    }
    // No probabilities spread more than 0 and 1 do.
    if let Some(value) = finding.all.iter().filter_map(|c| c.spread).find(|v| !(0.0..=0.5 + 1e-6).contains(v)) {
        return refuse(format!("{of}: found a spread of {value}, expected 0 to 0.5"));
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
    let groups: Vec<&ImagePrediction> = match &prediction.overall {
        None => prediction.images.iter().collect(),
        Some(overall) => {
            measurements = measurements.contains(overall_group(ctx, &algorithm, prediction, overall)?);
            overall.carrying.iter().filter_map(|i| prediction.images.get(*i)).collect()
        }
    };
    for p in &groups {
        if let (Ok(finding), Some(image)) = (&p.outcome, ctx.images.get(p.image)) {
            measurements = measurements.contains(measurement_group(ctx, &algorithm, p, image, finding)?);
        }
    }
    measurements = explanation::put_regions(measurements, ctx, &algorithm, remarks.explanations)?;
    let library = match &prediction.overall {
        None => image_library(ctx.images)?,
        // Of hundreds of slices those that the tree refers to.
        Some(_) => {
            let mut referred: Vec<usize> = groups.iter().map(|p| p.image).collect();
            referred.extend(remarks.explanations.iter().map(|e| e.image));
            referred.extend(failures(prediction).map(|(p, _)| p.image));
            let images = ctx.images.iter().enumerate().filter(|(i, _)| referred.contains(i)).map(|(_, image)| *image);
            image_library(&images.collect::<Vec<_>>())?
        }
    };
    let root = explanation::put_comments(root(ctx, &algorithm)?, ctx, prediction, remarks)?;
    let root = root.contains(library).contains(measurements);
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
    let what =
        p.frame.map_or_else(|| image.sop_instance_uid.clone(), |n| format!("{} frame {n}", image.sop_instance_uid));
    let head = Head {
        name: &format!("{} whole image", p.view),
        what: &what,
        finding,
        site: finding_site(ctx, image)?,
        parameters: parameters(ctx, None),
    };
    let mut group = head.group(ctx, algorithm)?.contains(whole_image(image, p.frame)?);
    for class in winner_first(finding) {
        group = group.contains(spread::with_uncertainty(probability(ctx, class)?, class.spread)?);
    }
    presences(ctx, group, finding, &|_, presence| presence)
}

/// TID 1410: what the model says of all images together, on the one that speaks most for it.
fn overall_group(
    ctx: &ResultContext,
    algorithm: &Algorithm,
    prediction: &Prediction,
    overall: &OverallPrediction,
) -> Result<Item<Container>, ResultError> {
    let first = overall.carrying.first().and_then(|i| prediction.images.get(*i));
    let (first, image) = first.and_then(|p| Some((p, ctx.images.get(p.image)?))).ok_or(ResultError::NoImages)?;
    let total = prediction.images.len();
    let series = one_series(ctx.images);
    let (name, what) = match series {
        Some(uid) => ("Series", uid),
        None => ("All images", image.study_instance_uid.as_str()),
    };
    let carriers: Vec<&str> =
        overall.carrying.iter().filter_map(|i| Some(prediction.images.get(*i)?.view.as_str())).collect();
    let words = ascii_line(&format!(
        "{}, of {} images of which {} were analysed: {}",
        method(ctx),
        total,
        overall.analysed,
        carriers.join(", ")
    ));
    let finding = &overall.finding;
    let one_side = ctx.images.iter().all(|i| i.laterality == image.laterality);
    let site = concept(&ctx.manifest.report.finding_site);
    let head = Head {
        name,
        what: &format!("all of {what}"),
        finding,
        site: if one_side { finding_site(ctx, image)? } else { Item::code(codes::FINDING_SITE, site)? },
        parameters: parameters(ctx, Some(&words)),
    };
    let mut group = head.group(ctx, algorithm)?.contains(whole_image(image, first.frame)?);
    let derivation = match ctx.manifest.task {
        TaskSpec::Classification(ClassificationSpec { aggregate: Some(AggregateSpec::Max(_)), .. }) => codes::MAXIMUM,
        _ => codes::MEAN,
    };
    for (n, class) in winner_first(finding).enumerate() {
        let number = probability(ctx, class)?.has_concept_mod(Item::code(codes::DERIVATION, derivation)?);
        let mut number = spread::with_uncertainty(number, class.spread)?;
        if n == 0 {
            number = number.has_properties(Item::text(codes::COMMENT, &words)?);
        }
        group = group.contains(number);
    }
    presences(ctx, group, finding, &|class, presence| said_of_all(ctx, class, presence, overall.analysed == total))
}

/// What groups of an image and of all of them begin with.
struct Head<'a> {
    /// Tracking Identifier.
    name: &'a str,
    /// What the Tracking Unique Identifier stands for.
    what: &'a str,
    finding: &'a Finding,
    site: Item<Code>,
    parameters: Vec<String>,
}

impl Head<'_> {
    fn group(self, ctx: &ResultContext, algorithm: &Algorithm) -> Result<Item<Container>, ResultError> {
        let mut group = Item::container(codes::MEASUREMENT_GROUP, Some("1410"))?
            .has_obs_context(Item::text(codes::TRACKING_IDENTIFIER, &ascii_line(self.name))?)
            .has_obs_context(Item::uid(codes::TRACKING_UNIQUE_IDENTIFIER, &ctx.uids.tracking(self.what))?);
        if let Some(winner) = named_finding(ctx, self.finding) {
            group = group.contains(Item::code(codes::FINDING, concept(&winner.concept))?);
        }
        group = group.has_concept_mod(self.site);
        for text in algorithm_identification(ctx, algorithm, &self.parameters)? {
            group = group.has_concept_mod(text);
        }
        Ok(group)
    }
}

/// The winning class; none where classes are present on their own and none is: a reader shows it as what was found.
fn named_finding<'a>(ctx: &ResultContext<'a>, finding: &Finding) -> Option<&'a ClassSpec> {
    let winner = ctx.manifest.classes().get(finding.class)?;
    let absent = Presence::of(finding.probability, winner.thresholds) != Presence::Present;
    let of_its_own = matches!(&ctx.manifest.task, TaskSpec::Classification(t) if t.activation == Activation::Sigmoid);
    (!(of_its_own && absent)).then_some(winner)
}

/// CID 240 for each class, in the manifest's order.
fn presences(
    ctx: &ResultContext,
    mut group: Item<Container>,
    finding: &Finding,
    said: &dyn Fn(usize, Presence) -> Presence,
) -> Result<Item<Container>, ResultError> {
    for (class, all) in ctx.manifest.classes().iter().zip(&finding.all) {
        let presence = said(all.class, Presence::of(all.probability, class.thresholds));
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
fn probability(ctx: &ResultContext, of: &ClassProbability) -> Result<Item<Num>, ResultError> {
    let percent = vr::decimal_string("Probability", of.probability * 100.0, 4)?;
    let TaskSpec::Classification(task) = &ctx.manifest.task else {
        return Err(ResultError::Prediction { reason: "found class probabilities, expected masks".into() });
    };
    let class = task.classes.get(of.class).ok_or_else(|| ResultError::Prediction {
        reason: format!("found class {}, expected 0..{}", of.class, task.classes.len()),
    })?;
    let item = Item::num(concept(&task.probability_concept), &percent, codes::PERCENT)?;
    Ok(item.has_concept_mod(Item::code(codes::FINDING, concept(&class.concept))?))
}

/// How the probabilities came about and what is made of them; `aggregation`: of which images.
fn parameters(ctx: &ResultContext, aggregation: Option<&str>) -> Vec<String> {
    let activation = match &ctx.manifest.task {
        TaskSpec::Classification(task) if task.activation != Activation::Softmax => "sigmoid",
        _ => "softmax",
    };
    let spread = match aggregation {
        None => "+/-: standard deviation of each class's probability over them",
        Some(_) => {
            "+/-: mean of the standard deviations over them on the images that each class's probability is made of"
        }
    };
    let threshold =
        |c: &ClassSpec| format!("{}: Present >= {}, Absent < {}", c.name, c.thresholds.present, c.thresholds.absent);
    std::iter::once(format!("calibration: none (uncalibrated {activation})"))
        .chain(aggregation.map(|text| format!("aggregation: {text}")))
        .chain(spread::parameter(ctx.manifest, spread))
        .chain(ctx.manifest.classes().iter().map(threshold))
        .chain(ctx.manifest.thresholds_override.as_ref().map(|o| ascii_line(&o.summary())))
        .collect()
}

/// The image's outline as the group's region.
fn whole_image(image: &ImageAttributes, frame: Option<u32>) -> Result<Item<Scoord>, ResultError> {
    let (columns, rows) = (image.columns as f32, image.rows as f32);
    let outline = [[0.0, 0.0], [columns, 0.0], [columns, rows], [0.0, rows], [0.0, 0.0]];
    Item::polyline(codes::IMAGE_REGION, &outline, Item::frame(codes::ORIGINAL_SOURCE, image, frame)?)
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
            .inferred_from(Item::frame(codes::ORIGINAL_SOURCE, image, p.frame)?);
        statements = statements.contains(statement);
        any = true;
    }
    Ok(any.then_some(statements))
}
