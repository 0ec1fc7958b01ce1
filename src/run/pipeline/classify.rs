//! The stages of a classification: each image on its own, and all together where the manifest aggregates; one report.
//!
//! Fetch, read and prepare go over the images on two threads ([`prepare`]), while the network runs on the worker's over those that are ready,
//! in the batches that the manifest's inferer says. Batches follow the order of the inputs, whatever is ready first: the same run gives the
//! same numbers. An image that fails keeps its error and the others go on.

mod prepare;

use ndarray::{Array2, Array3, ArrayView3, Axis, Ix2};

use self::prepare::{Preparation, PreparedImage, instances};
use super::explain::Explainer;
use super::regions::Regions;
use super::{Clock, Monitor, Outcome, RunError};
use crate::imaging::ImageAttributes;
use crate::manifest::{Activation, ClassificationSpec, InfererSpec, TaskSpec};
use crate::model::{CamScore, CamTarget, LoadedModel, ModelError, spread_of};
use crate::predict::{Finding, HeatMap, ImagePrediction, Prediction, activate, aggregate, decide};
use crate::result::{self, Remarks, ResultContext, ResultUids, SrSopClass};
use crate::run::limits::Limits;
use crate::run::record::{RunRequest, Stage};
use crate::run::select::Input;
use crate::source::InstanceSource;
use crate::transform::TransformChain;

/// From the request's images to the result objects; with the regions that are looked at, and what speaks against the images.
pub(super) fn outcome(
    source: &dyn InstanceSource,
    model: &mut LoadedModel,
    request: &RunRequest,
    (regions, out_of_domain): (&Regions, &[String]),
    limits: Limits,
    monitor: &dyn Monitor,
    clock: &Clock,
) -> Result<Outcome, RunError> {
    let manifest = model.manifest.clone();
    let TaskSpec::Classification(task) = &manifest.task else {
        return Err(RunError::Volume("the model does not classify".into()));
    };
    let chain = TransformChain::new(&manifest.preprocessing)?;
    let batch_size = match &manifest.inferer {
        InfererSpec::SimpleInferer(spec) => spec.batch_size,
        InfererSpec::SlidingWindowInferer(_) => 1,
    };
    let preparation = Preparation { source, chain: &chain, regions, limits, monitor, clock, ahead: batch_size };
    let inference = Inference { model: &mut *model, task, inputs: &request.inputs, batch_size, monitor, clock };
    let Analysed { outcomes, attributes } = preparation.in_order(&request.inputs, |images| inference.over(images))?;
    let prediction = prediction(task, &request.inputs, outcomes)?;
    let images = attributes_of_all(&request.inputs, &attributes, &prediction)?;
    let explainer = Explainer { source, task, chain: &chain, regions, inputs: &request.inputs, limits, monitor };
    let (explanations, warnings) = clock.time(Stage::Infer, || {
        explainer.explain(&prediction.images, &mut |array, class| heat_map(model, task, array, class))
    })?;
    let results = clock.time(Stage::Encode, || {
        monitor.progress(Stage::Encode, 0, 1);
        let remarks = Remarks { explanations: &explanations, out_of_domain };
        result::encode_remarked(&context(model, request, regions, &images), &prediction, &remarks)
    })?;
    Ok(Outcome { results, slices: Vec::new(), warnings })
}

/// What speaks for a class on one prepared image (channel, row, column), or why that cannot be told.
fn heat_map(
    model: &mut LoadedModel,
    task: &ClassificationSpec,
    array: ArrayView3<'_, f32>,
    class: usize,
) -> Result<HeatMap, String> {
    let target = match (task.activation, class) {
        (Activation::Softmax, class) => CamTarget { output: Some(class), score: CamScore::Logit },
        (Activation::Sigmoid, class) => CamTarget { output: Some(class), score: CamScore::Sigmoid },
        // One output for two classes: the first is what it does not name.
        (Activation::SigmoidBinary, 0) => CamTarget { output: Some(0), score: CamScore::SigmoidComplement },
        (Activation::SigmoidBinary, _) => CamTarget { output: Some(0), score: CamScore::Sigmoid },
    };
    let input = array.insert_axis(Axis(0)).into_dyn();
    let explanation = model.network.explain(input, target).map_err(|e| e.to_string())?;
    explanation.heat_maps().into_iter().next().ok_or_else(|| "the network gave no map".to_owned())
}

