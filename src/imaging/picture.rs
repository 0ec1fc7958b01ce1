//! JPEG and PNG files as pictures: upright, RGB or grey in 8 bits. Sizes are read from the file's header and refused before
//! anything is decoded.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, RgbImage};
use ndarray::{Array2, Array3};

use super::codestream::{Codec, FrameHeader, JpegColour, frame_header, jpeg_colour};
use super::decode::MAX_PIXELS;
use super::ybr;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = &[0xFF, 0xD8, 0xFF];

/// Why a file is no picture that is read. Nothing of the file is repeated but numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error("found neither a JPEG nor a PNG file")]
    Format,
    #[error("found {rows} × {columns} pixels, expected 1 to {MAX_PIXELS} in all")]
    Size { rows: usize, columns: usize },
    #[error("the {format} file cannot be decoded: {reason}")]
    Undecodable { format: &'static str, reason: String },
}

/// What a picture shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PicturePixels {
    /// (row, column)
    Grey(Array2<u8>),
    /// Red, green, blue: (row, column, sample)
    Rgb(Array3<u8>),
}

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Upright: what EXIF says of the camera's position (TIFF tag Orientation) has been carried out. What is transparent lies
    /// over white, as on paper and on most pages.
    pub pixels: PicturePixels,
    /// The file was a JPEG, whatever became of it.
    pub lossy: bool,
    /// The baseline JPEG stream without metadata, where it shows the very same: upright, grey or in three colours.
    pub jpeg: Option<PlainJpeg>,
}

/// A baseline JPEG stream (ISO 10918-1 process 1) with nothing in it but the picture: no EXIF, comments or thumbnails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainJpeg {
    pub stream: Vec<u8>,
    /// Three components are YBR, else RGB; None of a grey one.
    pub ybr: Option<bool>,
}

/// Whether a file begins as a picture does.
pub fn is_picture(file: &[u8]) -> bool {
    file.starts_with(PNG) || file.starts_with(JPEG)
}

/// Reads a JPEG (baseline, extended, progressive; grey, YCbCr, RGB, CMYK, YCCK) or PNG (any; 16 bits are scaled to 8).
///
/// # Errors
/// [`PictureError`]
pub fn read_picture(file: &[u8]) -> Result<Picture, PictureError> {
    if file.starts_with(PNG) {
        png(file)
    } else if file.starts_with(JPEG) {
        jpeg(file)
    } else {
        Err(PictureError::Format)
    }
}

fn check_size(rows: usize, columns: usize) -> Result<(), PictureError> {
    let fits = rows > 0 && columns > 0 && rows.saturating_mul(columns) <= MAX_PIXELS;
    if fits && rows.max(columns) <= 65_535 { Ok(()) } else { Err(PictureError::Size { rows, columns }) }
}

/// Decoders are other people's code on hostile input: a panic is a file that cannot be decoded.
fn guarded<T>(format: &'static str, decode: impl FnOnce() -> Result<T, String>) -> Result<T, PictureError> {
    let outcome = catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("the codec panicked".into()));
    outcome.map_err(|reason| PictureError::Undecodable { format, reason })
}

fn png(file: &[u8]) -> Result<Picture, PictureError> {
    // IHDR is the first chunk (ISO 15948 5.6): length, name, width, height.
    let word = |at: usize| file.get(at..at + 4).and_then(|b| b.try_into().ok()).map(|b| u32::from_be_bytes(b) as usize);
    let (Some(columns), Some(rows)) = (word(16), word(20)) else {
        return Err(PictureError::Undecodable { format: "PNG", reason: "the file ends within its header".into() });
    };
    check_size(rows, columns)?;
    let image = guarded("PNG", || {
        let mut decoder = PngDecoder::new(Cursor::new(file)).map_err(|e| e.to_string())?;
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(16 * MAX_PIXELS as u64);
        decoder.set_limits(limits).map_err(|e| e.to_string())?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut image = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
        image.apply_orientation(orientation);
        Ok(image)
    })?;
    let grey = !image.color().has_color();
    let pixels = if image.color().has_alpha() { over_white(&image) } else { rgb_of(image.into_rgb8()) };
    Ok(Picture { pixels: if grey { first_of(&pixels) } else { pixels }, lossy: false, jpeg: None })
}

