//! Measurements of a segment on the source's grid.

use ndarray::{ArrayView3, Axis, s};

use crate::imaging::Geometry;

use super::outline::outline;
use super::{Lesion, LongAxis};

/// Measures a mask, (slice, row, column) with 1 inside, on the grid of `geometry`. `channels` are the source's values on
/// the same grid; `analysed_voxels` is how many voxels the network saw. `None`: no voxel is inside. The spread is not measured here.
pub fn measure(
    mask: ArrayView3<u8>,
    geometry: &Geometry,
    channels: &[ArrayView3<f32>],
    analysed_voxels: usize,
) -> Option<Lesion> {
    let spans = spans(mask);
    let fullest = fullest_slice(&spans)?;
    let voxels: usize = spans.iter().map(|span| span.voxels).sum();
    Some(Lesion {
        voxels,
        volume_ml: voxels as f64 * geometry.voxel_mm3() / 1000.0,
        ratio_percent: 100.0 * voxels as f64 / analysed_voxels as f64,
        long_axis: long_axis(&spans, geometry)?,
        channel_means: channels.iter().map(|values| sum_inside(mask, &spans, *values) / voxels as f64).collect(),
        spread: None,
        outline: outline(mask.index_axis(Axis(0), fullest), fullest)?,
    })
}

/// Where a row of voxels has its first and its last of the mask.
#[derive(Debug, Clone, Copy)]
struct Span {
    slice: usize,
    row: usize,
    first: usize,
    last: usize,
    /// How many are inside.
    voxels: usize,
}

/// The spans of all rows that have voxels inside, in index order.
fn spans(mask: ArrayView3<u8>) -> Vec<Span> {
    let (slices, rows, _) = mask.dim();
    let lines = (0..slices).flat_map(|slice| (0..rows).map(move |row| (slice, row)));
    let span = |(slice, row)| {
        let voxels = mask.slice(s![slice, row, ..]);
        let first = voxels.iter().position(|v| *v != 0)?;
        let last = first + voxels.iter().skip(first).rposition(|v| *v != 0)?;
        let voxels = voxels.iter().take(last + 1).skip(first).filter(|v| **v != 0).count();
        Some(Span { slice, row, first, last, voxels })
    };
    lines.filter_map(span).collect()
}

fn sum_inside(mask: ArrayView3<u8>, spans: &[Span], values: ArrayView3<f32>) -> f64 {
    let inside = |span: &Span| -> f64 {
        let voxels = s![span.slice, span.row, span.first..=span.last];
        let both = mask.slice_move(voxels).into_iter().zip(values.slice(voxels));
        both.filter(|(inside, _)| **inside != 0).map(|(_, value)| f64::from(*value)).sum()
    };
    spans.iter().map(inside).sum()
}

/// The slice of most voxels, the first of equals.
fn fullest_slice(spans: &[Span]) -> Option<usize> {
    let count = |slice: &[Span]| (slice[0].slice, slice.iter().map(|span| span.voxels).sum::<usize>());
    let counts = spans.chunk_by(|a, b| a.slice == b.slice).map(count);
    counts.reduce(|best, slice| if slice.1 > best.1 { slice } else { best }).map(|(slice, _)| slice)
}

/// The longest distance between two voxels' centres. Its ends are corners of the mask's convex hull, hence of the hull of
/// their slice, hence ends of their row; of those, pairs are tried from the outermost inwards.
fn long_axis(spans: &[Span], geometry: &Geometry) -> Option<LongAxis> {
    let mut ends: Vec<[f64; 3]> = Vec::new();
    for slice in spans.chunk_by(|a, b| a.slice == b.slice) {
        let corners = hull(slice).into_iter();
        ends.extend(
            corners.map(|[row, column]| geometry.to_patient([slice[0].slice as f64, row as f64, column as f64])),
        );
    }
    let center: [f64; 3] = std::array::from_fn(|i| ends.iter().map(|end| end[i]).sum::<f64>() / ends.len() as f64);
    let mut outermost: Vec<(f64, [f64; 3])> = ends.iter().map(|end| (distance(*end, center), *end)).collect();
    outermost.sort_by(|a, b| b.0.total_cmp(&a.0));

    let start = *ends.first()?;
    let mut longest = LongAxis { length_mm: 0.0, from_mm: start, to_mm: start };
    for (i, &(reach, from)) in outermost.iter().enumerate() {
        for &(other_reach, to) in &outermost[i + 1..] {
            // No distance is longer than the way over the centre; a little more, for rounding.
            if (reach + other_reach) * (1.0 + 1e-12) < longest.length_mm {
                break;
            }
            let length_mm = distance(from, to);
            if length_mm > longest.length_mm {
                longest = LongAxis { length_mm, from_mm: from, to_mm: to };
            }
        }
    }
    Some(longest)
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|i| (a[i] - b[i]) * (a[i] - b[i])).sum::<f64>().sqrt()
}

