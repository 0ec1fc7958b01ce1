//! Before the network: whether the images can be what the model was made for, by the manifest's checks.

use ndarray::{Array2, Array3, ArrayView2};

use super::{RunError, told};
use crate::imaging::{self, Image, ImageAttributes, ImagingError, Pixels, Projection, VoxelBudget};
use crate::manifest::{PlausibilityPolicy, PlausibilitySpec};
use crate::predict::plausibility::{Decoded, HounsfieldSlice, Implausible, implausible};
use crate::run::limits::Limits;
use crate::run::select::Input;
use crate::source::InstanceSource;
use crate::transform::displayed;

/// Instances that are looked at, at most.
const SAMPLED: usize = 12;

/// Carries out the checks on up to 12 of the inputs, at even distances, and gives what flagging checks found: warnings of the run. An image that
/// cannot be read is passed over here: the run itself says what is wrong with it.
///
/// # Errors
/// [`RunError::Implausible`] with what was found and expected where a refusing check does not pass; what the source cannot give now.
pub(super) fn check(
    source: &dyn InstanceSource,
    specs: &[PlausibilitySpec],
    inputs: &[Input],
    limits: Limits,
) -> Result<Vec<String>, RunError> {
    if specs.is_empty() {
        return Ok(Vec::new());
    }
    let instances: Vec<&Input> = inputs.chunk_by(|a, b| a.id == b.id).filter_map(<[Input]>::first).collect();
    let count = instances.len().min(SAMPLED);
    let budget = limits.budget();
    let (mut slices, mut pictures) = (Vec::new(), Vec::new());
    for input in (0..count).filter_map(|n| instances.get((2 * n + 1) * instances.len() / (2 * count))) {
        let bytes = match source.fetch(&input.id) {
            Ok(bytes) => bytes,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(_) => continue,
        };
        match decode(&bytes, source, &budget) {
            Ok(Sample::Slices(found)) => slices.extend(found),
            Ok(Sample::Picture(rgb)) => pictures.push(rgb),
            Err(error) => log::info!("an input is not looked at by the plausibility checks: {}", told(&error)),
        }
    }
    let views: Vec<HounsfieldSlice> =
        slices.iter().map(|slice| HounsfieldSlice { hu: slice.hu.view(), spacing_mm: slice.spacing_mm }).collect();
    let mut found = if views.is_empty() { Vec::new() } else { implausible(specs, Decoded::Slices(&views)) };
    for rgb in &pictures {
        found.extend(implausible(specs, Decoded::Picture(rgb.view())));
    }
    warnings(found)
}

/// What flags; what refuses is the error.
fn warnings(found: Vec<Implausible>) -> Result<Vec<String>, RunError> {
    let mut warnings = Vec::new();
    for Implausible { policy, reason } in found {
        match policy {
            PlausibilityPolicy::Refuse => return Err(RunError::Implausible(reason)),
            PlausibilityPolicy::Flag => warnings.push(format!("out of the model's domain: {reason}")),
        }
    }
    warnings.dedup();
    Ok(warnings)
}

struct Slice {
    hu: Array2<f32>,
    spacing_mm: Option<[f64; 2]>,
}

enum Sample {
    Slices(Vec<Slice>),
    Picture(Array3<u8>),
}

/// Of CT the values in HU, of up to 12 frames; of any other image what a screen shows.
fn decode(bytes: &[u8], source: &dyn InstanceSource, budget: &VoxelBudget) -> Result<Sample, ImagingError> {
    let attributes = imaging::read_attributes(bytes)?;
    let is_ct = attributes.modality == "CT";
    if is_ct && let Ok(slices) = slices(bytes, &attributes, source, budget) {
        return Ok(Sample::Slices(slices));
    }
    let image = match imaging::read_image_within(bytes, source.frame_decoder(), budget)? {
        Image::Grey(image) => image,
        Image::Colour(image) => return Ok(Sample::Picture(image.rgb)),
    };
    let values = modality_values(&image);
    if is_ct {
        return Ok(Sample::Slices(vec![Slice { hu: values, spacing_mm: image.attributes.pixel_spacing_mm }]));
    }
    Ok(Sample::Picture(grey_picture(displayed(&values, &image.attributes).view())))
}

