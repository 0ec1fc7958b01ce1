//! Between ndarray and libtorch.

use ndarray::{Array, ArrayViewD, Dimension, IxDyn};
use tch::{Kind, Tensor};

use crate::model::{Device, ModelError};

/// A batch (N × C × H × W, or N × C × D × H × W with `spatial_dims` 3) as an f32 tensor in channels_last order, the order that
/// oneDNN's convolutions work in without reordering.
pub fn input_tensor(
    input: ArrayViewD<'_, f32>,
    in_channels: usize,
    spatial_dims: usize,
    device: Device,
) -> Result<Tensor, ModelError> {
    let shape = input.shape();
    if shape.len() != 2 + spatial_dims || shape[1] != in_channels || shape.contains(&0) {
        let axes = if spatial_dims == 2 { "H, W" } else { "D, H, W" };
        return Err(ModelError::Input { found: shape.to_vec(), expected: format!("[N, {in_channels}, {axes}]") });
    }
    let standard = input.as_standard_layout();
    let values = standard.as_slice().ok_or_else(|| ModelError::Torch("input is not contiguous".into()))?;
    let shape: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
    let tensor = Tensor::f_from_slice(values)?.f_view(shape.as_slice())?.f_to_device(device.torch())?;
    Ok(channels_last(&tensor)?)
}

/// The same N × C × spatial tensor with its channels next to each other in memory.
pub fn channels_last(tensor: &Tensor) -> Result<Tensor, tch::TchError> {
    tensor.f_movedim_int(1, -1)?.f_contiguous()?.f_movedim_int(-1, 1)
}

/// A tensor of the array's number of dimensions, copied.
pub fn array<D: Dimension>(tensor: &Tensor) -> Result<Array<f32, D>, ModelError> {
    let tensor = tensor.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut values = vec![0f32; tensor.numel()];
    let count = values.len();
    tensor.f_copy_data(&mut values, count)?;
    let shape: Vec<usize> = tensor.size().into_iter().map(|d| d as usize).collect();
    let array = Array::from_shape_vec(IxDyn(&shape), values).and_then(Array::into_dimensionality);
    array.map_err(|_| ModelError::Output {
        found: format!("shape {shape:?}"),
        expected: format!("{} dimensions", D::NDIM.unwrap_or_default()),
    })
}
