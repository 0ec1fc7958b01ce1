//! The breast without a lesion: outline, skin, fat, glandular tissue, strands and pectoral muscle, as shades over
//! millimetres. x runs from the chest wall to the nipple, y down the image; laterality is only a mirror.

use super::field::Field;
use super::{Density, View};
use crate::phantom::noise::{Fractal, gradient, smoothstep};
use crate::phantom::random::Random;

/// Grid on which the tissue is computed; finer structures (calcifications, noise) are drawn on the pixels themselves.
pub(crate) const TISSUE_SPACING_MM: f32 = 0.3;
const DEPTH_SPACING_MM: f32 = 2.0;

/// Where the breast is: everything a lesion needs to find its place.
#[derive(Debug, Clone)]
pub(crate) struct Anatomy {
    pub nipple: (f32, f32),
    /// Distance to the skin in mm, negative outside the breast.
    pub depth: Field,
    pub pectoral: Option<Pectoral>,
    gland: Gland,
    tones: Tones,
}

/// The pectoral muscle of an MLO view: a wedge in the upper corner at the chest wall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pectoral {
    width_mm: f32,
    length_mm: f32,
    bulge: f32,
}

impl Pectoral {
    /// Distance inside the muscle's edge in mm along x; negative outside.
    pub fn inside(&self, x: f32, y: f32) -> f32 {
        let t = (1.0 - y / self.length_mm).max(0.0);
        self.width_mm * t.powf(self.bulge) - x - if y > self.length_mm { y - self.length_mm } else { 0.0 }
    }
}

/// The fibroglandular disc: an ellipse behind the nipple with a frayed edge.
#[derive(Debug, Clone, Copy)]
struct Gland {
    centre: (f32, f32),
    radii: (f32, f32),
    bias: f32,
    shape: Fractal,
    texture: Fractal,
    strands: u64,
}

/// Shades (0 black, 1 white) of the tissues.
#[derive(Debug, Clone, Copy)]
struct Tones {
    fat: f32,
    gland: f32,
    muscle: f32,
    skin: f32,
    strands: f32,
    mottle: f32,
    /// Depth at which the compressed breast has its full thickness.
    rolloff_mm: f32,
}

impl Anatomy {
    /// Draws a breast for an image of `width_mm` × `height_mm`.
    pub fn new(random: &mut Random, view: View, density: Density, width_mm: f32, height_mm: f32) -> Self {
        let (outline, nipple, pectoral) = outline(random, view, width_mm, height_mm);
        let depth = depth(&outline, nipple, width_mm, height_mm);
        let bias = match density {
            Density::Fatty => random.uniform(-0.75, -0.5),
            Density::Scattered => random.uniform(-0.5, -0.25),
            Density::Heterogeneous => random.uniform(-0.25, 0.0),
            Density::Dense => random.uniform(0.0, 0.2),
        };
        let gland = Gland {
            centre: (nipple.0 * random.uniform(0.5, 0.62), nipple.1 + random.uniform(-8.0, 4.0)),
            radii: (nipple.0 * random.uniform(0.42, 0.52), nipple.0 * random.uniform(0.4, 0.6)),
            bias,
            shape: Fractal {
                wavelength_mm: random.uniform(22.0, 36.0),
                octaves: 5,
                gain: 0.62,
                seed: random.next_u64(),
            },
            texture: Fractal { wavelength_mm: 7.0, octaves: 4, gain: 0.75, seed: random.next_u64() },
            strands: random.next_u64(),
        };
        let tones = Tones {
            fat: random.uniform(0.30, 0.42),
            gland: random.uniform(0.18, 0.32),
            muscle: random.uniform(0.12, 0.26),
            skin: random.uniform(0.03, 0.08),
            strands: random.uniform(0.03, 0.07),
            mottle: random.uniform(0.02, 0.045),
            rolloff_mm: random.uniform(5.0, 11.0),
        };
        Self { nipple, depth, pectoral, gland, tones }
    }

