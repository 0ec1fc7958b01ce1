//! Measurement report of TID 1500 with the classification of each image (PS3.3 A.35.13 or A.35.3; PS3.16 TID 1500,
//! 1410, 1419, 4019).
//!
//! One report a run. Each analysed image is a planar measurement group (TID 1410) whose region is the whole image: a
//! group without a region (TID 1501) is the purer form, but OHIF 3.13 does not load it. Each class's probability is a
//! NUM whose concept is post-coordinated with the class by a modifier "Finding" (TID 1419 row 6). Images that could not
//! be analysed are stated as such, never as "Absent".

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::charset::{ascii_line, fold_typography};
use super::codes::{self, Presence};
use super::common::{self, Algorithm, Created, demo_marked};
use super::content::{Code, Container, Item, Num, Scoord, Text};
use super::evidence::evidence;
use super::image_library::image_library;
use super::{ResultContext, ResultError, ResultKind, ResultObject, source, vr};
use crate::imaging::ImageAttributes;
use crate::manifest::{ClassSpec, CodedConcept, TaskSpec};
use crate::predict::{ClassProbability, Finding, ImagePrediction, Prediction};

/// Which SR storage class the report is written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SrSopClass {
    /// Comprehensive 3D SR, as IHE AIR wants it.
    #[default]
    Comprehensive3d,
    /// Comprehensive SR, the only one whose regions the Stone viewer draws.
    Comprehensive,
}

impl SrSopClass {
    pub fn uid(self) -> &'static str {
        match self {
            Self::Comprehensive3d => uids::COMPREHENSIVE3_DSR_STORAGE,
            Self::Comprehensive => uids::COMPREHENSIVE_SR_STORAGE,
        }
    }
}

