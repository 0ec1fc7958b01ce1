//! Runs of models that combine several answers (test-time augmentation, ensembles), from files to result objects without a server: how far the
//! answers spread is known exactly, and report, SR and other people's readers have it.

#[path = "support/ct_series.rs"]
mod ct_series;
#[path = "support/image_models.rs"]
mod image_models;
#[path = "support/readers.rs"]
mod readers;
#[path = "support/runs.rs"]
mod runs;
#[path = "orthanc/torch_script.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod torch_script;

use ct_series::CtSeries;
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use image_models::{UNET, write_unet};
use ndarray::{Array2, Axis};
use orthanc_ai::imaging::{read_image, read_image_frame};
use orthanc_ai::phantom::{BreastMriPhantom, Orientation, SeriesLayout};
use orthanc_ai::run::pipeline::RunOutcome;
use orthanc_ai::transform::TransformChain;
use runs::Bench;
use serde_json::{Value, json};
use torch_script::script;

impl Bench {
    fn stored(&self, outcome: &RunOutcome, kind: &str) -> Vec<DefaultDicomObject> {
        self.stored_paths(outcome, kind).into_iter().map(|path| dicom_object::open_file(path).unwrap()).collect()
    }

    /// check_sr on the report, with sources and masks beside. `pixelmed`: its validator too, which takes its time.
    fn other_readers_accept(&self, outcome: &RunOutcome, pixelmed: bool) {
        let Some(program) = readers::check_script("check_sr") else { return };
        let sources = self.folder.path().join("images");
        for (n, path) in self.stored_paths(outcome, "SEG").iter().enumerate() {
            std::fs::copy(path, sources.join(format!("seg-{n}.dcm"))).unwrap();
        }
        for sr in self.stored_paths(outcome, "SR") {
            let mut args = vec![sr.to_str().unwrap(), "--source", sources.to_str().unwrap()];
            if !pixelmed {
                args.push("--no-pixelmed");
            }
            let Some(output) = readers::run(&program, &args) else { return };
            let text = readers::text(&output);
            eprintln!("{}", text.trim().replace('\n', "; "));
            assert!(output.status.success() && text.contains("RESULT PASS"), "{text}");
        }
    }
}

fn code(item: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    let items = item.get(tag).and_then(|e| e.items()).unwrap_or_default();
    let value =
        items.first().and_then(|code| code.get(tags::CODE_VALUE)).map(|v| v.to_str().unwrap().trim().to_owned());
    value.unwrap_or_default()
}

fn children(item: &InMemDicomObject) -> &[InMemDicomObject] {
    item.get(tags::CONTENT_SEQUENCE).and_then(|e| e.items()).unwrap_or_default()
}

/// All items under `item` with this concept.
fn named<'a>(item: &'a InMemDicomObject, concept: &str) -> Vec<&'a InMemDicomObject> {
    let below = children(item).iter().flat_map(|child| {
        let own = (code(child, tags::CONCEPT_NAME_CODE_SEQUENCE) == concept).then_some(child);
        own.into_iter().chain(named(child, concept))
    });
    below.collect()
}

fn number(item: &InMemDicomObject) -> f64 {
    let measured = &item.element(tags::MEASURED_VALUE_SEQUENCE).unwrap().items().unwrap()[0];
    assert_eq!(code(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE), "%");
    measured.element(tags::NUMERIC_VALUE).unwrap().to_float64().unwrap()
}

