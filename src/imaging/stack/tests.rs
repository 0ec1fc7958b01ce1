//! Frames made here, whose place is known: sorting, time points, and every reason to refuse.

use std::sync::Arc;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::Array2;

use super::*;
use crate::imaging::{FrameTimes, ImageAttributes};

/// (row direction, column direction)
const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
const CORONAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];
const SAGITTAL: [f64; 6] = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
const OBLIQUE: [f64; 6] = [0.8, 0.6, 0.0, -0.36, 0.48, 0.8];
const AXIAL_FEET_UP: [f64; 6] = [1.0, 0.0, 0.0, 0.0, -1.0, 0.0];

fn instance(n: usize) -> Arc<ImageAttributes> {
    let text = |tag: Tag, vr: VR, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let number = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let dataset = InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.4"),
        text(tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.{n}")),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "2.25.2"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.3"),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        number(tags::ROWS, 3),
        number(tags::COLUMNS, 4),
        number(tags::BITS_ALLOCATED, 16),
        number(tags::BITS_STORED, 16),
    ]);
    Arc::new(ImageAttributes::from_dataset(dataset).unwrap())
}

/// A slice whose values are all `value`.
fn frame(n: usize, orientation: [f64; 6], position_mm: [f64; 3], value: f32) -> SourceFrame {
    SourceFrame {
        instance: instance(n),
        frame: None,
        plane: Plane {
            position_mm,
            orientation,
            pixel_spacing_mm: [0.8, 0.6],
            slice_spacing_mm: Some(5.0),
            position_text: position_mm.map(|v| format!("{v:.5}")),
            orientation_text: orientation.map(|v| format!("{v}")),
            pixel_spacing_text: ["0.80".into(), "0.6".into()],
            thickness_text: Some("4.5".into()),
        },
        frame_of_reference_uid: Some("2.25.9".into()),
        times: FrameTimes::default(),
        values: Array2::from_elem((3, 4), value),
    }
}

/// `mm` along the normal, from one place for all orientations.
fn along(orientation: [f64; 6], mm: f64) -> [f64; 3] {
    let normal = frame(0, orientation, [0.0; 3], 0.0).plane.normal();
    std::array::from_fn(|axis| [-100.0, 50.0, 1000.0][axis] + mm * normal[axis])
}

/// Slices `spacing` apart, in an order that is none: value i lies at place i.
fn slices(orientation: [f64; 6], count: usize, spacing: f64) -> Vec<SourceFrame> {
    (0..count)
        .map(|n| 7 * n % count)
        .map(|i| frame(1000 - i, orientation, along(orientation, i as f64 * spacing), i as f32))
        .collect()
}

fn values(volume: &Volume) -> Vec<f32> {
    volume.voxels.slice(s![.., 0, 0]).to_vec()
}

fn refuse(frames: Vec<SourceFrame>, keywords: &[&str]) -> String {
    stack(frames, keywords).map(|v| v.len()).unwrap_err().to_string()
}

#[test]
fn slices_are_sorted_along_the_normal_in_every_orientation() {
    for orientation in [AXIAL, CORONAL, SAGITTAL, OBLIQUE, AXIAL_FEET_UP] {
        for spacing in [0.5, 3.3, 10.0] {
            let volumes = stack(slices(orientation, 11, spacing), &[]).unwrap();
            let [volume] = &volumes[..] else { panic!("{} volumes", volumes.len()) };
            assert_eq!(values(volume), (0..11).map(|v| v as f32).collect::<Vec<_>>());
            assert_eq!(volume.geometry.size, [11, 3, 4]);
            assert_eq!(volume.geometry.origin_mm, along(orientation, 0.0));
            let [s, r, c] = volume.geometry.spacing_mm();
            assert!((s - spacing).abs() < 1e-9 && (r - 0.8).abs() < 1e-9 && (c - 0.6).abs() < 1e-9);
            let there = volume.geometry.to_patient([10.0, 2.0, 3.0]);
            let expected: [f64; 3] = std::array::from_fn(|i| {
                along(orientation, 10.0 * spacing)[i] + 2.0 * 0.8 * orientation[3 + i] + 3.0 * 0.6 * orientation[i]
            });
            assert!(norm(sub(there, expected)) < 1e-9, "{there:?}, expected {expected:?}");
            assert!(volume.gantry_tilt_degrees() < 1e-6);
            // Each slice still knows its source.
            let uids: Vec<_> = volume.slices.iter().map(|s| s.instance.sop_instance_uid.as_str()).collect();
            assert_eq!((uids[0], uids[10]), ("2.25.1000", "2.25.990"));
            assert_eq!(volume.slices[10].position, along(orientation, 10.0 * spacing).map(|v| format!("{v:.5}")));
            assert_eq!(volume.slices[10].pixel_spacing, ["0.80", "0.6"]);
            assert_eq!(volume.slices[10].thickness.as_deref(), Some("4.5"));
        }
    }
}

