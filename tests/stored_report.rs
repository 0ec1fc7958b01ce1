//! The report as Encapsulated PDF, from images to the stored object without a server: other people's readers take the object, and find in
//! the document what the run has found, in both languages.

mod dicom_file;
#[path = "support/image_models.rs"]
mod image_models;
#[path = "support/readers.rs"]
mod readers;
#[path = "support/runs.rs"]
mod runs;
#[path = "orthanc/torch_script.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod torch_script;

use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use image_models::{UNET, write_unet};
use orthanc_ai::document::Language;
use orthanc_ai::phantom::{Class, ExamOptions, exam};
use orthanc_ai::run::Limits;
use orthanc_ai::run::pipeline::{FirstModel, RunOutcome, RunSettings};
use orthanc_ai::source::StoreStatus;
use runs::Bench;
use serde_json::json;

const NAME: &str = "Hong^Gildong=洪^吉洞=홍^길동";

/// Four mammograms of a patient with a Korean name.
fn mammograms(name: &str, charset: &str) -> Vec<Vec<u8>> {
    let options = ExamOptions {
        seed: 7301,
        classes: [Class::Mass, Class::Normal, Class::Mass, Class::Normal],
        size: (208, 160),
        spacing_mm: 1.12,
        ..ExamOptions::default()
    };
    let named = |mut object: InMemDicomObject| {
        object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, PrimitiveValue::from(charset)));
        object.put(DataElement::new(tags::PATIENT_NAME, VR::PN, PrimitiveValue::from(name)));
        dicom_file::file(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)
    };
    let views = exam(&options).unwrap();
    views.iter().map(|v| named((*dicom_object::from_reader(&v.to_bytes().unwrap()[..]).unwrap()).clone())).collect()
}

fn bench(files: Vec<Vec<u8>>) -> Bench {
    let bench = Bench::new(files);
    write_unet(&bench.models(), |manifest| {
        manifest["report"]["disclaimer_translations"] = json!({"ko": "시험용입니다. 진단에 사용할 수 없습니다."});
        manifest["task"]["Segmentation"]["segments"][0]["translations"] = json!({"ko": "밝은 부분"});
    });
    bench
}

fn run(bench: &Bench, language: Option<Language>) -> RunOutcome {
    let settings = RunSettings { limits: Limits::default(), encapsulated_pdf: language };
    bench.run_with(&mut bench.load(UNET), FirstModel::default(), settings).unwrap()
}

fn object(path: &Path) -> DefaultDicomObject {
    dicom_object::open_file(path).unwrap()
}

fn text(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim().to_owned()
}

/// The document, in a file beside.
fn document(object: &InMemDicomObject, folder: &Path) -> PathBuf {
    let bytes = object.element(tags::ENCAPSULATED_DOCUMENT).unwrap().to_bytes().unwrap();
    let length = object.element(tags::ENCAPSULATED_DOCUMENT_LENGTH).unwrap().to_int::<usize>().unwrap();
    assert!(bytes.len() == length.next_multiple_of(2) && bytes.starts_with(b"%PDF-1.7"), "{length}");
    let path = folder.join("report.pdf");
    std::fs::write(&path, &bytes[..length]).unwrap();
    path
}

