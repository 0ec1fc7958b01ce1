//! Between ndarray and libtorch.

use ndarray::{Array, ArrayView4, Dimension, IxDyn};
use tch::{Kind, Tensor};

use crate::model::{Device, ModelError};

/// A batch as an f32 tensor in channels_last order, the order that oneDNN's convolutions work in without reordering.
/// One copy.
pub fn input_tensor(input: ArrayView4<'_, f32>, in_channels: usize, device: Device) -> Result<Tensor, ModelError> {
    let (n, c, h, w) = input.dim();
    if n == 0 || c != in_channels || h == 0 || w == 0 {
        return Err(ModelError::Input { found: input.shape().to_vec(), expected: format!("[N, {in_channels}, H, W]") });
    }
    let standard = input.as_standard_layout();
    let values = standard.as_slice().ok_or_else(|| ModelError::Torch("input is not contiguous".into()))?;
    let shape = [n, c, h, w].map(|d| d as i64);
    let tensor = Tensor::f_from_slice(values)?.f_view(shape)?.f_to_device(device.torch())?;
    Ok(channels_last(&tensor)?)
}

/// The same N × C × H × W tensor with its channels next to each other in memory.
pub fn channels_last(tensor: &Tensor) -> Result<Tensor, tch::TchError> {
    tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
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
