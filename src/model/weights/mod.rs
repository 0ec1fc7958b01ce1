//! Checkpoints: from a file to named tensors, and whether those fit the network.

mod globals;
pub mod keras;
mod pickle;
mod pytorch;
mod safetensors;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::manifest::WeightsFormat;

/// Why a weights file was refused. Says nothing of where the file lies: the caller adds its name.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("cannot be written: {0}")]
    Write(std::io::Error),
    #[error("SHA-256 is {found}, the manifest expects {expected}")]
    Hash { found: String, expected: String },
    /// Truncated, corrupt, or not of the format that the manifest names.
    #[error("{0}")]
    Format(String),
    /// The pickle asks for something that no state dict needs. Nothing of it was executed.
    #[error(
        "the pickle names \"{0}\", which no state dict needs; refused, nothing was executed (save model.state_dict(), or use safetensors)"
    )]
    Global(String),
    #[error("keys do not fit the network: {0}")]
    Keys(KeyMismatch),
    #[error("key {key}: found dtype {found}, expected a floating-point one")]
    Kind { key: String, found: String },
    #[error("libtorch: {0}")]
    Torch(String),
}

impl From<tch::TchError> for WeightsError {
    fn from(error: tch::TchError) -> Self {
        Self::Torch(super::torch_reason(&error))
    }
}

/// Key by key, how a state dict differs from the network's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KeyMismatch {
    pub missing: Vec<String>,
    pub extra: Vec<String>,
    /// Key, found shape, expected shape.
    pub misshaped: Vec<(String, Vec<i64>, Vec<i64>)>,
}

impl KeyMismatch {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.misshaped.is_empty()
    }
}

impl fmt::Display for KeyMismatch {
    /// Each kind by name, the first 20, then a count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let misshaped: Vec<String> = self
            .misshaped
            .iter()
            .map(|(key, found, expected)| format!("{key} (found {found:?}, expected {expected:?})"))
            .collect();
        let kinds = [("missing", &self.missing), ("extra", &self.extra), ("mis-shaped", &misshaped)];
        let parts: Vec<String> = kinds
            .into_iter()
            .filter(|(_, keys)| !keys.is_empty())
            .map(|(kind, keys)| format!("{} {kind}: {}", keys.len(), first(keys, 20)))
            .collect();
        f.write_str(&parts.join("; "))
    }
}

/// The first `limit` names, then a count of the others.
pub(super) fn first(names: &[String], limit: usize) -> String {
    let shown = names.iter().take(limit).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(limit) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}

/// Named tensors of a checkpoint, on the CPU.
#[derive(Debug, Default)]
pub struct StateDict {
    tensors: BTreeMap<String, Tensor>,
}

impl StateDict {
    /// Reads a checkpoint. The file is read tensor by tensor: memory holds the tensors once.
    ///
    /// # Errors
    /// [`WeightsError::Read`], [`WeightsError::Format`] for a truncated, corrupt or foreign file,
    /// [`WeightsError::Global`] for a pickle that wants more than tensors.
    pub fn read(file: &Path, format: WeightsFormat) -> Result<Self, WeightsError> {
        let tensors = match format {
            WeightsFormat::Safetensors => safetensors::read(file)?,
            WeightsFormat::Pytorch => pytorch::read(file)?,
            WeightsFormat::Torchscript => {
                return Err(WeightsError::Format("a TorchScript module is a network, not a state dict".into()));
            }
        };
        Ok(Self { tensors: strip_module_prefix(tensors) })
    }

