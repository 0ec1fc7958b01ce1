//! Image library of TID 1600: every source with what identifies its view, whether it was analysed or not.

use dicom_dictionary_std::tags;

use super::content::{Container, Image, Item};
use super::vr::decimal_string;
use super::{ResultError, codes, source};
use crate::imaging::ImageAttributes;

/// TID 1600 with one group.
pub fn image_library(images: &[&ImageAttributes]) -> Result<Item<Container>, ResultError> {
    let mut group = Item::container(codes::IMAGE_LIBRARY_GROUP, None)?;
    for image in images {
        group = group.contains(entry(image)?);
    }
    Ok(Item::container(codes::IMAGE_LIBRARY, None)?.contains(group))
}

/// TID 1601 with the descriptors of TID 1602 and, for projections, TID 1603. Descriptors that the source lacks are left
/// out.
fn entry(image: &ImageAttributes) -> Result<Item<Image>, ResultError> {
    let mut item = Item::image(codes::SOURCE, image)?;
    if let Some(modality) = codes::modality(&image.modality) {
        item = item.has_acq_context(Item::code(codes::MODALITY, modality)?);
    }
    if let Some(side) = image.laterality.as_deref().and_then(codes::laterality) {
        item = item.has_acq_context(Item::code(codes::IMAGE_LATERALITY, side)?);
    }
    let pixels = |concept, n: usize| Item::num(concept, &n.to_string(), codes::PIXELS);
    item = item.has_acq_context(pixels(codes::PIXEL_DATA_ROWS, image.rows)?);
    item = item.has_acq_context(pixels(codes::PIXEL_DATA_COLUMNS, image.columns)?);
    if let Some(view) = image.view_position.as_deref().and_then(codes::mammography_view) {
        item = item.has_acq_context(Item::code(codes::IMAGE_VIEW, view)?);
    }
    if let [row, column] = source::valid_texts(image, tags::PATIENT_ORIENTATION).as_slice()
        && !row.is_empty()
        && !column.is_empty()
    {
        item = item.has_acq_context(Item::text(codes::PATIENT_ORIENTATION_ROW, row)?);
        item = item.has_acq_context(Item::text(codes::PATIENT_ORIENTATION_COLUMN, column)?);
    }
    if let Some([row_mm, column_mm]) = image.pixel_spacing_mm.filter(|s| s.iter().all(|v| v.is_finite() && *v > 0.0)) {
        let mm = |concept, value| Item::num(concept, &decimal_string("Pixel Spacing", value, 6)?, codes::MILLIMETER);
        item = item.has_acq_context(mm(codes::HORIZONTAL_PIXEL_SPACING, column_mm)?);
        item = item.has_acq_context(mm(codes::VERTICAL_PIXEL_SPACING, row_mm)?);
    }
    Ok(item)
}
