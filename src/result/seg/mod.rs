//! Segmentation and Label Map Segmentation (PS3.3 A.51, A.90; C.8.20.2): the masks as DICOM images over their source.

mod frames;
mod pixels;
mod segments;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::common::{self, Algorithm, Created, demo_marked, shortened};
use super::reference::{InstanceReference, referenced_series};
use super::segmented::Segmented;
use super::uid::fingerprint;
use super::vr::{put, put_empty, put_items, put_us, put_values};
use super::{ResultError, ResultKind, ResultObject, source};
use crate::imaging::ImageAttributes;
use pixels::{Encoding, Pixels};
pub(super) use segments::{algorithm_identification, display_color};

/// The masks of every segment that has voxels, as one instance in a series of its own (viewers take one a series); None
/// where no segment has: an empty segmentation cannot be written, and the report says that nothing was found.
///
/// # Errors
/// [`ResultError`]
pub fn segmentation_object(segmented: &Segmented) -> Result<Option<ResultObject>, ResultError> {
    if segmented.found().next().is_none() {
        return Ok(None);
    }
    let ctx = segmented.ctx;
    let source = segmented.display_instance()?;
    let overlap = pixels::overlap(segmented);
    let fits = pixels::fits_labelmap(segmented, overlap);
    let encoding = Encoding::of(segmented.spec.encoding, segmented.geometry.size[2], fits);
    let pixels = Pixels::new(segmented, encoding);
    let sop_class_uid = match encoding {
        Encoding::Binary => uids::SEGMENTATION_STORAGE,
        Encoding::Labelmap => uids::LABEL_MAP_SEGMENTATION_STORAGE,
    };
    // Devices round differently, so the same input may give other masks: other masks are another object.
    let role = format!("SEG {sop_class_uid} {}", content(segmented, &pixels));
    let sop_instance_uid = ctx.uids.instance(&role, "");
    let series_instance_uid = ctx.uids.series(&role);
    let created = Created::of(ctx)?;

    let mut object = InMemDicomObject::new_empty();
    put_image(&mut object, segmented, source, &created, encoding)?;
    put_segments(&mut object, segmented, encoding, overlap)?;
    frames::put_frames(&mut object, segmented, &pixels.frames, &ctx.uids.instance(&role, "dimensions"))?;
    put_referenced_series(&mut object, segmented, &pixels)?;
    put_frame_of_reference(&mut object, segmented, source)?;
    // Beside the report's series, which has the manifest's number.
    let series_number = ctx.manifest.report.series_number.saturating_add(1);
    common::put_series(&mut object, ctx, "SEG", &series_instance_uid, series_number)?;
    for tag in [tags::LATERALITY, tags::PATIENT_POSITION, tags::BODY_PART_EXAMINED] {
        source::copy_text(&mut object, source, tag)?;
    }
    common::put_equipment(&mut object, ctx)?;
    common::put_sop_common(&mut object, ctx, &created, sop_class_uid, &sop_instance_uid)?;
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(pixels.data.into())));
    common::finished(ResultKind::Seg, source, object, sop_class_uid, [sop_instance_uid, series_instance_uid]).map(Some)
}

/// What tells masks apart: which segments and slices, and their pixels.
fn content(segmented: &Segmented, pixels: &Pixels) -> String {
    let extents = segmented.segments.iter().map(|s| match &s.found {
        Some(found) => format!("{}-{}", found.slices.start(), found.slices.end()),
        None => "none".to_owned(),
    });
    format!("{} {}", extents.collect::<Vec<_>>().join(","), fingerprint(&pixels.data))
}

