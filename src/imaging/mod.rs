//! Images as the network's input sees them: pure data and geometry, no server, no tensor.
//!
//! Data path step 5 (read): [`read_instance`] takes the bytes of a file to a [`Projection`]: the pixels as stored, and
//! the attributes that say how to read them; [`read_image`] takes colour too, to an [`Image`]. [`read_series`] takes the files of a series to [`Volume`]s: [`read_frames`]
//! file by file, then [`stack`], which sorts and checks the slices. What looks at pixel values ([`otsu`], [`contours`]) is here too.

pub mod attributes;
pub mod bit_mask;
mod budget;
pub mod clock;
mod codestream;
mod colour;
mod colour_image;
pub mod components;
pub mod contours;
mod decode;
mod enclosure;
mod error;
mod fragments;
mod frame_times;
mod frames;
mod functional_groups;
pub mod geometry;
pub mod histogram;
mod image_frames;
pub mod morphology;
pub mod otsu;
mod palette;
mod part10;
pub(crate) mod parts;
mod picture;
pub mod pixels;
mod plane;
pub mod plausibility;
mod read;
mod read_series;
mod resample;
mod rle;
pub mod seg_object;
mod seg_planes;
mod seg_volume;
mod series_error;
pub mod skull;
mod stack;
pub mod symmetry;
mod time_points;
pub mod volume;
mod ybr;

pub use attributes::{ImageAttributes, Photometric, Rescale, VoiLutFunction, VoiWindow};
pub use budget::VoxelBudget;
pub use colour_image::{ColourImage, Image};
pub use decode::{DecodedFrame, FrameDecoder, MAX_PIXELS};
pub use error::ImagingError;
pub use frame_times::FrameTimes;
pub use frames::{MAX_VOXELS, SourceFrame, read_frame, read_frames, read_frames_within};
pub use geometry::Geometry;
pub use image_frames::{
    FramesWanted, ImageFrame, calibrated_spacing, read_image_frame, read_image_frame_within, read_image_frames,
};
pub use parts::MAX_THREADS;
pub use picture::{Picture, PictureError, PicturePixels, PlainJpeg, is_picture, read_picture};
pub use pixels::Pixels;
pub use plane::Plane;
pub use read::{read_attributes, read_header, read_image, read_image_within, read_instance, read_instance_within};
pub use read_series::read_series;
pub use resample::resample_linear;
pub use seg_object::SegObject;
pub use seg_planes::SegPlanes;
pub use seg_volume::SegVolume;
pub use series_error::{SeriesError, TimePoint};
pub use stack::{grid, stack, stack_told};
pub use volume::{SliceSource, Volume};

/// A 2D projection image (MG, CR, DX, a picture): one frame with its attributes.
#[derive(Debug, Clone)]
pub struct Projection {
    pub attributes: ImageAttributes,
    /// Stored pixel values, (row, column). MONOCHROME1 is *not* yet inverted here; `attributes.photometric` tells.
    pub pixels: Pixels,
}

impl Projection {
    /// The values after the modality LUT (PS3.3 C.11.1), (row, column).
    pub fn values(&self) -> ndarray::Array2<f32> {
        let Rescale { slope, intercept } = self.attributes.rescale;
        let value = |stored: f64| (slope * stored + intercept) as f32;
        match &self.pixels {
            Pixels::U8(a) => a.mapv(|v| value(v.into())),
            Pixels::U16(a) => a.mapv(|v| value(v.into())),
            Pixels::I16(a) => a.mapv(|v| value(v.into())),
        }
    }
}
