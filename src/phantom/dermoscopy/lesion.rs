//! A lesion's colours: a base, patches of others, a network, dots, lines, streaks at the border.

use super::looks::look;
use super::outline::Outline;
use super::skin::Skin;
use super::{Colour, Place, SkinLesion, mix};
use crate::phantom::noise::{Fractal, gradient, smoothstep};
use crate::phantom::random::Random;

pub(crate) struct Lesion {
    pub outline: Outline,
    pub look: Look,
}

/// In units of the lesion's radius where nothing else is said.
pub(crate) struct Look {
    pub base: Colour,
    /// Half the width of the border's fall to skin.
    pub softness: f32,
    /// How much skin shows through.
    pub cover: f32,
    /// Darker towards the middle by this share.
    pub middle: f32,
    pub mottle: (f32, Fractal),
    pub patches: Vec<Patch>,
    /// Mesh in mm, contrast, and unevenness of the contrast over the lesion.
    pub network: Option<Network>,
    pub dots: Vec<Dot>,
    pub vessels: Vec<Vessel>,
    /// Radial streaks at the border: number, strength, phase.
    pub streaks: Option<(f32, f32, f32)>,
}

pub(crate) struct Patch {
    pub at: Place,
    pub reach: f32,
    pub colour: Colour,
    pub amount: f32,
    pub seed: u64,
}

pub(crate) struct Network {
    pub mesh_mm: f32,
    pub contrast: f32,
    pub uneven: f32,
    pub seed: u64,
}

pub(crate) struct Dot {
    pub at: Place,
    pub radius: f32,
    pub colour: Colour,
    pub amount: f32,
}

/// A curved line from a to b, bent by `bow`, in its width.
pub(crate) struct Vessel {
    pub points: Vec<Place>,
    pub half_width: f32,
    pub colour: Colour,
}

impl Lesion {
    pub fn new(kind: SkinLesion, random: &mut Random, skin: &Skin, field: Place) -> Self {
        let (border, radius, look) = look(kind, random, skin);
        Self { outline: Outline::new(&border, radius, random, field), look }
    }

    /// Paints the lesion's share of a point; whether the point is in it.
    pub fn paint(&self, colour: &mut Colour, p: Place) -> bool {
        let own = self.outline.own(p);
        if own[0].hypot(own[1]) > 2.4 {
            return false;
        }
        let level = self.outline.level(own);
        let l = &self.look;
        let edge = smoothstep(1.0 + l.softness, 1.0 - l.softness, level);
        let streak = l.streaks.map_or(0.0, |streaks| streak(streaks, own, level));
        if edge <= 0.0 && streak <= 0.0 {
            return false;
        }
        let mut own_colour = l.base.map(|v| v * (1.0 - l.middle * smoothstep(1.0, 0.1, level)));
        for patch in &l.patches {
            let off = (own[0] - patch.at[0]).hypot(own[1] - patch.at[1]) / patch.reach;
            let frayed = off + 0.35 * gradient(2.5 * own[0], 2.5 * own[1], patch.seed);
            mix(&mut own_colour, &patch.colour, patch.amount * smoothstep(1.15, 0.75, frayed));
        }
        let mottled = 1.0 + l.mottle.0 * l.mottle.1.at(p[0], p[1]);
        own_colour.iter_mut().for_each(|v| *v *= mottled);
        if let Some(network) = &l.network {
            let line = 1.0 - 5.0 * gradient(p[0] / network.mesh_mm, p[1] / network.mesh_mm, network.seed).abs();
            let here = 1.0 + network.uneven * gradient(1.3 * own[0] + 0.3, 1.3 * own[1] + 0.3, network.seed ^ 1) * 2.0;
            let strength = network.contrast * here.max(0.0) * line.max(0.0);
            own_colour.iter_mut().for_each(|v| *v *= 1.0 - strength.min(0.8));
        }
        for dot in &l.dots {
            let off = (own[0] - dot.at[0]).hypot(own[1] - dot.at[1]) / dot.radius;
            if off < 1.4 {
                mix(&mut own_colour, &dot.colour, dot.amount * smoothstep(1.3, 0.7, off));
            }
        }
        for vessel in &l.vessels {
            let distance = vessel.points.windows(2).map(|w| to_segment(own, w[0], w[1])).fold(f32::MAX, f32::min);
            mix(
                &mut own_colour,
                &vessel.colour,
                0.8 * smoothstep(1.5 * vessel.half_width, 0.5 * vessel.half_width, distance),
            );
        }
        mix(colour, &own_colour, l.cover * edge.max(streak));
        level <= 1.0
    }
}

/// Dark rays that leave the border for a third of the radius.
fn streak((number, strength, phase): (f32, f32, f32), own: Place, level: f32) -> f32 {
    let angle = own[1].atan2(own[0]);
    let ray = (number * angle + phase).cos();
    // On some part of the border only.
    let part = smoothstep(-0.2, 0.5, (angle + 1.7 * phase).cos());
    strength * part * smoothstep(0.35, 0.85, ray) * smoothstep(1.38, 1.0, level) * smoothstep(0.7, 0.95, level)
}

/// Distance of a point to a segment.
pub(super) fn to_segment(p: Place, a: Place, b: Place) -> f32 {
    let (ab, ap) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let t = (ap[0] * ab[0] + ap[1] * ab[1]) / (ab[0] * ab[0] + ab[1] * ab[1]).max(1e-9);
    let t = t.clamp(0.0, 1.0);
    (ap[0] - t * ab[0]).hypot(ap[1] - t * ab[1])
}
