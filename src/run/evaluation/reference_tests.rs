//! Segmentation objects against each other and against their own masks.

#[path = "../../../tests/support/volumes.rs"]
#[allow(clippy::duplicate_mod, reason = "fixtures of the results' tests, which are private to them")]
mod volumes;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_object::InMemDicomObject;
use volumes::{AXIAL, Exam, Layout, OBLIQUE, blob};

use super::*;
use crate::evaluate::Measure;
use crate::result::{
    ResultContext, ResultKind, ResultUids, SegmentationContext, SrSopClass, distinct_instances, encode_segmentation,
};
use crate::source::{InstanceBytes, Resource, SourceError};

const SIZE: [usize; 3] = [9, 20, 21];

/// References by their place in the list.
struct Files(Vec<Vec<u8>>);

impl InstanceSource for Files {
    fn headers(&self, _: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
        Ok(Vec::new())
    }

    fn fetch(&self, id: &InstanceId) -> Result<InstanceBytes, SourceError> {
        let file = id.0.parse().ok().and_then(|i: usize| self.0.get(i));
        Ok(Box::new(file.ok_or_else(|| SourceError::UnknownResource(id.to_string()))?.clone()))
    }
}

fn exam() -> Exam {
    Exam::new(Layout::SeriesPerPhase, OBLIQUE, SIZE)
}

fn seg(exam: &Exam, manifest: &Manifest, masks: Vec<Array3<u8>>) -> Vec<u8> {
    let (channels, segmentation) = (exam.channels(), volumes::segmentation(exam, masks));
    let images = distinct_instances(&channels);
    let hash = "0".repeat(64);
    let run = ResultContext {
        manifest,
        weights_sha256: &hash,
        images: &images,
        created: time::OffsetDateTime::UNIX_EPOCH,
        uids: ResultUids::new(&images, manifest, &hash),
        software_version: "0",
        sr_sop_class: SrSopClass::default(),
    };
    let results = encode_segmentation(&SegmentationContext { run, channels: &channels }, &segmentation).unwrap();
    results.objects.into_iter().find(|o| o.kind == ResultKind::Seg).unwrap().bytes
}

fn inputs(exam: &Exam) -> Vec<InstanceHeader> {
    let channels = exam.channels();
    let header = |slice: &crate::imaging::SliceSource| {
        let id = InstanceId(slice.instance.sop_instance_uid.clone());
        InstanceHeader::from_dataset(id, &slice.instance.dataset)
    };
    channels[0].slices.iter().map(header).collect()
}

fn compared(
    manifest: &Manifest,
    inputs: &[InstanceHeader],
    references: &[Vec<u8>],
    answers: &[Vec<u8>],
) -> Result<Vec<(usize, Overlap)>, String> {
    let ids: Vec<InstanceId> = (0..references.len()).map(|i| InstanceId(i.to_string())).collect();
    compare(manifest, &Files(references.to_vec()), inputs, &ids, answers, Limits::default())
}

#[test]
fn objects_compare_as_their_masks_do() {
    let (a, b) = (blob(SIZE, [4.0, 8.0, 7.0], 4.0), blob(SIZE, [5.0, 9.0, 8.0], 4.5));
    let (c, d) = (blob(SIZE, [2.0, 14.0, 15.0], 3.0), blob(SIZE, [6.0, 14.0, 15.0], 3.0));
    let exam = exam();
    let grid = GridSize { spacing_mm: Ok([2.5, 0.75, 0.75]), voxel_ml: Ok(2.5 * 0.75 * 0.75 / 1000.0) };
    for (answer, reference) in [("binary", "binary"), ("labelmap", "binary"), ("binary", "labelmap")] {
        let [answer, reference] = [answer, reference].map(|e| volumes::manifest(4, &["Tumour", "Cyst"], e));
        let answers = [seg(&exam, &answer, vec![a.clone(), c.clone()])];
        let references = [seg(&exam, &reference, vec![b.clone(), d.clone()])];
        let found = compared(&answer, &inputs(&exam), &references, &answers).unwrap();
        for ((index, found), (answer, reference)) in found.iter().zip([(&a, &b), (&c, &d)]) {
            // Where masks of a label map meet, one of them has the voxel: these do not.
            let expected = overlap(answer.view(), reference.view(), &grid).unwrap();
            for (found, expected) in [
                (&found.dice, &expected.dice),
                (&found.hausdorff_95, &expected.hausdorff_95),
                (&found.answer_ml, &expected.answer_ml),
                (&found.volume_error_percent, &expected.volume_error_percent),
            ] {
                let (found, expected) = (found.value().unwrap(), expected.value().unwrap());
                assert!((found - expected).abs() < 1e-5, "segment {index}: {found}, expected {expected}");
            }
        }
    }
}

#[test]
fn what_is_not_there_is_said() {
    let exam = exam();
    let manifest = volumes::manifest(4, &["Tumour"], "binary");
    let mask = blob(SIZE, [4.0, 8.0, 7.0], 4.0);
    let object = [seg(&exam, &manifest, vec![mask.clone()])];
    let inputs = inputs(&exam);
    let missed = compared(&manifest, &inputs, &object, &[]).unwrap().remove(0).1;
    assert_eq!((missed.dice.value(), missed.answer_voxels), (Some(0.0), 0));
    assert_eq!(missed.hausdorff_95, Measure::undefined("the model's mask is empty"));
    assert!(missed.reference_ml.value().unwrap() > 0.0);
    let wrong = compared(&manifest, &inputs, &[], &object).unwrap().remove(0).1;
    assert_eq!((wrong.dice.value(), wrong.reference_voxels), (Some(0.0), 0));
    let nothing = compared(&manifest, &inputs, &[], &[]).unwrap().remove(0).1;
    assert_eq!(nothing.dice, Measure::undefined("both masks are empty"));
    assert_eq!(nothing.volume_error_ml.value(), Some(0.0));
}

