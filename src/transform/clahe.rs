//! Contrast limited adaptive histogram equalization as `cv2.createCLAHE` does it on 8 bits (Pizer et al. 1987; OpenCV 5.0),
//! to the bit.

use ndarray::{Array2, ArrayView2};

const LEVELS: usize = 256;

/// Equalizes an image of at least one pixel. `tiles`: (rows, columns) of the grid, none 0. `clip_limit` 0: no limit.
pub fn clahe(image: ArrayView2<u8>, clip_limit: f64, tiles: [usize; 2]) -> Array2<u8> {
    let size = [image.nrows(), image.ncols()];
    // An image that the grid does not divide is continued by its mirror image; also along an axis that it would divide.
    let divides = size[0].is_multiple_of(tiles[0]) && size[1].is_multiple_of(tiles[1]);
    let padded = [0, 1].map(|i| if divides { size[i] } else { size[i] + tiles[i] - size[i] % tiles[i] });
    let tile = [padded[0] / tiles[0], padded[1] / tiles[1]];
    let tables: Vec<[u8; LEVELS]> = (0..tiles[0] * tiles[1])
        .map(|i| {
            let first = [i / tiles[1] * tile[0], i % tiles[1] * tile[1]];
            table(image, first, tile, clip_limit)
        })
        .collect();
    let [down, along] = [0, 1].map(|i| (0..size[i]).map(|at| Between::at(at, tile[i], tiles[i])).collect::<Vec<_>>());
    Array2::from_shape_fn(image.dim(), |(row, column)| {
        let (value, down, along) = (usize::from(image[[row, column]]), &down[row], &along[column]);
        let of = |row: usize| {
            let at = |column: usize| f32::from(tables[row * tiles[1] + column][value]);
            at(along.tiles[0]) * along.weights[0] + at(along.tiles[1]) * along.weights[1]
        };
        let mixed = of(down.tiles[0]) * down.weights[0] + of(down.tiles[1]) * down.weights[1];
        mixed.round_ties_even().clamp(0.0, 255.0) as u8
    })
}

/// What each level of a tile becomes.
fn table(image: ArrayView2<u8>, first: [usize; 2], tile: [usize; 2], clip_limit: f64) -> [u8; LEVELS] {
    let pixels = tile[0] * tile[1];
    let mut counts = [0usize; LEVELS];
    for row in first[0]..first[0] + tile[0] {
        let row = image.row(mirrored(row, image.nrows()));
        for column in first[1]..first[1] + tile[1] {
            counts[usize::from(row[mirrored(column, row.len())])] += 1;
        }
    }
    if clip_limit > 0.0 {
        clip(&mut counts, ((clip_limit * pixels as f64 / LEVELS as f64) as usize).max(1));
    }
    let scale = (LEVELS - 1) as f32 / pixels as f32;
    let mut sum = 0;
    counts.map(|count| {
        sum += count;
        (sum as f32 * scale).round_ties_even().clamp(0.0, 255.0) as u8
    })
}

/// What is above the limit is spread over all levels, the rest of that at even distances.
fn clip(counts: &mut [usize; LEVELS], limit: usize) {
    let clipped: usize = counts.iter().map(|count| count.saturating_sub(limit)).sum();
    let (each, rest) = (clipped / LEVELS, clipped % LEVELS);
    counts.iter_mut().for_each(|count| *count = (*count).min(limit) + each);
    if let Some(step) = LEVELS.checked_div(rest) {
        counts.iter_mut().step_by(step.max(1)).take(rest).for_each(|count| *count += 1);
    }
}

/// A place beyond the end, mirrored at the last pixel, which is not repeated.
fn mirrored(at: usize, len: usize) -> usize {
    if len == 1 {
        return 0;
    }
    let place = at % (2 * (len - 1));
    if place < len { place } else { 2 * (len - 1) - place }
}

/// Two neighbouring tiles along an axis and their shares of a pixel.
struct Between {
    tiles: [usize; 2],
    weights: [f32; 2],
}

impl Between {
    fn at(at: usize, tile: usize, tiles: usize) -> Self {
        let place = at as f32 * (1.0 / tile as f32) - 0.5;
        let first = place.floor();
        let share = place - first;
        let clamped = |tile: f32| (tile.max(0.0) as usize).min(tiles - 1);
        Self { tiles: [clamped(first), clamped(first + 1.0)], weights: [1.0 - share, share] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_odd_images_are_continued() {
        for (rows, columns) in [(1, 1), (1, 9), (3, 2), (8, 8), (9, 17)] {
            let image = Array2::from_shape_fn((rows, columns), |(r, c)| (r * 31 + c * 17) as u8);
            assert_eq!(clahe(image.view(), 2.0, [8, 8]).dim(), (rows, columns));
        }
        assert_eq!((0..8).map(|i| mirrored(i, 3)).collect::<Vec<_>>(), [0, 1, 2, 1, 0, 1, 2, 1]);
    }

    #[test]
    fn clipping_keeps_the_number_of_pixels() {
        let mut counts = [0; LEVELS];
        (counts[3], counts[200]) = (1000, 77);
        clip(&mut counts, 10);
        assert_eq!(counts.iter().sum::<usize>(), 1077);
        assert!(counts.iter().all(|c| (4..=15).contains(c)));
    }
}
