//! Where things lie in a DICOM file: one walk over the encoding (PS3.5 7, PS3.10 7.1), without copying a value.
//!
//! The walk comes before dicom-rs parses the header, for three reasons. It finds the pixel data's place in the buffer, so
//! that 19 MB are not copied through a parser; it checks every length against the buffer, so that nothing allocates by
//! what a header claims; and it bounds the nesting, which dicom-rs follows by recursion (a few hundred kB of nested
//! sequences would overflow the stack, and no one can catch that).

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use dicom_encoding::transfer_syntax::{Codec, TransferSyntaxIndex};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::{TransferSyntaxRegistry, entries};

use super::ImagingError;
use super::fragments::Fragments;

/// Sequences within sequences; the deepest standard objects (structured reports apart, which hold no pixels) use 6.
const MAX_DEPTH: usize = 64;
/// Limit for deflated data sets: room for the largest frame we read, in 16 bits, and its header.
const MAX_INFLATED: u64 = 256 << 20;

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = u32::MAX;

/// A DICOM file in memory, its structure checked up to the end of its pixel data.
pub struct Part10<'a> {
    /// TransferSyntaxUID (0002,0010)
    pub transfer_syntax: String,
    /// The main data set: a part of the file, or what a deflated file inflates to.
    pub dataset: Cow<'a, [u8]>,
    /// Everything before PixelData that the parser is given, as ranges of `dataset`.
    header: Vec<Range<usize>>,
    pub pixel_data: Option<PixelData>,
    pub big_endian: bool,
}

/// Where PixelData (7FE0,0010) lies, as ranges of the data set.
#[derive(Debug)]
pub enum PixelData {
    /// Native format (PS3.5 8.1). `words`: the VR is OW, which matters to 8-bit pixels in big endian.
    Native { value: Range<usize>, words: bool },
    /// Encapsulated format (PS3.5 A.4).
    Encapsulated(Fragments),
}

impl<'a> Part10<'a> {
    /// Walks over a whole file. Errors name the element at which the encoding goes wrong.
    pub fn scan(file: &'a [u8]) -> Result<Self, ImagingError> {
        let (transfer_syntax, start) = read_file_meta(file)?;
        let ts = TransferSyntaxRegistry.get(&transfer_syntax).ok_or_else(|| ImagingError::Undecodable {
            uid: printable_uid(&transfer_syntax),
            reason: "not a transfer syntax that the registry knows".into(),
        })?;
        let dataset = match ts.codec() {
            Codec::Dataset(Some(adapter)) => {
                let mut inflated = Vec::new();
                let read = adapter.adapt_reader(Box::new(&file[start..])).take(MAX_INFLATED).read_to_end(&mut inflated);
                read.map_err(|e| malformed(start, None, format!("the deflated data set does not inflate: {e}")))?;
                Cow::Owned(inflated)
            }
            Codec::Dataset(None) => {
                return Err(ImagingError::Undecodable { uid: transfer_syntax, reason: String::new() });
            }
            _ => Cow::Borrowed(&file[start..]),
        };
        let explicit = transfer_syntax != entries::IMPLICIT_VR_LITTLE_ENDIAN.uid();
        let big_endian = transfer_syntax == entries::EXPLICIT_VR_BIG_ENDIAN.uid();
        let mut walk = Walk { data: &dataset, at: 0, big_endian, ..Walk::default() };
        let header = walk.skip_to_pixel_data(explicit)?;
        let pixel_data = walk.pixel_data(explicit)?;
        Ok(Self { transfer_syntax, header, pixel_data, big_endian, dataset })
    }

    /// The data set before PixelData, parsed. Elements are left out whose content is known to mislead the parser: those
    /// of an unknown VR with undefined length (PS3.5 6.2.2 note 2), which it reads in the wrong encoding and then takes
    /// gigabytes for lengths that it misread. They are private or unknown; no result depends on them.
    pub fn read_header(&self) -> Result<InMemDicomObject, ImagingError> {
        // What follows inflation is explicit little endian, whatever the file's own transfer syntax.
        let uid = match self.dataset {
            Cow::Owned(_) => entries::EXPLICIT_VR_LITTLE_ENDIAN.uid(),
            Cow::Borrowed(_) => &self.transfer_syntax,
        };
        let ts = TransferSyntaxRegistry
            .get(uid)
            .ok_or_else(|| ImagingError::Undecodable { uid: uid.to_string(), reason: String::new() })?;
        let header = match &self.header[..] {
            [whole] => Cow::Borrowed(&self.dataset[whole.clone()]),
            parts => Cow::Owned(parts.iter().flat_map(|part| &self.dataset[part.clone()]).copied().collect()),
        };
        InMemDicomObject::read_dataset_with_ts(&header[..], ts).map_err(|e| malformed(0, None, e.to_string()))
    }
}

