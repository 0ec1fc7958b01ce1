//! Other people's readers on our segmentations and their reports: the masks must come back voxel by voxel, at their place
//! in the patient, and viewers' own code must show them.

#[path = "support/readers.rs"]
mod readers;
#[path = "support/volumes.rs"]
mod volumes;

use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use ndarray::Array3;
use orthanc_ai::manifest::Manifest;
use orthanc_ai::result::{
    ResultContext, ResultKind, ResultUids, Results, SegmentationContext, SrSopClass, distinct_instances,
    encode_segmentation,
};
use readers::{check_script, keep, python, run, text};
use time::macros::datetime;
use volumes::{AXIAL, CORONAL, Exam, Layout, OBLIQUE, blob, manifest, segmentation};

const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// What dciodvfy of 2022 says of a reference to a segment of a Label Map Segmentation, which it does not know yet.
const NO_LABELMAP: &str = "ReferencedSegmentNumber(0062,000b)> - Shall not be present for Referenced SOP Class";

struct Variant {
    name: &'static str,
    exam: Exam,
    manifest: Manifest,
    masks: Vec<Array3<u8>>,
    sop_class: SrSopClass,
    /// Whether OHIF's adapter can be asked: the scripts give it no geometry of multi-frame sources.
    ohif: bool,
    /// PixelMed takes its time: it gets the reports that differ in form.
    pixelmed: bool,
}

fn variants() -> Vec<Variant> {
    // 23 × 37 pixels: no frame but the first begins at a byte.
    let size = [12, 23, 37];
    let one = |size| vec![blob(size, [5.0, 9.0, 12.0], 6.0)];
    let two = |size| vec![blob(size, [5.0, 8.0, 10.0], 5.0), blob(size, [7.0, 15.0, 27.0], 4.0)];
    let names: [&str; 2] = ["Tumour", "Second finding"];
    let base = |name, layout, orientation, masks: Vec<Array3<u8>>, encoding| {
        let dim = masks[0].dim();
        Variant {
            name,
            exam: Exam::new(layout, orientation, [dim.0, dim.1, dim.2]),
            manifest: manifest(4, &names[..masks.len()], encoding),
            masks,
            sop_class: SrSopClass::Comprehensive3d,
            ohif: true,
            pixelmed: false,
        }
    };
    let per_phase = Layout::SeriesPerPhase;
    let mut no_frame_of_reference = base("no_frame_of_reference", per_phase, AXIAL, one(size), "binary");
    no_frame_of_reference.exam.edit = |o| {
        o.remove_element(tags::FRAME_OF_REFERENCE_UID);
    };
    let mut one_phase = base("one_phase", per_phase, OBLIQUE, one(size), "binary");
    one_phase.exam.phases = 1;
    one_phase.manifest = manifest(1, &names[..1], "binary");
    vec![
        Variant { pixelmed: true, ..base("axial", per_phase, AXIAL, one(size), "binary") },
        base("oblique_two_segments", per_phase, OBLIQUE, two(size), "binary"),
        base("coronal_bytes", per_phase, CORONAL, one([10, 24, 40]), "auto"),
        base("one_series", Layout::OneSeries, OBLIQUE, one(size), "binary"),
        base("labelmap", per_phase, OBLIQUE, two(size), "labelmap"),
        base("auto_is_labelmap", Layout::OneSeries, AXIAL, one(size), "auto"),
        Variant {
            sop_class: SrSopClass::Comprehensive,
            ..base("second_not_found", per_phase, CORONAL, vec![two(size)[0].clone(), Array3::zeros(size)], "binary")
        },
        Variant { ohif: false, ..base("enhanced", Layout::Enhanced, OBLIQUE, two(size), "binary") },
        one_phase,
        no_frame_of_reference,
        Variant {
            pixelmed: true,
            ..base("nothing_found", per_phase, AXIAL, vec![Array3::zeros(size), Array3::zeros(size)], "binary")
        },
    ]
}

fn encode(v: &Variant) -> Results {
    let channels = v.exam.channels();
    let images = distinct_instances(&channels);
    let run = ResultContext {
        manifest: &v.manifest,
        weights_sha256: SHA,
        images: &images,
        created: datetime!(2026-03-02 11:22:33 UTC),
        uids: ResultUids::new(&images, &v.manifest, SHA),
        software_version: "0.1.0",
        sr_sop_class: v.sop_class,
    };
    encode_segmentation(&SegmentationContext { run, channels: &channels }, &segmentation(&v.exam, v.masks.clone()))
        .unwrap()
}

