//! Volumes through the chain and back: nothing is shifted, turned or mirrored on the way, on any grid.

use ndarray::{Array3, Array4, Axis, s};
use orthanc_ai::imaging::{Geometry, Volume};
use orthanc_ai::manifest::task::{AsDiscreteSpec, BinaryErosionSpec, FillHolesSpec, InvertSpec, KeepLargestSpec};
use orthanc_ai::manifest::transform::*;
use orthanc_ai::manifest::{InvertMode, PostprocessingSpec};
use orthanc_ai::predict::measure;
use orthanc_ai::transform::{AppliedVolume, PreparedVolume, TransformError, VolumeChain};
use orthanc_ai::transform::{invert_mask, invert_probability, postprocess};

const MODES: [InvertMode; 2] = [InvertMode::Nearest, InvertMode::Linear];

fn crop(roi_size: [i64; 3]) -> TransformSpec {
    TransformSpec::CenterSpatialCrop(CenterSpatialCropSpec { roi_size })
}

fn resize(size: [usize; 3]) -> TransformSpec {
    TransformSpec::Resize(ResizeSpec { spatial_size: size.to_vec(), mode: ResizeMode::ZoomLinear })
}

fn scale(minv: f32, maxv: f32, per: ScaleIntensityPer) -> TransformSpec {
    TransformSpec::ScaleIntensity(ScaleIntensitySpec { minv, maxv, per })
}

fn as_discrete(threshold: f32) -> PostprocessingSpec {
    PostprocessingSpec::AsDiscrete(AsDiscreteSpec { threshold })
}

fn invert(mode: InvertMode) -> PostprocessingSpec {
    PostprocessingSpec::Invert(InvertSpec { mode })
}

/// Steps of a grid whose rows of voxels run along `right` and `down` (unit vectors, ImageOrientationPatient's order).
fn grid(size: [usize; 3], spacing: [f64; 3], right: [f64; 3], down: [f64; 3], tilt: f64) -> Geometry {
    let normal = [
        right[1] * down[2] - right[2] * down[1],
        right[2] * down[0] - right[0] * down[2],
        right[0] * down[1] - right[1] * down[0],
    ];
    let along = |direction: [f64; 3], step: f64| direction.map(|v| v * step);
    let slice = std::array::from_fn(|i| normal[i] * spacing[0] + down[i] * tilt);
    Geometry {
        size,
        origin_mm: [-61.5, 33.25, -120.0],
        steps_mm: [slice, along(down, spacing[1]), along(right, spacing[2])],
        frame_of_reference_uid: None,
    }
}

fn axial(size: [usize; 3]) -> Geometry {
    grid(size, [2.0, 0.8, 0.7], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], 0.0)
}

fn volume(geometry: Geometry, value: impl FnMut((usize, usize, usize)) -> f32) -> Volume {
    let [slices, rows, columns] = geometry.size;
    Volume { voxels: Array3::from_shape_fn((slices, rows, columns), value), geometry, slices: Vec::new() }
}

fn prepare(steps: &[TransformSpec], volumes: &[Volume]) -> PreparedVolume {
    VolumeChain::new(steps).unwrap().apply(volumes).unwrap()
}

fn channel(prepared: &PreparedVolume, channel: usize) -> Array3<f32> {
    prepared.array.index_axis(Axis(0), channel).to_owned()
}

fn random_mask(size: [usize; 3], percent: u64, mut state: u64) -> Array3<u8> {
    Array3::from_shape_simple_fn(size, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::from((state >> 33) % 100 < percent)
    })
}

/// What a crop keeps of an axis, by the rule of the manifest.
fn kept(size: usize, roi: i64) -> std::ops::Range<usize> {
    let roi = if roi == -1 { size } else { roi as usize };
    (size - roi) / 2..(size - roi) / 2 + roi
}

const SIZES: [[usize; 3]; 6] = [[12, 20, 15], [7, 8, 9], [1, 16, 11], [10, 1, 13], [9, 14, 1], [1, 1, 1]];

/// Crops that fit the sizes above.
fn crops(size: [usize; 3]) -> [[i64; 3]; 4] {
    let less = |by: usize| size.map(|d| d.saturating_sub(by).max(1) as i64);
    [[-1; 3], less(1), less(4), [-1, less(3)[1], less(6)[2]]]
}

