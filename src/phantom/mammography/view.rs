//! One mammogram: anatomy, lesion, side marker, noise, and the detector's stored values.

use ndarray::Array2;
use rayon::prelude::*;

use super::anatomy::Anatomy;
use super::field::Field;
use super::lesion::{Lesion, Speck};
use super::{Class, Density, Laterality, View};
use crate::phantom::noise::smoothstep;
use crate::phantom::random::Random;

/// Spacing of the default picture, that of a common flat-panel detector.
pub const FULL_SPACING_MM: f32 = 0.07;
/// (rows, columns) of the default picture.
pub const FULL_SIZE: (usize, usize) = (3328, 2560);

/// What to draw. Equal values give equal pixels, on every machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhantomView {
    pub laterality: Laterality,
    pub view: View,
    pub class: Class,
    /// Everything that varies between breasts comes from here.
    pub seed: u64,
    /// Both directions.
    pub spacing_mm: f32,
    /// (rows, columns)
    pub size: (usize, usize),
    /// 8 to 16; stored values are 0..2^bits_stored.
    pub bits_stored: u16,
    /// MONOCHROME1: the breast is dark on white.
    pub inverted: bool,
}

impl PhantomView {
    /// A full-size picture, 12 bits, MONOCHROME2.
    pub fn new(laterality: Laterality, view: View, class: Class, seed: u64) -> Self {
        Self {
            laterality,
            view,
            class,
            seed,
            spacing_mm: FULL_SPACING_MM,
            size: FULL_SIZE,
            bits_stored: 12,
            inverted: false,
        }
    }

    /// The same picture sampled `factor` times as coarsely: same breast, fewer pixels.
    #[must_use]
    pub fn coarser(self, factor: usize) -> Self {
        Self { spacing_mm: self.spacing_mm * factor as f32, size: (self.size.0 / factor, self.size.1 / factor), ..self }
    }
}

