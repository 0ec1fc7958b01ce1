//! From the bytes of PixelData to stored values.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_dictionary_std::tags;
use dicom_encoding::adapters::{PixelDataObject, RawPixelData};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::{TransferSyntaxRegistry, entries};
use ndarray::{Array2, Array3};

use super::codestream::{FrameHeader, frame_header};
use super::part10::{Part10, PixelData};
use super::parts::vectorized;
use super::{ImageAttributes, ImagingError, Photometric, Pixels, rle};

/// Largest frame that is read: 8192 × 8192, twice the area of the largest digitised film. A few compressed bytes may
/// claim 65535 × 65535, and codecs would try.
pub const MAX_PIXELS: usize = 1 << 26;

/// A decoder for what the built-in codecs cannot read: inside Orthanc, the server's own.
pub trait FrameDecoder {
    /// Decodes one frame (numbered from 0) of a DICOM file to stored values; an error in words.
    fn decode(&self, dicom: &[u8], frame: u32) -> Result<DecodedFrame, String>;

    /// As [`Self::decode`], of a colour image: RGB of 8 bits, (row, column, sample).
    fn decode_colour(&self, _dicom: &[u8], _frame: u32) -> Result<Array3<u8>, String> {
        Err("decodes no colour".into())
    }
}

/// A frame as a [`FrameDecoder`] gives it: monochrome, stored values, neither rescaled nor inverted.
#[derive(Debug, Clone)]
pub struct DecodedFrame {
    pub pixels: Pixels,
}

/// The frames of an image, found and not yet decoded.
pub(super) struct Frames<'a> {
    pub(super) dicom: &'a [u8],
    pub(super) file: &'a Part10<'a>,
    pub(super) attributes: &'a ImageAttributes,
    pub(super) layout: Layout<'a>,
}

pub(super) enum Layout<'a> {
    Native {
        value: &'a [u8],
        words: bool,
    },
    /// The fragments of each frame; or why that is not known, which a fallback decoder may still know.
    Encapsulated {
        items: &'a [Range<usize>],
        by_frame: Result<Vec<Range<usize>>, String>,
    },
}

impl<'a> Frames<'a> {
    /// Checks sizes and layout; decodes nothing.
    pub(super) fn find(
        dicom: &'a [u8],
        file: &'a Part10<'a>,
        attributes: &'a ImageAttributes,
    ) -> Result<Self, ImagingError> {
        let (rows, columns) = (attributes.rows, attributes.columns);
        if rows * columns > MAX_PIXELS {
            return Err(ImagingError::invalid(
                "Rows × Columns",
                format!("{rows} × {columns}"),
                format!("at most {MAX_PIXELS} pixels"),
            ));
        }
        let expected = "the pixels of the image";
        let pixel_data = file.pixel_data.as_ref().ok_or(ImagingError::Missing { keyword: "PixelData", expected })?;
        let encapsulated_syntax =
            TransferSyntaxRegistry.get(&file.transfer_syntax).is_some_and(|ts| ts.is_encapsulated_pixel_data());
        let layout = match pixel_data {
            PixelData::Native { value, words } if !encapsulated_syntax => {
                let value = &file.dataset[value.clone()];
                check_native_length(value.len(), attributes)?;
                Layout::Native { value, words: *words }
            }
            PixelData::Encapsulated(fragments) if encapsulated_syntax => {
                let extended = attributes.dataset.get(tags::EXTENDED_OFFSET_TABLE);
                let extended = extended.and_then(|e| e.to_multi_int::<u64>().ok()).unwrap_or_default();
                let by_frame = fragments.by_frame(&file.dataset, &extended, attributes.number_of_frames);
                Layout::Encapsulated { items: &fragments.items, by_frame }
            }
            other => {
                let name = |encapsulated| if encapsulated { "encapsulated" } else { "native" };
                let found = name(matches!(other, PixelData::Encapsulated(_)));
                return Err(ImagingError::invalid(
                    "PixelData",
                    found,
                    format!("{}, as TransferSyntaxUID says", name(encapsulated_syntax)),
                ));
            }
        };
        Ok(Self { dicom, file, attributes, layout })
    }

