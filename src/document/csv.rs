//! The reports as a table: one line an answer. UTF-8 with a byte order mark and RFC 4180's line ends, so that spreadsheets read it.

use serde_json::Value;

use crate::evaluate::report::plain_cell;
use crate::result::Report;
use crate::result::report::{Classification, ImageReport};

/// The same whatever the reports hold, in English, so that programs can rely on them; new ones come last.
pub const COLUMNS: [&str; 34] = [
    "Model",
    "Version",
    "Weights",
    "Created",
    "Kind",
    "Image",
    "InstanceUid",
    "FrameNumber",
    "SeriesUid",
    "Name",
    "Answer",
    "Probability",
    "Spread",
    "Finding",
    "Found",
    "SegmentNumber",
    "VolumeMl",
    "AreaMm2",
    "LongAxisMm",
    "LongAxisPixels",
    "SharePercent",
    "Voxels",
    "FirstSlice",
    "LastSlice",
    "Mean",
    "EnhancementPercent",
    "Center",
    "OutOfDomain",
    "Error",
    "Run",
    "FindingKey",
    "Accepted",
    "Rejected",
    "Comments",
];

/// A run's report, and what readers have said of it.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    /// The run's id.
    pub run: &'a str,
    pub report: &'a Report,
    pub opinions: Vec<Opinion>,
}

/// What one reader says of one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// The finding's key, as `/ai/runs/{id}/feedback` has it.
    pub finding: String,
    pub accepted: Option<bool>,
    pub comment: Option<String>,
}

/// One line of the table, by column name; what is not set is empty.
#[derive(Default)]
struct Line(Vec<(&'static str, String)>);

impl Line {
    fn of(kind: &str) -> Self {
        Self::default().with("Kind", kind)
    }

    fn with(mut self, column: &'static str, value: impl ToString) -> Self {
        debug_assert!(COLUMNS.contains(&column), "{column}");
        self.0.push((column, value.to_string()));
        self
    }

    fn maybe(self, column: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(column, value),
            None => self,
        }
    }

    fn image(self, image: &ImageReport) -> Self {
        self.with("Image", &image.view)
            .with("InstanceUid", &image.instance_uid)
            .maybe("FrameNumber", image.frame_number)
    }

    /// How many readers accept and reject the finding, and their words.
    fn judged(self, opinions: &[Opinion]) -> Self {
        let of_this: Vec<&Opinion> = opinions.iter().filter(|o| o.finding == self.cell("FindingKey")).collect();
        if of_this.is_empty() {
            return self;
        }
        let count = |accepted| of_this.iter().filter(|o| o.accepted == Some(accepted)).count();
        let comments: Vec<&str> = of_this.iter().filter_map(|o| o.comment.as_deref()).collect();
        self.with("Accepted", count(true)).with("Rejected", count(false)).with("Comments", comments.join("; "))
    }

    fn cell(&self, column: &str) -> &str {
        self.0.iter().find(|(name, _)| *name == column).map_or("", |(_, value)| value)
    }
}

/// Kinds of lines: `Overall` and `Image` (a class of the answer for all images, of that on one), `Segment` (of a volume), `Channel` (the source's values
/// inside of a segment), `ImageSegment`, `Region` (of a heat map), `Failed`. Slices count from 1. A model out of its domain says so on each of its lines.
/// `FindingKey` stands where readers can judge.
pub fn csv(runs: &[Told<'_>]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(b"\xef\xbb\xbf".to_vec());
    // Writing to memory does not fail, and all lines have the header's length.
    let _ = writer.write_record(COLUMNS);
    for Told { run, report, opinions } in runs {
        for line in lines(report) {
            let line = line
                .with("Run", run)
                .with("Model", &report.model)
                .with("Version", &report.version)
                .with("Weights", &report.weights)
                .with("Created", &report.created)
                .with("OutOfDomain", report.out_of_domain.join("; "))
                .judged(opinions);
            let _ = writer.write_record(COLUMNS.map(|column| plain_cell(line.cell(column))));
        }
    }
    writer.into_inner().unwrap_or_default()
}

fn lines(report: &Report) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(overall) = &report.overall {
        let with_series = |line: Line| line.maybe("SeriesUid", overall.series_uid.as_ref());
        lines.extend(classes("Overall", &overall.result, "overall").map(with_series));
    }
    for image in &report.images {
        if let Some(result) = &image.result {
            let key = format!("{}/{}", place(image), result.class);
            lines.extend(classes("Image", result, &key).map(|line| line.image(image)));
        }
        // Of slices that make a volume the readers judge the volume's segments.
        lines.extend(image_segments(image, report.segmentation.is_none()));
        if let Some(error) = &image.error {
            lines.push(Line::of("Failed").image(image).with("Error", error));
        }
    }
    lines.extend(segments(report));
    lines.extend(regions(report));
    lines
}

/// The image's part of a finding's key.
fn place(image: &ImageReport) -> String {
    match image.frame_number {
        Some(frame) => format!("{}/{frame}", image.instance_uid),
        None => image.instance_uid.clone(),
    }
}

/// `key`: of the finding that the class which wins is.
fn classes<'r>(kind: &'r str, result: &'r Classification, key: &'r str) -> impl Iterator<Item = Line> + 'r {
    result.all_probabilities.iter().map(move |(name, probability)| {
        let wins = *name == result.class;
        Line::of(kind)
            .with("Name", name)
            .with("Answer", wins)
            .maybe("Probability", probability.as_f64())
            .maybe("Spread", result.all_spreads.as_ref().and_then(|s| s.get(name)).and_then(Value::as_f64))
            .maybe("Finding", wins.then_some(&result.finding))
            .maybe("FindingKey", wins.then_some(key))
    })
}

