//! The part of an instance that selection rules look at.

use std::collections::BTreeMap;

use dicom_core::dictionary::DataDictionary;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;

use super::InstanceId;
use crate::imaging::attributes::element_texts;

/// Top-level attributes of one instance as text. Holds patient data: selection compares values, nothing prints them
/// except the few that [`InstanceHeader::quotable`] allows.
#[derive(Clone)]
pub struct InstanceHeader {
    pub id: InstanceId,
    /// Or why the header cannot be read.
    values: Result<BTreeMap<Tag, String>, String>,
}

impl InstanceHeader {
    pub fn new(id: InstanceId, values: BTreeMap<Tag, String>) -> Self {
        Self { id, values: Ok(values) }
    }

    pub fn unreadable(id: InstanceId, reason: impl Into<String>) -> Self {
        Self { id, values: Err(reason.into()) }
    }

    pub fn from_dataset(id: InstanceId, dataset: &InMemDicomObject) -> Self {
        let values = dataset
            .iter()
            .filter(|e| !matches!(e.vr(), VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV))
            .filter_map(|e| Some((e.header().tag, element_texts(e)?.join("\\"))))
            .collect();
        Self::new(id, values)
    }

    /// The reason why the header cannot be read.
    pub fn unreadable_reason(&self) -> Option<&str> {
        self.values.as_ref().err().map(String::as_str)
    }

    /// The attribute's value; None where absent or empty.
    pub fn get(&self, tag: Tag) -> Option<&str> {
        let value = self.values.as_ref().ok()?.get(&tag)?.trim_matches([' ', '\0']);
        (!value.is_empty()).then_some(value)
    }

    /// As [`Self::get`], by DICOM keyword.
    pub fn by_keyword(&self, keyword: &str) -> Option<&str> {
        use dicom_core::dictionary::DataDictionaryEntry;
        self.get(StandardDataDictionary.by_name(keyword)?.tag())
    }

    /// "{ImageLaterality}-{ViewPosition}" (PS3.3 C.8.11.7), or None where either is missing.
    pub fn view(&self) -> Option<String> {
        let laterality = self.get(tags::IMAGE_LATERALITY).or_else(|| self.get(tags::LATERALITY))?;
        Some(format!("{laterality}-{}", self.get(tags::VIEW_POSITION)?))
    }

    /// The value where it describes the kind of object and never the patient: all that an error message may quote.
    pub fn quotable(&self, keyword: &str) -> String {
        const KINDS: [&str; 6] = [
            "Modality",
            "SOPClassUID",
            "PhotometricInterpretation",
            "ViewPosition",
            "ImageLaterality",
            "PresentationIntentType",
        ];
        match self.by_keyword(keyword) {
            None => "none".into(),
            Some(_) if !KINDS.contains(&keyword) => "another value".into(),
            // Dirty headers can hold anything under any tag: only what looks like a code is repeated.
            Some(v) if v.len() <= 64 && v.bytes().all(|b| b.is_ascii_alphanumeric() || b"._- ".contains(&b)) => {
                v.into()
            }
            Some(_) => "an invalid value".into(),
        }
    }
}
