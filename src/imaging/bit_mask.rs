//! A mask of one bit a pixel: a 3328×2840 image takes 1.2 MB, and 64 equal pixels are seen with one comparison.

use ndarray::{Array2, ArrayView2};

use super::histogram::Sample;
use super::{Pixels, row_parts};

/// Foreground of an image. Rows start at a word; the first pixel of a word is its lowest bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitMask {
    rows: usize,
    columns: usize,
    words: usize,
    bits: Vec<u64>,
}

impl BitMask {
    /// `value > threshold` for stored values.
    pub fn above(pixels: &Pixels, threshold: i32) -> Self {
        match pixels {
            Pixels::U8(a) => above(a.view(), threshold, 0..=255),
            Pixels::U16(a) => above(a.view(), threshold, 0..=65535),
            Pixels::I16(a) => above(a.view(), threshold, -32768..=32767),
        }
    }

    /// From one boolean a pixel.
    pub fn from_array(mask: &Array2<bool>) -> Self {
        let bytes = mask.mapv(u8::from);
        above(bytes.view(), 0, 0..=255)
    }

    fn constant(rows: usize, columns: usize, value: bool) -> Self {
        let words = columns.div_ceil(64);
        let mut mask = Self { rows, columns, words, bits: vec![if value { u64::MAX } else { 0 }; rows * words] };
        mask.clear_padding();
        mask
    }

    /// (rows, columns)
    pub fn dim(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Number of foreground pixels.
    pub fn count(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn get(&self, row: usize, column: usize) -> bool {
        self.bits[row * self.words + column / 64] >> (column % 64) & 1 == 1
    }

    /// The words of a row; bits after the last column are 0.
    pub fn row(&self, row: usize) -> &[u64] {
        &self.bits[row * self.words..(row + 1) * self.words]
    }

    /// The opposite mask.
    #[must_use]
    pub fn complement(mut self) -> Self {
        self.bits.iter_mut().for_each(|word| *word = !*word);
        self.clear_padding();
        self
    }

    fn clear_padding(&mut self) {
        let used = self.columns % 64;
        if used != 0 {
            self.bits.chunks_exact_mut(self.words).for_each(|row| row[self.words - 1] &= (1 << used) - 1);
        }
    }
}

fn above<T: Sample>(pixels: ArrayView2<T>, threshold: i32, range: std::ops::RangeInclusive<i32>) -> BitMask {
    let (rows, columns) = pixels.dim();
    if threshold < *range.start() || threshold >= *range.end() {
        return BitMask::constant(rows, columns, threshold < *range.start());
    }
    let threshold = T::from_level(threshold);
    let mut mask = BitMask::constant(rows, columns, false);
    let words = mask.words;
    std::thread::scope(|scope| {
        let mut rest = mask.bits.as_mut_slice();
        for part in row_parts(rows, rows * columns) {
            let (bits, after) = std::mem::take(&mut rest).split_at_mut(part.len() * words);
            rest = after;
            let last = part.end == rows;
            let pixels = pixels.slice_move(ndarray::s![part, ..]);
            let mut fill = move || fill_rows(pixels, threshold, bits, words);
            if last { fill() } else { drop(scope.spawn(fill)) }
        }
    });
    mask
}

fn fill_rows<T: Sample>(pixels: ArrayView2<T>, threshold: T, bits: &mut [u64], words: usize) {
    for (row, bits) in pixels.rows().into_iter().zip(bits.chunks_exact_mut(words)) {
        let Some(row) = row.to_slice() else {
            row.iter().enumerate().for_each(|(c, &v)| bits[c / 64] |= u64::from(v > threshold) << (c % 64));
            continue;
        };
        for (chunk, word) in row.chunks(64).zip(bits) {
            *word = match <&[T; 64]>::try_from(chunk) {
                Ok(full) => pack(full, threshold),
                Err(_) => chunk.iter().rev().fold(0, |word, &v| word << 1 | u64::from(v > threshold)),
            };
        }
    }
}

fn pack<T: Sample>(values: &[T; 64], threshold: T) -> u64 {
    let mut flags = [0u8; 64];
    for (flag, &value) in flags.iter_mut().zip(values) {
        *flag = u8::from(value > threshold);
    }
    let mut word = 0;
    for (i, eight) in flags.chunks_exact(8).enumerate() {
        let eight = eight.try_into().map_or(0, u64::from_le_bytes);
        // Eight bytes of 0 or 1 to eight bits: the product moves byte i to bit 56 + i, and nothing carries into those.
        word |= (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_type_agrees_with_a_plain_comparison() {
        for columns in [1, 2, 63, 64, 65, 127, 128, 200, 1100] {
            let value = |r: usize, c: usize| (r * 31 + c * 17) % 251;
            let rows = if columns == 1100 { 1000 } else { 3 };
            let images = [
                Pixels::U8(Array2::from_shape_fn((rows, columns), |(r, c)| value(r, c) as u8)),
                Pixels::U16(Array2::from_shape_fn((rows, columns), |(r, c)| value(r, c) as u16)),
                Pixels::I16(Array2::from_shape_fn((rows, columns), |(r, c)| value(r, c) as i16)),
            ];
            for (image, threshold) in images.iter().flat_map(|i| [-1, 0, 100, 250, 255, 70000].map(|t| (i, t))) {
                let mask = BitMask::above(image, threshold);
                let expected = Array2::from_shape_fn((rows, columns), |(r, c)| value(r, c) as i32 > threshold);
                assert_eq!(mask, BitMask::from_array(&expected), "{columns} columns, > {threshold}");
                assert_eq!(mask.count(), expected.iter().filter(|&&b| b).count());
                assert_eq!(mask.get(rows - 1, columns - 1), expected[[rows - 1, columns - 1]]);
                assert_eq!(mask.complement(), BitMask::from_array(&expected.mapv(|b| !b)));
            }
        }
    }
}
