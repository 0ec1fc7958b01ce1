//! Networks that ask other networks: [`Turned`] asks one about its input and that input turned (test-time augmentation), [`Ensemble`]
//! asks several. Both answer with the logits whose probabilities are the combined ones, so that whoever reads them need not know.

mod combination;
mod turn;

use std::path::Path;

use ndarray::{Array2, Array3, ArrayD, ArrayViewD, Axis, concatenate};

use self::combination::{Activation, Combination};
use self::turn::Turn;
use super::{CamScore, CamTarget, Device, Explanation, Logits, ModelError, Network, network, pace::stand_aside};
use crate::manifest::{self, CombineMode, Manifest, NetworkSpec, TaskSpec, TestTimeAugmentationSpec, WeightsSpec};

/// The manifest's network with all that is to be asked beside it, from the model's folder.
///
/// # Errors
/// [`ModelError::WeightsFile`] with the file that cannot be read or does not fit its network.
pub fn load(manifest: &Manifest, folder: &Path, device: Device) -> Result<Box<dyn Network>, ModelError> {
    let activation = match &manifest.task {
        TaskSpec::Classification(task) if task.activation == manifest::Activation::Softmax => Activation::Softmax,
        _ => Activation::Sigmoid,
    };
    let load = |spec: &NetworkSpec, weights: &WeightsSpec| -> Result<Box<dyn Network>, ModelError> {
        let network = network::load(spec, &folder.join(&weights.file), weights.format, device);
        let network = network.map_err(|error| match error {
            ModelError::Weights(error) => ModelError::WeightsFile { file: weights.file.clone(), error },
            other => other,
        })?;
        Ok(match &manifest.test_time_augmentation {
            Some(spec) => Box::new(Turned::new(network, spec, activation)),
            None => network,
        })
    };
    let own = load(&manifest.network, &manifest.weights)?;
    let Some(spec) = &manifest.ensemble else { return Ok(own) };
    let mut members = vec![(own, spec.weight)];
    for member in &spec.members {
        members.push((load(member.network.as_ref().unwrap_or(&manifest.network), &member.weights)?, member.weight));
    }
    Ok(Box::new(Ensemble { members, combine: spec.combine, activation }))
}

/// One network, asked about the input as it is and turned. Memory holds one turned input at a time.
struct Turned {
    network: Box<dyn Network>,
    turns: Vec<Turn>,
    combine: CombineMode,
    activation: Activation,
}

impl Turned {
    fn new(network: Box<dyn Network>, spec: &TestTimeAugmentationSpec, activation: Activation) -> Self {
        let turns = std::iter::once(Turn::Identity).chain(spec.transforms.iter().map(Turn::new)).collect();
        Self { network, turns, combine: spec.combine, activation }
    }
}

impl Network for Turned {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        Ok(self.forward_with_spread(input)?.0)
    }

    fn forward_with_spread(&mut self, input: ArrayViewD<'_, f32>) -> Result<(Logits, Option<ArrayD<f32>>), ModelError> {
        let mut combination = Combination::new(self.combine, self.activation);
        for turn in &self.turns {
            stand_aside();
            let logits = match self.network.forward(turn.apply(input.view(), 2).view())? {
                Logits::Dense(logits) if logits.ndim() != input.ndim() => {
                    return Err(ModelError::Output {
                        found: format!("shape {:?}", logits.shape()),
                        expected: format!("{} axes, as the input has", input.ndim()),
                    });
                }
                Logits::Dense(logits) => Logits::Dense(turn.inverse().apply(logits.view(), 2)),
                global @ Logits::Global(_) => global,
            };
            combination.add(&logits, None, 1.0)?;
        }
        let (logits, spread) = combination.finish()?;
        Ok((logits, Some(spread)))
    }

    /// The maps are turned back; they and the channels' weights are the means over the turns.
    fn explain(&mut self, input: ArrayViewD<'_, f32>, target: CamTarget) -> Result<Explanation, ModelError> {
        if target.output.is_none() {
            return explain_largest(self, input, target.score);
        }
        let mut combination = Combination::new(self.combine, self.activation);
        let mut sum: Option<Explanation> = None;
        for turn in &self.turns {
            stand_aside();
            let mut answer = self.network.explain(turn.apply(input.view(), 2).view(), target)?;
            combination.add(&Logits::Global(answer.logits.clone()), None, 1.0)?;
            answer.activation_maps = three_axes(turn.inverse().apply(answer.activation_maps.view().into_dyn(), 1))?;
            match &mut sum {
                None => sum = Some(answer),
                Some(sum) => {
                    add_maps(&mut sum.activation_maps, &answer.activation_maps, 1.0)?;
                    sum.channel_weights += &answer.channel_weights;
                }
            }
        }
        let mut mean = sum.ok_or_else(no_answer)?;
        mean.activation_maps /= self.turns.len() as f32;
        mean.channel_weights /= self.turns.len() as f32;
        mean.logits = combination.finish()?.0.global()?;
        Ok(mean)
    }
}

