//! A model over cases whose truth is known, through the same pipeline as any run, storing nothing.
//!
//! [`Evaluator`] takes one study after the other: [`Evaluator::plan`] looks at headers and labels, [`Evaluator::run`] at the images,
//! [`Evaluator::report`] counts. The tool goes over a folder so; the server over studies, one input between two runs ([`queue`]).

mod cases;
mod count;
mod memory;
mod plan;
pub mod queue;
mod reference;
mod truth;
mod units;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::cases::{CaseKey, Cases};
use self::memory::MemoryStore;
use self::truth::Truths;
use super::limits::Limits;
use super::pipeline::{self, FirstModel, Monitor, RunError, RunOutcome};
use super::record::{Origin, RunRequest};
use super::select::Selection;
use crate::evaluate::{LabelsError, ThresholdRule};
use crate::manifest::{Manifest, TaskSpec};
use crate::model::LoadedModel;
use crate::result::report::Classification;
use crate::source::{InstanceHeader, InstanceId, InstanceSource, Level, Resource};

pub use self::truth::LabelSource;
pub use self::units::studies;

const INCOMPLETE: &str = "the answer has not every class's probability";

/// How the images of one case make one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Combine {
    /// The mean of each class's probability.
    #[default]
    Mean,
    /// The highest of each class's probability, and of the positive classes' sum: a case is positive where one of its images is.
    Max,
}

impl Combine {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "mean" => Some(Self::Mean),
            "max" => Some(Self::Max),
            _ => None,
        }
    }
}

