//! The objects as another program would read them: every assertion is on what comes back from the written bytes.

#[path = "../../../tests/support/mammograms.rs"]
mod mammograms;

mod dirty_headers;
mod encoding;
mod failures;
mod identity;
mod overall;
mod people;
mod segmentation;
mod spread;
mod structure;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use time::macros::datetime;

use super::{ResultContext, ResultError, ResultObject, ResultUids, SrSopClass, measurement_report};
use crate::imaging::ImageAttributes;
use crate::manifest::Manifest;
use crate::predict::Prediction;
use mammograms::{SHA, exam, manifest, prediction};

fn context<'a>(manifest: &'a Manifest, images: &'a [&'a ImageAttributes]) -> ResultContext<'a> {
    ResultContext {
        manifest,
        weights_sha256: SHA,
        images,
        created: datetime!(2026-03-02 22:30:15 UTC),
        uids: ResultUids::new(images, manifest, SHA),
        software_version: "0.1.0",
        sr_sop_class: SrSopClass::default(),
    }
}

/// The report on `images` with the demo manifest.
fn report(images: &[ImageAttributes], prediction: &Prediction) -> Result<ResultObject, ResultError> {
    let manifest = manifest(true);
    let images: Vec<&ImageAttributes> = images.iter().collect();
    measurement_report(&context(&manifest, &images), prediction)
}

fn read(result: &ResultObject) -> DefaultDicomObject {
    dicom_object::from_reader(std::io::Cursor::new(&result.bytes)).unwrap()
}

/// The complete report, read back.
fn complete() -> DefaultDicomObject {
    read(&report(&exam(), &prediction(&[])).unwrap())
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned()
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|e| e.value().items()).unwrap_or_default()
}

fn children(item: &InMemDicomObject) -> &[InMemDicomObject] {
    items(item, tags::CONTENT_SEQUENCE)
}

fn code(item: &InMemDicomObject, sequence: Tag) -> String {
    items(item, sequence).first().map(|c| text(c, tags::CODE_VALUE)).unwrap_or_default()
}

fn concept(item: &InMemDicomObject) -> String {
    code(item, tags::CONCEPT_NAME_CODE_SEQUENCE)
}

/// The children of `item` with this concept.
fn named<'a>(item: &'a InMemDicomObject, value: &str) -> Vec<&'a InMemDicomObject> {
    children(item).iter().filter(|c| concept(c) == value).collect()
}

/// `item` and everything under it.
fn tree(item: &InMemDicomObject) -> Vec<&InMemDicomObject> {
    std::iter::once(item).chain(children(item).iter().flat_map(tree)).collect()
}

/// SOP instances that the content tree refers to.
fn referenced(root: &InMemDicomObject) -> Vec<String> {
    let references = tree(root).into_iter().flat_map(|i| items(i, tags::REFERENCED_SOP_SEQUENCE));
    references.map(|r| text(r, tags::REFERENCED_SOP_INSTANCE_UID)).collect()
}
