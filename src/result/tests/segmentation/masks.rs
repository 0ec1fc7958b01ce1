//! The masks in the SEG: every voxel, on its slice, under its segment.

use super::*;

/// The masks, by SegmentNumber, that an object holds, decoded anew: slices are told by their position.
fn decode(seg: &InMemDicomObject, run: &Run) -> Vec<Array3<u8>> {
    let [_, rows, columns] = run.exam.size;
    let data = seg.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    assert_eq!(data.len() % 2, 0);
    let labelmap = text(seg, tags::SEGMENTATION_TYPE) == "LABELMAP";
    let numbers_of = |s: &&InMemDicomObject| numbers(s, tags::SEGMENT_NUMBER)[0] > 0;
    let count = items(seg, tags::SEGMENT_SEQUENCE).iter().filter(numbers_of).count();
    let mut masks = vec![Array3::zeros(run.exam.size); count];
    for (n, frame) in frames(seg).iter().enumerate() {
        let position = position_of(frame);
        let slice = run.channels[0].slices.iter().position(|s| s.position.as_slice() == position).unwrap();
        for (k, index) in (n * rows * columns..).zip(0..rows * columns) {
            let value = if labelmap { data[k] } else { data[k / 8] >> (k % 8) & 1 };
            if value != 0 {
                let segment = if labelmap {
                    u32::from(value)
                } else {
                    numbers(item(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE), tags::REFERENCED_SEGMENT_NUMBER)[0]
                };
                masks[segment as usize - 1][[slice, index / columns, index % columns]] = 1;
            }
        }
    }
    masks
}

fn run_of(size: [usize; 3], encoding: &str, masks: Vec<Array3<u8>>) -> Run {
    let mut run = Run::of(Exam::new(Layout::SeriesPerPhase, OBLIQUE, size), masks);
    run.manifest = volumes::manifest(4, &["Tumour", "Cyst"][..run.segmentation.segments.len()], encoding);
    run
}

#[test]
fn masks_come_back_bit_by_bit() {
    for size in [SIZE, [9, 23, 37], [9, 24, 40], [9, 16, 16]] {
        for (encoding, sop_class) in [("binary", "66.4"), ("labelmap", "66.7")] {
            let masks = vec![blob(size, [2.0, 6.0, 6.0], 3.0), blob(size, [5.0, 11.0, 11.0], 3.0)];
            let run = run_of(size, encoding, masks.clone());
            let seg = seg(&run);
            assert!(text(&seg, tags::SOP_CLASS_UID).ends_with(sop_class));
            assert!(masks[0].iter().sum::<u8>() > 20);
            assert_eq!(decode(&seg, &run), masks, "{encoding} {size:?}");
            assert_eq!(numbers(&seg, tags::NUMBER_OF_FRAMES)[0] as usize, frames(&seg).len());
            assert_eq!(text(&seg, tags::SEGMENTS_OVERLAP), "NO");
        }
    }
}

#[test]
fn auto_takes_bytes_where_a_server_cannot_render_bits() {
    let kind = |columns: usize| {
        let size = [9, 16, columns];
        text(&seg(&run_of(size, "auto", vec![blob(size, [4.0, 8.0, 8.0], 4.0)])), tags::SEGMENTATION_TYPE)
    };
    assert_eq!((kind(16), kind(20)), ("BINARY".into(), "LABELMAP".into()));
}

#[test]
fn overlapping_segments_stay_whole() {
    let masks = vec![blob(SIZE, [4.0, 8.0, 7.0], 5.0), blob(SIZE, [5.0, 10.0, 9.0], 5.0)];
    let run = run_of(SIZE, "labelmap", masks.clone());
    let seg = seg(&run);
    assert_eq!(
        (text(&seg, tags::SEGMENTATION_TYPE), text(&seg, tags::SEGMENTS_OVERLAP)),
        ("BINARY".into(), "YES".into())
    );
    assert_eq!(decode(&seg, &run), masks);
}

#[test]
fn frames_have_no_gap_and_unique_dimension_indices() {
    let mut mask = blob(SIZE, [1.0, 8.0, 7.0], 3.0);
    mask += &blob(SIZE, [6.0, 8.0, 7.0], 3.0);
    let seg = seg(&run_of(SIZE, "binary", vec![mask, two()[1].clone()]));
    let indices: Vec<Vec<u32>> = frames(&seg)
        .iter()
        .map(|f| numbers(item(f, tags::FRAME_CONTENT_SEQUENCE), tags::DIMENSION_INDEX_VALUES))
        .collect();
    let of_segment = |n| indices.iter().filter(|i| i[0] == n).map(|i| i[1]).collect::<Vec<u32>>();
    for segment in [of_segment(1), of_segment(2)] {
        assert!(segment.windows(2).all(|w| w[1] == w[0] + 1), "{segment:?}");
    }
    assert!(of_segment(1).len() >= 7);
    assert_eq!(items(&seg, tags::DIMENSION_INDEX_SEQUENCE).len(), 2);
}

