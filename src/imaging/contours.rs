//! Iso-lines of a mask at 0.5 by marching squares (Lorensen & Cline 1987), with the conventions of
//! skimage.measure.find_contours (0.26, `fully_connected='low'`, `positive_orientation='low'`): which contours there are,
//! how many points each has, in which order they come and where each begins.
//!
//! A point lies on the edge between two pixels of different value, at its middle. Within a square of four neighbours the
//! line keeps the background on its left; where foreground pixels meet at a corner only, they are apart. Hence every
//! edge has one line in and one out, and a contour can be followed from square to square with no list of segments.

use super::bit_mask::BitMask;

/// Extent and length of one contour. Coordinates are doubled, (row, column), pixel centres at even numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contour {
    /// Number of points; a closed contour counts its first point again at the end.
    pub points: usize,
    pub min: [i32; 2],
    pub max: [i32; 2],
    /// Ends where it began; otherwise both ends are at the border of the image.
    pub closed: bool,
    start: Segment,
}

/// The line through one square that enters over a given edge. Squares are named by their upper left pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    row: usize,
    column: usize,
    from: Edge,
    to: Edge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Top,
    Left,
    Bottom,
    Right,
}

use Edge::{Bottom, Left, Right, Top};

/// The lines through a square, by its pixels: upper left + 2 upper right + 4 lower left + 8 lower right.
const LINES: [&[(Edge, Edge)]; 16] = [
    &[],
    &[(Top, Left)],
    &[(Right, Top)],
    &[(Right, Left)],
    &[(Left, Bottom)],
    &[(Top, Bottom)],
    &[(Right, Top), (Left, Bottom)],
    &[(Right, Bottom)],
    &[(Bottom, Right)],
    &[(Top, Left), (Bottom, Right)],
    &[(Bottom, Top)],
    &[(Bottom, Left)],
    &[(Left, Right)],
    &[(Top, Right)],
    &[(Left, Top)],
    &[],
];

/// The contour with the most points; of equal ones the first in raster order.
pub fn largest_contour(mask: &BitMask) -> Option<Contour> {
    let mut largest: Option<Contour> = None;
    each_contour(mask, |contour| {
        if largest.is_none_or(|l| contour.points > l.points) {
            largest = Some(contour);
        }
    });
    largest
}

/// All contours, in the order of their first squares, row by row.
pub fn find_contours(mask: &BitMask) -> Vec<Contour> {
    let mut contours = Vec::new();
    each_contour(mask, |contour| contours.push(contour));
    contours
}

/// The points of a contour of this mask, doubled (row, column), in order.
///
/// An open contour runs from border to border. A closed one begins after its last segment in raster order, for that is
/// the one that closes it when segments are joined in that order.
pub fn contour_points(mask: &BitMask, contour: &Contour) -> Vec<[i32; 2]> {
    let mut segments = vec![contour.start];
    segments.extend(walk(mask, contour.start, Direction::Forward));
    if contour.closed {
        segments.pop(); // the walk came round to the start
        let raster = |(_, s): &(usize, &Segment)| (s.row, s.column, line_index(mask, s));
        let last = segments.iter().enumerate().max_by_key(raster).map_or(0, |(i, _)| i);
        segments.rotate_left((last + 1) % contour.points.saturating_sub(1).max(1));
    } else {
        let mut before: Vec<_> = walk(mask, contour.start, Direction::Backward).collect();
        before.reverse();
        segments.splice(0..0, before);
    }
    let first = segments.first().map(|s| s.point(s.from));
    first.into_iter().chain(segments.iter().map(|s| s.point(s.to))).collect()
}

fn line_index(mask: &BitMask, segment: &Segment) -> usize {
    lines(mask, segment.row, segment.column).iter().position(|line| line.0 == segment.from).unwrap_or(0)
}

