//! The exam as DICOM: MR Image (PS3.3 A.4), one file a slice and phase, four series of one study or one.

use std::path::{Path, PathBuf};

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};
use ndarray::{ArrayView2, Axis};

use super::{BreastMri, BreastMriPhantom, PHASES, TumourKind};
use crate::phantom::dicom::{
    PhantomError, Series, bytes, code, decimal, file, general_image, image_pixel, patient_and_study, text, texts, uid,
    write,
};

/// How the slices are spread over series, and how they are numbered. What orders them is ImagePositionPatient and
/// TemporalPositionIdentifier; nobody should need InstanceNumber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeriesLayout {
    /// All phases in one series, numbered slice by slice, so that neighbours in number are phases of one slice.
    pub one_series: bool,
    /// InstanceNumber falls along the slices' normal.
    pub reversed: bool,
}

/// An exam with its files' objects.
#[derive(Debug, Clone)]
pub struct BreastMriStudy {
    pub exam: BreastMri,
    /// Phase by phase, slice by slice.
    pub instances: Vec<BreastMriInstance>,
}

/// One slice of one phase, ready to be written or uploaded.
#[derive(Debug, Clone)]
pub struct BreastMriInstance {
    /// 0 is pre-contrast.
    pub phase: usize,
    /// Along the normal, from 0.
    pub slice: usize,
    pub series_number: usize,
    pub instance_number: usize,
    pub object: FileDicomObject<InMemDicomObject>,
}

impl BreastMriInstance {
    /// The file's bytes (DICOM Part 10, explicit VR little endian).
    ///
    /// # Errors
    /// [`PhantomError::Dataset`] when the data set cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PhantomError> {
        bytes(&self.object)
    }

    /// Writes `{series number}/{instance number}.dcm` into the folder and returns its path.
    ///
    /// # Errors
    /// [`PhantomError::Write`]
    pub fn write_to(&self, folder: &Path) -> Result<PathBuf, PhantomError> {
        let series = format!("{:02}", self.series_number);
        write(&self.object, folder.join(series).join(format!("{:04}.dcm", self.instance_number)))
    }
}

impl BreastMriPhantom {
    /// Draws the exam and wraps each slice in a file.
    ///
    /// # Errors
    /// [`PhantomError::Option`] for a size or spacing that no exam has.
    pub fn to_dicom(&self, layout: SeriesLayout) -> Result<BreastMriStudy, PhantomError> {
        let mut exam = self.render()?;
        exam.geometry.frame_of_reference_uid = Some(uid(self, "frame of reference"));
        let slices = self.size[0];
        let brightest = exam.phases.iter().flatten().copied().max().unwrap_or(1);
        let encoded = (0..PHASES * slices).map(|i| {
            let (phase, slice) = (i / slices, i % slices);
            let place = if layout.reversed { slices - 1 - slice } else { slice };
            let (series_number, instance_number) =
                if layout.one_series { (2, PHASES * place + phase + 1) } else { (2 + phase, place + 1) };
            let own =
                Slice { phantom: self, kind: None, layout, exam: &exam, phase, slice, series_number, instance_number };
            let object = own.encode(brightest)?;
            Ok(BreastMriInstance { phase, slice, series_number, instance_number, object })
        });
        let instances = encoded.collect::<Result<_, PhantomError>>()?;
        Ok(BreastMriStudy { exam, instances })
    }
}

pub(super) struct Slice<'a> {
    pub phantom: &'a BreastMriPhantom,
    /// Of a slice by itself: which tumour it shows.
    pub kind: Option<Option<TumourKind>>,
    pub layout: SeriesLayout,
    pub exam: &'a BreastMri,
    pub phase: usize,
    pub slice: usize,
    pub series_number: usize,
    pub instance_number: usize,
}

