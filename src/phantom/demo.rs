//! A few synthetic studies of each kind, small enough to be drawn while somebody waits: first steps on an empty server.

use super::mammography::{ExamOptions, exam};
use super::{
    BreastMriPhantom, BreastSlicePhantom, Class, DermoscopyPhantom, DermoscopySopClass, Haemorrhage, HeadCtLayout,
    HeadCtPhantom, Orientation, PhantomError, SeriesLayout, SkinLesion, TumourKind,
};

/// What a demo study shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoStudy {
    /// Four views, each with something else.
    Mammography,
    /// Four phases of dynamic contrast-enhanced MRI with a tumour.
    BreastMri,
    /// One slice of a breast MRI with a malignant tumour.
    BreastSlice,
    /// A head with an intraparenchymal haemorrhage, its localizer and its bone series.
    HeadCt,
    /// A melanoma.
    Dermoscopy,
}

impl DemoStudy {
    pub const ALL: [Self; 5] = [Self::Mammography, Self::BreastMri, Self::BreastSlice, Self::HeadCt, Self::Dermoscopy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Mammography => "Mammography",
            Self::BreastMri => "BreastMri",
            Self::BreastSlice => "BreastSlice",
            Self::HeadCt => "HeadCt",
            Self::Dermoscopy => "Dermoscopy",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|study| study.name() == name)
    }

    /// The study's files (DICOM Part 10) with their SOP Instance UIDs; always the same ones.
    ///
    /// # Errors
    /// [`PhantomError::Dataset`] when a data set cannot be encoded.
    pub fn files(self) -> Result<Vec<DemoFile>, PhantomError> {
        match self {
            Self::Mammography => {
                let classes = [Class::Normal, Class::Mass, Class::ArchitecturalAsymmetry, Class::Calcification];
                let options =
                    ExamOptions { seed: 11, classes, size: (832, 640), spacing_mm: 0.28, ..Default::default() };
                exam(&options)?.iter().map(|i| DemoFile::new(&i.object, i.to_bytes()?)).collect()
            }
            Self::BreastMri => {
                let phantom = BreastMriPhantom {
                    seed: 12,
                    size: [100, 96, 96],
                    spacing_mm: [1.8, 3.4, 3.4],
                    orientation: Orientation::Axial,
                    lesion: true,
                };
                let study = phantom.to_dicom(SeriesLayout::default())?;
                study.instances.iter().map(|i| DemoFile::new(&i.object, i.to_bytes()?)).collect()
            }
            Self::BreastSlice => {
                let tumour = Some(TumourKind::Malignant);
                let slice = BreastSlicePhantom { seed: 13, tumour, ..Default::default() }.to_dicom()?;
                Ok(vec![DemoFile::new(&slice.object, slice.to_bytes()?)?])
            }
            Self::HeadCt => {
                let phantom = HeadCtPhantom {
                    seed: 14,
                    size: [28, 192, 192],
                    spacing_mm: [5.0, 1.2, 1.2],
                    haemorrhage: Some(Haemorrhage::Intraparenchymal),
                    gantry_tilt_degrees: -12.0,
                };
                let study = phantom.to_dicom(HeadCtLayout { localizer: true, bone: true, reversed: false })?;
                study.instances.iter().map(|i| DemoFile::new(&i.object, i.to_bytes()?)).collect()
            }
            Self::Dermoscopy => {
                let phantom = DermoscopyPhantom { seed: 15, lesion: SkinLesion::Melanoma, ..Default::default() };
                let picture = phantom.to_dicom(DermoscopySopClass::default())?;
                Ok(vec![DemoFile::new(&picture.object, picture.to_bytes()?)?])
            }
        }
    }
}

/// One file of a demo study.
#[derive(Debug, Clone)]
pub struct DemoFile {
    pub sop_instance_uid: String,
    pub bytes: Vec<u8>,
}

impl DemoFile {
    fn new(
        object: &dicom_object::FileDicomObject<dicom_object::InMemDicomObject>,
        bytes: Vec<u8>,
    ) -> Result<Self, PhantomError> {
        let uid = object.meta().media_storage_sop_instance_uid().trim_end_matches('\0').to_owned();
        Ok(Self { sop_instance_uid: uid, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_ones_are_one_study_each_and_repeat() {
        for kind in [DemoStudy::Mammography, DemoStudy::BreastSlice, DemoStudy::Dermoscopy] {
            let (files, again) = (kind.files().unwrap(), kind.files().unwrap());
            assert_eq!(files.len(), if kind == DemoStudy::Mammography { 4 } else { 1 });
            assert!(files.iter().zip(&again).all(|(a, b)| a.bytes == b.bytes));
            let study = |file: &DemoFile| {
                let object = dicom_object::from_reader(&file.bytes[..]).unwrap();
                let text = |name| object.element_by_name(name).unwrap().to_str().unwrap().trim().to_owned();
                assert_eq!(text("SOPInstanceUID"), file.sop_instance_uid);
                assert!(text("PatientName").starts_with("PHANTOM^"));
                text("StudyInstanceUID")
            };
            assert!(files.iter().all(|file| study(file) == study(&files[0])), "{}", kind.name());
        }
        assert_eq!(DemoStudy::from_name("HeadCt"), Some(DemoStudy::HeadCt));
        assert_eq!(DemoStudy::from_name("headct"), None);
    }
}
