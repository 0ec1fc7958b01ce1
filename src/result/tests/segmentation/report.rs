//! The SR's groups and statements, the JSON for people, and the objects' identity.

use uuid::Uuid;

use super::*;

fn template(item: &InMemDicomObject) -> String {
    text(&items(item, tags::CONTENT_TEMPLATE_SEQUENCE)[0], tags::TEMPLATE_IDENTIFIER)
}

fn number(item: &InMemDicomObject) -> (f64, String) {
    let measured = &items(item, tags::MEASURED_VALUE_SEQUENCE)[0];
    (text(measured, tags::NUMERIC_VALUE).trim().parse().unwrap(), code(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE))
}

#[test]
fn two_groups_a_segment_under_one_tracking_uid() {
    let run = Run::new(Layout::SeriesPerPhase, two());
    let results = run.encode().unwrap();
    let (sr, seg) = (of_kind(&results, ResultKind::Sr).unwrap(), of_kind(&results, ResultKind::Seg).unwrap());
    let groups = named(named(&sr, "126010")[0], "125007");
    assert_eq!(groups.iter().map(|g| template(g)).collect::<Vec<_>>(), ["1410", "1411", "1410", "1411"]);
    let segments = items(&seg, tags::SEGMENT_SEQUENCE);
    for (n, (pair, segment)) in groups.chunks(2).zip(segments).enumerate() {
        let lesion = run.segmentation.segments[n].lesion.as_ref().unwrap();
        for group in pair {
            assert_eq!(text(named(group, "112040")[0], tags::UID), text(segment, tags::TRACKING_UID));
            assert_eq!(text(named(group, "112039")[0], tags::TEXT_VALUE), text(segment, tags::TRACKING_ID));
            assert_eq!(
                code(named(group, "121071")[0], tags::CONCEPT_CODE_SEQUENCE),
                run.manifest.segments()[n].concept.value
            );
            assert_eq!(text(named(group, "111001")[0], tags::TEXT_VALUE), "volumes-test");
        }
        let (volume, unit) = number(named(pair[1], "118565006")[0]);
        assert!((volume - lesion.volume_ml).abs() < 1e-4 && unit == "cm3");
        let (share, unit) = number(named(pair[1], "VOLUME_SHARE")[0]);
        assert!((share - lesion.ratio_percent).abs() < 1e-4 && unit == "%");
        let reference = &items(named(pair[1], "121191")[0], tags::REFERENCED_SOP_SEQUENCE)[0];
        assert_eq!(text(reference, tags::REFERENCED_SOP_INSTANCE_UID), text(&seg, tags::SOP_INSTANCE_UID));
        assert_eq!(numbers(reference, tags::REFERENCED_SEGMENT_NUMBER), [n as u32 + 1]);
        assert_eq!(text(named(pair[1], "121232")[0], tags::UID), "2.25.60001");
        let (axis, unit) = number(named(pair[0], "103339001")[0]);
        assert!((axis - lesion.long_axis.length_mm).abs() < 1e-4 && unit == "mm");
        let region = named(pair[0], "111030")[0];
        let points = region.element(tags::GRAPHIC_DATA).unwrap().to_multi_float32().unwrap();
        assert_eq!(points, lesion.outline.points.concat());
        let source = &run.channels[1].slices[lesion.outline.slice].instance.sop_instance_uid;
        assert_eq!(referenced(region), std::slice::from_ref(source));
    }
}