#[test]
fn values_come_back_to_their_voxels() {
    // Linear along each axis, and in no other two places equal: interpolation gives it back exactly.
    let ramp = |(s, r, c): (usize, usize, usize)| (100 * s) as f32 + r as f32 + c as f32 / 100.0;
    for size in SIZES {
        for roi in crops(size) {
            for to in [None, Some([16, 16, 16]), Some([31, 6, 40]), Some([3, 40, 5]), Some([2, 2, 2])] {
                let source = volume(axial(size), ramp);
                let steps: Vec<_> = [Some(crop(roi)), to.map(resize)].into_iter().flatten().collect();
                let prepared = prepare(&steps, std::slice::from_ref(&source));
                let back = invert_probability(channel(&prepared, 0), &prepared.applied, InvertMode::Linear).unwrap();

                let boxed: [_; 3] = std::array::from_fn(|i| kept(size[i], roi[i]));
                let mut expected = Array3::zeros(source.voxels.raw_dim());
                let inside = s![boxed[0].clone(), boxed[1].clone(), boxed[2].clone()];
                expected.slice_mut(inside).assign(&source.voxels.slice(inside));
                let worst = (&back - &expected).iter().fold(0f32, |worst, d| worst.max(d.abs()));
                assert!(worst < 1e-3, "{size:?}, crop {roi:?}, resize {to:?}: {worst}");
                assert_eq!(prepared.analysed_voxels(), boxed.iter().map(|b| b.len()).product::<usize>());
            }
        }
    }
}

#[test]
fn the_prepared_grid_lies_where_its_values_come_from() {
    // The value of a voxel is its place in the patient, along a direction that no axis is normal to.
    let geometry = grid([9, 14, 11], [2.5, 0.8, 0.7], [0.8, 0.6, 0.0], [0.0, 0.0, -1.0], 0.4);
    let place = |mm: [f64; 3]| (mm[0] + 3.0 * mm[1] - 2.0 * mm[2]) as f32;
    let at = |(s, r, c): (usize, usize, usize)| [s, r, c].map(|i| i as f64);
    let source = volume(geometry.clone(), |index| place(geometry.to_patient(at(index))));
    let steps = [crop([8, -1, 6]), resize([5, 20, 9]), crop([-1, 11, 4]), resize([6, 1, 4])];
    for count in 0..=steps.len() {
        let prepared = prepare(&steps[..count], std::slice::from_ref(&source));
        assert_eq!(prepared.geometry.size, <[usize; 3]>::from(channel(&prepared, 0).dim()));
        for (index, value) in channel(&prepared, 0).indexed_iter() {
            let expected = place(prepared.geometry.to_patient(at(index)));
            assert!((value - expected).abs() < 2e-4, "{count} steps, {index:?}: {value}, expected {expected}");
        }
    }
}

#[test]
fn masks_come_back_exactly_where_the_grid_is_not_coarser() {
    for (size, seed) in SIZES.into_iter().zip(1..) {
        for roi in crops(size) {
            // At least three voxels for one: the nearest one has more than half of the voxel's value.
            let fine: [usize; 3] = std::array::from_fn(|i| 3 * kept(size[i], roi[i]).len() + 1);
            for to in [None, Some(fine)] {
                let mask = random_mask(size, 40, seed);
                let source = volume(axial(size), |index| f32::from(mask[index]));
                let steps: Vec<_> = [Some(crop(roi)), to.map(resize)].into_iter().flatten().collect();
                let prepared = prepare(&steps, &[source]);
                let mut expected = Array3::zeros(size);
                let boxed: [_; 3] = std::array::from_fn(|i| kept(size[i], roi[i]));
                let inside = s![boxed[0].clone(), boxed[1].clone(), boxed[2].clone()];
                expected.slice_mut(inside).assign(&mask.slice(inside));
                let prepared_mask = channel(&prepared, 0).mapv(|v| u8::from(v >= 0.5));
                let back = invert_mask(prepared_mask.view(), &prepared.applied, InvertMode::Nearest).unwrap();
                assert_eq!(back, expected, "{size:?}, crop {roi:?}, resize {to:?}");
                if to.is_none() {
                    let linear = invert_mask(prepared_mask.view(), &prepared.applied, InvertMode::Linear).unwrap();
                    assert_eq!(linear, expected, "{size:?}, crop {roi:?}: linear");
                }
            }
        }
    }
}