/// The corners, (row, column), of the convex hull of one slice's voxels (Andrew's monotone chain). Indices do for the
/// corners: lines stay lines on any grid.
fn hull(slice: &[Span]) -> Vec<[i64; 2]> {
    let ends = slice.iter().flat_map(|s| [[s.row as i64, s.first as i64], [s.row as i64, s.last as i64]]);
    let mut points: Vec<[i64; 2]> = ends.collect();
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let half = |points: &mut dyn Iterator<Item = [i64; 2]>| {
        let mut chain: Vec<[i64; 2]> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..] {
                if (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]) > 0 {
                    break;
                }
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut corners = half(&mut points.iter().copied());
    corners.extend(half(&mut points.iter().rev().copied()));
    corners
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    /// Steps that are neither equal nor at right angles (gantry tilt).
    fn tilted(mask: &Array3<u8>) -> Geometry {
        Geometry {
            size: mask.dim().into(),
            origin_mm: [-100.0, 20.0, 7.5],
            steps_mm: [[0.1, 0.9, 2.0], [0.0, 0.75, 0.0], [0.6, 0.0, -0.1]],
            frame_of_reference_uid: None,
        }
    }

    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    fn brute_force_length(mask: &Array3<u8>, geometry: &Geometry) -> f64 {
        let inside = mask.indexed_iter().filter(|(_, v)| **v == 1);
        let points: Vec<_> = inside.map(|((s, r, c), _)| geometry.to_patient([s, r, c].map(|i| i as f64))).collect();
        let lengths = points.iter().flat_map(|a| points.iter().map(|b| distance(*a, *b)));
        lengths.fold(0.0, f64::max)
    }

    #[test]
    fn the_long_axis_equals_that_of_all_pairs() {
        let mut state = 3;
        let sizes = [(1, 1, 30), (1, 30, 1), (30, 1, 1), (1, 9, 11), (8, 1, 12), (7, 12, 1), (6, 8, 10), (9, 9, 9)];
        for (size, percent) in sizes.into_iter().cycle().zip([2, 10, 50, 97, 100].into_iter().cycle()).take(400) {
            let mask = Array3::from_shape_simple_fn(size, || u8::from(random(&mut state) % 100 < percent));
            let geometry = tilted(&mask);
            let Some(lesion) = measure(mask.view(), &geometry, &[], mask.len()) else {
                assert!(mask.iter().all(|v| *v == 0));
                continue;
            };
            let LongAxis { length_mm, from_mm, to_mm } = lesion.long_axis;
            assert!(
                (length_mm - brute_force_length(&mask, &geometry)).abs() < 1e-9,
                "{size:?} {percent} %: {length_mm}"
            );
            assert_eq!(length_mm, distance(from_mm, to_mm));
            for end in [from_mm, to_mm] {
                let of_mask = |((s, r, c), v): ((usize, usize, usize), &u8)| {
                    *v == 1 && distance(end, geometry.to_patient([s, r, c].map(|i| i as f64))) < 1e-9
                };
                assert!(mask.indexed_iter().any(of_mask), "the axis ends at a voxel of the mask");
            }
        }
    }

    #[test]
    fn volume_share_and_means_are_those_of_the_voxels() {
        let mut state = 11;
        let mask = Array3::from_shape_simple_fn((5, 6, 7), || u8::from(random(&mut state) % 100 < 33));
        let channels = [1.0f32, -2.0].map(|sign| mask.map(|_| sign * (random(&mut state) % 1000) as f32));
        let lesion = measure(mask.view(), &tilted(&mask), &[channels[0].view(), channels[1].view()], 400).unwrap();

        let inside = mask.iter().filter(|v| **v == 1).count();
        assert_eq!(lesion.voxels, inside);
        assert_eq!(lesion.ratio_percent, inside as f64 / 4.0);
        // Determinant of the steps: tilted slices are no further apart for it.
        let voxel_mm3 = 0.75 * (0.6 * 2.0 + 0.1 * 0.1);
        assert!((lesion.volume_ml - inside as f64 * voxel_mm3 / 1000.0).abs() < 1e-12);
        for (mean, values) in lesion.channel_means.iter().zip(&channels) {
            let kept = values.iter().zip(&mask).filter(|(_, v)| **v == 1).map(|(value, _)| f64::from(*value));
            assert!((mean - kept.sum::<f64>() / inside as f64).abs() < 1e-9);
        }
        let count = |slice: usize| mask.index_axis(Axis(0), slice).iter().filter(|v| **v == 1).count();
        let most = (0..5).map(count).max().unwrap();
        assert_eq!(Some(lesion.outline.slice), (0..5).find(|slice| count(*slice) == most));
    }

    #[test]
    fn one_voxel_has_no_length_and_none_no_measurement() {
        let mut mask = Array3::zeros((3, 4, 5));
        assert_eq!(measure(mask.view(), &tilted(&mask), &[], mask.len()), None);
        mask[[2, 3, 4]] = 1;
        let geometry = tilted(&mask);
        let lesion = measure(mask.view(), &geometry, &[mask.map(|v| f32::from(*v)).view()], mask.len()).unwrap();
        let at = geometry.to_patient([2.0, 3.0, 4.0]);
        assert_eq!(lesion.long_axis, LongAxis { length_mm: 0.0, from_mm: at, to_mm: at });
        assert_eq!((lesion.voxels, lesion.channel_means), (1, vec![1.0]));
        let points = vec![[4.0, 3.0], [5.0, 3.0], [5.0, 4.0], [4.0, 4.0], [4.0, 3.0]];
        assert_eq!(lesion.outline, super::super::Outline { slice: 2, points });
    }
}