fn slices(
    bytes: &[u8],
    attributes: &ImageAttributes,
    source: &dyn InstanceSource,
    budget: &VoxelBudget,
) -> Result<Vec<Slice>, ImagingError> {
    let frames = attributes.number_of_frames;
    let numbers: Vec<Option<u32>> = if frames == 1 {
        vec![None]
    } else {
        let count = frames.min(SAMPLED);
        (0..count).map(|n| u32::try_from((2 * n + 1) * frames / (2 * count) + 1).ok()).collect()
    };
    budget.take(attributes.rows.saturating_mul(attributes.columns).saturating_mul(numbers.len()))?;
    let frame = |number: &Option<u32>| {
        let frame = imaging::read_frame(bytes, *number, source.frame_decoder())?;
        Ok(Slice { spacing_mm: Some(frame.plane.pixel_spacing_mm), hu: frame.values })
    };
    numbers.iter().map(frame).collect()
}

/// After the modality LUT (PS3.3 C.11.1).
pub(super) fn modality_values(image: &Projection) -> Array2<f32> {
    let rescale = image.attributes.rescale;
    let value = |stored: i32| (rescale.slope * f64::from(stored) + rescale.intercept) as f32;
    match &image.pixels {
        Pixels::U8(stored) => stored.mapv(|v| value(i32::from(v))),
        Pixels::U16(stored) => stored.mapv(|v| value(i32::from(v))),
        Pixels::I16(stored) => stored.mapv(|v| value(i32::from(v))),
    }
}

/// Shades of grey as RGB.
pub(super) fn grey_picture(shades: ArrayView2<u8>) -> Array3<u8> {
    let (rows, columns) = shades.dim();
    Array3::from_shape_fn((rows, columns, 3), |(row, column, _)| shades[[row, column]])
}

#[cfg(test)]
mod tests {
    use super::super::heads;
    use super::*;
    use crate::source::{InstanceBytes, InstanceHeader, InstanceId, Resource, SourceError};

    /// The file that every input is.
    struct One(Vec<u8>);

    impl InstanceSource for One {
        fn headers(&self, _: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
            Ok(Vec::new())
        }

        fn fetch(&self, _: &InstanceId) -> Result<InstanceBytes, SourceError> {
            Ok(Box::new(self.0.clone()))
        }
    }

    /// A CT slice of nothing but soft tissue is no head; without checks nothing is fetched.
    #[test]
    fn a_grey_slice_is_no_head_ct() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::read(heads::write_file(dir.path(), &heads::sources()[0])).unwrap();
        let input = |n: usize| Input {
            id: InstanceId(n.to_string()),
            sop_instance_uid: String::new(),
            view: String::new(),
            group: 0,
            frame: None,
        };
        let inputs: Vec<Input> = (0..30).map(input).collect();
        let specs = |policy: &str| -> Vec<PlausibilitySpec> {
            let check = serde_json::json!({"SkullRing": {"min_area_cm2": 30, "max_area_cm2": 300, "min_soft_tissue_share": 0.6,
                "min_slices_share": 0.25}});
            serde_json::from_value(serde_json::json!([{"check": check, "policy": policy, "expected": "a head CT"}]))
                .unwrap()
        };
        let source = One(file);
        let refused = check(&source, &specs("refuse"), &inputs, Limits::default()).unwrap_err().to_string();
        assert!(
            refused.starts_with("this does not look like a head CT: found a closed skull in 0 of 12 slices looked at"),
            "{refused}"
        );
        let flagged = check(&source, &specs("flag"), &inputs, Limits::default()).unwrap();
        assert!(
            flagged.len() == 1 && flagged[0].starts_with("out of the model's domain: this does not"),
            "{flagged:?}"
        );
        assert_eq!(check(&source, &[], &inputs, Limits::default()).unwrap(), Vec::<String>::new());
        // What cannot be read is the run's to tell.
        assert!(check(&One(b"no DICOM".to_vec()), &specs("refuse"), &inputs, Limits::default()).unwrap().is_empty());
    }

    #[test]
    fn refusals_end_the_run_and_flags_are_warnings() {
        let of = |policy, reason: &str| Implausible { policy, reason: reason.into() };
        let (flag, refuse) = (PlausibilityPolicy::Flag, PlausibilityPolicy::Refuse);
        let flagged = warnings(vec![of(flag, "a"), of(flag, "a"), of(flag, "b")]).unwrap();
        assert_eq!(flagged, ["out of the model's domain: a", "out of the model's domain: b"]);
        let error = warnings(vec![of(flag, "a"), of(refuse, "this does not look like a head CT: x")]).unwrap_err();
        assert_eq!(error.to_string(), "this does not look like a head CT: x");
        assert!(!error.is_transient());
    }
}