    /// The shade of the tissue at a point, 0 outside the breast.
    fn shade(&self, x: f32, y: f32) -> f32 {
        let depth = self.depth.at(x, y);
        if depth <= -1.0 {
            return 0.0;
        }
        let t = &self.tones;
        let thickness = 1.0 - 0.55 * (-depth.max(0.0) / t.rolloff_mm).exp();
        let muscle = self.pectoral.map_or(0.0, |p| smoothstep(-1.0, 2.5, p.inside(x, y)));
        let glandular = self.glandular(x, y) * smoothstep(3.0, 14.0, depth) * (1.0 - muscle);
        let texture = self.gland.texture.at(x, y);
        let skin = (-((depth - 1.0) / 0.8).powi(2)).exp();
        // Muscle fibres run along its edge, which leaves the chest wall at some 20 degrees.
        let fibres = if muscle > 0.0 { gradient((x - 0.35 * y) / 2.5, y / 40.0, self.gland.strands ^ 1) } else { 0.0 };
        let tissue = t.fat
            + t.mottle * texture * (1.0 + glandular)
            + t.gland * glandular
            + t.strands * self.strands(x, y) * (0.35 + 0.65 * glandular) * (1.0 - muscle)
            + muscle * (t.muscle + 0.02 * fibres)
            + t.skin * skin;
        tissue * thickness * smoothstep(-0.6, 0.6, depth)
    }

    /// Fraction of fibroglandular tissue, 0..=1.
    fn glandular(&self, x: f32, y: f32) -> f32 {
        let g = &self.gland;
        let (u, v) = ((x - g.centre.0) / g.radii.0, (y - g.centre.1) / g.radii.1);
        let inside = 1.0 - (u * u + v * v).sqrt();
        smoothstep(-0.2, 0.9, 0.55 + g.bias + 0.9 * inside.max(-1.0) + 0.45 * g.shape.at(x, y))
    }

    /// Cooper's ligaments and ducts: thin ridges that run towards the nipple.
    fn strands(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (self.nipple.0 - x, y - self.nipple.1);
        let radius = (dx * dx + dy * dy).sqrt();
        // The angle is counted in lattice cells of about 6 mm at mid-depth; far and near strands widen and narrow.
        let angle = dy.atan2(dx.abs() + 20.0) * 9.0;
        let ridge = |a: f32, r: f32, seed: u64| (1.0 - 3.0 * gradient(a, r, seed).abs()).max(0.0).powi(2);
        ridge(angle, radius / 28.0, self.gland.strands)
            + 0.7 * ridge(angle * 2.1 + 0.4, radius / 17.0, self.gland.strands ^ 2)
            - 0.35
    }

    /// Shades on a grid of [`TISSUE_SPACING_MM`] that covers the image, plus `extra` (the lesion).
    pub fn tissue(&self, width_mm: f32, height_mm: f32, extra: impl Fn(f32, f32) -> f32) -> Field {
        Field::from_fn(TISSUE_SPACING_MM, width_mm, height_mm, |x, y| {
            let shade = self.shade(x, y);
            if shade > 0.0 { shade + extra(x, y) * smoothstep(0.0, 6.0, self.depth.at(x, y)) } else { 0.0 }
        })
    }

    /// Of a dozen places, the one with the least fibroglandular tissue: where an asymmetry is seen as such.
    pub fn place_in_fat(&self, random: &mut Random, width_mm: f32, height_mm: f32, margin_mm: f32) -> (f32, f32) {
        let places = [(); 12].map(|()| self.place(random, width_mm, height_mm, margin_mm));
        let dense = |(x, y): (f32, f32)| {
            let around = [(0.0, 0.0), (9.0, 0.0), (-9.0, 0.0), (0.0, 9.0), (0.0, -9.0)];
            around.map(|(dx, dy)| self.glandular(x + dx, y + dy)).iter().sum::<f32>()
        };
        places.into_iter().min_by(|a, b| dense(*a).total_cmp(&dense(*b))).unwrap_or(self.gland.centre)
    }

