//! Segmentation of single images and two stages, from files to result objects without a server: the masks are known pixel by pixel, and other
//! people's readers must find them.

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
use image_models::{CLASSIFIER, SEGMENT, UNET, native, write_classifier, write_unet};
use ndarray::Array2;
use orthanc_ai::imaging::{SegObject, read_image_frame};
use orthanc_ai::phantom::{BreastMriPhantom, Class, ExamOptions, Orientation, SeriesLayout, exam};
use orthanc_ai::run::pipeline::{FirstModel, RunOutcome};
use orthanc_ai::run::stages::{KnownRegions, RegionImage, RegionObject};
use orthanc_ai::source::directory::DirectorySource;
use runs::Bench;
use serde_json::{Value, json};

impl Bench {
    fn unet(&self, change: impl FnOnce(&mut Value)) {
        write_unet(&self.models(), change);
    }

    fn classifier(&self, change: impl FnOnce(&mut Value)) {
        write_classifier(&self.models(), change);
    }

    fn segment(&self) -> RunOutcome {
        self.run(&mut self.load(UNET)).unwrap()
    }

    fn stored(&self, outcome: &RunOutcome, kind: &str) -> Vec<Vec<u8>> {
        self.stored_paths(outcome, kind).into_iter().map(|path| std::fs::read(path).unwrap()).collect()
    }

    /// check_seg and check_sr on all that a run has stored, with the sources beside.
    fn other_readers_accept(&self, outcome: &RunOutcome, name: &str) {
        let sources = self.folder.path().join(format!("sources-{name}"));
        std::fs::create_dir(&sources).unwrap();
        for (i, file) in self.files.iter().enumerate() {
            std::fs::write(sources.join(format!("{i:04}.dcm")), file).unwrap();
        }
        let mut objects = Vec::new();
        for (kind, script) in [("SEG", "check_seg"), ("SR", "check_sr")] {
            for (n, bytes) in self.stored(outcome, kind).iter().enumerate() {
                let path = self.folder.path().join(format!("{name}-{kind}-{n}.dcm"));
                std::fs::write(&path, bytes).unwrap();
                objects.push((script, path));
            }
        }
        for (script, object) in &objects {
            let Some(program) = readers::check_script(script) else { return };
            let mut args = vec![object.to_str().unwrap(), "--source", sources.to_str().unwrap()];
            if *script == "check_sr" {
                // The report refers to the masks, which lie beside the sources from here on.
                for (n, (_, seg)) in objects.iter().enumerate().filter(|(_, (script, _))| *script == "check_seg") {
                    std::fs::copy(seg, sources.join(format!("seg-{n}.dcm"))).unwrap();
                }
                args.push("--no-pixelmed");
            }
            let Some(output) = readers::run(&program, &args) else { return };
            let text = readers::text(&output);
            eprintln!("{name} {script}: {}", text.trim().replace('\n', "; "));
            assert!(output.status.success() && text.contains("RESULT PASS"), "{name} {}:\n{text}", object.display());
        }
        readers::keep(self.folder.path());
    }
}

/// What the UNet finds: bytes of 128 and more, after the image's own minimum and maximum.
fn expected(file: &[u8], frame: Option<u32>) -> Array2<u8> {
    let image = read_image_frame(file, frame, None).unwrap();
    let values = image.values();
    let (min, max) = values.iter().fold((f32::MAX, f32::MIN), |(min, max), &v| (min.min(v), max.max(v)));
    values.mapv(|v| {
        let byte = (f64::from(v) - f64::from(min)) / (f64::from(max) - f64::from(min)) * 255.0;
        u8::from(byte.trunc() >= 128.0)
    })
}

/// SOPInstanceUID, and the frame's number in a multi-frame image.
type Source = (String, Option<u32>);

/// Every frame of a segmentation with the UID and frame of its source.
fn masks(seg: &[u8]) -> Vec<(Source, Array2<u8>)> {
    let seg = SegObject::read(seg).unwrap();
    let frame = |i: usize| (seg.frames[i].source.clone().unwrap(), seg.mask(i).unwrap().mapv(|n| u8::from(n != 0)));
    (0..seg.frames.len()).map(frame).collect()
}

