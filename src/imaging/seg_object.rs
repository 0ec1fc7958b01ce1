//! Reads a segmentation object (PS3.3 A.51, C.8.20): where its frames belong, and their masks.
//!
//! For pictures of results. BINARY and LABELMAP in native encoding, as this project writes them; what others wrote
//! otherwise is refused in words.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use ndarray::Array2;

use super::ImagingError;
use super::part10::{Part10, PixelData};

/// A segmentation with its masks still packed.
#[derive(Debug, Clone)]
pub struct SegObject {
    pub rows: usize,
    pub columns: usize,
    pub segments: Vec<SegObjectSegment>,
    pub frames: Vec<SegObjectFrame>,
    /// 1: one bit a pixel, frames joined without padding (PS3.5 8.1.1). 8: one byte.
    bits_allocated: usize,
    pixels: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegObjectSegment {
    /// SegmentNumber
    pub number: u16,
    /// SegmentLabel
    pub label: String,
    /// RecommendedDisplayCIELabValue
    pub cielab: Option<[u16; 3]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegObjectFrame {
    /// ReferencedSegmentNumber; None in a label map, whose pixels are segment numbers.
    pub segment: Option<u16>,
    /// The first source image: SOPInstanceUID, and the frame's number in a multi-frame one.
    pub source: Option<(String, Option<u32>)>,
}

impl SegObject {
    /// # Errors
    /// [`ImagingError`]: not a segmentation, not native, sizes that do not fit.
    pub fn read(dicom: &[u8]) -> Result<Self, ImagingError> {
        let file = Part10::scan(dicom)?;
        let dataset = file.read_header()?;
        let class = text(&dataset, tags::SOP_CLASS_UID).unwrap_or_default();
        if class != uids::SEGMENTATION_STORAGE && class != uids::LABEL_MAP_SEGMENTATION_STORAGE {
            let found = super::part10::printable_uid(&class);
            return Err(ImagingError::invalid("SOPClassUID", found, "a segmentation"));
        }
        let size = |tag, keyword, max| {
            let found = int(&dataset, tag).filter(|n| (1..=max).contains(n));
            found.map(|n| n as usize).ok_or(ImagingError::Missing { keyword, expected: "a number above 0" })
        };
        let rows = size(tags::ROWS, "Rows", 65535)?;
        let columns = size(tags::COLUMNS, "Columns", 65535)?;
        let bits_allocated = size(tags::BITS_ALLOCATED, "BitsAllocated", 16)?;
        if bits_allocated != 1 && bits_allocated != 8 {
            return Err(ImagingError::invalid("BitsAllocated", bits_allocated, "1 or 8"));
        }
        let frames: Vec<SegObjectFrame> =
            items(&dataset, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).iter().map(frame).collect();
        let needed = (rows * columns * bits_allocated).saturating_mul(frames.len()).div_ceil(8);
        let Some(PixelData::Native { value, .. }) = &file.pixel_data else {
            return Err(ImagingError::invalid("PixelData", "none or encapsulated", "native"));
        };
        let pixels = file.dataset[value.clone()].to_vec();
        if pixels.len() < needed || frames.is_empty() {
            let found = format!("{} bytes for {} frames", pixels.len(), frames.len());
            return Err(ImagingError::invalid("PixelData", found, format!("{needed} bytes for 1 frame or more")));
        }
        let segments = items(&dataset, tags::SEGMENT_SEQUENCE).iter().filter_map(segment).collect();
        Ok(Self { rows, columns, segments, frames, bits_allocated, pixels })
    }

    /// The segment number of each pixel of a frame (from 0), 0 outside; None where there is no such frame.
    pub fn mask(&self, index: usize) -> Option<Array2<u8>> {
        let frame = self.frames.get(index)?;
        let start = index * self.rows * self.columns;
        let number = frame.segment.unwrap_or(1).min(255) as u8;
        Some(Array2::from_shape_fn((self.rows, self.columns), |(row, column)| {
            let i = start + row * self.columns + column;
            match self.bits_allocated {
                1 => number * (self.pixels[i / 8] >> (i % 8) & 1),
                _ if frame.segment.is_some() => number * u8::from(self.pixels[i] != 0),
                _ => self.pixels[i],
            }
        }))
    }
}

fn frame(item: &InMemDicomObject) -> SegObjectFrame {
    let segment = items(item, tags::SEGMENT_IDENTIFICATION_SEQUENCE)
        .first()
        .and_then(|i| int(i, tags::REFERENCED_SEGMENT_NUMBER))
        .map(|n| n as u16);
    let source = items(item, tags::DERIVATION_IMAGE_SEQUENCE).first().and_then(|derivation| {
        let image = items(derivation, tags::SOURCE_IMAGE_SEQUENCE).first()?.clone();
        let frame = int(&image, tags::REFERENCED_FRAME_NUMBER).map(|n| n as u32);
        Some((text(&image, tags::REFERENCED_SOP_INSTANCE_UID)?, frame))
    });
    SegObjectFrame { segment, source }
}

fn segment(item: &InMemDicomObject) -> Option<SegObjectSegment> {
    let number = int(item, tags::SEGMENT_NUMBER)? as u16;
    let label = text(item, tags::SEGMENT_LABEL).unwrap_or_default();
    let cielab = item.get(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE).and_then(|e| e.value().to_multi_int::<u16>().ok());
    Some(SegObjectSegment { number, label, cielab: cielab.and_then(|v| v.try_into().ok()) })
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|e| e.value().items()).unwrap_or_default()
}

fn text(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    let value = object.get(tag)?.value().to_str().ok()?;
    Some(value.trim_matches([' ', '\0']).to_string()).filter(|v| !v.is_empty())
}

fn int(object: &InMemDicomObject, tag: Tag) -> Option<i64> {
    object.get(tag)?.value().to_int().ok()
}
