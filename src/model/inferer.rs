//! A segmentation network over an image larger than its window, as monai.inferers does it.

use std::ops::ControlFlow;

use ndarray::{Array, ArrayD, ArrayView, ArrayViewD, Axis, Dimension, IxDyn, Slice, Zip};

use super::importance::importance_map;
use super::{ModelError, Network};
use crate::manifest::{InfererSpec, SlidingWindowSpec};

#[derive(Debug, thiserror::Error)]
pub enum InferError {
    #[error("cancelled")]
    Cancelled,
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Looked at before each batch of windows with (windows done, all windows); [`ControlFlow::Break`] cancels.
pub type WindowDone<'a> = &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>;

/// Logits, out_channels × spatial, of an image, channels × spatial, for any number of axes that the network takes. A window
/// that covers the whole image costs nothing beside the network.
///
/// # Errors
/// [`InferError::Cancelled`]; [`InferError::Model`] for what the network refuses or an output that is not one vector a voxel.
pub fn infer<D: Dimension>(
    network: &mut dyn Network,
    volume: ArrayView<'_, f32, D>,
    spec: &InfererSpec,
    window_done: WindowDone<'_>,
) -> Result<Array<f32, D>, InferError> {
    let image = volume.into_dyn();
    let logits = match spec {
        InfererSpec::SimpleInferer(_) => whole(network, image, window_done)?,
        InfererSpec::SlidingWindowInferer(spec) => sliding_window(network, image, spec, window_done)?,
    };
    let output = |found: String| ModelError::Output { found, expected: "as many axes as the image's".into() };
    let found = format!("shape {:?}", logits.shape());
    Ok(logits.into_dimensionality().map_err(|_| output(found))?)
}

/// Where windows of size `roi` begin in an image of size `image`, which is nowhere smaller: neighbours share `overlap` of a
/// window, the last one of an axis is moved back until it fits. The last axis is the fastest.
pub fn window_starts(image: &[usize], roi: &[usize], overlap: f64) -> Vec<Vec<usize>> {
    let mut starts = vec![Vec::new()];
    for (&image, &roi) in image.iter().zip(roi) {
        // Python's int(): towards zero.
        let step = ((roi as f64 * (1.0 - overlap)) as usize).max(1);
        let last = image.saturating_sub(roi);
        let along: Vec<usize> = (0..=last.div_ceil(step)).map(|i| (i * step).min(last)).collect();
        starts = starts.iter().flat_map(|s| along.iter().map(move |&i| [&s[..], &[i]].concat())).collect();
    }
    starts
}

fn whole(
    network: &mut dyn Network,
    image: ArrayViewD<'_, f32>,
    window_done: WindowDone<'_>,
) -> Result<ArrayD<f32>, InferError> {
    if window_done(0, 1).is_break() {
        return Err(InferError::Cancelled);
    }
    Ok(forward(network, image.insert_axis(Axis(0)))?.index_axis_move(Axis(0), 0))
}

fn sliding_window(
    network: &mut dyn Network,
    image: ArrayViewD<'_, f32>,
    spec: &SlidingWindowSpec,
    window_done: WindowDone<'_>,
) -> Result<ArrayD<f32>, InferError> {
    let (roi, size) = (&spec.roi_size[..], image.shape()[1..].to_vec());
    if roi.len() != size.len() || roi.contains(&0) || size.contains(&0) {
        let expected = format!("an image with {} axes beside the channels, as roi_size {roi:?}", roi.len());
        return Err(ModelError::Input { found: image.shape().to_vec(), expected }.into());
    }
    if roi.iter().zip(&size).any(|(roi, size)| roi > size) {
        let (padded, before) = pad(image, roi);
        let logits = sliding_window(network, padded.view(), spec, window_done)?;
        return Ok(window(logits.view(), &before, &size).to_owned());
    }
    let starts = window_starts(&size, roi, spec.overlap);
    if starts.len() == 1 {
        return whole(network, image, window_done);
    }
    let importance = importance_map(roi, spec.mode, spec.sigma_scale);
    let mut weights = ArrayD::<f32>::zeros(IxDyn(&size));
    let mut sum: Option<ArrayD<f32>> = None;
    for (i, batch) in starts.chunks(spec.sw_batch_size.max(1)).enumerate() {
        if window_done(i * spec.sw_batch_size.max(1), starts.len()).is_break() {
            return Err(InferError::Cancelled);
        }
        let windows: Vec<_> = batch.iter().map(|at| window(image.view(), at, roi).insert_axis(Axis(0))).collect();
        let logits = match &windows[..] {
            // As it lies in the image: the network makes its own copy.
            [one] => forward(network, one.view())?,
            several => forward(network, ndarray::concatenate(Axis(0), several).map_err(shape_error)?.view())?,
        };
        let channels = logits.shape()[1];
        let sum = sum.get_or_insert_with(|| ArrayD::zeros([&[channels], &size[..]].concat()));
        for (at, logits) in batch.iter().zip(logits.outer_iter()) {
            let slice = |axis: usize| Slice::from(at[axis]..at[axis] + roi[axis]);
            weights.slice_each_axis_mut(|axis| slice(axis.axis.0)).zip_mut_with(&importance, |w, i| *w += i);
            for (mut sum, logits) in sum.outer_iter_mut().zip(logits.outer_iter()) {
                let part = sum.slice_each_axis_mut(|axis| slice(axis.axis.0));
                Zip::from(part).and(logits).and(&importance).for_each(|s, l, w| *s += l * w);
            }
        }
    }
    let mut mean = sum.unwrap_or_default();
    for mut channel in mean.outer_iter_mut() {
        channel /= &weights;
    }
    Ok(mean)
}

/// The network's answer to a batch, checked to be of the batch's size.
fn forward(network: &mut dyn Network, batch: ArrayViewD<'_, f32>) -> Result<ArrayD<f32>, ModelError> {
    let expected = batch.shape().to_vec();
    let logits = network.forward(batch)?.dense()?;
    let found = logits.shape();
    if found.len() != expected.len() || found[0] != expected[0] || found[2..] != expected[2..] {
        let expected = format!("shape [{}, channels, {:?}]", expected[0], &expected[2..]);
        return Err(ModelError::Output { found: format!("shape {found:?}"), expected });
    }
    Ok(logits)
}

/// `size` voxels of all channels from `start` on.
fn window<'a>(image: ArrayViewD<'a, f32>, start: &[usize], size: &[usize]) -> ArrayViewD<'a, f32> {
    let mut window = image;
    for (axis, (&start, &size)) in start.iter().zip(size).enumerate() {
        window.slice_axis_inplace(Axis(axis + 1), Slice::from(start..start + size));
    }
    window
}

/// Zeros around the image until no axis is smaller than `roi`, the odd one behind; and how many stand before it.
fn pad(image: ArrayViewD<'_, f32>, roi: &[usize]) -> (ArrayD<f32>, Vec<usize>) {
    let size = &image.shape()[1..];
    let before: Vec<usize> = size.iter().zip(roi).map(|(&size, &roi)| roi.saturating_sub(size) / 2).collect();
    let shape: Vec<usize> = size.iter().zip(roi).map(|(&size, &roi)| size.max(roi)).collect();
    let mut padded = ArrayD::zeros([&image.shape()[..1], &shape[..]].concat());
    let inside = |axis: usize| match axis {
        0 => Slice::from(..),
        _ => Slice::from(before[axis - 1]..before[axis - 1] + size[axis - 1]),
    };
    padded.slice_each_axis_mut(|axis| inside(axis.axis.0)).assign(&image);
    (padded, before)
}

fn shape_error(error: ndarray::ShapeError) -> ModelError {
    ModelError::Output { found: error.to_string(), expected: "windows of one size".into() }
}

#[cfg(test)]
mod tests;
