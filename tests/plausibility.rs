//! The plausibility checks of a head CT and of skin on other people's files: what they let through, and what they refuse and why.

#[path = "support/shared_data.rs"]
mod shared_data;

use std::path::Path;

use dicom_object::open_file;
use dicom_pixeldata::{PhotometricInterpretation, PixelDecoder, PlanarConfiguration};
use ndarray::{Array3, ArrayView2};
use orthanc_ai::imaging::{SourceFrame, read_frames};
use orthanc_ai::manifest::PlausibilitySpec;
use orthanc_ai::predict::plausibility::{Decoded, HounsfieldSlice, implausible};
use shared_data::{files, folder, read};

fn specs(json: serde_json::Value) -> Vec<PlausibilitySpec> {
    serde_json::from_value(json).unwrap()
}

/// What a manifest for head CT would say.
fn head_ct() -> Vec<PlausibilitySpec> {
    specs(serde_json::json!([
        {"expected": "a head CT", "check": {"HounsfieldRange": {"ranges": [
            {"name": "air", "from_hu": -10000, "to_hu": -300, "min_share": 0.1, "max_share": 0.95},
            {"name": "soft tissue", "from_hu": -20, "to_hu": 100, "min_share": 0.03},
            {"name": "bone", "from_hu": 300, "to_hu": 10000, "min_share": 0.01, "max_share": 0.3}]}}},
        {"expected": "a head CT", "check": {"SkullRing": {"min_area_cm2": 30, "max_area_cm2": 300, "min_soft_tissue_share": 0.6,
            "min_slices_share": 0.25}}},
        {"expected": "a picture of a head CT", "check": {"GreyLevels": {"min_grey_share": 0.95, "max_corner_level": 60, "min_ring_share": 0.06,
            "max_ring_share": 0.75, "min_mid_grey_share": 0.6}}}
    ]))
}

/// What a manifest for photographs of skin would say.
fn skin() -> Vec<PlausibilitySpec> {
    specs(serde_json::json!([
        {"expected": "a photograph of skin", "check": {"SkinColour": {"min_skin_share": 0.6, "max_flat_share": 0.6, "max_grey_share": 0.7,
            "min_side": 64}}}
    ]))
}

fn judge_frames(frames: &[SourceFrame]) -> Option<String> {
    let slices: Vec<HounsfieldSlice> = frames
        .iter()
        .map(|f| HounsfieldSlice { hu: f.values.view(), spacing_mm: Some(f.plane.pixel_spacing_mm) })
        .collect();
    implausible(&head_ct(), Decoded::Slices(&slices)).first().map(|found| found.reason.clone())
}

fn judge_picture(specs: &[PlausibilitySpec], picture: &Array3<u8>) -> Option<String> {
    implausible(specs, Decoded::Picture(picture.view())).first().map(|found| found.reason.clone())
}

#[test]
fn head_ct_of_a_tilted_gantry_passes_as_a_series_and_slice_by_slice_where_the_skull_is_closed() {
    let Some(folder) = folder("ct_head") else { return };
    let slices: Vec<Vec<SourceFrame>> =
        files(&folder, "dcmqa_ct_ge_tilt__").iter().map(|path| read_frames(&read(path), None).unwrap()).collect();
    assert_eq!(slices.len(), 28);
    assert_eq!(judge_frames(&slices.concat()), None);
    let closed = slices.iter().filter(|slice| judge_frames(slice).is_none()).count();
    assert!((15..=19).contains(&closed), "{closed} of 28 have a closed skull: the base and the vertex have none");
}

