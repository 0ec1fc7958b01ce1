//! Zoom and morphology against scipy.ndimage: every value of the golden fixtures that has to do with volumes.

mod golden;

use golden::{Fixture, Golden, block_input, crc32, prob_volume_f32, unpack_bits};
use ndarray::{Array3, Axis, s};
use orthanc_ai::imaging::components::{fill_holes, keep_largest, label};
use orthanc_ai::imaging::morphology::{binary_erosion, threshold};
use orthanc_ai::imaging::{Geometry, Volume};
use orthanc_ai::manifest::transform::{ResizeMode, ResizeSpec, TransformSpec};
use orthanc_ai::transform::VolumeChain;
use serde_json::Value;

/// What the generator zooms to.
const TO: usize = 96;

fn id(case: &Value) -> &str {
    case["id"].as_str().unwrap_or_else(|| panic!("config.json: {case}: id"))
}

fn shape(case: &Value) -> [usize; 3] {
    let sizes: Option<Vec<_>> =
        case["shape"].as_array().and_then(|list| list.iter().map(|v| Some(v.as_u64()? as usize)).collect());
    sizes.and_then(|sizes| sizes.try_into().ok()).unwrap_or_else(|| panic!("config.json: {case}: shape"))
}

fn zoom(voxels: Array3<f32>) -> Array3<f32> {
    let geometry = Geometry {
        size: voxels.dim().into(),
        origin_mm: [0.0; 3],
        steps_mm: [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
        frame_of_reference_uid: None,
    };
    let resize = ResizeSpec { spatial_size: vec![TO; 3], mode: ResizeMode::ZoomLinear };
    let chain = VolumeChain::new(&[TransformSpec::Resize(resize)]).expect("the chain is sound");
    let prepared = chain.apply(&[Volume { geometry, voxels, slices: Vec::new() }]).expect("the volume is sound");
    prepared.array.index_axis_move(Axis(0), 0)
}

/// scipy rounds its factor before it multiplies: for some sizes (112 to 96, say) the last plane falls a hair beyond the
/// source's last one and becomes 0. Ours does not; that much is granted to it here, where it is known to happen.
fn as_scipy_rounds(mut zoomed: Array3<f32>, from: [usize; 3]) -> Array3<f32> {
    for (axis, from) in from.into_iter().enumerate() {
        let last = (TO - 1) as f64 * ((from - 1) as f64 / (TO - 1) as f64);
        if last > (from - 1) as f64 {
            println!("axis {axis}: scipy loses the last plane of {from}");
            zoomed.index_axis_mut(Axis(axis), TO - 1).fill(0.0);
        }
    }
    zoomed
}

#[track_caller]
fn near<'a>(found: impl IntoIterator<Item = &'a f32>, expected: &[f64], what: &str) {
    let found: Vec<f64> = found.into_iter().map(|&v| f64::from(v)).collect();
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let worst = found.iter().zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f64::max);
    let differ = found.iter().zip(expected).filter(|(f, e)| f != e).count();
    println!("{what}: {differ} of {} values differ, at most by {worst:e}", found.len());
    assert!(worst <= 1e-6, "{what}: differs by {worst}");
}

#[test]
fn zoom_equals_scipy() {
    let Some(golden) = Golden::open() else { return };
    let (seed, fixture) = (golden.seed("preproc"), golden.fixture("preproc"));
    for case in golden.cases("/preproc/zoom") {
        let (prefix, shape) = (format!("zoom.{}", id(case)), shape(case));
        let block = case["block"].as_u64().unwrap_or_else(|| panic!("config.json: {case}: block")) as usize;
        let fine = case["fine"].as_f64().unwrap_or(0.25);
        let values = block_input(&format!("{seed}:{prefix}"), &[1, 1, shape[0], shape[1], shape[2]], block, fine);
        let input = crc32(values.iter().map(|v| v.to_le_bytes()));
        assert_eq!(input, fixture.crc32(&format!("{prefix}.in.crc32")), "{prefix}: the input itself differs");

        let zoomed = zoom(Array3::from_shape_vec(shape, values).expect("the values fill the shape"));
        let zoomed = as_scipy_rounds(zoomed, shape);
        let expected = |name: &str| fixture.f64s(&format!("{prefix}.{name}"));
        near(zoomed.slice(s![..;4, ..;4, ..;4]), &expected("out_s4"), &format!("{prefix}.out_s4"));
        near(zoomed.slice(s![.., -1, -1]), &expected("last_line_d"), &format!("{prefix}.last_line_d"));
        near(zoomed.slice(s![-1, ..;4, ..;4]), &expected("last_plane_s4"), &format!("{prefix}.last_plane_s4"));
        near(zoomed.slice(s![47, 31, ..]), &expected("line_w"), &format!("{prefix}.line_w"));
        let stats = expected("out.stats");
        let mean = zoomed.iter().map(|&v| f64::from(v)).sum::<f64>() / zoomed.len() as f64;
        let [min, max] =
            [zoomed.iter().copied().fold(f32::MAX, f32::min), zoomed.iter().copied().fold(f32::MIN, f32::max)];
        assert!((mean - stats[0]).abs() < 1e-7, "{prefix}: mean {mean}, expected {}", stats[0]);
        near(&[min, max], &stats[2..4], &format!("{prefix}: minimum and maximum"));
    }
}

