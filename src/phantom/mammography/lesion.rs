//! What makes a phantom abnormal. A lesion adds brightness to the tissue; sizes are those that radiologists report.

use super::Class;
use super::anatomy::Anatomy;
use crate::phantom::noise::{Fractal, smoothstep};
use crate::phantom::random::Random;

/// Added brightness around `centre`, within `radius_mm` of it.
#[derive(Debug, Clone)]
pub(crate) struct Lesion {
    pub centre: (f32, f32),
    pub radius_mm: f32,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Mass { shape: Lobes, contrast: f32, edge_mm: f32, texture: Fractal, spicules: Spicules },
    Cluster,
    Distortion { spicules: Spicules, core_mm: f32, contrast: f32 },
    Asymmetry { radii: (f32, f32), turn: f32, contrast: f32, texture: Fractal },
}

/// One calcification: a Gaussian spot whose full width at half maximum is `diameter_mm`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speck {
    pub x: f32,
    pub y: f32,
    pub diameter_mm: f32,
    pub brightness: f32,
}

/// A closed outline around the origin: radius over angle.
#[derive(Debug, Clone)]
struct Lobes {
    radius_mm: f32,
    /// (waves around the circle, amplitude, phase)
    waves: Vec<(f32, f32, f32)>,
}

impl Lobes {
    fn radius(&self, angle: f32) -> f32 {
        self.radius_mm * (1.0 + self.waves.iter().map(|(k, a, phase)| a * (k * angle + phase).cos()).sum::<f32>())
    }
}

/// Thin lines that radiate from a centre.
#[derive(Debug, Clone, Default)]
struct Spicules(Vec<Spicule>);

#[derive(Debug, Clone, Copy)]
struct Spicule {
    angle: f32,
    from_mm: f32,
    to_mm: f32,
    width_mm: f32,
    brightness: f32,
    /// Sideways drift at the outer end, in mm.
    bend_mm: f32,
}

impl Spicules {
    fn new(random: &mut Random, count: usize, from_mm: f32, to_mm: (f32, f32), brightness: (f32, f32)) -> Self {
        let first = random.uniform(0.0, std::f32::consts::TAU);
        let lines = (0..count).map(|i| Spicule {
            angle: first + (i as f32 + random.uniform(-0.6, 0.6)) * std::f32::consts::TAU / count as f32,
            from_mm,
            to_mm: random.uniform(to_mm.0, to_mm.1),
            width_mm: random.uniform(0.45, 0.9),
            brightness: random.uniform(brightness.0, brightness.1),
            bend_mm: random.uniform(-4.0, 4.0),
        });
        Self(lines.collect())
    }

    fn at(&self, x: f32, y: f32) -> f32 {
        self.0
            .iter()
            .map(|s| {
                let (sin, cos) = s.angle.sin_cos();
                let along = x * cos + y * sin;
                if along < s.from_mm || along > s.to_mm {
                    return 0.0;
                }
                let t = (along - s.from_mm) / (s.to_mm - s.from_mm);
                let across = y * cos - x * sin - s.bend_mm * t * t;
                // Lines fade and thin out outwards, and start softly, so that their common centre is no bright star.
                s.brightness
                    * (1.0 - t)
                    * smoothstep(0.0, 0.15, t)
                    * (-(across / (s.width_mm * (1.2 - 0.5 * t))).powi(2)).exp()
            })
            .fold(0.0, f32::max)
    }
}

impl Lesion {
    /// Draws a lesion of the class, `None` for [`Class::Normal`]. Its centre is still the origin.
    pub fn new(random: &mut Random, class: Class) -> Option<Self> {
        let (radius_mm, kind) = match class {
            Class::Mass => mass(random),
            Class::Calcification => (random.uniform(5.0, 12.5), Kind::Cluster),
            Class::ArchitecturalAsymmetry => {
                if random.chance(0.5) {
                    distortion(random)
                } else {
                    asymmetry(random)
                }
            }
            Class::Normal => return None,
        };
        Some(Self { centre: (0.0, 0.0), radius_mm, kind })
    }

    /// Where the lesion is drawn: an asymmetry is tissue in the wrong place, so it lies in fat; the others lie anywhere.
    pub fn place(&mut self, random: &mut Random, anatomy: &Anatomy, width_mm: f32, height_mm: f32) {
        let margin = (0.7 * self.radius_mm).clamp(7.0, 14.0);
        self.centre = match self.kind {
            Kind::Asymmetry { .. } => anatomy.place_in_fat(random, width_mm, height_mm, margin),
            _ => anatomy.place(random, width_mm, height_mm, margin),
        };
    }

