//! Phantoms as the network will see them: drawn, wrapped in DICOM, read back, and sent through the model's own
//! preprocessing chain.

use ndarray::{Array2, Array3};
use rayon::prelude::*;

use crate::imaging::{Pixels, Projection, read_instance};
use crate::manifest::transform::{ConvertToUint8Spec, Uint8Mode};
use crate::manifest::{Manifest, TransformSpec};
use crate::model::train::{Detector, Purpose, TrainError};
use crate::phantom::{Class, Laterality, PhantomView, Random, View};
use crate::transform::{Applied, TransformChain};

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
/// spacing and size; None mixes them: half coarse, because those are quick to draw, a fifth at full size.
pub(super) fn phantom(seed: u64, purpose: Purpose, index: usize, detector: Option<Detector>) -> PhantomView {
    let own = purpose.seed(seed, index);
    let mut random = Random::new(own, 0);
    let (spacing_mm, size) = detector.map_or_else(
        || DETECTORS[[0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5][random.integer(0, 19)]],
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

/// Draws the phantom and reads it back from its file's bytes, with the (row, column) of its lesion's centre.
pub(super) fn projection(phantom: &PhantomView) -> Result<(Projection, Option<[f32; 2]>), TrainError> {
    let instance = phantom.to_dicom()?;
    let place = instance.lesion.map(|l| [l.row, l.column]);
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
        Ok(Self { spatial: TransformChain::new(spatial)?, table: table(pointwise)?, labels: labels(manifest)? })
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
        let lesion = place.map(|place| prepared.applied.iter().fold(place, into_prepared));
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
fn table(pointwise: &[TransformSpec]) -> Result<Vec<[f32; 256]>, TrainError> {
    let to_bytes = TransformSpec::ConvertToUint8(ConvertToUint8Spec { mode: Uint8Mode::MinMax });
    let steps: Vec<TransformSpec> = std::iter::once(to_bytes).chain(pointwise.iter().cloned()).collect();
    // Any phantom lends its attributes, this one quick to draw; its pixels are replaced.
    let detector = Detector { spacing_mm: 1.2, size: (200, 150) };
    let lender = phantom(0, Purpose::Training, 0, Some(detector));
    let (mut ramp, _) = projection(&PhantomView { bits_stored: 8, inverted: false, ..lender })?;
    ramp.pixels = Pixels::U8(Array2::from_shape_fn((16, 16), |(r, c)| (16 * r + c) as u8));
    let array: Array3<f32> = TransformChain::new(&steps)?.apply(&ramp)?.array;
    Ok(array.outer_iter().map(|channel| std::array::from_fn(|i| channel[[i / 16, i % 16]])).collect())
}

/// The network's output for each phantom class, by the classes' names.
pub(super) fn labels(manifest: &Manifest) -> Result<[i64; 4], TrainError> {
    let mut labels = [0; 4];
    for class in Class::ALL {
        let index = manifest.classes().iter().position(|c| Class::from_name(&c.name) == Some(class));
        labels[class as usize] = index.ok_or(TrainError::Class { name: class.name() })? as i64;
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What training is shown, bytes and table, is what inference computes, bit by bit.
    #[test]
    fn the_cut_chain_equals_the_whole_one() {
        let text = include_str!("../../../../models/mammography-4view-demo/manifest.json");
        let manifest = Manifest::from_json(text).unwrap();
        let preparation = Preparation::new(&manifest).unwrap();
        let whole = TransformChain::new(&manifest.preprocessing).unwrap();
        let detector = Some(Detector { spacing_mm: 0.6, size: (400, 300) });
        for index in 0..6 {
            let phantom = phantom(1, Purpose::Training, index, detector);
            let sample = preparation.sample(&phantom).unwrap();
            let expected = whole.apply(&projection(&phantom).unwrap().0).unwrap().array;
            for ((channel, row, column), value) in expected.indexed_iter() {
                let found = preparation.table[channel][usize::from(sample.bytes[[row, column]])];
                assert_eq!(found.to_bits(), value.to_bits(), "({channel}, {row}, {column})");
            }
        }
    }

    #[test]
    fn the_lesion_is_where_its_place_in_the_prepared_image_says() {
        let text = include_str!("../../../../models/mammography-4view-demo/manifest.json");
        let preparation = Preparation::new(&Manifest::from_json(text).unwrap()).unwrap();
        let detector = Some(Detector { spacing_mm: 0.6, size: (400, 300) });
        for index in 0..8 {
            let abnormal = phantom(2, Purpose::Training, 4 * index, detector);
            assert_eq!(abnormal.class, Class::Mass);
            let sample = preparation.sample(&abnormal).unwrap();
            let [row, column] = sample.lesion.unwrap();
            let normal = preparation.sample(&PhantomView { class: Class::Normal, ..abnormal }).unwrap();
            let change = |r: f32, c: f32| {
                let at = |s: &Sample| f32::from(s.bytes[[(r as usize).min(511), (c as usize).min(511)]]);
                (at(&sample) - at(&normal)).abs()
            };
            // A mass is bright in its middle; the crop may shift a little with it.
            assert!(change(row, column) > 8.0, "phantom {index}: {} at ({row}, {column})", change(row, column));
        }
    }

    #[test]
    fn training_and_evaluation_share_no_phantom() {
        let seeds = |purpose| {
            (0..500).map(move |i| phantom(1, purpose, i, None).seed).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(seeds(Purpose::Training).len(), 500);
        assert!(seeds(Purpose::Training).is_disjoint(&seeds(Purpose::Evaluation)));
    }
}
