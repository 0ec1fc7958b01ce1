//! Volumes: which series are the channels of one input, and in which order.
//!
//! Only headers are looked at here, so that a question costs no pixels; what they leave open (is each series complete, are
//! its time points equally large) is decided when the slices are read.

use std::collections::BTreeMap;

use dicom_dictionary_std::tags;

use super::{Candidates, Input, NotApplicable, Selection};
use crate::manifest::{MismatchPolicy, TimePointKey, VolumesSpec};
use crate::source::InstanceHeader;

/// # Errors
/// [`NotApplicable`]: too few or too many series, too few slices, series that do not share a grid.
pub(super) fn select(
    rule: &VolumesSpec,
    candidates: &Candidates<'_>,
    named: &[String],
) -> Result<Selection, NotApplicable> {
    let refusal = |text: String| NotApplicable(text + &candidates.left_out());
    let refuse = |text: String| Err(refusal(text));
    let wanted = rule.channels.len();
    let mut all = series(&candidates.taken);
    if !named.is_empty() {
        all = named_series(rule, all, named).map_err(refusal)?;
    }
    let (enough, few): (Vec<_>, Vec<_>) = all.into_iter().partition(|s| s.slices() >= rule.min_slices);
    let short = if few.is_empty() {
        String::new()
    } else {
        let sizes: Vec<String> = few.iter().map(|s| s.slices().to_string()).collect();
        format!("; too few slices (at least {} expected): series of {}", rule.min_slices, sizes.join(", "))
    };
    let studies: std::collections::BTreeSet<_> =
        enough.iter().map(|s| s.first().get(tags::STUDY_INSTANCE_UID)).collect();
    if studies.len() > 1 {
        return refuse(format!("found series of {} studies, expected one StudyInstanceUID", studies.len()));
    }
    let mut chosen = match enough.len() {
        1 => enough,
        n if n == wanted => same_grid(rule, enough)?,
        _ => match only_grid_of(wanted, &enough) {
            Some(grid) => enough.into_iter().filter(|s| s.grid() == grid).collect(),
            None => {
                let grids = describe_grids(&enough);
                return refuse(format!("{}, found {}{grids}{short}", needed(rule), enough.len()));
            }
        },
    };
    if let [only] = &chosen[..]
        && wanted > 1
        && only.slices() < wanted * rule.min_slices
    {
        let n = only.slices();
        return refuse(format!("{}, found one series of {n} slices{short}", needed(rule)));
    }
    if named.is_empty() {
        sort_by_time(rule, &mut chosen)?;
    }
    let inputs = chosen.iter().enumerate().flat_map(|(group, series)| {
        let name = if chosen.len() == wanted { rule.channels[group].clone() } else { "all channels".to_string() };
        series.instances.iter().map(move |h| Input::new(h, name.clone(), group))
    });
    Ok(Selection { inputs: inputs.collect(), warnings: Vec::new() })
}

/// The series that the caller names, in the caller's order.
fn named_series<'a>(rule: &VolumesSpec, all: Vec<Series<'a>>, named: &[String]) -> Result<Vec<Series<'a>>, String> {
    let distinct: std::collections::BTreeSet<&String> = named.iter().collect();
    if named.len() != rule.channels.len() || distinct.len() != named.len() {
        let (found, different) = (named.len(), distinct.len());
        return Err(format!("{}, found {found} named ({different} different)", needed(rule)));
    }
    let mut by_uid: BTreeMap<&str, Series<'a>> =
        all.into_iter().map(|s| (s.first().get(tags::SERIES_INSTANCE_UID).unwrap_or_default(), s)).collect();
    let taken = named.iter().enumerate().map(|(i, uid)| {
        by_uid
            .remove(uid.as_str())
            .ok_or_else(|| format!("channel {} ({}) holds no image that fits", i + 1, rule.channels[i]))
    });
    taken.collect()
}

fn needed(rule: &VolumesSpec) -> String {
    match &rule.channels[..] {
        [_] => "one series is needed".to_string(),
        names => format!("{} series ({}) or one with as many time points are needed", names.len(), names.join(", ")),
    }
}

struct Series<'a> {
    /// By SOPInstanceUID: the same input gives the same order, however it is listed. Never empty.
    instances: Vec<&'a InstanceHeader>,
}

