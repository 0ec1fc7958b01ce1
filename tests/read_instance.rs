//! Reading images: every pixel format and transfer syntax that the project can write itself, and what must be refused.

mod dicom_file;

use std::cell::RefCell;

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_file::{MadeImage, file};
use dicom_object::InMemDicomObject;
use dicom_pixeldata::Transcode;
use ndarray::Array2;
use orthanc_ai::imaging::{
    DecodedFrame, FrameDecoder, ImagingError, MAX_PIXELS, Photometric, Pixels, VoiLutFunction, read_attributes,
    read_header, read_instance,
};

/// Retired by the standard, still in archives.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

const NATIVE: [&str; 4] = [
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    BIG_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
];

/// An image whose unused high bits are set, as overlays in pixel data once did.
fn made(rows: usize, columns: usize, bits_allocated: u16, bits_stored: u16, signed: bool) -> MadeImage {
    let samples = (0..rows * columns).map(|i| (i as u32 * 40_503 + 12_345) as u16).collect();
    MadeImage { bits_allocated, bits_stored, signed, ..MadeImage::new(rows, columns, samples) }
}

/// What PS3.5 8.1.1 makes of the stored bits.
fn expected(image: &MadeImage) -> Vec<i32> {
    let bits = u32::from(image.bits_stored);
    let value = |&sample: &u16| {
        let low = i32::from(sample) & ((1 << bits) - 1);
        if image.signed && low >> (bits - 1) == 1 { low - (1 << bits) } else { low }
    };
    image.samples.iter().map(value).collect()
}

fn values(pixels: &Pixels) -> Vec<i32> {
    match pixels {
        Pixels::U8(a) => a.iter().map(|&v| i32::from(v)).collect(),
        Pixels::U16(a) => a.iter().map(|&v| i32::from(v)).collect(),
        Pixels::I16(a) => a.iter().map(|&v| i32::from(v)).collect(),
    }
}

#[test]
fn every_format_in_every_native_transfer_syntax() {
    for (rows, columns) in [(1, 1), (3, 5), (4, 6), (1, 7), (9, 1)] {
        for (allocated, stored) in [(8, 8), (8, 7), (8, 1), (16, 16), (16, 12), (16, 9), (16, 8)] {
            for signed in [false, true] {
                for photometric in ["MONOCHROME1", "MONOCHROME2"] {
                    let image = MadeImage { photometric, ..made(rows, columns, allocated, stored, signed) };
                    for ts in NATIVE {
                        let read = read_instance(&file(image.object(), ts), None);
                        let read = read.unwrap_or_else(|e| panic!("{ts}, {image:?}: {e}"));
                        assert_eq!(read.pixels.dim(), (rows, columns));
                        assert_eq!(values(&read.pixels), expected(&image), "{ts}, {image:?}");
                        assert_eq!(read.attributes.photometric == Photometric::Monochrome1, photometric.ends_with('1'));
                    }
                }
            }
        }
    }
}

#[test]
fn eight_bit_pixels_in_big_endian_words() {
    let image = made(3, 3, 8, 8, false);
    let mut object = image.object();
    let mut bytes: Vec<u8> = image.samples.iter().map(|&v| v as u8).chain([0]).collect();
    bytes.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    // Written as bytes, so that the writer does not swap; the VR says that they are words.
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U8(bytes.into())));
    let read = read_instance(&file(object, BIG_ENDIAN), None).unwrap();
    assert_eq!(values(&read.pixels), expected(&image));
}

fn encapsulated(image: &MadeImage, fragments: Vec<Vec<u8>>, ts: &str) -> Vec<u8> {
    let mut object = image.object();
    let sequence = PixelFragmentSequence::new(Vec::new(), fragments);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, sequence));
    file(object, ts)
}

/// RLE Lossless (PS3.5 Annex G) with literal runs only.
fn rle(image: &MadeImage) -> Vec<u8> {
    let planes: &[u32] = if image.bits_allocated == 8 { &[0] } else { &[8, 0] };
    let (mut header, mut body) = (vec![planes.len() as u32], Vec::new());
    for shift in planes {
        header.push(64 + body.len() as u32);
        let bytes: Vec<u8> = image.samples.iter().map(|&v| (v >> shift) as u8).collect();
        for run in bytes.chunks(128) {
            body.push(run.len() as u8 - 1);
            body.extend_from_slice(run);
        }
    }
    header.resize(16, 0);
    header.iter().flat_map(|word| word.to_le_bytes()).chain(body).collect()
}