fn over_white(image: &DynamicImage) -> PicturePixels {
    let rgba = image.to_rgba8();
    let over = |p: &image::Rgba<u8>| {
        let [r, g, b, alpha] = p.0.map(u32::from);
        image::Rgb([r, g, b].map(|v| ((v * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    };
    let (width, height) = rgba.dimensions();
    rgb_of(RgbImage::from_fn(width, height, |x, y| over(rgba.get_pixel(x, y))))
}

fn rgb_of(image: RgbImage) -> PicturePixels {
    let shape = (image.height() as usize, image.width() as usize, 3);
    PicturePixels::Rgb(Array3::from_shape_vec(shape, image.into_raw()).unwrap_or_default())
}

/// Of three equal samples one.
fn first_of(pixels: &PicturePixels) -> PicturePixels {
    match pixels {
        PicturePixels::Rgb(rgb) => PicturePixels::Grey(rgb.index_axis(ndarray::Axis(2), 0).to_owned()),
        PicturePixels::Grey(grey) => PicturePixels::Grey(grey.clone()),
    }
}

fn jpeg(file: &[u8]) -> Result<Picture, PictureError> {
    let wrong = |reason: &str| PictureError::Undecodable { format: "JPEG", reason: reason.into() };
    let header = frame_header(file).ok_or_else(|| wrong("it has no frame header"))?;
    check_size(header.rows, header.columns)?;
    if header.codec != Codec::Jpeg || header.precision != 8 || !matches!(header.components, 1 | 3 | 4) {
        let found =
            format!("found {} components of {} bits, expected 1, 3 or 4 of 8", header.components, header.precision);
        return Err(wrong(&found));
    }
    // What neither segments nor names tell is YBR (ITU-T T.871).
    let ybr = (header.components == 3).then(|| jpeg_colour(file) != Some(JpegColour::Rgb));
    let (samples, orientation) = guarded("JPEG", || decode_jpeg(file, header, ybr))?;
    let upright = orientation == Orientation::NoTransforms;
    let plain = if upright && header.components != 4 { plain_jpeg(file) } else { None };
    let (width, height) = (header.columns as u32, header.rows as u32);
    let misfit = || wrong("another number of samples than its header says");
    let mut image = if header.components == 1 {
        DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, samples).ok_or_else(misfit)?)
    } else {
        DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, samples).ok_or_else(misfit)?)
    };
    image.apply_orientation(orientation);
    let pixels = match image {
        DynamicImage::ImageLuma8(grey) => {
            let shape = (grey.height() as usize, grey.width() as usize);
            PicturePixels::Grey(Array2::from_shape_vec(shape, grey.into_raw()).map_err(|_| misfit())?)
        }
        other => rgb_of(other.into_rgb8()),
    };
    Ok(Picture { pixels, lossy: true, jpeg: plain.map(|stream| PlainJpeg { stream, ybr }) })
}

/// Grey or RGB samples, and how they are turned.
fn decode_jpeg(file: &[u8], header: FrameHeader, ybr: Option<bool>) -> Result<(Vec<u8>, Orientation), String> {
    let mut decoder = jpeg_decoder::Decoder::new(Cursor::new(file));
    decoder.set_max_decoding_buffer_size(4 * MAX_PIXELS);
    if header.components == 3 {
        decoder.set_color_transform(jpeg_decoder::ColorTransform::RGB);
    }
    let mut samples = decoder.decode().map_err(|e| e.to_string())?;
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    if samples.len() != header.rows * header.columns * header.components {
        return Err("another number of samples than its header says".into());
    }
    if ybr == Some(true) {
        ybr::to_rgb(&mut samples);
    }
    if header.components == 4 {
        // The decoder takes inks for inverted, which Adobe's alone are.
        let inverted = segments(file).any(|(marker, segment)| marker == 0xEE && segment.starts_with(b"Adobe"));
        let ink = |v: u8| if inverted { v } else { 255 - v };
        samples = samples.as_chunks::<4>().0.iter().flat_map(|inks| rgb_of_inks(inks.map(ink))).collect();
    }
    Ok((samples, orientation))
}

