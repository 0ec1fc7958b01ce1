//! Connected components of masks, (slice, row, column), 1 inside and 0 outside. Voxels that share a face are connected.
//!
//! Works on runs of equal voxels along rows, united where runs of neighbouring rows touch: cost grows with the number of
//! runs, not of voxels, and nothing recurses.

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};

/// Numbers the components from 1 in the order in which they are met (slice, row, column); 0 is background. Equals
/// scipy.ndimage.label with its default structure.
pub fn label(mask: ArrayView3<u8>) -> Array3<u32> {
    let runs = Runs::of(mask, true);
    let (components, _) = runs.components();
    let mut labels = Array3::zeros(mask.raw_dim());
    runs.paint(&mut labels, |run| components[run] + 1);
    labels
}

/// The component of most voxels; of equals the first in index order. An empty mask stays empty.
pub fn keep_largest(mask: ArrayView3<u8>) -> Array3<u8> {
    let runs = Runs::of(mask, true);
    let (components, voxels) = runs.components();
    let largest = (0..voxels.len()).rev().max_by_key(|&component| voxels[component]);
    let mut kept = Array3::zeros(mask.raw_dim());
    runs.paint(&mut kept, |run| u8::from(Some(components[run] as usize) == largest));
    kept
}

/// Background that no path over faces joins to the border becomes 1. Equals scipy.ndimage.binary_fill_holes with its
/// default structure.
pub fn fill_holes(mask: ArrayView3<u8>) -> Array3<u8> {
    fill(mask, Runs::at_border)
}

/// The same of a single image, (row, column): its border is that of the plane.
pub fn fill_holes_2d(mask: ArrayView2<u8>) -> Array2<u8> {
    fill(mask.insert_axis(Axis(0)), Runs::at_border_of_slice).index_axis_move(Axis(0), 0)
}

fn fill(mask: ArrayView3<u8>, at_border: fn(&Runs, usize) -> bool) -> Array3<u8> {
    let runs = Runs::of(mask, false);
    let (components, voxels) = runs.components();
    let mut open = vec![false; voxels.len()];
    for (run, component) in components.iter().enumerate() {
        open[*component as usize] |= at_border(&runs, run);
    }
    let mut filled = Array3::ones(mask.raw_dim());
    runs.paint(&mut filled, |run| u8::from(!open[components[run] as usize]));
    filled
}

/// Neighbouring voxels of a row, all inside or all outside.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Index of the row among all rows of all slices.
    line: usize,
    /// Columns, half-open.
    start: usize,
    end: usize,
}

/// The runs of a mask in index order.
struct Runs {
    size: [usize; 3],
    runs: Vec<Run>,
    /// Where the runs of each line begin; one more than lines.
    lines: Vec<usize>,
}

impl Runs {
    /// The runs of voxels that are inside, or of those that are not.
    fn of(mask: ArrayView3<u8>, inside: bool) -> Self {
        let (slices, rows, columns) = mask.dim();
        let mask = mask.as_standard_layout();
        let (mut runs, mut lines) = (Vec::new(), vec![0]);
        for (line, voxels) in mask.as_slice().unwrap_or_default().chunks_exact(columns.max(1)).enumerate() {
            let wanted = |voxel: &u8| (*voxel != 0) == inside;
            let mut end = 0;
            while let Some(skipped) = voxels[end..].iter().position(wanted) {
                let start = end + skipped;
                let length = voxels[start..].iter().position(|voxel| !wanted(voxel));
                end = length.map_or(columns, |length| start + length);
                runs.push(Run { line, start, end });
            }
            lines.push(runs.len());
        }
        Self { size: [slices, rows, columns], runs, lines }
    }

    /// The component of each run, numbered from 0 in the order in which they are met, and the voxels of each component.
    fn components(&self) -> (Vec<u32>, Vec<usize>) {
        let mut sets = Sets((0..self.runs.len()).collect());
        let [_, rows, _] = self.size;
        for line in 0..self.lines.len() - 1 {
            if line % rows > 0 {
                self.unite(line - 1, line, &mut sets);
            }
            if line >= rows {
                self.unite(line - rows, line, &mut sets);
            }
        }
        let (mut components, mut voxels) = (Vec::with_capacity(self.runs.len()), Vec::new());
        for (i, run) in self.runs.iter().enumerate() {
            // A set's root is its first run, which has its number before any other asks for it.
            let root = sets.root(i);
            let component = if root == i { voxels.len() as u32 } else { components[root] };
            if root == i {
                voxels.push(0);
            }
            voxels[component as usize] += run.end - run.start;
            components.push(component);
        }
        (components, voxels)
    }

    /// Unites runs of two neighbouring lines that have a column in common.
    fn unite(&self, one: usize, other: usize, sets: &mut Sets) {
        let [mut a, mut b] = [self.lines[one], self.lines[other]];
        let [end_a, end_b] = [self.lines[one + 1], self.lines[other + 1]];
        while a < end_a && b < end_b {
            let (run_a, run_b) = (self.runs[a], self.runs[b]);
            if run_a.start < run_b.end && run_b.start < run_a.end {
                sets.unite(a, b);
            }
            if run_a.end < run_b.end { a += 1 } else { b += 1 }
        }
    }

    fn at_border(&self, run: usize) -> bool {
        let [slices, rows, _] = self.size;
        let slice = self.runs[run].line / rows;
        slice == 0 || slice + 1 == slices || self.at_border_of_slice(run)
    }

    fn at_border_of_slice(&self, run: usize) -> bool {
        let [_, rows, columns] = self.size;
        let Run { line, start, end } = self.runs[run];
        let row = line % rows;
        row == 0 || row + 1 == rows || start == 0 || end == columns
    }