fn series<'a>(taken: &[&'a InstanceHeader]) -> Vec<Series<'a>> {
    let mut by_uid: BTreeMap<&str, Vec<&'a InstanceHeader>> = BTreeMap::new();
    for header in taken {
        by_uid.entry(header.get(tags::SERIES_INSTANCE_UID).unwrap_or_default()).or_default().push(header);
    }
    let sorted = by_uid.into_values().map(|mut instances| {
        instances.sort_by_key(|h| h.get(tags::SOP_INSTANCE_UID));
        Series { instances }
    });
    sorted.collect()
}

impl<'a> Series<'a> {
    fn first(&self) -> &'a InstanceHeader {
        self.instances[0]
    }

    /// Frames of all instances.
    fn slices(&self) -> usize {
        self.instances.iter().map(|h| number(h.get(tags::NUMBER_OF_FRAMES)).map_or(1, |n| n as usize)).sum()
    }

    /// What the volumes of one run share, as text: a number's spelling may differ between series, not its value.
    fn grid(&self) -> String {
        let first = self.first();
        let numbers = |tag| {
            let values = first.get(tag).unwrap_or_default().split('\\');
            let rounded: Vec<String> =
                values.map(|v| number(Some(v)).map_or("none".into(), |n| format!("{:.3}", n + 0.0))).collect();
            rounded.join("\\")
        };
        format!(
            "{} slices of {} × {}, PixelSpacing {}, ImageOrientationPatient {}, FrameOfReferenceUID {}",
            self.slices(),
            first.get(tags::ROWS).unwrap_or("?"),
            first.get(tags::COLUMNS).unwrap_or("?"),
            numbers(tags::PIXEL_SPACING),
            numbers(tags::IMAGE_ORIENTATION_PATIENT),
            first.get(tags::FRAME_OF_REFERENCE_UID).filter(|u| is_uid(u)).unwrap_or("none"),
        )
    }

    /// The earliest value of the attribute over the instances; None where one lacks it.
    fn time(&self, key: TimePointKey) -> Option<f64> {
        let times = self.instances.iter().map(|h| time(h, key)).collect::<Option<Vec<f64>>>()?;
        times.into_iter().reduce(f64::min)
    }
}

fn is_uid(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// As many series as wanted must have one grid, or be allowed to be resampled to one.
fn same_grid<'a>(rule: &VolumesSpec, series: Vec<Series<'a>>) -> Result<Vec<Series<'a>>, NotApplicable> {
    let first = series[0].grid();
    let other = series.iter().map(Series::grid).find(|g| *g != first);
    match other {
        Some(other) if rule.mismatch == MismatchPolicy::Refuse => {
            Err(NotApplicable(format!("the series are not on one grid: found {first} and {other}")))
        }
        _ => Ok(series),
    }
}

/// The one grid that exactly `wanted` series have; None where there is none, or two.
fn only_grid_of(wanted: usize, series: &[Series<'_>]) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    series.iter().for_each(|s| *counts.entry(s.grid()).or_default() += 1);
    let mut fitting = counts.into_iter().filter(|(_, n)| *n == wanted);
    fitting.next().filter(|_| fitting.next().is_none()).map(|(grid, _)| grid)
}

fn describe_grids(series: &[Series<'_>]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    series.iter().for_each(|s| *counts.entry(s.grid()).or_default() += 1);
    let parts: Vec<String> = counts.into_iter().map(|(grid, n)| format!("{n} × {grid}")).collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) }
}

