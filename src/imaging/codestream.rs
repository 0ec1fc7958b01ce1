//! What a compressed frame says of itself, read before a codec sees it: a codec allocates by these numbers, so they must
//! agree with the attributes first.

/// Size and sample format in the frame header of a JPEG, JPEG-LS or JPEG 2000 stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    pub rows: usize,
    pub columns: usize,
    pub components: usize,
    pub precision: u8,
    pub codec: Codec,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// ISO 10918-1, lossy or lossless.
    Jpeg,
    JpegLs,
    /// High throughput (ISO 15444-15) too.
    Jpeg2000,
}

/// What the samples of a JPEG stream of three components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JpegColour {
    Rgb,
    Ybr,
}

impl FrameHeader {
    /// Bytes of a decoded sample.
    pub fn bytes(&self) -> usize {
        usize::from(self.precision).div_ceil(8)
    }
}

/// Finds the frame header: SOFn (ISO 10918-1 B.2.2), SOF55 (ISO 14495-1 C.2.2) or SIZ (ISO 15444-1 A.5.1), the latter
/// also within a JP2 container (some modalities store one, against PS3.5 8.2.4).
pub fn frame_header(stream: &[u8]) -> Option<FrameHeader> {
    if stream.starts_with(&[0xFF, 0xD8]) {
        return sof(stream);
    }
    let start = if stream.starts_with(&[0xFF, 0x4F]) {
        0
    } else {
        stream.windows(4).position(|four| four == [0xFF, 0x4F, 0xFF, 0x51])?
    };
    siz(&stream[start..])
}

fn be16(stream: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(stream.get(at..at + 2)?.try_into().ok()?)))
}

fn be32(stream: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(stream.get(at..at + 4)?.try_into().ok()?)).ok()
}

fn sof(stream: &[u8]) -> Option<FrameHeader> {
    let mut at = 2;
    loop {
        if *stream.get(at)? != 0xFF {
            return None;
        }
        let marker = *stream.get(at + 1)?;
        match marker {
            0xFF => at += 1,               // fill byte
            0x01 | 0xD0..=0xD8 => at += 2, // markers without a segment
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xF7 => {
                return Some(FrameHeader {
                    precision: *stream.get(at + 4)?,
                    rows: be16(stream, at + 5)?,
                    columns: be16(stream, at + 7)?,
                    components: usize::from(*stream.get(at + 9)?),
                    codec: if marker == 0xF7 { Codec::JpegLs } else { Codec::Jpeg },
                });
            }
            0xD9 | 0xDA => return None, // image data or the end before any frame header
            _ => at += 2 + be16(stream, at + 2)?.max(2),
        }
    }
}

/// What a JPEG stream of three components says of its colours: by its components' names "RGB", by a JFIF segment, which
/// knows YBR only (ITU-T T.871), or by Adobe's segment. None where it does not say.
pub fn jpeg_colour(stream: &[u8]) -> Option<JpegColour> {
    let (mut at, mut told) = (2, None);
    loop {
        let marker = *stream.get(at + 1).filter(|_| stream.get(at) == Some(&0xFF))?;
        match marker {
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let names = [10, 13, 16].map(|place| stream.get(at + place).map_or(0, u8::to_ascii_uppercase));
                return if names == *b"RGB" { Some(JpegColour::Rgb) } else { told };
            }
            0xD9 | 0xDA => return told,
            _ => {
                let segment = stream.get(at + 4..at + 2 + be16(stream, at + 2)?)?;
                if marker == 0xE0 && segment.starts_with(b"JFIF\0") {
                    told = Some(JpegColour::Ybr);
                } else if marker == 0xEE && segment.starts_with(b"Adobe") && told.is_none() {
                    told = segment.get(11).map(|t| if *t == 0 { JpegColour::Rgb } else { JpegColour::Ybr });
                }
                at += 2 + be16(stream, at + 2)?.max(2);
            }
        }
    }
}