fn object(file: &[u8]) -> DefaultDicomObject {
    dicom_object::from_reader(file).unwrap()
}

fn text(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim().to_string()
}

fn bytes(object: InMemDicomObject) -> Vec<u8> {
    dicom_file::file(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)
}

fn mammograms() -> Vec<Vec<u8>> {
    let options = ExamOptions {
        seed: 7001,
        classes: [Class::Mass, Class::Normal, Class::Mass, Class::Normal],
        size: (208, 160),
        spacing_mm: 1.12,
        ..ExamOptions::default()
    };
    exam(&options).unwrap().iter().map(|v| v.to_bytes().unwrap()).collect()
}

/// One phase of a breast MRI, the last slice first.
fn slices(seed: u64, orientation: Orientation) -> Vec<Vec<u8>> {
    let phantom = BreastMriPhantom { seed, size: [20, 48, 56], spacing_mm: [8.0, 6.5, 6.0], orientation, lesion: true };
    let study = phantom.to_dicom(SeriesLayout::default()).unwrap();
    study.instances.iter().rev().filter(|i| i.phase == 1).map(|i| i.to_bytes().unwrap()).collect()
}

#[test]
fn projections_have_a_segmentation_each_and_one_report() {
    let bench = Bench::new(mammograms());
    bench.unet(|_| {});
    let outcome = bench.segment();
    assert_eq!(bench.stored(&outcome, "SR").len(), 1);
    let segs = bench.stored(&outcome, "SEG");
    assert_eq!(segs.len(), 4, "{:?}", outcome.warnings);
    for seg in &segs {
        let [((uid, frame), mask)] = &masks(seg)[..] else { panic!("one frame expected") };
        let source = bench.files.iter().find(|f| text(&object(f), tags::SOP_INSTANCE_UID) == *uid).unwrap();
        assert_eq!((mask, *frame), (&expected(source, None), None));
        let seg = object(seg);
        assert!(seg.get(tags::FRAME_OF_REFERENCE_UID).is_none());
        assert_eq!(text(&seg, tags::PATIENT_ORIENTATION), text(&object(source), tags::PATIENT_ORIENTATION));
    }
    for image in &outcome.report.images {
        let found = image.segmentation.as_ref().unwrap();
        let measured = found.segments[0].measurements.as_ref().unwrap();
        let source = bench.files.iter().find(|f| text(&object(f), tags::SOP_INSTANCE_UID) == image.instance_uid);
        let mask = expected(source.unwrap(), None);
        let inside = mask.iter().filter(|v| **v == 1).count();
        assert_eq!(measured.pixels, inside);
        assert!((measured.share_percent - 100.0 * inside as f64 / mask.len() as f64).abs() < 1e-9);
        // The phantom's pixels are calibrated: PixelSpacing.
        assert!((measured.area_mm2.unwrap() - inside as f64 * 1.12 * 1.12).abs() < 1e-6 * inside as f64);
        assert!(measured.long_axis_mm.is_some() && found.mask_frames == [0]);
    }
    bench.other_readers_accept(&outcome, "projections");

    // The same question gives the same objects; what is said of an image does not depend on the others.
    let again = bench.segment();
    assert!(again.stored.iter().all(|s| s.status == orthanc_ai::source::StoreStatus::AlreadyStored));
    let alone = Bench::new(vec![bench.files[2].clone()]);
    alone.unet(|m| m["version"] = json!("1.0.0"));
    let seg = &alone.segment().stored[0];
    assert!(outcome.stored.iter().any(|s| s.sop_instance_uid == seg.sop_instance_uid), "another object for one image");
}

