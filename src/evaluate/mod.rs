//! How right a model is on cases whose truth is known: figures with 95 % intervals, curves, thresholds, and the report. Pure: no network,
//! no DICOM, no file but text. What runs a model over cases is [`crate::run::evaluation`].
//!
//! Intervals: Wilson's for proportions, DeLong's for the area under the ROC curve, else the percentile bootstrap with a fixed seed. All of
//! them take cases as independent. What has no value says why ([`Measure`]), and is never NaN.

pub mod bootstrap;
pub mod calibration;
pub mod classification;
pub mod confusion;
pub mod estimate;
pub mod labels;
pub mod overlap;
mod questions;
pub mod ranked;
pub mod report;
pub mod segmentation;
pub mod surface;

pub use classification::{ClassificationEvaluation, ClassificationQuestion, ScoredCase, Truth, classification};
pub use estimate::{Estimate, Measure};
pub use labels::{Labels, LabelsError};
pub use overlap::{GridSize, Overlap, overlap};
pub use ranked::ThresholdRule;
pub use report::EvaluationReport;
pub use segmentation::{SegmentEvaluation, Summary, segment_evaluation};
