//! How a SwinUNETR learns tumours.

use tch::{Kind, Tensor};

use super::loss::{dice_ce, overlap, start_with_nothing};
use super::samples::{Preparation, Sample, phantom};
use crate::manifest::Manifest;
use crate::manifest::network::SwinUnetrSpec;
use crate::model::nets::swin_unetr::TrainableSwinUnetr;
use crate::model::train::fit::{Learner, Recipe, Step, draw, fit as fit_network, variables};
use crate::model::train::{Fitted, PhantomSet, Progress, Schedule, Stage, TrainError};
use crate::phantom::{PHASES, Random};

/// A first step on hardly filled boxes can be wild.
const RECIPE: Recipe = Recipe { weight_decay: 1e-5, gradient_norm: Some(1.0), stream: 0x7365_6700 };
/// Share of the boxes that lie about the tumour; the others lie anywhere, to show what is not one.
const ABOUT_TUMOUR: f32 = 0.7;

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
    let preparation = Preparation::new(manifest)?;
    let set = PhantomSet::training(schedule.seed);
    // Half the resolution in the plane: a quarter of the time to draw, and the network sees no more than that.
    let samples = draw(schedule.images, progress, |index| preparation.sample(&phantom(&set, index).coarser(2)))?;
    let variables = variables(schedule);
    let network = TrainableSwinUnetr::new(&variables.root(), spec)?;
    start_with_nothing(&variables, "out.conv.conv.bias")?;
    fit_network(&mut Segmenter { network, samples }, variables, &RECIPE, schedule, progress)
}

struct Segmenter {
    network: TrainableSwinUnetr,
    samples: Vec<Sample>,
}

impl Learner for Segmenter {
    fn samples(&self) -> usize {
        self.samples.len()
    }

    fn step(&mut self, batch: &[usize], stage: &Stage, random: &mut Random) -> Result<Step, TrainError> {
        let size = [stage.slices, stage.size, stage.size];
        let boxes = batch.iter().map(|i| cut_box(random, &self.samples[*i], size));
        let (inputs, truths): (Vec<_>, Vec<_>) = boxes.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let (input, truth) = (Tensor::f_cat(&inputs, 0)?, Tensor::f_cat(&truths, 0)?);
        let logits = self.network.forward_t(&input)?;
        let (right, of) = overlap(&logits, &truth)?;
        Ok(Step { loss: dice_ce(&logits, &truth)?, right, of })
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