#[test]
fn head_ct_in_every_transfer_syntax_passes_and_other_ct_is_refused() {
    let Some(ct) = folder("ct_head") else { return };
    let Some(seg) = folder("seg_sr") else { return };
    // Two decoders' lossless and a lossy one of the same heads, and what is no head: a chest inlet, a plastic phantom, noise, an abdomen, a spine.
    for (folder, prefix, plausible) in [
        (&ct, "cq500_310__693_", true),
        (&ct, "wg04_CT2__", true),
        (&ct, "c3d__CTImage", false),
        (&ct, "d2n_", false),
        (&ct, "dcmqa_ct_philips_notilt__", false),
        (&seg, "dcmqi_ct3slice__", false),
        (&seg, "highdicom__ct_image", false),
    ] {
        let mut judged = 0;
        for path in files(folder, prefix) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let frames = match read_frames(&read(&path), None) {
                Ok(frames) => frames,
                Err(error) => {
                    // Retired JPEG processes that only the server's decoders read.
                    assert!(name.contains("JPEGProcess"), "{name}: {error}");
                    continue;
                }
            };
            judged += 1;
            let found = judge_frames(&frames);
            eprintln!("{name}: {}", found.as_deref().unwrap_or("plausible"));
            assert_eq!(found.is_none(), plausible, "{name}: {found:?}");
            if let Some(reason) = found {
                assert!(reason.contains("found") && reason.contains("expected"), "{name}: {reason}");
            }
        }
        assert!(judged > 0, "{prefix}: no file could be read");
    }
}