#[test]
fn a_series_has_one_segmentation_in_its_place() {
    for (seed, orientation) in [(7100, Orientation::Axial), (7101, Orientation::Oblique)] {
        let bench = Bench::new(slices(seed, orientation));
        bench.unet(|_| {});
        let outcome = bench.segment();
        let segs = bench.stored(&outcome, "SEG");
        assert_eq!(segs.len(), 1, "{:?}", outcome.warnings);
        let (mut found, mut pixels) = (0, 0);
        for ((uid, _), mask) in masks(&segs[0]) {
            let source = bench.files.iter().find(|f| text(&object(f), tags::SOP_INSTANCE_UID) == uid).unwrap();
            assert_eq!(mask, expected(source, None));
            pixels += mask.iter().filter(|v| **v == 1).count();
            found += usize::from(mask.iter().any(|v| *v == 1));
        }
        let wanted = bench.files.iter().filter(|f| expected(f, None).iter().any(|v| *v == 1)).count();
        assert!(found == wanted && found > 2, "{found} of {wanted} slices");
        let report = &outcome.report;
        assert_eq!(report.images.len(), bench.files.len());
        let volume = report.segmentation.as_ref().unwrap().segments[0].measurements.as_ref().unwrap();
        assert_eq!(volume.voxels, pixels);
        assert!((volume.volume_ml - pixels as f64 * 8.0 * 6.5 * 6.0 / 1000.0).abs() < 1e-6 * volume.volume_ml);
        let areas: f64 = report
            .images
            .iter()
            .filter_map(|i| i.segmentation.as_ref()?.segments[0].measurements.as_ref()?.area_mm2)
            .sum();
        assert!((areas - pixels as f64 * 6.5 * 6.0).abs() < 1e-3, "{areas}");
        assert_eq!(outcome.slices.len(), bench.files.len());
        bench.other_readers_accept(&outcome, &format!("series-{seed}"));
    }
}

#[test]
fn every_frame_of_a_multi_frame_image_is_segmented() {
    let frames: Vec<Vec<u16>> = (0..3u16)
        .map(|n| {
            (0..48 * 40u16)
                .map(|i| if (i / 40 + n * 7) % 48 < 9 && i % 40 > 4 + n { 3000 + n } else { i % 97 })
                .collect()
        })
        .collect();
    let mut multi = object(&mammograms()[0]).into_inner();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, uids::MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE),
        (tags::SOP_INSTANCE_UID, VR::UI, "2.25.8111"),
        (tags::MODALITY, VR::CS, "OT"),
        (tags::NUMBER_OF_FRAMES, VR::IS, "3"),
    ] {
        multi.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    // Nobody knows how large its pixels are in the patient.
    multi.remove_element(tags::PIXEL_SPACING);
    for (tag, value) in [(tags::ROWS, 48u16), (tags::COLUMNS, 40)] {
        multi.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    multi.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(frames.concat().into())));
    let bench = Bench::new(vec![bytes(multi)]);
    bench.unet(|_| {});
    let outcome = bench.segment();
    let segs = bench.stored(&outcome, "SEG");
    assert_eq!(segs.len(), 1);
    let masks = masks(&segs[0]);
    let numbers: Vec<Option<u32>> = masks.iter().map(|((_, frame), _)| *frame).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    for ((_, frame), mask) in &masks {
        assert_eq!(*mask, expected(&bench.files[0], *frame), "{frame:?}");
        assert!(mask.iter().any(|v| *v == 1));
    }
    let frames: Vec<Option<u32>> = outcome.report.images.iter().map(|i| i.frame_number).collect();
    assert_eq!(frames, [Some(1), Some(2), Some(3)]);
    for image in &outcome.report.images {
        let measured = image.segmentation.as_ref().unwrap().segments[0].measurements.as_ref().unwrap();
        assert_eq!((measured.area_mm2, measured.long_axis_mm), (None, None));
        assert!(measured.long_axis_pixels.is_some_and(|n| n > 5.0) && measured.share_percent > 5.0);
    }
    bench.other_readers_accept(&outcome, "multi-frame");
}

