//! Where the frames of a segmentation object lie in the patient, and what its segments are: what comparing two of them needs beside
//! their masks ([`super::SegObject`]).

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes::Reader;
use super::part10::Part10;
use super::{ImagingError, Plane};

#[derive(Debug, Clone)]
pub struct SegPlanes {
    pub frame_of_reference_uid: Option<String>,
    /// One a frame; None where the frames do not say where they lie, as those over photographs and projections.
    pub planes: Option<Vec<Plane>>,
    /// SegmentNumber, and (CodeValue, CodingSchemeDesignator) of SegmentedPropertyTypeCodeSequence.
    pub types: Vec<(u16, Option<(String, String)>)>,
}

impl SegPlanes {
    /// Reads the header of a segmentation.
    ///
    /// # Errors
    /// [`ImagingError`]: not readable; FRACTIONAL, whose values are no masks.
    pub fn read(dicom: &[u8]) -> Result<Self, ImagingError> {
        let dataset = Part10::scan(dicom)?.read_header()?;
        let reader = Reader(&dataset);
        if let Some(kind) = reader.text(tags::SEGMENTATION_TYPE).filter(|kind| kind == "FRACTIONAL") {
            return Err(ImagingError::invalid("SegmentationType", kind, "BINARY or LABELMAP"));
        }
        let frames = items(&dataset, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).len();
        Ok(Self {
            frame_of_reference_uid: reader.text(tags::FRAME_OF_REFERENCE_UID),
            planes: Plane::of_frames(&dataset, frames).ok().filter(|planes| !planes.is_empty()),
            types: items(&dataset, tags::SEGMENT_SEQUENCE).iter().filter_map(segment_type).collect(),
        })
    }
}

fn segment_type(item: &InMemDicomObject) -> Option<(u16, Option<(String, String)>)> {
    let number = Reader(item).numbers(tags::SEGMENT_NUMBER)?.first().map(|n| *n as u16)?;
    let code = items(item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE).first().map(Reader);
    let code = code.and_then(|c| Some((c.text(tags::CODE_VALUE)?, c.text(tags::CODING_SCHEME_DESIGNATOR)?)));
    Some((number, code))
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|e| e.items()).unwrap_or_default()
}
