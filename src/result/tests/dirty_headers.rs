//! Headers as they come: what is valid is copied, nothing is invented, nothing optional stops a report.

use super::mammograms::{attributes, header, put};
use super::*;
use dicom_core::{DataElement, PrimitiveValue, VR};

fn edited(edit: &dyn Fn(&mut InMemDicomObject)) -> Vec<ImageAttributes> {
    let view = |n| {
        let mut dataset = header(n);
        edit(&mut dataset);
        attributes(dataset)
    };
    (0..4).map(view).collect()
}

#[test]
fn valid_patient_and_study_attributes_are_copied() {
    let (sr, source) = (complete(), header(0));
    for tag in [
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::PATIENT_BIRTH_DATE,
        tags::PATIENT_SEX,
        tags::STUDY_INSTANCE_UID,
        tags::STUDY_DATE,
        tags::STUDY_TIME,
        tags::STUDY_ID,
        tags::ACCESSION_NUMBER,
        tags::REFERRING_PHYSICIAN_NAME,
        tags::STUDY_DESCRIPTION,
    ] {
        assert_eq!(text(&sr, tag), text(&source, tag), "{tag}");
    }
    assert_eq!(text(&sr, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 100");
}

/// PS3.3 C.7.1.1: PatientIdentityRemoved YES needs a method; the mark is not lost where the source names none.
#[test]
fn a_deidentification_without_method_says_so() {
    let images = edited(&|o| put(o, tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"));
    let sr = read(&report(&images, &prediction(&[])).unwrap());
    assert_eq!(text(&sr, tags::PATIENT_IDENTITY_REMOVED), "YES");
    assert_eq!(text(&sr, tags::DEIDENTIFICATION_METHOD), "Not stated by the source images");
}

#[test]
fn invalid_values_are_left_out_and_named() {
    let long = "x".repeat(65);
    let binary = || PrimitiveValue::from([1u8, 2, 3, 4]);
    let cases: Vec<(Tag, DataElement<InMemDicomObject>, &str, bool)> = vec![
        (tags::STUDY_DATE, DataElement::new(tags::STUDY_DATE, VR::DA, "2026-03-02"), "StudyDate", true),
        (tags::STUDY_DATE, DataElement::new(tags::STUDY_DATE, VR::DA, "20261302"), "StudyDate", true),
        (tags::STUDY_TIME, DataElement::new(tags::STUDY_TIME, VR::TM, "25"), "StudyTime", true),
        (
            tags::PATIENT_BIRTH_DATE,
            DataElement::new(tags::PATIENT_BIRTH_DATE, VR::DA, "unknown"),
            "PatientBirthDate",
            true,
        ),
        (tags::PATIENT_SEX, DataElement::new(tags::PATIENT_SEX, VR::CS, "female"), "PatientSex", true),
        (
            tags::ACCESSION_NUMBER,
            DataElement::new(tags::ACCESSION_NUMBER, VR::SH, "a".repeat(17)),
            "AccessionNumber",
            true,
        ),
        (tags::PATIENT_NAME, DataElement::new(tags::PATIENT_NAME, VR::OB, binary()), "PatientName", true),
        (tags::PATIENT_NAME, DataElement::new(tags::PATIENT_NAME, VR::PN, long.clone()), "PatientName", true),
        (tags::STUDY_DESCRIPTION, DataElement::new(tags::STUDY_DESCRIPTION, VR::LO, long), "StudyDescription", false),
        (tags::PATIENT_AGE, DataElement::new(tags::PATIENT_AGE, VR::AS, "66"), "PatientAge", false),
    ];
    for (tag, element, name, type_2) in cases {
        let images = edited(&|o| drop(o.put(element.clone())));
        let result = report(&images, &prediction(&[])).unwrap();
        assert_eq!(result.left_out, [name]);
        let sr = read(&result);
        match sr.get(tag) {
            Some(e) => assert!(type_2 && e.value().multiplicity() == 0, "{name} is not empty"),
            None => assert!(!type_2, "{name} is Type 2"),
        }
    }
}

#[test]
fn absent_type_2_attributes_become_empty() {
    let all = [
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::PATIENT_BIRTH_DATE,
        tags::PATIENT_SEX,
        tags::STUDY_DATE,
        tags::STUDY_TIME,
        tags::STUDY_ID,
        tags::ACCESSION_NUMBER,
        tags::REFERRING_PHYSICIAN_NAME,
    ];
    let images = edited(&|o| {
        for &tag in &all {
            o.remove_element(tag);
        }
    });
    let result = report(&images, &prediction(&[])).unwrap();
    assert!(result.left_out.is_empty());
    let sr = read(&result);
    for tag in all {
        assert_eq!(sr.element(tag).unwrap().value().multiplicity(), 0, "{tag}");
    }
    assert!(sr.get(tags::REFERENCED_REQUEST_SEQUENCE).is_none(), "no order is known");
}

#[test]
fn a_value_of_the_wrong_vr_but_right_form_is_kept() {
    let images = edited(&|o| put(o, tags::STUDY_DATE, VR::LO, "20260302"));
    let sr = read(&report(&images, &prediction(&[])).unwrap());
    assert_eq!(sr.element(tags::STUDY_DATE).unwrap().vr(), VR::DA);
    assert_eq!(text(&sr, tags::STUDY_DATE), "20260302");
}

#[test]
fn the_patient_id_stays_what_it_is_or_the_report_is_refused() {
    let long = "7".repeat(130);
    let images = edited(&|o| put(o, tags::PATIENT_ID, VR::LO, &long));
    assert_eq!(text(&read(&report(&images, &prediction(&[])).unwrap()), tags::PATIENT_ID), long);
    let images = edited(&|o| drop(o.put(DataElement::new(tags::PATIENT_ID, VR::UN, PrimitiveValue::from(*b"P-4 ")))));
    assert_eq!(text(&read(&report(&images, &prediction(&[])).unwrap()), tags::PATIENT_ID), "P-4");
    let images = edited(&|o| drop(o.put(DataElement::new(tags::PATIENT_ID, VR::OB, PrimitiveValue::from([0u8, 200])))));
    let error = report(&images, &prediction(&[])).unwrap_err().to_string();
    assert_eq!(error, "source image, PatientID: found VR OB, expected LO");
}

#[test]
fn deidentification_is_carried_on() {
    let images = edited(&|o| {
        put(o, tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES");
        put(o, tags::DEIDENTIFICATION_METHOD, VR::LO, "Synthetic");
    });
    let sr = read(&report(&images, &prediction(&[])).unwrap());
    assert_eq!(text(&sr, tags::PATIENT_IDENTITY_REMOVED), "YES");
    assert_eq!(text(&sr, tags::DEIDENTIFICATION_METHOD), "Synthetic");
}

#[test]
fn times_are_in_the_study_zone() {
    let images = edited(&|o| put(o, tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0900"));
    let sr = read(&report(&images, &prediction(&[])).unwrap());
    assert_eq!((text(&sr, tags::CONTENT_DATE), text(&sr, tags::CONTENT_TIME)), ("20260303".into(), "073015".into()));
    assert_eq!(text(&sr, tags::TIMEZONE_OFFSET_FROM_UTC), "+0900");
    let equipment = &items(&sr, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE)[0];
    assert_eq!(text(equipment, tags::CONTRIBUTION_DATE_TIME), "20260303073015+0900");
    for nonsense in ["+9900", "0900", "+1", "\u{e9}0900"] {
        let images = edited(&|o| put(o, tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, nonsense));
        let sr = read(&report(&images, &prediction(&[])).unwrap());
        assert_eq!(text(&sr, tags::CONTENT_DATE), "20260302", "{nonsense}");
    }
}

/// An archive that did not know the attributes wrote them with VR UN: the bytes of their texts (PS3.5 6.2.2).
#[test]
fn texts_of_unknown_vr_are_copied_and_tell_patients_apart() {
    let unknown = |o: &mut InMemDicomObject| {
        let texts = [tags::PATIENT_ID, tags::PATIENT_NAME, tags::STUDY_DATE, tags::ACCESSION_NUMBER];
        for tag in texts {
            let mut bytes = text(o, tag).into_bytes();
            if tag == tags::PATIENT_NAME {
                // Latin-1, as SpecificCharacterSet says.
                bytes = text(o, tag).chars().map(|c| c as u8).collect();
            }
            if bytes.len() % 2 == 1 {
                bytes.push(b' ');
            }
            o.put(DataElement::new(tag, VR::UN, PrimitiveValue::U8(bytes.into())));
        }
    };
    let mut images = edited(&unknown);
    // A study that two archives have written.
    images[0] = edited(&|_| {}).remove(0);
    for order in [[0, 1, 2, 3], [1, 0, 2, 3]] {
        let images: Vec<ImageAttributes> = order.iter().map(|i| images[*i].clone()).collect();
        let result = report(&images, &prediction(&[])).unwrap();
        assert!(result.left_out.is_empty(), "{:?}", result.left_out);
        let (sr, source) = (read(&result), header(0));
        for tag in [tags::PATIENT_ID, tags::PATIENT_NAME, tags::STUDY_DATE, tags::ACCESSION_NUMBER] {
            assert_eq!(text(&sr, tag).trim(), text(&source, tag).trim(), "{tag}");
        }
    }
    let other = edited(&|o| drop(o.put(DataElement::new(tags::PATIENT_ID, VR::UN, PrimitiveValue::from(*b"OTHER ")))));
    images[2] = other.into_iter().next().unwrap();
    assert!(matches!(report(&images, &prediction(&[])), Err(ResultError::MixedStudies { attribute: "PatientID" })));
}

/// Bytes that the character set does not explain, in VR UN: refused, never cut at what the decoder makes of them.
#[test]
fn a_patient_id_of_unknown_vr_is_whole_or_refused() {
    let images = edited(&|o| {
        o.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"));
        drop(o.put(DataElement::new(tags::PATIENT_ID, VR::UN, PrimitiveValue::from([b'A', 0xff, b'1', b'2']))));
    });
    let error = report(&images, &prediction(&[])).unwrap_err().to_string();
    assert!(error.contains("PatientID: found bytes that SpecificCharacterSet does not explain"), "{error}");
    let opaque = edited(&|o| drop(o.put(DataElement::new(tags::PATIENT_ID, VR::OB, PrimitiveValue::from([1u8, 2])))));
    let error = report(&opaque, &prediction(&[])).unwrap_err().to_string();
    assert!(error.contains("PatientID: found VR OB, expected LO"), "{error}");
}
