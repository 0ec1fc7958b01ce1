//! Files of `torch.save`: the zip archive (PyTorch 1.6 and later) and the stream before it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use tch::{Kind, Tensor};
use zip::ZipArchive;

use super::WeightsError;
use super::first;
use super::pickle::{Id, Node, Pickle, Storage, TensorRef};

/// A pickle of names and shapes is a few hundred kB; the tensors' bytes are not in it.
const MAX_PICKLE: u64 = 256 << 20;
/// `torch.serialization.MAGIC_NUMBER` of the stream format.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// Where trainers put the state dict when it is not the root.
const WRAPPERS: [&str; 2] = ["model_state_dict", "state_dict"];

fn broken(reason: impl Into<String>) -> WeightsError {
    WeightsError::Format(format!("PyTorch checkpoint: {}", reason.into()))
}

/// Reads the state dict at the root, or under `model_state_dict` or `state_dict`.
pub(super) fn read(file: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let mut reader = BufReader::new(File::open(file)?);
    let is_zip = reader.fill_buf()?.starts_with(b"PK\x03\x04");
    if is_zip { read_zip(reader) } else { read_stream(reader) }
}

fn read_zip(reader: BufReader<File>) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let mut zip = ZipArchive::new(reader).map_err(|e| broken(format!("truncated or corrupt zip archive: {e}")))?;
    let names: Vec<String> = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let prefix = names.iter().find_map(|n| n.strip_suffix("data.pkl")).ok_or_else(|| broken("no data.pkl inside"))?;
    if names.iter().any(|n| n == &format!("{prefix}constants.pkl")) {
        return Err(broken("this is a TorchScript module: the manifest's format should be \"torchscript\""));
    }
    if names.contains(&format!("{prefix}byteorder")) {
        let order = entry(&mut zip, &format!("{prefix}byteorder"), 16)?;
        if order != b"little" {
            return Err(broken("big-endian tensors are not read"));
        }
    }
    let text = entry(&mut zip, &format!("{prefix}data.pkl"), MAX_PICKLE)?;
    let mut pickle = Pickle::default();
    let root = pickle.run(&mut &text[..])?;
    let state_dict = find_state_dict(&pickle, root)?;
    let mut storages = HashMap::new();
    for (_, tensor) in &state_dict {
        let storage = &tensor.storage;
        if !storages.contains_key(&storage.key) {
            let bytes = entry(&mut zip, &format!("{prefix}data/{}", storage.key), byte_len(storage)?)?;
            storages.insert(storage.key.clone(), elements(storage, &bytes)?);
        }
    }
    views(&state_dict, &storages)
}

/// An entry's bytes, at most `limit`; its CRC-32 is checked by the zip reader at the end.
fn entry(zip: &mut ZipArchive<impl Read + Seek>, name: &str, limit: u64) -> Result<Vec<u8>, WeightsError> {
    let entry = zip.by_name(name).map_err(|e| broken(format!("entry {name}: {e}")))?;
    if entry.size() > limit {
        return Err(broken(format!("entry {name}: found {} bytes, expected at most {limit}", entry.size())));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(entry.size().min(entry.compressed_size())).unwrap_or(0));
    // One byte more than there can be: the checksum is compared when the end is seen.
    entry.take(limit + 1).read_to_end(&mut bytes).map_err(|e| broken(format!("entry {name}: {e}")))?;
    Ok(bytes)
}

/// Magic number, protocol version, system information, the object, the storages' keys, then each storage: its number
/// of elements (i64) and its bytes, in the order of the keys.
fn read_stream(mut reader: BufReader<File>) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let file_len = reader.get_ref().metadata()?.len();
    let mut pickle = Pickle::default();
    let mut head = reader.by_ref().take(MAX_PICKLE);
    let not_torch = |_| broken("neither a zip archive nor PyTorch's stream format, or truncated");
    let magic = pickle.run(&mut head).map_err(not_torch)?;
    if pickle.node(magic) != &Node::Int(MAGIC) {
        return Err(broken("neither a zip archive nor PyTorch's stream format"));
    }
    pickle.run(&mut head)?;
    let system = pickle.run(&mut head)?;
    let big_endian = |(key, value): (&str, Id)| key == "little_endian" && pickle.node(value) == &Node::Bool(false);
    if pickle.dict(system).unwrap_or_default().into_iter().any(big_endian) {
        return Err(broken("big-endian tensors are not read"));
    }
    let root = pickle.run(&mut head)?;
    let keys = pickle.run(&mut head)?;
    let state_dict = find_state_dict(&pickle, root)?;
    let wanted: HashSet<&str> = state_dict.iter().map(|(_, t)| t.storage.key.as_str()).collect();
    let Node::List(keys) = pickle.node(keys) else { return Err(broken("no list of storages")) };
    // Element sizes of storages outside the state dict (the optimiser's) are known from the whole pickle.
    let known: HashMap<&str, &Storage> = pickle.storages().map(|s| (s.key.as_str(), s)).collect();
    let mut storages = HashMap::new();
    for &key in keys {
        let Node::Str(key) = pickle.node(key) else { return Err(broken("a storage key that is not a string")) };
        let storage = known.get(key.as_str()).ok_or_else(|| broken(format!("storage {key} belongs to no tensor")))?;
        let mut numel = [0; 8];
        reader.read_exact(&mut numel).map_err(|_| broken("truncated before its last tensor"))?;
        let expected = byte_len(storage)?;
        if u64::from_le_bytes(numel) != storage.numel || expected > file_len {
            return Err(broken(format!(
                "storage {key}: found {} elements, expected {}",
                u64::from_le_bytes(numel),
                storage.numel
            )));
        }
        let mut bytes = Vec::new();
        reader.by_ref().take(expected).read_to_end(&mut bytes)?;
        let tensor = elements(storage, &bytes)?;
        if wanted.contains(key.as_str()) {
            storages.insert(key.clone(), tensor);
        }
    }
    views(&state_dict, &storages)
}