/// Resized before the network, and each mask back on its own grid: within a pixel of a block's edge.
#[test]
fn masks_come_back_through_crop_and_resize() {
    let bench = Bench::new(mammograms());
    bench.unet(|m| {
        let mut chain = native();
        let steps = chain.as_array_mut().unwrap();
        let crop = json!({"CropForeground": {
            "threshold": {"Otsu": {"histogram": "levels"}}, "region": "largest_contour", "bounds": "floor_ceil",
        }});
        steps.insert(0, crop);
        steps.insert(2, json!({"Resize": {"spatial_size": [260, 200], "mode": "pil_bilinear"}}));
        m["preprocessing"] = chain;
        m["task"]["Segmentation"]["postprocessing"] =
            json!([{"Invert": {"mode": "linear"}}, {"AsDiscrete": {"threshold": 0.5}}]);
    });
    let outcome = bench.segment();
    for seg in bench.stored(&outcome, "SEG") {
        let [((uid, _), mask)] = &masks(&seg)[..] else { panic!() };
        let source = bench.files.iter().find(|f| text(&object(f), tags::SOP_INSTANCE_UID) == *uid).unwrap();
        let expected = expected(source, None);
        let both = mask.iter().zip(&expected).filter(|(a, b)| **a == 1 && **b == 1).count() as f64;
        let dice = 2.0 * both / (mask.iter().chain(&expected).filter(|v| **v == 1).count() as f64);
        assert!(dice > 0.95, "Dice {dice:.3} with what is bright");
    }
}

#[test]
fn nothing_found_is_stated_and_an_image_that_fails_stops_no_other() {
    // Dark but for one pixel of all: nothing but that; and an image that is constant.
    let mut files = mammograms();
    let mut constant = object(&files[1]).into_inner();
    let pixels = vec![7u16; 208 * 160];
    constant.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    files[1] = bytes(constant);
    let mut truncated = object(&files[3]).into_inner();
    truncated.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(vec![1u16; 8].into())));
    files[3] = bytes(truncated);
    let bench = Bench::new(files);
    bench.unet(|_| {});
    let outcome = bench.segment();
    assert_eq!(bench.stored(&outcome, "SEG").len(), 2, "none of an empty mask");
    let failed: Vec<&str> = outcome.report.images.iter().filter_map(|i| i.error.as_deref()).collect();
    assert!(matches!(failed[..], [reason] if reason.contains("PixelData")), "{failed:?}");
    let empty = outcome.report.images.iter().filter_map(|i| i.segmentation.as_ref()).filter(|s| !s.segments[0].found);
    let empty: Vec<_> = empty.collect();
    assert!(matches!(empty[..], [s] if s.seg_instance_uid.is_none() && s.segments[0].finding == "Bright: not found"));
    bench.other_readers_accept(&outcome, "failures");
}

/// Mean of what the classifier is given: the box of what is bright, all else in it 0, of 24 × 24 pixels.
fn malignant(outcome: &RunOutcome) -> Vec<Option<f64>> {
    let probability = |image: &orthanc_ai::result::report::ImageReport| {
        image.result.as_ref().map(|r| r.all_probabilities["Malignant"].as_f64().unwrap())
    };
    outcome.report.images.iter().map(probability).collect()
}