fn texts(item: &InMemDicomObject, concept: &str) -> Vec<String> {
    let text = |item: &&InMemDicomObject| item.element(tags::TEXT_VALUE).unwrap().to_str().unwrap().into_owned();
    named(item, concept).iter().map(text).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn a_classifiers_spread_is_in_report_and_sr() {
    let series = CtSeries { size: 128, ..CtSeries::new(4, 5) };
    let bench = Bench::new(series.files());
    let wide = |json: &mut Value| json["network"]["ResNet50"]["width"] = json!(8);
    ct_series::write_model(&bench.models(), "plain", |_| ());
    ct_series::write_model(&bench.models(), "wide", wide);
    ct_series::write_model(&bench.models(), "combined", |json| {
        json["test_time_augmentation"] = json!({"transforms": [
            {"Flip": {"spatial_axis": [1]}}, {"Flip": {"spatial_axis": [0, 1]}}
        ]});
        json["ensemble"] = json!({"members": [{"weights": {"file": "wide.safetensors", "format": "safetensors"}}]});
        json["ensemble"]["members"][0]["network"] = json["network"].clone();
        wide(&mut json["ensemble"]["members"][0]);
    });
    let file = |model: &str, file: &str| bench.models().join(model).join(file);
    std::fs::copy(file("wide", "weights.safetensors"), file("combined", "wide.safetensors")).unwrap();
    let mut alone = [bench.load("plain"), bench.load("wide")];
    let mut model = bench.load("combined");
    let outcome = bench.run(&mut model).unwrap();
    let report = &outcome.report;

    // Each network by itself on each slice as it is, mirrored, and turned by half.
    let chain = TransformChain::new(&model.manifest.preprocessing).unwrap();
    let mut found = Vec::new();
    for (file, image) in bench.files.iter().zip(&report.images) {
        let array = chain.apply_image(&read_image(file, None).unwrap()).unwrap().array.insert_axis(Axis(0));
        let mut mirrored = array.clone();
        mirrored.invert_axis(Axis(3));
        let mut turned = mirrored.clone();
        turned.invert_axis(Axis(2));
        let mut p = Vec::new();
        for input in [array, mirrored, turned] {
            for network in alone.iter_mut().map(|model| &mut model.network) {
                let logits = network.forward(input.view().into_dyn()).unwrap().global().unwrap();
                p.push(sigmoid(f64::from(logits[[0, 0]])));
            }
        }
        let mean = p.iter().sum::<f64>() / 6.0;
        let spread = (p.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / 6.0).sqrt();
        assert!(spread > 1e-4, "{p:?}: nothing to tell");
        let result = image.result.as_ref().unwrap();
        assert!((result.all_probabilities["Haemorrhage"].as_f64().unwrap() - mean).abs() < 1e-5);
        let spreads = result.all_spreads.as_ref().unwrap();
        for class in ["Haemorrhage", "No haemorrhage"] {
            assert!((spreads[class].as_f64().unwrap() - spread).abs() < 1e-5, "{spreads:?}, expected {spread}");
        }
        assert_eq!(result.spread, spreads[&result.class].as_f64());
        found.push(result.spread.unwrap());
    }
    // Of all slices: the mean of the three that carry the answer.
    let overall = report.overall.as_ref().unwrap();
    let carrying: f64 = overall.carrying.iter().map(|i| found[*i]).sum::<f64>() / 3.0;
    assert!((overall.result.spread.unwrap() - carrying).abs() < 1e-12);
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(json["Answers"], json!({"Views": 3, "Models": 2}));
    assert_eq!(json["Images"][0]["Spread"].as_f64(), Some(found[0]));
    assert_eq!(serde_json::from_value::<orthanc_ai::result::Report>(json).unwrap(), *report);

    // The same beside each probability of the SR.
    let sr = &bench.stored(&outcome, "SR")[0];
    let groups = named(sr, "125007");
    assert_eq!(groups.len(), 4);
    let expected = std::iter::once(carrying).chain(overall.carrying.iter().map(|i| found[*i]));
    for (group, expected) in groups.iter().zip(expected) {
        let numbers = named(group, "122157");
        assert_eq!((numbers.len(), named(group, "371884006").len()), (2, 2));
        for probability in numbers {
            let [range] = named(probability, "371884006")[..] else { panic!() };
            assert!((number(range) - 100.0 * expected).abs() < 1e-4, "{} {expected}", number(range));
            assert_eq!(code(named(range, "121401")[0], tags::CONCEPT_CODE_SEQUENCE), "386136009");
        }
        let told = texts(group, "111002");
        assert!(
            told.iter()
                .any(|t| t.starts_with("answers: 2 networks on 3 views of the input each, combined by mean; +/-: ")),
            "{told:?}"
        );
    }
    bench.other_readers_accept(&outcome, false);

    // A network that answers once says nothing of it, anywhere.
    let outcome = bench.run(&mut alone[0]).unwrap();
    let json = serde_json::to_value(&outcome.report).unwrap().to_string();
    assert!(!json.contains("Spread") && !json.contains("Answers"), "{json}");
    let sr = &bench.stored(&outcome, "SR")[0];
    assert!(named(sr, "371884006").is_empty() && !texts(sr, "111002").iter().any(|t| t.starts_with("answers")));
}

/// One phase of a breast MRI.
fn slices(seed: u64) -> Vec<Vec<u8>> {
    let orientation = Orientation::Axial;
    let phantom = BreastMriPhantom { seed, size: [20, 48, 56], spacing_mm: [8.0, 6.5, 6.0], orientation, lesion: true };
    let study = phantom.to_dicom(SeriesLayout::default()).unwrap();
    study.instances.iter().filter(|i| i.phase == 1).map(|i| i.to_bytes().unwrap()).collect()
}

/// The probability of a member that is less sure than the other, and the module that says it.
fn unsure(x: f64) -> f64 {
    sigmoid(4.0 * x - 2.0)
}

fn unsure_module() -> Vec<u8> {
    script(&["first = torch.slice(x, 1, 0, 1)", "return torch.mul(torch.sub(first, 0.5), 4.)"])
}

/// Whose values are `x`, from 0 to 1: pixels that both members hold for inside, and their deviations' sum. The sure member says
/// `sigmoid(1000 (x - 0.5))`.
fn deviations(x: impl Iterator<Item = f64>) -> (usize, f64) {
    let inside = x.filter(|x| sigmoid(1000.0 * (x - 0.5)) + unsure(*x) > 1.0);
    inside.fold((0, 0.0), |(n, sum), x| (n + 1, sum + (sigmoid(1000.0 * (x - 0.5)) - unsure(x)).abs() / 2.0))
}

fn values(file: &[u8]) -> Array2<f32> {
    read_image_frame(file, None, None).unwrap().values()
}

fn range<'a>(values: impl Iterator<Item = &'a f32>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN), |(min, max), &v| (min.min(v.into()), max.max(v.into())))
}