#[test]
fn nearest_and_half_are_decided_as_stated() {
    // Five voxels to nine: every second source voxel lies half-way.
    let applied = [AppliedVolume::Resize { from: [1, 1, 9], to: [1, 1, 5] }];
    let mask = ndarray::array![[[0, 1, 0, 0, 1]]];
    let of = |mode| invert_mask(mask.view(), &applied, mode).unwrap().into_raw_vec_and_offset().0;
    assert_eq!(of(InvertMode::Linear), [0, 1, 1, 1, 0, 0, 0, 1, 1]);
    assert_eq!(of(InvertMode::Nearest), [0, 1, 1, 0, 0, 0, 0, 1, 1]);
    // A third and a sixth are a half.
    let applied = [AppliedVolume::Resize { from: [1, 4, 4], to: [1, 2, 2] }];
    let mask = ndarray::array![[[0, 1], [1, 0]]];
    let linear = invert_mask(mask.view(), &applied, InvertMode::Linear).unwrap();
    let share = |r: usize, c: usize| r * (3 - c) + (3 - r) * c; // ninths
    assert_eq!(linear, Array3::from_shape_fn((1, 4, 4), |(_, r, c)| u8::from(2 * share(r, c) >= 9)));

    let wrong = invert_mask(Array3::zeros((1, 2, 3)).view(), &applied, InvertMode::Linear).unwrap_err();
    assert_eq!(wrong.to_string(), "Invert: found 1 × 2 × 3 voxels, expected 1 × 2 × 2");
}

#[test]
fn balls_come_back_to_their_place_in_the_patient() {
    let (size, half) = ([34, 60, 52], 0.5f64.sqrt());
    let grids = [
        ("axial", axial(size)),
        ("coronal", grid(size, [2.0, 1.0, 0.9], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0], 0.0)),
        ("sagittal", grid(size, [1.5, 0.8, 0.8], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0], 0.0)),
        ("oblique", grid(size, [1.8, 0.7, 0.9], [0.8, 0.6, 0.0], [-0.6 * half, 0.8 * half, half], 0.0)),
        ("tilted", grid(size, [2.0, 0.8, 0.8], [1.0, 0.0, 0.0], [0.0, 0.8, 0.6], 0.35)),
    ];
    // Place (as index) and radius in mm.
    let balls = [([16.0, 30.0, 25.0], 8.0), ([10.3, 17.8, 36.4], 6.0), ([22.6, 41.2, 13.7], 7.5)];
    let steps = [crop([30, -1, 50]), scale(0.0, 1.0, ScaleIntensityPer::Channel), resize([48, 44, 40])];
    for ((name, geometry), (index, radius)) in grids.iter().flat_map(|g| balls.map(|b| (g, b))) {
        let center = geometry.to_patient(index);
        let from_center = |index: (usize, usize, usize)| {
            let place = geometry.to_patient([index.0, index.1, index.2].map(|i| i as f64));
            (0..3).map(|i| (place[i] - center[i]).powi(2)).sum::<f64>().sqrt()
        };
        // A soft edge of a millimetre and a half on either side; half at the radius.
        let soft = |index| (0.5 + (radius - from_center(index)) / 3.0).clamp(0.0, 1.0) as f32;
        let source = volume(geometry.clone(), |index| 1000.0 * soft(index));
        let prepared = prepare(&steps, std::slice::from_ref(&source));
        // The "network" finds what is bright.
        for mode in MODES {
            for order in [[as_discrete(0.5), invert(mode)], [invert(mode), as_discrete(0.5)]] {
                let what = format!("{name}, {index:?}, {order:?}");
                let mask = postprocess(&prepared.array, &order, &prepared.applied).unwrap().remove(0);
                let lesion =
                    measure(mask.view(), geometry, &[source.voxels.view()], prepared.analysed_voxels()).unwrap();

                let mut sum = [0.0; 3];
                for ((s, r, c), _) in mask.indexed_iter().filter(|(_, v)| **v == 1) {
                    (0..3).for_each(|i| sum[i] += [s, r, c][i] as f64);
                }
                let middle = sum.map(|v| v / lesion.voxels as f64);
                assert!((0..3).all(|i| (middle[i] - index[i]).abs() < 0.5), "{what}: centre at {middle:?}");

                let ml = 4.0 / 3.0 * std::f64::consts::PI * radius.powi(3) / 1000.0;
                assert!((lesion.volume_ml / ml - 1.0).abs() < 0.12, "{what}: {} ml, expected {ml}", lesion.volume_ml);
                let spacing = geometry.spacing_mm().into_iter().fold(0.0, f64::max);
                let axis = lesion.long_axis;
                assert!((axis.length_mm - 2.0 * radius).abs() < 1.5 * spacing, "{what}: {} mm", axis.length_mm);
                for (i, coordinate) in center.iter().enumerate() {
                    let middle = (axis.from_mm[i] + axis.to_mm[i]) / 2.0;
                    assert!((middle - coordinate).abs() < spacing, "{what}: middle of the axis, coordinate {i}");
                }
                assert!((lesion.outline.slice as f64 - index[0]).abs() <= 1.0, "{what}: {}", lesion.outline.slice);
                let mean = |i: usize| {
                    let points = &lesion.outline.points[1..];
                    let ends = |pick: fn(f32, f32) -> f32, start| points.iter().map(|p| p[i]).fold(start, pick);
                    f64::from(ends(f32::min, f32::MAX) + ends(f32::max, f32::MIN)) / 2.0
                };
                assert!((mean(0) - 0.5 - index[2]).abs() < 1.0, "{what}: outline around column {}", mean(0));
                // Tilted slices meet the ball off the middle, by little.
                assert!((mean(1) - 0.5 - index[1]).abs() < 1.5, "{what}: outline around row {}", mean(1));
                assert!(lesion.channel_means[0] > 500.0 && lesion.channel_means[0] < 1000.0, "{what}");
            }
        }
    }
}