/// Whether a JPEG-LS stream of several components has a scan for each (ISO 14495-1 C.2.3): its codec gives plane by plane.
pub fn jpeg_ls_is_planar(stream: &[u8]) -> bool {
    let scan = stream.windows(2).position(|two| two == [0xFF, 0xDA]);
    scan.is_some_and(|at| stream.get(at + 4) == Some(&1))
}

fn siz(stream: &[u8]) -> Option<FrameHeader> {
    if stream.get(2..4)? != [0xFF, 0x51] {
        return None;
    }
    let (columns, rows) =
        (be32(stream, 8)?.checked_sub(be32(stream, 16)?)?, be32(stream, 12)?.checked_sub(be32(stream, 20)?)?);
    let precision = (stream.get(42)? & 0x7F) + 1;
    let components = be16(stream, 40)?;
    let of_each = stream.get(42..42 + 3 * components.clamp(1, 4))?;
    let unsampled = of_each.chunks_exact(3).all(|component| component[1..] == [1, 1]);
    // Subsampled components would not fill the frame: reported as a size that fits no image.
    Some(FrameHeader { rows: if unsampled { rows } else { 0 }, columns, components, precision, codec: Codec::Jpeg2000 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jpeg_after_other_segments() {
        let stream = [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xFF, 0xC3, 0, 11, 12, 0x0B, 0xF6, 0x09, 0x5A, 1];
        let expected = FrameHeader { rows: 3062, columns: 2394, components: 1, precision: 12, codec: Codec::Jpeg };
        assert_eq!(frame_header(&stream), Some(expected));
        for cut in 0..stream.len() {
            assert_eq!(frame_header(&stream[..cut]), None);
        }
    }

    #[test]
    fn a_jpeg_stream_tells_its_colours() {
        let stream = |segments: &[&[u8]], names: [u8; 3]| {
            let frame = [0xFF, 0xC0, 0, 17, 8, 0, 1, 0, 1, 3, names[0], 0x11, 0, names[1], 0x11, 1, names[2], 0x11, 1];
            [&[0xFF, 0xD8][..], &segments.concat(), &frame].concat()
        };
        let jfif: &[u8] = b"\xFF\xE0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
        let adobe = |transform: u8| [b"\xFF\xEE\x00\x0EAdobe\0\x64\0\0\0\0".to_vec(), vec![transform]].concat();
        let numbers = [1, 2, 3];
        for (segments, names, expected) in [
            (vec![], numbers, None),
            (vec![], *b"RGB", Some(JpegColour::Rgb)),
            (vec![jfif], numbers, Some(JpegColour::Ybr)),
            (vec![jfif], *b"rgb", Some(JpegColour::Rgb)),
            (vec![&adobe(0)[..]], numbers, Some(JpegColour::Rgb)),
            (vec![&adobe(1)], numbers, Some(JpegColour::Ybr)),
            (vec![jfif, &adobe(0)], numbers, Some(JpegColour::Ybr)),
        ] {
            let stream = stream(&segments, names);
            assert_eq!(jpeg_colour(&stream), expected, "{segments:?} {names:?}");
            for cut in 0..stream.len() - 18 {
                assert_eq!(jpeg_colour(&stream[..cut]), None);
            }
        }
    }

    #[test]
    fn jpeg_2000_bare_and_boxed() {
        let mut siz = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
        for word in [100u32 + 7, 50 + 3, 7, 3, 100, 50, 0, 0] {
            siz.extend(word.to_be_bytes());
        }
        siz.extend([0, 1, 0x80 | 11, 1, 1]);
        let expected =
            Some(FrameHeader { rows: 50, columns: 100, components: 1, precision: 12, codec: Codec::Jpeg2000 });
        assert_eq!(frame_header(&siz), expected);
        assert_eq!(frame_header(&[vec![0, 0, 0, 12, b'j', b'P'], siz.clone()].concat()), expected);
        for cut in 0..siz.len() {
            assert_eq!(frame_header(&siz[..cut]), None);
        }
    }
}
