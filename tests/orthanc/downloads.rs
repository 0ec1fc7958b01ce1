//! A run as files: its report as CSV, HTML and PDF, its pictures as a ZIP, and the report as a DICOM object.

use std::io::{Cursor, Read};
use std::path::Path;
use std::process::Command;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use orthanc_ai::phantom::{Haemorrhage, HeadCtLayout, HeadCtPhantom, Orientation, SeriesLayout};
use serde_json::{Value, json};

use crate::breast_mri;
use crate::exam::{self, put_text};
use crate::image_models::{SEGMENT, UNET, write_unet};
use crate::on_every_orthanc;
use crate::operations::call;
use crate::segmentation::{ABOVE, with_test_model};
use crate::server::{DEMO, Options, Orthanc, Version};

on_every_orthanc!(
    a_segmentation_comes_as_files_and_as_a_document,
    slices_without_a_mask_are_pictures_too,
    a_classification_comes_with_what_readers_say,
    heat_maps_come_as_files,
    what_is_not_there_is_refused,
);

const HEAD: &str = "head-ct-haemorrhage-demo";
const NAME: &str = "Hong^Gildong==홍^길동";
/// Of [`NAME`], what would give it away.
const GIVEN_AWAY: [&str; 3] = ["Gildong", "홍", "PAT-4711"];

fn text(answer: &crate::server::Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// The file, whose name and type are right and tell nobody's name.
#[track_caller]
fn file(server: &Orthanc, path: &str, content_type: &str, name: &str) -> Vec<u8> {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
    let disposition = answer.header("content-disposition").unwrap();
    assert!(disposition.ends_with(&format!("filename=\"{name}\"")), "{disposition}");
    let headers = format!("{:?}", answer.headers);
    assert!(GIVEN_AWAY.iter().all(|part| !headers.contains(part)), "{headers}");
    answer.body
}

/// Columns and lines.
fn table(csv: &[u8]) -> (Vec<String>, Vec<Vec<String>>) {
    let text = csv.strip_prefix(b"\xef\xbb\xbf").expect("a byte order mark");
    let mut reader = csv::Reader::from_reader(text);
    let columns = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let lines = reader.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect();
    (columns, lines)
}

fn cell<'l>((columns, _): &(Vec<String>, Vec<Vec<String>>), line: &'l [String], column: &str) -> &'l str {
    &line[columns.iter().position(|c| c == column).unwrap()]
}

/// What `pdftotext` (poppler) finds in the document, its lines joined.
fn words(pdf: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pdf).unwrap();
    let out = Command::new("pdftotext").arg("-layout").arg(file.path()).arg("-").output();
    let out = out.expect("pdftotext (package poppler-utils)");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The pictures of an archive, by their names; each decodes.
#[track_caller]
fn pictures(zip: &[u8]) -> Vec<(String, image::RgbaImage)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let count = zip.len();
    let read = |number: usize| {
        let mut file = zip.by_index(number).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut png = Vec::new();
        file.read_to_end(&mut png).unwrap();
        (name, image::load_from_memory_with_format(&png, image::ImageFormat::Png).unwrap().into_rgba8())
    };
    (0..count).map(read).collect()
}

fn stored<'r>(run: &'r Value, kind: &str) -> Vec<&'r Value> {
    run["Stored"].as_array().unwrap().iter().filter(|s| s["Kind"] == kind).collect()
}

fn dciodvfy(dicom: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), dicom).unwrap();
    let out = Command::new("dciodvfy").arg("-new").arg(file.path()).output().expect("dciodvfy (package dicom3tools)");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && !said.contains("Error"), "{said}");
}

