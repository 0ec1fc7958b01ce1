//! Segmenters of tumours in breast MRI.
//!
//! In stages: cubes about the tumour first, at a hundredth of the volume's cost, then the whole volume. The last stage cannot
//! be left out: instance norm takes its statistics from what it is shown, and a cube's are not the volume's.

mod evaluate;
mod fit;
mod loss;
mod samples;

use super::Stage;

pub use evaluate::Evaluation;
pub(super) use evaluate::evaluate;
pub(super) use fit::fit;

pub(super) const IMAGES: usize = 128;

pub(super) const STAGES: [Stage; 3] = [
    Stage { size: 32, epochs: 12, batch: 4, learning_rate: 2e-3 },
    Stage { size: 64, epochs: 3, batch: 1, learning_rate: 1e-3 },
    Stage { size: 96, epochs: 1, batch: 1, learning_rate: 1e-3 },
];
