//! Coded concepts, spelled as dcmqi's metadata files spell them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A coded entry (PS3.3 8.8): value, scheme, meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodedConcept {
    /// At most 16 characters (VR SH).
    #[serde(rename = "CodeValue")]
    pub value: String,
    /// "SCT", "DCM", …; designators that start with 99 are private (PS3.16 8.2).
    #[serde(rename = "CodingSchemeDesignator")]
    pub scheme: String,
    /// At most 64 characters (VR LO).
    #[serde(rename = "CodeMeaning")]
    pub meaning: String,
}

impl CodedConcept {
    pub fn new(value: &str, scheme: &str, meaning: &str) -> Self {
        Self { value: value.into(), scheme: scheme.into(), meaning: meaning.into() }
    }

    /// Private schemes are announced in CodingSchemeIdentificationSequence.
    pub fn is_private(&self) -> bool {
        self.scheme.starts_with("99")
    }
}
