//! Other people's readers on our surfaces: trimesh finds them closed, of the right volume and at the right place, alone and out of the DICOM
//! object, which dciodvfy finds no fault with; and the whole way back from a segmentation's file.

#[path = "support/readers.rs"]
mod readers;
#[path = "support/volumes.rs"]
mod volumes;

use std::path::Path;

use dicom_dictionary_std::tags;
use ndarray::Array3;
use orthanc_ai::imaging::{Geometry, SegVolume};
use orthanc_ai::manifest::Manifest;
use orthanc_ai::result::{
    ResultContext, ResultKind, ResultUids, Results, SegmentationContext, SrSopClass, distinct_instances,
    encode_segmentation,
};
use orthanc_ai::surface::{MAX_TRIANGLES, Mesh, stl, surface};
use orthanc_ai::web::{SurfacePart, surface_page};
use readers::{keep, python, run, text};
use serde_json::{Value, json};
use time::macros::datetime;
use volumes::{AXIAL, Exam, Layout, OBLIQUE, blob, manifest_json, segmentation};

const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

const READ: &str = r#"
import io, json, sys, pydicom, trimesh
for file in sys.argv[1:]:
    said = {}
    data = open(file, "rb").read()
    if data[128:132] == b"DICM":
        d = pydicom.dcmread(io.BytesIO(data))
        data = d.EncapsulatedDocument[:d.EncapsulatedDocumentLength]
        for key in ("Modality", "MIMETypeOfEncapsulatedDocument", "FrameOfReferenceUID", "BurnedInAnnotation", "DocumentTitle",
                    "ContentQualification", "SeriesInstanceUID", "PatientID"):
            said[key] = str(d[key].value)
        said["InstanceNumber"] = int(d.InstanceNumber)
        said["Units"] = d.MeasurementUnitsCodeSequence[0].CodeValue
        said["Sources"] = [[s.ReferencedSOPClassUID, s.ReferencedSOPInstanceUID] for s in d.SourceInstanceSequence]
        said["Series"] = [[s.SeriesInstanceUID, len(s.ReferencedInstanceSequence)] for s in d.ReferencedSeriesSequence]
    m = trimesh.load(io.BytesIO(data), file_type="stl")
    said |= {"watertight": bool(m.is_watertight), "winding": bool(m.is_winding_consistent), "volume": float(m.volume),
             "area": float(m.area), "bounds": m.bounds.tolist(), "triangles": len(m.faces)}
    print(json.dumps(said))
"#;

/// None, with a line, where Python or trimesh is not there.
fn trimesh(files: &[&Path]) -> Option<Vec<Value>> {
    let python = python()?;
    if !run(&python, &["-c", "import trimesh"])?.status.success() {
        eprintln!("SKIPPED trimesh: not in the virtual environment (scripts/fetch_validators.sh)");
        return None;
    }
    let args: Vec<&str> = ["-c", READ].into_iter().chain(files.iter().map(|f| f.to_str().unwrap())).collect();
    let output = run(&python, &args)?;
    assert!(output.status.success(), "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(said.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[track_caller]
fn near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found / expected - 1.0).abs() <= tolerance, "{what}: found {found}, expected {expected}");
}

#[track_caller]
fn closed(said: &Value, what: &str) {
    assert!(said["watertight"] == true && said["winding"] == true, "{what}: {said}");
}

/// Masks that are hard to close, on grids that are oblique, of unequal spacing, and sheared.
fn masks() -> Vec<(&'static str, Array3<u8>, Geometry)> {
    let oblique = |size| Exam::new(Layout::SeriesPerPhase, OBLIQUE, size).geometry();
    let mut touching = Array3::zeros((6, 20, 20));
    touching.slice_mut(ndarray::s![0..3, 0..10, 0..10]).fill(1);
    touching.slice_mut(ndarray::s![3..6, 10..20, 10..20]).fill(1);
    let mut sheared = oblique([20, 50, 50]);
    (0..3).for_each(|axis| sheared.steps_mm[0][axis] += 0.4 * sheared.steps_mm[1][axis]);
    let mut pillars = Array3::ones((3, 4, 4));
    pillars.index_axis_mut(ndarray::Axis(0), 1).fill(0);
    pillars[[1, 1, 1]] = 1;
    pillars[[1, 2, 2]] = 1;
    let voxel = Array3::ones((1, 1, 1));
    vec![
        ("blob", blob([20, 50, 50], [9.0, 25.0, 24.0], 8.0), oblique([20, 50, 50])),
        ("two corners that touch, at the border", touching, oblique([6, 20, 20])),
        ("all voxels", Array3::ones((5, 30, 66)), oblique([5, 30, 66])),
        ("sheared", blob([20, 50, 50], [9.0, 20.0, 24.0], 8.0), sheared),
        ("pillars that touch", pillars, oblique([3, 4, 4])),
        ("one voxel", voxel, oblique([1, 1, 1])),
        ("large", blob([100, 300, 300], [50.0, 150.0, 150.0], 45.0), oblique([100, 300, 300])),
    ]
}