/// One phase of a breast MRI of a patient with a Korean name.
fn slices(seed: u64) -> Vec<Vec<u8>> {
    let study = breast_mri::study(&breast_mri::small(seed, Orientation::Axial), SeriesLayout::default());
    breast_mri::changed(
        &study,
        |phase, _| phase == 1,
        |_, _, dataset| {
            put_text(dataset, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
            put_text(dataset, tags::PATIENT_NAME, VR::PN, NAME);
            put_text(dataset, tags::PATIENT_ID, VR::LO, "PAT-4711");
        },
    )
}

fn korean_unet(models: &Path) {
    write_unet(models, |manifest| {
        manifest["report"]["disclaimer_translations"] = json!({"ko": "시험용입니다. 진단에 사용할 수 없습니다."});
        manifest["task"]["Segmentation"]["segments"][0]["translations"] = json!({"ko": "밝은 부분"});
    });
}

fn a_segmentation_comes_as_files_and_as_a_document(version: Version) {
    let models = tempfile::tempdir().unwrap();
    korean_unet(models.path());
    let ai = json!({"ModelsDirectory": models.path(), "Results": {"EncapsulatedPdf": "ko"}});
    let server = Orthanc::with(version, &Options { ai, ..Options::default() });
    let study = server.upload_study(&slices(8201));
    let before = server.count_instances();
    let run = server.post(&format!("/studies/{study}/ai"), &json!({"Model": UNET, "Synchronous": true})).ok();
    assert_eq!(run["State"], "Succeeded", "{run:#}");
    let id = run["ID"].as_str().unwrap();
    let of_run = |kind: &str, query: &str| {
        let content_type = match kind {
            "csv" => "text/csv; charset=utf-8",
            "html" => "text/html; charset=utf-8",
            _ => "application/pdf",
        };
        let path = format!("/ai/runs/{id}/report.{kind}{query}");
        file(&server, &path, content_type, &format!("ai-report-{id}.{kind}"))
    };
    // The table has the run's numbers.
    let table = table(&of_run("csv", ""));
    let images = run["Results"].as_array().unwrap();
    let lines: Vec<&Vec<String>> = table.1.iter().filter(|l| cell(&table, l, "Kind") == "ImageSegment").collect();
    assert_eq!(lines.len(), images.len());
    for (line, image) in lines.iter().zip(images) {
        assert_eq!(cell(&table, line, "InstanceUid"), image["InstanceUid"].as_str().unwrap());
        assert_eq!((cell(&table, line, "Name"), cell(&table, line, "Run")), (SEGMENT, id));
        let voxels = image["Segments"][0]["Pixels"].as_u64().map(|n| n.to_string()).unwrap_or_default();
        assert_eq!(cell(&table, line, "Voxels"), voxels);
    }
    // The page and the document have findings, pictures, the patient and the disclaimer.
    let page = String::from_utf8(of_run("html", "")).unwrap();
    for expected in
        ["<html lang=\"en\">", SEGMENT, "research use only", "data:image/jpeg;base64,", "Hong Gildong (홍 길동)"]
    {
        assert!(page.contains(expected), "{expected}");
    }
    let english = words(&of_run("pdf", "?language=en"));
    assert!(english.contains("AI analysis report") && english.contains(SEGMENT), "{english}");
    let korean = words(&of_run("pdf", "?language=ko"));
    for expected in ["AI 분석 보고서", "시험용입니다. 진단에 사용할 수 없습니다.", "밝은 부분", "홍 길동", "PAT-4711"]
    {
        assert!(korean.contains(expected), "{expected}: {korean}");
    }
    // The browser's language, where none is asked for.
    let header = [("Accept-Language", "ko-KR,ko;q=0.9,en;q=0.8")];
    let (status, page) = call(&server, "GET", &format!("/ai/runs/{id}/report.html"), &header, b"");
    assert!(status == 200 && page.contains("<html lang=\"ko\">"), "{status}");
    // Every image with its masks.
    let seg = stored(&run, "SEG")[0];
    let of_seg: Vec<&Value> = images.iter().filter(|i| i["SegInstanceUid"] == seg["SopInstanceUid"]).collect();
    for path in [format!("/series/{}", seg["SeriesID"].as_str().unwrap()), seg["Path"].as_str().unwrap().to_owned()] {
        let zip = file(&server, &format!("{path}/ai/overlays.zip"), "application/zip", "ai-overlays.zip");
        let pictures = pictures(&zip);
        assert_eq!(pictures.len(), of_seg.len(), "{path}");
        for (number, ((name, picture), image)) in (1..).zip(pictures.iter().zip(&of_seg)) {
            assert_eq!((name.as_str(), picture.dimensions()), (format!("{number:03}.png").as_str(), (56, 48)));
            let coloured = picture.pixels().filter(|p| p[0] != p[1] || p[1] != p[2]).count() as u64;
            let found = image["Segments"][0]["Pixels"].as_u64().unwrap_or_default();
            assert!(coloured <= found && coloured * 10 >= found * 9, "{name}: {coloured} of {found}");
        }
    }
    // The report in the archive.
    let [document] = &stored(&run, "DOC")[..] else { panic!("{run:#}") };
    let path = document["Path"].as_str().unwrap();
    let tags = server.get(&format!("{path}/simplified-tags")).ok();
    assert_eq!(tags["SOPClassUID"], uids::ENCAPSULATED_PDF_STORAGE);
    assert_eq!(
        (&tags["Modality"], &tags["MIMETypeOfEncapsulatedDocument"]),
        (&json!("DOC"), &json!("application/pdf"))
    );
    assert_eq!(document["StudyID"], study.as_str());
    dciodvfy(&server.get(&format!("{path}/file")).body);
    let encapsulated = server.get(&format!("{path}/pdf"));
    assert!(encapsulated.status == 200 && words(&encapsulated.body).contains("밝은 부분"), "Orthanc's own route");
    // It goes with the run.
    server.delete(&format!("/ai/runs/{id}")).ok();
    assert_eq!(server.count_instances(), before);
    let log = server.log();
    assert!(GIVEN_AWAY.iter().all(|part| !log.contains(part)), "{log}");
}

fn slices_without_a_mask_are_pictures_too(version: Version) {
    let (server, _models) = with_test_model(version, &["one"], |_| {});
    let study = breast_mri::study(&breast_mri::small(8202, Orientation::Axial), SeriesLayout::default());
    let study = server.upload_study(&breast_mri::changed(&study, |phase, _| phase == 1, |_, _, _| {}));
    let run = server.post(&format!("/studies/{study}/ai"), &json!({"Model": ABOVE, "Synchronous": true})).ok();
    assert_eq!(run["State"], "Succeeded", "{run:#}");
    let full = server.get(&format!("/ai/runs/{}", run["ID"].as_str().unwrap())).ok();
    let series = stored(&run, "SEG")[0]["SeriesID"].as_str().unwrap();
    let seg = stored(&run, "SEG")[0]["Path"].as_str().unwrap();
    let zip = server.get(&format!("/series/{series}/ai/overlays.zip?source=false&opacity=1"));
    let pictures = pictures(&zip.body);
    let slices = full["Slices"].as_array().unwrap();
    assert_eq!((pictures.len(), slices.len()), (20, 20));
    let mut with_masks = 0;
    for ((name, picture), slice) in pictures.iter().zip(slices) {
        match &slice["MaskFrames"].as_array().unwrap()[..] {
            [] => assert!(picture.pixels().all(|p| p[3] == 0), "{name}"),
            [frame] => {
                // As it is when it is asked for alone.
                let alone = server.get(&format!("{seg}/ai/overlay.png?frame={frame}&source=false&opacity=1")).body;
                assert_eq!(*picture, image::load_from_memory(&alone).unwrap().into_rgba8(), "{name}");
                with_masks += usize::from(picture.pixels().any(|p| p[3] == 255));
            }
            frames => panic!("one segment has one frame a slice: {frames:?}"),
        }
    }
    assert!(with_masks > 2, "{with_masks}");
}

fn a_classification_comes_with_what_readers_say(version: Version) {
    let server = Orthanc::start(version);
    let study = server.upload_study(&exam::files(&exam::options(8203)));
    let run = server.analyse(&study);
    let id = run["ID"].as_str().unwrap();
    let feedback = server.get(&format!("/ai/runs/{id}/feedback")).ok();
    let key = feedback["Findings"][1]["Finding"].as_str().unwrap();
    let said = json!({"Finding": key, "Verdict": "Reject", "Comment": "=1+1, 림프절"});
    server.post(&format!("/ai/runs/{id}/feedback"), &said).ok();
    // Asked again by force, the study has the newest answer alone; the first run keeps its own report.
    let again = json!({"Model": DEMO, "Synchronous": true, "Force": true});
    let again = server.post(&format!("/studies/{study}/ai"), &again).ok();
    let name = format!("ai-report-{study}.csv");
    let path = format!("/studies/{study}/ai/report.csv");
    let of_study = table(&file(&server, &path, "text/csv; charset=utf-8", &name));
    let runs: Vec<&str> = of_study.1.iter().map(|line| cell(&of_study, line, "Run")).collect();
    assert!(runs.len() == 16 && runs.iter().all(|run| *run == again["ID"].as_str().unwrap()), "{runs:?}");
    let of_run = table(&server.get(&format!("/ai/runs/{id}/report.csv")).body);
    let judged: Vec<[&str; 4]> = of_run
        .1
        .iter()
        .filter(|line| !cell(&of_run, line, "Accepted").is_empty())
        .map(|line| ["FindingKey", "Accepted", "Rejected", "Comments"].map(|column| cell(&of_run, line, column)))
        .collect();
    assert_eq!(judged, [[key, "0", "1", "'=1+1, 림프절"]]);
    let page = text(&server.get(&format!("/studies/{study}/ai/report.html?language=ko")));
    let disclaimer = run["Disclaimer"].as_str().unwrap();
    assert!(page.contains("AI 분석 보고서") && page.contains(disclaimer) && page.contains("R-MLO"), "{page}");
    let pdf = words(&server.get(&format!("/studies/{study}/ai/report.pdf")).body);
    assert!(pdf.contains("L-CC") && pdf.contains("Research use only") && pdf.contains("Page 1 of"), "{pdf}");
    // Unless it is asked for no document is stored.
    assert!(stored(&run, "DOC").is_empty(), "{run:#}");
    server.get(&format!("/studies/{study}/ai/report")).ok();
}

fn heat_maps_come_as_files(version: Version) {
    let ai = json!({"Results": {"EncapsulatedPdf": "en"}});
    let server = Orthanc::with(version, &Options { ai, ..Options::default() });
    let phantom = HeadCtPhantom {
        seed: 8204,
        size: [28, 192, 192],
        spacing_mm: [5.0, 1.2, 1.2],
        haemorrhage: Some(Haemorrhage::Intraparenchymal),
        gantry_tilt_degrees: -12.0,
    };
    let study = phantom.to_dicom(HeadCtLayout { localizer: false, bone: false, reversed: false }).unwrap();
    let study = server.upload_study(&study.instances.iter().map(|i| i.to_bytes().unwrap()).collect::<Vec<_>>());
    let run = server.post(&format!("/studies/{study}/ai"), &json!({"Model": HEAD, "Synchronous": true})).ok();
    let maps = stored(&run, "SC");
    assert!(!maps.is_empty(), "{run:#}");
    let zip = server.get(&format!("/series/{}/ai/overlays.zip", maps[0]["SeriesID"].as_str().unwrap()));
    let pictures = pictures(&zip.body);
    assert_eq!(pictures.len(), maps.len());
    assert!(pictures.iter().all(|(_, p)| p.pixels().any(|p| p[0] != p[2])), "heat has colours");
    let page = text(&server.get(&format!("/ai/runs/{}/report.html", run["ID"].as_str().unwrap())));
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), maps.len(), "each is in the report");
    let document = stored(&run, "DOC")[0]["Path"].as_str().unwrap();
    dciodvfy(&server.get(&format!("{document}/file")).body);
    assert!(words(&server.get(&format!("{document}/pdf")).body).contains("What the answers rest on"));
}

