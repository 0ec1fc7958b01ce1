//! The document as one page: no script, nothing loaded from elsewhere (and a policy that says so), light and dark, printable.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Answer, Block, Cell, Document, Fact, Picture, Table, Tone, rgb};
use crate::evaluate::report::escape;

const STYLE: &str = include_str!("report.css");
/// Nothing but the page's own style and pictures.
pub const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// The whole page.
pub fn html(document: &Document) -> String {
    let title = escape(&document.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"referrer\" content=\"no-referrer\">\
         <title>{title}</title><style>{STYLE}</style></head><body><header><h1>{title}</h1><p class=\"mark\">{}</p></header><main>",
        document.language.code(),
        escape(POLICY),
        escape(&document.mark),
    );
    if !document.subject.is_empty() {
        page += &facts(&document.subject, "subject");
    }
    for part in &document.parts {
        let _ = write!(page, "<section><h2>{}</h2>", escape(&part.title));
        part.blocks.iter().for_each(|block| page += &self::block(block));
        page += "</section>";
    }
    let _ = writeln!(page, "</main><footer>{}</footer></body></html>", escape(&document.foot));
    page
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(text) => format!("<h3>{}</h3>", escape(text)),
        Block::Paragraph(text) => format!("<p>{}</p>", escape(text)),
        Block::Note(text) => format!("<p class=\"note\">{}</p>", escape(text)),
        Block::Notice { tone, title, lines } => {
            let class = if *tone == Tone::Caution { "caution" } else { "warning" };
            let lines: String = lines.iter().map(|line| format!("<p>{}</p>", escape(line))).collect();
            format!("<aside class=\"{class}\"><strong>{}</strong>{lines}</aside>", escape(title))
        }
        Block::Answer(answer) => self::answer(answer),
        Block::Facts(list) => facts(list, "facts"),
        Block::Table(table) => self::table(table),
        Block::Pictures(pictures) => {
            let figures: String = pictures.iter().map(figure).collect();
            format!("<div class=\"pictures\">{figures}</div>")
        }
    }
}

/// A colour of ours: what is no `#rrggbb` never gets into a style.
fn color(text: &str) -> String {
    let [r, g, b] = rgb(text);
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn answer(answer: &Answer) -> String {
    let detail: String = answer.detail.iter().map(|line| format!("<p>{}</p>", escape(line))).collect();
    format!(
        "<div class=\"answer\" style=\"border-color:{}\"><p class=\"label\">{}</p><p class=\"value\">{}</p>{detail}</div>",
        color(&answer.color),
        escape(&answer.label),
        escape(&answer.value)
    )
}

fn facts(facts: &[Fact], class: &str) -> String {
    let facts: String = facts
        .iter()
        .map(|fact| {
            let wide = if fact.wide { " class=\"wide\"" } else { "" };
            format!("<div{wide}><dt>{}</dt><dd>{}</dd></div>", escape(&fact.key), escape(&fact.value))
        })
        .collect();
    format!("<dl class=\"{class}\">{facts}</dl>")
}

fn table(table: &Table) -> String {
    let class =
        |index: usize| if table.columns.get(index).is_some_and(|c| c.numeric) { " class=\"number\"" } else { "" };
    let head = table.columns.iter().enumerate();
    let head: String = head.map(|(i, c)| format!("<th{}>{}</th>", class(i), escape(&c.name))).collect();
    let mut rows = String::new();
    for row in &table.rows {
        let cells: String = row.iter().enumerate().map(|(i, c)| format!("<td{}{}</td>", class(i), cell(c))).collect();
        let _ = write!(rows, "<tr>{cells}</tr>");
    }
    format!("<div class=\"table\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>")
}

/// The rest of the cell's tag, and what is in it.
fn cell(cell: &Cell) -> String {
    let style = cell.share.map(|share| {
        let percent = (share.clamp(0.0, 1.0) * 100.0).round();
        format!(" style=\"--share:{percent}%\"")
    });
    let swatch = cell.color.as_ref().map(|c| format!("<i style=\"background:{}\"></i>", color(c)));
    format!("{}>{}{}", style.unwrap_or_default(), swatch.unwrap_or_default(), escape(&cell.text))
}

fn figure(picture: &Picture) -> String {
    let caption = escape(&picture.caption);
    format!(
        "<figure><img width=\"{}\" height=\"{}\" alt=\"{caption}\" src=\"data:image/jpeg;base64,{}\"><figcaption>{caption}</figcaption></figure>",
        picture.image.width,
        picture.image.height,
        STANDARD.encode(&picture.image.bytes)
    )
}
