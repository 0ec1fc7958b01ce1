//! Slices of head CTs with and without haemorrhage.

use crate::imaging::read_image;
use crate::model::train::teacher::{Course, Lesson, Teacher};
use crate::model::train::{PhantomSet, Stage, TrainError};
use crate::phantom::{Haemorrhage, HeadCtPhantom, Kernel, Random};

pub struct HeadCts;

const STAGES: [Stage; 1] = [Stage { slices: 1, size: 128, epochs: 20, batch: 16, learning_rate: 2e-3 }];

/// The `index`-th phantom of a set, and the slice of it that is shown: every second has a haemorrhage, of one kind after the other,
/// in the slice; a slice without is any, from the skull's base to the crown.
fn phantom(set: &PhantomSet, index: usize) -> Result<(HeadCtPhantom, usize), TrainError> {
    let own = set.seed_of(index);
    let mut random = Random::new(own, 0);
    let bled = index % 2 == 1;
    let spacing: f32 = (100.0 * random.uniform(1.15, 1.35)).round() / 100.0;
    let (spacing, (rows, columns)) = set.detector.map_or((spacing, (192, 192)), |d| (d.spacing_mm, d.size));
    let phantom = HeadCtPhantom {
        seed: own,
        size: [28, rows, columns],
        spacing_mm: [5.0, spacing, spacing],
        haemorrhage: bled.then(|| Haemorrhage::ALL[index / 2 % Haemorrhage::ALL.len()]),
        gantry_tilt_degrees: if random.chance(0.3) { random.uniform(-20.0, 20.0).round() } else { 0.0 },
    };
    let any = random.integer(0, 27);
    if !bled {
        return Ok((phantom, any));
    }
    // Coarse slices tell where the blood is.
    let coarse = HeadCtPhantom { size: [28, 64, 64], spacing_mm: [5.0, 3.6, 3.6], ..phantom }.scan()?;
    let mut order: Vec<usize> = (0..28).collect();
    random.shuffle(&mut order);
    let shown = order.into_iter().find(|slice| coarse.slice(*slice, Kernel::Soft).shows_haemorrhage());
    Ok((phantom, shown.unwrap_or(any)))
}

impl Teacher for HeadCts {
    fn classes(&self) -> &'static [&'static str] {
        &["No haemorrhage", "Haemorrhage"]
    }

    fn course(&self) -> Course {
        Course { images: 2000, stages: &STAGES, half: true }
    }

    fn draw(&self, set: &PhantomSet, index: usize) -> Result<Lesson, TrainError> {
        let (phantom, slice) = phantom(set, index)?;
        let instance = phantom.slice_to_dicom(slice)?;
        Ok(Lesson {
            image: read_image(&instance.to_bytes()?, None)?,
            class: usize::from(instance.shows_haemorrhage),
            lesion: None,
            mask: None,
            spacing_mm: Some([f64::from(phantom.spacing_mm[1]), f64::from(phantom.spacing_mm[2])]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::train::{Detector, Purpose};

    #[test]
    fn every_second_slice_shows_a_haemorrhage() {
        let detector = Some(Detector { spacing_mm: 3.6, size: (64, 64) });
        let set = PhantomSet { seed: 3, purpose: Purpose::Training, detector };
        for index in 0..20 {
            let lesson = HeadCts.draw(&set, index).unwrap();
            assert_eq!(lesson.class, index % 2, "phantom {index}");
        }
    }
}
