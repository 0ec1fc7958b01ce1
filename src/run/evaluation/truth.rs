//! Which label belongs to which image.

use std::collections::HashMap;

use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::{StandardDataDictionary, tags};
use regex::Regex;

use super::cases::{Case, CaseKey};
use super::{EvaluationError, Names};
use crate::evaluate::labels::{KeyKind, Label, truth};
use crate::evaluate::{Labels, LabelsError, Truth};
use crate::manifest::Manifest;
use crate::source::{InstanceHeader, InstanceId};

/// Where the truth comes from.
#[derive(Debug, Clone)]
pub enum LabelSource {
    /// Of segmentations: the reference masks beside the images, and nothing else.
    References,
    Table(Labels),
    /// A part of the file's name relative to the folder: the group `label`, else the first group, else the whole match.
    Name(Regex),
    /// The value of a DICOM attribute, by its keyword.
    Tag(String),
}

/// The masks that a segmentation is compared with.
pub(super) enum Reference {
    /// The segmentation objects of the study.
    InStudy,
    File(String),
    /// There is nothing to find.
    Empty,
}

pub(super) struct Truths {
    source: LabelSource,
    /// The model's classes; none where it segments.
    classes: Vec<String>,
    has_positive: bool,
    /// One a line of the table.
    of_lines: Vec<Option<Truth>>,
    matched: Vec<bool>,
    /// The file that a line's bare file name was found for.
    files: HashMap<usize, InstanceId>,
    /// Lines whose bare file name is that of several files.
    ambiguous: Vec<bool>,
    /// One an image that is labelled by name or attribute: what it is called, and its label.
    of_images: Vec<(String, Result<Truth, String>)>,
    /// Whether labels by name or attribute are classes, from the first on.
    are_classes: Option<bool>,
}

impl Truths {
    /// # Errors
    /// A label that is no class, labels of two kinds, yes or no without a positive class.
    pub fn new(source: &LabelSource, manifest: &Manifest, has_positive: bool) -> Result<Self, EvaluationError> {
        let classes: Vec<String> = manifest.classes().iter().map(|c| c.name.clone()).collect();
        let segments = classes.is_empty();
        let refuse = |reason: &str| Err(EvaluationError::Settings(reason.to_owned()));
        let mut of_lines = Vec::new();
        match source {
            LabelSource::References if !segments => {
                return refuse(
                    "labels: found none, expected a table, a pattern of the files' names or a DICOM attribute",
                );
            }
            LabelSource::Name(_) | LabelSource::Tag(_) if segments => {
                return refuse("labels: the model segments; expected reference segmentations, and perhaps a table");
            }
            LabelSource::Tag(keyword) if StandardDataDictionary.by_name(keyword).is_none() => {
                return refuse(&format!("labels: found \"{keyword}\", expected the keyword of a DICOM attribute"));
            }
            LabelSource::References | LabelSource::Name(_) | LabelSource::Tag(_) => {}
            LabelSource::Table(labels) => of_lines = truths_of(labels, &classes)?,
        }
        let by_class = of_lines.iter().flatten().filter(|t| matches!(t, Truth::Class(_))).count();
        let binary = of_lines.iter().flatten().count() - by_class;
        if by_class > 0 && binary > 0 {
            return refuse(TWO_KINDS);
        }
        if binary > 0 && !has_positive && !segments {
            return Err(EvaluationError::Settings(which_is_positive(&classes)));
        }
        let lines = of_lines.len();
        Ok(Self {
            source: source.clone(),
            classes,
            has_positive,
            of_lines,
            matched: vec![false; lines],
            files: HashMap::new(),
            ambiguous: vec![false; lines],
            of_images: Vec::new(),
            are_classes: None,
        })
    }

    /// The case that an instance belongs to by its label; None: it has none.
    ///
    /// # Errors
    /// As [`Self::new`], of labels by name and attribute, which are only seen now.
    pub fn case_of(&mut self, header: &InstanceHeader, names: &dyn Names) -> Result<Option<CaseKey>, EvaluationError> {
        if header.unreadable_reason().is_some() {
            return Ok(None);
        }
        let (name, value) = match &self.source {
            LabelSource::References => return Ok(None),
            LabelSource::Table(_) => return Ok(self.line_of(header, names).map(CaseKey::Label)),
            LabelSource::Name(pattern) => {
                let Some(file) = names.file(&header.id) else { return Ok(None) };
                let label = pattern.captures(&file).and_then(|c| {
                    c.name("label").or_else(|| c.get(1)).or_else(|| c.get(0)).map(|m| m.as_str().to_owned())
                });
                let Some(label) = label else { return Ok(None) };
                (file, label)
            }
            LabelSource::Tag(keyword) => {
                let Some(label) = header.by_keyword(keyword) else { return Ok(None) };
                (header.get(tags::SOP_INSTANCE_UID).unwrap_or_default().to_owned(), label.to_owned())
            }
        };
        // The value of an attribute may be a patient's: it is not repeated.
        let found = truth(&value, &self.classes)
            .map_err(|_| format!("the image's label is none of {}, nor 0 or 1", self.classes.join(", ")));
        if let Ok(truth) = found {
            let is_class = matches!(truth, Truth::Class(_));
            if *self.are_classes.get_or_insert(is_class) != is_class {
                return Err(EvaluationError::Settings(TWO_KINDS.into()));
            }
            if !is_class && !self.has_positive {
                return Err(EvaluationError::Settings(which_is_positive(&self.classes)));
            }
        }
        self.of_images.push((name, found));
        Ok(Some(CaseKey::Image(self.of_images.len() - 1)))
    }