    /// A place for a lesion: `margin_mm` under the skin, off the muscle and off the chest wall's edge.
    pub fn place(&self, random: &mut Random, width_mm: f32, height_mm: f32, margin_mm: f32) -> (f32, f32) {
        let mut best = (f32::MIN, self.gland.centre);
        for _ in 0..200 {
            let (x, y) = (random.uniform(margin_mm.min(12.0), width_mm), random.uniform(0.0, height_mm));
            let muscle = self.pectoral.map_or(f32::MIN, |p| p.inside(x, y));
            let room = (self.depth.at(x, y) - margin_mm).min(-muscle - 0.5 * margin_mm);
            if room >= 0.0 {
                return (x, y);
            }
            if room > best.0 {
                best = (room, (x, y));
            }
        }
        best.1
    }
}

type Outline = Vec<(f32, f32)>;

/// The skin line from top to bottom, the nipple, and the muscle.
fn outline(random: &mut Random, view: View, width_mm: f32, height_mm: f32) -> (Outline, (f32, f32), Option<Pectoral>) {
    let reach = random.uniform(58.0, 108.0).min(0.8 * width_mm);
    let roundness = random.uniform(1.9, 2.5);
    let flatness = random.uniform(1.7, 2.2);
    // Superellipse, 1 at the nipple's height and 0 at |t| = 1.
    let arc = move |t: f32| (1.0 - t.abs().min(1.0).powf(roundness)).powf(1.0 / flatness);
    let wobble = (random.uniform(0.5, 1.5), random.uniform(0.0, std::f32::consts::TAU));
    let sway = move |y: f32| wobble.0 * (y / 19.0 + wobble.1).sin();

    let (nipple_y, above, below, top_x, pectoral) = match view {
        View::Cc => {
            let y = 0.5 * height_mm + random.uniform(-10.0, 10.0);
            let room = y.min(height_mm - y) - 3.0;
            let half = (reach * random.uniform(0.85, 1.15)).min(room);
            (y, half * random.uniform(0.92, 1.0), half * random.uniform(0.92, 1.0), 0.0, None)
        }
        View::Mlo => {
            let y = height_mm * random.uniform(0.52, 0.62);
            let below = (reach * random.uniform(0.7, 0.95)).min(height_mm - y - 3.0);
            let width = random.uniform(0.35, 0.6) * reach;
            let muscle = Pectoral {
                width_mm: width,
                length_mm: y * random.uniform(0.75, 1.15),
                bulge: random.uniform(0.7, 1.05),
            };
            (y, y + 25.0, below, (width + random.uniform(8.0, 20.0)).min(0.85 * reach), Some(muscle))
        }
    };
    // Points lie denser towards both ends, where the skin runs level; the upper end of an MLO is above the picture.
    let skin = (0..=400).map(|i| {
        let s = i as f32 / 200.0 - 1.0;
        let s = (s * std::f32::consts::FRAC_PI_2).sin();
        let y = nipple_y + if s < 0.0 { s * above } else { s * below };
        let x = if s < 0.0 { top_x + (reach - top_x) * arc(s) } else { reach * arc(s) };
        (x + sway(y) * (x / 20.0).min(1.0), y)
    });
    (skin.collect(), (reach, nipple_y), pectoral)
}

/// Signed distance to the skin; the nipple is a small disc that sticks out of it.
fn depth(outline: &[(f32, f32)], nipple: (f32, f32), width_mm: f32, height_mm: f32) -> Field {
    let (top, bottom) = (outline[0].1, outline[outline.len() - 1].1);
    Field::from_fn(DEPTH_SPACING_MM, width_mm, height_mm, |x, y| {
        let nearest = outline.iter().map(|(a, b)| (x - a).powi(2) + (y - b).powi(2)).fold(f32::MAX, f32::min).sqrt();
        let inside = y > top && y < bottom && {
            let i = outline.partition_point(|p| p.1 < y).clamp(1, outline.len() - 1) - 1;
            let t = (y - outline[i].1) / (outline[i + 1].1 - outline[i].1).max(1e-6);
            x < outline[i].0 + t * (outline[i + 1].0 - outline[i].0)
        };
        let tip = 4.5 - ((x - nipple.0 + 0.8).powi(2) + (y - nipple.1).powi(2)).sqrt();
        (if inside { nearest } else { -nearest }).max(tip)
    })
}
