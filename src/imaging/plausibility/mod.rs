//! What kind of picture an image is, in figures: whether it can be what a model was made for is judged by `predict::plausibility`, which has
//! the manifest's limits. Pure functions of arrays; the samples that they look at are few, so that a check costs milliseconds.

mod colour;
mod hounsfield;

pub use colour::{ColourFigures, colour_figures};
pub use hounsfield::shares_between;

/// Rows and columns that a check looks at, at most.
pub const SAMPLED_SIDE: usize = 256;
