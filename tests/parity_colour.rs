//! Windows, INTER_AREA, LAB, CLAHE and channel order against numpy and OpenCV: the golden fixtures, and checksums of more sizes.

mod dicom_file;
mod golden;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_file::{MadeImage, file};
use golden::{Golden, block_image_u8, crc32, head_ct_i16};
use ndarray::{Array2, Array3, ArrayView3, Axis};
use orthanc_ai::imaging::{ColourImage, Image, read_attributes, read_image};
use orthanc_ai::manifest::transform::*;
use orthanc_ai::transform::{Applied, Prepared, TransformChain, clahe, lab_to_rgb, resize_area, rgb_to_lab};
use serde_json::Value;

const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
const STD: [f32; 3] = [58.395, 57.12, 57.375];
const CAFFE: [f32; 3] = [103.939, 116.779, 123.68];
/// Brain, subdural, stroke.
const WINDOWS: [[f32; 2]; 3] = [[40.0, 80.0], [80.0, 200.0], [8.0, 32.0]];

fn size(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap_or_else(|| panic!("config.json: {case}: {key}")) as usize
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("config.json: {case}: {key}"))
}

fn bytes<'a>(values: impl IntoIterator<Item = &'a u8>) -> u32 {
    crc32(values.into_iter().map(|&b| [b]))
}

fn windowing(windows: &[[f32; 2]], output: WindowingOutput, pictures: OtherKindPolicy) -> TransformSpec {
    let windows = windows.iter().map(|&[level, width]| WindowSpec { level, width }).collect();
    TransformSpec::Windowing(WindowingSpec { windows, output, pictures })
}

fn resize(rows: usize, columns: usize, mode: ResizeMode) -> TransformSpec {
    TransformSpec::Resize(ResizeSpec { spatial_size: vec![rows, columns], mode })
}

fn normalize(subtrahend: [f32; 3], divisor: [f32; 3]) -> TransformSpec {
    TransformSpec::NormalizeIntensity(NormalizeIntensitySpec {
        subtrahend: subtrahend.to_vec(),
        divisor: divisor.to_vec(),
    })
}

fn rgb(grey: OtherKindPolicy) -> TransformSpec {
    TransformSpec::ToRgb(ToRgbSpec { grey })
}

fn equalize() -> TransformSpec {
    TransformSpec::Clahe(ClaheSpec { clip_limit: 2.0, tile_grid_size: [8, 8] })
}

fn prepare(steps: &[TransformSpec], image: &Image) -> Prepared {
    TransformChain::new(steps).expect("a sound chain").apply_image(image).expect("a sound image")
}

fn refused(steps: &[TransformSpec], image: &Image) -> String {
    TransformChain::new(steps).expect("a sound chain").apply_image(image).unwrap_err().to_string()
}

/// Through a file, so that decoding is part of what is compared.
fn colour(h: usize, w: usize, samples: Vec<u8>) -> Image {
    let mut object = MadeImage::new(h, w, vec![0; h * w]).object();
    let number = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PLANAR_CONFIGURATION, 0),
    ] {
        object.put(number(tag, value));
    }
    object.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from("RGB")));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(samples.into())));
    read_image(&file(object, uids::EXPLICIT_VR_LITTLE_ENDIAN), None).expect("a made image")
}

/// A CT slice; stored values are HU + 1024.
fn ct(h: usize, w: usize, hu: &[i16]) -> Image {
    let samples = hu.iter().map(|v| (v + 1024) as u16).collect();
    let mut object = MadeImage { signed: true, ..MadeImage::new(h, w, samples) }.object();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
        (tags::MODALITY, VR::CS, "CT"),
        (tags::RESCALE_SLOPE, VR::DS, "1"),
        (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    read_image(&file(object, uids::EXPLICIT_VR_LITTLE_ENDIAN), None).expect("a made image")
}

fn grey(h: usize, w: usize, samples: &[u8]) -> Image {
    let samples = samples.iter().map(|v| u16::from(*v)).collect();
    let made = MadeImage { bits_allocated: 8, bits_stored: 8, ..MadeImage::new(h, w, samples) };
    read_image(&made.file(), None).expect("a made image")
}

/// Prepared values as (row, column, channel), every `step`-th pixel.
fn strided(prepared: &Prepared, step: usize) -> Vec<f32> {
    let (channels, rows, columns) = prepared.array.dim();
    let places = (0..rows).step_by(step).flat_map(|r| (0..columns).step_by(step).map(move |c| (r, c)));
    places.flat_map(|(r, c)| (0..channels).map(move |i| (i, r, c))).map(|at| prepared.array[at]).collect()
}

fn as_bytes(prepared: &Prepared) -> u32 {
    crc32(strided(prepared, 1).into_iter().map(|v| [v as u8]))
}

#[track_caller]
fn near(found: &[f32], expected: &[f32], most: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= most, "{what}: {worst}, at most {most}");
}

