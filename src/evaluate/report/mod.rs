//! The report of an evaluation: JSON ([`EvaluationReport`] itself), HTML ([`html`]) and a table of the cases ([`cases_csv`]).
//!
//! JSON and HTML number the cases, so that they can be handed on: no identifier, no file name, no value of the images. The table names each
//! case as the labels do, so that figures and labels can be joined: it is as private as the labels are.

mod cases;
mod figures;
mod html;
mod summary;
mod svg;

use serde::Serialize;

use super::classification::{ClassificationEvaluation, OperatingPoint};
use super::overlap::Overlap;
use super::segmentation::SegmentEvaluation;
use crate::manifest::{Manifest, Override, OverrideEvaluation, OverridePoint, TaskSpec, Thresholds};

pub use cases::{cases_csv, plain_cell};
pub use figures::escape;
pub use html::html;

/// How right a model was on the cases of one site.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EvaluationReport {
    pub model: String,
    pub title: String,
    /// With the site's own thresholds, if it has some.
    pub version: String,
    /// SHA-256 of the weights.
    pub weights: String,
    pub demo: bool,
    pub disclaimer: String,
    /// RFC 3339.
    pub created: String,
    /// Of this program.
    pub software_version: String,
    /// Where the truth came from, in words.
    pub labels: String,
    /// How a case's images make one answer, in words.
    pub combination: String,
    /// Patients that the evaluated cases belong to, as far as the images tell.
    pub patients: usize,
    pub warnings: Vec<String>,
    /// The classes, in the order of the cases' probabilities.
    pub classes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<ClassificationEvaluation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segmentation: Vec<SegmentEvaluation>,
    /// All, also those that failed.
    pub cases: Vec<CaseReport>,
}

/// One case: either evaluated or `Failed`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CaseReport {
    /// From 1.
    pub number: usize,
    /// As the labels name it. Never part of the JSON.
    #[serde(skip)]
    pub id: Option<String>,
    pub images: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
    /// The class of the highest probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probabilities: Vec<f64>,
    /// Of each class's probability the standard deviation over the answers that the model combines; empty where it does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spreads: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentOverlap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SegmentOverlap {
    pub segment: String,
    #[serde(flatten)]
    pub overlap: Overlap,
}

impl EvaluationReport {
    pub fn failures(&self) -> impl Iterator<Item = (&CaseReport, &str)> {
        self.cases.iter().filter_map(|case| Some((case, case.failed.as_deref()?)))
    }

    /// The chosen thresholds as the file `override.json` of the model. One rule: Present from its threshold on, else Absent. A
    /// sensitivity and a specificity: Absent below the first's threshold, Present from the second's on, and Undetermined between. Of two
    /// classes that share one number the other one's follow.
    ///
    /// # Errors
    /// In words: nothing was chosen, or a class has no threshold that does what was wanted.
    pub fn thresholds(&self, manifest: &Manifest) -> Result<Override, String> {
        let evaluation = self.classification.as_ref().ok_or("a segmentation has no thresholds of classes")?;
        let single: Vec<_> = evaluation.questions.iter().filter(|q| q.positive.len() == 1).collect();
        // Where a class was asked for, it is the first question, and the others keep their thresholds.
        let binary = match &manifest.task {
            TaskSpec::Classification(task) => task.binary(),
            TaskSpec::Segmentation(_) => None,
        };
        let asked = match evaluation.questions.first() {
            Some(first) if first.positive.len() > 1 => {
                return Err("thresholds belong to classes, not to several classes together".into());
            }
            Some(first) if first.asked => single[..1].to_vec(),
            _ => match binary {
                Some((_, positive)) => single.into_iter().filter(|q| q.positive[0] == positive.name).collect(),
                None => single,
            },
        };
        let mut thresholds = std::collections::BTreeMap::new();
        let mut points = std::collections::BTreeMap::new();
        let mut rules: Vec<&str> = Vec::new();
        for question in asked {
            let name = &question.positive[0];
            let chosen: Vec<&OperatingPoint> =
                question.operating_points.iter().filter(|p| p.rule != "in force").collect();
            rules = chosen.iter().map(|p| p.rule.as_str()).collect();
            let threshold = |point: &&OperatingPoint| {
                let reason = || format!("{name}: {}", point.reason.as_deref().unwrap_or("no threshold"));
                point.threshold.ok_or_else(reason)
            };
            let values = chosen.iter().map(threshold).collect::<Result<Vec<f64>, _>>()?;
            let (absent, present, of_present) = match values[..] {
                [] => return Err("no threshold was asked for".into()),
                [one] => (one, one, chosen[0]),
                // Every case below the first is rightly Absent as often as wanted, every case from the second on Present.
                [first, second] if first <= second => (first, second, chosen[1]),
                [first, _] => (first, first, chosen[0]),
                _ => return Err(format!("found {} rules for a threshold, expected one or two", values.len())),
            };
            thresholds.insert(name.clone(), Thresholds { present: present.min(1.0), absent: absent.min(1.0) });
            points
                .extend(override_point(question.positives, question.negatives, of_present).map(|p| (name.clone(), p)));
        }
        if thresholds.is_empty() {
            return Err("no class was evaluated".into());
        }
        if let Some((negative, positive)) = binary {
            let to = if thresholds.contains_key(&positive.name) { negative } else { positive };
            let chosen = thresholds.values().next().copied().map(Thresholds::other_side);
            thresholds.extend(chosen.map(|other| (to.name.clone(), other)));
        }
        let cases = evaluation.cases;
        let rule = rules.join(", ");
        Ok(Override {
            override_version: 1,
            model: manifest.name.clone(),
            version: manifest.manifest_file_version().to_owned(),
            weights_sha256: self.weights.clone(),
            thresholds,
            evaluation: OverrideEvaluation { created: self.created.clone(), rule, cases, operating_points: points },
        })
    }
}

fn override_point(positives: usize, negatives: usize, point: &OperatingPoint) -> Option<OverridePoint> {
    let figures = point.figures.as_ref()?;
    let (sensitivity, specificity) = (figures.sensitivity.estimate()?, figures.specificity.estimate()?);
    Some(OverridePoint {
        positives,
        negatives,
        sensitivity: sensitivity.value,
        sensitivity_interval: sensitivity.interval?,
        specificity: specificity.value,
        specificity_interval: specificity.interval?,
    })
}

#[cfg(test)]
mod tests;
