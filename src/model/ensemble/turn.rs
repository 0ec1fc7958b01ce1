//! Flips and quarter turns of images and volumes, and back.

use ndarray::{ArrayD, ArrayViewD, Axis};

use crate::manifest::AugmentationSpec;

/// A way to turn the spatial axes of an array; the axes before them stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    Identity,
    Flip(Vec<usize>),
    /// Quarter turns from the first axis towards the second, as numpy.rot90.
    Rotate90(usize, [usize; 2]),
}

impl Turn {
    pub(super) fn new(spec: &AugmentationSpec) -> Self {
        match spec {
            AugmentationSpec::Flip(flip) => Self::Flip(flip.spatial_axis.clone()),
            AugmentationSpec::Rotate90(rotate) => Self::Rotate90(rotate.k % 4, rotate.spatial_axes),
        }
    }

    /// `leading`: the axes before the spatial ones.
    pub(super) fn apply(&self, array: ArrayViewD<'_, f32>, leading: usize) -> ArrayD<f32> {
        let mut view = array;
        match self {
            Self::Identity => {}
            Self::Flip(axes) => axes.iter().for_each(|axis| view.invert_axis(Axis(leading + axis))),
            Self::Rotate90(k, [first, second]) => {
                let (first, second) = (Axis(leading + first), Axis(leading + second));
                if matches!(k, 1 | 2) {
                    view.invert_axis(second);
                }
                if k % 2 == 1 {
                    view.swap_axes(first.index(), second.index());
                }
                match k {
                    2 => view.invert_axis(first),
                    3 => view.invert_axis(second),
                    _ => {}
                }
            }
        }
        view.as_standard_layout().into_owned()
    }

    /// The turn that takes this one back.
    pub(super) fn inverse(&self) -> Self {
        match self {
            Self::Rotate90(k, axes) => Self::Rotate90((4 - k) % 4, *axes),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, array};

    use super::Turn;

    /// numpy.rot90([[1, 2], [3, 4], [5, 6]], k).
    #[test]
    fn quarter_turns_are_numpys() {
        let image = array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]].into_dyn();
        for (k, expected) in [
            (0, image.clone()),
            (1, array![[2.0f32, 4.0, 6.0], [1.0, 3.0, 5.0]].into_dyn()),
            (2, array![[6.0f32, 5.0], [4.0, 3.0], [2.0, 1.0]].into_dyn()),
            (3, array![[5.0f32, 3.0, 1.0], [6.0, 4.0, 2.0]].into_dyn()),
        ] {
            assert_eq!(Turn::Rotate90(k, [0, 1]).apply(image.view(), 0), expected, "{k}");
        }
        // The other direction by the other order of the axes.
        let back = Turn::Rotate90(3, [1, 0]).apply(image.view(), 0);
        assert_eq!(back, Turn::Rotate90(1, [0, 1]).apply(image.view(), 0));
        let flipped = Turn::Flip(vec![1]).apply(image.view(), 0);
        assert_eq!(flipped, array![[2.0f32, 1.0], [4.0, 3.0], [6.0, 5.0]].into_dyn());
    }

    #[test]
    fn every_turn_has_its_inverse() {
        let volume =
            ArrayD::from_shape_fn(vec![2, 3, 4, 5, 6], |i| (0..5).fold(0.0f32, |sum, axis| sum * 7.0 + i[axis] as f32));
        let mut turns = vec![Turn::Identity, Turn::Flip(vec![0]), Turn::Flip(vec![2, 0, 1])];
        turns.extend((1..4).flat_map(|k| [[0, 1], [1, 2], [2, 0]].map(|axes| Turn::Rotate90(k, axes))));
        for turn in turns {
            let turned = turn.apply(volume.view(), 2);
            assert_eq!(turned == volume, turn == Turn::Identity, "{turn:?}");
            assert!(turned.is_standard_layout());
            assert_eq!(turn.inverse().apply(turned.view(), 2), volume, "{turn:?}");
        }
    }
}
