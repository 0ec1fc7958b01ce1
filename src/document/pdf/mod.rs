//! The document as PDF 1.7 (ISO 32000-1): A4, fonts embedded as subsets, text that can be searched and copied.
//!
//! [`layout`] breaks the document into pages, [`page`] draws on one, [`file`] writes the objects.

mod blocks;
mod file;
mod font;
mod layout;
mod page;
mod table;
mod wrap;

use super::Document;

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// The fonts that are built in.
    #[error("the report's font: {0}")]
    Font(String),
}

/// The whole file. The same document gives the same bytes.
///
/// # Errors
/// [`PdfError`]: none that the document could cause.
pub fn pdf(document: &Document) -> Result<Vec<u8>, PdfError> {
    let mut layout = layout::Layout::new(document)?;
    layout.head();
    for (number, part) in document.parts.iter().enumerate() {
        layout.part(part, number == 0);
    }
    file::write(document, layout.finish())
}
