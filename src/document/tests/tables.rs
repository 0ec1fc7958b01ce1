//! The CSV.

use super::super::csv::{COLUMNS, csv};
use super::documents::{breast_mri, head_ct, mammography};

/// Column names, and each line's cells.
fn read(bytes: &[u8]) -> Vec<Vec<String>> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap();
    assert!(text.ends_with(b"\r\n"));
    let mut reader = ::csv::ReaderBuilder::new().from_reader(text);
    assert_eq!(reader.headers().unwrap(), &COLUMNS.to_vec());
    reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn cell<'l>(line: &'l [String], column: &str) -> &'l str {
    &line[COLUMNS.iter().position(|c| *c == column).unwrap()]
}

#[test]
fn one_line_an_answer() {
    let lines = read(&csv(&[head_ct().report, breast_mri().report, mammography().report]));
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
    let lines = read(&csv(&[report]));
    let views: Vec<&str> = lines.iter().map(|l| cell(l, "Image")).collect();
    assert!(views.contains(&"'=HYPERLINK(\"//evil\")") && views.contains(&"'-2+3"), "{views:?}");
}
