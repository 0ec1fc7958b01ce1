//! Slices as the network will see them: drawn, wrapped in DICOM, read back, and sent through the model's own preprocessing chain.

use ndarray::{Array2, Array3, Axis};

use crate::imaging::{Pixels, Projection, read_instance};
use crate::manifest::transform::{ConvertToUint8Spec, Uint8Mode};
use crate::manifest::{Manifest, TransformSpec};
use crate::model::train::classification::teachers::breast_tumours::phantom;
use crate::model::train::{PhantomSet, TrainError};
use crate::phantom::{BreastSliceInstance, TumourKind};
use crate::transform::TransformChain;

/// The `index`-th slice of a set: of five two have a benign tumour, two a malignant one, and one has none.
pub fn slice(set: &PhantomSet, index: usize) -> Result<(Projection, BreastSliceInstance), TrainError> {
    let tumour = match index % 5 {
        0 | 2 => Some(TumourKind::Benign),
        1 | 3 => Some(TumourKind::Malignant),
        _ => None,
    };
    let instance = phantom(set, index, tumour).to_dicom()?;
    Ok((read_instance(&instance.to_bytes()?, None)?, instance))
}

/// One training image.
pub struct Sample {
    /// The chain's result, (channel, row, column).
    pub input: Array3<f32>,
    /// Share of the tumour in 255ths, (row, column).
    pub truth: Array2<u8>,
    /// The tumour's centre on the prepared grid, (row, column).
    pub centre: Option<[f32; 2]>,
}

/// The chain of the manifest, and the part of it that moves pixels, which the truth goes through too.
pub struct Preparation {
    pub chain: TransformChain,
    spatial: TransformChain,
}

impl Preparation {
    pub fn new(manifest: &Manifest) -> Result<Self, TrainError> {
        let mut spatial = vec![TransformSpec::ConvertToUint8(ConvertToUint8Spec { mode: Uint8Mode::MinMax })];
        for step in &manifest.preprocessing {
            match step {
                TransformSpec::Resize(_) => spatial.push(step.clone()),
                // What it keeps depends on the image, and would be another box in the truth.
                TransformSpec::CropForeground(_) => {
                    return Err(TrainError::Untrainable { network: "UNet", task: "segmentation with CropForeground" });
                }
                _ => {}
            }
        }
        Ok(Self { chain: TransformChain::new(&manifest.preprocessing)?, spatial: TransformChain::new(&spatial)? })
    }

    /// Draws the `index`-th slice of a set and prepares it.
    pub fn sample(&self, set: &PhantomSet, index: usize) -> Result<Sample, TrainError> {
        let (image, instance) = slice(set, index)?;
        self.prepare(&image, &instance.slice.truth)
    }

    fn prepare(&self, image: &Projection, truth: &Array2<u8>) -> Result<Sample, TrainError> {
        let input = self.chain.apply(image)?.array;
        // White on black, so that min-max scaling leaves it as it is; all black stays black.
        let mut mask = image.clone();
        mask.attributes.bits_stored = 8;
        mask.pixels = Pixels::U8(truth.mapv(|v| 255 * v));
        let truth = self.spatial.apply(&mask)?.array.index_axis_move(Axis(0), 0).mapv(|v| v as u8);
        Ok(Sample { input, centre: centre(&truth), truth })
    }
}

/// Centre of mass.
fn centre(truth: &Array2<u8>) -> Option<[f32; 2]> {
    let mut sums = [0.0f32; 3];
    for ((row, column), share) in truth.indexed_iter() {
        let share = f32::from(*share);
        sums[0] += share * row as f32;
        sums[1] += share * column as f32;
        sums[2] += share;
    }
    (sums[2] > 0.0).then(|| [sums[0] / sums[2], sums[1] / sums[2]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the truth says tumour, the input shows one: it is brighter than the rest.
    #[test]
    fn truth_and_input_lie_on_one_another() {
        let text = include_str!("../../../../models/breast-mri-unet-demo/manifest.json");
        let preparation = Preparation::new(&Manifest::from_json(text).unwrap()).unwrap();
        for index in 0..5 {
            let sample = preparation.sample(&PhantomSet::training(3), index).unwrap();
            let (_, rows, columns) = sample.input.dim();
            assert_eq!(sample.truth.dim(), (rows, columns));
            if index == 4 {
                assert!(sample.centre.is_none() && sample.truth.iter().all(|v| *v == 0));
                continue;
            }
            let mean = |inside: bool| {
                let values = sample.input.index_axis(Axis(0), 0);
                let chosen = values.iter().zip(&sample.truth).filter(|(_, t)| (**t > 127) == inside);
                let (sum, n) = chosen.fold((0.0, 0.0), |(sum, n), (v, _)| (sum + f64::from(*v), n + 1.0));
                assert!(n > 3.0, "slice {index}");
                sum / n
            };
            assert!(mean(true) > 2.0 * mean(false), "slice {index}: {} and {}", mean(true), mean(false));
        }
    }
}