#[test]
fn windows_equal_numpy() {
    let Some(golden) = Golden::open() else { return };
    let fixture = golden.fixture("preproc");
    let hu: Vec<i16> = (-200..300).collect();
    let image = ct(20, 25, &hu);
    let mut found = 0;
    for key in fixture.keys().iter().filter_map(|k| k.strip_suffix(".f32_hu-200..299")) {
        let (_, numbers) = key.rsplit_once("_l").expect("window.<name>_l<level>_w<width>");
        let (level, width) = numbers.split_once("_w").expect("a width");
        let windows = [[level.parse().unwrap(), width.parse().unwrap()]];
        for (output, suffix) in [
            (WindowingOutput::Float, "f32"),
            (WindowingOutput::Uint8Truncate, "u8_trunc"),
            (WindowingOutput::Uint8Round, "u8_round"),
        ] {
            let prepared = prepare(&[windowing(&windows, output, OtherKindPolicy::Refuse)], &image);
            let expected = fixture.f32s(&format!("{key}.{suffix}_hu-200..299"));
            assert_eq!(strided(&prepared, 1), expected, "{key}.{suffix}");
        }
        found += 1;
    }
    assert_eq!(found, 5, "windows in the fixture");
}

#[test]
fn a_ct_slice_equals_numpy_and_opencv() {
    let Some(golden) = Golden::open() else { return };
    let (seed, fixture) = (golden.seed("preproc"), golden.fixture("preproc"));
    for case in golden.cases("/preproc/ct") {
        let p = format!("ct.{}", text(case, "id"));
        let (h, w) = (size(case, "h"), size(case, "w"));
        let hu = head_ct_i16(&format!("{seed}:{p}"), h, w);
        assert_eq!(crc32(hu.iter().map(|v| v.to_le_bytes())), fixture.crc32(&format!("{p}.hu.crc32")), "{p}: input");
        let image = ct(h, w, &hu);
        let stack = windowing(&WINDOWS, WindowingOutput::Uint8Truncate, OtherKindPolicy::Refuse);
        assert_eq!(
            as_bytes(&prepare(std::slice::from_ref(&stack), &image)),
            fixture.crc32(&format!("{p}.stack.crc32")),
            "{p}"
        );
        let area = resize(224, 224, ResizeMode::Area);
        let prepared = prepare(&[stack.clone(), area.clone()], &image);
        assert_eq!(strided(&prepared, 1), fixture.f32s(&format!("{p}.area224")), "{p}: INTER_AREA");
        assert_eq!(prepared.applied, [Applied::Resize { from: [h, w], to: [224, 224] }]);
        let normal = prepare(&[stack.clone(), area.clone(), normalize(MEAN, STD)], &image);
        near(&strided(&normal, 4), &fixture.f32s(&format!("{p}.normalised_hwc_s4")), 1e-5, "normalised");
        let order = TransformSpec::ConvertChannelOrder(ConvertChannelOrderSpec { order: ChannelOrder::Bgr });
        let caffe = prepare(&[stack, area, order, normalize(CAFFE, [1.0; 3])], &image);
        near(&strided(&caffe, 8), &fixture.f32s(&format!("{p}.keras_caffe_hwc_s8")), 1e-5, "caffe");
    }
}

#[test]
fn areas_equal_opencv() {
    let Some(golden) = Golden::open() else { return };
    let (seed, fixture) = (golden.seed("preproc"), golden.fixture("preproc"));
    for case in golden.cases("/preproc/inter_area") {
        let p = format!("area.{}", text(case, "id"));
        let (h, w, c) = (size(case, "h"), size(case, "w"), size(case, "c"));
        let samples = block_image_u8(&format!("{seed}:{p}"), h, w, c, size(case, "block"));
        assert_eq!(bytes(&samples), fixture.crc32(&format!("{p}.in.crc32")), "{p}: input");
        let image = ArrayView3::from_shape((h, w, c), &samples).unwrap();
        let expected = fixture.f32s(&format!("{p}.out_s2"));
        if text(case, "dtype") == "f32" {
            let out = resize_area(image.index_axis(Axis(2), 0).mapv(f32::from).view(), [224, 224], 1);
            let found: Vec<f32> = out.slice(ndarray::s![..;2, ..;2]).iter().copied().collect();
            near(&found, &expected, 1e-3, &p);
        } else {
            let out = area(&image, [224, 224]);
            assert_eq!(bytes(&out), fixture.crc32(&format!("{p}.out.crc32")), "{p}");
        }
    }
}

fn area(image: &ArrayView3<u8>, to: [usize; 2]) -> Array3<u8> {
    let channels = image.len_of(Axis(2));
    let planes: Vec<Array2<u8>> = image.axis_iter(Axis(2)).map(|plane| resize_area(plane, to, channels)).collect();
    Array3::from_shape_fn((to[0], to[1], channels), |(r, c, i)| planes[i][[r, c]])
}

