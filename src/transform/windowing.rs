//! Windowing: Hounsfield units to shares of a window.

use dicom_dictionary_std::tags;
use ndarray::{Array2, ArrayView2};

use crate::imaging::ImageAttributes;
use crate::manifest::transform::{WindowSpec, WindowingOutput};

/// CT, Enhanced CT and Legacy Converted Enhanced CT Image Storage. A CT's Secondary Capture is a picture.
const CT: [&str; 3] = ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"];

/// Whether the values after the modality LUT are Hounsfield units: of CT that does not say otherwise (RescaleType, PS3.3
/// C.11.1.1.2).
pub fn is_hounsfield(attributes: &ImageAttributes) -> bool {
    let text = |tag| attributes.dataset.get(tag).and_then(|e| e.value().to_str().ok()).map(|t| t.trim().to_owned());
    let unit = text(tags::RESCALE_TYPE).filter(|unit| !unit.is_empty());
    let rescaled = attributes.dataset.get(tags::RESCALE_INTERCEPT).is_some();
    attributes.modality == "CT"
        && attributes.photometric.is_monochrome()
        && unit.is_none_or(|unit| unit == "HU")
        && (rescaled || CT.contains(&attributes.sop_class_uid.as_str()))
}

/// `(v - (level - width / 2)) / width`, clipped to 0..1, each operation in f32: what numpy makes of it.
pub fn window(values: ArrayView2<f32>, WindowSpec { level, width }: WindowSpec) -> Array2<f32> {
    let low = (f64::from(level) - f64::from(width) / 2.0) as f32;
    values.mapv(|v| ((v - low) / width).clamp(0.0, 1.0))
}

/// How a share becomes a byte; None where it stays a float.
pub fn window_bytes(output: WindowingOutput) -> Option<fn(f32) -> u8> {
    match output {
        WindowingOutput::Float => None,
        WindowingOutput::Uint8Truncate => Some(|share| (share * 255.0) as u8),
        WindowingOutput::Uint8Round => Some(|share| (share * 255.0).round_ties_even() as u8),
    }
}
