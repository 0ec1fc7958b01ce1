//! Functional groups and dimensions of a segmentation's frames (PS3.3 A.51.5, C.7.6.16, C.7.6.17).

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::content::code_item;
use super::super::reference::slice_item;
use super::super::segmented::Segmented;
use super::super::vr::{decimal_string, keyword, put, put_items, put_us, put_values, valid_decimal};
use super::super::{ResultError, codes};
use super::pixels::Frame;
use crate::imaging::geometry::{cross, dot, unit};
use crate::imaging::{Geometry, SliceSource};

/// Multi-frame Functional Groups and Multi-frame Dimension. Frames of sources without a place in the patient have none either. Position and orientation are the displayed source's own
/// texts, where they are valid: viewers compare them with the source's, and a number printed anew may differ.
pub fn put_frames(
    object: &mut InMemDicomObject,
    segmented: &Segmented,
    frames: &[Frame],
    dimension_organization_uid: &str,
) -> Result<(), ResultError> {
    let slices = segmented.display_slices();
    let Some(first) = slices.first() else { return Err(ResultError::NoImages) };
    put(object, tags::NUMBER_OF_FRAMES, &frames.len().to_string())?;
    let mut shared = InMemDicomObject::new_empty();
    // What has no Frame of Reference has no slices to be thick (PS3.3 Table A.51-2).
    if segmented.has_place {
        put_items(&mut shared, tags::PIXEL_MEASURES_SEQUENCE, vec![pixel_measures(segmented.geometry, first)?]);
    }
    // Also where the frames have no place in the patient: OHIF opens no segmentation without it, and takes this one for its source.
    let mut orientation = InMemDicomObject::new_empty();
    let texts = decimals(tags::IMAGE_ORIENTATION_PATIENT, &first.orientation)?;
    put_values(&mut orientation, tags::IMAGE_ORIENTATION_PATIENT, &texts)?;
    put_items(&mut shared, tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
    put_items(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);

    let by_segment = frames.iter().any(|f| f.segment.is_some());
    // A label map of one image has no other dimension, and one is needed.
    let by_place = segmented.has_place || slices.len() > 1 || !by_segment;
    let lowest = frames.iter().map(|f| f.slice).min().unwrap_or(0);
    let mut per_frame = Vec::with_capacity(frames.len());
    for frame in frames {
        let slice = slices.get(frame.slice).ok_or(ResultError::NoImages)?;
        let mut item = InMemDicomObject::new_empty();
        let rank = (frame.slice - lowest + 1) as u32;
        let index = frame.segment.map(u32::from).into_iter().chain(by_place.then_some(rank)).collect::<Vec<u32>>();
        let mut content = InMemDicomObject::new_empty();
        if by_place && !segmented.has_place {
            put(&mut content, tags::STACK_ID, "1")?;
            content.put(DataElement::new(tags::IN_STACK_POSITION_NUMBER, VR::UL, PrimitiveValue::from(rank)));
        }
        content.put(DataElement::new(tags::DIMENSION_INDEX_VALUES, VR::UL, PrimitiveValue::U32(index.into())));
        put_items(&mut item, tags::FRAME_CONTENT_SEQUENCE, vec![content]);
        if segmented.has_place {
            let mut position = InMemDicomObject::new_empty();
            let texts = decimals(tags::IMAGE_POSITION_PATIENT, &slice.position)?;
            put_values(&mut position, tags::IMAGE_POSITION_PATIENT, &texts)?;
            put_items(&mut item, tags::PLANE_POSITION_SEQUENCE, vec![position]);
        }
        if let Some(number) = frame.segment {
            let mut identification = InMemDicomObject::new_empty();
            put_us(&mut identification, tags::REFERENCED_SEGMENT_NUMBER, &[number]);
            put_items(&mut item, tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![identification]);
        }
        put_items(&mut item, tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation(segmented, frame.slice)?]);
        per_frame.push(item);
    }
    put_items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, per_frame);
    let place = if segmented.has_place {
        (tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE, "Image Position")
    } else {
        (tags::IN_STACK_POSITION_NUMBER, tags::FRAME_CONTENT_SEQUENCE, "Frame of the source")
    };
    let segment = (tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE, "Segment Number");
    let dimensions = by_segment.then_some(segment).into_iter().chain(by_place.then_some(place));
    put_dimensions(object, dimensions, dimension_organization_uid)
}

