//! TID 1500 as it should be.

use super::*;

fn groups(root: &InMemDicomObject) -> Vec<&InMemDicomObject> {
    named(named(root, "126010")[0], "125007")
}

#[test]
fn one_group_an_image_with_every_class() {
    let sr = complete();
    let (manifest, prediction) = (manifest(true), prediction(&[]));
    assert_eq!(concept(&sr), "126000");
    assert_eq!(code_of_template(&sr), "1500");
    let groups = groups(&sr);
    assert_eq!(groups.len(), 4);
    for (group, p) in groups.iter().zip(&prediction.images) {
        let finding = p.outcome.as_ref().unwrap();
        let class = |n: usize| &manifest.classes()[n].concept.value;
        assert_eq!(code_of_template(group), "1410");
        assert_eq!(code(named(group, "121071")[0], tags::CONCEPT_CODE_SEQUENCE), *class(finding.class));
        let numbers = named(group, "122157");
        assert_eq!(numbers.len(), 4);
        assert_eq!(
            code(named(numbers[0], "121071")[0], tags::CONCEPT_CODE_SEQUENCE),
            *class(finding.class),
            "winner first"
        );
        for c in &finding.all {
            let of_class =
                |n: &&&InMemDicomObject| code(named(n, "121071")[0], tags::CONCEPT_CODE_SEQUENCE) == *class(c.class);
            let measured = &items(numbers.iter().find(of_class).unwrap(), tags::MEASURED_VALUE_SEQUENCE)[0];
            let percent = text(measured, tags::NUMERIC_VALUE);
            assert!(percent.len() <= 16);
            assert!((percent.parse::<f64>().unwrap() - c.probability * 100.0).abs() <= 5.1e-5, "{percent}");
            assert_eq!(code(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE), "%");
            let presence = code(named(group, class(c.class))[0], tags::CONCEPT_CODE_SEQUENCE);
            let expected = match c.probability {
                p if p >= 0.5 => "52101004",
                p if p < 0.2 => "272519000",
                _ => "373068000",
            };
            assert_eq!(presence, expected, "{} at {}", class(c.class), c.probability);
        }
    }
}

fn code_of_template(item: &InMemDicomObject) -> String {
    text(&items(item, tags::CONTENT_TEMPLATE_SEQUENCE)[0], tags::TEMPLATE_IDENTIFIER)
}

#[test]
fn the_region_is_the_whole_image() {
    let sr = complete();
    for (group, image) in groups(&sr).into_iter().zip(exam()) {
        let region = named(group, "111030")[0];
        let (c, r) = (image.columns as f32, image.rows as f32);
        let points = region.element(tags::GRAPHIC_DATA).unwrap().to_multi_float32().unwrap();
        assert_eq!(points, [0.0, 0.0, c, 0.0, c, r, 0.0, r, 0.0, 0.0]);
        assert_eq!(text(region, tags::GRAPHIC_TYPE), "POLYLINE");
        let selected = &items(named(region, "111040")[0], tags::REFERENCED_SOP_SEQUENCE)[0];
        assert_eq!(text(selected, tags::REFERENCED_SOP_INSTANCE_UID), image.sop_instance_uid);
        let site = named(group, "363698007")[0];
        let side = code(named(site, "272741003")[0], tags::CONCEPT_CODE_SEQUENCE);
        assert_eq!(side, if image.laterality.as_deref() == Some("L") { "7771000" } else { "24028007" });
    }
}

#[test]
fn the_library_has_every_source_with_its_view() {
    let sr = complete();
    let entries = children(named(named(&sr, "111028")[0], "126200")[0]);
    let views: Vec<String> = entries.iter().map(|e| code(named(e, "111031")[0], tags::CONCEPT_CODE_SEQUENCE)).collect();
    assert_eq!(views, ["399162004", "399162004", "399368009", "399368009"]);
}

