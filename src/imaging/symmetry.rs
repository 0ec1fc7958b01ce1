//! The axis about which a region of one slice is symmetric: the brain's midline from the inside of its skull.

use ndarray::ArrayView2;

/// How far from the expected direction an axis is looked for: heads are seldom turned further.
const MAX_TURN: f64 = 40.0;
/// Rays from the centre, half a degree apart.
const RAYS: usize = 720;
/// Makes a region that is round all over, and says nothing of its direction, keep the expected one. A turned ellipse of a brain's form
/// loses a hundredth of its turn to it.
const PRIOR: f64 = 3e-4;

/// A line in the plane of a slice. Lengths are (along increasing rows, along increasing columns), in mm from the centre of the first pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SymmetryAxis {
    /// The region's centroid, which lies on the axis of a symmetric region.
    pub center_mm: [f64; 2],
    /// Of unit length, with the expected direction and not against it.
    pub direction: [f64; 2],
    /// Root mean square difference of both sides' distances from centre to outline, as a share of the mean distance: 0 where they mirror
    /// one another.
    pub asymmetry: f64,
}

/// The axis within 40° of `expected` (any length; rows, columns) about which the outline of the region (not 0; a single one, without a
/// break towards its centroid) is most symmetric. None where there is no region or its centroid lies outside of it.
pub fn symmetry_axis(region: ArrayView2<u8>, spacing_mm: [f64; 2], expected: [f64; 2]) -> Option<SymmetryAxis> {
    let center = centroid(region)?;
    let radii = radii(region, center, spacing_mm)?;
    let mean = radii.iter().sum::<f64>() / RAYS as f64;
    let toward = expected[0].atan2(expected[1]);
    if !toward.is_finite() || mean <= 0.0 {
        return None;
    }
    // Candidates lie on rays and half-way between two: `twice` counts quarters of a degree.
    let difference = |twice: isize| {
        let at = |ray: isize| radii[ray.rem_euclid(RAYS as isize) as usize];
        let (low, high) = (twice.div_euclid(2), twice.div_euclid(2) + twice.rem_euclid(2));
        let pairs = (1..=(RAYS / 2) as isize).map(|k| at(high + k) - at(low - k));
        pairs.map(|d| d * d).sum::<f64>() / ((RAYS / 2) as f64 * mean * mean)
    };
    let step = std::f64::consts::TAU / (2 * RAYS) as f64;
    let first = (toward / step).round() as isize;
    let reach = (MAX_TURN.to_radians() / step) as isize;
    let cost = |twice: isize| {
        let turn = twice as f64 * step - toward;
        difference(twice) + PRIOR * (turn / MAX_TURN.to_radians()).powi(2)
    };
    let best = (first - reach..=first + reach).min_by(|a, b| cost(*a).total_cmp(&cost(*b)))?;
    // Between the candidates: the vertex of the parabola through three.
    let [before, here, after] = [cost(best - 1), cost(best), cost(best + 1)];
    let bend = before + after - 2.0 * here;
    let shift = if bend > 0.0 { ((before - after) / (2.0 * bend)).clamp(-0.5, 0.5) } else { 0.0 };
    let angle = (best as f64 + shift) * step;
    Some(SymmetryAxis {
        center_mm: [center[0] * spacing_mm[0], center[1] * spacing_mm[1]],
        direction: [angle.sin(), angle.cos()],
        asymmetry: difference(best).sqrt(),
    })
}

/// (row, column), in pixels.
fn centroid(region: ArrayView2<u8>) -> Option<[f64; 2]> {
    let (mut sums, mut count) = ([0.0; 2], 0usize);
    for ((row, column), _) in region.indexed_iter().filter(|(_, v)| **v != 0) {
        sums = [sums[0] + row as f64, sums[1] + column as f64];
        count += 1;
    }
    (count > 0).then(|| sums.map(|sum| sum / count as f64))
}

