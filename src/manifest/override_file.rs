//! `override.json` beside a model's manifest: thresholds of the site's own, as a local validation chose them.
//!
//! The manifest stays as it was shipped. Thresholds are part of what a model says, so the effective version names them
//! ("1.1.0+thresholds.1f2e3d4c"): other thresholds make other result objects and answer another question.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ClassSpec, Manifest, ManifestError, TaskSpec, Thresholds};

/// The file's name in the model's folder.
pub const OVERRIDE_FILE: &str = "override.json";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Form of this file; 1.
    pub override_version: u32,
    /// The model's name.
    pub model: String,
    /// The manifest's version that was validated. Another one is another model: the file is refused.
    pub version: String,
    /// SHA-256 of the weights that were validated.
    pub weights_sha256: String,
    /// By the class's name; classes that are not named keep the manifest's.
    pub thresholds: BTreeMap<String, Thresholds>,
    /// Where they come from, for people.
    pub evaluation: OverrideEvaluation,
}

/// What the thresholds rest on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideEvaluation {
    /// RFC 3339.
    pub created: String,
    /// How they were chosen: "sensitivity of at least 0.95".
    pub rule: String,
    /// Cases that were evaluated.
    pub cases: usize,
    /// By the class's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operating_points: BTreeMap<String, OverridePoint>,
}

/// Of the threshold for Present, on the cases that chose it; intervals are of 95 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverridePoint {
    pub positives: usize,
    pub negatives: usize,
    pub sensitivity: f64,
    pub sensitivity_interval: [f64; 2],
    pub specificity: f64,
    pub specificity_interval: [f64; 2],
}

impl Override {
    /// One line for reports: where the thresholds come from.
    pub fn summary(&self) -> String {
        let day = self.evaluation.created.get(..10).unwrap_or(&self.evaluation.created);
        let (rule, cases) = (&self.evaluation.rule, self.evaluation.cases);
        format!("thresholds of a local validation on {cases} cases, {day}: {rule}")
    }

