//! GET `/series/{id}/ai/surface.stl` and `/series/{id}/ai/surface.html`: the surface of a segmentation, ours or another's, as a file for 3D programs
//! and as one page that shows it.

use dicom_dictionary_std::{tags, uids};

use super::overlay::{color_of, invalid};
use super::{allow, orthanc_id};
use crate::imaging::SegVolume;
use crate::imaging::seg_object::SegObjectSegment;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::source::orthanc::OrthancSource;
use crate::source::{InstanceId, InstanceSource, Level, Resource, SourceError};
use crate::surface::{MAX_TRIANGLES, Mesh, stl, surface};
use crate::web::{SurfacePart, surface_page, surface_policy};

/// One segment, by `segment` (SegmentNumber), of several; the only one else.
pub fn file(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let mut wanted = None;
    for (key, value) in &request.query {
        match key.as_ref() {
            "segment" => wanted = Some(value.parse().map_err(|_| invalid(key, value, "a segment's number"))?),
            other => return Err(invalid("query", other, "segment")),
        }
    }
    let seg = segmentation(request.groups.first().copied().unwrap_or_default())?;
    let segments = segments(&seg);
    let numbers = || segments.iter().map(|s| s.number.to_string()).collect::<Vec<_>>().join(", ");
    let number: u16 = match (wanted, &segments[..]) {
        (Some(number), _) => number,
        (None, [only]) => only.number,
        (None, _) => return Err(RestError::bad_request(format!("segment: found none, expected one of {}", numbers()))),
    };
    if !segments.iter().any(|s| s.number == number) {
        return Err(RestError::not_found(format!("segment: found {number}, expected one of {}", numbers())));
    }
    let mesh = mesh(&seg, number, MAX_TRIANGLES)?.ok_or_else(|| {
        RestError::unprocessable(format!("segment {number} has no voxel: expected one with a surface"))
    })?;
    Ok(Response::ok("model/stl", stl::write(&mesh))
        .with_header("Content-Disposition", format!("attachment; filename=\"segment-{number}.stl\""))
        .with_header("Cache-Control", "private, no-cache")
        .with_header("X-Content-Type-Options", "nosniff"))
}

/// All segments that have voxels.
pub fn page(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    if let Some((other, _)) = request.query.first() {
        return Err(invalid("query", other, "none"));
    }
    page_of(request.groups.first().copied().unwrap_or_default())
}

/// Of the segmentation that makes up the series with this id of Orthanc's.
pub(super) fn page_of(series: &str) -> Result<Response, RestError> {
    let seg = segmentation(series)?;
    let segments = segments(&seg);
    let each = MAX_TRIANGLES / segments.len().max(1);
    let mut parts = Vec::new();
    for segment in segments {
        if let Some(mesh) = mesh(&seg, segment.number, each)? {
            let color = color_of(&seg.object, segment.number);
            parts.push(SurfacePart { number: segment.number, label: segment.label.clone(), color, mesh });
        }
    }
    Ok(Response::ok("text/html; charset=utf-8", surface_page(&parts).into_bytes())
        .with_header("Content-Security-Policy", format!("{}; frame-ancestors 'self'", surface_policy()))
        .with_header("Cache-Control", "private, no-cache")
        .with_header("X-Content-Type-Options", "nosniff"))
}

/// A label map's 0 is what lies around.
fn segments(seg: &SegVolume) -> Vec<&SegObjectSegment> {
    seg.object.segments.iter().filter(|s| s.number > 0).collect()
}

fn mesh(seg: &SegVolume, number: u16, max_triangles: usize) -> Result<Option<Mesh>, RestError> {
    let made = surface(seg.mask(number).view(), &seg.geometry, max_triangles);
    made.map_err(|e| RestError::unprocessable(format!("segment {number}: {e}")))
}

/// The segmentation that makes up the series.
fn segmentation(series: &str) -> Result<SegVolume, RestError> {
    let id = orthanc_id(series)?;
    let headers = OrthancSource.headers(&Resource::new(Level::Series, id)).map_err(|e| match e {
        SourceError::UnknownResource(_) => RestError::not_found("unknown resource"),
        other => RestError::internal(other.to_string()),
    })?;
    let classes = [uids::SEGMENTATION_STORAGE, uids::LABEL_MAP_SEGMENTATION_STORAGE];
    let is_segmentation = |class: Option<&str>| class.is_some_and(|class| classes.contains(&class));
    let found: Vec<&InstanceId> =
        headers.iter().filter(|h| is_segmentation(h.get(tags::SOP_CLASS_UID))).map(|h| &h.id).collect();
    let [only] = found[..] else {
        let count = found.len();
        return Err(RestError::unprocessable(format!("found {count} segmentations in the series, expected one")));
    };
    let bytes = OrthancSource.fetch(only).map_err(|_| RestError::not_found("unknown resource"))?;
    SegVolume::read(&bytes).map_err(|e| RestError::unprocessable(e.to_string()))
}
