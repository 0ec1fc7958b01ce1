//! Synthetic dermoscopy: colour pictures of skin with one lesion, of seven kinds, and where it is.

mod clutter;
pub mod dicom;
mod lesion;
mod looks;
mod outline;
mod skin;

use image::RgbImage;
use ndarray::Array2;

use super::PhantomError;
use super::random::Random;
use clutter::Clutter;
use lesion::Lesion;
use skin::Skin;

pub use dicom::{DermoscopyInstance, DermoscopySopClass};

/// Red, green and blue, 0 to 255.
pub(crate) type Colour = [f32; 3];

/// mm from the picture's middle, x to the right and y down.
pub(crate) type Place = [f32; 2];

/// The seven kinds of HAM10000 (Tschandl et al. 2018, Sci. Data 5:180161), by its abbreviations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkinLesion {
    /// nv: round, regular, one colour.
    Naevus,
    /// bkl: sharply bounded, with milia-like cysts and comedo-like openings.
    BenignKeratosis,
    /// df: a white scar in a faint brown ring.
    Dermatofibroma,
    /// vasc: red and purple lacunes.
    Vascular,
    /// mel: asymmetric, irregular border, several colours, streaks, blue-white veil.
    Melanoma,
    /// bcc: pearly, branching vessels, blue-grey nests.
    BasalCellCarcinoma,
    /// akiec: a scaly red patch without a border.
    ActinicKeratosis,
}

impl SkinLesion {
    pub const ALL: [Self; 7] = [
        Self::Naevus,
        Self::BenignKeratosis,
        Self::Dermatofibroma,
        Self::Vascular,
        Self::Melanoma,
        Self::BasalCellCarcinoma,
        Self::ActinicKeratosis,
    ];

    /// HAM10000's abbreviation.
    pub fn abbreviation(self) -> &'static str {
        match self {
            Self::Naevus => "nv",
            Self::BenignKeratosis => "bkl",
            Self::Dermatofibroma => "df",
            Self::Vascular => "vasc",
            Self::Melanoma => "mel",
            Self::BasalCellCarcinoma => "bcc",
            Self::ActinicKeratosis => "akiec",
        }
    }

    pub fn from_abbreviation(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.abbreviation().eq_ignore_ascii_case(name))
    }

    pub fn is_malignant(self) -> bool {
        matches!(self, Self::Melanoma | Self::BasalCellCarcinoma | Self::ActinicKeratosis)
    }
}

/// Width of what a picture shows, mm, whatever its size in pixels.
const FIELD_MM: f32 = 20.0;

/// What to draw. Equal values give equal pixels; skin and lesion are the seed's, whatever the size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DermoscopyPhantom {
    /// Everything that varies between pictures comes from here.
    pub seed: u64,
    pub lesion: SkinLesion,
    /// (rows, columns)
    pub size: (usize, usize),
}

impl Default for DermoscopyPhantom {
    fn default() -> Self {
        Self { seed: 1, lesion: SkinLesion::Naevus, size: (450, 600) }
    }
}

/// A drawn picture.
#[derive(Debug, Clone)]
pub struct Dermoscopy {
    pub pixels: RgbImage,
    /// 1 in the lesion, (row, column).
    pub truth: Array2<u8>,
}

impl DermoscopyPhantom {
    /// Draws the picture.
    ///
    /// # Errors
    /// [`PhantomError::Option`] for a size that no picture has.
    pub fn render(&self) -> Result<Dermoscopy, PhantomError> {
        let (rows, columns) = self.size;
        let sides = 48..=2048;
        if !sides.contains(&rows) || !sides.contains(&columns) || rows > 2 * columns || columns > 2 * rows {
            let expected = "48 to 2048 rows and columns, neither more than twice the other";
            return Err(PhantomError::Option { key: "size", found: format!("{rows}x{columns}"), expected });
        }
        // One stream a subject, so that a change to one leaves the others as they were.
        let stream = |n: u64| Random::new(self.seed, n);
        let spacing = FIELD_MM / columns as f32;
        let field = [FIELD_MM, rows as f32 * spacing];
        let skin = Skin::new(&mut stream(1));
        let lesion = Lesion::new(self.lesion, &mut stream(2), &skin, field);
        let clutter = Clutter::new(&mut stream(3), field);
        let covered = clutter.coverage(self.size, spacing);
        let mut noise = stream(4);
        let grain = noise.uniform(1.0, 4.0);

        let mut truth = Array2::zeros(self.size);
        let mut pixels = RgbImage::new(columns as u32, rows as u32);
        for row in 0..rows {
            for column in 0..columns {
                let place = [column as f32, row as f32];
                let p: Place = std::array::from_fn(|i| (place[i] + 0.5) * spacing - 0.5 * field[i]);
                let mut colour = skin.colour(p);
                let inside = lesion.paint(&mut colour, p);
                truth[[row, column]] = u8::from(inside);
                clutter.paint(&mut colour, f32::from(covered[[row, column]]) / 255.0, p);
                let light = skin.light(p);
                // What noise the sensor has is mostly in brightness.
                let common = grain * noise.normal();
                let value = colour.map(|v| (v * light + common + 0.4 * grain * noise.normal()).clamp(0.0, 255.0) as u8);
                pixels.put_pixel(column as u32, row as u32, image::Rgb(value));
            }
        }
        Ok(Dermoscopy { pixels, truth })
    }
}

/// `colour` becomes `other` by the share `t`.
pub(crate) fn mix(colour: &mut Colour, other: &Colour, t: f32) {
    colour.iter_mut().zip(other).for_each(|(c, o)| *c += (o - *c) * t);
}

#[cfg(test)]
mod tests;
