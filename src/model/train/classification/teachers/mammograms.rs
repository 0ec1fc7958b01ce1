//! Mammograms of four classes.
//!
//! In stages, as for real mammograms (Shen et al. 2019, Sci. Rep. 9:12495): squares around the lesions first, which are
//! cheap and show the network what to look for, then whole images, which teach it to find that in a breast.

use crate::imaging::read_image;
use crate::model::train::teacher::{Course, Lesson, Teacher};
use crate::model::train::{PhantomSet, Stage, TrainError};
use crate::phantom::{Class, Laterality, PhantomView, Random, View};

pub struct Mammograms;

/// (spacing in mm, (rows, columns)): a common detector in two widths, at full size, half and quarter resolution.
const DETECTORS: [(f32, (usize, usize)); 6] = [
    (0.28, (832, 640)),
    (0.28, (832, 710)),
    (0.14, (1664, 1280)),
    (0.14, (1664, 1420)),
    (0.07, (3328, 2560)),
    (0.07, (3328, 2840)),
];

/// Small squares cost a tenth of the image; each growth teaches to find the same in more surroundings.
const STAGES: [Stage; 3] = [
    Stage { slices: 1, size: 160, epochs: 12, batch: 16, learning_rate: 2e-3 },
    Stage { slices: 1, size: 320, epochs: 3, batch: 16, learning_rate: 1.5e-3 },
    Stage { slices: 1, size: 512, epochs: 6, batch: 8, learning_rate: 1.5e-3 },
];

/// The `index`-th phantom of a set: its class is `index % 4`, everything else is drawn from the seed. `detector` fixes
/// spacing and size; None mixes them: half coarse, because those are quick to draw, a fifth at full size.
pub fn phantom(set: &PhantomSet, index: usize) -> PhantomView {
    let own = set.seed_of(index);
    let mut random = Random::new(own, 0);
    let (spacing_mm, size) = set.detector.map_or_else(
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

/// Draws the phantom and reads it back from its file's bytes.
pub fn lesson(phantom: &PhantomView) -> Result<Lesson, TrainError> {
    let instance = phantom.to_dicom()?;
    Ok(Lesson {
        image: read_image(&instance.to_bytes()?, None)?,
        class: phantom.class as usize,
        lesion: instance.lesion.map(|l| [l.row, l.column]),
        mask: None,
        spacing_mm: Some([f64::from(phantom.spacing_mm); 2]),
    })
}

impl Teacher for Mammograms {
    fn classes(&self) -> &'static [&'static str] {
        &["Mass", "Calcification", "Architectural/Asymmetry", "Normal"]
    }

    fn course(&self) -> Course {
        Course { images: 2400, stages: &STAGES, half: false }
    }

    fn draw(&self, set: &PhantomSet, index: usize) -> Result<Lesson, TrainError> {
        lesson(&phantom(set, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_phantoms_classes() {
        for (class, name) in Class::ALL.into_iter().zip(Mammograms.classes()) {
            assert_eq!(class.name(), *name);
        }
    }
}
