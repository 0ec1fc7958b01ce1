//! How to train and what to evaluate on.

use super::TrainError;
use crate::phantom::mix;

/// How to train. The same options and number of threads on the same kind of CPU give the same weights.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    pub seed: u64,
    /// Phantoms drawn, in equal parts of each class. None: as for the demo weights of this kind.
    pub images: Option<usize>,
    /// One after the other; None as above.
    pub stages: Option<Vec<Stage>>,
    /// Threads of the optimizer; phantoms are drawn on all cores, which changes nothing in them.
    pub threads: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        // Narrow layers gain little from a second thread, and one gives the same sums everywhere.
        Self { seed: 1, images: None, stages: None, threads: 1 }
    }
}

/// Passes over the set with squares or boxes of one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Rows and columns of the prepared image; at its size and above the whole image is taken.
    pub size: usize,
    /// Slices of a volume; of an image 1.
    pub slices: usize,
    /// One square or box is cut out of each image in each pass.
    pub epochs: usize,
    pub batch: usize,
    /// Peak of the stage's schedule.
    pub learning_rate: f64,
}

impl Stage {
    /// Linear warm-up over the first twentieth, then half a cosine to zero (Loshchilov and Hutter 2017).
    pub(super) fn rate_at(&self, step: usize, steps: usize) -> f64 {
        let t = (step as f64 + 0.5) / steps as f64;
        let warm = (t / 0.05).min(1.0);
        self.learning_rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * t).cos())
    }
}

/// [`TrainOptions`] with the gaps filled, known to be possible.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    pub seed: u64,
    pub images: usize,
    pub stages: Vec<Stage>,
    pub threads: usize,
    /// Weights are stored in half precision.
    pub half: bool,
}

impl Schedule {
    pub fn new(
        options: &TrainOptions,
        images: usize,
        stages: &[Stage],
        fits: impl Fn(&Stage) -> bool,
        sizes: &'static str,
    ) -> Result<Self, TrainError> {
        let images = options.images.unwrap_or(images);
        let stages = options.stages.clone().unwrap_or_else(|| stages.to_vec());
        let fail = |key, found, expected| Err(TrainError::Option { key, found, expected });
        if options.threads == 0 {
            return fail("threads", 0, "at least 1");
        }
        if stages.is_empty() {
            return fail("stages", 0, "at least 1");
        }
        for stage in &stages {
            if !fits(stage) {
                let found = format!("{}x{}", stage.slices, stage.size);
                return Err(TrainError::StageSize { found, expected: sizes });
            }
            if stage.epochs == 0 {
                return fail("stage epochs", 0, "at least 1");
            }
            if !(1..=images).contains(&stage.batch) {
                return fail("stage batch", stage.batch, "1 to the number of images");
            }
        }
        Ok(Self { seed: options.seed, images, stages, threads: options.threads, half: true })
    }
}

/// Which phantoms are drawn. The sets share no seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Training,
    Evaluation,
}

/// A set of phantoms, without end.
#[derive(Debug, Clone, Copy)]
pub(super) struct PhantomSet {
    pub seed: u64,
    pub purpose: Purpose,
    /// Fixes spacing and size; None: as they are mixed in practice.
    pub detector: Option<Detector>,
}

impl PhantomSet {
    pub fn training(seed: u64) -> Self {
        Self { seed, purpose: Purpose::Training, detector: None }
    }

    pub fn evaluation(options: &EvaluateOptions) -> Self {
        Self { seed: options.seed, purpose: Purpose::Evaluation, detector: options.detector }
    }

    /// The seed of the `index`-th phantom.
    pub fn seed_of(&self, index: usize) -> u64 {
        let tag = match self.purpose {
            Purpose::Training => 0x7472_6169_6e00_0000,
            Purpose::Evaluation => 0x6576_616c_0000_0000,
        };
        mix(mix(self.seed ^ tag).wrapping_add(index as u64))
    }
}

/// The picture that a detector makes, or a slice of a scanner's volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detector {
    pub spacing_mm: f32,
    /// (rows, columns)
    pub size: (usize, usize),
}

/// Which phantoms.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    pub seed: u64,
    /// In equal parts of each class. None: as many as take some minutes.
    pub images: Option<usize>,
    /// None: spacings and sizes as a mixture of detectors has them, or as a scanner's protocol.
    pub detector: Option<Detector>,
    pub threads: usize,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self { seed: 1, images: None, detector: None, threads: 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_and_evaluation_share_no_phantom() {
        let seeds = |purpose| {
            let set = PhantomSet { seed: 1, purpose, detector: None };
            (0..500).map(|i| set.seed_of(i)).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(seeds(Purpose::Training).len(), 500);
        assert!(seeds(Purpose::Training).is_disjoint(&seeds(Purpose::Evaluation)));
    }
}