/// By the first attribute of the rule that every series has and that tells them all apart.
fn sort_by_time(rule: &VolumesSpec, series: &mut Vec<Series<'_>>) -> Result<(), NotApplicable> {
    if series.len() < 2 {
        return Ok(());
    }
    for key in &rule.time_points {
        let Some(times) = series.iter().map(|s| s.time(*key)).collect::<Option<Vec<f64>>>() else { continue };
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        if sorted.windows(2).all(|pair| pair[0] < pair[1]) {
            let mut keyed: Vec<(f64, Series<'_>)> = times.into_iter().zip(series.drain(..)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            series.extend(keyed.into_iter().map(|(_, s)| s));
            return Ok(());
        }
    }
    let keys: Vec<&str> = rule.time_points.iter().map(|k| k.keyword()).collect();
    Err(NotApplicable(format!("the series cannot be ordered in time: none of {} tells them apart", keys.join(", "))))
}

/// The attribute's value as a number that grows with time.
fn time(header: &InstanceHeader, key: TimePointKey) -> Option<f64> {
    let get = |tag| header.get(tag);
    match key {
        TimePointKey::TemporalPositionIdentifier => number(get(tags::TEMPORAL_POSITION_IDENTIFIER)),
        TimePointKey::TriggerTime => number(get(tags::TRIGGER_TIME)),
        TimePointKey::AcquisitionNumber => number(get(tags::ACQUISITION_NUMBER)),
        TimePointKey::SeriesNumber => number(get(tags::SERIES_NUMBER)),
        TimePointKey::AcquisitionTime => match get(tags::ACQUISITION_DATE_TIME) {
            Some(date_time) => clock(date_time.get(..8), date_time.get(8..)),
            None => clock(get(tags::ACQUISITION_DATE), get(tags::ACQUISITION_TIME)),
        },
        TimePointKey::ContentTime => clock(get(tags::CONTENT_DATE), get(tags::CONTENT_TIME)),
    }
}

fn number(text: Option<&str>) -> Option<f64> {
    text?.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

/// Seconds, on a scale where a later day is later: DA YYYYMMDD and TM HHMMSS.FFFFFF (PS3.5 6.2).
fn clock(date: Option<&str>, time: Option<&str>) -> Option<f64> {
    let day = date.and_then(|d| number(Some(d))).unwrap_or_default();
    let time: String = time?.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let (hours, rest) = time.split_at_checked(2)?;
    let (minutes, seconds) = rest.split_at_checked(2).unwrap_or(("0", ""));
    let seconds = if seconds.is_empty() { 0.0 } else { number(Some(seconds))? };
    Some(day * 100_000.0 + number(Some(hours))? * 3600.0 + number(Some(minutes))? * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use dicom_core::Tag;

    use super::*;
    use crate::manifest::{Condition, InputSpec, SelectSpec};
    use crate::run::select::select;
    use crate::source::InstanceId;

    fn rule(mismatch: MismatchPolicy) -> InputSpec {
        let condition = |keyword: &str, equals: Option<&str>, lacks: Option<&str>| Condition {
            keyword: keyword.into(),
            equals: equals.map(Into::into),
            one_of: None,
            lacks: lacks.map(Into::into),
            exists: None,
        };
        InputSpec {
            conditions: vec![condition("Modality", Some("MR"), None), condition("ImageType", None, Some("LOCALIZER"))],
            select: SelectSpec::Volumes(VolumesSpec {
                channels: ["pre", "early", "peak", "late"].map(String::from).to_vec(),
                time_points: vec![TimePointKey::TemporalPositionIdentifier, TimePointKey::AcquisitionTime],
                min_slices: 3,
                mismatch,
            }),
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
            ]
            .map(|(tag, value)| (tag, value.to_string()))
            .into();
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
        let selection = select(&rule(MismatchPolicy::Refuse), &series(1, 16, "100000", &[]), &[]).unwrap();
        assert_eq!(groups(&selection), [("all channels".to_string(), "1".to_string())]);
        let few = refusal(&series(1, 11, "100000", &[]));
        assert!(few.contains("found one series of 11 slices"), "{few}");
    }

    #[test]
    fn equal_times_cannot_be_ordered() {
        let headers: Vec<_> = (1..=4).flat_map(|n| series(n, 4, "100000", &[])).collect();
        assert!(
            refusal(&headers).contains("none of TemporalPositionIdentifier, AcquisitionTime"),
            "{}",
            refusal(&headers)
        );
    }

    #[test]
    fn times_are_read_in_all_their_forms() {
        for (date, time, seconds) in [
            (None, Some("10"), Some(36_000.0)),
            (None, Some("1001"), Some(36_060.0)),
            (None, Some("100102.5"), Some(36_062.5)),
            (Some("1"), Some("000000"), Some(100_000.0)),
            (None, Some("x"), None),
            (None, None, None),
        ] {
            assert_eq!(clock(date, time), seconds, "{date:?} {time:?}");
        }
    }
}
