//! From the bytes of PixelData to RGB (PS3.3 C.7.6.3.1.2, PS3.5 8.2).
//!
//! Whether a stream holds RGB or YBR is told by the stream where it can tell (JPEG's own marks), else by
//! PhotometricInterpretation. Nothing is converted twice: JPEG is decoded without a colour transform, JPEG 2000's own
//! (YBR_RCT, YBR_ICT) is undone by its codec.

use std::io::Cursor;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_dictionary_std::tags;
use dicom_transfer_syntax_registry::entries;
use ndarray::Array3;

use super::attributes::Reader;
use super::codestream::{Codec, JpegColour, jpeg_colour, jpeg_ls_is_planar};
use super::decode::{FrameDecoder, Frames, Layout, decode_stream, frame_of, stream_header, undecodable};
use super::palette::Palette;
use super::part10::Part10;
use super::{ImageAttributes, ImagingError, MAX_PIXELS, Photometric, rle, ybr};

/// Samples of a colour pixel.
const SAMPLES: usize = 3;

/// A colour image that is read: three unsigned samples a pixel, or one with a palette.
pub(super) fn check_colour(attributes: &ImageAttributes) -> Result<(), ImagingError> {
    let expected = match attributes.photometric {
        Photometric::PaletteColor => 1,
        Photometric::Rgb
        | Photometric::YbrFull
        | Photometric::YbrFull422
        | Photometric::YbrIct
        | Photometric::YbrRct => SAMPLES as u16,
        Photometric::Monochrome1 | Photometric::Monochrome2 | Photometric::Other => {
            let found = attributes.photometric.term();
            let expected = "RGB, YBR_FULL, YBR_FULL_422, YBR_ICT, YBR_RCT or PALETTE COLOR";
            return Err(ImagingError::invalid("PhotometricInterpretation", found, expected));
        }
    };
    if attributes.samples_per_pixel != expected {
        let expected = format!("{expected} ({})", attributes.photometric.term());
        return Err(ImagingError::invalid("SamplesPerPixel", attributes.samples_per_pixel, expected));
    }
    if attributes.signed && expected != 1 {
        return Err(ImagingError::invalid("PixelRepresentation", 1, "0 (colour)"));
    }
    if attributes.photometric == Photometric::YbrFull422 && attributes.bits_allocated != 8 {
        return Err(ImagingError::invalid("BitsAllocated", attributes.bits_allocated, "8 (YBR_FULL_422)"));
    }
    Ok(())
}

impl Frames<'_> {
    /// Decodes one frame of a colour image to RGB of 8 bits, (row, column, sample). `fallback` is asked for what the
    /// built-in codecs cannot decode.
    pub(super) fn decode_colour(
        &self,
        frame: usize,
        fallback: Option<&dyn FrameDecoder>,
    ) -> Result<Array3<u8>, ImagingError> {
        let (file, attributes) = (self.file, self.attributes);
        if attributes.photometric == Photometric::PaletteColor {
            let palette = Palette::read(&attributes.dataset, attributes.signed)?;
            return Ok(palette.apply(&self.decode(frame, fallback)?));
        }
        match &self.layout {
            Layout::Native { value, words } => native(value, frame, attributes, file, *words),
            Layout::Encapsulated { items, by_frame } => {
                let fragments = by_frame.as_ref().map_err(Clone::clone);
                let fragments = fragments.and_then(|all| all.get(frame).cloned().ok_or_else(|| "no fragment".into()));
                let decoded = fragments.and_then(|part| encapsulated(file, &items[part], attributes));
                decoded.or_else(|reason| match fallback {
                    Some(decoder) => fallback_frame(decoder, self.dicom, frame, attributes)
                        .map_err(|second| undecodable(file, format!("{reason}; fallback decoder: {second}"))),
                    None => Err(undecodable(file, reason)),
                })
            }
        }
    }
}

