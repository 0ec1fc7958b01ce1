//! The report, once everything was run.

use std::collections::BTreeSet;

use time::format_description::well_known::Rfc3339;

use super::cases::{Case, CaseKey};
use super::{Combine, EvaluationError, Evaluator, truth};
use crate::evaluate::report::CaseReport;
use crate::evaluate::{ClassificationQuestion, EvaluationReport, ScoredCase, classification, segment_evaluation};
use crate::manifest::{Activation, TaskSpec};

impl Evaluator {
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
            let answered = case.answered;
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
        let patients = ok().flat_map(|c| &c.patients).collect::<BTreeSet<_>>().len();
        let classes: Vec<String> = self.manifest.classes().iter().map(|c| c.name.clone()).collect();
        let segments = self.segments();
        let classification = match &segments {
            Some(_) => None,
            None => {
                let scored: Vec<_> = ok().filter_map(|c| self.scored(c)).collect();
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

    fn scored(&self, case: &Case) -> Option<ScoredCase> {
        let exclusive = match &self.manifest.task {
            TaskSpec::Classification(task) => task.activation != Activation::Sigmoid,
            TaskSpec::Segmentation(_) => true,
        };
        case.scored(self.settings.combine, &self.positive, exclusive)
    }

    fn case_report(&self, number: usize, case: &Case, classes: &[String], segments: &[String]) -> CaseReport {
        let scored = self.scored(case);
        let answer = scored.as_ref().map(|s| crate::evaluate::classification::answer(&s.probabilities));
        CaseReport {
            number,
            id: case.id.clone(),
            images: case.images,
            truth: case.truth.map(|truth| truth::name(truth, classes)).filter(|_| !classes.is_empty()),
            answer: answer.and_then(|class| classes.get(class).cloned()),
            probabilities: scored.map(|s| s.probabilities).unwrap_or_default(),
            spreads: case.spreads(self.settings.combine),
            segments: case.segments(segments),
            failed: case.failure.clone(),
        }
    }

    fn combination(&self) -> String {
        let TaskSpec::Classification(task) = &self.manifest.task else {
            return "what one run of the model takes".into();
        };
        let value = match self.settings.combine {
            Combine::Mean => "the mean of each class's probability",
            Combine::Max => "the highest of each class's probability",
        };
        match &task.aggregate {
            None => format!("what a label names; of several images {value}"),
            Some(aggregate) => format!(
                "what a label names; where that is all images of a run, the model's own answer for them ({}); of several answers {value}",
                aggregate.describe()
            ),
        }
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
