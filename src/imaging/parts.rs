//! Work on an image in parts of consecutive rows, one part a thread, and inner loops for the vector instructions that
//! the machine has. Results depend on neither: every output element comes from one part alone, in integer arithmetic.

use std::ops::Range;

use pulp::Arch;

/// Threads that one image may use. Two are enough to reach memory speed, and a server has other work to do.
pub const MAX_THREADS: usize = 2;

/// Work on fewer pixels than this is not worth a thread.
const WORTH_A_THREAD: usize = 1 << 20;

fn parts(rows: usize, pixels: usize) -> Vec<Range<usize>> {
    let threads = if pixels < WORTH_A_THREAD { 1 } else { MAX_THREADS };
    let step = rows.div_ceil(threads).max(1);
    (0..rows).step_by(step).map(|start| start..rows.min(start + step)).collect()
}

/// Fills `out`, which holds `rows` rows of equal length; `fill(rows, out)` gets a part with its place. `pixels` is the
/// amount of work. A panic in a part goes on in the caller.
pub(crate) fn fill_rows<T: Send>(
    rows: usize,
    pixels: usize,
    out: &mut [T],
    fill: impl Fn(Range<usize>, &mut [T]) + Sync,
) {
    let width = out.len() / rows.max(1);
    std::thread::scope(|scope| {
        let mut rest = out;
        for part in parts(rows, pixels) {
            let (mine, after) = std::mem::take(&mut rest).split_at_mut(part.len() * width);
            rest = after;
            let (fill, last) = (&fill, part.end == rows);
            let work = move || fill(part, mine);
            // The caller's own thread takes the last part.
            if last { work() } else { drop(scope.spawn(work)) }
        }
    });
}

/// Runs an inner loop as compiled for the widest vectors at hand. The loop should be all in the closure, or in functions
/// that are always inlined; what is merely called from it stays as it is.
#[inline(always)]
pub(crate) fn vectorized<R>(inner_loop: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(inner_loop)
}

/// One result a part.
pub(crate) fn map_rows<R: Send>(rows: usize, pixels: usize, map: impl Fn(Range<usize>) -> R + Sync) -> Vec<R> {
    let parts = parts(rows, pixels);
    let mut results: Vec<Option<R>> = parts.iter().map(|_| None).collect();
    let count = parts.len();
    fill_rows(count, pixels, &mut results, |mine, out| {
        out.iter_mut().zip(mine).for_each(|(result, i)| *result = Some(map(parts[i].clone())));
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_row_once() {
        for (rows, pixels) in [(1, 1), (7, 10), (1000, 1 << 20), (1001, 1 << 22), (1, 1 << 22)] {
            let mut out = vec![0; 3 * rows];
            fill_rows(rows, pixels, &mut out, |part, out| {
                assert_eq!(out.len(), 3 * part.len());
                out.iter_mut().zip(3 * part.start..).for_each(|(o, i)| *o += i);
            });
            assert!(out.iter().copied().eq(0..3 * rows));
            assert_eq!(map_rows(rows, pixels, |part| part.len()).iter().sum::<usize>(), rows);
        }
    }
}
