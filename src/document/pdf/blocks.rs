//! Each kind of block on pages.

use super::font::Weight;
use super::layout::{BODY, INK, LEFT, Layout, PANEL, SMALL, WIDTH};
use super::page::{Color, Style};
use crate::document::{Answer, Block, Fact, Picture, Tone, rgb};

const HEADING: Style = Style::new(Weight::Bold, 11.0, INK);
const VALUE: Style = Style::new(Weight::Bold, 15.0, INK);
const KEY: Style = Style::new(Weight::Regular, 7.5, super::layout::SOFT);
const GAP: f32 = 14.0;
const PADDING: f32 = 9.0;
const FACT_COLUMNS: usize = 3;
const CAPTION_LINES: usize = 6;

impl<'d> Layout<'d> {
    pub fn block(&mut self, block: &'d Block) {
        match block {
            Block::Heading(text) => self.heading(text),
            Block::Paragraph(text) => {
                self.lines(text, BODY);
                self.y += 4.0;
            }
            Block::Note(text) => {
                self.lines(text, SMALL);
                self.y += 4.0;
            }
            Block::Notice { tone, title, lines } => self.notice(*tone, title, lines),
            Block::Answer(answer) => self.answer(answer),
            Block::Facts(facts) => self.facts(facts, false),
            Block::Table(table) => self.table(table),
            Block::Pictures(pictures) => self.pictures(pictures),
        }
    }

    /// Never alone at a page's foot.
    fn heading(&mut self, text: &str) {
        self.need(HEADING.line() + 60.0);
        self.y += 8.0;
        self.lines(text, HEADING);
        self.y += 3.0;
    }

    /// A box with a coloured edge, which may go on over pages.
    fn notice(&mut self, tone: Tone, title: &str, lines: &[String]) {
        let (edge, ground): (Color, Color) = match tone {
            Tone::Caution => ([199, 126, 20], [255, 246, 229]),
            Tone::Warning => ([178, 44, 40], [253, 238, 237]),
        };
        let bold = Style::new(Weight::Bold, 9.0, edge);
        let body = Style::new(Weight::Regular, 9.0, INK);
        let width = WIDTH - 2.0 * PADDING - 3.0;
        let mut strips = vec![(title.to_owned(), bold)];
        for line in lines {
            strips.extend(self.canvas.wrap(line, body, width).into_iter().map(|line| (line, body)));
        }
        self.boxed(strips, [3.0, 4.0], edge, ground);
        self.y += 8.0;
    }

    fn answer(&mut self, answer: &Answer) {
        let width = WIDTH - 2.0 * PADDING - 5.0;
        let mut strips = vec![(answer.label.clone(), SMALL)];
        strips.extend(self.canvas.wrap(&answer.value, VALUE, width).into_iter().map(|line| (line, VALUE)));
        for detail in &answer.detail {
            strips.extend(self.canvas.wrap(detail, SMALL, width).into_iter().map(|line| (line, SMALL)));
        }
        self.boxed(strips, [5.0, 6.0], rgb(&answer.color), PANEL);
        self.y += 9.0;
    }

    /// Lines below each other on a ground of their own with a coloured edge, over as many pages as they need. `[edge, margin]`: the edge's
    /// width, and what is left free above and below.
    fn boxed(&mut self, lines: Vec<(String, Style)>, [edge, margin]: [f32; 2], color: Color, ground: Color) {
        let height = lines.iter().map(|(_, style)| style.line()).sum::<f32>() + 2.0 * margin;
        self.need(height.min(Self::room() / 3.0));
        let last = lines.len().saturating_sub(1);
        for (number, (line, style)) in lines.into_iter().enumerate() {
            let above = if number == 0 { margin } else { 0.0 };
            let below = if number == last { margin } else { 0.0 };
            let strip = above + style.line() + below;
            self.need(strip);
            // A hair more than the strip: no seams.
            self.canvas.fill(LEFT, self.y, [WIDTH, strip + 0.1], ground);
            self.canvas.fill(LEFT, self.y, [edge, strip + 0.1], color);
            self.canvas.text(LEFT + PADDING + edge, self.y + above + 0.72 * style.line(), &line, style);
            self.y += strip;
        }
    }

