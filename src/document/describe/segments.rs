//! Segments of volumes.

use super::super::words::fill;
use super::super::{Block, Cell, Table, Wanted, number};
use super::Teller;
use super::images::{column, plain};
use crate::manifest::TaskSpec;
use crate::result::report::{SegmentReport, SegmentationReport};

impl Teller<'_, '_> {
    pub(super) fn volume(&mut self) -> Vec<Block> {
        let Some(segmentation) = &self.answered.report.segmentation else { return Vec::new() };
        let mut blocks =
            vec![Block::Heading(self.words.segments.to_owned()), Block::Table(self.segments(segmentation))];
        blocks.extend(self.signals(segmentation));
        let mut pictures = Vec::new();
        for segment in &segmentation.segments {
            let (Some(m), Some(seg_uid)) = (&segment.measurements, &segmentation.seg_instance_uid) else { continue };
            let slice = (m.outline_slice + 1).to_string();
            let name = self.segment_name(&segment.name);
            let caption = fill(self.words.largest_slice, &[("name", &name), ("slice", &slice)]);
            let wanted = Wanted::Overlay {
                seg_uid: seg_uid.clone(),
                source_uid: m.outline_instance_uid.clone(),
                frame: m.outline_frame,
            };
            pictures.extend(self.picture(&wanted, caption));
        }
        if !pictures.is_empty() {
            blocks.push(Block::Pictures(pictures));
        }
        blocks
    }

    fn segments(&self, segmentation: &SegmentationReport) -> Table {
        let words = self.words;
        let spread = segmentation.segments.iter().filter_map(|s| s.measurements.as_ref()).any(|m| m.spread.is_some());
        let mut columns = vec![
            column(words.segment, false),
            column(words.volume, true),
            column(words.long_axis, true),
            column(words.slices, true),
            column(words.share_of_volume, true),
        ];
        if spread {
            columns.push(column(words.spread, true));
        }
        let row = |segment: &SegmentReport| {
            let name = Cell { text: self.segment_name(&segment.name), color: Some(segment.color.clone()), share: None };
            let mut cells = vec![name];
            match &segment.measurements {
                Some(m) => {
                    cells.push(plain(format!("{:.2} ml", m.volume_ml)));
                    cells.push(plain(format!("{:.1} mm", m.long_axis_mm)));
                    // People count slices from 1.
                    cells.push(plain(format!("{}–{} / {}", m.first_slice + 1, m.last_slice + 1, segmentation.slices)));
                    cells.push(plain(format!("{:.2} %", m.ratio_percent)));
                    if spread {
                        cells.push(plain(m.spread.map(number::percent).unwrap_or_default()));
                    }
                }
                None => cells.push(plain(words.not_found.to_owned())),
            }
            cells.resize_with(columns.len(), Cell::default);
            cells
        };
        let rows = segmentation.segments.iter().map(row).collect();
        Table { columns, rows }
    }

    /// The source's values inside of what was found, a phase or contrast a line.
    fn signals(&self, segmentation: &SegmentationReport) -> Option<Block> {
        let words = self.words;
        let columns = vec![
            column(words.segment, false),
            column(words.channel, false),
            column(words.signal, true),
            column(words.enhancement, true),
        ];
        let mut rows = Vec::new();
        for segment in &segmentation.segments {
            for channel in segment.measurements.iter().flat_map(|m| &m.channels) {
                let enhancement = channel.enhancement_percent.map(|e| format!("{e:.1} %")).unwrap_or_default();
                rows.push(vec![
                    plain(self.segment_name(&segment.name)),
                    plain(channel.name.clone()),
                    plain(format!("{:.1}", channel.mean)),
                    plain(enhancement),
                ]);
            }
        }
        (!rows.is_empty()).then_some(Block::Table(Table { columns, rows }))
    }

    /// The name of a segment in the document's language.
    pub(super) fn segment_name(&self, name: &str) -> String {
        let segment = self.answered.manifest.and_then(|m| match &m.task {
            TaskSpec::Segmentation(task) => task.segments.iter().find(|s| s.name == name),
            TaskSpec::Classification(_) => None,
        });
        let translated = segment.and_then(|s| s.translations.get(self.language.code()));
        translated.cloned().unwrap_or_else(|| name.to_owned())
    }
}