fn fallback_frame(
    decoder: &dyn FrameDecoder,
    dicom: &[u8],
    frame: usize,
    attributes: &ImageAttributes,
) -> Result<Array3<u8>, String> {
    let frame = u32::try_from(frame).map_err(|_| "too many frames")?;
    let rgb = decoder.decode_colour(dicom, frame)?;
    let expected = (attributes.rows, attributes.columns, SAMPLES);
    if rgb.dim() == expected { Ok(rgb) } else { Err(format!("gave {:?} samples, expected {expected:?}", rgb.dim())) }
}

/// PixelData that is not compressed; its length has been checked.
fn native(
    value: &[u8],
    frame: usize,
    attributes: &ImageAttributes,
    file: &Part10,
    words: bool,
) -> Result<Array3<u8>, ImagingError> {
    if matches!(attributes.photometric, Photometric::YbrIct | Photometric::YbrRct) {
        let expected = "RGB or YBR_FULL of images that are not compressed";
        return Err(ImagingError::invalid("PhotometricInterpretation", attributes.photometric.term(), expected));
    }
    let pixels = attributes.rows * attributes.columns;
    let subsampled = attributes.photometric == Photometric::YbrFull422;
    let length = if subsampled { 2 } else { SAMPLES * usize::from(attributes.bits_allocated / 8) } * pixels;
    let place = frame * length..(frame + 1) * length;
    let swapped: Vec<u8>;
    let bytes = if attributes.bits_allocated == 8 && file.big_endian && words {
        // 8-bit samples in 16-bit words: each pair was swapped with its word.
        swapped = place.filter_map(|i| value.get(i ^ 1).or_else(|| value.get(i)).copied()).collect();
        &swapped[..]
    } else {
        value.get(place).unwrap_or_default()
    };
    let samples = if subsampled {
        upsampled(bytes)
    } else {
        let form =
            Form { planar: planar_configuration(attributes)?, big_endian: file.big_endian, ..Form::of(attributes) };
        form.interleaved(bytes)
    };
    let misfit = || ImagingError::invalid("PixelData", "another number of samples", "Rows × Columns × SamplesPerPixel");
    to_rgb(samples, attributes, attributes.photometric != Photometric::Rgb).ok_or_else(misfit)
}

/// PlanarConfiguration (0028,0006): whether the samples lie colour by plane.
fn planar_configuration(attributes: &ImageAttributes) -> Result<bool, ImagingError> {
    let read = Reader(&attributes.dataset);
    Ok(read.int(tags::PLANAR_CONFIGURATION, "PlanarConfiguration", 0..=1, "0 or 1")? == Some(1))
}

/// YBR_FULL_422 (PS3.3 C.7.6.3.1.2): Y, Y, Cb, Cr for each two pixels.
fn upsampled(bytes: &[u8]) -> Vec<u8> {
    bytes.as_chunks::<4>().0.iter().flat_map(|[first, second, cb, cr]| [*first, *cb, *cr, *second, *cb, *cr]).collect()
}

/// How samples lie in memory.
struct Form {
    bits_allocated: u16,
    bits_stored: u16,
    big_endian: bool,
    /// Colour by plane, not pixel by pixel.
    planar: bool,
}

impl Form {
    fn of(attributes: &ImageAttributes) -> Self {
        let &ImageAttributes { bits_allocated, bits_stored, .. } = attributes;
        Self { bits_allocated, bits_stored, big_endian: false, planar: false }
    }

