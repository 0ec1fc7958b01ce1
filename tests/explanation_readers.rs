//! Explanations as DICOM: heat maps (colour Secondary Capture) and their regions in the report. What is in the files, what other people's readers
//! say of them, and the colours against the reference's.

mod golden;
#[path = "support/heads.rs"]
mod heads;
#[path = "support/readers.rs"]
mod readers;

use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use heads::{Source, explanation, manifest, prediction, sources, write_file};
use orthanc_ai::result::secondary_capture::jet;
use orthanc_ai::result::{Remarks, ResultError, ResultKind, Results, encode_remarked, heat_map_object};
use readers::{check_script, keep, python, run, text};

/// The heat map of a source, read back.
fn written(source: &Source) -> (Vec<u8>, DefaultDicomObject) {
    let manifest = manifest();
    let images = [&source.image];
    let ctx = heads::context(&manifest, &images);
    let object = heat_map_object(&ctx, &explanation(source, 0.87), 1).unwrap();
    let read = dicom_object::from_reader(std::io::Cursor::new(&object.bytes)).unwrap();
    (object.bytes, read)
}

fn value(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    Some(object.get(tag)?.to_str().ok()?.trim_end_matches(['\0', ' ']).to_owned())
}

#[test]
fn jet_equals_the_reference() {
    let Some(golden) = golden::Golden::open() else { return };
    let bgr = golden.fixture("preproc").u8s("colormap.jet_bgr");
    assert_eq!(bgr.len(), 3 * 256);
    for (level, expected) in (0..=255u8).zip(bgr.chunks_exact(3)) {
        let [r, g, b] = jet(level);
        assert_eq!([b, g, r], expected, "level {level}");
    }
}

#[test]
fn the_picture_lies_where_its_source_lies_and_says_what_it_is() {
    for source in sources() {
        let (_, object) = written(&source);
        let name = source.name;
        for (tag, expected) in [
            (tags::MODALITY, "OT"),
            (tags::IMAGE_TYPE, "DERIVED\\SECONDARY"),
            (tags::CONVERSION_TYPE, "WSD"),
            (tags::BURNED_IN_ANNOTATION, "YES"),
            (tags::CONTENT_QUALIFICATION, "RESEARCH"),
            (tags::PHOTOMETRIC_INTERPRETATION, "RGB"),
            (tags::PATIENT_ID, "P-1"),
        ] {
            assert_eq!(value(&object, tag).as_deref(), Some(expected), "{name}: {tag}");
        }
        let header = &source.image.dataset;
        let geometry = [
            tags::IMAGE_POSITION_PATIENT,
            tags::IMAGE_ORIENTATION_PATIENT,
            tags::PIXEL_SPACING,
            tags::FRAME_OF_REFERENCE_UID,
        ];
        for tag in [tags::ROWS, tags::COLUMNS].into_iter().chain(geometry) {
            if source.slice.is_none() {
                assert_eq!(value(&object, tag), value(header, tag), "{name}: {tag}");
            }
        }
        if let Some(slice) = &source.slice {
            assert_eq!(value(&object, tags::IMAGE_POSITION_PATIENT).unwrap(), slice.position.join("\\"));
            assert_eq!(value(&object, tags::PIXEL_SPACING).unwrap(), slice.pixel_spacing.join("\\"));
        }
        let derivation = value(&object, tags::DERIVATION_DESCRIPTION).unwrap();
        assert!(derivation.contains("Grad-CAM") && derivation.contains("research use only"), "{derivation}");
        let origin = &object.get(tags::SOURCE_IMAGE_SEQUENCE).unwrap().value().items().unwrap()[0];
        assert_eq!(value(origin, tags::REFERENCED_SOP_INSTANCE_UID).unwrap(), source.image.sop_instance_uid);
        assert_eq!(value(origin, tags::SPATIAL_LOCATIONS_PRESERVED).unwrap(), "YES");
        assert!(object.get(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE).is_some());
        let pixels = object.get(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().len();
        assert_eq!(pixels, (3 * source.image.rows * source.image.columns).next_multiple_of(2), "{name}");
    }
}

#[test]
fn the_same_question_gives_the_same_object_and_another_map_another_one() {
    let source = &sources()[0];
    let (manifest, images) = (manifest(), [&source.image]);
    let ctx = heads::context(&manifest, &images);
    let made = |edit: &dyn Fn(&mut orthanc_ai::predict::ImageExplanation)| {
        let mut explanation = explanation(source, 0.87);
        edit(&mut explanation);
        heat_map_object(&ctx, &explanation, 1)
    };
    let (one, again) = (made(&|_| {}).unwrap(), made(&|_| {}).unwrap());
    assert_eq!(one.bytes, again.bytes);
    let other = made(&|e| e.heat[[100, 100]] = 0.77).unwrap();
    assert_ne!(one.sop_instance_uid, other.sop_instance_uid);
    assert_eq!(one.series_instance_uid, other.series_instance_uid);

    let refused = |edit: &dyn Fn(&mut orthanc_ai::predict::ImageExplanation)| made(edit).unwrap_err().to_string();
    assert!(refused(&|e| e.heat = ndarray::Array2::zeros((3, 4))).contains("found a heat map of 3 x 4"));
    assert!(refused(&|e| e.image = 7).contains("image 7, expected 0..1"));
    assert!(refused(&|e| e.class = 7).contains("found class 7, expected 0..2"));
    let small = made(&|e| {
        e.heat = ndarray::Array2::zeros((20, 30));
        e.picture = ndarray::Array3::zeros((20, 30, 3));
    });
    assert!(matches!(small, Err(ResultError::Picture { rows: 20, columns: 30, .. })));
}

#[test]
fn dciodvfy_finds_no_error() {
    let dir = tempfile::tempdir().unwrap();
    for source in sources() {
        let path = dir.path().join(format!("{}.dcm", source.name));
        std::fs::write(&path, written(&source).0).unwrap();
        let Some(output) = run(Path::new("dciodvfy"), &["-new", path.to_str().unwrap()]) else { return };
        let text = text(&output);
        let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("Error") || l.starts_with("Abort")).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", source.name);
        assert!(text.lines().any(|l| l.trim() == "SCImage"), "{}: not recognised:\n{text}", source.name);
    }
    keep(dir.path());
}

