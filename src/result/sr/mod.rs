//! Measurement reports of TID 1500 (PS3.3 A.35.13 or A.35.3; PS3.16 TID 1500): what those of a [`classification`], of a
//! [`segmentation`] and of segmented [`images`] share.

pub mod classification;
mod explanation;
pub mod images;
pub mod segmentation;
mod spread;

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::charset::fold_typography;
use super::common::{self, Algorithm, Created, concept, demo_marked};
use super::content::{Code, Container, Item, Text};
use super::{ResultContext, ResultError, ResultKind, ResultObject, codes, source, vr};
use crate::imaging::ImageAttributes;

pub use classification::{measurement_report, remarked_report};
pub use images::images_report;
pub use segmentation::segmentation_report;

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

/// What makes a document of a content tree.
struct Document<'a> {
    /// TID 1500, see [`root`].
    root: Item<Container>,
    /// CurrentRequestedProcedureEvidenceSequence.
    evidence: Vec<InMemDicomObject>,
    /// Whose patient and study modules are copied.
    source: &'a ImageAttributes,
    /// Tells reports apart that have the same inputs, see [`super::ResultUids::instance`].
    variant: &'a str,
    /// CompletionFlagDescription, where the report is not complete.
    incomplete: Option<&'a str>,
}

impl Document<'_> {
    fn into_object(self, ctx: &ResultContext) -> Result<ResultObject, ResultError> {
        let sop_class_uid = ctx.sr_sop_class.uid();
        let role = format!("SR {sop_class_uid}");
        let sop_instance_uid = ctx.uids.instance(&role, self.variant);
        let series_instance_uid = ctx.uids.series(&role);
        let created = Created::of(ctx)?;

        let mut object = self.root.finish();
        common::put_sop_common(&mut object, ctx, &created, sop_class_uid, &sop_instance_uid)?;
        common::put_series(&mut object, ctx, "SR", &series_instance_uid, ctx.manifest.report.series_number)?;
        common::put_equipment(&mut object, ctx)?;
        vr::put_empty(&mut object, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE);
        put_document_general(&mut object, ctx, &created, self.incomplete)?;
        vr::put_items(&mut object, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, self.evidence);
        common::finished(ResultKind::Sr, self.source, object, sop_class_uid, [sop_instance_uid, series_instance_uid])
    }
}

/// SR Document General (PS3.3 C.17.2) but the evidence.
fn put_document_general(
    object: &mut InMemDicomObject,
    ctx: &ResultContext,
    created: &Created,
    incomplete: Option<&str>,
) -> Result<(), ResultError> {
    vr::put(object, tags::INSTANCE_NUMBER, "1")?;
    vr::put(object, tags::CONTENT_DATE, &created.date)?;
    vr::put(object, tags::CONTENT_TIME, &created.time)?;
    vr::put(object, tags::COMPLETION_FLAG, if incomplete.is_none() { "COMPLETE" } else { "PARTIAL" })?;
    if let Some(reason) = incomplete {
        vr::put(object, tags::COMPLETION_FLAG_DESCRIPTION, reason)?;
    }
    vr::put(object, tags::VERIFICATION_FLAG, "UNVERIFIED")?;
    vr::put(object, tags::PRELIMINARY_FLAG, "PRELIMINARY")?;
    vr::put_items(object, tags::AUTHOR_OBSERVER_SEQUENCE, vec![common::author_observer(&Algorithm::of(ctx))?]);
    vr::put_empty(object, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE);
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

/// TID 1500 up to the disclaimer: image library and findings are still to be put in.
fn root(ctx: &ResultContext, algorithm: &Algorithm) -> Result<Item<Container>, ResultError> {
    let report = &ctx.manifest.report;
    Ok(Item::container(codes::IMAGING_MEASUREMENT_REPORT, Some("1500"))?
        .has_concept_mod(Item::code(codes::LANGUAGE, codes::ENGLISH_US)?)
        .has_obs_context(Item::code(codes::OBSERVER_TYPE, codes::DEVICE)?)
        .has_obs_context(Item::uid(codes::DEVICE_OBSERVER_UID, &algorithm.device_uid)?)
        .has_obs_context(Item::text(codes::DEVICE_OBSERVER_NAME, &algorithm.title)?)
        .has_obs_context(Item::text(codes::DEVICE_OBSERVER_MANUFACTURER, algorithm.manufacturer)?)
        .has_obs_context(Item::text(codes::DEVICE_OBSERVER_MODEL_NAME, &algorithm.name)?)
        .has_obs_context(Item::text(codes::DEVICE_OBSERVER_SERIAL_NUMBER, &algorithm.serial_number)?)
        .has_concept_mod(Item::code(codes::PROCEDURE_REPORTED, report.procedure_reported.clone())?)
        .contains(Item::text(codes::COMMENT, &demo_marked(ctx.manifest, &report.disclaimer))?))
}

/// The manifest's site, on the image's side where it has one.
fn finding_site(ctx: &ResultContext, image: &ImageAttributes) -> Result<Item<Code>, ResultError> {
    let site = Item::code(codes::FINDING_SITE, concept(&ctx.manifest.report.finding_site))?;
    match image.laterality.as_deref().and_then(codes::laterality) {
        Some(side) => Ok(site.has_concept_mod(Item::code(codes::LATERALITY, side)?)),
        None => Ok(site),
    }
}

/// TID 4019, with all that a reader needs to judge the numbers.
fn algorithm_identification(
    ctx: &ResultContext,
    algorithm: &Algorithm,
    parameters: &[String],
) -> Result<Vec<Item<Text>>, ResultError> {
    let mut items = vec![
        Item::text(codes::ALGORITHM_NAME, &algorithm.name)?,
        Item::text(codes::ALGORITHM_VERSION, &algorithm.version)?,
    ];
    for parameter in parameters {
        items.push(Item::text(codes::ALGORITHM_PARAMETERS, &fold_typography(parameter))?);
    }
    items.push(Item::text(codes::ALGORITHM_PARAMETERS, &format!("weights SHA-256: {}", ctx.weights_sha256))?);
    Ok(items)
}