/// What became of a run's images.
struct Analysed {
    /// One an input.
    outcomes: Vec<Result<Finding, String>>,
    /// One an instance; None where its header cannot be read.
    attributes: Vec<Option<ImageAttributes>>,
}

/// The network over the images as they come.
struct Inference<'a> {
    model: &'a mut LoadedModel,
    task: &'a ClassificationSpec,
    inputs: &'a [Input],
    batch_size: usize,
    monitor: &'a dyn Monitor,
    clock: &'a Clock,
}

/// An input's number and array.
type Ready = (usize, Array3<f32>);

impl Inference<'_> {
    fn over(mut self, images: &mut dyn Iterator<Item = Result<PreparedImage, RunError>>) -> Result<Analysed, RunError> {
        let instance_of = instances(self.inputs).enumerate().flat_map(|(i, inputs)| inputs.iter().map(move |_| i));
        let mut attributes: Vec<Option<ImageAttributes>> = instances(self.inputs).map(|_| None).collect();
        let mut outcomes: Vec<Option<Result<Finding, String>>> = self.inputs.iter().map(|_| None).collect();
        let mut batch: Vec<Ready> = Vec::with_capacity(self.batch_size);
        for ((i, instance), image) in instance_of.enumerate().zip(images) {
            let image = image?;
            let place = &mut attributes[instance];
            *place = place.take().or(image.attributes);
            match image.array {
                Ok(array) => batch.push((i, array)),
                Err(reason) => outcomes[i] = Some(Err(reason)),
            }
            if batch.len() == self.batch_size {
                self.infer(&mut batch, &mut outcomes)?;
            }
        }
        self.infer(&mut batch, &mut outcomes)?;
        let outcomes = outcomes.into_iter().collect::<Option<Vec<_>>>().ok_or(RunError::Panic)?;
        Ok(Analysed { outcomes, attributes })
    }

    /// The outcomes of a batch, which is empty afterwards.
    fn infer(
        &mut self,
        batch: &mut Vec<Ready>,
        outcomes: &mut [Option<Result<Finding, String>>],
    ) -> Result<(), RunError> {
        if self.monitor.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let Some((first, _)) = batch.first() else { return Ok(()) };
        self.monitor.progress(Stage::Infer, *first, self.inputs.len());
        let findings = self.forward(batch).or_else(|error| {
            // One image must not fail the others: each for itself.
            if batch.len() == 1 { Err(error) } else { Ok(batch.iter().flat_map(|one| self.alone(one)).collect()) }
        });
        let findings = findings.unwrap_or_else(|error| vec![Err(error.to_string())]);
        for ((i, _), finding) in batch.drain(..).zip(findings) {
            outcomes[i] = Some(finding);
        }
        Ok(())
    }

    fn alone(&mut self, image: &Ready) -> Vec<Result<Finding, String>> {
        self.forward(std::slice::from_ref(image)).unwrap_or_else(|error| vec![Err(error.to_string())])
    }

    fn forward(&mut self, batch: &[Ready]) -> Result<Vec<Result<Finding, String>>, ModelError> {
        let views: Vec<_> = batch.iter().map(|(_, array)| array.view()).collect();
        let shape =
            |e: ndarray::ShapeError| ModelError::Output { found: e.to_string(), expected: "images of one size".into() };
        let (logits, spread): (Array2<f32>, Option<Array2<f32>>) = self.clock.time(Stage::Infer, || {
            let input = ndarray::stack(Axis(0), &views).map_err(shape)?;
            let (logits, spread) = self.model.network.forward_with_spread(input.view().into_dyn())?;
            let logits = logits.global()?;
            let spread = spread_of::<Ix2>(spread, logits.shape())?;
            Ok::<_, ModelError>((logits, spread))
        })?;
        if logits.nrows() != batch.len() {
            let (found, expected) = (format!("{} rows of logits", logits.nrows()), format!("{}", batch.len()));
            return Err(ModelError::Output { found, expected });
        }
        let finding = |(image, row): (usize, ndarray::ArrayView1<f32>)| {
            self.finding(&row.to_vec(), spread.as_ref().map(|spread| spread.row(image).to_vec()))
        };
        Ok(logits.outer_iter().enumerate().map(finding).collect())
    }

    /// `spread`: one a logit, where the network combines several answers.
    fn finding(&self, logits: &[f32], spread: Option<Vec<f32>>) -> Result<Finding, String> {
        let finite = |values: &[f32], what: &str| match values.iter().find(|v| !v.is_finite()) {
            Some(bad) => Err(ModelError::Output { found: bad.to_string(), expected: what.into() }.to_string()),
            None => Ok(()),
        };
        finite(logits, "finite logits")?;
        let activation = self.task.activation;
        let finding = decide(self.task, &activate::probabilities(activation, logits));
        let Some(spread) = spread else { return Ok(finding) };
        finite(&spread, "a finite spread of the answers")?;
        Ok(finding.with_spreads(&activate::spreads(activation, &spread)))
    }
}

