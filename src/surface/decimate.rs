//! Decimation by edge collapses of least quadric error. A collapse is made only where the link condition holds (Dey et al., 1999), so that
//! a closed 2-manifold stays one, with its parts and handles.
//!
//! Not one queue of all edges but rounds: in each the cheaper edges, no vertex twice, in the mesh's own order. That is as good to look at, and many
//! times as fast on a million triangles, for what lies together in the patient lies together in memory.

use rayon::prelude::*;

use super::mesh::{Mesh, doubled_normal};
use super::quadric::Quadric;
use crate::imaging::geometry::{dot, norm, sub};

/// Cosine between a triangle's normal before and after a collapse: less is a fold.
const MIN_COSINE: f64 = 0.2;
/// One of so many edges is cheap enough for a round.
const SHARE: usize = 3;
/// Of the cheap edges about one in so many is collapsed: the others share a vertex with one that was.
const TRIED: usize = 3;
/// Four times √3 times the area by the sum of squared edges is 1 of an equilateral triangle: below this it is a needle, which a collapse may not make
/// of a better one.
const MIN_SHAPE: f64 = 0.02;

/// Collapses edges until at most `max_triangles` are left, or none can be collapsed. Gives the former numbers of the vertices that are left.
pub fn decimate(mesh: &mut Mesh, max_triangles: usize) -> Vec<u32> {
    // Near 0, for the quadrics' sake.
    let origin = mesh.vertices.first().copied().unwrap_or_default();
    mesh.vertices.iter_mut().for_each(|p| *p = sub(*p, origin));
    let mut quadrics = vec![Quadric::default(); mesh.vertices.len()];
    for &triangle in &mesh.triangles {
        let quadric = Quadric::of_triangle(mesh.corners(triangle));
        for vertex in triangle {
            quadrics[vertex as usize] = quadrics[vertex as usize].plus(&quadric);
        }
    }
    while mesh.triangles.len() > max_triangles {
        let before = mesh.triangles.len();
        let wanted = (before - max_triangles).div_ceil(2);
        let edges = edges(mesh, &quadrics);
        let cheap = (edges.len() / SHARE).min(wanted.saturating_mul(TRIED)).max(64);
        let limit = nth_error(&edges, cheap);
        let mut round = Round::new(mesh, &mut quadrics);
        if round.collapse(edges.iter().filter(|e| e.error <= limit), wanted) == 0 {
            // The cheap ones cannot be collapsed: any that can.
            round.collapse(edges.iter().filter(|e| e.error > limit), wanted);
        }
        round.finish();
        if mesh.triangles.len() == before {
            break;
        }
    }
    mesh.vertices.iter_mut().for_each(|p| *p = std::array::from_fn(|axis| p[axis] + origin[axis]));
    compact(mesh)
}

#[derive(Clone, Copy)]
struct Edge {
    vertices: [u32; 2],
    error: f32,
}

/// The error that `n` edges stay below or reach.
fn nth_error(edges: &[Edge], n: usize) -> f32 {
    if n >= edges.len() {
        return f32::INFINITY;
    }
    let mut errors: Vec<f32> = edges.iter().map(|e| e.error).collect();
    *errors.select_nth_unstable_by(n, f32::total_cmp).1
}

fn edges(mesh: &Mesh, quadrics: &[Quadric]) -> Vec<Edge> {
    let of_triangle = |triangle: &[u32; 3]| {
        let edges = super::mesh::directed_edges(triangle).map(|(from, to)| {
            // Each edge once: its other triangle passes it the other way.
            (from < to).then(|| {
                let (_, error) = best(mesh, quadrics, [from, to]);
                Edge { vertices: [from, to], error: error as f32 }
            })
        });
        edges.into_iter().flatten()
    };
    mesh.triangles.par_iter().with_min_len(4096).flat_map_iter(of_triangle).collect()
}

fn best(mesh: &Mesh, quadrics: &[Quadric], [a, b]: [u32; 2]) -> ([f64; 3], f64) {
    let [p, q] = [a, b].map(|v| mesh.vertices[v as usize]);
    let middle = std::array::from_fn(|axis| 0.5 * (p[axis] + q[axis]));
    quadrics[a as usize].plus(&quadrics[b as usize]).best(middle)
}

/// One round: the triangles at each vertex are kept up to date, in lists that grow at the end of `pool`.
struct Round<'m> {
    mesh: &'m mut Mesh,
    quadrics: &'m mut [Quadric],
    /// (start, length) in `pool`, of each vertex; may name triangles that are gone.
    lists: Vec<(u32, u32)>,
    pool: Vec<u32>,
    gone: Vec<bool>,
    /// Vertices that were collapsed in this round: their edges' errors are no longer those that were sorted by.
    changed: Vec<bool>,
}

impl<'m> Round<'m> {
    fn new(mesh: &'m mut Mesh, quadrics: &'m mut [Quadric]) -> Self {
        let count = mesh.vertices.len();
        let mut counts = vec![0u32; count];
        mesh.triangles.iter().flatten().for_each(|vertex| counts[*vertex as usize] += 1);
        let mut end = 0;
        let list = |count: &u32| {
            let start = end;
            end += count;
            (start, 0)
        };
        let mut lists: Vec<(u32, u32)> = counts.iter().map(list).collect();
        let mut pool = vec![0u32; mesh.triangles.len() * 3];
        for (number, triangle) in (0u32..).zip(&mesh.triangles) {
            for vertex in triangle {
                let (start, length) = &mut lists[*vertex as usize];
                pool[(*start + *length) as usize] = number;
                *length += 1;
            }
        }
        let gone = vec![false; mesh.triangles.len()];
        Self { mesh, quadrics, lists, pool, gone, changed: vec![false; count] }
    }

