//! The preprocessing chain on images that the project makes itself.

mod dicom_file;
mod golden;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_file::{MadeImage, file};
use golden::{crc32, mammogram_u16};
use orthanc_ai::imaging::histogram::Histogram;
use orthanc_ai::imaging::otsu::{otsu_256_bins, otsu_levels};
use orthanc_ai::imaging::{Projection, read_instance};
use orthanc_ai::manifest::transform::*;
use orthanc_ai::transform::{Applied, ImageRegion, PixelBox, Prepared, TransformChain, TransformError};

fn crop(histogram: HistogramSpec, bounds: BoundsSpec) -> TransformSpec {
    let threshold = ThresholdSpec::Otsu(OtsuSpec { histogram });
    TransformSpec::CropForeground(CropForegroundSpec { threshold, region: RegionSpec::LargestContour, bounds })
}

fn bytes(mode: Uint8Mode) -> TransformSpec {
    TransformSpec::ConvertToUint8(ConvertToUint8Spec { mode })
}

fn resize(rows: usize, columns: usize) -> TransformSpec {
    TransformSpec::Resize(ResizeSpec { spatial_size: vec![rows, columns], mode: ResizeMode::PilBilinear })
}

fn scale(a_min: f32, a_max: f32) -> TransformSpec {
    TransformSpec::ScaleIntensityRange(ScaleIntensityRangeSpec { a_min, a_max, b_min: 0.0, b_max: 1.0 })
}

fn repeat(repeats: usize) -> TransformSpec {
    TransformSpec::RepeatChannel(RepeatChannelSpec { repeats })
}

fn normalize(subtrahend: &[f32], divisor: &[f32]) -> TransformSpec {
    let (subtrahend, divisor) = (subtrahend.to_vec(), divisor.to_vec());
    TransformSpec::NormalizeIntensity(NormalizeIntensitySpec { subtrahend, divisor })
}

fn prepare(steps: &[TransformSpec], image: &Projection) -> Prepared {
    TransformChain::new(steps).expect("a sound chain").apply(image).expect("a sound image")
}

fn projection(image: &MadeImage) -> Projection {
    read_instance(&image.file(), None).expect("a made image")
}

/// A mammogram of `bits` bits; signed ones start at the lowest negative value.
fn mammogram(stream: &str, (h, w): (usize, usize), side: &str, bits: u16, signed: bool) -> MadeImage {
    let offset = if signed { 1 << (bits - 1) } else { 0 };
    let samples =
        mammogram_u16(stream, h, w, side).into_iter().map(|v| (v >> (16 - bits)).wrapping_sub(offset)).collect();
    let bits_allocated = if bits == 8 { 8 } else { 16 };
    MadeImage { bits_allocated, bits_stored: bits, signed, ..MadeImage::new(h, w, samples) }
}

/// The same picture stored the other way round.
fn as_monochrome1(image: &MadeImage) -> MadeImage {
    // `low + high - v` is the complement of the stored bits, signed or not.
    let mask = ((1u32 << image.bits_stored) - 1) as u16;
    let samples = image.samples.iter().map(|v| !v & mask).collect();
    MadeImage { samples, photometric: "MONOCHROME1", ..image.clone() }
}

/// What skimage 0.26 and Pillow 13 give (numpy 2.4), the image as float32 but for `levels`.
struct Case {
    stream: &'static str,
    size: (usize, usize),
    side: &'static str,
    bits: u16,
    signed: bool,
    otsu: f32,
    levels: i32,
    kept: [usize; 4],
    /// crc32 of the box in 8 bits, resized to 80 × 96.
    min_max: u32,
    wrap: u32,
}

