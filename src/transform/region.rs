//! The region of an image that a chain looks at.

use ndarray::Array2;

use super::PixelBox;

/// What of an image goes through the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRegion {
    /// In pixels of the source image.
    pub kept: PixelBox,
    /// Of the whole image, (row, column), 1 inside: bytes outside become 0. None: all pixels of the box stay.
    pub mask: Option<Array2<u8>>,
}
