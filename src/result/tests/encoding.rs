//! Character sets, byte for byte, and the rules of value representations.

use super::mammograms::{attributes, header};
use super::*;
use crate::result::vr::{check, decimal_string};
use dicom_core::VR;
use dicom_encoding::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

/// An element as bytes in Explicit VR Little Endian (short form).
fn element(tag: Tag, vr: &str, value: &[u8]) -> Vec<u8> {
    assert!(value.len().is_multiple_of(2), "{tag}: the value is not padded");
    let mut bytes = Vec::new();
    bytes.extend(tag.0.to_le_bytes());
    bytes.extend(tag.1.to_le_bytes());
    bytes.extend(vr.as_bytes());
    bytes.extend((value.len() as u16).to_le_bytes());
    bytes.extend(value);
    bytes
}

/// Four images whose SpecificCharacterSet and PatientName were read from these bytes.
fn images_from_bytes(charset: &[u8], name: &[u8]) -> Vec<ImageAttributes> {
    let mut bytes = element(tags::SPECIFIC_CHARACTER_SET, "CS", charset);
    bytes.extend(element(tags::PATIENT_NAME, "PN", name));
    let explicit = TransferSyntaxRegistry.get("1.2.840.10008.1.2.1").unwrap();
    let parsed = InMemDicomObject::read_dataset_with_ts(bytes.as_slice(), explicit).unwrap();
    let view = |n| {
        let mut dataset = header(n);
        for e in parsed.iter() {
            dataset.put(e.clone());
        }
        attributes(dataset)
    };
    (0..4).map(view).collect()
}

fn padded(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(b' ');
    }
    value
}

fn contains(result: &ResultObject, bytes: &[u8]) -> bool {
    result.bytes.windows(bytes.len()).any(|w| w == bytes)
}

