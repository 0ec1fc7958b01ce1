//! Pictures by POST `/ai/images`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder};
use serde_json::{Value, json};

use crate::on_every_orthanc;
use crate::server::{Orthanc, Version};

on_every_orthanc!(pictures_are_stored_once_as_dicom, what_is_no_picture_stores_nothing);

fn jpeg(seed: usize) -> Vec<u8> {
    let samples: Vec<u8> = (0..48 * 32 * 3).map(|i| (i / 7 * seed % 256) as u8).collect();
    let mut file = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut file).write_image(&samples, 48, 32, ExtendedColorType::Rgb8).unwrap();
    file
}

fn png() -> Vec<u8> {
    let (mut file, samples) = (Vec::new(), (0..60).collect::<Vec<u8>>());
    image::codecs::png::PngEncoder::new(&mut file).write_image(&samples, 10, 6, ExtendedColorType::L8).unwrap();
    file
}

fn content(file: &[u8]) -> Value {
    json!({"Content": STANDARD.encode(file)})
}

fn pictures_are_stored_once_as_dicom(version: Version) {
    let server = Orthanc::start(version);
    let patient = json!({"PatientID": "P-1", "PatientName": "Müller^Jürgen"});
    let body = json!({"Images": [content(&jpeg(3)), content(&jpeg(5)), content(&png())], "Patient": patient});
    let first = server.post("/ai/images", &body).ok();
    let status = |answer: &Value| -> Vec<String> {
        answer["Instances"].as_array().unwrap().iter().map(|i| i["Status"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(status(&first), ["Success"; 3], "{first:#}");
    assert_eq!(status(&server.post("/ai/images", &body).ok()), ["AlreadyStored"; 3]);
    assert_eq!(server.count_instances(), 3);
    let tags =
        |i: usize| server.get(&format!("{}/simplified-tags", first["Instances"][i]["Path"].as_str().unwrap())).ok();
    let colour = tags(0);
    assert_eq!(colour["PatientName"], "Müller^Jürgen");
    assert_eq!(colour["PhotometricInterpretation"], "YBR_FULL_422");
    assert_eq!((&colour["Modality"], &colour["LossyImageCompression"]), (&json!("XC"), &json!("01")));
    assert_eq!((&tags(2)["Modality"], &tags(2)["LossyImageCompression"]), (&json!("OT"), &json!("00")));
    // The server decodes what it was given.
    for i in 0..3 {
        let path = format!("{}/preview", first["Instances"][i]["Path"].as_str().unwrap());
        assert_eq!(server.get(&path).status, 200, "{path}");
    }
    // More of the same study, by its id.
    let study = first["ParentStudy"].as_str().unwrap();
    let more = server.post("/ai/images", &json!({"Images": [content(&jpeg(11))], "Study": study})).ok();
    assert_eq!((more["ParentStudy"].as_str(), server.count_instances()), (Some(study), 4));
    assert!(!server.log().contains("Müller"), "a name in the log");
}

fn what_is_no_picture_stores_nothing(version: Version) {
    let server = Orthanc::start(version);
    let post = |images: Value| server.post("/ai/images", &json!({"Images": images, "Patient": {"PatientID": "P-2"}}));
    let details = post(json!([content(&jpeg(3)), content(b"GIF89a")])).error(422);
    assert!(details.contains("Images[1]: found neither a JPEG nor a PNG file"), "{details}");
    let mut bomb = png();
    bomb[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    let details = post(json!([content(&bomb)])).error(422);
    assert!(details.contains("found 60000 × 60000 pixels"), "{details}");
    let details = post(json!([{"Content": "???"}])).error(400);
    assert!(details.contains("Images[0]: Content is not base64"), "{details}");
    let missing = "00000000-00000000-00000000-00000000-00000000";
    server.post("/ai/images", &json!({"Images": [content(&png())], "Study": missing})).error(404);
    assert_eq!(server.count_instances(), 0);
}
