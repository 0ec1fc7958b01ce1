//! From the bytes of one file to the frames of a volume.

use std::ops::Range;
use std::sync::Arc;

use dicom_core::Tag;
use dicom_core::header::Header;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::Array2;

use super::attributes::Reader;
use super::budget::VoxelBudget;
use super::decode::{FrameDecoder, Frames};
use super::frame_times::FrameTimes;
use super::functional_groups::FunctionalGroups;
use super::part10::{Part10, printable_uid};
use super::parts::vectorized;
use super::plane::Plane;
use super::read::check_monochrome;
use super::{ImageAttributes, ImagingError, Pixels, Rescale};

/// Most voxels that one instance, or one series, may have: 1 GiB of f32, 1024 slices of 512 × 512. A few compressed bytes
/// may claim more.
pub const MAX_VOXELS: usize = 1 << 28;

/// Elements longer than this are not kept with a slice: no result needs them, and a series has hundreds of slices.
const MAX_ELEMENT: usize = 1 << 14;

/// SOP classes with pixel data that are no images: segmentations, and spatial objects beside them.
const SEGMENTATIONS: &str = "1.2.840.10008.5.1.4.1.1.66.";

/// One slice, with what sorting and results need of it.
#[derive(Debug, Clone)]
pub struct SourceFrame {
    /// Of the instance; one for all its frames.
    pub instance: Arc<ImageAttributes>,
    /// Number of the frame, from 1, in a multi-frame instance; None in a single-frame one.
    pub frame: Option<u32>,
    pub plane: Plane,
    pub frame_of_reference_uid: Option<String>,
    pub times: FrameTimes,
    /// Values after the modality LUT (PS3.3 C.11.1), (row, column). What PhotometricInterpretation says about display
    /// does not change them: low values of a MONOCHROME1 image stay low.
    pub values: Array2<f32>,
}

/// Reads all frames of one monochrome image of 8 to 16 bits that says where it lies: classic, enhanced multi-frame or
/// legacy converted (functional groups, PS3.3 C.7.6.16), or classic multi-frame with regular slices.
///
/// `fallback` is asked for frames that the built-in codecs cannot decode.
///
/// # Errors
/// Anything that is no such image: the attribute, what was found, what was expected.
pub fn read_frames(dicom: &[u8], fallback: Option<&dyn FrameDecoder>) -> Result<Vec<SourceFrame>, ImagingError> {
    read_frames_within(dicom, fallback, &VoxelBudget::new(MAX_VOXELS))
}

/// As [`read_frames`], where the frames fit into `budget`: it is asked before a pixel is decoded.
///
/// # Errors
/// As [`read_frames`], and what [`VoxelBudget::take`] refuses.
pub fn read_frames_within(
    dicom: &[u8],
    fallback: Option<&dyn FrameDecoder>,
    budget: &VoxelBudget,
) -> Result<Vec<SourceFrame>, ImagingError> {
    read(dicom, fallback, |image| {
        let (count, pixels) = (image.number_of_frames, image.rows.saturating_mul(image.columns));
        if pixels.saturating_mul(count) > MAX_VOXELS {
            let found = format!("{count} of {} × {} pixels", image.rows, image.columns);
            return Err(ImagingError::invalid("NumberOfFrames", found, format!("at most {MAX_VOXELS} pixels in all")));
        }
        budget.take(pixels.saturating_mul(count))?;
        Ok(0..count)
    })
}

/// Reads one frame of such an image and decodes no other: `number` counts from 1, as references do; None: of a single-frame
/// image.
///
/// # Errors
/// As [`read_frames`], and where there is no such frame.
pub fn read_frame(
    dicom: &[u8],
    number: Option<u32>,
    fallback: Option<&dyn FrameDecoder>,
) -> Result<SourceFrame, ImagingError> {
    let wanted = |image: &ImageAttributes| {
        let count = image.number_of_frames;
        let none = || {
            let found = number.map_or("none".to_string(), |n| n.to_string());
            ImagingError::invalid("ReferencedFrameNumber", found, format!("1 to {count}, none of a single frame"))
        };
        let index = match number {
            None if count == 1 => 0,
            Some(n) => usize::try_from(n).ok().and_then(|n| n.checked_sub(1)).ok_or_else(none)?,
            None => return Err(none()),
        };
        if index < count { Ok(index..index + 1) } else { Err(none()) }
    };
    let frames = read(dicom, fallback, wanted)?;
    frames.into_iter().next().ok_or(ImagingError::Missing { keyword: "PixelData", expected: "a frame" })
}

