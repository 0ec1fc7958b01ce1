//! Hierarchical SOP Instance Reference (PS3.3 C.17.2.1): every source, once, under its study and series.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::ResultError;
use super::content::reference;
use super::vr::{put, put_items};
use crate::imaging::ImageAttributes;

/// The items of CurrentRequestedProcedureEvidenceSequence for `images`. Viewers refuse a report that lists an instance
/// twice.
pub fn evidence(images: &[&ImageAttributes]) -> Result<Vec<InMemDicomObject>, ResultError> {
    let mut studies = Vec::new();
    for (study, images) in grouped(images, |i| &i.study_instance_uid) {
        let mut series_items = Vec::new();
        for (series, images) in grouped(&images, |i| &i.series_instance_uid) {
            let instances = grouped(&images, |i| &i.sop_instance_uid);
            let references = instances.iter().map(|(_, same)| reference(same[0])).collect::<Result<_, _>>()?;
            let mut item = InMemDicomObject::new_empty();
            put_items(&mut item, tags::REFERENCED_SOP_SEQUENCE, references);
            put(&mut item, tags::SERIES_INSTANCE_UID, series)?;
            series_items.push(item);
        }
        let mut item = InMemDicomObject::new_empty();
        put_items(&mut item, tags::REFERENCED_SERIES_SEQUENCE, series_items);
        put(&mut item, tags::STUDY_INSTANCE_UID, study)?;
        studies.push(item);
    }
    Ok(studies)
}

type Group<'a> = (&'a str, Vec<&'a ImageAttributes>);

/// `images` by `key`, groups and members in order of first appearance. No group is empty.
fn grouped<'a>(images: &[&'a ImageAttributes], key: impl Fn(&'a ImageAttributes) -> &'a str) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for &image in images {
        let key = key(image);
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, members)) => members.push(image),
            None => groups.push((key, vec![image])),
        }
    }
    groups
}
