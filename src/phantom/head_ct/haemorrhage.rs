//! Blood outside the vessels, and what it does to its surroundings.

use std::f32::consts::PI;

use super::Haemorrhage;
use super::anatomy::{Head, Site};
use crate::phantom::noise::{Fractal, gradient3, smoothstep};
use crate::phantom::random::Random;
use crate::phantom::shapes::{Point, dot, minus, norm};

pub(crate) struct Blood {
    pub kind: Haemorrhage,
    form: Form,
    /// Hounsfield units of the clot.
    level: f32,
    texture: Fractal,
    /// Displacement of the midline at the clot's height, mm; x.
    shift: f32,
    centre: Point,
}

enum Form {
    /// A lobulated ellipsoid; oedema of so many mm around it.
    Clot { radii: Point, lobes: (f32, u64), oedema_mm: f32 },
    /// Between skull and brain, along the convexity of one side: middle and half-width of the azimuth (0 in front), middle and
    /// half-height, greatest thickness.
    Crescent { side: f32, azimuth: (f32, f32), height: (f32, f32), thickness: f32 },
    /// Radius along the skull and greatest thickness.
    Lens { radius: f32, thickness: f32 },
    /// Where the fluid is, within reach of the centre.
    Fluid { reach: f32, cisterns: bool },
    /// Lying in the back of the ventricles: below this height (y), as the patient lies on the back.
    Level { y: f32, sides: [bool; 2] },
}

impl Blood {
    pub fn new(kind: Haemorrhage, random: &mut Random, head: &Head) -> Self {
        let level = random.uniform(58.0, 74.0);
        let texture = Fractal { wavelength_mm: 6.0, octaves: 2, gain: 0.7, seed: random.next_u64() };
        let side = if random.chance(0.5) { 1.0 } else { -1.0 };
        let (form, centre, mass) = match kind {
            Haemorrhage::Intraparenchymal => clot(random, head),
            Haemorrhage::Subdural => crescent(random, head, side),
            Haemorrhage::Epidural => lens(random, head, side),
            Haemorrhage::Subarachnoid => fluid(random, head, side),
            Haemorrhage::Intraventricular => {
                let sides = if random.chance(0.6) { [true; 2] } else { [side < 0.0, side > 0.0] };
                (Form::Level { y: random.uniform(12.0, 32.0), sides }, [0.0, 34.0, 6.0], 0.0)
            }
        };
        let away = if centre[0] > 0.0 { -1.0 } else { 1.0 };
        Self { kind, form, level, texture, shift: away * mass * random.uniform(0.2, 0.5), centre }
    }

    /// Where the tissue that a mass has pushed to `p` would lie.
    pub fn displaced(&self, p: Point) -> Point {
        if self.shift == 0.0 {
            return p;
        }
        let d = [0.7 * p[0], p[1] - self.centre[1], p[2] - self.centre[2]];
        [p[0] - self.shift * (-dot(d, d) / (2.0 * 38.0f32.powi(2))).exp(), p[1], p[2]]
    }

    /// Hounsfield units of blood at a point.
    pub fn density(&self, p: Point) -> f32 {
        (self.level + 4.0 * self.texture.at3(p)).clamp(55.0, 80.0)
    }

    /// Change of the density around a clot.
    pub fn oedema(&self, p: Point) -> f32 {
        match self.form {
            Form::Clot { oedema_mm, .. } => -9.0 * smoothstep(-oedema_mm - 2.0, -oedema_mm + 2.0, self.inside_clot(p)),
            _ => 0.0,
        }
    }

    fn inside_clot(&self, p: Point) -> f32 {
        let Form::Clot { radii, lobes, .. } = &self.form else { return f32::MIN };
        let d = minus(p, self.centre);
        let q: Point = std::array::from_fn(|i| d[i] / radii[i]);
        let level = norm(q);
        let towards = q.map(|v| 1.5 * v / level.max(1e-3) + 0.5);
        let radius = (radii[0] * radii[1] * radii[2]).cbrt();
        (1.0 + lobes.0 * gradient3(towards, lobes.1) - level) * radius
    }

