//! Masks over images, as pictures.

use std::io::Cursor;

use image::{DynamicImage, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

use crate::imaging::{self, FrameDecoder, Image, ImagingError, SegObject};
use crate::transform::displayed;

/// Where a segment has no RecommendedDisplayCIELabValue: red.
const DEFAULT_COLOR: [u8; 3] = [211, 47, 47];

/// How masks are laid on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ink {
    /// 0..=1
    pub opacity: f32,
    /// Mixed with what is there; else it stands alone, on whatever ground.
    pub over_source: bool,
}

/// An image as a screen shows it: grey through its window, colour as it is. `frame` from 1, of a multi-frame image.
///
/// # Errors
/// [`ImagingError`]
pub fn shown(dicom: &[u8], frame: Option<u32>, decoder: Option<&dyn FrameDecoder>) -> Result<RgbImage, ImagingError> {
    if !imaging::read_attributes(dicom)?.photometric.is_monochrome() {
        let Image::Colour(image) = imaging::read_image(dicom, decoder)? else {
            return Err(ImagingError::invalid("PhotometricInterpretation", "a shade", "a colour"));
        };
        let (rows, columns, _) = image.rgb.dim();
        let pixel = |x: u32, y: u32| Rgb([0, 1, 2].map(|c| image.rgb[[y as usize, x as usize, c]]));
        return Ok(RgbImage::from_fn(columns as u32, rows as u32, pixel));
    }
    // Also of images that do not say where they lie in the patient.
    let source = imaging::read_image_frame(dicom, frame, decoder)?;
    let bytes = displayed(&source.values(), &source.attributes);
    let (rows, columns) = bytes.dim();
    Ok(RgbImage::from_fn(columns as u32, rows as u32, |x, y| Rgb([bytes[[y as usize, x as usize]]; 3])))
}

/// Lays the masks of a frame (from 0) on a picture of the segmentation's size; false where there is no such frame.
pub fn draw_mask(seg: &SegObject, frame: usize, ink: Ink, picture: &mut RgbaImage) -> bool {
    let Some(mask) = seg.mask(frame) else { return false };
    for ((row, column), number) in mask.indexed_iter().filter(|(_, n)| **n != 0) {
        let color = color_of(seg, u16::from(*number));
        let Some(pixel) = picture.get_pixel_mut_checked(column as u32, row as u32) else { continue };
        if ink.over_source {
            for (channel, ours) in pixel.0.iter_mut().zip(color) {
                *channel = (f32::from(*channel) * (1.0 - ink.opacity) + f32::from(ours) * ink.opacity) as u8;
            }
        } else {
            *pixel = Rgba([color[0], color[1], color[2], (ink.opacity * 255.0) as u8]);
        }
    }
    true
}

/// A source image with all masks that lie on it; None where it has another size than they.
pub fn overlay(
    seg: &SegObject,
    source_uid: &str,
    frame: Option<u32>,
    source: RgbImage,
    opacity: f32,
) -> Option<RgbImage> {
    if (source.width() as usize, source.height() as usize) != (seg.columns, seg.rows) {
        return None;
    }
    let mut picture = DynamicImage::from(source).into_rgba8();
    let here =
        |of: &Option<(String, Option<u32>)>| of.as_ref().is_some_and(|(uid, n)| uid == source_uid && *n == frame);
    for (index, _) in seg.frames.iter().enumerate().filter(|(_, f)| here(&f.source)) {
        draw_mask(seg, index, Ink { opacity, over_source: true }, &mut picture);
    }
    Some(DynamicImage::from(picture).into_rgb8())
}

/// # Errors
/// A picture without pixels, in words.
pub fn png(picture: &RgbaImage) -> Result<Vec<u8>, String> {
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(Cursor::new(&mut png))
        .write_image(picture.as_raw(), picture.width(), picture.height(), image::ExtendedColorType::Rgba8)
        .map_err(|e| format!("the picture cannot be encoded: {e}"))?;
    Ok(png)
}

/// A segment's colour, sRGB.
pub fn color_of(seg: &SegObject, number: u16) -> [u8; 3] {
    let segment = seg.segments.iter().find(|s| s.number == number);
    segment.and_then(|s| s.cielab).map_or(DEFAULT_COLOR, srgb)
}

/// CIELab as DICOM scales it (PS3.3 C.10.7.1.1), white point D65 as the values of this project are made, to sRGB (IEC 61966-2-1).
fn srgb(cielab: [u16; 3]) -> [u8; 3] {
    let l = f64::from(cielab[0]) / 65535.0 * 100.0;
    let [a, b] = [cielab[1], cielab[2]].map(|v| f64::from(v) / 65535.0 * 255.0 - 128.0);
    let y = (l + 16.0) / 116.0;
    let inverse = |t: f64| if t > 6.0 / 29.0 { t.powi(3) } else { 3.0 * (6.0_f64 / 29.0).powi(2) * (t - 4.0 / 29.0) };
    let [x, y, z] = [0.950_47 * inverse(y + a / 500.0), inverse(y), 1.088_83 * inverse(y - b / 200.0)];
    let linear = [
        3.240_454 * x - 1.537_139 * y - 0.498_531 * z,
        -0.969_266 * x + 1.876_011 * y + 0.041_556 * z,
        0.055_643 * x - 0.204_026 * y + 1.057_225 * z,
    ];
    linear.map(|v| {
        let v = v.clamp(0.0, 1.0);
        let encoded = if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
        (encoded * 255.0).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red as dicom-results.md 1.3 encodes it.
    #[test]
    fn cielab_to_srgb() {
        let [r, g, b] = srgb([34891, 53479, 50166]);
        assert!(r >= 253 && g <= 4 && b <= 4, "{r} {g} {b}");
        assert_eq!(srgb([65535, 32896, 32896]), [255, 255, 255]);
    }
}