#[rustfmt::skip]
#[expect(clippy::excessive_precision, reason = "all digits that Python prints")]
const CASES: [Case; 5] = [
    Case { stream: "a", size: (211, 170), side: "left", bits: 16, signed: false, otsu: 9047.724609375, levels: 9062, kept: [20, 0, 189, 93], min_max: 0x6612b3aa, wrap: 0x44e0ebb9 },
    Case { stream: "b", size: (97, 300), side: "right", bits: 12, signed: false, otsu: 595.232421875, levels: 597, kept: [9, 134, 85, 299], min_max: 0x58932758, wrap: 0x1a29c65c },
    Case { stream: "c", size: (640, 333), side: "left", bits: 14, signed: false, otsu: 2261.986328125, levels: 125, kept: [63, 0, 576, 183], min_max: 0x454e076d, wrap: 0xed275566 },
    Case { stream: "d", size: (150, 150), side: "right", bits: 13, signed: true, otsu: -2965.1171875, levels: -2958, kept: [14, 66, 135, 149], min_max: 0x3fafc70b, wrap: 0x1ea33143 },
    Case { stream: "e", size: (64, 65), side: "left", bits: 8, signed: false, otsu: 35.3125, levels: 35, kept: [7, 0, 57, 35], min_max: 0xc0db5f7a, wrap: 0xe110c363 },
];

#[test]
fn thresholds_boxes_and_pixels_equal_skimage_and_pil() {
    for case in &CASES {
        let made = mammogram(case.stream, case.size, case.side, case.bits, case.signed);
        let histogram = Histogram::of(&projection(&made).pixels);
        assert_eq!(otsu_256_bins(&histogram, |v| v as f32), case.otsu, "{}: Otsu, float32", case.stream);
        assert_eq!(otsu_levels(&histogram), case.levels, "{}: Otsu, integers", case.stream);
        for image in [projection(&made), projection(&as_monochrome1(&made))] {
            for (mode, expected) in [(Uint8Mode::MinMax, case.min_max), (Uint8Mode::Wrap, case.wrap)] {
                let steps = [crop(HistogramSpec::Bins256, BoundsSpec::Truncate), bytes(mode), resize(80, 96)];
                let prepared = prepare(&steps, &image);
                let [r0, c0, r1, c1] = case.kept;
                let kept = PixelBox { rows: (r0, r1), columns: (c0, c1) };
                let Applied::CropForeground { kept: found, .. } = prepared.applied[0] else { panic!("no crop") };
                assert_eq!(found, kept, "{}: box", case.stream);
                assert_eq!(crc32(prepared.array.iter().map(|&v| [v as u8])), expected, "{}: {mode:?}", case.stream);
            }
        }
    }
}

#[test]
fn monochrome1_is_inverted_before_anything_else() {
    for (bits, signed) in [(8, false), (10, false), (12, true), (16, false), (16, true)] {
        let made = mammogram("m1", (120, 90), "right", bits, signed);
        for histogram in [HistogramSpec::Levels, HistogramSpec::Bins256] {
            for mode in [Uint8Mode::MinMax, Uint8Mode::Wrap] {
                let steps = [crop(histogram, BoundsSpec::FloorCeil), bytes(mode), scale(0.0, 255.0), repeat(2)];
                let [one, other] = [&made, &as_monochrome1(&made)].map(|image| prepare(&steps, &projection(image)));
                assert_eq!(one, other, "{bits} bits, signed {signed}, {mode:?}");
            }
        }
    }
}

