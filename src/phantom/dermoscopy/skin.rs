//! Skin without a lesion, and the light that falls on it.

use super::{Colour, FIELD_MM, Place, mix};
use crate::phantom::noise::{Fractal, gradient, smoothstep};
use crate::phantom::random::Random;

const LIGHT_SKIN: Colour = [226.0, 182.0, 165.0];
const DARK_SKIN: Colour = [150.0, 104.0, 78.0];
const BLOOD: Colour = [196.0, 110.0, 104.0];

pub(crate) struct Skin {
    pub base: Colour,
    flush: Fractal,
    flush_amount: f32,
    furrows: (f32, u64),
    /// Loss of light at the corners.
    vignette: f32,
    centre: Place,
    /// Radius of the dermoscope's round field, where the picture shows its edge.
    round_mm: Option<f32>,
}

impl Skin {
    pub fn new(random: &mut Random) -> Self {
        let melanin = random.uniform(0.0, 1.0).powi(2);
        let mut base = LIGHT_SKIN;
        mix(&mut base, &DARK_SKIN, melanin);
        mix(&mut base, &BLOOD, random.uniform(0.0, 0.25));
        // White balance.
        base.iter_mut().for_each(|v| *v *= random.uniform(0.94, 1.04));
        Self {
            base,
            flush: Fractal { wavelength_mm: random.uniform(4.0, 8.0), octaves: 3, gain: 0.6, seed: random.next_u64() },
            flush_amount: random.uniform(0.02, 0.10),
            furrows: (random.uniform(1.0, 5.0), random.next_u64()),
            vignette: random.uniform(0.05, 0.35),
            centre: [random.uniform(-1.0, 1.0), random.uniform(-1.0, 1.0)],
            round_mm: random.chance(0.25).then(|| random.uniform(9.0, 11.0)),
        }
    }

    pub fn colour(&self, p: Place) -> Colour {
        let mut colour = self.base;
        mix(&mut colour, &BLOOD, (0.1 + self.flush.at(p[0], p[1])).max(0.0) * 2.0 * self.flush_amount);
        let (amount, seed) = self.furrows;
        let furrow = 1.0 - 6.0 * gradient(p[0] / 0.9, p[1] / 0.7, seed).abs();
        colour.map(|v| v - amount * furrow.max(0.0))
    }

    /// Factor of the brightness; 0.05 outside the round field.
    pub fn light(&self, p: Place) -> f32 {
        let r = (p[0] - self.centre[0]).hypot(p[1] - self.centre[1]);
        let fall = 1.0 - self.vignette * (2.0 * r / FIELD_MM).powi(2);
        let frame = self.round_mm.map_or(1.0, |edge| smoothstep(edge + 0.25, edge - 0.1, r));
        fall.max(0.3) * (0.05 + 0.95 * frame)
    }
}
