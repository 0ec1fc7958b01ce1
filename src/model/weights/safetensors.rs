//! safetensors: a JSON header, then the tensors' bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorView};
use tch::{Kind, Tensor};

use super::{StateDict, WeightsError};

/// The header's own limit in the reference implementation.
const MAX_HEADER: u64 = 100_000_000;

/// Reads tensor by tensor, so that the file is not in memory beside them.
pub(super) fn read(file: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let broken = |reason: String| WeightsError::Format(format!("safetensors: {reason}"));
    let mut reader = File::open(file)?;
    let file_len = reader.metadata()?.len();
    let mut head = [0u8; 8];
    reader.read_exact(&mut head).map_err(|_| broken(format!("truncated: the file has {file_len} bytes")))?;
    let header_len = u64::from_le_bytes(head);
    if header_len > MAX_HEADER || header_len > file_len - 8 {
        return Err(broken(format!(
            "the header should have {header_len} bytes, the file has {file_len}: not this format or truncated"
        )));
    }
    let mut header = Vec::new();
    reader.by_ref().take(header_len).read_to_end(&mut header)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| broken(e.to_string()))?;
    let data_start = 8 + header_len;

    let mut tensors = BTreeMap::new();
    let mut bytes = Vec::new();
    for (name, info) in metadata.tensors() {
        let kind = kind(info.dtype).ok_or_else(|| broken(format!("key {name}: dtype {:?} is not read", info.dtype)))?;
        let (start, end) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        if start > end || data_start.checked_add(end).is_none_or(|end| end > file_len) {
            return Err(broken(format!("key {name}: its data ends at byte {end}, the file has {file_len}: truncated")));
        }
        reader.seek(SeekFrom::Start(data_start + start))?;
        bytes.clear();
        reader.by_ref().take(end - start).read_to_end(&mut bytes)?;
        let shape: Vec<i64> = info.shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
        // libtorch copies as many bytes as shape and dtype say.
        let expected = shape.iter().try_fold(kind.elt_size_in_bytes() as i64, |n, &d| n.checked_mul(d));
        if expected != i64::try_from(bytes.len()).ok() {
            return Err(broken(format!(
                "key {name}: found {} bytes for shape {shape:?} of {:?}",
                bytes.len(),
                info.dtype
            )));
        }
        tensors.insert(name, Tensor::f_from_data_size(&bytes, &shape, kind)?);
    }
    Ok(tensors)
}

/// Writes beside `file` first and renames: a reader never sees half a file.
pub(super) fn write(mut state_dict: StateDict, file: &Path) -> Result<(), WeightsError> {
    let keys: Vec<(String, Vec<i64>)> = state_dict.shapes().map(|(key, shape)| (key.to_owned(), shape)).collect();
    let mut tensors = Vec::with_capacity(keys.len());
    for (key, shape) in keys {
        let tensor = state_dict.take(&key)?.f_contiguous()?;
        let mut values = vec![0f32; tensor.numel()];
        let count = values.len();
        tensor.f_copy_data(&mut values, count)?;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensors.push((key, shape.into_iter().map(|d| d as usize).collect::<Vec<_>>(), bytes));
    }
    let broken = |e: safetensors::SafeTensorError| WeightsError::Format(format!("safetensors: {e}"));
    let mut views = Vec::with_capacity(tensors.len());
    for (key, shape, bytes) in &tensors {
        views.push((key.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(broken)?));
    }
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let written = safetensors::serialize_to_file(views, None, part).map_err(broken);
    let renamed = written.and_then(|()| std::fs::rename(part, file).map_err(WeightsError::Write));
    if renamed.is_err() {
        // Nothing is lost where this fails as well: it is our own half-written file.
        let _ = std::fs::remove_file(part);
    }
    renamed
}

fn kind(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}
