//! The head in Hounsfield units, without the scanner: brain, cerebrospinal fluid, falx and calcifications within the skull.
//!
//! Frame: origin in the middle of the brain, x to the patient's left, y to the back, z to the crown, mm.

use super::base::Base;
use super::haemorrhage::Blood;
use super::skull::Skull;
use crate::phantom::noise::{Fractal, gradient3, smoothstep};
use crate::phantom::random::Random;
use crate::phantom::shapes::{Ellipsoid, Point, minus, norm};

pub(crate) struct Head {
    pub skull: Skull,
    base: Base,
    tissue: Tissue,
    /// Width of the fluid below the skull: little in the young, more in the old.
    csf_mm: f32,
    sulci: Sulci,
    ventricles: Vec<Ellipsoid>,
    cisterns: Vec<Ellipsoid>,
    /// Caudate, lentiform nucleus and thalamus of both sides.
    nuclei: Vec<Ellipsoid>,
    calcifications: Vec<(Point, f32, f32)>,
    falx_mm: f32,
}

/// Hounsfield units.
#[derive(Debug, Clone, Copy)]
struct Tissue {
    grey: f32,
    white: f32,
    fluid: f32,
    falx: f32,
    texture: Fractal,
}

/// Folds of the cortex: the zero surfaces of a noise.
#[derive(Debug, Clone, Copy)]
struct Sulci {
    wavelength_mm: f32,
    /// Half the width, in units of the noise.
    half: f32,
    depth_mm: f32,
    seed: u64,
}

/// What lies at a point within the skull, for the blood that may replace it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    /// Distance inside the inner table.
    pub inside: f32,
    /// Share of fluid in sulci, fissures and cisterns.
    pub subarachnoid: f32,
    /// Share of fluid in the ventricles.
    pub ventricle: f32,
}

/// A point of the head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Hounsfield units.
    pub density: f32,
    /// Share of blood.
    pub blood: f32,
    /// Distance inside the inner table, negative outside.
    pub inside: f32,
}

impl Head {
    pub fn new(random: &mut Random) -> Self {
        let skull = Skull::new(random);
        let base = Base::new(random);
        let atrophy = random.uniform(0.0, 1.0);
        let white = random.uniform(26.0, 30.0);
        let tissue = Tissue {
            white,
            grey: white + random.uniform(7.5, 11.0),
            fluid: random.uniform(2.0, 9.0),
            falx: random.uniform(44.0, 56.0),
            texture: Fractal { wavelength_mm: 9.0, octaves: 2, gain: 0.6, seed: random.next_u64() },
        };
        let sulci = Sulci {
            wavelength_mm: random.uniform(13.0, 17.0),
            half: 0.03 + 0.05 * atrophy + random.uniform(0.0, 0.02),
            depth_mm: random.uniform(10.0, 16.0),
            seed: random.next_u64(),
        };
        let ventricles = ventricles(random, 0.75 + 0.6 * atrophy);
        let mut calcifications = Vec::new();
        // Choroid plexus of both sides, pineal gland: bright, small, and no blood.
        for side in [-1.0, 1.0] {
            if random.chance(0.5) {
                let at = [side * random.uniform(20.0, 25.0), random.uniform(27.0, 33.0), random.uniform(4.0, 10.0)];
                calcifications.push((at, random.uniform(1.5, 3.2), random.uniform(110.0, 320.0)));
            }
        }
        if random.chance(0.6) {
            let at = [random.uniform(-1.0, 1.0), random.uniform(15.0, 19.0), random.uniform(-4.0, 0.0)];
            calcifications.push((at, random.uniform(1.5, 2.8), random.uniform(110.0, 320.0)));
        }
        Self {
            skull,
            base,
            tissue,
            csf_mm: 0.6 + 2.6 * atrophy,
            sulci,
            ventricles,
            cisterns: cisterns(random, 0.8 + 0.5 * atrophy),
            nuclei: nuclei(random),
            calcifications,
            falx_mm: random.uniform(0.5, 0.9),
        }
    }

    /// Distance inside the inner table, negative elsewhere.
    pub fn inside(&self, p: Point) -> f32 {
        self.skull.inside(p, self.skull.depth(p))
    }

    /// The point of the inner table in a direction from the brain's middle.
    pub fn inner_table(&self, direction: Point) -> Point {
        let (mut low, mut high) = (0.0, 140.0);
        for _ in 0..24 {
            let middle = 0.5 * (low + high);
            if self.inside(direction.map(|v| middle * v)) > 0.0 { low = middle } else { high = middle }
        }
        direction.map(|v| low * v)
    }

    /// What lies at a point; None outside the head.
    pub fn sample(&self, p: Point, blood: Option<&Blood>) -> Option<Sample> {
        let depth = self.skull.depth(p);
        if depth <= -0.7 {
            return None;
        }
        let inside = self.skull.inside(p, depth);
        let mut density = if inside < 0.7 { self.skull.density(p, depth, inside) } else { 0.0 };
        let mut share = 0.0;
        if inside > -0.7 {
            let (within, bled) = self.within(p, inside, blood);
            let edge = smoothstep(-0.5, 0.5, inside);
            density += (within - density) * edge;
            share = bled * edge;
        }
        let before = density;
        self.base.apply(&mut density, p);
        if (density - before).abs() > 30.0 {
            share = 0.0; // the base's bone and air take the place of blood
        }
        let skin = smoothstep(-0.7, 0.7, depth);
        Some(Sample { density: -1000.0 + (density + 1000.0) * skin, blood: share, inside })
    }

