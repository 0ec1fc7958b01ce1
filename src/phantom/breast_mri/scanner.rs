//! From signal to stored values: the coil's sensitivity, the noise of a magnitude image, 12 bits.

use super::Course;
use super::shapes::Point;
use crate::phantom::random::Random;

const WHITE: f32 = 4095.0;

pub(crate) struct Scanner {
    /// Stored value of the signal 1.
    scale: f32,
    /// Standard deviation of each quadrature channel, in units of the signal.
    noise: f32,
    /// The coil hears what is near it: mm over which the sensitivity falls to 1/e.
    fall_mm: f32,
    /// (1/mm, phase) of the ripple along x and z.
    ripple: [(f32, f32); 2],
}

impl Scanner {
    pub fn new(random: &mut Random) -> Self {
        Self {
            scale: random.uniform(700.0, 1900.0),
            noise: random.uniform(0.008, 0.022),
            fall_mm: random.uniform(170.0, 300.0),
            ripple: std::array::from_fn(|_| (random.uniform(0.008, 0.02), random.uniform(0.0, std::f32::consts::TAU))),
        }
    }

    pub fn stored(&self, course: &Course, p: Point, random: &mut Random) -> [u16; super::PHASES] {
        let gain = if course[0] > 0.0 { self.gain(p) } else { 0.0 };
        // Rician: the magnitude of a complex signal with noise in both parts (Gudbjartsson and Patz 1995).
        course.map(|signal| {
            let real = gain * signal + self.noise * random.normal();
            let imaginary = self.noise * random.normal();
            (self.scale * (real * real + imaginary * imaginary).sqrt()).clamp(0.0, WHITE) as u16
        })
    }

    fn gain(&self, [x, y, z]: Point) -> f32 {
        let [(rate_x, phase_x), (rate_z, phase_z)] = self.ripple;
        (-(y + 70.0) / self.fall_mm).exp()
            * (1.0 + 0.1 * (rate_x * x + phase_x).sin() + 0.1 * (rate_z * z + phase_z).sin())
    }
}