/// As PIL converts CMYK: what an ink and black leave of white.
fn rgb_of_inks([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let white = 255 - u32::from(k);
    [c, m, y].map(|ink| {
        let product = u32::from(ink) * white + 128;
        (white - (((product >> 8) + product) >> 8).min(white)) as u8
    })
}

/// The marker segments before the first scan.
fn segments(file: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        loop {
            let marker = *file.get(at + 1).filter(|_| file.get(at) == Some(&0xFF))?;
            match marker {
                0xFF => at += 1,
                0x01 | 0xD0..=0xD8 => at += 2,
                0xD9 | 0xDA => return None,
                _ => {
                    let length = usize::from(u16::from_be_bytes(file.get(at + 2..at + 4)?.try_into().ok()?)).max(2);
                    let segment = file.get(at + 4..at + 2 + length)?;
                    at += 2 + length;
                    return Some((marker, segment));
                }
            }
        }
    })
}

/// The stream without application segments and comments but Adobe's colour mark, up to its end; None of a process other
/// than baseline, or of a stream that ends early.
fn plain_jpeg(file: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0xFF, 0xD8];
    let mut at = 2;
    loop {
        let marker = *file.get(at + 1).filter(|_| file.get(at) == Some(&0xFF))?;
        match marker {
            0xFF => at += 1,
            0xD9 => {
                out.extend([0xFF, 0xD9]);
                return Some(out);
            }
            0x01 | 0xD0..=0xD8 => at += 2,
            0xC1..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return None,
            _ => {
                let length = usize::from(u16::from_be_bytes(file.get(at + 2..at + 4)?.try_into().ok()?)).max(2);
                let whole = file.get(at..at + 2 + length)?;
                let metadata = matches!(marker, 0xE0..=0xEF | 0xFE);
                // Only its fixed part: what follows may be anything.
                if marker == 0xEE && whole.get(4..).is_some_and(|s| s.starts_with(b"Adobe") && s.len() >= 12) {
                    out.extend([0xFF, 0xEE, 0, 14]);
                    out.extend_from_slice(&whole[4..16]);
                } else if !metadata {
                    out.extend_from_slice(whole);
                }
                at += 2 + length;
                if marker == 0xDA {
                    let scan = scan_length(&file[at..])?;
                    out.extend_from_slice(&file[at..at + scan]);
                    at += scan;
                }
            }
        }
    }
}