#[test]
fn trimesh_finds_surfaces_closed_and_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut made = Vec::new();
    for (n, (name, mask, geometry)) in masks().into_iter().enumerate() {
        let mesh = surface(mask.view(), &geometry, 20_000).unwrap().unwrap();
        let path = dir.path().join(format!("{n}.stl"));
        std::fs::write(&path, stl::write(&mesh)).unwrap();
        let voxels = mask.iter().filter(|v| **v != 0).count() as f64 * geometry.voxel_mm3();
        made.push((name, path, mesh, voxels));
    }
    let paths: Vec<&Path> = made.iter().map(|(_, path, ..)| path.as_path()).collect();
    let Some(said) = trimesh(&paths) else { return };
    assert_eq!(said.len(), made.len());
    for ((name, _, mesh, voxels), said) in made.iter().zip(&said) {
        closed(said, name);
        near(number(&said["volume"]), *voxels, 1e-3, name);
        near(number(&said["area"]), mesh.area_mm2(), 1e-4, name);
        assert_eq!(said["triangles"], json!(mesh.triangles.len()), "{name}");
        let bounds = mesh.bounds_mm().unwrap();
        for side in 0..2 {
            for axis in 0..3 {
                assert!((number(&said["bounds"][side][axis]) - bounds[side][axis]).abs() < 1e-3, "{name}: {said}");
            }
        }
    }
    assert!(said.last().unwrap()["triangles"].as_u64().unwrap() <= 20_000, "decimated");
}

fn with_surfaces() -> Manifest {
    let mut manifest = manifest_json(2, &["Tumour", "Second finding"], "binary");
    manifest["task"]["Segmentation"]["surface"] = json!({"store": true, "max_triangles": 2000});
    serde_json::from_value(manifest).unwrap()
}

fn encode(exam: &Exam, manifest: &Manifest, masks: Vec<Array3<u8>>) -> Results {
    let channels = exam.channels();
    let images = distinct_instances(&channels);
    let run = ResultContext {
        manifest,
        weights_sha256: SHA,
        images: &images,
        created: datetime!(2026-03-02 11:22:33 UTC),
        uids: ResultUids::new(&images, manifest, SHA),
        software_version: "0.1.0",
        sr_sop_class: SrSopClass::default(),
    };
    let mut segmentation = segmentation(exam, masks);
    if images[0].dataset.get(tags::FRAME_OF_REFERENCE_UID).is_none() {
        segmentation.geometry.frame_of_reference_uid = None;
    }
    encode_segmentation(&SegmentationContext { run, channels: &channels }, &segmentation).unwrap()
}

fn exam(layout: Layout, orientation: [f64; 6]) -> Exam {
    Exam { phases: 2, ..Exam::new(layout, orientation, [16, 33, 41]) }
}

fn findings() -> Vec<Array3<u8>> {
    vec![blob([16, 33, 41], [6.0, 12.0, 12.0], 5.0), blob([16, 33, 41], [10.0, 22.0, 30.0], 4.0)]
}

#[test]
fn encapsulated_surfaces_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    for layout in [Layout::SeriesPerPhase, Layout::Enhanced] {
        let exam = exam(layout, OBLIQUE);
        let results = encode(&exam, &with_surfaces(), findings());
        assert_eq!(results.warnings, [""; 0]);
        let seg = results.objects.iter().find(|o| o.kind == ResultKind::Seg).unwrap();
        let surfaces: Vec<_> = results.objects.iter().filter(|o| o.kind == ResultKind::M3d).collect();
        assert_eq!(surfaces.len(), 2);
        assert_ne!(surfaces[0].sop_instance_uid, surfaces[1].sop_instance_uid);
        assert_eq!(surfaces[0].series_instance_uid, surfaces[1].series_instance_uid);
        assert_ne!(surfaces[0].series_instance_uid, seg.series_instance_uid);
        let again = encode(&exam, &with_surfaces(), findings());
        let again: Vec<_> = again.objects.iter().filter(|o| o.kind == ResultKind::M3d).collect();
        assert_eq!(again[0].bytes, surfaces[0].bytes, "the same masks give the same object");
        let mut paths = Vec::new();
        for (n, object) in surfaces.iter().enumerate() {
            let path = dir.path().join(format!("{layout:?}-{n}.dcm"));
            std::fs::write(&path, &object.bytes).unwrap();
            if let Some(output) = run(Path::new("dciodvfy"), &["-new", path.to_str().unwrap()]) {
                let text = text(&output);
                assert!(!text.lines().any(|l| l.starts_with("Error") || l.starts_with("Abort")), "{text}");
                assert!(text.contains("EncapsulatedSTL"), "not recognised:\n{text}");
            }
            paths.push(path);
        }
        let Some(said) = trimesh(&paths.iter().map(|p| p.as_path()).collect::<Vec<_>>()) else { continue };
        let report = results.report.segmentation.as_ref().unwrap();
        for (n, (said, segment)) in said.iter().zip(&report.segments).enumerate() {
            closed(said, &segment.name);
            let stated = segment.measurements.as_ref().unwrap().volume_ml;
            near(number(&said["volume"]) / 1000.0, stated, 1e-3, "the volume that the report states");
            assert_eq!(said["Modality"], "M3D");
            assert_eq!(said["MIMETypeOfEncapsulatedDocument"], "model/stl");
            assert_eq!(said["FrameOfReferenceUID"], volumes::FRAME_OF_REFERENCE_UID);
            assert_eq!(said["BurnedInAnnotation"], "NO");
            assert_eq!(said["ContentQualification"], "RESEARCH");
            assert_eq!((&said["Units"], &said["InstanceNumber"]), (&json!("mm"), &json!(n + 1)));
            assert!(said["DocumentTitle"].as_str().unwrap().contains(&segment.name), "{said}");
            assert!(said["triangles"].as_u64().unwrap() <= 2000, "{said}");
            let sources = said["Sources"].as_array().unwrap();
            assert_eq!(sources[0], json!([seg.sop_class_uid, seg.sop_instance_uid]));
            assert!(sources.len() > if layout == Layout::Enhanced { 1 } else { 5 }, "{said}");
            assert_eq!(said["Series"].as_array().unwrap().len(), 2, "the segmentation's and the images': {said}");
        }
    }
    keep(dir.path());
}

