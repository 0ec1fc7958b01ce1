//! JPEG and PNG files as DICOM: what the server stores, and what the tool reads from a folder, by the same code.
//!
//! Colour becomes VL Photographic Image Storage (PS3.3 A.32.4), grey Secondary Capture (PS3.3 A.8.1), unless asked for.
//! Dermoscopic Photography (A.32.11) is not written: what it demands beyond them (skin type, lens, polarisation) no picture
//! tells, and nothing is invented. A baseline JPEG stays the stream that it is, without its metadata; everything else is stored
//! without compression. All UIDs follow from patient, study and pixels: the same picture is the same object.

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use ndarray::Axis;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::imaging::{ImageAttributes, Picture, PictureError, PicturePixels, PlainJpeg, read_picture};
use crate::result::common::to_part10_in;
use crate::result::uid::{derived_uid, fingerprint};
use crate::result::{ResultError, source, vr};

/// Which kind of object a picture becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub enum PictureKind {
    /// VL Photographic Image Storage, modality XC.
    Photographic,
    /// Secondary Capture Image Storage, modality OT.
    SecondaryCapture,
}

impl PictureKind {
    fn sop_class_uid(self) -> &'static str {
        match self {
            Self::Photographic => uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE,
            Self::SecondaryCapture => uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
        }
    }

    fn modality(self) -> &'static str {
        match self {
            Self::Photographic => "XC",
            Self::SecondaryCapture => "OT",
        }
    }
}

/// A patient who is not in the archive yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct NewPatient {
    #[serde(rename = "PatientID")]
    pub patient_id: String,
    pub patient_name: String,
    /// YYYYMMDD
    pub patient_birth_date: String,
    /// M, F or O
    pub patient_sex: String,
    pub study_description: String,
}