/// The document's text, its lines joined; None where poppler is not installed.
fn words(pdf: &Path) -> Option<String> {
    let output = readers::run(Path::new("pdftotext"), &["-layout", pdf.to_str().unwrap(), "-"])?;
    assert!(output.status.success(), "{}", readers::text(&output));
    Some(String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn the_report_is_an_object_of_its_own_in_the_wanted_language() {
    let bench = bench(mammograms(NAME, "ISO_IR 192"));
    assert!(bench.stored_paths(&run(&bench, None), "DOC").is_empty(), "unless it is asked for");
    let outcome = run(&bench, Some(Language::Korean));
    assert!(!outcome.warnings.iter().any(|w| w.contains("PDF")), "{:?}", outcome.warnings);
    let [path] = &bench.stored_paths(&outcome, "DOC")[..] else { panic!("{:?}", outcome.stored) };
    let stored = object(path);
    for (tag, expected) in [
        (tags::SOP_CLASS_UID, uids::ENCAPSULATED_PDF_STORAGE),
        (tags::MODALITY, "DOC"),
        (tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf"),
        (tags::BURNED_IN_ANNOTATION, "YES"),
        (tags::VERIFICATION_FLAG, "UNVERIFIED"),
        (tags::CONTENT_QUALIFICATION, "RESEARCH"),
        (tags::PATIENT_NAME, NAME),
    ] {
        assert_eq!(text(&stored, tag).trim_end_matches('\0'), expected, "{tag}");
    }
    assert!(text(&stored, tags::DOCUMENT_TITLE).contains("not for diagnosis"));
    // What the document shows are the run's own objects, each once.
    let sources = stored.element(tags::SOURCE_INSTANCE_SEQUENCE).unwrap().value().items().unwrap();
    let mut named: Vec<String> = sources.iter().map(|s| text(s, tags::REFERENCED_SOP_INSTANCE_UID)).collect();
    let mut others: Vec<String> =
        outcome.stored.iter().filter(|s| s.kind != "DOC").map(|s| s.sop_instance_uid.clone()).collect();
    named.iter_mut().for_each(|uid| *uid = uid.trim_end_matches('\0').to_owned());
    named.sort();
    others.sort();
    assert_eq!(named, others);
    if let Some(output) = readers::run(Path::new("dciodvfy"), &["-new", path.to_str().unwrap()]) {
        let said = readers::text(&output);
        eprintln!("dciodvfy: {}", said.trim().replace('\n', "; "));
        // The 2022 dciodvfy does not know of the device's UID, as in all of our objects.
        let mut faults = said.lines().filter(|l| l.contains("Error") || l.contains("Warning"));
        assert!(faults.all(|l| l.contains("DeviceUID")), "{said}");
    }
    let pdf = document(&stored, bench.folder.path());
    readers::keep(bench.folder.path());
    let Some(words) = words(&pdf) else { return };
    for expected in [
        "AI 분석 보고서",
        "시험용입니다. 진단에 사용할 수 없습니다.",
        "밝은 부분",
        "Hong Gildong (홍 길동)",
        "연구용",
        "mm²",
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
}

#[test]
fn the_same_question_has_the_same_document_and_another_language_another() {
    let bench = bench(mammograms("Doe^Jane", "ISO_IR 100"));
    let doc = |outcome: &RunOutcome| outcome.stored.iter().find(|s| s.kind == "DOC").unwrap().clone();
    let first = doc(&run(&bench, Some(Language::English)));
    let again = doc(&run(&bench, Some(Language::English)));
    let korean = doc(&run(&bench, Some(Language::Korean)));
    assert_eq!((&again.sop_instance_uid, again.status), (&first.sop_instance_uid, StoreStatus::AlreadyStored));
    assert_ne!(korean.sop_instance_uid, first.sop_instance_uid);
}

#[test]
fn a_name_whose_letters_are_not_known_is_not_guessed() {
    // Korean in the character set of Korea (ISO 2022 IR 149), as older scanners write it.
    let bytes = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
    let placed = mammograms(&"N".repeat(bytes.len().next_multiple_of(2)), "\\ISO 2022 IR 149");
    let replaced = |file: Vec<u8>| {
        let mut name = bytes.to_vec();
        name.resize(bytes.len().next_multiple_of(2), b' ');
        let at = file.windows(name.len()).position(|w| w.iter().all(|b| *b == b'N')).unwrap();
        [&file[..at], &name, &file[at + name.len()..]].concat()
    };
    let bench = bench(placed.into_iter().map(replaced).collect());
    let outcome = run(&bench, Some(Language::English));
    let [path] = &bench.stored_paths(&outcome, "DOC")[..] else { panic!("{:?}", outcome.warnings) };
    let Some(words) = words(&document(&object(path), bench.folder.path())) else { return };
    assert!(words.contains("Hong Gildong") && !words.contains('\u{1b}') && !words.contains("$)C"), "{words}");
}
