//! Phantoms as the network will see them: drawn, wrapped in DICOM, read back, and sent through the model's own
//! preprocessing chain.

use ndarray::{Array2, Array3};
use rayon::prelude::*;

use super::TrainError;
use crate::imaging::{Pixels, Projection, read_instance};
use crate::manifest::{Manifest, TransformSpec};
use crate::phantom::{Class, Laterality, PhantomView, Random, View, mix};
use crate::transform::{Applied, TransformChain};

/// Which phantoms are drawn. The sets share no seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Training,
    Evaluation,
}

/// (spacing in mm, (rows, columns)): a common detector in two widths, at full size, half and quarter resolution.
const DETECTORS: [(f32, (usize, usize)); 6] = [
    (0.28, (832, 640)),
    (0.28, (832, 710)),
    (0.14, (1664, 1280)),
    (0.14, (1664, 1420)),
    (0.07, (3328, 2560)),
    (0.07, (3328, 2840)),
];

/// The `index`-th phantom of a set: its class is `index % 4`, everything else is drawn from the seed. `detector` fixes
/// spacing and size; None mixes them, mostly coarse because those are quick to draw.
pub(super) fn phantom(seed: u64, purpose: Purpose, index: usize, detector: Option<Detector>) -> PhantomView {
    let tag = match purpose {
        Purpose::Training => 0x7472_6169_6e00_0000,
        Purpose::Evaluation => 0x6576_616c_0000_0000,
    };
    let own = mix(mix(seed ^ tag).wrapping_add(index as u64));
    let mut random = Random::new(own, 0);
    let (spacing_mm, size) = detector.map_or_else(
        || DETECTORS[[0, 0, 0, 1, 1, 1, 0, 1, 0, 1, 2, 2, 3, 3, 2, 3, 4, 5, 0, 1][random.integer(0, 19)]],
        |d| (d.spacing_mm, d.size),
    );
    PhantomView {
        laterality: if random.chance(0.5) { Laterality::Left } else { Laterality::Right },
        view: if random.chance(0.5) { View::Cc } else { View::Mlo },
        class: Class::ALL[index % Class::ALL.len()],
        seed: own,
        spacing_mm,
        size,
        bits_stored: [10, 12, 12, 14, 16][random.integer(0, 4)],
        inverted: random.chance(0.2),
    }
}

/// The picture that a detector makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detector {
    pub spacing_mm: f32,
    /// (rows, columns)
    pub size: (usize, usize),
}

/// Draws the phantom and reads it back from its file's bytes.
pub(super) fn projection(phantom: &PhantomView) -> Result<(Projection, Option<[f32; 3]>), TrainError> {
    let instance = phantom.to_dicom()?;
    let place = instance.lesion.map(|l| [l.row, l.column, l.radius]);
    Ok((read_instance(&instance.to_bytes()?, None)?, place))
}

/// One training image before the chain's pointwise end.
pub(super) struct Sample {
    /// (row, column), the chain up to its Resize.
    pub bytes: Array2<u8>,
    /// The manifest's class index.
    pub label: i64,
    /// The lesion's centre in `bytes`, (row, column).
    pub lesion: Option<[f32; 2]>,
}

/// The chain, cut after its last spatial step: what is kept of an image is 8 bits a pixel, the rest is a table.
pub(super) struct Preparation {
    spatial: TransformChain,
    /// [channel][byte]
    pub table: Vec<[f32; 256]>,
    labels: [i64; 4],
}

impl Preparation {
    pub fn new(manifest: &Manifest) -> Result<Self, TrainError> {
        let steps = &manifest.preprocessing;
        let last = steps.iter().rposition(|s| matches!(s, TransformSpec::Resize(_))).unwrap_or(0);
        let (spatial, pointwise) = steps.split_at(last + 1);
        Ok(Self {
            spatial: TransformChain::new(spatial)?,
            table: table(spatial, pointwise)?,
            labels: labels(manifest)?,
        })
    }

    /// Draws the phantoms of a set in parallel.
    pub fn samples(&self, phantoms: &[PhantomView], drawn: &(dyn Fn() + Sync)) -> Result<Vec<Sample>, TrainError> {
        let sample = |phantom: &PhantomView| {
            let sample = self.sample(phantom);
            drawn();
            sample
        };
        phantoms.par_iter().map(sample).collect()
    }

    fn sample(&self, phantom: &PhantomView) -> Result<Sample, TrainError> {
        let (image, place) = projection(phantom)?;
        let prepared = self.spatial.apply(&image)?;
        let bytes = prepared.array.index_axis(ndarray::Axis(0), 0).mapv(|v| v as u8);
        let lesion = place.map(|[row, column, _]| prepared.applied.iter().fold([row, column], into_prepared));
        Ok(Sample { bytes, label: self.labels[phantom.class as usize], lesion })
    }
}

/// A point of the source image in the prepared one: the inverse of `Prepared::to_source`.
fn into_prepared([row, column]: [f32; 2], step: &Applied) -> [f32; 2] {
    match step {
        Applied::CropForeground { kept, .. } => [row - kept.rows.0 as f32, column - kept.columns.0 as f32],
        Applied::Resize { from, to } => [row * to[0] as f32 / from[0] as f32, column * to[1] as f32 / from[1] as f32],
    }
}

/// What the pointwise steps make of each byte, by the chain's own code: an image of all 256 values is put through
/// min-max scaling, which leaves them as they are, and through those steps.
fn table(spatial: &[TransformSpec], pointwise: &[TransformSpec]) -> Result<Vec<[f32; 256]>, TrainError> {
    let to_bytes = spatial.iter().find(|s| matches!(s, TransformSpec::ConvertToUint8(_))).cloned();
    let steps: Vec<TransformSpec> = to_bytes.into_iter().chain(pointwise.iter().cloned()).collect();
    let phantom = PhantomView { size: (64, 64), ..phantom(0, Purpose::Training, 0, None) };
    let (mut ramp, _) = {
        let coarse = PhantomView { size: (200, 150), spacing_mm: 1.2, bits_stored: 8, inverted: false, ..phantom };
        projection(&coarse)?
    };
    ramp.pixels = Pixels::U8(Array2::from_shape_fn((16, 16), |(r, c)| (16 * r + c) as u8));
    let array: Array3<f32> = TransformChain::new(&steps)?.apply(&ramp)?.array;
    Ok(array.outer_iter().map(|channel| std::array::from_fn(|i| channel[[i / 16, i % 16]])).collect())
}

/// The network's output for each phantom class, by the classes' names.
pub(super) fn labels(manifest: &Manifest) -> Result<[i64; 4], TrainError> {
    let mut labels = [0; 4];
    for class in Class::ALL {
        let index = manifest.classes.iter().position(|c| Class::from_name(&c.name) == Some(class));
        labels[class as usize] = index.ok_or(TrainError::Class { name: class.name() })? as i64;
    }
    Ok(labels)
}
