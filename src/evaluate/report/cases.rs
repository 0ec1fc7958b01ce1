//! The table of the cases.

use super::EvaluationReport;
use crate::evaluate::estimate::Measure;

/// One line a case: number, the case as the labels name it, truth, answer, a probability a class and its standard deviation where the
/// model combines several answers, the overlaps of each segment, and why it failed. UTF-8 with a byte order mark, so that spreadsheets read it.
pub fn cases_csv(report: &EvaluationReport) -> Vec<u8> {
    let mut lines = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(b"\xef\xbb\xbf".to_vec());
    let segments: Vec<&str> = report.segmentation.iter().map(|s| s.segment.as_str()).collect();
    let spread = report.cases.iter().any(|case| !case.spreads.is_empty());
    let mut header: Vec<String> = ["Number", "Case", "Images"].map(str::to_owned).to_vec();
    if !report.classes.is_empty() {
        header.extend(["Truth".to_owned(), "Answer".to_owned()]);
        header.extend(report.classes.iter().map(|name| format!("P({name})")));
        header.extend(report.classes.iter().filter(|_| spread).map(|name| format!("SD({name})")));
    }
    for segment in &segments {
        header.extend(OVERLAP_COLUMNS.map(|column| format!("{segment}: {column}")));
    }
    header.push("Failed".to_owned());
    // Writing to memory does not fail, and all lines have the header's length.
    let _ = lines.write_record(header.iter().map(|cell| plain_cell(cell)));
    for case in &report.cases {
        let mut line = vec![case.number.to_string(), case.id.clone().unwrap_or_default(), case.images.to_string()];
        if !report.classes.is_empty() {
            line.extend([case.truth.clone().unwrap_or_default(), case.answer.clone().unwrap_or_default()]);
            let cell = |values: &[f64], i: usize| values.get(i).map_or_else(String::new, f64::to_string);
            line.extend((0..report.classes.len()).map(|i| cell(&case.probabilities, i)));
            line.extend((0..report.classes.len()).filter(|_| spread).map(|i| cell(&case.spreads, i)));
        }
        for segment in &segments {
            let found = case.segments.iter().find(|s| s.segment == *segment).map(|s| &s.overlap);
            let number = |measure: Option<&Measure>| {
                measure.and_then(Measure::value).map_or_else(String::new, |value| value.to_string())
            };
            line.extend([
                number(found.map(|o| &o.dice)),
                number(found.map(|o| &o.intersection_over_union)),
                number(found.map(|o| &o.hausdorff_95)),
                number(found.map(|o| &o.reference_ml)),
                number(found.map(|o| &o.answer_ml)),
                number(found.map(|o| &o.volume_error_ml)),
                number(found.map(|o| &o.volume_error_percent)),
            ]);
        }
        line.push(case.failed.clone().unwrap_or_default());
        let _ = lines.write_record(line.iter().map(|cell| plain_cell(cell)));
    }
    lines.into_inner().unwrap_or_default()
}

const OVERLAP_COLUMNS: [&str; 7] =
    ["Dice", "IoU", "HD95 mm", "reference ml", "answer ml", "volume error ml", "volume error %"];

/// A text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay as they are.
pub fn plain_cell(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    if formula { format!("'{cell}") } else { cell.to_owned() }
}
