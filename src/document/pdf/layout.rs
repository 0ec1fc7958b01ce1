//! The flow of blocks over pages.

use super::PdfError;
use super::font::Weight;
use super::page::{Canvas, Color, PAGE, Style};
use crate::document::{Document, Part};

pub const LEFT: f32 = 46.0;
pub const WIDTH: f32 = PAGE[0] - 2.0 * LEFT;
/// Below the running title, and above the foot.
const TOP: f32 = 58.0;
const BOTTOM: f32 = PAGE[1] - 58.0;
const BAND: f32 = 72.0;

pub const INK: Color = [28, 39, 51];
pub const SOFT: Color = [93, 107, 122];
pub const LINE: Color = [213, 220, 227];
pub const PANEL: Color = [244, 247, 249];
pub const ACCENT: Color = [18, 70, 95];
const WHITE: Color = [255, 255, 255];

pub const BODY: Style = Style::new(Weight::Regular, 9.5, INK);
pub const SMALL: Style = Style::new(Weight::Regular, 8.0, SOFT);
const TITLE: Style = Style::new(Weight::Bold, 20.0, WHITE);
const PART: Style = Style::new(Weight::Bold, 14.0, ACCENT);

pub struct Layout<'d> {
    pub document: &'d Document,
    pub canvas: Canvas<'d>,
    /// Where the next block begins, from the page's top.
    pub y: f32,
}

impl<'d> Layout<'d> {
    pub fn new(document: &'d Document) -> Result<Self, PdfError> {
        Ok(Self { document, canvas: Canvas::new()?, y: TOP })
    }

    /// The title in its band, and whose study it is.
    pub fn head(&mut self) {
        let document = self.document;
        self.canvas.fill(0.0, 0.0, [PAGE[0], BAND], ACCENT);
        self.canvas.text(LEFT, 45.0, &document.title, TITLE);
        let mark = Style::new(Weight::Bold, 9.0, ACCENT);
        let width = self.canvas.width(&document.mark, mark) + 18.0;
        self.canvas.fill(PAGE[0] - LEFT - width, 27.0, [width, 20.0], WHITE);
        self.canvas.text(PAGE[0] - LEFT - width + 9.0, 40.3, &document.mark, mark);
        self.y = BAND + 16.0;
        if !document.subject.is_empty() {
            self.facts(&document.subject, true);
        }
    }

    /// What one model says; every model but the first begins a page.
    pub fn part(&mut self, part: &'d Part, first: bool) {
        if !first {
            self.new_page();
        }
        let lines = self.canvas.wrap(&part.title, PART, WIDTH);
        self.need(lines.len() as f32 * PART.line() + 60.0);
        self.y += if first { 6.0 } else { 0.0 };
        for line in lines {
            self.need(PART.line());
            self.y += PART.line();
            self.canvas.text(LEFT, self.y - 5.0, &line, PART);
        }
        self.canvas.fill(LEFT, self.y + 1.0, [WIDTH, 1.2], ACCENT);
        self.y += 10.0;
        part.blocks.iter().for_each(|block| self.block(block));
    }

    pub fn new_page(&mut self) {
        self.canvas.pages.push(pdf_writer::Content::new());
        self.y = TOP;
    }

    /// Begins a page where `height` does not fit on this one; true where it has.
    pub fn need(&mut self, height: f32) -> bool {
        let full = self.y + height > BOTTOM && self.y > TOP;
        if full {
            self.new_page();
        }
        full
    }

    /// The highest that anything may be.
    pub fn room() -> f32 {
        BOTTOM - TOP
    }

    /// Lines of text below each other, over as many pages as they need.
    pub fn lines(&mut self, text: &str, style: Style) {
        for line in self.canvas.wrap(text, style, WIDTH) {
            self.need(style.line());
            self.y += style.line();
            self.canvas.text(LEFT, self.y - 0.3 * style.size, &line, style);
        }
    }

    /// Running titles and feet: now the number of pages is known.
    pub fn finish(mut self) -> Canvas<'d> {
        let pages = self.canvas.pages.len();
        let right = |canvas: &Canvas<'_>, text: &str| PAGE[0] - LEFT - canvas.width(text, SMALL);
        for page in 0..pages {
            let number = self.document.page_number.replace("{page}", &(page + 1).to_string());
            let number = number.replace("{pages}", &pages.to_string());
            if page > 0 {
                self.canvas.text_on(page, LEFT, 36.0, &self.document.title, SMALL);
                let x = right(&self.canvas, &self.document.mark);
                self.canvas.text_on(page, x, 36.0, &self.document.mark, SMALL);
                self.canvas.fill_on(page, LEFT, 42.0, [WIDTH, 0.6], LINE);
            }
            self.canvas.fill_on(page, LEFT, PAGE[1] - 46.0, [WIDTH, 0.6], LINE);
            self.canvas.text_on(page, LEFT, PAGE[1] - 33.0, &self.document.foot, SMALL);
            let x = right(&self.canvas, &number);
            self.canvas.text_on(page, x, PAGE[1] - 33.0, &number, SMALL);
        }
        self.canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Answer, Block, Cell, Column, Fact, Language, Table, Tone};

    const WORDS: usize = 4000;

    /// More than two pages of one text.
    fn long(word: &str) -> String {
        vec![word; WORDS].join(" ")
    }

    fn fact(key: &str, wide: bool) -> Fact {
        Fact { key: key.into(), value: long(key), wide }
    }

    #[test]
    fn nothing_runs_over_a_pages_edge() {
        let notice = Block::Notice { tone: Tone::Warning, title: "t".into(), lines: vec![long("notice")] };
        let answer =
            Answer { label: "l".into(), value: long("value"), color: "#ff0000".into(), detail: vec![long("detail")] };
        let table = Table {
            columns: vec![Column { name: "c".into(), numeric: false }],
            rows: vec![vec![Cell { text: long("cell"), ..Cell::default() }]],
        };
        let blocks = vec![
            Block::Heading(long("heading")),
            Block::Paragraph(long("paragraph")),
            Block::Note(long("note")),
            notice,
            Block::Answer(answer),
            Block::Facts(vec![fact("first", false), fact("second", false), fact("third", true)]),
            Block::Table(table),
        ];
        let document = Document {
            language: Language::English,
            title: "T".into(),
            mark: "M".into(),
            foot: "F".into(),
            page_number: "{page}/{pages}".into(),
            subject: vec![fact("patient", true)],
            parts: vec![Part { title: long("part"), blocks }],
            created: String::new(),
        };
        let mut layout = Layout::new(&document).unwrap();
        layout.head();
        layout.part(&document.parts[0], true);
        let pages = layout.canvas.pages;
        assert!(pages.len() > 20, "{}", pages.len());
        let mut texts = 0;
        for (number, page) in pages.into_iter().enumerate() {
            let bytes = page.finish();
            let operations = String::from_utf8_lossy(&bytes).into_owned();
            for place in operations.lines().filter_map(|line| line.strip_suffix(" Td")) {
                let y: f32 = place.split(' ').nth(1).unwrap().parse().unwrap();
                assert!((PAGE[1] - BOTTOM - 1.0..PAGE[1]).contains(&y), "page {number}: a text at {y} of {}", PAGE[1]);
                texts += 1;
            }
        }
        assert!(texts > 1000, "{texts}");
    }
}
