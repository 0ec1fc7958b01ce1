//! From the bytes of a file to an image.

use dicom_object::InMemDicomObject;

use super::attributes::ImageAttributes;
use super::decode::{FrameDecoder, Frames, MAX_PIXELS};
use super::part10::Part10;
use super::{ImagingError, Photometric, Projection, VoxelBudget};

/// Reads a single-frame monochrome image of 8 to 16 bits from a DICOM file (PS3.10).
///
/// The pixels are the stored values, masked or sign-extended to BitsStored: what pydicom's `pixel_array` gives.
/// `fallback` is asked for what the built-in codecs cannot decode (JPEG Extended with 12 bits, a damaged or unusual
/// stream). Everything that the header claims is checked against the buffer before memory is taken.
///
/// # Errors
/// Anything that is no such image: the attribute, what was found, what was expected.
pub fn read_instance(dicom: &[u8], fallback: Option<&dyn FrameDecoder>) -> Result<Projection, ImagingError> {
    read_instance_within(dicom, fallback, &VoxelBudget::new(MAX_PIXELS))
}

/// As [`read_instance`]; the pixels that the header claims are taken from `budget` before they take memory.
///
/// # Errors
/// As [`read_instance`], and what [`VoxelBudget::take`] refuses.
pub fn read_instance_within(
    dicom: &[u8],
    fallback: Option<&dyn FrameDecoder>,
    budget: &VoxelBudget,
) -> Result<Projection, ImagingError> {
    let file = Part10::scan(dicom)?;
    let attributes = ImageAttributes::from_dataset(file.read_header()?)?;
    check_monochrome(&attributes)?;
    if attributes.number_of_frames != 1 {
        return Err(ImagingError::invalid("NumberOfFrames", attributes.number_of_frames, "1: a projection image"));
    }
    let frames = Frames::find(dicom, &file, &attributes)?;
    budget.take(attributes.rows * attributes.columns)?;
    let pixels = frames.decode(0, fallback)?;
    Ok(Projection { attributes, pixels })
}

/// One sample a pixel, a shade.
pub(super) fn check_monochrome(attributes: &ImageAttributes) -> Result<(), ImagingError> {
    let found = match attributes.photometric {
        Photometric::Monochrome1 | Photometric::Monochrome2 => None,
        Photometric::Rgb => Some("RGB"),
        Photometric::Other => Some("another one"),
    };
    if let Some(found) = found {
        return Err(ImagingError::invalid("PhotometricInterpretation", found, "MONOCHROME1 or MONOCHROME2"));
    }
    if attributes.samples_per_pixel != 1 {
        return Err(ImagingError::invalid("SamplesPerPixel", attributes.samples_per_pixel, 1));
    }
    Ok(())
}

/// Reads the attributes of an image, not its pixels: nothing after the header is looked at but its structure.
pub fn read_attributes(dicom: &[u8]) -> Result<ImageAttributes, ImagingError> {
    ImageAttributes::from_dataset(read_header(dicom)?)
}

/// Reads the data set before PixelData of any object, image or not.
pub fn read_header(dicom: &[u8]) -> Result<InMemDicomObject, ImagingError> {
    Part10::scan(dicom)?.read_header()
}