#[test]
fn nothing_is_stored_where_nobody_asked_or_where_it_would_have_no_place() {
    let mut silent = with_surfaces();
    let orthanc_ai::manifest::TaskSpec::Segmentation(task) = &mut silent.task else { unreachable!() };
    task.surface.as_mut().unwrap().store = false;
    let of = |results: &Results| results.objects.iter().filter(|o| o.kind == ResultKind::M3d).count();
    let results = encode(&exam(Layout::SeriesPerPhase, AXIAL), &silent, findings());
    assert_eq!((of(&results), results.warnings.len()), (0, 0));
    let mut nowhere = exam(Layout::SeriesPerPhase, AXIAL);
    nowhere.edit = |o| {
        o.remove_element(tags::FRAME_OF_REFERENCE_UID);
    };
    let results = encode(&nowhere, &with_surfaces(), findings());
    assert_eq!(of(&results), 0);
    assert!(results.warnings[0].contains("no FrameOfReferenceUID"), "{:?}", results.warnings);
    let nothing = encode(&exam(Layout::SeriesPerPhase, AXIAL), &with_surfaces(), vec![Array3::zeros((16, 33, 41)); 2]);
    assert_eq!((of(&nothing), nothing.warnings.len()), (0, 0));
}

/// Of a segmentation's file, as the server has it.
fn parts(seg: &[u8]) -> (SegVolume, Vec<(u16, Mesh)>) {
    let volume = SegVolume::read(seg).unwrap();
    let numbers: Vec<u16> = volume.object.segments.iter().map(|s| s.number).filter(|n| *n > 0).collect();
    let mesh = |n: u16| surface(volume.mask(n).view(), &volume.geometry, MAX_TRIANGLES).unwrap().unwrap();
    let meshes = numbers.into_iter().map(|n| (n, mesh(n))).collect();
    (volume, meshes)
}

#[test]
fn a_segmentations_file_gives_its_masks_and_place_back() {
    let dir = tempfile::tempdir().unwrap();
    for encoding in ["binary", "labelmap"] {
        let mut manifest = manifest_json(2, &["Tumour", "Second finding"], encoding);
        manifest["task"]["Segmentation"]["surface"] = json!({"store": false});
        let exam = exam(Layout::SeriesPerPhase, OBLIQUE);
        let results = encode(&exam, &serde_json::from_value(manifest).unwrap(), findings());
        let seg = &results.objects.iter().find(|o| o.kind == ResultKind::Seg).unwrap().bytes;
        let (volume, meshes) = parts(seg);
        assert_eq!(volume.geometry.frame_of_reference_uid.as_deref(), Some(volumes::FRAME_OF_REFERENCE_UID));
        for ((number, mesh), mask) in meshes.iter().zip(findings()) {
            let expected = surface(mask.view(), &exam.geometry(), MAX_TRIANGLES).unwrap().unwrap();
            assert!(mesh.triangles == expected.triangles, "{encoding} {number}");
            let pairs = mesh.vertices.iter().flatten().zip(expected.vertices.iter().flatten());
            let farthest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(farthest < 1e-3, "{encoding} {number}: {farthest} mm from its place");
        }
        let colors = [[211, 47, 47], [25, 118, 210]];
        let shown = meshes.into_iter().zip(colors);
        let shown: Vec<SurfacePart> = shown
            .map(|((number, mesh), color)| SurfacePart { number, label: format!("Segment {number}"), color, mesh })
            .collect();
        let page = surface_page(&shown);
        for text in [volumes::FRAME_OF_REFERENCE_UID, volumes::STUDY_UID, "2.25."] {
            assert!(!page.contains(text), "the page has {text}");
        }
        std::fs::write(dir.path().join(format!("{encoding}.html")), page).unwrap();
    }
    keep(dir.path());
}