#[test]
fn pixel_description() {
    let binary = seg(&run_of(SIZE, "binary", one()));
    let labelmap = seg(&run_of(SIZE, "labelmap", one()));
    for (tag, bits, bytes) in [
        (tags::BITS_ALLOCATED, 1, 8),
        (tags::BITS_STORED, 1, 8),
        (tags::HIGH_BIT, 0, 7),
        (tags::PIXEL_REPRESENTATION, 0, 0),
        (tags::SAMPLES_PER_PIXEL, 1, 1),
        (tags::ROWS, 20, 20),
        (tags::COLUMNS, 21, 21),
    ] {
        assert_eq!((numbers(&binary, tag), numbers(&labelmap, tag)), (vec![bits], vec![bytes]), "{tag}");
    }
    assert_eq!(numbers(&labelmap, tags::PIXEL_PADDING_VALUE), [0]);
    assert!(frames(&labelmap).iter().all(|f| f.get(tags::SEGMENT_IDENTIFICATION_SEQUENCE).is_none()));
    let background = &items(&labelmap, tags::SEGMENT_SEQUENCE)[0];
    assert_eq!(
        (numbers(background, tags::SEGMENT_NUMBER)[0], text(background, tags::SEGMENT_LABEL)),
        (0, "Background".into())
    );
}

#[test]
fn segments_say_what_they_are_and_who_made_them() {
    let run = run_of(SIZE, "binary", two());
    let seg = seg(&run);
    let segments = items(&seg, tags::SEGMENT_SEQUENCE);
    assert_eq!(segments.len(), 2);
    for (n, (segment, spec)) in segments.iter().zip(run.manifest.segments()).enumerate() {
        assert_eq!(numbers(segment, tags::SEGMENT_NUMBER), [n as u32 + 1]);
        assert_eq!(text(segment, tags::SEGMENT_LABEL), spec.name);
        assert_eq!(code(segment, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE), spec.category.value);
        assert_eq!(code(segment, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE), spec.concept.value);
        assert_eq!(code(segment, tags::ANATOMIC_REGION_SEQUENCE), "76752008");
        assert_eq!(text(segment, tags::SEGMENT_ALGORITHM_TYPE), "AUTOMATIC");
        let algorithm = item(segment, tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE);
        let equipment = item(&seg, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE);
        for (ours, theirs) in [
            (tags::ALGORITHM_NAME, tags::MANUFACTURER_MODEL_NAME),
            (tags::ALGORITHM_VERSION, tags::SOFTWARE_VERSIONS),
            (tags::ALGORITHM_SOURCE, tags::MANUFACTURER),
        ] {
            assert_eq!(text(algorithm, ours), text(equipment, theirs));
        }
        assert!(text(algorithm, tags::ALGORITHM_PARAMETERS).contains(SHA));
    }
    // Red: the manifest's first colour.
    let lab = numbers(&segments[0], tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE);
    assert!(lab.iter().zip([34891, 53479, 50166]).all(|(f, e)| f.abs_diff(e) <= 4), "{lab:?}");
    assert_eq!(text(&seg, tags::CONTENT_QUALIFICATION), "RESEARCH");
    assert!(text(&seg, tags::CONTENT_DESCRIPTION).starts_with("DEMO"));
}

#[test]
fn a_segment_without_voxels_has_no_place() {
    let run = run_of(SIZE, "binary", vec![nothing(), two()[1].clone()]);
    let seg = seg(&run);
    let only = item(&seg, tags::SEGMENT_SEQUENCE);
    assert_eq!((numbers(only, tags::SEGMENT_NUMBER)[0], text(only, tags::SEGMENT_LABEL)), (1, "Cyst".into()));
    assert_eq!(decode(&seg, &run), two()[1..]);
    let none = run_of(SIZE, "binary", vec![nothing(), nothing()]).encode().unwrap();
    assert!(of_kind(&none, ResultKind::Seg).is_none() && none.objects.len() == 1, "an empty SEG cannot be written");
}