#[test]
fn one_segment_is_another_ones_whatever_it_is_called() {
    let exam = exam();
    let mask = || blob(SIZE, [4.0, 8.0, 7.0], 4.0);
    let manifest = volumes::manifest(4, &["Tumour"], "binary");
    let answers = [seg(&exam, &manifest, vec![mask()])];
    let dice = |references: &[Vec<u8>]| {
        compared(&manifest, &inputs(&exam), references, &answers).map(|found| found[0].1.dice.value())
    };
    let by_another_name = seg(&exam, &volumes::manifest(4, &["GTV"], "binary"), vec![mask()]);
    assert_eq!(dice(&[by_another_name]), Ok(Some(1.0)));
    // Of two, the one whose type is the model's.
    let masks = || vec![mask(), blob(SIZE, [2.0, 14.0, 15.0], 3.0)];
    let two = seg(&exam, &volumes::manifest(4, &["first", "second"], "binary"), masks());
    assert_eq!(dice(&[two]), Ok(Some(1.0)));
}

#[test]
fn references_of_other_images_and_grids_are_refused() {
    let exam = exam();
    let manifest = volumes::manifest(4, &["Tumour"], "binary");
    let mask = |size| blob(size, [4.0, 8.0, 7.0], 4.0);
    let answers = [seg(&exam, &manifest, vec![mask(SIZE)])];
    let refused = |references: &Exam, size| {
        let reference = seg(references, &manifest, vec![mask(size)]);
        compared(&manifest, &inputs(&exam), &[reference], &answers).unwrap_err()
    };
    let mut other = self::exam();
    other.edit = |o| {
        for tag in [tags::SOP_INSTANCE_UID, tags::FRAME_OF_REFERENCE_UID] {
            let value = o.get(tag).unwrap().to_str().unwrap().trim().to_owned() + ".9";
            o.put(DataElement::new(tag, VR::UI, value));
        }
    };
    let reference = [seg(&exam, &manifest, vec![mask(SIZE)])];
    let error = compared(&manifest, &inputs(&other), &reference, &answers).unwrap_err();
    assert!(error.contains("no reference segmentation refers to the images"), "{error}");
    let axial = Exam::new(Layout::SeriesPerPhase, AXIAL, SIZE);
    assert!(refused(&axial, SIZE).contains("differ in orientation"));
    let larger = [9, 22, 21];
    assert!(refused(&Exam::new(Layout::SeriesPerPhase, OBLIQUE, larger), larger).contains("other rows and columns"));
    let mut finer = self::exam();
    finer.spacing_mm = [2.5, 0.7, 0.75];
    assert!(refused(&finer, SIZE).contains("pixel spacing"));
    let error = compared(&manifest, &inputs(&exam), &[b"nothing".to_vec()], &answers).unwrap_err();
    assert!(error.starts_with("a reference segmentation: "), "{error}");
}

/// Without what says where its frames lie: a segmentation of photographs.
fn without_planes(bytes: &[u8]) -> Vec<u8> {
    let mut object = dicom_object::from_reader(bytes).unwrap();
    let groups = object.take_element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap();
    let frames: Vec<InMemDicomObject> = groups.items().unwrap().to_vec();
    let flat = frames.into_iter().map(|mut frame| {
        frame.remove_element(tags::PLANE_POSITION_SEQUENCE);
        frame
    });
    let flat: Vec<InMemDicomObject> = flat.collect();
    object.put(DataElement::new(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, DataSetSequence::from(flat)));
    let mut out = Vec::new();
    object.write_all(&mut out).unwrap();
    out
}

#[test]
fn images_that_lie_nowhere_are_compared_one_by_one() {
    let size = [1, 20, 21];
    let exam = Exam { phases: 1, ..Exam::new(Layout::SeriesPerPhase, AXIAL, size) };
    let manifest = volumes::manifest(1, &["Tumour"], "binary");
    let (a, b) = (blob(size, [0.0, 8.0, 7.0], 4.0), blob(size, [0.0, 9.0, 8.0], 4.0));
    let [answer, reference] = [&a, &b].map(|mask| without_planes(&seg(&exam, &manifest, vec![mask.clone()])));
    let found = compared(&manifest, &inputs(&exam), &[reference], &[answer]).unwrap().remove(0).1;
    let grid =
        GridSize { spacing_mm: Ok([1.0, 0.75, 0.75]), voxel_ml: Err("the images are no slices of a volume".into()) };
    assert_eq!(found, overlap(a.view(), b.view(), &grid).unwrap());
    assert!(found.hausdorff_95.value().unwrap() > 0.0 && found.volume_error_ml.value().is_none());
}

#[test]
fn fractional_masks_are_refused() {
    let exam = exam();
    let manifest = volumes::manifest(4, &["Tumour"], "binary");
    let mut object =
        dicom_object::from_reader(&seg(&exam, &manifest, vec![blob(SIZE, [4.0, 8.0, 7.0], 4.0)])[..]).unwrap();
    object.put(DataElement::new(tags::SEGMENTATION_TYPE, VR::CS, PrimitiveValue::from("FRACTIONAL")));
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).unwrap();
    let error = compared(&manifest, &inputs(&exam), &[bytes], &[]).unwrap_err();
    assert!(error.contains("SegmentationType") && error.contains("FRACTIONAL"), "{error}");
}