#[test]
fn the_second_stage_looks_at_what_the_first_has_found() {
    let mut files = slices(7200, Orientation::Axial);
    files = files.split_off(9);
    files.truncate(5);
    let mut dark = object(&files[2]).into_inner();
    dark.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(vec![0u16; 48 * 56].into())));
    files[2] = bytes(dark);
    let bench = Bench::new(files);
    bench.unet(|_| {});
    bench.classifier(|_| {});
    let (mut second, mut first) = (bench.load(CLASSIFIER), bench.load(UNET));
    let outcome = bench.run_staged(&mut second, FirstModel { model: Some(&mut first), regions: None }).unwrap();
    assert!(outcome.warnings.iter().any(|w| w.contains("bright-unet was run first")), "{:?}", outcome.warnings);
    let kinds: Vec<&str> = outcome.stored.iter().map(|s| s.kind.as_str()).collect();
    assert_eq!(kinds, ["SEG", "SR", "SR"], "the first model's objects, then the second's");
    let (_, request) = bench.request(&second);
    for (image, input) in outcome.report.images.iter().zip(&request.inputs) {
        let file = bench.files.iter().find(|f| text(&object(f), tags::SOP_INSTANCE_UID) == input.sop_instance_uid);
        let mask = expected(file.unwrap(), None);
        if mask.iter().all(|v| *v == 0) {
            let error = image.error.as_deref().unwrap();
            assert!(error.contains(&format!("not applicable: no {SEGMENT} found in this image")), "{error}");
            continue;
        }
        // By hand: the box, the bytes inside, their share of the box. PIL's filter keeps the mean but for its edges.
        let values = read_image_frame(file.unwrap(), None, None).unwrap().values();
        let (min, max) = values.iter().fold((f32::MAX, f32::MIN), |(min, max), &v| (min.min(v), max.max(v)));
        let inside: Vec<(usize, usize)> = mask.indexed_iter().filter(|(_, v)| **v == 1).map(|(at, _)| at).collect();
        let extent = |of: fn(&(usize, usize)) -> usize| {
            inside.iter().map(of).max().unwrap() - inside.iter().map(of).min().unwrap() + 1
        };
        let area = extent(|at| at.0) * extent(|at| at.1);
        let sum: f64 =
            inside.iter().map(|at| f64::from(((values[*at] - min) / (max - min) * 255.0).trunc()) / 255.0).sum();
        let expected = 1.0 / (1.0 + (-2.0 * sum / area as f64).exp());
        let found = image.result.as_ref().unwrap().all_probabilities["Malignant"].as_f64().unwrap();
        assert!((found - expected).abs() < 0.02, "{found}, expected {expected}");
    }
    bench.other_readers_accept(&outcome, "two-stages");

    // From the stored objects: the same answers and the same objects, without the first model.
    let seg = outcome.stored.iter().find(|s| s.kind == "SEG").unwrap();
    std::fs::copy(bench.folder.path().join("out").join(&seg.path), bench.folder.path().join("images/zzzz.dcm"))
        .unwrap();
    let source = DirectorySource::open(&bench.folder.path().join("images")).unwrap();
    let number = source.len() - 1;
    let images = request.inputs.iter().map(|i| {
        let file = bench.files.iter().find(|f| text(&object(f), tags::SOP_INSTANCE_UID) == i.sop_instance_uid);
        let object = expected(file.unwrap(), None).iter().any(|v| *v == 1).then_some(0);
        RegionImage { sop_instance_uid: i.sop_instance_uid.clone(), object }
    });
    let region = RegionObject {
        id: orthanc_ai::source::InstanceId(number.to_string()),
        sop_instance_uid: seg.sop_instance_uid.clone(),
    };
    let known = KnownRegions { objects: vec![region], images: images.collect() };
    let stored = bench.run_staged(&mut second, FirstModel { model: None, regions: Some(&known) }).unwrap();
    assert_eq!(malignant(&stored), malignant(&outcome));
    assert!(stored.warnings.is_empty(), "{:?}", stored.warnings);
    let uids = |o: &RunOutcome| o.stored.last().map(|s| s.sop_instance_uid.clone());
    assert_eq!(uids(&stored), uids(&outcome));

    // Another object's masks are another question.
    let mut other = known.clone();
    other.objects[0].sop_instance_uid = "2.25.99".into();
    let other = bench.run_staged(&mut second, FirstModel { model: None, regions: Some(&other) }).unwrap();
    assert_ne!(uids(&other), uids(&outcome));

    // Nobody to run first, and a manifest that does not want it.
    let missing = bench.run(&mut second).unwrap_err().to_string();
    assert!(missing.contains("bright-unet is not loaded"), "{missing}");
    bench.classifier(|m| m["input"]["region_of_interest"]["when_missing"] = json!("refuse"));
    let mut strict = bench.load(CLASSIFIER);
    let refused = bench.run_staged(&mut strict, FirstModel { model: Some(&mut first), regions: None }).unwrap_err();
    assert!(refused.to_string().contains("bright-unet has not analysed these images yet"), "{refused}");
}

