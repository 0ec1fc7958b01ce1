//! GET `/instances/{id}/ai/overlay.png`: a frame of a segmentation over its source, or alone, as a picture; and
//! GET `/instances/{id}/ai/frames`: the mask on the n-th analysed slice, for front ends of the original system S1.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageEncoder, Rgba, RgbaImage};
use serde_json::json;

use super::{allow, orthanc_id, service, store_error};
use crate::imaging::{self, FrameDecoder, SegObject};
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::RunFilter;
use crate::source::orthanc::{OrthancSource, instance_with_uid};
use crate::source::{InstanceId, InstanceSource};
use crate::transform::displayed;

/// Where a segment has no RecommendedDisplayCIELabValue: red.
const DEFAULT_COLOR: [u8; 3] = [211, 47, 47];

/// `frame` from 0, as Orthanc counts them; `opacity` of the mask from 0 to 1; `source=false` leaves the source away:
/// the mask alone on a transparent ground, for a page that lays it over the source itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Options {
    pub frame: usize,
    pub opacity: f32,
    pub source: bool,
}

pub fn png(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let options = options(request)?;
    let picture = picture(&segmentation(request)?.1, options)?;
    // A SOP instance never changes: the same address gives the same picture.
    Ok(Response::ok("image/png", picture)
        .with_header("Cache-Control", "private, max-age=3600")
        .with_header("X-Content-Type-Options", "nosniff"))
}

/// `{"success", "frame_data": base64 PNG, "frame_index"}`: `frame_index` counts the analysed slices from 0, along the normal, those
/// without a voxel included. Of the mask alone, on a transparent ground.
pub fn frame(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let mut index = 0usize;
    for (key, value) in &request.query {
        match key.as_ref() {
            "frame_index" => index = value.parse().map_err(|_| invalid(key, value, "a slice's number from 0"))?,
            other => return Err(invalid("query", other, "frame_index")),
        }
    }
    let (id, seg) = segmentation(request)?;
    let filter = RunFilter { stored: Some(id.0), limit: Some(1), ..RunFilter::default() };
    let runs = service()?.store.list(&filter).map_err(store_error)?;
    let run = runs.first().ok_or_else(|| RestError::not_found("no run is known that stored this segmentation"))?;
    let mut analysed = run.slices.iter().filter(|s| s.analysed);
    let slice = analysed.nth(index).ok_or_else(|| {
        let count = run.slices.iter().filter(|s| s.analysed).count();
        RestError::not_found(format!("frame_index: found {index}, expected 0 to {}", count.saturating_sub(1)))
    })?;
    let mut image = RgbaImage::new(seg.columns as u32, seg.rows as u32);
    for &frame in &slice.mask_frames {
        draw_mask(&seg, Options { frame, opacity: 1.0, source: false }, &mut image)?;
    }
    Response::json(&json!({"success": true, "frame_data": STANDARD.encode(png_of(&image)?), "frame_index": index}))
}

/// The segmentation that the request's path names.
pub(super) fn segmentation(request: &Request<'_>) -> Result<(InstanceId, SegObject), RestError> {
    let id = InstanceId(orthanc_id(request.groups.first().copied().unwrap_or_default())?.to_string());
    let bytes = OrthancSource.fetch(&id).map_err(|_| RestError::not_found("unknown resource"))?;
    let seg = SegObject::read(&bytes).map_err(|e| RestError::unprocessable(e.to_string()))?;
    Ok((id, seg))
}

pub(super) fn invalid(key: &str, found: &str, expected: &str) -> RestError {
    let found: String = found.chars().take(32).collect();
    RestError::bad_request(format!("{key}: found \"{found}\", expected {expected}"))
}

fn options(request: &Request<'_>) -> Result<Options, RestError> {
    let mut options = Options { frame: 0, opacity: 0.5, source: true };
    for (key, value) in &request.query {
        match key.as_ref() {
            "frame" => options.frame = value.parse().map_err(|_| invalid("frame", value, "a frame's number from 0"))?,
            "opacity" => {
                let opacity = value.parse().ok().filter(|o| (0.0..=1.0).contains(o));
                options.opacity = opacity.ok_or_else(|| invalid("opacity", value, "0 to 1"))?;
            }
            "source" => options.source = value.parse().map_err(|_| invalid("source", value, "true or false"))?,
            other => return Err(invalid("query", other, "frame, opacity, source")),
        }
    }
    Ok(options)
}

pub(super) fn picture(seg: &SegObject, options: Options) -> Result<Vec<u8>, RestError> {
    let mut image = RgbaImage::new(seg.columns as u32, seg.rows as u32);
    if options.source && options.frame < seg.frames.len() {
        draw_source(seg, options.frame, &mut image)?;
    }
    draw_mask(seg, options, &mut image)?;
    png_of(&image)
}

fn draw_mask(seg: &SegObject, options: Options, image: &mut RgbaImage) -> Result<(), RestError> {
    let mask = seg.mask(options.frame).ok_or_else(|| {
        let count = seg.frames.len();
        RestError::not_found(format!("frame: found {}, expected 0 to {}", options.frame, count.saturating_sub(1)))
    })?;
    for ((row, column), number) in mask.indexed_iter().filter(|(_, n)| **n != 0) {
        let color = color_of(seg, u16::from(*number));
        let pixel = image.get_pixel_mut(column as u32, row as u32);
        if options.source {
            for (channel, ours) in pixel.0.iter_mut().zip(color) {
                *channel = (f32::from(*channel) * (1.0 - options.opacity) + f32::from(ours) * options.opacity) as u8;
            }
        } else {
            *pixel = Rgba([color[0], color[1], color[2], (options.opacity * 255.0) as u8]);
        }
    }
    Ok(())
}

fn png_of(image: &RgbaImage) -> Result<Vec<u8>, RestError> {
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(Cursor::new(&mut png))
        .write_image(image.as_raw(), image.width(), image.height(), image::ExtendedColorType::Rgba8)
        .map_err(|e| RestError::internal(format!("the picture cannot be encoded: {e}")))?;
    Ok(png)
}

fn draw_source(seg: &SegObject, frame: usize, image: &mut RgbaImage) -> Result<(), RestError> {
    let gone = || RestError::new(404, "the source image of this frame is not on the server");
    let (uid, number) = seg.frames[frame].source.as_ref().ok_or_else(gone)?;
    let id = instance_with_uid(uid).map_err(|e| RestError::internal(e.to_string()))?.ok_or_else(gone)?;
    let bytes = OrthancSource.fetch(&id).map_err(|_| gone())?;
    let decoder: Option<&dyn FrameDecoder> = OrthancSource.frame_decoder();
    // Also of images that do not say where they lie in the patient.
    let source = imaging::read_image_frame(&bytes, *number, decoder);
    let source = source.map_err(|e| RestError::unprocessable(e.to_string()))?;
    if source.pixels.dim() != (seg.rows, seg.columns) {
        return Err(RestError::unprocessable("the source image is of another size than the segmentation"));
    }
    for ((row, column), byte) in displayed(&source.values(), &source.attributes).indexed_iter() {
        image.put_pixel(column as u32, row as u32, Rgba([*byte, *byte, *byte, 255]));
    }
    Ok(())
}

pub(super) fn color_of(seg: &SegObject, number: u16) -> [u8; 3] {
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