/// Where a picture belongs.
pub enum PictureParent<'a> {
    /// The study of this image.
    StudyOf(&'a ImageAttributes),
    /// The study of pictures of a new patient: one a PatientID.
    New(&'a NewPatient),
    /// A study of a folder, of nobody that is known.
    Folder { study_instance_uid: &'a str },
}

/// A picture as a DICOM file.
#[derive(Debug, Clone)]
pub struct DicomPicture {
    pub sop_instance_uid: String,
    /// Part 10.
    pub bytes: Vec<u8>,
}

/// Why a picture cannot be stored. No message quotes a patient's data.
#[derive(Debug, thiserror::Error)]
pub enum PictureObjectError {
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error("{0}")]
    Value(#[from] ResultError),
}

/// Makes the DICOM file of one JPEG or PNG file. `number`: InstanceNumber; `name`: what the caller calls it, as ImageComments.
///
/// # Errors
/// A file that is no picture, and values that DICOM does not allow.
pub fn dicom_picture(
    file: &[u8],
    parent: &PictureParent<'_>,
    kind: Option<PictureKind>,
    number: usize,
    name: Option<&str>,
) -> Result<DicomPicture, PictureObjectError> {
    let picture = read_picture(file)?;
    let colour = matches!(picture.pixels, PicturePixels::Rgb(_));
    let kind = kind.unwrap_or(if colour { PictureKind::Photographic } else { PictureKind::SecondaryCapture });
    let mut object = InMemDicomObject::new_empty();
    vr::put(&mut object, tags::SERIES_DESCRIPTION, "Pictures")?;
    if let Some(name) = name.filter(|name| !name.trim().is_empty()) {
        vr::put(&mut object, tags::IMAGE_COMMENTS, name)?;
    }
    let study = put_parent(&mut object, parent)?;
    put_pixels(&mut object, &picture, file.len())?;
    // The pixels as they are stored are the picture's identity.
    let identity = fingerprint(&match &picture.jpeg {
        Some(jpeg) => jpeg.stream.clone(),
        None => samples(&picture.pixels),
    });
    let (modality, class) = (kind.modality(), kind.sop_class_uid());
    let sop_instance_uid = derived_uid(["picture", &study, class, &identity]);
    vr::put(&mut object, tags::SOP_CLASS_UID, class)?;
    vr::put(&mut object, tags::SOP_INSTANCE_UID, &sop_instance_uid)?;
    vr::put(&mut object, tags::SERIES_INSTANCE_UID, &derived_uid(["pictures", &study, class]))?;
    vr::put(&mut object, tags::MODALITY, modality)?;
    vr::put(&mut object, tags::INSTANCE_NUMBER, &number.to_string())?;
    for tag in [
        tags::SERIES_NUMBER,
        tags::LATERALITY,
        tags::MANUFACTURER,
        tags::PATIENT_ORIENTATION,
        tags::ACQUISITION_CONTEXT_SEQUENCE,
    ] {
        vr::put_empty(&mut object, tag);
    }
    if kind == PictureKind::SecondaryCapture {
        vr::put(&mut object, tags::CONVERSION_TYPE, "DI")?;
        object.remove_element(tags::ACQUISITION_CONTEXT_SEQUENCE);
    }
    vr::put_values(&mut object, tags::IMAGE_TYPE, &["ORIGINAL".to_owned(), "PRIMARY".to_owned()])?;
    let syntax = if picture.jpeg.is_some() { uids::JPEG_BASELINE8_BIT } else { uids::EXPLICIT_VR_LITTLE_ENDIAN };
    Ok(DicomPicture { sop_instance_uid, bytes: to_part10_in(object, syntax)? })
}

/// Patient and study; gives the StudyInstanceUID.
fn put_parent(object: &mut InMemDicomObject, parent: &PictureParent<'_>) -> Result<String, ResultError> {
    let study = match parent {
        PictureParent::StudyOf(image) => {
            source::copy_modules(image, object)?;
            return Ok(image.study_instance_uid.clone());
        }
        PictureParent::Folder { study_instance_uid } => {
            put_nobody(object)?;
            (*study_instance_uid).to_owned()
        }
        PictureParent::New(patient) => {
            put_nobody(object)?;
            for (tag, value) in [
                (tags::PATIENT_ID, &patient.patient_id),
                (tags::PATIENT_NAME, &patient.patient_name),
                (tags::PATIENT_BIRTH_DATE, &patient.patient_birth_date),
                (tags::PATIENT_SEX, &patient.patient_sex),
                (tags::STUDY_DESCRIPTION, &patient.study_description),
            ] {
                if !value.is_empty() {
                    vr::put(object, tag, value)?;
                }
            }
            derived_uid(["pictures of", &patient.patient_id, &patient.study_description])
        }
    };
    vr::put(object, tags::STUDY_INSTANCE_UID, &study)?;
    Ok(study)
}

/// Patient and study of which nothing is known.
fn put_nobody(object: &mut InMemDicomObject) -> Result<(), ResultError> {
    for tag in source::TYPE_2.into_iter().chain([tags::PATIENT_ID]) {
        vr::put_empty(object, tag);
    }
    vr::put(object, tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192")
}

/// Image Pixel module (PS3.3 C.7.6.3) and the marks of lossy compression (C.7.6.1.1.5).
fn put_pixels(object: &mut InMemDicomObject, picture: &Picture, file_bytes: usize) -> Result<(), ResultError> {
    let (rows, columns, planes) = match &picture.pixels {
        PicturePixels::Grey(grey) => (grey.nrows(), grey.ncols(), 1),
        PicturePixels::Rgb(rgb) => (rgb.len_of(Axis(0)), rgb.len_of(Axis(1)), 3),
    };
    let photometric = match &picture.jpeg {
        Some(PlainJpeg { ybr: Some(true), .. }) => "YBR_FULL_422",
        _ if planes == 1 => "MONOCHROME2",
        _ => "RGB",
    };
    vr::put(object, tags::PHOTOMETRIC_INTERPRETATION, photometric)?;
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, planes),
        (tags::ROWS, rows as u16),
        (tags::COLUMNS, columns as u16),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        vr::put_us(object, tag, &[value]);
    }
    if planes == 3 {
        vr::put_us(object, tags::PLANAR_CONFIGURATION, &[0]);
    }
    vr::put(object, tags::LOSSY_IMAGE_COMPRESSION, if picture.lossy { "01" } else { "00" })?;
    if picture.lossy {
        let ratio = (rows * columns * usize::from(planes)) as f64 / file_bytes.max(1) as f64;
        let ratio = vr::decimal_string("LossyImageCompressionRatio", ratio, 2)?;
        vr::put(object, tags::LOSSY_IMAGE_COMPRESSION_RATIO, &ratio)?;
        vr::put(object, tags::LOSSY_IMAGE_COMPRESSION_METHOD, "ISO_10918_1")?;
    }
    match &picture.jpeg {
        Some(jpeg) => {
            let mut stream = jpeg.stream.clone();
            if !stream.len().is_multiple_of(2) {
                stream.push(0);
            }
            let fragments = PixelFragmentSequence::new(Vec::<u32>::new(), vec![stream]);
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
        }
        None => {
            let mut samples = samples(&picture.pixels);
            if !samples.len().is_multiple_of(2) {
                samples.push(0);
            }
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(samples.into())));
        }
    }
    Ok(())
}