    /// Decodes one frame of one sample a pixel, numbered from 0; `fallback` is asked for what the built-in codecs cannot decode.
    pub(super) fn decode(&self, frame: usize, fallback: Option<&dyn FrameDecoder>) -> Result<Pixels, ImagingError> {
        let (file, attributes) = (self.file, self.attributes);
        match &self.layout {
            Layout::Native { value, words } => native(value, frame, attributes, file.big_endian, *words),
            Layout::Encapsulated { items, by_frame } => {
                let fragments = by_frame.as_ref().map_err(Clone::clone);
                let fragments = fragments.and_then(|all| all.get(frame).cloned().ok_or_else(|| "no fragment".into()));
                let decoded = fragments
                    .and_then(|part| encapsulated(&file.dataset, &items[part], &file.transfer_syntax, attributes));
                decoded.or_else(|reason| match fallback {
                    Some(decoder) => fallback_frame(decoder, self.dicom, frame, attributes)
                        .map_err(|second| undecodable(file, format!("{reason}; fallback decoder: {second}"))),
                    None => Err(undecodable(file, reason)),
                })
            }
        }
    }
}

pub(super) fn undecodable(file: &Part10, reason: String) -> ImagingError {
    ImagingError::Undecodable { uid: file.transfer_syntax.clone(), reason }
}

fn fallback_frame(
    decoder: &dyn FrameDecoder,
    dicom: &[u8],
    frame: usize,
    attributes: &ImageAttributes,
) -> Result<Pixels, String> {
    let frame = u32::try_from(frame).map_err(|_| "too many frames")?;
    let pixels = decoder.decode(dicom, frame)?.pixels;
    let expected = (attributes.rows, attributes.columns);
    if pixels.dim() != expected {
        return Err(format!("gave {:?} pixels, expected {expected:?} (Rows, Columns)", pixels.dim()));
    }
    Ok(within_bits_stored(pixels, attributes))
}

fn frame_bytes(attributes: &ImageAttributes) -> usize {
    // YBR_FULL_422 stores the colours of every other pixel.
    let samples = match (attributes.photometric, attributes.samples_per_pixel) {
        (Photometric::YbrFull422, 3) => 2,
        (_, samples) => usize::from(samples),
    };
    attributes.rows * attributes.columns * samples * usize::from(attributes.bits_allocated / 8)
}

fn check_native_length(found: usize, attributes: &ImageAttributes) -> Result<(), ImagingError> {
    let needed = frame_bytes(attributes).saturating_mul(attributes.number_of_frames);
    let padded = needed.checked_next_multiple_of(2).unwrap_or(needed);
    if found == needed || found == padded {
        return Ok(());
    }
    let (rows, columns, bits) = (attributes.rows, attributes.columns, attributes.bits_allocated);
    let frames = match attributes.number_of_frames {
        1 => String::new(),
        n => format!(" × NumberOfFrames {n}"),
    };
    let samples = match attributes.samples_per_pixel {
        1 => String::new(),
        n => format!(" × SamplesPerPixel {n}, {}", attributes.photometric.term()),
    };
    let expected = format!("{padded} (Rows {rows} × Columns {columns} × BitsAllocated {bits}{samples}{frames})");
    Err(ImagingError::invalid("PixelData", format!("{found} bytes"), expected))
}

/// PS3.5 8.1.1, Annex D (byte order): one pass from the file's bytes, whose length has been checked, to the array.
fn native(
    bytes: &[u8],
    frame: usize,
    attributes: &ImageAttributes,
    big_endian: bool,
    words: bool,
) -> Result<Pixels, ImagingError> {
    let needed = frame_bytes(attributes);
    let place = frame * needed..(frame + 1) * needed;
    if attributes.bits_allocated == 8 && big_endian && words {
        // 8-bit pixels in 16-bit words: each pair was swapped with its word, also where it belongs to two frames.
        let swapped: Vec<u8> = place.filter_map(|i| bytes.get(i ^ 1).or_else(|| bytes.get(i)).copied()).collect();
        return from_bytes(&swapped, attributes, false);
    }
    let short = || ImagingError::invalid("PixelData", "fewer frames", "NumberOfFrames");
    from_bytes(bytes.get(place).ok_or_else(short)?, attributes, big_endian)
}

