//! What of a study one run of the model takes.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::manifest::InputSpec;
use crate::run::select::{NotApplicable, Selection, select};
use crate::source::InstanceHeader;

/// The study as a whole where the model takes it so; else each of its series, or each of its images, that the model takes. A study of five
/// pictures is five inputs of a model that takes one.
///
/// # Errors
/// Why the study as a whole does not do, where no part of it does.
pub(super) fn selections(rule: &InputSpec, study: &[InstanceHeader]) -> Result<Vec<Selection>, NotApplicable> {
    let whole = match select(rule, study, &[]) {
        Ok(selection) => return Ok(vec![selection]),
        Err(reason) => reason,
    };
    for level in [tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID] {
        let found: Vec<Selection> =
            parts(study, level).iter().filter_map(|part| select(rule, part, &[]).ok()).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(whole)
}

/// The readable instances by study, in the order of the first of each.
pub fn studies(headers: &[InstanceHeader]) -> Vec<Vec<InstanceHeader>> {
    parts(headers, tags::STUDY_INSTANCE_UID)
}

/// By the value of an attribute, in the order of the first of each.
fn parts(headers: &[InstanceHeader], tag: Tag) -> Vec<Vec<InstanceHeader>> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut parts: Vec<Vec<InstanceHeader>> = Vec::new();
    for header in headers.iter().filter(|h| h.unreadable_reason().is_none()) {
        let place = *places.entry(header.get(tag).unwrap_or_default()).or_insert(parts.len());
        if place == parts.len() {
            parts.push(Vec::new());
        }
        parts[place].push(header.clone());
    }
    parts
}