    /// Within the inner table.
    fn within(&self, p: Point, inside: f32, blood: Option<&Blood>) -> (f32, f32) {
        let t = &self.tissue;
        // A mass pushes what lies beside it.
        let q = blood.map_or(p, |blood| blood.displaced(p));
        let fold = gradient3(q.map(|v| v / self.sulci.wavelength_mm), self.sulci.seed).abs();
        let below = inside - self.csf_mm;
        let cortical = smoothstep(self.sulci.depth_mm + 3.0, self.sulci.depth_mm - 3.0, below);

        let nucleus = self.nuclei.iter().map(|n| n.depth(q)).fold(f32::MIN, f32::max);
        let cortex =
            smoothstep(4.6, 3.0, below).max(cortical * smoothstep(self.sulci.half + 0.3, self.sulci.half + 0.2, fold));
        let grey = cortex.max(smoothstep(-0.8, 0.8, nucleus));
        let mut density = t.white + (t.grey - t.white) * grey + 1.2 * t.texture.at3(p);

        let sulcus = cortical * smoothstep(self.sulci.half + 0.03, self.sulci.half, fold);
        let subarachnoid = smoothstep(0.5, -0.5, below).max(sulcus).max(self.fissures(q));
        let ventricle = self.ventricles.iter().map(|v| v.depth(q)).fold(f32::MIN, f32::max);
        let ventricle = smoothstep(-0.6, 0.6, ventricle);
        density += (t.fluid - density) * subarachnoid.max(ventricle);
        density += (t.falx - density) * self.falx(q, inside);
        for (centre, radius, value) in &self.calcifications {
            density += (value - density) * smoothstep(radius + 0.7, radius - 0.7, norm(minus(q, *centre)));
        }
        let Some(blood) = blood else { return (density, 0.0) };
        let site = Site { inside, subarachnoid, ventricle };
        let share = blood.share(p, &site);
        density += blood.oedema(p);
        (density + (blood.density(p) - density) * share, share)
    }

    /// Fluid of the interhemispheric fissure and of the cisterns.
    fn fissures(&self, q: Point) -> f32 {
        let cistern = self.cisterns.iter().map(|c| c.depth(q)).fold(f32::MIN, f32::max);
        smoothstep(-0.6, 0.6, cistern).max(smoothstep(1.8, 1.0, q[0].abs()) * beside_callosum(q))
    }

    fn falx(&self, q: Point, inside: f32) -> f32 {
        // It widens where it meets the skull (sagittal sinus).
        let width = self.falx_mm + 1.6 * smoothstep(7.0, 1.0, inside);
        smoothstep(width + 0.5, width - 0.3, q[0].abs()) * beside_callosum(q) * smoothstep(-28.0, -18.0, q[2])
    }
}

/// 0 in the middle of the brain, where corpus callosum, thalami and brain stem join the sides.
fn beside_callosum(q: Point) -> f32 {
    let front = smoothstep(-34.0, -40.0, q[1]);
    let back = smoothstep(38.0, 46.0, q[1]);
    let above = smoothstep(24.0, 30.0, q[2] + 0.004 * q[1] * q[1]);
    front.max(back).max(above) * smoothstep(-42.0, -34.0, q[2])
}

/// Lateral ventricles (frontal horn, body, occipital horn), third and fourth; one side may be a little larger.
fn ventricles(random: &mut Random, size: f32) -> Vec<Ellipsoid> {
    let mut all = Vec::new();
    for side in [-1.0f32, 1.0] {
        let own = size * random.uniform(0.92, 1.08);
        let mut part = |x: f32, y: f32, z: f32, radii: Point| {
            let jitter = random.uniform(-1.0, 1.0);
            all.push(Ellipsoid { centre: [side * x, y + jitter, z], radii: radii.map(|r| r * own) });
        };
        part(9.5, -22.0, 8.0, [4.5, 13.0, 8.0]);
        part(11.0, 0.0, 17.0, [5.0, 26.0, 5.5]);
        part(18.0, 26.0, 8.0, [6.0, 11.0, 10.0]);
        part(22.0, 43.0, 2.0, [3.8, 15.0, 5.0]);
    }
    all.push(Ellipsoid { centre: [0.0, 1.0, -4.0], radii: [2.4 * size, 13.0, 9.0] });
    all.push(Ellipsoid { centre: [0.0, 37.0, -33.0], radii: [6.5 * size, 5.0, 8.0] });
    all
}

/// Sylvian fissures, suprasellar and quadrigeminal cistern.
fn cisterns(random: &mut Random, size: f32) -> Vec<Ellipsoid> {
    let mut all = Vec::new();
    for side in [-1.0, 1.0] {
        let z = random.uniform(-6.0, 2.0);
        all.push(Ellipsoid { centre: [side * 46.0, -14.0, z], radii: [15.0, 2.2 * size, 11.0] });
        all.push(Ellipsoid { centre: [side * 36.0, -8.0, z], radii: [2.0 * size, 15.0, 10.0] });
    }
    all.push(Ellipsoid { centre: [0.0, -16.0, -28.0], radii: [12.0 * size, 9.0, 6.0] });
    all.push(Ellipsoid { centre: [0.0, 24.0, -14.0], radii: [11.0 * size, 3.0, 6.0] });
    all
}

fn nuclei(random: &mut Random) -> Vec<Ellipsoid> {
    let mut all = Vec::new();
    for side in [-1.0, 1.0] {
        let scale = random.uniform(0.95, 1.05);
        for (x, y, z, radii) in [
            (15.5, -22.0, 7.0, [4.0, 9.0, 9.0]),
            (25.0, -8.0, 2.0, [6.0, 14.0, 9.0]),
            (11.0, 9.0, 2.0, [7.5, 13.0, 8.5]),
        ] {
            all.push(Ellipsoid { centre: [side * x, y, z], radii: radii.map(|r: f32| r * scale) });
        }
    }
    all
}
