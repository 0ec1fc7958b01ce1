//! Keras's files: HDF5 in the layouts of Keras 2 and 3, alone (`.h5`, `.weights.h5`) or inside a zip archive (`.keras`).
//!
//! - Legacy `.h5`: `model_weights/<layer>/…/<layer>/<weight>` (with `:0` in Keras 2), a nested model's layers below its own name;
//!   weights alone have the same without `model_weights`.
//! - `.weights.h5`, and `model.weights.h5` inside `.keras`: `layers/<kind>_<n>/vars/<i>`, where the layer's name is the attribute `name`
//!   of `vars` (Keras 3) or nowhere (Keras 2).
//!
//! The HDF5 decoder follows no link out of the file. Sizes are compared with the file's before anything is allocated.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use hdf5_reader::group::Group;
use hdf5_reader::messages::datatype::Datatype;
use hdf5_reader::storage::{DynStorage, FileStorage};
use hdf5_reader::{Dataset, Hdf5File, OpenOptions};
use ndarray::ArrayD;
use serde_json::Value;
use zip::ZipArchive;

use super::WeightsError;

/// The signatures at the beginning of a file.
pub const HDF5_MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
pub const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// The weights and the architecture inside `.keras`.
pub const ZIP_WEIGHTS: &str = "model.weights.h5";
const ZIP_CONFIG: &str = "config.json";

/// The architecture of a model of some hundred layers is some hundred kB.
const MAX_CONFIG: u64 = 64 << 20;
/// Groups within groups: a nested model's layers are six deep.
const MAX_DEPTH: usize = 16;
/// Groups and datasets of one file; a ResNet50 has about 900.
const MAX_OBJECTS: usize = 50_000;
/// Weights hardly compress: a file whose tensors are larger than this many times the file is none of weights.
const MAX_EXPANSION: u64 = 8;

/// What beside the layers' weights stands in a file.
const NOT_WEIGHTS: [&str; 4] = ["optimizer", "optimizer_weights", "metrics", "top_level_model_weights"];

/// A file's weights, and its architecture where it is in the file.
#[derive(Debug)]
pub struct KerasFile {
    /// In the file's order.
    pub variables: Vec<Variable>,
    /// Keras's own description of the model (`model_config` or config.json).
    pub config: Option<Value>,
}

/// One tensor.
#[derive(Debug)]
pub struct Variable {
    /// The layer's name ("conv1_conv"), or its kind and number ("conv2d_9") where the file does not name it.
    pub layer: String,
    /// Whether `layer` is a name.
    pub is_named: bool,
    /// "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", or what else the file has.
    pub weight: String,
    /// In Keras's order: kernels are rows × columns × in × out, or in × out.
    pub values: ArrayD<f32>,
}

impl Variable {
    /// "conv1_conv/kernel"
    pub fn path(&self) -> String {
        format!("{}/{}", self.layer, self.weight)
    }
}

fn broken(reason: impl std::fmt::Display) -> WeightsError {
    WeightsError::Format(format!("Keras file: {reason}"))
}

/// Reads `.h5`, `.weights.h5` or `.keras`.
///
/// # Errors
/// [`WeightsError::Read`], and [`WeightsError::Format`] for a file that is truncated, corrupt, or of another layout.
pub fn read(file: &Path) -> Result<KerasFile, WeightsError> {
    // The decoder is not ours, and its input is foreign.
    catch_unwind(AssertUnwindSafe(|| read_file(file)))
        .unwrap_or_else(|_| Err(broken("malformed: the HDF5 decoder gave up")))
}

fn read_file(file: &Path) -> Result<KerasFile, WeightsError> {
    let mut reader = File::open(file)?;
    let mut magic = [0u8; 8];
    let count = reader.by_ref().take(8).read(&mut magic)?;
    if magic[..count].starts_with(ZIP_MAGIC) {
        return read_zip(File::open(file)?);
    }
    if magic[..count] != *HDF5_MAGIC {
        return Err(broken("neither HDF5 nor a zip archive"));
    }
    let len = reader.metadata()?.len();
    read_hdf5(Arc::new(FileStorage::open(file).map_err(broken)?), len, None)
}

fn read_zip(reader: File) -> Result<KerasFile, WeightsError> {
    let len = reader.metadata()?.len();
    let mut zip = ZipArchive::new(reader).map_err(|e| broken(format!("truncated or corrupt zip archive: {e}")))?;
    let mut entry = |name: &str, limit: u64| -> Result<Vec<u8>, WeightsError> {
        let entry = zip.by_name(name).map_err(|e| broken(format!("entry {name}: {e}")))?;
        let size = entry.size();
        // Keras stores without compression.
        if size > limit.min(len) {
            return Err(broken(format!("entry {name}: found {size} bytes in a file of {len}, limit {limit}")));
        }
        let mut bytes = Vec::new();
        entry.take(size + 1).read_to_end(&mut bytes).map_err(|e| broken(format!("entry {name}: {e}")))?;
        Ok(bytes)
    };
    let config = entry(ZIP_CONFIG, MAX_CONFIG)?;
    let config = serde_json::from_slice(&config).map_err(|e| broken(format!("{ZIP_CONFIG}: {e}")))?;
    let weights = entry(ZIP_WEIGHTS, u64::MAX)?;
    let len = weights.len() as u64;
    read_hdf5(Arc::new(hdf5_reader::storage::BytesStorage::new(weights)), len, Some(config))
}

