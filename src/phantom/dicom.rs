//! What the phantoms' files have in common: UIDs, elements, the file's frame.

use std::path::PathBuf;

use dicom_core::smallvec::SmallVec;
use dicom_core::value::{DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Length, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};
use sha2::{Digest, Sha256};

/// What keeps a phantom from becoming a file.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    #[error("phantom {key}: found {found}, expected {expected}")]
    Option { key: &'static str, found: String, expected: &'static str },
    #[error("phantom data set: {0}")]
    Dataset(String),
    #[error("cannot write {path}: {reason}")]
    Write { path: PathBuf, reason: String },
}

/// "2.25." and the first 128 bits of a hash (PS3.5 B.2): the same options name the same objects.
pub(super) fn uid(options: &impl std::fmt::Debug, role: &str) -> String {
    let hash = Sha256::digest(format!("orthanc-ai phantom 1 {options:?} {role}"));
    let number = hash.iter().take(16).fold(0u128, |n, byte| n << 8 | u128::from(*byte));
    format!("2.25.{number}")
}

/// No date is real; all are the same, so that files repeat byte by byte.
pub(super) const DATE: &str = "20250101";
pub(super) const TIME: &str = "120000";

pub(super) fn text(set: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    set.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

pub(super) fn number(set: &mut InMemDicomObject, tag: Tag, value: u16) {
    set.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// A code sequence of one item (PS3.3 8.8), which may hold further sequences.
pub(super) fn code(
    set: &mut InMemDicomObject,
    tag: Tag,
    [value, scheme, meaning]: [&str; 3],
    within: Option<InMemDicomObject>,
) {
    let mut item = within.unwrap_or_else(InMemDicomObject::new_empty);
    text(&mut item, tags::CODE_VALUE, VR::SH, value);
    text(&mut item, tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme);
    text(&mut item, tags::CODE_MEANING, VR::LO, meaning);
    sequence(set, tag, vec![item]);
}

pub(super) fn sequence(set: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    let items = DataSetSequence::new(SmallVec::from_vec(items), Length::UNDEFINED);
    set.put(DataElement::new(tag, VR::SQ, Value::Sequence(items)));
}

/// Patient and General Study modules.
pub(super) fn patient_and_study(
    set: &mut InMemDicomObject,
    patient_name: &str,
    patient_id: &str,
    study_instance_uid: &str,
    description: &str,
) {
    text(set, tags::PATIENT_NAME, VR::PN, patient_name);
    text(set, tags::PATIENT_ID, VR::LO, patient_id);
    text(set, tags::PATIENT_BIRTH_DATE, VR::DA, "");
    text(set, tags::PATIENT_SEX, VR::CS, "O");
    text(set, tags::STUDY_INSTANCE_UID, VR::UI, study_instance_uid);
    text(set, tags::STUDY_ID, VR::SH, "1");
    text(set, tags::STUDY_DATE, VR::DA, DATE);
    text(set, tags::STUDY_TIME, VR::TM, TIME);
    text(set, tags::STUDY_DESCRIPTION, VR::LO, description);
    text(set, tags::ACCESSION_NUMBER, VR::SH, "");
    text(set, tags::REFERRING_PHYSICIAN_NAME, VR::PN, "");
}

/// General Series and General Equipment modules of a series that no scanner made.
pub(super) struct Series<'a> {
    pub modality: &'a str,
    pub series_instance_uid: &'a str,
    pub number: usize,
    pub description: &'a str,
    /// SeriesTime
    pub time: &'a str,
    /// ManufacturerModelName
    pub model: &'a str,
}

impl Series<'_> {
    pub fn put(&self, set: &mut InMemDicomObject) {
        text(set, tags::MODALITY, VR::CS, self.modality);
        text(set, tags::SERIES_INSTANCE_UID, VR::UI, self.series_instance_uid);
        text(set, tags::SERIES_NUMBER, VR::IS, &self.number.to_string());
        text(set, tags::SERIES_DATE, VR::DA, DATE);
        text(set, tags::SERIES_TIME, VR::TM, self.time);
        text(set, tags::SERIES_DESCRIPTION, VR::LO, self.description);
        text(set, tags::MANUFACTURER, VR::LO, "orthanc-ai phantom");
        text(set, tags::MANUFACTURER_MODEL_NAME, VR::LO, self.model);
        text(set, tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION"));
    }
}

/// What every image says about when and how it was made: nothing was burnt in and nothing lost.
pub(super) fn general_image(set: &mut InMemDicomObject, instance_number: usize, time: &str) {
    text(set, tags::INSTANCE_NUMBER, VR::IS, &instance_number.to_string());
    for (date, at) in [(tags::CONTENT_DATE, tags::CONTENT_TIME), (tags::ACQUISITION_DATE, tags::ACQUISITION_TIME)] {
        text(set, date, VR::DA, DATE);
        text(set, at, VR::TM, time);
    }
    text(set, tags::BURNED_IN_ANNOTATION, VR::CS, "NO");
    text(set, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
}

/// Image Pixel module of unsigned values, `samples` a pixel, without the pixels themselves.
pub(super) fn image_pixel(
    set: &mut InMemDicomObject,
    (samples, photometric_interpretation): (u16, &str),
    (rows, columns): (usize, usize),
    bits_stored: u16,
) {
    number(set, tags::SAMPLES_PER_PIXEL, samples);
    text(set, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric_interpretation);
    number(set, tags::ROWS, rows as u16);
    number(set, tags::COLUMNS, columns as u16);
    number(set, tags::BITS_ALLOCATED, if bits_stored > 8 { 16 } else { 8 });
    number(set, tags::BITS_STORED, bits_stored);
    number(set, tags::HIGH_BIT, bits_stored - 1);
    number(set, tags::PIXEL_REPRESENTATION, 0);
}

/// A multi-valued text (CS, DS).
pub(super) fn texts<const N: usize>(set: &mut InMemDicomObject, tag: Tag, vr: VR, values: [String; N]) {
    set.put(DataElement::new(tag, vr, PrimitiveValue::Strs(values.into_iter().collect())));
}

/// A number as a DS of at most `digits` decimals: no trailing zeros, no "-0".
pub(super) fn decimal(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.into() }
}

/// Names the object and makes it a file (explicit VR little endian).
pub(super) fn file(
    mut set: InMemDicomObject,
    sop_class_uid: &str,
    sop_instance_uid: &str,
) -> Result<FileDicomObject<InMemDicomObject>, PhantomError> {
    text(&mut set, tags::SOP_CLASS_UID, VR::UI, sop_class_uid);
    text(&mut set, tags::SOP_INSTANCE_UID, VR::UI, sop_instance_uid);
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(sop_class_uid)
        .media_storage_sop_instance_uid(sop_instance_uid)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    set.with_meta(meta).map_err(|e| PhantomError::Dataset(e.to_string()))
}

/// Writes the file, and its folder if there is none yet, and returns its path.
pub(super) fn write(object: &FileDicomObject<InMemDicomObject>, path: PathBuf) -> Result<PathBuf, PhantomError> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written =
        folder.map_err(|e| e.to_string()).and_then(|()| object.write_to_file(&path).map_err(|e| e.to_string()));
    match written {
        Ok(()) => Ok(path),
        Err(reason) => Err(PhantomError::Write { path, reason }),
    }
}

/// The file's bytes (DICOM Part 10).
pub(super) fn bytes(object: &FileDicomObject<InMemDicomObject>) -> Result<Vec<u8>, PhantomError> {
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).map_err(|e| PhantomError::Dataset(e.to_string()))?;
    Ok(bytes)
}
