//! Real and malformed files of other people, where the folder is at hand (`ORTHANC_AI_SHARED`, else `../shared`).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use orthanc_ai::imaging::{Photometric, Pixels, read_attributes, read_instance};
use orthanc_ai::manifest::transform::*;
use orthanc_ai::result::source;
use orthanc_ai::transform::TransformChain;

fn folder(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("ORTHANC_AI_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = shared.join("data").join(name);
    if !folder.is_dir() {
        eprintln!("SKIPPED: no files at {}; set ORTHANC_AI_SHARED", folder.display());
        return None;
    }
    Some(folder)
}

fn chain(mode: Uint8Mode, histogram: HistogramSpec, bounds: BoundsSpec) -> TransformChain {
    TransformChain::new(&[
        TransformSpec::CropForeground(CropForegroundSpec {
            threshold: ThresholdSpec::Otsu(OtsuSpec { histogram }),
            region: RegionSpec::LargestContour,
            bounds,
        }),
        TransformSpec::ConvertToUint8(ConvertToUint8Spec { mode }),
        TransformSpec::Resize(ResizeSpec { spatial_size: vec![64, 48], mode: ResizeMode::PilBilinear }),
        TransformSpec::ScaleIntensityRange(ScaleIntensityRangeSpec {
            a_min: 0.0,
            a_max: 255.0,
            b_min: 0.0,
            b_max: 1.0,
        }),
        TransformSpec::RepeatChannel(RepeatChannelSpec { repeats: 3 }),
    ])
    .expect("the chain is sound")
}

fn read(path: &Path) -> Pixels {
    let file = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    read_instance(&file, None).unwrap_or_else(|e| panic!("{}: {e}", path.display())).pixels
}

#[test]
fn one_mammogram_in_four_transfer_syntaxes_has_the_same_pixels() {
    let Some(mg) = folder("mg") else { return };
    let original = read(&mg.join("fodicom_MG__GH133.dcm"));
    for other in ["HTJ2K", "J2KR", "JLSL"] {
        assert_eq!(read(&mg.join(format!("derived_transcode__GH133_{other}.dcm"))), original, "{other}");
    }
}

/// crc32 of `pixel_array.astype('<i4').tobytes()` as pydicom 3.0.2 decodes these files.
const PYDICOM: [(&str, u32); 9] = [
    ("derived_nyubirads__LCC_JPLL.dcm", 0x0965d690),
    ("derived_nyubirads__LMLO_J2KR.dcm", 0x0a566de8),
    ("derived_nyubirads__RCC_JLSL.dcm", 0xcbecdd04),
    ("derived_nyubirads__RMLO_RLE.dcm", 0x947fe8d1),
    ("derived_transcode__GH133_HTJ2K.dcm", 0xe00b3acf),
    ("derived_transcode__GH133_J2KR.dcm", 0xe00b3acf),
    ("derived_transcode__GH133_JLSL.dcm", 0xe00b3acf),
    ("fodicom_MG__GH133.dcm", 0xe00b3acf),
    ("wg04_MG__MG1_J2KI", 0x115b7808),
];

#[test]
fn mammograms_equal_pydicom() {
    let Some(mg) = folder("mg") else { return };
    for (name, expected) in PYDICOM {
        assert_eq!(checksum(&read(&mg.join(name))), expected, "{name}");
    }
}

fn checksum(pixels: &Pixels) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut add = |v: i32| hasher.update(&v.to_le_bytes());
    match pixels {
        Pixels::U8(a) => a.iter().for_each(|&v| add(v.into())),
        Pixels::U16(a) => a.iter().for_each(|&v| add(v.into())),
        Pixels::I16(a) => a.iter().for_each(|&v| add(v.into())),
    }
    hasher.finalize()
}