#[test]
fn masks_at_the_border_come_back_to_the_border() {
    let size = [9, 12, 10];
    let steps = [crop([7, -1, 8]), resize([21, 36, 24])];
    let prepared = prepare(&steps, &[volume(axial(size), |_| 1.0)]);
    for mode in MODES {
        let ones = prepared.array.map(|_| 1);
        let back = invert_mask(ones.index_axis(Axis(0), 0), &prepared.applied, mode).unwrap();
        let inside = |(s, r, c): (usize, usize, usize)| (1..8).contains(&s) && r < 12 && (1..9).contains(&c);
        assert_eq!(back, Array3::from_shape_fn(size, |index| u8::from(inside(index))), "{mode:?}");
        // The crop's corners alone.
        let mut corners = Array3::zeros((21, 36, 24));
        let ends = [[0, 20], [0, 35], [0, 23]];
        ends[0]
            .iter()
            .for_each(|&s| ends[1].iter().for_each(|&r| ends[2].iter().for_each(|&c| corners[[s, r, c]] = 1)));
        let back = invert_mask(corners.view(), &prepared.applied, mode).unwrap();
        let corner = |(s, r, c)| [1, 7].contains(&s) && [0, 11].contains(&r) && [1, 8].contains(&c);
        assert_eq!(back, Array3::from_shape_fn(size, |index| u8::from(corner(index))), "{mode:?}");
    }
}

