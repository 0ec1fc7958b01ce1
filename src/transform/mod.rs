//! The preprocessing chain of a manifest, carried out on one image or the volumes of one input (data path step 6), and the
//! postprocessing of masks.
//!
//! Values are read "brighter is denser": an image whose lowest value is white (MONOCHROME1, PS3.3 C.7.6.3.1.2) is
//! inverted before anything else looks at it, as `low + high - v` over the range that BitsStored and PixelRepresentation
//! give. A negative RescaleSlope (PS3.3 C.11.1) turns the order round once more. Beyond that, Otsu and `min_max` look at
//! stored values: neither threshold nor scaling changes under a rising linear map. No step looks at PixelPaddingValue.
//!
//! A monochrome image is gone over three times after decoding, whatever the chain's length: a histogram (minimum, maximum, Otsu),
//! the threshold (a bit mask, on which contours are followed), and the 8-bit table fused with the first resampling. Colour and
//! windows of Hounsfield units become planes, one a channel; steps on values are carried out last, on bytes by table.
//!
//! Volumes have their own chain ([`VolumeChain`]), and a way back: the postprocessing ([`postprocess`]) goes by the
//! spatial steps that were applied.

mod area;
mod chain;
mod clahe;
mod crop;
mod heat;
mod inside;
mod intensity;
mod invert;
mod invert_image;
mod lab;
mod linear;
mod postprocess;
mod region;
mod resize;
mod shades;
mod stored;
mod uint8;
mod volume;
mod windowing;

pub use area::resize_area;
pub use chain::TransformChain;
pub use clahe::clahe;
pub use crop::{PixelBox, crop_foreground};
pub use heat::heat_on_source;
pub use inside::{image_mean_inside, mean_inside};
pub use invert::{AppliedVolume, invert_mask, invert_probability};
pub use invert_image::{invert_image_mask, invert_image_probability};
pub use lab::{lab_to_rgb, rgb_to_lab};
pub use postprocess::{postprocess, postprocess_image};
pub use region::ImageRegion;
pub use resize::resize_pil_bilinear;
pub use shades::Shades;
pub use uint8::{displayed, uint8_table};
pub use volume::{PreparedVolume, VolumeChain};
pub use windowing::is_hounsfield;

use ndarray::Array3;

/// What the network takes, and how it came to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// (channel, row, column)
    pub array: Array3<f32>,
    /// The spatial steps in the order they were applied, for the way back to the source image.
    pub applied: Vec<Applied>,
}

/// A spatial step with what its inverse needs. Sizes are (rows, columns).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The box, in pixels of the source image, that was kept: of the foreground, or of a region of interest.
    CropForeground {
        source: [usize; 2],
        kept: PixelBox,
    },
    Resize {
        from: [usize; 2],
        to: [usize; 2],
    },
}

impl Prepared {
    /// Where a point of the prepared image lies in the source image. Both in (row, column), the first pixel's upper left
    /// corner at 0.0, its centre at 0.5.
    pub fn to_source(&self, point: [f64; 2]) -> [f64; 2] {
        self.applied.iter().rev().fold(point, |[row, column], step| match step {
            Applied::CropForeground { kept, .. } => [row + kept.rows.0 as f64, column + kept.columns.0 as f64],
            Applied::Resize { from, to } => {
                [row * from[0] as f64 / to[0] as f64, column * from[1] as f64 / to[1] as f64]
            }
        })
    }
}

/// Why a chain cannot be built or applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// The chain itself is at fault.
    #[error("preprocessing[{index}]: {reason}")]
    Chain { index: usize, reason: String },

    /// The image is, or the volume.
    #[error("{step}: {reason}")]
    Image { step: &'static str, reason: String },

    /// The steps after the network are.
    #[error("postprocessing[{index}]: {reason}")]
    Postprocessing { index: usize, reason: String },
}

/// A volume's size, for people.
fn counts([slices, rows, columns]: [usize; 3]) -> String {
    format!("{slices} × {rows} × {columns}")
}
