//! From the bytes of one file to single images: each frame on its own, whether it says where it lies in the patient or not.

use std::ops::ControlFlow;
use std::sync::Arc;

use dicom_core::header::Header;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes::Reader;
use super::budget::VoxelBudget;
use super::decode::{FrameDecoder, Frames, MAX_PIXELS};
use super::frames::{frame_rescale, is_kept};
use super::functional_groups::FunctionalGroups;
use super::part10::Part10;
use super::plane::Plane;
use super::read::check_monochrome;
use super::{ImageAttributes, ImagingError, Projection};

/// One frame of an image.
#[derive(Debug, Clone)]
pub struct ImageFrame {
    /// The stored values, and the instance's attributes as they hold for this frame: its own rescale and window where the functional groups
    /// have them (PS3.3 C.7.6.16.2.9, C.7.6.16.2.10).
    pub image: Projection,
    /// Number of the frame, from 1, in a multi-frame instance; None in a single-frame one.
    pub frame: Option<u32>,
    /// Where it lies in the patient; None where the image does not say it, or says what cannot be.
    pub plane: Option<Plane>,
}

/// Which frames are read, and what that may take.
#[derive(Clone, Copy)]
pub struct FramesWanted<'a> {
    /// From 1; none: all.
    pub numbers: &'a [u32],
    /// Frames that the caller holds together, at most; `usize::MAX`: all that are wanted.
    pub at_once: usize,
    /// The pixels that the header claims for so many frames are taken from it before any is decoded.
    pub budget: &'a VoxelBudget,
    /// Asked for frames that the built-in codecs cannot decode.
    pub fallback: Option<&'a dyn FrameDecoder>,
}

/// What is done with a frame, or with why it cannot be read: the instance's attributes, the frame's number where there are several.
pub type TakeFrame<'t> =
    &'t mut dyn FnMut(&Arc<ImageAttributes>, Option<u32>, Result<ImageFrame, ImagingError>) -> ControlFlow<()>;

/// Reads frames of one monochrome image of 8 to 16 bits, one after the other. Each, or why it cannot be read, is given to `take` with the
/// instance's attributes and may break off. Gives the attributes of the instance: those of the standard that are short, without the functional
/// groups of all frames, which is all that results need.
///
/// # Errors
/// Anything that is no such image: the attribute, what was found, what was expected. Then `take` has seen nothing.
pub fn read_image_frames(
    dicom: &[u8],
    wanted: &FramesWanted<'_>,
    take: TakeFrame<'_>,
) -> Result<Arc<ImageAttributes>, ImagingError> {
    let file = Part10::scan(dicom)?;
    let attributes = ImageAttributes::from_dataset(file.read_header()?)?;
    check_monochrome(&attributes)?;
    let count = attributes.number_of_frames;
    let frames = Frames::find(dicom, &file, &attributes)?;
    let indices: Vec<usize> = match wanted.numbers {
        [] => (0..count).collect(),
        numbers => numbers.iter().map(|&n| (n as usize).wrapping_sub(1)).collect(),
    };
    let held = wanted.at_once.min(indices.len());
    wanted.budget.take(attributes.rows.saturating_mul(attributes.columns).saturating_mul(held))?;
    let groups = FunctionalGroups::of(&attributes.dataset, count)?;
    let planes = Plane::of_frames(&attributes.dataset, count).ok();
    let instance = Arc::new(kept(&attributes));
    for index in indices {
        let asked = u32::try_from(index.wrapping_add(1)).ok();
        let number = asked.filter(|_| count > 1);
        let there = if index < count { Ok(()) } else { Err(no_such_frame(asked, count)) };
        let frame = there.and_then(|()| frames.decode(index, wanted.fallback)).and_then(|pixels| {
            let window = groups.as_ref().and_then(|g| g.item(index, tags::FRAME_VOILUT_SEQUENCE, tags::WINDOW_CENTER));
            let attributes = ImageAttributes {
                rescale: frame_rescale(&attributes, groups.as_ref(), index)?,
                voi: window.map_or(attributes.voi, |item| Reader(item).voi()),
                ..(*instance).clone()
            };
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
    read_image_frame_within(dicom, number, fallback, &VoxelBudget::new(MAX_PIXELS))
}

/// As [`read_image_frame`]; the pixels that the header claims are taken from `budget` before they take memory.
///
/// # Errors
/// As [`read_image_frame`], and what [`VoxelBudget::take`] refuses.
pub fn read_image_frame_within(
    dicom: &[u8],
    number: Option<u32>,
    fallback: Option<&dyn FrameDecoder>,
    budget: &VoxelBudget,
) -> Result<Projection, ImagingError> {
    let wanted = FramesWanted { numbers: &[number.unwrap_or(1)], at_once: 1, budget, fallback };
    let mut found = None;
    let instance = read_image_frames(dicom, &wanted, &mut |_, _, frame| {
        found = Some(frame);
        ControlFlow::Break(())
    })?;
    let count = instance.number_of_frames;
    match found {
        Some(frame) if number.is_some() || count == 1 => Ok(frame?.image),
        _ => Err(no_such_frame(number, count)),
    }
}

fn no_such_frame(number: Option<u32>, count: usize) -> ImagingError {
    let expected = number.map_or_else(|| "a single frame, or its number".to_owned(), |n| format!("a frame {n}"));
    ImagingError::invalid("NumberOfFrames", count, expected)
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