#[test]
fn postprocessing_follows_its_order() {
    // A thick ring around a hole, a bridge to nowhere, and a smaller ball of full brightness.
    let ball =
        |at: [i64; 3], center: [i64; 3], r: i64| (0..3).map(|i| (at[i] - center[i]).pow(2)).sum::<i64>() <= r * r;
    let probability = Array4::from_shape_fn((1, 20, 24, 28), |(_, s, r, c)| {
        let at = [s as i64, r as i64, c as i64];
        let ring = ball(at, [9, 11, 10], 8) && !ball(at, [9, 11, 10], 3);
        if ring {
            0.8
        } else if ball(at, [15, 18, 23], 3) {
            1.0
        } else {
            0.1
        }
    });
    let erode = PostprocessingSpec::BinaryErosion(BinaryErosionSpec { size: [3; 3] });
    let fill = PostprocessingSpec::FillHoles(FillHolesSpec {});
    let largest = PostprocessingSpec::KeepLargestConnectedComponent(KeepLargestSpec {});
    let applied = [AppliedVolume::CenterSpatialCrop { from: [24, 24, 30], start: [2, 0, 1], size: [20, 24, 28] }];
    let run =
        |steps: &[PostprocessingSpec]| postprocess(&probability, steps, &applied).map(|mut masks| masks.remove(0));

    let steps = [as_discrete(0.7), erode.clone(), fill.clone(), largest.clone(), invert(InvertMode::Nearest)];
    let mask = run(&steps).unwrap();
    assert_eq!(mask.dim(), (24, 24, 30));
    assert_eq!((mask[[11, 11, 11]], mask[[17, 18, 24]]), (1, 0), "the hole is filled, the ball is gone");
    // The inverse of a crop moves whole voxels: it may come anywhere.
    for place in 0..4 {
        let mut order = steps[..4].to_vec();
        order.insert(place, invert(InvertMode::Linear));
        assert_eq!(run(&order).unwrap(), mask, "Invert at {place}");
    }
    let ring = run(&[as_discrete(0.7), largest, invert(InvertMode::Nearest)]).unwrap();
    assert_eq!((ring[[11, 11, 11]], ring[[11, 11, 5]]), (0, 1));
    assert_eq!(run(&[as_discrete(0.9), invert(InvertMode::Nearest)]).unwrap()[[17, 18, 24]], 1);
    let eroded = run(&[as_discrete(0.999), erode.clone(), fill, invert(InvertMode::Linear)]).unwrap();
    // (|x| + 1)² + (|y| + 1)² + (|z| + 1)² <= 3²
    assert_eq!(eroded.sum(), 19, "of a ball of radius 3 the erosion leaves a cube of 3 without its corners");

    let message = |steps: &[PostprocessingSpec]| run(steps).unwrap_err().to_string();
    assert!(message(&[erode, as_discrete(0.5)]).starts_with("postprocessing[0]: takes a mask"));
    assert!(message(&[as_discrete(0.5), as_discrete(0.5)]).starts_with("postprocessing[1]: AsDiscrete"));
    assert!(message(&[invert(InvertMode::Linear)]).starts_with("postprocessing[1]: ends with probabilities"));
    let mut spoilt = probability.clone();
    spoilt[[0, 3, 3, 3]] = f32::NAN;
    assert!(postprocess(&spoilt, &[as_discrete(0.5)], &applied).is_err());
}

#[test]
fn intensities_are_scaled_as_stated() {
    let size = [3, 2, 4];
    let value = |(s, r, c): (usize, usize, usize)| if s == 1 { 7.0 } else { (10 * s + 4 * r + c) as f32 };
    let volumes = [volume(axial(size), value), volume(axial(size), |index| 2.0 * value(index))];

    let sliced = prepare(&[scale(-1.0, 1.0, ScaleIntensityPer::Slice)], &volumes);
    for ((_, s, r, c), &found) in sliced.array.indexed_iter() {
        // A constant slice stays as it is.
        let expected = if s == 1 { None } else { Some((4 * r + c) as f32 / 7.0 * 2.0 - 1.0) };
        assert!(expected.is_none_or(|e| (found - e).abs() < 1e-6), "{found}, expected {expected:?}");
    }
    assert_eq!([sliced.array[[0, 1, 0, 0]], sliced.array[[1, 1, 1, 3]]], [7.0, 14.0]);

    let by_channel = prepare(&[scale(0.0, 1.0, ScaleIntensityPer::Channel)], &volumes);
    assert_eq!(channel(&by_channel, 0), volumes[0].voxels.mapv(|v| v / 27.0));
    assert_eq!(channel(&by_channel, 1), channel(&by_channel, 0), "a factor does not matter");

    let range = ScaleIntensityRangeSpec { a_min: 0.0, a_max: 2.0, b_min: 5.0, b_max: 3.0 };
    let normalize = NormalizeIntensitySpec { subtrahend: vec![1.0, 2.0], divisor: vec![2.0, 4.0] };
    let steps = [
        TransformSpec::ScaleIntensityRange(range),
        TransformSpec::NormalizeIntensity(normalize.clone()),
        scale(0.0, 1.0, ScaleIntensityPer::Channel),
    ];
    let falling = prepare(&steps[..2], &volumes);
    assert_eq!(channel(&falling, 0), volumes[0].voxels.mapv(|v| (v / 2.0 * -2.0 + 5.0 - 1.0) / 2.0));
    assert_eq!(channel(&falling, 1), volumes[1].voxels.mapv(|v| (v / 2.0 * -2.0 + 5.0 - 2.0) / 4.0));
    // A crop that leaves the constant slice alone leaves no image.
    for per in [ScaleIntensityPer::Slice, ScaleIntensityPer::Channel] {
        let steps = [crop([1, -1, -1]), scale(0.0, 1.0, per), resize([1, 2, 4])];
        let error = VolumeChain::new(&steps).unwrap().apply(&volumes).unwrap_err().to_string();
        assert!(error.contains("volume 0: found the value 7 in every voxel, expected an image"), "{error}");
    }

    let short = NormalizeIntensitySpec { subtrahend: vec![1.0], ..normalize };
    let error = VolumeChain::new(&[TransformSpec::NormalizeIntensity(short)]).unwrap().apply(&volumes).unwrap_err();
    let expected = "NormalizeIntensity: found 1 subtrahends and 2 divisors, expected 2 (volumes)";
    assert_eq!(error.to_string(), expected);
}

