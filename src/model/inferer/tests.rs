use ndarray::{Array3, Array4, concatenate};

use super::*;
use crate::manifest::BlendMode;
use crate::manifest::inferer::SimpleInfererSpec;
use crate::model::Logits;

/// Gives each window back, and minus it as a second channel; remembers the batches' shapes.
#[derive(Default)]
struct Identity {
    batches: Vec<Vec<usize>>,
}

impl Network for Identity {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        self.batches.push(input.shape().to_vec());
        Ok(Logits::Dense(concatenate(Axis(1), &[input.view(), input.mapv(|v| -v).view()]).unwrap()))
    }
}

fn spec(roi_size: &[usize], overlap: f64, mode: BlendMode, sw_batch_size: usize) -> InfererSpec {
    let roi_size = roi_size.to_vec();
    InfererSpec::SlidingWindowInferer(SlidingWindowSpec { roi_size, overlap, mode, sw_batch_size, sigma_scale: 0.125 })
}

fn volume(shape: [usize; 4]) -> Array4<f32> {
    Array4::from_shape_fn(shape, |(c, z, y, x)| (c * 1000 + z * 100 + y * 10 + x) as f32 / 7.0)
}

fn go_on(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn an_identity_network_gives_the_volume_back() {
    for shape in [[1, 8, 8, 8], [2, 13, 9, 21], [1, 5, 30, 8], [3, 7, 7, 7], [1, 1, 1, 1]] {
        for roi in [[8, 8, 8], [5, 9, 4], [1, 1, 1]] {
            for overlap in [0.0, 0.25, 0.5, 0.83] {
                for (mode, batch) in [(BlendMode::Constant, 1), (BlendMode::Gaussian, 3)] {
                    let volume = volume(shape);
                    let mut network = Identity::default();
                    let spec = spec(&roi, overlap, mode, batch);
                    let logits = infer(&mut network, volume.view(), &spec, &mut go_on).unwrap();
                    assert_eq!(logits.dim(), (2 * shape[0], shape[1], shape[2], shape[3]));
                    let expected = concatenate(Axis(0), &[volume.view(), volume.mapv(|v| -v).view()]).unwrap();
                    let off = (&logits - &expected).mapv(f32::abs).fold(0f32, |m, d| m.max(*d));
                    let scale = expected.fold(0f32, |m, d| m.max(d.abs()));
                    assert!(off <= 4e-6 * scale, "{shape:?} {roi:?} {overlap} {mode:?}: off by {off}");
                    assert!(network.batches.iter().all(|b| b[0] <= batch && b[2..] == roi));
                }
            }
        }
    }
}

/// What MONAI computes by hand for 11 voxels: windows of 4, half overlapping, the last one moved back.
#[test]
fn windows_cover_the_image() {
    assert_eq!(window_starts(&[11], &[4], 0.5), [[0], [2], [4], [6], [7]]);
    assert_eq!(window_starts(&[4, 5], &[4, 4], 0.25), [[0, 0], [0, 1]]);
    assert_eq!(window_starts(&[6], &[4], 0.9), [[0], [1], [2]]);
    assert_eq!(window_starts(&[4], &[4], 0.5), [[0]]);
}

/// A voxel seen by two windows is their weighted mean: a network that answers with the number of its call.
#[test]
fn overlaps_are_averaged_by_weight() {
    struct Count(f32);
    impl Network for Count {
        fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
            self.0 += 1.0;
            Ok(Logits::Dense(ArrayD::from_elem(input.raw_dim(), self.0)))
        }
    }
    let image = Array3::zeros((1, 1, 6));
    let run = |mode| infer(&mut Count(0.0), image.view(), &spec(&[1, 4], 0.5, mode, 1), &mut go_on).unwrap();
    assert_eq!(run(BlendMode::Constant).as_slice().unwrap(), [1.0, 1.0, 1.5, 1.5, 2.0, 2.0]);
    let weights = importance_map(&[1, 4], BlendMode::Gaussian, 0.125);
    let (inner, outer) = (weights[[0, 2]], weights[[0, 0]]);
    let near = run(BlendMode::Gaussian)[[0, 0, 2]];
    assert!((near - (inner + 2.0 * outer) / (inner + outer)).abs() < 1e-6 && near < 1.05, "{near}");
}

#[test]
fn progress_and_cancelling() {
    let volume = volume([1, 4, 4, 10]);
    let spec = spec(&[4, 4, 4], 0.5, BlendMode::Constant, 2);
    let mut seen = Vec::new();
    let mut record = |done, total| {
        seen.push((done, total));
        ControlFlow::Continue(())
    };
    infer(&mut Identity::default(), volume.view(), &spec, &mut record).unwrap();
    assert_eq!(seen, [(0, 4), (2, 4)]);
    let mut network = Identity::default();
    let mut stop = |done, _| if done == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let outcome = infer(&mut network, volume.view(), &spec, &mut stop);
    assert!(matches!(outcome, Err(InferError::Cancelled)) && network.batches.len() == 1);
}

#[test]
fn the_whole_image_at_once_and_wrong_axes() {
    let volume = volume([2, 3, 4, 5]);
    let mut network = Identity::default();
    let whole = InfererSpec::SimpleInferer(SimpleInfererSpec {});
    let logits = infer(&mut network, volume.view(), &whole, &mut go_on).unwrap();
    assert_eq!((logits.dim(), network.batches), ((4, 3, 4, 5), vec![vec![1, 2, 3, 4, 5]]));
    let flat = spec(&[4, 4], 0.5, BlendMode::Constant, 1);
    let error = infer(&mut Identity::default(), volume.view(), &flat, &mut go_on).unwrap_err().to_string();
    assert!(error.contains("found shape [2, 3, 4, 5], expected an image with 2 axes"), "{error}");
}
