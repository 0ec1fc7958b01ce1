//! GET /ai/app/…: the page.

use super::allow;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::web;

/// `/ai/app` and `/ai/app/`.
pub fn entry(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    Ok(Response::ok("text/html; charset=utf-8", web::ENTRY_HTML.as_bytes())
        .with_header("Content-Security-Policy", web::ENTRY_SECURITY_POLICY)
        .with_header("X-Content-Type-Options", "nosniff"))
}

pub fn file(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let path = request.groups.first().copied().unwrap_or_default();
    let asset = web::asset(path).ok_or_else(|| RestError::new(404, format!("no page {}", request.path)))?;
    if request.header("if-none-match") == Some(asset.etag.as_str()) {
        return Ok(Response::ok(asset.content_type, &[][..]).with_status(304));
    }
    Ok(Response::ok(asset.content_type, asset.body)
        .with_header("ETag", asset.etag)
        .with_header("Content-Security-Policy", web::CONTENT_SECURITY_POLICY)
        .with_header("X-Content-Type-Options", "nosniff")
        .with_header("Cache-Control", "no-cache"))
}
