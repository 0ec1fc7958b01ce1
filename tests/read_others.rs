//! What is no image of a volume, or is broken: refused in words, never a panic (data/seg_sr, data/malformed).

#[path = "support/shared_data.rs"]
mod shared_data;

use std::time::Instant;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use orthanc_ai::imaging::{read_frames, stack};
use shared_data::{files, folder, read};

#[test]
fn segmentations_and_reports_are_no_images() {
    let Some(objects) = folder("seg_sr") else { return };
    let (mut segmentations, mut others) = (0, 0);
    for path in files(&objects, "") {
        let name = path.file_name().unwrap().to_string_lossy().to_string();
        match read_frames(&read(&path), None) {
            Ok(frames) => {
                let class = &frames[0].instance.sop_class_uid;
                assert!([uids::CT_IMAGE_STORAGE, uids::MR_IMAGE_STORAGE].contains(&class.as_str()), "{name}: {class}");
            }
            Err(error) if error.to_string().contains("not a segmentation") => segmentations += 1,
            Err(error) => {
                eprintln!("{name}: {error}");
                others += 1;
            }
        }
    }
    assert!(segmentations >= 10 && others >= 10, "{segmentations} segmentations, {others} others");
}

/// The file with a plane put in front of its data set: most malformed files would otherwise be refused for lying nowhere,
/// before their pixels are looked at. None where that is not a matter of splicing.
fn with_plane(file: &[u8]) -> Option<Vec<u8>> {
    let mut start = 132;
    while file.get(start..start + 2)? == [2, 0] {
        let long = matches!(file.get(start + 4..start + 6)?, b"OB" | b"UN");
        let short = u16::from_le_bytes(file.get(start + 6..start + 8)?.try_into().ok()?) as usize;
        let length =
            if long { u32::from_le_bytes(file.get(start + 8..start + 12)?.try_into().ok()?) as usize } else { short };
        start += length + if long { 12 } else { 8 };
    }
    let meta = String::from_utf8_lossy(file.get(132..start)?).to_string();
    let implicit = meta.contains("1.2.840.10008.1.2\0");
    if meta.contains("1.2.840.10008.1.2.2") || meta.contains("1.2.840.10008.1.2.1.99") {
        return None;
    }
    let element = |tag: Tag, value: &str| {
        let mut bytes = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
        if implicit {
            bytes.extend((value.len() as u32).to_le_bytes());
        } else {
            bytes.extend(b"DS");
            bytes.extend((value.len() as u16).to_le_bytes());
        }
        bytes.extend(value.as_bytes());
        bytes
    };
    let plane = [
        element(tags::IMAGE_POSITION_PATIENT, "0\\0\\0 "),
        element(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0 "),
        element(tags::PIXEL_SPACING, "1\\1 "),
    ];
    Some([&file[..start], &plane.concat(), &file[start..]].concat())
}

#[test]
fn no_malformed_file_panics_or_takes_long() {
    let Some(malformed) = folder("malformed") else { return };
    let (mut usable, mut refused) = (0, 0);
    for path in files(&malformed, "").into_iter().filter(|p| p.is_file()) {
        let name = path.file_name().unwrap().to_string_lossy().to_string();
        let bytes = read(&path);
        for bytes in [with_plane(&bytes), Some(bytes)].into_iter().flatten() {
            let started = Instant::now();
            match read_frames(&bytes, None).map_err(|e| e.to_string()) {
                Ok(frames) => {
                    usable += 1;
                    if let Err(error) = stack(frames, &[]) {
                        eprintln!("{name}: {error}");
                    }
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.len() > 20 && error.len() < 600, "{name}: {error}");
                    eprintln!("{name}: {error}");
                }
            }
            assert!(started.elapsed().as_secs() < 30, "{name} took {:?}", started.elapsed());
        }
    }
    eprintln!("malformed: {usable} usable, {refused} refused");
    assert!(usable > 100 && refused > 100);
}
