//! Resampling as `cv2.resize(…, INTER_AREA)` does it (OpenCV 4.10 to 5.0), in 8 bits to the bit.
//!
//! Where both axes shrink, each output pixel is the mean of the area that it covers; where the factor of each is a whole
//! number, of whole pixels. Where either axis grows OpenCV takes linear interpolation instead, on both axes, with
//! weights that leave the source's pixels flat in their middle ("area-style linear").

use ndarray::{Array2, ArrayView2};

use crate::imaging::parts::fill_rows;

/// What an image is made of: bytes or floats.
pub trait AreaSample: Copy + Default + Send + Sync {
    fn widened(self) -> f32;
    /// OpenCV's `saturate_cast`: halves go to the even number.
    fn saturated(value: f32) -> Self;
    /// The mean of 2 × 2 pixels, which OpenCV computes in a way of its own.
    fn mean_of_four(four: [Self; 4]) -> Self;
    /// A row between two of the source.
    fn row_between(rows: [&[Self]; 2], down: &LinearTap, along: &[LinearTap], out: &mut [Self]);
}

/// Resizes an image of at least one pixel to `to` = [rows, columns], none of them 0. `channels`: how many such planes are the
/// image, for OpenCV rounds 2 × 2 pixels of one, three and four channels half up and of others half to even.
pub fn resize_area<T: AreaSample>(image: ArrayView2<T>, to: [usize; 2], channels: usize) -> Array2<T> {
    let from = [image.nrows(), image.ncols()];
    let [down, along] = [0, 1].map(|axis| Axis::new(from[axis], to[axis]));
    let standard = image.as_standard_layout();
    let pixels = standard.as_slice().unwrap_or_default();
    let source = Source { pixels, columns: from[1] };
    let mut out = Array2::from_elem((to[0], to[1]), T::default());
    let slice = out.as_slice_mut().unwrap_or_default();
    let work = pixels.len().max(slice.len());
    if down.scale >= 1.0 && along.scale >= 1.0 {
        match (down.whole(), along.whole()) {
            (Some(2), Some(2)) if matches!(channels, 1 | 3 | 4) => fill_rows(to[0], work, slice, |rows, out| {
                for (row, out) in rows.zip(out.chunks_exact_mut(to[1])) {
                    let [upper, lower] = [source.row(2 * row), source.row(2 * row + 1)];
                    for ((out, upper), lower) in out.iter_mut().zip(upper.chunks_exact(2)).zip(lower.chunks_exact(2)) {
                        *out = T::mean_of_four([upper[0], upper[1], lower[0], lower[1]]);
                    }
                }
            }),
            (Some(high), Some(wide)) => fill_rows(to[0], work, slice, |rows, out| {
                let scale = 1.0 / (high * wide) as f32;
                let mut sums = vec![0f64; to[1]];
                for (row, out) in rows.zip(out.chunks_exact_mut(to[1])) {
                    sums.fill(0.0);
                    for part in 0..high {
                        for (sum, pixels) in sums.iter_mut().zip(source.row(row * high + part).chunks_exact(wide)) {
                            pixels.iter().for_each(|v| *sum += f64::from(v.widened()));
                        }
                    }
                    out.iter_mut().zip(&sums).for_each(|(o, sum)| *o = T::saturated(*sum as f32 * scale));
                }
            }),
            _ => shrink(&source, &down.area(), &along.area(), to, work, slice),
        }
    } else {
        let (down, along) = (down.linear(), along.linear());
        fill_rows(to[0], work, slice, |rows, out| {
            for (tap, out) in down[rows].iter().zip(out.chunks_exact_mut(to[1])) {
                let next = (tap.first + 1).min(from[0] - 1);
                T::row_between([source.row(tap.first), source.row(next)], tap, &along, out);
            }
        });
    }
    out
}

struct Source<'a, T> {
    pixels: &'a [T],
    columns: usize,
}

