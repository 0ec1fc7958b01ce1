//! Encapsulated documents (PS3.3 A.45, A.85, C.24.2): files of other kinds as DICOM objects.

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

mod pdf;
mod stl;

pub use pdf::{PdfReport, pdf_object};
pub use stl::surface_objects;

/// An even number of bytes, as OB has; the length says which are the document's.
fn put_bytes(object: &mut InMemDicomObject, mut document: Vec<u8>) {
    let length = u32::try_from(document.len()).unwrap_or(u32::MAX);
    document.resize(document.len().next_multiple_of(2), 0);
    object.put(DataElement::new(tags::ENCAPSULATED_DOCUMENT_LENGTH, VR::UL, PrimitiveValue::from(length)));
    object.put(DataElement::new(tags::ENCAPSULATED_DOCUMENT, VR::OB, PrimitiveValue::U8(document.into())));
}
