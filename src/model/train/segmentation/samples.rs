//! Phantoms as the network will see them: drawn, and sent through the model's own preprocessing chain.

use ndarray::Array3;
use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::model::train::{Detector, Purpose, TrainError};
use crate::phantom::{BreastMriPhantom, Orientation, Random};

/// The `index`-th phantom of a set: every fifth has no tumour, everything else is drawn from the seed. `detector` fixes the
/// slices' size and spacing; None: 256 × 256, the spacing that of common protocols.
pub fn phantom(seed: u64, purpose: Purpose, index: usize, detector: Option<Detector>) -> BreastMriPhantom {
    let own = purpose.seed(seed, index);
    let mut random = Random::new(own, 0);
    let slices = random.integer(100, 124);
    let [slice_mm, pixel_mm] = [(1.6, 2.0), (1.2, 1.4)].map(|(low, high)| {
        let hundredths: f32 = random.uniform(100.0 * low, 100.0 * high);
        hundredths.round() / 100.0
    });
    let (pixel_mm, (rows, columns)) = detector.map_or((pixel_mm, (256, 256)), |d| (d.spacing_mm, d.size));
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

/// Draws the phantoms of a set in parallel.
pub fn samples(phantoms: &[BreastMriPhantom], drawn: &(dyn Fn() + Sync)) -> Result<Vec<Sample>, TrainError> {
    let sample = |phantom: &BreastMriPhantom| {
        let (input, truth) = super::prepare::prepare(&phantom.render()?);
        drawn();
        let half = |values: &[f32], shape: &[i64]| -> Result<Tensor, TrainError> {
            Ok(Tensor::f_from_slice(values)?.f_view(shape)?.f_to_kind(Kind::Half)?)
        };
        let (channels, slices, rows, columns) = input.dim();
        let shape = [1, channels as i64, slices as i64, rows as i64, columns as i64];
        Ok(Sample {
            input: half(input.as_slice().unwrap_or_default(), &shape)?,
            truth: half(truth.as_slice().unwrap_or_default(), &[1, 1, shape[2], shape[3], shape[4]])?,
            size: [slices, rows, columns],
            centre: centre(&truth),
        })
    };
    phantoms.par_iter().map(sample).collect()
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
