//! A segmentation in 3D: as a file for other programs, and as one page.

use orthanc_ai::phantom::{Orientation, SeriesLayout};
use serde_json::json;

use crate::breast_mri;
use crate::image_models::{UNET, write_unet};
use crate::on_every_orthanc;
use crate::server::{Options, Orthanc, Version};

on_every_orthanc!(a_volume_has_a_surface, what_is_no_segmentation_has_none);

fn a_volume_has_a_surface(version: Version) {
    let models = tempfile::tempdir().unwrap();
    write_unet(models.path(), |_| {});
    let server =
        Orthanc::with(version, &Options { ai: json!({"ModelsDirectory": models.path()}), ..Options::default() });
    let study = breast_mri::study(&breast_mri::small(8101, Orientation::Oblique), SeriesLayout::default());
    let id = server.upload_study(&breast_mri::changed(&study, |phase, _| phase == 1, |_, _, _| {}));
    let run = server.post(&format!("/studies/{id}/ai"), &json!({"Model": UNET, "Synchronous": true})).ok();
    let seg = run["Stored"].as_array().unwrap().iter().find(|s| s["Kind"] == "SEG").unwrap();
    let series = seg["SeriesID"].as_str().unwrap();

    let file = server.get(&format!("/series/{series}/ai/surface.stl"));
    assert_eq!((file.status, file.header("content-type")), (200, Some("model/stl")));
    let triangles = u32::from_le_bytes(file.body[80..84].try_into().unwrap()) as usize;
    assert!(triangles > 100 && file.body.len() == 84 + 50 * triangles, "{triangles} triangles, {}", file.body.len());
    assert!(String::from_utf8_lossy(&file.body[..80]).contains("research use"), "the header says what it is");
    // Each corner lies where the slices lie.
    let geometry = &study.exam.geometry;
    let [slices, rows, columns] = geometry.size.map(|n| n as f64);
    let corners: Vec<[f64; 3]> = (0..8)
        .map(|i| {
            let end = |bit: usize, length: f64| if i >> bit & 1 == 1 { length } else { -1.0 };
            geometry.to_patient([end(0, slices), end(1, rows), end(2, columns)])
        })
        .collect();
    let number = |at: usize| f64::from(f32::from_le_bytes(file.body[at..at + 4].try_into().unwrap()));
    for corner in (0..triangles).flat_map(|n| (0..3).map(move |c| 84 + 50 * n + 12 + 12 * c)) {
        for axis in 0..3 {
            let value = number(corner + 4 * axis);
            let within = |f: fn(f64, f64) -> f64| corners.iter().map(|c| c[axis]).reduce(f).unwrap();
            assert!((within(f64::min)..=within(f64::max)).contains(&value), "axis {axis}: {value}");
        }
    }
    let page = server.get(&format!("/series/{series}/ai/surface.html"));
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("research use only") && !text.contains("PHANTOM"), "no patient in the page");
    let details = server.get(&format!("/series/{series}/ai/surface.stl?segment=7")).error(404);
    assert!(details.contains("segment: found 7, expected one of 1"), "{details}");
}

fn what_is_no_segmentation_has_none(version: Version) {
    let server = Orthanc::start(version);
    let study = breast_mri::study(&breast_mri::small(8102, Orientation::Axial), SeriesLayout::default());
    let id = server.upload_study(&breast_mri::changed(&study, |phase, _| phase == 1, |_, _, _| {}));
    let series = server.get(&format!("/studies/{id}/series")).ok()[0]["ID"].as_str().unwrap().to_owned();
    for file in ["surface.stl", "surface.html"] {
        let details = server.get(&format!("/series/{series}/ai/{file}")).error(422);
        assert!(details.contains("expected"), "{details}");
        server.get(&format!("/series/00000000-00000000-00000000-00000000-00000000/ai/{file}")).error(404);
    }
}