fn prediction(
    task: &ClassificationSpec,
    inputs: &[Input],
    outcomes: Vec<Result<Finding, String>>,
) -> Result<Prediction, RunError> {
    let instance_of = instances(inputs).enumerate().flat_map(|(i, inputs)| inputs.iter().map(move |input| (i, input)));
    let images = instance_of.zip(outcomes).map(|((image, input), outcome)| ImagePrediction {
        image,
        frame: input.frame,
        view: input.view.clone(),
        outcome,
    });
    let images: Vec<ImagePrediction> = images.collect();
    let reasons: Vec<String> =
        images.iter().filter_map(|p| p.outcome.as_ref().err().map(|reason| format!("{}: {reason}", p.view))).collect();
    if reasons.len() == images.len() {
        return Err(RunError::NoImage(reasons));
    }
    let overall = aggregate(task, &images);
    Ok(Prediction { images, overall })
}

fn attributes_of_all<'a>(
    inputs: &[Input],
    attributes: &'a [Option<ImageAttributes>],
    prediction: &Prediction,
) -> Result<Vec<&'a ImageAttributes>, RunError> {
    let all = instances(inputs).zip(attributes).enumerate().map(|(i, (instance, attributes))| {
        attributes.as_ref().ok_or_else(|| {
            let failed = prediction.images.iter().find(|p| p.image == i).and_then(|p| p.outcome.as_ref().err());
            let view = instance.first().map(|input| input.view.clone()).unwrap_or_default();
            RunError::Unreadable { view, reason: failed.cloned().unwrap_or_default() }
        })
    });
    all.collect()
}

fn context<'a>(
    model: &'a LoadedModel,
    request: &RunRequest,
    regions: &Regions,
    images: &'a [&'a ImageAttributes],
) -> ResultContext<'a> {
    let uids = ResultUids::new(images, &model.manifest, &model.weights_sha256).on_regions(regions.identity());
    ResultContext {
        manifest: &model.manifest,
        weights_sha256: &model.weights_sha256,
        images,
        created: time::OffsetDateTime::now_utc(),
        uids: if request.force { uids.forced(uuid::Uuid::new_v4()) } else { uids },
        software_version: env!("CARGO_PKG_VERSION"),
        sr_sop_class: SrSopClass::default(),
    }
}

#[cfg(test)]
mod tests;
