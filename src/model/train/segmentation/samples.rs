//! Phantoms as the network will see them: drawn, and sent through the model's own preprocessing chain.

use ndarray::{Array3, Array4, Axis};
use tch::{Kind, Tensor};

use crate::imaging::Volume;
use crate::manifest::{Manifest, TransformSpec};
use crate::model::train::{PhantomSet, TrainError};
use crate::phantom::{BreastMri, BreastMriPhantom, Orientation, Random};
use crate::transform::{PreparedVolume, VolumeChain};

/// The `index`-th phantom of a set: every fifth has no tumour, everything else is drawn from the seed. Without a detector
/// that fixes them slices are 256 × 256, their spacing that of common protocols.
pub fn phantom(set: &PhantomSet, index: usize) -> BreastMriPhantom {
    let own = set.seed_of(index);
    let mut random = Random::new(own, 0);
    let slices = random.integer(100, 124);
    let [slice_mm, pixel_mm] = [(1.6, 2.0), (1.2, 1.4)].map(|(low, high)| {
        let hundredths: f32 = random.uniform(100.0 * low, 100.0 * high);
        hundredths.round() / 100.0
    });
    let (pixel_mm, (rows, columns)) = set.detector.map_or((pixel_mm, (256, 256)), |d| (d.spacing_mm, d.size));
    BreastMriPhantom {
        seed: own,
        size: [slices, rows, columns],
        spacing_mm: [slice_mm, pixel_mm, pixel_mm],
        orientation: Orientation::Axial,
        lesion: index % 5 != 4,
    }
}

/// One training volume, in half precision: a set of them stays in memory.
pub struct Sample {
    /// 1 × channels × slices × rows × columns
    pub input: Tensor,
    /// Share of the tumour, 1 × 1 × slices × rows × columns
    pub truth: Tensor,
    /// (slices, rows, columns)
    pub size: [usize; 3],
    /// The tumour's centre on the prepared grid.
    pub centre: Option<[f32; 3]>,
}

/// The chain of the manifest, and the part of it that moves voxels, which the truth goes through too.
pub struct Preparation {
    chain: VolumeChain,
    spatial: VolumeChain,
}

impl Preparation {
    pub fn new(manifest: &Manifest) -> Result<Self, TrainError> {
        let steps = &manifest.preprocessing;
        let moves =
            |step: &&TransformSpec| matches!(step, TransformSpec::CenterSpatialCrop(_) | TransformSpec::Resize(_));
        let spatial: Vec<TransformSpec> = steps.iter().filter(moves).cloned().collect();
        Ok(Self { chain: VolumeChain::new(steps)?, spatial: VolumeChain::new(&spatial)? })
    }

    /// What the network is given of an exam.
    pub fn input(&self, exam: &BreastMri) -> Result<PreparedVolume, TrainError> {
        let channels: Vec<Volume> = exam.phases.iter().map(|phase| volume(exam, phase.mapv(f32::from))).collect();
        Ok(self.chain.apply(&channels)?)
    }

    /// The tumour's share of each voxel that the network is given.
    fn truth(&self, exam: &BreastMri) -> Result<Array3<f32>, TrainError> {
        let prepared = self.spatial.apply(&[volume(exam, exam.truth.mapv(f32::from))])?;
        Ok(prepared.array.index_axis_move(Axis(0), 0))
    }

    /// Draws a phantom and prepares it.
    pub fn sample(&self, phantom: &BreastMriPhantom) -> Result<Sample, TrainError> {
        let exam = phantom.render()?;
        Sample::new(&self.input(&exam)?.array, &self.truth(&exam)?)
    }
}

fn volume(exam: &BreastMri, voxels: Array3<f32>) -> Volume {
    Volume { geometry: exam.geometry.clone(), voxels, slices: Vec::new() }
}

impl Sample {
    fn new(input: &Array4<f32>, truth: &Array3<f32>) -> Result<Self, TrainError> {
        let (channels, slices, rows, columns) = input.dim();
        let half = |values: &[f32], channels: usize| -> Result<Tensor, TrainError> {
            let shape = [1, channels, slices, rows, columns].map(|d| d as i64);
            Ok(Tensor::f_from_slice(values)?.f_view(shape)?.f_to_kind(Kind::Half)?)
        };
        Ok(Self {
            input: half(&input.iter().copied().collect::<Vec<_>>(), channels)?,
            truth: half(&truth.iter().copied().collect::<Vec<_>>(), 1)?,
            size: [slices, rows, columns],
            centre: centre(truth),
        })
    }
}

/// Centre of mass.
fn centre(truth: &Array3<f32>) -> Option<[f32; 3]> {
    let mut sums = [0.0f32; 4];
    for ((slice, row, column), share) in truth.indexed_iter().filter(|(_, share)| **share > 0.0) {
        sums[0] += share * slice as f32;
        sums[1] += share * row as f32;
        sums[2] += share * column as f32;
        sums[3] += share;
    }
    (sums[3] > 0.0).then(|| [sums[0], sums[1], sums[2]].map(|s| s / sums[3]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::nets::tensor::array;

    fn preparation() -> Preparation {
        let text = include_str!("../../../../models/breast-dce-swinunetr-demo/manifest.json");
        Preparation::new(&Manifest::from_json(text).unwrap()).unwrap()
    }

    fn coarse(index: usize) -> BreastMriPhantom {
        phantom(&PhantomSet::training(3), index).coarser(4)
    }

    /// Where the truth says tumour, the input shows one: what comes after contrast medium is brighter than what was.
    #[test]
    fn truth_and_input_lie_on_one_another() {
        let preparation = preparation();
        let samples = [0, 1, 2, 4].map(|index| preparation.sample(&coarse(index)).unwrap());
        for sample in &samples[..3] {
            let (input, truth): (ndarray::Array5<f32>, ndarray::Array5<f32>) =
                (array(&sample.input).unwrap(), array(&sample.truth).unwrap());
            let (mut before, mut after, mut rest, mut inside) = (0.0, 0.0, 0.0, 0.0);
            for ((_, _, s, r, c), share) in truth.indexed_iter() {
                if *share > 0.5 {
                    before += f64::from(input[[0, 0, s, r, c]]);
                    after += f64::from(input[[0, 1, s, r, c]]);
                    inside += 1.0;
                } else {
                    rest += f64::from(input[[0, 1, s, r, c]]);
                }
            }
            let rest = rest / (truth.len() as f64 - inside);
            assert!(inside > 0.0 && after > before && after / inside > 2.5 * rest, "{before} {after} {inside} {rest}");
            let centre = sample.centre.unwrap().map(|v| v as usize);
            let near = |i: usize| centre[i].saturating_sub(2)..centre[i] + 3;
            let hit = near(0).any(|s| near(1).any(|r| near(2).any(|c| truth[[0, 0, s, r, c]] > 0.0)));
            assert!(hit, "the centre lies in or by the tumour");
        }
        assert!(samples[3].centre.is_none() && f64::try_from(samples[3].truth.max()).unwrap() == 0.0);
    }
}
