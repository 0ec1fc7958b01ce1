//! Dermoscopic pictures of skin lesions: benign or malignant, or the seven kinds of HAM10000 (Tschandl et al. 2018).

use crate::imaging::read_image;
use crate::model::train::teacher::{Course, Lesson, Teacher};
use crate::model::train::{PhantomSet, Stage, TrainError};
use crate::phantom::{DermoscopyPhantom, DermoscopySopClass, SkinLesion};

/// What is asked of a picture.
pub enum SkinLesions {
    Malignancy,
    Kinds,
}

const STAGES: [Stage; 1] = [Stage { slices: 1, size: 112, epochs: 24, batch: 16, learning_rate: 2e-3 }];

impl SkinLesions {
    /// The class of the `index`-th picture of a set, and the kind of lesion that it shows: the kinds of a class take turns.
    fn shown(&self, index: usize) -> (usize, SkinLesion) {
        let class = index % self.classes().len();
        let turn = index / self.classes().len();
        let of_class = |kind: &SkinLesion| match self {
            Self::Malignancy => usize::from(kind.is_malignant()) == class,
            Self::Kinds => kind.abbreviation() == self.classes()[class],
        };
        let kinds: Vec<SkinLesion> = SkinLesion::ALL.into_iter().filter(of_class).collect();
        (class, kinds[turn % kinds.len()])
    }
}

impl Teacher for SkinLesions {
    fn classes(&self) -> &'static [&'static str] {
        match self {
            Self::Malignancy => &["Benign", "Malignant"],
            Self::Kinds => &["nv", "bkl", "df", "vasc", "mel", "bcc", "akiec"],
        }
    }

    fn course(&self) -> Course {
        let images = match self {
            Self::Malignancy => 2800,
            Self::Kinds => 3500,
        };
        Course { images, stages: &STAGES, half: true }
    }

    fn draw(&self, set: &PhantomSet, index: usize) -> Result<Lesson, TrainError> {
        let (class, lesion) = self.shown(index);
        let size = set.detector.map_or((150, 200), |d| d.size);
        let phantom = DermoscopyPhantom { seed: set.seed_of(index), lesion, size };
        let file = phantom.to_dicom(DermoscopySopClass::default())?.to_bytes()?;
        Ok(Lesson { image: read_image(&file, None)?, class, lesion: None, mask: None, spacing_mm: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_shown_under_its_class() {
        for index in 0..28 {
            let (class, lesion) = SkinLesions::Malignancy.shown(index);
            assert_eq!((class == 1, class), (lesion.is_malignant(), index % 2));
            let (class, lesion) = SkinLesions::Kinds.shown(index);
            assert_eq!(SkinLesions::Kinds.classes()[class], lesion.abbreviation());
        }
        let benign: std::collections::BTreeSet<_> =
            (0..8).map(|turn| SkinLesions::Malignancy.shown(2 * turn).1.abbreviation()).collect();
        assert_eq!(benign.into_iter().collect::<Vec<_>>(), ["bkl", "df", "nv", "vasc"]);
    }
}