fn image_segments(image: &ImageReport, is_judged: bool) -> impl Iterator<Item = Line> + '_ {
    let segments = image.segmentation.iter().flat_map(|s| (1..).zip(&s.segments));
    segments.map(move |(number, segment): (usize, _)| {
        let line = Line::of("ImageSegment")
            .image(image)
            .maybe("FindingKey", is_judged.then(|| format!("{}/segment/{number}", place(image))))
            .with("Name", &segment.name)
            .with("Finding", &segment.finding)
            .with("Found", segment.found);
        let Some(m) = &segment.measurements else { return line };
        line.with("SegmentNumber", m.segment_number)
            .maybe("AreaMm2", m.area_mm2)
            .maybe("LongAxisMm", m.long_axis_mm)
            .maybe("LongAxisPixels", m.long_axis_pixels)
            .with("SharePercent", m.share_percent)
            .with("Voxels", m.pixels)
            .with("Mean", m.mean)
            .maybe("Spread", m.spread)
    })
}

fn segments(report: &Report) -> Vec<Line> {
    let mut lines = Vec::new();
    let Some(segmentation) = &report.segmentation else { return lines };
    for (number, segment) in segmentation.segments.iter().enumerate() {
        let line = Line::of("Segment")
            .with("FindingKey", format!("segment/{}", number + 1))
            .with("SeriesUid", &segmentation.series_uid)
            .with("Name", &segment.name)
            .with("Finding", &segment.finding)
            .with("Found", segment.found);
        let Some(m) = &segment.measurements else {
            lines.push(line);
            continue;
        };
        lines.push(
            line.with("SegmentNumber", m.segment_number)
                .with("VolumeMl", m.volume_ml)
                .with("LongAxisMm", m.long_axis_mm)
                .with("SharePercent", m.ratio_percent)
                .with("Voxels", m.voxels)
                .with("FirstSlice", m.first_slice + 1)
                .with("LastSlice", m.last_slice + 1)
                .with("InstanceUid", &m.outline_instance_uid)
                .maybe("FrameNumber", m.outline_frame)
                .maybe("Spread", m.spread),
        );
        lines.extend(m.channels.iter().map(|channel| {
            Line::of("Channel")
                .with("Image", &channel.name)
                .with("SeriesUid", &segmentation.series_uid)
                .with("Name", &segment.name)
                .with("Mean", channel.mean)
                .maybe("EnhancementPercent", channel.enhancement_percent)
        }));
    }
    lines
}

fn regions(report: &Report) -> Vec<Line> {
    let mut lines = Vec::new();
    for explanation in &report.explanations {
        let same = |i: &&ImageReport| i.instance_uid == explanation.instance_uid;
        let view = report.images.iter().find(same).map(|i| &i.view);
        lines.extend(explanation.regions.iter().map(|region| {
            let place = [&region.side, &region.image_side, &region.part];
            let place: Vec<&str> = place.into_iter().flatten().map(String::as_str).collect();
            Line::of("Region")
                .maybe("Image", view)
                .with("InstanceUid", &explanation.instance_uid)
                .maybe("FrameNumber", explanation.frame)
                .with("SeriesUid", &explanation.heat_map_series_uid)
                .with("Name", &explanation.class)
                .with("SegmentNumber", region.number)
                .with("Probability", region.peak)
                .with("Finding", place.join(", "))
                .maybe("AreaMm2", region.area_mm2)
                .maybe("LongAxisMm", region.extent_mm.map(|[height, width]| height.max(width)))
                .with("Center", format!("{:.1} {:.1}", region.center[0], region.center[1]))
        }));
    }
    lines
}
