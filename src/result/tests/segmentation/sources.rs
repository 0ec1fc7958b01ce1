//! What the SEG says of its source: modules, references, geometry; and what it is refused for.

use std::sync::Arc;

use dicom_core::{DataElement, VR};

use super::*;
use crate::imaging::ImageAttributes;

#[test]
fn every_frame_names_its_sources_the_displayed_phase_first() {
    for layout in [Layout::SeriesPerPhase, Layout::OneSeries, Layout::Enhanced] {
        let run = Run::new(layout, one());
        let seg = seg(&run);
        for frame in frames(&seg) {
            let position = position_of(frame);
            let slice = run.channels[0].slices.iter().position(|s| s.position.as_slice() == position).unwrap();
            let source = |phase: usize| {
                let s = &run.channels[phase].slices[slice];
                let uid = &s.instance.sop_instance_uid;
                s.frame.map_or(uid.clone(), |f| format!("{uid}#{f}"))
            };
            assert_eq!(derived_from(frame), [1, 0, 2, 3].map(source), "{layout:?}");
        }
    }
}

#[test]
fn the_channel_shown_is_the_manifests() {
    let mut run = Run::new(Layout::SeriesPerPhase, one());
    let first_series =
        |run: &Run| text(&items(&seg(run), tags::REFERENCED_SERIES_SEQUENCE)[0], tags::SERIES_INSTANCE_UID);
    assert_eq!(first_series(&run), "2.25.60001", "the first phase after contrast");
    if let crate::manifest::TaskSpec::Segmentation(task) = &mut run.manifest.task {
        task.display_channel = Some(3);
    }
    assert_eq!(first_series(&run), "2.25.60003");
    let single = Run::of(Exam { phases: 1, ..Exam::new(Layout::SeriesPerPhase, AXIAL, SIZE) }, one());
    assert_eq!(first_series(&single), "2.25.60000");
}

#[test]
fn referenced_series_list_each_instance_once() {
    for (layout, series, instances) in
        [(Layout::SeriesPerPhase, 4, 1), (Layout::OneSeries, 1, 4), (Layout::Enhanced, 4, 0)]
    {
        let seg = seg(&Run::new(layout, one()));
        let listed = items(&seg, tags::REFERENCED_SERIES_SEQUENCE);
        assert_eq!(listed.len(), series, "{layout:?}");
        let mut uids: Vec<String> = listed
            .iter()
            .flat_map(|s| items(s, tags::REFERENCED_INSTANCE_SEQUENCE))
            .map(|i| text(i, tags::REFERENCED_SOP_INSTANCE_UID))
            .collect();
        let per_series = if instances == 0 { 1 } else { frames(&seg).len() * instances };
        assert_eq!(uids.len(), series * per_series, "{layout:?}");
        uids.sort();
        uids.dedup();
        assert_eq!(uids.len(), series * per_series, "{layout:?}: listed twice");
    }
}

