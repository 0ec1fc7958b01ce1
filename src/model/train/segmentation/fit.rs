//! The training loop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tch::nn::{self, OptimizerConfig};
use tch::{Kind, Tensor};

use super::loss::{dice_ce, overlap};
use super::samples::{Preparation, Sample, phantom};
use crate::manifest::Manifest;
use crate::manifest::network::SwinUnetrSpec;
use crate::model::nets::swin_unetr::TrainableSwinUnetr;
use crate::model::train::{Fitted, Progress, Purpose, Schedule, Stage, TrainError};
use crate::phantom::{PHASES, Random};

/// Share of the boxes that lie about the tumour; the others lie anywhere, to show what is not one.
const ABOUT_TUMOUR: f32 = 0.7;
/// Where the answer begins: nearly everything is no tumour, and a bias is slow to learn that (Lin et al. 2017).
const PRIOR_LOGIT: f64 = -4.0;
/// A first step on hardly filled boxes can be wild.
const GRADIENT_NORM: f64 = 1.0;

pub fn fit(
    manifest: &Manifest,
    spec: &SwinUnetrSpec,
    schedule: &Schedule,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Fitted, TrainError> {
    let (found, segments) = (spec.in_channels, manifest.segments().len());
    if (found, segments) != (PHASES, 1) {
        return Err(TrainError::Channels { found, segments, phases: PHASES });
    }
    // Half the resolution in the plane: a quarter of the time to draw, and the network sees no more than that.
    let phantoms: Vec<_> =
        (0..schedule.images).map(|i| phantom(schedule.seed, Purpose::Training, i, None).coarser(2)).collect();
    let done = AtomicUsize::new(0);
    let samples = Preparation::new(manifest)?.samples(&phantoms, &|| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Progress::Drawn { done, of: schedule.images });
    })?;

    tch::manual_seed(schedule.seed as i64);
    tch::set_num_threads(i32::try_from(schedule.threads).unwrap_or(1));
    let mut variables = nn::VarStore::new(tch::Device::Cpu);
    let network = TrainableSwinUnetr::new(&variables.root(), spec)?;
    if let Some(bias) = variables.variables().get_mut("out.conv.conv.bias") {
        let _filled = tch::no_grad(|| bias.f_fill_(PRIOR_LOGIT))?;
    }
    let optimizer = nn::AdamW { wd: 1e-5, ..Default::default() }.build(&variables, schedule.stages[0].learning_rate)?;
    let mut run = Run { network, optimizer, random: Random::new(schedule.seed, 0x7365_6700), samples, progress };
    let mut loss = f64::NAN;
    for stage in &schedule.stages {
        loss = run.stage(stage)?;
    }
    // Demo weights lie in the repository: half precision halves them and changes no mask by more than a voxel or two.
    variables.half();
    Ok(Fitted { variables, loss })
}

struct Run<'a> {
    network: TrainableSwinUnetr,
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
                let (loss, (common, size)) = self.step(batch, [stage.slices, stage.size, stage.size])?;
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
    fn step(&mut self, batch: &[usize], size: [usize; 3]) -> Result<(f64, (f64, f64)), TrainError> {
        let boxes = batch.iter().map(|i| cut_box(&mut self.random, &self.samples[*i], size));
        let (inputs, truths): (Vec<_>, Vec<_>) = boxes.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let (input, truth) = (Tensor::f_cat(&inputs, 0)?, Tensor::f_cat(&truths, 0)?);
        let logits = self.network.forward_t(&input)?;
        let loss = dice_ce(&logits, &truth)?;
        self.optimizer.zero_grad();
        loss.f_backward()?;
        self.optimizer.clip_grad_norm(GRADIENT_NORM);
        self.optimizer.step();
        Ok((f64::try_from(&loss)?, overlap(&logits, &truth)?))
    }
}

/// A box of input and truth, mirrored at random left to right and top to bottom: sides must not matter.
fn cut_box(random: &mut Random, sample: &Sample, size: [usize; 3]) -> Result<(Tensor, Tensor), TrainError> {
    let centre = sample.centre.filter(|_| random.chance(ABOUT_TUMOUR));
    let starts: [usize; 3] = std::array::from_fn(|axis| {
        let limit = sample.size[axis].saturating_sub(size[axis]);
        match centre {
            // The tumour's centre lies in the middle half.
            Some(centre) => {
                let offset = random.uniform(0.25, 0.75) * size[axis] as f32;
                ((centre[axis] - offset).max(0.0) as usize).min(limit)
            }
            None => random.integer(0, limit),
        }
    });
    let axes: Vec<i64> = [2, 4].into_iter().filter(|_| random.chance(0.5)).collect();
    let cut = |volume: &Tensor| -> Result<Tensor, TrainError> {
        let mut part = volume.shallow_clone();
        for axis in 0..3 {
            let length = size[axis].min(sample.size[axis]);
            part = part.f_narrow(axis as i64 + 2, starts[axis] as i64, length as i64)?;
        }
        Ok(part.f_to_kind(Kind::Float)?.f_flip(&axes)?.f_contiguous()?)
    };
    Ok((cut(&sample.input)?, cut(&sample.truth)?))
}