#[test]
fn means_name_their_phase_and_enhancement_follows() {
    let phases = |sr: &InMemDicomObject, concept| {
        let group = named(named(sr, "126010")[0], "125007")[1];
        let phase = |n: &InMemDicomObject| named(n, "C2348792").first().map(|t| text(t, tags::TEXT_VALUE));
        named(group, concept).into_iter().map(|n| (phase(n), number(n).0)).collect::<Vec<_>>()
    };
    let named_phase = |n: usize, value: f64| (Some(volumes::PHASES[n].to_owned()), value);
    let sr4 = sr(&Run::new(Layout::OneSeries, one()));
    assert_eq!(
        phases(&sr4, "110816"),
        [100.0, 150.0, 200.0, 250.0].iter().enumerate().map(|(n, v)| named_phase(n, *v)).collect::<Vec<_>>()
    );
    assert_eq!(phases(&sr4, "ENHANCEMENT"), [named_phase(1, 50.0), named_phase(2, 100.0), named_phase(3, 150.0)]);
    let scheme = item(&sr4, tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE);
    assert_eq!(text(scheme, tags::CODING_SCHEME_DESIGNATOR), "99ORTHAI");
    let sr1 = sr(&Run::of(Exam { phases: 1, ..Exam::new(Layout::OneSeries, AXIAL, SIZE) }, one()));
    assert_eq!((phases(&sr1, "110852"), phases(&sr1, "ENHANCEMENT").len()), (vec![(None, 100.0)], 0));
    let mut dark = Run::new(Layout::OneSeries, one());
    dark.segmentation.segments[0].lesion.as_mut().unwrap().channel_means[0] = 0.0;
    assert!(phases(&sr(&dark), "ENHANCEMENT").is_empty(), "a ratio to nothing is no number");
}

#[test]
fn what_is_not_found_is_stated_outside_the_groups() {
    let some = sr(&Run::new(Layout::OneSeries, vec![nothing(), two()[1].clone()]));
    let none = sr(&Run::new(Layout::OneSeries, vec![nothing(), nothing()]));
    for (sr, summary, absent) in
        [(&some, "111242", vec!["108369006"]), (&none, "111241", vec!["108369006", "52988006"])]
    {
        let statements = named(sr, "C0034375")[0];
        assert_eq!(code(named(statements, "111017")[0], tags::CONCEPT_CODE_SEQUENCE), summary);
        let stated: Vec<&InMemDicomObject> =
            children(statements).iter().filter(|c| code(c, tags::CONCEPT_CODE_SEQUENCE) == "272519000").collect();
        assert_eq!(stated.iter().map(|c| concept(c)).collect::<Vec<_>>(), absent);
        assert!(stated.iter().all(|s| text(named(s, "121106")[0], tags::TEXT_VALUE).contains("does not exclude")));
        assert!(stated.iter().all(|s| text(named(s, "111001")[0], tags::TEXT_VALUE) == "volumes-test"));
    }
    // Every group that is there has a region, and readers need no empty container.
    assert_eq!(named(named(&some, "126010")[0], "125007").len(), 2);
    assert!(named(&none, "126010").is_empty() && named(&none, "111028").is_empty());
    assert_eq!(text(&none, tags::COMPLETION_FLAG), "COMPLETE");
}

#[test]
fn evidence_has_all_sources_and_the_masks_once() {
    for layout in [Layout::SeriesPerPhase, Layout::OneSeries, Layout::Enhanced] {
        let run = Run::new(layout, two());
        let sr = sr(&run);
        let study = item(&sr, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE);
        let listed: Vec<String> = items(study, tags::REFERENCED_SERIES_SEQUENCE)
            .iter()
            .flat_map(|s| items(s, tags::REFERENCED_SOP_SEQUENCE))
            .map(|r| text(r, tags::REFERENCED_SOP_INSTANCE_UID))
            .collect();
        let mut once = listed.clone();
        once.sort();
        once.dedup();
        assert_eq!((once.len(), listed.len()), (distinct_instances(&run.channels).len() + 1, once.len()), "{layout:?}");
        assert!(referenced(&sr).iter().all(|r| once.contains(r)), "{layout:?}");
        if layout == Layout::Enhanced {
            let region = named(named(named(&sr, "126010")[0], "125007")[0], "111030")[0];
            let image = &items(named(region, "111040")[0], tags::REFERENCED_SOP_SEQUENCE)[0];
            let slice = run.segmentation.segments[0].lesion.as_ref().unwrap().outline.slice;
            assert_eq!(numbers(image, tags::REFERENCED_FRAME_NUMBER), [slice as u32 + 1]);
        }
    }
}

