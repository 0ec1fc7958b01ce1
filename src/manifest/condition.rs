//! Conditions on an instance's attributes: what selection rules and the configuration's rules are written in.

use std::sync::OnceLock;

use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Combinations within combinations are refused beyond this depth.
const MAX_DEPTH: usize = 8;

/// A condition on one attribute (`keyword` and exactly one of `equals`, `in`, `lacks`, `exists`, `regex`, `range`), or a combination
/// (exactly one of `all`, `any`).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// DICOM keyword of the attribute at the data set's top level, e.g. "Modality".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keyword: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<String>>,
    /// None of the attribute's values is this one: `{"keyword": "ImageType", "lacks": "LOCALIZER"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// The value matches somewhere (`^` and `$` hold it at its ends); syntax of the crate regex: `(?i)` ignores case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// The value, of several the first, is a number between the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeSpec>,
    /// Every one of these holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<Condition>>,
    /// One of these holds, or several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any: Option<Vec<Condition>>,
    /// `regex`, compiled when the condition is validated, or first asked for: a rule sees hundreds of headers.
    #[serde(skip)]
    #[schemars(skip)]
    pub compiled: OnceLock<Option<Regex>>,
}

/// Both ends belong to the range; an end that is left out is open.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RangeSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Condition {
    /// Whether an instance fulfils the condition; `value_of` gives an attribute's value by keyword, None where it is absent or empty.
    /// Surrounding blanks do not count (PS3.5 6.2).
    pub fn holds<'v>(&self, value_of: &dyn Fn(&str) -> Option<&'v str>) -> bool {
        self.failing(value_of).is_none()
    }

    /// The condition that keeps this one from holding: itself, or the first of `all` that fails; None where it holds.
    pub fn failing<'s, 'v>(&'s self, value_of: &dyn Fn(&str) -> Option<&'v str>) -> Option<&'s Self> {
        if let Some(all) = &self.all {
            return all.iter().find_map(|c| c.failing(value_of));
        }
        let holds = match &self.any {
            Some(any) => any.iter().any(|c| c.holds(value_of)),
            None => self.holds_for(value_of(&self.keyword).map(str::trim).filter(|v| !v.is_empty())),
        };
        (!holds).then_some(self)
    }

    fn holds_for(&self, value: Option<&str>) -> bool {
        let first = |v: &str| v.split('\\').next().and_then(|v| v.trim().parse::<f64>().ok());
        self.equals.as_deref().is_none_or(|e| value == Some(e))
            && self.one_of.as_ref().is_none_or(|list| value.is_some_and(|v| list.iter().any(|l| l == v)))
            && self.lacks.as_deref().is_none_or(|l| !value.is_some_and(|v| v.split('\\').any(|part| part.trim() == l)))
            && self.exists.is_none_or(|e| value.is_some() == e)
            && (self.regex.is_none() || value.is_some_and(|v| self.compiled().is_some_and(|r| r.is_match(v))))
            && self.range.is_none_or(|range| value.and_then(first).is_some_and(|v| range.contains(v)))
    }

    fn compiled(&self) -> Option<&Regex> {
        let compile = || self.regex.as_deref().and_then(|r| Regex::new(r).ok());
        self.compiled.get_or_init(compile).as_ref()
    }

    /// What the condition wants, in words: `Modality in [MG]`.
    pub fn describe(&self) -> String {
        let list = |conditions: &[Self], word: &str| {
            let parts: Vec<String> = conditions.iter().map(Self::describe).collect();
            format!("({})", parts.join(word))
        };
        if let Some(all) = &self.all {
            list(all, " and ")
        } else if let Some(any) = &self.any {
            list(any, " or ")
        } else if let Some(e) = &self.equals {
            format!("{} = {e}", self.keyword)
        } else if let Some(list) = &self.one_of {
            format!("{} in [{}]", self.keyword, list.join(", "))
        } else if let Some(term) = &self.lacks {
            format!("{} without {term}", self.keyword)
        } else if let Some(regex) = &self.regex {
            format!("{} like /{regex}/", self.keyword)
        } else if let Some(range) = &self.range {
            format!("{} {}", self.keyword, range.describe())
        } else if self.exists == Some(false) {
            format!("no {}", self.keyword)
        } else {
            format!("{} present", self.keyword)
        }
    }

    /// # Errors
    /// (path below the condition, what was found and expected)
    pub fn validate(&self) -> Result<(), (String, String)> {
        self.validate_at(String::new(), 0)
    }

    fn validate_at(&self, path: String, depth: usize) -> Result<(), (String, String)> {
        if depth > MAX_DEPTH {
            return Err((path, format!("found conditions nested more than {MAX_DEPTH} deep")));
        }
        let tests = [
            self.equals.is_some(),
            self.one_of.is_some(),
            self.lacks.is_some(),
            self.exists.is_some(),
            self.regex.is_some(),
            self.range.is_some(),
        ];
        let tests = tests.into_iter().filter(|given| *given).count();
        let groups = [("all", &self.all), ("any", &self.any)];
        let given = groups.iter().filter(|(_, group)| group.is_some()).count();
        if given > 0 {
            if given + tests + usize::from(!self.keyword.is_empty()) != 1 {
                return Err((path, "expected \"all\" or \"any\" alone, or a keyword with one test".into()));
            }
            for (name, group) in groups {
                let Some(group) = group else { continue };
                if group.is_empty() {
                    return Err((format!("{path}.{name}"), "found no condition, expected at least one".into()));
                }
                for (i, condition) in group.iter().enumerate() {
                    condition.validate_at(format!("{path}.{name}[{i}]"), depth + 1)?;
                }
            }
            return Ok(());
        }
        if StandardDataDictionary.by_name(&self.keyword).is_none() {
            return Err((format!("{path}.keyword"), format!("\"{}\" is not a DICOM keyword", self.keyword)));
        }
        if tests != 1 {
            let known = "\"equals\", \"in\", \"lacks\", \"exists\", \"regex\", \"range\"";
            return Err((path, format!("found {tests} of {known}; expected exactly one")));
        }
        if let Some(regex) = &self.regex {
            // The crate's message quotes the expression over several lines; its last says what is wrong.
            let reason = |e: regex::Error| e.to_string().lines().last().unwrap_or_default().trim().to_owned();
            let compiled = Regex::new(regex).map_err(|e| (format!("{path}.regex"), reason(e)))?;
            // Kept: copies of a validated condition compile nothing.
            self.compiled.get_or_init(|| Some(compiled));
        }
        if let Some(range) = &self.range {
            let sane = match (range.min, range.max) {
                (None, None) => false,
                (Some(min), Some(max)) => min <= max,
                _ => true,
            };
            if !sane {
                return Err((
                    format!("{path}.range"),
                    format!("found {}, expected min, max or both, in order", range.describe()),
                ));
            }
        }
        Ok(())
    }
}

