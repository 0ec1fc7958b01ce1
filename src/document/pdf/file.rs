//! The objects of the file.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Date, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::PdfError;
use super::font::Font;
use super::page::{Canvas, FONTS, PAGE, image_name};
use crate::document::{Document, Jpeg};

const SYSTEM: SystemInfo<'static> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
/// Six letters tell a subset (ISO 32000-1, 9.6.4); the names of the fonts that are built in.
const FONT_NAMES: [&[u8]; 2] = [b"AIREPA+OrthancAIReport-Regular", b"AIREPB+OrthancAIReport-Bold"];

struct Ids(Ref);

impl Ids {
    fn next(&mut self) -> Ref {
        self.0.bump()
    }
}

pub fn write(document: &Document, canvas: Canvas<'_>) -> Result<Vec<u8>, PdfError> {
    let (mut pdf, mut ids) = (Pdf::new(), Ids(Ref::new(1)));
    let (catalog, tree, info) = (ids.next(), ids.next(), ids.next());
    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr(document.language.code()));
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    let mut about = pdf.document_info(info);
    about.title(TextStr(&document.title)).subject(TextStr(&document.mark));
    about.creator(TextStr("orthanc-ai")).producer(TextStr("orthanc-ai"));
    if let Some(date) = date(&document.created) {
        about.creation_date(date);
    }
    about.finish();

    let mut fonts = Vec::with_capacity(FONTS.len());
    for (font, name) in canvas.fonts.iter().zip(FONT_NAMES) {
        let id = ids.next();
        write_font(&mut pdf, &mut ids, id, font, name)?;
        fonts.push(id);
    }
    let images: Vec<Ref> = canvas.images.iter().map(|image| write_image(&mut pdf, ids.next(), image)).collect();
    let pages: Vec<Ref> = canvas.pages.iter().map(|_| ids.next()).collect();
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(pages.iter().copied()).count(count);
    for (id, content) in pages.into_iter().zip(canvas.pages) {
        let content_id = ids.next();
        let mut page = pdf.page(id);
        page.media_box(Rect::new(0.0, 0.0, PAGE[0], PAGE[1])).parent(tree).contents(content_id);
        let mut resources = page.resources();
        let mut dictionary = resources.fonts();
        for (name, font) in FONTS.iter().zip(&fonts) {
            dictionary.pair(Name(name), *font);
        }
        dictionary.finish();
        let mut dictionary = resources.x_objects();
        for (number, image) in images.iter().enumerate() {
            dictionary.pair(Name(image_name(number).as_bytes()), *image);
        }
        dictionary.finish();
        resources.finish();
        page.finish();
        pdf.stream(content_id, &deflated(&content.finish())).filter(Filter::FlateDecode);
    }
    Ok(pdf.finish())
}

fn date(rfc3339: &str) -> Option<Date> {
    let at = OffsetDateTime::parse(rfc3339, &Rfc3339).ok()?.to_offset(time::UtcOffset::UTC);
    let date = Date::new(u16::try_from(at.year()).ok()?).month(at.month().into()).day(at.day());
    Some(date.hour(at.hour()).minute(at.minute()).second(at.second()).utc_offset_hour(0).utc_offset_minute(0))
}

/// A composite font whose codes are glyph numbers (ISO 32000-1, 9.7), with the way back to Unicode.
fn write_font(pdf: &mut Pdf, ids: &mut Ids, id: Ref, font: &Font, name: &[u8]) -> Result<(), PdfError> {
    let (descendant, descriptor, file, to_unicode) = (ids.next(), ids.next(), ids.next(), ids.next());
    let (name, metrics) = (Name(name), font.metrics());
    let mut composite = pdf.type0_font(id);
    composite.base_font(name).encoding_predefined(Name(b"Identity-H"));
    composite.descendant_font(descendant).to_unicode(to_unicode);
    composite.finish();
    let mut cid = pdf.cid_font(descendant);
    cid.subtype(CidFontType::Type2).base_font(name).system_info(SYSTEM).font_descriptor(descriptor);
    cid.default_width(0.0).cid_to_gid_map_predefined(Name(b"Identity"));
    cid.widths().consecutive(0, font.widths());
    cid.finish();
    let [x_min, y_min, x_max, y_max] = metrics.bounds;
    pdf.font_descriptor(descriptor)
        .name(name)
        .flags(FontFlags::SYMBOLIC)
        .bbox(Rect::new(x_min, y_min, x_max, y_max))
        .italic_angle(0.0)
        .ascent(metrics.ascent)
        .descent(metrics.descent)
        .cap_height(metrics.cap_height)
        .stem_v(80.0)
        .font_file2(file);
    let data = font.subset()?;
    let length = i32::try_from(data.len()).unwrap_or(i32::MAX);
    pdf.stream(file, &deflated(&data)).filter(Filter::FlateDecode).pair(Name(b"Length1"), length);
    let mut cmap = UnicodeCmap::new(Name(b"OrthancAIReport"), SYSTEM);
    for (glyph, character) in &font.characters {
        cmap.pair(*glyph, *character);
    }
    pdf.stream(to_unicode, &deflated(&cmap.finish())).filter(Filter::FlateDecode);
    Ok(())
}

fn write_image(pdf: &mut Pdf, id: Ref, image: &Jpeg) -> Ref {
    let side = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
    let mut object = pdf.image_xobject(id, &image.bytes);
    object.filter(Filter::DctDecode);
    object.width(side(image.width)).height(side(image.height));
    object.color_space().device_rgb();
    object.bits_per_component(8);
    object.finish();
    id
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = encoder.write_all(data);
    encoder.finish().unwrap_or_default()
}
