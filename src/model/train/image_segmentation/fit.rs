//! The training loop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tch::Tensor;
use tch::nn::{self, OptimizerConfig};

use super::samples::{Preparation, Sample};
use crate::manifest::Manifest;
use crate::manifest::network::UnetSpec;
use crate::model::nets::tensor::channels_last;
use crate::model::nets::unet::TrainableUNet;
use crate::model::train::segmentation::loss::{dice_ce, overlap};
use crate::model::train::{Fitted, Progress, Schedule, Stage, TrainError};
use crate::phantom::Random;

/// Share of the squares that lie about the tumour; the others lie anywhere, to show what is not one.
const ABOUT_TUMOUR: f32 = 0.6;
/// Where the answer begins: nearly everything is no tumour, and a bias is slow to learn that (Lin et al. 2017).
const PRIOR_LOGIT: f64 = -4.0;

pub fn fit(
    manifest: &Manifest,
    spec: &UnetSpec,
    schedule: &Schedule,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Fitted, TrainError> {
    let (found, segments) = (spec.in_channels, manifest.segments().len());
    if (found, segments) != (1, 1) {
        return Err(TrainError::Channels { found, segments, phases: 1 });
    }
    let done = AtomicUsize::new(0);
    let samples = Preparation::new(manifest)?.samples(schedule.seed, schedule.images, &|| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Progress::Drawn { done, of: schedule.images });
    })?;

    tch::manual_seed(schedule.seed as i64);
    tch::set_num_threads(i32::try_from(schedule.threads).unwrap_or(1));
    let mut variables = nn::VarStore::new(tch::Device::Cpu);
    let network = TrainableUNet::new(&variables.root(), spec)?;
    if let Some(bias) = variables.variables().get_mut("outc.conv.bias") {
        let _filled = tch::no_grad(|| bias.f_fill_(PRIOR_LOGIT))?;
    }
    let optimizer = nn::AdamW { wd: 1e-4, ..Default::default() }.build(&variables, schedule.stages[0].learning_rate)?;
    let mut run = Run { network, optimizer, random: Random::new(schedule.seed, 0x756e_6574), samples, progress };
    let mut loss = f64::NAN;
    for stage in &schedule.stages {
        loss = run.stage(stage)?;
    }
    // Demo weights lie in the repository: half precision halves them.
    variables.half();
    Ok(Fitted { variables, loss })
}

struct Run<'a> {
    network: TrainableUNet,
    optimizer: nn::Optimizer,
    random: Random,
    samples: Vec<Sample>,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Run<'_> {
    /// All epochs of one stage; the mean loss of the last.
    fn stage(&mut self, stage: &Stage) -> Result<f64, TrainError> {
        let batches = self.samples.len() / stage.batch;
        let mut mean = f64::NAN;
        for epoch in 0..stage.epochs {
            let started = Instant::now();
            let mut order: Vec<usize> = (0..self.samples.len()).collect();
            self.random.shuffle(&mut order);
            let (mut sum, mut both, mut sizes) = (0.0, 0.0, 0.0);
            for (i, batch) in order.chunks_exact(stage.batch).enumerate() {
                self.optimizer.set_lr(stage.rate_at(epoch * batches + i, stage.epochs * batches));
                let (loss, (common, size)) = self.step(batch, stage.size)?;
                if !loss.is_finite() {
                    return Err(TrainError::Diverged(loss));
                }
                sum += loss;
                both += common;
                sizes += size;
            }
            mean = sum / batches as f64;
            (self.progress)(Progress::Epoch {
                slices: stage.slices,
                size: stage.size,
                epoch: epoch + 1,
                of: stage.epochs,
                loss: mean,
                score: if sizes > 0.0 { 2.0 * both / sizes } else { 1.0 },
                seconds: started.elapsed().as_secs_f64(),
            });
        }
        Ok(mean)
    }

    /// One step of the optimizer: the loss and the overlap of answer and truth.
    fn step(&mut self, batch: &[usize], size: usize) -> Result<(f64, (f64, f64)), TrainError> {
        let (input, truth) = self.batch(batch, size)?;
        let logits = self.network.forward_t(&input, true)?;
        let loss = dice_ce(&logits, &truth)?;
        self.optimizer.zero_grad();
        loss.f_backward()?;
        self.optimizer.step();
        Ok((f64::try_from(&loss)?, overlap(&logits, &truth)?))
    }

    /// Input and truth, N × C × H × W, each mirrored at random left to right: sides must not matter.
    fn batch(&mut self, batch: &[usize], size: usize) -> Result<(Tensor, Tensor), TrainError> {
        let (channels, rows, columns) = self.samples[batch[0]].input.dim();
        let (height, width) = (size.min(rows), size.min(columns));
        let mut inputs = Vec::with_capacity(batch.len() * channels * height * width);
        let mut truths = Vec::with_capacity(batch.len() * height * width);
        for i in batch {
            let sample = &self.samples[*i];
            let centre = sample.centre.filter(|_| self.random.chance(ABOUT_TUMOUR));
            let start: [usize; 2] = std::array::from_fn(|axis| {
                let (side, limit) = ([height, width][axis], [rows - height, columns - width][axis]);
                match centre {
                    // The tumour's centre lies in the middle half.
                    Some(centre) => {
                        ((centre[axis] - self.random.uniform(0.25, 0.75) * side as f32).max(0.0) as usize).min(limit)
                    }
                    None => self.random.integer(0, limit),
                }
            });
            let mirrored = self.random.chance(0.5);
            let column = |c: usize| start[1] + if mirrored { width - 1 - c } else { c };
            for channel in sample.input.outer_iter() {
                for row in start[0]..start[0] + height {
                    inputs.extend((0..width).map(|c| channel[[row, column(c)]]));
                }
            }
            for row in start[0]..start[0] + height {
                truths.extend((0..width).map(|c| f32::from(sample.truth[[row, column(c)]]) / 255.0));
            }
        }
        let shape = |channels: usize| [batch.len(), channels, height, width].map(|d| d as i64);
        let input = channels_last(&Tensor::f_from_slice(&inputs)?.f_view(shape(channels))?)?;
        Ok((input, Tensor::f_from_slice(&truths)?.f_view(shape(1))?))
    }
}