/// What a frame was made of: the source slices at its place. The displayed channel comes first, since viewers look at
/// the first item only.
fn derivation(segmented: &Segmented, slice: usize) -> Result<InMemDicomObject, ResultError> {
    let mut sources = Vec::new();
    for source in segmented.channels_on_grid().filter_map(|c| c.slices.get(slice)) {
        let mut item = slice_item(source)?;
        let purpose = code_item(&codes::SOURCE_IMAGE_FOR_PROCESSING.into())?;
        put_items(&mut item, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, vec![purpose]);
        put(&mut item, tags::SPATIAL_LOCATIONS_PRESERVED, "YES")?;
        sources.push(item);
    }
    let mut item = InMemDicomObject::new_empty();
    put_items(&mut item, tags::DERIVATION_CODE_SEQUENCE, vec![code_item(&codes::SEGMENTATION.into())?]);
    put_items(&mut item, tags::SOURCE_IMAGE_SEQUENCE, sources);
    Ok(item)
}

/// Pixel Measures: the source's texts where they say what the grid says, else the grid's numbers.
fn pixel_measures(geometry: &Geometry, first: &SliceSource) -> Result<InMemDicomObject, ResultError> {
    let [_, row_mm, column_mm] = geometry.spacing_mm();
    // PixelSpacing is the distance of rows, then of columns: the steps along the row and the column index.
    let spacing = if says(&first.pixel_spacing, &[row_mm, column_mm]) {
        decimals(tags::PIXEL_SPACING, &first.pixel_spacing)?
    } else {
        vec![decimal_string("PixelSpacing", row_mm, 8)?, decimal_string("PixelSpacing", column_mm, 8)?]
    };
    let [slice_step, rows, columns] = geometry.steps_mm;
    let between = dot(slice_step, unit(cross(columns, rows))).abs();
    let mut item = InMemDicomObject::new_empty();
    put_values(&mut item, tags::PIXEL_SPACING, &spacing)?;
    let thickness = match first.thickness.as_deref().filter(|text| is_positive(text)) {
        Some(text) => valid_decimal("SliceThickness", text)?,
        None => decimal_string("SliceThickness", between, 8)?,
    };
    put(&mut item, tags::SLICE_THICKNESS, &thickness)?;
    if between > 0.0 {
        put(&mut item, tags::SPACING_BETWEEN_SLICES, &decimal_string("SpacingBetweenSlices", between, 8)?)?;
    }
    Ok(item)
}

/// The source's texts, those that the VR does not allow written anew.
fn decimals(tag: Tag, texts: &[String]) -> Result<Vec<String>, ResultError> {
    texts.iter().map(|text| valid_decimal(&keyword(tag), text)).collect()
}

fn says(texts: &[String], expected: &[f64]) -> bool {
    let close = |(text, expected): (&String, &f64)| {
        text.parse::<f64>().is_ok_and(|v| (v - expected).abs() <= 1e-4 * expected.abs())
    };
    texts.len() == expected.len() && texts.iter().zip(expected).all(close)
}

fn is_positive(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|v| v > 0.0 && v.is_finite())
}

/// Dimensions: the segment where frames differ in it, and the place.
fn put_dimensions(
    object: &mut InMemDicomObject,
    dimensions: impl Iterator<Item = (Tag, Tag, &'static str)>,
    uid: &str,
) -> Result<(), ResultError> {
    let mut organization = InMemDicomObject::new_empty();
    put(&mut organization, tags::DIMENSION_ORGANIZATION_UID, uid)?;
    put_items(object, tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![organization]);
    let mut items = Vec::new();
    for (pointer, group, label) in dimensions {
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::DIMENSION_ORGANIZATION_UID, uid)?;
        for (tag, value) in [(tags::DIMENSION_INDEX_POINTER, pointer), (tags::FUNCTIONAL_GROUP_POINTER, group)] {
            item.put(DataElement::new(tag, VR::AT, PrimitiveValue::Tags([value].as_slice().into())));
        }
        put(&mut item, tags::DIMENSION_DESCRIPTION_LABEL, label)?;
        items.push(item);
    }
    put_items(object, tags::DIMENSION_INDEX_SEQUENCE, items);
    Ok(())
}