/// The tensors at the root, or under one of the [`WRAPPERS`].
fn find_state_dict(pickle: &Pickle, root: Id) -> Result<Vec<(String, TensorRef)>, WeightsError> {
    let expected = "expected a state dict, at the root or under model_state_dict or state_dict";
    let top = pickle.dict(root).ok_or_else(|| broken(format!("{expected}; the root is no dict")))?;
    let wrapped = WRAPPERS.iter().find_map(|w| top.iter().find(|(k, _)| k == w)).and_then(|(_, id)| pickle.dict(*id));
    let entries = wrapped.as_ref().unwrap_or(&top);
    let mut tensors = Vec::new();
    for (key, id) in entries {
        match pickle.node(*id) {
            Node::Tensor(tensor) => tensors.push(((*key).to_owned(), tensor.clone())),
            _ => {
                let keys: Vec<String> = top.iter().map(|(k, _)| (*k).to_owned()).collect();
                let keys = first(&keys, 20);
                return Err(broken(format!("{expected}; \"{key}\" is no tensor (keys at the root: {keys})")));
            }
        }
    }
    if tensors.is_empty() { Err(broken(format!("{expected}; found no tensor"))) } else { Ok(tensors) }
}

fn byte_len(storage: &Storage) -> Result<u64, WeightsError> {
    let size = storage.kind.elt_size_in_bytes() as u64;
    storage.numel.checked_mul(size).ok_or_else(|| broken(format!("storage {}: too large", storage.key)))
}

/// A storage as a tensor of one dimension.
fn elements(storage: &Storage, bytes: &[u8]) -> Result<Tensor, WeightsError> {
    let expected = byte_len(storage)?;
    if bytes.len() as u64 != expected {
        let found = bytes.len();
        return Err(broken(format!("storage {}: found {found} bytes, expected {expected}: truncated", storage.key)));
    }
    let numel = i64::try_from(storage.numel).map_err(|_| broken("too large"))?;
    Ok(Tensor::f_from_data_size(bytes, &[numel], storage.kind)?)
}

/// Each tensor as the view into its storage that it is, made contiguous.
fn views(
    state_dict: &[(String, TensorRef)],
    storages: &HashMap<String, Tensor>,
) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let mut tensors = BTreeMap::new();
    for (key, tensor) in state_dict {
        let storage = storages
            .get(&tensor.storage.key)
            .filter(|s| s.f_kind().is_ok_and(|kind: Kind| kind == tensor.storage.kind))
            .ok_or_else(|| broken(format!("key {key}: storage {} is not in the file", tensor.storage.key)))?;
        if !fits(tensor) {
            return Err(broken(format!(
                "key {key}: shape {:?}, strides {:?}, offset {} lie outside its storage of {} elements",
                tensor.size, tensor.stride, tensor.offset, tensor.storage.numel
            )));
        }
        let signed = |values: &[u64]| values.iter().map(|&v| v as i64).collect::<Vec<i64>>();
        let view = storage.f_as_strided(signed(&tensor.size), signed(&tensor.stride), tensor.offset as i64)?;
        tensors.insert(key.clone(), view.f_contiguous()?);
    }
    Ok(tensors)
}

/// Whether the view's last element is inside its storage. Strides of 0 repeat elements: the view may not have more
/// elements than a storage could.
fn fits(tensor: &TensorRef) -> bool {
    if tensor.size.len() != tensor.stride.len() {
        return false;
    }
    let numel = tensor.size.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
    let last =
        tensor.size.iter().zip(&tensor.stride).try_fold(tensor.offset, |at, (&size, &stride)| {
            at.checked_add(size.saturating_sub(1).checked_mul(stride)?)
        });
    match (numel, last) {
        (Some(0), Some(_)) => tensor.offset <= tensor.storage.numel,
        (Some(n), Some(last)) => n <= tensor.storage.numel && last < tensor.storage.numel,
        _ => false,
    }
}
