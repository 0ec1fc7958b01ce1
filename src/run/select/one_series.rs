//! The slices of one series: which series of a study, and in which order.

use std::collections::BTreeSet;

use dicom_dictionary_std::tags;

use super::volumes::series::{Series, number, numbers, place, series};
use super::{Candidates, Input, MAX_IMAGES, NotApplicable, Selection, images_of, one_study};
use crate::imaging::geometry::{cross, dot};
use crate::manifest::{Condition, SeriesSpec};
use crate::source::InstanceHeader;

/// Direction cosines of parallel slices differ by rounding only.
const COSINE_TOLERANCE: f64 = 1e-3;

/// `named`: the SeriesInstanceUID that the caller wants, or none. `alone`: the run is asked for one instance.
///
/// # Errors
/// [`NotApplicable`]: no series, several that qualify alike, slices that are not parallel, too many of them.
pub(super) fn select(
    rule: &SeriesSpec,
    candidates: &Candidates<'_>,
    named: &[String],
    alone: bool,
) -> Result<Selection, NotApplicable> {
    let refused = |text: String| NotApplicable(format!("{text}{}", candidates.left_out()));
    let least = if alone { 1 } else { rule.min_slices };
    let (enough, short): (Vec<Series>, Vec<Series>) =
        series(&candidates.taken).into_iter().partition(|s| s.slices() >= least);
    let found = enough.len();
    let chosen = match named {
        [] => choose(rule, enough, &short, least),
        [uid] => {
            let series = enough.into_iter().find(|s| s.uid() == uid);
            series.ok_or_else(|| format!("the named series holds no image that fits{}", too_short(&short, least)))
        }
        several => Err(format!("found {} series named, expected 1", several.len())),
    };
    let chosen = chosen.map_err(refused)?;
    if chosen.slices() > MAX_IMAGES {
        return Err(refused(format!("{}: expected at most {MAX_IMAGES} slices", chosen.describe())));
    }
    let (chosen, copies) = without_copies(chosen);
    let Ordered { instances, mut warnings } = order(&chosen).map_err(refused)?;
    if copies > 0 {
        warnings.push(format!("{copies} instances with the SOPInstanceUID of another one left out"));
    }
    if found > 1 {
        warnings.push(format!("{} other series of the study left out", found - 1));
    }
    let images = images_of(&instances).into_iter().zip(1..);
    let inputs = images.map(|((header, frame), n)| Input::frame(header, frame, format!("Slice {n}"), 0));
    Ok(Selection { inputs: inputs.collect(), warnings })
}

/// The one series that the preferences leave.
fn choose<'a>(
    rule: &SeriesSpec,
    enough: Vec<Series<'a>>,
    short: &[Series<'_>],
    least: usize,
) -> Result<Series<'a>, String> {
    one_study(enough.iter().map(Series::first), "series")?;
    if enough.is_empty() {
        return Err(format!("one series is needed, found 0{}", too_short(short, least)));
    }
    let (mut left, mut decided) = (enough, Vec::new());
    for condition in &rule.prefer {
        let (fitting, others): (Vec<Series>, Vec<Series>) = left.into_iter().partition(|s| fulfils(s, condition));
        if !fitting.is_empty() && !others.is_empty() {
            decided.push(condition.describe());
        }
        left = if fitting.is_empty() { others } else { fitting };
    }
    if left.len() > 1 {
        let list: Vec<String> = left.iter().map(Series::describe).collect();
        let alike = if decided.is_empty() { String::new() } else { format!(", alike by {}", decided.join(", ")) };
        return Err(format!(
            "one series is needed, found {}{alike}: {}; name one as Channels, or ask for it alone",
            left.len(),
            list.join(", ")
        ));
    }
    left.pop().ok_or_else(|| "one series is needed, found 0".into())
}

/// Every slice of it: a series of several kinds is none of them.
fn fulfils(series: &Series<'_>, condition: &Condition) -> bool {
    series.instances.iter().all(|h| condition.holds(&|keyword| h.by_keyword(keyword)))
}

fn too_short(short: &[Series<'_>], least: usize) -> String {
    if short.is_empty() {
        return String::new();
    }
    let counts: Vec<String> = short.iter().map(|s| s.slices().to_string()).collect();
    format!("; too few slices (at least {least} expected): series of {}", counts.join(", "))
}

/// A folder may hold the same instance in several files; a report names it once.
fn without_copies(mut series: Series<'_>) -> (Series<'_>, usize) {
    let all = series.instances.len();
    // They lie in the order of their UIDs.
    series.instances.dedup_by_key(|h| h.get(tags::SOP_INSTANCE_UID));
    let copies = all - series.instances.len();
    (series, copies)
}

struct Ordered<'a> {
    instances: Vec<&'a InstanceHeader>,
    warnings: Vec<String>,
}

