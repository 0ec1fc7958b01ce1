//! Other people's readers on our structured reports: what several of them accept, viewers can show.

#[path = "support/mammograms.rs"]
mod mammograms;
#[path = "support/readers.rs"]
mod readers;

use std::path::{Path, PathBuf};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::OpenFileOptions;
use mammograms::{SHA, attributes, exam, header, manifest, prediction, put, write_files};
use orthanc_ai::imaging::ImageAttributes;
use orthanc_ai::manifest::Manifest;
use orthanc_ai::result::{ResultContext, ResultUids, SrSopClass, measurement_report};
use readers::{check_script, keep, python, run, shared, text};
use time::macros::datetime;

struct Variant {
    name: &'static str,
    demo: bool,
    images: Vec<ImageAttributes>,
    failed: &'static [usize],
    sop_class: SrSopClass,
    /// Where the source files are, if they are not to be made.
    files: Option<Vec<PathBuf>>,
}

fn variants() -> Vec<Variant> {
    let base = |name| Variant {
        name,
        demo: true,
        images: exam(),
        failed: &[],
        sop_class: SrSopClass::Comprehensive3d,
        files: None,
    };
    let edited = |edit: &dyn Fn(&mut dicom_object::InMemDicomObject)| {
        let headers = (0..4).map(|n| {
            let mut dataset = header(n);
            edit(&mut dataset);
            attributes(dataset)
        });
        headers.collect::<Vec<_>>()
    };
    let mut variants = vec![
        base("complete"),
        Variant { demo: false, ..base("site_weights") },
        Variant { sop_class: SrSopClass::Comprehensive, ..base("comprehensive_sr") },
        Variant { failed: &[3], ..base("one_failed") },
        Variant { failed: &[0, 1, 2], ..base("three_failed") },
        Variant {
            images: edited(&|o| {
                for tag in [tags::ACCESSION_NUMBER, tags::STUDY_ID, tags::PATIENT_SEX, tags::REFERRING_PHYSICIAN_NAME] {
                    o.remove_element(tag);
                }
                for tag in
                    [tags::IMAGE_LATERALITY, tags::VIEW_POSITION, tags::PATIENT_ORIENTATION, tags::IMAGER_PIXEL_SPACING]
                {
                    o.remove_element(tag);
                }
                put(o, tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0900");
            }),
            ..base("sparse_header")
        },
        Variant {
            images: edited(&|o| {
                put(o, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
                put(o, tags::PATIENT_NAME, VR::PN, "Hong^Gildong=洪^吉洞=홍^길동");
            }),
            ..base("utf8")
        },
    ];
    match real_exam() {
        Some((files, images)) => variants.push(Variant { files: Some(files), images, ..base("real_exam") }),
        None => eprintln!("SKIPPED the real exam: not found under $ORTHANC_AI_SHARED or ../shared"),
    }
    variants
}

fn real_exam() -> Option<(Vec<PathBuf>, Vec<ImageAttributes>)> {
    let names = ["LCC_JPLL", "RCC_JLSL", "LMLO_J2KR", "RMLO_RLE"];
    let path = |n: &str| shared().join(format!("data/mg/derived_nyubirads__{n}.dcm"));
    let files: Vec<PathBuf> = names.iter().map(|n| path(n)).collect();
    files.iter().all(|f| f.exists()).then(|| {
        let open = |f: &PathBuf| OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(f).unwrap().into_inner();
        let images = files.iter().map(|f| attributes(open(f))).collect();
        (files, images)
    })
}

fn context<'a>(manifest: &'a Manifest, images: &'a [&'a ImageAttributes], sop_class: SrSopClass) -> ResultContext<'a> {
    ResultContext {
        manifest,
        weights_sha256: SHA,
        images,
        created: datetime!(2026-03-02 11:22:33 UTC),
        uids: ResultUids::new(images, manifest, SHA),
        software_version: "0.1.0",
        sr_sop_class: sop_class,
    }
}

fn write_variant(dir: &Path, v: &Variant) -> PathBuf {
    let manifest = manifest(v.demo);
    let images: Vec<&ImageAttributes> = v.images.iter().collect();
    let ctx = context(&manifest, &images, v.sop_class);
    let sr = measurement_report(&ctx, &prediction(v.failed)).unwrap();
    let path = dir.join(format!("{}.dcm", v.name));
    std::fs::write(&path, sr.bytes).unwrap();
    path
}

/// The folder with every variant's report and, in `source`, the images of one variant.
fn each(check: impl Fn(&Variant, &str)) {
    let dir = tempfile::tempdir().unwrap();
    for v in variants() {
        let path = write_variant(dir.path(), &v);
        check(&v, path.to_str().unwrap());
    }
}

#[test]
fn dciodvfy_finds_no_error() {
    each(|v, path| {
        let Some(output) = run(Path::new("dciodvfy"), &["-new", path]) else { return };
        let text = text(&output);
        let iod = if v.sop_class == SrSopClass::Comprehensive { "ComprehensiveSR" } else { "Comprehensive3DSR" };
        assert!(text.lines().any(|l| l.trim() == iod), "{}: not recognised as {iod}:\n{text}", v.name);
        let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("Error") || l.starts_with("Abort")).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", v.name);
    });
}

