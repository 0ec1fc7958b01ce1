//! `orthanc-ai`: AI models inside the Orthanc DICOM server. See ARCHITECTURE.md for the house and its data path.
#![deny(unsafe_code)]

// Test fixtures are shared with the integration tests, which know the crate by its name.
#[cfg(test)]
extern crate self as orthanc_ai;

pub mod imaging;
pub mod manifest;
pub mod predict;
pub mod result;
