//! Preprocessing against skimage and PIL: every value of the golden fixtures that has to do with mammograms.

mod dicom_file;
mod golden;

use dicom_file::MadeImage;
use golden::{Fixture, Golden, block_image_u8, crc32, mammogram_u16};
use ndarray::{Array2, ArrayView3};
use orthanc_ai::imaging::bit_mask::BitMask;
use orthanc_ai::imaging::contours::{contour_points, find_contours, largest_contour};
use orthanc_ai::imaging::histogram::Histogram;
use orthanc_ai::imaging::otsu::{otsu_256_bins, otsu_levels};
use orthanc_ai::imaging::{Pixels, Projection, read_instance};
use orthanc_ai::manifest::transform::*;
use orthanc_ai::transform::{Applied, Shades, TransformChain, crop_foreground, resize_pil_bilinear, uint8_table};
use serde_json::Value;

const SUBTRAHEND: [f32; 3] = [0.485, 0.456, 0.406];
const DIVISOR: [f32; 3] = [0.229, 0.224, 0.225];

fn size(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap_or_else(|| panic!("config.json: {case}: {key}")) as usize
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("config.json: {case}: {key}"))
}

/// The whole way from a file, so that decoding is part of what is compared.
fn projection(image: &MadeImage) -> Projection {
    read_instance(&image.file(), None).expect("a made image is readable")
}

#[test]
fn mammograms_equal_skimage_and_pil() {
    let Some(golden) = Golden::open() else { return };
    let (seed, fixture) = (golden.seed("preproc"), golden.fixture("preproc"));
    for case in golden.cases("/preproc/mammogram") {
        let prefix = format!("mammo.{}", text(case, "id"));
        let (h, w) = (size(case, "h"), size(case, "w"));
        let samples = mammogram_u16(&format!("{seed}:{prefix}"), h, w, text(case, "side"));
        let input = crc32(samples.iter().map(|v| v.to_le_bytes()));
        assert_eq!(input, fixture.crc32(&format!("{prefix}.u16.crc32")), "{prefix}: the input itself differs");
        check_mammogram(&prefix, &projection(&MadeImage::new(h, w, samples)), &fixture);
        println!("{prefix}: equal");
    }
}

fn check_mammogram(prefix: &str, image: &Projection, fixture: &Fixture) {
    let key = |name: &str| format!("{prefix}.{name}");
    let shades = Shades::of(&image.attributes);
    let histogram = Histogram::of(&image.pixels);

    let table = uint8_table(Uint8Mode::MinMax, &image.attributes, shades, &histogram);
    let Pixels::U16(stored) = &image.pixels else { panic!("{prefix}: 16 bits unsigned were stored") };
    let bytes = stored.mapv(|v| table[usize::from(v)]);
    assert_eq!(crc32(bytes.iter().map(|&b| [b])), fixture.crc32(&key("u8.crc32")), "{prefix}: min_max");

    let byte_histogram = Histogram::of(&Pixels::U8(bytes.clone()));
    let (threshold, byte_threshold) = (otsu_levels(&histogram), otsu_levels(&byte_histogram));
    let float_threshold = otsu_256_bins(&histogram, |v| f64::from(v) / 65535.0);
    let thresholds = [f64::from(threshold), f64::from(byte_threshold), float_threshold];
    assert_eq!(thresholds[..], fixture.f64s(&key("otsu_u16_u8_float")), "{prefix}: Otsu");

    let mask = BitMask::above(&image.pixels, threshold);
    assert_eq!(mask.count() as i64, fixture.i64s(&key("binary.count"))[0], "{prefix}: foreground");
    let bits = fixture.u8s(&key("binary.bits"));
    let (rows, columns) = mask.dim();
    let wrong = (0..rows * columns).find(|&i| mask.get(i / columns, i % columns) != (bits[i / 8] >> (i % 8) & 1 == 1));
    assert_eq!(wrong, None, "{prefix}: first differing pixel of the mask");
    let byte_mask = BitMask::above(&Pixels::U8(bytes.clone()), byte_threshold);
    assert_eq!(byte_mask.count() as i64, fixture.i64s(&key("binary_from_u8.count"))[0], "{prefix}: 8-bit foreground");

    check_contours(prefix, &mask, fixture);
    check_chain(prefix, image, bytes, fixture);
}

fn check_contours(prefix: &str, mask: &BitMask, fixture: &Fixture) {
    let mut contours = find_contours(mask);
    assert_eq!(contours.len() as i64, fixture.i64s(&format!("{prefix}.contour_count"))[0], "{prefix}: contours");
    contours.sort_by_key(|contour| std::cmp::Reverse(contour.points));
    let rows: Vec<f64> = contours
        .iter()
        .take(10)
        .flat_map(|c| {
            let half = |v: i32| f64::from(v) / 2.0;
            let [min, max] = [c.min.map(half), c.max.map(half)];
            [c.points as f64, min[0], min[1], max[0], max[1], f64::from(u8::from(c.closed))]
        })
        .collect();
    assert_eq!(rows, fixture.f64s(&format!("{prefix}.contour_top10_len_r0c0r1c1_closed")), "{prefix}: ten largest");
    let largest = largest_contour(mask).expect("there is a contour");
    assert_eq!(largest, contours[0], "{prefix}: the largest");
    let points: Vec<i64> = contour_points(mask, &largest).into_iter().flatten().map(i64::from).collect();
    assert_eq!(points, fixture.i64s(&format!("{prefix}.largest_contour_x2")), "{prefix}: points of the largest");
}

