//! One pass over the pixels for all that later steps ask of their values: minimum, maximum and either Otsu threshold.

use ndarray::ArrayView2;

use super::Pixels;
use super::parts::map_rows;

/// A stored value, addressed by its bit pattern so that tables of 65536 entries need no bounds check.
pub(crate) trait Sample: Copy + PartialOrd + Send + Sync {
    const SIGNED: bool;
    fn pattern(self) -> u16;
    /// The value of a level that lies within the type.
    fn from_level(level: i32) -> Self;
}

macro_rules! sample {
    ($type:ty, $signed:literal) => {
        impl Sample for $type {
            const SIGNED: bool = $signed;
            fn pattern(self) -> u16 {
                self as u16
            }
            fn from_level(level: i32) -> Self {
                level as $type
            }
        }
    };
}
sample!(u8, false);
sample!(u16, false);
sample!(i16, true);

/// The stored value of a bit pattern.
pub(crate) fn level(pattern: u16, signed: bool) -> i32 {
    if signed { i32::from(pattern as i16) } else { i32::from(pattern) }
}

/// How many pixels have each grey level, from the lowest level that occurs to the highest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    min: i32,
    /// First and last entry are not 0.
    counts: Vec<u32>,
}

impl Histogram {
    /// Counts the stored values of an image of at least one pixel.
    pub fn of(pixels: &Pixels) -> Self {
        match pixels {
            Pixels::U8(a) => count(a.view()),
            Pixels::U16(a) => count(a.view()),
            Pixels::I16(a) => count(a.view()),
        }
    }

    /// From the number of pixels of level `min`, `min + 1`, …
    pub fn from_counts(min: i32, counts: &[u32]) -> Self {
        let occurs = |count: &u32| *count > 0;
        let first = counts.iter().position(occurs).unwrap_or(0);
        let end = counts.iter().rposition(occurs).map_or(first, |last| last + 1);
        Self { min: min + first as i32, counts: counts[first..end].to_vec() }
    }

    /// Lowest level that occurs.
    pub fn min(&self) -> i32 {
        self.min
    }

    /// Highest level that occurs.
    pub fn max(&self) -> i32 {
        self.min + self.counts.len().saturating_sub(1) as i32
    }

    /// (level, pixels), upwards.
    pub fn levels(&self) -> impl ExactSizeIterator<Item = (i32, u32)> + DoubleEndedIterator + '_ {
        self.counts.iter().enumerate().map(|(i, &count)| (self.min + i as i32, count))
    }

    /// The histogram of `sum - v`.
    pub fn mirrored(&self, sum: i32) -> Self {
        Self { min: sum - self.max(), counts: self.counts.iter().rev().copied().collect() }
    }
}

fn count<T: Sample>(pixels: ArrayView2<T>) -> Histogram {
    let (rows, columns) = pixels.dim();
    let partial = map_rows(rows, rows * columns, |part| count_part(pixels.slice(ndarray::s![part, ..])));
    let mut counts = vec![0u32; 1 << 16];
    for part in partial {
        for (pattern, n) in part.into_iter().enumerate() {
            // Signed patterns 0x8000..=0xFFFF are the levels below 0: rotating by half the table sorts them.
            counts[if T::SIGNED { pattern ^ 0x8000 } else { pattern }] += n;
        }
    }
    Histogram::from_counts(if T::SIGNED { -32768 } else { 0 }, &counts)
}

fn count_part<T: Sample>(pixels: ArrayView2<T>) -> Vec<u32> {
    let mut counts = vec![0u32; 1 << 16];
    let table = table(&mut counts);
    for row in pixels.rows() {
        let copy;
        let row = match row.to_slice() {
            Some(row) => row,
            None => {
                copy = row.to_vec();
                &copy
            }
        };
        let (fours, rest) = row.as_chunks::<4>();
        for four in fours {
            // In a plain background each count would wait for the one before it to the same place.
            if *four == [four[0]; 4] {
                table[usize::from(four[0].pattern())] += 4;
            } else {
                four.iter().for_each(|v| table[usize::from(v.pattern())] += 1);
            }
        }
        rest.iter().for_each(|v| table[usize::from(v.pattern())] += 1);
    }
    counts
}

/// A view whose length the compiler knows: an index of 16 bits is then always inside.
fn table(counts: &mut [u32]) -> &mut [u32; 1 << 16] {
    counts.first_chunk_mut().unwrap_or_else(|| unreachable!("the table was made with 65536 entries"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn counts_signed_and_unsigned_of_every_type() {
        let signed = Pixels::I16(Array2::from_shape_vec((2, 3), vec![-2, 5, -2, 0, 5, 5]).unwrap());
        let levels: Vec<_> = Histogram::of(&signed).levels().filter(|l| l.1 > 0).collect();
        assert_eq!(levels, [(-2, 2), (0, 1), (5, 3)]);
        let wide = Pixels::U16(Array2::from_shape_vec((1, 3), vec![0, 65535, 65535]).unwrap());
        let histogram = Histogram::of(&wide);
        assert_eq!((histogram.min(), histogram.max()), (0, 65535));
        assert_eq!(histogram.mirrored(65535).levels().next(), Some((0, 2)));
        let bytes = Pixels::U8(Array2::from_elem((5, 1), 7));
        assert_eq!(Histogram::of(&bytes).levels().collect::<Vec<_>>(), [(7, 5)]);
    }

    #[test]
    fn two_threads_count_as_one() {
        let image = Array2::from_shape_fn((1501, 1000), |(r, c)| ((r * 7919 + c * 104_729) % 5000) as u16);
        let mut expected = vec![0u32; 5000];
        image.iter().for_each(|&v| expected[usize::from(v)] += 1);
        assert_eq!(Histogram::of(&Pixels::U16(image)), Histogram::from_counts(0, &expected));
    }
}
