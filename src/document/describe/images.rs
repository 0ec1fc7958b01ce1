//! Answers on images: one each, and one for all.

use super::super::words::fill;
use super::super::{Answer, Block, Cell, Column, Table, Wanted, number};
use super::{MAX_ROWS, Teller};
use crate::result::report::{Classification, ImageReport, ImageSegmentReport, OverallReport};

/// More classes than these have no column each.
const MAX_COLUMNS: usize = 4;

impl Teller<'_, '_> {
    /// The answer for all images, or that on the only one.
    pub(super) fn overall(&mut self) -> Vec<Block> {
        let report = self.answered.report;
        if let Some(overall) = &report.overall {
            return self.of_all(overall);
        }
        match &report.images[..] {
            [image] => {
                image.result.iter().flat_map(|result| self.answer(self.words.answer, result, Vec::new())).collect()
            }
            _ => Vec::new(),
        }
    }

    fn of_all(&mut self, overall: &OverallReport) -> Vec<Block> {
        let (total, analysed) = (overall.total.to_string(), overall.analysed.to_string());
        let analysed = fill(self.words.analysed, &[("total", &total), ("analysed", &analysed)]);
        let mut detail = vec![analysed];
        if !overall.method.is_empty() {
            detail.push(overall.method.clone());
        }
        let mut blocks = self.answer(self.words.overall, &overall.result, detail);
        let images = &self.answered.report.images;
        let carrying: Vec<&ImageReport> = overall.carrying.iter().filter_map(|i| images.get(*i)).collect();
        if !carrying.is_empty() {
            blocks.push(Block::Heading(self.words.carrying.to_owned()));
            blocks.push(Block::Table(self.table(&carrying)));
        }
        blocks
    }

    /// A card, the model's sentences, and all classes where there are more than two.
    fn answer(&self, title: &str, result: &Classification, detail: Vec<String>) -> Vec<Block> {
        let mut value =
            format!("{}  {}", self.class_name(&result.class), number::with_spread(result.probability, result.spread));
        if let Some(presence) = self.presence(result) {
            value.push_str(&format!("  ·  {presence}"));
        }
        let card = Answer { label: title.to_owned(), value, color: result.color.clone(), detail };
        let mut blocks = vec![Block::Answer(card)];
        blocks.extend(self.sentences(&result.texts).into_iter().map(Block::Paragraph));
        if result.all_probabilities.len() > 2 {
            blocks.push(Block::Table(self.classes(result)));
        }
        blocks
    }

    fn classes(&self, result: &Classification) -> Table {
        let columns = vec![column(self.words.class, false), column(self.words.probability, true)];
        let rows = result.all_probabilities.iter().map(|(name, probability)| {
            vec![plain(self.class_name(name)), self.probability(probability.as_f64(), spread_of(result, name))]
        });
        Table { columns, rows: rows.collect() }
    }

    fn probability(&self, probability: Option<f64>, spread: Option<f64>) -> Cell {
        let text = probability.map(|p| number::with_spread(p, spread)).unwrap_or_default();
        Cell { text, share: probability, color: None }
    }