fn what_is_not_there_is_refused(version: Version) {
    let server = Orthanc::start(version);
    let study = server.upload_study(&exam::files(&exam::options(8205)));
    let nothing = "00000000-00000000-00000000-00000000-00000000";
    for kind in ["csv", "html", "pdf"] {
        server.get(&format!("/studies/{study}/ai/report.{kind}")).error(404);
        server.get(&format!("/studies/{nothing}/ai/report.{kind}")).error(404);
        server.get(&format!("/studies/x/ai/report.{kind}")).error(404);
        server.get(&format!("/ai/runs/{nothing}/report.{kind}")).error(404);
    }
    for level in ["series", "instances"] {
        server.get(&format!("/{level}/{nothing}/ai/overlays.zip")).error(404);
        server.get(&format!("/{level}/x/ai/overlays.zip")).error(404);
    }
    let series = server.get(&format!("/studies/{study}/series")).ok()[0]["ID"].as_str().unwrap().to_owned();
    server.get(&format!("/series/{series}/ai/overlays.zip")).error(422);
    server.post("/ai/queue/suspend", &json!({})).ok();
    let run = server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO})).ok();
    let path = format!("/ai/runs/{}/report.pdf", run["ID"].as_str().unwrap());
    assert!(server.get(&path).error(409).contains("expected Succeeded"));
    assert!(server.get(&format!("{path}?language=de")).error(400).contains("expected en or ko"));
    assert!(server.get(&format!("{path}?lang=ko")).error(400).contains("language"));
    assert!(server.get(&format!("/series/{series}/ai/overlays.zip?opacity=2")).error(400).contains("0 to 1"));
}