/// Real series: what comes out is not judged, where it lies is.
#[test]
fn real_mr_series() {
    let folder = readers::shared().join("data/mr");
    if !folder.is_dir() {
        return eprintln!("SKIPPED real series: no {}", folder.display());
    }
    for prefix in ["qin_prostate_adc__", "nema_emf_T1post__"] {
        let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        paths.retain(|p: &PathBuf| Path::new(p).file_name().unwrap().to_string_lossy().starts_with(prefix));
        paths.sort();
        let bench = Bench::new(paths.iter().map(|p| std::fs::read(p).unwrap()).collect());
        bench.unet(|_| {});
        let outcome = bench.segment();
        let segs = bench.stored(&outcome, "SEG");
        assert_eq!(segs.len(), 1, "{prefix}: {:?}", outcome.warnings);
        for ((uid, frame), mask) in masks(&segs[0]) {
            let source = bench.files.iter().find(|f| text(&object(f), tags::SOP_INSTANCE_UID) == uid).unwrap();
            assert_eq!(mask, expected(source, frame), "{prefix} {frame:?}");
        }
        bench.other_readers_accept(&outcome, prefix);
    }
}

/// As many images as anyone asks for at once, in batches: each has the mask that it has alone.
#[test]
fn images_of_different_sizes_go_together() {
    let sized = |n: usize, rows: usize, columns: usize| {
        let mut image = object(&mammograms()[n % 4]).into_inner();
        let samples: Vec<u16> = (0..rows * columns).map(|i| ((i * 37 + n * 11) % 1000) as u16).collect();
        for (tag, value) in [(tags::ROWS, rows as u16), (tags::COLUMNS, columns as u16)] {
            image.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        image.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(samples.into())));
        image.put(DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, PrimitiveValue::from(format!("2.25.900{n}"))));
        bytes(image)
    };
    let sizes = [(32, 40), (32, 40), (33, 47), (17, 16), (17, 16), (17, 16), (32, 40), (8, 40)];
    let bench = Bench::new(sizes.iter().enumerate().map(|(n, (r, c))| sized(n, *r, *c)).collect());
    bench.unet(|_| {});
    let outcome = bench.segment();
    let segs = bench.stored(&outcome, "SEG");
    assert_eq!(segs.len(), 7);
    for seg in &segs {
        let [((uid, _), mask)] = &masks(seg)[..] else { panic!() };
        let source = bench.files.iter().find(|f| text(&object(f), tags::SOP_INSTANCE_UID) == *uid).unwrap();
        assert_eq!(*mask, expected(source, None), "{uid}");
    }
    // UNet halves four times.
    let failed: Vec<&str> = outcome.report.images.iter().filter_map(|i| i.error.as_deref()).collect();
    assert!(matches!(failed[..], [reason] if reason.contains("at least 16")), "{failed:?}");
}

/// A network that takes one image at a time: the batch fails, its images do not.
#[test]
fn a_batch_that_is_refused_is_tried_image_by_image() {
    let bench = Bench::new(mammograms());
    bench.unet(|manifest| {
        manifest["network"] = json!({"TorchScript": {"in_channels": 1, "num_classes": 1}});
        manifest["weights"] = json!({"file": "module.pt", "format": "torchscript"});
        manifest["inferer"] = json!({"SimpleInferer": {"batch_size": 4}});
    });
    let lines = ["y = torch.unsqueeze(torch.squeeze(x, 0), 0)", "return torch.mul(torch.sub(y, 0.5), 1000.)"];
    std::fs::write(bench.models().join(UNET).join("module.pt"), torch_script::script(&lines)).unwrap();
    let outcome = bench.segment();
    assert!(outcome.report.images.iter().all(|image| image.error.is_none()), "{:#?}", outcome.report.images);
    let segs = bench.stored(&outcome, "SEG");
    assert_eq!(segs.len(), 4);
    for (seg, file) in segs.iter().zip(&bench.files) {
        let [(_, mask)] = &masks(seg)[..] else { panic!() };
        assert_eq!(*mask, expected(file, None));
    }
}