/// Transfer syntax and the offset of the main data set. File meta information is explicit little endian (PS3.10 7.1).
fn read_file_meta(file: &[u8]) -> Result<(String, usize), ImagingError> {
    if file.get(128..132) != Some(b"DICM") {
        let found = if file.len() < 132 { format!("{} bytes", file.len()) } else { "no \"DICM\" at byte 128".into() };
        return Err(ImagingError::NotDicom { found });
    }
    let mut walk = Walk { data: file, at: 132, ..Walk::default() };
    let mut transfer_syntax = None;
    while walk.peek_tag().is_some_and(|tag| tag.0 == 0x0002) {
        let element = walk.element(true)?;
        let value = walk.defined_range(&element)?;
        if element.tag == Tag(0x0002, 0x0010) {
            let text = String::from_utf8_lossy(&file[value.clone()]);
            transfer_syntax = Some(text.trim_end_matches(['\0', ' ']).to_string());
        }
        walk.at = value.end;
    }
    let expected = "a transfer syntax UID in the file meta information";
    let uid = transfer_syntax.ok_or(ImagingError::Missing { keyword: "TransferSyntaxUID", expected })?;
    Ok((uid, walk.at))
}

/// A UID fit to be shown: anything that is none is not repeated.
pub(super) fn printable_uid(text: &str) -> String {
    let is_uid = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_uid { text.to_string() } else { format!("{} characters that are no UID", text.chars().count()) }
}

fn malformed(offset: usize, tag: Option<Tag>, reason: impl Into<String>) -> ImagingError {
    // A tag that no dictionary has may be four letters of a name, read at the wrong place: not to be repeated.
    let known = |tag: &Tag| tag.0 == 0xFFFE || StandardDataDictionary.by_tag(*tag).is_some();
    let tag = tag.filter(known).map_or_else(|| "(unknown)".to_string(), |tag| tag.to_string());
    ImagingError::Malformed { offset, tag, reason: reason.into() }
}

struct Element {
    at: usize,
    tag: Tag,
    /// `None` in implicit VR and for items.
    vr: Option<VR>,
    length: u32,
}

enum Kind {
    /// Holds items.
    Sequence,
    /// Holds elements.
    Item,
    /// Holds items of raw bytes: encapsulated pixel data of an icon.
    Fragments,
}

struct Level {
    kind: Kind,
    /// `None`: closed by a delimiter.
    end: Option<usize>,
    explicit: bool,
}

#[derive(Default)]
struct Walk<'a> {
    data: &'a [u8],
    at: usize,
    big_endian: bool,
    stack: Vec<Level>,
    /// Within the current element of the data set lies one that the parser must not see.
    misleading: bool,
}

