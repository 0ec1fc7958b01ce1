//! Triangles that share vertices.

use std::collections::HashSet;

use crate::imaging::geometry::{cross, dot, norm, sub};

/// A triangle mesh in the patient's coordinates (LPS, mm).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mesh {
    pub vertices: Vec<[f64; 3]>,
    /// Indices of vertices, anticlockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
}

impl Mesh {
    pub(crate) fn corners(&self, triangle: [u32; 3]) -> [[f64; 3]; 3] {
        triangle.map(|v| self.vertices[v as usize])
    }

    /// Enclosed volume in mm³; hollows count against it.
    pub fn volume_mm3(&self) -> f64 {
        // From a point of the mesh: far from the origin, differences of large products would lose digits.
        let Some(&origin) = self.vertices.first() else { return 0.0 };
        let sixfold = |t: &[u32; 3]| {
            let [a, b, c] = self.corners(*t).map(|p| sub(p, origin));
            dot(a, cross(b, c))
        };
        self.triangles.iter().map(sixfold).sum::<f64>() / 6.0
    }

    pub fn area_mm2(&self) -> f64 {
        self.triangles.iter().map(|t| norm(doubled_normal(self.corners(*t)))).sum::<f64>() / 2.0
    }

    /// (least, greatest) of each axis; None without a vertex.
    pub fn bounds_mm(&self) -> Option<[[f64; 3]; 2]> {
        let first = *self.vertices.first()?;
        let with = |bounds: [[f64; 3]; 2], p: &[f64; 3]| {
            [
                std::array::from_fn(|axis| bounds[0][axis].min(p[axis])),
                std::array::from_fn(|axis| bounds[1][axis].max(p[axis])),
            ]
        };
        Some(self.vertices.iter().fold([first, first], with))
    }

    /// Whether each edge belongs to exactly two triangles that pass it in opposite directions.
    pub fn is_watertight(&self) -> bool {
        let mut edges = HashSet::with_capacity(self.triangles.len() * 3);
        let once = self.triangles.iter().flat_map(directed_edges).all(|edge| edge.0 != edge.1 && edges.insert(edge));
        once && edges.iter().all(|&(from, to)| edges.contains(&(to, from)))
    }
}

pub(crate) fn directed_edges(&[a, b, c]: &[u32; 3]) -> [(u32, u32); 3] {
    [(a, b), (b, c), (c, a)]
}

/// Normal to the triangle, twice as long as its area.
pub(crate) fn doubled_normal([a, b, c]: [[f64; 3]; 3]) -> [f64; 3] {
    cross(sub(b, a), sub(c, a))
}
