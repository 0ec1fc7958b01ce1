//! What a compressed frame says of itself, read before a codec sees it: a codec allocates by these numbers, so they must
//! agree with the attributes first.

/// Size and sample format in the frame header of a JPEG, JPEG-LS or JPEG 2000 stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    pub rows: usize,
    pub columns: usize,
    pub components: usize,
    pub precision: u8,
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
                });
            }
            0xD9 | 0xDA => return None, // image data or the end before any frame header
            _ => at += 2 + be16(stream, at + 2)?.max(2),
        }
    }
}

fn siz(stream: &[u8]) -> Option<FrameHeader> {
    if stream.get(2..4)? != [0xFF, 0x51] {
        return None;
    }
    let (columns, rows) =
        (be32(stream, 8)?.checked_sub(be32(stream, 16)?)?, be32(stream, 12)?.checked_sub(be32(stream, 20)?)?);
    let precision = (stream.get(42)? & 0x7F) + 1;
    let unsampled = stream.get(43..45)? == [1, 1];
    let components = be16(stream, 40)?;
    // Subsampled components would not fill the frame: reported as a size that fits no image.
    Some(FrameHeader { rows: if unsampled { rows } else { 0 }, columns, components, precision })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jpeg_after_other_segments() {
        let stream = [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xFF, 0xC3, 0, 11, 12, 0x0B, 0xF6, 0x09, 0x5A, 1];
        let expected = FrameHeader { rows: 3062, columns: 2394, components: 1, precision: 12 };
        assert_eq!(frame_header(&stream), Some(expected));
        for cut in 0..stream.len() {
            assert_eq!(frame_header(&stream[..cut]), None);
        }
    }

    #[test]
    fn jpeg_2000_bare_and_boxed() {
        let mut siz = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
        for word in [100u32 + 7, 50 + 3, 7, 3, 100, 50, 0, 0] {
            siz.extend(word.to_be_bytes());
        }
        siz.extend([0, 1, 0x80 | 11, 1, 1]);
        let expected = Some(FrameHeader { rows: 50, columns: 100, components: 1, precision: 12 });
        assert_eq!(frame_header(&siz), expected);
        assert_eq!(frame_header(&[vec![0, 0, 0, 12, b'j', b'P'], siz.clone()].concat()), expected);
        for cut in 0..siz.len() {
            assert_eq!(frame_header(&siz[..cut]), None);
        }
    }
}
