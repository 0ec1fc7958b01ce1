//! Pictures in a document.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

/// What a document would show, by the UIDs of what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A source image (its SOPInstanceUID, and frame from 1 in a multi-frame one) with all masks that a segmentation object has on it.
    Overlay { seg_uid: String, source_uid: String, frame: Option<u32> },
    /// A stored heat map.
    HeatMap { uid: String },
}

/// A picture as documents hold it: JPEG (baseline, YCbCr).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jpeg {
    pub width: u32,
    pub height: u32,
    pub bytes: Vec<u8>,
}

/// More pixels a side than this show nothing more on a page.
const MAX_SIDE: u32 = 900;
const QUALITY: u8 = 88;

impl Jpeg {
    /// Large pictures are made smaller.
    ///
    /// # Errors
    /// A picture without pixels, in words.
    pub fn of(picture: &RgbImage) -> Result<Self, String> {
        let (width, height) = picture.dimensions();
        let scale = f64::from(MAX_SIDE) / f64::from(width.max(height).max(1));
        let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        let smaller = (scale < 1.0).then(|| imageops::resize(picture, side(width), side(height), FilterType::Triangle));
        let picture = smaller.as_ref().unwrap_or(picture);
        let mut bytes = Cursor::new(Vec::new());
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, QUALITY)
            .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
            .map_err(|e| e.to_string())?;
        Ok(Self { width: picture.width(), height: picture.height(), bytes: bytes.into_inner() })
    }
}