    /// The line of the table for an instance, the most particular name first.
    fn line_of(&mut self, header: &InstanceHeader, names: &dyn Names) -> Option<usize> {
        let LabelSource::Table(labels) = &self.source else { return None };
        let by_tag = |kind, tag| labels.find(kind, header.get(tag)?);
        let mut bare = false;
        let found = KeyKind::ALL.into_iter().filter(|kind| labels.names_by(*kind)).find_map(|kind| match kind {
            KeyKind::SopInstanceUid => by_tag(kind, tags::SOP_INSTANCE_UID),
            KeyKind::SeriesInstanceUid => by_tag(kind, tags::SERIES_INSTANCE_UID),
            KeyKind::StudyInstanceUid => by_tag(kind, tags::STUDY_INSTANCE_UID),
            KeyKind::PatientId => by_tag(kind, tags::PATIENT_ID),
            KeyKind::OrthancId => names.orthanc_ids(&header.id).iter().find_map(|id| labels.find(kind, id)),
            KeyKind::File => {
                let file = names.file(&header.id)?;
                // The file itself, else its bare name, else a folder that it lies in.
                let whole = labels.find(kind, &file);
                let name = file.rsplit('/').next().filter(|name| *name != file);
                let by_name = || name.and_then(|name| labels.find(kind, name)).inspect(|_| bare = true);
                let folders = file.match_indices('/').map(|(end, _)| &file[..end]).rev();
                whole.or_else(by_name).or_else(|| folders.clone().find_map(|folder| labels.find(kind, folder)))
            }
        })?;
        self.matched[found] = true;
        if bare && *self.files.entry(found).or_insert_with(|| header.id.clone()) != header.id {
            self.ambiguous[found] = true;
        }
        Some(found)
    }

    /// A case of which nothing is known but its label.
    pub fn begin(&self, key: &CaseKey) -> Case {
        match key {
            CaseKey::Label(index) => self.begin_label(*index),
            CaseKey::Image(index) => {
                let (name, label) = &self.of_images[*index];
                let (truth, failure) = match label {
                    Ok(truth) => (Some(*truth), None),
                    Err(reason) => (None, Some(reason.clone())),
                };
                Case { id: Some(name.clone()), truth, failure, ..Case::default() }
            }
            CaseKey::Unit(_) => Case::default(),
        }
    }

    pub fn begin_label(&self, index: usize) -> Case {
        let id = self.label(index).map(|label| label.key.clone());
        Case { id, truth: self.of_lines.get(index).copied().flatten(), ..Case::default() }
    }

    fn label(&self, index: usize) -> Option<&Label> {
        match &self.source {
            LabelSource::Table(labels) => labels.entries().get(index),
            _ => None,
        }
    }

    pub fn reference(&self, key: &CaseKey) -> Reference {
        let CaseKey::Label(index) = key else { return Reference::InStudy };
        match (self.label(*index).and_then(|label| label.reference.clone()), self.of_lines.get(*index)) {
            (Some(file), _) => Reference::File(file),
            (None, Some(Some(Truth::Positive(false)))) => Reference::Empty,
            (None, _) => Reference::InStudy,
        }
    }

    /// Lines whose case was not seen, by their place in the table.
    pub fn unmatched(&self) -> Vec<usize> {
        self.matched.iter().enumerate().filter(|(_, matched)| !**matched).map(|(index, _)| index).collect()
    }

    /// The same, by their numbers in the file.
    pub fn missing(&self) -> Vec<usize> {
        self.unmatched().into_iter().filter_map(|index| self.label(index).map(|l| l.line)).collect()
    }

    /// Lines whose bare file name is that of several files, by their place in the table.
    pub fn ambiguous(&self) -> impl Iterator<Item = usize> {
        self.ambiguous.iter().enumerate().filter(|(_, ambiguous)| **ambiguous).map(|(index, _)| index)
    }

    pub fn describe(&self) -> String {
        match &self.source {
            LabelSource::References => "reference segmentations beside the images".into(),
            LabelSource::Table(labels) => format!("a table of {} cases", labels.entries().len()),
            LabelSource::Name(pattern) => format!("the files' names, by the pattern {pattern}"),
            LabelSource::Tag(keyword) => format!("the images' attribute {keyword}"),
        }
    }
}

const TWO_KINDS: &str = "labels: some name a class, others say 0 or 1; expected one kind";

fn which_is_positive(classes: &[String]) -> String {
    format!(
        "labels: found 0 or 1, but which classes does 1 mean? Name them as positive: one or more of {}",
        classes.join(", ")
    )
}

/// One a line; None where the line only names a reference.
fn truths_of(labels: &Labels, classes: &[String]) -> Result<Vec<Option<Truth>>, LabelsError> {
    let of_line = |label: &Label| {
        let refuse = |reason: String| LabelsError::Line { line: label.line, reason };
        if label.reference.is_some() && !classes.is_empty() {
            return Err(refuse("found a reference, but the model does not segment".into()));
        }
        if label.value.is_empty() {
            return Ok(None);
        }
        match truth(&label.value, classes) {
            Ok(truth) => Ok(Some(truth)),
            Err(_) if classes.is_empty() => {
                Err(refuse("expected 0 where nothing is to be found, else 1 or a reference".into()))
            }
            Err(reason) => Err(refuse(reason)),
        }
    };
    labels.entries().iter().map(of_line).collect()
}

/// What a case is, in words.
pub(super) fn name(truth: Truth, classes: &[String]) -> String {
    match truth {
        Truth::Class(class) => classes.get(class).cloned().unwrap_or_default(),
        Truth::Positive(true) => "positive".into(),
        Truth::Positive(false) => "negative".into(),
    }
}
