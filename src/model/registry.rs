//! The models folder: `<models>/<name>/manifest.json` and the weights beside it.
//!
//! Two halves. [`ModelRegistry`] is what everyone may read at any time: names, states, manifests, no tensor. [`LoadedModels`]
//! are the networks; the worker makes them with [`ModelRegistry::load`] and keeps them, since a network belongs to one
//! thread at a time. Between the two a model is `Loading`.

use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ndarray::ArrayD;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ComputeThread, Device, Logits, ModelError, Network, WeightsError, ensemble, weights};
use crate::manifest::{
    self, InfererSpec, Manifest, NetworkSpec, OVERRIDE_FILE, Override, SelectSpec, TaskSpec, Thresholds, TransformSpec,
    WeightsSpec,
};

/// Bytes of a card that are handed out.
const MAX_CARD: u64 = 256 * 1024;

/// Where a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ModelState {
    /// Its manifest is good and its weights are there, being read.
    Loading,
    Ready,
    /// The weights file is not there; `Reason` says which.
    NoWeights,
    /// `Reason` says why.
    Failed,
}

impl ModelState {
    pub const ALL: [Self; 4] = [Self::Loading, Self::Ready, Self::NoWeights, Self::Failed];
}

/// What anyone may know of a model.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ModelInfo {
    /// The folder's name.
    pub name: String,
    pub state: ModelState,
    /// Why the state is NoWeights or Failed.
    pub reason: Option<String>,
    /// From here on of the manifest; empty where that could not be read.
    pub title: String,
    pub version: String,
    pub description: String,
    pub demo: bool,
    pub disclaimer: String,
    /// By language ("ko").
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub disclaimer_translations: BTreeMap<String, String>,
    /// "Classification" or "Segmentation".
    pub task: Option<&'static str>,
    /// What a run takes: "Images", "Series" (its slices) or "Volumes".
    pub input: Option<&'static str>,
    /// Images of one run at most and at least, and the views expected; 0 and none where a run takes a series or volumes.
    pub count: usize,
    pub min_count: usize,
    pub views: Vec<String>,
    /// Names of the volumes of one run; none where a run takes images.
    pub channels: Vec<String>,
    pub classes: Vec<ClassInfo>,
    pub segments: Vec<ClassInfo>,
    /// Where the weights belong: `name/file` below the models folder.
    pub weights_file: String,
    /// SHA-256 of the weights file; of several files that of their hashes.
    pub weights_sha256: Option<String>,
    /// Seconds that reading the weights and the dry run took.
    pub load_seconds: Option<f64>,
    /// Thresholds of the site's own (`override.json`), and what they rest on.
    pub r#override: Option<Override>,
}

impl ModelInfo {
    /// Runs may be asked for: those that come while the weights are read wait for it.
    pub fn can_run(&self) -> bool {
        matches!(self.state, ModelState::Ready | ModelState::Loading)
    }
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ClassInfo {
    pub name: String,
    /// `#rrggbb`
    pub color: String,
    pub translations: BTreeMap<String, String>,
    /// Of a class: from where on it is Present, below where Absent. The override's, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
}

#[derive(Debug, Clone)]
struct Entry {
    info: ModelInfo,
    manifest: Option<Arc<Manifest>>,
    folder: PathBuf,
}

/// The models by name, readable from any thread. Cloning shares.
#[derive(Debug, Clone, Default)]
pub struct ModelRegistry {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
}

/// A network ready to run, with the manifest that says what goes in and what comes out.
pub struct LoadedModel {
    pub manifest: Arc<Manifest>,
    /// SHA-256 of the weights file; of several files that of their hashes.
    pub weights_sha256: String,
    pub network: Box<dyn Network>,
}

/// The networks, owned by the thread that runs them.
#[derive(Default)]
pub struct LoadedModels {
    models: BTreeMap<String, LoadedModel>,
}

impl LoadedModels {
    pub fn get_mut(&mut self, name: &str) -> Option<&mut LoadedModel> {
        self.models.get_mut(name)
    }