#[test]
fn a_tilted_gantry_is_a_grid_of_slanted_steps() {
    let mut frames = slices(AXIAL, 9, 5.0);
    for frame in &mut frames {
        frame.plane.position_mm[1] += f64::from(frame.values[[0, 0]]) * 5.0 * 18.5f64.to_radians().tan();
    }
    let volume = stack(frames, &[]).unwrap().remove(0);
    assert!((volume.gantry_tilt_degrees() - 18.5).abs() < 1e-6);
    assert!((volume.geometry.steps_mm[0][2] - 5.0).abs() < 1e-9);
    assert!((volume.geometry.voxel_mm3() - 5.0 * 0.8 * 0.6).abs() < 1e-9);
}

#[test]
fn rounded_positions_are_regular_and_uneven_ones_are_not() {
    // Positions to 0.1 mm at 7 mm spacing: what one scanner writes.
    let mut frames = slices(OBLIQUE, 20, 7.0);
    for frame in &mut frames {
        frame.plane.position_mm = frame.plane.position_mm.map(|v| (v * 10.0).round() / 10.0);
    }
    assert!(stack(frames, &[]).is_ok());
    let moved = |mm: f64| {
        let mut frames = slices(AXIAL, 9, 5.0);
        let fourth = frames.iter_mut().find(|f| f.values[[0, 0]] == 4.0).unwrap();
        fourth.plane.position_mm[2] += mm;
        frames
    };
    assert!(stack(moved(0.09), &[]).is_ok());
    let error = refuse(moved(0.5), &[]);
    assert!(error.contains("unequal spacing: found 4.5 mm to 5.5 mm between slices, expected 5 mm"), "{error}");
    assert!(error.contains("the slice at 1020.5 mm lies 0.5 mm from its place"), "{error}");
}

#[test]
fn gaps_and_shifts_are_named() {
    for missing in [1.0, 5.0, 7.0] {
        let mut frames = slices(AXIAL, 9, 5.0);
        frames.retain(|f| f.values[[0, 0]] != missing);
        let error = refuse(frames, &[]);
        let after = 1000.0 + 5.0 * (missing - 1.0);
        assert!(
            error.contains(&format!("gap: 10 mm from the slice at {after} mm to the next, expected 5 mm")),
            "{error}"
        );
    }
    let mut frames = slices(SAGITTAL, 9, 5.0);
    let fourth = frames.iter_mut().find(|f| f.values[[0, 0]] == 4.0).unwrap();
    fourth.plane.position_mm[2] += 3.0;
    let error = refuse(frames, &[]);
    assert!(error.contains("shifted by 3 mm within its plane"), "{error}");
}