/// Entropy-coded bytes up to the next marker that is neither stuffing nor a restart.
fn scan_length(data: &[u8]) -> Option<usize> {
    let ends = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7 | 0xFF);
    data.windows(2).position(ends)
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    fn png_file(samples: &[u8], width: u32, height: u32, kind: ExtendedColorType) -> Vec<u8> {
        let mut file = Vec::new();
        image::codecs::png::PngEncoder::new(&mut file).write_image(samples, width, height, kind).unwrap();
        file
    }

    fn jpeg_file(samples: &[u8], width: u32, height: u32, kind: ExtendedColorType) -> Vec<u8> {
        let mut file = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 95)
            .write_image(samples, width, height, kind)
            .unwrap();
        file
    }

    /// After the start of the image: EXIF with an orientation, and a name in a comment.
    fn with_metadata(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        let segment =
            |marker: u8, data: &[u8]| [&[0xFF, marker][..], &(data.len() as u16 + 2).to_be_bytes(), data].concat();
        [&jpeg[..2], &segment(0xE1, &exif), &segment(0xFE, b"Doe^Jane"), &jpeg[2..]].concat()
    }

    fn rgb(picture: &Picture) -> &Array3<u8> {
        match &picture.pixels {
            PicturePixels::Rgb(rgb) => rgb,
            PicturePixels::Grey(_) => panic!("grey"),
        }
    }

    #[test]
    fn png_of_every_kind() {
        let file = png_file(&[1, 2, 3, 4, 5, 6], 2, 1, ExtendedColorType::Rgb8);
        assert_eq!(*rgb(&read_picture(&file).unwrap()), ndarray::array![[[1, 2, 3], [4, 5, 6]]]);
        // Half of black over white, and nothing of it.
        let file = png_file(&[0, 0, 0, 128, 9, 9, 9, 0], 2, 1, ExtendedColorType::Rgba8);
        assert_eq!(*rgb(&read_picture(&file).unwrap()), ndarray::array![[[127, 127, 127], [255, 255, 255]]]);
        let file = png_file(&[7, 8], 1, 2, ExtendedColorType::L8);
        assert_eq!(read_picture(&file).unwrap().pixels, PicturePixels::Grey(ndarray::array![[7], [8]]));
        let file = png_file(&[0, 255, 100, 0], 2, 1, ExtendedColorType::La8);
        assert_eq!(read_picture(&file).unwrap().pixels, PicturePixels::Grey(ndarray::array![[0, 255]]));
        let wide: Vec<u8> = [0x1234u16, 0xFFFF].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let file = png_file(&wide, 2, 1, ExtendedColorType::L16);
        assert_eq!(read_picture(&file).unwrap().pixels, PicturePixels::Grey(ndarray::array![[0x12, 0xFF]]));
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let mut file = png_file(&[0], 1, 1, ExtendedColorType::L8);
        file[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
        assert_eq!(read_picture(&file), Err(PictureError::Size { rows: 60_000, columns: 60_000 }));
        let mut file = jpeg_file(&[0; 64], 8, 8, ExtendedColorType::L8);
        let frame = file.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
        file[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
        assert_eq!(read_picture(&file), Err(PictureError::Size { rows: 60_000, columns: 60_000 }));
    }

    #[test]
    fn what_is_cut_or_something_else_is_an_error() {
        assert_eq!(read_picture(b"GIF89a"), Err(PictureError::Format));
        let (small, samples) = ([1, 2, 3, 4, 5, 6], (0..192).map(|v| v as u8).collect::<Vec<_>>());
        for file in
            [png_file(&small, 2, 1, ExtendedColorType::Rgb8), jpeg_file(&samples, 8, 8, ExtendedColorType::Rgb8)]
        {
            for cut in 3..file.len() / 2 {
                assert!(read_picture(&file[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_jpeg_is_turned_upright_and_loses_its_metadata() {
        // Left half red, right half blue.
        let samples: Vec<u8> = (0..16 * 8).flat_map(|i| if i % 16 < 8 { [255, 0, 0] } else { [0, 0, 255] }).collect();
        let file = jpeg_file(&samples, 16, 8, ExtendedColorType::Rgb8);
        let plain = read_picture(&file).unwrap();
        let tagged = with_metadata(&file, 1);
        let same = read_picture(&tagged).unwrap();
        assert_eq!(same, plain);
        let stream = same.jpeg.unwrap();
        assert_eq!(stream.ybr, Some(true));
        let holds = |name: &[u8]| stream.stream.windows(name.len()).any(|w| w == name);
        assert!(!holds(b"Exif") && !holds(b"Doe") && !holds(b"JFIF"));
        assert_eq!(read_picture(&stream.stream).unwrap().pixels, plain.pixels);

        // 6: the camera was turned; red comes to lie above.
        let turned = read_picture(&with_metadata(&file, 6)).unwrap();
        let upright = rgb(&turned);
        assert_eq!(upright.dim(), (16, 8, 3));
        assert!(upright[[1, 4, 0]] > 200 && upright[[14, 4, 2]] > 200);
        assert_eq!(turned.jpeg, None);
        // What follows the picture is cut.
        let trailing = [file.clone(), b"GPS 48.1 11.5".to_vec()].concat();
        assert_eq!(read_picture(&trailing).unwrap(), plain);
    }

    /// Files that our encoders do not write, and pixels of them as PIL 12 reads them: (row, column), RGB.
    #[test]
    fn cmyk_progressive_and_interlaced() {
        use base64::Engine;
        let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        let cmyk = decode(
            "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwADAgICAgIDAgICAwMDAwQGBAQEBAQIBgYFBgkICgoJCAkJCgwPDAoLDgsJCQ0RDQ4PEBAREAoMEhMSEBMP\
             EBAQ/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAgJ/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAA4EQwBNAFkASwAA\
             PwAeKBlmdD//2Q==",
        );
        let progressive = decode(
            "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8QEBEQCgwSExIQ\
             Ew8QEBD/2wBDAQMDAwQDBAgEBAgQCwkLEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBD/wgARCAAIAAgD\
             AREAAhEBAxEB/8QAFAABAAAAAAAAAAAAAAAAAAAABf/EABUBAQEAAAAAAAAAAAAAAAAAAAQF/9oADAMBAAIQAxAAAAEuCf8A/8QAFRABAQAAAAAA\
             AAAAAAAAAAAAABX/2gAIAQEAAQUCtP/EABgRAAIDAAAAAAAAAAAAAAAAAAAXZKPj/9oACAEDAQE/AUpOr0P/xAAWEQADAAAAAAAAAAAAAAAAAAAA\
             FGH/2gAIAQIBAT8BWp//xAAWEAADAAAAAAAAAAAAAAAAAAAANKL/2gAIAQEABj8CWs//xAAWEAADAAAAAAAAAAAAAAAAAAAA8PH/2gAIAQEAAT8h\
             SD//2gAMAwEAAgADAAAAEH//xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oACAEDAQE/EBf/xAAXEQADAQAAAAAAAAAAAAAAAAAAEeHw/9oACAECAQE/\
             ENqn/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxBv/9k=",
        );
        let interlaced = decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAMAAAHNtuZBAAAACVBMVEUKFB7IZDIAAP8/dCnvAAAAA3RSTlP//wDXyg1BAAAAHUlEQVR4nGNgYGBk\
             YGIAIkYwgxHIBGEQEygMIhgBAbMAGZCzDroAAAAASUVORK5CYII=",
        );
        for (file, pixels) in [
            (&cmyk, vec![([3, 3], [46u8, 190, 164])]),
            (&progressive, vec![([1, 3], [9, 220, 89]), ([6, 3], [202, 29, 59])]),
            // The third colour of the palette is transparent: white.
            (&interlaced, vec![([1, 1], [10, 20, 30]), ([1, 2], [200, 100, 50]), ([1, 3], [255, 255, 255])]),
        ] {
            let picture = read_picture(file).unwrap();
            assert_eq!(picture.jpeg, None);
            for ([row, column], expected) in pixels {
                let found = [0, 1, 2].map(|c| rgb(&picture)[[row, column, c]]);
                assert!(
                    found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2),
                    "{found:?}, expected {expected:?}"
                );
            }
        }
    }

    #[test]
    fn inks() {
        assert_eq!(rgb_of_inks([0, 0, 0, 0]), [255; 3]);
        assert_eq!(rgb_of_inks([255, 0, 0, 0]), [0, 255, 255]);
        assert_eq!(rgb_of_inks([0, 0, 0, 255]), [0; 3]);
        assert_eq!(rgb_of_inks([100, 50, 25, 55]), [122, 161, 180]);
    }
}
