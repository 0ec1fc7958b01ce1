//! References to instances: by SOP class and instance, under their study and series where a list wants that.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::vr::{put, put_items};
use super::{ResultError, ResultObject};
use crate::imaging::{ImageAttributes, SliceSource};

/// An instance and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceReference<'a> {
    pub study_instance_uid: &'a str,
    pub series_instance_uid: &'a str,
    pub sop_class_uid: &'a str,
    pub sop_instance_uid: &'a str,
}

impl<'a> From<&'a ImageAttributes> for InstanceReference<'a> {
    fn from(image: &'a ImageAttributes) -> Self {
        Self {
            study_instance_uid: &image.study_instance_uid,
            series_instance_uid: &image.series_instance_uid,
            sop_class_uid: &image.sop_class_uid,
            sop_instance_uid: &image.sop_instance_uid,
        }
    }
}

impl<'a> From<&'a ResultObject> for InstanceReference<'a> {
    fn from(object: &'a ResultObject) -> Self {
        Self {
            study_instance_uid: &object.study_instance_uid,
            series_instance_uid: &object.series_instance_uid,
            sop_class_uid: &object.sop_class_uid,
            sop_instance_uid: &object.sop_instance_uid,
        }
    }
}

impl InstanceReference<'_> {
    /// ReferencedSOPClassUID and ReferencedSOPInstanceUID (PS3.3 Table 10-11).
    pub fn item(&self) -> Result<InMemDicomObject, ResultError> {
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::REFERENCED_SOP_CLASS_UID, self.sop_class_uid)?;
        put(&mut item, tags::REFERENCED_SOP_INSTANCE_UID, self.sop_instance_uid)?;
        Ok(item)
    }
}

/// The image that a slice was read from, with its frame where the instance has several (PS3.3 Table 10-3).
pub fn slice_item(slice: &SliceSource) -> Result<InMemDicomObject, ResultError> {
    frame_item(InstanceReference::from(&*slice.instance), slice.frame)
}

/// An instance, or a frame of it, counted from 1.
pub fn frame_item(instance: InstanceReference, frame: Option<u32>) -> Result<InMemDicomObject, ResultError> {
    let mut item = instance.item()?;
    if let Some(frame) = frame {
        put(&mut item, tags::REFERENCED_FRAME_NUMBER, &frame.to_string())?;
    }
    Ok(item)
}

type Group<'a> = (&'a str, Vec<InstanceReference<'a>>);

/// `references` by `key`, groups and members in order of first appearance. No group is empty.
fn grouped<'a>(
    references: &[InstanceReference<'a>],
    key: impl Fn(&InstanceReference<'a>) -> &'a str,
) -> Vec<Group<'a>> {
    let mut places = std::collections::HashMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for reference in references {
        let key = key(reference);
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, members)) => members.push(*reference),
            None => groups.push((key, vec![*reference])),
        }
    }
    groups
}

/// `references` by study, in order of first appearance.
pub fn by_study<'a>(references: &[InstanceReference<'a>]) -> Vec<Group<'a>> {
    grouped(references, |r| r.study_instance_uid)
}

/// `references` by series, in order of first appearance, each instance once.
pub fn by_series<'a>(references: &[InstanceReference<'a>]) -> Vec<Group<'a>> {
    let mut series = grouped(references, |r| r.series_instance_uid);
    for (_, members) in &mut series {
        let once = grouped(members, |r| r.sop_instance_uid);
        *members = once.into_iter().filter_map(|(_, same)| same.first().copied()).collect();
    }
    series
}

/// The items of ReferencedSeriesSequence (Common Instance Reference, PS3.3 C.12.2) for `references`.
pub fn referenced_series(references: &[InstanceReference]) -> Result<Vec<InMemDicomObject>, ResultError> {
    let mut series = Vec::new();
    for (uid, instances) in by_series(references) {
        let instances = instances.iter().map(InstanceReference::item).collect::<Result<_, _>>()?;
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::SERIES_INSTANCE_UID, uid)?;
        put_items(&mut item, tags::REFERENCED_INSTANCE_SEQUENCE, instances);
        series.push(item);
    }
    Ok(series)
}
