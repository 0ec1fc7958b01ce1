//! Forms with files are refused before the core takes them apart: see [`crate::orthanc::http_filter`].

use crate::orthanc::rest_server::{Method, percent_decode};

/// False for a `multipart/form-data` POST to a route of ours.
pub fn is_allowed(method: Method, path: &str, content_type: Option<&str>) -> bool {
    let is_form =
        content_type.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"));
    !(method == Method::Post && is_form && is_ours(path))
}

/// However the client spells it: the core leaves empty components out and decodes the others.
fn is_ours(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let decoded = percent_decode(path);
    let components: Vec<&str> = decoded.split('/').filter(|c| !c.is_empty()).collect();
    match components.first().copied() {
        Some("ai") => true,
        Some("studies" | "series" | "instances") => components.get(2).is_some_and(|third| *third == "ai"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_with_files_do_not_reach_our_routes() {
        let form = Some("Multipart/Form-Data; boundary=x");
        for path in [
            "/ai/queue/suspend",
            "//ai/queue/suspend",
            "/%61i/runs/1/cancel",
            "/studies/1/ai",
            "/studies//1/ai/",
            "/series%2f1/ai?x",
        ] {
            assert!(!is_allowed(Method::Post, path, form), "{path}");
            assert!(is_allowed(Method::Post, path, Some("application/json")), "{path}");
            assert!(is_allowed(Method::Post, path, None), "{path}");
        }
        for path in ["/instances", "/tools/ai", "/studies/1/anonymize", "/", "", "/aix", "/patients/1/ai"] {
            assert!(is_allowed(Method::Post, path, form), "{path}");
        }
        assert!(is_allowed(Method::Get, "/ai", form));
    }
}
