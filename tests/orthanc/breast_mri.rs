//! Breast DCE-MRI to upload: phantoms, and phantoms made wrong on purpose.

use dicom_object::InMemDicomObject;
use orthanc_ai::phantom::{BreastMriPhantom, BreastMriStudy, Orientation, SeriesLayout};

use crate::exam::rewrite;

/// A coarse phantom: as many slices as the model wants, few pixels.
pub fn phantom(seed: u64) -> BreastMriPhantom {
    BreastMriPhantom {
        seed,
        size: [100, 96, 96],
        spacing_mm: [1.8, 3.4, 3.4],
        orientation: Orientation::Axial,
        lesion: true,
    }
}

/// A small one for models that take any number of slices.
pub fn small(seed: u64, orientation: Orientation) -> BreastMriPhantom {
    BreastMriPhantom { seed, size: [20, 48, 56], spacing_mm: [8.0, 6.5, 6.0], orientation, lesion: true }
}

pub fn study(phantom: &BreastMriPhantom, layout: SeriesLayout) -> BreastMriStudy {
    phantom.to_dicom(layout).unwrap()
}

/// All files, the last first: nobody may rely on the order of arrival.
pub fn files(study: &BreastMriStudy) -> Vec<Vec<u8>> {
    study.instances.iter().rev().map(|i| i.to_bytes().unwrap()).collect()
}

/// The files whose (phase, slice) `keep` wants, with each data set changed.
pub fn changed(
    study: &BreastMriStudy,
    keep: impl Fn(usize, usize) -> bool,
    change: impl Fn(usize, usize, &mut InMemDicomObject),
) -> Vec<Vec<u8>> {
    let kept = study.instances.iter().filter(|i| keep(i.phase, i.slice));
    kept.map(|i| rewrite(i.object.clone(), |d| change(i.phase, i.slice, d))).collect()
}