#[test]
fn names_in_any_character_set_keep_their_bytes() {
    let cases: [(&[u8], &[u8]); 8] = [
        (b"ISO_IR 100", b"M\xfcller^\xc5sa"),
        (b"ISO_IR 144", b"\xbb\xee\xda^\xce\xdb "),
        (b"ISO_IR 192", "Wang^XiaoDong=王^小东 ".as_bytes()),
        (b"GB18030 ", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab "),
        (
            b"\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        ),
        (
            b"\\ISO 2022 IR 87 ",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B ",
        ),
        (b"ISO 2022 IR 13\\ISO 2022 IR 87 ", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J "),
        (b"", b"Plain^Name"),
    ];
    for (charset, name) in cases {
        let name = &padded(name);
        let result = report(&images_from_bytes(charset, name), &prediction(&[])).unwrap();
        let label = String::from_utf8_lossy(charset);
        assert!(result.left_out.is_empty(), "{label}: {:?}", result.left_out);
        assert!(contains(&result, &element(tags::PATIENT_NAME, "PN", name)), "{label}: the name's bytes differ");
        if !charset.is_empty() {
            assert!(contains(&result, &element(tags::SPECIFIC_CHARACTER_SET, "CS", charset)), "{label}");
        }
    }
}

#[test]
fn bytes_that_the_character_set_does_not_explain_are_not_guessed_at() {
    let result = report(&images_from_bytes(b"ISO_IR 192", b"M\xfcller^A"), &prediction(&[])).unwrap();
    assert_eq!(result.left_out, ["PatientName"]);
    assert_eq!(read(&result).element(tags::PATIENT_NAME).unwrap().value().multiplicity(), 0);
}

#[test]
fn texts_beyond_ascii_turn_the_whole_object_to_utf8() {
    let mut manifest = manifest(false);
    manifest.report.disclaimer = "연구용 — research only".into();
    let images = exam();
    let images: Vec<&ImageAttributes> = images.iter().collect();
    let sr = read(&measurement_report(&context(&manifest, &images), &prediction(&[])).unwrap());
    assert_eq!(text(&sr, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 192");
    assert_eq!(text(&sr, tags::PATIENT_NAME), "M\u{fc}ller^Anna");
    assert_eq!(text(named(&sr, "121106")[0], tags::TEXT_VALUE), "연구용 - research only");

    let korean = images_from_bytes(b"\\ISO 2022 IR 149", b"Hong=\x1b$)C\xfb\xf3 ");
    let korean: Vec<&ImageAttributes> = korean.iter().collect();
    let error = measurement_report(&context(&manifest, &korean), &prediction(&[])).unwrap_err();
    assert!(matches!(error, ResultError::CharacterSet { .. }), "{error}");
}

#[test]
fn typography_alone_changes_no_character_set() {
    let mut manifest = manifest(false);
    manifest.report.disclaimer = "Research only – “not” for diagnosis".into();
    let images = images_from_bytes(b"\\ISO 2022 IR 149", b"Hong=\x1b$)C\xfb\xf3 ");
    let images: Vec<&ImageAttributes> = images.iter().collect();
    let result = measurement_report(&context(&manifest, &images), &prediction(&[])).unwrap();
    assert!(contains(&result, b"Research only - \"not\" for diagnosis"));
    assert!(contains(&result, b"\\ISO 2022 IR 149"));
}

#[test]
fn failure_reasons_are_one_line_of_ascii() {
    let mut prediction = prediction(&[1]);
    prediction.images[1].outcome = Err("expected 1–64,\nfound 80 × 3 π\\2".into());
    let sr = read(&report(&exam(), &prediction).unwrap());
    let words = text(named(&children(named(&sr, "C0034375")[0])[0], "121106")[0], tags::TEXT_VALUE);
    assert!(words.ends_with("expected 1-64, found 80 x 3 ?\\2"), "{words}");
}

#[test]
fn value_representations() {
    let long = |n| "x".repeat(n);
    for (vr, good, bad) in [
        (VR::SH, long(16), long(17)),
        (VR::LO, long(64), long(65)),
        (VR::LO, "\u{d64d}".repeat(64), "a\\b".into()),
        (VR::LO, "tab is not allowed".into(), "a\tb".into()),
        (VR::CS, "FOR PRESENTATION".into(), "lower".into()),
        (VR::UI, "2.25.1".into(), "2..1".into()),
        (VR::UI, "1.2".into(), "".into()),
        (VR::UI, "1.2.840".into(), "1.".repeat(40)),
        (VR::DA, "20240229".into(), "2024-2-9".into()),
        (VR::TM, "235960.123456".into(), "240000".into()),
        (VR::TM, "12".into(), "123".into()),
        (VR::PN, "A^B^C^D^E=F=G".into(), "A^B^C^D^E^F".into()),
        (VR::PN, long(64), long(65)),
        (VR::AS, "045Y".into(), "45Y".into()),
        (VR::DS, "-1.5e-3".into(), "1.23456789012345678".into()),
        (VR::DS, "0".into(), "NaN".into()),
        (VR::IS, "-12".into(), "1.5".into()),
        (VR::ST, "two\r\nlines".into(), "nul\0inside".into()),
    ] {
        assert!(check(vr, &good).is_ok(), "{vr} {good}");
        let reason = check(vr, &bad).expect_err(&format!("{vr} {bad}"));
        assert!(bad.len() < 3 || !reason.contains(&bad), "a reason quotes no value");
    }
}

#[test]
fn decimal_strings_fit_and_come_back() {
    for (value, expected) in
        [(87.0, "87"), (0.0, "0"), (-0.0, "0"), (99.99996, "100"), (12.345678, "12.3457"), (0.00001, "1.00000000e-5")]
    {
        assert_eq!(decimal_string("x", value, 4).unwrap(), expected);
    }
    for value in [1.0e20, -1.234_567_891_234e-100, f64::MAX, f64::MIN_POSITIVE] {
        let text = decimal_string("x", value, 4).unwrap();
        assert!(text.len() <= 16 && (text.parse::<f64>().unwrap() / value - 1.0).abs() < 1e-8, "{text}");
    }
    assert!(decimal_string("Probability", f64::NAN, 4).unwrap_err().to_string().contains("Probability"));
}
