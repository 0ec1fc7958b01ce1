//! Masks as pixel data: one bit a pixel (BINARY) or one byte (LABELMAP).

use std::ops::RangeInclusive;

use ndarray::{ArrayView2, Axis, Zip};

use super::super::segmented::Segmented;
use crate::manifest::SegEncoding;

/// How the masks of one object are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Binary,
    Labelmap,
}

impl Encoding {
    /// What the manifest wants, as far as the masks allow it: what a label map cannot hold (see [`fits_labelmap`]) is
    /// written as bits whatever is wanted.
    pub fn of(wanted: SegEncoding, columns: usize, fits_labelmap: bool) -> Self {
        let labelmap = match wanted {
            SegEncoding::Binary => false,
            SegEncoding::Labelmap => true,
            SegEncoding::Auto => !columns.is_multiple_of(8),
        };
        if labelmap && fits_labelmap { Self::Labelmap } else { Self::Binary }
    }
}

/// What one frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// None: every segment.
    pub segment: Option<u16>,
    pub slice: usize,
}

/// The frames of an object and their pixels.
pub struct Pixels {
    pub frames: Vec<Frame>,
    /// PixelData, of even length.
    pub data: Vec<u8>,
}

impl Pixels {
    /// One frame a slice and segment (BINARY) or a slice (LABELMAP), from the first slice with a voxel to the last without
    /// gaps: old viewers place a segment that skips slices wrongly.
    pub fn new(segmented: &Segmented, encoding: Encoding) -> Self {
        let mut pixels = match encoding {
            Encoding::Binary => binary(segmented),
            Encoding::Labelmap => labelmap(segmented),
        };
        if pixels.data.len() % 2 == 1 {
            pixels.data.push(0);
        }
        pixels
    }
}

/// Whether one byte a voxel can say it all: no voxel in more than one segment, and few segments.
pub fn fits_labelmap(segmented: &Segmented, overlap: bool) -> bool {
    !overlap && segmented.found().count() <= usize::from(u8::MAX)
}

/// Whether a voxel is in more than one segment.
pub fn overlap(segmented: &Segmented) -> bool {
    let masks: Vec<_> = segmented.found().map(|(s, _)| s.mask).collect();
    let shared = |a: usize, b: usize| Zip::from(masks[a]).and(masks[b]).any(|a, b| *a != 0 && *b != 0);
    (0..masks.len()).any(|a| (a + 1..masks.len()).any(|b| shared(a, b)))
}

fn binary(segmented: &Segmented) -> Pixels {
    let [_, rows, columns] = segmented.geometry.size;
    let count: usize = segmented.found().map(|(_, f)| f.slices.clone().count()).sum();
    let mut frames = Vec::with_capacity(count);
    let mut data = vec![0; (count * rows * columns).div_ceil(8)];
    for (segment, found) in segmented.found() {
        for slice in found.slices.clone() {
            set_bits(&mut data, frames.len() * rows * columns, segment.mask.index_axis(Axis(0), slice));
            frames.push(Frame { segment: Some(found.number), slice });
        }
    }
    Pixels { frames, data }
}

/// Sets the bits of the pixels inside, pixel k of the stream being bit `k % 8` of byte `k / 8` (PS3.5 8.1.1): frames
/// follow each other without alignment to bytes. `start` is the frame's first pixel in the stream.
fn set_bits(data: &mut [u8], start: usize, mask: ArrayView2<u8>) {
    let columns = mask.ncols();
    for (row, pixels) in mask.rows().into_iter().enumerate() {
        for (column, _) in pixels.iter().enumerate().filter(|(_, v)| **v != 0) {
            let k = start + row * columns + column;
            data[k / 8] |= 1 << (k % 8);
        }
    }
}

fn labelmap(segmented: &Segmented) -> Pixels {
    let [_, rows, columns] = segmented.geometry.size;
    let slices = extent(segmented);
    let mut data = vec![0; slices.clone().count() * rows * columns];
    for (segment, found) in segmented.found() {
        for slice in found.slices.clone() {
            let start = (slice - slices.start()) * rows * columns;
            let inside = segment.mask.index_axis(Axis(0), slice);
            for (pixel, _) in data[start..].iter_mut().zip(inside).filter(|(_, v)| **v != 0) {
                // No more than a byte holds: `fits_labelmap`.
                *pixel = found.number as u8;
            }
        }
    }
    Pixels { frames: slices.map(|slice| Frame { segment: None, slice }).collect(), data }
}

/// From the first slice with a voxel of any segment to the last.
fn extent(segmented: &Segmented) -> RangeInclusive<usize> {
    let ranges = segmented.found().map(|(_, f)| f.slices.clone());
    ranges.reduce(|a, b| *a.start().min(b.start())..=*a.end().max(b.end())).unwrap_or(RangeInclusive::new(1, 0))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn bits_of_frames_follow_each_other_unaligned() {
        // 3 × 3 pixels: the second frame begins at bit 9.
        let mut data = vec![0; 3];
        let corner = |r, c| Array2::from_shape_fn((3, 3), |i| u8::from(i == (r, c)));
        set_bits(&mut data, 0, corner(0, 0).view());
        set_bits(&mut data, 9, corner(0, 0).view());
        set_bits(&mut data, 9, corner(2, 2).view());
        assert_eq!(data, [0b0000_0001, 0b0000_0010, 0b0000_0010]);
    }

    #[test]
    fn the_encoding_is_the_one_wanted_where_it_can_be() {
        for (wanted, columns, fits, expected) in [
            (SegEncoding::Binary, 37, true, Encoding::Binary),
            (SegEncoding::Labelmap, 40, true, Encoding::Labelmap),
            (SegEncoding::Labelmap, 40, false, Encoding::Binary),
            (SegEncoding::Auto, 40, true, Encoding::Binary),
            (SegEncoding::Auto, 37, true, Encoding::Labelmap),
            (SegEncoding::Auto, 37, false, Encoding::Binary),
        ] {
            assert_eq!(Encoding::of(wanted, columns, fits), expected, "{wanted:?} {columns} {fits}");
        }
    }
}
