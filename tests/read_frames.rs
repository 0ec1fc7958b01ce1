//! Frames of images that the test makes: where the values, the planes and the times come from, and what is refused.

mod dicom_file;

use dicom_core::value::{DataSetSequence, PixelFragmentSequence};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_file::{MadeImage, file};
use dicom_object::InMemDicomObject;
use orthanc_ai::imaging::clock::TimeValue;
use orthanc_ai::imaging::{
    DecodedFrame, FrameDecoder, Pixels, SourceFrame, VoxelBudget, read_frame, read_frames, read_frames_within,
    read_series,
};

const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const NATIVE: [&str; 4] = [
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    BIG_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
];
const ROWS: usize = 3;
const COLUMNS: usize = 5;

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, dicom_value!(Str, value)));
}

fn item(values: &[(Tag, VR, &str)]) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    values.iter().for_each(|(tag, vr, value)| put(&mut item, *tag, *vr, value));
    item
}

fn put_items(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

fn made(frames: usize, bits: u16, signed: bool) -> MadeImage {
    let samples = (0..frames * ROWS * COLUMNS).map(|i| (i as u32 * 40_503 + 12_345) as u16).collect();
    let (rows, columns) = (ROWS as u16, COLUMNS as u16);
    MadeImage { bits_allocated: bits, bits_stored: bits, signed, rows, columns, photometric: "MONOCHROME2", samples }
}

fn expected(image: &MadeImage, slope: f64, intercept: f64) -> Vec<f32> {
    let stored = |&v: &u16| match (image.bits_allocated, image.signed) {
        (8, false) => f64::from(v as u8),
        (8, true) => f64::from(v as u8 as i8),
        (_, false) => f64::from(v),
        (_, true) => f64::from(v as i16),
    };
    image.samples.iter().map(|v| (slope * stored(v) + intercept) as f32).collect()
}

fn values(frames: &[SourceFrame]) -> Vec<f32> {
    frames.iter().flat_map(|f| f.values.iter().copied()).collect()
}

/// A classic slice of a coronal series.
fn classic(image: &MadeImage) -> InMemDicomObject {
    let mut object = image.object();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "-10.50\\20\\30.0"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1"),
        (tags::PIXEL_SPACING, VR::DS, "0.8\\0.6"),
        (tags::SLICE_THICKNESS, VR::DS, "4"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.77"),
        (tags::RESCALE_SLOPE, VR::DS, "0.5"),
        (tags::RESCALE_INTERCEPT, VR::DS, "-100"),
        (tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, "3"),
        (tags::ACQUISITION_DATE, VR::DA, "20240102"),
        (tags::ACQUISITION_TIME, VR::TM, "101112.5"),
    ] {
        put(&mut object, tag, vr, value);
    }
    object
}

/// An enhanced image of `frames` sagittal slices, 2 mm apart, from the last to the first; the slope of frame n is n + 1.
fn enhanced(image: &MadeImage, frames: usize) -> InMemDicomObject {
    let mut object = image.object();
    put(&mut object, tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_MR_IMAGE_STORAGE);
    put(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string());
    put(&mut object, tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.77");
    let mut shared = InMemDicomObject::new_empty();
    let orientation = item(&[(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\1\\0\\0\\0\\-1")]);
    put_items(&mut shared, tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
    let measures = item(&[(tags::PIXEL_SPACING, VR::DS, "0.8\\0.6"), (tags::SLICE_THICKNESS, VR::DS, "2")]);
    put_items(&mut shared, tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    put_items(&mut object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    let per_frame = (0..frames).map(|n| {
        let mut groups = InMemDicomObject::new_empty();
        let position = format!("{}\\-110.25\\110", 2 * n);
        let position = item(&[(tags::IMAGE_POSITION_PATIENT, VR::DS, &position)]);
        put_items(&mut groups, tags::PLANE_POSITION_SEQUENCE, vec![position]);
        let slope = (n + 1).to_string();
        let values = item(&[(tags::RESCALE_SLOPE, VR::DS, &slope), (tags::RESCALE_INTERCEPT, VR::DS, "7")]);
        put_items(&mut groups, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![values]);
        let mut content = item(&[(tags::FRAME_ACQUISITION_DATE_TIME, VR::DT, "20240102101112.5")]);
        content.put(DataElement::new(tags::TEMPORAL_POSITION_INDEX, VR::UL, PrimitiveValue::from(3u32)));
        put_items(&mut groups, tags::FRAME_CONTENT_SEQUENCE, vec![content]);
        groups
    });
    put_items(&mut object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, per_frame.collect());
    object
}

#[test]
fn a_classic_slice_in_every_native_transfer_syntax() {
    for (bits, signed) in [(8, false), (8, true), (16, false), (16, true)] {
        let image = made(1, bits, signed);
        for ts in NATIVE {
            let frames = read_frames(&file(classic(&image), ts), None).unwrap_or_else(|e| panic!("{ts}: {e}"));
            assert_eq!(values(&frames), expected(&image, 0.5, -100.0), "{ts}");
            let [frame] = &frames[..] else { panic!("{} frames", frames.len()) };
            assert_eq!((frame.frame, frame.frame_of_reference_uid.as_deref()), (None, Some("2.25.77")));
            assert_eq!(frame.plane.position_mm, [-10.5, 20.0, 30.0]);
            assert_eq!(frame.plane.position_text, ["-10.50", "20", "30.0"]);
            assert_eq!(frame.plane.orientation, [1.0, 0.0, 0.0, 0.0, 0.0, -1.0]);
            assert_eq!((frame.plane.pixel_spacing_mm, frame.plane.slice_spacing_mm), ([0.8, 0.6], Some(4.0)));
            assert_eq!(frame.times.get("TemporalPositionIdentifier"), TimeValue::number("3"));
            assert!(frame.times.get("AcquisitionTime").is_some() && frame.times.get("TriggerTime").is_none());
            assert!(frame.instance.dataset.get(tags::STUDY_INSTANCE_UID).is_some());
        }
    }
}

/// What a server writes that does not know an attribute: VR UN, the bytes as they were.
#[test]
fn texts_of_unknown_vr_are_texts() {
    let image = made(1, 16, true);
    let mut object = classic(&image);
    for tag in [
        tags::SOP_INSTANCE_UID,
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PIXEL_SPACING,
        tags::SLICE_THICKNESS,
        tags::RESCALE_SLOPE,
        tags::ACQUISITION_TIME,
    ] {
        let text = object.get(tag).unwrap().to_str().unwrap().to_string();
        let bytes = text.into_bytes().into_iter().chain([b' ']).collect::<Vec<u8>>();
        object.put(DataElement::new(tag, VR::UN, PrimitiveValue::U8(bytes.into())));
    }
    let meta = dicom_object::FileMetaTableBuilder::new()
        .transfer_syntax(NATIVE[1])
        .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
        .media_storage_sop_instance_uid("2.25.1");
    let mut bytes = Vec::new();
    object.with_exact_meta(meta.build().unwrap()).write_all(&mut bytes).unwrap();
    let unknown = read_frames(&bytes, None).unwrap().remove(0);
    let known = read_frames(&file(classic(&image), NATIVE[1]), None).unwrap().remove(0);
    assert_eq!(unknown.instance.sop_instance_uid, "2.25.1");
    assert_eq!((&unknown.plane, &unknown.times), (&known.plane, &known.times));
    assert_eq!(unknown.values, known.values);
}

#[test]
fn an_enhanced_image_in_every_native_transfer_syntax() {
    for (bits, signed) in [(8, false), (8, true), (16, false), (16, true)] {
        let image = made(3, bits, signed);
        for ts in NATIVE {
            let frames = read_frames(&file(enhanced(&image, 3), ts), None).unwrap_or_else(|e| panic!("{ts}: {e}"));
            for (n, frame) in frames.iter().enumerate() {
                let part = &expected(&image, n as f64 + 1.0, 7.0)[n * ROWS * COLUMNS..(n + 1) * ROWS * COLUMNS];
                assert_eq!(frame.values.iter().copied().collect::<Vec<_>>(), part, "{ts}, frame {n}");
                assert_eq!(frame.frame, Some(n as u32 + 1));
                assert_eq!(frame.plane.position_mm, [2.0 * n as f64, -110.25, 110.0]);
                assert_eq!(frame.plane.orientation, [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]);
                assert_eq!(frame.times.get("TemporalPositionIdentifier"), TimeValue::number("3"));
                let classic = read_frames(&file(classic(&made(1, 16, false)), NATIVE[1]), None).unwrap();
                assert_eq!(frame.times.get("AcquisitionTime"), classic[0].times.get("AcquisitionTime"));
            }
            assert!(frames[0].instance.dataset.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).is_none());
            // Row +y × column -z is -x: the last frame comes first.
            let volume = read_series([file(enhanced(&image, 3), ts)], None, &[]).unwrap().remove(0);
            assert_eq!(volume.slices.iter().map(|s| s.frame).collect::<Vec<_>>(), [Some(3), Some(2), Some(1)]);
            assert_eq!(volume.geometry.steps_mm[0], [-2.0, 0.0, 0.0]);
            assert_eq!(volume.slices[0].position, ["4", "-110.25", "110"]);
        }
    }
}

#[test]
fn eight_bit_frames_of_odd_size_in_big_endian_words() {
    let image = made(3, 8, false);
    let mut object = enhanced(&image, 3);
    let mut bytes: Vec<u8> = image.samples.iter().map(|&v| v as u8).chain([0]).collect();
    bytes.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U8(bytes.into())));
    let frames = read_frames(&file(object, BIG_ENDIAN), None).unwrap();
    let last = &expected(&image, 3.0, 7.0)[2 * ROWS * COLUMNS..];
    assert_eq!(frames[2].values.iter().copied().collect::<Vec<_>>(), last);
}

/// One frame in RLE Lossless, literal runs only.
fn rle(samples: &[u16]) -> Vec<u8> {
    let (mut header, mut body) = (vec![2u32], Vec::new());
    for shift in [8, 0] {
        header.push(64 + body.len() as u32);
        for run in samples.chunks(128) {
            body.push(run.len() as u8 - 1);
            body.extend(run.iter().map(|v| (v >> shift) as u8));
        }
    }
    header.resize(16, 0);
    let mut frame: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).chain(body).collect();
    frame.resize(frame.len().next_multiple_of(2), 0);
    frame
}

#[test]
fn compressed_frames_by_every_kind_of_offset_table() {
    let image = made(3, 16, false);
    let whole: Vec<Vec<u8>> = image.samples.chunks(ROWS * COLUMNS).map(rle).collect();
    // The second frame in two fragments.
    let (a, b) = whole[1].split_at(70);
    let parts = vec![whole[0].clone(), a.to_vec(), b.to_vec(), whole[2].clone()];
    let length = whole[0].len() as u32 + 8;
    let basic = vec![0, length, 2 * length + 8];
    let extended = |object: &mut InMemDicomObject| {
        let table = basic.iter().map(|v| u64::from(*v)).collect::<Vec<_>>();
        object.put(DataElement::new(tags::EXTENDED_OFFSET_TABLE, VR::OV, PrimitiveValue::U64(table.into())));
    };
    let cases: [(Vec<u32>, Vec<Vec<u8>>, bool); 4] = [
        (vec![], whole.clone(), false),
        (vec![0, 0, 0], whole.clone(), false),
        (basic.clone(), parts.clone(), false),
        (vec![], parts.clone(), true),
    ];
    let wanted: Vec<f32> = (0..3)
        .flat_map(|n| expected(&image, n as f64 + 1.0, 7.0)[n * ROWS * COLUMNS..(n + 1) * ROWS * COLUMNS].to_vec())
        .collect();
    for (table, fragments, has_extended) in cases {
        let mut object = enhanced(&image, 3);
        if has_extended {
            extended(&mut object);
        }
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::new(table.clone(), fragments)));
        let frames = read_frames(&file(object, uids::RLE_LOSSLESS), None).unwrap_or_else(|e| panic!("{table:?}: {e}"));
        assert_eq!(values(&frames), wanted);
    }
    let mut object = enhanced(&image, 3);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::new(Vec::<u32>::new(), parts)));
    let unclear = file(object, uids::RLE_LOSSLESS);
    let error = read_frames(&unclear, None).unwrap_err().to_string();
    assert!(error.contains("found 4 fragments for 3 frames"), "{error}");
    // Another decoder may know better, and is asked for each frame by number.
    struct ByNumber;
    impl FrameDecoder for ByNumber {
        fn decode(&self, _: &[u8], frame: u32) -> Result<DecodedFrame, String> {
            Ok(DecodedFrame { pixels: Pixels::U16(ndarray::Array2::from_elem((ROWS, COLUMNS), frame as u16)) })
        }
    }
    let frames = read_frames(&unclear, Some(&ByNumber)).unwrap();
    let firsts: Vec<f32> = frames.iter().map(|f| f.values[[0, 0]]).collect();
    assert_eq!(firsts, [7.0, 1.0 * 2.0 + 7.0, 2.0 * 3.0 + 7.0]);
}

