//! How a ResNet50 learns classes.

use tch::{Kind, Reduction, Tensor};

use super::samples::{Preparation, Sample, Table};
use crate::manifest::Manifest;
use crate::manifest::network::ResNet50Spec;
use crate::model::nets::resnet50::TrainableResNet50;
use crate::model::nets::tensor::channels_last;
use crate::model::train::fit::{Learner, Recipe, Step, draw, fit as fit_network, variables};
use crate::model::train::{Fitted, PhantomSet, Progress, Schedule, Stage, TrainError};
use crate::phantom::Random;

const RECIPE: Recipe = Recipe { weight_decay: 0.02, gradient_norm: None, stream: 0x6669_7400 };
/// Probability taken from the right class and spread over all: keeps the network from being too sure.
const LABEL_SMOOTHING: f64 = 0.05;

pub(crate) fn fit(
    manifest: &Manifest,
    spec: &ResNet50Spec,
    schedule: &Schedule,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Fitted, TrainError> {
    let preparation = Preparation::new(manifest)?;
    let set = PhantomSet::training(schedule.seed);
    let samples = draw(schedule.images, progress, |index| preparation.sample(&set, index))?;
    let variables = variables(schedule);
    let network = TrainableResNet50::new(&variables.root(), spec)?;
    let mut learner = Classifier { network, tables: preparation.tables, samples };
    fit_network(&mut learner, variables, &RECIPE, schedule, progress)
}

struct Classifier {
    network: TrainableResNet50,
    tables: Vec<Table>,
    samples: Vec<Sample>,
}

impl Learner for Classifier {
    fn samples(&self) -> usize {
        self.samples.len()
    }

    fn step(&mut self, batch: &[usize], stage: &Stage, random: &mut Random) -> Result<Step, TrainError> {
        let input = self.input(batch, stage.size, random)?;
        let labels: Vec<i64> = batch.iter().map(|i| self.samples[*i].label).collect();
        let labels = Tensor::f_from_slice(&labels)?;
        let logits = self.network.forward_t(&input, true)?;
        let answers = if is_binary(&logits) { logits.f_view(-1)?.f_gt(0.0)? } else { logits.f_argmax(1, false)? };
        let right = f64::try_from(&answers.f_eq_tensor(&labels)?.f_sum(Kind::Float)?)?;
        Ok(Step { loss: loss(&logits, &labels)?, right, of: batch.len() as f64 })
    }
}

impl Classifier {
    /// The batch, N × C × H × W, each image flipped at random: sides and views must not matter.
    fn input(&self, batch: &[usize], size: usize, random: &mut Random) -> Result<Tensor, TrainError> {
        let (_, rows, columns) = self.samples[batch[0]].bytes.dim();
        let (height, width) = (size.min(rows), size.min(columns));
        let channels = self.tables.len();
        let mut values = Vec::with_capacity(batch.len() * channels * height * width);
        for i in batch {
            let sample = &self.samples[*i];
            let [top, left] = corner(random, sample, [height, width]);
            let (flip_rows, flip_columns) = (random.chance(0.5), random.chance(0.5));
            for table in &self.tables {
                let plane = sample.bytes.index_axis(ndarray::Axis(0), table.plane);
                for row in 0..height {
                    let row = top + if flip_rows { height - 1 - row } else { row };
                    let line = plane.row(row);
                    values.extend((0..width).map(|column| {
                        let column = left + if flip_columns { width - 1 - column } else { column };
                        table.values[usize::from(line[column])]
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

/// Where a square of `size` starts: anywhere that keeps the lesion's centre in its middle half; anywhere at all where there is none.
fn corner(random: &mut Random, sample: &Sample, size: [usize; 2]) -> [usize; 2] {
    let (_, rows, columns) = sample.bytes.dim();
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
