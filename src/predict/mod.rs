//! From what the network says to clinical statements: pure, no tensor, no DICOM encoding.

pub mod activate;
mod aggregate;
mod decide;
pub mod finding;
pub mod heat_map;
mod measure;
mod outline;
mod region;
pub mod segmentation;

pub use aggregate::aggregate;
pub use decide::decide;
pub use finding::{ClassProbability, Finding, ImagePrediction, OverallPrediction, Prediction};
pub use heat_map::HeatMap;
pub use measure::measure;
pub use outline::outline;
pub use region::{ImageMask, InPlaneAxis, Region};
pub use segmentation::{Lesion, LongAxis, Outline, SegmentMask, Segmentation};
