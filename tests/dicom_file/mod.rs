//! Small mammograms as DICOM files in memory, in any of the native transfer syntaxes.
#![allow(dead_code)] // each test binary uses its part

use dicom_core::smallvec::SmallVec;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

/// What a test varies; the rest of the header is the same for all.
#[derive(Debug, Clone)]
pub struct MadeImage {
    pub rows: u16,
    pub columns: u16,
    pub bits_allocated: u16,
    pub bits_stored: u16,
    pub signed: bool,
    pub photometric: &'static str,
    /// Stored bit patterns, row by row; the low byte counts where BitsAllocated is 8.
    pub samples: Vec<u16>,
}

impl MadeImage {
    /// A 16-bit MONOCHROME2 image.
    pub fn new(rows: usize, columns: usize, samples: Vec<u16>) -> Self {
        assert_eq!(samples.len(), rows * columns);
        let (rows, columns) = (rows as u16, columns as u16);
        Self { rows, columns, bits_allocated: 16, bits_stored: 16, signed: false, photometric: "MONOCHROME2", samples }
    }

    /// The data set with native pixel data.
    pub fn object(&self) -> InMemDicomObject {
        let text = |tag: Tag, vr: VR, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
        let number = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let pixels = if self.bits_allocated == 8 {
            let bytes: SmallVec<[u8; 2]> = self.samples.iter().map(|&v| v as u8).collect();
            DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(bytes))
        } else {
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(self.samples.clone().into()))
        };
        InMemDicomObject::from_element_iter([
            text(tags::SOP_CLASS_UID, VR::UI, uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION),
            text(tags::SOP_INSTANCE_UID, VR::UI, "2.25.1"),
            text(tags::STUDY_INSTANCE_UID, VR::UI, "2.25.2"),
            text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.3"),
            text(tags::MODALITY, VR::CS, "MG"),
            text(tags::IMAGE_LATERALITY, VR::CS, "L"),
            text(tags::VIEW_POSITION, VR::CS, "MLO"),
            text(tags::IMAGER_PIXEL_SPACING, VR::DS, "0.07\\0.08"),
            text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, self.photometric),
            number(tags::SAMPLES_PER_PIXEL, 1),
            number(tags::ROWS, self.rows),
            number(tags::COLUMNS, self.columns),
            number(tags::BITS_ALLOCATED, self.bits_allocated),
            number(tags::BITS_STORED, self.bits_stored),
            number(tags::HIGH_BIT, self.bits_stored - 1),
            number(tags::PIXEL_REPRESENTATION, u16::from(self.signed)),
            pixels,
        ])
    }

    /// A file in explicit VR little endian.
    pub fn file(&self) -> Vec<u8> {
        file(self.object(), uids::EXPLICIT_VR_LITTLE_ENDIAN)
    }
}

/// Writes a data set as a file. The transfer syntax must be one without pixel compression, or the object's pixel data
/// be fragments already.
pub fn file(object: InMemDicomObject, transfer_syntax: &str) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new().transfer_syntax(transfer_syntax);
    let mut bytes = Vec::new();
    object.with_meta(meta).expect("the object has its UIDs").write_all(&mut bytes).expect("writing to memory");
    bytes
}
