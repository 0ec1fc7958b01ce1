//! Resampling as PIL.Image.resize(…, BILINEAR) does it on 8-bit images (Pillow 13), to the bit.
//!
//! A triangle filter, widened by the scale when shrinking, along one axis and then along the other, with weights in
//! 22-bit fixed point and rounding to 8 bits after each. Sums are integers, so neither their order nor threads change a
//! result; the order of the two passes does, by one grey level here and there, and Pillow 13 chooses it by the sizes.

use ndarray::{Array2, ArrayView2, Axis};

use crate::imaging::row_parts;

const PRECISION_BITS: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Resizes an 8-bit image of at least one pixel to `to` = [rows, columns], none of them 0.
pub fn resize_pil_bilinear(image: ArrayView2<u8>, to: [usize; 2]) -> Array2<u8> {
    let (rows, columns) = image.dim();
    resize_rows([rows, columns], to, |row, out| copy_row(image, row, out))
}

/// As above, from rows that `fill(row, out)` makes one at a time: the full-size 8-bit image never exists.
pub(super) fn resize_rows(from: [usize; 2], to: [usize; 2], fill: impl Fn(usize, &mut [u8]) + Sync) -> Array2<u8> {
    let [down, along] = [0, 1].map(|axis| weights(from[axis], to[axis]));
    if columns_first(from, to) {
        let low = resample_columns(from[1], &down, fill);
        resample_rows([to[0], from[1]], &along, |row, out| copy_row(low.view(), row, out))
    } else {
        let narrow = resample_rows(from, &along, fill);
        resample_columns(to[1], &down, |row, out| copy_row(narrow.view(), row, out))
    }
}

/// Pillow works down the columns first where that loses rows, and more than twice as many as columns (since 13.0,
/// python-pillow/Pillow#9549); older versions never do.
fn columns_first([rows, columns]: [usize; 2], [to_rows, to_columns]: [usize; 2]) -> bool {
    to_rows < rows && (rows - to_rows) as i64 > 2 * (columns as i64 - to_columns as i64)
}

fn copy_row(image: ArrayView2<u8>, row: usize, out: &mut [u8]) {
    out.iter_mut().zip(image.row(row)).for_each(|(o, &v)| *o = v);
}

/// The pass along each row.
fn resample_rows(from: [usize; 2], taps: &[Taps], fill: impl Fn(usize, &mut [u8]) + Sync) -> Array2<u8> {
    in_parts(from[0], taps.len(), from[0] * from[1], |first, mut out| {
        let mut wide = vec![0; from[1]];
        for (row, mut out) in out.rows_mut().into_iter().enumerate() {
            fill(first + row, &mut wide);
            out.iter_mut().zip(taps).for_each(|(o, taps)| *o = taps.sum(&wide));
        }
    })
}

/// The pass down the columns: each output row is a weighted sum of whole rows, of which the last few are kept.
fn resample_columns(columns: usize, taps: &[Taps], fill: impl Fn(usize, &mut [u8]) + Sync) -> Array2<u8> {
    let depth = taps.iter().map(|taps| taps.weights.len()).max().unwrap_or(0);
    let last_row = taps.last().map_or(0, Taps::end);
    in_parts(taps.len(), columns, last_row * columns, |first, mut out| {
        let mut ring = vec![0; depth * columns];
        let place = |row: usize| (row % depth) * columns..(row % depth + 1) * columns;
        let (mut sums, mut filled) = (vec![0i32; columns], 0);
        for (taps, mut out) in taps[first..].iter().zip(out.rows_mut()) {
            for row in filled.max(taps.first)..taps.end() {
                fill(row, &mut ring[place(row)]);
            }
            filled = taps.end();
            sums.fill(HALF);
            for (row, &weight) in (taps.first..).zip(&taps.weights) {
                sums.iter_mut().zip(&ring[place(row)]).for_each(|(sum, &v)| *sum += weight * i32::from(v));
            }
            out.iter_mut().zip(&sums).for_each(|(o, &sum)| *o = to_byte(sum));
        }
    })
}

/// Makes an image in parts of consecutive rows, one a thread; `make(first row, rows)` fills a part.
fn in_parts(
    rows: usize,
    columns: usize,
    work: usize,
    make: impl Fn(usize, ndarray::ArrayViewMut2<u8>) + Sync,
) -> Array2<u8> {
    let mut image = Array2::zeros((rows, columns));
    std::thread::scope(|scope| {
        let mut rest = image.view_mut();
        for part in row_parts(rows, work) {
            let (out, after) = rest.split_at(Axis(0), part.len());
            rest = after;
            let (make, last) = (&make, part.end == rows);
            if last { make(part.start, out) } else { drop(scope.spawn(move || make(part.start, out))) }
        }
    });
    image
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The pixels that make one output pixel, and their weights in fixed point.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

fn weights(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    (0..to).map(|i| Taps::new((i as f64 + 0.5) * scale, scale.max(1.0), from)).collect()
}

impl Taps {
    /// The triangle of half-width `support` around `center`, cut at the ends of the axis and normalised.
    fn new(center: f64, support: f64, len: usize) -> Self {
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(len);
        let inverse = 1.0 / support;
        let triangle = |i: usize| (1.0 - ((i as f64 - center + 0.5) * inverse).abs()).max(0.0);
        let raw: Vec<f64> = (first..end).map(triangle).collect();
        let total: f64 = raw.iter().fold(0.0, |sum, w| sum + w);
        let fixed = |w: f64| (0.5 + w / total * f64::from(1 << PRECISION_BITS)) as i32;
        Self { first, weights: raw.into_iter().map(fixed).collect() }
    }

    fn end(&self) -> usize {
        self.first + self.weights.len()
    }

    fn sum(&self, row: &[u8]) -> u8 {
        let pixels = &row[self.first..self.end()];
        to_byte(pixels.iter().zip(&self.weights).fold(HALF, |sum, (&v, &weight)| sum + weight * i32::from(v)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_in_the_order_of_pillow_13() {
        // Seen by comparing both orders with PIL.Image.resize; rows, columns -> rows, columns.
        for (from, to, expected) in [
            ([3328, 2840], [512, 512], false),
            ([3000, 1500], [512, 512], true),
            ([371, 505], [224, 224], false),
            ([90, 70], [224, 192], false),
            ([600, 100], [200, 160], true),
            ([75, 16], [59, 10], true),
            ([142, 75], [42, 25], false), // exactly twice as many
        ] {
            assert_eq!(columns_first(from, to), expected, "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn a_constant_image_stays_constant_and_the_same_size_is_the_identity() {
        for (from, to) in [([5, 7], [3, 20]), ([1, 1], [4, 4]), ([300, 2], [7, 1]), ([1200, 1100], [33, 512])] {
            let image = Array2::from_elem((from[0], from[1]), 200u8);
            assert!(resize_pil_bilinear(image.view(), to).iter().all(|&v| v == 200), "{from:?} -> {to:?}");
        }
        let image = Array2::from_shape_fn((9, 11), |(r, c)| (r * 23 + c * 7) as u8);
        assert_eq!(resize_pil_bilinear(image.view(), [9, 11]), image);
    }
}
