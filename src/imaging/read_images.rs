//! From the bytes of a multi-frame file to its frames as images, each on its own.

use std::ops::ControlFlow;

use dicom_core::header::Header;
use dicom_dictionary_std::tags;

use super::attributes::Reader;
use super::decode::{FrameDecoder, Frames};
use super::frames::{frame_rescale, is_kept};
use super::functional_groups::FunctionalGroups;
use super::part10::Part10;
use super::read::check_monochrome;
use super::{ImageAttributes, ImagingError, Projection, VoxelBudget};

/// Reads frames of a monochrome image of 8 to 16 bits, one after the other, so that one is held at a time: `wanted` are their numbers,
/// from 1, and `each` gets the place in `wanted` with the frame, or why it cannot be read, and may break off.
///
/// A frame's modality LUT and window are its own where the functional groups have them (PS3.3 C.7.6.16.2.9, C.7.6.16.2.10). Its data set is
/// the instance's without private and bulky elements and without the functional groups of all frames.
///
/// # Errors
/// As [`super::read_instance`]; then `each` was not called.
pub fn read_images_within(
    dicom: &[u8],
    wanted: &[u32],
    fallback: Option<&dyn FrameDecoder>,
    budget: &VoxelBudget,
    each: &mut dyn FnMut(usize, Result<Projection, ImagingError>) -> ControlFlow<()>,
) -> Result<(), ImagingError> {
    let file = Part10::scan(dicom)?;
    let attributes = ImageAttributes::from_dataset(file.read_header()?)?;
    check_monochrome(&attributes)?;
    let count = attributes.number_of_frames;
    let pixels = Frames::find(dicom, &file, &attributes)?;
    let groups = FunctionalGroups::of(&attributes.dataset, count)?;
    budget.take(attributes.rows.saturating_mul(attributes.columns))?;
    let mut kept = attributes.clone();
    kept.dataset.retain(|e| is_kept(e.tag(), e.value().primitive().map_or(0, |v| v.calculate_byte_len())));
    for (place, &number) in wanted.iter().enumerate() {
        let image = || {
            let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).filter(|i| *i < count);
            let index =
                index.ok_or_else(|| ImagingError::invalid("NumberOfFrames", count, format!("a frame {number}")))?;
            let window = groups.as_ref().and_then(|g| g.item(index, tags::FRAME_VOILUT_SEQUENCE, tags::WINDOW_CENTER));
            let own = ImageAttributes {
                rescale: frame_rescale(&attributes, groups.as_ref(), index)?,
                voi: window.map_or(attributes.voi, |item| Reader(item).voi()),
                ..kept.clone()
            };
            Ok(Projection { pixels: pixels.decode(index, fallback)?, attributes: own })
        };
        if each(place, image()).is_break() {
            break;
        }
    }
    Ok(())
}
