//! Pictures as DICOM: VL Photographic Image (PS3.3 A.32.4) or Dermoscopic Photography Image (A.32.11), one file a picture.

use std::path::{Path, PathBuf};

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};

use super::{Dermoscopy, DermoscopyPhantom};
use crate::phantom::dicom::{
    PhantomError, Series, TIME, bytes, code, file, general_image, image_pixel, number, patient_and_study, sequence,
    text, texts, uid, write,
};

/// Which object holds the picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DermoscopySopClass {
    /// Modality XC.
    #[default]
    VlPhotographic,
    /// Modality DMS (Supplement 221).
    DermoscopicPhotography,
}

impl DermoscopySopClass {
    fn uid(self) -> &'static str {
        match self {
            Self::VlPhotographic => uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE,
            Self::DermoscopicPhotography => "1.2.840.10008.5.1.4.1.1.77.1.7",
        }
    }

    fn modality(self) -> &'static str {
        match self {
            Self::VlPhotographic => "XC",
            Self::DermoscopicPhotography => "DMS",
        }
    }
}

/// A picture as a DICOM object, ready to be written or uploaded; a study of its own.
#[derive(Debug, Clone)]
pub struct DermoscopyInstance {
    pub phantom: DermoscopyPhantom,
    pub picture: Dermoscopy,
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    pub sop_instance_uid: String,
    pub object: FileDicomObject<InMemDicomObject>,
}

impl DermoscopyInstance {
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

impl DermoscopyPhantom {
    /// Draws the picture and wraps it in a file.
    ///
    /// # Errors
    /// [`PhantomError::Option`] for a size that no picture has.
    pub fn to_dicom(&self, sop_class: DermoscopySopClass) -> Result<DermoscopyInstance, PhantomError> {
        let picture = self.render()?;
        let options = (self, sop_class);
        let (study, series, instance) = (uid(&options, "study"), uid(&options, "series"), uid(&options, "instance"));
        let mut set = InMemDicomObject::new_empty();
        let patient_id = format!("PHANTOM-{}", self.seed);
        patient_and_study(&mut set, "PHANTOM^DERMOSCOPY", &patient_id, &study, "SYNTHETIC PHANTOM Dermoscopy");
        series_and_equipment(&mut set, sop_class, &series);
        image(&mut set, self);
        pixels(&mut set, &picture);
        let object = file(set, sop_class.uid(), &instance)?;
        Ok(DermoscopyInstance {
            phantom: *self,
            picture,
            study_instance_uid: study,
            series_instance_uid: series,
            sop_instance_uid: instance,
            object,
        })
    }
}

fn series_and_equipment(set: &mut InMemDicomObject, sop_class: DermoscopySopClass, series_instance_uid: &str) {
    let (modality, description, model) = (sop_class.modality(), "SYNTHETIC PHANTOM Dermoscopy", "Dermoscopy phantom");
    Series { modality, series_instance_uid, number: 1, description, time: TIME, model }.put(set);
    text(set, tags::BODY_PART_EXAMINED, VR::CS, "SKIN");
    // Type 2C for a paired body part, which skin may lie on: empty, as no side is meant (PS3.3 C.7.3.1).
    set.put(DataElement::empty(tags::LATERALITY, VR::CS));
}

/// General Image, Acquisition Context and VL Image modules.
fn image(set: &mut InMemDicomObject, phantom: &DermoscopyPhantom) {
    texts(set, tags::IMAGE_TYPE, VR::CS, ["ORIGINAL", "PRIMARY"].map(String::from));
    general_image(set, 1, TIME);
    let shown = phantom.lesion.abbreviation();
    text(set, tags::IMAGE_COMMENTS, VR::LT, &format!("SYNTHETIC PHANTOM, no patient was involved; shows: {shown}"));
    texts(set, tags::PATIENT_ORIENTATION, VR::CS, ["L", "F"].map(String::from));
    code(set, tags::ANATOMIC_REGION_SEQUENCE, ["39937001", "SCT", "Skin"], None);
    sequence(set, tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
}

/// Image Pixel module.
fn pixels(set: &mut InMemDicomObject, picture: &Dermoscopy) {
    image_pixel(set, (3, "RGB"), picture.truth.dim(), 8);
    number(set, tags::PLANAR_CONFIGURATION, 0);
    let values = PrimitiveValue::U8(picture.pixels.as_raw().iter().copied().collect());
    set.put(DataElement::new(tags::PIXEL_DATA, VR::OB, values));
}
