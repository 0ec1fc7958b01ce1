//! The training loop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tch::nn::{self, OptimizerConfig};
use tch::{Kind, Reduction, Tensor};

use super::samples::{Preparation, Sample};
use crate::manifest::Manifest;
use crate::manifest::network::ResNet50Spec;
use crate::model::nets::resnet50::TrainableResNet50;
use crate::model::nets::tensor::channels_last;
use crate::model::train::{Fitted, Progress, Schedule, Stage, TrainError};
use crate::phantom::Random;

/// Probability taken from the right class and spread over all: keeps the network from being too sure.
const LABEL_SMOOTHING: f64 = 0.05;

pub(crate) fn fit(
    manifest: &Manifest,
    spec: &ResNet50Spec,
    options: &Schedule,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Fitted, TrainError> {
    let preparation = Preparation::new(manifest)?;
    let done = AtomicUsize::new(0);
    let samples = preparation.samples(options.seed, options.images, &|| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Progress::Drawn { done, of: options.images });
    })?;

    tch::manual_seed(options.seed as i64);
    tch::set_num_threads(i32::try_from(options.threads).unwrap_or(1));
    let mut variables = nn::VarStore::new(tch::Device::Cpu);
    let network = TrainableResNet50::new(&variables.root(), spec)?;
    let mut run = Run {
        network,
        optimizer: nn::AdamW { wd: 0.02, ..Default::default() }.build(&variables, options.stages[0].learning_rate)?,
        random: Random::new(options.seed, 0x6669_7400),
        table: preparation.table,
        samples,
        progress,
    };
    let mut loss = f64::NAN;
    for stage in &options.stages {
        loss = run.stage(stage)?;
    }
    if options.half {
        variables.half();
    }
    Ok(Fitted { variables, loss })
}

struct Run<'a> {
    network: TrainableResNet50,
    optimizer: nn::Optimizer,
    random: Random,
    table: Vec<[f32; 256]>,
    samples: Vec<Sample>,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Run<'_> {
    /// All epochs of one stage; the mean loss of the last.
    fn stage(&mut self, stage: &Stage) -> Result<f64, TrainError> {
        // An incomplete last batch is dropped: batch norm needs full ones.
        let batches = self.samples.len() / stage.batch;
        let mut mean = f64::NAN;
        for epoch in 0..stage.epochs {
            let started = Instant::now();
            let mut order: Vec<usize> = (0..self.samples.len()).collect();
            self.random.shuffle(&mut order);
            let (mut sum, mut hits) = (0.0, 0.0);
            for (i, batch) in order.chunks_exact(stage.batch).enumerate() {
                let rate = stage.rate_at(epoch * batches + i, stage.epochs * batches);
                let (loss, hit) = self.step(batch, stage.size, rate)?;
                if !loss.is_finite() {
                    return Err(TrainError::Diverged(loss));
                }
                sum += loss;
                hits += hit;
            }
            mean = sum / batches as f64;
            (self.progress)(Progress::Epoch {
                slices: stage.slices,
                size: stage.size,
                epoch: epoch + 1,
                of: stage.epochs,
                loss: mean,
                score: hits / (batches * stage.batch) as f64,
                seconds: started.elapsed().as_secs_f64(),
            });
        }
        Ok(mean)
    }

    /// One step of the optimizer: loss and number of right answers.
    fn step(&mut self, batch: &[usize], size: usize, learning_rate: f64) -> Result<(f64, f64), TrainError> {
        let input = self.input(batch, size)?;
        let labels: Vec<i64> = batch.iter().map(|i| self.samples[*i].label).collect();
        let labels = Tensor::f_from_slice(&labels)?;
        let logits = self.network.forward_t(&input, true)?;
        let loss = loss(&logits, &labels)?;
        self.optimizer.set_lr(learning_rate);
        self.optimizer.zero_grad();
        loss.f_backward()?;
        self.optimizer.step();
        let answers = if is_binary(&logits) { logits.f_view(-1)?.f_gt(0.0)? } else { logits.f_argmax(1, false)? };
        let hits = answers.f_eq_tensor(&labels)?.f_sum(Kind::Float)?;
        Ok((f64::try_from(&loss)?, f64::try_from(&hits)?))
    }

    /// The batch, N × C × H × W, each image flipped at random: sides and views must not matter.
    fn input(&mut self, batch: &[usize], size: usize) -> Result<Tensor, TrainError> {
        let (rows, columns) = self.samples[batch[0]].bytes.dim();
        let (height, width) = (size.min(rows), size.min(columns));
        let channels = self.table.len();
        let mut values = Vec::with_capacity(batch.len() * channels * height * width);
        for i in batch {
            let sample = &self.samples[*i];
            let [top, left] = corner(&mut self.random, sample, [height, width]);
            let (flip_rows, flip_columns) = (self.random.chance(0.5), self.random.chance(0.5));
            for table in &self.table {
                for row in 0..height {
                    let row = top + if flip_rows { height - 1 - row } else { row };
                    let line = sample.bytes.row(row);
                    values.extend((0..width).map(|column| {
                        let column = left + if flip_columns { width - 1 - column } else { column };
                        table[usize::from(line[column])]
                    }));
                }
            }
        }
        let shape = [batch.len(), channels, height, width].map(|d| d as i64);
        Ok(channels_last(&Tensor::f_from_slice(&values)?.f_view(shape)?)?)
    }
}

/// One logit for two classes (`sigmoid_binary`), of which the second is its 1.
fn is_binary(logits: &Tensor) -> bool {
    logits.size().last() == Some(&1)
}

/// Cross entropy with smoothed labels.
fn loss(logits: &Tensor, labels: &Tensor) -> Result<Tensor, tch::TchError> {
    if is_binary(logits) {
        let truth = labels.f_to_kind(Kind::Float)?.f_mul_scalar(1.0 - LABEL_SMOOTHING)?;
        let truth = truth.f_add_scalar(0.5 * LABEL_SMOOTHING)?;
        let none = None::<&Tensor>;
        return logits.f_view(-1)?.f_binary_cross_entropy_with_logits(&truth, none, none, Reduction::Mean);
    }
    logits.f_cross_entropy_loss(labels, None::<&Tensor>, Reduction::Mean, -100, LABEL_SMOOTHING)
}

/// Where a square of `size` starts: anywhere that keeps the lesion's centre in its middle half; anywhere at all in a normal
/// breast.
fn corner(random: &mut Random, sample: &Sample, size: [usize; 2]) -> [usize; 2] {
    let (rows, columns) = sample.bytes.dim();
    let limits = [rows - size[0], columns - size[1]];
    std::array::from_fn(|axis| match sample.lesion {
        Some(centre) => {
            let offset = random.uniform(0.25, 0.75) * size[axis] as f32;
            ((centre[axis] - offset).max(0.0) as usize).min(limits[axis])
        }
        None => random.integer(0, limits[axis]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One logit z is two of which the first is 0.
    #[test]
    fn one_logit_costs_what_two_do() {
        let (logits, labels) =
            (Tensor::from_slice(&[1.5f32, -0.3, 0.0]).view([3, 1]), Tensor::from_slice(&[1i64, 1, 0]));
        let two = Tensor::f_cat(&[&logits.zeros_like(), &logits], 1).unwrap();
        let value = |logits: &Tensor| f64::try_from(&loss(logits, &labels).unwrap()).unwrap();
        assert!((value(&logits) - value(&two)).abs() < 1e-6, "{} and {}", value(&logits), value(&two));
    }
}
