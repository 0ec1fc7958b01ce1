//! The way of a heat map back to the source image.

use ndarray::{Array2, ArrayView2};

use super::Applied;

/// `map`, which covers the prepared image of `prepared` (rows, columns) pixels on any grid, on the source image's `source` pixels: linear between
/// its pixels' centres, the border's values up to the border, and 0 where the preprocessing had cut the source off.
pub fn heat_on_source(
    map: ArrayView2<f32>,
    prepared: [usize; 2],
    applied: &[Applied],
    source: [usize; 2],
) -> Array2<f32> {
    let (rows, columns) = map.dim();
    if rows == 0 || columns == 0 || prepared.contains(&0) {
        return Array2::zeros((source[0], source[1]));
    }
    let row_taps: Vec<Option<Tap>> = (0..source[0]).map(|at| tap(at, 0, rows, prepared, applied)).collect();
    let column_taps: Vec<Option<Tap>> = (0..source[1]).map(|at| tap(at, 1, columns, prepared, applied)).collect();
    Array2::from_shape_fn((source[0], source[1]), |(row, column)| {
        let (Some(r), Some(c)) = (row_taps[row], column_taps[column]) else { return 0.0 };
        let between = |line: usize| map[[line, c.first]] * (1.0 - c.share) + map[[line, c.second]] * c.share;
        between(r.first) * (1.0 - r.share) + between(r.second) * r.share
    })
}

/// Two neighbours on the map, and the second one's share.
#[derive(Debug, Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    share: f32,
}

/// Where the source's pixel `at` of an axis (0: rows, 1: columns) lies on the map's axis of `len` pixels; None outside of what was kept.
fn tap(at: usize, axis: usize, len: usize, prepared: [usize; 2], applied: &[Applied]) -> Option<Tap> {
    // Pixel (0, 0) reaches from 0 to 1.
    let mut place = at as f64 + 0.5;
    for step in applied {
        match step {
            Applied::CropForeground { kept, .. } => {
                let (first, end) = if axis == 0 { kept.rows } else { kept.columns };
                if place < first as f64 || place > end as f64 {
                    return None;
                }
                place -= first as f64;
            }
            Applied::Resize { from, to } => place *= to[axis] as f64 / from[axis].max(1) as f64,
        }
    }
    let place = (place * len as f64 / prepared[axis] as f64 - 0.5).clamp(0.0, (len - 1) as f64);
    let first = place as usize;
    Some(Tap { first, second: (first + 1).min(len - 1), share: (place - first as f64) as f32 })
}

#[cfg(test)]
mod tests {
    use super::super::{PixelBox, Prepared};
    use super::*;

    fn steps() -> (Vec<Applied>, [usize; 2]) {
        let kept = PixelBox { rows: (40, 240), columns: (10, 110) };
        let crop = Applied::CropForeground { source: [300, 150], kept };
        (vec![crop, Applied::Resize { from: [200, 100], to: [64, 64] }], [300, 150])
    }

    /// The map's peak lies where `Prepared::to_source` says, whatever the map's own grid.
    #[test]
    fn the_peak_comes_back_to_its_place() {
        let (applied, source) = steps();
        let prepared = Prepared { array: ndarray::Array3::zeros((1, 64, 64)), applied: applied.clone() };
        for (side, at) in [(64, [20, 41]), (8, [2, 5]), (16, [15, 0])] {
            let mut map = Array2::zeros((side, side));
            map[at] = 1.0f32;
            let heat = heat_on_source(map.view(), [64, 64], &applied, source);
            let scale = 64.0 / side as f64;
            let expected = prepared.to_source(at.map(|i| (i as f64 + 0.5) * scale));
            let (mut sum, mut center) = (0.0, [0.0; 2]);
            for ((r, c), v) in heat.indexed_iter() {
                sum += f64::from(*v);
                center = [center[0] + f64::from(*v) * (r as f64 + 0.5), center[1] + f64::from(*v) * (c as f64 + 0.5)];
            }
            let center = center.map(|v| v / sum);
            // At the border the hill is cut: its centre of mass lies within half a pixel of the map.
            let tolerance = if at.iter().any(|i| *i == 0 || *i + 1 == side) { scale * 1.6 } else { 0.3 };
            assert!(
                (0..2).all(|i| (center[i] - expected[i]).abs() < tolerance),
                "{side}: {center:?}, expected {expected:?}"
            );
        }
    }

    #[test]
    fn outside_the_crop_is_nothing_and_inside_is_all() {
        let (applied, source) = steps();
        let heat = heat_on_source(Array2::ones((7, 7)).view(), [64, 64], &applied, source);
        for ((r, c), v) in heat.indexed_iter() {
            let inside = (40..240).contains(&r) && (10..110).contains(&c);
            assert_eq!(*v, if inside { 1.0 } else { 0.0 }, "({r}, {c})");
        }
    }

    #[test]
    fn a_map_without_pixels_is_nothing_everywhere() {
        let applied = [Applied::Resize { from: [50, 90], to: [224, 224] }];
        assert_eq!(
            heat_on_source(Array2::<f32>::zeros((0, 0)).view(), [224, 224], &applied, [2, 2]),
            Array2::<f32>::zeros((2, 2))
        );
    }
}
