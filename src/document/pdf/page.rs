//! Drawing on pages. Lengths in points; y counts downwards from the page's top.

use pdf_writer::{Content, Name, Str};

use super::PdfError;
use super::font::{Font, Weight};
use super::wrap::wrap;
use crate::document::Jpeg;

/// A4.
pub const PAGE: [f32; 2] = [595.28, 841.89];

pub type Color = [u8; 3];

#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub weight: Weight,
    pub size: f32,
    pub color: Color,
}

impl Style {
    pub const fn new(weight: Weight, size: f32, color: Color) -> Self {
        Self { weight, size, color }
    }

    /// From one line's foot to the next one's.
    pub fn line(self) -> f32 {
        self.size * 1.45
    }
}

/// The pages so far.
pub struct Canvas<'d> {
    pub pages: Vec<Content>,
    pub fonts: [Font; 2],
    pub images: Vec<&'d Jpeg>,
}

impl<'d> Canvas<'d> {
    pub fn new() -> Result<Self, PdfError> {
        let fonts = [Font::open(Weight::Regular)?, Font::open(Weight::Bold)?];
        Ok(Self { pages: vec![Content::new()], fonts, images: Vec::new() })
    }

    /// The newest page.
    fn last(&self) -> usize {
        self.pages.len().saturating_sub(1)
    }

    pub fn width(&self, text: &str, style: Style) -> f32 {
        self.fonts[style.weight as usize].width(text) * style.size
    }

    pub fn wrap(&self, text: &str, style: Style, width: f32) -> Vec<String> {
        wrap(text, width, &|text| self.width(text, style))
    }

    /// One line on the newest page; `y`: of the letters' foot.
    pub fn text(&mut self, x: f32, y: f32, text: &str, style: Style) {
        self.text_on(self.last(), x, y, text, style);
    }

    pub fn text_on(&mut self, page: usize, x: f32, y: f32, text: &str, style: Style) {
        let bytes = self.fonts[style.weight as usize].encode(text);
        let Some(content) = self.pages.get_mut(page) else { return };
        let name = if style.weight == Weight::Bold { FONTS[1] } else { FONTS[0] };
        let [r, g, b] = style.color.map(|c| f32::from(c) / 255.0);
        content.begin_text().set_font(Name(name), style.size).set_fill_rgb(r, g, b);
        content.next_line(x, PAGE[1] - y).show(Str(&bytes)).end_text();
    }

    pub fn fill(&mut self, x: f32, y: f32, [width, height]: [f32; 2], color: Color) {
        self.fill_on(self.last(), x, y, [width, height], color);
    }

    pub fn fill_on(&mut self, page: usize, x: f32, y: f32, [width, height]: [f32; 2], color: Color) {
        let Some(content) = self.pages.get_mut(page) else { return };
        let [r, g, b] = color.map(|c| f32::from(c) / 255.0);
        content.set_fill_rgb(r, g, b).rect(x, PAGE[1] - y - height, width, height).fill_nonzero();
    }

    pub fn image(&mut self, x: f32, y: f32, [width, height]: [f32; 2], image: &'d Jpeg) {
        let name = image_name(self.images.len());
        self.images.push(image);
        let page = self.last();
        let Some(content) = self.pages.get_mut(page) else { return };
        content.save_state().transform([width, 0.0, 0.0, height, x, PAGE[1] - y - height]);
        content.x_object(Name(name.as_bytes())).restore_state();
    }
}

/// The fonts' names within pages.
pub const FONTS: [&[u8]; 2] = [b"R", b"B"];

/// An image's name within pages.
pub fn image_name(number: usize) -> String {
    format!("I{number}")
}
