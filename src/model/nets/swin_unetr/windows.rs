//! How a volume of tokens falls into attention windows: padding, cyclic shift and partition as one list of indices, and the
//! mask that keeps apart what the shift brought together.
//!
//! Windows that need the same mask stand next to each other. A shifted volume has at most eight kinds (last window or not,
//! along each axis), so that the masks take kilobytes where one a window would take hundreds of megabytes.

use tch::{TchError, Tensor};

/// Tokens along each axis of a window; published network.
pub const WINDOW: i64 = 7;
/// Tokens by which every second block is shifted.
const SHIFT: i64 = WINDOW / 2;
/// Added to the attention of two tokens that are no neighbours: MONAI's and Swin's value.
const APART: f32 = -100.0;

/// The windows of one feature size.
pub struct Windows {
    /// Tokens in one window: 343, fewer where the volume is smaller than 7 along an axis.
    pub tokens: i64,
    /// By kind: tokens × tokens, to be added to the attention. None: no mask.
    pub masks: Vec<Option<Tensor>>,
    /// Windows that stand next to each other and have one mask: how many, and their kind's place in `masks`. They are few enough
    /// that what is computed of them stays in the processor's cache.
    pub groups: Vec<(i64, usize)>,
    /// For each token of each window the token of the volume that it is.
    gather: Tensor,
    /// Those of them that lie beyond the volume.
    beyond: Option<Tensor>,
    /// For each token of the volume its place among the windows' tokens.
    place: Tensor,
}

/// One axis of the volume.
struct Axis {
    size: i64,
    window: i64,
    shift: i64,
    count: i64,
}

impl Axis {
    /// A window that would be as large as the axis shrinks to it and is not shifted.
    fn new(size: i64, shifted: bool) -> Self {
        let (window, shift) = if size <= WINDOW { (size, 0) } else { (WINDOW, if shifted { SHIFT } else { 0 }) };
        Self { size, window, shift, count: (size + window - 1) / window }
    }

    /// Where the `i`-th token of a window lies; `size` and above is beyond the volume.
    fn position(&self, window: i64, i: i64) -> i64 {
        (window * self.window + i + self.shift) % (self.count * self.window)
    }

    /// Whether the shift brought two ends of the axis together in this window.
    fn is_seam(&self, window: i64) -> bool {
        self.shift > 0 && window == self.count - 1
    }

    /// On which side of the seam the `i`-th token lies.
    fn side(&self, i: i64) -> bool {
        i >= self.window - self.shift
    }
}

impl Windows {
    /// For a volume of `size` tokens (slice, row, column); at most `group` windows in a group.
    pub fn new(size: [i64; 3], shifted: bool, group: usize, device: tch::Device) -> Result<Self, TchError> {
        let axes = size.map(|size| Axis::new(size, shifted));
        let [d, h, w] = &axes;
        let inside = box_of([d.window, h.window, w.window]);
        let mut kinds: Vec<(usize, [i64; 3])> = box_of([d.count, h.count, w.count])
            .into_iter()
            .map(|at| ((0..3).fold(0, |kind, axis| 2 * kind + usize::from(axes[axis].is_seam(at[axis]))), at))
            .collect();
        kinds.sort_by_key(|(kind, _)| *kind);

        let volume = size.iter().product::<i64>();
        let (mut gather, mut beyond, mut place) = (Vec::new(), Vec::new(), vec![0i64; volume as usize]);
        for (_, window) in &kinds {
            for token in &inside {
                let at: [i64; 3] = std::array::from_fn(|axis| axes[axis].position(window[axis], token[axis]));
                let row = gather.len() as i64;
                if (0..3).all(|axis| at[axis] < axes[axis].size) {
                    let source = (at[0] * h.size + at[1]) * w.size + at[2];
                    place[source as usize] = row;
                    gather.push(source);
                } else {
                    beyond.push(row);
                    gather.push(0);
                }
            }
        }
        let (mut masks, mut groups) = (Vec::new(), Vec::new());
        for run in kinds.chunk_by(|a, b| a.0 == b.0) {
            groups.extend(run.chunks(group).map(|windows| (windows.len() as i64, masks.len())));
            masks.push(mask(&axes, &inside, run[0].1, device)?);
        }
        let index = |values: &[i64]| Tensor::f_from_slice(values)?.f_to_device(device);
        Ok(Self {
            tokens: inside.len() as i64,
            masks,
            groups,
            gather: index(&gather)?,
            beyond: if beyond.is_empty() { None } else { Some(index(&beyond)?) },
            place: index(&place)?,
        })
    }

    /// N × volume × C → N × (windows · tokens) × C. Tokens beyond the volume are zero.
    pub fn partition(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut windows = x.f_index_select(1, &self.gather)?;
        match &self.beyond {
            Some(beyond) => windows.f_index_fill_(1, beyond, 0.0),
            None => Ok(windows),
        }
    }

    /// The way back; what lies beyond the volume is dropped.
    pub fn merge(&self, windows: &Tensor) -> Result<Tensor, TchError> {
        windows.f_index_select(1, &self.place)
    }
}

