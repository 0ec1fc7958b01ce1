//! From what the network says to clinical statements: pure, no tensor, no DICOM encoding.

pub mod activate;
mod aggregate;
mod decide;
pub mod explanation;
pub mod finding;
pub mod heat_map;
mod heat_region;
mod measure;
mod outline;
pub mod place;
pub mod plausibility;
mod region;
pub mod segmentation;

pub use aggregate::aggregate;
pub use decide::decide;
pub use explanation::{ImageExplanation, PlacedRegion, Statement, sentences};
pub use finding::{ClassProbability, Finding, ImagePrediction, OverallPrediction, Prediction};
pub use heat_map::HeatMap;
pub use heat_region::{HeatRegion, heat_regions};
pub use measure::measure;
pub use outline::outline;
pub use place::{HeadFrame, ImageSide, Part, Place, Side};
pub use region::{ImageMask, InPlaneAxis, Region};
pub use segmentation::{Lesion, LongAxis, Outline, SegmentMask, Segmentation};
