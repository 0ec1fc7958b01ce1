//! The postprocessing steps of a manifest: from probabilities on the prepared grid to masks on the source's.

use ndarray::{Array2, Array3, Array4, ArrayView3, ArrayView4, Axis};

use crate::imaging::components::{fill_holes, fill_holes_2d, keep_largest};
use crate::imaging::morphology::{binary_erosion, threshold};
use crate::manifest::{InvertMode, PostprocessingSpec};

use super::intensity::all_finite;
use super::invert_image::{invert_image_mask, invert_image_probability};
use super::{Applied, AppliedVolume, TransformError, invert_mask, invert_probability};

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
    masks(probabilities.view(), steps, Prepared::Volume(applied))
}

/// As [`postprocess`], of single images: probabilities (segment, row, column), masks (row, column) of the source image. Every step works in the
/// plane.
///
/// # Errors
/// As [`postprocess`].
pub fn postprocess_image(
    probabilities: &Array3<f32>,
    steps: &[PostprocessingSpec],
    applied: &[Applied],
) -> Result<Vec<Array2<u8>>, TransformError> {
    let masks = masks(probabilities.view().insert_axis(Axis(1)), steps, Prepared::Image(applied))?;
    Ok(masks.into_iter().map(in_plane).collect())
}

/// What the preprocessing did, and to what. An image is a volume of one slice, but for what lies beyond that slice.
#[derive(Clone, Copy)]
enum Prepared<'a> {
    Volume(&'a [AppliedVolume]),
    Image(&'a [Applied]),
}

impl Prepared<'_> {
    fn invert_probability(self, probability: Array3<f32>, mode: InvertMode) -> Result<Array3<f32>, TransformError> {
        match self {
            Self::Volume(applied) => invert_probability(probability, applied, mode),
            Self::Image(applied) => {
                let probability = invert_image_probability(in_plane(probability).view(), applied, mode)?;
                Ok(probability.insert_axis(Axis(0)))
            }
        }
    }

    fn invert_mask(self, mask: Array3<u8>, mode: InvertMode) -> Result<Array3<u8>, TransformError> {
        match self {
            Self::Volume(applied) => invert_mask(mask.view(), applied, mode),
            Self::Image(applied) => Ok(invert_image_mask(in_plane(mask).view(), applied, mode)?.insert_axis(Axis(0))),
        }
    }

    fn erode(self, mask: ArrayView3<u8>, [slices, rows, columns]: [usize; 3]) -> Array3<u8> {
        match self {
            Self::Volume(_) => binary_erosion(mask, [slices, rows, columns]),
            Self::Image(_) => binary_erosion(mask, [1, rows, columns]),
        }
    }

    fn fill_holes(self, mask: Array3<u8>) -> Array3<u8> {
        match self {
            Self::Volume(_) => fill_holes(mask.view()),
            Self::Image(_) => fill_holes_2d(in_plane(mask).view()).insert_axis(Axis(0)),
        }
    }
}

/// The one slice of an image.
fn in_plane<T>(volume: Array3<T>) -> Array2<T> {
    volume.index_axis_move(Axis(0), 0)
}

fn masks(
    probabilities: ArrayView4<f32>,
    steps: &[PostprocessingSpec],
    prepared: Prepared,
) -> Result<Vec<Array3<u8>>, TransformError> {
    let segment = |probability: ArrayView3<f32>| {
        let probability = probability.as_standard_layout().into_owned();
        if !probability.as_slice().is_some_and(all_finite) {
            let reason = "found a probability that is no finite number, expected none".to_string();
            return Err(TransformError::Image { step: "postprocessing", reason });
        }
        let start = Segment::Probability(probability);
        let end =
            steps.iter().enumerate().try_fold(start, |segment, (index, step)| segment.apply(index, step, prepared))?;
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
    fn apply(self, index: usize, step: &PostprocessingSpec, prepared: Prepared) -> Result<Self, TransformError> {
        let wrong = |reason: &str| TransformError::Postprocessing { index, reason: reason.into() };
        Ok(match (step, self) {
            (PostprocessingSpec::Invert(spec), Self::Probability(probability)) => {
                Self::Probability(prepared.invert_probability(probability, spec.mode)?)
            }
            (PostprocessingSpec::Invert(spec), Self::Mask(mask)) => Self::Mask(prepared.invert_mask(mask, spec.mode)?),
            (PostprocessingSpec::AsDiscrete(spec), Self::Probability(probability)) => {
                Self::Mask(threshold(probability.view(), spec.threshold))
            }
            (PostprocessingSpec::AsDiscrete(_), Self::Mask(_)) => {
                return Err(wrong("AsDiscrete takes probabilities, found a mask"));
            }
            (PostprocessingSpec::BinaryErosion(spec), Self::Mask(mask)) => {
                Self::Mask(prepared.erode(mask.view(), spec.size))
            }
            (PostprocessingSpec::FillHoles(_), Self::Mask(mask)) => Self::Mask(prepared.fill_holes(mask)),
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
