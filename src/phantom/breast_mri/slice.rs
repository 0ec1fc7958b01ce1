//! One axial slice of a phase after contrast medium, with a tumour of a kind or none: for models of single images.

use std::path::{Path, PathBuf};

use dicom_object::{FileDicomObject, InMemDicomObject};
use image::GrayImage;
use ndarray::{Array2, Array3};

use super::dicom::{SeriesLayout, Slice};
use super::scene::Scene;
use super::{BreastMri, BreastMriPhantom, Orientation, PHASES, TumourKind, TumourPlace};
use crate::phantom::dicom::{PhantomError, bytes, write};
use crate::phantom::random::Random;

/// The first phase after contrast medium.
const PHASE: usize = 1;

/// What to draw. Equal values give equal pixels; the body is the seed's, whatever the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreastSlicePhantom {
    pub seed: u64,
    /// (rows, columns)
    pub size: (usize, usize),
    pub spacing_mm: f32,
    /// The slice lies through its middle; None: no tumour, any slice of the breasts.
    pub tumour: Option<TumourKind>,
}

impl Default for BreastSlicePhantom {
    fn default() -> Self {
        Self { seed: 1, size: (256, 256), spacing_mm: 1.3, tumour: Some(TumourKind::Malignant) }
    }
}

/// A drawn slice.
#[derive(Debug, Clone)]
pub struct BreastSlice {
    /// Stored values (12 bits), (row, column).
    pub values: Array2<u16>,
    /// 1 in the tumour, (row, column).
    pub truth: Array2<u8>,
    pub tumour: Option<TumourPlace>,
    exam: BreastMri,
    volume: BreastMriPhantom,
}

/// A slice as a DICOM object (MR Image), a study of its own.
#[derive(Debug, Clone)]
pub struct BreastSliceInstance {
    pub phantom: BreastSlicePhantom,
    pub slice: BreastSlice,
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    pub sop_instance_uid: String,
    pub object: FileDicomObject<InMemDicomObject>,
}

impl BreastSliceInstance {
    /// The file's bytes (DICOM Part 10, explicit VR little endian).
    ///
    /// # Errors
    /// [`PhantomError::Dataset`] when the data set cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PhantomError> {
        bytes(&self.object)
    }

    /// Writes `{name}.dcm` into the folder and returns its path.
    ///
    /// # Errors
    /// [`PhantomError::Write`]
    pub fn write_to(&self, folder: &Path, name: &str) -> Result<PathBuf, PhantomError> {
        write(&self.object, folder.join(format!("{name}.dcm")))
    }
}

impl BreastSlicePhantom {
    /// Draws the slice.
    ///
    /// # Errors
    /// [`PhantomError::Option`] for a size or spacing that no exam has.
    pub fn render(&self) -> Result<BreastSlice, PhantomError> {
        let (rows, columns) = self.size;
        let volume = BreastMriPhantom {
            seed: self.seed,
            size: [110, rows, columns],
            spacing_mm: [1.8, self.spacing_mm, self.spacing_mm],
            orientation: Orientation::Axial,
            lesion: self.tumour.is_some(),
        };
        volume.check()?;
        let scene = Scene::new(&volume, self.tumour);
        let slice = match &scene.tumour {
            Some(tumour) => scene.grid.slice_of(tumour.centre),
            None => Random::new(self.seed, 6).integer(35, 75),
        };
        let vessels = scene.grid.coverage(&scene.tubes, slice..slice + 1);
        let mut noise = Random::new(self.seed, 1000 + slice as u64);
        let mut phases = [(); PHASES].map(|()| Array3::zeros((1, rows, columns)));
        let mut truth = Array3::zeros((1, rows, columns));
        for (i, vessel) in vessels.iter().enumerate() {
            let (row, column) = (i / columns, i % columns);
            let (stored, inside) = scene.sample([slice, row, column], *vessel, &mut noise);
            phases.iter_mut().zip(stored).for_each(|(phase, v)| phase[[0, row, column]] = v);
            truth[[0, row, column]] = u8::from(inside);
        }
        let mut geometry = scene.grid.geometry.clone();
        geometry.origin_mm = geometry.to_patient([slice as f64, 0.0, 0.0]);
        geometry.size[0] = 1;
        let exam = BreastMri { geometry, phases, truth, lesion: scene.lesion() };
        Ok(BreastSlice {
            values: exam.phases[PHASE].index_axis(ndarray::Axis(0), 0).to_owned(),
            truth: exam.truth.index_axis(ndarray::Axis(0), 0).to_owned(),
            tumour: exam.lesion,
            exam,
            volume,
        })
    }

    /// Draws the slice and wraps it in a file.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn to_dicom(&self) -> Result<BreastSliceInstance, PhantomError> {
        let mut slice = self.render()?;
        let brightest = slice.values.iter().copied().max().unwrap_or(1);
        let mut own = Slice {
            phantom: &slice.volume,
            kind: Some(self.tumour),
            layout: SeriesLayout::default(),
            exam: &slice.exam,
            phase: PHASE,
            slice: 0,
            series_number: 2 + PHASE,
            instance_number: 1,
        };
        let frame = own.uid("frame of reference");
        let mut exam = slice.exam.clone();
        exam.geometry.frame_of_reference_uid = Some(frame);
        own.exam = &exam;
        let [study_instance_uid, series_instance_uid, sop_instance_uid] = own.uids();
        let object = own.encode(brightest)?;
        slice.exam = exam;
        Ok(BreastSliceInstance {
            phantom: *self,
            slice,
            study_instance_uid,
            series_instance_uid,
            sop_instance_uid,
            object,
        })
    }
}

impl BreastSlice {
    /// As a viewer shows it: the brightest thousandth is white.
    pub fn picture(&self) -> GrayImage {
        let mut sorted: Vec<u16> = self.values.iter().copied().collect();
        sorted.sort_unstable();
        let white = f32::from(sorted[sorted.len() - 1 - sorted.len() / 1000]).max(1.0);
        let (rows, columns) = self.values.dim();
        GrayImage::from_fn(columns as u32, rows as u32, |x, y| {
            let v = f32::from(self.values[[y as usize, x as usize]]);
            image::Luma([(255.0 * v / white).min(255.0) as u8])
        })
    }

    /// The tumour white on black.
    pub fn mask(&self) -> GrayImage {
        let (rows, columns) = self.truth.dim();
        GrayImage::from_fn(columns as u32, rows as u32, |x, y| {
            image::Luma([255 * self.truth[[y as usize, x as usize]]])
        })
    }
}
