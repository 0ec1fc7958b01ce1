//! Encapsulated documents (PS3.3 A.45, A.85, C.24.2): files of other kinds as DICOM objects.

mod stl;

pub use stl::surface_objects;
