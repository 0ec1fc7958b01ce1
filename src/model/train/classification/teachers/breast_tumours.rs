//! Benign and malignant tumours in single slices of breast MRI.

use crate::imaging::read_instance;
use crate::model::train::teacher::{Course, Lesson, Teacher};
use crate::model::train::{Detector, Purpose, Stage, TrainError};
use crate::phantom::{BreastSlicePhantom, Random, TumourKind};

pub struct BreastTumours;

const STAGES: [Stage; 1] = [Stage { slices: 1, size: 96, epochs: 30, batch: 16, learning_rate: 2e-3 }];

/// The `index`-th phantom of a set with a tumour of one kind, or none; everything else is drawn from the seed.
pub fn phantom(
    seed: u64,
    purpose: Purpose,
    index: usize,
    tumour: Option<TumourKind>,
    detector: Option<Detector>,
) -> BreastSlicePhantom {
    let own = purpose.seed(seed, index);
    let spacing: f32 = (100.0 * Random::new(own, 0).uniform(1.2, 1.4)).round() / 100.0;
    let (spacing_mm, size) = detector.map_or((spacing, (256, 256)), |d| (d.spacing_mm, d.size));
    BreastSlicePhantom { seed: own, size, spacing_mm, tumour }
}

impl Teacher for BreastTumours {
    fn classes(&self) -> &'static [&'static str] {
        &["Benign", "Malignant"]
    }

    fn course(&self) -> Course {
        Course { images: 1600, stages: &STAGES, half: true }
    }

    fn draw(
        &self,
        seed: u64,
        purpose: Purpose,
        index: usize,
        detector: Option<Detector>,
    ) -> Result<Lesson, TrainError> {
        let class = index % 2;
        let kind = [TumourKind::Benign, TumourKind::Malignant][class];
        let instance = phantom(seed, purpose, index, Some(kind), detector).to_dicom()?;
        Ok(Lesson {
            image: read_instance(&instance.to_bytes()?, None)?,
            class,
            lesion: None,
            mask: Some(instance.slice.truth),
            spacing_mm: [f64::from(instance.phantom.spacing_mm); 2],
        })
    }
}
