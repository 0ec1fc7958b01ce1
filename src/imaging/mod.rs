//! Images as the network's input sees them: pure data and geometry, no server, no tensor.
//!
//! Data path step 5 (read): [`read_instance`] takes the bytes of a file to a [`Projection`]: the pixels as stored, and
//! the attributes that say how to read them. What looks at pixel values ([`otsu`], [`contours`]) is here too.

pub mod attributes;
pub mod bit_mask;
mod codestream;
pub mod contours;
mod decode;
mod error;
pub mod histogram;
pub mod otsu;
mod part10;
pub mod pixels;
mod read;
mod rle;

pub use attributes::{ImageAttributes, Photometric, Rescale, VoiLutFunction, VoiWindow};
pub use decode::{DecodedFrame, FrameDecoder, MAX_PIXELS};
pub use error::ImagingError;
pub use pixels::Pixels;
pub use read::{read_attributes, read_header, read_instance};

/// A 2D projection image (MG, CR, DX, a picture): one frame with its attributes.
#[derive(Debug, Clone)]
pub struct Projection {
    pub attributes: ImageAttributes,
    /// Stored pixel values, (row, column). MONOCHROME1 is *not* yet inverted here; `attributes.photometric` tells.
    pub pixels: Pixels,
}

/// Threads that one image may use. Two are enough to reach memory speed, and a server has other work to do.
pub const MAX_THREADS: usize = 2;

/// Splits rows into equal parts, one a thread. Work on less than a million pixels is not worth a thread.
pub(crate) fn row_parts(rows: usize, pixels: usize) -> Vec<std::ops::Range<usize>> {
    let threads = if pixels < 1 << 20 { 1 } else { MAX_THREADS };
    let step = rows.div_ceil(threads).max(1);
    (0..rows).step_by(step).map(|start| start..rows.min(start + step)).collect()
}
