//! Series that make no volume: a clear error, nothing stored, earlier results intact.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use orthanc_ai::phantom::{Orientation, SeriesLayout};
use serde_json::json;

use crate::breast_mri::{self, changed, small};
use crate::exam::put_text;
use crate::on_every_orthanc;
use crate::segmentation::{ABOVE, with_test_model};
use crate::server::{Orthanc, Version};

on_every_orthanc!(series_that_make_no_volume);

fn refused(server: &Orthanc, files: &[Vec<u8>], expected: &[&str]) {
    let study = server.upload_study(files);
    let before = server.count_instances();
    let body = json!({"Model": ABOVE, "Synchronous": true});
    let details = server.post(&format!("/studies/{study}/ai"), &body).error(422);
    for text in expected {
        assert!(details.contains(text), "expected \"{text}\" in: {details}");
    }
    assert!(!details.contains("PHANTOM") && !details.contains("2.25.99"), "patient data: {details}");
    assert_eq!(server.count_instances(), before, "{details}");
}

fn series_that_make_no_volume(version: Version) {
    let channels = ["pre-contrast", "phase 1", "phase 2", "phase 3"];
    let (server, _models) = with_test_model(version, &channels, |manifest| {
        manifest["input"]["select"]["Volumes"]["min_slices"] = json!(20);
    });
    let mut seed = 5200;
    let mut study = || {
        seed += 1;
        breast_mri::study(&small(seed, Orientation::Axial), SeriesLayout::default())
    };
    let all = |_: usize, _: usize| true;
    let keep = |_: usize, _: usize, _: &mut dicom_object::InMemDicomObject| {};

    // A good study first: its results are there at the end.
    let good = server.upload_study(&breast_mri::files(&study()));
    let run = server.post(&format!("/studies/{good}/ai"), &json!({"Model": ABOVE, "Synchronous": true})).ok();
    assert_eq!(run["Stored"].as_array().unwrap().len(), 2, "{run:#}");

    refused(&server, &changed(&study(), |phase, _| phase != 2, keep), &["4 series", "found 3"]);
    let uid = |d: &dicom_object::InMemDicomObject, tag| d.element(tag).unwrap().to_str().unwrap().trim().to_string();
    let exam = study();
    let mut five = changed(&exam, all, keep);
    five.extend(changed(
        &exam,
        |phase, _| phase == 3,
        |_, slice, d| {
            put_text(d, tags::SERIES_INSTANCE_UID, VR::UI, "2.25.111");
            put_text(d, tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.111.{slice}"));
            put_text(d, tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, "5");
        },
    ));
    refused(&server, &five, &["4 series", "found 5"]);
    refused(&server, &changed(&study(), |_, slice| slice != 0, keep), &["at least 20 expected", "19"]);
    refused(
        &server,
        &changed(&study(), all, |phase, _, d| {
            if phase == 1 {
                put_text(d, tags::PIXEL_SPACING, VR::DS, "3\\3");
            }
        }),
        &["not on one grid", "3.000\\3.000"],
    );
    refused(
        &server,
        &changed(&study(), all, |phase, _, d| {
            if phase == 1 {
                put_text(d, tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.99");
            }
        }),
        &["not on one grid", "in another Frame of Reference"],
    );
    // Enough slices by number, but one lies where another should.
    refused(
        &server,
        &changed(&study(), all, |phase, slice, d| {
            if (phase, slice) == (2, 7) {
                let position = uid(d, tags::IMAGE_POSITION_PATIENT);
                let mut parts: Vec<f64> = position.split('\\').map(|p| p.parse().unwrap()).collect();
                parts[2] += 8.0;
                let parts: [f64; 3] = parts.try_into().unwrap();
                put_text(d, tags::IMAGE_POSITION_PATIENT, VR::DS, &parts.map(|p| p.to_string()).join("\\"));
            }
        }),
        &["phase 2"],
    );
    refused(
        &server,
        &changed(&study(), all, |phase, slice, d| {
            if (phase, slice) == (1, 5) {
                put_text(d, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\1\\0\\0\\0\\-1");
            }
        }),
        &["phase 1", "ImageOrientationPatient"],
    );
    refused(
        &server,
        &changed(&study(), all, |phase, slice, d| {
            if (phase, slice) == (0, 3) {
                d.remove_element(tags::PIXEL_DATA);
                d.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(vec![0u8; 40])));
            }
        }),
        &["pre-contrast", "PixelData"],
    );
    refused(
        &server,
        &changed(&study(), all, |phase, _, d| {
            if phase == 3 {
                put_text(d, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
            }
        }),
        &["found 3", "found RGB"],
    );
    refused(
        &server,
        &changed(&study(), all, |_, _, d| put_text(d, tags::RESCALE_SLOPE, VR::DS, "nan")),
        &["RescaleSlope"],
    );

    // A localizer among the series is left out.
    let exam = study();
    let mut files = changed(&exam, all, keep);
    files.extend(changed(
        &exam,
        |phase, _| phase == 0,
        |_, slice, d| {
            put_text(d, tags::SERIES_INSTANCE_UID, VR::UI, "2.25.112");
            put_text(d, tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.112.{slice}"));
            put_text(d, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
        },
    ));
    let localized = server.upload_study(&files);
    let run = server.post(&format!("/studies/{localized}/ai"), &json!({"Model": ABOVE, "Synchronous": true})).ok();
    assert_eq!(run["State"], "Succeeded", "{run:#}");

    // A phase without an image: an acquisition that failed is no finding of nothing.
    let mut exam = study();
    exam.instances.iter_mut().filter(|i| i.phase == 2).for_each(|i| {
        let bytes = i.object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().len();
        i.object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(vec![0u16; bytes / 2].into())));
    });
    refused(&server, &changed(&exam, all, keep), &["phase 2: found the value 0 in every voxel"]);

    // Our own SEG as input.
    let run = server.post(&format!("/studies/{good}/ai"), &json!({"Model": ABOVE, "Synchronous": true})).ok();
    assert_eq!(run["Status"], "AlreadyStored", "{run:#}");
    let seg = run["Stored"][0]["Path"].as_str().unwrap();
    let details = server.post(&format!("{seg}/ai"), &json!({"Model": ABOVE, "Synchronous": true})).error(422);
    assert!(details.contains("found 0"), "{details}");
}
