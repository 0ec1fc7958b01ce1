//! A heat map as colour Secondary Capture (PS3.3 A.8.1): over the image that it explains, on the image's own pixels, so that viewers lay it at its
//! place; with its meaning burned in.

mod canvas;
mod jet;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use ndarray::ArrayView2;

use super::charset::{ascii_line, first_in_ascii};
use super::common::{self, Created, demo_marked, shortened};
use super::content::code_item;
use super::reference::{InstanceReference, slice_item};
use super::uid::fingerprint;
use super::vr::{put, put_empty, put_items, put_us, put_values, valid_decimal};
use super::{ResultContext, ResultError, ResultKind, ResultObject, codes, source};
use crate::imaging::ImageAttributes;
use crate::manifest::{ExplanationSpec, TaskSpec};
use crate::predict::ImageExplanation;
use canvas::{BLACK, Canvas, Letters, WHITE};

pub use jet::jet;

/// Burned into every picture.
const MARK: &str = "AI, research only";

/// The heat map of one image; `number` is its InstanceNumber. All of a run's are one series.
///
/// # Errors
/// [`ResultError::Prediction`] where the explanation is not of one of the context's images, or its picture, heat map and image differ in size;
/// [`ResultError::Picture`] where the image has no room for the text that must be burned in.
pub fn heat_map_object(
    ctx: &ResultContext,
    explanation: &ImageExplanation,
    number: usize,
) -> Result<ResultObject, ResultError> {
    let image = ctx.images.get(explanation.image).ok_or_else(|| ResultError::Prediction {
        reason: format!("found an explanation of image {}, expected 0..{}", explanation.image, ctx.images.len()),
    })?;
    let spacing = spacing_mm(image, explanation);
    let pixels = draw(ctx, explanation, spacing)?;
    let sop_class_uid = uids::SECONDARY_CAPTURE_IMAGE_STORAGE;
    // Devices round differently: another picture is another object.
    let frame = explanation.frame.map_or(String::new(), |n| n.to_string());
    let role = format!("SC heat map {} {frame} {}", image.sop_instance_uid, fingerprint(&pixels));
    let sop_instance_uid = ctx.uids.instance(&role, "");
    let series_instance_uid = ctx.uids.series("SC heat map");
    let created = Created::of(ctx)?;

    let mut object = InMemDicomObject::new_empty();
    put_image(&mut object, ctx, explanation, image, number, &created)?;
    put_geometry(&mut object, image, explanation)?;
    put_sources(&mut object, image, explanation)?;
    // Beside those of the report and of a segmentation.
    let series_number = ctx.manifest.report.series_number.saturating_add(2);
    common::put_series(&mut object, ctx, "OT", &series_instance_uid, series_number)?;
    let description = shortened(&demo_marked(ctx.manifest, &ctx.manifest.report.series_description), 55);
    put(&mut object, tags::SERIES_DESCRIPTION, &format!("{description} heat map"))?;
    for tag in [tags::PATIENT_POSITION, tags::BODY_PART_EXAMINED] {
        source::copy_text(&mut object, image, tag)?;
    }
    put_laterality(&mut object, image)?;
    common::put_equipment(&mut object, ctx)?;
    put(&mut object, tags::CONVERSION_TYPE, "WSD")?;
    common::put_sop_common(&mut object, ctx, &created, sop_class_uid, &sop_instance_uid)?;
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(pixels.into())));
    common::finished(ResultKind::Sc, image, object, sop_class_uid, [sop_instance_uid, series_instance_uid])
}

/// The manifest's explanation.
pub(super) fn spec<'a>(ctx: &ResultContext<'a>) -> Result<&'a ExplanationSpec, ResultError> {
    match &ctx.manifest.task {
        TaskSpec::Classification(task) => task.explanation.as_ref(),
        TaskSpec::Segmentation(_) => None,
    }
    .ok_or_else(|| ResultError::Prediction {
        reason: "found an explanation, expected none: the manifest asks for none".into(),
    })
}

/// Of the pixels, between rows and columns; what the scale bar and the region's sizes go by.
fn spacing_mm(image: &ImageAttributes, explanation: &ImageExplanation) -> Option<[f64; 2]> {
    let of_slice = explanation.slice.as_ref().and_then(|slice| {
        let [row, column] = &slice.pixel_spacing;
        Some([row.trim().parse().ok()?, column.trim().parse().ok()?])
    });
    of_slice.or(image.pixel_spacing_mm).filter(|s: &[f64; 2]| s.iter().all(|mm| mm.is_finite() && *mm > 0.0))
}

