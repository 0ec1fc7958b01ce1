//! The patient and study modules of the source images, copied into a result (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2).
//!
//! Real headers are dirty. Rules: valid values are copied byte for byte; an invalid optional one is left out and named;
//! a Type 2 attribute that is absent or invalid becomes empty; nothing is invented. The identity of patient and study
//! is never guessed at: what cannot be copied is refused, because the result would hang in another patient's study.

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::ResultError;
use super::charset::{SourceCharset, needs_utf8};
use super::vr::{check, keyword, put_empty, put_items, standard_vr};
use crate::imaging::ImageAttributes;

/// Type 2 of patient and study in our objects' IODs, but for PatientID: written empty where the source has nothing valid.
pub const TYPE_2: [Tag; 8] = [
    tags::PATIENT_NAME,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
];

/// Copied where valid, single-valued.
const TYPE_3: [Tag; 6] = [
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::PATIENT_AGE,
    tags::STUDY_DESCRIPTION,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::DEIDENTIFICATION_METHOD,
];

/// Copies the patient and study modules of `image` into `object`, whose own texts are all in place already: they decide
/// whether the source's character set can stay. Returns the keywords of attributes whose source value was not valid.
///
/// # Errors
/// [`ResultError::Source`] if PatientID cannot be copied; [`ResultError::CharacterSet`] if our own texts need UTF-8 and
/// the source's cannot be converted.
pub fn copy_modules(image: &ImageAttributes, object: &mut InMemDicomObject) -> Result<Vec<String>, ResultError> {
    let source = &image.dataset;
    let charset = SourceCharset::of(source);
    let utf8 = needs_utf8(object);
    let mut left_out = Vec::new();
    let mut copied = vec![patient_id(source, &charset)?];
    for tag in TYPE_2.into_iter().chain(TYPE_3) {
        match valid(source, tag, &charset) {
            Ok(Some(values)) => copied.push((tag, values)),
            Ok(None) => {}
            Err(_) => left_out.push(keyword(tag)),
        }
    }
    if utf8 && !copied.iter().all(|(_, values)| values.iter().all(|v| charset.is_convertible(v))) {
        return Err(ResultError::CharacterSet { declared: charset.terms().join("\\") });
    }
    for tag in TYPE_2 {
        put_empty(object, tag);
    }
    for (tag, values) in copied {
        object.put(DataElement::new(tag, standard_vr(tag), PrimitiveValue::Strs(values.into_iter().collect())));
    }
    super::vr::put(object, tags::STUDY_INSTANCE_UID, &image.study_instance_uid)?;
    put_deidentification_codes(source, &charset, object);
    state_deidentification(object);
    if utf8 {
        put_charset(object, &["ISO_IR 192".to_owned()]);
    } else if !charset.terms().is_empty() {
        put_charset(object, charset.terms());
    }
    Ok(left_out)
}

/// The value of TimezoneOffsetFromUTC (0008,0201), where valid.
pub fn timezone_offset(image: &ImageAttributes) -> Option<time::UtcOffset> {
    let values = valid(&image.dataset, tags::TIMEZONE_OFFSET_FROM_UTC, &SourceCharset::of(&image.dataset)).ok()??;
    let text = values.first()?.trim();
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (text.get(1..3)?.parse::<i8>().ok()?, text.get(3..5)?.parse::<i8>().ok()?);
    (text.len() == 5).then(|| time::UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok())?
}

