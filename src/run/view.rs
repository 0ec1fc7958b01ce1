//! A run as REST shows it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::record::{ImageResult, Run, RunId, RunState, SliceResult, Stage};
use super::timestamp::Timestamp;
use crate::manifest::Answers;
use crate::result::report::{ExplanationReport, OverallReport, SegmentationReport};
use crate::source::{StoreStatus, StoredInstance};

/// What clients of the REST interface read. Keys may be added, and keep their meaning; how a run is stored is another matter.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct RunView<'a> {
    #[serde(rename = "ID")]
    id: &'a RunId,
    model: &'a str,
    model_title: &'a str,
    version: &'a str,
    demo: bool,
    disclaimer: &'a str,
    resource: String,
    study: &'a str,
    origin: &'static str,
    rule: Option<&'a str>,
    priority: i32,
    force: bool,
    state: RunState,
    progress: u8,
    stage: Option<Stage>,
    created: Timestamp,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    attempts: u32,
    not_before: Option<Timestamp>,
    node: Option<&'a str>,
    superseded_by: Option<&'a RunId>,
    stage_seconds: &'a BTreeMap<String, f64>,
    error: Option<&'a str>,
    status: Option<StoreStatus>,
    #[serde(rename = "JobID")]
    job_id: Option<&'a str>,
    warnings: Vec<&'a String>,
    results: Vec<&'a ImageResult>,
    /// Those that the model combines, whose spread stands beside probabilities and segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<Answers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overall: Option<OverallView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segmentation: Option<&'a SegmentationReport>,
    /// What the answer rests on, of one run alone.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    explanations: &'a [ExplanationReport],
    stored: &'a [StoredInstance],
    #[serde(skip_serializing_if = "Option::is_none")]
    slices: Option<&'a [SliceResult]>,
}

impl Run {
    /// As one of a list.
    pub fn view(&self) -> RunView<'_> {
        RunView {
            id: &self.id,
            model: &self.request.model,
            model_title: &self.card.title,
            version: &self.card.version,
            demo: self.card.demo,
            disclaimer: &self.card.disclaimer,
            resource: self.request.resource.to_string(),
            study: &self.request.study,
            origin: self.request.origin.name(),
            rule: self.request.origin.rule(),
            priority: self.request.priority,
            force: self.request.force,
            state: self.state,
            progress: self.progress,
            stage: self.stage,
            created: self.created,
            started: self.started,
            finished: self.finished,
            attempts: self.attempts,
            not_before: self.not_before,
            node: self.node.as_deref(),
            superseded_by: self.superseded_by.as_ref(),
            stage_seconds: &self.stage_seconds,
            error: self.error.as_deref(),
            status: self.status,
            job_id: self.job_id.as_deref(),
            warnings: self.all_warnings().collect(),
            results: self.results.iter().filter(|r| self.overall.is_none() || !r.image.success).collect(),
            answers: self.report.as_ref().and_then(|report| report.answers),
            overall: self.overall.as_ref().map(|overall| OverallView::of(overall, &self.results)),
            segmentation: self.segmentation.as_ref(),
            explanations: &[],
            stored: &self.stored,
            slices: None,
        }
    }

    /// With the slices of a segmentation, of which there are hundreds, and with each image's answer where there is one for all of them.
    pub fn view_in_full(&self) -> RunView<'_> {
        RunView {
            slices: self.segmentation.is_some().then_some(&self.slices[..]),
            results: self.results.iter().collect(),
            explanations: self.report.as_ref().map_or(&[], |report| &report.explanations),
            ..self.view()
        }
    }
}

/// The answer for all images, with those that carry it in the server's terms.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
struct OverallView<'a> {
    #[serde(flatten)]
    overall: &'a OverallReport,
    carrying_images: Vec<&'a ImageResult>,
}

impl<'a> OverallView<'a> {
    fn of(overall: &'a OverallReport, results: &'a [ImageResult]) -> Self {
        let carrying_images = overall.carrying.iter().filter_map(|i| results.get(*i)).collect();
        Self { overall, carrying_images }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::run::record::{ModelCard, Origin, RunRequest};
    use crate::source::{Level, Resource};

    #[test]
    fn a_run_tells_how_many_answers_its_model_combines() {
        let request = json!({"Model": "m", "Resource": Resource::new(Level::Study, "s"), "Study": "s", "Inputs": [],
            "Warnings": [], "Origin": Origin::Rest, "Priority": 0, "Force": false});
        let request: RunRequest = serde_json::from_value(request).unwrap();
        let card = ModelCard {
            title: "M".into(),
            version: "1".into(),
            weights_sha256: "w".into(),
            demo: false,
            disclaimer: String::new(),
        };
        let mut run = Run::new(request, card);
        let told = |run: &Run| serde_json::to_value(run.view()).unwrap().get("Answers").cloned();
        assert_eq!(told(&run), None);
        let report = |answers: Value| {
            let mut report = json!({"Model": "m", "Title": "M", "Version": "1", "Weights": "w", "Demo": false,
                "Disclaimer": "", "Created": "2026-01-02T03:04:05Z"});
            report["Answers"] = answers;
            serde_json::from_value(report).unwrap()
        };
        run.report = Some(report(json!({"Views": 4, "Models": 2})));
        assert_eq!(told(&run), Some(json!({"Views": 4, "Models": 2})));
        run.report = Some(report(Value::Null));
        assert_eq!(told(&run), None);
    }
}
