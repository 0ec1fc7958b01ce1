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
    /// gaps: old viewers place a segment that skips slices wrongly. BINARY may have some empty frames more, see
    /// [`is_unmistakable`].
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
    let ranges = unmistakable(segmented.found().map(|(_, f)| f.slices.clone()).collect(), segmented.geometry.size);
    let count = frame_count(&ranges);
    let mut frames = Vec::with_capacity(count);
    let mut data = vec![0; (count * rows * columns).div_ceil(8)];
    for ((segment, found), slices) in segmented.found().zip(ranges) {
        for slice in slices {
            set_bits(&mut data, frames.len() * rows * columns, segment.mask.index_axis(Axis(0), slice));
            frames.push(Frame { segment: Some(found.number), slice });
        }
    }
    Pixels { frames, data }
}

/// Whether readers that guess from the length of PixelData how its frames are packed guess right. The adapter of
/// cornerstone3D 5.14 (OHIF) does: it refuses the byte that pads an odd length, and takes frames of a length that would
/// fit for aligned to bytes, which they never are.
fn is_unmistakable(pixels: usize, frames: usize) -> bool {
    let packed = (pixels * frames).div_ceil(8);
    let aligned = pixels.div_ceil(8) * frames;
    packed.is_multiple_of(2) && (frames == 1 || pixels.is_multiple_of(8) || packed != aligned)
}

/// `ranges` of slices, made longer by slices at their ends as far as it takes and the volume `[slices, rows, columns]`
/// has any; images whose pixels are a multiple of 16, and that is most, need none. Where there are not enough slices
/// the ranges stay as they are: the object is right, only that one reader is not.
fn unmistakable(ranges: Vec<RangeInclusive<usize>>, size: [usize; 3]) -> Vec<RangeInclusive<usize>> {
    let [slices, rows, columns] = size;
    let mut longer = ranges.clone();
    while !is_unmistakable(rows * columns, frame_count(&longer)) {
        if let Some(range) = longer.iter_mut().find(|r| r.end() + 1 < slices) {
            *range = *range.start()..=range.end() + 1;
        } else if let Some(range) = longer.iter_mut().find(|r| *r.start() > 0) {
            *range = range.start() - 1..=*range.end();
        } else {
            return ranges;
        }
    }
    longer
}

fn frame_count(ranges: &[RangeInclusive<usize>]) -> usize {
    ranges.iter().map(|r| r.clone().count()).sum()
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
    fn empty_frames_are_added_where_a_length_would_mislead() {
        for (ranges, size, expected) in [
            (vec![3..=5], [20, 256, 256], vec![3..=5]),
            // 107 bytes a frame; one frame is 107 bytes, two are 213, three 320 (and not the 321 of aligned ones).
            (vec![3..=3], [20, 23, 37], vec![3..=5]),
            (vec![18..=18, 19..=19], [20, 23, 37], vec![18..=19, 19..=19]),
            (vec![19..=19], [20, 23, 37], vec![17..=19]),
            // 7 frames of 15 pixels are 14 bytes, packed or aligned; of the next even length, 30 bytes, are 16.
            (vec![0..=6], [20, 3, 5], vec![0..=15]),
            (vec![0..=1], [2, 23, 37], vec![0..=1]),
        ] {
            assert_eq!(unmistakable(ranges.clone(), size), expected, "{ranges:?} of {size:?}");
        }
        for (pixels, frames) in
            (1..200).flat_map(|p| (1..40).map(move |f| (p, f))).filter(|(p, f)| is_unmistakable(*p, *f))
        {
            // The adapter's order of guesses, on the padded length.
            let length = (pixels * frames).div_ceil(8).next_multiple_of(2);
            let aligned = length == pixels.div_ceil(8) * frames;
            let same = frames == 1 || pixels.is_multiple_of(8);
            assert!((!aligned || same) && (aligned || length == (pixels * frames).div_ceil(8)), "{pixels} {frames}");
        }
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
