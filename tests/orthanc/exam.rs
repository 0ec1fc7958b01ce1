//! Studies to upload: phantoms, and phantoms made wrong on purpose.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use orthanc_ai::phantom::{Class, ExamOptions, PhantomInstance, exam};

/// Coarse phantoms: a quarter of the size, 16 times faster.
pub fn options(seed: u64) -> ExamOptions {
    ExamOptions {
        seed,
        classes: [Class::Mass, Class::Calcification, Class::ArchitecturalAsymmetry, Class::Normal],
        size: (832, 640),
        spacing_mm: 0.28,
        bits_stored: 12,
        inverted: false,
    }
}

pub fn views(options: &ExamOptions) -> Vec<PhantomInstance> {
    exam(options).unwrap()
}

pub fn files(options: &ExamOptions) -> Vec<Vec<u8>> {
    views(options).iter().map(|v| v.to_bytes().unwrap()).collect()
}

/// The files with each data set changed.
pub fn changed(options: &ExamOptions, change: impl Fn(usize, &mut InMemDicomObject)) -> Vec<Vec<u8>> {
    let views = views(options).into_iter().enumerate();
    views.map(|(i, v)| rewrite(v.object, |d| change(i, d))).collect()
}

pub fn rewrite(object: DefaultDicomObject, change: impl FnOnce(&mut InMemDicomObject)) -> Vec<u8> {
    let mut meta = object.meta().clone();
    let mut dataset = object.into_inner();
    change(&mut dataset);
    let text = |tag| dataset.element(tag).unwrap().to_str().unwrap().trim().to_string();
    meta.media_storage_sop_class_uid = text(dicom_dictionary_std::tags::SOP_CLASS_UID);
    meta.media_storage_sop_instance_uid = text(dicom_dictionary_std::tags::SOP_INSTANCE_UID);
    meta.update_information_group_length();
    let mut bytes = Vec::new();
    dataset.with_exact_meta(meta).write_all(&mut bytes).unwrap();
    bytes
}

pub fn put_text(dataset: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    dataset.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}
