//! Each connected part of a surface keeps the volume of its voxels, which is the one that reports state: smoothing and decimation change
//! it, most of all that of a part of a few voxels.

use super::mesh::{Mesh, doubled_normal};
use crate::imaging::geometry::{cross, dot, norm, sub};

/// Of a part's volume: what may be lacking.
const TOLERANCE: f64 = 1e-4;
const MAX_ROUNDS: usize = 12;
/// Longest step, of the edge of a cube of the part's volume.
const MAX_STEP: f64 = 0.25;

/// The connected parts of a surface.
pub struct Parts {
    /// The part of each vertex.
    part: Vec<u32>,
    /// mm³; of the surface of a hollow negative.
    volumes: Vec<f64>,
}

impl Parts {
    /// The parts of `mesh`, with the volumes that it encloses.
    pub fn of(mesh: &Mesh) -> Self {
        let mut roots: Vec<u32> = (0..mesh.vertices.len() as u32).collect();
        for &[a, b, c] in &mesh.triangles {
            let root = find(&mut roots, a);
            for other in [b, c] {
                let other = find(&mut roots, other);
                roots[other as usize] = root;
            }
        }
        let mut numbers = vec![u32::MAX; roots.len()];
        let mut count = 0;
        let part: Vec<u32> = (0..roots.len() as u32)
            .map(|vertex| {
                let root = find(&mut roots, vertex) as usize;
                if numbers[root] == u32::MAX {
                    numbers[root] = count;
                    count += 1;
                }
                numbers[root]
            })
            .collect();
        let mut parts = Self { part, volumes: vec![0.0; count as usize] };
        parts.volumes = parts.measured(mesh);
        parts
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.volumes.len()
    }

    /// After some vertices are gone: `kept` are the numbers that the others had.
    pub fn keep(&mut self, kept: &[u32]) {
        self.part = kept.iter().map(|&vertex| self.part[vertex as usize]).collect();
    }

    fn measured(&self, mesh: &Mesh) -> Vec<f64> {
        let mut origins = vec![None; self.volumes.len()];
        let mut volumes = vec![0.0; self.volumes.len()];
        for &triangle in &mesh.triangles {
            let part = self.part[triangle[0] as usize] as usize;
            let corners = mesh.corners(triangle);
            let origin = *origins[part].get_or_insert(corners[0]);
            let [a, b, c] = corners.map(|p| sub(p, origin));
            volumes[part] += dot(a, cross(b, c)) / 6.0;
        }
        volumes
    }

    /// Moves the vertices along their normals until each part encloses its volume (Newton's method on the distance).
    pub fn restore(&self, mesh: &mut Mesh) {
        for _ in 0..MAX_ROUNDS {
            let lacking: Vec<f64> = self.volumes.iter().zip(self.measured(mesh)).map(|(v, found)| v - found).collect();
            if lacking.iter().zip(&self.volumes).all(|(lacks, volume)| lacks.abs() <= TOLERANCE * volume.abs()) {
                return;
            }
            // The gradient of the volume by each vertex.
            let mut gradients = vec![[0.0; 3]; mesh.vertices.len()];
            for &triangle in &mesh.triangles {
                let normal = doubled_normal(mesh.corners(triangle));
                for vertex in triangle {
                    (0..3).for_each(|axis| gradients[vertex as usize][axis] += normal[axis] / 6.0);
                }
            }
            let mut slopes = vec![0.0; self.volumes.len()];
            for (part, gradient) in self.part.iter().zip(&gradients) {
                slopes[*part as usize] += norm(*gradient);
            }
            let step = |part: usize| {
                let longest = MAX_STEP * self.volumes[part].abs().cbrt();
                if slopes[part] > 0.0 { (lacking[part] / slopes[part]).clamp(-longest, longest) } else { 0.0 }
            };
            let steps: Vec<f64> = (0..slopes.len()).map(step).collect();
            for ((place, gradient), part) in mesh.vertices.iter_mut().zip(&gradients).zip(&self.part) {
                let (length, step) = (norm(*gradient), steps[*part as usize]);
                if length > 0.0 {
                    (0..3).for_each(|axis| place[axis] += step * gradient[axis] / length);
                }
            }
        }
    }
}

fn find(roots: &mut [u32], mut vertex: u32) -> u32 {
    while roots[vertex as usize] != vertex {
        let above = roots[roots[vertex as usize] as usize];
        roots[vertex as usize] = above;
        vertex = above;
    }
    vertex
}
