//! RLE Lossless (PS3.5 Annex G): PackBits segments, one for each byte of a sample, most significant first.
//!
//! Ours and not the registry's: its reader trusts the segment count of the header and panics on a short segment.

/// Decodes a frame into little-endian samples, pixel by pixel. The segments of a colour follow one another (PS3.5 G.2).
///
/// `pixels` is the number of pixels, already checked against a limit; `bytes` of a sample 1 or 2; `samples` a pixel.
///
/// # Errors
/// In words: a header that contradicts the image, a segment outside the frame, too few decoded bytes.
pub fn decode(frame: &[u8], pixels: usize, bytes: usize, samples: usize) -> Result<Vec<u8>, String> {
    let word = |i: usize| -> Result<usize, String> {
        let four = frame.get(4 * i..4 * i + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
        four.map(|b| u32::from_le_bytes(b) as usize).ok_or_else(|| "the RLE header is cut short".to_string())
    };
    let segments = word(0)?;
    let step = bytes * samples;
    if segments != step {
        return Err(format!("the RLE header has {segments} segments, expected {step}"));
    }
    let mut out = vec![0; pixels * step];
    for segment in 0..segments {
        let start = word(1 + segment)?;
        let end = if segment + 1 < segments { word(2 + segment)? } else { frame.len() };
        let packed = frame.get(start..end).filter(|_| start >= 64);
        let packed = packed.ok_or_else(|| format!("RLE segment {segment} lies outside the frame"))?;
        let place = segment / bytes * bytes + (bytes - 1 - segment % bytes);
        let filled = unpack(packed, &mut out, place, step);
        if filled < pixels {
            return Err(format!("RLE segment {segment} holds {filled} bytes, expected {pixels}"));
        }
    }
    Ok(out)
}

/// PackBits (PS3.5 G.3.2) into every `step`-th byte of `out` from `place`; gives the number of bytes written. What a
/// segment holds beyond the frame (padding) is left.
fn unpack(packed: &[u8], out: &mut [u8], place: usize, step: usize) -> usize {
    let mut slots = out[place..].iter_mut().step_by(step);
    let (mut at, mut filled) = (0, 0);
    while let Some(&control) = packed.get(at) {
        at += 1;
        if control < 128 {
            let run = usize::from(control) + 1;
            let literal = &packed[at.min(packed.len())..(at + run).min(packed.len())];
            filled += literal.iter().zip(slots.by_ref()).map(|(&value, slot)| *slot = value).count();
            at += run;
        } else if control > 128 {
            let Some(&value) = packed.get(at) else { break };
            filled += slots.by_ref().take(257 - usize::from(control)).map(|slot| *slot = value).count();
            at += 1;
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(segments: &[&[u8]]) -> Vec<u8> {
        let mut header = vec![0u8; 64];
        header[0] = segments.len() as u8;
        let mut body = Vec::new();
        for (i, segment) in segments.iter().enumerate() {
            header[4 + 4 * i..8 + 4 * i].copy_from_slice(&(64 + body.len() as u32).to_le_bytes());
            body.extend_from_slice(segment);
        }
        [header, body].concat()
    }

    #[test]
    fn runs_literals_and_no_ops() {
        // 2 literals, run of 3, no-op, run of 2
        let packed = [1, 10, 20, 254, 7, 128, 255, 9];
        assert_eq!(decode(&frame(&[&packed]), 7, 1, 1), Ok(vec![10, 20, 7, 7, 7, 9, 9]));
    }

    #[test]
    fn most_significant_byte_first() {
        assert_eq!(decode(&frame(&[&[1, 0x12, 0x34], &[1, 0x56, 0x78]]), 2, 2, 1), Ok(vec![0x56, 0x12, 0x78, 0x34]));
    }

    #[test]
    fn colours_follow_one_another() {
        let colour = |a, b| [1, a, b];
        let bytes = [&colour(1, 2)[..], &colour(3, 4), &colour(5, 6)];
        assert_eq!(decode(&frame(&bytes), 2, 1, 3), Ok(vec![1, 3, 5, 2, 4, 6]));
        let words = [&[0, 1][..], &[0, 2], &[0, 3], &[0, 4], &[0, 5], &[0, 6]];
        assert_eq!(decode(&frame(&words), 1, 2, 3), Ok(vec![2, 1, 4, 3, 6, 5]));
    }

    #[test]
    fn every_cut_and_every_wrong_header_byte_is_an_error_or_an_image() {
        let good = frame(&[&[1, 1, 2, 253, 3], &[255, 5, 3, 6, 7, 8, 9]]);
        assert!(decode(&good, 6, 2, 1).is_ok());
        for cut in 0..good.len() - 1 {
            assert!(decode(&good[..cut], 6, 2, 1).is_err(), "cut at {cut}");
        }
        for at in 0..good.len() {
            for value in [0, 1, 127, 128, 129, 255] {
                let mut bad = good.clone();
                bad[at] = value;
                if let Ok(out) = decode(&bad, 6, 2, 1) {
                    assert_eq!(out.len(), 12);
                }
            }
        }
    }
}