#[test]
fn what_all_slices_share_must_not_differ() {
    type Change = fn(&mut SourceFrame);
    let cases: [(Change, &str); 5] = [
        (|f| f.values = Array2::zeros((3, 5)), "Rows × Columns: found 3 × 5 in 1 of 9 frames, expected 3 × 4"),
        (
            |f| f.plane.pixel_spacing_mm = [0.8, 0.61],
            "PixelSpacing: found 0.8\\0.61 in 1 of 9 frames, expected 0.8\\0.6",
        ),
        (|f| f.plane.orientation = CORONAL, "ImageOrientationPatient: found 1\\0\\0\\0\\0\\-1 in 1 of 9 frames"),
        (
            |f| f.frame_of_reference_uid = Some("2.25.8".into()),
            "FrameOfReferenceUID: found another in 1 of 9 frames, expected one as",
        ),
        (|f| f.frame_of_reference_uid = None, "FrameOfReferenceUID: found none in 1 of 9 frames, expected one as"),
    ];
    for (change, words) in cases {
        let mut frames = slices(AXIAL, 9, 5.0);
        change(&mut frames[5]);
        let error = refuse(frames, &[]);
        assert!(error.contains(words) && !error.contains("2.25."), "{error}");
    }
    // Rounding is no difference.
    let mut frames = slices(AXIAL, 9, 5.0);
    frames[3].plane.orientation[1] += 1e-5;
    frames[4].plane.pixel_spacing_mm[0] += 1e-5;
    assert!(stack(frames, &[]).is_ok());
    assert_eq!(stack(Vec::new(), &[]).err(), Some(SeriesError::Empty));
}

#[test]
fn a_single_slice_is_as_thick_as_it_says() {
    let thick = |spacing| {
        let mut one = frame(1, SAGITTAL, [1.0, 2.0, 3.0], 0.0);
        one.plane.slice_spacing_mm = spacing;
        stack(vec![one], &[]).unwrap().remove(0).geometry.steps_mm[0]
    };
    // Row direction +y × column direction -z is -x.
    assert_eq!(thick(Some(6.5)), [-6.5, 0.0, 0.0]);
    assert_eq!(thick(None), [-1.0, 0.0, 0.0]);
}

