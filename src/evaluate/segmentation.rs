//! The figures of a segmentation, from each case's overlaps.

use serde::Serialize;

use super::bootstrap::quantile;
use super::calibration::mean;
use super::estimate::Measure;
use super::overlap::Overlap;

/// One segment over all cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SegmentEvaluation {
    pub segment: String,
    pub cases: usize,
    /// Of the cases where the segment is in the reference or in the answer.
    pub dice: Summary,
    pub intersection_over_union: Summary,
    /// Of the cases where it is in both; mm.
    pub hausdorff_95: Summary,
    /// Answer minus reference, ml, of all cases.
    pub volume_error_ml: Summary,
    /// Of the cases where it is in the reference.
    pub volume_error_percent: Summary,
    pub absolute_volume_error_percent: Summary,
    /// Of the cases whose reference has the segment: those where the answer overlaps with it.
    pub sensitivity: Measure,
    /// Of the cases whose reference is empty: those where the answer is, too.
    pub specificity: Measure,
}

/// A figure over cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Summary {
    /// Cases that have the figure.
    pub cases: usize,
    /// With a bootstrap interval.
    pub mean: Measure,
    /// Of the sample; None of fewer than two cases.
    pub standard_deviation: Option<f64>,
    pub minimum: Option<f64>,
    pub first_quartile: Option<f64>,
    pub median: Option<f64>,
    pub third_quartile: Option<f64>,
    pub maximum: Option<f64>,
}

impl Summary {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        let n = values.len();
        let mean = match n {
            0 => Measure::undefined("no case has the figure"),
            _ => mean(n, |i| values[i]),
        };
        let centre = mean.value().unwrap_or_default();
        let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
        values.sort_by(f64::total_cmp);
        Self {
            cases: n,
            standard_deviation: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()),
            minimum: values.first().copied(),
            first_quartile: quantile(&values, 0.25),
            median: quantile(&values, 0.5),
            third_quartile: quantile(&values, 0.75),
            maximum: values.last().copied(),
            mean,
        }
    }
}

/// One segment's figures over the cases.
pub fn segment_evaluation(segment: &str, cases: &[&Overlap]) -> SegmentEvaluation {
    let summary = |of: fn(&Overlap) -> &Measure| Summary::of(cases.iter().filter_map(|c| of(c).value()));
    let with = || cases.iter().filter(|c| c.reference_voxels > 0);
    let without = || cases.iter().filter(|c| c.reference_voxels == 0);
    let met = with().filter(|c| c.dice.value().is_some_and(|d| d > 0.0)).count();
    let left_alone = without().filter(|c| c.answer_voxels == 0).count();
    SegmentEvaluation {
        segment: segment.to_owned(),
        cases: cases.len(),
        dice: summary(|c| &c.dice),
        intersection_over_union: summary(|c| &c.intersection_over_union),
        hausdorff_95: summary(|c| &c.hausdorff_95),
        volume_error_ml: summary(|c| &c.volume_error_ml),
        volume_error_percent: summary(|c| &c.volume_error_percent),
        absolute_volume_error_percent: Summary::of(
            cases.iter().filter_map(|c| c.volume_error_percent.value()).map(f64::abs),
        ),
        sensitivity: Measure::proportion(met, with().count(), "no reference has the segment"),
        specificity: Measure::proportion(left_alone, without().count(), "every reference has the segment"),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::super::overlap::{GridSize, overlap};
    use super::*;

    #[test]
    fn cases_without_the_segment_do_not_count_as_overlaps() {
        let grid = GridSize { spacing_mm: Ok([2.0, 1.0, 1.0]), voxel_ml: Ok(0.002) };
        let mask = |voxels: &[[usize; 3]]| {
            let mut mask = Array3::<u8>::zeros((3, 4, 4));
            voxels.iter().for_each(|v| mask[*v] = 1);
            mask
        };
        let case = |answer: &[[usize; 3]], reference: &[[usize; 3]]| {
            overlap(mask(answer).view(), mask(reference).view(), &grid).unwrap()
        };
        let (a, b, c) = ([0, 0, 0], [0, 0, 1], [2, 3, 3]);
        let cases = [case(&[a, b], &[a, b]), case(&[a], &[a, b]), case(&[], &[c]), case(&[], &[]), case(&[b], &[])];
        let found = segment_evaluation("Tumour", &cases.iter().collect::<Vec<_>>());
        assert_eq!((found.cases, found.dice.cases, found.hausdorff_95.cases), (5, 4, 2));
        assert!((found.dice.mean.value().unwrap() - (1.0 + 2.0 / 3.0) / 4.0).abs() < 1e-12);
        assert_eq!(found.sensitivity.estimate().unwrap().counts, Some([2, 3]));
        assert_eq!(found.specificity.estimate().unwrap().counts, Some([1, 2]));
        assert_eq!(found.volume_error_percent.minimum, Some(-100.0));
        assert_eq!(found.volume_error_ml.maximum, Some(0.002));
        let none = serde_json::to_string(&segment_evaluation("Tumour", &[])).unwrap();
        assert!(none.contains("no case has the figure") && !none.contains("NaN"), "{none}");
    }
}
