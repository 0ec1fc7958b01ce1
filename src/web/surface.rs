//! The page of a segmentation's surface: one HTML file that holds meshes, renderer (three.js) and its own policy, and needs nothing else: it can be
//! saved and opened anywhere. Nothing in it tells who the patient is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::surface::Mesh;

/// Renderer and OrbitControls: vendor/README.md.
const THREE: &str = include_str!("vendor/three/three.min.js");
const THREE_LICENSE: &str = include_str!("vendor/three/LICENSE");
const VIEWER: &str = include_str!("surface/viewer.js");
const STYLE: &str = include_str!("surface/viewer.css");

/// One segment to be shown.
#[derive(Debug, Clone)]
pub struct SurfacePart {
    /// SegmentNumber
    pub number: u16,
    pub label: String,
    /// sRGB
    pub color: [u8; 3],
    pub mesh: Mesh,
}

/// The page's `Content-Security-Policy`, but for `frame-ancestors`, which a page cannot say of itself: its own scripts and styles by
/// their SHA-256, and no address whatsoever.
pub fn surface_policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let [three, viewer, style] = [THREE, VIEWER, STYLE].map(hash);
    format!(
        "default-src 'none'; script-src {three} {viewer}; style-src {style}; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
}

/// The page, in Korean or English by the browser's language.
pub fn surface_page(parts: &[SurfacePart]) -> String {
    let segments: Vec<serde_json::Value> = parts.iter().map(segment).collect();
    // In a script "<" could end it; in JSON it is as good written so.
    let data = json!({"segments": segments}).to_string().replace('<', "\\u003c");
    let policy = surface_policy();
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>3D surface of a segmentation</title>
<style>{STYLE}</style>
</head>
<body>
<!-- The renderer in this file is three.js:
{THREE_LICENSE}-->
<header><h1 data-text="title">3D surface of a segmentation</h1><p class="mark" data-text="mark">AI-generated, for research use only</p></header>
<main>
<div id="view"><p id="problem" role="alert" hidden></p></div>
<aside>
<h2 data-text="segments">Segments</h2><ul id="segments"></ul>
<h2 data-text="look">Look from</h2><div id="sides"></div>
<p class="hint" data-text="legend"></p><p class="hint" data-text="hint"></p><p class="hint" data-text="scale"></p>
<noscript><p class="hint">This page needs JavaScript.</p></noscript>
</aside>
</main>
<script type="application/json" id="data">{data}</script>
<script>{THREE}</script>
<script>{VIEWER}</script>
</body>
</html>
"#
    )
}

/// Places as whole steps of 1/65535 of the box: a hundredth of a millimetre in half a metre, in half the bytes.
fn segment(part: &SurfacePart) -> serde_json::Value {
    let [origin, high] = part.mesh.bounds_mm().unwrap_or_default();
    let extent: [f64; 3] = std::array::from_fn(|axis| high[axis] - origin[axis]);
    let mut positions = Vec::with_capacity(part.mesh.vertices.len() * 6);
    for place in &part.mesh.vertices {
        for axis in 0..3 {
            let share = if extent[axis] > 0.0 { (place[axis] - origin[axis]) / extent[axis] } else { 0.0 };
            positions.extend(((share * 65535.0).round() as u16).to_le_bytes());
        }
    }
    let triangles: Vec<u8> = part.mesh.triangles.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    let [r, g, b] = part.color;
    json!({
        "number": part.number,
        "label": part.label,
        "color": format!("#{r:02x}{g:02x}{b:02x}"),
        "volumeMl": part.mesh.volume_mm3() / 1000.0,
        "origin": origin,
        "extent": extent,
        "positions": STANDARD.encode(positions),
        "triangles": STANDARD.encode(triangles),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(label: &str) -> String {
        let vertices = vec![[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, 20.0, 0.0], [0.0, 0.0, 30.0]];
        let mesh = Mesh { vertices, triangles: vec![[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]] };
        surface_page(&[SurfacePart { number: 1, label: label.into(), color: [211, 47, 47], mesh }])
    }

    fn without(page: &str, part: &str) -> String {
        assert!(page.contains(part));
        page.replacen(part, "", 1)
    }

    #[test]
    fn nothing_is_loaded_from_anywhere() {
        let page = page("Tumour");
        // XHTML's namespace, which is a name and no address, is the only one in the renderer.
        assert_eq!(THREE.matches("://").count(), THREE.matches("http://www.w3.org/1999/xhtml").count());
        let ours = without(&without(&page, THREE), THREE_LICENSE);
        for banned in
            ["://", " src=", " href=", "url(", "@import", "import(", "fetch(", "XMLHttpRequest", " style=", "onclick"]
        {
            assert!(!ours.contains(banned), "the page has {banned}");
        }
    }

    #[test]
    fn the_policy_names_every_script_and_style_and_no_other() {
        let page = page("Tumour");
        let policy = surface_policy();
        assert!(page.contains(&format!("content=\"{policy}\"")));
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        for (tag, count) in [("script", 2), ("style", 1)] {
            let texts: Vec<&str> = page
                .split(&format!("<{tag}>"))
                .skip(1)
                .map(|t| t.split(&format!("</{tag}>")).next().unwrap())
                .collect();
            assert_eq!(texts.len(), count);
            assert!(texts.iter().all(|text| policy.contains(&hash(text))), "{tag}");
        }
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    }

    #[test]
    fn a_label_cannot_leave_its_place() {
        let page = page("</script><script>alert(1)</script>");
        assert!(!page.contains("</script><script>alert"));
        let data = page.split(r#"id="data">"#).nth(1).unwrap().split("</script>").next().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["segments"][0]["label"], "</script><script>alert(1)</script>");
        assert_eq!(data["segments"][0]["extent"], json!([10.0, 20.0, 30.0]));
        assert_eq!(data["segments"][0]["volumeMl"], json!(1.0));
        let positions = STANDARD.decode(data["segments"][0]["positions"].as_str().unwrap()).unwrap();
        assert_eq!(positions[6..8], 65535u16.to_le_bytes());
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let keys = |language: &str| {
            let text = VIEWER.split(&format!("    {language}: {{")).nth(1).unwrap().split("\n    },").next().unwrap();
            let key = regex::Regex::new(r#"(?:^|[ {])([A-Za-z]+): ["{]"#).unwrap();
            key.captures_iter(text).map(|c| c[1].to_owned()).collect::<Vec<_>>()
        };
        assert!(keys("en").len() > 12);
        assert_eq!(keys("en"), keys("ko"));
    }
}
