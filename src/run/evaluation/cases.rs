//! Cases as they come together: which images belong to one, what was answered for each, and why it failed.

use std::collections::{BTreeMap, BTreeSet};

use super::Combine;
use crate::evaluate::report::SegmentOverlap;
use crate::evaluate::{Overlap, ScoredCase, Truth};

/// What makes one case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CaseKey {
    /// A line of the table.
    Label(usize),
    /// An image by its place in the evaluation, labelled by name or attribute.
    Image(usize),
    /// A study, or the part of it that one run takes, by its number.
    Unit(usize),
}

#[derive(Debug, Default)]
pub(super) struct Case {
    /// As the labels name it.
    pub id: Option<String>,
    pub truth: Option<Truth>,
    pub images: usize,
    /// Images that are in an answer.
    pub answered: usize,
    /// One an image, or one a run where the model makes one answer of all its images.
    pub probabilities: Vec<Vec<f64>>,
    /// One each of those, of a model that combines several answers; else none.
    pub spreads: Vec<Vec<f64>>,
    /// (index of the segment, its overlap)
    pub overlaps: Vec<(usize, Overlap)>,
    pub patients: BTreeSet<String>,
    pub failure: Option<String>,
}

impl Case {
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.failure.get_or_insert(reason.into());
    }

    /// The case's one answer. None: it failed.
    /// `exclusive`: exactly one class is present, so that the probabilities of several add up.
    pub fn scored(&self, combine: Combine, positive: &[usize], exclusive: bool) -> Option<ScoredCase> {
        let truth = self.truth.filter(|_| self.failure.is_none())?;
        let classes = self.probabilities.first()?.len();
        let combined = |of_image: &dyn Fn(&Vec<f64>) -> f64| {
            let values = self.probabilities.iter().map(of_image);
            match combine {
                Combine::Mean => values.sum::<f64>() / self.probabilities.len() as f64,
                Combine::Max => values.fold(0.0, f64::max),
            }
        };
        let of_class = |class: usize| combined(&|image| image.get(class).copied().unwrap_or_default());
        let one_of = |image: &Vec<f64>| {
            let values = positive.iter().filter_map(|class| image.get(*class)).copied();
            if exclusive { values.sum::<f64>() } else { values.fold(0.0, f64::max) }
        };
        let together = (!positive.is_empty()).then(|| combined(&one_of));
        Some(ScoredCase { truth, probabilities: (0..classes).map(of_class).collect(), together })
    }

    /// How far the answers spread that the model combines, one a class; empty where it does not. Of several images their mean, or that of the
    /// image of the highest probability.
    pub fn spreads(&self, combine: Combine) -> Vec<f64> {
        if self.failure.is_some() || self.spreads.len() != self.probabilities.len() {
            return Vec::new();
        }
        let of_class = |class: usize| {
            let images = self.probabilities.iter().zip(&self.spreads);
            let images = images.filter_map(|(p, spread)| Some((*p.get(class)?, *spread.get(class)?)));
            match combine {
                Combine::Mean => images.map(|(_, spread)| spread).sum::<f64>() / self.spreads.len() as f64,
                Combine::Max => {
                    images.reduce(|best, one| if one.0 > best.0 { one } else { best }).map_or(0.0, |(_, spread)| spread)
                }
            }
        };
        (0..self.spreads.first().map_or(0, Vec::len)).map(of_class).collect()
    }

    pub fn segments(&self, names: &[String]) -> Vec<SegmentOverlap> {
        let named = |(index, overlap): &(usize, Overlap)| {
            Some(SegmentOverlap { segment: names.get(*index)?.clone(), overlap: overlap.clone() })
        };
        self.overlaps.iter().filter_map(named).collect()
    }
}

pub(super) type Cases = BTreeMap<CaseKey, Case>;