#[test]
fn an_ensemble_of_two_kinds_of_network_spreads_over_each_image_and_all() {
    let bench = Bench::new(slices(7301));
    write_unet(&bench.models(), |manifest| {
        manifest["ensemble"] = json!({"members": [{
            "network": {"TorchScript": {"in_channels": 1, "num_classes": 1}},
            "weights": {"file": "unsure.pt", "format": "torchscript"}
        }]});
    });
    std::fs::write(bench.models().join(UNET).join("unsure.pt"), unsure_module()).unwrap();
    let outcome = bench.run(&mut bench.load(UNET)).unwrap();
    let report = &outcome.report;
    let (mut sum, mut pixels) = (0.0, 0);
    for (file, image) in bench.files.iter().zip(&report.images) {
        let values = values(file);
        let (min, max) = range(values.iter());
        let bytes = values.iter().map(|&v| ((f64::from(v) - min) / (max - min) * 255.0).trunc() / 255.0);
        let (n, deviation) = deviations(bytes);
        let measured = image.segmentation.as_ref().unwrap().segments[0].measurements.as_ref();
        assert_eq!(measured.map_or(0, |m| m.pixels), n);
        if let Some(measured) = measured {
            let found = measured.spread.unwrap();
            // The UNet's batch norms take a few millionths of what they change nothing of.
            assert!((found - deviation / n as f64).abs() < 2e-4, "found {found}, expected {}", deviation / n as f64);
        }
        sum += deviation;
        pixels += n;
    }
    let volume = report.segmentation.as_ref().unwrap().segments[0].measurements.as_ref().unwrap();
    let expected = sum / pixels as f64;
    assert!((volume.spread.unwrap() - expected).abs() < 2e-4 && expected > 0.05, "{:?} {expected}", volume.spread);
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(json["Answers"], json!({"Views": 1, "Models": 2}));
    assert_eq!(json["Segmentation"]["Segments"][0]["Spread"].as_f64(), volume.spread);

    let sr = &bench.stored(&outcome, "SR")[0];
    let groups = named(sr, "125007");
    let template = |group: &InMemDicomObject| {
        let template = &group.element(tags::CONTENT_TEMPLATE_SEQUENCE).unwrap().items().unwrap()[0];
        template.element(tags::TEMPLATE_IDENTIFIER).unwrap().to_str().unwrap().trim().to_owned()
    };
    let whole = groups.iter().find(|group| template(group) == "1411").unwrap();
    assert!((number(named(whole, "SEGMENT_SPREAD")[0]) - 100.0 * volume.spread.unwrap()).abs() < 1e-4);
    // Readers that put both groups of a segment together find one number.
    let spreads: Vec<usize> = groups.iter().map(|group| named(group, "SEGMENT_SPREAD").len()).collect();
    assert_eq!(spreads.iter().filter(|n| **n == 0).count(), 1, "{spreads:?}");
    assert!(texts(sr, "111002").iter().any(|t| t.starts_with("answers: 2 networks, combined by mean; spread: ")));
    bench.other_readers_accept(&outcome, false);
}

#[test]
fn a_volumes_spread_is_that_of_the_voxels_inside() {
    let bench = Bench::new(slices(7302));
    torch_script::write_model(&bench.models(), "bright", &["image"], |manifest| {
        manifest["preprocessing"]
            .as_array_mut()
            .unwrap()
            .push(json!({"CenterSpatialCrop": {"roi_size": [18, 40, 50]}}));
        manifest["ensemble"] = json!({"members": [{"weights": {"file": "unsure.pt", "format": "torchscript"}}]});
    });
    std::fs::write(bench.models().join("bright").join("unsure.pt"), unsure_module()).unwrap();
    let outcome = bench.run(&mut bench.load("bright")).unwrap();
    let all: Vec<Array2<f32>> = bench.files.iter().map(|file| values(file)).collect();
    let (min, max) = range(all.iter().flatten());
    let kept = all[1..19].iter().flat_map(|slice| slice.slice(ndarray::s![4..44, 3..53]).into_owned());
    let (voxels, sum) = deviations(kept.map(|v| (f64::from(v) - min) / (max - min)));
    let measured = outcome.report.segmentation.as_ref().unwrap().segments[0].measurements.as_ref().unwrap();
    assert_eq!(measured.voxels, voxels);
    let (found, expected) = (measured.spread.unwrap(), sum / voxels as f64);
    assert!((found - expected).abs() < 1e-5 && expected > 0.05, "found {found}, expected {expected}");
    let sr = &bench.stored(&outcome, "SR")[0];
    let [spread] = named(sr, "SEGMENT_SPREAD")[..] else { panic!() };
    assert!((number(spread) - 100.0 * expected).abs() < 1e-3);
    bench.other_readers_accept(&outcome, true);
}