/// Several networks and their weights, all with the same input and outputs.
struct Ensemble {
    members: Vec<(Box<dyn Network>, f64)>,
    combine: CombineMode,
    activation: Activation,
}

impl Network for Ensemble {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        Ok(self.forward_with_spread(input)?.0)
    }

    /// The spread is that of all answers, those that a member combines itself as well.
    fn forward_with_spread(&mut self, input: ArrayViewD<'_, f32>) -> Result<(Logits, Option<ArrayD<f32>>), ModelError> {
        let mut combination = Combination::new(self.combine, self.activation);
        for (network, weight) in &mut self.members {
            stand_aside();
            let (logits, spread) = network.forward_with_spread(input.view())?;
            combination.add(&logits, spread.as_ref(), *weight)?;
        }
        let (logits, spread) = combination.finish()?;
        Ok((logits, Some(spread)))
    }

    /// Networks measure activations in units of their own: each map is divided by its largest absolute value, image by image, before
    /// the weighted mean. There are no channels in common: `channel_weights` is N × 0.
    fn explain(&mut self, input: ArrayViewD<'_, f32>, target: CamTarget) -> Result<Explanation, ModelError> {
        if target.output.is_none() {
            return explain_largest(self, input, target.score);
        }
        let mut combination = Combination::new(self.combine, self.activation);
        let mut sum: Option<Explanation> = None;
        let mut total = 0.0;
        for (network, weight) in &mut self.members {
            stand_aside();
            let mut answer = network.explain(input.view(), target)?;
            combination.add(&Logits::Global(answer.logits.clone()), None, *weight)?;
            for mut map in answer.activation_maps.outer_iter_mut() {
                let max = map.iter().fold(0f32, |max, v| max.max(v.abs()));
                if max > 0.0 {
                    map /= max;
                }
            }
            total += *weight;
            match &mut sum {
                None => {
                    answer.activation_maps *= *weight as f32;
                    answer.channel_weights = Array2::zeros((answer.logits.nrows(), 0));
                    sum = Some(answer);
                }
                Some(sum) => add_maps(&mut sum.activation_maps, &answer.activation_maps, *weight as f32)?,
            }
        }
        let mut mean = sum.ok_or_else(no_answer)?;
        mean.activation_maps /= total as f32;
        mean.logits = combination.finish()?.0.global()?;
        Ok(mean)
    }
}

/// Which output is the largest is known when all have answered: then every image is asked about its own.
fn explain_largest(
    network: &mut dyn Network,
    input: ArrayViewD<'_, f32>,
    score: CamScore,
) -> Result<Explanation, ModelError> {
    let logits = network.forward(input.view())?.global()?;
    let mut parts = Vec::with_capacity(logits.nrows());
    for (image, row) in input.axis_chunks_iter(Axis(0), 1).zip(logits.outer_iter()) {
        let largest = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(output, _)| output);
        parts.push(network.explain(image, CamTarget { output: largest.or(Some(0)), score })?);
    }
    let side_by_side = |e: ndarray::ShapeError| ModelError::Output {
        found: e.to_string(),
        expected: "explanations of one size".into(),
    };
    let maps: Vec<_> = parts.iter().map(|part| part.activation_maps.view()).collect();
    let weights: Vec<_> = parts.iter().map(|part| part.channel_weights.view()).collect();
    Ok(Explanation {
        activation_maps: concatenate(Axis(0), &maps).map_err(side_by_side)?,
        channel_weights: concatenate(Axis(0), &weights).map_err(side_by_side)?,
        outputs: parts.iter().flat_map(|part| part.outputs.clone()).collect(),
        logits,
    })
}

fn add_maps(sum: &mut Array3<f32>, maps: &Array3<f32>, weight: f32) -> Result<(), ModelError> {
    if sum.dim() != maps.dim() {
        return Err(ModelError::Output {
            found: format!("activation maps of shape {:?}", maps.dim()),
            expected: format!("those of the other answers, {:?}", sum.dim()),
        });
    }
    sum.scaled_add(weight, maps);
    Ok(())
}

fn three_axes(maps: ArrayD<f32>) -> Result<Array3<f32>, ModelError> {
    let found = format!("shape {:?}", maps.shape());
    maps.into_dimensionality().map_err(|_| ModelError::Output { found, expected: "N × rows × columns".into() })
}

fn no_answer() -> ModelError {
    ModelError::Output { found: "no answer".into(), expected: "at least one".into() }
}

#[cfg(test)]
mod tests;
