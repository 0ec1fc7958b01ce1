//! The two fonts, and which letters of them the document needs.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId};

use super::PdfError;

/// Of NanumGothic, under the Open Font License (fonts/OFL.txt); made by scripts/report_fonts.py.
static REGULAR: LazyLock<Result<Vec<u8>, String>> = LazyLock::new(|| unpack(include_bytes!("fonts/regular.ttf.gz")));
static BOLD: LazyLock<Result<Vec<u8>, String>> = LazyLock::new(|| unpack(include_bytes!("fonts/bold.ttf.gz")));

fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut data).map_err(|e| e.to_string())?;
    Ok(data)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Regular,
    Bold,
}

/// One font with the letters used so far.
pub struct Font {
    face: Face<'static>,
    data: &'static [u8],
    used: GlyphRemapper,
    /// The character of each glyph of the subset.
    pub characters: BTreeMap<u16, char>,
}

impl Font {
    pub fn open(weight: Weight) -> Result<Self, PdfError> {
        let data: &'static Result<Vec<u8>, String> = match weight {
            Weight::Regular => &REGULAR,
            Weight::Bold => &BOLD,
        };
        let data = data.as_ref().map_err(|e| PdfError::Font(e.clone()))?;
        let face = Face::parse(data, 0).map_err(|e| PdfError::Font(e.to_string()))?;
        Ok(Self { face, data, used: GlyphRemapper::new(), characters: BTreeMap::new() })
    }

    /// What stands for a character: itself, a relative that looks like it, or a question mark.
    fn glyph(&self, character: char) -> (GlyphId, char) {
        let like = match character {
            '\u{b5}' => '\u{3bc}',
            '\u{2011}' | '\u{2010}' => '-',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        let glyph = self.face.glyph_index(like).map(|glyph| (glyph, character));
        glyph.or_else(|| Some((self.face.glyph_index('?')?, '?'))).unwrap_or((GlyphId(0), '?'))
    }

    /// Of a text without line breaks, in units of the size.
    pub fn width(&self, text: &str) -> f32 {
        text.chars().filter(is_drawn).map(|c| self.advance(self.glyph(c).0)).sum()
    }

    fn advance(&self, glyph: GlyphId) -> f32 {
        f32::from(self.face.glyph_hor_advance(glyph).unwrap_or(0)) / f32::from(self.face.units_per_em())
    }

    /// The text in the subset's glyph numbers, two bytes each.
    pub fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * text.len());
        for character in text.chars().filter(is_drawn) {
            let (glyph, shown) = self.glyph(character);
            let number = self.used.remap(glyph.0);
            self.characters.entry(number).or_insert(if shown.is_whitespace() { ' ' } else { shown });
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    /// The font with what is used of it; glyph numbers are those of [`Self::encode`].
    pub fn subset(&self) -> Result<Vec<u8>, PdfError> {
        subsetter::subset(self.data, 0, &self.used).map_err(|e| PdfError::Font(e.to_string()))
    }

    /// Of each glyph of the subset, in thousandths of the size.
    pub fn widths(&self) -> Vec<f32> {
        self.used.remapped_gids().map(|glyph| self.advance(GlyphId(glyph)) * 1000.0).collect()
    }

    /// In thousandths of the size.
    pub fn metrics(&self) -> Metrics {
        let scaled = |value: i16| f32::from(value) * 1000.0 / f32::from(self.face.units_per_em());
        let bounds = self.face.global_bounding_box();
        Metrics {
            ascent: scaled(self.face.ascender()),
            descent: scaled(self.face.descender()),
            cap_height: scaled(self.face.capital_height().unwrap_or(700)),
            bounds: [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(scaled),
        }
    }
}

pub struct Metrics {
    pub ascent: f32,
    pub descent: f32,
    pub cap_height: f32,
    pub bounds: [f32; 4],
}

/// Controls and marks of no width draw nothing.
fn is_drawn(character: &char) -> bool {
    (!character.is_control() || character.is_whitespace())
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}