/// What a variant has become on the disk.
struct Written {
    seg: Option<PathBuf>,
    sr: PathBuf,
    /// The source images and the segmentation.
    sources: PathBuf,
    /// The masks as one label map, numbered as the found segments are.
    mask: PathBuf,
}

fn write(dir: &Path, v: &Variant) -> Written {
    let dir = dir.join(v.name);
    let sources = dir.join("source");
    std::fs::create_dir_all(&sources).unwrap();
    v.exam.write_files(&sources);
    let (mut seg, mut sr) = (None, PathBuf::new());
    for object in encode(v).objects {
        let path = dir.join(format!("{}.dcm", object.kind));
        std::fs::write(&path, &object.bytes).unwrap();
        match object.kind {
            ResultKind::Sr => sr = path,
            ResultKind::Sc | ResultKind::M3d | ResultKind::Doc => panic!("nobody asked for a {}", object.kind),
            ResultKind::Seg => {
                std::fs::copy(&path, sources.join("seg.dcm")).unwrap();
                seg = Some(path);
            }
        }
    }
    let mut labels = Array3::<u8>::zeros(v.exam.size);
    for (n, mask) in v.masks.iter().filter(|m| m.iter().any(|v| *v != 0)).enumerate() {
        labels.zip_mut_with(mask, |label, inside| *label = if *inside != 0 { n as u8 + 1 } else { *label });
    }
    let mask = dir.join("mask.npy");
    std::fs::write(&mask, npy(&labels)).unwrap();
    Written { seg, sr, sources, mask }
}

