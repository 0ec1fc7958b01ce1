//! docs/dicom-conformance.md against objects that the code has written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::header::Header;
use dicom_core::{Length, Tag};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::{InMemDicomObject, from_reader, open_file};
use orthanc_ai::result::codes::PRIVATE;
use orthanc_ai::result::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, MANUFACTURER};
use orthanc_ai::source::pictures::{NewPatient, PictureParent, dicom_picture};

use super::author::{followed, tool};
use super::{cells, code, document, root, sources};

/// What `src` may create, by the names of dicom-rs.
const CREATED: [(&str, &str); 8] = [
    ("COMPREHENSIVE3_DSR_STORAGE", uids::COMPREHENSIVE3_DSR_STORAGE),
    ("COMPREHENSIVE_SR_STORAGE", uids::COMPREHENSIVE_SR_STORAGE),
    ("SEGMENTATION_STORAGE", uids::SEGMENTATION_STORAGE),
    ("LABEL_MAP_SEGMENTATION_STORAGE", uids::LABEL_MAP_SEGMENTATION_STORAGE),
    ("SECONDARY_CAPTURE_IMAGE_STORAGE", uids::SECONDARY_CAPTURE_IMAGE_STORAGE),
    ("ENCAPSULATED_STL_STORAGE", uids::ENCAPSULATED_STL_STORAGE),
    ("ENCAPSULATED_PDF_STORAGE", uids::ENCAPSULATED_PDF_STORAGE),
    ("VL_PHOTOGRAPHIC_IMAGE_STORAGE", uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE),
];

fn statement() -> String {
    document("docs/dicom-conformance.md")
}

/// The section whose heading contains `mark`, up to the next heading.
fn section(mark: &str) -> String {
    let statement = statement();
    let lines = statement.lines().skip_while(|l| !(l.starts_with('#') && l.contains(mark)));
    let section: Vec<&str> =
        lines.enumerate().take_while(|(n, l)| *n == 0 || !l.starts_with('#')).map(|(_, l)| l).collect();
    assert!(!section.is_empty(), "docs/dicom-conformance.md has no section on {mark}");
    section.join("\n")
}

#[test]
fn every_class_that_is_created_is_named() {
    let mut found = BTreeSet::new();
    let pictures = root().join("src/source/pictures.rs");
    for path in sources(&["result"]).into_iter().chain([pictures]) {
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("uids::").skip(1) {
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').collect();
            if name.ends_with("_STORAGE") {
                found.insert(name);
            }
        }
    }
    let table = section("1. Overview");
    for name in &found {
        let known = CREATED.iter().find(|(n, _)| n == name);
        let (_, uid) =
            known.unwrap_or_else(|| panic!("src creates {name}: name it in docs/dicom-conformance.md and here"));
        assert!(
            table.lines().map(cells).any(|c| c.get(1) == Some(uid)),
            "{name}, {uid}, is not in the table of section 1"
        );
    }
    assert_eq!(found.len(), CREATED.len(), "{found:?}");
}

