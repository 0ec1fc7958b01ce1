//! One run, start to end: the data path of ARCHITECTURE.md, one line a stage.
//!
//! What a run takes and makes depends on the manifest's task: [`classify`], [`segment`] (volumes, by way of [`channels`]) and
//! [`segment_images`] ([`segment_groups`]: which images share an object) go from the request's instances to result objects; here they
//! are stored. [`regions`]: of images only what an earlier model has segmented.

mod ahead;
mod channels;
mod classify;
mod document;
pub mod explain;
mod plausible;
mod regions;
mod segment;
mod segment_groups;
mod segment_images;

#[cfg(test)]
#[path = "../../../tests/support/heads.rs"]
mod heads;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::limits::Limits;
use super::record::{RunRequest, Stage};
use super::stages::KnownRegions;
use crate::imaging::ImagingError;
use crate::manifest::{SelectSpec, TaskSpec};
use crate::model::LoadedModel;
use crate::result::{Report, ResultError, ResultObject, Results};
use crate::source::{InstanceSource, ResultStore, SourceError, StoreStatus, StoredInstance};
use crate::transform::TransformError;
pub use document::RunSettings;
use regions::{Finder, FirstStage};
use segment_images::Question;

/// What a run tells while it runs, and whether it is still wanted. The worker, the tool and the tests each have one.
pub trait Monitor: Sync {
    /// `done` of `total` images have passed `stage`.
    fn progress(&self, stage: Stage, done: usize, total: usize);
    /// Looked at between stages and between images.
    fn is_cancelled(&self) -> bool;
    /// Result objects with these SOP Instance UIDs are about to be stored.
    ///
    /// # Errors
    /// Nothing may be stored; the run ends with the error.
    fn storing(&self, _sop_instance_uids: &[&str]) -> Result<(), RunError> {
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cancelled")]
    Cancelled,
    /// A report cannot name an image of which not even the header is there.
    #[error("{view}: {reason}")]
    Unreadable { view: String, reason: String },
    /// Every image failed: there is nothing to report.
    #[error("none of the {} images could be analysed: {}", .0.len(), some_of(.0))]
    NoImage(Vec<String>),
    /// The slices make no input that the model takes.
    #[error("{0}")]
    Volume(String),
    /// The images are not what the model was made for.
    #[error("{0}")]
    Implausible(String),
    #[error(transparent)]
    Transform(#[from] TransformError),
    #[error(transparent)]
    Result(#[from] ResultError),
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A codec, or libtorch; the log has the place.
    #[error("internal error (a panic; see the log for its place)")]
    Panic,
    /// The regions of interest are not there, or cannot be read.
    #[error("{0}")]
    Region(String),
    #[error("the model {model} is not loaded: {reason}")]
    NotLoaded { model: String, reason: String },
}

/// A series of hundreds of slices mostly fails for one reason.
fn some_of(reasons: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = reasons[..reasons.len().min(SHOWN)].join("; ");
    if reasons.len() > SHOWN { format!("{shown}; and {} more", reasons.len() - SHOWN) } else { shown }
}

impl RunError {
    /// Whether another attempt may succeed. What is wrong with the images or with the model's answer stays wrong; what is
    /// wrong with the server may be over in a minute.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Panic | Self::NotLoaded { .. } => true,
            Self::Cancelled
            | Self::Unreadable { .. }
            | Self::NoImage(_)
            | Self::Volume(_)
            | Self::Region(_)
            | Self::Implausible(_)
            | Self::Transform(_)
            | Self::Result(_) => false,
        }
    }
}

/// What a task's stages hand over to be stored.
struct Outcome {
    results: Results,
    slices: Vec<AnalysedSlice>,
    /// What a reader should know although the run has succeeded.
    warnings: Vec<String>,
}

/// One slice of a segmented volume, as a page that shows it needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalysedSlice {
    /// Of the displayed channel's instance.
    pub sop_instance_uid: String,
    /// From 1, in a multi-frame instance.
    pub frame: Option<u32>,
    /// False outside the part of the volume that the network saw.
    pub analysed: bool,
    /// Frames of the SEG that lie on the slice, from 0.
    pub mask_frames: Vec<usize>,
}

/// An image's or file's error, with the setting that drew the line where it is one of size.
fn told(error: &ImagingError) -> String {
    match error {
        ImagingError::TooManyVoxels { .. } => format!("{error} (Ai.Limits.MemoryMegabytes)"),
        error => error.to_string(),
    }
}

/// What a run leaves.
#[derive(Debug)]
pub struct RunOutcome {
    pub report: Report,
    /// Of a segmentation, in the order of the masks' slices.
    pub slices: Vec<AnalysedSlice>,
    pub stored: Vec<StoredInstance>,
    /// Beside those of the selection: what was seen when the images were read.
    pub warnings: Vec<String>,
    pub stage_seconds: BTreeMap<String, f64>,
}