/// What an evaluation is asked.
#[derive(Debug, Clone)]
pub struct EvaluationSettings {
    pub labels: LabelSource,
    /// Names of the classes that count as positive together; needed where labels say 0 or 1.
    pub positive: Vec<String>,
    pub rules: Vec<ThresholdRule>,
    pub combine: Combine,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluationError {
    #[error(transparent)]
    Labels(#[from] LabelsError),
    #[error("{0}")]
    Settings(String),
    /// The evaluation has no case to count.
    #[error("no case could be evaluated: {0}")]
    NoCase(String),
}

/// What a source calls its instances beside their ids; nothing where they have no other name.
pub trait Names {
    /// The instance's file, relative to the folder, with `/`.
    fn file(&self, id: &InstanceId) -> Option<String>;
    /// The instance of a file that a table of labels names.
    fn find(&self, file: &str) -> Option<InstanceId>;
    /// Orthanc's ids of the instance and of its study.
    fn orthanc_ids(&self, _: &InstanceId) -> Vec<String> {
        Vec::new()
    }
}

/// One run of the model, and the cases that it answers.
pub struct Unit {
    number: usize,
    selection: Selection,
    /// The case of each input, by SOPInstanceUID.
    cases: BTreeMap<String, CaseKey>,
    /// Of a segmentation: the headers of its inputs.
    inputs: Vec<InstanceHeader>,
    references: Vec<InstanceId>,
}

impl Unit {
    /// The case that all of its inputs belong to; None: several cases, or images without a label among them.
    fn only_case(&self) -> Option<&CaseKey> {
        let mut keys = self.selection.inputs.iter().map(|input| self.cases.get(&input.sop_instance_uid));
        let first = keys.next()??;
        keys.all(|key| key == Some(first)).then_some(first)
    }
}

/// An evaluation on its way.
pub struct Evaluator {
    manifest: Arc<Manifest>,
    weights_sha256: String,
    settings: EvaluationSettings,
    positive: Vec<usize>,
    truths: Truths,
    cases: Cases,
    /// Cases of which no study so far has given an image.
    unfit: Cases,
    units: usize,
    /// Images that the model takes and that have no label.
    unlabelled: usize,
    unreadable: usize,
    warnings: BTreeMap<String, usize>,
}

impl Evaluator {
    /// # Errors
    /// Labels that are no classes of the model, 0 and 1 without a positive class, a class that is not there.
    pub fn new(
        manifest: Arc<Manifest>,
        weights_sha256: String,
        settings: EvaluationSettings,
    ) -> Result<Self, EvaluationError> {
        let names: Vec<String> = manifest.classes().iter().map(|c| c.name.clone()).collect();
        let class = |name: &String| {
            let found = names.iter().position(|known| known.to_lowercase() == name.trim().to_lowercase());
            let known = || format!("positive: found \"{name}\", expected classes of the model: {}", names.join(", "));
            found.ok_or_else(|| EvaluationError::Settings(known()))
        };
        let mut positive = settings.positive.iter().map(class).collect::<Result<Vec<usize>, _>>()?;
        positive.sort_unstable();
        positive.dedup();
        if !positive.is_empty() && positive.len() == names.len() {
            return Err(EvaluationError::Settings("positive: found every class, expected some of them".into()));
        }
        for rule in &settings.rules {
            if let ThresholdRule::Sensitivity(wanted) | ThresholdRule::Specificity(wanted) = rule
                && !(0.0..=1.0).contains(wanted)
            {
                return Err(EvaluationError::Settings(format!("{rule}: expected a share between 0 and 1")));
            }
        }
        let truths = Truths::new(&settings.labels, &manifest, !positive.is_empty())?;
        Ok(Self {
            manifest,
            weights_sha256,
            settings,
            positive,
            truths,
            cases: Cases::new(),
            unfit: Cases::new(),
            units: 0,
            unlabelled: 0,
            unreadable: 0,
            warnings: BTreeMap::new(),
        })
    }

    fn segments(&self) -> Option<Vec<String>> {
        match &self.manifest.task {
            TaskSpec::Segmentation(task) => Some(task.segments.iter().map(|s| s.name.clone()).collect()),
            TaskSpec::Classification(_) => None,
        }
    }

    /// So many files could not be read.
    pub fn leave_out(&mut self, files: usize) {
        self.unreadable += files;
    }

    fn warn(&mut self, text: impl Into<String>) {
        *self.warnings.entry(text.into()).or_default() += 1;
    }

    /// Lines of the table whose case is nowhere among the studies that were planned.
    pub fn missing(&self) -> Vec<usize> {
        self.truths.missing()
    }

    /// Runs the model on one unit and keeps what it answers; an error of the unit is its cases'. A model that looks at what another one finds has
    /// that one run first, on the same images.
    ///
    /// # Errors
    /// [`RunError::Cancelled`] alone.
    pub fn run(
        &mut self,
        unit: &Unit,
        source: &dyn InstanceSource,
        (model, first): (&mut LoadedModel, Option<&mut LoadedModel>),
        limits: Limits,
        monitor: &dyn Monitor,
    ) -> Result<(), RunError> {
        let store = MemoryStore::default();
        let request = RunRequest {
            model: self.manifest.name.clone(),
            resource: Resource::new(Level::Study, unit.number.to_string()),
            study: unit.number.to_string(),
            inputs: unit.selection.inputs.clone(),
            warnings: Vec::new(),
            origin: Origin::Tool,
            priority: 0,
            force: false,
            not_before: None,
        };
        // One case that makes a codec panic is one case.
        let stage = FirstModel { model: first, regions: None };
        let work = || pipeline::run_staged((source, &store), model, stage, &request, limits, monitor);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(Err(RunError::Panic));
        match outcome {
            Err(RunError::Cancelled) => return Err(RunError::Cancelled),
            Err(error) => self.fail(unit, &error.to_string()),
            Ok(outcome) => {
                for warning in unit.selection.warnings.iter().chain(&outcome.warnings) {
                    self.warn(warning.as_str());
                }
                match self.segments() {
                    Some(_) => self.keep_masks(unit, source, limits, &store.into_segmentations()),
                    None => self.keep_answers(unit, &outcome),
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, unit: &Unit, reason: &str) {
        for key in unit.cases.values() {
            if let Some(case) = self.cases.get_mut(key) {
                case.fail(reason);
            }
        }
    }

    fn keep_answers(&mut self, unit: &Unit, outcome: &RunOutcome) {
        let manifest = self.manifest.clone();
        let one_a_class = |values: &serde_json::Map<String, serde_json::Value>| -> Option<Vec<f64>> {
            manifest.classes().iter().map(|class| values.get(&class.name)?.as_f64()).collect()
        };
        let all = |result: &Classification| one_a_class(&result.all_probabilities);
        let spreads = |result: &Classification| result.all_spreads.as_ref().and_then(one_a_class);
        if let (Some(overall), Some(key)) = (&outcome.report.overall, unit.only_case()) {
            let failed = overall.total.saturating_sub(overall.analysed);
            if failed > 0 {
                self.warn("images of a case were not analysed; the model's answer is of the others");
            }
            let Some(case) = self.cases.get_mut(key) else { return };
            match all(&overall.result) {
                Some(probabilities) => {
                    case.probabilities.push(probabilities);
                    case.spreads.extend(spreads(&overall.result));
                    case.answered += unit.selection.inputs.len();
                }
                None => case.fail(INCOMPLETE),
            }
            return;
        }
        for image in &outcome.report.images {
            let key = unit.cases.get(&image.instance_uid);
            let Some(case) = key.and_then(|key| self.cases.get_mut(key)) else { continue };
            let Some(result) = &image.result else {
                case.fail(format!("{}: {}", image.view, image.error.as_deref().unwrap_or("not analysed")));
                continue;
            };
            match all(result) {
                Some(probabilities) => {
                    case.probabilities.push(probabilities);
                    case.spreads.extend(spreads(result));
                    case.answered += 1;
                }
                None => case.fail(INCOMPLETE),
            }
        }
    }

    fn keep_masks(&mut self, unit: &Unit, source: &dyn InstanceSource, limits: Limits, answers: &[Vec<u8>]) {
        let compared = reference::compare(&self.manifest, source, &unit.inputs, &unit.references, answers, limits);
        let Some(case) = unit.cases.values().next().and_then(|key| self.cases.get_mut(key)) else { return };
        match compared {
            Ok(overlaps) => case.overlaps.extend(overlaps),
            Err(reason) => case.fail(reason),
        }
    }
}

#[cfg(test)]
mod tests;
