//! From what the network says to clinical statements: pure, no tensor, no DICOM encoding.

pub mod activate;
pub mod finding;
pub mod segmentation;

pub use finding::{ClassProbability, Finding, ImagePrediction, Prediction};
pub use segmentation::{Lesion, LongAxis, Outline, SegmentMask, Segmentation};
