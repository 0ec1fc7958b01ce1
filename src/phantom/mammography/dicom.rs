//! Phantoms as DICOM: Digital Mammography X-Ray Image, For Presentation (PS3.3 A.27), one file a view.

use std::path::{Path, PathBuf};

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};
use ndarray::Array2;

use super::exam::check;
use super::view::{LesionPlace, PhantomView};
use super::{Laterality, View};
use crate::phantom::dicom::{
    PhantomError, Series, TIME, bytes, code, file, general_image, image_pixel, patient_and_study, sequence, text,
    texts, uid, write,
};

/// A picture as a DICOM object, ready to be written or uploaded.
#[derive(Debug, Clone)]
pub struct PhantomInstance {
    /// What was drawn, with the truth in `class`.
    pub phantom: PhantomView,
    /// Where the lesion is, `None` for a normal breast.
    pub lesion: Option<LesionPlace>,
    pub object: FileDicomObject<InMemDicomObject>,
}

impl PhantomInstance {
    /// "L-CC"
    pub fn view_name(&self) -> String {
        format!("{}-{}", self.phantom.laterality.code(), self.phantom.view.code())
    }

    /// The file's bytes (DICOM Part 10, explicit VR little endian).
    ///
    /// # Errors
    /// [`PhantomError::Dataset`] when the data set cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PhantomError> {
        bytes(&self.object)
    }

    /// The picture as a viewer with the file's own window shows it, `height` pixels high.
    ///
    /// # Errors
    /// [`PhantomError::Dataset`] when the pixels cannot be read back.
    pub fn thumbnail(&self, height: u32) -> Result<image::GrayImage, PhantomError> {
        let fault = |e: String| PhantomError::Dataset(e);
        let values = self.object.element(tags::PIXEL_DATA).map_err(|e| fault(e.to_string()))?;
        let values = values.to_multi_int::<u16>().map_err(|e| fault(e.to_string()))?;
        let int = |tag| {
            self.object
                .element(tag)
                .map_err(|e| fault(e.to_string()))?
                .to_int::<u32>()
                .map_err(|e| fault(e.to_string()))
        };
        let (rows, columns, bits) = (int(tags::ROWS)?, int(tags::COLUMNS)?, int(tags::BITS_STORED)?);
        let white = (1u32 << bits) - 1;
        let shade = |v: u16| {
            let v = (u32::from(v) * 255 / white) as u8;
            if self.phantom.inverted { 255 - v } else { v }
        };
        let full = image::GrayImage::from_raw(columns, rows, values.into_iter().map(shade).collect())
            .ok_or_else(|| fault("fewer pixels than Rows x Columns".into()))?;
        let width = (columns * height / rows).max(1);
        Ok(image::imageops::resize(&full, width, height, image::imageops::FilterType::Triangle))
    }

    /// Writes `{view}.dcm` into the folder and returns its path.
    ///
    /// # Errors
    /// [`PhantomError::Write`]
    pub fn write_to(&self, folder: &Path) -> Result<PathBuf, PhantomError> {
        write(&self.object, folder.join(format!("{}.dcm", self.view_name())))
    }
}

/// What places a picture in a patient's study.
#[derive(Debug)]
pub(super) struct Identity {
    pub patient_id: String,
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    pub sop_instance_uid: String,
    pub instance_number: usize,
}

impl PhantomView {
    /// Draws the picture and wraps it in a file, a study of its own.
    ///
    /// # Errors
    /// [`PhantomError::Option`] for a size, spacing or bit depth that no file can have.
    pub fn to_dicom(&self) -> Result<PhantomInstance, PhantomError> {
        let identity = Identity {
            patient_id: format!("PHANTOM-{}", self.seed),
            study_instance_uid: uid(self, "study"),
            series_instance_uid: uid(self, "series"),
            sop_instance_uid: uid(self, "instance"),
            instance_number: 1,
        };
        encode(self, &identity)
    }
}

pub(super) fn encode(phantom: &PhantomView, identity: &Identity) -> Result<PhantomInstance, PhantomError> {
    check(phantom)?;
    let drawn = phantom.render();
    let mut set = InMemDicomObject::new_empty();
    let description = "SYNTHETIC PHANTOM Mammography 4 views";
    let (patient, study) = (&identity.patient_id, &identity.study_instance_uid);
    patient_and_study(&mut set, "PHANTOM^MAMMOGRAPHY", patient, study, description);
    series_and_equipment(&mut set, identity);
    image(&mut set, phantom, identity.instance_number);
    anatomy_and_view(&mut set, phantom);
    pixels(&mut set, phantom, drawn.pixels);
    let sop_class = uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION;
    let object = file(set, sop_class, &identity.sop_instance_uid)?;
    Ok(PhantomInstance { phantom: *phantom, lesion: drawn.lesion, object })
}

