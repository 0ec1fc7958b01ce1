//! Images of one frame, in shades or in colour.

use ndarray::Array3;

use super::{ImageAttributes, Projection};

/// A colour image: one frame with its attributes, whatever its encoding was (RGB, YBR, a palette; PS3.3 C.7.6.3.1.2).
#[derive(Debug, Clone)]
pub struct ColourImage {
    pub attributes: ImageAttributes,
    /// Red, green, blue in 0..=255, index order (row, column, sample). Images of more than 8 bits are scaled to 8.
    pub rgb: Array3<u8>,
}

/// A 2D image as it was stored: grey keeps its stored values in up to 16 bits, colour is RGB in 8.
#[derive(Debug, Clone)]
pub enum Image {
    Grey(Projection),
    Colour(ColourImage),
}

impl Image {
    pub fn attributes(&self) -> &ImageAttributes {
        match self {
            Self::Grey(image) => &image.attributes,
            Self::Colour(image) => &image.attributes,
        }
    }

    /// The attributes alone, when the pixels have served.
    pub fn into_attributes(self) -> ImageAttributes {
        match self {
            Self::Grey(image) => image.attributes,
            Self::Colour(image) => image.attributes,
        }
    }

    /// (rows, columns)
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Self::Grey(image) => image.pixels.dim(),
            Self::Colour(image) => (image.rgb.len_of(ndarray::Axis(0)), image.rgb.len_of(ndarray::Axis(1))),
        }
    }
}
