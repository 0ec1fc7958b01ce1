//! Which cases a study gives, and what to run of it: headers and labels alone.

use std::collections::BTreeMap;

use dicom_dictionary_std::tags;

use super::cases::{Case, CaseKey};
use super::truth::Reference;
use super::{EvaluationError, Evaluator, Names, Unit, reference, units};
use crate::run::select::Selection;
use crate::source::{InstanceHeader, InstanceId};

/// A study's headers, and those of them that a label is for.
struct Study<'a> {
    headers: &'a [InstanceHeader],
    labelled: Vec<(&'a InstanceHeader, CaseKey)>,
}

impl Evaluator {
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
        for (_, key) in study.labelled.iter().filter(|(_, key)| matches!(key, CaseKey::Label(_))) {
            if !self.cases.contains_key(key) && !self.unfit.contains_key(key) {
                let mut case = self.truths.begin(key);
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

    fn plan_classification(&mut self, study: &Study<'_>, selection: Selection) -> Option<Unit> {
        let mut cases = BTreeMap::new();
        for input in &selection.inputs {
            let Some((header, key)) = study.labelled.iter().find(|(h, _)| h.id == input.id) else {
                self.unlabelled += 1;
                continue;
            };
            let truths = &self.truths;
            let case = self.cases.entry(key.clone()).or_insert_with(|| truths.begin(key));
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
        let case = self.cases.entry(key.clone()).or_insert_with(|| truths.begin(&key));
        case.images += inputs.len();
        case.patients.extend(header.get(tags::PATIENT_ID).map(str::to_owned));
        if let Some(fault) = fault {
            case.fail(fault);
            return None;
        }
        let cases = selection.inputs.iter().map(|i| (i.sop_instance_uid.clone(), key.clone())).collect();
        Some(Unit { number: self.units, selection, cases, inputs, references })
    }
}