/// One row of 12-bit values through ConvertToUint8 alone, with elements added to the header.
fn through(
    mode: Uint8Mode,
    photometric: &'static str,
    values: &[u16],
    extra: &[(dicom_core::Tag, VR, &str)],
) -> Vec<u8> {
    let image = MadeImage { bits_stored: 12, photometric, ..MadeImage::new(1, values.len(), values.to_vec()) };
    let mut object = image.object();
    for &(tag, vr, value) in extra {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    let image = read_instance(&file(object, uids::EXPLICIT_VR_LITTLE_ENDIAN), None).expect("a made image");
    prepare(&[bytes(mode)], &image).array.iter().map(|&v| v as u8).collect()
}

#[test]
fn windows_of_every_function_follow_the_modality_lut() {
    let window = |center, width, function| {
        vec![
            (tags::WINDOW_CENTER, VR::DS, center),
            (tags::WINDOW_WIDTH, VR::DS, width),
            (tags::VOILUT_FUNCTION, VR::CS, function),
        ]
    };
    let rescale = [(tags::RESCALE_SLOPE, VR::DS, "2"), (tags::RESCALE_INTERCEPT, VR::DS, "-1000")];
    // PS3.3 C.11.2.1.2.1 by hand, y in 0..=255: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255
    for (function, values, expected) in [
        ("LINEAR", [0, 523, 524, 525, 1000], [0, 0, 127, 255, 255]), // c 48.5, w 5: 46 -> 0, 48 -> middle, 50 -> 1
        ("LINEAR_EXACT", [0, 523, 524, 525, 1000], [0, 0, 102, 204, 255]), // 46 -> 0, 48 -> 0.4, 50 -> 0.8
        ("SIGMOID", [0, 523, 524, 525, 1000], [0, 30, 102, 195, 255]), // 1 / (1 + exp(-4 (x - c) / w))
    ] {
        let extra = [window("48.5", "5", function), rescale.to_vec()].concat();
        assert_eq!(through(Uint8Mode::VoiWindow, "MONOCHROME2", &values, &extra), expected, "{function}");
        // The window applies to stored values; MONOCHROME1 inverts what comes out, cut once, so 255 - y or one less.
        let inverted = through(Uint8Mode::VoiWindow, "MONOCHROME1", &values, &extra);
        for (found, expected) in inverted.iter().zip(expected) {
            assert!((254 - i32::from(expected)..=255 - i32::from(expected)).contains(&i32::from(*found)), "{function}");
        }
    }
    // Only the first of several windows counts.
    let several = window("2048\\5", "4096\\5", "LINEAR");
    assert_eq!(through(Uint8Mode::VoiWindow, "MONOCHROME2", &[0, 2047, 4095], &several), [0, 127, 255]);
}

#[test]
fn without_a_usable_window_the_whole_range_is_used() {
    let expected = through(Uint8Mode::MinMax, "MONOCHROME2", &[100, 300, 500], &[]);
    assert_eq!(expected, [0, 127, 255]);
    for (center, width) in [("", ""), ("10", "0"), ("10", "-3"), ("x", "5"), ("nan", "5"), ("10", "inf")] {
        let extra = [(tags::WINDOW_CENTER, VR::DS, center), (tags::WINDOW_WIDTH, VR::DS, width)];
        assert_eq!(
            through(Uint8Mode::VoiWindow, "MONOCHROME2", &[100, 300, 500], &extra),
            expected,
            "{center} {width}"
        );
    }
}

#[test]
fn min_max_wrap_and_the_direction_of_the_modality_lut() {
    assert_eq!(through(Uint8Mode::Wrap, "MONOCHROME2", &[0, 255, 256, 4095], &[]), [0, 255, 0, 255]);
    assert_eq!(through(Uint8Mode::Wrap, "MONOCHROME1", &[0, 255, 256, 4095], &[]), [255, 0, 255, 0]);
    assert_eq!(through(Uint8Mode::MinMax, "MONOCHROME2", &[7, 7], &[]), [0, 0]);
    let falling = [(tags::RESCALE_SLOPE, VR::DS, "-1")];
    assert_eq!(through(Uint8Mode::MinMax, "MONOCHROME2", &[0, 10], &falling), [255, 0]);
    assert_eq!(through(Uint8Mode::MinMax, "MONOCHROME1", &[0, 10], &falling), [0, 255]);
}

#[test]
fn images_without_foreground_stay_whole() {
    let steps =
        [crop(HistogramSpec::Bins256, BoundsSpec::Truncate), bytes(Uint8Mode::MinMax), resize(4, 4), scale(0.0, 255.0)];
    for (rows, columns) in [(1, 1), (1, 50), (50, 1), (2, 2), (7, 5)] {
        let constant = MadeImage::new(rows, columns, vec![900; rows * columns]);
        let prepared = prepare(&steps, &projection(&constant));
        let whole = PixelBox { rows: (0, rows), columns: (0, columns) };
        assert_eq!(prepared.applied[0], Applied::CropForeground { source: [rows, columns], kept: whole });
        assert!(prepared.array.iter().all(|&v| v == 0.0));
    }
}

#[test]
fn points_go_back_to_the_source() {
    let mut samples = vec![0; 40 * 30];
    (10..20).for_each(|r| (5..25).for_each(|c| samples[r * 30 + c] = 1000));
    let steps = [crop(HistogramSpec::Levels, BoundsSpec::FloorCeil), bytes(Uint8Mode::MinMax), resize(22, 11)];
    let prepared = prepare(&steps, &projection(&MadeImage::new(40, 30, samples)));
    // The contour runs half a pixel outside: rows 9.5..19.5, columns 4.5..24.5.
    let kept = PixelBox { rows: (9, 20), columns: (4, 25) };
    assert_eq!(prepared.applied[0], Applied::CropForeground { source: [40, 30], kept });
    assert_eq!(prepared.applied[1], Applied::Resize { from: [11, 21], to: [22, 11] });
    assert_eq!(prepared.to_source([0.0, 0.0]), [9.0, 4.0]);
    assert_eq!(prepared.to_source([22.0, 11.0]), [20.0, 25.0]);
    assert_eq!(prepared.array.dim(), (1, 22, 11));
}

#[test]
fn chains_whose_steps_do_not_fit_are_refused_in_words() {
    let cut = || crop(HistogramSpec::Levels, BoundsSpec::Truncate);
    let eight = || bytes(Uint8Mode::MinMax);
    for (steps, index, words) in [
        (vec![], 0, "expected ConvertToUint8"),
        (vec![cut()], 1, "expected ConvertToUint8"),
        (vec![cut(), cut(), eight()], 1, "only one CropForeground"),
        (vec![resize(8, 8), eight()], 0, "Resize pil_bilinear takes bytes"),
        (vec![eight(), eight()], 1, "ConvertToUint8 takes stored values"),
        (vec![eight(), cut()], 1, "CropForeground takes stored values"),
        (vec![eight(), resize(0, 8)], 1, "[0, 8]"),
        (vec![eight(), scale(3.0, 3.0)], 1, "a_min and a_max are both 3"),
        (vec![scale(0.0, 255.0)], 0, "ScaleIntensityRange takes bytes or floats"),
        (vec![eight(), repeat(3)], 1, "RepeatChannel takes floats of one channel"),
        (vec![eight(), scale(0.0, 1.0), repeat(0)], 2, "repeats is 0"),
        (vec![eight(), scale(0.0, 1.0), repeat(3), repeat(3)], 3, "floats of one channel"),
        (vec![eight(), normalize(&[0.5], &[0.5])], 1, "NormalizeIntensity takes floats"),
        (vec![eight(), scale(0.0, 1.0), normalize(&[0.5; 3], &[0.5; 3])], 2, "expected 1 (channels)"),
        (vec![eight(), scale(0.0, 1.0), normalize(&[0.5], &[0.0])], 2, "divisor has a 0"),
    ] {
        let error = TransformChain::new(&steps).expect_err(words);
        let TransformError::Chain { index: found, reason } = &error else { panic!("{error}") };
        assert!(*found == index && reason.contains(words), "{error}, expected {words:?} at {index}");
        assert!(error.to_string().starts_with(&format!("preprocessing[{index}]: ")));
    }
}

#[test]
fn floats_are_scaled_repeated_and_normalised() {
    let image = projection(&MadeImage::new(1, 3, vec![0, 51, 255]));
    let steps = [bytes(Uint8Mode::MinMax), scale(0.0, 255.0), repeat(2), normalize(&[0.5, 0.2], &[0.5, 0.1])];
    let prepared = prepare(&steps, &image);
    let expected = [-1.0, -0.6, 1.0, -2.0, 0.0, 8.0];
    assert!(prepared.array.iter().zip(expected).all(|(&v, e)| (v - e as f32).abs() < 1e-5), "{:?}", prepared.array);
    assert_eq!(prepared.array.dim(), (2, 1, 3));
    assert!(prepared.applied.is_empty());
}

#[test]
fn the_least_and_the_greatest_value_of_an_image_are_scaled() {
    let minmax =
        TransformSpec::ScaleIntensity(ScaleIntensitySpec { minv: -1.0, maxv: 1.0, per: ScaleIntensityPer::Slice });
    let image =
        projection(&MadeImage { bits_allocated: 8, bits_stored: 8, ..MadeImage::new(1, 4, vec![10, 60, 110, 35]) });
    // By wrap the bytes are the stored values, so that there is something left to scale.
    let prepared = prepare(&[bytes(Uint8Mode::Wrap), minmax.clone()], &image);
    assert_eq!(prepared.array.iter().copied().collect::<Vec<f32>>(), [-1.0, 0.0, 1.0, -0.5]);
    let constant = projection(&MadeImage { bits_allocated: 8, bits_stored: 8, ..MadeImage::new(1, 2, vec![9, 9]) });
    assert!(prepare(&[bytes(Uint8Mode::Wrap), minmax], &constant).array.iter().all(|v| *v == 9.0));
}

/// As the whole image in 8 bits, what is outside the mask set to 0, cut out, resized.
#[test]
fn a_region_is_what_it_is_in_the_whole_image() {
    let samples: Vec<u16> = (0..40 * 30).map(|i| (i * 7919 % 4001) as u16).collect();
    let image = projection(&MadeImage::new(40, 30, samples));
    let kept = PixelBox { rows: (5, 25), columns: (3, 28) };
    let mask = ndarray::Array2::from_shape_fn((40, 30), |(r, c)| u8::from((r + 2 * c) % 5 != 0));
    let whole = prepare(&[bytes(Uint8Mode::MinMax), scale(0.0, 255.0)], &image);
    for masked in [false, true] {
        let region = ImageRegion { kept, mask: masked.then(|| mask.clone()) };
        let chain =
            |steps: &[TransformSpec]| TransformChain::new(steps).unwrap().apply_to(&image, Some(&region)).unwrap();
        let found = chain(&[bytes(Uint8Mode::MinMax), scale(0.0, 255.0)]);
        assert_eq!(found.applied, [Applied::CropForeground { source: [40, 30], kept }]);
        let expected = ndarray::Array3::from_shape_fn((1, 20, 25), |(_, r, c)| {
            let inside = !masked || mask[[r + 5, c + 3]] == 1;
            if inside { whole.array[[0, r + 5, c + 3]] } else { 0.0 }
        });
        assert_eq!(found.array, expected);
        let small = chain(&[bytes(Uint8Mode::MinMax), resize(10, 10), scale(0.0, 255.0)]);
        let bytes = expected.index_axis(ndarray::Axis(0), 0).mapv(|v| (v * 255.0).round() as u8);
        let by_hand = orthanc_ai::transform::resize_pil_bilinear(bytes.view(), [10, 10]);
        assert_eq!(small.array.index_axis(ndarray::Axis(0), 0).mapv(|v| (v * 255.0).round() as u8), by_hand);
    }
    let outside = ImageRegion { kept: PixelBox { rows: (5, 41), columns: (3, 28) }, mask: None };
    let error = TransformChain::new(&[bytes(Uint8Mode::MinMax)]).unwrap().apply_to(&image, Some(&outside)).unwrap_err();
    assert!(error.to_string().contains("found a region that is not one of 40 × 30 pixels"), "{error}");
}
