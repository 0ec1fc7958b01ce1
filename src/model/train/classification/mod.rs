//! Classifiers of mammograms.
//!
//! In stages, as for real mammograms (Shen et al. 2019, Sci. Rep. 9:12495): squares around the lesions first, which are
//! cheap and show the network what to look for, then whole images, which teach it to find that in a breast.

mod evaluate;
mod fit;
mod samples;

use super::Stage;

pub use evaluate::Evaluation;
pub(super) use evaluate::evaluate;
pub(super) use fit::fit;

pub(super) const IMAGES: usize = 2400;

/// Small squares cost a tenth of the image; each growth teaches to find the same in more surroundings.
pub(super) const STAGES: [Stage; 3] = [
    Stage { slices: 1, size: 160, epochs: 12, batch: 16, learning_rate: 2e-3 },
    Stage { slices: 1, size: 320, epochs: 3, batch: 16, learning_rate: 1.5e-3 },
    Stage { slices: 1, size: 512, epochs: 6, batch: 8, learning_rate: 1.5e-3 },
];

/// Below 64 pixels the deepest layer would see less than two by two places.
pub(super) const LEAST_SIZE: usize = 64;