/// Says which frames it was asked for.
struct Counting(std::cell::RefCell<Vec<u32>>);

impl FrameDecoder for Counting {
    fn decode(&self, _: &[u8], frame: u32) -> Result<DecodedFrame, String> {
        self.0.borrow_mut().push(frame);
        Ok(DecodedFrame { pixels: Pixels::U16(ndarray::Array2::from_elem((ROWS, COLUMNS), frame as u16)) })
    }
}

/// A compressed image of three frames that only [`Counting`] decodes.
fn unreadable_but_by_counting() -> Vec<u8> {
    let mut object = enhanced(&made(3, 16, false), 3);
    let fragments = vec![vec![0u8; 8]; 3];
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::new(Vec::<u32>::new(), fragments)));
    file(object, uids::RLE_LOSSLESS)
}

#[test]
fn one_frame_is_read_without_the_others() {
    let decoder = Counting(Vec::new().into());
    let frame = read_frame(&unreadable_but_by_counting(), Some(2), Some(&decoder)).unwrap();
    assert_eq!(*decoder.0.borrow(), [1]);
    assert_eq!((frame.frame, frame.plane.position_mm[0], frame.values[[0, 0]]), (Some(2), 2.0, 1.0 * 2.0 + 7.0));
    let image = made(3, 16, false);
    let (many, single) = (file(enhanced(&image, 3), NATIVE[1]), file(classic(&made(1, 16, false)), NATIVE[1]));
    for (n, whole) in (1..).zip(read_frames(&many, None).unwrap()) {
        let frame = read_frame(&many, Some(n), None).unwrap();
        assert_eq!((frame.frame, &frame.plane, &frame.values), (Some(n), &whole.plane, &whole.values));
    }
    assert_eq!(read_frame(&single, None, None).unwrap().frame, None);
    for (dicom, number, words) in [
        (&many, Some(0), "found 0, expected 1 to 3"),
        (&many, Some(4), "found 4, expected 1 to 3"),
        (&many, None, "found none, expected 1 to 3"),
        (&single, Some(2), "found 2, expected 1 to 1"),
    ] {
        let error = read_frame(dicom, number, None).unwrap_err().to_string();
        assert!(error.contains(&format!("ReferencedFrameNumber: {words}")), "{error}");
    }
}

