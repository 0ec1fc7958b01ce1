//! Four small synthetic mammograms with whole headers, as data sets, attributes and files. Shared by unit and
//! integration tests (`orthanc_ai` names the crate in both).

use std::path::{Path, PathBuf};

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use orthanc_ai::imaging::ImageAttributes;
use orthanc_ai::imaging::attributes::{Photometric, Rescale};
use orthanc_ai::manifest::Manifest;
use orthanc_ai::predict::activate::softmax;
use orthanc_ai::predict::{ClassProbability, Finding, ImagePrediction, Prediction};

pub const ROWS: u16 = 60;
pub const COLUMNS: u16 = 44;
pub const STUDY_UID: &str = "2.25.300000000000000000000000000000000001";
pub const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
/// (laterality, view, patient orientation, SCT view code, meaning)
pub const VIEWS: [(&str, &str, &str, &str, &str); 4] = [
    ("L", "CC", "A\\R", "399162004", "cranio-caudal"),
    ("R", "CC", "P\\L", "399162004", "cranio-caudal"),
    ("L", "MLO", "A\\FR", "399368009", "medio-lateral oblique"),
    ("R", "MLO", "P\\FL", "399368009", "medio-lateral oblique"),
];

pub fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::Strs(value.split('\\').map(str::to_owned).collect())));
}

fn code(value: &str, scheme: &str, meaning: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::CODE_VALUE, VR::SH, value);
    put(&mut item, tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme);
    put(&mut item, tags::CODE_MEANING, VR::LO, meaning);
    item
}

/// The header of view `n` of [`VIEWS`]; CC and MLO of both breasts in two series.
pub fn header(n: usize) -> InMemDicomObject {
    let (laterality, view, orientation, sct, meaning) = VIEWS[n];
    let mut o = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
        (tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY"),
        (tags::SOP_CLASS_UID, VR::UI, uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION),
        (tags::STUDY_INSTANCE_UID, VR::UI, STUDY_UID),
        (tags::STUDY_DATE, VR::DA, "20260302"),
        (tags::STUDY_TIME, VR::TM, "101500.25"),
        (tags::STUDY_ID, VR::SH, "S1"),
        (tags::ACCESSION_NUMBER, VR::SH, "ACC-17"),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Referrer^R"),
        (tags::STUDY_DESCRIPTION, VR::LO, "Screening, synthetic"),
        (tags::PATIENT_NAME, VR::PN, "M\u{fc}ller^Anna"),
        (tags::PATIENT_ID, VR::LO, "PHANTOM-1"),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19600229"),
        (tags::PATIENT_SEX, VR::CS, "F"),
        (tags::MODALITY, VR::CS, "MG"),
        (tags::PRESENTATION_INTENT_TYPE, VR::CS, "FOR PRESENTATION"),
        (tags::MANUFACTURER, VR::LO, "Phantom maker"),
        (tags::IMAGE_LATERALITY, VR::CS, laterality),
        (tags::VIEW_POSITION, VR::CS, view),
        (tags::PATIENT_ORIENTATION, VR::CS, orientation),
        (tags::IMAGER_PIXEL_SPACING, VR::DS, "0.07\\0.07"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        (tags::BURNED_IN_ANNOTATION, VR::CS, "NO"),
    ] {
        put(&mut o, tag, vr, value);
    }
    put(&mut o, tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.4000{n}"));
    put(&mut o, tags::SERIES_INSTANCE_UID, VR::UI, if view == "CC" { "2.25.50001" } else { "2.25.50002" });
    put(&mut o, tags::INSTANCE_NUMBER, VR::IS, &(n + 1).to_string());
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, ROWS),
        (tags::COLUMNS, COLUMNS),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        o.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let view_code = DataSetSequence::from(vec![code(sct, "SCT", meaning)]);
    o.put(DataElement::new(tags::VIEW_CODE_SEQUENCE, VR::SQ, view_code));
    o
}

fn text(o: &InMemDicomObject, tag: Tag) -> Option<String> {
    Some(o.get(tag)?.to_str().ok()?.trim_end_matches('\0').trim().to_owned())
}

pub fn attributes(dataset: InMemDicomObject) -> ImageAttributes {
    let uid = |tag| text(&dataset, tag).unwrap_or_default();
    let number = |tag| dataset.get(tag).and_then(|e| e.to_int::<usize>().ok()).unwrap_or_default();
    let spacing = dataset.get(tags::IMAGER_PIXEL_SPACING).and_then(|e| e.to_multi_float64().ok());
    ImageAttributes {
        samples_per_pixel: 1,
        sop_class_uid: uid(tags::SOP_CLASS_UID),
        sop_instance_uid: uid(tags::SOP_INSTANCE_UID),
        study_instance_uid: uid(tags::STUDY_INSTANCE_UID),
        series_instance_uid: uid(tags::SERIES_INSTANCE_UID),
        modality: uid(tags::MODALITY),
        photometric: Photometric::Monochrome2,
        rows: number(tags::ROWS),
        columns: number(tags::COLUMNS),
        number_of_frames: 1,
        bits_allocated: 16,
        bits_stored: 12,
        signed: false,
        rescale: Rescale { slope: 1.0, intercept: 0.0 },
        voi: None,
        padding: None,
        laterality: text(&dataset, tags::IMAGE_LATERALITY),
        view_position: text(&dataset, tags::VIEW_POSITION),
        pixel_spacing_mm: spacing.map(|s| [s[0], s[1]]),
        dataset,
    }
}

/// The four views.
pub fn exam() -> Vec<ImageAttributes> {
    (0..4).map(|n| attributes(header(n))).collect()
}

pub fn manifest(demo: bool) -> Manifest {
    let text = if demo {
        include_str!("../../models/mammography-4view-demo/manifest.json")
    } else {
        include_str!("../../models/mammography-4view/manifest.json")
    };
    Manifest::from_json(text).unwrap()
}

pub fn finding(logits: &[f32]) -> Finding {
    let all: Vec<ClassProbability> = softmax(logits)
        .into_iter()
        .enumerate()
        .map(|(class, probability)| ClassProbability { class, probability, spread: None })
        .collect();
    let best = all.iter().copied().reduce(|a, b| if b.probability > a.probability { b } else { a }).unwrap();
    Finding { class: best.class, probability: best.probability, all }
}

/// View n's winner is class n; `failed` images have an error instead.
pub fn prediction(failed: &[usize]) -> Prediction {
    let images = (0..4).map(|n| {
        let mut logits = [0.0, -0.5, 0.25, -1.0];
        logits[n] = 1.0 + n as f32;
        let outcome = if failed.contains(&n) {
            Err("the decoder found a truncated frame".to_owned())
        } else {
            Ok(finding(&logits))
        };
        ImagePrediction { image: n, frame: None, view: format!("{}-{}", VIEWS[n].0, VIEWS[n].1), outcome }
    });
    Prediction { images: images.collect(), overall: None }
}

/// Writes the images as files with a gradient for pixels.
#[allow(dead_code, reason = "the unit tests need no files")]
pub fn write_files(dir: &Path, images: &[ImageAttributes]) -> Vec<PathBuf> {
    let write = |(n, image): (usize, &ImageAttributes)| {
        let pixels: Vec<u16> = (0..image.rows * image.columns).map(|i| (i % 4096) as u16).collect();
        let mut object = image.dataset.clone();
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let path = dir.join(format!("source_{n}.dcm"));
        object.with_meta(meta).unwrap().write_to_file(&path).unwrap();
        path
    };
    images.iter().enumerate().map(write).collect()
}