    /// The report's line for people ends with it.
    fn presence(&self, result: &Classification) -> Option<&'static str> {
        match result.finding.rsplit_once(", ")?.1 {
            "present" => Some(self.words.present),
            "absent" => Some(self.words.absent),
            "undetermined" => Some(self.words.undetermined),
            _ => None,
        }
    }

    /// What is said of each image, where it is not said of all of them together.
    pub(super) fn images(&mut self) -> Vec<Block> {
        let report = self.answered.report;
        let mut blocks = Vec::new();
        let classified: Vec<&ImageReport> = report.images.iter().filter(|image| image.result.is_some()).collect();
        if report.overall.is_none() && report.images.len() > 1 && !classified.is_empty() {
            blocks.push(Block::Heading(self.words.images.to_owned()));
            blocks.push(Block::Table(self.table(&classified)));
            blocks.extend(self.left_out(classified.len()));
            for image in classified.iter().take(MAX_ROWS) {
                let sentences = image.result.as_ref().map(|r| self.sentences(&r.texts)).unwrap_or_default();
                if !sentences.is_empty() {
                    blocks.push(Block::Paragraph(format!("{}: {}", image.view, sentences.join(" "))));
                }
            }
        }
        blocks.extend(self.segmented_images());
        blocks
    }

    fn left_out(&self, count: usize) -> Option<Block> {
        (count > MAX_ROWS).then(|| Block::Note(self.more(count - MAX_ROWS)))
    }

    /// One line an image: the answer, and every class's probability.
    fn table(&self, images: &[&ImageReport]) -> Table {
        let names: Vec<String> = images
            .iter()
            .find_map(|image| image.result.as_ref())
            .map(|result| result.all_probabilities.keys().cloned().collect())
            .unwrap_or_default();
        let each = names.len() <= MAX_COLUMNS;
        let mut columns = vec![column(self.words.image, false), column(self.words.answer, false)];
        if each {
            columns.extend(names.iter().map(|name| column(&self.class_name(name), true)));
        } else {
            columns.push(column(self.words.probability, true));
        }
        let row = |image: &&ImageReport| {
            let result = image.result.as_ref()?;
            let mut answer = self.class_name(&result.class);
            if let Some(presence) = self.presence(result) {
                answer.push_str(&format!(", {presence}"));
            }
            let mut cells =
                vec![plain(image.view.clone()), Cell { text: answer, color: Some(result.color.clone()), share: None }];
            if each {
                cells.extend(names.iter().map(|name| {
                    let probability = result.all_probabilities.get(name).and_then(serde_json::Value::as_f64);
                    self.probability(probability, spread_of(result, name))
                }));
            } else {
                cells.push(self.probability(Some(result.probability), result.spread));
            }
            Some(cells)
        };
        Table { columns, rows: images.iter().take(MAX_ROWS).filter_map(row).collect() }
    }

    /// Segments in single images: those where something was found first.
    fn segmented_images(&mut self) -> Vec<Block> {
        let report = self.answered.report;
        let mut lines: Vec<(&ImageReport, &ImageSegmentReport)> = Vec::new();
        for image in &report.images {
            lines.extend(image.segmentation.iter().flat_map(|s| &s.segments).map(|segment| (image, segment)));
        }
        if lines.is_empty() {
            return Vec::new();
        }
        // Slices of one volume: those without anything say nothing beside the volume's own table.
        if report.segmentation.is_some() {
            lines.retain(|(_, segment)| segment.found);
        }
        lines.sort_by_key(|(_, segment)| !segment.found);
        let names =
            [self.words.image, self.words.segment, self.words.area, self.words.share_of_image, self.words.long_axis];
        let spread = lines.iter().any(|(_, s)| s.measurements.as_ref().is_some_and(|m| m.spread.is_some()));
        let mut columns: Vec<Column> = names.iter().enumerate().map(|(i, name)| column(name, i > 1)).collect();
        if spread {
            columns.push(column(self.words.spread, true));
        }
        let rows =
            lines.iter().take(MAX_ROWS).map(|(image, segment)| self.segment_row(image, segment, spread)).collect();
        let mut blocks = vec![Block::Heading(self.words.images.to_owned()), Block::Table(Table { columns, rows })];
        blocks.extend(self.left_out(lines.len()));
        if report.segmentation.is_none() {
            blocks.extend(self.overlays());
        }
        blocks
    }

    fn segment_row(&self, image: &ImageReport, segment: &ImageSegmentReport, spread: bool) -> Vec<Cell> {
        let name = Cell { text: self.segment_name(&segment.name), color: Some(segment.color.clone()), share: None };
        let mut cells = vec![plain(image.view.clone()), name];
        match &segment.measurements {
            Some(m) => {
                let pixels = || format!("{} {}", m.pixels, self.words.pixels);
                let axis = m.long_axis_mm.map(|mm| format!("{mm:.1} mm"));
                let axis = axis.or_else(|| m.long_axis_pixels.map(|p| format!("{p:.1} {}", self.words.pixels)));
                cells.push(plain(m.area_mm2.map_or_else(pixels, |area| format!("{area:.1} mm²"))));
                cells.push(plain(format!("{:.2} %", m.share_percent)));
                cells.push(plain(axis.unwrap_or_default()));
                if spread {
                    cells.push(plain(m.spread.map(number::percent).unwrap_or_default()));
                }
            }
            None => {
                cells.push(plain(self.words.not_found.to_owned()));
                cells.resize_with(if spread { 6 } else { 5 }, Cell::default);
            }
        }
        cells
    }

    /// The images in which something was found, with their masks.
    fn overlays(&mut self) -> Option<Block> {
        let report = self.answered.report;
        let mut pictures = Vec::new();
        for image in &report.images {
            let Some(segmentation) = image.segmentation.as_ref() else { continue };
            let found: Vec<String> =
                segmentation.segments.iter().filter(|s| s.found).map(|s| self.segment_name(&s.name)).collect();
            if let (Some(seg_uid), false) = (&segmentation.seg_instance_uid, found.is_empty()) {
                let wanted = Wanted::Overlay {
                    seg_uid: seg_uid.clone(),
                    source_uid: image.instance_uid.clone(),
                    frame: image.frame_number,
                };
                pictures.extend(self.picture(&wanted, format!("{}: {}", image.view, found.join(", "))));
            }
        }
        (!pictures.is_empty()).then_some(Block::Pictures(pictures))
    }
}

fn spread_of(result: &Classification, class: &str) -> Option<f64> {
    result.all_spreads.as_ref()?.get(class)?.as_f64()
}

pub(super) fn column(name: &str, numeric: bool) -> Column {
    Column { name: name.to_owned(), numeric }
}

pub(super) fn plain(text: String) -> Cell {
    Cell { text, ..Cell::default() }
}