    /// From now on the networks compute on `thread`.
    pub fn compute_on(&mut self, thread: &Arc<ComputeThread>) {
        let models = std::mem::take(&mut self.models).into_iter();
        self.models = models.map(|(name, m)| (name, LoadedModel { network: thread.take(m.network), ..m })).collect();
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// The model, and the one whose output is its region of interest where that is loaded too. `work` does not panic: the other would be lost.
    pub fn with_first_stage<R>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut LoadedModel, Option<&mut LoadedModel>) -> R,
    ) -> Option<R> {
        let region = self.models.get(name)?.manifest.input.region_of_interest.as_ref();
        // Two of one map: the first stage's is taken out and put back.
        let mut first = region.map(|spec| spec.model.clone()).and_then(|name| self.models.remove(&name));
        let done = self.models.get_mut(name).map(|model| work(model, first.as_mut()));
        if let Some(first) = first {
            self.models.insert(first.manifest.name.clone(), first);
        }
        done
    }
}

impl ModelRegistry {
    /// Reads the manifests of all folders below `models_dir` that have one; touches no weights, so it is quick. One bad model
    /// is Failed and stops no other. Names are unique because a model's name has to be its folder's.
    ///
    /// # Errors
    /// Only when the folder itself cannot be listed.
    pub fn scan(models_dir: &Path) -> std::io::Result<Self> {
        let mut entries = BTreeMap::new();
        for folder in std::fs::read_dir(models_dir)? {
            let folder = folder?.path();
            let Some(name) = folder.file_name().and_then(|n| n.to_str()).map(str::to_owned) else { continue };
            if folder.join("manifest.json").is_file() {
                entries.insert(name.clone(), scan_folder(name, folder));
            }
        }
        check_stages(&mut entries);
        Ok(Self { entries: Arc::new(Mutex::new(entries)) })
    }

    /// All models, by name.
    pub fn list(&self) -> Vec<ModelInfo> {
        self.lock().values().map(|entry| entry.info.clone()).collect()
    }

    pub fn get(&self, name: &str) -> Option<ModelInfo> {
        self.lock().get(name).map(|entry| entry.info.clone())
    }