#[test]
fn run_lengths_whole_and_in_fragments() {
    for (allocated, stored, signed) in [(8, 8, false), (16, 12, false), (16, 16, true), (16, 10, true)] {
        let image = made(13, 21, allocated, stored, signed);
        let frame = rle(&image);
        let cut = frame.split_at((frame.len() / 2) & !1);
        for fragments in [vec![frame.clone()], vec![cut.0.to_vec(), cut.1.to_vec()]] {
            let read = read_instance(&encapsulated(&image, fragments, uids::RLE_LOSSLESS), None).unwrap();
            assert_eq!(values(&read.pixels), expected(&image));
        }
    }
}

#[test]
fn jpeg_ls_equals_the_native_image() {
    for (allocated, stored) in [(8, 8), (16, 12), (16, 16)] {
        let mut image = made(37, 41, allocated, stored, false);
        image.samples.iter_mut().for_each(|v| *v &= ((1u32 << stored) - 1) as u16);
        let native = file(image.object(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let mut object = dicom_object::from_reader(&native[..]).unwrap();
        object
            .transcode(&dicom_transfer_syntax_registry::entries::JPEG_LS_LOSSLESS_IMAGE_COMPRESSION.erased())
            .unwrap();
        let mut compressed = Vec::new();
        object.write_all(&mut compressed).unwrap();
        assert_eq!(values(&read_instance(&compressed, None).unwrap().pixels), expected(&image));
    }
}

#[test]
fn attributes_are_read_from_the_header() {
    let mut object = made(4, 6, 16, 12, false).object();
    for (tag, value) in [
        (tags::WINDOW_CENTER, "2000\\1"),
        (tags::WINDOW_WIDTH, "1500.5\\2"),
        (tags::RESCALE_SLOPE, "2"),
        (tags::RESCALE_INTERCEPT, "-10"),
    ] {
        object.put(DataElement::new(tag, VR::DS, dicom_value!(Str, value)));
    }
    object.put(DataElement::new(tags::VOILUT_FUNCTION, VR::CS, dicom_value!(Str, "SIGMOID")));
    object.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::US, PrimitiveValue::from(4095u16)));
    let attributes = read_attributes(&file(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap();
    assert_eq!(attributes.sop_instance_uid, "2.25.1");
    assert_eq!(attributes.modality, "MG");
    assert_eq!((attributes.laterality.as_deref(), attributes.view_position.as_deref()), (Some("L"), Some("MLO")));
    assert_eq!(attributes.pixel_spacing_mm, Some([0.07, 0.08]));
    let voi = attributes.voi.unwrap();
    assert_eq!((voi.center, voi.width, voi.function), (2000.0, 1500.5, VoiLutFunction::Sigmoid));
    assert_eq!((attributes.rescale.slope, attributes.rescale.intercept), (2.0, -10.0));
    assert_eq!(attributes.padding, Some(4095));
    assert!(attributes.dataset.get(tags::PIXEL_DATA).is_none());
    assert!(attributes.dataset.get(tags::ROWS).is_some());
}

/// An image with one element changed or removed, and what the error must say.
type Broken = (Tag, Option<PrimitiveValue>, &'static str);

#[test]
fn errors_name_the_attribute_what_was_found_and_what_was_expected() {
    let number = |v: u16| Some(PrimitiveValue::from(v));
    let text = |v: &str| Some(PrimitiveValue::from(v));
    let cases: [Broken; 27] = [
        (tags::ROWS, None, "Rows: found nothing, expected 1..=65535"),
        (tags::ROWS, number(0), "Rows: found 0, expected 1..=65535"),
        (tags::ROWS, number(8), "PixelData: found 48 bytes, expected 96 (Rows 8 × Columns 6 × BitsAllocated 16)"),
        (tags::ROWS, number(2), "PixelData: found 48 bytes, expected 24"),
        (tags::ROWS, Some(dicom_value!(U16, [4, 4])), "Rows: found 2 values, expected 1..=65535"),
        (tags::COLUMNS, number(65535), "PixelData: found 48 bytes, expected 524280"),
        (tags::COLUMNS, text("x"), "Columns: found no whole number"),
        (tags::BITS_ALLOCATED, number(1), "BitsAllocated: found 1, expected 8 or 16"),
        (tags::BITS_ALLOCATED, number(12), "BitsAllocated: found 12, expected 8 or 16"),
        (tags::BITS_ALLOCATED, number(24), "BitsAllocated: found 24, expected 8 or 16"),
        (tags::BITS_ALLOCATED, number(48), "BitsAllocated: found 48, expected 8 or 16"),
        (tags::BITS_ALLOCATED, number(128), "BitsAllocated: found 128, expected 8 or 16"),
        (tags::BITS_ALLOCATED, number(8), "BitsStored: found 12, expected 1..=8 (BitsAllocated)"),
        (tags::BITS_STORED, number(0), "BitsStored: found 0, expected 1..=16 (BitsAllocated)"),
        (tags::BITS_STORED, number(17), "BitsStored: found 17, expected 1..=16 (BitsAllocated)"),
        (tags::HIGH_BIT, number(15), "HighBit: found 15, expected 11 (BitsStored - 1)"),
        (tags::PIXEL_REPRESENTATION, number(2), "PixelRepresentation: found 2, expected 0 or 1"),
        (tags::SAMPLES_PER_PIXEL, number(3), "SamplesPerPixel: found 3, expected 1"),
        (tags::NUMBER_OF_FRAMES, text("0"), "NumberOfFrames: found 0, expected 1 or more"),
        (tags::NUMBER_OF_FRAMES, text("4"), "NumberOfFrames: found 4, expected 1: a projection image"),
        (tags::NUMBER_OF_FRAMES, text("99999999999"), "NumberOfFrames: found 99999999999, expected 1 or more"),
        (tags::PHOTOMETRIC_INTERPRETATION, text("RGB"), "PhotometricInterpretation: found RGB, expected MONOCHROME1"),
        (tags::PHOTOMETRIC_INTERPRETATION, None, "PhotometricInterpretation is missing, expected MONOCHROME1"),
        (tags::SOP_INSTANCE_UID, text("1.2.x"), "SOPInstanceUID: found 5 characters that are no UID, expected a UID"),
        (tags::STUDY_INSTANCE_UID, text(""), "StudyInstanceUID is missing, expected a UID"),
        (tags::SERIES_INSTANCE_UID, None, "SeriesInstanceUID is missing, expected a UID"),
        (tags::PIXEL_DATA, None, "PixelData is missing"),
    ];
    for (tag, value, words) in cases {
        let mut object = made(4, 6, 16, 12, false).object();
        match value.clone() {
            Some(value) => {
                drop(object.put(DataElement::new(tag, if value.string().is_ok() { VR::LO } else { VR::US }, value)))
            }
            None => drop(object.remove_element(tag)),
        }
        let error = read_instance(&without_meta_check(object), None).expect_err(words).to_string();
        assert!(error.contains(words), "{tag} = {value:?}: {error:?}, expected {words:?}");
    }
}

/// As `file`, but the meta information keeps good UIDs where the data set has none.
fn without_meta_check(object: InMemDicomObject) -> Vec<u8> {
    let meta = dicom_object::FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid("1.2.3")
        .media_storage_sop_instance_uid("1.2.3")
        .build()
        .unwrap();
    let mut bytes = Vec::new();
    object.with_exact_meta(meta).write_all(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_no_dicom_file_says_so() {
    assert!(matches!(read_instance(b"", None), Err(ImagingError::NotDicom { .. })));
    assert!(matches!(read_instance(&[7; 5000], None), Err(ImagingError::NotDicom { .. })));
    let pdf = b"%PDF-1.7".repeat(40);
    assert!(read_instance(&pdf, None).unwrap_err().to_string().starts_with("not a DICOM file"));
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let image = made(4, 6, 16, 12, false);
    let frame = rle(&image);
    let mut files: Vec<_> = NATIVE.map(|ts| file(image.object(), ts)).into();
    files.push(encapsulated(&image, vec![frame], uids::RLE_LOSSLESS));
    for (which, whole) in files.iter().enumerate() {
        assert!(read_instance(whole, None).is_ok());
        // The last fragment is complete before the sequence delimiter (8 bytes) is.
        let end = if which == 4 { whole.len() - 8 } else { whole.len() };
        for cut in 0..end {
            // A deflate stream may end early and still hold everything; the data set then is complete.
            let read = read_instance(&whole[..cut], None);
            assert!(read.is_err() || which == 3 && end - cut < 16, "file {which} cut at {cut} of {end}");
        }
    }
}

#[test]
fn sequences_nested_without_end_are_refused_in_words() {
    for (explicit, defined) in [(true, false), (true, true), (false, false)] {
        let depth = 200_000;
        let tail = made(4, 6, 16, 12, false).file();
        let start = if explicit { tail.clone() } else { file(made(4, 6, 16, 12, false).object(), NATIVE[0]) };
        let end = start.windows(4).position(|w| w == [8, 0, 0x16, 0]).unwrap(); // SOPClassUID
        let mut nested = start[..end].to_vec();
        for level in 0..depth {
            let length = if defined { (20 * (depth - level) - 12) as u32 } else { u32::MAX };
            nested.extend([0x08, 0x00, 0x40, 0x11]); // ReferencedImageSequence
            nested.extend(if explicit { &b"SQ\0\0"[..] } else { &[] });
            nested.extend(length.to_le_bytes());
            nested.extend([0xFE, 0xFF, 0x00, 0xE0]);
            nested.extend(if defined { length - 8 } else { u32::MAX }.to_le_bytes());
        }
        let error = read_instance(&nested, None).unwrap_err().to_string();
        assert!(error.contains("nested deeper than 64"), "{error}");
        assert!(read_header(&nested).is_err());
    }
}

#[test]
fn a_few_bytes_that_claim_gigabytes_are_refused_before_memory_is_taken() {
    let mut image = made(4, 6, 16, 16, false);
    (image.rows, image.columns) = (65535, 65535);
    let claims = format!("at most {MAX_PIXELS} pixels");
    assert!(read_instance(&image.file(), None).unwrap_err().to_string().contains(&claims));
    // The attributes are modest, the compressed stream is not: JPEG-LS of 65535 × 65535.
    let image = made(4, 6, 8, 8, false);
    let stream =
        [0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 8, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0];
    let file = encapsulated(&image, vec![[&stream[..], &[0]].concat()], uids::JPEGLS_LOSSLESS);
    let error = read_instance(&file, None).unwrap_err().to_string();
    assert!(error.contains("65535 × 65535 pixels of 1 samples, expected 4 × 6"), "{error}");
}

/// Answers as asked, and remembers what for.
struct Fallback {
    answer: Result<Pixels, String>,
    asked: RefCell<Vec<u32>>,
}

impl FrameDecoder for Fallback {
    fn decode(&self, _dicom: &[u8], frame: u32) -> Result<DecodedFrame, String> {
        self.asked.borrow_mut().push(frame);
        self.answer.clone().map(|pixels| DecodedFrame { pixels })
    }
}

#[test]
fn the_fallback_decodes_what_the_codecs_cannot_and_nothing_else() {
    let image = made(2, 3, 16, 12, false);
    let stream = vec![vec![0xFF, 0xD8, 0xFF, 0xD9]];
    let undecodable = encapsulated(&image, stream, uids::JPEG_EXTENDED12_BIT);
    let pixels = Pixels::U16(Array2::from_shape_fn((2, 3), |(r, c)| (0xF000 + 10 * r + c) as u16));
    let good = Fallback { answer: Ok(pixels), asked: RefCell::default() };
    // Bits above BitsStored are masked for every decoder.
    assert_eq!(values(&read_instance(&undecodable, Some(&good)).unwrap().pixels), [0, 1, 2, 10, 11, 12]);
    assert_eq!(*good.asked.borrow(), [0]);
    read_instance(&image.file(), Some(&good)).unwrap();
    assert_eq!(good.asked.borrow().len(), 1, "a native image needs no fallback");

    let wrong = Fallback { answer: Ok(Pixels::U8(Array2::zeros((3, 2)))), asked: RefCell::default() };
    let error = read_instance(&undecodable, Some(&wrong)).unwrap_err().to_string();
    assert!(error.contains("gave (3, 2) pixels, expected (2, 3)"), "{error}");
    let failing = Fallback { answer: Err("no plugin".into()), asked: RefCell::default() };
    let error = read_instance(&undecodable, Some(&failing)).unwrap_err().to_string();
    assert!(error.contains(uids::JPEG_EXTENDED12_BIT) && error.contains("no plugin"), "{error}");
    assert!(matches!(read_instance(&undecodable, None), Err(ImagingError::Undecodable { .. })));
}

#[test]
fn no_error_repeats_a_value_that_may_identify_a_patient() {
    let secret = "Doe^Jane 19700101";
    for tag in [tags::SOP_INSTANCE_UID, tags::STUDY_INSTANCE_UID, tags::PHOTOMETRIC_INTERPRETATION, tags::ROWS] {
        let mut object = made(4, 6, 16, 12, false).object();
        object.put(DataElement::new(tag, VR::LO, PrimitiveValue::from(secret)));
        let error = read_instance(&without_meta_check(object), None).unwrap_err().to_string();
        assert!(!error.contains("Doe") && !error.contains("1970"), "{error}");
    }
}