#[test]
fn what_exceeds_the_budget_is_refused_before_it_is_decoded() {
    let (decoder, dicom) = (Counting(Vec::new().into()), unreadable_but_by_counting());
    let pixels = 3 * ROWS * COLUMNS;
    let budget = VoxelBudget::new(2 * pixels - 1);
    assert_eq!(read_frames_within(&dicom, Some(&decoder), &budget).unwrap().len(), 3);
    let error = read_frames_within(&dicom, Some(&decoder), &budget).unwrap_err().to_string();
    assert!(
        error.contains(&format!("found {pixels} pixels after {pixels} of other files, expected at most")),
        "{error}"
    );
    assert_eq!(*decoder.0.borrow(), [0, 1, 2]);
}

/// Some scanners write Pixel Measures once a frame.
#[test]
fn measures_of_a_frame_are_kept_as_they_are_written() {
    let image = made(3, 16, false);
    let mut object = enhanced(&image, 3);
    let mut shared = object.get(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap()[0].clone();
    shared.remove_element(tags::PIXEL_MEASURES_SEQUENCE);
    put_items(&mut object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    let mut groups = object.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap().to_vec();
    for group in &mut groups {
        let measures =
            [(tags::PIXEL_SPACING, "0.80\\0.60"), (tags::SLICE_THICKNESS, "3.0"), (tags::SPACING_BETWEEN_SLICES, "2")];
        let measures = item(&measures.map(|(tag, text)| (tag, VR::DS, text)));
        put_items(group, tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    }
    put_items(&mut object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups);
    let volume = read_series([file(object, NATIVE[1])], None, &[]).unwrap().remove(0);
    assert_eq!(volume.slices[0].pixel_spacing, ["0.80", "0.60"]);
    assert_eq!(volume.slices[0].thickness.as_deref(), Some("3.0"));
}

#[test]
fn classic_multi_frame_images_whose_slices_are_regular() {
    let image = made(3, 16, false);
    let stacked = |extra: &[(Tag, VR, &str)]| {
        let mut object = classic(&image);
        put(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, "3");
        extra.iter().for_each(|(tag, vr, value)| put(&mut object, *tag, *vr, value));
        object
    };
    let mut counted = stacked(&[(tags::SPACING_BETWEEN_SLICES, VR::DS, "-2.5")]);
    counted.put(DataElement::new(tags::SLICE_VECTOR, VR::US, dicom_value!(U16, [1, 2, 3])));
    for object in [stacked(&[(tags::GRID_FRAME_OFFSET_VECTOR, VR::DS, "0\\-2.5\\-5")]), counted] {
        let frames = read_frames(&file(object.clone(), NATIVE[1]), None).unwrap();
        // Row +x × column -z is +y.
        assert_eq!(frames[2].plane.position_mm, [-10.5, 15.0, 30.0]);
        assert_eq!(frames[0].plane.position_text, ["-10.50", "20", "30.0"]);
        assert_eq!(frames[2].plane.position_text, ["-10.5", "15", "30"]);
        let volume = read_series([file(object, NATIVE[1])], None, &[]).unwrap().remove(0);
        assert_eq!(volume.geometry.origin_mm, [-10.5, 15.0, 30.0]);
    }
    for object in [
        stacked(&[]),
        stacked(&[(tags::SPACING_BETWEEN_SLICES, VR::DS, "2")]),
        stacked(&[(tags::GRID_FRAME_OFFSET_VECTOR, VR::DS, "0\\1")]),
        stacked(&[(tags::GRID_FRAME_OFFSET_VECTOR, VR::DS, "5\\6\\7")]),
    ] {
        assert!(read_frames(&file(object, NATIVE[1]), None).is_err());
    }
}

#[test]
fn errors_name_the_attribute_what_was_found_and_what_was_expected() {
    let cases: [(Tag, VR, &str, &str); 21] = [
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "", "ImagePositionPatient is missing, expected 3 numbers"),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2", "ImagePositionPatient: found 2 values, expected 3"),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2\\nan", "ImagePositionPatient: found a value that is no number"),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2\\1e300", "ImagePositionPatient: found 1000"),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\\\3", "ImagePositionPatient: found a value that is no number"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "", "ImageOrientationPatient is missing, expected 6"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\1\\0\\0", "expected two orthogonal directions"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\0\\0\\0\\0\\0", "expected two orthogonal directions"),
        (tags::PIXEL_SPACING, VR::DS, "", "PixelSpacing is missing, expected 2 positive numbers in mm"),
        (tags::PIXEL_SPACING, VR::DS, "0\\1", "PixelSpacing: found 0, expected 2 positive numbers"),
        (tags::PIXEL_SPACING, VR::DS, "1\\-1", "PixelSpacing: found -1, expected 2 positive numbers"),
        (tags::RESCALE_SLOPE, VR::DS, "nan", "RescaleSlope: found no number"),
        (tags::RESCALE_SLOPE, VR::DS, "inf", "RescaleSlope: found no number"),
        (tags::RESCALE_SLOPE, VR::DS, "0", "RescaleSlope: found 0, expected a number other than 0"),
        (tags::RESCALE_SLOPE, VR::DS, "1e300", "expected values within the range of 32-bit floats"),
        (tags::RESCALE_INTERCEPT, VR::DS, "x", "RescaleIntercept: found no number"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "A^B", "FrameOfReferenceUID: found 3 characters that are no UID"),
        (tags::SOP_CLASS_UID, VR::UI, uids::LABEL_MAP_SEGMENTATION_STORAGE, "expected an image, not a segmentation"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB", "PhotometricInterpretation: found RGB"),
        (tags::NUMBER_OF_FRAMES, VR::IS, "2147483647", "NumberOfFrames: found 2147483647 of 3 × 5 pixels"),
        (tags::NUMBER_OF_FRAMES, VR::IS, "2", "PixelData: found 30 bytes, expected 60 (Rows 3 × Columns 5"),
    ];
    let image = made(1, 16, false);
    for (tag, vr, value, words) in cases {
        let mut object = classic(&image);
        put(&mut object, tag, vr, value);
        let error = read_frames(&file(object, NATIVE[1]), None).expect_err(words).to_string();
        assert!(error.contains(words), "{tag} = {value}: {error}, expected {words}");
    }
    let mut table = classic(&image);
    put_items(&mut table, tags::MODALITY_LUT_SEQUENCE, vec![item(&[(tags::MODALITY_LUT_TYPE, VR::LO, "HU")])]);
    let mut report = classic(&image);
    report.remove_element(tags::PIXEL_DATA);
    let image = made(3, 16, false);
    let mut few = enhanced(&image, 3);
    put_items(&mut few, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![item(&[]), item(&[])]);
    let mut nowhere = enhanced(&image, 3);
    nowhere.remove_element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    for (object, words) in [
        (table, "ModalityLUTSequence: found a table"),
        (report, "PixelData is missing"),
        (few, "PerFrameFunctionalGroupsSequence: found 2 items, expected 3 (NumberOfFrames)"),
        (nowhere, "ImagePositionPatient is missing, expected a value for each frame in the functional groups"),
    ] {
        let error = read_frames(&file(object, NATIVE[1]), None).expect_err(words).to_string();
        assert!(error.contains(words), "{error}, expected {words}");
    }
}

#[test]
fn a_series_says_which_file_cannot_be_read() {
    let good = file(classic(&made(1, 16, false)), NATIVE[1]);
    let error = read_series([&good[..], b"no"], None, &[]).map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("file 2 of the series: not a DICOM file"), "{error}");
}

