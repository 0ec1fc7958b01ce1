//! What answers rest on: heat maps, their regions, sentences.

use super::super::words::fill;
use super::super::{Block, Table, Wanted, number};
use super::Teller;
use super::images::{column, plain};
use crate::result::report::{ExplanationReport, RegionReport};

impl Teller<'_, '_> {
    pub(super) fn explanations(&mut self) -> Vec<Block> {
        let explanations = &self.answered.report.explanations;
        if explanations.is_empty() {
            return Vec::new();
        }
        let mut blocks = vec![Block::Heading(self.words.heat_maps.to_owned())];
        let mut pictures = Vec::new();
        for explanation in explanations {
            let caption = self.caption(explanation);
            let wanted = Wanted::HeatMap { uid: explanation.heat_map_instance_uid.clone() };
            pictures.extend(self.picture(&wanted, caption));
        }
        if !pictures.is_empty() {
            blocks.push(Block::Pictures(pictures));
        }
        let regions = self.regions(explanations);
        if !regions.rows.is_empty() {
            blocks.push(Block::Table(regions));
        }
        for explanation in explanations {
            let sentences = self.sentences(&explanation.texts);
            if !sentences.is_empty() {
                blocks.push(Block::Paragraph(format!("{}: {}", self.image_of(explanation), sentences.join(" "))));
            }
        }
        blocks
    }

    fn caption(&self, explanation: &ExplanationReport) -> String {
        let places = [
            ("image", self.image_of(explanation)),
            ("class", self.class_name(&explanation.class)),
            ("probability", number::percent(explanation.probability)),
        ];
        fill(self.words.heat_map, &places.each_ref().map(|(place, value)| (*place, value.as_str())))
    }

    /// As the other tables name the image.
    fn image_of(&self, explanation: &ExplanationReport) -> String {
        let images = &self.answered.report.images;
        let same = |frame: bool| {
            images
                .iter()
                .find(|i| i.instance_uid == explanation.instance_uid && (!frame || i.frame_number == explanation.frame))
        };
        same(true).or_else(|| same(false)).map_or_else(|| self.words.image.to_owned(), |image| image.view.clone())
    }

    fn regions(&self, explanations: &[ExplanationReport]) -> Table {
        let words = self.words;
        let columns = vec![
            column(words.image, false),
            column(words.number, true),
            column(words.place, false),
            column(words.size, true),
            column(words.area, true),
            column(words.peak, true),
        ];
        let mut rows = Vec::new();
        for explanation in explanations {
            for region in &explanation.regions {
                let size = region.extent_mm.map(|[height, width]| format!("{height:.1} × {width:.1} mm"));
                rows.push(vec![
                    plain(self.image_of(explanation)),
                    plain(region.number.to_string()),
                    plain(self.place(region)),
                    plain(size.unwrap_or_default()),
                    plain(region.area_mm2.map(|area| format!("{area:.1} mm²")).unwrap_or_default()),
                    plain(number::percent(region.peak)),
                ]);
            }
        }
        Table { columns, rows }
    }

    fn place(&self, region: &RegionReport) -> String {
        let words = self.words;
        let side = region.side.as_deref().and_then(|side| match side {
            "left" => Some(words.side_left),
            "right" => Some(words.side_right),
            "midline" => Some(words.side_midline),
            _ => None,
        });
        let image_side = region.image_side.as_deref().and_then(|side| match side {
            "left" => Some(words.image_left),
            "right" => Some(words.image_right),
            _ => None,
        });
        let part = region.part.as_deref().and_then(|part| match part {
            "front" => Some(words.part_front),
            "middle" => Some(words.part_middle),
            "back" => Some(words.part_back),
            _ => None,
        });
        let known: Vec<&str> = [side.or(image_side), part].into_iter().flatten().collect();
        known.join(", ")
    }
}
