//! The phantoms that classifiers learn from.

pub mod breast_tumours;
mod head_cts;
pub mod mammograms;
mod skin_lesions;

pub use breast_tumours::BreastTumours;
pub use head_cts::HeadCts;
pub use mammograms::Mammograms;
pub use skin_lesions::SkinLesions;
