//! Encapsulated documents (PS3.3 A.45, A.85, C.24.2): files of other kinds as DICOM objects.

mod pdf;
mod stl;

pub use pdf::{PdfReport, pdf_object};
pub use stl::surface_objects;
