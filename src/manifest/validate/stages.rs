//! Regions of interest and following models: what one manifest may not say of them. What it says of other manifests is for
//! [`crate::manifest::stages`].

use super::{Checked, refuse, require};
use crate::manifest::{Manifest, SelectSpec, TransformSpec};

pub(super) fn stages(m: &Manifest) -> Checked {
    for (i, next) in m.then.iter().enumerate() {
        require(!next.is_empty() && !m.then[..i].contains(next), format!("then[{i}]"), || {
            format!("found \"{next}\", expected a model's name, once")
        })?;
    }
    let Some(region) = &m.input.region_of_interest else { return Ok(()) };
    let path = |key: &str| format!("input.region_of_interest.{key}");
    if matches!(m.input.select, SelectSpec::Volumes(_)) {
        return refuse("input.region_of_interest", "is for models that take images, input.select takes volumes");
    }
    require(!region.model.is_empty(), path("model"), || "empty, expected another model's name".into())?;
    require(!region.segment.is_empty(), path("segment"), || "empty, expected the name of a segment".into())?;
    require((0.0..=10_000.0).contains(&region.margin_mm), path("margin_mm"), || {
        format!("found {}, expected 0 to 10000", region.margin_mm)
    })?;
    require(region.margin_pixels <= 65_535, path("margin_pixels"), || {
        format!("found {}, expected 0 to 65535", region.margin_pixels)
    })?;
    // Otsu and contours look at the whole image.
    let crop = m.preprocessing.iter().position(|step| matches!(step, TransformSpec::CropForeground(_)));
    crop.map_or(Ok(()), |i| {
        refuse(format!("preprocessing[{i}].CropForeground"), "the image is cropped to input.region_of_interest already")
    })
}