    /// Writes the value of each run onto its voxels; what lies in no run stays as it is.
    fn paint<T: Copy>(&self, onto: &mut Array3<T>, value: impl Fn(usize) -> T) {
        let columns = self.size[2];
        let voxels = onto.as_slice_mut().unwrap_or_default();
        for (i, Run { line, start, end }) in self.runs.iter().enumerate() {
            voxels[line * columns + start..line * columns + end].fill(value(i));
        }
    }
}

/// Disjoint sets of runs: each member knows an earlier one, a root itself.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]]; // halves the path for the next who asks
            member = self.0[member];
        }
        member
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ones in about `percent` of the voxels, the same at every run.
    fn scramble(size: (usize, usize, usize), percent: u64, seed: u64) -> Array3<u8> {
        let mut state = seed;
        Array3::from_shape_simple_fn(size, || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::from((state >> 33) % 100 < percent)
        })
    }

    fn neighbours([s, r, c]: [usize; 3]) -> [[usize; 3]; 6] {
        // Below 0 wraps to an index that no array has.
        let (up, down) = (|i: usize| i + 1, |i: usize| i.wrapping_sub(1));
        [[up(s), r, c], [down(s), r, c], [s, up(r), c], [s, down(r), c], [s, r, up(c)], [s, r, down(c)]]
    }

    /// Flood from each voxel in turn.
    fn plain_label(mask: &Array3<u8>) -> Array3<u32> {
        let mut labels = Array3::zeros(mask.raw_dim());
        let mut count = 0;
        for (at, _) in mask.indexed_iter().filter(|(_, v)| **v == 1) {
            if labels[at] != 0 {
                continue;
            }
            count += 1;
            let mut stack = vec![[at.0, at.1, at.2]];
            while let Some(at) = stack.pop() {
                if mask.get(at) == Some(&1) && labels[at] == 0 {
                    labels[at] = count;
                    stack.extend(neighbours(at));
                }
            }
        }
        labels
    }

    #[test]
    fn components_equal_those_of_a_flood() {
        let sizes = [(1, 1, 1), (1, 1, 9), (9, 1, 1), (1, 9, 1), (1, 12, 13), (6, 7, 8), (8, 1, 9), (3, 20, 2)];
        for (size, percent) in sizes.into_iter().flat_map(|size| [0, 20, 35, 60, 95, 100].map(|p| (size, p))) {
            for seed in 0..10 {
                let mask = scramble(size, percent, seed);
                let labels = plain_label(&mask);
                assert_eq!(label(mask.view()), labels, "{size:?}, {percent} %, seed {seed}");

                let count = labels.iter().max().copied().unwrap_or(0);
                let voxels = |l: u32| labels.iter().filter(|v| **v == l).count();
                let largest =
                    (1..=count).fold(0, |best, l| if best == 0 || voxels(l) > voxels(best) { l } else { best });
                let expected = labels.mapv(|l| u8::from(l == largest && l > 0));
                assert_eq!(keep_largest(mask.view()), expected, "{size:?}, {percent} %, seed {seed}: largest");

                let holes = plain_label(&mask.mapv(|v| 1 - v));
                let border =
                    |at: (usize, usize, usize)| neighbours([at.0, at.1, at.2]).iter().any(|n| mask.get(*n).is_none());
                let open: Vec<u32> = holes.indexed_iter().filter(|(at, _)| border(*at)).map(|(_, l)| *l).collect();
                let expected = holes.mapv(|l| u8::from(l == 0 || !open.contains(&l)));
                assert_eq!(fill_holes(mask.view()), expected, "{size:?}, {percent} %, seed {seed}: holes");
            }
        }
    }

    /// Between two slices that are all inside the plane's border is the only one.
    #[test]
    fn holes_of_an_image_equal_those_of_a_slice_under_covers() {
        for (size, percent) in
            [(1, 1), (1, 9), (12, 13), (20, 31)].into_iter().flat_map(|s| [0, 40, 60, 95].map(|p| (s, p)))
        {
            for seed in 0..10 {
                let image = scramble((1, size.0, size.1), percent, seed).index_axis_move(Axis(0), 0);
                let mut covered = Array3::ones((3, size.0, size.1));
                covered.index_axis_mut(Axis(0), 1).assign(&image);
                let filled = fill_holes(covered.view());
                assert_eq!(fill_holes_2d(image.view()), filled.index_axis(Axis(0), 1), "{size:?} {percent} {seed}");
            }
        }
        let ring = Array2::from_shape_fn((5, 5), |(r, c)| {
            u8::from((1..4).contains(&r) && (1..4).contains(&c) && (r, c) != (2, 2))
        });
        assert_eq!(fill_holes_2d(ring.view())[[2, 2]], 1);
    }

    #[test]
    fn arrays_in_other_memory_orders_are_read_by_index() {
        let mask = scramble((5, 6, 7), 30, 1);
        let mut other = Array3::zeros(ndarray::ShapeBuilder::f((5, 6, 7)));
        other.assign(&mask);
        assert_eq!(label(other.view()), label(mask.view()));
        assert_eq!(fill_holes(other.view()), fill_holes(mask.view()));
    }

    #[test]
    fn a_volume_of_no_voxels_has_no_components() {
        for size in [(0, 0, 0), (0, 4, 4), (4, 0, 4), (4, 4, 0)] {
            let mask = Array3::zeros(size);
            assert_eq!(label(mask.view()).len() + keep_largest(mask.view()).len() + fill_holes(mask.view()).len(), 0);
        }
    }
}
