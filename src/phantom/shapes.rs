//! Ellipsoids and tubes, in mm of the body's frame.

/// x to the patient's left, y to the back, z to the head.
pub(crate) type Point = [f32; 3];

pub(crate) fn plus(a: Point, b: Point) -> Point {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn norm(a: Point) -> f32 {
    dot(a, a).sqrt()
}

/// An infinite radius makes a cylinder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ellipsoid {
    pub centre: Point,
    pub radii: Point,
}

impl Ellipsoid {
    /// Distance to the surface, negative outside: to first order, exact near the surface.
    pub fn depth(&self, p: Point) -> f32 {
        let d = minus(p, self.centre);
        let q: Point = std::array::from_fn(|i| d[i] / self.radii[i]);
        let slope: Point = std::array::from_fn(|i| q[i] / self.radii[i]);
        let f = norm(q);
        if f < 1e-3 {
            return self.radii.iter().copied().fold(f32::MAX, f32::min);
        }
        (1.0 - f) * f / norm(slope)
    }

    /// 0 in the centre, 1 on the surface.
    pub fn level(&self, p: Point) -> f32 {
        let d = minus(p, self.centre);
        norm(std::array::from_fn(|i| d[i] / self.radii[i]))
    }
}

/// The larger one, with a fillet of `k` mm where both are alike.
pub(crate) fn smooth_max(a: f32, b: f32, k: f32) -> f32 {
    let h = (1.0 - (a - b).abs() / k).max(0.0);
    a.max(b) + 0.25 * k * h * h
}

/// A tube along a curve: points and the tube's radius there.
#[derive(Debug, Clone)]
pub(crate) struct Tube(pub Vec<(Point, f32)>);

/// Distance of `p` to the surface of a tube's piece from `a` to `b`, negative outside.
pub(crate) fn inside_segment(p: Point, a: (Point, f32), b: (Point, f32)) -> f32 {
    let (ab, ap) = (minus(b.0, a.0), minus(p, a.0));
    let t = (dot(ap, ab) / dot(ab, ab).max(1e-6)).clamp(0.0, 1.0);
    let nearest: Point = std::array::from_fn(|i| a.0[i] + t * ab[i]);
    a.1 + t * (b.1 - a.1) - norm(minus(p, nearest))
}
