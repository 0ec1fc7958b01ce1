//! From the bytes of one file to single images: each frame on its own, whether it says where it lies in the patient or not.

use std::ops::ControlFlow;
use std::sync::Arc;

use dicom_core::header::Header;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes::Reader;
use super::budget::VoxelBudget;
use super::decode::{FrameDecoder, Frames};
use super::frames::{frame_rescale, is_kept};
use super::functional_groups::FunctionalGroups;
use super::part10::Part10;
use super::plane::Plane;
use super::read::check_monochrome;
use super::{ImageAttributes, ImagingError, Projection};

/// One frame of an image.
#[derive(Debug, Clone)]
pub struct ImageFrame {
    /// The stored values, and the attributes as they hold for this frame: its own rescale, no data set.
    pub image: Projection,
    /// Number of the frame, from 1, in a multi-frame instance; None in a single-frame one.
    pub frame: Option<u32>,
    /// Where it lies in the patient; None where the image does not say it, or says what cannot be.
    pub plane: Option<Plane>,
}

/// What is done with a frame, or with why it cannot be read: the instance's attributes, the frame's number where there are several.
pub type TakeFrame<'t> =
    &'t mut dyn FnMut(&Arc<ImageAttributes>, Option<u32>, Result<ImageFrame, ImagingError>) -> ControlFlow<()>;

/// Reads frames of one monochrome image of 8 to 16 bits, one after the other: those numbered `wanted`, from 1; none numbered: all. Each, or
/// why it cannot be read, is given to `take` with the instance's attributes and may break off. The pixels that the header claims are taken
/// from `budget` before any is decoded. Gives the attributes of the instance: those of the standard that are short, which is all that
/// results need.
///
/// `fallback` is asked for frames that the built-in codecs cannot decode.
///
/// # Errors
/// Anything that is no such image: the attribute, what was found, what was expected. Then `take` has seen nothing.
pub fn read_image_frames(
    dicom: &[u8],
    wanted: &[u32],
    fallback: Option<&dyn FrameDecoder>,
    budget: &VoxelBudget,
    take: TakeFrame<'_>,
) -> Result<Arc<ImageAttributes>, ImagingError> {
    let file = Part10::scan(dicom)?;
    let attributes = ImageAttributes::from_dataset(file.read_header()?)?;
    check_monochrome(&attributes)?;
    let count = attributes.number_of_frames;
    let frames = Frames::find(dicom, &file, &attributes)?;
    let indices: Vec<usize> = match wanted {
        [] => (0..count).collect(),
        numbers => numbers.iter().map(|&n| (n as usize).wrapping_sub(1)).collect(),
    };
    budget.take(attributes.rows.saturating_mul(attributes.columns).saturating_mul(indices.len()))?;
    let groups = FunctionalGroups::of(&attributes.dataset, count)?;
    let planes = Plane::of_frames(&attributes.dataset, count).ok();
    let instance = Arc::new(kept(&attributes));
    for index in indices {
        let number = u32::try_from(index.wrapping_add(1)).ok().filter(|_| count > 1);
        let there = if index < count { Ok(()) } else { Err(no_such_frame(number, count)) };
        let frame = there.and_then(|()| frames.decode(index, fallback)).and_then(|pixels| {
            let rescale = frame_rescale(&attributes, groups.as_ref(), index)?;
            let attributes = ImageAttributes { rescale, ..without_dataset(&attributes) };
            let plane = planes.as_ref().and_then(|planes| planes.get(index).cloned());
            Ok(ImageFrame { image: Projection { attributes, pixels }, frame: number, plane })
        });
        if take(&instance, number, frame).is_break() {
            break;
        }
    }
    Ok(instance)
}

/// Reads one frame: `number` counts from 1, as references do; None: of a single-frame image.
///
/// # Errors
/// As [`read_image_frames`], and where there is no such frame.
pub fn read_image_frame(
    dicom: &[u8],
    number: Option<u32>,
    fallback: Option<&dyn FrameDecoder>,
) -> Result<Projection, ImagingError> {
    let file = Part10::scan(dicom)?;
    let attributes = ImageAttributes::from_dataset(file.read_header()?)?;
    check_monochrome(&attributes)?;
    let count = attributes.number_of_frames;
    let index = number.map_or(0, |n| (n as usize).wrapping_sub(1));
    if index >= count || (number.is_none() && count > 1) {
        return Err(no_such_frame(number, count));
    }
    let frames = Frames::find(dicom, &file, &attributes)?;
    let groups = FunctionalGroups::of(&attributes.dataset, count)?;
    let rescale = frame_rescale(&attributes, groups.as_ref(), index)?;
    let pixels = frames.decode(index, fallback)?;
    Ok(Projection { attributes: ImageAttributes { rescale, ..without_dataset(&attributes) }, pixels })
}

fn no_such_frame(number: Option<u32>, count: usize) -> ImagingError {
    let found = number.map_or("none".to_string(), |n| n.to_string());
    ImagingError::invalid("frame", found, format!("1 to {count}, none of a single frame"))
}

/// Spacing of the pixels' rows and columns in mm as the image says it of the patient: PixelSpacing, with its texts. That of an imager's
/// surface is none, for nobody knows the magnification.
pub fn calibrated_spacing(instance: &ImageAttributes) -> Option<([f64; 2], [String; 2])> {
    let first = |object: &'_ InMemDicomObject, tag| object.get(tag).and_then(|e| e.items()?.first().cloned());
    let shared = first(&instance.dataset, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let measures = shared.and_then(|shared| first(&shared, tags::PIXEL_MEASURES_SEQUENCE));
    let (spacing, texts) = Reader(measures.as_ref().unwrap_or(&instance.dataset))
        .decimals::<2>(tags::PIXEL_SPACING, "PixelSpacing", "2 positive numbers in mm")
        .ok()?;
    spacing.iter().all(|v| (1e-6..1e6).contains(v)).then_some((spacing, texts))
}

fn kept(attributes: &ImageAttributes) -> ImageAttributes {
    let mut kept = attributes.clone();
    kept.dataset.retain(|e| is_kept(e.tag(), e.value().primitive().map_or(0, |v| v.calculate_byte_len())));
    kept
}

fn without_dataset(a: &ImageAttributes) -> ImageAttributes {
    ImageAttributes {
        sop_class_uid: a.sop_class_uid.clone(),
        sop_instance_uid: a.sop_instance_uid.clone(),
        study_instance_uid: a.study_instance_uid.clone(),
        series_instance_uid: a.series_instance_uid.clone(),
        modality: a.modality.clone(),
        laterality: a.laterality.clone(),
        view_position: a.view_position.clone(),
        dataset: InMemDicomObject::new_empty(),
        ..*a
    }
}
