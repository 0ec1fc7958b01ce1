//! The tumour: a lobulated ellipsoid that takes up contrast medium fast and loses it again, or stays level.

use super::Course;
use super::anatomy::Anatomy;
use super::grid::Grid;
use super::shapes::{Point, dot, minus, norm};
use crate::phantom::noise::{Fractal, gradient3, smoothstep};
use crate::phantom::random::Random;

/// Diameters, as the lesions that screening and staging see.
const DIAMETER_MM: (f32, f32) = (8.0, 35.0);

/// What a tumour's form says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TumourKind {
    /// Round or oval with a smooth border, evenly bright.
    Benign,
    /// Irregular and spiculated, uneven, with a bright rim.
    Malignant,
}

#[derive(Debug, Clone)]
pub(crate) struct Tumour {
    pub centre: Point,
    /// Of a ball of the ellipsoid's volume.
    pub radius_mm: f32,
    radii: Point,
    /// The ellipsoid's axes.
    axes: [Point; 3],
    /// Depth of the lobes as a share of the radius, and which they are.
    lobes: (f32, u64),
    /// Length of the spicules as a share of the radius, and which they are.
    spicules: (f32, u64),
    texture: Fractal,
    mottle: f32,
    course: Course,
    /// Excess of the rim over the middle.
    rim: f32,
    /// Share of the radius within which nothing takes up contrast medium; 0 for most.
    necrosis: f32,
}

impl Tumour {
    pub fn new(random: &mut Random, anatomy: &Anatomy, grid: &Grid) -> Self {
        let diameter = random.uniform(DIAMETER_MM.0, DIAMETER_MM.1);
        let (a, b) = (random.uniform(0.82, 1.2), random.uniform(0.82, 1.2));
        let radius_mm = 0.5 * diameter;
        let baseline = random.uniform(0.30, 0.38);
        let peak = random.uniform(2.2, 3.2);
        // The delayed phase's type (Kuhl 1999): wash-out or plateau; the persistent type is the gland's.
        let fall = if random.chance(0.65) { random.uniform(0.1, 0.25) } else { random.uniform(-0.05, 0.05) };
        Self {
            radius_mm,
            radii: [a, b, 1.0 / (a * b)].map(|f| f * radius_mm),
            axes: axes(random),
            lobes: (random.uniform(0.08, 0.3), random.next_u64()),
            spicules: (0.0, 0),
            mottle: 0.12,
            texture: Fractal { wavelength_mm: 7.0, octaves: 2, gain: 0.7, seed: random.next_u64() },
            course: [
                baseline,
                baseline * peak,
                baseline * (1.0 + (peak - 1.0) * (1.0 - 0.5 * fall)),
                baseline * (1.0 + (peak - 1.0) * (1.0 - fall)),
            ],
            rim: random.uniform(0.0, 0.25),
            necrosis: if diameter > 20.0 && random.chance(0.25) { random.uniform(0.25, 0.45) } else { 0.0 },
            centre: place(random, anatomy, grid, radius_mm),
        }
    }

    /// A tumour of one kind, in the place and of the size that the same stream gives without a kind.
    pub fn of(kind: TumourKind, random: &mut Random, anatomy: &Anatomy, grid: &Grid) -> Self {
        let tumour = Self::new(random, anatomy, grid);
        match kind {
            TumourKind::Benign => Self {
                lobes: (random.uniform(0.0, 0.06), tumour.lobes.1),
                mottle: random.uniform(0.02, 0.06),
                rim: 0.0,
                necrosis: 0.0,
                ..tumour
            },
            TumourKind::Malignant => Self {
                lobes: (random.uniform(0.15, 0.35), tumour.lobes.1),
                spicules: (random.uniform(0.3, 0.6), random.next_u64()),
                mottle: random.uniform(0.12, 0.2),
                rim: random.uniform(0.25, 0.5),
                ..tumour
            },
        }
    }

    /// Distance inside the edge (negative outside) and the course there; None where the tumour has no share.
    pub fn course(&self, p: Point) -> Option<(f32, Course)> {
        let d = minus(p, self.centre);
        if dot(d, d) > (2.2 * self.radius_mm).powi(2) {
            return None;
        }
        let q: Point = std::array::from_fn(|i| dot(d, self.axes[i]) / self.radii[i]);
        let level = norm(q);
        let towards = q.map(|v| 1.6 * v / level.max(1e-3));
        let mut edge = 1.0 + self.lobes.0 * gradient3(towards, self.lobes.1);
        if self.spicules.0 > 0.0 {
            let ridge = 1.0 - 4.5 * gradient3(towards.map(|v| 2.2 * v + 0.5), self.spicules.1).abs();
            edge += self.spicules.0 * ridge.max(0.0);
        }
        let inside = (edge - level) * self.radius_mm;
        if inside < -0.8 {
            return None;
        }
        let share = 1.0 - self.rim * (1.0 - smoothstep(0.4, 0.9, level / edge)) + self.mottle * self.texture.at3(p);
        let share =
            share * if self.necrosis > 0.0 { smoothstep(self.necrosis - 0.1, self.necrosis + 0.1, level) } else { 1.0 };
        Some((inside, self.course.map(|v| self.course[0] + (v - self.course[0]) * share)))
    }
}

/// Three orthonormal vectors, any way round.
fn axes(random: &mut Random) -> [Point; 3] {
    let unit = |v: Point| v.map(|c| c / norm(v));
    let mut direction = || unit([(); 3].map(|()| random.normal() + 1e-3));
    let (a, b) = (direction(), direction());
    let c = unit([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]);
    [a, c, [a[1] * c[2] - a[2] * c[1], a[2] * c[0] - a[0] * c[2], a[0] * c[1] - a[1] * c[0]]]
}

/// In one of the breasts, under the skin, off the muscle and the nipple, and within what the grid shows.
fn place(random: &mut Random, anatomy: &Anatomy, grid: &Grid, radius_mm: f32) -> Point {
    let mut best = (f32::MIN, [0.0; 3]);
    for _ in 0..400 {
        let breast = &anatomy.breasts[random.integer(0, 1)];
        let p: Point =
            std::array::from_fn(|i| breast.shape.centre[i] + random.uniform(-1.0, 1.0) * breast.shape.radii[i]);
        let nipple = norm(minus(p, breast.nipple)) - radius_mm - 14.0;
        let skin = anatomy.depth(p) - radius_mm - 3.0;
        let muscle = -anatomy.behind_wall(p) - radius_mm - 3.0;
        let room = skin.min(muscle).min(nipple).min(grid.room(p) - 1.2 * radius_mm);
        if room >= 0.0 {
            return p;
        }
        if room > best.0 {
            best = (room, p);
        }
    }
    best.1
}
