//! What lies on the skin or the lens: hair, bubbles of the contact fluid, a ruler's marks.

use std::f32::consts::TAU;

use ndarray::Array2;

use super::lesion::to_segment;
use super::{Colour, Place, mix};
use crate::phantom::noise::smoothstep;
use crate::phantom::random::Random;

const BUBBLE: Colour = [245.0, 240.0, 236.0];

pub(crate) struct Clutter {
    hairs: Vec<Hair>,
    hair: Colour,
    /// Middle and radius.
    bubbles: Vec<(Place, f32)>,
}

/// Points of a curve and half its width; a ruler's marks are short straight hairs.
struct Hair {
    points: Vec<Place>,
    half_width: f32,
}

impl Clutter {
    pub fn new(random: &mut Random, field: Place) -> Self {
        let somewhere = |random: &mut Random| field.map(|side| random.uniform(-0.5 * side, 0.5 * side));
        let number = if random.chance(0.45) { 0 } else { random.integer(1, 14) };
        let mut hairs: Vec<Hair> = (0..number).map(|_| hair(random, field)).collect();
        if random.chance(0.2) {
            hairs.extend(ruler(random, field));
        }
        let bubbles = if random.chance(0.2) { random.integer(1, 8) } else { 0 };
        let tone = random.uniform(0.4, 1.0);
        Self {
            hairs,
            hair: [62.0, 44.0, 36.0].map(|v| v * tone),
            bubbles: (0..bubbles).map(|_| (somewhere(random), random.uniform(0.1, 0.5))).collect(),
        }
    }

    /// How much of each pixel hair covers, 0 to 255.
    pub fn coverage(&self, (rows, columns): (usize, usize), spacing: f32) -> Array2<u8> {
        let mut covered = Array2::<u8>::zeros((rows, columns));
        let half = [0.5 * columns as f32 * spacing, 0.5 * rows as f32 * spacing];
        for (hair, pair) in self.hairs.iter().flat_map(|h| h.points.windows(2).map(move |w| (h, w))) {
            // Half a pixel of blur: what is thinner than a pixel is fainter.
            let (reach, blur) = (hair.half_width + spacing, 0.5 * spacing);
            let range = |axis: usize, n: usize| {
                let (low, high) = (pair[0][axis].min(pair[1][axis]) - reach, pair[0][axis].max(pair[1][axis]) + reach);
                let index = |mm: f32| (((mm + half[axis]) / spacing).max(0.0) as usize).min(n);
                index(low)..(index(high) + 1).min(n)
            };
            for row in range(1, rows) {
                for column in range(0, columns) {
                    let p = [(column as f32 + 0.5) * spacing - half[0], (row as f32 + 0.5) * spacing - half[1]];
                    let inside = hair.half_width - to_segment(p, pair[0], pair[1]);
                    let share = (255.0 * smoothstep(-blur, blur, inside)) as u8;
                    let pixel = &mut covered[[row, column]];
                    *pixel = (*pixel).max(share);
                }
            }
        }
        covered
    }

    /// Paints a point of which hair covers a share.
    pub fn paint(&self, colour: &mut Colour, covered: f32, p: Place) {
        mix(colour, &self.hair, 0.9 * covered);
        for (at, radius) in &self.bubbles {
            let r = (p[0] - at[0]).hypot(p[1] - at[1]);
            if r < *radius {
                mix(colour, &BUBBLE, 0.15 + 0.6 * smoothstep(0.75 * radius, 0.95 * radius, r));
            }
        }
    }
}

/// From somewhere outside the picture across it, bent.
fn hair(random: &mut Random, field: Place) -> Hair {
    let angle = random.uniform(0.0, TAU);
    let length = random.uniform(6.0, 22.0);
    let start = field.map(|side| random.uniform(-0.5 * side, 0.5 * side));
    let bend = random.uniform(-0.06, 0.06);
    let (mut at, mut angle) = (start, angle);
    let mut points = vec![at];
    for _ in 0..12 {
        angle += bend * length / 12.0;
        at = [at[0] + length / 12.0 * angle.cos(), at[1] + length / 12.0 * angle.sin()];
        points.push(at);
    }
    Hair { points, half_width: random.uniform(0.03, 0.08) }
}

/// A scale along the lower or the left edge, a mark a millimetre, every fifth longer.
fn ruler(random: &mut Random, field: Place) -> Vec<Hair> {
    let below = random.chance(0.5);
    let edge = random.uniform(0.6, 1.6);
    let marks = if below { field[0] } else { field[1] } as i32 / 2;
    let mark = |i: i32| {
        let length = if i % 5 == 0 { 1.2 } else { 0.6 };
        let points = if below {
            let y = 0.5 * field[1] - edge;
            vec![[i as f32, y], [i as f32, y + length]]
        } else {
            let x = -0.5 * field[0] + edge;
            vec![[x, i as f32], [x - length, i as f32]]
        };
        Hair { points, half_width: 0.05 }
    };
    (-marks..=marks).map(mark).collect()
}
