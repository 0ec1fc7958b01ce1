//! Data path step 7: the network over a whole volume, at once or window by window (MONAI's `sliding_window_inference`).

use std::ops::ControlFlow;

use ndarray::{Array4, Array5, ArrayView4, ArrayViewD, Axis, Ix4, Ix5, Zip, s};

use super::importance::importance_map;
use super::network::spread_of;
use super::{ModelError, Network};
use crate::manifest::inferer::{InfererSpec, SlidingWindowInfererSpec};

/// Why there are no logits.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    #[error("cancelled")]
    Cancelled,
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// As [`infer_with_spread`], the logits alone.
///
/// # Errors
/// As [`infer_with_spread`].
pub fn infer(
    network: &mut dyn Network,
    volume: ArrayView4<'_, f32>,
    spec: &InfererSpec,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Array4<f32>, InferError> {
    Ok(infer_with_spread(network, volume, spec, progress)?.0)
}

/// The network's logits for a volume: channels × slices × rows × columns in, output channels × slices × rows × columns
/// out; and in the same shape the standard deviation of the probabilities of a network that combines several answers, averaged
/// over windows as the logits are. `progress` is told (windows done, windows in all) before each batch of windows and at the end, and may
/// break off.
///
/// # Errors
/// [`InferError::Cancelled`] where `progress` breaks off; [`InferError::Model`] for the network's errors, and for logits
/// that are not dense, not of the window's size or not finite.
pub fn infer_with_spread(
    network: &mut dyn Network,
    volume: ArrayView4<'_, f32>,
    spec: &InfererSpec,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<(Array4<f32>, Option<Array4<f32>>), InferError> {
    let output = stacked(network, volume, spec, progress)?;
    Ok(match output {
        Stacked { values, has_spread: false } => (values, None),
        Stacked { values, has_spread: true } => {
            let channels = values.shape()[0] / 2;
            let (logits, spread) = values.view().split_at(Axis(0), channels);
            (logits.to_owned(), Some(spread.to_owned()))
        }
    })
}

/// The logits' channels, and after them as many of their spread where there is one.
struct Stacked<V> {
    values: V,
    has_spread: bool,
}

fn stacked(
    network: &mut dyn Network,
    volume: ArrayView4<'_, f32>,
    spec: &InfererSpec,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Stacked<Array4<f32>>, InferError> {
    let size = spatial(volume);
    match spec {
        InfererSpec::SlidingWindowInferer(spec) if spec.roi_size != size => windows(network, volume, spec, progress),
        // A window of the volume's own size needs no blending.
        _ => {
            tell(progress, 0, 1)?;
            let Stacked { values, has_spread } = forward(network, volume.insert_axis(Axis(0)).into_dyn(), size)?;
            tell(progress, 1, 1)?;
            Ok(Stacked { values: values.index_axis_move(Axis(0), 0), has_spread })
        }
    }
}

fn tell(
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    done: usize,
    total: usize,
) -> Result<(), InferError> {
    if progress(done, total).is_break() { Err(InferError::Cancelled) } else { Ok(()) }
}

fn spatial(volume: ArrayView4<'_, f32>) -> [usize; 3] {
    let (_, slices, rows, columns) = volume.dim();
    [slices, rows, columns]
}

fn forward(
    network: &mut dyn Network,
    input: ArrayViewD<'_, f32>,
    size: [usize; 3],
) -> Result<Stacked<Array5<f32>>, ModelError> {
    let n = input.shape()[0];
    let (logits, spread) = network.forward_with_spread(input)?;
    let logits = logits.dense()?;
    let found = logits.shape().to_vec();
    let output = |found: String| ModelError::Output { found, expected: format!("finite logits [{n}, K, {size:?}]") };
    let logits = logits.into_dimensionality::<Ix5>().map_err(|_| output(format!("shape {found:?}")))?;
    if found[0] != n || found[2..] != size {
        return Err(output(format!("shape {found:?}")));
    }
    if let Some(bad) = logits.iter().find(|v| !v.is_finite()) {
        return Err(output(bad.to_string()));
    }
    let Some(spread) = spread_of::<Ix5>(spread, &found)? else {
        return Ok(Stacked { values: logits, has_spread: false });
    };
    if let Some(bad) = spread.iter().find(|v| !v.is_finite()) {
        return Err(output(format!("{bad} as their spread")));
    }
    let values = ndarray::concatenate(Axis(1), &[logits.view(), spread.view()]);
    Ok(Stacked { values: values.map_err(|e| output(format!("a spread: {e}")))?, has_spread: true })
}

fn windows(
    network: &mut dyn Network,
    volume: ArrayView4<'_, f32>,
    spec: &SlidingWindowInfererSpec,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Stacked<Array4<f32>>, InferError> {
    let size = spatial(volume);
    let roi = spec.roi_size;
    let padded_size: [usize; 3] = std::array::from_fn(|axis| size[axis].max(roi[axis]));
    // Half of what is missing goes before the volume, the odd voxel after it.
    let before: [usize; 3] = std::array::from_fn(|axis| (padded_size[axis] - size[axis]) / 2);
    let padded;
    let input = if padded_size == size {
        volume
    } else {
        padded = pad(volume, padded_size, before);
        padded.view()
    };
    let starts = window_starts(padded_size, roi, spec.overlap);
    let importance = importance_map(spec);
    let mut sum: Option<Array4<f32>> = None;
    let mut weight = ndarray::Array3::<f32>::zeros(padded_size);
    let mut done = 0;
    let mut has_spread = false;
    for batch in starts.chunks(spec.sw_batch_size.max(1)) {
        tell(progress, done, starts.len())?;
        let views: Vec<_> = batch.iter().map(|start| window(input, *start, roi)).collect();
        let stacked = ndarray::stack(Axis(0), &views)
            .map_err(|e| ModelError::Output { found: e.to_string(), expected: "windows of one size".into() })?;
        let Stacked { values: logits, has_spread: has } = forward(network, stacked.view().into_dyn(), roi)?;
        has_spread = has;
        let channels = logits.shape()[1];
        let sum = sum.get_or_insert_with(|| Array4::zeros((channels, padded_size[0], padded_size[1], padded_size[2])));
        for (start, logits) in batch.iter().zip(logits.outer_iter()) {
            let place = |axis: usize| start[axis]..start[axis] + roi[axis];
            let mut target = sum.slice_mut(s![.., place(0), place(1), place(2)]);
            for (mut target, logits) in target.outer_iter_mut().zip(logits.outer_iter()) {
                Zip::from(&mut target).and(&logits).and(&importance).for_each(|t, l, w| *t += l * w);
            }
            let mut target = weight.slice_mut(s![place(0), place(1), place(2)]);
            target += &importance;
        }
        done += batch.len();
    }
    tell(progress, done, starts.len())?;
    let mut sum = sum.unwrap_or_default();
    for mut channel in sum.outer_iter_mut() {
        channel /= &weight;
    }
    let kept = |axis: usize| before[axis]..before[axis] + size[axis];
    let values = if padded_size == size { sum } else { sum.slice(s![.., kept(0), kept(1), kept(2)]).to_owned() };
    Ok(Stacked { values, has_spread })
}

fn pad(volume: ArrayView4<'_, f32>, to: [usize; 3], before: [usize; 3]) -> Array4<f32> {
    let (channels, slices, rows, columns) = volume.dim();
    let mut padded = Array4::zeros((channels, to[0], to[1], to[2]));
    let [s, r, c] = before;
    padded.slice_mut(s![.., s..s + slices, r..r + rows, c..c + columns]).assign(&volume);
    padded
}

fn window<'a>(volume: ArrayView4<'a, f32>, start: [usize; 3], roi: [usize; 3]) -> ndarray::ArrayView<'a, f32, Ix4> {
    let place = |axis: usize| start[axis]..start[axis] + roi[axis];
    volume.slice_move(s![.., place(0), place(1), place(2)])
}

/// First voxels of the windows, the last axis fastest. Windows are `roi × (1 - overlap)` apart, rounded down and at least
/// 1; the last one of an axis is moved back to fit.
pub fn window_starts(size: [usize; 3], roi: [usize; 3], overlap: f64) -> Vec<[usize; 3]> {
    let axis = |axis: usize| -> Vec<usize> {
        let step =
            if roi[axis] == size[axis] { roi[axis] } else { ((roi[axis] as f64 * (1.0 - overlap)) as usize).max(1) };
        let last = size[axis] - roi[axis];
        let mut starts: Vec<usize> = (0..last).step_by(step).collect();
        starts.push(last);
        starts
    };
    let [slices, rows, columns] = [axis(0), axis(1), axis(2)];
    let mut starts = Vec::with_capacity(slices.len() * rows.len() * columns.len());
    for &s in &slices {
        for &r in &rows {
            starts.extend(columns.iter().map(|&c| [s, r, c]));
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;

    use super::*;
    use crate::manifest::inferer::BlendMode;
    use crate::model::Logits;

    /// Gives back the first channel, and notes the batches it saw.
    struct Identity(Vec<usize>);

    impl Network for Identity {
        fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
            self.0.push(input.shape()[0]);
            Ok(Logits::Dense(input.slice_axis(Axis(1), (0..1).into()).to_owned()))
        }
    }

    fn spec(roi_size: [usize; 3], overlap: f64, mode: BlendMode, sw_batch_size: usize) -> InfererSpec {
        let sigma_scale = 0.125;
        InfererSpec::SlidingWindowInferer(SlidingWindowInfererSpec {
            roi_size,
            overlap,
            mode,
            sw_batch_size,
            sigma_scale,
        })
    }

    fn volume(size: [usize; 3]) -> Array4<f32> {
        Array4::from_shape_fn((2, size[0], size[1], size[2]), |(c, s, r, k)| {
            (c * 7 + s * 31 + r * 5 + k * 3) as f32 % 17.0
        })
    }

    #[test]
    fn an_identity_network_gives_the_volume_back_whatever_the_windows() {
        for size in [[9, 10, 11], [4, 5, 6], [1, 1, 1], [3, 20, 7]] {
            for roi in [[4, 5, 6], [1, 2, 3], [12, 4, 9]] {
                for overlap in [0.0, 0.25, 0.5, 0.9] {
                    for mode in [BlendMode::Constant, BlendMode::Gaussian] {
                        let volume = volume(size);
                        let mut network = Identity(Vec::new());
                        let out = infer(&mut network, volume.view(), &spec(roi, overlap, mode, 3), &mut |_, _| {
                            ControlFlow::Continue(())
                        });
                        let out = out.unwrap();
                        assert_eq!(out.shape(), [1, size[0], size[1], size[2]]);
                        let expected = volume.slice(s![..1, .., .., ..]);
                        let worst = out.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                        assert!(worst < 1e-4, "{size:?} {roi:?} {overlap} {mode:?}: {worst}");
                        assert!(network.0.iter().all(|n| *n <= 3));
                    }
                }
            }
        }
    }

    /// The first channel as logits, the second as their spread.
    struct Spread;

    impl Network for Spread {
        fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
            Identity(Vec::new()).forward(input)
        }

        fn forward_with_spread(
            &mut self,
            input: ArrayViewD<'_, f32>,
        ) -> Result<(Logits, Option<ArrayD<f32>>), ModelError> {
            let spread = input.slice_axis(Axis(1), (1..2).into()).to_owned();
            Ok((self.forward(input)?, Some(spread)))
        }
    }

    #[test]
    fn a_spread_goes_the_way_of_the_logits() {
        let volume = volume([5, 9, 7]);
        for spec in [InfererSpec::default(), spec([4, 5, 8], 0.5, BlendMode::Gaussian, 2)] {
            let (logits, spread) =
                infer_with_spread(&mut Spread, volume.view(), &spec, &mut |_, _| ControlFlow::Continue(())).unwrap();
            for (found, channel) in [(&logits, 0), (&spread.unwrap(), 1)] {
                let expected = volume.slice(s![channel..=channel, .., .., ..]);
                assert_eq!(found.dim(), expected.dim());
                assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{spec:?}, channel {channel}");
            }
        }
    }

    #[test]
    fn windows_start_where_monai_puts_them() {
        let axis = |size, roi, overlap| -> Vec<usize> {
            window_starts([1, 1, size], [1, 1, roi], overlap).into_iter().map(|s| s[2]).collect()
        };
        assert_eq!(axis(128, 96, 0.5), [0, 32]);
        assert_eq!(axis(200, 96, 0.5), [0, 48, 96, 104]);
        assert_eq!(axis(96, 96, 0.5), [0]);
        assert_eq!(axis(10, 4, 0.9), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(axis(192, 96, 0.0), [0, 96]);
    }

    #[test]
    fn progress_counts_windows_and_can_break_off() {
        let volume = volume([8, 8, 8]);
        let spec = spec([4, 4, 4], 0.0, BlendMode::Constant, 3);
        let mut seen = Vec::new();
        let mut network = Identity(Vec::new());
        infer(&mut network, volume.view(), &spec, &mut |done, total| {
            seen.push((done, total));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(seen, [(0, 8), (3, 8), (6, 8), (8, 8)]);
        let mut network = Identity(Vec::new());
        let broken = infer(&mut network, volume.view(), &spec, &mut |done, _| {
            if done >= 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(broken, Err(InferError::Cancelled)));
        assert_eq!(network.0, [3]);
    }

    #[test]
    fn logits_of_another_size_or_without_value_are_refused() {
        struct Odd(f32, usize);
        impl Network for Odd {
            fn forward(&mut self, _: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
                Ok(Logits::Dense(ArrayD::from_elem(vec![1, 1, 4, 4, self.1], self.0)))
            }
        }
        let volume = volume([4, 4, 4]);
        for (mut network, expected) in [(Odd(0.0, 5), "shape [1, 1, 4, 4, 5]"), (Odd(f32::NAN, 4), "NaN")] {
            let refused =
                infer(&mut network, volume.view(), &InfererSpec::default(), &mut |_, _| ControlFlow::Continue(()));
            let text = refused.unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