fn samples(pixels: &PicturePixels) -> Vec<u8> {
    match pixels {
        PicturePixels::Grey(grey) => grey.iter().copied().collect(),
        PicturePixels::Rgb(rgb) => rgb.iter().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;
    use crate::imaging::{Image, read_image};

    fn patient() -> NewPatient {
        NewPatient { patient_id: "P-1".into(), patient_name: "Müller^Jürgen".into(), ..NewPatient::default() }
    }

    fn png() -> Vec<u8> {
        let (mut file, samples) = (Vec::new(), (0..36).collect::<Vec<u8>>());
        let encoder = image::codecs::png::PngEncoder::new(&mut file);
        encoder.write_image(&samples, 4, 3, ExtendedColorType::Rgb8).unwrap();
        file
    }

    fn jpeg(kind: ExtendedColorType) -> Vec<u8> {
        let samples: Vec<u8> = (0..16 * 16 * kind.channel_count() as usize).map(|i| (i * 5 % 251) as u8).collect();
        let mut file = Vec::new();
        image::codecs::jpeg::JpegEncoder::new(&mut file).write_image(&samples, 16, 16, kind).unwrap();
        file
    }

    fn made(file: &[u8], patient: &NewPatient) -> (DicomPicture, Image) {
        let object = dicom_picture(file, &PictureParent::New(patient), None, 1, None).unwrap();
        let image = read_image(&object.bytes, None).unwrap();
        (object, image)
    }

    #[test]
    fn what_is_read_back_is_the_picture() {
        for (file, class, lossy) in [
            (png(), uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE, "00"),
            (jpeg(ExtendedColorType::Rgb8), uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE, "01"),
            (jpeg(ExtendedColorType::L8), uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "01"),
        ] {
            let (object, image) = made(&file, &patient());
            let expected = read_picture(&file).unwrap().pixels;
            match &image {
                Image::Colour(colour) => assert_eq!(PicturePixels::Rgb(colour.rgb.clone()), expected),
                Image::Grey(grey) => {
                    let crate::imaging::Pixels::U8(pixels) = &grey.pixels else { panic!("8 bits") };
                    assert_eq!(PicturePixels::Grey(pixels.clone()), expected);
                }
            }
            let attributes = image.attributes();
            assert_eq!(
                (attributes.sop_class_uid.as_str(), &attributes.sop_instance_uid),
                (class, &object.sop_instance_uid)
            );
            let text = |tag| attributes.dataset.get(tag).unwrap().to_str().unwrap().trim().to_owned();
            assert_eq!(text(tags::LOSSY_IMAGE_COMPRESSION), lossy);
            assert_eq!(text(tags::PATIENT_NAME), "Müller^Jürgen");
        }
    }

    #[test]
    fn the_same_picture_of_the_same_patient_is_the_same_object() {
        let (first, again) = (made(&png(), &patient()).0, made(&png(), &patient()).0);
        assert_eq!((&first.sop_instance_uid, &first.bytes), (&again.sop_instance_uid, &again.bytes));
        let other = NewPatient { patient_id: "P-2".into(), ..patient() };
        assert_ne!(made(&png(), &other).0.sop_instance_uid, first.sop_instance_uid);
    }

    #[test]
    fn values_that_cannot_be_are_refused_without_being_repeated() {
        let wrong = NewPatient { patient_birth_date: "Doe".into(), ..patient() };
        let error = dicom_picture(&png(), &PictureParent::New(&wrong), None, 1, None).unwrap_err().to_string();
        assert!(error.contains("PatientBirthDate") && !error.contains("Doe"), "{error}");
        let error =
            dicom_picture(b"no picture", &PictureParent::New(&patient()), None, 1, None).unwrap_err().to_string();
        assert_eq!(error, "found neither a JPEG nor a PNG file");
    }
}
