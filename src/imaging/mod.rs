//! Images as the network's input sees them: pure data and geometry, no server, no tensor.
//!
//! Data path step 5 (read): [`SourceImage`] is what `read_instance` gives, with everything later steps need
//! (pixels, how to read them, identity of the instance for the result objects).

pub mod attributes;
pub mod pixels;

pub use attributes::ImageAttributes;
pub use pixels::Pixels;

/// A 2D projection image (MG, CR, DX, a picture): one frame with its attributes.
#[derive(Debug, Clone)]
pub struct Projection {
    pub attributes: ImageAttributes,
    /// Stored pixel values, (row, column). MONOCHROME1 is *not* yet inverted here; `attributes.photometric` tells.
    pub pixels: Pixels,
}