#[test]
fn codes_and_names_of_our_own_are_named() {
    let statement = statement();
    let codes = fs::read_to_string(root().join("src/result/codes.rs")).unwrap();
    let private: Vec<&str> = codes.split("= private(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(private.len() >= 5, "{private:?}");
    for name in
        private.into_iter().chain([PRIVATE, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, MANUFACTURER])
    {
        assert!(statement.contains(name), "docs/dicom-conformance.md does not name {name}");
    }
}

#[test]
fn tags_are_those_of_the_keywords() {
    let statement = statement();
    let mut checked = 0;
    for (before, after) in statement.split('`').collect::<Vec<_>>().windows(2).map(|pair| (pair[0], pair[1])) {
        let Some(tag) = after.strip_prefix(" (").and_then(|rest| rest.get(..9)).filter(|tag| tag.as_bytes()[4] == b',')
        else {
            continue;
        };
        let entry = StandardDataDictionary.by_name(before).unwrap_or_else(|| panic!("{before} is no keyword"));
        assert_eq!(entry.tag().to_string(), format!("({tag})"), "{before}");
        checked += 1;
    }
    assert!(checked > 200, "{checked}");
}

/// The rows of a section's tables of attributes: (depth, keyword, presence), and all keywords that it names.
fn attributes(section: &str) -> (Vec<(usize, String, String)>, BTreeSet<String>) {
    let named = section.lines().flat_map(code).map(str::to_owned).collect();
    let rows = section.lines().map(cells).filter(|c| c.len() == 4 && c[0].contains('`'));
    let rows = rows.map(|c| (c[0].matches('>').count(), code(c[0])[0].to_owned(), c[1].to_owned()));
    (rows.collect(), named)
}

fn keyword(tag: Tag) -> String {
    StandardDataDictionary.by_tag(tag).map_or_else(|| tag.to_string(), |e| e.alias().to_owned())
}

fn keywords(object: &InMemDicomObject, into: &mut BTreeSet<String>) {
    for element in object {
        into.insert(keyword(element.tag()));
        element.value().items().unwrap_or_default().iter().for_each(|item| keywords(item, into));
    }
}

/// Whether what is in the object is named in `sections`, and what the last `own` of them say to be always there is.
fn check(object: &InMemDicomObject, sections: &[&str], own: usize) {
    let class = object.element(tags::SOP_CLASS_UID).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned();
    let (rows, named): (Vec<_>, Vec<_>) = sections.iter().map(|s| attributes(&section(s))).unzip();
    let named: BTreeSet<String> = named.into_iter().flatten().collect();
    let mut found = BTreeSet::new();
    keywords(object, &mut found);
    let unnamed: Vec<&String> = found.difference(&named).collect();
    assert!(unnamed.is_empty(), "docs/dicom-conformance.md does not name {unnamed:?} of {class}");
    let rows = rows.into_iter().rev().take(own).flatten();
    for (_, keyword, presence) in rows.filter(|(depth, ..)| *depth == 0) {
        // "patient and study" stands for attributes of another table.
        let Some(entry) = StandardDataDictionary.by_name(&keyword) else { continue };
        let length = object.get(entry.tag()).map(|e| match e.value().items() {
            Some(items) => Length(u32::try_from(items.len()).unwrap()),
            None => e.header().len,
        });
        let expected = match presence.as_str() {
            "ALWAYS" => length.is_some_and(|l| l != Length(0)),
            "VNAP" => length.is_some(),
            "EMPTY" => length.is_none_or(|l| l == Length(0)),
            "ANAP" => true,
            other => panic!("{keyword}: {other}"),
        };
        assert!(expected, "{keyword} of {class}: {presence}, found {length:?}");
    }
}

#[test]
fn objects_are_as_the_statement_says() {
    let folder = followed().folder.path();
    let models = folder.join("my-models");
    // A label map, and heat maps, beside what the guide has made.
    let labelmap = tempfile::tempdir().unwrap();
    let manifest = fs::read_to_string(models.join("my-segmentation/manifest.json")).unwrap();
    let manifest = manifest.replace("\"segments\": [", "\"encoding\": \"labelmap\", \"segments\": [");
    let model = labelmap.path().join("my-segmentation");
    fs::create_dir(&model).unwrap();
    fs::write(model.join("manifest.json"), manifest).unwrap();
    fs::copy(models.join("my-segmentation/model.pt"), model.join("model.pt")).unwrap();
    tool(folder, labelmap.path(), "orthanc-ai run my-segmentation slices -o objects");
    tool(folder, &root().join("models"), "orthanc-ai run skin-lesion-demo cases -o objects");

    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for file in ["out", "objects"].iter().flat_map(|name| fs::read_dir(folder.join(name)).unwrap()) {
        let object = open_file(file.unwrap().path()).unwrap();
        let class = object.element(tags::SOP_CLASS_UID).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned();
        let mark =
            if class == uids::SECONDARY_CAPTURE_IMAGE_STORAGE { "heat maps".to_owned() } else { format!("({class})") };
        check(&object, &["Modules of all result objects", &mark], 2);
        *seen.entry(class).or_default() += 1;
    }
    // The plugin alone writes PDF (tests/stored_report.rs), pictures have a test of their own.
    let never = [uids::COMPREHENSIVE_SR_STORAGE, uids::ENCAPSULATED_PDF_STORAGE, uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE];
    for (name, uid) in CREATED.iter().filter(|(_, uid)| !never.contains(uid)) {
        assert!(seen.contains_key(*uid), "no {name} was looked at: {seen:?}");
    }
}

#[test]
fn pictures_are_as_the_statement_says() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["png", "jpeg"] {
        let phantom =
            format!("orthanc-ai phantom dermoscopy --count 1 --rows 64 --columns 96 --format {format} --out {format}");
        tool(folder.path(), folder.path(), &phantom);
        let files = fs::read_dir(folder.path().join(format)).unwrap().map(|file| file.unwrap().path());
        let picture = files.into_iter().find(|path| path.extension().is_some_and(|e| e != "csv")).unwrap();
        let patient = NewPatient { patient_id: "P-1".into(), ..NewPatient::default() };
        let bytes = fs::read(picture).unwrap();
        let made = dicom_picture(&bytes, &PictureParent::New(&patient), None, 1, Some("one")).unwrap();
        let object = from_reader(&made.bytes[..]).unwrap();
        check(&object, &["Modules of all result objects", "7. Pictures"], 1);
    }
}
