//! Pictures as another reader sees them: David Clunie's dciodvfy finds no error in the IOD.

#[path = "support/readers.rs"]
mod readers;

use image::{ExtendedColorType, ImageEncoder};
use orthanc_ai::source::pictures::{NewPatient, PictureKind, PictureParent, dicom_picture};

#[test]
fn dciodvfy_finds_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let samples: Vec<u8> = (0..16 * 16 * 3).map(|i| (i % 251) as u8).collect();
    let (mut jpeg, mut png) = (Vec::new(), Vec::new());
    image::codecs::jpeg::JpegEncoder::new(&mut jpeg).write_image(&samples, 16, 16, ExtendedColorType::Rgb8).unwrap();
    image::codecs::png::PngEncoder::new(&mut png).write_image(&samples[..256], 16, 16, ExtendedColorType::L8).unwrap();
    let patient = NewPatient { patient_id: "P-1".into(), patient_name: "Doe^Jane".into(), ..NewPatient::default() };
    for (i, (file, kind)) in [
        (&jpeg, None),
        (&png, None),
        (&png, Some(PictureKind::Photographic)),
        (&jpeg, Some(PictureKind::SecondaryCapture)),
    ]
    .into_iter()
    .enumerate()
    {
        let object = dicom_picture(file, &PictureParent::New(&patient), kind, i + 1, Some("lesion")).unwrap();
        let path = folder.path().join(format!("{i}.dcm"));
        std::fs::write(&path, &object.bytes).unwrap();
        let Some(output) = readers::run("dciodvfy".as_ref(), &["-new", path.to_str().unwrap()]) else { return };
        let text = readers::text(&output);
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("Error")).collect();
        assert!(errors.is_empty(), "{kind:?}: {errors:#?}");
    }
}
