//! The training loop, whatever the network and its phantoms: passes over a set of samples, stage by stage.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rayon::prelude::*;
use tch::Tensor;
use tch::nn::{self, OptimizerConfig};

use super::options::{Schedule, Stage};
use super::{Fitted, Progress, TrainError};
use crate::phantom::Random;

/// A network and the samples that it learns from.
pub(super) trait Learner {
    fn samples(&self) -> usize;
    /// Runs the network on the samples of these numbers, cut and mirrored at random.
    fn step(&mut self, batch: &[usize], stage: &Stage, random: &mut Random) -> Result<Step, TrainError>;
}

/// What came of a batch.
pub(super) struct Step {
    pub loss: Tensor,
    /// Right answers of so many; for an overlap twice what answer and truth share, of what both cover.
    pub right: f64,
    pub of: f64,
}

/// AdamW's weight decay and the like, by what is trained.
pub(super) struct Recipe {
    pub weight_decay: f64,
    /// A longer gradient is shortened to this norm.
    pub gradient_norm: Option<f64>,
    /// Of the random numbers that cut and mirror.
    pub stream: u64,
}

/// Draws a training set in parallel and says how far it is.
pub(super) fn draw<S: Send>(
    images: usize,
    progress: &(dyn Fn(Progress) + Sync),
    sample: impl Fn(usize) -> Result<S, TrainError> + Sync,
) -> Result<Vec<S>, TrainError> {
    let done = AtomicUsize::new(0);
    let drawn = |index: usize| {
        let sample = sample(index);
        progress(Progress::Drawn { done: done.fetch_add(1, Ordering::Relaxed) + 1, of: images });
        sample
    };
    (0..images).into_par_iter().map(drawn).collect()
}

/// Where the variables of a network go, which from here on repeat with the seed.
pub(super) fn variables(schedule: &Schedule) -> nn::VarStore {
    tch::manual_seed(schedule.seed as i64);
    tch::set_num_threads(i32::try_from(schedule.threads).unwrap_or(1));
    nn::VarStore::new(tch::Device::Cpu)
}

/// All stages of the schedule.
pub(super) fn fit(
    learner: &mut impl Learner,
    mut variables: nn::VarStore,
    recipe: &Recipe,
    schedule: &Schedule,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Fitted, TrainError> {
    let adam = nn::AdamW { wd: recipe.weight_decay, ..Default::default() };
    let optimizer = adam.build(&variables, schedule.stages[0].learning_rate)?;
    let random = Random::new(schedule.seed, recipe.stream);
    let mut run = Run { learner, optimizer, random, gradient_norm: recipe.gradient_norm, progress };
    let mut loss = f64::NAN;
    for stage in &schedule.stages {
        loss = run.stage(stage)?;
    }
    // Demo weights lie in the repository: half precision halves them and changes no answer that matters.
    if schedule.half {
        variables.half();
    }
    Ok(Fitted { variables, loss })
}

struct Run<'a, L> {
    learner: &'a mut L,
    optimizer: nn::Optimizer,
    random: Random,
    gradient_norm: Option<f64>,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl<L: Learner> Run<'_, L> {
    /// All epochs of one stage; the mean loss of the last.
    fn stage(&mut self, stage: &Stage) -> Result<f64, TrainError> {
        // An incomplete last batch is dropped: batch norm needs full ones.
        let samples = self.learner.samples();
        let batches = samples / stage.batch;
        let mut mean = f64::NAN;
        for epoch in 0..stage.epochs {
            let started = Instant::now();
            let mut order: Vec<usize> = (0..samples).collect();
            self.random.shuffle(&mut order);
            let (mut sum, mut right, mut of) = (0.0, 0.0, 0.0);
            for (i, batch) in order.chunks_exact(stage.batch).enumerate() {
                self.optimizer.set_lr(stage.rate_at(epoch * batches + i, stage.epochs * batches));
                let step = self.learner.step(batch, stage, &mut self.random)?;
                let loss = f64::try_from(&step.loss)?;
                if !loss.is_finite() {
                    return Err(TrainError::Diverged(loss));
                }
                self.descend(&step.loss)?;
                sum += loss;
                right += step.right;
                of += step.of;
            }
            mean = sum / batches as f64;
            (self.progress)(Progress::Epoch {
                slices: stage.slices,
                size: stage.size,
                epoch: epoch + 1,
                of: stage.epochs,
                loss: mean,
                score: if of > 0.0 { right / of } else { 1.0 },
                seconds: started.elapsed().as_secs_f64(),
            });
        }
        Ok(mean)
    }

    fn descend(&mut self, loss: &Tensor) -> Result<(), TrainError> {
        self.optimizer.zero_grad();
        loss.f_backward()?;
        if let Some(norm) = self.gradient_norm {
            self.optimizer.clip_grad_norm(norm);
        }
        self.optimizer.step();
        Ok(())
    }
}