/// A drawn mammogram.
#[derive(Debug, Clone)]
pub struct Phantom {
    /// Stored values, (row, column).
    pub pixels: Array2<u16>,
    /// (row, column) of the lesion's centre in pixels, and its radius in pixels; `None` for a normal breast.
    pub lesion: Option<LesionPlace>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LesionPlace {
    pub row: f32,
    pub column: f32,
    pub radius: f32,
}

impl PhantomView {
    /// Draws the picture. About 0.2 s at full size on one core.
    pub fn render(&self) -> Phantom {
        let (rows, columns) = self.size;
        let (width_mm, height_mm) = (columns as f32 * self.spacing_mm, rows as f32 * self.spacing_mm);
        // One stream a subject, so that a change to one leaves the others as they were.
        let stream = |n: u64| Random::new(self.seed, n);
        let anatomy = {
            let mut random = stream(1);
            let density = match random.integer(0, 9) {
                0 => Density::Fatty,
                1..=4 => Density::Scattered,
                5..=8 => Density::Heterogeneous,
                _ => Density::Dense,
            };
            Anatomy::new(&mut random, self.view, density, width_mm, height_mm)
        };
        let mut random = stream(2);
        let lesion = Lesion::new(&mut random, self.class).map(|mut lesion| {
            lesion.place(&mut random, &anatomy, width_mm, height_mm);
            lesion
        });
        let mut specks = lesion.as_ref().map(|l| l.specks(&mut random)).unwrap_or_default();
        specks.extend(lone_specks(&mut stream(3), &anatomy, width_mm, height_mm));
        let tissue = anatomy.tissue(width_mm, height_mm, |x, y| lesion.as_ref().map_or(0.0, |l| l.at(x, y)));

        let exposure = Exposure::new(&mut stream(4), self);
        let mut shades = Array2::<f32>::zeros(self.size);
        lines(&mut shades).for_each(|(row, line)| {
            sample(&tissue, (row as f32 + 0.5) * self.spacing_mm, self.spacing_mm, line);
        });
        specks.iter().for_each(|speck| speck.add(&mut shades, self.spacing_mm));
        Marker::new(&mut stream(5), self, width_mm).draw(&mut shades, self.spacing_mm);

        let mut pixels = Array2::<u16>::zeros(self.size);
        let mirror = self.laterality == Laterality::Right;
        lines(&mut pixels).for_each(|(row, line)| {
            // A stream a line: the noise does not depend on how many threads draw.
            let mut random = Random::new(self.seed, 1000 + row as u64);
            line.iter_mut()
                .zip(shades.row(row))
                .for_each(|(pixel, shade)| *pixel = exposure.stored(*shade, &mut random));
            if mirror {
                line.reverse();
            }
        });
        let lesion = lesion.map(|l| {
            let column = l.centre.0 / self.spacing_mm;
            LesionPlace {
                row: l.centre.1 / self.spacing_mm,
                column: if self.laterality == Laterality::Right { columns as f32 - column } else { column },
                radius: l.radius_mm / self.spacing_mm,
            }
        });
        Phantom { pixels, lesion }
    }
}

/// The lines of a fresh (hence contiguous) array, in parallel.
fn lines<T: Send>(array: &mut Array2<T>) -> impl IndexedParallelIterator<Item = (usize, &mut [T])> {
    let columns = array.ncols().max(1);
    array.as_slice_mut().unwrap_or_default().par_chunks_mut(columns).enumerate()
}

/// Reads one line of pixels (chest wall first) at the height `y`.
fn sample(tissue: &Field, y: f32, spacing_mm: f32, line: &mut [f32]) {
    let nodes = tissue.line(y);
    let scale = spacing_mm / tissue.spacing_mm();
    for (column, value) in line.iter_mut().enumerate() {
        let p = (column as f32 + 0.5) * scale;
        let i = (p as usize).min(nodes.len() - 2);
        *value = nodes[i] + (p - i as f32) * (nodes[i + 1] - nodes[i]);
    }
}

/// A single calcification or two, far from a cluster: any breast may have them, so one bright spot means nothing.
fn lone_specks(random: &mut Random, anatomy: &Anatomy, width_mm: f32, height_mm: f32) -> Vec<Speck> {
    let count = if random.chance(0.3) { random.integer(1, 2) } else { 0 };
    (0..count)
        .map(|_| {
            let (x, y) = anatomy.place(random, width_mm, height_mm, 8.0);
            Speck { x, y, diameter_mm: random.uniform(0.6, 1.6), brightness: random.uniform(0.3, 0.6) }
        })
        .collect()
}

impl Speck {
    /// Adds the spot, integrated over the pixels' area: widths add in quadrature, brightness is kept.
    fn add(&self, shades: &mut Array2<f32>, spacing_mm: f32) {
        let own = (self.diameter_mm / 2.355).powi(2);
        let aperture = spacing_mm * spacing_mm / 12.0;
        let variance = own + aperture;
        let peak = self.brightness * own / variance;
        let reach = 3.5 * variance.sqrt();
        let range = |centre: f32, count: usize| {
            let first = ((centre - reach) / spacing_mm).floor().max(0.0) as usize;
            first..((((centre + reach) / spacing_mm).ceil().max(0.0)) as usize).min(count)
        };
        let (rows, columns) = shades.dim();
        for row in range(self.y, rows) {
            for column in range(self.x, columns) {
                let dx = (column as f32 + 0.5) * spacing_mm - self.x;
                let dy = (row as f32 + 0.5) * spacing_mm - self.y;
                shades[[row, column]] += peak * (-(dx * dx + dy * dy) / (2.0 * variance)).exp();
            }
        }
    }
}

/// From shades to stored values: tone, offset, noise, bit depth, polarity.
struct Exposure {
    gain: f32,
    offset: f32,
    gamma: f32,
    noise: f32,
    white: f32,
    inverted: bool,
}

impl Exposure {
    fn new(random: &mut Random, view: &PhantomView) -> Self {
        // Quantum noise counts photons: with the pixel's area its variance falls.
        let noise = random.uniform(0.008, 0.03) * FULL_SPACING_MM / view.spacing_mm;
        Self {
            gain: random.uniform(0.7, 0.95),
            offset: random.uniform(0.0, 0.04),
            gamma: random.uniform(0.85, 1.25),
            noise,
            white: f32::from(((1u32 << view.bits_stored.clamp(8, 16)) - 1) as u16),
            inverted: view.inverted,
        }
    }

