//! The CSV.

use super::super::csv::{COLUMNS, Opinion, Told, csv};
use super::documents::{breast_mri, head_ct, mammography};
use crate::result::Report;

/// Column names, and each line's cells.
fn read(bytes: &[u8]) -> Vec<Vec<String>> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap();
    assert!(text.ends_with(b"\r\n"));
    let mut reader = ::csv::ReaderBuilder::new().from_reader(text);
    assert_eq!(reader.headers().unwrap(), &COLUMNS.to_vec());
    reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn told(report: &Report) -> Told<'_> {
    Told { run: "1b2c", report, opinions: Vec::new() }
}

fn cell<'l>(line: &'l [String], column: &str) -> &'l str {
    &line[COLUMNS.iter().position(|c| *c == column).unwrap()]
}

#[test]
fn one_line_an_answer() {
    let lines = read(&csv(&[&head_ct(), &breast_mri(), &mammography()].map(|run| told(&run.report))));
    let of = |kind: &str| lines.iter().filter(|l| cell(l, "Kind") == kind).collect::<Vec<_>>();
    assert_eq!((of("Overall").len(), of("Failed").len(), of("Region").len()), (2, 1, 4));
    assert_eq!((of("Segment").len(), of("Channel").len()), (2, 2));
    let overall = of("Overall").into_iter().find(|l| cell(l, "Answer") == "true").unwrap();
    assert_eq!(
        (cell(overall, "Name"), cell(overall, "Probability"), cell(overall, "Spread")),
        ("Haemorrhage", "0.97", "0.031")
    );
    let segment = of("Segment")[0];
    assert_eq!(
        (cell(segment, "VolumeMl"), cell(segment, "FirstSlice"), cell(segment, "Spread")),
        ("3.21", "31", "0.042")
    );
    assert_eq!(cell(of("Segment")[1], "Found"), "false");
    assert_eq!(cell(of("Channel")[1], "EnhancementPercent"), "105.25");
    assert!(cell(of("Failed")[0], "Error").contains("PixelData"));
    assert!(cell(of("Overall")[0], "OutOfDomain").contains("ring of bone"));
}

#[test]
fn no_cell_is_a_formula() {
    let mut report = mammography().report;
    report.images[0].view = "=HYPERLINK(\"//evil\")".into();
    report.images[1].view = "-2+3".into();
    let lines = read(&csv(&[told(&report)]));
    let views: Vec<&str> = lines.iter().map(|l| cell(l, "Image")).collect();
    assert!(views.contains(&"'=HYPERLINK(\"//evil\")") && views.contains(&"'-2+3"), "{views:?}");
}

#[test]
fn readers_opinions_stand_beside_what_they_are_of() {
    let (head, breast) = (head_ct().report, breast_mri().report);
    let opinion = |finding: &str, accepted, comment: Option<&str>| Opinion {
        finding: finding.into(),
        accepted,
        comment: comment.map(str::to_owned),
    };
    let of_head = vec![
        opinion("overall", Some(true), None),
        opinion("overall", Some(false), Some("=1+1, 혈관")),
        opinion("overall", None, Some("see prior")),
    ];
    let of_breast = vec![opinion("segment/2", Some(false), None)];
    let runs = [Told { opinions: of_head, ..told(&head) }, Told { run: "3d4e", opinions: of_breast, report: &breast }];
    let lines = read(&csv(&runs));
    let judged: Vec<[&str; 6]> = lines
        .iter()
        .filter(|l| !cell(l, "Accepted").is_empty())
        .map(|l| ["Run", "Kind", "FindingKey", "Accepted", "Rejected", "Comments"].map(|column| cell(l, column)))
        .collect();
    assert_eq!(
        judged,
        [
            ["1b2c", "Overall", "overall", "1", "1", "'=1+1, 혈관; see prior"],
            ["3d4e", "Segment", "segment/2", "0", "1", ""],
        ]
    );
}
