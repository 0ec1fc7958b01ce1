//! The lesion's border: an ellipse with waves on it.

use super::Place;
use crate::phantom::noise::gradient;
use crate::phantom::random::Random;

pub(crate) struct Outline {
    pub centre: Place,
    pub radius: f32,
    /// Short axis to long axis, and the long axis's direction.
    ratio: f32,
    turn: (f32, f32),
    /// (waves around, amplitude, phase)
    waves: Vec<(f32, f32, f32)>,
    /// Amplitude of the noise on the border, and its seed.
    rough: (f32, u64),
}

/// How irregular a border is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Border {
    pub ratio: (f32, f32),
    /// Amplitude of the waves altogether.
    pub waves: (f32, f32),
    pub rough: (f32, f32),
}

impl Outline {
    pub fn new(border: &Border, radius: (f32, f32), random: &mut Random, field: Place) -> Self {
        let radius = random.uniform(radius.0, radius.1);
        let amplitude = random.uniform(border.waves.0, border.waves.1);
        let waves = [2.0f32, 3.0, 4.0, 5.0, 7.0].map(|n| {
            (n, amplitude * random.uniform(0.3, 1.0) * (2.0 / n).sqrt(), random.uniform(0.0, std::f32::consts::TAU))
        });
        let room = field.map(|side| (0.5 * side - 1.1 * radius).clamp(0.0, 2.0));
        let angle: f32 = random.uniform(0.0, std::f32::consts::PI);
        Self {
            centre: room.map(|r| random.uniform(-r - 1e-3, r)),
            radius,
            ratio: random.uniform(border.ratio.0, border.ratio.1),
            turn: angle.sin_cos(),
            waves: waves.to_vec(),
            rough: (random.uniform(border.rough.0, border.rough.1), random.next_u64()),
        }
    }

    /// A point in units of the radius, along the axes.
    pub fn own(&self, p: Place) -> Place {
        let (x, y) = ((p[0] - self.centre[0]) / self.radius, (p[1] - self.centre[1]) / self.radius);
        let (sin, cos) = self.turn;
        [cos * x + sin * y, (cos * y - sin * x) / self.ratio]
    }

    /// 0 in the middle, 1 on the border.
    pub fn level(&self, own: Place) -> f32 {
        let r = own[0].hypot(own[1]);
        if r < 1e-3 {
            return 0.0;
        }
        let angle = own[1].atan2(own[0]);
        let wave: f32 = self.waves.iter().map(|(n, a, phase)| a * (n * angle + phase).cos()).sum();
        let (amount, seed) = self.rough;
        let rough = amount * gradient(4.0 * own[0] / r + 0.5, 4.0 * own[1] / r + 0.5, seed);
        r / (1.0 + wave + rough).max(0.3)
    }
}
