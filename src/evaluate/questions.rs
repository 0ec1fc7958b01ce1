//! Which yes-or-no questions a set of cases answers.

/// Sets of class indices: those that are positive together first, then, where the truths are classes, each class that was not asked so
/// already.
pub(super) fn asked(classes: usize, positive: &[usize], truths_are_classes: bool) -> Vec<Vec<usize>> {
    let together = (!positive.is_empty()).then(|| positive.to_vec());
    let single = (0..classes).filter(|class| truths_are_classes && positive != [*class]).map(|class| vec![class]);
    together.into_iter().chain(single).collect()
}