    /// Of tensors by name.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { tensors }
    }

    /// The same tensors under other names.
    ///
    /// # Errors
    /// [`WeightsError::Format`] when two tensors would have one name.
    pub fn rename(self, rename: impl Fn(&str) -> String) -> Result<Self, WeightsError> {
        let mut tensors = BTreeMap::new();
        for (key, tensor) in self.tensors {
            let name = rename(&key);
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(WeightsError::Format(format!("key {key}: there are two tensors for {name}")));
            }
        }
        Ok(Self { tensors })
    }

    /// Writes the tensors as safetensors, as f32. The file appears whole or not at all.
    ///
    /// # Errors
    /// [`WeightsError::Write`], and [`WeightsError::Kind`] when a tensor holds integers.
    pub fn save(self, file: &Path) -> Result<(), WeightsError> {
        safetensors::write(self, file)
    }

    /// Compares names and shapes with what the network needs.
    ///
    /// # Errors
    /// [`WeightsError::Keys`] with every difference.
    pub fn check(&self, expected: &[(String, Vec<i64>)]) -> Result<(), WeightsError> {
        let mut mismatch = KeyMismatch::default();
        for (key, shape) in expected {
            match self.tensors.get(key).map(Tensor::size) {
                None => mismatch.missing.push(key.clone()),
                Some(found) if &found != shape => mismatch.misshaped.push((key.clone(), found, shape.clone())),
                Some(_) => {}
            }
        }
        let known: std::collections::BTreeSet<&str> = expected.iter().map(|(key, _)| key.as_str()).collect();
        mismatch.extra =
            self.tensors.keys().filter(|k| !known.contains(k.as_str()) && !is_counter(k)).cloned().collect();
        if mismatch.is_empty() { Ok(()) } else { Err(WeightsError::Keys(mismatch)) }
    }

    /// Drops the tensors whose key says that they are none of the network's parameters (tables that it computes itself).
    pub fn discard(&mut self, is_superfluous: impl Fn(&str) -> bool) {
        self.tensors.retain(|key, _| !is_superfluous(key));
    }

    /// Takes a tensor out, as f32 (half and bfloat16 widen exactly, double rounds).
    ///
    /// # Errors
    /// [`WeightsError::Keys`] when it is not there, [`WeightsError::Kind`] when it holds integers.
    pub fn take(&mut self, key: &str) -> Result<Tensor, WeightsError> {
        let Some(tensor) = self.tensors.remove(key) else {
            return Err(WeightsError::Keys(KeyMismatch { missing: vec![key.into()], ..KeyMismatch::default() }));
        };
        match tensor.f_kind()? {
            Kind::Float => Ok(tensor),
            Kind::Half | Kind::BFloat16 | Kind::Double => Ok(tensor.f_to_kind(Kind::Float)?),
            other => Err(WeightsError::Kind { key: key.into(), found: format!("{other:?}") }),
        }
    }

    /// Names and shapes, sorted by name.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, Vec<i64>)> {
        self.tensors.iter().map(|(key, tensor)| (key.as_str(), tensor.size()))
    }

    /// A tensor's values as f64 in C order (integers up to 2^53 exactly), or None.
    pub fn values(&self, key: &str) -> Option<Vec<f64>> {
        let tensor = self.tensors.get(key)?.f_to_kind(Kind::Double).ok()?.f_contiguous().ok()?;
        let mut values = vec![0.0; tensor.numel()];
        let count = values.len();
        tensor.f_copy_data(&mut values, count).ok()?;
        Some(values)
    }
}

/// A counter of training steps: of no use for inference, present or not.
pub fn is_counter(key: &str) -> bool {
    key == "num_batches_tracked" || key.ends_with(".num_batches_tracked")
}

/// `torch.nn.DataParallel` puts `module.` before every key.
fn strip_module_prefix(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    const PREFIX: &str = "module.";
    if !tensors.keys().all(|k| k.starts_with(PREFIX)) {
        return tensors;
    }
    tensors.into_iter().map(|(key, tensor)| (key[PREFIX.len()..].to_owned(), tensor)).collect()
}

/// SHA-256 of a file in lower-case hexadecimal, in constant memory.
///
/// # Errors
/// [`WeightsError::Read`].
pub fn sha256(file: &Path) -> Result<String, WeightsError> {
    let mut reader = std::fs::File::open(file)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    Ok(hexadecimal(&hash.finalize()))
}

/// SHA-256 of bytes in memory.
pub fn sha256_of(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(in crate::model) mod tests;
