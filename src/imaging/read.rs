//! From the bytes of a file to an image.

use dicom_object::InMemDicomObject;

use super::attributes::ImageAttributes;
use super::colour::check_colour;
use super::decode::{FrameDecoder, Frames, MAX_PIXELS};
use super::part10::Part10;
use super::{ColourImage, Image, ImagingError, Projection, VoxelBudget};

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
    grey(dicom, &file, attributes, fallback, budget)
}

/// Reads a single-frame image of any kind that is read: monochrome of 8 to 16 bits as [`read_instance`] does, or in colour
/// (RGB, YBR_FULL, YBR_FULL_422, YBR_ICT, YBR_RCT, PALETTE COLOR; more than 8 bits are scaled to 8). The pixels that the
/// header claims are taken from `budget` before they take memory.
///
/// # Errors
/// Anything that is no such image: the attribute, what was found, what was expected.
pub fn read_image_within(
    dicom: &[u8],
    fallback: Option<&dyn FrameDecoder>,
    budget: &VoxelBudget,
) -> Result<Image, ImagingError> {
    let file = Part10::scan(dicom)?;
    let attributes = ImageAttributes::from_dataset(file.read_header()?)?;
    if attributes.photometric.is_monochrome() {
        return grey(dicom, &file, attributes, fallback, budget).map(Image::Grey);
    }
    check_colour(&attributes)?;
    check_one_frame(&attributes)?;
    let frames = Frames::find(dicom, &file, &attributes)?;
    budget.take(attributes.rows * attributes.columns)?;
    let rgb = frames.decode_colour(0, fallback)?;
    Ok(Image::Colour(ColourImage { attributes, rgb }))
}

/// [`read_image_within`] a budget of one frame of the largest size.
///
/// # Errors
/// As [`read_image_within`].
pub fn read_image(dicom: &[u8], fallback: Option<&dyn FrameDecoder>) -> Result<Image, ImagingError> {
    read_image_within(dicom, fallback, &VoxelBudget::new(MAX_PIXELS))
}

fn grey(
    dicom: &[u8],
    file: &Part10,
    attributes: ImageAttributes,
    fallback: Option<&dyn FrameDecoder>,
    budget: &VoxelBudget,
) -> Result<Projection, ImagingError> {
    check_monochrome(&attributes)?;
    check_one_frame(&attributes)?;
    let frames = Frames::find(dicom, file, &attributes)?;
    budget.take(attributes.rows * attributes.columns)?;
    let pixels = frames.decode(0, fallback)?;
    Ok(Projection { attributes, pixels })
}

fn check_one_frame(attributes: &ImageAttributes) -> Result<(), ImagingError> {
    match attributes.number_of_frames {
        1 => Ok(()),
        found => Err(ImagingError::invalid("NumberOfFrames", found, "1: a projection image or a picture")),
    }
}

/// One sample a pixel, a shade.
pub(super) fn check_monochrome(attributes: &ImageAttributes) -> Result<(), ImagingError> {
    if !attributes.photometric.is_monochrome() {
        let found = attributes.photometric.term();
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