#[test]
fn geometry_is_the_sources_text() {
    for (layout, orientation) in [(Layout::SeriesPerPhase, OBLIQUE), (Layout::Enhanced, CORONAL)] {
        let run = Run::of(Exam::new(layout, orientation, SIZE), one());
        let seg = seg(&run);
        let shared = item(&seg, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let measures = item(shared, tags::PIXEL_MEASURES_SEQUENCE);
        // With the zeros that the source writes.
        assert_eq!(text(measures, tags::PIXEL_SPACING), "0.75000\\0.75000");
        assert_eq!(text(measures, tags::SLICE_THICKNESS), "2.5");
        assert_eq!(text(measures, tags::SPACING_BETWEEN_SLICES), "2.5");
        let written = text(item(shared, tags::PLANE_ORIENTATION_SEQUENCE), tags::IMAGE_ORIENTATION_PATIENT);
        assert_eq!(written.trim(), run.channels[1].slices[0].orientation.join("\\"));
        assert_eq!(text(&seg, tags::FRAME_OF_REFERENCE_UID), volumes::FRAME_OF_REFERENCE_UID);
        assert!(seg.get(tags::PATIENT_ORIENTATION).is_none());
    }
}

#[test]
fn spacing_that_the_source_does_not_state_is_the_grids() {
    let mut exam = Exam::new(Layout::SeriesPerPhase, AXIAL, SIZE);
    exam.edit = |o| {
        o.remove_element(tags::SLICE_THICKNESS);
        o.put(DataElement::new(tags::PIXEL_SPACING, VR::DS, "0.8\\0.75"));
    };
    let run = Run::of(exam, one());
    let seg = seg(&run);
    let measures = item(item(&seg, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE), tags::PIXEL_MEASURES_SEQUENCE);
    assert_eq!(text(measures, tags::PIXEL_SPACING), "0.75\\0.75");
    assert_eq!(text(measures, tags::SLICE_THICKNESS), "2.5");
}

#[test]
fn patient_study_and_series_of_the_source() {
    let results = Run::new(Layout::SeriesPerPhase, one()).encode().unwrap();
    let source = &Run::new(Layout::SeriesPerPhase, one()).channels[1].slices[0].instance.dataset;
    for kind in [ResultKind::Seg, ResultKind::Sr] {
        let object = of_kind(&results, kind).unwrap();
        for tag in
            [tags::PATIENT_NAME, tags::PATIENT_ID, tags::STUDY_INSTANCE_UID, tags::ACCESSION_NUMBER, tags::STUDY_TIME]
        {
            assert_eq!(text(&object, tag), text(source, tag), "{kind} {tag}");
        }
        assert_eq!(text(&object, tags::MODALITY), kind.to_string());
    }
    let seg = of_kind(&results, ResultKind::Seg).unwrap();
    assert_eq!(
        (text(&seg, tags::BODY_PART_EXAMINED), text(&seg, tags::PATIENT_POSITION)),
        ("BREAST".into(), "FFP".into())
    );
    assert_eq!(text(&seg, tags::LOSSY_IMAGE_COMPRESSION), "00");
    assert!(results.objects.iter().all(|o| o.left_out.is_empty()));
}

#[test]
fn dirty_headers_do_not_stop_it() {
    let mut exam = Exam::new(Layout::SeriesPerPhase, AXIAL, SIZE);
    exam.edit = |o| {
        o.put(DataElement::new(tags::STUDY_DATE, VR::DA, "2026-03-02"));
        o.put(DataElement::new(tags::PATIENT_POSITION, VR::CS, "feet first"));
        o.put(DataElement::new(tags::LATERALITY, VR::CS, "L"));
        o.put(DataElement::new(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01"));
        o.put(DataElement::new(tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS, "7.5"));
        o.remove_element(tags::FRAME_OF_REFERENCE_UID);
    };
    let mut run = Run::of(exam, one());
    run.segmentation.geometry.frame_of_reference_uid = None;
    let results = run.encode().unwrap();
    let seg = of_kind(&results, ResultKind::Seg).unwrap();
    assert!(results.objects.iter().all(|o| o.left_out == ["StudyDate"]));
    assert!(seg.get(tags::PATIENT_POSITION).is_none() && seg.get(tags::FRAME_OF_REFERENCE_UID).is_none());
    assert_eq!(
        (text(&seg, tags::LOSSY_IMAGE_COMPRESSION), text(&seg, tags::LOSSY_IMAGE_COMPRESSION_RATIO)),
        ("01".into(), "7.5".into())
    );
    let region = item(item(&seg, tags::SEGMENT_SEQUENCE), tags::ANATOMIC_REGION_SEQUENCE);
    assert_eq!(code(region, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE), "7771000");
    let site = named(&children(named(&sr(&run), "126010")[0])[0], "363698007")[0].clone();
    assert_eq!(code(named(&site, "272741003")[0], tags::CONCEPT_CODE_SEQUENCE), "7771000");
}

/// A phase of another grid is named nowhere in the SEG but in how the masks came about, and in the SR's evidence.
#[test]
fn a_resampled_channel_is_evidence_but_no_frames_source() {
    let mut run = Run::new(Layout::SeriesPerPhase, one());
    // Its slices lie where the masks' lie, and are as many: that they are of another grid is known where it was resampled.
    run.channels[1].resampled = true;
    run.channels[2].resampled = true;
    run.channels[2].slices.truncate(5);
    let results = run.encode().unwrap();
    let seg = of_kind(&results, ResultKind::Seg).unwrap();
    let series = items(&seg, tags::REFERENCED_SERIES_SEQUENCE).iter().map(|s| text(s, tags::SERIES_INSTANCE_UID));
    assert_eq!(series.collect::<Vec<_>>(), ["2.25.60000", "2.25.60003"]);
    let sr = of_kind(&results, ResultKind::Sr).unwrap();
    let evidence = item(&sr, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE);
    assert_eq!(items(evidence, tags::REFERENCED_SERIES_SEQUENCE).len(), 5, "four phases and the SEG");
    let told = ["phase 1", "phase 2"].map(|c| format!("{c}: values interpolated linearly on the grid of pre-contrast"));
    let group = named(named(&sr, "126010")[0], "125007")[0];
    let parameters: Vec<String> = named(group, "111002").iter().map(|p| text(p, tags::TEXT_VALUE)).collect();
    assert!(told.iter().all(|t| parameters.contains(t)), "{parameters:?}");
    let segment = item(&seg, tags::SEGMENT_SEQUENCE);
    let identification = item(segment, tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE);
    let lines = text(identification, tags::ALGORITHM_PARAMETERS);
    assert!(lines.lines().map(str::trim_end).skip(1).eq(told), "{lines}");
    run.channels.iter_mut().for_each(|c| c.resampled = true);
    let error = run.encode().unwrap_err().to_string();
    assert!(error.contains("no channel whose slices"), "{error}");
}

/// Whether slices are on the masks' grid was settled where they were read, by what counts as rounding there.
#[test]
fn rounded_positions_are_the_sources_own() {
    let mut run = Run::new(Layout::SeriesPerPhase, one());
    let place = |run: &mut Run, text: &str| run.channels[1].slices[4].position[2] = text.into();
    let there: f64 = run.channels[1].slices[4].position[2].parse().unwrap();
    let rounded = format!("{:.3}", there + 0.1);
    place(&mut run, &rounded);
    let seg = seg(&run);
    assert_eq!(items(&seg, tags::REFERENCED_SERIES_SEQUENCE).len(), 4);
    assert!(frames(&seg).iter().any(|f| position_of(f)[2] == rounded));
}

/// Scanners write more digits than a DS may have.
#[test]
fn texts_that_are_too_long_are_written_with_all_the_digits_that_fit() {
    let mut run = Run::new(Layout::SeriesPerPhase, one());
    for slice in &mut run.channels[1].slices {
        slice.position[0] = "-166.00000000000003".into();
        slice.orientation[1] = "0.173648177666930331".into();
        slice.pixel_spacing = ["0.750000000000000011".into(), "0.75".into()];
        slice.thickness = Some("2.50000000000000012345".into());
    }
    let seg = seg(&run);
    assert_eq!(position_of(&frames(&seg)[0])[0], "-166");
    let shared = item(&seg, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let orientation = text(item(shared, tags::PLANE_ORIENTATION_SEQUENCE), tags::IMAGE_ORIENTATION_PATIENT);
    assert_eq!(orientation.split('\\').nth(1), Some("0.17364817766693"));
    let measures = item(shared, tags::PIXEL_MEASURES_SEQUENCE);
    assert_eq!(text(measures, tags::PIXEL_SPACING), "0.75\\0.75");
    assert_eq!(text(measures, tags::SLICE_THICKNESS), "2.5");
}

/// Contrasts are no phases: nothing enhances, and the first is shown.
#[test]
fn contrasts_are_signals_without_a_time() {
    let mut run = Run::new(Layout::SeriesPerPhase, one());
    if let crate::manifest::SelectSpec::Volumes(spec) = &mut run.manifest.input.select {
        spec.time_points.clear();
    }
    let results = run.encode().unwrap();
    let (sr, seg) = (of_kind(&results, ResultKind::Sr).unwrap(), of_kind(&results, ResultKind::Seg).unwrap());
    let groups = named(named(&sr, "126010")[0], "125007");
    let all: Vec<&InMemDicomObject> = groups.iter().flat_map(|g| tree(g)).collect();
    assert!(all.iter().all(|i| !["110816", "ENHANCEMENT", "C2348792"].contains(&concept(i).as_str())));
    let signals: Vec<_> = all.iter().filter(|i| concept(i) == "110852").collect();
    let of: Vec<String> = signals.iter().map(|s| text(named(s, "121106")[0], tags::TEXT_VALUE)).collect();
    assert_eq!(of, volumes::PHASES);
    let first = &items(&seg, tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(text(first, tags::SERIES_INSTANCE_UID), "2.25.60000");
    let report = results.report.segmentation.unwrap();
    let channels = &report.segments[0].measurements.as_ref().unwrap().channels;
    assert!(channels.len() == 4 && channels.iter().all(|c| c.enhancement_percent.is_none()));
}

#[test]
fn a_segment_whose_name_is_not_ascii_is_tracked_by_its_concept() {
    let mut run = Run::new(Layout::SeriesPerPhase, two());
    if let crate::manifest::TaskSpec::Segmentation(task) = &mut run.manifest.task {
        task.segments[0].name = "\u{c885}\u{c591}".into();
        task.segments[1].name = "\u{c885}\u{c591} 2".into();
    }
    // Texts beyond ASCII: the source must be one that UTF-8 can take.
    let seg = seg(&run);
    let ids: Vec<String> = items(&seg, tags::SEGMENT_SEQUENCE).iter().map(|s| text(s, tags::TRACKING_ID)).collect();
    assert_eq!(ids, ["Neoplasm", "?? 2"]);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    type Change = fn(&mut Run);
    let changes: [(Change, &str); 9] = [
        (|r| drop(r.segmentation.segments.pop()), "found 0 masks, expected 1"),
        (|r| drop(r.channels.pop()), "found 3 channels, expected 4"),
        (|r| r.segmentation.segments[0].mask = Array3::ones([9, 20, 20]), "found a mask of 9 x 20 x 20"),
        (|r| r.segmentation.segments[0].lesion = None, "expected measurements"),
        (|r| r.segmentation.segments[0].mask.fill(0), "found measurements of an empty mask"),
        (|r| r.segmentation.segments[0].lesion.as_mut().unwrap().channel_means.truncate(3), "means of 3 channels"),
        (|r| r.segmentation.segments[0].lesion.as_mut().unwrap().outline.slice = 40, "outline on slice 40"),
        (|r| r.segmentation.segments[0].lesion.as_mut().unwrap().outline.points.truncate(4), "closed polygon"),
        (|r| r.segmentation.segments[0].lesion.as_mut().unwrap().volume_ml = f64::NAN, "NaN, expected a finite"),
    ];
    for (change, expected) in changes {
        let mut run = Run::new(Layout::OneSeries, one());
        change(&mut run);
        let error = run.encode().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut short = Run::new(Layout::OneSeries, one());
    short.channels[3].slices.pop();
    let error = short.encode().unwrap_err().to_string();
    assert!(error.contains("channel 4: found 8 slices of 20 x 21, expected 9 of 20 x 21"), "{error}");
    let run = Run::new(Layout::OneSeries, one());
    let error = run.encode_with(|ctx| ctx.images = &ctx.images[..3]).unwrap_err().to_string();
    assert!(error.contains("none of the run's images"), "{error}");
    let mut mixed = Run::new(Layout::OneSeries, one());
    let slice = &mut mixed.channels[2].slices[1];
    let other = ImageAttributes { study_instance_uid: "2.25.5".into(), ..(*slice.instance).clone() };
    slice.instance = Arc::new(other);
    assert!(matches!(mixed.encode().unwrap_err(), ResultError::MixedStudies { .. }));
}
