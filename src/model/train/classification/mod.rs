//! Classifiers of images.

mod evaluate;
mod fit;
mod samples;
pub(super) mod teachers;

pub use evaluate::Evaluation;
pub(super) use evaluate::evaluate;
pub(super) use fit::fit;

/// Below 64 pixels the deepest layer would see less than two by two places.
pub(super) const LEAST_SIZE: usize = 64;