/// `len`: the file's bytes, which bound what is allocated.
fn read_hdf5(storage: DynStorage, len: u64, config: Option<Value>) -> Result<KerasFile, WeightsError> {
    let budget = len.saturating_mul(MAX_EXPANSION);
    let limit = usize::try_from(budget).unwrap_or(usize::MAX);
    let options = OpenOptions::default()
        .with_max_read_bytes(limit)
        .with_max_chunk_bytes(limit)
        .with_max_object_header_bytes(1 << 24);
    let file = Hdf5File::from_storage_with_options(storage, options).map_err(broken)?;
    let root = file.root_group().map_err(broken)?;
    let config = config.or_else(|| model_config(&root));
    let top = root.group("model_weights").unwrap_or(root);
    let mut walk = Walk { objects: 0, budget, names: BTreeSet::new(), variables: Vec::new() };
    walk.group(&top, &mut Vec::new(), None)?;
    if walk.variables.is_empty() {
        return Err(broken("no weights in it"));
    }
    Ok(KerasFile { variables: walk.variables, config })
}

/// The architecture beside the weights in a legacy file. What cannot be read is as good as absent.
fn model_config(root: &Group) -> Option<Value> {
    serde_json::from_str(&root.attribute("model_config").ok()?.read_string().ok()?).ok()
}

struct Walk {
    objects: usize,
    /// Bytes that may still be read.
    budget: u64,
    names: BTreeSet<String>,
    variables: Vec<Variable>,
}

impl Walk {
    /// `name`: the attribute of this group, which only the newer layout has.
    fn group(&mut self, group: &Group, path: &mut Vec<String>, name: Option<String>) -> Result<(), WeightsError> {
        if path.len() > MAX_DEPTH {
            return Err(broken(format!("groups lie more than {MAX_DEPTH} deep")));
        }
        let at = |e: hdf5_reader::error::Error, path: &[String]| broken(format!("{}: {e}", path.join("/")));
        let (groups, datasets) = group.members().map_err(|e| at(e, path))?;
        self.objects += groups.len() + datasets.len();
        if self.objects > MAX_OBJECTS {
            return Err(broken(format!("more than {MAX_OBJECTS} groups and datasets")));
        }
        for dataset in datasets {
            path.push(dataset.name().to_owned());
            self.dataset(&dataset, path, name.as_deref())?;
            path.pop();
        }
        for child in groups {
            let own = child.name().to_owned();
            if path.is_empty() && NOT_WEIGHTS.contains(&own.as_str()) {
                continue;
            }
            let name = (own == "vars").then(|| child.attribute("name").ok()?.read_string().ok()).flatten();
            path.push(own);
            self.group(&child, path, name)?;
            path.pop();
        }
        Ok(())
    }

    fn dataset(&mut self, dataset: &Dataset, path: &[String], name: Option<&str>) -> Result<(), WeightsError> {
        // State of the random numbers of dropout.
        if path.iter().any(|part| part.starts_with("seed_generator")) {
            return Ok(());
        }
        let label = path.join("/");
        let Some((layer, is_named, weight)) = place(path, name) else {
            return Err(broken(format!("{label}: found a dataset that belongs to no layer")));
        };
        let values = self.values(dataset).map_err(|reason| broken(format!("{label}: {reason}")))?;
        let variable = Variable { layer, is_named, weight, values };
        if !self.names.insert(variable.path()) {
            return Err(broken(format!("{label}: a second {}", variable.path())));
        }
        self.variables.push(variable);
        Ok(())
    }

    fn values(&mut self, dataset: &Dataset) -> Result<ArrayD<f32>, String> {
        let count = dataset.num_elements().map_err(|e| e.to_string())?;
        let size = match dataset.dtype() {
            Datatype::FloatingPoint { size, .. } if matches!(size, 4 | 8) => u64::from(*size),
            other => return Err(format!("found {other:?}, expected floating-point numbers of 32 or 64 bits")),
        };
        let bytes = count.saturating_mul(size);
        self.budget = self.budget.checked_sub(bytes).ok_or_else(|| {
            format!("found {bytes} bytes of shape {:?}, more than the file can hold", dataset.shape())
        })?;
        let values = match size {
            4 => dataset.read_array::<f32>(),
            _ => dataset.read_array::<f64>().map(|values| values.mapv(|v| v as f32)),
        };
        values.map_err(|e| e.to_string())
    }
}

/// Layer, whether that is a name, and weight of a dataset's path below `model_weights` or the root.
fn place(path: &[String], name: Option<&str>) -> Option<(String, bool, String)> {
    if let [.., group, vars, index] = path
        && vars == "vars"
    {
        let layer = name.unwrap_or(group).to_owned();
        return Some((layer, name.is_some(), numbered_weight(group, index)));
    }
    let [.., layer, weight] = path else { return None };
    Some((layer.clone(), true, weight.strip_suffix(":0").unwrap_or(weight).to_owned()))
}

/// Which weight of its kind of layer the `index`-th one is; one that no such layer has keeps its number.
fn numbered_weight(group: &str, index: &str) -> String {
    let names: &[&str] = match split_number(group).0 {
        "batch_normalization" => &["gamma", "beta", "moving_mean", "moving_variance"],
        _ => &["kernel", "bias"],
    };
    let name = index.parse::<usize>().ok().and_then(|i| names.get(i));
    name.map_or_else(|| format!("vars/{index}"), |name| (*name).to_owned())
}

/// "conv2d_9" is the tenth "conv2d", "conv2d" the first.
pub fn split_number(name: &str) -> (&str, usize) {
    name.rsplit_once('_').and_then(|(kind, n)| Some((kind, n.parse().ok()?))).unwrap_or((name, 0))
}
