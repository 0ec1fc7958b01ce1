//! Which series a study's headers give.

use std::collections::BTreeMap;

use dicom_core::Tag;

use super::*;
use crate::manifest::{Condition, FoundChannelSpec, InputSpec, SelectSpec};
use crate::run::select::select;
use crate::source::InstanceId;

fn rule(mismatch: MismatchPolicy) -> InputSpec {
    let condition = |keyword: &str, equals: Option<&str>, lacks: Option<&str>| Condition {
        keyword: keyword.into(),
        equals: equals.map(Into::into),
        lacks: lacks.map(Into::into),
        ..Condition::default()
    };
    InputSpec {
        conditions: vec![condition("Modality", Some("MR"), None), condition("ImageType", None, Some("LOCALIZER"))],
        select: SelectSpec::Volumes(VolumesSpec {
            channels: ["pre", "early", "peak", "late"].map(|name| ChannelSpec::Named(name.into())).to_vec(),
            time_points: vec![TimePointKey::TemporalPositionIdentifier, TimePointKey::AcquisitionTime],
            min_slices: 3,
            mismatch,
        }),
        region_of_interest: None,
        plausibility: Vec::new(),
    }
}

/// A series of slices that were taken at `time`, with further attributes.
fn series(number: usize, slices: usize, time: &str, more: &[(Tag, &str)]) -> Vec<InstanceHeader> {
    let header = |i: usize| {
        let mut values: BTreeMap<Tag, String> = [
            (tags::MODALITY, "MR"),
            (tags::STUDY_INSTANCE_UID, "1.2"),
            (tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\M"),
            (tags::ROWS, "256"),
            (tags::COLUMNS, "256"),
            (tags::PIXEL_SPACING, "1.0\\1.0"),
            (tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0"),
            (tags::FRAME_OF_REFERENCE_UID, "1.2.9"),
            (tags::ACQUISITION_DATE, "20200101"),
            (tags::ACQUISITION_TIME, time),
            (tags::SERIES_NUMBER, "7"),
        ]
        .map(|(tag, value)| (tag, value.to_string()))
        .into();
        values.insert(tags::IMAGE_POSITION_PATIENT, format!("0\\0\\{}", 2 * i));
        values.insert(tags::SERIES_INSTANCE_UID, format!("1.2.{number}"));
        values.insert(tags::SOP_INSTANCE_UID, format!("1.2.{number}.{i}"));
        values.extend(more.iter().map(|(tag, value)| (*tag, value.to_string())));
        InstanceHeader::new(InstanceId(format!("{number}-{i}")), values)
    };
    (0..slices).map(header).collect()
}

/// Series 1 to 4, numbered against the order of time.
fn study() -> Vec<InstanceHeader> {
    ["100300", "100200.5", "100200.25", "100100"]
        .iter()
        .enumerate()
        .flat_map(|(i, time)| series(i + 1, 4, time, &[]))
        .collect()
}

fn groups(selection: &Selection) -> Vec<(String, String)> {
    let mut groups: Vec<(usize, String, String)> = selection
        .inputs
        .iter()
        .map(|i| (i.group, i.view.clone(), i.id.0.split('-').next().unwrap_or_default().to_string()))
        .collect();
    groups.dedup();
    groups.into_iter().map(|(_, view, series)| (view, series)).collect()
}

fn refusal(headers: &[InstanceHeader]) -> String {
    select(&rule(MismatchPolicy::Refuse), headers, &[]).unwrap_err().0
}

#[test]
fn four_series_on_one_grid_come_in_the_order_of_time_however_they_are_listed() {
    let mut headers = study();
    for _ in 0..16 {
        headers.rotate_left(3);
        let selection = select(&rule(MismatchPolicy::Refuse), &headers, &[]).unwrap();
        let expected = [("pre", "4"), ("early", "3"), ("peak", "2"), ("late", "1")];
        assert_eq!(groups(&selection), expected.map(|(a, b)| (a.to_string(), b.to_string())));
        assert_eq!(selection.inputs.len(), 16);
    }
}

#[test]
fn the_callers_order_is_taken_as_it_is() {
    let named = ["1.2.2", "1.2.1", "1.2.4", "1.2.3"].map(String::from);
    let selection = select(&rule(MismatchPolicy::Refuse), &study(), &named).unwrap();
    let order: Vec<String> = groups(&selection).into_iter().map(|(_, series)| series).collect();
    assert_eq!(order, ["2", "1", "4", "3"]);
    for (named, expected) in [
        (vec!["1.2.1", "1.2.2", "1.2.3"], "found 3 named"),
        (vec!["1.2.1", "1.2.1", "1.2.3", "1.2.4"], "3 different"),
        (vec!["1.2.1", "1.2.2", "1.2.3", "9.9"], "channel 4 (late) holds no image"),
    ] {
        let named: Vec<String> = named.into_iter().map(String::from).collect();
        let text = select(&rule(MismatchPolicy::Refuse), &study(), &named).unwrap_err().0;
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn localizers_other_grids_and_short_series_are_left_out() {
    let mut headers = study();
    headers.extend(series(5, 4, "090000", &[(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER")]));
    headers.extend(series(6, 4, "090100", &[(tags::PIXEL_SPACING, "0.5\\0.5")]));
    headers.extend(series(7, 2, "090200", &[]));
    assert_eq!(groups(&select(&rule(MismatchPolicy::Refuse), &headers, &[]).unwrap()).len(), 4);
}

#[test]
fn wrong_numbers_are_refused_in_words() {
    let study = study();
    let three = refusal(&study[4..]);
    assert!(three.contains("4 series (pre, early, peak, late)") && three.contains("found 3"), "{three}");
    let mut five = study.clone();
    five.extend(series(5, 4, "110000", &[]));
    assert!(refusal(&five).contains("found 5: 5 × 4 slices of 256 × 256"), "{}", refusal(&five));
    let short: Vec<_> = (1..=4).flat_map(|n| series(n, 2, "100000", &[])).collect();
    assert!(refusal(&short).contains("at least 3 expected"), "{}", refusal(&short));
    assert!(refusal(&[]).contains("found 0"), "{}", refusal(&[]));
    let other = series(1, 4, "100000", &[(tags::MODALITY, "CT")]);
    assert!(refusal(&other).contains("4 × Modality = MR expected, found CT"), "{}", refusal(&other));
}

#[test]
fn series_on_different_grids_are_refused_with_both_or_left_to_resampling() {
    let mut headers = study();
    headers.truncate(12);
    headers.extend(series(4, 4, "100400", &[(tags::PIXEL_SPACING, "0.5\\0.5"), (tags::ROWS, "512")]));
    let text = refusal(&headers);
    assert!(text.contains("256 × 256") && text.contains("512 × 256") && text.contains("0.500\\0.500"), "{text}");
    assert!(select(&rule(MismatchPolicy::Resample), &headers, &[]).is_ok());
}

#[test]
fn one_series_may_hold_all_time_points() {
    for by in [tags::TEMPORAL_POSITION_IDENTIFIER, tags::ACQUISITION_TIME] {
        let selection = select(&rule(MismatchPolicy::Refuse), &dynamic(1, 4, by), &[]).unwrap();
        assert_eq!(groups(&selection), [("all channels".to_string(), "1".to_string())]);
    }
    // Positions that are not in the headers are looked at when the frames are read.
    let enhanced = series(1, 1, "100000", &[(tags::NUMBER_OF_FRAMES, "16")]);
    assert!(select(&rule(MismatchPolicy::Refuse), &enhanced, &[]).is_ok());
    let few = refusal(&series(1, 11, "100000", &[]));
    assert!(few.contains("found one series of 11 slices"), "{few}");
    for n in [3, 30] {
        let headers = dynamic(1, n, tags::TEMPORAL_POSITION_IDENTIFIER);
        let text = refusal(&headers);
        let counted = format!("found one series of {n} time points (by TemporalPositionIdentifier)");
        assert!(text.contains(&counted) || (n == 3 && text.contains("of 12 slices")), "{text}");
    }
}

#[test]
fn equal_times_cannot_be_ordered() {
    let headers: Vec<_> = (1..=4).flat_map(|n| series(n, 4, "100000", &[])).collect();
    assert!(refusal(&headers).contains("none of TemporalPositionIdentifier, AcquisitionTime"), "{}", refusal(&headers));
}

/// A series of four slices at each of `phases` times, told by one attribute.
fn dynamic(number: usize, phases: usize, by: Tag) -> Vec<InstanceHeader> {
    let at = |phase: usize| {
        let time = if by == tags::ACQUISITION_TIME { format!("11{phase:02}00") } else { (phase + 1).to_string() };
        (0..4).map(move |slice| (phase, slice, time.clone()))
    };
    let headers = (0..phases).flat_map(at).map(|(phase, slice, time)| {
        let place = format!("0\\0\\{}", 2 * slice);
        let uid = format!("1.2.{number}.{phase}.{slice}");
        let more = [
            (by, time.as_str()),
            (tags::IMAGE_POSITION_PATIENT, place.as_str()),
            (tags::SOP_INSTANCE_UID, uid.as_str()),
        ];
        let mut header = series(number, 1, "100000", &more).remove(0);
        header.id = InstanceId(format!("{number}-{phase}-{slice}"));
        header
    });
    headers.collect()
}

#[test]
fn what_put_phases_in_order_and_what_was_left_out_is_told() {
    let selection = select(&rule(MismatchPolicy::Refuse), &study(), &[]).unwrap();
    assert_eq!(selection.warnings, ["the phases were ordered by AcquisitionTime"]);
    let mut headers = study();
    headers.extend(series(6, 4, "090100", &[(tags::PIXEL_SPACING, "0.5\\0.5")]));
    headers.extend(series(7, 2, "090200", &[]));
    let selection = select(&rule(MismatchPolicy::Refuse), &headers, &[]).unwrap();
    assert_eq!(selection.warnings[1..], ["2 other series of the study left out"]);
    let named = ["1.2.2", "1.2.1", "1.2.4", "1.2.3"].map(String::from);
    let selection = select(&rule(MismatchPolicy::Refuse), &study(), &named).unwrap();
    assert!(selection.warnings.is_empty(), "the caller's order needs no attribute: {:?}", selection.warnings);
}

#[test]
fn a_dynamic_series_is_found_beside_others() {
    let rule = rule(MismatchPolicy::Refuse);
    let mut headers = dynamic(1, 4, tags::TEMPORAL_POSITION_IDENTIFIER);
    headers.extend(series(5, 20, "090000", &[(tags::ROWS, "512")]));
    // Two b-values at each place, which time does not tell apart.
    headers.extend(dynamic(6, 4, tags::DIFFUSION_B_VALUE));
    let selection = select(&rule, &headers, &[]).unwrap();
    assert_eq!(groups(&selection), [("all channels".to_string(), "1".to_string())]);
    assert_eq!(selection.warnings, ["2 other series of the study left out"]);
    // Beside four series that would do as well, or a second one, nothing tells which is meant, but the caller.
    for more in [study(), dynamic(9, 4, tags::ACQUISITION_TIME)] {
        let mut headers = dynamic(8, 4, tags::TEMPORAL_POSITION_IDENTIFIER);
        headers.extend(more);
        let text = select(&rule, &headers, &[]).unwrap_err().0;
        assert!(text.contains("nothing tells which is meant: name the series as Channels"), "{text}");
        assert!(text.contains("series 7 (16 slices of 256 × 256)"), "{text}");
        let selection = select(&rule, &headers, &["1.2.8".to_string()]).unwrap();
        assert_eq!(groups(&selection), [("all channels".to_string(), "8".to_string())]);
    }
    // Multi-frame images do not tell by their headers: they are taken where nothing else is there.
    let mut headers = series(1, 1, "100000", &[(tags::NUMBER_OF_FRAMES, "16")]);
    headers.extend(series(5, 4, "090000", &[]));
    assert_eq!(groups(&select(&rule, &headers, &[]).unwrap())[0].1, "1");
}

#[test]
fn a_series_of_several_time_points_is_no_phase() {
    let mut headers = study();
    headers.retain(|h| !h.id.0.starts_with("2-"));
    headers.extend(dynamic(2, 2, tags::TEMPORAL_POSITION_IDENTIFIER));
    let named = ["1.2.1", "1.2.2", "1.2.3", "1.2.4"].map(String::from);
    let text = select(&rule(MismatchPolicy::Refuse), &headers, &named).unwrap_err().0;
    assert!(text.contains("early: found 2 time points in the series (by TemporalPositionIdentifier)"), "{text}");
}

#[test]
fn rounding_is_no_other_grid_and_headers_are_not_quoted() {
    // Either side of where three decimals are rounded, and directions that differ by a hundredth of a millimetre in all.
    let spacings = ["0.70349\\0.70349", "0.70351\\0.70351"];
    let orientations = ["1\\0\\0\\0\\1\\0", "1\\0.00005\\0\\-0.00005\\1\\0"];
    let of = |n: usize| {
        let time = format!("100{n}00");
        let (spacing, orientation) = (spacings[n % 2], orientations[n / 3]);
        series(n, 4, &time, &[(tags::PIXEL_SPACING, spacing), (tags::IMAGE_ORIENTATION_PATIENT, orientation)])
    };
    let headers: Vec<_> = (1..=4).flat_map(of).collect();
    assert!(select(&rule(MismatchPolicy::Refuse), &headers, &[]).is_ok());
    let dirty = |tag: Tag, value: &str, expected: &str| {
        let mut headers = study();
        headers.truncate(12);
        headers.extend(series(4, 4, "100400", &[(tag, value)]));
        let text = refusal(&headers);
        assert!(text.contains("not on one grid") && text.contains(expected) && !text.contains(value), "{text}");
    };
    dirty(tags::ROWS, "Doe^Jane", "4 slices of ? × 256");
    dirty(tags::FRAME_OF_REFERENCE_UID, "1.2.840.99", "in another Frame of Reference");
    dirty(tags::PIXEL_SPACING, "Doe^Jane", "no plane in the header");
}

#[test]
fn a_date_that_one_series_lacks_does_not_make_it_the_first() {
    let mut headers = study();
    headers.retain(|h| !h.id.0.starts_with("1-"));
    // The latest of all by its time.
    headers.extend(series(1, 4, "100300", &[(tags::ACQUISITION_DATE, "")]));
    let selection = select(&rule(MismatchPolicy::Refuse), &headers, &[]).unwrap();
    assert_eq!(groups(&selection).last().unwrap().1, "1");
}

/// T1, T2 and a map, each by its description.
fn contrasts() -> InputSpec {
    let mut rule = rule(MismatchPolicy::Refuse);
    if let SelectSpec::Volumes(spec) = &mut rule.select {
        let found = |name: &str| {
            let condition =
                Condition { keyword: "SeriesDescription".into(), equals: Some(name.into()), ..Condition::default() };
            ChannelSpec::Found(FoundChannelSpec { name: name.into(), conditions: vec![condition] })
        };
        spec.channels = ["T1", "T2", "ADC"].map(found).to_vec();
        spec.time_points.clear();
    }
    rule
}

fn described(number: usize, description: &str) -> Vec<InstanceHeader> {
    series(number, 4, "100000", &[(tags::SERIES_DESCRIPTION, description)])
}

#[test]
fn contrasts_are_found_by_their_conditions_whatever_their_times() {
    let rule = contrasts();
    let mut headers: Vec<_> = [(1, "ADC"), (2, "T2"), (3, "T1"), (4, "scout")].map(|(n, d)| described(n, d)).concat();
    let selection = select(&rule, &headers, &[]).unwrap();
    assert_eq!(
        groups(&selection),
        [("T1", "3"), ("T2", "2"), ("ADC", "1")].map(|(a, b)| (a.to_string(), b.to_string()))
    );
    assert_eq!(selection.warnings, ["1 other series of the study left out"]);
    let text = select(&rule, &headers[4..], &[]).unwrap_err().0;
    assert!(text.contains("ADC: no series fits (SeriesDescription = ADC)"), "{text}");
    headers.extend(described(5, "T2"));
    let text = select(&rule, &headers, &[]).unwrap_err().0;
    assert!(text.contains("T2: expected one series, found 2 (series 7 (4 slices of 256 × 256), series 7"), "{text}");
    // The caller decides between them, not against the conditions.
    let named = |uids: [&str; 3]| select(&rule, &headers, &uids.map(String::from));
    assert_eq!(groups(&named(["1.2.3", "1.2.5", "1.2.1"]).unwrap())[1].1, "5");
    assert!(named(["1.2.3", "1.2.4", "1.2.1"]).unwrap_err().0.contains("T2: no series fits"));
}

#[test]
fn conditions_that_two_channels_share_are_refused() {
    let mut rule = contrasts();
    if let SelectSpec::Volumes(spec) = &mut rule.select {
        spec.channels[2] = spec.channels[0].clone();
    }
    let headers = [described(1, "T1"), described(2, "T2")].concat();
    let text = select(&rule, &headers, &[]).unwrap_err().0;
    assert!(text.contains("T1 and T1 would both be series 7"), "{text}");
}

#[test]
fn channels_that_nothing_tells_apart_are_the_callers_to_name() {
    let mut rule = rule(MismatchPolicy::Refuse);
    if let SelectSpec::Volumes(spec) = &mut rule.select {
        spec.time_points.clear();
    }
    let text = select(&rule, &study(), &[]).unwrap_err().0;
    assert!(text.contains("nothing but the caller tells which series are pre, early, peak, late"), "{text}");
    let named = ["1.2.2", "1.2.1", "1.2.4", "1.2.3"].map(String::from);
    assert_eq!(select(&rule, &study(), &named).unwrap().inputs.len(), 16);
    assert!(select(&rule, &study(), &named[..1]).unwrap_err().0.contains("found 1 named"));
}

#[test]
fn one_channel_is_one_series() {
    let mut rule = rule(MismatchPolicy::Refuse);
    if let SelectSpec::Volumes(spec) = &mut rule.select {
        spec.channels.truncate(1);
    }
    assert_eq!(select(&rule, &study()[..4], &[]).unwrap().inputs.len(), 4);
    let text = select(&rule, &study(), &[]).unwrap_err().0;
    assert!(text.contains("one series is needed, found 4 (series 7"), "{text}");
    assert_eq!(select(&rule, &study(), &["1.2.3".to_string()]).unwrap().inputs[0].id.0, "3-0");
}
