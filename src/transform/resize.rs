//! Resampling as PIL.Image.resize(…, BILINEAR) does it on 8-bit images (Pillow 3.4 and later), to the bit.
//!
//! A triangle filter, widened by the scale when shrinking; first along rows, then along columns, with weights in 22-bit
//! fixed point and rounding to 8 bits after each. Sums are integers, so neither order nor threads change a result.

use ndarray::{Array2, ArrayView2};

use crate::imaging::row_parts;

const PRECISION_BITS: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Resizes an 8-bit image of at least one pixel to `to` = [rows, columns], none of them 0.
pub fn resize_pil_bilinear(image: ArrayView2<u8>, to: [usize; 2]) -> Array2<u8> {
    let (rows, columns) = image.dim();
    resize_rows([rows, columns], to, |row, out| out.iter_mut().zip(image.row(row)).for_each(|(o, &v)| *o = v))
}

/// As above, from rows that `fill(row, out)` makes one at a time: the full-size 8-bit image never exists.
pub(super) fn resize_rows(from: [usize; 2], to: [usize; 2], fill: impl Fn(usize, &mut [u8]) + Sync) -> Array2<u8> {
    let along_rows = Weights::new(from[1], to[1]);
    let mut narrow = Array2::zeros((from[0], to[1]));
    std::thread::scope(|scope| {
        let mut rest = narrow.view_mut();
        for part in row_parts(from[0], from[1]) {
            let (mut rows, after) = rest.split_at(ndarray::Axis(0), part.len());
            rest = after;
            let last = part.end == from[0];
            let (fill, along_rows) = (&fill, &along_rows);
            let work = move || {
                let mut wide = vec![0; from[1]];
                for (row, mut out) in part.zip(rows.rows_mut()) {
                    fill(row, &mut wide);
                    out.iter_mut().zip(&along_rows.taps).for_each(|(o, taps)| *o = taps.sum(&wide));
                }
            };
            if last { work() } else { drop(scope.spawn(work)) }
        }
    });
    shrink_columns(narrow.view(), to)
}

/// The second pass: each output row is a weighted sum of whole rows.
fn shrink_columns(narrow: ArrayView2<u8>, to: [usize; 2]) -> Array2<u8> {
    let down_columns = Weights::new(narrow.nrows(), to[0]);
    let mut out = Array2::zeros((to[0], to[1]));
    let mut sums = vec![0i32; to[1]];
    for (taps, mut row) in down_columns.taps.iter().zip(out.rows_mut()) {
        sums.fill(HALF);
        for (offset, &weight) in taps.weights.iter().enumerate() {
            let source = narrow.row(taps.first + offset);
            sums.iter_mut().zip(source).for_each(|(sum, &v)| *sum += weight * i32::from(v));
        }
        row.iter_mut().zip(&sums).for_each(|(o, &sum)| *o = to_byte(sum));
    }
    out
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The weights of one axis.
struct Weights {
    /// One an output pixel.
    taps: Vec<Taps>,
}

struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Taps {
    fn sum(&self, row: &[u8]) -> u8 {
        let pixels = &row[self.first..self.first + self.weights.len()];
        to_byte(pixels.iter().zip(&self.weights).fold(HALF, |sum, (&v, &weight)| sum + weight * i32::from(v)))
    }
}

impl Weights {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let taps = (0..to).map(|i| Taps::new((i as f64 + 0.5) * scale, stretch, from)).collect();
        Self { taps }
    }
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
}