impl Slice<'_> {
    pub fn uid(&self, role: &str) -> String {
        match self.kind {
            None => uid(&(self.phantom, self.layout), role),
            Some(kind) => uid(&(self.phantom, kind), role),
        }
    }

    /// Of study, series and instance.
    pub fn uids(&self) -> [String; 3] {
        [
            self.uid("study"),
            self.uid(&format!("series {}", self.series_number)),
            self.uid(&format!("phase {} slice {}", self.phase, self.slice)),
        ]
    }

    pub fn encode(&self, brightest: u16) -> Result<FileDicomObject<InMemDicomObject>, PhantomError> {
        let [study, series, instance] = self.uids();
        let patient_id = format!("PHANTOM-{}", self.phantom.seed);
        let description = "SYNTHETIC PHANTOM Breast DCE-MRI";
        let mut set = InMemDicomObject::new_empty();
        patient_and_study(&mut set, "PHANTOM^BREAST MRI", &patient_id, &study, description);
        self.series(&mut set, &series);
        self.plane(&mut set);
        self.acquisition(&mut set);
        let pixels = self.exam.phases[self.phase].index_axis(Axis(0), self.slice);
        pixel_module(&mut set, pixels, brightest);
        file(set, uids::MR_IMAGE_STORAGE, &instance)
    }

    /// Ninety seconds a phase.
    fn time(&self) -> String {
        let seconds = 90 * self.phase;
        format!("12{:02}{:02}", seconds / 60, seconds % 60)
    }

    fn series(&self, set: &mut InMemDicomObject, series_instance_uid: &str) {
        let name = match (self.layout.one_series, self.phase) {
            (true, _) => "SYNTHETIC PHANTOM DCE, all phases".to_string(),
            (false, 0) => "SYNTHETIC PHANTOM DCE pre-contrast".to_string(),
            (false, phase) => format!("SYNTHETIC PHANTOM DCE phase {phase}"),
        };
        let first = Self { phase: 0, ..*self };
        let time = if self.layout.one_series { first.time() } else { self.time() };
        let (number, model) = (self.series_number, "Breast MRI phantom");
        Series { modality: "MR", series_instance_uid, number, description: &name, time: &time, model }.put(set);
        text(set, tags::PATIENT_POSITION, VR::CS, "HFP");
        text(set, tags::BODY_PART_EXAMINED, VR::CS, "BREAST");
        // Type 2C for a paired organ: empty, as both breasts are in the picture (PS3.3 C.7.3.1).
        set.put(DataElement::empty(tags::LATERALITY, VR::CS));
        code(set, tags::ANATOMIC_REGION_SEQUENCE, ["76752008", "SCT", "Breast"], None);
    }

    /// Frame of Reference and Image Plane modules.
    fn plane(&self, set: &mut InMemDicomObject) {
        let geometry = &self.exam.geometry;
        let frame = geometry.frame_of_reference_uid.as_deref().unwrap_or_default();
        text(set, tags::FRAME_OF_REFERENCE_UID, VR::UI, frame);
        text(set, tags::POSITION_REFERENCE_INDICATOR, VR::LO, "");
        let position = geometry.to_patient([self.slice as f64, 0.0, 0.0]).map(|v| decimal(v, 4));
        texts(set, tags::IMAGE_POSITION_PATIENT, VR::DS, position);
        texts(set, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, geometry.orientation().map(|v| decimal(v, 10)));
        let [slice, row, column] = geometry.spacing_mm().map(|v| decimal(v, 4));
        texts(set, tags::PIXEL_SPACING, VR::DS, [row, column]);
        text(set, tags::SLICE_THICKNESS, VR::DS, &slice);
        text(set, tags::SPACING_BETWEEN_SLICES, VR::DS, &slice);
    }

    /// General Image, MR Image and Contrast/Bolus modules.
    fn acquisition(&self, set: &mut InMemDicomObject) {
        texts(set, tags::IMAGE_TYPE, VR::CS, ["DERIVED", "PRIMARY", "OTHER"].map(String::from));
        text(set, tags::DERIVATION_DESCRIPTION, VR::ST, "Computed phantom: no patient and no scanner was involved");
        general_image(set, self.instance_number, &self.time());
        text(set, tags::ACQUISITION_NUMBER, VR::IS, &(self.phase + 1).to_string());
        text(set, tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, &(self.phase + 1).to_string());
        text(set, tags::NUMBER_OF_TEMPORAL_POSITIONS, VR::IS, &PHASES.to_string());
        text(set, tags::TEMPORAL_RESOLUTION, VR::DS, "90000");
        text(set, tags::IMAGE_COMMENTS, VR::LT, "SYNTHETIC PHANTOM");
        text(set, tags::SCANNING_SEQUENCE, VR::CS, "GR");
        text(set, tags::SEQUENCE_VARIANT, VR::CS, "SP");
        text(set, tags::SCAN_OPTIONS, VR::CS, "FS");
        text(set, tags::MR_ACQUISITION_TYPE, VR::CS, "3D");
        text(set, tags::REPETITION_TIME, VR::DS, "4.5");
        text(set, tags::ECHO_TIME, VR::DS, "1.7");
        text(set, tags::FLIP_ANGLE, VR::DS, "10");
        text(set, tags::ECHO_TRAIN_LENGTH, VR::IS, "1");
        text(set, tags::MAGNETIC_FIELD_STRENGTH, VR::DS, "1.5");
        if self.phase > 0 {
            text(set, tags::CONTRAST_BOLUS_AGENT, VR::LO, "Synthetic contrast medium");
        }
    }
}

/// Image Pixel and VOI LUT modules; the window shows the brightest tissue of all phases just below white.
fn pixel_module(set: &mut InMemDicomObject, values: ArrayView2<u16>, brightest: u16) {
    image_pixel(set, (1, "MONOCHROME2"), values.dim(), 12);
    text(set, tags::WINDOW_CENTER, VR::DS, &(brightest / 2).to_string());
    text(set, tags::WINDOW_WIDTH, VR::DS, &brightest.max(2).to_string());
    let pixels = PrimitiveValue::U16(values.iter().copied().collect());
    set.put(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
}
