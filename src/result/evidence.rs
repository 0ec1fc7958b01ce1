//! Hierarchical SOP Instance Reference (PS3.3 C.17.2.1): every source, once, under its study and series.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::ResultError;
use super::reference::{InstanceReference, by_series, by_study};
use super::vr::{put, put_items};

/// The items of CurrentRequestedProcedureEvidenceSequence for `instances`. Viewers refuse a report that lists an
/// instance twice.
pub fn evidence<'a>(
    instances: impl IntoIterator<Item = impl Into<InstanceReference<'a>>>,
) -> Result<Vec<InMemDicomObject>, ResultError> {
    let references: Vec<InstanceReference> = instances.into_iter().map(Into::into).collect();
    let mut studies = Vec::new();
    for (study, references) in by_study(&references) {
        let mut series_items = Vec::new();
        for (series, references) in by_series(&references) {
            let references = references.iter().map(InstanceReference::item).collect::<Result<_, _>>()?;
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
