//! From what the network says to clinical statements: pure, no tensor, no DICOM encoding.

pub mod activate;
pub mod finding;

pub use finding::{ClassProbability, Finding, ImagePrediction, Prediction};
