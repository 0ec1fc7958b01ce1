//! SEG and SR of a segmentation.

#[path = "../../../../tests/support/volumes.rs"]
mod volumes;

mod masks;
mod report;
mod sources;

use std::ops::Deref;

use ndarray::Array3;

use super::*;
use crate::predict::Segmentation;
use crate::result::{ChannelSource, ResultKind, Results, SegmentationContext, distinct_instances, encode_segmentation};
use volumes::{AXIAL, CORONAL, Exam, Layout, OBLIQUE, blob, segmentation};

const SIZE: [usize; 3] = [9, 20, 21];

/// A run's input and what the model said of it; the encoding is `binary` unless told.
struct Run {
    exam: Exam,
    manifest: Manifest,
    channels: Vec<ChannelSource>,
    segmentation: Segmentation,
}

impl Run {
    /// Four phases; one segment a mask.
    fn new(layout: Layout, masks: Vec<Array3<u8>>) -> Self {
        Self::of(Exam::new(layout, OBLIQUE, SIZE), masks)
    }

    fn of(exam: Exam, masks: Vec<Array3<u8>>) -> Self {
        let manifest = volumes::manifest(exam.phases, &["Tumour", "Cyst"][..masks.len()], "binary");
        let (channels, segmentation) = (exam.channels(), segmentation(&exam, masks));
        Self { exam, manifest, channels, segmentation }
    }

    fn encode(&self) -> Result<Results, ResultError> {
        self.encode_with(|_| {})
    }

    fn encode_with(&self, edit: impl FnOnce(&mut ResultContext)) -> Result<Results, ResultError> {
        let images = distinct_instances(&self.channels);
        let mut run = context(&self.manifest, &images);
        edit(&mut run);
        encode_segmentation(&SegmentationContext { run, channels: &self.channels }, &self.segmentation)
    }
}

/// An object read back.
struct Read(DefaultDicomObject);

impl Deref for Read {
    type Target = InMemDicomObject;
    fn deref(&self) -> &InMemDicomObject {
        &self.0
    }
}

fn of_kind(results: &Results, kind: ResultKind) -> Option<Read> {
    results.objects.iter().find(|o| o.kind == kind).map(|o| Read(read(o)))
}

fn seg(run: &Run) -> Read {
    of_kind(&run.encode().unwrap(), ResultKind::Seg).unwrap()
}

fn sr(run: &Run) -> Read {
    of_kind(&run.encode().unwrap(), ResultKind::Sr).unwrap()
}

/// 420 pixels a slice: frames do not begin at bytes.
fn one() -> Vec<Array3<u8>> {
    vec![blob(SIZE, [4.0, 8.0, 7.0], 4.0)]
}

fn two() -> Vec<Array3<u8>> {
    vec![blob(SIZE, [2.0, 6.0, 6.0], 3.0), blob(SIZE, [6.0, 12.0, 15.0], 3.0)]
}

fn nothing() -> Array3<u8> {
    Array3::zeros(SIZE)
}

fn numbers(object: &InMemDicomObject, tag: Tag) -> Vec<u32> {
    object.element(tag).unwrap().to_multi_int::<u32>().unwrap()
}

/// The only item of a sequence.
fn item(object: &InMemDicomObject, tag: Tag) -> &InMemDicomObject {
    let [item] = items(object, tag) else { panic!("{tag}: {} items", items(object, tag).len()) };
    item
}

fn frames(seg: &InMemDicomObject) -> &[InMemDicomObject] {
    items(seg, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
}

/// ImagePositionPatient of a frame, as written.
fn position_of(frame: &InMemDicomObject) -> Vec<String> {
    let position = item(frame, tags::PLANE_POSITION_SEQUENCE);
    text(position, tags::IMAGE_POSITION_PATIENT).split('\\').map(|t| t.trim().to_owned()).collect()
}

/// SOPInstanceUID (and frame) of what a frame was made of.
fn derived_from(frame: &InMemDicomObject) -> Vec<String> {
    let sources = items(item(frame, tags::DERIVATION_IMAGE_SEQUENCE), tags::SOURCE_IMAGE_SEQUENCE);
    let name = |s: &InMemDicomObject| {
        let uid = text(s, tags::REFERENCED_SOP_INSTANCE_UID);
        s.get(tags::REFERENCED_FRAME_NUMBER).map_or(uid.clone(), |f| format!("{uid}#{}", f.to_str().unwrap().trim()))
    };
    sources.iter().map(name).collect()
}
