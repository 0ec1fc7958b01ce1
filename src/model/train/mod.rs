//! Fits a model's network to synthetic mammograms. It makes the DEMO weights: they show that everything works, and know
//! nothing about real breasts.
//!
//! In stages, as for real mammograms (Shen et al. 2019, Sci. Rep. 9:12495): squares around the lesions first, which are
//! cheap and show the network what to look for, then whole images, which teach it to find that in a breast.

mod evaluate;
mod fit;
mod samples;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::weights;
use super::{ModelError, WeightsError};
use crate::imaging::ImagingError;
use crate::manifest::network::ResNet50Spec;
use crate::manifest::{Manifest, ManifestError, NetworkSpec, WeightsFormat};
use crate::phantom::PhantomError;
use crate::transform::TransformError;

pub use evaluate::{EvaluateOptions, Evaluation, evaluate};
pub use samples::{Detector, Purpose};

/// Why a training or an evaluation ends early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("network: found {found}, expected ResNet50: only it can be trained")]
    Network { found: &'static str },
    #[error("classes: found no \"{name}\", expected the phantoms' four classes")]
    Class { name: &'static str },
    #[error("{key}: found {found}, expected {expected}")]
    Option { key: &'static str, found: usize, expected: &'static str },
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

/// How to train. The same options and number of threads on the same kind of CPU give the same weights.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    pub seed: u64,
    /// Phantoms drawn, a quarter of each class.
    pub images: usize,
    /// One after the other.
    pub stages: Vec<Stage>,
    /// Probability taken from the right class and spread over all: keeps the network from being too sure.
    pub label_smoothing: f64,
    /// Threads of the optimizer; phantoms are drawn on all cores, which changes nothing in them.
    pub threads: usize,
}

/// Passes over the set with squares of one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Height and width in pixels of the prepared image; at its size and above the whole image is taken.
    pub size: usize,
    /// One square is cut out of each image in each pass.
    pub epochs: usize,
    pub batch: usize,
    /// Peak of the stage's schedule.
    pub learning_rate: f64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            images: 2400,
            // Small squares cost a tenth of the image; each growth teaches to find the same in more surroundings.
            stages: vec![
                Stage { size: 160, epochs: 12, batch: 16, learning_rate: 2e-3 },
                Stage { size: 320, epochs: 3, batch: 16, learning_rate: 1.5e-3 },
                Stage { size: 512, epochs: 6, batch: 8, learning_rate: 1.5e-3 },
            ],
            label_smoothing: 0.05,
            // Narrow layers gain little from a second thread, and one gives the same sums everywhere.
            threads: 1,
        }
    }
}

/// Where a training stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// So many phantoms are drawn.
    Drawn { done: usize, of: usize },
    /// One pass of a stage is over.
    Epoch { size: usize, epoch: usize, of: usize, loss: f64, accuracy: f64, seconds: f64 },
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

/// A model's folder, its manifest read.
pub(super) struct Folder {
    path: PathBuf,
    text: String,
    manifest: Manifest,
}

impl Folder {
    fn read(path: &Path) -> Result<Self, TrainError> {
        let file = path.join("manifest.json");
        let text =
            std::fs::read_to_string(&file).map_err(|e| TrainError::File { path: file, reason: e.to_string() })?;
        let manifest = Manifest::from_json(&text)?;
        Ok(Self { path: path.to_owned(), text, manifest })
    }

    fn resnet50(&self) -> Result<&ResNet50Spec, TrainError> {
        match &self.manifest.network {
            NetworkSpec::ResNet50(spec) => Ok(spec),
            other => Err(TrainError::Network { found: other.name() }),
        }
    }

    fn weights(&self) -> PathBuf {
        self.path.join(&self.manifest.weights.file)
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

/// Trains the network of the model in `folder` and writes the weights' file that its manifest names (safetensors,
/// torchvision's keys) and the file's SHA-256 into the manifest.
///
/// # Errors
/// [`TrainError`]: a manifest that is not a ResNet50 with the phantoms' classes, impossible options, a full disk.
pub fn train(
    folder: &Path,
    options: &TrainOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<TrainReport, TrainError> {
    let started = Instant::now();
    let folder = Folder::read(folder)?;
    let spec = folder.resnet50()?;
    if folder.manifest.weights.format != WeightsFormat::Safetensors {
        let reason = "weights.format is not \"safetensors\", the only one that training writes".into();
        return Err(TrainError::File { path: folder.path.join("manifest.json"), reason });
    }
    check(options)?;
    let fitted = fit::fit(&folder.manifest, spec, options, progress)?;
    let weights = folder.weights();
    fitted.variables.save(&weights)?;
    let sha256 = weights::sha256(&weights)?;
    folder.write_hash(&sha256)?;
    Ok(TrainReport {
        bytes: std::fs::metadata(&weights).map_or(0, |m| m.len()),
        parameters: fitted.variables.trainable_variables().iter().map(tch::Tensor::numel).sum(),
        weights,
        sha256,
        images: options.images,
        seconds: started.elapsed().as_secs_f64(),
        loss: fitted.loss,
    })
}

fn check(options: &TrainOptions) -> Result<(), TrainError> {
    let fail = |key, found, expected| Err(TrainError::Option { key, found, expected });
    if options.threads == 0 {
        return fail("threads", 0, "at least 1");
    }
    if options.stages.is_empty() {
        return fail("stages", 0, "at least 1");
    }
    for stage in &options.stages {
        // Below 64 pixels the deepest layer would see less than two by two places.
        if stage.size < 64 {
            return fail("stage size", stage.size, "at least 64 pixels");
        }
        if stage.epochs == 0 {
            return fail("stage epochs", 0, "at least 1");
        }
        if !(1..=options.images).contains(&stage.batch) {
            return fail("stage batch", stage.batch, "1 to the number of images");
        }
    }
    Ok(())
}