    /// Collapses what can be of `edges`, at most `wanted`; how many it were.
    fn collapse<'e>(&mut self, edges: impl Iterator<Item = &'e Edge>, wanted: usize) -> usize {
        edges.filter(|edge| self.try_collapse(edge.vertices)).take(wanted).count()
    }

    fn finish(self) {
        let mut gone = self.gone.iter();
        self.mesh.triangles.retain(|_| !gone.next().copied().unwrap_or(false));
    }

    /// The numbers of the triangles at a vertex.
    fn triangles(&self, vertex: u32) -> impl Iterator<Item = u32> {
        let (start, length) = self.lists[vertex as usize];
        let list = &self.pool[start as usize..(start + length) as usize];
        list.iter().copied().filter(|t| !self.gone[*t as usize])
    }

    /// The vertices around a vertex: in a closed mesh, each once by the edge that leads to it.
    fn ring(&self, vertex: u32) -> impl Iterator<Item = u32> {
        self.triangles(vertex).map(move |t| {
            let [a, b, c] = self.mesh.triangles[t as usize];
            if a == vertex {
                b
            } else if b == vertex {
                c
            } else {
                a
            }
        })
    }

    fn try_collapse(&mut self, [a, b]: [u32; 2]) -> bool {
        if self.changed[a as usize] || self.changed[b as usize] || !self.may_link(a, b) {
            return false;
        }
        let (place, _) = best(self.mesh, self.quadrics, [a, b]);
        if !self.stays_upright(a, b, place) || !self.stays_upright(b, a, place) {
            return false;
        }
        let start = self.pool.len() as u32;
        for (vertex, other) in [(a, b), (b, a)] {
            let (from, length) = self.lists[vertex as usize];
            for at in from..from + length {
                let number = self.pool[at as usize];
                let triangle = &mut self.mesh.triangles[number as usize];
                if self.gone[number as usize] {
                    continue;
                }
                if triangle.contains(&other) {
                    self.gone[number as usize] = true;
                    continue;
                }
                triangle.iter_mut().filter(|v| **v == b).for_each(|v| *v = a);
                self.pool.push(number);
            }
        }
        self.lists[a as usize] = (start, self.pool.len() as u32 - start);
        self.lists[b as usize].1 = 0;
        self.mesh.vertices[a as usize] = place;
        self.quadrics[a as usize] = self.quadrics[a as usize].plus(&self.quadrics[b as usize]);
        (self.changed[a as usize], self.changed[b as usize]) = (true, true);
        true
    }

    /// The link condition: what surrounds both vertices is what surrounds their edge, its two opposite vertices and nothing else.
    fn may_link(&self, a: u32, b: u32) -> bool {
        let mut common = 0;
        for vertex in self.ring(a) {
            common += usize::from(self.ring(b).any(|other| other == vertex));
        }
        // Of a tetrahedron the edge opposite is common too.
        common == 2 && (self.ring(a).count() > 3 || self.ring(b).count() > 3)
    }

    /// Whether no triangle of `vertex` that stays is turned over or becomes a needle when the vertex moves to `place`.
    fn stays_upright(&self, vertex: u32, other: u32, place: [f64; 3]) -> bool {
        self.triangles(vertex).all(|t| {
            let triangle = self.mesh.triangles[t as usize];
            if triangle.contains(&other) {
                return true;
            }
            let before = self.mesh.corners(triangle);
            let after: [[f64; 3]; 3] = std::array::from_fn(|i| if triangle[i] == vertex { place } else { before[i] });
            let [old, new] = [before, after].map(doubled_normal);
            let upright = dot(old, new) >= MIN_COSINE * norm(old) * norm(new) && norm(new) > 0.0;
            upright && shape(after, new) >= MIN_SHAPE.min(shape(before, old))
        })
    }
}

fn shape([a, b, c]: [[f64; 3]; 3], doubled_normal: [f64; 3]) -> f64 {
    let squares: f64 = [sub(a, b), sub(b, c), sub(c, a)].into_iter().map(|e| dot(e, e)).sum();
    2.0 * 3.0_f64.sqrt() * norm(doubled_normal) / squares.max(f64::MIN_POSITIVE)
}

/// Drops vertices that no triangle has; the former numbers of the others.
fn compact(mesh: &mut Mesh) -> Vec<u32> {
    let mut numbers = vec![u32::MAX; mesh.vertices.len()];
    let mut kept = Vec::new();
    for vertex in mesh.triangles.iter_mut().flatten() {
        let number = &mut numbers[*vertex as usize];
        if *number == u32::MAX {
            *number = kept.len() as u32;
            kept.push(*vertex);
        }
        *vertex = *number;
    }
    mesh.vertices = kept.iter().map(|&vertex| mesh.vertices[vertex as usize]).collect();
    kept
}
