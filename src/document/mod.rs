//! The report as a document for people: what it says ([`describe`]), whatever it is written as, and its writers: one HTML file ([`html`]), PDF ([`pdf`]).
//! The table ([`csv`]) is made of the same reports. Pure: pictures are asked for by [`Wanted`], and brought by who can fetch images.

pub mod csv;
mod describe;
pub mod html;
mod language;
mod number;
pub mod overlay;
pub mod pdf;
mod picture;
mod pictures;
mod subject;
mod words;

pub use describe::{Answered, describe};
pub use language::Language;
pub use picture::{Jpeg, Wanted};
pub use pictures::{File, Pictures};
pub use subject::Subject;

/// What makes the documents, as they name it.
pub const PROGRAM: &str = concat!("orthanc-ai ", env!("CARGO_PKG_VERSION"));

/// What every writer writes, in order.
#[derive(Debug, Clone)]
pub struct Document {
    pub language: Language,
    pub title: String,
    /// Beside the title: for research only.
    pub mark: String,
    /// At the foot of every page.
    pub foot: String,
    /// "Page {page} of {pages}" with these two places.
    pub page_number: String,
    /// Whose study; empty where the archive does not say.
    pub subject: Vec<Fact>,
    /// One a model.
    pub parts: Vec<Part>,
    /// RFC 3339, of the newest part.
    pub created: String,
}

/// What one model's run says.
#[derive(Debug, Clone)]
pub struct Part {
    pub title: String,
    pub blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
pub enum Block {
    Heading(String),
    Paragraph(String),
    /// In small letters.
    Note(String),
    Notice {
        tone: Tone,
        title: String,
        lines: Vec<String>,
    },
    Answer(Answer),
    Facts(Vec<Fact>),
    Table(Table),
    Pictures(Vec<Picture>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// The disclaimer.
    Caution,
    /// What is wrong, or may be.
    Warning,
}

/// What matters most, written large.
#[derive(Debug, Clone)]
pub struct Answer {
    pub label: String,
    pub value: String,
    /// `#rrggbb`
    pub color: String,
    pub detail: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Fact {
    pub key: String,
    pub value: String,
    /// Needs a line of its own.
    pub wide: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Table {
    pub columns: Vec<Column>,
    /// As many cells as columns.
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// Numbers stand to the right.
    pub numeric: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Cell {
    pub text: String,
    /// `#rrggbb` of a swatch in front.
    pub color: Option<String>,
    /// 0..=1, drawn as a bar behind the text.
    pub share: Option<f64>,
}

#[derive(Debug, Clone)]
pub struct Picture {
    pub caption: String,
    pub image: Jpeg,
}

/// Red, green, blue of `#rrggbb`; grey for what is none.
fn rgb(color: &str) -> [u8; 3] {
    let digits = color.strip_prefix('#').filter(|d| d.len() == 6).and_then(|d| u32::from_str_radix(d, 16).ok());
    let [_, r, g, b] = digits.unwrap_or(0x88_88_88).to_be_bytes();
    [r, g, b]
}

#[cfg(test)]
mod tests;