/// Bytes of exactly Rows × Columns samples of BitsAllocated to an array, masked or sign-extended to BitsStored.
fn from_bytes(bytes: &[u8], attributes: &ImageAttributes, big_endian: bool) -> Result<Pixels, ImagingError> {
    let stored = attributes.bits_stored.min(16);
    let (mask, unused) = (u16::MAX >> (16 - stored), 16 - stored);
    let sign_extend = move |v: u16| ((v << unused) as i16) >> unused;
    match (attributes.bits_allocated, attributes.signed, big_endian) {
        (8, false, _) => convert(bytes, attributes, move |[v]: [u8; 1]| v & mask as u8).map(Pixels::U8),
        (8, true, _) => convert(bytes, attributes, move |[v]: [u8; 1]| sign_extend(v.into())).map(Pixels::I16),
        (_, false, false) => convert(bytes, attributes, move |v| u16::from_le_bytes(v) & mask).map(Pixels::U16),
        (_, false, true) => convert(bytes, attributes, move |v| u16::from_be_bytes(v) & mask).map(Pixels::U16),
        (_, true, false) => convert(bytes, attributes, move |v| sign_extend(u16::from_le_bytes(v))).map(Pixels::I16),
        (_, true, true) => convert(bytes, attributes, move |v| sign_extend(u16::from_be_bytes(v))).map(Pixels::I16),
    }
}

/// Samples of `N` bytes to values: each byte is read once, each value written once.
fn convert<const N: usize, T>(
    bytes: &[u8],
    attributes: &ImageAttributes,
    value: impl Fn([u8; N]) -> T,
) -> Result<Array2<T>, ImagingError> {
    let (rows, columns) = (attributes.rows, attributes.columns);
    // Collected, not filled: memory that is zeroed first is a pass more.
    let values = vectorized(|| bytes.as_chunks::<N>().0.iter().map(|sample| value(*sample)).collect());
    let misfit = |_| ImagingError::invalid("PixelData", "another number of pixels", "Rows × Columns");
    Array2::from_shape_vec((rows, columns), values).map_err(misfit)
}

/// The guarantee of [`Pixels`] for frames that someone else decoded.
fn within_bits_stored(pixels: Pixels, attributes: &ImageAttributes) -> Pixels {
    let unused = 16 - u32::from(attributes.bits_stored);
    match pixels {
        Pixels::U8(a) if attributes.signed => Pixels::I16(a.mapv(|v| ((u16::from(v) << unused) as i16) >> unused)),
        Pixels::U16(a) if attributes.signed => Pixels::I16(a.mapv_into_any(|v| ((v << unused) as i16) >> unused)),
        Pixels::I16(a) if attributes.signed => Pixels::I16(a.mapv_into(|v| (v << unused) >> unused)),
        Pixels::U8(a) => Pixels::U8(a),
        Pixels::U16(a) => Pixels::U16(a.mapv_into(|v| v & (u16::MAX >> unused))),
        Pixels::I16(a) => Pixels::U16(a.mapv_into_any(|v| v as u16 & (u16::MAX >> unused))),
    }
}

/// The fragments of one frame as one stream.
pub(super) fn frame_of<'a>(dataset: &'a [u8], fragments: &[Range<usize>]) -> Result<Cow<'a, [u8]>, String> {
    match fragments {
        [] => Err("no fragment".into()),
        [only] => Ok(Cow::Borrowed(&dataset[only.clone()])),
        many => Ok(Cow::Owned(many.iter().flat_map(|part| &dataset[part.clone()]).copied().collect())),
    }
}

/// PS3.5 A.4 and 8.2. `fragments` are those of one frame of one sample a pixel.
fn encapsulated(
    dataset: &[u8],
    fragments: &[Range<usize>],
    transfer_syntax: &str,
    attributes: &ImageAttributes,
) -> Result<Pixels, String> {
    let frame = frame_of(dataset, fragments)?;
    let (rows, columns) = (attributes.rows, attributes.columns);
    let allocated = usize::from(attributes.bits_allocated / 8);
    if transfer_syntax == entries::RLE_LOSSLESS.uid() {
        let bytes = rle::decode(&frame, rows * columns, allocated, 1)?;
        return from_bytes(&bytes, attributes, false).map_err(|e| e.to_string());
    }
    let header = stream_header(&frame, attributes, 1)?;
    let mut bytes = decode_stream(&frame, transfer_syntax, header)?;
    if header.bytes() < allocated {
        bytes = bytes.iter().flat_map(|&low| [low, 0]).collect();
    }
    from_bytes(&bytes, attributes, false).map_err(|e| e.to_string())
}

