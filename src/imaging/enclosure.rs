//! What a wall of bright pixels encloses in one slice: the inside of a skull.

use ndarray::{Array2, ArrayView2, Axis};

use super::components::label;

/// The largest region that a wall encloses.
#[derive(Debug, Clone, PartialEq)]
pub struct Enclosure {
    /// 1 inside, without the wall; (row, column).
    pub inside: Array2<u8>,
    pub pixels: usize,
    /// Share of the pixels around the region that are wall, 0 to 1: below 1 where gaps were bridged.
    pub wall_share: f64,
}

/// The largest region without a way to the image's border, other than over pixels of `wall` (not 0) or through gaps of at most twice
/// `bridge` (rows, columns; in pixels). None where there is no such region.
pub fn largest_enclosure(wall: ArrayView2<u8>, bridge: [f64; 2]) -> Option<Enclosure> {
    let thick = dilated(wall, bridge);
    let open = thick.mapv(|v| 1 - v);
    let labels = label(open.view().insert_axis(Axis(0)));
    let labels = labels.index_axis(Axis(0), 0);
    let count = labels.iter().copied().max().unwrap_or(0) as usize;
    let (mut pixels, mut outside) = (vec![0usize; count + 1], vec![false; count + 1]);
    let (rows, columns) = labels.dim();
    for ((row, column), &component) in labels.indexed_iter() {
        pixels[component as usize] += 1;
        outside[component as usize] |= row == 0 || column == 0 || row + 1 == rows || column + 1 == columns;
    }
    let largest = (1..=count).filter(|&c| !outside[c]).max_by_key(|&c| (pixels[c], count - c))?;

    // What the thickened wall took away comes back.
    let core = labels.mapv(|component| u8::from(component as usize == largest));
    let mut inside = dilated(core.view(), bridge);
    inside.zip_mut_with(&wall, |inside, wall| *inside &= u8::from(*wall == 0));
    let pixels = inside.iter().filter(|v| **v != 0).count();
    let rim = dilated(inside.view(), [1.0, 1.0]);
    let (mut around, mut walled) = (0usize, 0usize);
    for ((rim, inside), wall) in rim.iter().zip(&inside).zip(&wall) {
        if *rim != 0 && *inside == 0 {
            around += 1;
            walled += usize::from(*wall != 0);
        }
    }
    Some(Enclosure { inside, pixels, wall_share: walled as f64 / around.max(1) as f64 })
}

/// Binary dilation with an ellipse of these half axes (rows, columns), run by run: its cost does not grow with the ellipse's width.
fn dilated(mask: ArrayView2<u8>, half_axes: [f64; 2]) -> Array2<u8> {
    let (rows, columns) = mask.dim();
    let reach = half_axes[0].max(0.0).floor() as isize;
    let half_width = |dy: isize| {
        let share = if half_axes[0] > 0.0 { dy as f64 / half_axes[0] } else { 0.0 };
        (half_axes[1].max(0.0) * (1.0 - share * share).max(0.0).sqrt()).floor() as usize
    };
    // Of each row, where runs begin (+1) and end (-1); summed up along the row at the end.
    let mut edges = Array2::<i32>::zeros((rows, columns + 1));
    for (row, line) in mask.outer_iter().enumerate() {
        let mut column = 0;
        while column < columns {
            if line[column] == 0 {
                column += 1;
                continue;
            }
            let start = column;
            while column < columns && line[column] != 0 {
                column += 1;
            }
            for dy in -reach..=reach {
                let Some(to) = row.checked_add_signed(dy).filter(|to| *to < rows) else { continue };
                let wide = half_width(dy);
                edges[[to, start.saturating_sub(wide)]] += 1;
                edges[[to, (column + wide).min(columns)]] -= 1;
            }
        }
    }
    let mut out = Array2::zeros((rows, columns));
    for (mut line, edges) in out.outer_iter_mut().zip(edges.outer_iter()) {
        let mut depth = 0;
        for (pixel, edge) in line.iter_mut().zip(edges) {
            depth += edge;
            *pixel = u8::from(depth > 0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: &[&str]) -> Array2<u8> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(r, c)| u8::from(rows[r].as_bytes()[c] == b'#'))
    }

    #[test]
    fn dilation_equals_that_of_every_pixel() {
        let mut state = 5u64;
        for (half, size) in [([0.0, 0.0], (7, 9)), ([1.0, 1.0], (9, 7)), ([2.0, 3.5], (12, 20)), ([4.2, 1.0], (20, 11))]
        {
            let mask = Array2::from_shape_simple_fn(size, || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                u8::from((state >> 33) % 100 < 6)
            });
            let near = |a: (usize, usize), b: (usize, usize)| {
                let [dy, dx] = [a.0 as f64 - b.0 as f64, a.1 as f64 - b.1 as f64];
                let part = |d: f64, half: f64| if d == 0.0 { 0.0 } else { (d / half).powi(2) };
                part(dy, half[0]) + part(dx, half[1]) <= 1.0
            };
            let expected = Array2::from_shape_fn(size, |at| {
                u8::from(mask.indexed_iter().any(|(from, v)| *v != 0 && near(at, from)))
            });
            assert_eq!(dilated(mask.view(), half), expected, "{half:?}");
        }
    }

    #[test]
    fn the_larger_of_two_rooms_is_found_and_a_room_at_the_border_is_none() {
        let mask = drawn(&["#########", "#.#.....#", "#########", "#...#....", "#####...."]);
        let found = largest_enclosure(mask.view(), [0.0, 0.0]).unwrap();
        assert_eq!((found.pixels, found.wall_share), (5, 1.0));
        assert_eq!(found.inside.iter().map(|v| usize::from(*v)).sum::<usize>(), 5);
        assert_eq!(found.inside[[1, 3]], 1);
        assert_eq!(largest_enclosure(drawn(&["###", "#..", "###"]).view(), [0.0, 0.0]), None);
        assert_eq!(largest_enclosure(Array2::zeros((4, 4)).view(), [1.0, 1.0]), None);
        assert_eq!(largest_enclosure(Array2::zeros((0, 0)).view(), [1.0, 1.0]), None);
    }

    #[test]
    fn gaps_are_bridged_as_far_as_asked() {
        let ring = |gap: usize| {
            Array2::from_shape_fn((41, 41), |(r, c)| {
                let d = ((r as f64 - 20.0).powi(2) + (c as f64 - 20.0).powi(2)).sqrt();
                u8::from((14.0..17.0).contains(&d) && !(c > 20 && r.abs_diff(20) * 2 < gap))
            })
        };
        let closed = largest_enclosure(ring(0).view(), [2.0, 2.0]).unwrap();
        assert!(closed.wall_share == 1.0 && closed.pixels.abs_diff(613) < 30, "{closed:?}");
        assert_eq!(largest_enclosure(ring(4).view(), [0.0, 0.0]), None);
        let bridged = largest_enclosure(ring(4).view(), [2.5, 2.5]).unwrap();
        assert!(bridged.pixels.abs_diff(closed.pixels) < 30, "{} and {}", bridged.pixels, closed.pixels);
        assert!((0.8..1.0).contains(&bridged.wall_share), "{}", bridged.wall_share);
        assert_eq!(largest_enclosure(ring(12).view(), [2.5, 2.5]), None);
    }
}