#[test]
fn private_and_bulky_elements_are_not_kept() {
    let mut object = classic(&made(1, 16, false));
    put(&mut object, Tag(0x0029, 0x0010), VR::LO, "MAKER");
    object.put(DataElement::new(Tag(0x0029, 0x1010), VR::OB, PrimitiveValue::U8(vec![1; 100_000].into())));
    put(&mut object, tags::IMAGE_COMMENTS, VR::LT, &"x".repeat(40_000));
    let frame = read_frames(&file(object, NATIVE[1]), None).unwrap().remove(0);
    let kept: Vec<Tag> = frame.instance.dataset.iter().map(dicom_core::header::Header::tag).collect();
    assert!(kept.iter().all(|tag| tag.0.is_multiple_of(2) && *tag != tags::IMAGE_COMMENTS), "{kept:?}");
    assert!(kept.contains(&tags::IMAGE_POSITION_PATIENT));
}

#[test]
fn a_multi_frame_file_cut_anywhere_is_an_error() {
    let image = made(3, 16, false);
    for ts in [NATIVE[0], NATIVE[1], BIG_ENDIAN] {
        let whole = file(enhanced(&image, 3), ts);
        assert!(read_frames(&whole, None).is_ok());
        for cut in 0..whole.len() {
            assert!(read_frames(&whole[..cut], None).is_err(), "{ts} cut at {cut} of {}", whole.len());
        }
    }
}