impl Walk<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.data.get(at..at + 2)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.data.get(at..at + 4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn peek_tag(&self) -> Option<Tag> {
        Some(Tag(self.u16(self.at)?, self.u16(self.at + 2)?))
    }

    /// Reads an element's tag, VR and length and steps to its value.
    fn element(&mut self, explicit: bool) -> Result<Element, ImagingError> {
        let at = self.at;
        let truncated = || {
            malformed(
                at,
                None,
                format!("the file ends within an element's header ({} bytes left)", self.data.len() - at),
            )
        };
        let tag = self.peek_tag().ok_or_else(truncated)?;
        if tag.0 == 0xFFFE || !explicit {
            let length = self.u32(at + 4).ok_or_else(truncated)?;
            self.at += 8;
            return Ok(Element { at, tag, vr: None, length });
        }
        let code: [u8; 2] = self.data.get(at + 4..at + 6).and_then(|b| b.try_into().ok()).ok_or_else(truncated)?;
        let vr = VR::from_binary(code).ok_or_else(|| malformed(at, Some(tag), "unknown VR"))?;
        let long = matches!(
            vr,
            VR::OB
                | VR::OD
                | VR::OF
                | VR::OL
                | VR::OV
                | VR::OW
                | VR::SQ
                | VR::SV
                | VR::UC
                | VR::UN
                | VR::UR
                | VR::UT
                | VR::UV
        );
        let (length, header) = if long { (self.u32(at + 8), 12) } else { (self.u16(at + 6).map(u32::from), 8) };
        let length = length.ok_or_else(truncated)?;
        self.at += header;
        Ok(Element { at, tag, vr: Some(vr), length })
    }

    /// The place of a value of defined length, checked against what is left.
    fn defined_range(&self, element: &Element) -> Result<Range<usize>, ImagingError> {
        let limit = self.stack.iter().rev().find_map(|level| level.end).unwrap_or(self.data.len());
        let left = limit.saturating_sub(self.at);
        if element.length == UNDEFINED || element.length as usize > left {
            let length = if element.length == UNDEFINED { "undefined".into() } else { element.length.to_string() };
            return Err(malformed(
                element.at,
                Some(element.tag),
                format!("length {length}, but {left} bytes are left"),
            ));
        }
        Ok(self.at..self.at + element.length as usize)
    }

    fn push(&mut self, element: &Element, kind: Kind, explicit: bool) -> Result<(), ImagingError> {
        if self.stack.len() >= 2 * MAX_DEPTH {
            let reason = format!("sequences nested deeper than {MAX_DEPTH}");
            return Err(malformed(element.at, Some(element.tag), reason));
        }
        let end = if element.length == UNDEFINED { None } else { Some(self.defined_range(element)?.end) };
        self.stack.push(Level { kind, end, explicit });
        Ok(())
    }

    /// Steps to PixelData or to the end of the data set; gives the ranges of the elements fit for the parser.
    fn skip_to_pixel_data(&mut self, explicit: bool) -> Result<Vec<Range<usize>>, ImagingError> {
        let (mut fit, mut start, mut element) = (Vec::new(), self.at, self.at);
        loop {
            while self.stack.last().is_some_and(|level| level.end == Some(self.at)) {
                self.stack.pop();
            }
            if self.stack.is_empty() {
                if std::mem::take(&mut self.misleading) {
                    fit.push(start..element);
                    start = self.at;
                }
                element = self.at;
                let at_pixel_data = self.peek_tag().is_some_and(|tag| tag >= PIXEL_DATA && tag.0 != 0xFFFE);
                if self.at >= self.data.len() || at_pixel_data {
                    fit.push(start..self.at);
                    return Ok(fit);
                }
            }
            self.step(explicit)?;
        }
    }

    fn step(&mut self, top_explicit: bool) -> Result<(), ImagingError> {
        let (parent, explicit) = match self.stack.last() {
            Some(level) => (Some(&level.kind), level.explicit),
            None => (None, top_explicit),
        };
        let in_items = matches!(parent, Some(Kind::Sequence | Kind::Fragments));
        let raw = matches!(parent, Some(Kind::Fragments));
        let closes_item = matches!(parent, Some(Kind::Item));
        let element = self.element(explicit)?;
        match element.tag {
            ITEM if raw => self.at = self.defined_range(&element)?.end,
            ITEM if in_items => self.push(&element, Kind::Item, explicit)?,
            ITEM_END if closes_item => drop(self.stack.pop()),
            SEQUENCE_END if in_items => drop(self.stack.pop()),
            ITEM | ITEM_END | SEQUENCE_END => {
                return Err(malformed(element.at, Some(element.tag), "item or delimiter where none can be"));
            }
            tag if in_items => return Err(malformed(element.at, Some(tag), "an element where an item is expected")),
            tag => {
                let undefined = element.length == UNDEFINED;
                self.misleading |=
                    undefined && element.vr != Some(VR::SQ) && !(element.vr.is_none() && is_sequence(tag));
                match element.vr {
                    Some(VR::SQ) => self.push(&element, Kind::Sequence, explicit)?,
                    // PS3.5 6.2.2 note 2: an unknown sequence is encoded in implicit VR, whatever surrounds it.
                    Some(VR::UN) if undefined => self.push(&element, Kind::Sequence, false)?,
                    Some(_) if undefined => self.push(&element, Kind::Fragments, explicit)?,
                    None if undefined && tag == PIXEL_DATA => self.push(&element, Kind::Fragments, explicit)?,
                    None if undefined || is_sequence(tag) => self.push(&element, Kind::Sequence, explicit)?,
                    _ => self.at = self.defined_range(&element)?.end,
                }
            }
        }
        Ok(())
    }

    /// Reads the element under the walk if it is PixelData.
    fn pixel_data(&mut self, explicit: bool) -> Result<Option<PixelData>, ImagingError> {
        if self.peek_tag() != Some(PIXEL_DATA) {
            return Ok(None);
        }
        let element = self.element(explicit)?;
        if element.length != UNDEFINED {
            let words = element.vr != Some(VR::OB);
            return Ok(Some(PixelData::Native { value: self.defined_range(&element)?, words }));
        }
        let mut items = Vec::new();
        // A missing sequence delimiter at the very end harms no fragment: such files exist and are read.
        while self.at < self.data.len() {
            let item = self.element(explicit)?;
            match item.tag {
                ITEM => items.push(self.defined_range(&item)?),
                SEQUENCE_END => break,
                tag => return Err(malformed(item.at, Some(tag), "expected a fragment of PixelData")),
            }
            self.at += item.length as usize;
        }
        if items.is_empty() {
            return Err(malformed(element.at, Some(PIXEL_DATA), "encapsulated, but without a basic offset table"));
        }
        let fragments = items.split_off(1);
        let offset_table = items.swap_remove(0);
        Ok(Some(PixelData::Encapsulated(Fragments { offset_table, items: fragments })))
    }
}

fn is_sequence(tag: Tag) -> bool {
    StandardDataDictionary.by_tag(tag).is_some_and(|entry| entry.vr().relaxed() == VR::SQ)
}