/// The valid value of one attribute, trimmed; for texts that decide what else is written.
pub fn valid_text(image: &ImageAttributes, tag: Tag) -> Option<String> {
    let values = valid(&image.dataset, tag, &SourceCharset::of(&image.dataset)).ok()??;
    values.first().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

/// As [`valid_text`], where its characters are known: for people. Of a name in another character set its Latin letters.
pub fn readable_text(image: &ImageAttributes, tag: Tag) -> Option<String> {
    let charset = SourceCharset::of(&image.dataset);
    let text = valid_text(image, tag)?;
    let text = if charset.is_convertible(&text) { text.as_str() } else { text.split('=').next().unwrap_or_default() };
    Some(text.to_owned()).filter(|text| charset.is_convertible(text) && !text.is_empty())
}

/// The valid values of a multi-valued attribute, trimmed.
pub fn valid_texts(image: &ImageAttributes, tag: Tag) -> Vec<String> {
    let pieces = image.dataset.get(tag).and_then(|e| SourceCharset::of(&image.dataset).pieces(e)).unwrap_or_default();
    let values: Vec<String> = pieces.iter().map(|p| p.trim_end_matches([' ', '\0']).to_owned()).collect();
    if values.iter().all(|v| check(standard_vr(tag), v).is_ok()) { values } else { Vec::new() }
}

/// Copies a text attribute where its value is valid and ASCII: the object's character set is not settled yet.
///
/// # Errors
/// None that a valid value could give.
pub fn copy_text(object: &mut InMemDicomObject, image: &ImageAttributes, tag: Tag) -> Result<(), ResultError> {
    match valid_text(image, tag).filter(|t| t.is_ascii()) {
        Some(text) => super::vr::put(object, tag, &text),
        None => Ok(()),
    }
}

/// What is made of lossy images is lossy, however it is written (PS3.3 C.7.6.1.1.5).
///
/// # Errors
/// None that valid values could give.
pub fn put_lossy(object: &mut InMemDicomObject, images: &[&ImageAttributes]) -> Result<(), ResultError> {
    let is_lossy = |i: &&&ImageAttributes| valid_text(i, tags::LOSSY_IMAGE_COMPRESSION).as_deref() == Some("01");
    let Some(lossy) = images.iter().find(is_lossy) else {
        return super::vr::put(object, tags::LOSSY_IMAGE_COMPRESSION, "00");
    };
    super::vr::put(object, tags::LOSSY_IMAGE_COMPRESSION, "01")?;
    for tag in [tags::LOSSY_IMAGE_COMPRESSION_RATIO, tags::LOSSY_IMAGE_COMPRESSION_METHOD] {
        let values = valid_texts(lossy, tag);
        if !values.is_empty() {
            super::vr::put_values(object, tag, &values)?;
        }
    }
    Ok(())
}

/// All images must be referable and belong to one study of one patient.
///
/// # Errors
/// [`ResultError::Source`] for a UID that no object may repeat; [`ResultError::MixedStudies`] names the attribute,
/// never its value.
pub fn require_one_study(images: &[&ImageAttributes]) -> Result<(), ResultError> {
    for image in images {
        for (attribute, uid) in [
            ("SOPClassUID", &image.sop_class_uid),
            ("SOPInstanceUID", &image.sop_instance_uid),
            ("StudyInstanceUID", &image.study_instance_uid),
            ("SeriesInstanceUID", &image.series_instance_uid),
        ] {
            check(VR::UI, uid).map_err(|reason| ResultError::Source { attribute: attribute.into(), reason })?;
        }
    }
    let Some((first, rest)) = images.split_first() else { return Err(ResultError::NoImages) };
    let first_id = identity(first)?;
    for image in rest {
        if image.study_instance_uid != first.study_instance_uid {
            return Err(ResultError::MixedStudies { attribute: "StudyInstanceUID" });
        }
        if identity(image)? != first_id {
            return Err(ResultError::MixedStudies { attribute: "PatientID" });
        }
    }
    Ok(())
}

/// PatientID without its padding, which does not tell patients apart (PS3.5 6.2); "" where there is none.
fn identity(image: &ImageAttributes) -> Result<String, ResultError> {
    let (_, values) = patient_id_values(&image.dataset, &SourceCharset::of(&image.dataset))?;
    Ok(values.join("\\").trim_matches([' ', '\0']).to_owned())
}

type Values = (Tag, Vec<String>);

/// PatientID (Type 2) as it is, even longer than LO allows: a shortened or emptied one would be another patient.
fn patient_id(source: &InMemDicomObject, charset: &SourceCharset) -> Result<Values, ResultError> {
    let (tag, values) = patient_id_values(source, charset)?;
    if values.iter().all(|v| charset.is_verbatim(v)) {
        Ok((tag, values))
    } else {
        Err(no_patient_id("found bytes that SpecificCharacterSet does not explain".into()))
    }
}

fn patient_id_values(source: &InMemDicomObject, charset: &SourceCharset) -> Result<Values, ResultError> {
    let Some(element) = source.get(tags::PATIENT_ID) else { return Ok((tags::PATIENT_ID, Vec::new())) };
    let misfit = || no_patient_id(format!("found VR {}, expected LO", element.vr()));
    Ok((tags::PATIENT_ID, charset.pieces(element).ok_or_else(misfit)?))
}

fn no_patient_id(reason: String) -> ResultError {
    ResultError::Source { attribute: keyword(tags::PATIENT_ID), reason }
}

/// The value of `tag` if the result may repeat it: `Ok(None)` where absent or empty.
fn valid(source: &InMemDicomObject, tag: Tag, charset: &SourceCharset) -> Result<Option<Vec<String>>, String> {
    let Some(element) = source.get(tag) else { return Ok(None) };
    let values = charset.pieces(element).ok_or_else(|| format!("VR {}", element.vr()))?;
    if values.iter().all(|v| v.trim_matches([' ', '\0']).is_empty()) {
        return Ok(None);
    }
    let vr = standard_vr(tag);
    // Bytes in disguise have other lengths than the text, and may contain what looks like a separator.
    let opaque = !charset.is_decoded() && values.iter().any(|v| !v.is_ascii() || v.contains('\u{1b}'));
    if values.len() > 1 && !opaque {
        return Err(format!("{} values", values.len()));
    }
    for value in &values {
        if !charset.is_verbatim(value) {
            return Err("bytes that SpecificCharacterSet does not explain".into());
        }
        if !opaque {
            check(vr, value)?;
        }
    }
    Ok(Some(values))
}

/// DeidentificationMethodCodeSequence (0012,0064): the codes, no further content of the items.
fn put_deidentification_codes(source: &InMemDicomObject, charset: &SourceCharset, object: &mut InMemDicomObject) {
    let Some(items) = source.get(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).and_then(|e| e.value().items()) else {
        return;
    };
    let plain = |item: &InMemDicomObject, tag: Tag| -> Option<String> {
        let text = charset.pieces(item.get(tag)?)?.concat().trim().to_owned();
        (text.is_ascii() && !text.is_empty() && check(standard_vr(tag), &text).is_ok()).then_some(text)
    };
    let codes: Vec<InMemDicomObject> = items
        .iter()
        .filter_map(|item| {
            let mut code = InMemDicomObject::new_empty();
            for tag in [tags::CODE_VALUE, tags::CODING_SCHEME_DESIGNATOR, tags::CODE_MEANING] {
                code.put(DataElement::new(tag, standard_vr(tag), PrimitiveValue::from(plain(item, tag)?)));
            }
            Some(code)
        })
        .collect();
    if !codes.is_empty() {
        put_items(object, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, codes);
    }
}

/// PatientIdentityRemoved YES demands to be told how (PS3.3 C.7.1.1, Type 1C); many sources do not say. The mark is kept, since it
/// says whose data this is not.
fn state_deidentification(object: &mut InMemDicomObject) {
    let removed = object.get(tags::PATIENT_IDENTITY_REMOVED).and_then(|e| e.value().to_str().ok());
    let told = [tags::DEIDENTIFICATION_METHOD, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE];
    if removed.is_some_and(|r| r.trim() == "YES") && told.iter().all(|tag| object.get(*tag).is_none()) {
        let text = PrimitiveValue::from("Not stated by the source images");
        object.put(DataElement::new(tags::DEIDENTIFICATION_METHOD, VR::LO, text));
    }
}

fn put_charset(object: &mut InMemDicomObject, terms: &[String]) {
    // As separate values: the writer takes its codec from the first.
    let terms = PrimitiveValue::Strs(terms.iter().cloned().collect());
    object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, terms));
}
