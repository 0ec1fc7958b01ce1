//! GET /ai/app/…: the page.

use super::respond;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::web;

/// `/ai/app` → `app/`: relative, so that it works behind a prefix.
pub fn to_index(request: &Request<'_>) -> Response {
    respond(request, || {
        request.allow(&[Method::Get])?;
        let mut response = Response::json(&());
        response.status = 302;
        response.headers.push(("Location".into(), "app/".into()));
        Ok(response)
    })
}

pub fn file(request: &Request<'_>) -> Response {
    respond(request, || {
        request.allow(&[Method::Get])?;
        let path = request.groups.first().copied().unwrap_or_default();
        let asset = web::asset(path).ok_or_else(|| RestError::new(404, format!("no page {}", request.path)))?;
        let mut response = Response {
            status: 200,
            content_type: asset.content_type.into(),
            headers: Vec::new(),
            body: asset.body.into(),
        };
        response.headers.push(("Content-Security-Policy".into(), web::CONTENT_SECURITY_POLICY.into()));
        response.headers.push(("X-Content-Type-Options".into(), "nosniff".into()));
        response.headers.push(("Cache-Control".into(), "no-cache".into()));
        Ok(response)
    })
}
