//! The items of SegmentSequence (PS3.3 C.8.20.2, C.8.20.4).

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::charset::fold_typography;
use super::super::common::{Algorithm, concept};
use super::super::content::code_item;
use super::super::segmented::{Found, Segment, Segmented};
use super::super::vr::{put, put_items, put_us};
use super::super::{ResultError, codes};

/// One found segment.
pub fn segment_item(
    segmented: &Segmented,
    algorithm: &Algorithm,
    segment: &Segment,
    found: &Found,
) -> Result<InMemDicomObject, ResultError> {
    let spec = segment.spec;
    let mut item = InMemDicomObject::new_empty();
    put_us(&mut item, tags::SEGMENT_NUMBER, &[found.number]);
    put(&mut item, tags::SEGMENT_LABEL, &fold_typography(&spec.name))?;
    let category = code_item(&concept(&spec.category))?;
    put_items(&mut item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, vec![category]);
    put_items(&mut item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![code_item(&concept(&spec.concept))?]);
    put_items(&mut item, tags::ANATOMIC_REGION_SEQUENCE, vec![anatomic_region(segmented)?]);
    put(&mut item, tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC")?;
    put(&mut item, tags::SEGMENT_ALGORITHM_NAME, &algorithm.name)?;
    let identification = algorithm_identification(segmented, algorithm)?;
    put_items(&mut item, tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, vec![identification]);
    put(&mut item, tags::TRACKING_ID, &segment.tracking_id)?;
    put(&mut item, tags::TRACKING_UID, &segment.tracking_uid)?;
    if let Some(color) = display_color(&spec.color) {
        put_us(&mut item, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &color);
    }
    Ok(item)
}

/// What a label map's 0 is.
pub fn background_item(algorithm: &Algorithm) -> Result<InMemDicomObject, ResultError> {
    let mut item = InMemDicomObject::new_empty();
    put_us(&mut item, tags::SEGMENT_NUMBER, &[0]);
    put(&mut item, tags::SEGMENT_LABEL, "Background")?;
    let category = code_item(&codes::SPATIAL_AND_RELATIONAL_CONCEPT.into())?;
    put_items(&mut item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, vec![category]);
    put_items(&mut item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![code_item(&codes::BACKGROUND.into())?]);
    put(&mut item, tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC")?;
    put(&mut item, tags::SEGMENT_ALGORITHM_NAME, &algorithm.name)?;
    put_us(&mut item, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &cie_lab([0, 0, 0]));
    Ok(item)
}

/// The manifest's site, on the images' side where they have one.
fn anatomic_region(segmented: &Segmented) -> Result<InMemDicomObject, ResultError> {
    let mut item = code_item(&concept(&segmented.ctx.manifest.report.finding_site))?;
    if let Some(side) = segmented.display_instance()?.laterality.as_deref().and_then(codes::laterality) {
        put_items(&mut item, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, vec![code_item(&side.into())?]);
    }
    Ok(item)
}

/// Algorithm Identification Macro (PS3.3 10.16).
pub fn algorithm_identification(segmented: &Segmented, algorithm: &Algorithm) -> Result<InMemDicomObject, ResultError> {
    let mut item = InMemDicomObject::new_empty();
    let family = code_item(&codes::ARTIFICIAL_INTELLIGENCE.into())?;
    put_items(&mut item, tags::ALGORITHM_FAMILY_CODE_SEQUENCE, vec![family]);
    put(&mut item, tags::ALGORITHM_NAME, &algorithm.name)?;
    put(&mut item, tags::ALGORITHM_VERSION, &algorithm.version)?;
    put(&mut item, tags::ALGORITHM_SOURCE, algorithm.manufacturer)?;
    let weights = format!("weights SHA-256: {}", segmented.ctx.weights_sha256);
    let parameters: Vec<String> = std::iter::once(weights).chain(segmented.resampling()).collect();
    put(&mut item, tags::ALGORITHM_PARAMETERS, &parameters.join("\r\n"))?;
    Ok(item)
}

/// RecommendedDisplayCIELabValue of `#rrggbb`.
pub fn display_color(color: &str) -> Option<[u16; 3]> {
    parse_color(color).map(cie_lab)
}

/// `#rrggbb`
fn parse_color(color: &str) -> Option<[u8; 3]> {
    let channel = |at: usize| u8::from_str_radix(color.get(at..at + 2)?, 16).ok();
    Some([channel(1)?, channel(3)?, channel(5)?])
}

/// sRGB as scaled CIELab (PS3.3 C.10.7.1.1). The white is sRGB's own, D65, and not the profile connection space's D50:
/// dcmjs, dcmtk and what is built on them (OHIF, Slicer) turn it back with D65, and so show the colour that was meant.
fn cie_lab(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|v| {
        let v = f64::from(v) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let [r, g, b] = linear;
    // IEC 61966-2-1, each row divided by the white's component.
    let xyz = [
        (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47,
        0.212_672_9 * r + 0.715_152_2 * g + 0.072_175_0 * b,
        (0.019_333_9 * r + 0.119_192_0 * g + 0.950_304_1 * b) / 1.088_83,
    ];
    let [x, y, z] = xyz.map(|t| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 });
    let (l, a, b) = (116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z));
    let scaled = |v: f64| v.round().clamp(0.0, 65535.0) as u16;
    [scaled(l * 65535.0 / 100.0), scaled((a + 128.0) * 257.0), scaled((b + 128.0) * 257.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_that_viewers_decode() {
        // dcmjs 0.52 (Colors.rgb2DICOMLAB) within one step.
        let near = |found: [u16; 3], expected: [u16; 3]| {
            assert!(found.iter().zip(expected).all(|(f, e)| f.abs_diff(e) <= 4), "{found:?}, expected {expected:?}");
        };
        near(cie_lab([255, 0, 0]), [34891, 53479, 50166]);
        near(cie_lab([0, 0, 0]), [0, 32896, 32896]);
        near(cie_lab([255, 255, 255]), [65535, 32896, 32896]);
        assert_eq!(parse_color("#d32f2f"), Some([0xd3, 0x2f, 0x2f]));
        assert_eq!(parse_color("#d32fé"), None);
    }
}