/// Runs `model` on the request's inputs, within `limits`, and stores the result objects.
///
/// # Errors
/// [`RunError`]; then nothing is stored.
pub fn run(
    source: &dyn InstanceSource,
    store: &dyn ResultStore,
    model: &mut LoadedModel,
    request: &RunRequest,
    limits: Limits,
    monitor: &dyn Monitor,
) -> Result<RunOutcome, RunError> {
    run_staged((source, store), model, FirstModel::default(), request, limits, monitor)
}

/// What a model with a region of interest has of the one that finds it.
#[derive(Default)]
pub struct FirstModel<'a> {
    /// Run first where it has not analysed the images yet.
    pub model: Option<&'a mut LoadedModel>,
    /// What it has found in them.
    pub regions: Option<&'a KnownRegions>,
}

/// As [`run`], of a model that may look at regions which another one finds, with what is to be stored beside its results.
///
/// # Errors
/// As [`run`].
pub fn run_staged(
    (source, store): (&dyn InstanceSource, &dyn ResultStore),
    model: &mut LoadedModel,
    first: FirstModel,
    request: &RunRequest,
    settings: impl Into<RunSettings>,
    monitor: &dyn Monitor,
) -> Result<RunOutcome, RunError> {
    let RunSettings { limits, encapsulated_pdf } = settings.into();
    let clock = Clock::start();
    let FirstStage { regions, objects, warnings: mut told } = match &model.manifest.input.region_of_interest {
        Some(spec) => {
            let finder = Finder { source, request, limits, monitor, clock: &clock };
            finder.find(spec, first.regions, first.model)?
        }
        None => FirstStage::default(),
    };
    let checks = &model.manifest.input.plausibility;
    let out_of_domain = clock.time(Stage::Read, || plausible::check(source, checks, &request.inputs, limits))?;
    let Outcome { mut results, slices, warnings } = match (&model.manifest.task, &model.manifest.input.select) {
        (TaskSpec::Classification(_), _) => {
            classify::outcome(source, model, request, (&regions, &out_of_domain), limits, monitor, &clock)?
        }
        (TaskSpec::Segmentation(_), SelectSpec::Volumes(_)) => {
            segment::outcome(source, model, request, limits, monitor, &clock)?
        }
        (TaskSpec::Segmentation(_), _) => {
            let question = Question { inputs: &request.inputs, regions: &regions, force: request.force, limits };
            segment_images::outcome(source, model, &question, monitor, &clock)?
        }
    };
    told.extend(warnings);
    told.append(&mut results.warnings);
    told.extend(out_of_domain.iter().cloned());
    results.report.out_of_domain = out_of_domain;
    if let Some(language) = encapsulated_pdf.filter(|_| !monitor.is_cancelled()) {
        let made = clock.time(Stage::Encode, || document::object(source, model, request, &results, (language, &told)));
        match made {
            Ok(object) => results.objects.push(object),
            Err(reason) => told.push(format!("the report was not stored as PDF: {reason}")),
        }
    }
    results.objects.splice(0..0, objects);
    if monitor.is_cancelled() {
        return Err(RunError::Cancelled);
    }
    let stored = clock.time(Stage::Store, || -> Result<_, RunError> {
        monitor.progress(Stage::Store, 0, results.objects.len());
        let uids: Vec<&str> = results.objects.iter().map(|o| o.sop_instance_uid.as_str()).collect();
        monitor.storing(&uids)?;
        Ok(store_all(store, &results.objects, monitor)?)
    })?;
    Ok(RunOutcome { report: results.report, slices, stored, warnings: told, stage_seconds: clock.seconds() })
}

/// All of a run's objects or none.
fn store_all(
    store: &dyn ResultStore,
    objects: &[ResultObject],
    monitor: &dyn Monitor,
) -> Result<Vec<StoredInstance>, SourceError> {
    let mut stored: Vec<StoredInstance> = Vec::with_capacity(objects.len());
    for object in objects {
        match store.store(object) {
            Ok(instance) => {
                stored.push(instance);
                monitor.progress(Stage::Store, stored.len(), objects.len());
            }
            Err(error) => {
                for new in stored.iter().filter(|s| s.status == StoreStatus::Stored) {
                    if let Err(e) = store.discard(&new.path) {
                        log::warn!("a result object of a run that failed stays in the archive: {e}");
                    }
                }
                return Err(error);
            }
        }
    }
    Ok(stored)
}

/// Seconds by stage, from several threads.
struct Clock {
    started: Instant,
    spent: Mutex<BTreeMap<Stage, Duration>>,
}

impl Clock {
    fn start() -> Self {
        Self { started: Instant::now(), spent: Mutex::default() }
    }

    fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = work();
        self.add(stage, start.elapsed());
        out
    }

    fn add(&self, stage: Stage, spent: Duration) {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner).entry(stage).or_default() += spent;
    }

    fn seconds(&self) -> BTreeMap<String, f64> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let by_stage = spent.iter().map(|(stage, d)| (stage.name().to_string(), d.as_secs_f64()));
        by_stage.chain([("total".to_string(), self.started.elapsed().as_secs_f64())]).collect()
    }
}