/// The mask of one window: [`APART`] where two tokens lie on different sides of a seam.
fn mask(
    axes: &[Axis; 3],
    inside: &[[i64; 3]],
    window: [i64; 3],
    device: tch::Device,
) -> Result<Option<Tensor>, TchError> {
    let region = |token: &[i64; 3]| -> [bool; 3] {
        std::array::from_fn(|a| axes[a].is_seam(window[a]) && axes[a].side(token[a]))
    };
    if !(0..3).any(|axis| axes[axis].is_seam(window[axis])) {
        return Ok(None);
    }
    let regions: Vec<[bool; 3]> = inside.iter().map(region).collect();
    let values: Vec<f32> =
        regions.iter().flat_map(|a| regions.iter().map(move |b| if a == b { 0.0 } else { APART })).collect();
    let n = inside.len() as i64;
    Ok(Some(Tensor::f_from_slice(&values)?.f_view([n, n])?.f_to_device(device)?))
}

/// Tokens of a volume, of its windows with what lies beyond the volume, and of one window.
pub fn token_counts(size: [i64; 3]) -> (usize, usize, usize) {
    let axes = size.map(|size| Axis::new(size, false));
    let count = |of: fn(&Axis) -> i64| axes.iter().map(of).product::<i64>() as usize;
    (count(|a| a.size), count(|a| a.count * a.window), count(|a| a.window))
}

/// For each pair of `tokens` of a window the row of the relative position table. Tokens are numbered as in a window of
/// 7 × 7 × 7 even where the window is smaller: the published network does so, and was trained so.
pub fn relative_position_index(tokens: i64) -> Vec<i64> {
    let at = |token: i64| [token / (WINDOW * WINDOW), token / WINDOW % WINDOW, token % WINDOW];
    let row =
        |a: [i64; 3], b: [i64; 3]| (0..3).fold(0, |row, axis| row * (2 * WINDOW - 1) + a[axis] - b[axis] + WINDOW - 1);
    (0..tokens).flat_map(|i| (0..tokens).map(move |j| row(at(i), at(j)))).collect()
}

/// All index triples below `size`, the last axis fastest.
fn box_of(size: [i64; 3]) -> Vec<[i64; 3]> {
    let [d, h, w] = size;
    (0..d).flat_map(|z| (0..h).flat_map(move |y| (0..w).map(move |x| [z, y, x]))).collect()
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Tensor};

    use super::*;

    fn numbered(size: [i64; 3]) -> Tensor {
        (Tensor::arange(size.iter().product::<i64>(), (Kind::Float, tch::Device::Cpu)) + 1.0).view([1, -1, 1])
    }

    #[test]
    fn merge_undoes_partition() {
        for (size, shifted, count, tokens) in [
            ([14, 14, 14], true, 8, 343),
            ([9, 15, 7], true, 6, 343),
            ([6, 6, 6], true, 1, 216),
            ([2, 8, 22], false, 8, 98),
            ([1, 1, 1], true, 1, 1),
        ] {
            let windows = Windows::new(size, shifted, 3, tch::Device::Cpu).unwrap();
            let windows_in_groups = windows.groups.iter().map(|g| g.0).sum::<i64>();
            assert_eq!((windows_in_groups, windows.tokens), (count, tokens), "{size:?}");
            assert!(windows.groups.iter().all(|g| g.0 <= 3));
            let x = numbered(size);
            let parts = windows.partition(&x).unwrap();
            assert_eq!(parts.size(), [1, count * tokens, 1]);
            // Every token once, zeros for the rest.
            assert_eq!(parts.sum(Kind::Double).double_value(&[]), x.sum(Kind::Double).double_value(&[]));
            assert_eq!(windows.merge(&parts).unwrap(), x);
        }
    }

    /// Two tokens of a window are kept apart exactly where their true distance is not their distance in the window.
    #[test]
    fn masked_pairs_are_no_neighbours() {
        let size = [8, 14, 20];
        let windows = Windows::new(size, true, 100, tch::Device::Cpu).unwrap();
        assert_eq!(windows.groups.len(), 8);
        let axes = size.map(|s| Axis::new(s, true));
        let at = |row: i64, axis: usize| {
            let window_first = [axes[1].count * axes[2].count, axes[2].count, 1];
            let inside_first = [49, 7, 1];
            let (window, token) = (row / 343, row % 343);
            axes[axis].position(window / window_first[axis] % axes[axis].count, token / inside_first[axis] % 7)
        };
        // One window a group, by hand: its first, in the order of box_of.
        for (seams, mask) in windows.masks.iter().enumerate() {
            let window = box_of([axes[0].count, axes[1].count, axes[2].count])
                .iter()
                .position(|w| (0..3).fold(0, |k, a| 2 * k + usize::from(axes[a].is_seam(w[a]))) == seams)
                .unwrap() as i64;
            let mut masked = 0;
            for i in (0..343).step_by(5) {
                for j in 0..343 {
                    let (a, b) = (window * 343 + i, window * 343 + j);
                    let wrapped = (0..3).any(|axis| {
                        let inside = i / [49, 7, 1][axis] % 7 - j / [49, 7, 1][axis] % 7;
                        at(a, axis) - at(b, axis) != inside
                    });
                    let value = mask.as_ref().map_or(0.0, |m| m.double_value(&[i, j]));
                    assert_eq!(value == f64::from(APART), wrapped, "group {seams}, tokens {i} and {j}");
                    masked += usize::from(wrapped);
                }
            }
            assert_eq!(masked > 0, seams > 0);
        }
    }

    #[test]
    fn relative_positions_number_the_offsets() {
        let index = relative_position_index(343);
        assert_eq!((index[0], index[1], index[343], index[342]), (1098, 1097, 1099, 0));
        assert_eq!(*index.iter().max().unwrap(), 2196);
        // The corner for fewer tokens.
        let small = relative_position_index(3);
        assert_eq!(small, [1098, 1097, 1096, 1099, 1098, 1097, 1100, 1099, 1098]);
    }
}