/// crc32 of `cv2.resize(image, …, INTER_AREA)` (OpenCV 5.0) of `block_image_u8("area", h, w, c, 8)`.
#[test]
fn areas_of_more_sizes_equal_opencv() {
    for ([h, w, c], to, expected) in [
        ([100, 77, 1], [50, 40], 0xf9b0118a),
        ([64, 64, 2], [32, 32], 0x7a29def0),
        ([64, 64, 3], [32, 32], 0x3878ab38),
        ([90, 60, 1], [30, 20], 0xea5c0ec6),
        ([33, 47, 1], [224, 224], 0xda5db3a6),
        ([500, 20, 1], [100, 60], 0xe62e5200),
        ([20, 500, 1], [60, 100], 0xddd44227),
        ([224, 224, 1], [224, 224], 0xbff2e158),
        ([7, 7, 1], [1, 1], 0x70659eff),
        ([301, 411, 3], [224, 224], 0xbfbed7da),
    ] {
        let samples = block_image_u8("area", h, w, c, 8);
        let image = ArrayView3::from_shape((h, w, c), &samples).unwrap();
        assert_eq!(bytes(&area(&image, to)), expected, "{h} × {w} × {c} -> {to:?}");
    }
}

#[test]
fn lab_and_clahe_equal_opencv() {
    let Some(golden) = Golden::open() else { return };
    let (seed, fixture) = (golden.seed("preproc"), golden.fixture("preproc"));
    let level = |i: usize| (i as f64 * 255.0 / 16.0).round_ties_even() as u8;
    let cube = (0..17 * 17 * 17).map(|i| [level(i / 289), level(i / 17 % 17), level(i % 17)]);
    let lab: Vec<[u8; 3]> = cube.map(rgb_to_lab).collect();
    assert_eq!(lab.concat(), fixture.u8s("lab.cube17.rgb2lab"));
    assert_eq!(lab.into_iter().flat_map(lab_to_rgb).collect::<Vec<u8>>(), fixture.u8s("lab.cube17.lab2rgb"));
    for case in golden.cases("/preproc/clahe") {
        let p = format!("clahe.{}", text(case, "id"));
        let (h, w) = (size(case, "h"), size(case, "w"));
        let samples = block_image_u8(&format!("{seed}:{p}"), h, w, 3, size(case, "block"));
        assert_eq!(bytes(&samples), fixture.crc32(&format!("{p}.in.crc32")), "{p}: input");
        let l = Array2::from_shape_vec((h, w), fixture.u8s(&format!("{p}.L"))).unwrap();
        let equalized: Vec<u8> = clahe(l.view(), 2.0, [8, 8]).into_iter().collect();
        assert_eq!(equalized, fixture.u8s(&format!("{p}.L_clahe")), "{p}: L");
        let prepared = prepare(&[rgb(OtherKindPolicy::Refuse), equalize()], &colour(h, w, samples));
        let found: Vec<u8> = strided(&prepared, 1).into_iter().map(|v| v as u8).collect();
        assert_eq!(found, fixture.u8s(&format!("{p}.rgb_out")), "{p}: RGB");
    }
}

/// Every third red of all 2^24 colours, and CLAHE at more sizes and limits: crc32 of OpenCV 5.0's.
#[test]
fn lab_and_clahe_of_more_images_equal_opencv() {
    let (mut to, mut from) = (crc32fast::Hasher::new(), crc32fast::Hasher::new());
    for r in (0..256).step_by(3) {
        let colours = (0..1usize << 16).map(|i| [r as u8, (i >> 8) as u8, i as u8]);
        to.update(&colours.clone().flat_map(rgb_to_lab).collect::<Vec<u8>>());
        from.update(&colours.flat_map(lab_to_rgb).collect::<Vec<u8>>());
    }
    assert_eq!([to.finalize(), from.finalize()], [0x05b47acb, 0xdb5d266c]);
    for (h, w, tiles, limit, expected) in [
        (64, 61, [8, 8], 2.0, 0x94a3f8cd),
        (64, 61, [8, 8], 0.0, 0xbe842302),
        (64, 61, [8, 8], 40.0, 0xbe842302),
        (61, 64, [8, 8], 2.0, 0xe5a578ca),
        (5, 3, [8, 8], 2.0, 0x94a66f80),
        (100, 90, [4, 3], 2.0, 0x34419128),
        (100, 90, [4, 3], 0.0, 0x3d6443b8),
        (33, 200, [8, 8], 2.0, 0x6dccb330),
        (33, 200, [8, 8], 0.0, 0x2374f2f4),
    ] {
        let image = Array2::from_shape_vec((h, w), block_image_u8("clahe", h, w, 1, 8)).unwrap();
        assert_eq!(bytes(&clahe(image.view(), limit, tiles)), expected, "{h} × {w}, {tiles:?}, {limit}");
    }
}

