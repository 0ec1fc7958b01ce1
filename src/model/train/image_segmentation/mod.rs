//! Segmenters of tumours in single slices of breast MRI.
//!
//! Squares about the tumour first, at a quarter of the slice's cost, then whole slices.

mod evaluate;
mod fit;
mod samples;

use super::Stage;

pub(super) use evaluate::evaluate;
pub(super) use fit::fit;

pub(super) const IMAGES: usize = 900;

pub(super) const STAGES: [Stage; 2] = [
    Stage { slices: 1, size: 64, epochs: 12, batch: 12, learning_rate: 3e-3 },
    Stage { slices: 1, size: 128, epochs: 8, batch: 8, learning_rate: 2e-3 },
];

/// The network halves the size four times, and the deepest layer's batch norm needs more than one place.
pub(super) const SIZE_DIVISOR: usize = 16;