/// A mask of the fixtures: its bits where they are stored, else their number and checksum.
#[track_caller]
fn equal(found: &Array3<u8>, fixture: &Fixture, key: &str) {
    let bytes: Vec<u8> = found.iter().copied().collect();
    let packed = bytes.chunks(8).map(|eight| [eight.iter().rev().fold(0, |byte, bit| byte << 1 | bit)]);
    let count = bytes.iter().map(|&v| i64::from(v)).sum::<i64>();
    assert_eq!(count, fixture.i64s(&format!("{key}.count"))[0], "{key}: voxels");
    assert_eq!(crc32(packed), fixture.crc32(&format!("{key}.crc32")), "{key}: checksum");
    println!("{key}: equal ({count} voxels)");
}

#[test]
fn morphology_equals_scipy() {
    let Some(golden) = Golden::open() else { return };
    let (seed, fixture) = (golden.seed("preproc"), golden.fixture("preproc"));
    for case in golden.cases("/preproc/morphology") {
        let (prefix, shape) = (format!("morph.{}", id(case)), shape(case));
        let stored = unpack_bits(&fixture.u8s(&format!("{prefix}.thr.bits")), shape.iter().product());
        let stored = Array3::from_shape_vec(shape, stored).expect("the bits fill the shape");
        let values = prob_volume_f32(&format!("{seed}:{prefix}"), shape);
        let input = crc32(values.iter().map(|v| v.to_le_bytes()));
        assert_eq!(input, fixture.crc32(&format!("{prefix}.prob.crc32")), "{prefix}: the input itself differs");
        let values = Array3::from_shape_vec(shape, values).expect("the values fill the shape");
        assert_eq!(threshold(values.view(), 0.7), stored, "{prefix}: threshold");
        check_chain(&prefix, &stored, &fixture);
    }
}

fn check_chain(prefix: &str, thresholded: &Array3<u8>, fixture: &Fixture) {
    let key = |name: &str| format!("{prefix}.{name}");
    equal(thresholded, fixture, &key("thr"));
    let eroded = binary_erosion(thresholded.view(), [3; 3]);
    equal(&eroded, fixture, &key("eroded"));
    let filled = fill_holes(eroded.view());
    equal(&filled, fixture, &key("filled"));
    equal(&keep_largest(filled.view()), fixture, &key("lcc"));
    let labels = label(filled.view());
    let mut sizes = vec![0i64; labels.iter().max().map_or(0, |&l| l as usize) + 1];
    labels.iter().for_each(|&l| sizes[l as usize] += 1);
    // One 0 stands for no component.
    let sizes = if sizes.len() == 1 { vec![0] } else { sizes.split_off(1) };
    assert_eq!(sizes, fixture.i64s(&key("component_sizes")), "{prefix}: voxels of each component");
}

/// The masks of the segmentation network's own fixtures: other shapes, and noise that no one drew.
#[test]
fn morphology_of_a_networks_masks_equals_scipy() {
    let Some(golden) = Golden::open() else { return };
    for (file, pointer, runs) in
        [("swinunetr", "/swinunetr/cases", "variants"), ("sliding", "/swinunetr/sliding", "runs")]
    {
        let fixture = golden.fixture(file);
        let keys = fixture.keys();
        for case in golden.cases(pointer) {
            let count = case[runs].as_array().map_or(0, Vec::len);
            let prefixes: Vec<&str> = keys
                .iter()
                .filter_map(|key| key.strip_suffix(".mask.thr.bits"))
                .filter(|key| key.split('.').any(|part| part == id(case)))
                .collect();
            assert_eq!(prefixes.len(), count, "{file}, {}: masks", id(case));
            let shape = case["shape"].as_array().expect("config.json: shape");
            let shape: Vec<usize> = shape.iter().filter_map(|v| Some(v.as_u64()? as usize)).collect();
            let shape = [shape[2], shape[3], shape[4]];
            for prefix in prefixes {
                let bits = unpack_bits(&fixture.u8s(&format!("{prefix}.mask.thr.bits")), shape.iter().product());
                let thresholded = Array3::from_shape_vec(shape, bits).expect("the bits fill the shape");
                check_chain(&format!("{prefix}.mask"), &thresholded, &fixture);
            }
        }
    }
}

#[test]
fn ties_and_connectivity_equal_scipy() {
    let Some(golden) = Golden::open() else { return };
    let fixture = golden.fixture("preproc");
    let labelled = |name: &str| {
        let (shape, labels) = fixture.values(&format!("morph.{name}.labels"));
        let shape: [usize; 3] = shape.try_into().expect("a volume");
        let mask = unpack_bits(&fixture.u8s(&format!("morph.{name}.input.bits")), labels.len());
        let mask = Array3::from_shape_vec(shape, mask).expect("the bits fill the shape");
        let found: Vec<f64> = label(mask.view()).iter().map(|&l| f64::from(l)).collect();
        assert_eq!(found, labels, "{name}: labels");
        mask
    };
    labelled("connectivity");
    let tie = labelled("tie");
    let kept = unpack_bits(&fixture.u8s("morph.tie.lcc_argmax_first.bits"), tie.len());
    assert_eq!(keep_largest(tie.view()).into_raw_vec_and_offset().0, kept, "tie: the first of equals");
}