    /// Share of blood at a point, 0..=1.
    pub fn share(&self, p: Point, site: &Site) -> f32 {
        match &self.form {
            Form::Clot { .. } => smoothstep(-0.8, 0.8, self.inside_clot(p)) * (1.0 - site.subarachnoid),
            Form::Crescent { side, azimuth, height, thickness } => {
                let around = ((side * p[0]).atan2(-p[1]) - azimuth.0) / azimuth.1;
                let up = (p[2] - height.0) / height.1;
                let profile = (1.0 - around * around).max(0.0).sqrt() * (1.0 - up * up).max(0.0).sqrt();
                smoothstep(-0.7, 0.7, thickness * profile - site.inside)
                    * smoothstep(0.2, 1.0, thickness * profile)
                    * smoothstep(1.5, 3.0, side * p[0])
            }
            Form::Lens { radius, thickness } => {
                let off = norm(minus(p, self.centre)) / radius;
                let profile = thickness * (1.0 - off * off);
                smoothstep(-0.7, 0.7, profile - site.inside) * smoothstep(0.0, 0.8, profile)
            }
            Form::Fluid { reach, cisterns } => {
                let near = smoothstep(*reach, 0.7 * reach, norm(minus(p, self.centre)));
                let basal = if *cisterns { smoothstep(34.0, 28.0, norm(minus(p, [0.0, -10.0, -18.0]))) } else { 0.0 };
                site.subarachnoid * near.max(basal)
            }
            Form::Level { y, sides } => {
                let own = sides[usize::from(p[0] > 0.0)];
                if own { site.ventricle * smoothstep(y - 0.8, y + 0.8, p[1]) } else { 0.0 }
            }
        }
    }
}

/// Deep or lobar, wholly within the brain and above its base.
fn clot(random: &mut Random, head: &Head) -> (Form, Point, f32) {
    let radius = random.uniform(7.0, 20.0);
    let (a, b) = (random.uniform(0.8, 1.25), random.uniform(0.8, 1.25));
    let mut best = (f32::MIN, [30.0, 0.0, 10.0]);
    for _ in 0..200 {
        let p = [random.uniform(-60.0, 60.0), random.uniform(-75.0, 75.0), random.uniform(-20.0, 55.0)];
        let room = (head.inside(p) - radius - 5.0).min(p[0].abs() - 0.8 * radius);
        if room > best.0 {
            best = (room, p);
        }
        if room >= 0.0 {
            break;
        }
    }
    let form = Form::Clot {
        radii: [a, b, 1.0 / (a * b)].map(|f| f * radius),
        lobes: (random.uniform(0.1, 0.35), random.next_u64()),
        oedema_mm: random.uniform(3.0, 7.0),
    };
    (form, best.1, 0.5 * radius)
}

fn crescent(random: &mut Random, head: &Head, side: f32) -> (Form, Point, f32) {
    let azimuth = (random.uniform(0.9, 2.0), random.uniform(0.7, 1.1));
    let height = (random.uniform(8.0, 35.0), random.uniform(28.0, 42.0));
    let thickness = random.uniform(5.5, 14.0);
    let up = height.0 / 90.0;
    let centre = head.inner_table([side * azimuth.0.sin(), -azimuth.0.cos(), up].map(|v| v / (1.0 + up * up).sqrt()));
    (Form::Crescent { side, azimuth, height, thickness }, centre, thickness)
}

fn lens(random: &mut Random, head: &Head, side: f32) -> (Form, Point, f32) {
    let azimuth = random.uniform(0.25, 0.85) * PI;
    let rise = random.uniform(0.0, 0.7);
    let flat = (1.0 - rise * rise).sqrt();
    let centre = head.inner_table([side * flat * azimuth.sin(), -flat * azimuth.cos(), rise]);
    let (radius, thickness) = (random.uniform(20.0, 32.0), random.uniform(9.0, 20.0));
    (Form::Lens { radius, thickness }, centre, thickness)
}

fn fluid(random: &mut Random, head: &Head, side: f32) -> (Form, Point, f32) {
    let azimuth = random.uniform(0.2, 0.8) * PI;
    let rise = random.uniform(0.0, 0.5);
    let flat = (1.0 - rise * rise).sqrt();
    let table = head.inner_table([side * flat * azimuth.sin(), -flat * azimuth.cos(), rise]);
    let form = Form::Fluid { reach: random.uniform(34.0, 52.0), cisterns: random.chance(0.6) };
    (form, table.map(|v| 0.85 * v), 0.0)
}