fn series_and_equipment(set: &mut InMemDicomObject, identity: &Identity) {
    let (series_instance_uid, description, model) =
        (&identity.series_instance_uid, "SYNTHETIC PHANTOM", "Mammography phantom");
    Series { modality: "MG", series_instance_uid, number: 1, description, time: TIME, model }.put(set);
    text(set, tags::PRESENTATION_INTENT_TYPE, VR::CS, "FOR PRESENTATION");
}

fn image(set: &mut InMemDicomObject, phantom: &PhantomView, number_in_series: usize) {
    texts(set, tags::IMAGE_TYPE, VR::CS, ["DERIVED", "PRIMARY", ""].map(String::from));
    text(set, tags::DERIVATION_DESCRIPTION, VR::ST, "Computed phantom: no patient and no X-ray was involved");
    general_image(set, number_in_series, TIME);
    text(set, tags::IMAGE_COMMENTS, VR::LT, &format!("SYNTHETIC PHANTOM, shows: {}", phantom.class.name()));
    // DX Detector, Mammography Image and Acquisition Context modules.
    text(set, tags::DETECTOR_TYPE, VR::CS, "DIRECT");
    text(set, tags::POSITIONER_TYPE, VR::CS, "MAMMOGRAPHIC");
    let angle = match (phantom.view, phantom.laterality) {
        (View::Cc, _) => "0",
        (View::Mlo, Laterality::Left) => "-45",
        (View::Mlo, Laterality::Right) => "45",
    };
    text(set, tags::POSITIONER_PRIMARY_ANGLE, VR::DS, angle);
    sequence(set, tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
}

fn anatomy_and_view(set: &mut InMemDicomObject, phantom: &PhantomView) {
    text(set, tags::ORGAN_EXPOSED, VR::CS, "BREAST");
    text(set, tags::BODY_PART_EXAMINED, VR::CS, "BREAST");
    text(set, tags::IMAGE_LATERALITY, VR::CS, phantom.laterality.code());
    text(set, tags::VIEW_POSITION, VR::CS, phantom.view.code());
    code(set, tags::ANATOMIC_REGION_SEQUENCE, ["76752008", "SCT", "Breast"], None);
    let mut modifiers = InMemDicomObject::new_empty();
    sequence(&mut modifiers, tags::VIEW_MODIFIER_CODE_SEQUENCE, Vec::new());
    // CID 4014
    let view = match phantom.view {
        View::Cc => ["399162004", "SCT", "cranio-caudal"],
        View::Mlo => ["399368009", "SCT", "medio-lateral oblique"],
    };
    code(set, tags::VIEW_CODE_SEQUENCE, view, Some(modifiers));
    // Chest wall at the left edge for a left breast: a row runs towards the nipple, a column to the feet, or in CC from
    // the outer to the inner side.
    let [row, column] = match (phantom.laterality, phantom.view) {
        (Laterality::Left, View::Cc) => ["A", "R"],
        (Laterality::Right, View::Cc) => ["P", "L"],
        (Laterality::Left, View::Mlo) => ["A", "F"],
        (Laterality::Right, View::Mlo) => ["P", "F"],
    };
    texts(set, tags::PATIENT_ORIENTATION, VR::CS, [row, column].map(String::from));
}

/// Image Pixel, DX Image and VOI LUT modules.
fn pixels(set: &mut InMemDicomObject, phantom: &PhantomView, values: Array2<u16>) {
    let (photometric, shape) = if phantom.inverted { ("MONOCHROME1", "INVERSE") } else { ("MONOCHROME2", "IDENTITY") };
    image_pixel(set, (1, photometric), phantom.size, phantom.bits_stored);
    text(set, tags::PRESENTATION_LUT_SHAPE, VR::CS, shape);
    text(set, tags::PIXEL_INTENSITY_RELATIONSHIP, VR::CS, "LOG");
    // More X-rays make the picture darker; stored values of MONOCHROME2 fall with them, of MONOCHROME1 rise.
    set.put(DataElement::new(
        tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN,
        VR::SS,
        PrimitiveValue::from(if phantom.inverted { 1i16 } else { -1 }),
    ));
    text(set, tags::RESCALE_INTERCEPT, VR::DS, "0");
    text(set, tags::RESCALE_SLOPE, VR::DS, "1");
    text(set, tags::RESCALE_TYPE, VR::LO, "US");
    let spacing = format!("{:.4}", phantom.spacing_mm);
    for tag in [tags::IMAGER_PIXEL_SPACING, tags::PIXEL_SPACING] {
        texts(set, tag, VR::DS, [spacing.clone(), spacing.clone()]);
    }
    let range = 1u32 << phantom.bits_stored;
    text(set, tags::WINDOW_CENTER, VR::DS, &(range / 2).to_string());
    text(set, tags::WINDOW_WIDTH, VR::DS, &range.to_string());
    let (vr, value) = if phantom.bits_stored <= 8 {
        (VR::OB, PrimitiveValue::U8(values.iter().map(|v| *v as u8).collect()))
    } else {
        (VR::OW, PrimitiveValue::U16(values.into_iter().collect()))
    };
    set.put(DataElement::new(tags::PIXEL_DATA, vr, value));
}