#[test]
fn colour_and_frames_are_refused_in_words() {
    let Some(mg) = folder("mg") else { return };
    for (name, words) in [
        ("gcp_MG_rgb__example-mg.dcm", "PhotometricInterpretation: found RGB, expected MONOCHROME1 or MONOCHROME2"),
        ("medcog_DBT__jpeg2k_3d.dcm", "NumberOfFrames: found 4, expected 1"),
    ] {
        let error = read_instance(&std::fs::read(mg.join(name)).unwrap(), None).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn no_malformed_file_brings_reading_or_preprocessing_down() {
    let Some(malformed) = folder("malformed") else { return };
    let chains = [
        chain(Uint8Mode::MinMax, HistogramSpec::Bins256, BoundsSpec::Truncate),
        chain(Uint8Mode::VoiWindow, HistogramSpec::Levels, BoundsSpec::FloorCeil),
        chain(Uint8Mode::Wrap, HistogramSpec::Levels, BoundsSpec::Truncate),
    ];
    let (mut images, mut refused) = (0, 0);
    let mut paths: Vec<_> = std::fs::read_dir(malformed).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 100, "only {} files", paths.len());
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = std::fs::read(&path).unwrap();
        let started = Instant::now();
        match read_instance(&file, None) {
            Ok(image) => {
                images += 1;
                assert!(matches!(image.attributes.photometric, Photometric::Monochrome1 | Photometric::Monochrome2));
                for chain in &chains {
                    let prepared = chain.apply(&image).unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert!(prepared.array.iter().all(|v| (0.0..=1.0).contains(v)), "{name}");
                }
                if std::env::var_os("LIST").is_some() {
                    println!("{name}: {:?} {}", image.pixels.dim(), checksum(&image.pixels));
                }
            }
            Err(error) => {
                refused += 1;
                println!("{name}: {error}");
                assert!(error.to_string().len() < 400, "{name}: {error}");
            }
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{name}: {:?}", started.elapsed());
    }
    println!("{images} images, {refused} refused");
    assert!(images > 0 && refused > 0);
}

/// Changes bytes of the compressed stream, deterministically.
fn damage(file: &[u8], round: u64) -> Vec<u8> {
    let mut damaged = file.to_vec();
    let mut state = round.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    // Every other round hits the first kilobyte of the stream, where its headers are.
    let start = file.windows(4).rposition(|w| w == [0xE0, 0x7F, 0x10, 0x00]).unwrap_or(file.len() / 2);
    let span = if round.is_multiple_of(2) { (file.len() - start).min(1024) } else { file.len() - start };
    for _ in 0..1 + next(6) {
        damaged[start + next(span)] = next(256) as u8;
    }
    damaged
}

#[test]
fn damaged_streams_are_errors_or_images() {
    let (Some(malformed), Some(mg)) = (folder("malformed"), folder("mg")) else { return };
    let rounds = std::env::var("FUZZ_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(20);
    let files = [
        (malformed.join("pydicom__J2K_pixelrep_mismatch.dcm"), rounds),
        (malformed.join("fodicom__GH184.dcm"), rounds),
        (malformed.join("orthanc__Issue140.dcm"), rounds),
        (malformed.join("fodicom__D_CLUNIE_CT1_RLE_FRAGS.dcm"), rounds),
        (mg.join("derived_transcode__GH133_JLSL.dcm"), rounds / 10),
        (mg.join("derived_transcode__GH133_HTJ2K.dcm"), rounds / 10),
    ];
    for (path, rounds) in files {
        let file = std::fs::read(&path).unwrap();
        let (mut images, mut slowest) = (0, Duration::ZERO);
        for round in 0..rounds {
            let started = Instant::now();
            images += u64::from(read_instance(&damage(&file, round), None).is_ok());
            slowest = slowest.max(started.elapsed());
        }
        println!("{}: {images} of {rounds} damaged streams decode, slowest {slowest:?}", path.display());
        assert!(slowest < Duration::from_secs(30), "{}: {slowest:?}", path.display());
    }
}

/// One CT slice as six archives wrote it; one of them knew no attribute and wrote them all with VR UN.
#[test]
fn twins_in_unknown_vr_are_of_the_same_patient_and_study() {
    let Some(folder) = folder("ct_head") else { return };
    let named = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("c3d__"));
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(named).collect();
    paths.sort();
    let images: Vec<_> = paths.iter().map(|p| read_attributes(&std::fs::read(p).unwrap()).unwrap()).collect();
    let unknown = images.iter().filter(|i| i.dataset.get(tags::PATIENT_ID).unwrap().vr() == VR::UN);
    assert_eq!((unknown.count(), images.len()), (1, 6));
    source::require_one_study(&images.iter().collect::<Vec<_>>()).unwrap();
    let copied = |image| {
        let mut object = InMemDicomObject::new_empty();
        assert_eq!(source::copy_modules(image, &mut object).unwrap(), Vec::<String>::new());
        let text = |tag| object.get(tag).map(|e| e.to_str().unwrap().trim().to_string());
        let id = text(tags::PATIENT_ID);
        assert_eq!(id.as_deref(), Some("2178309"));
        [tags::SPECIFIC_CHARACTER_SET, tags::PATIENT_NAME, tags::PATIENT_SEX, tags::STUDY_DATE, tags::STUDY_ID]
            .map(text)
    };
    let first = copied(&images[0]);
    assert!(images.iter().all(|image| copied(image) == first));
}