/// A head CT as an ordinary picture, windowed as people window it; and what else is posted as a picture.
#[test]
fn pictures_of_head_ct_pass_in_every_window_and_others_are_refused() {
    let Some(ct) = folder("ct_head") else { return };
    let Some(vl) = folder("vl_derm") else { return };
    let picture = |hu: ArrayView2<f32>, level: f32, width: f32| {
        let (rows, columns) = hu.dim();
        let byte = |v: f32| (((v - level) / width + 0.5).clamp(0.0, 1.0) * 255.0) as u8;
        Array3::from_shape_fn((rows, columns, 3), |(r, c, _)| byte(hu[[r, c]]))
    };
    for name in ["wg04_CT2__CT2_UNC", "cq500_310__693_J2KR", "dcmqa_ct_ge_tilt__16", "dcmqa_ct_ge_tilt__22"] {
        let path = &files(&ct, name)[0];
        let frame = &read_frames(&read(path), None).unwrap()[0];
        for (level, width) in [(40.0, 80.0), (40.0, 120.0), (50.0, 200.0)] {
            let found = judge_picture(&head_ct(), &picture(frame.values.view(), level, width));
            assert_eq!(found, None, "{name} at {level}/{width}");
        }
    }
    let chest = &read_frames(&read(&files(&ct, "c3d__CTImage.dcm_JPEGLS")[0]), None).unwrap()[0];
    let found = judge_picture(&head_ct(), &picture(chest.values.view(), 40.0, 400.0));
    assert!(found.is_some_and(|reason| reason.contains("picture of a head CT")));
    for path in files(&vl, "isic_jpg__").iter().chain(&files(&vl, "wg04_")) {
        if let Some(rgb) = decode(path) {
            assert!(
                judge_picture(&head_ct(), &rgb).is_some_and(|reason| reason.contains("grey")),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn dermoscopy_passes_and_text_charts_histology_and_fundus_are_refused() {
    let Some(vl) = folder("vl_derm") else { return };
    for (prefix, plausible) in [
        ("isic_jpg__", true),
        ("derived_isic__", true),
        ("ssynth_jpg__", true),
        ("gcp_xc__", false),
        ("pm5644__", false),
        ("highdicom__sm_image", false),
        ("wg04_VL4_fundus__", false),
        ("wg04_VL6__", false),
        ("pydicom__SC_", false),
        ("fodicom__GH538", false),
    ] {
        let mut judged = 0;
        for path in files(&vl, prefix) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let Some(rgb) = decode(&path) else {
                eprintln!("{name}: not decoded here");
                continue;
            };
            judged += 1;
            let found = judge_picture(&skin(), &rgb);
            eprintln!("{name}: {}", found.as_deref().unwrap_or("plausible"));
            assert_eq!(found.is_none(), plausible, "{name}: {found:?}");
        }
        assert!(judged > 0, "{prefix}: no file could be decoded");
    }
}

/// RGB of a picture or of an object's first frame; None where these codecs do not read it.
fn decode(path: &Path) -> Option<Array3<u8>> {
    let (rows, columns, bytes) = if path.extension().is_some_and(|e| e == "jpg") {
        let picture = image::open(path).unwrap().into_rgb8();
        (picture.height() as usize, picture.width() as usize, picture.into_raw())
    } else {
        let decoded = open_file(path).ok()?;
        let decoded = decoded.decode_pixel_data_frame(0).ok()?;
        let (rows, columns) = (decoded.rows() as usize, decoded.columns() as usize);
        let (samples, bytes) = (decoded.samples_per_pixel() as usize, decoded.data());
        if decoded.bits_allocated() != 8 || samples != 3 || bytes.len() < rows * columns * 3 {
            return None;
        }
        let at = |pixel: usize, channel: usize| match decoded.planar_configuration() {
            PlanarConfiguration::Standard => bytes[pixel * 3 + channel],
            PlanarConfiguration::PixelFirst => bytes[channel * rows * columns + pixel],
        };
        let ybr = matches!(
            decoded.photometric_interpretation(),
            PhotometricInterpretation::YbrFull | PhotometricInterpretation::YbrFull422
        );
        let rgb = (0..rows * columns).flat_map(|pixel| {
            let [a, b, c] = [0, 1, 2].map(|channel| at(pixel, channel));
            if ybr { rgb_of([a, b, c]) } else { [a, b, c] }
        });
        (rows, columns, rgb.collect())
    };
    Some(Array3::from_shape_vec((rows, columns, 3), bytes).unwrap())
}

/// PS3.3 C.7.6.3.1.2
fn rgb_of([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let [y, cb, cr] = [f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0];
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| v.round().clamp(0.0, 255.0) as u8)
}

/// The midline of a real head: slice for slice nearly the same, since it is one head, and near the patient's own axis. The falx of this one is turned by
/// 8 to 10 degrees; where the inside of its skull is itself askew (slices 17 to 20), up to 16 are found.
#[test]
fn the_midline_of_a_real_head_agrees_from_slice_to_slice() {
    use orthanc_ai::manifest::SkullPlaceSpec;
    use orthanc_ai::predict::{HeadFrame, Side};
    let Some(ct) = folder("ct_head") else { return };
    let spec = SkullPlaceSpec { bone_hu: 300.0, midline_mm: 5.0 };
    let mut turns = Vec::new();
    for (n, path) in files(&ct, "dcmqa_ct_ge_tilt__").iter().enumerate() {
        let slice = &read_frames(&read(path), None).unwrap()[0];
        let (rows, columns) = slice.values.dim();
        let grid = slice.plane.grid(rows, columns, None);
        let Some(frame) = HeadFrame::of_slice(slice.values.view(), &grid, 0, &spec) else { continue };
        let (anterior, [back, front]) = frame.anterior.unwrap();
        let turn = anterior[0].atan2(-anterior[1]).to_degrees();
        eprintln!(
            "slice {n}: centre {:?}, turned by {turn:.1}° to the left, {:.0} mm long, asymmetry {:.3}",
            frame.center_mm.map(|v| v.round()),
            front - back,
            frame.asymmetry.unwrap()
        );
        let left = frame.left.unwrap();
        let beside = |mm: f64| frame.place(std::array::from_fn(|i| frame.center_mm[i] + mm * left[i])).side;
        assert_eq!(
            [beside(30.0), beside(-30.0), beside(1.0)],
            [Some(Side::Left), Some(Side::Right), Some(Side::Midline)]
        );
        assert!(left[0] > 0.9 && anterior[1] < -0.8, "slice {n}: {frame:?}");
        // Where the inside is round, it hardly says which way the head is turned.
        if front - back > 140.0 {
            turns.push(turn);
        }
    }
    assert!(turns.len() >= 8, "{turns:?}");
    turns.sort_by(f64::total_cmp);
    let median = turns[turns.len() / 2];
    assert!(turns.iter().all(|turn| (turn - median).abs() < 7.0), "{turns:?}");
}
