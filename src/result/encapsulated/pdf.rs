//! Encapsulated PDF (PS3.3 A.45.1; C.24.1, C.24.2, C.8.6.1): the report for people, for archives and viewers that show documents.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::super::common::{self, Created, demo_marked, shortened};
use super::super::content::code_item;
use super::super::reference::InstanceReference;
use super::super::uid::derived_uid;
use super::super::vr::{put, put_empty, put_items};
use super::super::{ResultContext, ResultError, ResultKind, ResultObject, codes};
use super::put_bytes;

/// What is to be encapsulated.
#[derive(Debug, Clone, Copy)]
pub struct PdfReport<'a> {
    pub bytes: &'a [u8],
    /// BCP 47; the same report in another language is another object.
    pub language: &'a str,
    /// Whether it says who the patient is.
    pub names_patient: bool,
}

/// The report of `sr`, whose UIDs it follows: the same question has the same document. `shown` are the objects whose content the document shows.
///
/// # Errors
/// [`ResultError`]
pub fn pdf_object(
    ctx: &ResultContext<'_>,
    sr: &ResultObject,
    shown: &[InstanceReference<'_>],
    report: &PdfReport<'_>,
) -> Result<ResultObject, ResultError> {
    let image = ctx.images.first().ok_or(ResultError::NoImages)?;
    let sop_class_uid = uids::ENCAPSULATED_PDF_STORAGE;
    let sop_instance_uid = derived_uid(["instance", "DOC PDF", report.language, &sr.sop_instance_uid]);
    let series_instance_uid = derived_uid(["series", "DOC PDF", &sr.series_instance_uid]);
    let created = Created::of(ctx)?;

    let mut object = InMemDicomObject::new_empty();
    // Beside those of the report, of the segmentation, of heat maps and of surfaces.
    let series_number = ctx.manifest.report.series_number.saturating_add(4);
    common::put_series(&mut object, ctx, "DOC", &series_instance_uid, series_number)?;
    common::put_equipment(&mut object, ctx)?;
    put(&mut object, tags::CONVERSION_TYPE, "WSD")?;
    put_document(&mut object, ctx, report, &created)?;
    put_sources(&mut object, shown)?;
    common::put_sop_common(&mut object, ctx, &created, sop_class_uid, &sop_instance_uid)?;
    put_bytes(&mut object, report.bytes.to_vec());
    common::finished(ResultKind::Doc, image, object, sop_class_uid, [sop_instance_uid, series_instance_uid])
}

/// Encapsulated Document (PS3.3 C.24.2) but its sources and bytes. HL7InstanceIdentifier is for CDA alone.
fn put_document(
    object: &mut InMemDicomObject,
    ctx: &ResultContext<'_>,
    report: &PdfReport<'_>,
    created: &Created,
) -> Result<(), ResultError> {
    put(object, tags::INSTANCE_NUMBER, "1")?;
    put(object, tags::CONTENT_DATE, &created.date)?;
    put(object, tags::CONTENT_TIME, &created.time)?;
    put_empty(object, tags::ACQUISITION_DATE_TIME);
    put(object, tags::BURNED_IN_ANNOTATION, if report.names_patient { "YES" } else { "NO" })?;
    // In ASCII, so that it fits any character set.
    let title =
        demo_marked(ctx.manifest, &format!("AI report (not for diagnosis): {}", ctx.manifest.report.algorithm_name));
    put(object, tags::DOCUMENT_TITLE, &shortened(&title, 64))?;
    let concept = code_item(&codes::IMAGING_MEASUREMENT_REPORT.into())?;
    put_items(object, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![concept]);
    put(object, tags::VERIFICATION_FLAG, "UNVERIFIED")?;
    put(object, tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf")
}

fn put_sources(object: &mut InMemDicomObject, shown: &[InstanceReference<'_>]) -> Result<(), ResultError> {
    let items = shown.iter().map(InstanceReference::item).collect::<Result<Vec<_>, ResultError>>()?;
    put_items(object, tags::SOURCE_INSTANCE_SEQUENCE, items);
    Ok(())
}
