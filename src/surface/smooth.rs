//! Taubin's smoothing (SIGGRAPH 1995): a step towards the neighbours' mean and a larger one back, so that stairs go and shapes stay.

use rayon::prelude::*;

use super::mesh::{Mesh, directed_edges};

const LAMBDA: f64 = 0.5;
/// The pass band ends at 1/LAMBDA + 1/MU = 0.11, as Taubin recommends.
const MU: f64 = -0.53;
/// Rounds for stairs as wide as they are high, by how many times thicker slices are than pixels are wide; and the fewest and the most.
const ROUNDS: f64 = 8.0;
const FEWEST: usize = 10;
const MOST: usize = 25;

/// `spacing_mm`: of the grid that the mesh comes from, which has stairs as wide as its voxels are long.
pub fn taubin(mesh: &mut Mesh, spacing_mm: [f64; 3]) {
    let of = |choose: fn(f64, f64) -> f64| spacing_mm.into_iter().reduce(choose).unwrap_or(1.0);
    let rounds = ((ROUNDS * of(f64::max) / of(f64::min)) as usize).clamp(FEWEST, MOST);
    let neighbours = Neighbours::of(mesh);
    let mut before = mesh.vertices.clone();
    for factor in [LAMBDA, MU].into_iter().cycle().take(2 * rounds) {
        std::mem::swap(&mut before, &mut mesh.vertices);
        let moved = |(vertex, place): (usize, &mut [f64; 3])| {
            let around = neighbours.around(vertex);
            let mut sum = [0.0; 3];
            for &neighbour in around {
                let p = before[neighbour as usize];
                (0..3).for_each(|axis| sum[axis] += p[axis]);
            }
            let (own, count) = (before[vertex], around.len().max(1) as f64);
            *place = std::array::from_fn(|axis| own[axis] + factor * (sum[axis] / count - own[axis]));
        };
        mesh.vertices.par_iter_mut().with_min_len(4096).enumerate().for_each(moved);
    }
}

/// The neighbours of all vertices, one after the other.
struct Neighbours {
    starts: Vec<u32>,
    vertices: Vec<u32>,
}

impl Neighbours {
    /// In a closed mesh each edge is passed once from each of its ends.
    fn of(mesh: &Mesh) -> Self {
        let edges = || mesh.triangles.iter().flat_map(directed_edges);
        let mut starts = vec![0u32; mesh.vertices.len() + 1];
        edges().for_each(|(from, _)| starts[from as usize + 1] += 1);
        for vertex in 1..starts.len() {
            starts[vertex] += starts[vertex - 1];
        }
        let mut ends = starts.clone();
        let mut vertices = vec![0u32; mesh.triangles.len() * 3];
        for (from, to) in edges() {
            let end = &mut ends[from as usize];
            vertices[*end as usize] = to;
            *end += 1;
        }
        Self { starts, vertices }
    }

    fn around(&self, vertex: usize) -> &[u32] {
        &self.vertices[self.starts[vertex] as usize..self.starts[vertex + 1] as usize]
    }
}