/// The report of a whole run.
///
/// # Errors
/// [`ResultError`]; in particular `AllFailed` where no image was analysed and `MixedStudies`.
pub fn measurement_report(ctx: &ResultContext, prediction: &Prediction) -> Result<ResultObject, ResultError> {
    source::require_one_study(ctx.images)?;
    validate(ctx, prediction)?;
    let first = ctx.images.first().ok_or(ResultError::NoImages)?;
    let failed: Vec<String> = failures(prediction).map(|(p, _)| p.image.to_string()).collect();
    if failed.len() == prediction.images.len() {
        return Err(ResultError::AllFailed { images: failed.len() });
    }
    let sop_class_uid = ctx.sr_sop_class.uid();
    let role = format!("SR {sop_class_uid}");
    let sop_instance_uid = ctx.uids.instance(&role, &failed.join(","));
    let series_instance_uid = ctx.uids.series(&role);
    let created = Created::of(ctx)?;

    let mut object = root(ctx, prediction)?.finish();
    common::put_sop_common(&mut object, ctx, &created, sop_class_uid, &sop_instance_uid)?;
    common::put_series(&mut object, ctx, "SR", &series_instance_uid)?;
    common::put_equipment(&mut object, ctx)?;
    vr::put_empty(&mut object, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE);
    put_document_general(&mut object, ctx, &created, failed.is_empty())?;
    // Last: what is in the object decides about the character set.
    let left_out = source::copy_modules(first, &mut object)?;
    Ok(ResultObject {
        kind: ResultKind::Sr,
        sop_class_uid: sop_class_uid.to_owned(),
        sop_instance_uid,
        series_instance_uid,
        study_instance_uid: first.study_instance_uid.clone(),
        bytes: common::to_part10(object)?,
        left_out,
    })
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

/// SR Document General (PS3.3 C.17.2).
fn put_document_general(
    object: &mut InMemDicomObject,
    ctx: &ResultContext,
    created: &Created,
    complete: bool,
) -> Result<(), ResultError> {
    vr::put(object, tags::INSTANCE_NUMBER, "1")?;
    vr::put(object, tags::CONTENT_DATE, &created.date)?;
    vr::put(object, tags::CONTENT_TIME, &created.time)?;
    vr::put(object, tags::COMPLETION_FLAG, if complete { "COMPLETE" } else { "PARTIAL" })?;
    if !complete {
        vr::put(object, tags::COMPLETION_FLAG_DESCRIPTION, "Not all images could be analysed")?;
    }
    vr::put(object, tags::VERIFICATION_FLAG, "UNVERIFIED")?;
    vr::put(object, tags::PRELIMINARY_FLAG, "PRELIMINARY")?;
    vr::put_items(object, tags::AUTHOR_OBSERVER_SEQUENCE, vec![common::author_observer(&Algorithm::of(ctx))?]);
    vr::put_empty(object, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE);
    vr::put_items(object, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, evidence(ctx.images)?);
    if let Some(request) = referenced_request(ctx)? {
        vr::put_items(object, tags::REFERENCED_REQUEST_SEQUENCE, vec![request]);
    }
    Ok(())
}

/// The order that the study fulfils, where the source knows one: AccessionNumber, ASCII only, since the character set
/// is not settled yet.
fn referenced_request(ctx: &ResultContext) -> Result<Option<InMemDicomObject>, ResultError> {
    let Some(image) = ctx.images.first() else { return Ok(None) };
    let Some(accession) = source::valid_text(image, tags::ACCESSION_NUMBER).filter(|a| a.is_ascii()) else {
        return Ok(None);
    };
    let mut item = InMemDicomObject::new_empty();
    vr::put(&mut item, tags::STUDY_INSTANCE_UID, &image.study_instance_uid)?;
    vr::put(&mut item, tags::ACCESSION_NUMBER, &accession)?;
    for tag in [
        tags::REFERENCED_STUDY_SEQUENCE,
        tags::PLACER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
        tags::FILLER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
        tags::REQUESTED_PROCEDURE_ID,
        tags::REQUESTED_PROCEDURE_DESCRIPTION,
        tags::REQUESTED_PROCEDURE_CODE_SEQUENCE,
    ] {
        vr::put_empty(&mut item, tag);
    }
    Ok(Some(item))
}

/// TID 1500.
fn root(ctx: &ResultContext, prediction: &Prediction) -> Result<Item<Container>, ResultError> {
    let algorithm = Algorithm::of(ctx);
    let mut measurements = Item::container(codes::IMAGING_MEASUREMENTS, None)?;
    for p in &prediction.images {
        if let (Ok(finding), Some(image)) = (&p.outcome, ctx.images.get(p.image)) {
            measurements = measurements.contains(measurement_group(ctx, &algorithm, p, image, finding)?);
        }
    }
    let report = &ctx.manifest.report;
    let root = Item::container(codes::IMAGING_MEASUREMENT_REPORT, Some("1500"))?
        .has_concept_mod(Item::code(codes::LANGUAGE, codes::ENGLISH_US)?)
        .has_obs_context(Item::code(codes::OBSERVER_TYPE, codes::DEVICE)?)
        .has_obs_context(Item::uid(codes::DEVICE_OBSERVER_UID, &algorithm.device_uid)?)
        .has_obs_context(Item::text(codes::DEVICE_OBSERVER_NAME, &algorithm.title)?)
        .has_obs_context(Item::text(codes::DEVICE_OBSERVER_MANUFACTURER, algorithm.manufacturer)?)
        .has_obs_context(Item::text(codes::DEVICE_OBSERVER_MODEL_NAME, &algorithm.name)?)
        .has_obs_context(Item::text(codes::DEVICE_OBSERVER_SERIAL_NUMBER, &algorithm.serial_number)?)
        .has_concept_mod(Item::code(codes::PROCEDURE_REPORTED, report.procedure_reported.clone())?)
        .contains(Item::text(codes::COMMENT, &demo_marked(ctx.manifest, &report.disclaimer))?)
        .contains(image_library(ctx.images)?)
        .contains(measurements);
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
    for text in algorithm_identification(ctx, algorithm)? {
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

fn finding_site(ctx: &ResultContext, image: &ImageAttributes) -> Result<Item<Code>, ResultError> {
    let site = Item::code(codes::FINDING_SITE, concept(&ctx.manifest.report.finding_site))?;
    match image.laterality.as_deref().and_then(codes::laterality) {
        Some(side) => Ok(site.has_concept_mod(Item::code(codes::LATERALITY, side)?)),
        None => Ok(site),
    }
}

/// TID 4019, with all that a reader needs to judge the numbers.
fn algorithm_identification(ctx: &ResultContext, algorithm: &Algorithm) -> Result<Vec<Item<Text>>, ResultError> {
    let mut items = vec![
        Item::text(codes::ALGORITHM_NAME, &algorithm.name)?,
        Item::text(codes::ALGORITHM_VERSION, &algorithm.version)?,
        Item::text(codes::ALGORITHM_PARAMETERS, &format!("calibration: none (uncalibrated softmax)"))?,
    ];
    for class in ctx.manifest.classes() {
        let text =
            format!("{}: Present >= {}, Absent < {}", class.name, class.thresholds.present, class.thresholds.absent);
        items.push(Item::text(codes::ALGORITHM_PARAMETERS, &fold_typography(&text))?);
    }
    items.push(Item::text(codes::ALGORITHM_PARAMETERS, &format!("weights SHA-256: {}", ctx.weights_sha256))?);
    Ok(items)
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

/// A concept of the manifest, its meaning in ASCII typography.
fn concept(c: &CodedConcept) -> CodedConcept {
    CodedConcept { meaning: fold_typography(&c.meaning), ..c.clone() }
}