#[test]
fn the_report_for_people() {
    let run = Run::new(Layout::Enhanced, vec![two()[0].clone(), nothing()]);
    let results = run.encode().unwrap();
    let seg = results.objects.iter().find(|o| o.kind == ResultKind::Seg).unwrap();
    let json = serde_json::to_value(&results.report).unwrap();
    assert!(json.get("Images").is_none());
    let s = &json["Segmentation"];
    assert_eq!((&s["Slices"], &s["Channel"], &s["SeriesUid"]), (&9.into(), &"phase 1".into(), &"2.25.60001".into()));
    assert_eq!(s["SegInstanceUid"], *seg.sop_instance_uid);
    assert_eq!(s["SegSeriesUid"], *seg.series_instance_uid);
    let (found, absent) = (&s["Segments"][0], &s["Segments"][1]);
    let lesion = run.segmentation.segments[0].lesion.as_ref().unwrap();
    assert_eq!((&found["Found"], &found["Name"], &found["Color"]), (&true.into(), &"Tumour".into(), &"#ff0000".into()));
    assert_eq!(
        (found["VolumeMl"].as_f64(), found["Voxels"].as_u64()),
        (Some(lesion.volume_ml), Some(lesion.voxels as u64))
    );
    assert_eq!((&found["FirstSlice"], &found["LastSlice"], &found["OutlineSlice"]), (&1.into(), &3.into(), &2.into()));
    assert_eq!((&found["OutlineInstanceUid"], &found["OutlineFrame"]), (&"2.25.710000".into(), &3.into()));
    assert_eq!(found["Channels"][1], serde_json::json!({"Name": "phase 1", "Mean": 150.0, "EnhancementPercent": 50.0}));
    assert!(found["Channels"][0].get("EnhancementPercent").is_none());
    let expected =
        format!("Tumour: {:.2} ml, long axis {:.1} mm, slices 2 to 4", lesion.volume_ml, lesion.long_axis.length_mm);
    assert_eq!(found["Finding"], expected);
    assert_eq!(
        *absent,
        serde_json::json!({"Name": "Cyst", "Color": "#00a0ff", "Found": false, "Finding": "Cyst: not found"})
    );
    assert!(!json.to_string().contains("PHANTOM-1") && !json.to_string().contains("ller"), "no patient data");
}

#[test]
fn a_repeat_is_the_same_to_the_byte_and_other_masks_are_other_objects() {
    let encode = |masks| Run::new(Layout::SeriesPerPhase, masks).encode().unwrap().objects;
    let (a, b, other) = (encode(one()), encode(one()), encode(vec![two()[0].clone()]));
    for ((a, b), other) in a.iter().zip(&b).zip(&other) {
        assert_eq!((&a.sop_instance_uid, &a.bytes), (&b.sop_instance_uid, &b.bytes));
        assert_ne!(a.sop_instance_uid, other.sop_instance_uid);
    }
    assert_ne!(a[0].series_instance_uid, other[0].series_instance_uid, "viewers take one SEG a series");
    assert_ne!(a[0].series_instance_uid, a[1].series_instance_uid);
    let run = Run::new(Layout::SeriesPerPhase, one());
    let forced = run.encode_with(|ctx| ctx.uids = ctx.uids.clone().forced(Uuid::from_u128(3))).unwrap();
    assert_ne!(forced.objects[0].sop_instance_uid, a[0].sop_instance_uid);
    let tracking = |o: &ResultObject| text(&items(&read(o), tags::SEGMENT_SEQUENCE)[0], tags::TRACKING_UID);
    assert_eq!(tracking(&forced.objects[0]), tracking(&a[0]));
}