/// NumPy's file format, version 1.0, of an array of bytes.
fn npy(array: &Array3<u8>) -> Vec<u8> {
    let (a, b, c) = array.dim();
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({a}, {b}, {c}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(array.iter());
    bytes
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn dciodvfy_finds_no_error() {
    let dir = tempfile::tempdir().unwrap();
    for v in variants() {
        let written = write(dir.path(), &v);
        for file in written.seg.iter().chain([&written.sr]) {
            let Some(output) = run(Path::new("dciodvfy"), &["-new", path(file)]) else { return };
            let text = text(&output);
            if text.contains("Information Object Not found") && v.name.contains("labelmap") {
                continue; // older than Label Map Segmentation
            }
            let is_error = |l: &&str| (l.starts_with("Error") || l.starts_with("Abort")) && !l.contains(NO_LABELMAP);
            let errors: Vec<&str> = text.lines().filter(is_error).collect();
            assert!(errors.is_empty(), "{} {}: {errors:#?}", v.name, file.display());
            let iods = ["Segmentation", "ComprehensiveSR", "Comprehensive3DSR"];
            assert!(text.lines().any(|l| iods.contains(&l.trim())), "{}: not recognised:\n{text}", v.name);
        }
    }
}

/// highdicom puts every voxel of the masks where our geometry says it is in the patient, and reads the same measurements.
#[test]
fn highdicom_reads_the_same_masks_and_measurements() {
    const MASKS: &str = r#"
import sys, json, numpy as np, highdicom as hd
seg, labels, affine = hd.seg.segread(sys.argv[1]), np.load(sys.argv[2]), np.array(json.loads(sys.argv[3]))
volume = seg.get_volume(combine_segments=True, skip_overlap_checks=True)
index = np.argwhere(labels)
points = index @ affine[:3, :3].T + affine[:3, 3]
at = np.c_[points, np.ones(len(points))] @ np.linalg.inv(volume.affine).T
near = np.rint(at[:, :3]).astype(int)
assert np.abs(at[:, :3] - near).max() < 0.01, 'off the grid'
assert (volume.array[tuple(near.T)] == labels[tuple(index.T)]).all(), 'other labels'
print(np.count_nonzero(volume.array), len(index), [seg.get_segment_description(n).segment_label for n in seg.segment_numbers if n])
"#;
    const MEASUREMENTS: &str = r#"
import sys, highdicom as hd
content = hd.sr.srread(sys.argv[1]).content
for kind, groups in (('1411', content.get_volumetric_roi_measurement_groups()), ('1410', content.get_planar_roi_measurement_groups())):
    for g in groups:
        print(kind, g.tracking_uid, g.finding_type.value, g.finding_sites[0].value.value, *(f'{m.name.value}={m.value}' for m in g.get_measurements()))
"#;
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    for v in variants() {
        let written = write(dir.path(), &v);
        let geometry = v.exam.geometry();
        let row = |axis: usize| {
            let steps = geometry.steps_mm.iter().map(|s| s[axis]);
            steps.chain([geometry.origin_mm[axis]]).collect::<Vec<f64>>()
        };
        let affine = serde_json::to_string(&[row(0), row(1), row(2)]).unwrap();
        if let Some(seg) = &written.seg
            && v.name != "no_frame_of_reference"
        {
            let args = ["-c", MASKS, path(seg), path(&written.mask), &affine];
            let Some(output) = run(&python, &args) else { return };
            assert!(output.status.success(), "{}:\n{}", v.name, text(&output));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let words: Vec<&str> = said.split_whitespace().collect();
            assert!(words[0] == words[1] && words[0].parse::<usize>().unwrap() > 100, "{}: {said}", v.name);
            assert!(said.contains("Tumour"), "{}: {said}", v.name);
        }
        let Some(output) = run(&python, &["-c", MEASUREMENTS, path(&written.sr)]) else { return };
        assert!(output.status.success(), "{}:\n{}", v.name, text(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.lines().collect::<Vec<_>>(), expected_groups(&v), "{}", v.name);
    }
}

fn expected_groups(v: &Variant) -> Vec<String> {
    let report = encode(v).report.segmentation.unwrap();
    let round = |value: f64| (value * 1e4).round() / 1e4;
    let python = |value: f64| if value.fract() == 0.0 { format!("{value:.1}") } else { format!("{value}") };
    let signal = if v.exam.phases > 1 { "110816" } else { "110852" };
    let (mut volumes, mut outlines) = (Vec::new(), Vec::new());
    for (segment, spec) in report.segments.iter().zip(v.manifest.segments()) {
        let Some(m) = &segment.measurements else { continue };
        let head = format!("{} {} 76752008", m.tracking_uid, spec.concept.value);
        let mut numbers =
            vec![format!("118565006={}", round(m.volume_ml)), format!("VOLUME_SHARE={}", round(m.ratio_percent))];
        for channel in &m.channels {
            numbers.push(format!("{signal}={}", python(channel.mean)));
            numbers.extend(channel.enhancement_percent.map(|p| format!("ENHANCEMENT={}", python(p))));
        }
        volumes.push(format!("1411 {head} {}", numbers.join(" ")));
        outlines.push(format!("1410 {head} 103339001={}", round(m.long_axis_mm)));
    }
    volumes.into_iter().chain(outlines).collect()
}

/// Structure, pixels, dcmqi and OHIF's own adapter, behind one script.
#[test]
fn check_seg_passes() {
    let Some(check_seg) = check_script("check_seg") else { return };
    let dir = tempfile::tempdir().unwrap();
    for v in variants() {
        let written = write(dir.path(), &v);
        let Some(seg) = &written.seg else { continue };
        let mut args = vec![path(seg), "--source", path(&written.sources), "--expect-mask", path(&written.mask)];
        if !v.ohif {
            args.push("--no-ohif");
        }
        if v.name == "no_frame_of_reference" {
            args.truncate(3); // without it the script takes the object for a single image
        }
        passes(&check_seg, &args, v.name);
    }
    keep(dir.path());
}

/// Templates, relationships, dcmqi and OHIF's SR bundle, behind one script.
#[test]
fn check_sr_passes() {
    let Some(check_sr) = check_script("check_sr") else { return };
    let dir = tempfile::tempdir().unwrap();
    let all_templates = std::env::var_os("ORTHANC_AI_PIXELMED_ALL").is_some();
    for v in variants() {
        let written = write(dir.path(), &v);
        let mut args = vec![path(&written.sr), "--source", path(&written.sources)];
        if !all_templates && !v.pixelmed {
            args.push("--no-pixelmed");
        }
        passes(&check_sr, &args, v.name);
    }
}

fn passes(script: &Path, args: &[&str], name: &str) {
    let Some(output) = run(script, args) else { return };
    let text = text(&output);
    eprintln!("{name}: {}", text.trim().replace('\n', "; "));
    if text.contains(NO_LABELMAP) {
        // dcmtk 3.6.7 does not know Label Map Segmentation either. All others must be content.
        let failed: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("FAIL ")).collect();
        assert_eq!(failed, ["dciodvfy", "dsrdump (strict)"], "{name}:\n{text}");
        return assert!(text.matches("! Error").count() == text.matches(NO_LABELMAP).count(), "{name}:\n{text}");
    }
    assert!(output.status.success() && text.contains("RESULT PASS"), "{name}:\n{text}");
}