impl Segment {
    fn point(&self, edge: Edge) -> [i32; 2] {
        let (r, c) = (2 * self.row as i32, 2 * self.column as i32);
        match edge {
            Top => [r, c + 1],
            Left => [r + 1, c],
            Bottom => [r + 2, c + 1],
            Right => [r + 1, c + 2],
        }
    }
}

fn lines(mask: &BitMask, row: usize, column: usize) -> &'static [(Edge, Edge)] {
    let (upper, lower) = (mask.row(row), mask.row(row + 1));
    let two = |words: &[u64]| {
        let (word, bit) = (column / 64, column % 64);
        let low = words[word] >> bit;
        // The pixel to the right may be in the next word.
        let pair = if bit == 63 { low | words.get(word + 1).map_or(0, |next| next << 1) } else { low };
        (pair & 3) as usize
    };
    LINES[two(upper) | two(lower) << 2]
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Forward,
    Backward,
}

/// The segments after (or before) one, up to the border of the image; on a closed contour the last is `start` again.
fn walk(mask: &BitMask, start: Segment, direction: Direction) -> impl Iterator<Item = Segment> + '_ {
    let (rows, columns) = mask.dim();
    let mut current = Some(start);
    std::iter::from_fn(move || {
        let Segment { row, column, from, to } = current?;
        let edge = if direction == Direction::Forward { to } else { from };
        // Across the edge into the next square, where the same edge has the opposite name.
        let (row, column, edge) = match edge {
            Top => (row.checked_sub(1)?, column, Bottom),
            Left => (row, column.checked_sub(1)?, Right),
            Bottom => (row + 1, column, Top),
            Right => (row, column + 1, Left),
        };
        if row + 1 >= rows || column + 1 >= columns {
            return None;
        }
        let mut candidates = lines(mask, row, column).iter();
        let &(from, to) = match direction {
            Direction::Forward => candidates.find(|line| line.0 == edge)?,
            Direction::Backward => candidates.find(|line| line.1 == edge)?,
        };
        let next = Segment { row, column, from, to };
        current = (next != start).then_some(next);
        Some(next)
    })
}

/// Which segments a contour already claimed: one bit a square for its first line, one for the second of two.
struct Visited {
    words: usize,
    lines: [Vec<u64>; 2],
}

impl Visited {
    fn mark(&mut self, mask: &BitMask, segment: &Segment) {
        let second = line_index(mask, segment);
        self.lines[second][segment.row * self.words + segment.column / 64] |= 1 << (segment.column % 64);
    }

    fn get(&self, row: usize, column: usize, line: usize) -> bool {
        self.lines[line][row * self.words + column / 64] >> (column % 64) & 1 == 1
    }
}

fn each_contour(mask: &BitMask, mut found: impl FnMut(Contour)) {
    let (rows, columns) = mask.dim();
    if rows < 2 || columns < 2 {
        return;
    }
    let words = columns.div_ceil(64);
    let mut visited = Visited { words, lines: [vec![0; rows * words], vec![0; rows * words]] };
    for row in 0..rows - 1 {
        let (upper, lower) = (mask.row(row), mask.row(row + 1));
        for word in 0..words {
            let mut mixed = mixed_squares(upper, lower, word, columns);
            while mixed != 0 {
                let column = 64 * word + mixed.trailing_zeros() as usize;
                mixed &= mixed - 1;
                for (line, &(from, to)) in lines(mask, row, column).iter().enumerate() {
                    if !visited.get(row, column, line) {
                        found(follow(mask, Segment { row, column, from, to }, &mut visited));
                    }
                }
            }
        }
    }
}

/// The squares of a word whose four pixels are not all equal: 64 squares by a handful of word operations.
fn mixed_squares(upper: &[u64], lower: &[u64], word: usize, columns: usize) -> u64 {
    let shifted = |row: &[u64]| row[word] >> 1 | row.get(word + 1).map_or(0, |next| next << 63);
    let (a, b, c, d) = (upper[word], shifted(upper), lower[word], shifted(lower));
    // There is no square right of the last column.
    let squares = columns - 1 - (64 * word).min(columns - 1);
    let inside = if squares >= 64 { u64::MAX } else { (1 << squares) - 1 };
    ((a | b | c | d) & !(a & b & c & d)) & inside
}