/// The chain puts off what it can; each step on its own cannot.
#[test]
fn a_chain_equals_its_steps_one_by_one() {
    let source = volume(axial([5, 5, 6]), |(s, r, c)| (10 * s + (s + 1) * (r * c)) as f32);
    let slice = ScaleIntensityPer::Slice;
    let steps = [scale(0.0, 1.0, slice), crop([2, -1, 5]), resize([3, 4, 4]), scale(2.0, 3.0, slice), crop([1, 3, -1])];
    let found = prepare(&steps, std::slice::from_ref(&source));
    let alone = |step: &TransformSpec, voxels: Array3<f32>| {
        let geometry = axial(voxels.dim().into());
        channel(&prepare(std::slice::from_ref(step), &[Volume { geometry, voxels, slices: Vec::new() }]), 0)
    };
    let expected = steps.iter().fold(source.voxels.clone(), |voxels, step| alone(step, voxels));
    assert_eq!(channel(&found, 0), expected);
}

#[test]
fn impossible_input_is_refused_in_words() {
    let chain = |steps: &[TransformSpec]| VolumeChain::new(steps).unwrap();
    let one = || volume(axial([3, 4, 5]), |index| index.2 as f32);
    let message = |steps: &[TransformSpec], volumes: &[Volume]| chain(steps).apply(volumes).unwrap_err().to_string();
    assert_eq!(
        message(&[crop([2, -1, 6])], &[one()]),
        "CenterSpatialCrop: found 3 × 4 × 5 voxels, expected at least 2 × 4 × 6"
    );
    assert_eq!(message(&[], &[]), "preprocessing: found no volume, expected one or more");
    let other = volume(axial([3, 5, 4]), |_| 0.0);
    assert_eq!(message(&[], &[one(), other]), "preprocessing: volume 1: found 3 × 5 × 4 voxels, expected 3 × 4 × 5");
    assert_eq!(message(&[], &[volume(axial([0, 4, 4]), |_| 0.0)]), "preprocessing: the volume has 0 × 4 × 4 voxels");
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut spoilt = one();
        spoilt.voxels[[2, 3, 1]] = bad;
        let steps = [scale(0.0, 1.0, ScaleIntensityPer::Slice)];
        assert!(message(&steps, &[one(), spoilt.clone()]).starts_with("ScaleIntensity: volume 1, slice 2: "), "{bad}");
        assert!(message(&[resize([3, 4, 5])], &[spoilt.clone()]).starts_with("preprocessing: "), "{bad}");
        // Not where the network does not look.
        assert!(chain(&[crop([1, -1, -1]), steps[0].clone()]).apply(&[spoilt]).is_ok());
    }
    let mut wide = one();
    (wide.voxels[[0, 0, 0]], wide.voxels[[0, 0, 1]]) = (f32::MAX, f32::MIN);
    assert!(chain(&[scale(0.0, 1.0, ScaleIntensityPer::Channel)]).apply(&[wide]).is_err());

    let convert = TransformSpec::ConvertToUint8(ConvertToUint8Spec { mode: Uint8Mode::MinMax });
    let pil = ResizeSpec { spatial_size: vec![4, 4], mode: ResizeMode::PilBilinear };
    let flat = ResizeSpec { spatial_size: vec![4, 4], mode: ResizeMode::ZoomLinear };
    for bad in [convert, TransformSpec::Resize(pil), TransformSpec::Resize(flat), crop([0, 1, 1]), resize([1, 0, 1])] {
        let refused = VolumeChain::new(&[crop([1, 1, 1]), bad.clone()]);
        assert!(matches!(refused, Err(TransformError::Chain { index: 1, .. })), "{bad:?}");
    }
}
