//! Segmenters of tumours in breast MRI.
//!
//! In stages: cubes first, at a thirtieth of the volume's cost, mostly about the tumour, then slabs of whole slices, then the
//! whole volume. The later stages cannot be left out: instance norm takes its statistics from what it is shown, and a cube's are
//! not the volume's. A network that knows cubes only finds nothing in a volume.

mod evaluate;
mod fit;
pub(super) mod loss;
mod samples;

use super::Stage;

pub(super) use evaluate::evaluate;
pub use evaluate::{Case, Evaluation};
pub(super) use fit::fit;

pub(super) const IMAGES: usize = 128;

pub(super) const STAGES: [Stage; 3] = [
    Stage { slices: 32, size: 32, epochs: 6, batch: 2, learning_rate: 2e-3 },
    Stage { slices: 32, size: 96, epochs: 3, batch: 1, learning_rate: 2e-3 },
    Stage { slices: 96, size: 96, epochs: 1, batch: 1, learning_rate: 1e-3 },
];