/// By position, ascending along the normal (row direction × column direction); where an instance does not say in its header where it
/// lies (pictures, multi-frame instances), all by InstanceNumber.
fn order<'a>(series: &Series<'a>) -> Result<Ordered<'a>, String> {
    let mut instances = series.instances.clone();
    let orientation = |h: &&InstanceHeader| numbers::<6>(h, tags::IMAGE_ORIENTATION_PATIENT);
    let position = |h: &&InstanceHeader| numbers::<3>(h, tags::IMAGE_POSITION_PATIENT);
    let planes: Option<Vec<([f64; 6], [f64; 3])>> = instances.iter().map(|h| orientation(h).zip(position(h))).collect();
    let Some(planes) = planes else {
        // Stable: of equal numbers, or none, the order by UID stays.
        instances.sort_by(|a, b| {
            let number = |h: &InstanceHeader| number(h.get(tags::INSTANCE_NUMBER)).unwrap_or(f64::MAX);
            number(a).total_cmp(&number(b))
        });
        let told = instances.len() > 1;
        let warnings = told.then(|| "the slices do not say where they lie: they were ordered by InstanceNumber".into());
        return Ok(Ordered { instances, warnings: warnings.into_iter().collect() });
    };
    let first = planes[0].0;
    let other =
        planes.iter().filter(|(o, _)| o.iter().zip(first).any(|(a, b)| (a - b).abs() > COSINE_TOLERANCE)).count();
    if other > 0 {
        return Err(format!(
            "{}: found {other} slices that are not parallel to the first (ImageOrientationPatient), expected one orientation",
            series.describe()
        ));
    }
    let [a, b, c, d, e, f] = first;
    let normal = cross([a, b, c], [d, e, f]);
    let mut placed: Vec<(f64, &InstanceHeader)> =
        planes.iter().zip(&instances).map(|((_, position), h)| (dot(*position, normal), *h)).collect();
    placed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let places: BTreeSet<_> = instances.iter().map(|h| place(h)).collect();
    let twice = instances.len() - places.len();
    let warnings = (twice > 0).then(|| format!("{twice} slices lie at the place of another one"));
    Ok(Ordered { instances: placed.into_iter().map(|(_, h)| h).collect(), warnings: warnings.into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dicom_core::Tag;
    use serde_json::json;

    use super::*;
    use crate::manifest::InputSpec;
    use crate::run::select::select;
    use crate::source::InstanceId;

    fn rule(series: serde_json::Value) -> InputSpec {
        serde_json::from_value(json!({
            "where": [
                {"keyword": "Modality", "equals": "CT"},
                {"keyword": "ImageType", "lacks": "LOCALIZER"}
            ],
            "select": {"Series": series}
        }))
        .unwrap()
    }

    /// Slice `n` of series `number`, 5 mm apart, InstanceNumber against the position.
    fn slice(number: usize, n: usize, changes: &[(Tag, &str)]) -> InstanceHeader {
        let values = [
            (tags::MODALITY, "CT".to_string()),
            (tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL".into()),
            (tags::STUDY_INSTANCE_UID, "1.2".into()),
            (tags::SERIES_INSTANCE_UID, format!("1.2.{number}")),
            (tags::SERIES_NUMBER, number.to_string()),
            (tags::SOP_INSTANCE_UID, format!("1.2.{number}.{}", 700 - n)),
            (tags::INSTANCE_NUMBER, (100 - n).to_string()),
            (tags::CONVOLUTION_KERNEL, "Hr40f\\3".into()),
            (tags::ROWS, "512".into()),
            (tags::COLUMNS, "512".into()),
            (tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\0.95\\-0.31225".into()),
            (tags::IMAGE_POSITION_PATIENT, format!("-120\\{}\\{}", -100, 5 * n)),
        ];
        let mut values: BTreeMap<Tag, String> = values.into_iter().collect();
        values.extend(changes.iter().map(|&(t, v)| (t, v.to_string())));
        InstanceHeader::new(InstanceId(format!("{number}-{n}")), values)
    }

    fn series(number: usize, slices: usize, changes: &[(Tag, &str)]) -> Vec<InstanceHeader> {
        (0..slices).map(|n| slice(number, n, changes)).collect()
    }

    fn ids(selection: &Selection) -> Vec<&str> {
        selection.inputs.iter().map(|i| i.id.0.as_str()).collect()
    }

    #[test]
    fn slices_are_ordered_by_position_however_they_are_listed() {
        let mut headers = series(1, 5, &[]);
        for _ in 0..5 {
            headers.rotate_left(2);
            let selection = select(&rule(json!({})), &headers, &[]).unwrap();
            assert_eq!(ids(&selection), ["1-0", "1-1", "1-2", "1-3", "1-4"]);
            assert_eq!((selection.inputs[4].view.as_str(), selection.inputs[4].group), ("Slice 5", 0));
            assert!(selection.warnings.is_empty());
        }
    }

    #[test]
    fn localizers_are_left_out_and_preferences_decide() {
        let soft = json!({"prefer": [
            {"keyword": "ConvolutionKernel", "regex": "(?i)hr3|soft"}, {"keyword": "ConvolutionKernel", "regex": "Hr"},
            {"keyword": "SliceThickness", "range": {"min": 4}}
        ]});
        let thin = (tags::SLICE_THICKNESS, "1");
        let headers = [
            series(1, 2, &[(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER")]),
            series(2, 30, &[(tags::CONVOLUTION_KERNEL, "Hr60f\\3"), thin]),
            series(3, 20, &[(tags::CONVOLUTION_KERNEL, "Hr31f\\3"), (tags::SLICE_THICKNESS, "5")]),
            series(4, 90, &[(tags::CONVOLUTION_KERNEL, "Hr31f\\3"), thin]),
        ]
        .concat();
        let selection = select(&rule(soft.clone()), &headers, &[]).unwrap();
        assert!(selection.inputs.len() == 20 && selection.inputs.iter().all(|i| i.id.0.starts_with("3-")));
        assert_eq!(selection.warnings, ["2 other series of the study left out"]);

        let alike =
            [headers, series(5, 20, &[(tags::CONVOLUTION_KERNEL, "Hr32f"), (tags::SLICE_THICKNESS, "5")])].concat();
        let text = select(&rule(soft.clone()), &alike, &[]).unwrap_err().0;
        assert!(
            text.starts_with("one series is needed, found 2, alike by ConvolutionKernel like /(?i)hr3|soft/, SliceThickness at least 4: series 3 (20 slices of 512 × 512), series 5 (20"),
            "{text}"
        );
        assert!(text.contains("left out: 2 × ImageType without LOCALIZER expected"), "{text}");
        assert_eq!(select(&rule(soft), &alike, &["1.2.5".into()]).unwrap().inputs[0].id.0, "5-0");
    }

    #[test]
    fn one_instance_or_frame_is_enough_when_it_is_asked_for() {
        let few = json!({"min_slices": 10});
        let text = select(&rule(few.clone()), &series(1, 9, &[]), &[]).unwrap_err().0;
        assert!(text.contains("found 0; too few slices (at least 10 expected): series of 9"), "{text}");
        assert_eq!(select(&rule(few.clone()), &series(1, 1, &[]), &[]).unwrap().inputs.len(), 1);
        let multi_frame = series(1, 1, &[(tags::NUMBER_OF_FRAMES, "12"), (tags::IMAGE_POSITION_PATIENT, "")]);
        let selection = select(&rule(few), &multi_frame, &[]).unwrap();
        let frames: Vec<_> = selection.inputs.iter().map(|i| i.frame).collect();
        assert_eq!(frames, (1..=12).map(Some).collect::<Vec<_>>());
        assert!(selection.warnings.is_empty());
        let claims = series(1, 1, &[(tags::NUMBER_OF_FRAMES, "2000000000")]);
        assert!(select(&rule(json!({})), &claims, &[]).unwrap_err().0.contains("expected at most 10000 slices"));
    }

    #[test]
    fn slices_without_a_place_go_by_number_and_what_is_not_parallel_is_refused() {
        let unplaced = series(1, 3, &[(tags::IMAGE_POSITION_PATIENT, "")]);
        let selection = select(&rule(json!({})), &unplaced, &[]).unwrap();
        assert_eq!(ids(&selection), ["1-2", "1-1", "1-0"]);
        assert!(selection.warnings[0].contains("InstanceNumber"));

        let mut mixed = series(1, 3, &[]);
        mixed.push(slice(1, 3, &[(tags::IMAGE_ORIENTATION_PATIENT, "0\\1\\0\\0\\0\\-1")]));
        let text = select(&rule(json!({})), &mixed, &[]).unwrap_err().0;
        assert!(text.contains("slices that are not parallel"), "{text}");

        let mut twice = series(1, 3, &[]);
        twice.push(slice(1, 0, &[(tags::SOP_INSTANCE_UID, "9.9")]));
        assert_eq!(
            select(&rule(json!({})), &twice, &[]).unwrap().warnings,
            ["1 slices lie at the place of another one"]
        );
        twice[3] = slice(1, 0, &[]);
        let once = select(&rule(json!({})), &twice, &[]).unwrap();
        assert_eq!(
            (once.inputs.len(), once.warnings[0].as_str()),
            (3, "1 instances with the SOPInstanceUID of another one left out")
        );
    }

    #[test]
    fn nothing_and_two_studies_are_refused() {
        assert!(select(&rule(json!({})), &[], &[]).unwrap_err().0.starts_with("one series is needed, found 0"));
        let two = [series(1, 3, &[]), series(2, 3, &[(tags::STUDY_INSTANCE_UID, "9.9")])].concat();
        assert!(select(&rule(json!({})), &two, &[]).unwrap_err().0.contains("2 studies"));
        assert!(
            select(&rule(json!({})), &series(1, 3, &[]), &["9".into()]).unwrap_err().0.contains("the named series")
        );
    }
}
