//! Blood vessels: bright, thin, and of the heart's course. They are what a network must tell from a tumour.

use std::f32::consts::TAU;

use super::anatomy::{Anatomy, Breast};
use super::shapes::{Point, Tube};
use crate::phantom::random::Random;

/// The internal mammary vessels behind the sternum's edges, and a few in each breast.
pub(crate) fn vessels(random: &mut Random, anatomy: &Anatomy) -> Vec<Tube> {
    let mut tubes = Vec::new();
    for (side, breast) in [-1.0, 1.0].into_iter().zip(&anatomy.breasts) {
        tubes.push(internal_mammary(random, anatomy, side));
        for _ in 0..random.integer(2, 5) {
            let trunk = trunk(random, breast);
            for _ in 0..random.integer(0, 2) {
                tubes.push(branch(random, &trunk));
            }
            tubes.push(trunk);
        }
    }
    tubes
}

fn internal_mammary(random: &mut Random, anatomy: &Anatomy, side: f32) -> Tube {
    let (x, radius) = (side * random.uniform(16.0, 24.0), random.uniform(1.4, 2.2));
    let phase = random.uniform(0.0, TAU);
    let point = |i: i32| {
        let z = 8.0 * i as f32;
        let x = x + 2.0 * (z / 30.0 + phase).sin();
        // From the front backwards until the muscle begins.
        let y = (0..120).map(|mm| -60.0 + mm as f32).find(|y| anatomy.behind_wall([x, *y, z]) > 4.0).unwrap_or(0.0);
        ([x, y, z], radius)
    };
    Tube((-16..=16).map(point).collect())
}

/// From the breast's rim to behind the nipple.
fn trunk(random: &mut Random, breast: &Breast) -> Tube {
    let angle = random.uniform(0.0, TAU);
    let ([cx, cy, cz], [rx, ry, rz]) = (breast.shape.centre, breast.shape.radii);
    let from = [cx + 0.78 * rx * angle.cos(), cy - random.uniform(0.15, 0.35) * ry, cz + 0.78 * rz * angle.sin()];
    let to = [
        breast.nipple[0] + random.uniform(-16.0, 16.0),
        breast.nipple[1] + random.uniform(14.0, 45.0),
        breast.nipple[2] + random.uniform(-16.0, 16.0),
    ];
    let width = (random.uniform(1.1, 1.9), random.uniform(0.6, 0.9));
    curve(random, from, to, width, 14.0)
}

/// Leaves the trunk somewhere in its middle.
fn branch(random: &mut Random, trunk: &Tube) -> Tube {
    let (from, radius) = trunk.0[random.integer(trunk.0.len() / 4, 3 * trunk.0.len() / 4)];
    let to = from.map(|v| v + random.uniform(-26.0, 26.0));
    curve(random, from, to, (0.75 * radius, 0.5), 8.0)
}

/// A parabola whose middle is `bend_mm` off the straight line at most, with a little wobble.
fn curve(random: &mut Random, from: Point, to: Point, width: (f32, f32), bend_mm: f32) -> Tube {
    let bend: Point = std::array::from_fn(|_| random.uniform(-bend_mm, bend_mm));
    let waves: [(f32, f32); 3] = std::array::from_fn(|_| (random.uniform(4.0, 9.0), random.uniform(0.0, TAU)));
    let point = |i: usize| {
        let t = i as f32 / 24.0;
        let arch = 4.0 * t * (1.0 - t);
        let p = std::array::from_fn(|axis| {
            let (rate, phase) = waves[axis];
            from[axis] + t * (to[axis] - from[axis]) + arch * (bend[axis] + 1.5 * (rate * t + phase).sin())
        });
        (p, width.0 + t * (width.1 - width.0))
    };
    Tube((0..=24).map(point).collect())
}