/// Five positions at four times, in the order of acquisition; the value is the time point.
fn dynamic(times: impl Fn(usize, usize) -> Vec<(&'static str, i64)>) -> Vec<SourceFrame> {
    let all = (0..20).map(|n| (n / 5, 7 * n % 5));
    let made = all.map(|(time, place)| {
        let mut made = frame(100 * (9 - time) + place, AXIAL, along(AXIAL, place as f64 * 4.0), time as f32);
        made.times = FrameTimes::made(&times(time, place));
        made
    });
    made.collect()
}

#[test]
fn time_points_come_in_the_order_of_time_by_the_first_keyword_that_tells() {
    let by = |keywords: &[&str]| {
        // Instance UIDs go against time; the trigger time is one for all; the acquisition time differs by slice, and four
        // of five slices are equally many at each.
        let frames = dynamic(|t, p| {
            vec![
                ("TriggerTime", 0),
                ("AcquisitionNumber", [3, 1, 4, 2][t]),
                ("AcquisitionTime", (10 * t + p) as i64),
                ("TemporalPositionIdentifier", t as i64),
            ]
        });
        stack(frames, keywords).map(|v| v.iter().map(|v| values(v)[0]).collect::<Vec<_>>())
    };
    let ascending = vec![0.0, 1.0, 2.0, 3.0];
    assert_eq!(by(&["TemporalPositionIdentifier"]), Ok(ascending.clone()));
    let keywords =
        ["SeriesNumber", "TriggerTime", "AcquisitionTime", "TemporalPositionIdentifier", "AcquisitionNumber"];
    assert_eq!(by(&keywords), Ok(ascending));
    assert_eq!(by(&["AcquisitionNumber"]), Ok(vec![1.0, 3.0, 0.0, 2.0]));
    let error = by(&["SeriesNumber", "TriggerTime", "AcquisitionTime"]).unwrap_err().to_string();
    assert!(error.contains("20 frames lie at 5 positions (up to 4 at one)"), "{error}");
    assert!(
        error.contains(
            "SeriesNumber is absent, TriggerTime has one value, AcquisitionTime has 20 values of 1 frames; expected"
        ),
        "{error}"
    );
    assert!(by(&[]).unwrap_err().to_string().contains("no attribute was looked at"));
}

#[test]
fn equally_large_groups_that_are_no_volumes_do_not_count() {
    // Interleaved slices: each time has one slice of each half, never the whole volume.
    let frames = dynamic(|t, p| vec![("AcquisitionTime", (t * 10 + p % 2) as i64), ("ContentTime", (t % 2) as i64)]);
    let error = refuse(frames, &["AcquisitionTime", "ContentTime"]);
    assert!(error.contains("AcquisitionTime has 8 values of 2 or 3 frames, ContentTime has 2 values of 10"), "{error}");
}

#[test]
fn a_time_point_without_a_slice_or_with_one_twice_is_named() {
    let times = |t: usize, _: usize| vec![("TemporalPositionIdentifier", t as i64)];
    let keywords = ["TriggerTime", "TemporalPositionIdentifier"];
    let mut frames = dynamic(times);
    frames.retain(|f| !(f.values[[0, 0]] == 2.0 && f.plane.position_mm[2] == 1012.0));
    let error = refuse(frames, &keywords);
    assert!(error.contains("time point 3 of 4 (by TemporalPositionIdentifier): no slice at 1012 mm"), "{error}");
    let mut frames = dynamic(times);
    let mut again = frames[7].clone();
    again.instance = instance(5000);
    frames.push(again);
    let error = refuse(frames, &keywords);
    assert!(error.contains("time point 2 of 4 (by TemporalPositionIdentifier): 2 frames at 10"), "{error}");
    let mut frames = dynamic(times);
    frames.push(frames[7].clone());
    let error = refuse(frames, &keywords);
    assert!(error.contains("an instance is there twice: found 21 frames, expected 20"), "{error}");
    // One volume, one slice twice: nothing to do with time.
    let mut frames = slices(AXIAL, 9, 5.0);
    let mut again = frames[2].clone();
    again.instance = instance(5000);
    frames.push(again);
    let error = refuse(frames, &keywords);
    assert!(error.contains("10 frames lie at 9 positions (up to 2 at one)"), "{error}");
}

#[test]
fn a_slice_that_no_time_point_has_is_a_gap() {
    let mut frames = dynamic(|t, _| vec![("TriggerTime", t as i64)]);
    frames.retain(|f| f.plane.position_mm[2] != 1008.0);
    let error = refuse(frames, &["TriggerTime"]);
    assert!(error.contains("gap: 8 mm from the slice at 1004 mm"), "{error}");
}

/// Nine values at each of 4000 positions are 36 000 frames: a table of values by positions would take a terabyte.
#[test]
fn as_many_values_as_frames_cost_no_more_than_frames() {
    let of = |frame: i64| FrameTimes::made(&[("AcquisitionTime", frame), ("TriggerTime", frame / 4000)]);
    let slots: Vec<usize> = (0..36_000).map(|i| i % 4000).collect();
    let positions: Vec<f64> = (0..4000).map(f64::from).collect();
    let times: Vec<FrameTimes> = (0..36_000).map(of).collect();
    let times: Vec<&FrameTimes> = times.iter().collect();
    let error = super::time_points(&slots, &positions, &times, &["AcquisitionTime"]).unwrap_err().to_string();
    assert!(error.contains("AcquisitionTime has 36000 values of 1 frames"), "{error}");
    let (keyword, groups) =
        super::time_points(&slots, &positions, &times, &["AcquisitionTime", "TriggerTime"]).unwrap();
    assert_eq!((keyword, groups.len(), groups[8][3999]), ("TriggerTime", 9, 35_999));
}

#[test]
fn a_frame_without_its_date_is_not_the_first() {
    let frames = dynamic(|_, _| Vec::new());
    let timed = |frame: SourceFrame| {
        let (time, first) = (frame.values[[0, 0]] as usize, frame.plane.position_mm[2] == 1000.0);
        let mut dataset = InMemDicomObject::new_empty();
        dataset.put(DataElement::new(tags::ACQUISITION_TIME, VR::TM, format!("10{time:02}00")));
        if !(time == 2 && first) {
            dataset.put(DataElement::new(tags::ACQUISITION_DATE, VR::DA, "20240102"));
        }
        SourceFrame { times: FrameTimes::read(&dataset, None, 0), ..frame }
    };
    let volumes = stack(frames.into_iter().map(timed).collect(), &["AcquisitionTime"]).unwrap();
    assert_eq!(volumes.iter().map(|v| values(v)[0]).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0]);
}
