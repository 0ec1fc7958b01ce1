//! Benign and malignant tumours in single slices of breast MRI.

use crate::imaging::read_image;
use crate::model::train::teacher::{Course, Lesson, Teacher};
use crate::model::train::{PhantomSet, Stage, TrainError};
use crate::phantom::{BreastSlicePhantom, Random, TumourKind};

pub struct BreastTumours;

const STAGES: [Stage; 1] = [Stage { slices: 1, size: 96, epochs: 30, batch: 16, learning_rate: 2e-3 }];

/// The `index`-th phantom of a set with a tumour of one kind, or none; everything else is drawn from the seed.
pub fn phantom(set: &PhantomSet, index: usize, tumour: Option<TumourKind>) -> BreastSlicePhantom {
    let own = set.seed_of(index);
    let spacing: f32 = (100.0 * Random::new(own, 0).uniform(1.2, 1.4)).round() / 100.0;
    let (spacing_mm, size) = set.detector.map_or((spacing, (256, 256)), |d| (d.spacing_mm, d.size));
    BreastSlicePhantom { seed: own, size, spacing_mm, tumour }
}

impl Teacher for BreastTumours {
    fn classes(&self) -> &'static [&'static str] {
        &["Benign", "Malignant"]
    }

    fn course(&self) -> Course {
        Course { images: 1600, stages: &STAGES, half: true }
    }

    fn draw(&self, set: &PhantomSet, index: usize) -> Result<Lesson, TrainError> {
        let class = index % 2;
        let kind = [TumourKind::Benign, TumourKind::Malignant][class];
        let instance = phantom(set, index, Some(kind)).to_dicom()?;
        Ok(Lesson {
            image: read_image(&instance.to_bytes()?, None)?,
            class,
            lesion: None,
            mask: Some(instance.slice.truth),
            spacing_mm: Some([f64::from(instance.phantom.spacing_mm); 2]),
        })
    }
}