    /// Samples of 8 bits, pixel by pixel.
    fn interleaved(&self, bytes: &[u8]) -> Vec<u8> {
        let narrow: Vec<u8>;
        let max = (1u32 << self.bits_stored.min(16)) - 1;
        let scale = |v: u16| (((u32::from(v) & max) * 255 + max / 2) / max) as u8;
        let word = |b: &[u8; 2]| if self.big_endian { u16::from_be_bytes(*b) } else { u16::from_le_bytes(*b) };
        let samples = match (self.bits_allocated, self.bits_stored) {
            (8, 8) => bytes,
            (8, _) => {
                narrow = bytes.iter().map(|v| scale((*v).into())).collect();
                &narrow
            }
            _ => {
                narrow = bytes.as_chunks::<2>().0.iter().map(|b| scale(word(b))).collect();
                &narrow
            }
        };
        if !self.planar {
            return samples.to_vec();
        }
        let plane = samples.len() / SAMPLES;
        (0..plane).flat_map(|i| [samples[i], samples[plane + i], samples[2 * plane + i]]).collect()
    }
}

/// None where the samples do not fill the image.
fn to_rgb(mut samples: Vec<u8>, attributes: &ImageAttributes, ybr: bool) -> Option<Array3<u8>> {
    if ybr {
        ybr::to_rgb(&mut samples);
    }
    Array3::from_shape_vec((attributes.rows, attributes.columns, SAMPLES), samples).ok()
}

/// PS3.5 8.2, A.4. `fragments` are those of one frame.
fn encapsulated(file: &Part10, fragments: &[Range<usize>], attributes: &ImageAttributes) -> Result<Array3<u8>, String> {
    let frame = frame_of(&file.dataset, fragments)?;
    let (rows, columns, syntax) = (attributes.rows, attributes.columns, file.transfer_syntax.as_str());
    let says_ybr = matches!(attributes.photometric, Photometric::YbrFull | Photometric::YbrFull422);
    let misfit = || "another number of samples than Rows × Columns × SamplesPerPixel".to_string();
    let form = Form::of(attributes);
    if syntax == entries::RLE_LOSSLESS.uid() {
        let bytes = rle::decode(&frame, rows * columns, usize::from(form.bits_allocated / 8), SAMPLES)?;
        return to_rgb(form.interleaved(&bytes), attributes, says_ybr).ok_or_else(misfit);
    }
    let header = stream_header(&frame, attributes, SAMPLES)?;
    // The standard's own marks of colour in the stream go before the attribute, which may have been left as it was when the
    // image was compressed.
    let (bytes, planar, is_ybr) = match header.codec {
        Codec::Jpeg => {
            let is_ybr = jpeg_colour(&frame).map_or(says_ybr, |colour| colour == JpegColour::Ybr);
            (jpeg(&frame, SAMPLES * rows * columns * header.bytes())?, false, is_ybr)
        }
        Codec::JpegLs => (decode_stream(&frame, syntax, header)?, jpeg_ls_is_planar(&frame), says_ybr),
        Codec::Jpeg2000 => (decode_stream(&frame, syntax, header)?, false, says_ybr),
    };
    let form =
        Form { bits_allocated: 8 * header.bytes() as u16, bits_stored: u16::from(header.precision), planar, ..form };
    to_rgb(form.interleaved(&bytes), attributes, is_ybr).ok_or_else(misfit)
}

/// Samples as the stream codes them, without a colour transform, pixel by pixel; little endian where they have two bytes.
fn jpeg(frame: &[u8], expected: usize) -> Result<Vec<u8>, String> {
    let mut decoder = jpeg_decoder::Decoder::new(Cursor::new(frame));
    // "RGB" hands the samples on as they are; `None` mixes up their order.
    decoder.set_color_transform(jpeg_decoder::ColorTransform::RGB);
    decoder.set_max_decoding_buffer_size(expected.max(MAX_PIXELS));
    // Other people's code on hostile input: a panic is a stream that cannot be decoded.
    let outcome = catch_unwind(AssertUnwindSafe(|| decoder.decode()));
    let samples = outcome.map_err(|_| "the codec panicked".to_string())?.map_err(|e| e.to_string())?;
    let found = samples.len();
    if found == expected { Ok(samples) } else { Err(format!("the codec gave {found} bytes, expected {expected}")) }
}
