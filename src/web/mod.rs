//! What people see in a browser, embedded in the library: the buttons of Orthanc Explorer, the page `/ai/app/`, and the page of a surface
//! ([`surface_page`]), which is one file.
//!
//! Plain ES modules, which work as they are and which build.rs joins to one file ([`bundle`]). Every address in them is relative, so they work
//! under a reverse proxy's path prefix; nothing is loaded from elsewhere, and nothing is inline, so [`CONTENT_SECURITY_POLICY`] can be strict.

#[cfg(test)]
mod bundle;
mod surface;

use std::hash::{DefaultHasher, Hasher};

pub use surface::{SurfacePart, surface_page, surface_policy};

/// Buttons "AI analysis" on the study, series and instance pages of Orthanc Explorer: for `ExtendOrthancExplorer`.
pub const EXPLORER_JS: &str = include_str!("explorer.js");

/// The `Content-Security-Policy` header to send with every asset of the page.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The answer at `/ai/app` and `/ai/app/`, which Orthanc does not tell apart: it leads to `/ai/app/index.html`, below which the page's
/// relative addresses are right, and keeps query and fragment. A relative `Location` would be wrong for one of the two.
pub const ENTRY_HTML: &str = "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>AI analysis</title>\
    <script>location.replace(location.pathname.replace(/\\/*$/, '') + '/index.html' + location.search + location.hash)</script>\
    <noscript>The AI page needs JavaScript: open index.html in this folder.</noscript></html>\n";

/// As [`CONTENT_SECURITY_POLICY`], for [`ENTRY_HTML`]: its one script, named by its SHA-256.
pub const ENTRY_SECURITY_POLICY: &str = "default-src 'none'; script-src 'sha256-BlBhnIrbg/M6kRvOw3f7abJtwBhZpVc+YmxgGRDS/TA='; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// One file of the page `/ai/app/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Media type with charset, for the `Content-Type` header.
    pub content_type: &'static str,
    pub body: &'static [u8],
    /// Strong validator in its quotes (RFC 9110 §8.8.3), for `ETag` and `If-None-Match`: changes with the body only.
    pub etag: String,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
// Browsers refuse ES modules of any media type that is not JavaScript (HTML standard, "fetch a single module script").
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// `(path below /ai/app/, media type, content)`
const ASSETS: &[(&str, &str, &[u8])] = &[
    ("index.html", HTML, include_bytes!("app/index.html")),
    ("app.css", CSS, include_bytes!("app/app.css")),
    ("early.js", JAVASCRIPT, include_bytes!("app/early.js")),
    ("app.js", JAVASCRIPT, include_bytes!(concat!(env!("OUT_DIR"), "/app.js"))),
    ("icon.svg", SVG, include_bytes!("app/icon.svg")),
];

/// The asset at `path` below `/ai/app/` (no leading slash). `None`: answer 404.
pub fn asset(path: &str) -> Option<Asset> {
    ASSETS.iter().find(|(name, ..)| *name == path).map(|&(_, content_type, body)| Asset {
        content_type,
        body,
        etag: etag(body),
    })
}

fn etag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn text(path: &str) -> String {
        String::from_utf8(asset(path).unwrap().body.to_vec()).unwrap()
    }

    /// Values of `attribute="…"` and module specifiers, the two ways in which our files name each other.
    fn quoted_after<'a>(source: &'a str, marker: &str) -> Vec<&'a str> {
        source.split(marker).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn the_entry_runs_its_own_script_only() {
        use sha2::{Digest, Sha256};
        let script = ENTRY_HTML.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
        let policy = ENTRY_SECURITY_POLICY.split_once("sha256-").unwrap().1.split_once('\'').unwrap().0;
        assert_eq!(base64(&Sha256::digest(script)), policy);
    }

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digit = |group: &[u8], n: usize| {
            let word = (0..3).fold(0usize, |w, i| w << 8 | usize::from(*group.get(i).unwrap_or(&0)));
            if n > group.len() { '=' } else { char::from(DIGITS[word >> (18 - 6 * n) & 63]) }
        };
        bytes.chunks(3).flat_map(|group| (0..4).map(move |n| digit(group, n))).collect()
    }

    #[test]
    fn unknown_paths_are_none() {
        assert!(asset("index.html").is_some());
        for path in ["", "nothing.js", "/index.html", "../mod.rs", "app/index.html", "explorer.js"] {
            assert_eq!(asset(path), None, "{path}");
        }
    }

    #[test]
    fn every_file_that_a_file_names_is_embedded_and_addressed_relatively() {
        let page = text("index.html");
        let markers = ["src=\"", "<link rel=\"icon\" href=\"", "<link rel=\"stylesheet\" href=\""];
        let named: HashSet<&str> = markers.iter().flat_map(|marker| quoted_after(&page, marker)).collect();
        let embedded: HashSet<&str> =
            ASSETS.iter().map(|(file, ..)| *file).filter(|file| *file != "index.html").collect();
        assert_eq!(named, embedded);
        assert_eq!(quoted_after(&text("app.js"), " from \""), ["./early.js"], "all other modules are in it");
        assert!(!text("app.js").contains("import(") && !text("early.js").contains("import "));
        for module in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/app")).unwrap() {
            let name = module.unwrap().file_name().into_string().unwrap();
            let Some(stem) = name.strip_suffix(".js").filter(|stem| *stem != "early") else { continue };
            assert!(text("app.js").contains(&format!("\nconst module_{stem} = ")), "no module imports {name}");
        }
    }

    #[test]
    fn nothing_is_inline_and_nothing_parses_html_from_strings() {
        let page = text("index.html");
        for banned in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(banned), "index.html has {banned}");
        }
        let scripts = ASSETS.iter().filter(|(file, ..)| file.ends_with(".js")).map(|(file, ..)| text(file));
        for script in scripts.chain([EXPLORER_JS.to_owned()]) {
            for banned in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", ".html("] {
                assert!(!script.contains(banned), "{banned} in {}", script.lines().next().unwrap());
            }
        }
    }

    #[test]
    fn etags_differ_between_files_and_are_quoted() {
        let etags: HashSet<String> = ASSETS.iter().map(|(file, ..)| asset(file).unwrap().etag).collect();
        assert_eq!(etags.len(), ASSETS.len());
        assert!(etags.iter().all(|etag| etag.starts_with('"') && etag.ends_with('"') && etag.len() == 18));
    }

    #[test]
    fn everything_together_stays_below_500_kilobytes() {
        let bytes: usize = ASSETS.iter().map(|(_, _, body)| body.len()).sum::<usize>() + EXPLORER_JS.len();
        assert!(bytes < 500_000, "{bytes} bytes");
    }
}
