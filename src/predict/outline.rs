//! The outline of a region of pixels as a polygon along their edges.

use ndarray::{ArrayView2, Axis};

use crate::imaging::components::keep_largest;

use super::Outline;

/// Outlines the largest region of a slice's mask, (row, column) with 1 inside; `slice` is its index. Pixels that share an
/// edge are one region; holes are left out of account, also where they touch the outside at a pixel's corner, so that the
/// polygon neither crosses nor touches itself. It goes with the region on its right from the upper left corner of the
/// region's first pixel, with a point at each turn. `None`: no pixel is inside.
pub fn outline(mask: ArrayView2<u8>, slice: usize) -> Option<Outline> {
    let region = keep_largest(mask.insert_axis(Axis(0)));
    let region = region.index_axis(Axis(0), 0);
    let ((row, column), _) = region.indexed_iter().find(|(_, inside)| **inside != 0)?;
    let inside = |[column, row]: [i64; 2]| {
        let index = usize::try_from(row).ok().zip(usize::try_from(column).ok());
        index.is_some_and(|index| region.get(index) == Some(&1))
    };

    let start = [column as i64, row as i64];
    let (mut at, mut heading) = (start, Heading { column: 1, row: 0 });
    let point = |at: [i64; 2]| at.map(|v| v as f32);
    let mut points = vec![point(start)];
    loop {
        at = [at[0] + heading.column, at[1] + heading.row];
        let turned = if inside(heading.left_of(at)) {
            heading.turn_left()
        } else if inside(heading.right_of(at)) {
            heading
        } else {
            heading.turn_right()
        };
        if turned != heading || at == start {
            points.push(point(at));
        }
        if at == start {
            return Some(Outline { slice, points });
        }
        heading = turned;
    }
}

/// Along a pixel's edge, from corner to corner. Rows run downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Heading {
    column: i64,
    row: i64,
}

impl Heading {
    fn turn_right(self) -> Self {
        Self { column: -self.row, row: self.column }
    }

    fn turn_left(self) -> Self {
        Self { column: self.row, row: -self.column }
    }

    /// The pixel ahead on the left of a corner, (column, row).
    fn left_of(self, corner: [i64; 2]) -> [i64; 2] {
        self.between(corner, self.turn_left())
    }

    fn right_of(self, corner: [i64; 2]) -> [i64; 2] {
        self.between(corner, self.turn_right())
    }

    /// The pixel that touches a corner between two headings. A corner has the number of the pixel on its lower right.
    fn between(self, corner: [i64; 2], side: Self) -> [i64; 2] {
        let back = |ahead: i64, sideways: i64| if ahead + sideways < 0 { -1 } else { 0 };
        [corner[0] + back(self.column, side.column), corner[1] + back(self.row, side.row)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::components::fill_holes;
    use ndarray::{Array2, Array3};

    fn drawn(rows: &[&str]) -> Array2<u8> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(r, c)| u8::from(rows[r].as_bytes()[c] == b'#'))
    }

    fn points(rows: &[&str]) -> Vec<[f32; 2]> {
        outline(drawn(rows).view(), 0).unwrap().points
    }

    #[test]
    fn follows_the_edges_of_pixels() {
        assert_eq!(points(&["#"]), [[0., 0.], [1., 0.], [1., 1.], [0., 1.], [0., 0.]]);
        assert_eq!(points(&["....", ".##.", ".##."]), [[1., 1.], [3., 1.], [3., 3.], [1., 3.], [1., 1.]]);
        let l = [[0., 0.], [1., 0.], [1., 1.], [2., 1.], [2., 2.], [0., 2.], [0., 0.]];
        assert_eq!(points(&["#.", "##"]), l);
        let ring = [[0., 0.], [3., 0.], [3., 3.], [0., 3.], [0., 0.]];
        assert_eq!(points(&["###", "#.#", "###"]), ring);
        assert_eq!(outline(drawn(&["...", "..."]).view(), 0), None);
    }

    #[test]
    fn the_largest_region_alone_is_outlined() {
        // The pixel at the corner of the region does not belong to it.
        let square = [[1., 1.], [3., 1.], [3., 3.], [1., 3.], [1., 1.]];
        assert_eq!(points(&["#...#", ".##..", ".##..", "...#."]), square);
        // Of equals the first.
        assert_eq!(points(&[".#.#"]), [[1., 0.], [2., 0.], [2., 1.], [1., 1.], [1., 0.]]);
    }

    #[test]
    fn a_hole_that_touches_the_outside_at_a_corner_stays_out() {
        let found = points(&["##.", "#.#", "###"]);
        assert_eq!(found, [[0., 0.], [2., 0.], [2., 1.], [3., 1.], [3., 3.], [0., 3.], [0., 0.]]);
    }

    #[test]
    fn encloses_the_region_with_its_holes_and_touches_no_point_twice() {
        let mut state = 7u64;
        for size in [(1, 12), (12, 1), (9, 13), (20, 20)].into_iter().cycle().take(400) {
            let mask = Array2::from_shape_simple_fn(size, || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                u8::from((state >> 33) % 100 < 62)
            });
            let Some(Outline { points, .. }) = outline(mask.view(), 0) else { continue };
            // Shoelace formula: positive, since rows run downwards and the region is on the right.
            let area: f32 = points.windows(2).map(|p| p[0][0] * p[1][1] - p[1][0] * p[0][1]).sum::<f32>() / 2.0;
            // Between slices of ones, so that only what the slice's own border reaches is open.
            let largest = keep_largest(mask.view().insert_axis(Axis(0)));
            let slab = |(s, r, c)| if s == 1 { largest[[0, r, c]] } else { 1 };
            let slab = Array3::from_shape_fn((3, size.0, size.1), slab);
            let filled = fill_holes(slab.view()).index_axis(Axis(0), 1).iter().map(|v| f32::from(*v)).sum::<f32>();
            assert_eq!(area, filled, "{mask:?}");

            let mut seen: Vec<_> = points[1..].iter().map(|p| p.map(|v| v as i32)).collect();
            seen.sort_unstable();
            assert!(seen.windows(2).all(|p| p[0] != p[1]), "{mask:?}");
            // Turns alone: no three points in line.
            let straight = |p: &[[f32; 2]]| (0..2).any(|i| p[0][i] == p[1][i] && p[1][i] == p[2][i]);
            assert!(!points.windows(3).any(straight), "{mask:?}");
        }
    }
}