/// General Image, Image Pixel, SC Image (PS3.3 C.7.6.1, C.7.6.3, C.8.6.2).
fn put_image(
    object: &mut InMemDicomObject,
    ctx: &ResultContext,
    explanation: &ImageExplanation,
    image: &ImageAttributes,
    number: usize,
    created: &Created,
) -> Result<(), ResultError> {
    put(object, tags::INSTANCE_NUMBER, &number.to_string())?;
    put(object, tags::CONTENT_DATE, &created.date)?;
    put(object, tags::CONTENT_TIME, &created.time)?;
    put_values(object, tags::IMAGE_TYPE, &["DERIVED".into(), "SECONDARY".into()])?;
    put(object, tags::BURNED_IN_ANNOTATION, "YES")?;
    let class = class_name(ctx, explanation)?;
    let description = format!(
        "Heat map (gradient-weighted class activation, Grad-CAM) of what speaks for {class}, laid over the source image. AI output, unverified, for \
         research use only, not for diagnosis."
    );
    put(object, tags::DERIVATION_DESCRIPTION, &demo_marked(ctx.manifest, &description))?;
    source::put_lossy(object, &[image])?;
    let (rows, columns, _) = explanation.picture.dim();
    for (tag, value) in [(tags::ROWS, rows), (tags::COLUMNS, columns)] {
        let reason = format!("found {value}, expected at most 65535");
        let value =
            u16::try_from(value).map_err(|_| ResultError::Value { attribute: super::vr::keyword(tag), reason })?;
        put_us(object, tag, &[value]);
    }
    put(object, tags::PHOTOMETRIC_INTERPRETATION, "RGB")?;
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::PLANAR_CONFIGURATION, 0),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        put_us(object, tag, &[value]);
    }
    Ok(())
}

/// Where the source's pixels lie: the picture has the same. The source's own texts, where they are valid.
fn put_geometry(
    object: &mut InMemDicomObject,
    image: &ImageAttributes,
    explanation: &ImageExplanation,
) -> Result<(), ResultError> {
    let valid = |tag, count: usize| Some(source::valid_texts(image, tag)).filter(|texts| texts.len() == count);
    let (position, orientation, spacing) = match &explanation.slice {
        Some(slice) => {
            (Some(slice.position.to_vec()), Some(slice.orientation.to_vec()), Some(slice.pixel_spacing.to_vec()))
        }
        None => (
            valid(tags::IMAGE_POSITION_PATIENT, 3),
            valid(tags::IMAGE_ORIENTATION_PATIENT, 6),
            valid(tags::PIXEL_SPACING, 2),
        ),
    };
    let has_plane = position.is_some() && orientation.is_some();
    let plane = [(tags::IMAGE_POSITION_PATIENT, position), (tags::IMAGE_ORIENTATION_PATIENT, orientation)];
    let spacings = [(tags::PIXEL_SPACING, spacing), (tags::IMAGER_PIXEL_SPACING, valid(tags::IMAGER_PIXEL_SPACING, 2))];
    // Half a plane would place the picture wrongly.
    for (tag, texts) in plane.into_iter().filter(|_| has_plane).chain(spacings) {
        if let Some(texts) = texts {
            let texts: Vec<String> =
                texts.iter().map(|text| valid_decimal(&super::vr::keyword(tag), text)).collect::<Result<_, _>>()?;
            put_values(object, tag, &texts)?;
        }
    }
    if has_plane && let Some(uid) = source::valid_text(image, tags::FRAME_OF_REFERENCE_UID) {
        put(object, tags::FRAME_OF_REFERENCE_UID, &uid)?;
        put_empty(object, tags::POSITION_REFERENCE_INDICATOR);
        source::copy_text(object, image, tags::POSITION_REFERENCE_INDICATOR)?;
    }
    // Required of images whose plane is not part of their IOD (PS3.3 C.7.6.1.1.1).
    let orientation = source::valid_texts(image, tags::PATIENT_ORIENTATION);
    if orientation.len() == 2 {
        put_values(object, tags::PATIENT_ORIENTATION, &orientation)
    } else {
        put_empty(object, tags::PATIENT_ORIENTATION);
        Ok(())
    }
}

/// The image's side, else the series' (Type 2C: only where the image has none, PS3.3 C.7.3.1); of a paired body part, or where the part is not
/// known, also that the side is not.
fn put_laterality(object: &mut InMemDicomObject, image: &ImageAttributes) -> Result<(), ResultError> {
    for tag in [tags::IMAGE_LATERALITY, tags::LATERALITY] {
        source::copy_text(object, image, tag)?;
        if object.get(tag).is_some() {
            return Ok(());
        }
    }
    if source::valid_text(image, tags::BODY_PART_EXAMINED).is_none_or(|part| part == "BREAST") {
        put_empty(object, tags::LATERALITY);
    }
    Ok(())
}