    /// The model's card: README.md in its folder, at most [`MAX_CARD`] bytes. None: there is none, or no such model.
    pub fn card(&self, name: &str) -> Option<String> {
        let file = std::fs::File::open(self.lock().get(name)?.folder.join("README.md")).ok()?;
        let mut text = Vec::new();
        file.take(MAX_CARD).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// None: no such model, or its manifest could not be read.
    pub fn manifest(&self, name: &str) -> Option<Arc<Manifest>> {
        self.lock().get(name).and_then(|entry| entry.manifest.clone())
    }

    /// Loads every model that is `Loading`, one after the other, each becoming Ready or Failed as it is done. Call it on
    /// the thread that will run the networks: it also sets that thread's thread count.
    ///
    /// Once `stop` is true no further model is begun: the server ends.
    pub fn load(&self, device: Device, stop: &AtomicBool) -> LoadedModels {
        let names: Vec<String> = self.lock().keys().cloned().collect();
        let mut loaded = LoadedModels::default();
        for name in names {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            if let Some(model) = self.load_model(&name, device) {
                loaded.models.insert(name, model);
            }
        }
        loaded
    }

    /// On a node that runs no networks: every model that is `Loading` becomes Ready if its weights are those that the manifest
    /// names, so that runs can be asked for here and carried out elsewhere.
    pub fn identify(&self, stop: &AtomicBool) {
        let loading = |info: &ModelInfo| info.state == ModelState::Loading;
        for name in self.list().into_iter().filter(loading).map(|info| info.name) {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let Some(Entry { folder, manifest: Some(manifest), .. }) = self.lock().get(&name).cloned() else {
                continue;
            };
            let outcome = hash_weights(&folder, &manifest);
            let mut entries = self.lock();
            let Some(Entry { info, .. }) = entries.get_mut(&name) else { continue };
            info.state = if outcome.is_ok() { ModelState::Ready } else { ModelState::Failed };
            match outcome {
                Ok(found) => info.weights_sha256 = Some(found),
                Err(error) => info.reason = Some(format!("{name}/{error}")),
            }
        }
    }

    /// SHA-256 of the model's weights ([`LoadedModel::weights_sha256`]), also before they are loaded. Reads the files the first time.
    ///
    /// # Errors
    /// A file cannot be read or is not the one that the manifest names, or there is no such model.
    pub fn weights_sha256(&self, name: &str) -> Result<String, WeightsError> {
        let entry = self.lock().get(name).cloned();
        if let Some(known) = entry.as_ref().and_then(|e| e.info.weights_sha256.clone()) {
            return Ok(known);
        }
        let Some(Entry { folder, manifest: Some(manifest), .. }) = entry else {
            return Err(std::io::Error::from(std::io::ErrorKind::NotFound).into());
        };
        let found = hash_weights(&folder, &manifest).map_err(|error| match error {
            ModelError::WeightsFile { error, .. } => error,
            other => WeightsError::Format(other.to_string()),
        })?;
        if let Some(entry) = self.lock().get_mut(name) {
            entry.info.weights_sha256 = Some(found.clone());
        }
        Ok(found)
    }

    /// Loads one model; None where it is not there, without weights, or fails (then its entry says why).
    pub fn load_model(&self, name: &str, device: Device) -> Option<LoadedModel> {
        device.enter_thread();
        let entry = self.lock().get(name).cloned().filter(|e| e.info.state == ModelState::Loading)?;
        let manifest = entry.manifest?;
        let started = Instant::now();
        let outcome = guarded(|| load_network(&entry.folder, &manifest, device));
        let mut entries = self.lock();
        let info = &mut entries.get_mut(name)?.info;
        info.load_seconds = Some(started.elapsed().as_secs_f64());
        match outcome {
            Ok((weights_sha256, network)) => {
                info.state = ModelState::Ready;
                info.weights_sha256 = Some(weights_sha256.clone());
                Some(LoadedModel { manifest, weights_sha256, network })
            }
            Err(error) => {
                info.state = ModelState::Failed;
                info.reason = Some(match error {
                    ModelError::WeightsFile { file, error } => format!("{name}/{file}: {error}"),
                    error => error.to_string(),
                });
                None
            }
        }
    }

    /// The map is whole after every statement, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A folder's manifest and whether its weights are there.
fn scan_folder(name: String, folder: PathBuf) -> Entry {
    let read = || -> Result<Manifest, String> {
        let text = std::fs::read_to_string(folder.join("manifest.json"))
            .map_err(|e| format!("{name}/manifest.json: cannot be read: {e}"))?;
        let mut manifest = Manifest::from_json(&text).map_err(|e| format!("{name}/{e}"))?;
        if manifest.name != name {
            let found = &manifest.name;
            return Err(format!(
                "{name}/manifest.json: at name: found \"{found}\", expected the folder's name \"{name}\""
            ));
        }
        // One that cannot be read, or is not for this model, stops the model: thresholds that somebody relies on must not fall back unseen.
        match std::fs::read_to_string(folder.join(OVERRIDE_FILE)) {
            Ok(text) => manifest.apply_override(&text).map_err(|e| format!("{name}/{e}"))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(format!("{name}/{OVERRIDE_FILE}: cannot be read: {e}")),
        }
        Ok(manifest)
    };
    match read() {
        Err(reason) => {
            let info = info(name, None, ModelState::Failed, Some(reason));
            Entry { info, manifest: None, folder }
        }
        Ok(manifest) => {
            let absent = weights_files(&manifest).find(|weights| !folder.join(&weights.file).is_file());
            let (state, reason) = match absent {
                None => (ModelState::Loading, None),
                Some(WeightsSpec { file, sha256, .. }) => {
                    let hash = sha256.as_ref().map(|h| format!(" (SHA-256 {h})")).unwrap_or_default();
                    let reason =
                        format!("no weights: put the file {name}/{file}{hash} into the models folder and restart");
                    (ModelState::NoWeights, Some(reason))
                }
            };
            Entry { info: info(name, Some(&manifest), state, reason), manifest: Some(Arc::new(manifest)), folder }
        }
    }
}

/// Models that name others which are not there, or do not fit, have failed.
fn check_stages(entries: &mut BTreeMap<String, Entry>) {
    let manifests = entries.iter().filter_map(|(name, e)| Some((name.as_str(), e.manifest.as_deref()?))).collect();
    for (name, reason) in manifest::stages::check(&manifests) {
        if let Some(entry) = entries.get_mut(&name) {
            entry.info.state = ModelState::Failed;
            entry.info.reason = Some(format!("{name}/{reason}"));
            entry.manifest = None;
        }
    }
}

fn info(name: String, manifest: Option<&Manifest>, state: ModelState, reason: Option<String>) -> ModelInfo {
    let text = |of: fn(&Manifest) -> &String| manifest.map(of).cloned().unwrap_or_default();
    let classes = manifest.map(Manifest::classes).unwrap_or_default().iter().map(|c| ClassInfo {
        name: c.name.clone(),
        color: c.color.clone(),
        translations: c.translations.clone(),
        thresholds: Some(c.thresholds),
    });
    let segments = manifest.map(Manifest::segments).unwrap_or_default().iter().map(|s| ClassInfo {
        name: s.name.clone(),
        color: s.color.clone(),
        translations: s.translations.clone(),
        thresholds: None,
    });
    let (input, images, volumes) = match manifest.map(|m| &m.input.select) {
        Some(SelectSpec::Images(images)) => (Some("Images"), Some(images), None),
        Some(SelectSpec::Series(_)) => (Some("Series"), None, None),
        Some(SelectSpec::Volumes(volumes)) => (Some("Volumes"), None, Some(volumes)),
        None => (None, None, None),
    };
    let task = manifest.map(|m| match m.task {
        TaskSpec::Classification(_) => "Classification",
        TaskSpec::Segmentation(_) => "Segmentation",
    });
    ModelInfo {
        title: text(|m| &m.title),
        version: text(|m| &m.version),
        description: text(|m| &m.description),
        demo: manifest.is_some_and(|m| m.demo),
        disclaimer: text(|m| &m.report.disclaimer),
        disclaimer_translations: manifest.map(|m| m.report.disclaimer_translations.clone()).unwrap_or_default(),
        input,
        count: images.map_or(0, |i| i.count.max()),
        min_count: images.map_or(0, |i| i.count.min()),
        views: images.map(|i| i.views.clone()).unwrap_or_default(),
        channels: volumes.map(|v| v.names().into_iter().map(str::to_owned).collect()).unwrap_or_default(),
        task,
        segments: segments.collect(),
        weights_file: manifest.map(|m| format!("{name}/{}", m.weights.file)).unwrap_or_default(),
        classes: classes.collect(),
        weights_sha256: None,
        load_seconds: None,
        r#override: manifest.and_then(|m| m.thresholds_override.clone()),
        name,
        state,
        reason,
    }
}

/// The files of the weights: the network's own, and those of an ensemble's other members.
fn weights_files(manifest: &Manifest) -> impl Iterator<Item = &WeightsSpec> {
    let members = manifest.ensemble.iter().flat_map(|ensemble| &ensemble.members);
    std::iter::once(&manifest.weights).chain(members.map(|member| &member.weights))
}

/// SHA-256 of the weights, each compared with the one that the manifest expects: of one file its own, of several that of their hashes in
/// the manifest's order. Thresholds of the site's own have to be for these weights.
fn hash_weights(folder: &Path, manifest: &Manifest) -> Result<String, ModelError> {
    let mut hashes = Vec::new();
    for WeightsSpec { file, sha256, .. } in weights_files(manifest) {
        let fail = |error| ModelError::WeightsFile { file: file.clone(), error };
        let found = weights::sha256(&folder.join(file)).map_err(fail)?;
        if let Some(expected) = sha256.clone().filter(|expected| *expected != found) {
            return Err(fail(WeightsError::Hash { found, expected }));
        }
        hashes.push(found);
    }
    let found = if hashes.len() == 1 { hashes.remove(0) } else { weights::sha256_of(hashes.concat().as_bytes()) };
    match &manifest.thresholds_override {
        Some(o) if o.weights_sha256 != found => {
            let error = WeightsError::OverrideHash { found, expected: o.weights_sha256.clone() };
            Err(ModelError::WeightsFile { file: manifest.weights.file.clone(), error })
        }
        _ => Ok(found),
    }
}

/// Checks the weights' hash, builds the network and runs it once on zeros.
fn load_network(folder: &Path, manifest: &Manifest, device: Device) -> Result<(String, Box<dyn Network>), ModelError> {
    let found = hash_weights(folder, manifest)?;
    let mut network = ensemble::load(manifest, folder, device)?;
    dry_run(&mut *network, manifest)?;
    Ok((found, network))
}

/// The shape of one input: [1, channels, spatial…], the window's size or else what the preprocessing chain gives; a network
/// that takes volumes whole is tried with a small one.
fn input_shape(manifest: &Manifest) -> Vec<usize> {
    let resized = || {
        manifest.preprocessing.iter().rev().find_map(|step| match step {
            TransformSpec::Resize(resize) => Some(resize.spatial_size.clone()),
            _ => None,
        })
    };
    let size = match &manifest.inferer {
        InfererSpec::SlidingWindowInferer(spec) => Some(spec.roi_size.to_vec()),
        InfererSpec::SimpleInferer(_) => resized(),
    };
    let dims = manifest.network.spatial_dims();
    let mut spatial = size.filter(|size| size.len() == dims).unwrap_or(vec![64; dims]);
    // A whole volume takes seconds, at each start of the server. The networks of our own take a part of it as well; a TorchScript
    // may know one size only.
    if dims == 3 && !matches!(manifest.network, NetworkSpec::TorchScript(_)) {
        spatial.iter_mut().for_each(|size| *size = (*size).min(64));
    }
    [vec![1, manifest.network.in_channels()], spatial].concat()
}

/// One run on zeros: finds a network that does not take what the chain gives, or whose weights are not numbers.
fn dry_run(network: &mut dyn Network, manifest: &Manifest) -> Result<(), ModelError> {
    let input = ArrayD::<f32>::zeros(input_shape(manifest));
    let (logits, expected) = match network.forward(input.view())? {
        Logits::Global(logits) => (logits.into_dyn(), vec![1, manifest.network.num_classes()]),
        Logits::Dense(logits) => (logits, [&[1, manifest.network.num_classes()], &input.shape()[2..]].concat()),
    };
    if logits.shape() != expected {
        return Err(ModelError::Output {
            found: format!("shape {:?}", logits.shape()),
            expected: format!("shape {expected:?}"),
        });
    }
    if let Some(bad) = logits.iter().find(|v| !v.is_finite()) {
        return Err(ModelError::Output {
            found: format!("{bad} in a dry run on zeros"),
            expected: "finite logits".into(),
        });
    }
    Ok(())
}

/// A panic as an error: libtorch's wrappers panic where they have no fallible form, and a weights file is foreign input.
fn guarded<T>(load: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message");
        Err(ModelError::Panic(text.lines().next().unwrap_or_default().to_owned()))
    })
}

#[cfg(test)]
mod tests;
