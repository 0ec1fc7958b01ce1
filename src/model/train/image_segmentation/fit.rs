//! How a UNet learns tumours.

use tch::Tensor;

use super::samples::{Preparation, Sample};
use crate::manifest::Manifest;
use crate::manifest::network::UnetSpec;
use crate::model::nets::tensor::channels_last;
use crate::model::nets::unet::TrainableUNet;
use crate::model::train::fit::{Learner, Recipe, Step, draw, fit as fit_network, variables};
use crate::model::train::segmentation::loss::{dice_ce, overlap, start_with_nothing};
use crate::model::train::{Fitted, PhantomSet, Progress, Schedule, Stage, TrainError};
use crate::phantom::Random;

const RECIPE: Recipe = Recipe { weight_decay: 1e-4, gradient_norm: None, stream: 0x756e_6574 };
/// Share of the squares that lie about the tumour; the others lie anywhere, to show what is not one.
const ABOUT_TUMOUR: f32 = 0.6;

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
    let preparation = Preparation::new(manifest)?;
    let set = PhantomSet::training(schedule.seed);
    let samples = draw(schedule.images, progress, |index| preparation.sample(&set, index))?;
    let variables = variables(schedule);
    let network = TrainableUNet::new(&variables.root(), spec)?;
    start_with_nothing(&variables, "outc.conv.bias")?;
    fit_network(&mut Segmenter { network, samples }, variables, &RECIPE, schedule, progress)
}

struct Segmenter {
    network: TrainableUNet,
    samples: Vec<Sample>,
}

impl Learner for Segmenter {
    fn samples(&self) -> usize {
        self.samples.len()
    }

    fn step(&mut self, batch: &[usize], stage: &Stage, random: &mut Random) -> Result<Step, TrainError> {
        let (input, truth) = self.batch(batch, stage.size, random)?;
        let logits = self.network.forward_t(&input, true)?;
        let (right, of) = overlap(&logits, &truth)?;
        Ok(Step { loss: dice_ce(&logits, &truth)?, right, of })
    }
}

impl Segmenter {
    /// Input and truth, N × C × H × W, each mirrored at random left to right: sides must not matter.
    fn batch(&self, batch: &[usize], size: usize, random: &mut Random) -> Result<(Tensor, Tensor), TrainError> {
        let (channels, rows, columns) = self.samples[batch[0]].input.dim();
        let (height, width) = (size.min(rows), size.min(columns));
        let mut inputs = Vec::with_capacity(batch.len() * channels * height * width);
        let mut truths = Vec::with_capacity(batch.len() * height * width);
        for i in batch {
            let sample = &self.samples[*i];
            let centre = sample.centre.filter(|_| random.chance(ABOUT_TUMOUR));
            let start: [usize; 2] = std::array::from_fn(|axis| {
                let (side, limit) = ([height, width][axis], [rows - height, columns - width][axis]);
                match centre {
                    // The tumour's centre lies in the middle half.
                    Some(centre) => {
                        ((centre[axis] - random.uniform(0.25, 0.75) * side as f32).max(0.0) as usize).min(limit)
                    }
                    None => random.integer(0, limit),
                }
            });
            let mirrored = random.chance(0.5);
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
