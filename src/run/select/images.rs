//! Single images: how many, and which views.

use dicom_dictionary_std::tags;

use super::{Candidates, Input, NotApplicable, Selection, image_count, images_of, one_study};
use crate::manifest::{ImagesSpec, ViewPolicy};
use crate::source::InstanceHeader;

/// # Errors
/// [`NotApplicable`] names the number of images found and expected, and why others were left out.
pub(super) fn select(rule: &ImagesSpec, candidates: &Candidates<'_>) -> Result<Selection, NotApplicable> {
    let mut taken = candidates.taken.clone();
    if !rule.count.contains(image_count(&taken)) {
        return Err(NotApplicable(wrong_count(rule, candidates)));
    }
    one_study(taken.iter().copied(), "images").map_err(NotApplicable)?;
    taken.sort_by_cached_key(|h| order(rule, h));
    let warnings = check_views(rule, &taken)?;
    let images = images_of(&taken).into_iter().enumerate();
    let view = |i: usize, header: &InstanceHeader, frame: Option<u32>| match (quoted_view(header), frame) {
        (Some(view), None) => view,
        (Some(view), Some(frame)) => format!("{view} frame {frame}"),
        (None, _) => format!("Image {}", i + 1),
    };
    let inputs = images.map(|(i, (header, frame))| Input::frame(header, frame, view(i, header, frame), i)).collect();
    Ok(Selection { inputs, warnings })
}

fn wrong_count(rule: &ImagesSpec, candidates: &Candidates<'_>) -> String {
    let views = if rule.views.is_empty() { String::new() } else { format!(" ({})", rule.views.join(", ")) };
    let plural = if rule.count.max() == 1 { "image is" } else { "images are" };
    let found = image_count(&candidates.taken);
    format!("{} {plural} needed{views}, found {found}{}", rule.count, candidates.left_out())
}

/// By the manifest's views, then by InstanceNumber, then by UID: the same input gives the same order, however it is listed.
fn order(rule: &ImagesSpec, header: &InstanceHeader) -> (usize, i64, String) {
    let view = header.view();
    let rank = rule.views.iter().position(|v| Some(v) == view.as_ref()).unwrap_or(rule.views.len());
    let number = header.get(tags::INSTANCE_NUMBER).and_then(|n| n.parse().ok()).unwrap_or(i64::MAX);
    (rank, number, header.get(tags::SOP_INSTANCE_UID).unwrap_or_default().to_string())
}

fn quoted_view(header: &InstanceHeader) -> Option<String> {
    let view = header.view()?;
    let code = view.len() <= 35 && view.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b' ');
    code.then_some(view)
}

