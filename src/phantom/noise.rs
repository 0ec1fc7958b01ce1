//! Textures in millimetre coordinates: gradient noise and its sums over octaves.

use super::random::mix;

/// Gradient noise (Perlin 2002) in -1..=1, of wavelength 1, zero at every integer point.
pub(crate) fn gradient(x: f32, y: f32, seed: u64) -> f32 {
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let (ix, iy) = (x0 as i64, y0 as i64);
    let dot = |dx: i64, dy: i64| {
        let hash = mix(seed
            ^ ((ix + dx) as u64).wrapping_mul(0x8da6_b343)
            ^ ((iy + dy) as u64).wrapping_mul(0xd816_3841_0000));
        // Eight directions of unit length are enough: no eye finds them in a sum of octaves.
        const D: f32 = std::f32::consts::FRAC_1_SQRT_2;
        const DIRECTIONS: [(f32, f32); 8] =
            [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (D, D), (-D, D), (D, -D), (-D, -D)];
        let (gx, gy) = DIRECTIONS[(hash >> 61) as usize];
        gx * (fx - dx as f32) + gy * (fy - dy as f32)
    };
    let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (fade(fx), fade(fy));
    let top = dot(0, 0) * (1.0 - u) + dot(1, 0) * u;
    let bottom = dot(0, 1) * (1.0 - u) + dot(1, 1) * u;
    (top * (1.0 - v) + bottom * v) * std::f32::consts::SQRT_2
}

/// Gradient noise in space, in -1..=1, of wavelength 1, zero at every integer point.
pub(crate) fn gradient3(p: [f32; 3], seed: u64) -> f32 {
    let cell = p.map(f32::floor);
    let f: [f32; 3] = std::array::from_fn(|i| p[i] - cell[i]);
    let [ix, iy, iz] = cell.map(|c| c as i64);
    let dot = |dx: i64, dy: i64, dz: i64| {
        let hash = mix(seed
            ^ ((ix + dx) as u64).wrapping_mul(0x8da6_b343)
            ^ ((iy + dy) as u64).wrapping_mul(0xd816_3841_0000)
            ^ ((iz + dz) as u64).wrapping_mul(0xcb1a_b31f_0000_0000));
        let (x, y, z) = (f[0] - dx as f32, f[1] - dy as f32, f[2] - dz as f32);
        // Perlin's twelve directions to the edges of a cube, four of them twice.
        let (a, b) = match hash >> 60 {
            0..=3 => (x, y),
            4..=7 => (x, z),
            8..=11 => (y, z),
            12 | 13 => (x, y),
            _ => (y, z),
        };
        let (sign_a, sign_b) = (hash & 1, hash >> 1 & 1);
        (if sign_a == 0 { a } else { -a }) + (if sign_b == 0 { b } else { -b })
    };
    let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let [u, v, w] = f.map(fade);
    let blend = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let plane = |dz| blend(blend(dot(0, 0, dz), dot(1, 0, dz), u), blend(dot(0, 1, dz), dot(1, 1, dz), u), v);
    blend(plane(0), plane(1), w)
}

/// Sum of octaves: the first has the wavelength `wavelength_mm`, each next one half of it and `gain` times its amplitude.
/// Breast tissue has a power spectrum near f^-3 (Burgess 1999), which is a gain near 0.7.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fractal {
    pub wavelength_mm: f32,
    pub octaves: u32,
    pub gain: f32,
    pub seed: u64,
}

impl Fractal {
    /// About -1..=1.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        // Each octave's lattice is turned, so that their axes do not add up to visible streaks.
        const TURN: (f32, f32) = (0.8, 0.6);
        let (mut px, mut py) = (x / self.wavelength_mm, y / self.wavelength_mm);
        let (mut sum, mut amplitude, mut energy) = (0.0, 1.0, 0.0);
        for octave in 0..self.octaves {
            sum += amplitude * gradient(px, py, self.seed.wrapping_add(u64::from(octave)));
            energy += amplitude * amplitude;
            amplitude *= self.gain;
            (px, py) = (2.0 * (TURN.0 * px - TURN.1 * py), 2.0 * (TURN.1 * px + TURN.0 * py));
        }
        sum / energy.sqrt()
    }

    /// The same in space.
    pub fn at3(&self, p: [f32; 3]) -> f32 {
        let mut p = p.map(|v| v / self.wavelength_mm);
        let (mut sum, mut amplitude, mut energy) = (0.0, 1.0, 0.0);
        for octave in 0..self.octaves {
            sum += amplitude * gradient3(p, self.seed.wrapping_add(u64::from(octave)));
            energy += amplitude * amplitude;
            amplitude *= self.gain;
            // Turned, as above: an orthogonal matrix of thirds keeps lengths.
            const T: f32 = 2.0 / 3.0;
            let [x, y, z] = p;
            p = [T * (2.0 * x - y + 2.0 * z), T * (2.0 * x + 2.0 * y - z), T * (2.0 * y + 2.0 * z - x)];
        }
        sum / energy.sqrt()
    }
}

/// 0 at `low` and before, 1 at `high` and after, smooth between.
pub(crate) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradient_noise_is_bounded_smooth_and_zero_on_the_lattice() {
        for i in 0..2000 {
            let (x, y) = (i as f32 * 0.137 - 90.0, i as f32 * 0.071);
            let value = gradient(x, y, 3);
            assert!(value.abs() <= 1.001, "{value} at ({x}, {y})");
            assert!((gradient(x + 1e-3, y, 3) - value).abs() < 0.02);
            assert!(gradient(x.floor(), y.floor(), 3).abs() < 1e-6);
        }
    }

    #[test]
    fn gradient_noise_in_space_is_bounded_smooth_and_zero_on_the_lattice() {
        let mut largest = 0.0f32;
        for i in 0..4000 {
            let p = [i as f32 * 0.137 - 90.0, i as f32 * 0.071, 40.0 - i as f32 * 0.113];
            let value = gradient3(p, 3);
            largest = largest.max(value.abs());
            assert!((gradient3([p[0], p[1] + 1e-3, p[2]], 3) - value).abs() < 0.02);
            assert!(gradient3(p.map(f32::floor), 3).abs() < 1e-6);
        }
        assert!((0.6..1.1).contains(&largest), "{largest}");
    }
}
