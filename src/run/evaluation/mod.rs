//! A model over cases whose truth is known, through the same pipeline as any run, storing nothing.
//!
//! [`Evaluator`] takes one study after the other: [`Evaluator::plan`] looks at headers and labels, [`Evaluator::run`] at the images,
//! [`Evaluator::report`] counts. The tool goes over a folder so; the server over studies, one input between two runs ([`queue`]).

mod cases;
mod memory;
pub mod queue;
mod reference;
mod truth;
mod units;

use std::collections::BTreeMap;
use std::sync::Arc;

use dicom_dictionary_std::tags;
use time::format_description::well_known::Rfc3339;

use self::cases::{Case, CaseKey, Cases};
use self::memory::MemoryStore;
use self::truth::{Reference, Truths};
use super::limits::Limits;
use super::pipeline::{self, Monitor, RunError, RunOutcome};
use super::record::{Origin, RunRequest};
use super::select::Selection;
use crate::evaluate::report::CaseReport;
use crate::evaluate::{
    ClassificationQuestion, EvaluationReport, LabelsError, ThresholdRule, classification, segment_evaluation,
};
use crate::manifest::{Manifest, TaskSpec};
use crate::model::LoadedModel;
use crate::source::{InstanceHeader, InstanceId, InstanceSource, Level, Resource};

pub use self::truth::LabelSource;
pub use self::units::studies;

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

