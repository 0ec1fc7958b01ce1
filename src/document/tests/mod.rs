//! What the writers make of reports.

#[path = "../../../tests/support/documents.rs"]
mod documents;
mod tables;

use std::io::Write as _;

use super::{Block, Language, Subject, describe, html, pdf};
use documents::{Run, breast_mri, document, head_ct, mammography, subject};

fn all() -> Vec<Run> {
    vec![head_ct(), breast_mri(), mammography()]
}

#[test]
fn the_page_says_all_of_it_in_both_languages() {
    let runs = all();
    let english = html::html(&document(&runs, Language::English));
    for expected in [
        "<html lang=\"en\">",
        "Haemorrhage  97.0 % ± 3.1 %  ·  present",
        "The model sees strong signs of haemorrhage",
        "30 of 31 images analysed.",
        "mean of the 3 highest probabilities",
        "slice 31: PixelData: found 12 bytes",
        "no ring of bone was found",
        "2 series were left out",
        "left, front",
        "3.21 ml",
        "31–45 / 96",
        "105.2 %",
        "not found",
        "R-MLO",
        "data:image/jpeg;base64,",
        documents::WEIGHTS,
        "Hong Gildong (홍 길동)",
        "1970-01-31",
        "본 결과는 연구용이며",
        "no confidence interval",
    ] {
        assert!(english.contains(expected), "{expected}");
    }
    let korean = html::html(&document(&runs, Language::Korean));
    for expected in [
        "<html lang=\"ko\">",
        "출혈",
        "종양",
        "모델이 출혈 소견을",
        "왼쪽, 앞쪽",
        "검출되지 않음",
        "분석하지 못한 영상",
    ] {
        assert!(korean.contains(expected), "{expected}");
    }
    // Both disclaimers stand in both, the reader's first.
    let english_first = &runs[0].report.disclaimer;
    assert!(korean.find("본 결과는 연구용이며").unwrap() < korean.find(&**english_first).unwrap());
}

#[test]
fn nothing_of_a_header_becomes_markup() {
    let mut run = mammography();
    run.report.title = "<script>alert(1)</script>".into();
    run.report.images[0].view = "\" onload=\"x".into();
    run.report.images[0].result.as_mut().unwrap().color = "red;background:url(//evil)".into();
    let page = html::html(&document(&[run], Language::English));
    assert!(!page.contains("<script") && !page.contains("onload=\"x") && !page.contains("evil"));
    assert!(page.contains("P-&lt;0042&gt;") && page.contains("CT 뇌 &amp; 두경부"));
    assert!(page.contains("Content-Security-Policy") && page.contains("default-src &#39;none&#39;"));
    assert!(!page.contains("http://") && !page.contains("https://"));
}

#[test]
fn an_archive_without_patient_and_pictures_has_its_report_too() {
    let run = breast_mri();
    let answers = [super::Answered { report: &run.report, manifest: None, warnings: &[] }];
    let document = describe(&Subject::default(), &answers, Language::Korean, "p", &mut |_| None);
    assert!(document.subject.is_empty());
    let blocks = &document.parts[0].blocks;
    assert!(blocks.iter().all(|block| !matches!(block, Block::Pictures(_))));
    assert!(html::html(&document).contains("그림에 필요한 영상이"));
    assert!(pdf::pdf(&document).unwrap().starts_with(b"%PDF-1.7"));
    assert_ne!(format!("{:?}", subject()), "");
}

#[test]
fn the_same_document_gives_the_same_bytes() {
    let make = || pdf::pdf(&document(&all(), Language::Korean)).unwrap();
    let bytes = make();
    assert_eq!(bytes, make());
    assert!(bytes.len() < 500_000, "{}", bytes.len());
}

/// For a person who wants to look: `ORTHANC_AI_KEEP=folder`.
#[test]
fn to_look_at() {
    let Some(folder) = std::env::var_os("ORTHANC_AI_KEEP").map(std::path::PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    for language in Language::ALL {
        let document = document(&all(), language);
        let path = |extension: &str| folder.join(format!("report-{}.{extension}", language.code()));
        std::fs::File::create(path("pdf")).unwrap().write_all(&pdf::pdf(&document).unwrap()).unwrap();
        std::fs::write(path("html"), html::html(&document)).unwrap();
    }
    let runs = all();
    let told = |run| super::csv::Told { run: "1b2c", report: run, opinions: Vec::new() };
    let told: Vec<_> = runs.iter().map(|run| told(&run.report)).collect();
    std::fs::write(folder.join("report.csv"), super::csv::csv(&told)).unwrap();
}