#[test]
fn dsrdump_reads_strictly() {
    each(|v, path| {
        let Some(output) = run(Path::new("dsrdump"), &[path]) else { return };
        let text = text(&output);
        let bad = text.lines().any(|l| l.starts_with("E:") || l.starts_with("F:"));
        assert!(output.status.success() && !bad, "{}:\n{text}", v.name);
        assert!(text.contains("Imaging Measurement Report") && text.contains("UNVERIFIED"), "{}:\n{text}", v.name);
    });
}

/// highdicom reads back what was written: groups, findings, sides, probabilities with their class, presence.
#[test]
fn highdicom_reads_the_same_findings() {
    const SCRIPT: &str = r#"
import sys, highdicom as hd
for g in hd.sr.srread(sys.argv[1]).content.get_planar_roi_measurement_groups():
    site = g.finding_sites[0]
    nums = [(m.value, m[0].ContentSequence[0].ConceptCodeSequence[0].CodeValue) for m in g.get_measurements()]
    codes = [(q.name.value, q.value.meaning) for q in g.get_qualitative_evaluations()]
    print(g.finding_type.value, site.value.value, site.laterality.meaning if site.laterality else '-', g.roi.graphic_type.value,
          *(f'{c}={v}' for v, c in nums), *(f'{n}:{p}' for n, p in codes if n in {c for _, c in nums}), sep='|')
"#;
    let Some(python) = python() else { return };
    each(|v, path| {
        let Some(output) = run(&python, &["-c", SCRIPT, path]) else { return };
        assert!(output.status.success(), "{}:\n{}", v.name, text(&output));
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout.lines().collect::<Vec<_>>(), expected_groups(v), "{}", v.name);
    });
}

fn expected_groups(v: &Variant) -> Vec<String> {
    let manifest = manifest(v.demo);
    let mut lines = Vec::new();
    for p in &prediction(v.failed).images {
        let Ok(finding) = &p.outcome else { continue };
        let code = |class: usize| manifest.classes()[class].concept.value.as_str();
        let side = match v.images[p.image].laterality.as_deref() {
            Some("L") => "Left",
            Some("R") => "Right",
            _ => "-",
        };
        let mut parts = vec![code(finding.class).to_owned(), "76752008".into(), side.into(), "POLYLINE".into()];
        let mut order = finding.all.clone();
        order.sort_by_key(|c| (c.class != finding.class, c.class));
        parts.extend(order.iter().map(|c| format!("{}={}", code(c.class), (c.probability * 1e6).round() / 1e4)));
        parts.extend(finding.all.iter().map(|c| {
            let presence = match c.probability {
                p if p >= 0.5 => "Present",
                p if p < 0.2 => "Absent",
                _ => "Undetermined",
            };
            format!("{}:{presence}", code(c.class))
        }));
        lines.push(parts.join("|"));
    }
    lines
}

/// PixelMed's template validator, OHIF's SR bundle and the rest, behind one script. PixelMed takes its time: it gets
/// the report that has every form in it.
#[test]
fn check_sr_passes() {
    let Some(check_sr) = check_script("check_sr") else { return };
    let all_templates = std::env::var_os("ORTHANC_AI_PIXELMED_ALL").is_some();
    let dir = tempfile::tempdir().unwrap();
    for v in variants() {
        let path = write_variant(dir.path(), &v);
        let sources = dir.path().join(format!("{}_source", v.name));
        std::fs::create_dir(&sources).unwrap();
        match &v.files {
            Some(files) => {
                for file in files {
                    std::fs::copy(file, sources.join(file.file_name().unwrap())).unwrap();
                }
            }
            None => drop(write_files(&sources, &v.images)),
        }
        let mut args = vec![path.to_str().unwrap(), "--source", sources.to_str().unwrap()];
        if !all_templates && v.name != "one_failed" {
            args.push("--no-pixelmed");
        }
        let Some(output) = run(&check_sr, &args) else { return };
        let text = text(&output);
        eprintln!("{}: {}", v.name, text.trim().replace('\n', "; "));
        assert!(output.status.success() && text.contains("RESULT PASS"), "{}:\n{text}", v.name);
    }
    keep(dir.path());
}

/// Headers of files that were made to break readers, as source images: a report or an error, never a panic, and what is
/// written can be read.
#[test]
fn malformed_headers_give_a_report_or_an_error() {
    let Ok(folder) = std::fs::read_dir(shared().join("data/malformed")) else {
        return eprintln!("SKIPPED malformed headers: not found under $ORTHANC_AI_SHARED or ../shared");
    };
    let (mut reports, mut refused) = (0, 0);
    for file in folder.map(|f| f.unwrap().path()) {
        let Ok(object) = OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(&file) else { continue };
        let view = |n: usize| {
            let mut image = attributes(object.clone().into_inner());
            image.sop_instance_uid = format!("2.25.4000{n}");
            image
        };
        let images: Vec<ImageAttributes> = (0..4).map(view).collect();
        let images: Vec<&ImageAttributes> = images.iter().collect();
        let manifest = manifest(true);
        let ctx = context(&manifest, &images, SrSopClass::default());
        match measurement_report(&ctx, &prediction(&[1])) {
            Ok(sr) => {
                dicom_object::from_reader(std::io::Cursor::new(sr.bytes)).unwrap();
                reports += 1;
            }
            Err(e) => {
                eprintln!("{}: {e}", file.file_name().unwrap().to_string_lossy());
                refused += 1;
            }
        }
    }
    eprintln!("malformed headers: {reports} reports, {refused} refused");
    assert!(reports > 0);
}
