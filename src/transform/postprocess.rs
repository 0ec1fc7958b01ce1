//! The postprocessing steps of a manifest: from probabilities on the prepared grid to masks on the source's.

use ndarray::{Array3, Array4, Axis};

use crate::imaging::components::{fill_holes, keep_largest};
use crate::imaging::morphology::{binary_erosion, threshold};
use crate::manifest::PostprocessingSpec;

use super::intensity::all_finite;
use super::{AppliedVolume, TransformError, invert_mask, invert_probability};

/// Carries out the steps on each segment's probabilities, (segment, slice, row, column), and gives a mask a segment, 1
/// inside. `applied` is what the preprocessing did to the volume; `Invert` leads back from there.
///
/// # Errors
/// [`TransformError::Postprocessing`]: a step that takes a mask comes before `AsDiscrete`, or one that takes
/// probabilities after it, or there is no `AsDiscrete`. [`TransformError::Image`]: the probabilities are not of the
/// prepared grid's size, or one is no number.
pub fn postprocess(
    probabilities: &Array4<f32>,
    steps: &[PostprocessingSpec],
    applied: &[AppliedVolume],
) -> Result<Vec<Array3<u8>>, TransformError> {
    let segment = |probability: ndarray::ArrayView3<f32>| {
        let probability = probability.as_standard_layout().into_owned();
        if !probability.as_slice().is_some_and(all_finite) {
            let reason = "found a probability that is no finite number, expected none".to_string();
            return Err(TransformError::Image { step: "postprocessing", reason });
        }
        let start = Segment::Probability(probability);
        let end =
            steps.iter().enumerate().try_fold(start, |segment, (index, step)| segment.apply(index, step, applied))?;
        match end {
            Segment::Mask(mask) => Ok(mask),
            Segment::Probability(_) => {
                let reason = "ends with probabilities, expected AsDiscrete among the steps".to_string();
                Err(TransformError::Postprocessing { index: steps.len(), reason })
            }
        }
    };
    probabilities.axis_iter(Axis(0)).map(segment).collect()
}

/// A segment on its way.
enum Segment {
    Probability(Array3<f32>),
    Mask(Array3<u8>),
}

impl Segment {
    fn apply(self, index: usize, step: &PostprocessingSpec, applied: &[AppliedVolume]) -> Result<Self, TransformError> {
        let wrong = |reason: &str| TransformError::Postprocessing { index, reason: reason.into() };
        Ok(match (step, self) {
            (PostprocessingSpec::Invert(spec), Self::Probability(probability)) => {
                Self::Probability(invert_probability(probability, applied, spec.mode)?)
            }
            (PostprocessingSpec::Invert(spec), Self::Mask(mask)) => {
                Self::Mask(invert_mask(mask.view(), applied, spec.mode)?)
            }
            (PostprocessingSpec::AsDiscrete(spec), Self::Probability(probability)) => {
                Self::Mask(threshold(probability.view(), spec.threshold))
            }
            (PostprocessingSpec::AsDiscrete(_), Self::Mask(_)) => {
                return Err(wrong("AsDiscrete takes probabilities, found a mask"));
            }
            (PostprocessingSpec::BinaryErosion(spec), Self::Mask(mask)) => {
                Self::Mask(binary_erosion(mask.view(), spec.size))
            }
            (PostprocessingSpec::FillHoles(_), Self::Mask(mask)) => Self::Mask(fill_holes(mask.view())),
            (PostprocessingSpec::KeepLargestConnectedComponent(_), Self::Mask(mask)) => {
                Self::Mask(keep_largest(mask.view()))
            }
            (
                PostprocessingSpec::BinaryErosion(_)
                | PostprocessingSpec::FillHoles(_)
                | PostprocessingSpec::KeepLargestConnectedComponent(_),
                Self::Probability(_),
            ) => return Err(wrong("takes a mask, found probabilities: AsDiscrete comes first")),
        })
    }
}
