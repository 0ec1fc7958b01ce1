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
    /// One an image.
    pub probabilities: Vec<Vec<f64>>,
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
    pub fn scored(&self, combine: Combine, positive: &[usize]) -> Option<ScoredCase> {
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
        let sum = |image: &Vec<f64>| positive.iter().filter_map(|class| image.get(*class)).sum::<f64>();
        let together = (!positive.is_empty()).then(|| combined(&sum));
        Some(ScoredCase { truth, probabilities: (0..classes).map(of_class).collect(), together })
    }

    pub fn segments(&self, names: &[String]) -> Vec<SegmentOverlap> {
        let named = |(index, overlap): &(usize, Overlap)| {
            Some(SegmentOverlap { segment: names.get(*index)?.clone(), overlap: overlap.clone() })
        };
        self.overlaps.iter().filter_map(named).collect()
    }
}

pub(super) type Cases = BTreeMap<CaseKey, Case>;
