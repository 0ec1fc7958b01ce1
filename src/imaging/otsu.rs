//! Otsu's threshold (Otsu 1979, IEEE Trans. SMC 9:62) as skimage.filters.threshold_otsu (0.26) computes it, to the bit:
//! counts and class weights in f32, and the means in the type of the bin centres.

use std::ops::{Add, Div, Mul, Sub};

use super::histogram::Histogram;

/// f32 or f64: the type of the image that skimage would have been given.
pub trait Real:
    Copy + PartialOrd + From<f32> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
}
impl Real for f32 {}
impl Real for f64 {}

const BINS: usize = 256;

/// The threshold of an integer image, where every grey level is a bin. A constant image gives its value.
pub fn otsu_levels(histogram: &Histogram) -> i32 {
    let counts: Vec<f32> = histogram.levels().map(|(_, n)| n as f32).collect();
    let centers: Vec<f64> = histogram.levels().map(|(level, _)| f64::from(level)).collect();
    histogram.min() + best_split(&counts, &centers) as i32
}

/// The threshold of a floating point image: 256 equal bins between minimum and maximum, as numpy.histogram (2.x) draws
/// their edges in the image's own type. `intensity` maps a level to the image's value and must not fall.
/// A constant image gives its value.
pub fn otsu_256_bins<F: Real>(histogram: &Histogram, intensity: impl Fn(i32) -> F) -> F {
    let (first, last) = (intensity(histogram.min()), intensity(histogram.max()));
    if histogram.min() == histogram.max() {
        return first;
    }
    let step = (last - first) / F::from(BINS as f32);
    let mut edges: Vec<F> = (0..BINS).map(|i| F::from(i as f32) * step + first).collect();
    edges.push(last);
    let centers: Vec<F> = edges.windows(2).map(|edge| (edge[0] + edge[1]) / F::from(2.0)).collect();
    let mut counts = [0u32; BINS];
    let mut bin = 0;
    for (level, n) in histogram.levels() {
        // Half-open bins, but for the last.
        while bin + 1 < BINS && intensity(level) >= edges[bin + 1] {
            bin += 1;
        }
        counts[bin] += n;
    }
    let counts = counts.map(|n| n as f32);
    centers[best_split(&counts, &centers)]
}

/// The first bin after which a cut makes the variance between the classes greatest. Sums run from either end one by one,
/// as numpy.cumsum does: f32 sums depend on the order.
fn best_split<F: Real>(counts: &[f32], centers: &[F]) -> usize {
    let below = class_sums(counts.iter().copied().zip(centers.iter().copied()));
    let mut above = class_sums(counts.iter().copied().zip(centers.iter().copied()).rev());
    above.reverse();
    let (mut best, mut greatest) = (0, None);
    for split in 0..counts.len().saturating_sub(1) {
        let ((weight1, mean1), (weight2, mean2)) = (below[split], above[split + 1]);
        let distance = mean1 - mean2;
        let variance = F::from(weight1 * weight2) * (distance * distance);
        if greatest.is_none_or(|g| variance > g) {
            (best, greatest) = (split, Some(variance));
        }
    }
    best
}

/// (weight, mean) of all bins up to each.
fn class_sums<F: Real>(bins: impl Iterator<Item = (f32, F)>) -> Vec<(f32, F)> {
    let (mut weight, mut moment) = (0.0f32, F::from(0.0));
    bins.map(|(count, center)| {
        weight += count;
        moment = moment + F::from(count) * center;
        (weight, moment / F::from(weight))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_two_peaks_and_takes_the_first_of_equal_splits() {
        let mut counts = [0u32; 101];
        (counts[10], counts[90]) = (500, 300);
        let histogram = Histogram::from_counts(0, &counts);
        assert_eq!(otsu_levels(&histogram), 10);
        // the centre of the first bin: 10 + 80 / 512
        assert_eq!(otsu_256_bins(&histogram, |v| v as f32), 10.156_25);
        assert_eq!(otsu_levels(&histogram.mirrored(100)), 10);
    }

    #[test]
    fn a_constant_image_gives_its_value() {
        let histogram = Histogram::from_counts(-7, &[12]);
        assert_eq!(otsu_levels(&histogram), -7);
        assert_eq!(otsu_256_bins(&histogram, |v| v as f32), -7.0);
    }
}
