//! Fits a model's network to phantoms. It makes the DEMO weights: they show that everything works, and know nothing about
//! real breasts.
//!
//! What is trained follows from the manifest: a ResNet50 that classifies learns the phantoms of the modality that it takes
//! ([`classification`]), a SwinUNETR that segments learns breast MRI ([`segmentation`]), a UNet single slices of it
//! ([`image_segmentation`]).

mod classification;
mod fit;
mod image_segmentation;
mod options;
mod segmentation;
mod teacher;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::weights;
use super::{Device, ModelError, Network, WeightsError, network};
use crate::imaging::ImagingError;
use crate::manifest::network::{ResNet50Spec, SwinUnetrSpec, UnetSpec};
use crate::manifest::{Manifest, ManifestError, NetworkSpec, PostprocessingSpec, TaskSpec, WeightsFormat};
use crate::phantom::PhantomError;
use crate::transform::TransformError;

pub use classification::Evaluation as ClassificationEvaluation;
#[cfg(test)]
use options::Purpose;
pub use options::{Detector, EvaluateOptions, Stage, TrainOptions};
use options::{PhantomSet, Schedule};
pub use segmentation::Evaluation as SegmentationEvaluation;

/// Why a training or an evaluation ends early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(
        "found {network} for a {task}, expected ResNet50 for a classification of MG, CT, MR or XC, or SwinUNETR or UNet for a segmentation"
    )]
    Untrainable { network: &'static str, task: &'static str },
    #[error("{found} input channels and {segments} segments, expected the phantoms' {phases} phases and one tumour")]
    Channels { found: usize, segments: usize, phases: usize },
    #[error("classes: found no \"{name}\", expected the phantoms' classes")]
    Class { name: &'static str },
    #[error("{key}: found {found}, expected {expected}")]
    Option { key: &'static str, found: usize, expected: &'static str },
    #[error("stage size: found {found} (slices x rows and columns), expected {expected}")]
    StageSize { found: String, expected: &'static str },
    #[error("loss is {0}: a lower learning rate may help")]
    Diverged(f64),
    #[error(transparent)]
    Phantom(#[from] PhantomError),
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    #[error(transparent)]
    Transform(#[from] TransformError),
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<tch::TchError> for TrainError {
    fn from(error: tch::TchError) -> Self {
        Self::Model(error.into())
    }
}

impl From<WeightsError> for TrainError {
    fn from(error: WeightsError) -> Self {
        Self::Model(error.into())
    }
}

/// Where a training stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// So many phantoms are drawn.
    Drawn { done: usize, of: usize },
    /// One pass of a stage is over. The score is the share of right answers, or the Dice coefficient.
    Epoch { slices: usize, size: usize, epoch: usize, of: usize, loss: f64, score: f64, seconds: f64 },
}

/// What a training made.
#[derive(Debug, Clone)]
pub struct TrainReport {
    pub weights: PathBuf,
    pub sha256: String,
    pub bytes: u64,
    pub parameters: usize,
    pub images: usize,
    pub seconds: f64,
    /// Mean loss of the last pass.
    pub loss: f64,
}

/// What `fit` made.
struct Fitted {
    variables: tch::nn::VarStore,
    loss: f64,
}

/// A model's folder, its manifest read.
struct Folder {
    path: PathBuf,
    text: String,
    manifest: Manifest,
}

/// What can be trained.
enum Trainable<'a> {
    Classifier(&'a ResNet50Spec),
    Segmenter(&'a SwinUnetrSpec),
    ImageSegmenter(&'a UnetSpec),
}

impl Folder {
    fn read(path: &Path) -> Result<Self, TrainError> {
        let file = path.join("manifest.json");
        let text =
            std::fs::read_to_string(&file).map_err(|e| TrainError::File { path: file, reason: e.to_string() })?;
        let manifest = Manifest::from_json(&text)?;
        Ok(Self { path: path.to_owned(), text, manifest })
    }

    fn trainable(&self) -> Result<Trainable<'_>, TrainError> {
        match (&self.manifest.network, &self.manifest.task) {
            (NetworkSpec::ResNet50(spec), TaskSpec::Classification(_)) => Ok(Trainable::Classifier(spec)),
            (NetworkSpec::SwinUNETR(spec), TaskSpec::Segmentation(_)) => Ok(Trainable::Segmenter(spec)),
            (NetworkSpec::UNet(spec), TaskSpec::Segmentation(_)) => Ok(Trainable::ImageSegmenter(spec)),
            (network, task) => Err(TrainError::Untrainable {
                network: network.name(),
                task: match task {
                    TaskSpec::Classification(_) => "classification",
                    TaskSpec::Segmentation(_) => "segmentation",
                },
            }),
        }
    }

    fn weights(&self) -> PathBuf {
        self.path.join(&self.manifest.weights.file)
    }

    /// The network in its inference form, on this thread.
    fn network(&self, threads: usize) -> Result<Box<dyn Network>, ModelError> {
        let device = Device::from_choice("cpu", Some(threads))?;
        device.enter_thread();
        network::load(&self.manifest.network, &self.weights(), self.manifest.weights.format, device)
    }

    fn postprocessing(&self) -> &[PostprocessingSpec] {
        match &self.manifest.task {
            TaskSpec::Segmentation(task) => &task.postprocessing,
            TaskSpec::Classification(_) => &[],
        }
    }

    /// Writes the weights' hash into the manifest and leaves the rest of it as it is.
    fn write_hash(&self, sha256: &str) -> Result<(), TrainError> {
        let file = self.path.join("manifest.json");
        let fail = |reason: String| TrainError::File { path: file.clone(), reason };
        let mut json: serde_json::Value = serde_json::from_str(&self.text).map_err(|e| fail(e.to_string()))?;
        json["weights"]["sha256"] = sha256.into();
        let text = serde_json::to_string_pretty(&json).map_err(|e| fail(e.to_string()))?;
        std::fs::write(&file, text + "\n").map_err(|e| fail(e.to_string()))
    }
}

/// Trains the network of the model in `folder` and writes the weights' file that its manifest names (safetensors, the keys of
/// torchvision or MONAI) and the file's SHA-256 into the manifest.
///
/// # Errors
/// [`TrainError`]: a manifest whose network or classes no phantom teaches, impossible options, a full disk.
pub fn train(
    folder: &Path,
    options: &TrainOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<TrainReport, TrainError> {
    let started = Instant::now();
    let folder = Folder::read(folder)?;
    let trainable = folder.trainable()?;
    if folder.manifest.weights.format != WeightsFormat::Safetensors {
        let reason = "weights.format is not \"safetensors\", the only one that training writes".into();
        return Err(TrainError::File { path: folder.path.join("manifest.json"), reason });
    }
    let (schedule, fitted) = match trainable {
        Trainable::Classifier(spec) => {
            let course = teacher::teacher(&folder.manifest)?.course();
            let fits = |s: &Stage| s.slices == 1 && s.size >= classification::LEAST_SIZE;
            let expected = "one slice of at least 64 pixels";
            let mut schedule = Schedule::new(options, course.images, course.stages, fits, expected)?;
            schedule.half = course.half;
            let fitted = classification::fit(&folder.manifest, spec, &schedule, progress)?;
            (schedule, fitted)
        }
        Trainable::ImageSegmenter(spec) => {
            use image_segmentation::{IMAGES, SIZE_DIVISOR, STAGES, fit};
            let fits = |s: &Stage| s.slices == 1 && s.size > SIZE_DIVISOR && s.size.is_multiple_of(SIZE_DIVISOR);
            let schedule = Schedule::new(options, IMAGES, &STAGES, fits, "one slice of a multiple of 16 pixels")?;
            let fitted = fit(&folder.manifest, spec, &schedule, progress)?;
            (schedule, fitted)
        }
        Trainable::Segmenter(spec) => {
            use segmentation::{IMAGES, STAGES, fit};
            let divides = |size: usize| size > 0 && size.is_multiple_of(SwinUnetrSpec::SIZE_DIVISOR);
            let fits = |s: &Stage| divides(s.slices) && divides(s.size);
            let schedule = Schedule::new(options, IMAGES, &STAGES, fits, "multiples of 32 voxels")?;
            let fitted = fit(&folder.manifest, spec, &schedule, progress)?;
            (schedule, fitted)
        }
    };
    let weights = folder.weights();
    fitted.variables.save(&weights)?;
    let sha256 = weights::sha256(&weights)?;
    folder.write_hash(&sha256)?;
    Ok(TrainReport {
        bytes: std::fs::metadata(&weights).map_or(0, |m| m.len()),
        parameters: fitted.variables.trainable_variables().iter().map(tch::Tensor::numel).sum(),
        weights,
        sha256,
        images: schedule.images,
        seconds: started.elapsed().as_secs_f64(),
        loss: fitted.loss,
    })
}

/// How right a model is about phantoms it has never seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Evaluation {
    Classification(ClassificationEvaluation),
    Segmentation(SegmentationEvaluation),
}

impl std::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Classification(evaluation) => evaluation.fmt(f),
            Self::Segmentation(evaluation) => evaluation.fmt(f),
        }
    }
}

/// Runs the model in `folder` on phantoms that training never draws, whatever its seed: the stored weights, the inference
/// form of the network, the whole chain of the manifest.
///
/// # Errors
/// [`TrainError`]: the manifest, its weights, or classes that are not the phantoms'.
pub fn evaluate(folder: &Path, options: &EvaluateOptions) -> Result<Evaluation, TrainError> {
    let folder = Folder::read(folder)?;
    Ok(match folder.trainable()? {
        Trainable::Classifier(_) => Evaluation::Classification(classification::evaluate(&folder, options)?),
        Trainable::Segmenter(_) => Evaluation::Segmentation(segmentation::evaluate(&folder, options)?),
        Trainable::ImageSegmenter(_) => Evaluation::Segmentation(image_segmentation::evaluate(&folder, options)?),
    })
}
