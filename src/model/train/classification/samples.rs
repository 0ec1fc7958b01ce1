//! Phantoms as the network will see them: drawn, wrapped in DICOM, read back, and sent through the model's own
//! preprocessing chain.

use ndarray::{Array2, Array3};
use rayon::prelude::*;

use super::teachers;
use crate::imaging::{Pixels, Projection};
use crate::manifest::transform::{ConvertToUint8Spec, Uint8Mode};
use crate::manifest::{Manifest, RegionOfInterestSpec, TransformSpec};
use crate::model::train::teacher::{Lesson, Teacher, teacher};
use crate::model::train::{Detector, Purpose, TrainError};
use crate::phantom::PhantomView;
use crate::transform::{Applied, ImageRegion, Prepared, TransformChain, TransformError};

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
    pub teacher: &'static dyn Teacher,
    spatial: TransformChain,
    region: Option<RegionOfInterestSpec>,
    /// [channel][byte]
    pub table: Vec<[f32; 256]>,
    /// The manifest's class of each of the teacher's.
    labels: Vec<i64>,
}

impl Preparation {
    pub fn new(manifest: &Manifest) -> Result<Self, TrainError> {
        let teacher = teacher(manifest)?;
        let steps = &manifest.preprocessing;
        let last = steps.iter().rposition(|s| matches!(s, TransformSpec::Resize(_))).unwrap_or(0);
        let (spatial, pointwise) = steps.split_at(last + 1);
        Ok(Self {
            teacher,
            spatial: TransformChain::new(spatial)?,
            region: manifest.input.region_of_interest.clone(),
            table: table(pointwise)?,
            labels: labels(manifest, teacher)?,
        })
    }

    /// Draws the training set in parallel.
    pub fn samples(&self, seed: u64, images: usize, drawn: &(dyn Fn() + Sync)) -> Result<Vec<Sample>, TrainError> {
        let sample = |index: usize| -> Result<Sample, TrainError> {
            let sample = self.sample(&self.teacher.draw(seed, Purpose::Training, index, None)?);
            drawn();
            sample
        };
        (0..images).into_par_iter().map(sample).collect()
    }

    fn sample(&self, lesson: &Lesson) -> Result<Sample, TrainError> {
        let prepared = prepare(&self.spatial, self.region.as_ref(), lesson)?;
        let bytes = prepared.array.index_axis(ndarray::Axis(0), 0).mapv(|v| v as u8);
        let lesion = lesson.lesion.map(|place| prepared.applied.iter().fold(place, into_prepared));
        Ok(Sample { bytes, label: self.labels[lesson.class], lesion })
    }
}

/// What the chain makes of the image, or of the region that the manifest asks for: an earlier stage's segment, for which
/// the truth stands.
pub(super) fn prepare(
    chain: &TransformChain,
    region: Option<&RegionOfInterestSpec>,
    lesson: &Lesson,
) -> Result<Prepared, TransformError> {
    let region = region.zip(lesson.mask.as_ref());
    let region = region.and_then(|(spec, mask)| ImageRegion::around(mask, spec, Some(lesson.spacing_mm)));
    chain.apply_to(&lesson.image, region.as_ref())
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
    let lender = teachers::mammograms::phantom(0, Purpose::Training, 0, Some(detector));
    let lender = PhantomView { bits_stored: 8, inverted: false, ..lender };
    let mut ramp: Projection = teachers::mammograms::lesson(&lender)?.image;
    ramp.pixels = Pixels::U8(Array2::from_shape_fn((16, 16), |(r, c)| (16 * r + c) as u8));
    let array: Array3<f32> = TransformChain::new(&steps)?.apply(&ramp)?.array;
    Ok(array.outer_iter().map(|channel| std::array::from_fn(|i| channel[[i / 16, i % 16]])).collect())
}

/// The manifest's class of each of the teacher's, by the classes' names.
pub(super) fn labels(manifest: &Manifest, teacher: &dyn Teacher) -> Result<Vec<i64>, TrainError> {
    let label = |name: &&'static str| {
        let index = manifest.classes().iter().position(|c| c.name.eq_ignore_ascii_case(name));
        index.map(|i| i as i64).ok_or(TrainError::Class { name: *name })
    };
    teacher.classes().iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::teachers::mammograms::{lesson, phantom};
    use super::*;
    use crate::phantom::Class;

    fn manifest(text: &str) -> Manifest {
        Manifest::from_json(text).unwrap()
    }

    fn mammography() -> Manifest {
        manifest(include_str!("../../../../models/mammography-4view-demo/manifest.json"))
    }

    /// What training is shown, bytes and table, is what inference computes, bit by bit.
    #[test]
    fn the_cut_chain_equals_the_whole_one() {
        for (manifest, detector) in [
            (mammography(), Detector { spacing_mm: 0.6, size: (400, 300) }),
            (
                manifest(include_str!("../../../../models/head-ct-haemorrhage-demo/manifest.json")),
                Detector { spacing_mm: 2.4, size: (96, 96) },
            ),
            (
                manifest(include_str!("../../../../models/breast-mri-tumour-demo/manifest.json")),
                Detector { spacing_mm: 2.6, size: (128, 128) },
            ),
        ] {
            let preparation = Preparation::new(&manifest).unwrap();
            let whole = TransformChain::new(&manifest.preprocessing).unwrap();
            for index in 0..4 {
                let lesson = preparation.teacher.draw(1, Purpose::Training, index, Some(detector)).unwrap();
                let sample = preparation.sample(&lesson).unwrap();
                let expected = prepare(&whole, manifest.input.region_of_interest.as_ref(), &lesson).unwrap().array;
                for ((channel, row, column), value) in expected.indexed_iter() {
                    let found = preparation.table[channel][usize::from(sample.bytes[[row, column]])];
                    assert_eq!(found.to_bits(), value.to_bits(), "{}: ({channel}, {row}, {column})", manifest.name);
                }
            }
        }
    }

    #[test]
    fn the_lesion_is_where_its_place_in_the_prepared_image_says() {
        let preparation = Preparation::new(&mammography()).unwrap();
        let detector = Some(Detector { spacing_mm: 0.6, size: (400, 300) });
        for index in 0..8 {
            let abnormal = phantom(2, Purpose::Training, 4 * index, detector);
            assert_eq!(abnormal.class, Class::Mass);
            let sample = preparation.sample(&lesson(&abnormal).unwrap()).unwrap();
            let [row, column] = sample.lesion.unwrap();
            let normal = PhantomView { class: Class::Normal, ..abnormal };
            let normal = preparation.sample(&lesson(&normal).unwrap()).unwrap();
            let change = |r: f32, c: f32| {
                let at = |s: &Sample| f32::from(s.bytes[[(r as usize).min(511), (c as usize).min(511)]]);
                (at(&sample) - at(&normal)).abs()
            };
            // A mass is bright in its middle; the crop may shift a little with it.
            assert!(change(row, column) > 8.0, "phantom {index}: {} at ({row}, {column})", change(row, column));
        }
    }
}
