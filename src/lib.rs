//! `orthanc-ai`: AI models inside the Orthanc DICOM server. See ARCHITECTURE.md for the house and its data path.
#![deny(unsafe_code)]

pub mod imaging;
pub mod manifest;
pub mod model;
pub mod phantom;
pub mod predict;
pub mod transform;
