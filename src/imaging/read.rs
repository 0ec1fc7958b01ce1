//! From the bytes of a file to an image.

use dicom_object::InMemDicomObject;

use super::attributes::ImageAttributes;
use super::decode::{self, FrameDecoder};
use super::part10::Part10;
use super::{ImagingError, Photometric, Projection};

/// Reads a single-frame monochrome image of 8 to 16 bits from a DICOM file (PS3.10).
///
/// The pixels are the stored values, masked or sign-extended to BitsStored: what pydicom's `pixel_array` gives.
/// `fallback` is asked for what the built-in codecs cannot decode (JPEG Extended with 12 bits, a damaged or unusual
/// stream). Everything that the header claims is checked against the buffer before memory is taken.
///
/// # Errors
/// Anything that is no such image: the attribute, what was found, what was expected.
pub fn read_instance(dicom: &[u8], fallback: Option<&dyn FrameDecoder>) -> Result<Projection, ImagingError> {
    let file = Part10::scan(dicom)?;
    let attributes = ImageAttributes::from_dataset(file.read_header()?)?;
    let expected_colour = "MONOCHROME1 or MONOCHROME2";
    if !matches!(attributes.photometric, Photometric::Monochrome1 | Photometric::Monochrome2) {
        let found = match attributes.photometric {
            Photometric::Rgb => "RGB",
            _ => "another one",
        };
        return Err(ImagingError::invalid("PhotometricInterpretation", found, expected_colour));
    }
    if attributes.samples_per_pixel != 1 {
        return Err(ImagingError::invalid("SamplesPerPixel", attributes.samples_per_pixel, 1));
    }
    if attributes.number_of_frames != 1 {
        return Err(ImagingError::invalid("NumberOfFrames", attributes.number_of_frames, "1: a projection image"));
    }
    let pixels = decode::decode_frame(dicom, &file, &attributes, fallback)?;
    Ok(Projection { attributes, pixels })
}

/// Reads the attributes of an image, not its pixels: nothing after the header is looked at but its structure.
pub fn read_attributes(dicom: &[u8]) -> Result<ImageAttributes, ImagingError> {
    ImageAttributes::from_dataset(read_header(dicom)?)
}

/// Reads the data set before PixelData of any object, image or not.
pub fn read_header(dicom: &[u8]) -> Result<InMemDicomObject, ImagingError> {
    Part10::scan(dicom)?.read_header()
}