/// A study's headers, and those of them that a label is for.
struct Study<'a> {
    headers: &'a [InstanceHeader],
    labelled: Vec<(&'a InstanceHeader, CaseKey)>,
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

    /// What to run of one study, after its headers. Cases that the model does not take have failed; nothing is run of images without a
    /// label.
    ///
    /// # Errors
    /// Labels of the images say yes or no where no class is positive, or are of two kinds.
    pub fn plan(&mut self, study: &[InstanceHeader], names: &dyn Names) -> Result<Vec<Unit>, EvaluationError> {
        let mut labelled = Vec::new();
        for header in study {
            if let Some(key) = self.truths.case_of(header, names)? {
                labelled.push((header, key));
            }
        }
        let study = Study { headers: study, labelled };
        let mut planned = Vec::new();
        let reason = match units::selections(&self.manifest.input, study.headers) {
            Ok(selections) => {
                for selection in selections {
                    self.units += 1;
                    planned.extend(match self.segments() {
                        Some(_) => self.plan_segmentation(&study, selection, names),
                        None => self.plan_classification(&study, selection),
                    });
                }
                "the model takes none of the case's images".to_owned()
            }
            Err(reason) => {
                self.refuse(&study, &reason.0);
                reason.0
            }
        };
        // Unless another study has images of the same case.
        for (header, key) in study.labelled.iter().filter(|(_, key)| matches!(key, CaseKey::Label(_))) {
            if !self.cases.contains_key(key) && !self.unfit.contains_key(key) {
                let mut case = self.truths.begin(key, header);
                case.fail(reason.as_str());
                self.unfit.insert(key.clone(), case);
            }
        }
        Ok(planned)
    }

    /// The model takes nothing of the study: what no line of the table names is one failed case, or left out.
    fn refuse(&mut self, study: &Study<'_>, reason: &str) {
        if study.labelled.iter().any(|(_, key)| matches!(key, CaseKey::Label(_))) {
            return;
        }
        if !study.labelled.is_empty() {
            self.units += 1;
            let mut case = Case { images: study.labelled.len(), ..Case::default() };
            case.fail(reason);
            self.cases.insert(CaseKey::Unit(self.units), case);
        } else if study.headers.iter().any(|h| h.unreadable_reason().is_none()) {
            self.warn(format!("a study is left out: {reason}"));
        }
    }

    fn warn(&mut self, text: impl Into<String>) {
        *self.warnings.entry(text.into()).or_default() += 1;
    }

    fn plan_classification(&mut self, study: &Study<'_>, selection: Selection) -> Option<Unit> {
        let mut cases = BTreeMap::new();
        for input in &selection.inputs {
            let Some((header, key)) = study.labelled.iter().find(|(h, _)| h.id == input.id) else {
                self.unlabelled += 1;
                continue;
            };
            let truths = &self.truths;
            let case = self.cases.entry(key.clone()).or_insert_with(|| truths.begin(key, header));
            case.images += 1;
            case.patients.extend(header.get(tags::PATIENT_ID).map(str::to_owned));
            cases.insert(input.sop_instance_uid.clone(), key.clone());
        }
        let (number, inputs, references) = (self.units, Vec::new(), Vec::new());
        (!cases.is_empty()).then_some(Unit { number, selection, cases, inputs, references })
    }

    fn plan_segmentation(&mut self, study: &Study<'_>, selection: Selection, names: &dyn Names) -> Option<Unit> {
        let is_input = |h: &InstanceHeader| selection.inputs.iter().any(|i| i.id == h.id);
        let inputs: Vec<InstanceHeader> = study.headers.iter().filter(|h| is_input(h)).cloned().collect();
        let label = study.labelled.iter().find(|(h, _)| is_input(h));
        let (key, header) = match label {
            Some((header, key)) => (key.clone(), *header),
            None => (CaseKey::Unit(self.units), inputs.first()?),
        };
        let found = study.headers.iter().filter(|h| reference::is_reference(h)).map(|h| h.id.clone());
        let (references, fault) = match self.truths.reference(&key) {
            Reference::Empty => (Vec::new(), None),
            Reference::File(file) => match names.find(&file) {
                Some(id) => (vec![id], None),
                None => (Vec::new(), Some("the reference that the table names is not among the files")),
            },
            Reference::InStudy => {
                let found: Vec<InstanceId> = found.collect();
                let fault = found.is_empty().then_some("it has no reference segmentation");
                if fault.is_some() && label.is_none() {
                    self.warn("a study is left out: it has no reference segmentation");
                    return None;
                }
                (found, fault)
            }
        };
        let truths = &self.truths;
        let case = self.cases.entry(key.clone()).or_insert_with(|| truths.begin(&key, header));
        case.images += inputs.len();
        case.patients.extend(header.get(tags::PATIENT_ID).map(str::to_owned));
        if let Some(fault) = fault {
            case.fail(fault);
            return None;
        }
        let cases = selection.inputs.iter().map(|i| (i.sop_instance_uid.clone(), key.clone())).collect();
        Some(Unit { number: self.units, selection, cases, inputs, references })
    }

    /// Lines of the table whose case is nowhere among the studies that were planned.
    pub fn missing(&self) -> Vec<usize> {
        self.truths.missing()
    }

    /// Runs the model on one unit and keeps what it answers; an error of the unit is its cases'.
    ///
    /// # Errors
    /// [`RunError::Cancelled`] alone.
    pub fn run(
        &mut self,
        unit: &Unit,
        source: &dyn InstanceSource,
        model: &mut LoadedModel,
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
        let work = || pipeline::run(source, &store, model, &request, limits, monitor);
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
        let classes = self.manifest.classes();
        for image in &outcome.report.images {
            let key = unit.cases.get(&image.instance_uid);
            let Some(case) = key.and_then(|key| self.cases.get_mut(key)) else { continue };
            let Some(result) = &image.result else {
                case.fail(format!("{}: {}", image.view, image.error.as_deref().unwrap_or("not analysed")));
                continue;
            };
            let probability = |class: &crate::manifest::ClassSpec| result.all_probabilities.get(&class.name)?.as_f64();
            match classes.iter().map(probability).collect::<Option<Vec<f64>>>() {
                Some(probabilities) => case.probabilities.push(probabilities),
                None => case.fail("the answer has not every class's probability"),
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

    /// Counts.
    ///
    /// # Errors
    /// [`EvaluationError::NoCase`] where every case failed, or there is none.
    pub fn report(&mut self) -> Result<EvaluationReport, EvaluationError> {
        for index in self.truths.unmatched() {
            let mut case = self.truths.begin_label(index);
            case.fail("the case is not among the studies");
            self.unfit.insert(CaseKey::Label(index), case);
        }
        for index in self.truths.ambiguous() {
            if let Some(case) = self.cases.get_mut(&CaseKey::Label(index)) {
                case.fail("several files have this name: name them with their folders");
            }
        }
        for (key, case) in std::mem::take(&mut self.unfit) {
            self.cases.entry(key).or_insert(case);
        }
        for case in self.cases.values_mut() {
            let answered = case.probabilities.len();
            if case.failure.is_none() && !self.manifest.classes().is_empty() && answered != case.images {
                case.fail(format!("{answered} of {} images were answered", case.images));
            }
        }
        let ok = || self.cases.values().filter(|c| c.failure.is_none());
        if ok().next().is_none() {
            let reason = self.cases.values().find_map(|c| c.failure.clone());
            let reason = reason.unwrap_or_else(|| "no image that the model takes has a label".into());
            return Err(EvaluationError::NoCase(reason));
        }
        let patients = ok().flat_map(|c| &c.patients).collect::<std::collections::BTreeSet<_>>().len();
        let classes: Vec<String> = self.manifest.classes().iter().map(|c| c.name.clone()).collect();
        let segments = self.segments();
        let classification = match &segments {
            Some(_) => None,
            None => {
                let scored: Vec<_> = ok().filter_map(|c| c.scored(self.settings.combine, &self.positive)).collect();
                let question = ClassificationQuestion {
                    positive: self.positive.clone(),
                    rules: self.settings.rules.clone(),
                    in_force: self.manifest.classes().iter().map(|c| c.thresholds.present).collect(),
                };
                Some(classification(&classes, &scored, &question).map_err(EvaluationError::Settings)?)
            }
        };
        let names = segments.unwrap_or_default();
        let segmentation = names.iter().enumerate().map(|(index, name)| {
            let of_segment: Vec<_> =
                ok().flat_map(|c| &c.overlaps).filter(|(i, _)| *i == index).map(|(_, o)| o).collect();
            segment_evaluation(name, &of_segment)
        });
        let segmentation = segmentation.collect();
        let cases = self.cases.values().enumerate().map(|(i, case)| self.case_report(i + 1, case, &classes, &names));
        let cases = cases.collect();
        let report = &self.manifest.report;
        Ok(EvaluationReport {
            model: self.manifest.name.clone(),
            title: self.manifest.title.clone(),
            version: self.manifest.version.clone(),
            weights: self.weights_sha256.clone(),
            demo: self.manifest.demo,
            disclaimer: report.disclaimer.clone(),
            created: time::OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            labels: self.truths.describe(),
            combination: self.combination(),
            patients,
            warnings: self.all_warnings(),
            classes,
            classification,
            segmentation,
            cases,
        })
    }

    fn case_report(&self, number: usize, case: &Case, classes: &[String], segments: &[String]) -> CaseReport {
        let scored = case.scored(self.settings.combine, &self.positive);
        let answer = scored.as_ref().map(|s| crate::evaluate::classification::answer(&s.probabilities));
        CaseReport {
            number,
            id: case.id.clone(),
            images: case.images,
            truth: case.truth.map(|truth| truth::name(truth, classes)).filter(|_| !classes.is_empty()),
            answer: answer.and_then(|class| classes.get(class).cloned()),
            probabilities: scored.map(|s| s.probabilities).unwrap_or_default(),
            segments: case.segments(segments),
            failed: case.failure.clone(),
        }
    }

    fn combination(&self) -> String {
        if self.manifest.classes().is_empty() {
            return "what one run of the model takes".into();
        }
        match self.settings.combine {
            Combine::Mean => "what a label names; of several images the mean of each class's probability",
            Combine::Max => "what a label names; of several images the highest of each class's probability",
        }
        .into()
    }

    fn all_warnings(&self) -> Vec<String> {
        const SHOWN: usize = 20;
        let mut warnings = Vec::new();
        if self.unlabelled > 0 {
            warnings.push(format!("{} images that the model takes have no label and were left out", self.unlabelled));
        }
        if self.unreadable > 0 {
            warnings.push(format!("{} files cannot be read as DICOM and were left out", self.unreadable));
        }
        warnings.extend(self.warnings.iter().take(SHOWN).map(|(text, n)| format!("{n} × {text}")));
        if self.warnings.len() > SHOWN {
            warnings.push(format!("{} more kinds of warnings", self.warnings.len() - SHOWN));
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
