//! The stages of a classification: each image on its own, one report.
//!
//! Fetch, read and prepare go over the images on two threads, so that at most two decoded images are held and the network
//! never waits for the disk of the next one; infer goes image by image on the worker's device. An image that fails keeps
//! its error and the others go on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ndarray::{Array3, Axis};

use super::{Clock, Monitor, Outcome, RunError, told};
use crate::imaging::{self, ImageAttributes, VoxelBudget};
use crate::model::{LoadedModel, ModelError};
use crate::predict::{Finding, ImagePrediction, Prediction, activate};
use crate::result::{self, Remarks, ResultContext, ResultUids, SrSopClass};
use crate::run::limits::Limits;
use crate::run::record::{RunRequest, Stage};
use crate::run::select::Input;
use crate::source::{InstanceSource, SourceError};
use crate::transform::TransformChain;

/// From the request's images to the result objects.
pub(super) fn outcome(
    source: &dyn InstanceSource,
    model: &mut LoadedModel,
    request: &RunRequest,
    limits: Limits,
    monitor: &dyn Monitor,
    clock: &Clock,
    out_of_domain: &[String],
) -> Result<Outcome, RunError> {
    let chain = TransformChain::new(&model.manifest.preprocessing)?;
    let prepared = prepare_all(source, &chain, &request.inputs, limits, monitor, clock)?;
    let prediction = infer_all(model, &request.inputs, &prepared, monitor, clock)?;
    let images = attributes_of_all(&request.inputs, &prepared)?;
    let results = clock.time(Stage::Encode, || {
        monitor.progress(Stage::Encode, 0, 1);
        let remarks = Remarks { out_of_domain, ..Remarks::default() };
        result::encode_remarked(&context(model, request, &images), &prediction, &remarks)
    })?;
    Ok(Outcome { results, slices: Vec::new(), warnings: Vec::new() })
}

/// An image ready for the network, and what the result needs of its source.
struct PreparedImage {
    /// None where not even the header can be read.
    attributes: Option<ImageAttributes>,
    /// (channel, row, column); or why this image cannot be analysed.
    array: Result<Array3<f32>, String>,
}