/// General Image, Image Pixel and the Segmentation Image's own attributes (PS3.3 C.7.6.1, C.7.6.3, C.8.20.2).
fn put_image(
    object: &mut InMemDicomObject,
    segmented: &Segmented,
    source: &ImageAttributes,
    created: &Created,
    encoding: Encoding,
) -> Result<(), ResultError> {
    let manifest = segmented.ctx.manifest;
    put(object, tags::INSTANCE_NUMBER, "1")?;
    put(object, tags::CONTENT_DATE, &created.date)?;
    put(object, tags::CONTENT_TIME, &created.time)?;
    put_values(object, tags::IMAGE_TYPE, &["DERIVED".into(), "PRIMARY".into()])?;
    put(object, tags::BURNED_IN_ANNOTATION, "NO")?;
    put(object, tags::CONTENT_LABEL, "SEGMENTATION")?;
    let description = format!("{} (research only)", shortened(&demo_marked(manifest, &manifest.title), 48));
    put(object, tags::CONTENT_DESCRIPTION, &description)?;
    // A person's name: nobody drew this.
    put_empty(object, tags::CONTENT_CREATOR_NAME);
    source::put_lossy(object, segmented.ctx.images)?;
    let [_, rows, columns] = segmented.geometry.size;
    for (tag, value) in [(tags::ROWS, rows), (tags::COLUMNS, columns)] {
        let reason = format!("found {value}, expected at most 65535");
        let value =
            u16::try_from(value).map_err(|_| ResultError::Value { attribute: super::vr::keyword(tag), reason })?;
        put_us(object, tag, &[value]);
    }
    put(object, tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")?;
    let (kind, bits) = match encoding {
        Encoding::Binary => ("BINARY", 1),
        Encoding::Labelmap => ("LABELMAP", 8),
    };
    put(object, tags::SEGMENTATION_TYPE, kind)?;
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, bits),
        (tags::BITS_STORED, bits),
        (tags::HIGH_BIT, bits - 1),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        put_us(object, tag, &[value]);
    }
    if encoding == Encoding::Labelmap {
        put_us(object, tags::PIXEL_PADDING_VALUE, &[0]);
    }
    if frame_of_reference(segmented, source).is_none() {
        // Only where the planes do not say it (PS3.3 C.7.6.1.1.1).
        let orientation = source::valid_texts(source, tags::PATIENT_ORIENTATION);
        if !orientation.is_empty() {
            put_values(object, tags::PATIENT_ORIENTATION, &orientation)?;
        }
    }
    Ok(())
}

fn put_segments(
    object: &mut InMemDicomObject,
    segmented: &Segmented,
    encoding: Encoding,
    overlap: bool,
) -> Result<(), ResultError> {
    let algorithm = Algorithm::of(segmented.ctx);
    let mut items = Vec::new();
    if encoding == Encoding::Labelmap {
        items.push(segments::background_item(&algorithm)?);
    }
    for (segment, found) in segmented.found() {
        items.push(segments::segment_item(segmented, &algorithm, segment, found)?);
    }
    put(object, tags::SEGMENTS_OVERLAP, if overlap { "YES" } else { "NO" })?;
    put_items(object, tags::SEGMENT_SEQUENCE, items);
    Ok(())
}

/// Common Instance Reference (PS3.3 C.12.2): every instance that a frame refers to, once; the displayed series first,
/// since OHIF looks at no other.
fn put_referenced_series(
    object: &mut InMemDicomObject,
    segmented: &Segmented,
    pixels: &Pixels,
) -> Result<(), ResultError> {
    let mut slices: Vec<usize> = pixels.frames.iter().map(|f| f.slice).collect();
    slices.sort_unstable();
    slices.dedup();
    let references: Vec<InstanceReference> = segmented
        .channels_on_grid()
        .flat_map(|c| slices.iter().filter_map(|&n| c.slices.get(n)))
        .map(|s| InstanceReference::from(&*s.instance))
        .collect();
    put_items(object, tags::REFERENCED_SERIES_SEQUENCE, referenced_series(&references)?);
    Ok(())
}

/// Frame of Reference (PS3.3 C.7.4.1); left out where the source has none, for a new one would tie the masks to nothing.
pub(super) fn put_frame_of_reference(
    object: &mut InMemDicomObject,
    segmented: &Segmented,
    source: &ImageAttributes,
) -> Result<(), ResultError> {
    let Some(uid) = frame_of_reference(segmented, source) else { return Ok(()) };
    put(object, tags::FRAME_OF_REFERENCE_UID, &uid)?;
    put_empty(object, tags::POSITION_REFERENCE_INDICATOR);
    source::copy_text(object, source, tags::POSITION_REFERENCE_INDICATOR)
}

pub(super) fn frame_of_reference(segmented: &Segmented, source: &ImageAttributes) -> Option<String> {
    if !segmented.has_place {
        return None;
    }
    let uid = segmented.geometry.frame_of_reference_uid.clone();
    uid.filter(|u| super::vr::check(VR::UI, u).is_ok())
        .or_else(|| source::valid_text(source, tags::FRAME_OF_REFERENCE_UID))
}
