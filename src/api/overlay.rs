//! GET `/instances/{id}/ai/overlay.png`: a frame of a segmentation over its source, or alone, as a picture; and
//! GET `/instances/{id}/ai/frames`: the mask on the n-th analysed slice, for front ends of the original system S1.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, RgbImage, RgbaImage};
use serde_json::json;

use super::{allow, orthanc_id, service, store_error};
use crate::document::overlay::{self, Ink, draw_mask};
use crate::imaging::SegObject;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::RunFilter;
use crate::source::orthanc::{OrthancSource, instance_with_uid};
use crate::source::{InstanceId, InstanceSource};

/// `frame` from 0, as Orthanc counts them; `opacity` of the mask from 0 to 1; `source=false` leaves the source away:
/// the mask alone on a transparent ground, for a page that lays it over the source itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Options {
    frame: usize,
    opacity: f32,
    source: bool,
}

pub fn png(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let options = options(request)?;
    let (_, seg) = segmentation(request)?;
    let with_source = options.source && options.frame < seg.frames.len();
    let source = with_source.then(|| source_of(&seg, options.frame)).transpose()?;
    let picture = picture(&seg, &[options.frame], source, options.opacity)?;
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
    let picture = picture(&seg, &slice.mask_frames, None, 1.0)?;
    Response::json(&json!({"success": true, "frame_data": STANDARD.encode(picture), "frame_index": index}))
}

/// The segmentation that the request's path names.
pub(super) fn segmentation(request: &Request<'_>) -> Result<(InstanceId, SegObject), RestError> {
    let id = InstanceId(orthanc_id(request.groups.first().copied().unwrap_or_default())?.to_string());
    let seg = read_segmentation(&id)?;
    Ok((id, seg))
}

pub(super) fn read_segmentation(id: &InstanceId) -> Result<SegObject, RestError> {
    let bytes = OrthancSource.fetch(id).map_err(|_| RestError::not_found("unknown resource"))?;
    SegObject::read(&bytes).map_err(|e| RestError::unprocessable(e.to_string()))
}

pub(super) fn invalid(key: &str, found: &str, expected: &str) -> RestError {
    let found: String = found.chars().take(32).collect();
    RestError::bad_request(format!("{key}: found \"{found}\", expected {expected}"))
}

/// Compared before it is rounded.
pub(super) fn opacity(value: &str) -> Result<f32, RestError> {
    let opacity: Option<f64> = value.parse().ok().filter(|o| (0.0..=1.0).contains(o));
    opacity.map(|o| o as f32).ok_or_else(|| invalid("opacity", value, "0 to 1"))
}

fn options(request: &Request<'_>) -> Result<Options, RestError> {
    let mut options = Options { frame: 0, opacity: 0.5, source: true };
    for (key, value) in &request.query {
        match key.as_ref() {
            "frame" => options.frame = value.parse().map_err(|_| invalid("frame", value, "a frame's number from 0"))?,
            "opacity" => options.opacity = opacity(value)?,
            "source" => options.source = value.parse().map_err(|_| invalid("source", value, "true or false"))?,
            other => return Err(invalid("query", other, "frame, opacity, source")),
        }
    }
    Ok(options)
}

/// A segmentation's frames that lie on one image, over it or alone.
pub(super) fn picture(
    seg: &SegObject,
    frames: &[usize],
    source: Option<RgbImage>,
    opacity: f32,
) -> Result<Vec<u8>, RestError> {
    let over_source = source.is_some();
    let mut image = match source {
        Some(source) if (source.width() as usize, source.height() as usize) != (seg.columns, seg.rows) => {
            return Err(RestError::unprocessable("the source image is of another size than the segmentation"));
        }
        Some(source) => DynamicImage::from(source).into_rgba8(),
        None => RgbaImage::new(seg.columns as u32, seg.rows as u32),
    };
    for &frame in frames {
        if !draw_mask(seg, frame, Ink { opacity, over_source }, &mut image) {
            let last = seg.frames.len().saturating_sub(1);
            return Err(RestError::not_found(format!("frame: found {frame}, expected 0 to {last}")));
        }
    }
    overlay::png(&image).map_err(RestError::internal)
}

/// The image that a frame of the segmentation lies on.
pub(super) fn source_of(seg: &SegObject, frame: usize) -> Result<RgbImage, RestError> {
    let gone = || RestError::new(404, "the source image of this frame is not on the server");
    let (uid, number) = seg.frames[frame].source.as_ref().ok_or_else(gone)?;
    let id = instance_with_uid(uid).map_err(|e| RestError::internal(e.to_string()))?.ok_or_else(gone)?;
    let bytes = OrthancSource.fetch(&id).map_err(|_| gone())?;
    overlay::shown(&bytes, *number, OrthancSource.frame_decoder()).map_err(|e| RestError::unprocessable(e.to_string()))
}