#[test]
fn pil_bilinear_of_rgb_equals_pil() {
    let Some(golden) = Golden::open() else { return };
    let (seed, fixture) = (golden.seed("preproc"), golden.fixture("preproc"));
    for case in golden.cases("/preproc/pil_bilinear") {
        let p = format!("pil.{}", text(case, "id"));
        let (h, w) = (size(case, "h"), size(case, "w"));
        let samples = block_image_u8(&format!("{seed}:{p}"), h, w, 3, size(case, "block"));
        let to = resize(size(case, "oh"), size(case, "ow"), ResizeMode::PilBilinear);
        let prepared = prepare(&[rgb(OtherKindPolicy::Refuse), to], &colour(h, w, samples));
        assert_eq!(as_bytes(&prepared), fixture.crc32(&format!("{p}.out.crc32")), "{p}");
    }
}

#[test]
fn the_other_kind_of_image_is_taken_where_the_manifest_says_so() {
    let samples = block_image_u8("luma", 40, 50, 3, 8);
    let image = colour(40, 50, samples.clone());
    // crc32 of PIL's convert("L") and of cv2.COLOR_RGB2GRAY, which agree on these.
    for mode in [LumaMode::Pil, LumaMode::Opencv] {
        let steps = [
            TransformSpec::ToGrey(ToGreySpec { mode }),
            TransformSpec::ConvertToUint8(ConvertToUint8Spec { mode: Uint8Mode::AsShown }),
        ];
        assert_eq!(as_bytes(&prepare(&steps, &image)), 0x16af370c, "{mode:?}");
    }
    let plain = [TransformSpec::ConvertToUint8(ConvertToUint8Spec { mode: Uint8Mode::MinMax })];
    assert_eq!(refused(&plain, &image), "ConvertToUint8: found a colour image (RGB), expected a monochrome image");

    let shades = grey(40, 50, &samples[..2000]);
    let three = prepare(&[rgb(OtherKindPolicy::AsShown)], &shades);
    assert_eq!(strided(&three, 1), samples[..2000].iter().flat_map(|v| [f32::from(*v); 3]).collect::<Vec<_>>());
    let words = "ToRgb: found a monochrome image, expected one in colour";
    assert_eq!(refused(&[rgb(OtherKindPolicy::Refuse)], &shades), words);

    // A picture of a slice has no Hounsfield units.
    let window = |pictures, output| [windowing(&WINDOWS, output, pictures)];
    let error = refused(&window(OtherKindPolicy::Refuse, WindowingOutput::Float), &shades);
    assert!(error.contains("not in Hounsfield units (Modality MG), expected CT"), "{error}");
    let shown = prepare(&window(OtherKindPolicy::AsShown, WindowingOutput::Uint8Round), &shades);
    assert_eq!(shown.array, three.array);
    let shares = prepare(&window(OtherKindPolicy::AsShown, WindowingOutput::Float), &shades);
    near(&strided(&shares, 1), &strided(&three, 1).iter().map(|v| v / 255.0).collect::<Vec<_>>(), 1e-6, "shares");
}

#[test]
fn steps_on_values_come_before_pixels_are_mixed() {
    let image = colour(40, 50, block_image_u8("order", 40, 50, 3, 8));
    let half = TransformSpec::ScaleIntensityRange(ScaleIntensityRangeSpec {
        a_min: 0.0,
        a_max: 255.0,
        b_min: 0.0,
        b_max: 1.0,
    });
    let (small, three) = (resize(13, 17, ResizeMode::Area), rgb(OtherKindPolicy::Refuse));
    let before = prepare(&[three.clone(), half.clone(), small.clone(), normalize([0.5; 3], [0.2, 0.3, 0.4])], &image);
    let after = prepare(&[three, small, half, normalize([0.5; 3], [0.2, 0.3, 0.4])], &image);
    // Resampled in floats, and in bytes: half a level of 255 apart at most, through divisors of 0.2 and more.
    near(&strided(&before, 1), &strided(&after, 1), 0.51 / 255.0 / 0.2, "order");
    assert_ne!(before.array, after.array);
}

#[test]
fn colour_images_that_tests_make() {
    let Image::Colour(ColourImage { rgb, attributes }) = colour(2, 1, vec![1, 2, 3, 4, 5, 6]) else {
        panic!("no colour")
    };
    assert_eq!(rgb, ndarray::array![[[1, 2, 3]], [[4, 5, 6]]]);
    assert_eq!(attributes.samples_per_pixel, 3);
    assert!(read_attributes(&MadeImage::new(1, 1, vec![0]).file()).unwrap().photometric.is_monochrome());
}