#[test]
fn evidence_lists_every_reference_once() {
    let sr = complete();
    let studies = items(&sr, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE);
    assert_eq!(studies.len(), 1);
    let series = items(&studies[0], tags::REFERENCED_SERIES_SEQUENCE);
    let per_series: Vec<usize> = series.iter().map(|s| items(s, tags::REFERENCED_SOP_SEQUENCE).len()).collect();
    assert_eq!(per_series, [2, 2]);
    let mut evidence: Vec<String> = series
        .iter()
        .flat_map(|s| items(s, tags::REFERENCED_SOP_SEQUENCE))
        .map(|r| text(r, tags::REFERENCED_SOP_INSTANCE_UID))
        .collect();
    evidence.sort();
    let mut in_tree = referenced(&sr);
    assert_eq!(in_tree.len(), 8);
    in_tree.sort();
    in_tree.dedup();
    assert_eq!(evidence, in_tree);
}

#[test]
fn an_image_used_twice_is_listed_once() {
    let images = exam();
    let twice = [&images[0], &images[1], &images[0]];
    let evidence = super::super::evidence::evidence(twice).unwrap();
    let series = &items(&evidence[0], tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(items(series, tags::REFERENCED_SOP_SEQUENCE).len(), 2);
}

#[test]
fn the_producer_is_the_same_everywhere() {
    let sr = complete();
    let equipment = &items(&sr, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE)[0];
    let observer = |value: &str| text(named(&sr, value)[0], tags::TEXT_VALUE);
    let group = groups(&sr)[0];
    assert_eq!(text(equipment, tags::MANUFACTURER), observer("121014"));
    assert_eq!(text(equipment, tags::MANUFACTURER_MODEL_NAME), observer("121015"));
    assert_eq!(text(equipment, tags::DEVICE_UID), text(named(&sr, "121012")[0], tags::UID));
    assert_eq!(text(equipment, tags::MANUFACTURER_MODEL_NAME), text(named(group, "111001")[0], tags::TEXT_VALUE));
    assert_eq!(text(equipment, tags::SOFTWARE_VERSIONS), text(named(group, "111003")[0], tags::TEXT_VALUE));
    let parameters: Vec<String> = named(group, "111002").iter().map(|t| text(t, tags::TEXT_VALUE)).collect();
    assert!(parameters.iter().any(|p| p.contains("uncalibrated softmax")));
    assert!(parameters.iter().any(|p| p.contains(SHA)));
    assert!(parameters.iter().any(|p| p == "Mass: Present >= 0.5, Absent < 0.2"));
}

#[test]
fn marked_as_unverified_research_output() {
    let sr = complete();
    for (tag, expected) in [
        (tags::MODALITY, "SR"),
        (tags::COMPLETION_FLAG, "COMPLETE"),
        (tags::VERIFICATION_FLAG, "UNVERIFIED"),
        (tags::PRELIMINARY_FLAG, "PRELIMINARY"),
        (tags::CONTENT_QUALIFICATION, "RESEARCH"),
    ] {
        assert_eq!(text(&sr, tag), expected);
    }
    let first = children(&sr).iter().find(|c| text(c, tags::RELATIONSHIP_TYPE) == "CONTAINS").unwrap();
    assert_eq!(text(first, tags::TEXT_VALUE), manifest(true).report.disclaimer);
    let scheme = &items(&sr, tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE)[0];
    assert_eq!(text(scheme, tags::CODING_SCHEME_DESIGNATOR), "99ORTHAI");
    let request = &items(&sr, tags::REFERENCED_REQUEST_SEQUENCE)[0];
    assert_eq!(text(request, tags::ACCESSION_NUMBER), "ACC-17");
}

#[test]
fn demo_weights_say_so_even_if_the_texts_do_not() {
    let images = exam();
    let images: Vec<&ImageAttributes> = images.iter().collect();
    for demo in [true, false] {
        let mut manifest = manifest(false);
        manifest.demo = demo;
        manifest.report.series_description = "A description of no less than sixty-four characters, (research)!".into();
        let sr = read(&measurement_report(&context(&manifest, &images), &prediction(&[])).unwrap());
        let texts = [
            text(&sr, tags::SERIES_DESCRIPTION),
            text(named(&sr, "121106")[0], tags::TEXT_VALUE),
            text(named(&sr, "121013")[0], tags::TEXT_VALUE),
        ];
        assert!(texts.iter().all(|t| t.contains("DEMO") == demo), "{texts:?}");
        assert!(texts[0].len() <= 64);
    }
}