impl<T> Source<'_, T> {
    fn row(&self, row: usize) -> &[T] {
        &self.pixels[row * self.columns..(row + 1) * self.columns]
    }
}

/// Fractions of pixels count with their share.
fn shrink<T: AreaSample>(
    source: &Source<T>,
    down: &[AreaTap],
    along: &[AreaTap],
    to: [usize; 2],
    work: usize,
    out: &mut [T],
) {
    fill_rows(to[0], work, out, |rows, out| {
        let (mut narrow, mut sums) = (vec![0f32; to[1]], vec![0f32; to[1]]);
        for (tap, out) in down[rows].iter().zip(out.chunks_exact_mut(to[1])) {
            for (i, &beta) in tap.weights.iter().enumerate() {
                let row = source.row(tap.first + i);
                for (narrow, tap) in narrow.iter_mut().zip(along) {
                    let parts = row[tap.first..].iter().zip(&tap.weights);
                    *narrow = parts.fold(0.0, |sum, (v, alpha)| sum + v.widened() * alpha);
                }
                if i == 0 {
                    sums.iter_mut().zip(&narrow).for_each(|(sum, v)| *sum = beta * v);
                } else {
                    sums.iter_mut().zip(&narrow).for_each(|(sum, v)| *sum += beta * v);
                }
            }
            out.iter_mut().zip(&sums).for_each(|(o, &sum)| *o = T::saturated(sum));
        }
    });
}

/// One axis, with OpenCV's own factors.
struct Axis {
    from: usize,
    to: usize,
    inverse: f64,
    scale: f64,
}

/// The pixels from `first` on that make one output pixel.
struct AreaTap {
    first: usize,
    weights: Vec<f32>,
}

/// A pixel and the share of the next one.
pub struct LinearTap {
    first: usize,
    share: f32,
}

impl LinearTap {
    /// Weights of both in 11-bit fixed point.
    fn fixed(&self) -> [i32; 2] {
        [1.0 - self.share, self.share].map(|w| (w * 2048.0).round_ties_even() as i32)
    }
}

impl Axis {
    fn new(from: usize, to: usize) -> Self {
        let inverse = to as f64 / from as f64;
        Self { from, to, inverse, scale: 1.0 / inverse }
    }

    /// How many whole pixels make one.
    fn whole(&self) -> Option<usize> {
        let rounded = self.scale.round_ties_even();
        ((self.scale - rounded).abs() < f64::EPSILON).then_some(rounded as usize)
    }

    fn area(&self) -> Vec<AreaTap> {
        let tap = |i: usize| {
            let (start, len) = (i as f64 * self.scale, self.from as f64);
            let end = start + self.scale;
            let width = self.scale.min(len - start);
            let last = (end.floor() as usize).min(self.from - 1);
            let first = (start.ceil() as usize).min(last);
            let mut weights = Vec::with_capacity(last + 2 - first);
            let before = first as f64 - start > 1e-3;
            if before {
                weights.push(((first as f64 - start) / width) as f32);
            }
            weights.extend((first..last).map(|_| (1.0 / width) as f32));
            if end - last as f64 > 1e-3 {
                weights.push(((end - last as f64).min(1.0).min(width) / width) as f32);
            }
            AreaTap { first: if before { first - 1 } else { first }, weights }
        };
        (0..self.to).map(tap).collect()
    }

    fn linear(&self) -> Vec<LinearTap> {
        let tap = |i: usize| {
            let first = ((i as f64 * self.scale).floor() as usize).min(self.from - 1);
            let share = ((i + 1) as f64 - (first + 1) as f64 * self.inverse) as f32;
            LinearTap { first, share: if share <= 0.0 { 0.0 } else { share - share.floor() } }
        };
        (0..self.to).map(tap).collect()
    }
}

/// Along a row the last pixel has no next one and counts whole.
fn neighbours<'a, T: Copy>(row: &'a [T], along: &'a [LinearTap]) -> impl Iterator<Item = ([T; 2], &'a LinearTap)> {
    let last = row.len() - 1;
    along.iter().map(move |tap| ([row[tap.first], row[(tap.first + 1).min(last)]], tap))
}