/// Which image the picture was made of.
fn put_sources(
    object: &mut InMemDicomObject,
    image: &ImageAttributes,
    explanation: &ImageExplanation,
) -> Result<(), ResultError> {
    let mut item = match &explanation.slice {
        Some(slice) => slice_item(slice)?,
        None => InstanceReference::from(image).item()?,
    };
    if let Some(frame) = explanation.frame {
        put(&mut item, tags::REFERENCED_FRAME_NUMBER, &frame.to_string())?;
    }
    let purpose = code_item(&codes::SOURCE_IMAGE_FOR_PROCESSING.into())?;
    put_items(&mut item, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, vec![purpose]);
    put(&mut item, tags::SPATIAL_LOCATIONS_PRESERVED, "YES")?;
    put_items(object, tags::SOURCE_IMAGE_SEQUENCE, vec![item]);

    let mut series = InMemDicomObject::new_empty();
    put(&mut series, tags::SERIES_INSTANCE_UID, &image.series_instance_uid)?;
    put_items(&mut series, tags::REFERENCED_INSTANCE_SEQUENCE, vec![InstanceReference::from(image).item()?]);
    put_items(object, tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    Ok(())
}

/// The class's name in letters that every reader has.
fn class_name(ctx: &ResultContext, explanation: &ImageExplanation) -> Result<String, ResultError> {
    let classes = ctx.manifest.classes();
    let class = classes.get(explanation.class).ok_or_else(|| ResultError::Prediction {
        reason: format!("found class {}, expected 0..{}", explanation.class, classes.len()),
    })?;
    Ok(first_in_ascii([class.name.as_str(), &class.concept.meaning, &format!("class {}", explanation.class + 1)]))
}

/// The picture's bytes: heat over image, outlines with numbers, and the marks.
fn draw(
    ctx: &ResultContext,
    explanation: &ImageExplanation,
    spacing: Option<[f64; 2]>,
) -> Result<Vec<u8>, ResultError> {
    let (rows, columns, channels) = explanation.picture.dim();
    let heat: ArrayView2<f32> = explanation.heat.view();
    if heat.dim() != (rows, columns) || channels != 3 {
        let reason = format!(
            "found a heat map of {} x {} and a picture of {rows} x {columns} x {channels}, expected the same rows and columns, in RGB",
            heat.nrows(),
            heat.ncols()
        );
        return Err(ResultError::Prediction { reason });
    }
    let letters = Letters::for_picture(rows, columns);
    let margin = letters.height() / 4;
    let mark = demo_marked(ctx.manifest, MARK);
    let wide = 2 * margin + mark.chars().count() * letters.width();
    let high = 4 * (letters.height() + margin);
    if columns < wide || rows < high {
        return Err(ResultError::Picture { rows, columns, min_rows: high, min_columns: wide });
    }
    let mut canvas = Canvas::of(explanation.picture.view());
    canvas.lay_heat(heat, spec(ctx)?.opacity);
    let thickness = (rows.min(columns) / 300).max(1);
    for (number, placed) in (1..).zip(&explanation.regions) {
        canvas.outline(&placed.region.outline.points, thickness, WHITE);
        let [row, column] = [placed.region.rows[0], placed.region.columns[1] + 1 + thickness];
        // Below the lines of text, and inside of the picture.
        let row = row.clamp(2 * (letters.height() + margin), rows - letters.height());
        canvas.write(&number.to_string(), [row, column.min(columns - letters.width())], columns, letters);
    }
    let second = ascii_line(&format!("{} {:.1} %", class_name(ctx, explanation)?, explanation.probability * 100.0));
    canvas.write(&mark, [margin, margin], columns - margin, letters);
    canvas.write(&second, [margin + letters.height(), margin], columns - margin, letters);
    colour_bar(&mut canvas, letters, margin);
    if let Some([_, column_mm]) = spacing {
        scale_bar(&mut canvas, letters, margin, column_mm);
    }
    Ok(canvas.into_bytes())
}

/// The colours of heat from 0 to 1, at the right border below the text.
fn colour_bar(canvas: &mut Canvas, letters: Letters, margin: usize) {
    let [rows, columns] = canvas.size();
    let (top, bottom) = (2 * (letters.height() + margin), rows - margin);
    let (right, width) = (columns - margin, letters.height() / 2);
    let length = bottom - top;
    canvas.fill([top, bottom], [right - width, right], BLACK, 1.0);
    for row in 1..length.saturating_sub(1) {
        let level = 255 - 255 * row / length;
        canvas.fill([top + row, top + row + 1], [right - width + 1, right - 1], jet(level as u8), 1.0);
    }
    let column = right - width - letters.width() - margin / 2;
    canvas.write("1", [top, column], columns, letters);
    canvas.write("0", [bottom - letters.height(), column], columns, letters);
}

/// A bar of a round length in mm along the rows, at the lower left.
fn scale_bar(canvas: &mut Canvas, letters: Letters, margin: usize, column_mm: f64) {
    let [rows, columns] = canvas.size();
    let most = 0.4 * columns as f64 * column_mm;
    let lengths = [200, 100, 50, 20, 10, 5, 2, 1];
    let Some(mm) = lengths.into_iter().find(|mm| f64::from(*mm) <= most) else { return };
    let pixels = ((f64::from(mm) / column_mm).round() as usize).max(1);
    let thick = (letters.height() / 6).max(3);
    let (bottom, left) = (rows - margin, margin);
    canvas.fill([bottom - thick, bottom], [left, left + pixels], BLACK, 1.0);
    canvas.fill([bottom - thick + 1, bottom - 1], [left, left + pixels], WHITE, 1.0);
    let row = bottom - thick - letters.height();
    canvas.write(&format!("{mm} mm"), [row, left], columns, letters);
}
