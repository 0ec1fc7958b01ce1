//! What the surface looks like at a corner where eight voxels meet, for each of the 256 ways to fill them.
//!
//! Twelve faces lie between neighbours of the eight; those between inside and outside belong to the surface. Where two inside voxels touch
//! along an edge only, the four faces at that edge are paired voxel by voxel: the surface passes between the voxels (6-connected inside,
//! 26-connected outside). What hangs together then are umbrellas, each of which is a vertex of its own: so no ambiguous case is left.

use std::sync::OnceLock;

/// Offsets (slice, row, column), 0 or 1, of the voxel with this bit.
fn offsets(voxel: usize) -> [usize; 3] {
    [voxel >> 2 & 1, voxel >> 1 & 1, voxel & 1]
}

fn voxel([s, r, c]: [usize; 3]) -> usize {
    s << 2 | r << 1 | c
}

/// The other two axes, ascending.
pub fn others(axis: usize) -> [usize; 2] {
    [[1, 2], [0, 2], [0, 1]][axis]
}

/// The face normal to `axis` between the voxels that have `offset` along the [`others`].
pub fn face(axis: usize, offset: [usize; 2]) -> usize {
    axis * 4 + offset[0] * 2 + offset[1]
}

/// The half edge from the corner along `axis`, up or down.
pub fn half_edge(axis: usize, up: bool) -> usize {
    axis * 2 + usize::from(up)
}

/// A corner with its voxels filled in one way.
#[derive(Debug, Clone, Default)]
pub struct Corner {
    /// The umbrella of each face, where the face belongs to the surface.
    pub umbrella: [u8; 12],
    /// Of each umbrella the mean of its faces' centres, from the corner, in voxels.
    pub centres: Vec<[f32; 3]>,
    /// Bit [`half_edge`]: two pairs of faces meet there, and both are in one umbrella.
    pub doubled: u8,
}

/// By the bits of the eight voxels, bit `slice << 2 | row << 1 | column`.
pub fn table() -> &'static [Corner] {
    static TABLE: OnceLock<Vec<Corner>> = OnceLock::new();
    TABLE.get_or_init(|| (0..256).map(|bits| corner(bits as u8)).collect())
}

fn corner(bits: u8) -> Corner {
    let inside = |v: usize| bits >> v & 1 == 1;
    let mut joined: [usize; 12] = std::array::from_fn(|face| face);
    let mut doubled = Vec::new();
    for axis in 0..3 {
        for up in [false, true] {
            // Around the half edge: voxels, and the face between each and the next.
            let [b, c] = others(axis);
            let ring = [[0, 0], [1, 0], [1, 1], [0, 1]].map(|[ob, oc]| {
                let mut at = [usize::from(up); 3];
                (at[b], at[c]) = (ob, oc);
                voxel(at)
            });
            let faces: [usize; 4] = std::array::from_fn(|i| between(ring[i], ring[(i + 1) % 4]));
            let active: Vec<usize> = (0..4).filter(|&i| inside(ring[i]) != inside(ring[(i + 1) % 4])).collect();
            match active[..] {
                [i, j] => join(&mut joined, faces[i], faces[j]),
                [_, _, _, _] => {
                    let first = usize::from(!inside(ring[0]));
                    for i in [first, first + 2] {
                        join(&mut joined, faces[(i + 3) % 4], faces[i]);
                    }
                    doubled.push((half_edge(axis, up), faces[first], faces[first + 2]));
                }
                _ => {}
            }
        }
    }
    let mut made = Corner::default();
    let mut roots: Vec<usize> = Vec::new();
    let mut counts: Vec<f32> = Vec::new();
    for axis in 0..3 {
        for offset in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            let [b, c] = others(axis);
            let mut at = [0; 3];
            (at[b], at[c]) = (offset[0], offset[1]);
            let below = voxel(at);
            at[axis] = 1;
            if inside(below) == inside(voxel(at)) {
                continue;
            }
            let face = face(axis, offset);
            let umbrella = roots.iter().position(|&root| root == joined[face]).unwrap_or_else(|| {
                roots.push(joined[face]);
                made.centres.push([0.0; 3]);
                counts.push(0.0);
                roots.len() - 1
            });
            made.umbrella[face] = umbrella as u8;
            counts[umbrella] += 1.0;
            made.centres[umbrella][b] += offset[0] as f32 - 0.5;
            made.centres[umbrella][c] += offset[1] as f32 - 0.5;
        }
    }
    for (centre, count) in made.centres.iter_mut().zip(counts) {
        centre.iter_mut().for_each(|v| *v /= count);
    }
    for (half_edge, one, other) in doubled {
        made.doubled |= u8::from(joined[one] == joined[other]) << half_edge;
    }
    made
}

/// The face between two voxels that differ along one axis.
fn between(one: usize, other: usize) -> usize {
    let (p, q) = (offsets(one), offsets(other));
    let axis = (0..3).find(|&axis| p[axis] != q[axis]).unwrap_or(0);
    face(axis, others(axis).map(|other| p[other]))
}

fn join(joined: &mut [usize; 12], one: usize, other: usize) {
    let (from, to) = (joined[one], joined[other]);
    joined.iter_mut().filter(|root| **root == from).for_each(|root| *root = to);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn umbrellas_of_known_corners() {
        let count = |bits: u8| table()[bits as usize].centres.len();
        assert_eq!([count(0), count(255), count(1), count(254)], [0, 0, 1, 1]);
        assert_eq!(count(0b0001_0000 | 0b0000_0001), 1, "two voxels with a common face");
        assert_eq!(count(0b0000_1001), 2, "two voxels that touch along an edge are apart");
        assert_eq!(count(0b1000_0001), 2, "and at a corner");
        assert_eq!(count(0b1001_0110), 4, "every second voxel");
        assert_eq!(count(0b0111_1110), 2, "two hollows that touch at a corner");
    }

    #[test]
    fn no_two_vertices_of_a_corner_lie_at_one_place() {
        for (bits, corner) in table().iter().enumerate() {
            for (i, a) in corner.centres.iter().enumerate() {
                assert!(corner.centres[i + 1..].iter().all(|b| a != b), "{bits:08b}: {:?}", corner.centres);
            }
        }
    }
}