/// How far the region reaches from its centre, in mm, ray by ray; angle 0 points along increasing columns, 90° along increasing rows.
fn radii(region: ArrayView2<u8>, center: [f64; 2], spacing_mm: [f64; 2]) -> Option<Vec<f64>> {
    let (rows, columns) = region.dim();
    let pixel = |row: isize, column: isize| {
        let at = usize::try_from(row).ok().zip(usize::try_from(column).ok());
        at.and_then(|at| region.get(at)).map_or(0.0, |v| if *v != 0 { 1.0 } else { 0.0 })
    };
    // Linear between pixels: the outline is where the value crosses one half.
    let value = |row: f64, column: f64| {
        let (r, c) = (row.floor(), column.floor());
        let (dr, dc) = (row - r, column - c);
        let (r, c) = (r as isize, c as isize);
        let upper = pixel(r, c) * (1.0 - dc) + pixel(r, c + 1) * dc;
        let lower = pixel(r + 1, c) * (1.0 - dc) + pixel(r + 1, c + 1) * dc;
        upper * (1.0 - dr) + lower * dr
    };
    if value(center[0], center[1]) < 0.5 {
        return None;
    }
    let step = 0.5 * spacing_mm[0].min(spacing_mm[1]);
    let farthest = (rows as f64 * spacing_mm[0]).hypot(columns as f64 * spacing_mm[1]);
    if !step.is_finite() || step <= 0.0 {
        return None;
    }
    let steps = (farthest / step).ceil() as usize;
    let ray = |n: usize| {
        let (sin, cos) = (n as f64 * std::f64::consts::TAU / RAYS as f64).sin_cos();
        let at = |mm: f64| value(center[0] + mm * sin / spacing_mm[0], center[1] + mm * cos / spacing_mm[1]);
        let (mut reached, mut before) = (0.0, at(0.0));
        for i in 1..=steps {
            let (mm, here) = (i as f64 * step, at(i as f64 * step));
            if before >= 0.5 && here < 0.5 {
                reached = mm - step + step * (before - 0.5) / (before - here);
            }
            before = here;
        }
        reached
    };
    Some((0..RAYS).map(ray).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// An egg: blunt behind, narrow in front; its front points at `degrees` (0: along columns, 90: along rows).
    fn egg(size: usize, spacing: [f64; 2], center_mm: [f64; 2], degrees: f64) -> Array2<u8> {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Array2::from_shape_fn((size, size), |(r, c)| {
            let (y, x) = (r as f64 * spacing[0] - center_mm[0], c as f64 * spacing[1] - center_mm[1]);
            let (along, across) = (x * cos + y * sin, -x * sin + y * cos);
            let width = 62.0 - 0.12 * along;
            u8::from((along / 80.0).powi(2) + (across / width).powi(2) <= 1.0)
        })
    }

    fn degrees(axis: &SymmetryAxis) -> f64 {
        axis.direction[0].atan2(axis.direction[1]).to_degrees()
    }

    #[test]
    fn a_turned_head_is_found_to_a_degree() {
        for spacing in [[1.0, 1.0], [0.9, 0.7]] {
            for turn in [-31.0, -15.5, -4.0, 0.0, 2.25, 11.0, 28.0] {
                let center = [100.3, 97.8];
                let region = egg(280, spacing, center, -90.0 + turn);
                let axis = symmetry_axis(region.view(), spacing, [-1.0, 0.0]).unwrap();
                let off = degrees(&axis) - (-90.0 + turn);
                assert!(off.abs() < 1.0, "{spacing:?}, turned by {turn}: off by {off}");
                // The centroid of an egg is not its centre, but lies on its axis.
                let [dy, dx] = [axis.center_mm[0] - center[0], axis.center_mm[1] - center[1]];
                let across = dy * axis.direction[1] - dx * axis.direction[0];
                assert!(across.abs() < 1.0, "{spacing:?}, turned by {turn}: {across} mm beside");
                assert!(axis.asymmetry < 0.02, "{}", axis.asymmetry);
            }
        }
    }

    #[test]
    fn a_round_head_keeps_the_expected_direction() {
        let disc = Array2::from_shape_fn((150, 150), |(r, c)| {
            u8::from((r as f64 - 74.0).powi(2) + (c as f64 - 73.0).powi(2) < 60.0 * 60.0)
        });
        for expected in [[-1.0, 0.0], [1.0, 0.0], [0.0, 3.0]] {
            let axis = symmetry_axis(disc.view(), [1.0, 1.0], expected).unwrap();
            let cosine =
                (axis.direction[0] * expected[0] + axis.direction[1] * expected[1]) / expected[0].hypot(expected[1]);
            assert!(cosine.min(1.0).acos().to_degrees() < 8.0, "{expected:?}: {axis:?}");
        }
    }

    #[test]
    fn what_is_not_symmetric_says_so_and_nothing_gives_none() {
        let half = Array2::from_shape_fn((120, 120), |(r, c)| {
            u8::from((20..100).contains(&r) && (20 + r / 2..100).contains(&c))
        });
        let axis = symmetry_axis(half.view(), [1.0, 1.0], [-1.0, 0.0]).unwrap();
        assert!(axis.asymmetry > 0.05, "{axis:?}");
        assert_eq!(symmetry_axis(Array2::zeros((9, 9)).view(), [1.0, 1.0], [1.0, 0.0]), None);
        let ring = Array2::from_shape_fn((60, 60), |(r, c)| {
            u8::from((400.0..700.0).contains(&((r as f64 - 30.0).powi(2) + (c as f64 - 30.0).powi(2))))
        });
        assert_eq!(symmetry_axis(ring.view(), [1.0, 1.0], [1.0, 0.0]), None);
    }
}