    /// Eight hexadecimal digits of the thresholds' SHA-256.
    fn fingerprint(&self) -> String {
        let text = serde_json::to_string(&self.thresholds).unwrap_or_default();
        Sha256::digest(text.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Manifest {
    /// Puts the thresholds of an `override.json` in place of the manifest's own.
    ///
    /// # Errors
    /// Not JSON, an unknown key, another model's or version's, a class that is not there, thresholds that cannot be. Nothing is changed.
    pub fn apply_override(&mut self, text: &str) -> Result<(), ManifestError> {
        let deserializer = &mut serde_json::Deserializer::from_str(text);
        let found: Override = serde_path_to_error::deserialize(deserializer)
            .map_err(|e| ManifestError::Override { path: e.path().to_string(), reason: e.inner().to_string() })?;
        let refuse = |path: String, reason: String| Err(ManifestError::Override { path, reason });
        let again = format!("evaluate again, or remove the file {OVERRIDE_FILE}");
        if found.override_version != 1 {
            return refuse("override_version".into(), format!("found {}, expected 1", found.override_version));
        }
        for (path, found, expected) in [("model", &found.model, &self.name), ("version", &found.version, &self.version)]
        {
            if found != expected {
                return refuse(path.into(), format!("found \"{found}\", expected \"{expected}\": {again}"));
            }
        }
        let hash = &found.weights_sha256;
        if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return refuse("weights_sha256".into(), "expected 64 hexadecimal digits".into());
        }
        // An ensemble's hash is that of several files: it is compared when they are read.
        let expected = self.weights.sha256.as_ref().filter(|_| self.ensemble.is_none());
        if let Some(expected) = expected.filter(|expected| *expected != hash) {
            return refuse("weights_sha256".into(), format!("found {hash}, expected {expected}: {again}"));
        }
        let TaskSpec::Classification(task) = &mut self.task else {
            return refuse("thresholds".into(), "the model does not classify: it has none".into());
        };
        if found.thresholds.is_empty() {
            return refuse("thresholds".into(), "empty".into());
        }
        for (name, t) in &found.thresholds {
            let path = format!("thresholds.{name}");
            if task.classes.iter().all(|class| class.name != *name) {
                let known: Vec<&str> = task.classes.iter().map(|class| class.name.as_str()).collect();
                return refuse(path, format!("no such class, expected one of {}", known.join(", ")));
            }
            if !t.are_possible() {
                let expected = "expected 0 <= absent <= present <= 1";
                return refuse(path, format!("found absent {} and present {}, {expected}", t.absent, t.present));
            }
        }
        if let Some((negative, positive)) = task.binary() {
            let of = |class: &ClassSpec| found.thresholds.get(&class.name).copied().unwrap_or(class.thresholds);
            let (t, expected) = (of(negative), of(positive).other_side());
            if !t.are_near(expected) {
                let (absent, present) = (expected.absent, expected.present);
                let expected = format!(
                    "expected {absent} and {present}: the other side of \"{}\", of which it is the rest",
                    positive.name
                );
                let path = format!("thresholds.{}", negative.name);
                return refuse(path, format!("found absent {} and present {}, {expected}", t.absent, t.present));
            }
        }
        let version = format!("{}+thresholds.{}", self.version, found.fingerprint());
        if version.len() > 64 {
            return refuse("version".into(), format!("\"{version}\" has more than 64 characters"));
        }
        for class in &mut task.classes {
            if let Some(thresholds) = found.thresholds.get(&class.name) {
                class.thresholds = *thresholds;
            }
        }
        self.version = version;
        self.thresholds_override = Some(found);
        Ok(())
    }

    /// The version of `manifest.json`, whatever overrides it.
    pub fn manifest_file_version(&self) -> &str {
        self.thresholds_override.as_ref().map_or(&self.version, |o| &o.version)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HASH: &str = "c51f25576bd9d00a49cf5fac49a5d7cc29bcbfe095194aa3cf3a44d24cad2a09";

    fn manifest() -> Manifest {
        Manifest::from_json(include_str!("../../models/mammography-4view-demo/manifest.json")).unwrap()
    }

    fn override_json() -> Value {
        json!({
            "override_version": 1,
            "model": "mammography-4view-demo",
            "version": "1.1.0",
            "weights_sha256": HASH,
            "thresholds": {"Mass": {"present": 0.37, "absent": 0.12}},
            "evaluation": {"created": "2026-01-02T03:04:05Z", "rule": "sensitivity of at least 0.95", "cases": 120}
        })
    }

    #[test]
    fn thresholds_and_version_change_and_nothing_else() {
        let (before, mut after) = (manifest(), manifest());
        after.apply_override(&override_json().to_string()).unwrap();
        assert_eq!(after.classes()[0].thresholds, Thresholds { present: 0.37, absent: 0.12 });
        assert_eq!(after.classes()[1..], before.classes()[1..]);
        assert!(after.version.starts_with("1.1.0+thresholds.") && after.version.len() == 25, "{}", after.version);
        assert_eq!(after.manifest_file_version(), "1.1.0");
        assert_eq!(
            after.thresholds_override.as_ref().unwrap().summary(),
            "thresholds of a local validation on 120 cases, 2026-01-02: sensitivity of at least 0.95"
        );
        // The same thresholds are the same version, whoever found them; others are another.
        let version = |change: fn(&mut Value)| {
            let (mut text, mut manifest) = (override_json(), manifest());
            change(&mut text);
            manifest.apply_override(&text.to_string()).unwrap();
            manifest.version
        };
        assert_eq!(version(|json| json["evaluation"]["cases"] = 7.into()), after.version);
        assert_ne!(version(|json| json["thresholds"]["Mass"]["present"] = 0.38.into()), after.version);
    }

    #[test]
    fn two_classes_of_one_number_change_together() {
        let mut json: Value =
            serde_json::from_str(include_str!("../../models/mammography-4view-demo/manifest.json")).unwrap();
        json["network"]["ResNet50"]["num_classes"] = json!(1);
        let task = &mut json["task"]["Classification"];
        task["activation"] = json!("sigmoid_binary");
        let [mut no, mut yes] = [task["classes"][3].clone(), task["classes"][0].clone()];
        (no["thresholds"], yes["thresholds"]) =
            (json!({"present": 0.75, "absent": 0.5}), json!({"present": 0.5, "absent": 0.25}));
        task["classes"] = json!([no, yes]);
        let apply = |thresholds: Value| {
            let mut manifest = Manifest::from_json(&json.to_string()).unwrap();
            let mut text = override_json();
            text["thresholds"] = thresholds;
            manifest.apply_override(&text.to_string()).map(|()| manifest).map_err(|e| e.to_string())
        };
        let both =
            apply(json!({"Mass": {"present": 0.4, "absent": 0.1}, "Normal": {"present": 0.9, "absent": 0.6}})).unwrap();
        let found = both.classes().iter().map(|class| (class.thresholds.present, class.thresholds.absent));
        assert_eq!(found.collect::<Vec<_>>(), [(0.9, 0.6), (0.4, 0.1)]);
        let error = apply(json!({"Mass": {"present": 0.4, "absent": 0.1}})).unwrap_err();
        assert!(
            error.contains("at thresholds.Normal: found absent 0.5 and present 0.75, expected 0.6 and 0.9"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_does_not_fit_is_refused_whole() {
        for (pointer, value, words) in [
            ("/version", json!("1.0.0"), "at version: found \"1.0.0\", expected \"1.1.0\": evaluate again, or remove"),
            ("/model", json!("other"), "at model: found \"other\""),
            ("/weights_sha256", json!("0".repeat(64)), "at weights_sha256: found 000"),
            ("/weights_sha256", json!("x"), "at weights_sha256: expected 64"),
            ("/override_version", json!(2), "at override_version: found 2"),
            ("/thresholds", json!({}), "at thresholds: empty"),
            ("/thresholds/Mass/present", json!(0.1), "at thresholds.Mass: found absent 0.12 and present 0.1"),
            ("/thresholds/Mass/present", json!(1.5), "expected 0 <= absent <= present <= 1"),
            ("/thresholds/Mass", json!({"present": 1.0}), "at thresholds.Mass: missing field `absent`"),
            ("/evaluation/rule", json!(null), "at evaluation.rule"),
        ] {
            let (mut text, mut manifest) = (override_json(), manifest());
            *text.pointer_mut(pointer).unwrap() = value;
            let error = manifest.apply_override(&text.to_string()).unwrap_err().to_string();
            assert!(error.starts_with("override.json: ") && error.contains(words), "{pointer}: {error}");
            assert_eq!((manifest.version.as_str(), manifest.thresholds_override), ("1.1.0", None));
        }
        let mut text = override_json();
        text["thresholds"]["Masss"] = json!({"present": 0.5, "absent": 0.5});
        let error = manifest().apply_override(&text.to_string()).unwrap_err().to_string();
        assert!(error.contains("at thresholds.Masss: no such class, expected one of Mass, Calcification"), "{error}");
        assert!(manifest().apply_override("{").is_err());
    }
}
