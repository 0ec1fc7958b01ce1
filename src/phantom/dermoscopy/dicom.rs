//! Pictures as DICOM: VL Photographic Image (PS3.3 A.32.4) or Dermoscopic Photography Image (A.32.11), one file a picture.

use std::path::{Path, PathBuf};

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};

use super::{Dermoscopy, DermoscopyPhantom};
use crate::phantom::dicom::{
    DATE, PhantomError, TIME, bytes, code, file, number, patient_and_study, sequence, text, texts, uid,
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
        let path = folder.join(format!("{name}.dcm"));
        self.object
            .write_to_file(&path)
            .map_err(|e| PhantomError::Write { path: path.clone(), reason: e.to_string() })?;
        Ok(path)
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
    text(set, tags::MODALITY, VR::CS, sop_class.modality());
    text(set, tags::SERIES_INSTANCE_UID, VR::UI, series_instance_uid);
    text(set, tags::SERIES_NUMBER, VR::IS, "1");
    text(set, tags::SERIES_DATE, VR::DA, DATE);
    text(set, tags::SERIES_TIME, VR::TM, TIME);
    text(set, tags::SERIES_DESCRIPTION, VR::LO, "SYNTHETIC PHANTOM Dermoscopy");
    text(set, tags::BODY_PART_EXAMINED, VR::CS, "SKIN");
    text(set, tags::MANUFACTURER, VR::LO, "orthanc-ai phantom");
    text(set, tags::MANUFACTURER_MODEL_NAME, VR::LO, "Dermoscopy phantom");
    text(set, tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION"));
}

/// General Image, Acquisition Context and VL Image modules.
fn image(set: &mut InMemDicomObject, phantom: &DermoscopyPhantom) {
    texts(set, tags::IMAGE_TYPE, VR::CS, ["ORIGINAL", "PRIMARY"].map(String::from));
    text(set, tags::INSTANCE_NUMBER, VR::IS, "1");
    for (date, time) in [(tags::CONTENT_DATE, tags::CONTENT_TIME), (tags::ACQUISITION_DATE, tags::ACQUISITION_TIME)] {
        text(set, date, VR::DA, DATE);
        text(set, time, VR::TM, TIME);
    }
    let shown = phantom.lesion.abbreviation();
    text(set, tags::IMAGE_COMMENTS, VR::LT, &format!("SYNTHETIC PHANTOM, no patient was involved; shows: {shown}"));
    texts(set, tags::PATIENT_ORIENTATION, VR::CS, ["L", "F"].map(String::from));
    text(set, tags::BURNED_IN_ANNOTATION, VR::CS, "NO");
    text(set, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
    code(set, tags::ANATOMIC_REGION_SEQUENCE, ["39937001", "SCT", "Skin"], None);
    sequence(set, tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
}

/// Image Pixel module.
fn pixels(set: &mut InMemDicomObject, picture: &Dermoscopy) {
    let (rows, columns) = picture.truth.dim();
    number(set, tags::SAMPLES_PER_PIXEL, 3);
    text(set, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
    number(set, tags::PLANAR_CONFIGURATION, 0);
    number(set, tags::ROWS, rows as u16);
    number(set, tags::COLUMNS, columns as u16);
    number(set, tags::BITS_ALLOCATED, 8);
    number(set, tags::BITS_STORED, 8);
    number(set, tags::HIGH_BIT, 7);
    number(set, tags::PIXEL_REPRESENTATION, 0);
    let values = PrimitiveValue::U8(picture.pixels.as_raw().iter().copied().collect());
    set.put(DataElement::new(tags::PIXEL_DATA, VR::OB, values));
}