impl AreaSample for u8 {
    fn widened(self) -> f32 {
        self.into()
    }

    fn saturated(value: f32) -> Self {
        value.round_ties_even().clamp(0.0, 255.0) as Self
    }

    fn mean_of_four(four: [Self; 4]) -> Self {
        ((four.iter().map(|v| u32::from(*v)).sum::<u32>() + 2) >> 2) as Self
    }

    fn row_between(rows: [&[Self]; 2], down: &LinearTap, along: &[LinearTap], out: &mut [Self]) {
        let [upper, lower] = down.fixed();
        let last = rows[0].len() - 1;
        let value = |([a, b], tap): ([Self; 2], &LinearTap)| {
            let [first, second] = if tap.first == last { [2048, 0] } else { tap.fixed() };
            i32::from(a) * first + i32::from(b) * second
        };
        let values = neighbours(rows[0], along).map(value).zip(neighbours(rows[1], along).map(value));
        for (out, (a, b)) in out.iter_mut().zip(values) {
            *out = ((((upper * (a >> 4)) >> 16) + ((lower * (b >> 4)) >> 16) + 2) >> 2).clamp(0, 255) as Self;
        }
    }
}

impl AreaSample for f32 {
    fn widened(self) -> f32 {
        self
    }

    fn saturated(value: f32) -> Self {
        value
    }

    fn mean_of_four(four: [Self; 4]) -> Self {
        four.iter().sum::<Self>() * 0.25
    }

    fn row_between(rows: [&[Self]; 2], down: &LinearTap, along: &[LinearTap], out: &mut [Self]) {
        let last = rows[0].len() - 1;
        let value = |([a, b], tap): ([Self; 2], &LinearTap)| {
            let share = if tap.first == last { 0.0 } else { tap.share };
            a * (1.0 - share) + b * share
        };
        let values = neighbours(rows[0], along).map(value).zip(neighbours(rows[1], along).map(value));
        for (out, (a, b)) in out.iter_mut().zip(values) {
            *out = a * (1.0 - down.share) + b * down.share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_images_stay_constant_and_equal_sizes_are_the_identity() {
        for (from, to) in [([7, 5], [3, 2]), ([5, 7], [9, 3]), ([1, 1], [4, 4]), ([300, 2], [7, 1]), ([8, 8], [4, 4])] {
            let bytes = Array2::from_elem((from[0], from[1]), 200u8);
            assert!(resize_area(bytes.view(), to, 1).iter().all(|&v| v == 200), "{from:?} -> {to:?}");
            let floats = bytes.mapv(f32::from);
            assert!(resize_area(floats.view(), to, 1).iter().all(|&v| (v - 200.0).abs() < 1e-3), "{from:?} -> {to:?}");
        }
        let image = Array2::from_shape_fn((9, 11), |(r, c)| (r * 23 + c * 7) as u8);
        assert_eq!(resize_area(image.view(), [9, 11], 3), image);
    }

    #[test]
    fn means_by_hand() {
        let image = ndarray::array![[0u8, 1, 2, 3], [0, 0, 3, 3]];
        // 1 / 4 and 11 / 4; half up and half to even differ at 0.5 and 2.5.
        assert_eq!(resize_area(image.view(), [1, 2], 1), ndarray::array![[0, 3]]);
        let halves = ndarray::array![[0u8, 2, 2, 3], [0, 0, 2, 3]];
        assert_eq!(resize_area(halves.view(), [1, 2], 3), ndarray::array![[1, 3]]);
        assert_eq!(resize_area(halves.view(), [1, 2], 2), ndarray::array![[0, 2]]);
        // Three pixels to two: 1 and a half each.
        assert_eq!(resize_area(ndarray::array![[0f32, 3.0, 6.0]].view(), [1, 2], 1), ndarray::array![[1.0, 5.0]]);
    }
}
