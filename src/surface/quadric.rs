//! Quadric error (Garland & Heckbert, SIGGRAPH 1997): the sum of squared distances to planes, weighted by their triangles' areas.

use super::mesh::doubled_normal;
use crate::imaging::geometry::{dot, norm};

/// How strongly a place is drawn to the middle of its edge, as a part of the planes' pull: it settles what planes leave open, those of flat and of
/// cylindrical surfaces.
const TO_MIDDLE: f64 = 1e-3;

/// xᵀAx + 2bᵀx + c
#[derive(Debug, Clone, Copy, Default)]
pub struct Quadric {
    /// xx, xy, xz, yy, yz, zz
    a: [f64; 6],
    b: [f64; 3],
    c: f64,
}

impl Quadric {
    pub fn of_triangle(corners: [[f64; 3]; 3]) -> Self {
        let doubled = doubled_normal(corners);
        let length = norm(doubled);
        if length <= 0.0 {
            return Self::default();
        }
        Self::of_plane(doubled.map(|v| v / length), corners[0], length / 2.0)
    }

    fn of_plane([x, y, z]: [f64; 3], through: [f64; 3], weight: f64) -> Self {
        let d = -dot([x, y, z], through);
        Self {
            a: [x * x, x * y, x * z, y * y, y * z, z * z].map(|v| v * weight),
            b: [x * d, y * d, z * d].map(|v| v * weight),
            c: d * d * weight,
        }
    }

    pub fn plus(&self, other: &Self) -> Self {
        Self {
            a: std::array::from_fn(|i| self.a[i] + other.a[i]),
            b: std::array::from_fn(|i| self.b[i] + other.b[i]),
            c: self.c + other.c,
        }
    }

    fn at(&self, [x, y, z]: [f64; 3]) -> f64 {
        let [xx, xy, xz, yy, yz, zz] = self.a;
        let squares = xx * x * x + yy * y * y + zz * z * z + 2.0 * (xy * x * y + xz * x * z + yz * y * z);
        squares + 2.0 * dot(self.b, [x, y, z]) + self.c
    }

    /// The place of least error for an edge with this middle, and the error (never negative).
    pub fn best(&self, middle: [f64; 3]) -> ([f64; 3], f64) {
        let [xx, xy, xz, yy, yz, zz] = self.a;
        let pull = TO_MIDDLE * (xx + yy + zz);
        let [p, q, r] = [xx + pull, yy + pull, zz + pull];
        // (A + pull I) x = pull middle - b, by cofactors: symmetric and positive definite.
        let right: [f64; 3] = std::array::from_fn(|axis| pull * middle[axis] - self.b[axis]);
        let (c00, c01, c02) = (q * r - yz * yz, xz * yz - xy * r, xy * yz - xz * q);
        let (c11, c12, c22) = (p * r - xz * xz, xy * xz - p * yz, p * q - xy * xy);
        let determinant = p * c00 + xy * c01 + xz * c02;
        let place = if determinant > 0.0 {
            [[c00, c01, c02], [c01, c11, c12], [c02, c12, c22]].map(|row| dot(row, right) / determinant)
        } else {
            middle
        };
        (place, self.at(place).max(0.0))
    }
}