fn check_views(rule: &ImagesSpec, taken: &[&InstanceHeader]) -> Result<Vec<String>, NotApplicable> {
    if rule.views.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<String> = taken.iter().map(|h| quoted_view(h).unwrap_or_else(|| "unknown".into())).collect();
    let missing: Vec<&str> = rule.views.iter().filter(|v| !found.contains(v)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "views expected: {}; found: {}; missing: {}",
        rule.views.join(", "),
        found.join(", "),
        missing.join(", ")
    );
    match rule.view_policy {
        ViewPolicy::Require => Err(NotApplicable(text)),
        ViewPolicy::Warn => Ok(vec![text]),
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::Tag;

    use std::collections::BTreeMap;

    use super::*;
    use crate::manifest::{InputSpec, Manifest, SelectSpec};
    use crate::run::select::select;
    use crate::source::InstanceId;

    fn rule() -> InputSpec {
        Manifest::from_json(include_str!("../../../models/mammography-4view-demo/manifest.json")).unwrap().input
    }

    fn header(n: usize, changes: &[(Tag, &str)]) -> InstanceHeader {
        let views = [("R", "MLO"), ("L", "MLO"), ("R", "CC"), ("L", "CC")];
        let (laterality, view) = views[n % 4];
        let mut values: BTreeMap<Tag, String> = [
            (tags::MODALITY, "MG"),
            (tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.1.2"),
            (tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2 "),
            (tags::STUDY_INSTANCE_UID, "1.2.3"),
            (tags::IMAGE_LATERALITY, laterality),
            (tags::VIEW_POSITION, view),
        ]
        .into_iter()
        .map(|(t, v)| (t, v.to_string()))
        .collect();
        values.insert(tags::SOP_INSTANCE_UID, format!("1.2.3.{n}"));
        values.extend(changes.iter().map(|&(t, v)| (t, v.to_string())));
        InstanceHeader::new(InstanceId(n.to_string()), values)
    }

    fn exam(n: usize) -> Vec<InstanceHeader> {
        (0..n).map(|i| header(i, &[])).collect()
    }

    #[test]
    fn four_views_come_in_the_manifests_order_however_they_are_listed() {
        let mut headers = exam(4);
        for _ in 0..4 {
            headers.rotate_left(1);
            let selection = select(&rule(), &headers, &[]).unwrap();
            let views: Vec<&str> = selection.inputs.iter().map(|i| i.view.as_str()).collect();
            assert_eq!(views, ["L-CC", "R-CC", "L-MLO", "R-MLO"]);
            assert!(selection.warnings.is_empty());
        }
    }

    #[test]
    fn wrong_counts_and_kinds_are_refused_in_words() {
        for n in [0, 3, 5] {
            let text = select(&rule(), &exam(n), &[]).unwrap_err().0;
            assert!(text.starts_with("4 images are needed (L-CC, R-CC, L-MLO, R-MLO)"), "{text}");
            assert!(text.contains(&format!("found {n}")), "{text}");
        }
        let mut headers = exam(4);
        headers[1] = header(1, &[(tags::MODALITY, "RG")]);
        headers[2] = header(2, &[(tags::PHOTOMETRIC_INTERPRETATION, "RGB")]);
        let text = select(&rule(), &headers, &[]).unwrap_err().0;
        assert!(text.contains("found 2") && text.contains("1 × Modality = MG expected, found RG"), "{text}");
        assert!(text.contains("found RGB"), "{text}");
    }

    #[test]
    fn other_objects_and_own_results_are_left_out() {
        let mut headers = exam(4);
        headers.push(header(4, &[(tags::MODALITY, "SR")]));
        headers.push(header(5, &[(tags::MANUFACTURER, crate::result::MANUFACTURER)]));
        headers.push(InstanceHeader::unreadable(InstanceId("6".into()), "truncated"));
        assert_eq!(select(&rule(), &headers, &[]).unwrap().inputs.len(), 4);
    }

    #[test]
    fn missing_views_get_numbers_and_a_warning() {
        let mut headers = exam(4);
        headers[0] = header(0, &[(tags::VIEW_POSITION, "")]);
        let selection = select(&rule(), &headers, &[]).unwrap();
        assert_eq!(selection.inputs[3].view, "Image 4");
        assert!(selection.warnings[0].contains("missing: R-MLO"), "{:?}", selection.warnings);
        let mut strict = rule();
        if let SelectSpec::Images(images) = &mut strict.select {
            images.view_policy = ViewPolicy::Require;
        }
        assert!(select(&strict, &headers, &[]).unwrap_err().0.contains("missing: R-MLO"));
    }

    #[test]
    fn no_value_of_a_patient_attribute_is_quoted() {
        let mut rule = rule();
        rule.conditions[0].keyword = "PatientID".into();
        let headers: Vec<_> = (0..4).map(|i| header(i, &[(tags::PATIENT_ID, "SECRET-1")])).collect();
        let text = select(&rule, &headers, &[]).unwrap_err().0;
        assert!(!text.contains("SECRET"), "{text}");
        let dirty: Vec<_> = (0..4).map(|i| header(i, &[(tags::MODALITY, "Doe^Jane;1")])).collect();
        assert!(!select(&self::rule(), &dirty, &[]).unwrap_err().0.contains("Doe"), "quoted a dirty value");
    }

    #[test]
    fn a_range_of_counts() {
        let mut rule = rule();
        if let SelectSpec::Images(images) = &mut rule.select {
            images.count = serde_json::from_value(serde_json::json!({"min": 1, "max": 3})).unwrap();
            images.views.clear();
        }
        for n in 1..=3 {
            assert_eq!(select(&rule, &exam(n), &[]).unwrap().inputs.len(), n);
        }
        for n in [0, 4] {
            let text = select(&rule, &exam(n), &[]).unwrap_err().0;
            assert!(text.starts_with(&format!("1 to 3 images are needed, found {n}")), "{text}");
        }
    }

    #[test]
    fn each_frame_is_an_image() {
        let headers = [header(0, &[]), header(1, &[(tags::NUMBER_OF_FRAMES, "3")])];
        let inputs = select(&rule(), &headers, &[]).unwrap().inputs;
        let found: Vec<(&str, Option<u32>, usize)> =
            inputs.iter().map(|i| (i.view.as_str(), i.frame, i.group)).collect();
        let expected = [
            ("L-MLO frame 1", Some(1), 0),
            ("L-MLO frame 2", Some(2), 1),
            ("L-MLO frame 3", Some(3), 2),
            ("R-MLO", None, 3),
        ];
        assert_eq!(found, expected);
        let claims = [header(0, &[(tags::NUMBER_OF_FRAMES, "2147483647")])];
        assert!(select(&rule(), &claims, &[]).unwrap_err().0.contains("found 2147483647"));
    }

    #[test]
    fn images_of_two_studies_are_refused() {
        let mut headers = exam(4);
        headers[3] = header(3, &[(tags::STUDY_INSTANCE_UID, "9.9")]);
        assert!(select(&rule(), &headers, &[]).unwrap_err().0.contains("2 studies"));
    }
}