/// The frames, counted from 0, that `wanted` names once it has seen the header.
fn read(
    dicom: &[u8],
    fallback: Option<&dyn FrameDecoder>,
    wanted: impl FnOnce(&ImageAttributes) -> Result<Range<usize>, ImagingError>,
) -> Result<Vec<SourceFrame>, ImagingError> {
    let file = Part10::scan(dicom)?;
    let dataset = file.read_header()?;
    let class = Reader(&dataset).text(tags::SOP_CLASS_UID).unwrap_or_default();
    if class.starts_with(SEGMENTATIONS) {
        let found = printable_uid(&class);
        return Err(ImagingError::invalid("SOPClassUID", found, "an image, not a segmentation or a spatial object"));
    }
    if file.pixel_data.is_none() {
        return Err(ImagingError::Missing { keyword: "PixelData", expected: "the pixels of the image" });
    }
    let mut attributes = ImageAttributes::from_dataset(dataset)?;
    check_monochrome(&attributes)?;
    if attributes.dataset.get(tags::MODALITY_LUT_SEQUENCE).is_some() {
        return Err(ImagingError::invalid("ModalityLUTSequence", "a table", "RescaleSlope and RescaleIntercept"));
    }
    let wanted = wanted(&attributes)?;
    let count = attributes.number_of_frames;
    let pixels = Frames::find(dicom, &file, &attributes)?;
    let groups = FunctionalGroups::of(&attributes.dataset, count)?;
    let planes = Plane::of_frames(&attributes.dataset, count)?;
    let uid = tags::FRAME_OF_REFERENCE_UID;
    let read = Reader(&attributes.dataset);
    let frame_of_reference_uid = read.text(uid).map(|_| read.uid(uid, "FrameOfReferenceUID")).transpose()?;
    let mut frames = Vec::with_capacity(wanted.len());
    for (n, plane) in planes.into_iter().enumerate().skip(wanted.start).take(wanted.len()) {
        let rescale = frame_rescale(&attributes, groups.as_ref(), n)?;
        frames.push((
            n,
            plane,
            FrameTimes::read(&attributes.dataset, groups.as_ref(), n),
            modality_values(pixels.decode(n, fallback)?, rescale)?,
        ));
    }
    attributes
        .dataset
        .retain(|element| is_kept(element.tag(), element.value().primitive().map_or(0, |v| v.calculate_byte_len())));
    let instance = Arc::new(attributes);
    let numbered = frames.into_iter().map(|(n, plane, times, values)| SourceFrame {
        instance: instance.clone(),
        frame: u32::try_from(n + 1).ok().filter(|_| count > 1),
        plane,
        frame_of_reference_uid: frame_of_reference_uid.clone(),
        times,
        values,
    });
    Ok(numbered.collect())
}

/// What results refer to is in the standard's short elements; a vendor's private ones may be megabytes a slice, and the
/// functional groups of all frames have been read.
pub(super) fn is_kept(tag: Tag, length: usize) -> bool {
    tag.0.is_multiple_of(2) && tag != tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE && length <= MAX_ELEMENT
}

/// Of the frame's functional group (PS3.3 C.7.6.16.2.9), else of the instance.
pub(super) fn frame_rescale(
    attributes: &ImageAttributes,
    groups: Option<&FunctionalGroups<'_>>,
    frame: usize,
) -> Result<Rescale, ImagingError> {
    let group = |tag| groups?.item(frame, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tag);
    let number =
        |tag, keyword| group(tag).map_or(Ok(None), |item: &InMemDicomObject| Reader(item).number(tag, keyword));
    let slope = number(tags::RESCALE_SLOPE, "RescaleSlope")?.unwrap_or(attributes.rescale.slope);
    if slope == 0.0 {
        return Err(ImagingError::invalid("RescaleSlope", 0, "a number other than 0"));
    }
    let intercept = number(tags::RESCALE_INTERCEPT, "RescaleIntercept")?;
    Ok(Rescale { slope, intercept: intercept.unwrap_or(attributes.rescale.intercept) })
}

fn modality_values(pixels: Pixels, rescale: Rescale) -> Result<Array2<f32>, ImagingError> {
    let Rescale { slope, intercept } = rescale;
    let value = |stored: f64| (slope * stored + intercept) as f32;
    if ![-65536.0, 0.0, 65536.0].iter().all(|v| value(*v).is_finite()) {
        let found = format!("{slope:e} with RescaleIntercept {intercept:e}");
        return Err(ImagingError::invalid("RescaleSlope", found, "values within the range of 32-bit floats"));
    }
    Ok(vectorized(|| match pixels {
        Pixels::U8(a) => a.mapv(|v| value(v.into())),
        Pixels::U16(a) => a.mapv(|v| value(v.into())),
        Pixels::I16(a) => a.mapv(|v| value(v.into())),
    }))
}