/// Fetch → read → prepare, each image on its own; at most [`PREPARE_THREADS`] at a time.
fn prepare_all(
    source: &dyn InstanceSource,
    chain: &TransformChain,
    inputs: &[Input],
    limits: Limits,
    monitor: &dyn Monitor,
    clock: &Clock,
) -> Result<Vec<PreparedImage>, RunError> {
    const PREPARE_THREADS: usize = 2;
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let prepared: Vec<Mutex<Option<PreparedImage>>> = inputs.iter().map(|_| Mutex::new(None)).collect();
    let failed: Mutex<Option<SourceError>> = Mutex::new(None);
    monitor.progress(Stage::Fetch, 0, inputs.len());
    std::thread::scope(|scope| {
        for _ in 0..PREPARE_THREADS.min(inputs.len()) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(input) = inputs.get(i) else { break };
                    if monitor.is_cancelled() {
                        break;
                    }
                    let image = match prepare(source, chain, input, &limits.budget_of_part(PREPARE_THREADS), clock) {
                        Ok(image) => image,
                        Err(error) => {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            break;
                        }
                    };
                    *prepared[i].lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
                    monitor.progress(Stage::Prepare, done.fetch_add(1, Ordering::Relaxed) + 1, inputs.len());
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    let images = prepared.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    images.collect::<Option<Vec<_>>>().filter(|_| !monitor.is_cancelled()).ok_or(RunError::Cancelled)
}

/// # Errors
/// The source does not give the image now, but may another time: the whole run has to wait for it.
fn prepare(
    source: &dyn InstanceSource,
    chain: &TransformChain,
    input: &Input,
    budget: &VoxelBudget,
    clock: &Clock,
) -> Result<PreparedImage, SourceError> {
    let bytes = match clock.time(Stage::Fetch, || source.fetch(&input.id)) {
        Ok(bytes) => bytes,
        Err(e) if e.is_transient() => return Err(e),
        Err(e) => return Ok(PreparedImage { attributes: None, array: Err(e.to_string()) }),
    };
    let image = match clock.time(Stage::Read, || imaging::read_instance_within(&bytes, source.frame_decoder(), budget))
    {
        Ok(image) => image,
        // The report still names the image that failed.
        Err(e) => {
            return Ok(PreparedImage { attributes: imaging::read_attributes(&bytes).ok(), array: Err(told(&e)) });
        }
    };
    drop(bytes);
    let prepared = clock.time(Stage::Prepare, || chain.apply(&image));
    let array = prepared.map(|p| p.array).map_err(|e| e.to_string());
    Ok(PreparedImage { attributes: Some(image.attributes), array })
}

fn infer_all(
    model: &mut LoadedModel,
    inputs: &[Input],
    prepared: &[PreparedImage],
    monitor: &dyn Monitor,
    clock: &Clock,
) -> Result<Prediction, RunError> {
    let mut images = Vec::with_capacity(inputs.len());
    for (i, (input, image)) in inputs.iter().zip(prepared).enumerate() {
        if monitor.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        monitor.progress(Stage::Infer, i, inputs.len());
        let outcome = match &image.array {
            Ok(array) => clock.time(Stage::Infer, || infer(model, array)).map_err(|e| e.to_string()),
            Err(reason) => Err(reason.clone()),
        };
        images.push(ImagePrediction { image: i, view: input.view.clone(), outcome });
    }
    let prediction = Prediction { images };
    let reasons: Vec<String> = prediction
        .images
        .iter()
        .filter_map(|p| p.outcome.as_ref().err().map(|reason| format!("{}: {reason}", p.view)))
        .collect();
    if reasons.len() == prediction.images.len() { Err(RunError::NoImage(reasons)) } else { Ok(prediction) }
}

fn infer(model: &mut LoadedModel, array: &Array3<f32>) -> Result<Finding, ModelError> {
    let logits = model.network.forward(array.view().insert_axis(Axis(0)).into_dyn())?.global()?;
    let row: Vec<f32> = logits.row(0).to_vec();
    if let Some(bad) = row.iter().find(|l| !l.is_finite()) {
        return Err(ModelError::Output { found: bad.to_string(), expected: "finite logits".into() });
    }
    Ok(Finding::from_probabilities(&activate::softmax(&row)))
}

fn attributes_of_all<'a>(
    inputs: &[Input],
    prepared: &'a [PreparedImage],
) -> Result<Vec<&'a ImageAttributes>, RunError> {
    let attributes = inputs.iter().zip(prepared).map(|(input, image)| {
        image.attributes.as_ref().ok_or_else(|| RunError::Unreadable {
            view: input.view.clone(),
            reason: image.array.as_ref().err().cloned().unwrap_or_default(),
        })
    });
    attributes.collect()
}

fn context<'a>(model: &'a LoadedModel, request: &RunRequest, images: &'a [&'a ImageAttributes]) -> ResultContext<'a> {
    let uids = ResultUids::new(images, &model.manifest, &model.weights_sha256);
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
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::source::{InstanceBytes, InstanceHeader, InstanceId, Resource};

    struct Failing(fn() -> SourceError);

    impl InstanceSource for Failing {
        fn headers(&self, _: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
            Ok(Vec::new())
        }

        fn fetch(&self, _: &InstanceId) -> Result<InstanceBytes, SourceError> {
            Err((self.0)())
        }
    }

    struct Quiet;

    impl Monitor for Quiet {
        fn progress(&self, _: Stage, _: usize, _: usize) {}

        fn is_cancelled(&self) -> bool {
            false
        }
    }

    #[test]
    fn an_image_that_the_server_cannot_give_now_is_waited_for() {
        let input =
            |id: &str| Input { id: InstanceId(id.into()), sop_instance_uid: id.into(), view: id.into(), group: 0 };
        let inputs: Vec<Input> = ["1", "2", "3"].map(input).to_vec();
        let manifest = include_str!("../../../models/mammography-4view-demo/manifest.json");
        let chain = TransformChain::new(&Manifest::from_json(manifest).unwrap().preprocessing).unwrap();
        let prepare = |error: fn() -> SourceError| {
            prepare_all(&Failing(error), &chain, &inputs, Limits::default(), &Quiet, &Clock::start())
        };
        let busy = prepare(|| SourceError::Host("the disk is full".into()));
        assert!(busy.is_err_and(|e| e.is_transient() && e.to_string() == "the disk is full"));
        // One that is gone stays gone: the report says so where it can.
        let gone = prepare(|| SourceError::UnknownResource("/instances/1".into())).unwrap();
        assert!(gone.iter().all(|image| image.array.is_err() && image.attributes.is_none()));
    }
}
