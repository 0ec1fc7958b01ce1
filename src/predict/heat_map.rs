//! Where a classifier saw evidence: class activation maps as values from 0 to 1, on any grid.

use ndarray::{Array2, ArrayView2};

/// How much each place of an image speaks for a class: rows × columns of values from 0 to 1. 1 is the place that speaks for
/// it most; all are 0 where none does.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    values: Array2<f32>,
}

impl HeatMap {
    /// From a raw class activation map (Selvaraju et al. 2017, equation 2, before its ReLU; unbounded): what is negative, or no number,
    /// becomes 0, and the largest value 1. All 0 where nothing is positive.
    pub fn from_activation_map(raw: ArrayView2<'_, f32>) -> Self {
        // Nothing can be said in proportion to an infinite value.
        let positive = |v: f32| if v.is_finite() { v.max(0.0) } else { 0.0 };
        let max = raw.iter().fold(0f32, |max, &v| max.max(positive(v)));
        Self { values: raw.mapv(|v| if max > 0.0 { positive(v) / max } else { 0.0 }) }
    }

    /// Rows × columns, 0 to 1.
    pub fn values(&self) -> ArrayView2<'_, f32> {
        self.values.view()
    }

    /// The map on a grid of `rows` × `columns` pixels that covers the same image, linear between the pixels' centres, the border's
    /// values beyond the outermost centres: OpenCV's `resize` with `INTER_LINEAR`, whose rounding it follows. Not smoothed where it
    /// shrinks.
    pub fn resize(&self, rows: usize, columns: usize) -> Self {
        let (from_rows, from_columns) = self.values.dim();
        if from_rows == 0 || from_columns == 0 {
            return Self { values: Array2::zeros((rows, columns)) };
        }
        let (row_taps, column_taps) = (taps(from_rows, rows), taps(from_columns, columns));
        // OpenCV's order: along the rows first, then between them.
        let wide = Array2::from_shape_fn((from_rows, columns), |(r, c)| {
            let Tap { first, second, weight } = column_taps[c];
            self.values[[r, first]] * (1.0 - weight) + self.values[[r, second]] * weight
        });
        let values = Array2::from_shape_fn((rows, columns), |(r, c)| {
            let Tap { first, second, weight } = row_taps[r];
            wide[[first, c]] * (1.0 - weight) + wide[[second, c]] * weight
        });
        Self { values }
    }
}

/// The two pixels that a new one lies between, and the second one's share.
#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

/// The taps of each pixel of an axis that goes from `from` (at least 1) to `to` pixels.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let last = from - 1;
    let tap = |i: usize| {
        // Between pixel centres, in f64 and then f32, as OpenCV computes it.
        let at = ((i as f64 + 0.5) * scale - 0.5) as f32;
        let first = at.floor().max(0.0) as usize;
        if at < 0.0 || first >= last {
            let edge = first.min(last);
            return Tap { first: edge, second: edge, weight: 0.0 };
        }
        Tap { first, second: first + 1, weight: at - first as f32 }
    };
    (0..to).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::HeatMap;

    #[test]
    fn what_speaks_against_is_zero_and_the_most_is_one() {
        let map = HeatMap::from_activation_map(array![[-3.0f32, 0.5], [2.0, 0.0]].view());
        assert_eq!(map.values(), array![[0.0f32, 0.25], [1.0, 0.0]]);
    }

    #[test]
    fn nothing_positive_gives_zeros_and_never_nan() {
        for raw in [[-1.0f32, -0.5], [0.0, 0.0], [f32::NAN, -1.0], [f32::NAN, f32::INFINITY]] {
            let map = HeatMap::from_activation_map(array![raw].view());
            assert_eq!(map.values(), array![[0.0f32, 0.0]], "{raw:?}");
        }
        let tiny = HeatMap::from_activation_map(array![[f32::MIN_POSITIVE, 0.0]].view());
        assert_eq!(tiny.values(), array![[1.0f32, 0.0]]);
    }

    /// cv2.resize(np.float32([[0, 1]]), (8, 1)) and its transpose.
    #[test]
    fn linear_between_centres_and_flat_beyond_them() {
        let map = HeatMap::from_activation_map(array![[0.0f32, 1.0]].view());
        let expected = [0.0f32, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0];
        assert_eq!(map.resize(1, 8).values(), Array2::from_shape_vec((1, 8), expected.into()).unwrap());
        let upright = HeatMap::from_activation_map(array![[0.0f32], [1.0]].view());
        assert_eq!(upright.resize(8, 1).values(), Array2::from_shape_vec((8, 1), expected.into()).unwrap());
        // A single pixel is everywhere; the same size is the same map.
        assert!(HeatMap::from_activation_map(array![[3.0f32]].view()).resize(3, 5).values().iter().all(|&v| v == 1.0));
        assert_eq!(map.resize(1, 2), map);
    }

    #[test]
    fn shrinking_to_half_is_the_mean_of_neighbours() {
        let map = HeatMap::from_activation_map(array![[0.0f32, 1.0, 0.5, 0.0]].view());
        assert_eq!(map.resize(1, 2).values(), array![[0.5f32, 0.25]]);
    }

    #[test]
    fn empty_grids_are_empty_or_zero() {
        let none = HeatMap::from_activation_map(Array2::<f32>::zeros((0, 4)).view());
        assert!(none.resize(2, 2).values().iter().all(|&v| v == 0.0));
        let map = HeatMap::from_activation_map(array![[0.0f32, 1.0]].view());
        assert_eq!(map.resize(0, 3).values().dim(), (0, 3));
    }
}