/// pydicom decodes the pixels that we meant.
#[test]
fn pydicom_reads_the_pixels() {
    const SCRIPT: &str = r#"
import sys, pydicom
a = pydicom.dcmread(sys.argv[1]).pixel_array
print(*a.shape, a.dtype, int(a.sum()))
"#;
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    for source in sources() {
        let path = dir.path().join("sc.dcm");
        let (bytes, object) = written(&source);
        std::fs::write(&path, bytes).unwrap();
        let Some(output) = run(&python, &["-c", SCRIPT, path.to_str().unwrap()]) else { return };
        let size = 3 * source.image.rows * source.image.columns;
        let pixels = object.get(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
        let sum: u64 = pixels[..size].iter().map(|v| u64::from(*v)).sum();
        let expected = format!("{} {} 3 uint8 {sum}", source.image.rows, source.image.columns);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{}: {}", source.name, text(&output));
    }
}

const OUT_OF_DOMAIN: &str =
    "out of the model's domain: this does not look like a head CT: found \u{2265} 3 \u{d7} 4 cm\u{b2}";

/// The report and the heat map of a source.
fn encoded(source: &Source, explained: bool) -> Results {
    let (manifest, images) = (manifest(), [&source.image]);
    let explanations: Vec<_> = explained.then(|| explanation(source, 0.87)).into_iter().collect();
    let out_of_domain = if explained { vec![OUT_OF_DOMAIN.to_owned()] } else { Vec::new() };
    let remarks = Remarks { explanations: &explanations, out_of_domain: &out_of_domain };
    encode_remarked(&heads::context(&manifest, &images), &prediction(0.87), &remarks).unwrap()
}

/// The files of a source and of what is said of it: (report, folder of everything else).
fn write_all(dir: &Path, source: &Source) -> (std::path::PathBuf, std::path::PathBuf) {
    let folder = dir.join(source.name);
    std::fs::create_dir(&folder).unwrap();
    write_file(&folder, source);
    let report = dir.join(format!("{}_sr.dcm", source.name));
    for object in encoded(source, true).objects {
        let path =
            if object.kind == ResultKind::Sr { report.clone() } else { dir.join(format!("{}_sc.dcm", source.name)) };
        std::fs::write(path, object.bytes).unwrap();
    }
    (report, folder)
}

/// Structure, templates, relationships and viewers' own code, behind one script.
#[test]
fn check_sr_passes() {
    let Some(check_sr) = check_script("check_sr") else { return };
    let dir = tempfile::tempdir().unwrap();
    for source in sources() {
        let (report, folder) = write_all(dir.path(), &source);
        let mut args = vec![report.to_str().unwrap(), "--source", folder.to_str().unwrap()];
        // PixelMed's template validator takes its time: it gets one report with places and one without.
        if !matches!(source.name, "ct" | "photograph") {
            args.push("--no-pixelmed");
        }
        let Some(output) = run(&check_sr, &args) else { return };
        let text = text(&output);
        eprintln!("{}: {}", source.name, text.trim().replace('\n', "; "));
        assert!(output.status.success() && text.contains("RESULT PASS"), "{}:\n{text}", source.name);
    }
}

/// highdicom reads each region with its class, site, side, part and outline.
#[test]
fn highdicom_reads_the_regions() {
    const SCRIPT: &str = r#"
import sys, highdicom as hd
for g in hd.sr.srread(sys.argv[1]).content.get_planar_roi_measurement_groups():
    if 'region' not in g.tracking_identifier: continue
    site = g.finding_sites[0]
    print(g.finding_type.value, site.value.value, site.laterality.meaning if site.laterality else '-',
          site.topographical_modifier.meaning if site.topographical_modifier else '-', g.roi.graphic_type.value, len(g.roi.value) > 4,
          *(m.name.value for m in g.get_measurements()), sep='|')
"#;
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    for source in sources() {
        let (report, _) = write_all(dir.path(), &source);
        let Some(output) = run(&python, &["-c", SCRIPT, report.to_str().unwrap()]) else { return };
        assert!(output.status.success(), "{}:\n{}", source.name, text(&output));
        let places = match source.name {
            "photograph" => ["-|-", "-|-"],
            _ => ["Right|Central", "-|Posterior"],
        };
        let area = if source.image.pixel_spacing_mm.is_some() { "|42798000" } else { "" };
        let expected = places.map(|place| format!("1386000|12738006|{place}|POLYLINE|True{area}|HEAT_PEAK"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{}", source.name);
    }
}

#[test]
fn the_page_gets_regions_and_sentences() {
    let source = &sources()[0];
    let results = encoded(source, true);
    let explained = &results.report.explanations[0];
    let map = results.objects.iter().find(|o| o.kind == ResultKind::Sc).unwrap();
    assert_eq!(explained.heat_map_instance_uid, map.sop_instance_uid);
    assert_eq!(explained.regions.len(), 2);
    assert_eq!(
        (explained.regions[0].side.as_deref(), explained.regions[0].part.as_deref()),
        (Some("right"), Some("middle"))
    );
    let english = &explained.texts["en"];
    assert_eq!(english[0], "The model sees signs of Haemorrhage (87 %).");
    assert!(english[1].starts_with("Region 1: right, middle third, about "), "{english:?}");
    assert!(english.last().unwrap().to_lowercase().contains("research"), "{english:?}");
    assert_eq!(results.report.out_of_domain, [OUT_OF_DOMAIN]);
    let sr = results.objects.iter().find(|o| o.kind == ResultKind::Sr).unwrap();
    let sr = dicom_object::from_reader(std::io::Cursor::new(&sr.bytes)).unwrap();
    let items = sr.get(tags::CONTENT_SEQUENCE).unwrap().value().items().unwrap();
    let texts: Vec<String> = items.iter().filter_map(|item| value(item, tags::TEXT_VALUE)).collect();
    let has = |wanted: &str| texts.iter().any(|text| text.contains(wanted));
    assert!(has("out of the model's domain: this does not look like a head CT: found >= 3 x 4 cm2"), "{texts:?}");
    assert!(
        has("Image 1: The model sees signs of Haemorrhage (87 %). Region 1: right, middle third, about "),
        "{texts:?}"
    );
    let json = serde_json::to_value(&results.report).unwrap();
    let back: orthanc_ai::result::Report = serde_json::from_value(json).unwrap();
    assert_eq!(back, results.report);
}

/// A model without explanations writes what it always wrote: the same report under the same UID.
#[test]
fn without_explanations_nothing_changes() {
    let source = &sources()[0];
    let (manifest, images) = (manifest(), [&source.image]);
    let ctx = heads::context(&manifest, &images);
    let plain = orthanc_ai::result::encode(&ctx, &prediction(0.87)).unwrap();
    let results = encoded(source, false);
    assert_eq!(results.objects.len(), 1);
    assert_eq!(results.objects[0].bytes, plain.objects[0].bytes);
    assert!(!serde_json::to_string(&results.report).unwrap().contains("Explanations"));
    // Sentences need no heat map.
    let answer = results.report.images[0].result.as_ref().unwrap();
    assert_eq!(answer.texts["en"][0], "The model sees signs of Haemorrhage (87 %).");
    assert!(answer.texts["en"].last().unwrap().contains("DEMO"), "{:?}", answer.texts);
    assert_ne!(encoded(source, true).objects[1].sop_instance_uid, plain.objects[0].sop_instance_uid);
}
