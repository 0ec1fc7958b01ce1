//! What a class means, and what the structured report says.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CodedConcept, PlaceWords, SentenceSpec};

/// One output of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassSpec {
    pub name: String,
    /// `#rrggbb`, on cards and bars.
    pub color: String,
    /// The concept reported as Present, Absent or Undetermined.
    pub concept: CodedConcept,
    pub thresholds: Thresholds,
    /// The class's name by language ("ko").
    #[serde(default)]
    pub translations: BTreeMap<String, String>,
}

/// CID 240: Present at `present` and above, Absent below `absent`, else Undetermined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    pub present: f64,
    pub absent: f64,
}

impl Thresholds {
    /// 0 <= absent <= present <= 1
    pub fn are_possible(self) -> bool {
        0.0 <= self.absent && self.absent <= self.present && self.present <= 1.0
    }

    /// Those of the other one of two classes that share one number.
    #[must_use]
    pub fn other_side(self) -> Self {
        Self { present: 1.0 - self.absent, absent: 1.0 - self.present }
    }

    /// The same but for rounding.
    pub fn are_near(self, other: Self) -> bool {
        (self.present - other.present).abs() < 1e-9 && (self.absent - other.absent).abs() < 1e-9
    }
}

/// The TID 1500 report's own words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportSpec {
    /// SeriesDescription, at most 64 characters; "(research only)" belongs in it.
    pub series_description: String,
    /// SeriesNumber of the report's series.
    pub series_number: u32,
    /// First comment of the report and last line of every page: research use only.
    pub disclaimer: String,
    pub algorithm_name: String,
    /// (121058, DCM, "Procedure reported")
    pub procedure_reported: CodedConcept,
    /// (363698007, SCT, "Finding Site")
    pub finding_site: CodedConcept,
    /// What becomes of the results of an automatic run when late instances have made its input more complete.
    #[serde(default)]
    pub supersede: SupersedePolicy,
    /// What is said in words, graded by probability. The disclaimer always follows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<SentenceSpec>,
    /// The disclaimer by language ("ko"); a language without one gets the English.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disclaimer_translations: BTreeMap<String, String>,
    /// The words for places by language ("ko"), for translated sentences with `{side}` or `{part}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub place_words: BTreeMap<String, PlaceWords>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SupersedePolicy {
    /// They are deleted as soon as the new ones are stored.
    #[default]
    Replace,
    /// Both stay.
    Keep,
}