fn follow(mask: &BitMask, start: Segment, visited: &mut Visited) -> Contour {
    let first = start.point(start.from);
    let mut contour = Contour { points: 1, min: first, max: first, closed: false, start };
    let mut add = |segment: &Segment, edge: Edge, visited: &mut Visited| {
        visited.mark(mask, segment);
        let point = segment.point(edge);
        contour.points += 1;
        for (axis, at) in point.into_iter().enumerate() {
            contour.min[axis] = contour.min[axis].min(at);
            contour.max[axis] = contour.max[axis].max(at);
        }
    };
    add(&start, start.to, visited);
    let mut closed = false;
    for segment in walk(mask, start, Direction::Forward) {
        closed = segment == start;
        if !closed {
            add(&segment, segment.to, visited);
        }
    }
    if !closed {
        walk(mask, start, Direction::Backward).for_each(|segment| add(&segment, segment.from, visited));
    }
    contour.closed = closed;
    contour
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn mask(rows: &[&str]) -> BitMask {
        let cell = |(r, c): (usize, usize)| rows[r].as_bytes()[c] == b'#';
        BitMask::from_array(&Array2::from_shape_fn((rows.len(), rows[0].len()), cell))
    }

    #[test]
    fn a_single_pixel_is_a_closed_diamond_beginning_below() {
        let mask = mask(&["...", ".#.", "..."]);
        let contours = find_contours(&mask);
        assert_eq!(contours.len(), 1);
        assert_eq!((contours[0].points, contours[0].closed), (5, true));
        assert_eq!((contours[0].min, contours[0].max), ([1, 1], [3, 3]));
        // skimage.measure.find_contours(...)[0] * 2
        assert_eq!(contour_points(&mask, &contours[0]), [[3, 2], [2, 1], [1, 2], [2, 3], [3, 2]]);
    }

    #[test]
    fn pixels_that_touch_at_a_corner_are_apart() {
        for rows in [["....", ".#..", "..#.", "...."], ["....", "..#.", ".#..", "...."]] {
            let contours = find_contours(&mask(&rows));
            assert_eq!(contours.iter().map(|c| c.points).collect::<Vec<_>>(), [5, 5]);
        }
    }

    #[test]
    fn open_contours_run_from_border_to_border() {
        let mask = mask(&["##..", "##..", "##.."]);
        let contour = largest_contour(&mask).unwrap();
        assert!(!contour.closed);
        assert_eq!(contour_points(&mask, &contour), [[0, 3], [2, 3], [4, 3]]);
    }

    #[test]
    fn nothing_to_find() {
        assert_eq!(largest_contour(&mask(&["....", "...."])), None);
        assert_eq!(largest_contour(&mask(&["####", "####"])), None);
        assert_eq!(largest_contour(&mask(&["#.#."])), None);
    }

    #[test]
    fn word_boundaries_make_no_difference() {
        for columns in [63, 64, 65, 128, 129, 190] {
            for at in [1, 61, 62, 63, 64, 65, 126, 127] {
                if at + 2 > columns {
                    continue;
                }
                let image =
                    Array2::from_shape_fn((4, columns), |(r, c)| (1..3).contains(&r) && (c == at || c + 1 == at));
                let contours = find_contours(&BitMask::from_array(&image));
                assert_eq!(contours.len(), 1, "{columns} columns, pixels at {at}");
                let shape = (contours[0].points, contours[0].closed);
                assert_eq!(shape, if at == 1 { (6, false) } else { (9, true) }, "{columns} columns, pixels at {at}");
            }
        }
    }
}