/// What a compressed frame says of itself, where the attributes say the same.
pub(super) fn stream_header(frame: &[u8], attributes: &ImageAttributes, samples: usize) -> Result<FrameHeader, String> {
    let (rows, columns, allocated) = (attributes.rows, attributes.columns, usize::from(attributes.bits_allocated / 8));
    let header = frame_header(frame).ok_or("the compressed stream has no frame header")?;
    if (header.rows, header.columns, header.components) != (rows, columns, samples) {
        let found = format!("{} × {} pixels of {} samples", header.rows, header.columns, header.components);
        return Err(format!(
            "the compressed stream has {found}, expected {rows} × {columns} of {samples} (Rows, Columns)"
        ));
    }
    if !(1..=allocated).contains(&header.bytes()) {
        return Err(format!(
            "the compressed stream has {} bits a sample, BitsAllocated is {}",
            header.precision,
            8 * allocated
        ));
    }
    Ok(header)
}

/// The samples of a stream whose header has been checked, in whole bytes, little endian.
pub(super) fn decode_stream(frame: &[u8], transfer_syntax: &str, header: FrameHeader) -> Result<Vec<u8>, String> {
    let ts = TransferSyntaxRegistry.get(transfer_syntax).ok_or("unknown transfer syntax")?;
    let reader = ts.pixel_data_reader().ok_or("no codec for it is built in")?;
    let source = CodecInput { transfer_syntax, frame, header };
    let mut bytes = Vec::new();
    // The codecs are other people's code on hostile input: a panic of theirs is a stream that cannot be decoded.
    let outcome = catch_unwind(AssertUnwindSafe(|| reader.decode_frame(&source, 0, &mut bytes)));
    outcome.map_err(|_| "the codec panicked".to_string())?.map_err(|e| error_chain(&e))?;
    let expected = header.rows * header.columns * header.components * header.bytes();
    let found = bytes.len();
    if found == expected { Ok(bytes) } else { Err(format!("the codec gave {found} bytes, expected {expected}")) }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// One frame in the form the codecs of dicom-rs ask for.
struct CodecInput<'a> {
    transfer_syntax: &'a str,
    frame: &'a [u8],
    header: FrameHeader,
}

impl CodecInput<'_> {
    /// Of a decoded sample, in whole bytes: as the stream codes it, which may be less than BitsAllocated.
    fn bits(&self) -> u16 {
        8 * self.header.bytes() as u16
    }
}

impl PixelDataObject for CodecInput<'_> {
    fn transfer_syntax_uid(&self) -> &str {
        self.transfer_syntax
    }
    fn rows(&self) -> Option<u16> {
        u16::try_from(self.header.rows).ok()
    }
    fn cols(&self) -> Option<u16> {
        u16::try_from(self.header.columns).ok()
    }
    fn samples_per_pixel(&self) -> Option<u16> {
        u16::try_from(self.header.components).ok()
    }
    fn bits_allocated(&self) -> Option<u16> {
        Some(self.bits())
    }
    fn bits_stored(&self) -> Option<u16> {
        Some(self.bits())
    }
    fn photometric_interpretation(&self) -> Option<&str> {
        Some(if self.header.components == 1 { "MONOCHROME2" } else { "RGB" })
    }
    fn number_of_frames(&self) -> Option<u32> {
        Some(1)
    }
    fn number_of_fragments(&self) -> Option<u32> {
        Some(1)
    }
    fn fragment(&self, fragment: usize) -> Option<Cow<'_, [u8]>> {
        (fragment == 0).then_some(Cow::Borrowed(self.frame))
    }
    fn offset_table(&self) -> Option<Cow<'_, [u32]>> {
        None
    }
    fn raw_pixel_data(&self) -> Option<RawPixelData> {
        Some(RawPixelData { fragments: vec![self.frame.to_vec()].into(), offset_table: Vec::new().into() })
    }
}
