//! Which runs make the same objects.

use super::*;
use crate::result::uid::derived_uid;
use crate::result::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use uuid::Uuid;

fn with(change: impl FnOnce(&mut Manifest, &mut Vec<ImageAttributes>), force: Option<Uuid>, sha: &str) -> ResultObject {
    let (mut manifest, mut images) = (manifest(true), exam());
    change(&mut manifest, &mut images);
    let images: Vec<&ImageAttributes> = images.iter().collect();
    let mut uids = ResultUids::new(&images, &manifest, sha);
    if let Some(salt) = force {
        uids = uids.forced(salt);
    }
    let ctx = ResultContext { uids, weights_sha256: sha, ..context(&manifest, &images) };
    measurement_report(&ctx, &prediction(&[])).unwrap()
}

#[test]
fn a_repeat_is_the_same_to_the_byte() {
    let [a, b] = [(), ()].map(|()| with(|_, _| {}, None, SHA));
    assert_eq!(a.sop_instance_uid, b.sop_instance_uid);
    assert_eq!(a.bytes, b.bytes);
}

#[test]
fn any_other_input_makes_other_objects() {
    let base = with(|_, _| {}, None, SHA);
    let other_weights = SHA.replace('9', "8");
    for other in [
        with(|m, _| m.version = "1.0.1".into(), None, SHA),
        with(|m, _| m.name = "another".into(), None, SHA),
        with(|_, i| i[2].sop_instance_uid = "2.25.9".into(), None, SHA),
        with(|_, i| i.swap(0, 1), None, SHA),
        with(|_, _| {}, None, &other_weights),
        with(|_, _| {}, Some(Uuid::from_u128(1)), SHA),
    ] {
        assert_ne!(other.sop_instance_uid, base.sop_instance_uid);
        assert_ne!(other.series_instance_uid, base.series_instance_uid);
    }
}

#[test]
fn a_forced_run_tracks_the_same_things() {
    let tracking = |r: &ResultObject| -> Vec<String> {
        let sr = read(r);
        tree(&sr).into_iter().filter(|i| concept(i) == "112040").map(|i| text(i, tags::UID)).collect()
    };
    let mut first = tracking(&with(|_, _| {}, None, SHA));
    assert_eq!(first, tracking(&with(|_, _| {}, Some(Uuid::from_u128(7)), SHA)));
    assert_eq!(first.len(), 4);
    first.sort();
    first.dedup();
    assert_eq!(first.len(), 4, "one tracking UID an image");
}

#[test]
fn uids_are_valid_and_ours() {
    let result = with(|_, _| {}, None, SHA);
    let sr = read(&result);
    for uid in
        [&result.sop_instance_uid, &result.series_instance_uid, &derived_uid([]), &IMPLEMENTATION_CLASS_UID.to_owned()]
    {
        let number = uid.strip_prefix("2.25.").unwrap();
        assert!(uid.len() <= 64 && !number.starts_with('0') && number.parse::<u128>().is_ok(), "{uid}");
    }
    assert_eq!(sr.meta().implementation_class_uid(), IMPLEMENTATION_CLASS_UID);
    assert_eq!(sr.meta().implementation_version_name(), Some(IMPLEMENTATION_VERSION_NAME));
    assert_eq!(sr.meta().media_storage_sop_instance_uid(), result.sop_instance_uid);
    assert_eq!(text(&sr, tags::SERIES_INSTANCE_UID), result.series_instance_uid);
    assert!(IMPLEMENTATION_VERSION_NAME.len() <= 16);
    assert_ne!(derived_uid(["ab", "c"]), derived_uid(["a", "bc"]));
}