    /// Keys over values, three in a row; on a ground of their own or not.
    pub fn facts(&mut self, facts: &[Fact], panel: bool) {
        let inner = if panel { WIDTH - 2.0 * PADDING } else { WIDTH };
        let x = if panel { LEFT + PADDING } else { LEFT };
        let column = (inner - GAP * (FACT_COLUMNS - 1) as f32) / FACT_COLUMNS as f32;
        let mut rows: Vec<Vec<&Fact>> = Vec::new();
        for fact in facts {
            match rows.last_mut() {
                Some(row) if !fact.wide && row.len() < FACT_COLUMNS && !row.iter().any(|f| f.wide) => row.push(fact),
                _ => rows.push(vec![fact]),
            }
        }
        let edge = if panel { 7.0 } else { 0.0 };
        let last = rows.len().saturating_sub(1);
        for (number, row) in rows.iter().enumerate() {
            let width = |fact: &Fact| if fact.wide { inner } else { column };
            let values: Vec<Vec<String>> =
                row.iter().map(|fact| self.canvas.wrap(&fact.value, BODY, width(fact))).collect();
            let most = values.iter().map(Vec::len).max().unwrap_or(1);
            let (above, below) = (if number == 0 { edge } else { 0.0 }, if number == last { edge - 3.0 } else { 0.0 });
            let height = above + KEY.line() + most as f32 * BODY.line() + 5.0 + below;
            self.need(height.min(Self::room() / 2.0));
            // The keys, then line by line, so that a row higher than a page goes on.
            for n in 0..=most {
                let style = if n == 0 { KEY } else { BODY };
                let above = if n == 0 { above } else { 0.0 };
                let strip = above + style.line() + if n == most { 5.0 + below } else { 0.0 };
                self.need(strip);
                if panel {
                    self.canvas.fill(LEFT, self.y, [WIDTH, strip + 0.1], PANEL);
                }
                let foot = self.y + above + 0.72 * style.line();
                for (place, (fact, value)) in row.iter().zip(&values).enumerate() {
                    let line = if n == 0 { Some(&fact.key) } else { value.get(n - 1) };
                    if let Some(line) = line {
                        self.canvas.text(x + place as f32 * (column + GAP), foot, line, style);
                    }
                }
                self.y += strip;
            }
        }
        self.y += if panel { 8.0 } else { 4.0 };
    }

    /// Two in a row; one alone is larger.
    fn pictures(&mut self, pictures: &'d [Picture]) {
        let (columns, highest) = if pictures.len() == 1 { (1, 300.0) } else { (2, 230.0) };
        let width = (WIDTH - GAP * (columns - 1) as f32) / columns as f32;
        for row in pictures.chunks(columns) {
            let captions: Vec<Vec<String>> = row.iter().map(|picture| self.caption(&picture.caption, width)).collect();
            let size = |picture: &Picture| {
                let (w, h) = (picture.image.width.max(1) as f32, picture.image.height.max(1) as f32);
                let scale = (width / w).min(highest / h);
                [w * scale, h * scale]
            };
            let image_height = row.iter().map(|picture| size(picture)[1]).fold(0.0, f32::max);
            let lines = captions.iter().map(Vec::len).max().unwrap_or(0) as f32;
            let height = image_height + 4.0 + lines * SMALL.line();
            self.need(height);
            for (place, (picture, caption)) in row.iter().zip(&captions).enumerate() {
                let x = LEFT + place as f32 * (width + GAP);
                let size = size(picture);
                self.canvas.image(x, self.y, size, &picture.image);
                for (n, line) in caption.iter().enumerate() {
                    let y = self.y + size[1] + 3.0 + (n as f32 + 0.75) * SMALL.line();
                    self.canvas.text(x, y, line, SMALL);
                }
            }
            self.y += height + 8.0;
        }
    }

    /// A picture's caption in lines, cut where a header is longer than a picture is worth.
    fn caption(&self, text: &str, width: f32) -> Vec<String> {
        let mut lines = self.canvas.wrap(text, SMALL, width);
        if lines.len() > CAPTION_LINES {
            lines.truncate(CAPTION_LINES);
            lines[CAPTION_LINES - 1].push_str(" …");
        }
        lines
    }
}
