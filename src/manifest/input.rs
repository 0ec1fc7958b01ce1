//! Which instances a model takes: the selection rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the rule looks for under the resource (study, series or instance) that a run is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Instances that fulfil every condition are the model's candidates; the others are left out, with the reason kept
    /// for the answer. Our own results are always left out.
    #[serde(rename = "where")]
    pub conditions: Vec<Condition>,
    /// Exactly so many images make one run; any other number is refused.
    pub count: usize,
    /// The views expected, "{ImageLaterality}-{ViewPosition}", in the order they are reported.
    #[serde(default)]
    pub views: Vec<String>,
    /// What happens when the images' views are not the expected ones.
    #[serde(default)]
    pub view_policy: ViewPolicy,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ViewPolicy {
    /// Run all the same and say so in the result.
    #[default]
    Warn,
    /// Refuse.
    Require,
}

/// One condition on a DICOM attribute. Exactly one of `equals`, `in`, `exists` is given.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// DICOM keyword of the attribute at the data set's top level, e.g. "Modality".
    pub keyword: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

impl Condition {
    /// Whether `value` (None: absent or empty) fulfils the condition. Surrounding blanks do not count (PS3.5 6.2).
    pub fn holds(&self, value: Option<&str>) -> bool {
        let value = value.map(str::trim).filter(|v| !v.is_empty());
        self.equals.as_deref().is_none_or(|e| value == Some(e))
            && self.one_of.as_ref().is_none_or(|list| value.is_some_and(|v| list.iter().any(|l| l == v)))
            && self.exists.is_none_or(|e| value.is_some() == e)
    }

    /// What the condition wants, in words: `Modality in [MG]`.
    pub fn describe(&self) -> String {
        if let Some(e) = &self.equals {
            format!("{} = {e}", self.keyword)
        } else if let Some(list) = &self.one_of {
            format!("{} in [{}]", self.keyword, list.join(", "))
        } else if self.exists == Some(false) {
            format!("no {}", self.keyword)
        } else {
            format!("{} present", self.keyword)
        }
    }
}