fn check_chain(prefix: &str, image: &Projection, bytes: Array2<u8>, fixture: &Fixture) {
    let spec = CropForegroundSpec {
        threshold: ThresholdSpec::Otsu(OtsuSpec { histogram: HistogramSpec::Levels }),
        region: RegionSpec::LargestContour,
        bounds: BoundsSpec::FloorCeil,
    };
    let histogram = Histogram::of(&image.pixels);
    let kept = crop_foreground(&image.pixels, Shades::of(&image.attributes), &histogram, &spec);
    let found = [kept.rows.0, kept.columns.0, kept.rows.1, kept.columns.1].map(|v| v as i64);
    assert_eq!(found[..], fixture.i64s(&format!("{prefix}.bbox_floor_ceil")), "{prefix}: box");
    assert_eq!(kept.size().map(|v| v as i64)[..], fixture.i64s(&format!("{prefix}.crop.shape")), "{prefix}: crop");

    let (shape, resized) = fixture.values(&format!("{prefix}.resized512"));
    let crop = bytes.slice(ndarray::s![kept.rows.0..kept.rows.1, kept.columns.0..kept.columns.1]).to_owned();
    let alone = resize_pil_bilinear(crop.view(), [shape[0], shape[1]]);
    assert!(alone.iter().map(|&b| f64::from(b)).eq(resized.iter().copied()), "{prefix}: resized");

    let chain = TransformChain::new(&[
        TransformSpec::CropForeground(spec),
        TransformSpec::ConvertToUint8(ConvertToUint8Spec { mode: Uint8Mode::MinMax }),
        TransformSpec::Resize(ResizeSpec { spatial_size: vec![shape[0], shape[1]], mode: ResizeMode::PilBilinear }),
        TransformSpec::ScaleIntensityRange(ScaleIntensityRangeSpec {
            a_min: 0.0,
            a_max: 255.0,
            b_min: 0.0,
            b_max: 1.0,
        }),
        TransformSpec::RepeatChannel(RepeatChannelSpec { repeats: 3 }),
        TransformSpec::NormalizeIntensity(NormalizeIntensitySpec {
            subtrahend: SUBTRAHEND.to_vec(),
            divisor: DIVISOR.to_vec(),
        }),
    ])
    .expect("the chain is sound");
    let prepared = chain.apply(image).expect("the image is sound");
    let (rows, columns) = image.pixels.dim();
    let crop = Applied::CropForeground { source: [rows, columns], kept };
    assert_eq!(prepared.applied, [crop, Applied::Resize { from: kept.size(), to: [shape[0], shape[1]] }]);
    for (i, ((c, y, x), &value)) in prepared.array.indexed_iter().enumerate() {
        let byte = resized[y * shape[1] + x];
        let expected = (byte / 255.0 - f64::from(SUBTRAHEND[c])) / f64::from(DIVISOR[c]);
        assert!((f64::from(value) - expected).abs() <= 1e-5, "{prefix}: value {i}: {value}, expected {expected}");
    }
}

#[test]
fn resizing_equals_pil() {
    let Some(golden) = Golden::open() else { return };
    let (seed, fixture) = (golden.seed("preproc"), golden.fixture("preproc"));
    for case in golden.cases("/preproc/pil_bilinear") {
        let prefix = format!("pil.{}", text(case, "id"));
        let (h, w) = (size(case, "h"), size(case, "w"));
        let rgb = block_image_u8(&format!("{seed}:{prefix}"), h, w, 3, size(case, "block"));
        let input = crc32(rgb.iter().map(|&b| [b]));
        assert_eq!(input, fixture.crc32(&format!("{prefix}.in.crc32")), "{prefix}: the input itself differs");
        let (oh, ow) = (size(case, "oh"), size(case, "ow"));
        let rgb = ArrayView3::from_shape((h, w, 3), &rgb).expect("the image fills its shape");
        let channels: Vec<_> = rgb
            .axis_iter(ndarray::Axis(2))
            .map(|channel| resize_pil_bilinear(channel.to_owned().view(), [oh, ow]))
            .collect();
        let pixel = |i: usize| [0, 1, 2].map(|c| channels[c][[i / ow, i % ow]]);
        let strided: Vec<u8> =
            (0..oh).step_by(3).flat_map(|y| (0..ow).step_by(3).map(move |x| y * ow + x)).flat_map(pixel).collect();
        assert_eq!(strided, fixture.u8s(&format!("{prefix}.out_s3")), "{prefix}: every third pixel");
        assert_eq!(crc32((0..oh * ow).map(pixel)), fixture.crc32(&format!("{prefix}.out.crc32")), "{prefix}");
        println!("{prefix}: equal");
    }
}
