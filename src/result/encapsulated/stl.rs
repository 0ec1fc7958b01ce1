//! Encapsulated STL (PS3.3 A.85.1; C.24.2, C.35.1): a segment's surface for 3D programs and printers.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::super::charset::first_in_ascii;
use super::super::common::{self, Algorithm, Created, demo_marked, shortened};
use super::super::content::code_item;
use super::super::reference::{InstanceReference, referenced_series};
use super::super::seg::{algorithm_identification, display_color, frame_of_reference, put_frame_of_reference};
use super::super::segmented::{Found, Segment, Segmented};
use super::super::uid::fingerprint;
use super::super::vr::{put, put_empty, put_items, put_us};
use super::super::{ResultError, ResultKind, ResultObject, codes, source};
use super::put_bytes;
use crate::surface::{self, stl};

/// One object for each segment of `seg` whose surface the manifest has stored, all in one series; and in words why there is none of others.
///
/// # Errors
/// [`ResultError`]
pub fn surface_objects(
    segmented: &Segmented,
    seg: Option<&ResultObject>,
) -> Result<(Vec<ResultObject>, Vec<String>), ResultError> {
    let (mut objects, mut warnings) = (Vec::new(), Vec::new());
    let (Some(spec), Some(seg)) = (segmented.spec.surface.as_ref().filter(|s| s.store), seg) else {
        return Ok((objects, warnings));
    };
    let missing = if !segmented.has_place || segmented.geometry.size[0] < 2 {
        Some("the masks are over single images, expected several slices that lie in the patient")
    } else if frame_of_reference(segmented, segmented.display_instance()?).is_none() {
        Some("the images have no FrameOfReferenceUID, which Encapsulated STL requires")
    } else {
        None
    };
    if let Some(reason) = missing {
        warnings.push(format!("no surface was stored: {reason}"));
        return Ok((objects, warnings));
    }
    for (segment, found) in segmented.found() {
        match surface::surface(segment.mask.view(), segmented.geometry, spec.max_triangles) {
            Ok(Some(mesh)) => objects.push(object(segmented, segment, found, seg, stl::write(&mesh))?),
            Ok(None) => {}
            Err(error) => warnings.push(format!("no surface of segment {} was stored: {error}", found.number)),
        }
    }
    Ok((objects, warnings))
}

fn object(
    segmented: &Segmented,
    segment: &Segment,
    found: &Found,
    seg: &ResultObject,
    document: Vec<u8>,
) -> Result<ResultObject, ResultError> {
    let ctx = segmented.ctx;
    let image = segmented.display_instance()?;
    let sop_class_uid = uids::ENCAPSULATED_STL_STORAGE;
    // Another mask has another surface, and is another object.
    let role = format!("M3D {} {}", segment.tracking_uid, fingerprint(&document));
    let sop_instance_uid = ctx.uids.instance(&role, "");
    let series_instance_uid = ctx.uids.series("M3D surface");
    let created = Created::of(ctx)?;

    let mut object = InMemDicomObject::new_empty();
    // Beside those of the report, of the segmentation and of heat maps.
    let series_number = ctx.manifest.report.series_number.saturating_add(3);
    common::put_series(&mut object, ctx, "M3D", &series_instance_uid, series_number)?;
    put_frame_of_reference(&mut object, segmented, image)?;
    common::put_equipment(&mut object, ctx)?;
    put_document(&mut object, segmented, segment, found, &created)?;
    put_sources(&mut object, segmented, found, seg)?;
    put_model(&mut object, segmented, segment)?;
    common::put_sop_common(&mut object, ctx, &created, sop_class_uid, &sop_instance_uid)?;
    put_bytes(&mut object, document);
    common::finished(ResultKind::M3d, image, object, sop_class_uid, [sop_instance_uid, series_instance_uid])
}

/// Encapsulated Document (PS3.3 C.24.2) but its sources.
fn put_document(
    object: &mut InMemDicomObject,
    segmented: &Segmented,
    segment: &Segment,
    found: &Found,
    created: &Created,
) -> Result<(), ResultError> {
    put(object, tags::INSTANCE_NUMBER, &found.number.to_string())?;
    put(object, tags::CONTENT_DATE, &created.date)?;
    put(object, tags::CONTENT_TIME, &created.time)?;
    put_empty(object, tags::ACQUISITION_DATE_TIME);
    source::copy_text(object, segmented.display_instance()?, tags::ACQUISITION_DATE_TIME)?;
    put(object, tags::BURNED_IN_ANNOTATION, "NO")?;
    let name = first_in_ascii([segment.spec.name.as_str(), &segment.tracking_id]);
    let title = demo_marked(segmented.ctx.manifest, &format!("Surface of {name} (AI, not for diagnosis)"));
    put(object, tags::DOCUMENT_TITLE, &shortened(&title, 64))?;
    let modality = source::valid_text(segmented.display_instance()?, tags::MODALITY);
    let concept = match modality.as_deref() {
        Some("CT") => codes::CT_MODEL,
        Some("MR") => codes::MR_MODEL,
        _ => codes::MIXED_MODEL,
    };
    put_items(object, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code_item(&concept.into())?]);
    put(object, tags::VERIFICATION_FLAG, "UNVERIFIED")?;
    put(object, tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "model/stl")
}

/// The segmentation, and the images of the displayed series that the segment lies on.
fn put_sources(
    object: &mut InMemDicomObject,
    segmented: &Segmented,
    found: &Found,
    seg: &ResultObject,
) -> Result<(), ResultError> {
    let slices = segmented.display_slices().iter().enumerate().filter(|(n, _)| found.slices.contains(n));
    let images = slices.map(|(_, slice)| InstanceReference::from(&*slice.instance));
    let mut references: Vec<InstanceReference> = std::iter::once(InstanceReference::from(seg)).chain(images).collect();
    // The frames of one instance are one source.
    references.dedup();
    let item = |reference: &InstanceReference| {
        let mut item = reference.item()?;
        let purpose = code_item(&codes::SOURCE_IMAGE.into())?;
        put_items(&mut item, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, vec![purpose]);
        Ok(item)
    };
    let items = references.iter().map(item).collect::<Result<_, ResultError>>()?;
    put_items(object, tags::SOURCE_INSTANCE_SEQUENCE, items);
    put_items(object, tags::REFERENCED_SERIES_SEQUENCE, referenced_series(&references)?);
    Ok(())
}

/// Manufacturing 3D Model (PS3.3 C.35.1).
fn put_model(object: &mut InMemDicomObject, segmented: &Segmented, segment: &Segment) -> Result<(), ResultError> {
    let ctx = segmented.ctx;
    put_items(object, tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![code_item(&codes::MILLIMETER.into())?]);
    put(object, tags::MODEL_MODIFICATION, "NO")?;
    put(object, tags::MODEL_MIRRORING, "NO")?;
    put(object, tags::MODEL_GROUP_UID, &ctx.uids.instance("M3D group", ""))?;
    let algorithm = Algorithm::of(ctx);
    put_items(object, tags::DERIVATION_ALGORITHM_SEQUENCE, vec![algorithm_identification(segmented, &algorithm)?]);
    if let Some(color) = display_color(&segment.spec.color) {
        put_us(object, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &color);
    }
    put(object, tags::CONTENT_DESCRIPTION, "AI-generated surface, for research use only")
}
