//! The source's character set: its texts go into the result byte for byte, or all of them in UTF-8.
//!
//! dicom-rs decodes with the codec of SpecificCharacterSet's first value. With code extensions ("\ISO 2022 IR 149", the
//! usual Korean form) that codec is Latin-1, so the strings are not readable text, but writing them under the same
//! SpecificCharacterSet restores the bytes. What does not come back is found by trying.

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use crate::imaging::attributes::element_texts;

/// SpecificCharacterSet (0008,0005) of a source and what dicom-rs makes of it.
pub struct SourceCharset {
    /// The attribute's values as found; none: default repertoire.
    terms: Vec<String>,
    codec: SpecificCharacterSet,
    /// Whether strings of the data set are Unicode text and not bytes in disguise.
    decoded: bool,
}

impl SourceCharset {
    pub fn of(dataset: &InMemDicomObject) -> Self {
        let terms = match dataset.get(tags::SPECIFIC_CHARACTER_SET) {
            // With another VR the reader has not applied it; to VR UN it never does.
            Some(e) if e.vr() == VR::CS => e.value().primitive().map(pieces).unwrap_or_default(),
            Some(e) if e.vr() == VR::UN => element_texts(e).unwrap_or_default(),
            _ => Vec::new(),
        };
        let first = terms.first().map(|t| t.trim_end()).unwrap_or_default();
        let known = SpecificCharacterSet::from_code(first);
        let decoded = terms.len() == 1 && known.as_ref().is_some_and(|c| c.name() != "ISO_IR 6");
        Self { codec: known.unwrap_or_default(), decoded, terms }
    }

    /// The values of a text element, as the reader gives them; None of what is no text. A text that was written with VR UN, by
    /// an archive that did not know its attribute, is decoded here as the reader decodes others.
    pub fn pieces(&self, element: &InMemElement) -> Option<Vec<String>> {
        match element.value().primitive()? {
            PrimitiveValue::U8(bytes) if element.vr() == VR::UN => {
                // Values first, then characters, as the reader: what cannot be decoded leaves a backslash in its value.
                let value = |bytes: &[u8]| Some(self.codec.decode(bytes).ok()?.trim_end_matches('\0').to_owned());
                bytes.split(|b| *b == b'\\').map(value).collect()
            }
            value @ (PrimitiveValue::Empty | PrimitiveValue::Str(_) | PrimitiveValue::Strs(_)) => Some(pieces(value)),
            _ => None,
        }
    }

    /// The attribute's values, to be written as they were.
    pub fn terms(&self) -> &[String] {
        &self.terms
    }

    pub fn is_decoded(&self) -> bool {
        self.decoded
    }

    /// Whether writing `piece` (one value) gives the bytes it was read from. The reader puts bytes that its codec
    /// cannot decode as "\ooo": a backslash inside one value is the trace.
    pub fn is_verbatim(&self, piece: &str) -> bool {
        !piece.contains('\\')
            && self.codec.encode(piece).is_ok_and(|bytes| self.codec.decode(&bytes).is_ok_and(|back| back == piece))
    }

    /// Whether `piece` may be written in UTF-8: its characters are known.
    pub fn is_convertible(&self, piece: &str) -> bool {
        self.decoded || is_plain_ascii(piece)
    }
}

/// The values of a text; none of an empty one.
fn pieces(value: &PrimitiveValue) -> Vec<String> {
    match value {
        PrimitiveValue::Empty => Vec::new(),
        PrimitiveValue::Strs(values) => values.to_vec(),
        PrimitiveValue::Str(value) => value.split('\\').map(str::to_owned).collect(),
        other => other.to_multi_str().to_vec(),
    }
}

fn is_plain_ascii(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

/// Whether any text in `object`, at any depth, goes beyond ASCII.
pub fn needs_utf8(object: &InMemDicomObject) -> bool {
    object.iter().any(|element| match element.value() {
        dicom_core::DicomValue::Primitive(value) if element.vr().is_text() => {
            pieces(value).iter().any(|p| !p.is_ascii())
        }
        dicom_core::DicomValue::Sequence(sequence) => sequence.items().iter().any(needs_utf8),
        _ => false,
    })
}

trait IsText {
    fn is_text(&self) -> bool;
}

impl IsText for VR {
    /// VRs that SpecificCharacterSet governs (PS3.5 6.1.2.3).
    fn is_text(&self) -> bool {
        matches!(self, VR::LO | VR::LT | VR::PN | VR::SH | VR::ST | VR::UC | VR::UT)
    }
}

/// Typographic characters as ASCII, so that a dash in a manifest does not force a character set on a report.
pub fn fold_typography(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2010}'..='\u{2015}' | '\u{2212}' => folded.push('-'),
            '\u{2018}' | '\u{2019}' => folded.push('\''),
            '\u{201c}' | '\u{201d}' => folded.push('"'),
            '\u{2026}' => folded.push_str("..."),
            '\u{2264}' => folded.push_str("<="),
            '\u{2265}' => folded.push_str(">="),
            '\u{00d7}' => folded.push('x'),
            '\u{00b2}' => folded.push('2'),
            '\u{00a0}' | '\u{2009}' | '\u{202f}' => folded.push(' '),
            c => folded.push(c),
        }
    }
    folded
}

/// [`ascii_line`] of the first of `texts` that has a letter or a digit in ASCII; "" where none has.
pub fn first_in_ascii<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut lines = texts.into_iter().map(ascii_line);
    lines.find(|line| line.bytes().any(|b| b.is_ascii_alphanumeric())).unwrap_or_default()
}

/// A diagnostic text in ASCII, on one line: characters without an ASCII form become "?".
pub fn ascii_line(text: &str) -> String {
    fold_typography(text)
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() {
                c
            } else if c.is_whitespace() {
                ' '
            } else {
                '?'
            }
        })
        .collect()
}
