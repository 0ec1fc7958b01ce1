//! From what the network says to clinical statements: pure, no tensor, no DICOM encoding.

pub mod activate;
pub mod finding;
pub mod heat_map;
mod measure;
mod outline;
pub mod segmentation;

pub use finding::{ClassProbability, Finding, ImagePrediction, Prediction};
pub use heat_map::HeatMap;
pub use measure::measure;
pub use outline::outline;
pub use segmentation::{Lesion, LongAxis, Outline, SegmentMask, Segmentation};