    /// Brightness added at a point of the image.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - self.centre.0, y - self.centre.1);
        let distance = (x * x + y * y).sqrt();
        if distance > self.radius_mm {
            return 0.0;
        }
        match &self.kind {
            Kind::Mass { shape, contrast, edge_mm, texture, spicules } => {
                let radius = shape.radius(y.atan2(x));
                let body = smoothstep(-*edge_mm, *edge_mm, radius - distance + 0.6 * texture.at(x + 31.0, y));
                // A ball is thickest in its middle, but compressed: a flat dome.
                let dome = 0.7 + 0.3 * (1.0 - (distance / radius).min(1.0).powi(2)).sqrt();
                contrast * (body * dome * (1.0 + 0.22 * texture.at(x, y))).max(0.0) + spicules.at(x, y)
            }
            Kind::Cluster => 0.0,
            Kind::Distortion { spicules, core_mm, contrast } => {
                // Retracted tissue around a clear centre, never a dense one: that would be a mass.
                let pull = (-(distance / (2.2 * core_mm)).powi(2)).exp();
                spicules.at(x, y) - contrast * pull * 0.35
            }
            Kind::Asymmetry { radii, turn, contrast, texture } => {
                let (sin, cos) = turn.sin_cos();
                let (u, v) = ((x * cos + y * sin) / radii.0, (y * cos - x * sin) / radii.1);
                let veil = (-(u * u + v * v) * 1.2).exp();
                contrast * veil * (0.85 + 0.4 * texture.at(x, y)).max(0.0)
            }
        }
    }

    /// The calcifications of a cluster; none for other lesions.
    pub fn specks(&self, random: &mut Random) -> Vec<Speck> {
        if !matches!(self.kind, Kind::Cluster) {
            return Vec::new();
        }
        let count = random.integer(8, 40);
        let stretch = random.uniform(0.6, 1.0);
        let (sin, cos) = random.uniform(0.0, std::f32::consts::TAU).sin_cos();
        let contrast = random.uniform(0.8, 1.25);
        (0..count)
            .map(|_| {
                // Denser in the middle: radius to the power 0.7 instead of the uniform disc's 0.5.
                let r = self.radius_mm * random.uniform(0.0, 1.0).powf(0.7);
                let (s, c) = random.uniform(0.0, std::f32::consts::TAU).sin_cos();
                let (u, v) = (r * c, r * s * stretch);
                let diameter_mm = random.uniform(0.3, 1.0);
                Speck {
                    x: self.centre.0 + u * cos - v * sin,
                    y: self.centre.1 + u * sin + v * cos,
                    diameter_mm,
                    // Bigger ones are thicker in the beam's direction too.
                    brightness: contrast * (0.22 + 0.28 * diameter_mm) * random.uniform(0.8, 1.2),
                }
            })
            .collect()
    }
}

fn mass(random: &mut Random) -> (f32, Kind) {
    let radius_mm = random.uniform(4.0, 12.5);
    let spiculated = random.chance(0.35);
    let lobulated = !spiculated && random.chance(0.5);
    let amplitude = if lobulated { 0.13 } else { 0.07 };
    let waves = (2..=if lobulated { 5 } else { 4 })
        .map(|k| (k as f32, random.uniform(0.0, amplitude), random.uniform(0.0, std::f32::consts::TAU)))
        .collect();
    let contrast = random.uniform(0.22, 0.36);
    let spicules = if spiculated {
        let (count, reach) = (random.integer(12, 22), radius_mm + 4.0);
        Spicules::new(random, count, 0.7 * radius_mm, (reach, reach + radius_mm.max(6.0)), (0.10, 0.2))
    } else {
        Spicules::default()
    };
    let reach = spicules.0.iter().map(|s| s.to_mm).fold(1.4 * radius_mm + 2.0, f32::max);
    let texture = Fractal { wavelength_mm: 5.0, octaves: 3, gain: 0.7, seed: random.next_u64() };
    let edge_mm = random.uniform(0.6, 1.8);
    (reach, Kind::Mass { shape: Lobes { radius_mm, waves }, contrast, edge_mm, texture, spicules })
}

fn distortion(random: &mut Random) -> (f32, Kind) {
    let core_mm = random.uniform(0.8, 2.0);
    let reach = random.uniform(16.0, 24.0);
    let count = random.integer(14, 26);
    let spicules = Spicules::new(random, count, core_mm, (0.4 * reach, reach), (0.15, 0.28));
    (reach, Kind::Distortion { spicules, core_mm, contrast: random.uniform(0.1, 0.3) })
}

fn asymmetry(random: &mut Random) -> (f32, Kind) {
    let radii = (random.uniform(15.0, 24.0), random.uniform(11.0, 17.0));
    let texture = Fractal { wavelength_mm: 9.0, octaves: 4, gain: 0.7, seed: random.next_u64() };
    let contrast = random.uniform(0.26, 0.38);
    let turn = random.uniform(0.0, std::f32::consts::PI);
    (2.0 * radii.0.max(radii.1), Kind::Asymmetry { radii, turn, contrast, texture })
}