impl RangeSpec {
    fn contains(self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    fn describe(self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("from {min} to {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => "any number".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn condition(json: Value) -> Condition {
        serde_json::from_value(json).unwrap()
    }

    fn holds(json: Value) -> bool {
        let value_of = |keyword: &str| match keyword {
            "Modality" => Some("MR "),
            "ImageType" => Some("ORIGINAL\\PRIMARY\\M"),
            "SliceThickness" => Some("2.5"),
            "ImagePositionPatient" => Some("-12.5\\3\\4"),
            "SeriesDescription" => Some("DCE phase 1"),
            "BodyPartExamined" => Some(""),
            _ => None,
        };
        let condition = condition(json);
        condition.validate().unwrap();
        condition.holds(&value_of)
    }

    #[test]
    fn one_attribute() {
        for (expected, json) in [
            (true, json!({"keyword": "Modality", "equals": "MR"})),
            (false, json!({"keyword": "Modality", "equals": "CT"})),
            (true, json!({"keyword": "Modality", "in": ["CT", "MR"]})),
            (true, json!({"keyword": "ImageType", "lacks": "LOCALIZER"})),
            (false, json!({"keyword": "ImageType", "lacks": "PRIMARY"})),
            (true, json!({"keyword": "BodyPartExamined", "exists": false})),
            (false, json!({"keyword": "Laterality", "exists": true})),
            (true, json!({"keyword": "SeriesDescription", "regex": "(?i)^dce phase \\d$"})),
            (false, json!({"keyword": "SeriesDescription", "regex": "^phase"})),
            (false, json!({"keyword": "Laterality", "regex": ".*"})),
            (true, json!({"keyword": "SliceThickness", "range": {"min": 2.5, "max": 2.5}})),
            (false, json!({"keyword": "SliceThickness", "range": {"max": 2}})),
            (true, json!({"keyword": "ImagePositionPatient", "range": {"max": -12.5}})),
            (false, json!({"keyword": "Modality", "range": {"min": 0}})),
        ] {
            assert_eq!(holds(json.clone()), expected, "{json}");
        }
    }

    #[test]
    fn combinations() {
        let mr = json!({"keyword": "Modality", "equals": "MR"});
        let ct = json!({"keyword": "Modality", "equals": "CT"});
        let thin = json!({"keyword": "SliceThickness", "range": {"max": 3}});
        assert!(holds(json!({"any": [ct, mr]})) && !holds(json!({"all": [ct, mr]})));
        assert!(holds(json!({"all": [{"any": [ct, mr]}, thin]})));
        let both = condition(json!({"all": [mr, {"any": [ct, {"keyword": "Modality", "equals": "PT"}]}]}));
        let value_of = |_: &str| Some("MR");
        assert_eq!(both.failing(&value_of).unwrap().describe(), "(Modality = CT or Modality = PT)");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (json, expected) in [
            (json!({"keyword": "Modalty", "exists": true}), ".keyword: \"Modalty\" is not a DICOM keyword"),
            (json!({"keyword": "Modality"}), ": found 0 of"),
            (json!({"keyword": "Modality", "equals": "MR", "exists": true}), ": found 2 of"),
            (json!({"all": []}), ".all: found no condition"),
            (json!({"any": [{"keyword": "Modality", "regex": "("}]}), ".any[0].regex: error"),
            (json!({"all": [{"exists": true}]}), ".all[0].keyword: \"\""),
            (json!({"keyword": "Modality", "any": [{"keyword": "Modality", "exists": true}]}), ": expected \"all\""),
            (json!({"keyword": "Rows", "range": {"min": 3, "max": 2}}), ".range: found from 3 to 2"),
            (json!({"keyword": "Rows", "range": {}}), ".range: found any number"),
        ] {
            let (path, reason) = condition(json).validate().unwrap_err();
            let message = format!("{path}: {reason}");
            assert!(message.starts_with(expected), "{message} / {expected}");
        }
        let deep = (0..20).fold(json!({"keyword": "Modality", "exists": true}), |inner, _| json!({"all": [inner]}));
        assert!(condition(deep).validate().unwrap_err().1.contains("nested"));
    }
}