    fn stored(&self, shade: f32, random: &mut Random) -> u16 {
        // A soft shoulder in place of a hard clip, as detectors' presentation curves have.
        let toned = if shade > 0.0 { (1.0 - (-1.6 * shade).exp()).powf(self.gamma) * 1.12 } else { 0.0 };
        let noise = self.noise * random.normal() * (0.2 + smoothstep(0.0, 0.3, shade));
        let value = (self.offset + self.gain * toned + noise).clamp(0.0, 1.0);
        let value = if self.inverted { 1.0 - value } else { value };
        (value * self.white + 0.5) as u16
    }
}

/// The lead letters beside the breast: side and view.
struct Marker {
    text: Vec<char>,
    x: f32,
    y: f32,
    dot_mm: f32,
    brightness: f32,
    mirror: bool,
}

impl Marker {
    fn new(random: &mut Random, view: &PhantomView, width_mm: f32) -> Self {
        let side = view.laterality.code();
        let text = match random.integer(0, 2) {
            0 => String::new(),
            1 => side.to_string(),
            _ => format!("{side}{}", view.view.code()),
        };
        let dot_mm = random.uniform(0.9, 1.4);
        let length = text.len() as f32 * 6.0 * dot_mm;
        Self {
            text: text.chars().collect(),
            x: width_mm - length - random.uniform(4.0, 14.0),
            y: random.uniform(6.0, 22.0),
            dot_mm,
            brightness: random.uniform(0.4, 1.1),
            mirror: view.laterality == Laterality::Right,
        }
    }

    /// Lines of five dots, the leftmost in bit 4.
    fn glyph(letter: char) -> [u8; 7] {
        match letter {
            'L' => [16, 16, 16, 16, 16, 16, 31],
            'R' => [30, 17, 17, 30, 20, 18, 17],
            'C' => [14, 17, 16, 16, 16, 17, 14],
            'M' => [17, 27, 21, 21, 17, 17, 17],
            'O' => [14, 17, 17, 17, 17, 17, 14],
            _ => [0; 7],
        }
    }

    fn draw(&self, shades: &mut Array2<f32>, spacing_mm: f32) {
        let (rows, columns) = shades.dim();
        let (length, height) = (self.text.len() as f32 * 6.0 * self.dot_mm, 7.0 * self.dot_mm);
        let range = |from: f32, to: f32, count: usize| {
            let index = |mm: f32| ((mm / spacing_mm).max(0.0) as usize).min(count);
            index(from)..index(to)
        };
        for row in range(self.y, self.y + height, rows) {
            for column in range(self.x, self.x + length, columns) {
                let x = (column as f32 + 0.5) * spacing_mm - self.x;
                // The picture is mirrored afterwards, the letters must not be.
                let x = if self.mirror { length - x } else { x } / self.dot_mm;
                let y = ((row as f32 + 0.5) * spacing_mm - self.y) / self.dot_mm;
                let (cell, dot) = ((x / 6.0).max(0.0) as usize, (x.max(0.0) % 6.0) as usize);
                let lines = self.text.get(cell).map_or([0; 7], |c| Self::glyph(*c));
                if dot < 5 && lines[(y.max(0.0) as usize).min(6)] >> (4 - dot) & 1 == 1 {
                    shades[[row, column]] = self.brightness;
                }
            }
        }
    }
}
