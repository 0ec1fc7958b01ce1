//! Runs with explanations, from files to stored objects without a server: heat maps, regions, places, sentences, and images that are not what the
//! model was made for. The network is a narrow ResNet50 with pseudo-random weights: what it says means nothing, but it says it of these images.

#[path = "support/ct_series.rs"]
mod ct_series;
#[path = "support/runs.rs"]
mod runs;

use ct_series::{CtSeries, put, put_us, write_model};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::meta::FileMetaTableBuilder;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use ndarray::Axis;
use orthanc_ai::imaging::{read_frame, read_image};
use orthanc_ai::manifest::{Manifest, TaskSpec};
use orthanc_ai::model::{CamScore, CamTarget, LoadedModel};
use orthanc_ai::predict::heat_regions;
use orthanc_ai::run::pipeline::{RunError, RunOutcome};
use orthanc_ai::transform::{TransformChain, heat_on_source};
use runs::Bench;
use serde_json::{Value, json};

impl Bench {
    fn model(&self, change: impl FnOnce(&mut Value)) -> LoadedModel {
        write_model(&self.models(), "explained", change);
        self.load("explained")
    }

    fn stored(&self, outcome: &RunOutcome, kind: &str) -> Vec<DefaultDicomObject> {
        let paths = self.stored_paths(outcome, kind).into_iter();
        paths.map(|path| dicom_object::open_file(path).unwrap()).collect()
    }

    fn stored_files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("out")).unwrap().count()
    }
}

fn uid(object: &InMemDicomObject) -> String {
    object.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned()
}

/// Every TextValue in a report's tree.
fn comments(object: &InMemDicomObject) -> Vec<String> {
    let mut texts = Vec::new();
    if let Some(text) = object.get(tags::TEXT_VALUE) {
        texts.push(text.to_str().unwrap().into_owned());
    }
    let items = object.get(tags::CONTENT_SEQUENCE).and_then(|e| e.items()).unwrap_or_default();
    texts.into_iter().chain(items.iter().flat_map(comments)).collect()
}

/// How often the tree has a code.
fn count_codes(object: &InMemDicomObject, value: &str) -> usize {
    object
        .iter()
        .map(|element| match element.items() {
            Some(items) => items.iter().map(|item| count_codes(item, value)).sum(),
            None => {
                let code = element.header().tag == tags::CODE_VALUE;
                usize::from(code && element.to_str().is_ok_and(|v| v.trim_end() == value))
            }
        })
        .sum()
}

fn sentences() -> Value {
    json!([
        {"about": "finding", "class": "Haemorrhage", "text": "The model sees signs of {class} ({probability})."},
        {"about": "finding", "text": "The model finds nothing that stands out ({probability}).",
         "translations": {"ko": "모델은 특이 소견을 찾지 못했습니다 ({probability})."}},
        {"about": "region", "text": "Region {region}: {side}, about {size}."},
        {"about": "region", "text": "Region {region} of {regions}."},
        {"about": "no_region", "text": "No region stands out."}
    ])
}

fn head_ct(policy: &str) -> Value {
    json!([{"expected": "a head CT", "policy": policy, "check": {"SkullRing":
        {"min_area_cm2": 20, "max_area_cm2": 300, "min_soft_tissue_share": 0.6, "min_slices_share": 0.25}}}])
}

fn explained_head(json: &mut Value) {
    json["preprocessing"][1]["Resize"]["spatial_size"] = json!([256, 256]);
    json["input"]["plausibility"] = head_ct("refuse");
    json["task"]["Classification"]["explanation"] = json!({"max_images": 2, "place": {"Skull": {}},
        "regions": {"threshold": 0.5, "min_area_percent": 0.05, "max_regions": 5}});
    json["report"]["sentences"] = sentences();
}

fn task_explanation(manifest: &Manifest) -> &orthanc_ai::manifest::ExplanationSpec {
    match &manifest.task {
        TaskSpec::Classification(task) => task.explanation.as_ref().unwrap(),
        TaskSpec::Segmentation(_) => panic!(),
    }
}

#[test]
fn a_head_series_leaves_heat_maps_regions_and_sentences() {
    let series = CtSeries { size: 256, ..CtSeries::new(4, 6) };
    let bench = Bench::new(series.files());
    let mut model = bench.model(explained_head);
    let outcome = bench.run(&mut model).unwrap();
    let report = &outcome.report;
    assert_eq!(outcome.warnings, Vec::<String>::new());
    assert_eq!(report.out_of_domain, Vec::<String>::new());

    // Heat maps: of the two slices that are most sure, each on its own slice's pixels and place.
    let maps = bench.stored(&outcome, "SC");
    assert_eq!((maps.len(), report.explanations.len(), bench.stored(&outcome, "SR").len()), (2, 2, 1));
    let mut sure: Vec<f64> = report.images.iter().map(|i| i.result.as_ref().unwrap().probability).collect();
    sure.sort_by(|a, b| b.total_cmp(a));
    let explained: Vec<f64> = report.explanations.iter().map(|e| e.probability).collect();
    assert_eq!(explained, sure[..2]);
    for (map, told) in maps.iter().zip(&report.explanations) {
        assert_eq!(uid(map), told.heat_map_instance_uid);
        let number = |tag| map.element(tag).unwrap().to_int::<u16>().unwrap();
        assert_eq!([tags::ROWS, tags::COLUMNS, tags::SAMPLES_PER_PIXEL].map(number), [256, 256, 3]);
        let n = (0..6).find(|n| series.instance_uid(*n) == told.instance_uid).unwrap();
        let position = map.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
        assert_eq!(position, [-120.0, -110.0, 5.0 * n as f64]);
        let pixels = map.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
        assert!(pixels.chunks_exact(3).any(|p| p[0] != p[2]), "no colour lies over the slice");

        // The network itself, asked once more: the same regions.
        let image = read_image(&bench.files[n], None).unwrap();
        let prepared = TransformChain::new(&model.manifest.preprocessing).unwrap().apply_image(&image).unwrap();
        let score = if told.class == "Haemorrhage" { CamScore::Sigmoid } else { CamScore::SigmoidComplement };
        let input = prepared.array.view().insert_axis(Axis(0)).into_dyn();
        let heat = model.network.explain(input, CamTarget { output: Some(0), score }).unwrap().heat_maps().remove(0);
        let heat = heat_on_source(heat.values(), [256, 256], &prepared.applied, [256, 256]);
        let spacing = read_frame(&bench.files[n], None, None).unwrap().plane.pixel_spacing_mm;
        let regions = heat_regions(heat.view(), &task_explanation(&model.manifest).regions, Some(spacing));
        assert!(!regions.is_empty(), "{}: nothing stands out", told.instance_uid);
        let centers = |it: &mut dyn Iterator<Item = [f64; 2]>| it.collect::<Vec<_>>();
        assert_eq!(centers(&mut told.regions.iter().map(|r| r.center)), centers(&mut regions.iter().map(|r| r.center)),);
        assert!(told.regions.iter().all(|r| r.area_mm2.is_some() && r.side.is_some()), "{:?}", told.regions);
        let english = &told.texts["en"];
        assert!(english[0].starts_with("The model "), "{english:?}");
        assert_eq!(english.iter().filter(|t| t.starts_with("Region ")).count(), told.regions.len());
        assert!(english.last().unwrap().contains("research use only"), "{english:?}");
    }

    // The same is said in the SR, and of all slices together.
    let overall = report.overall.as_ref().unwrap();
    assert!(overall.result.texts["en"][0].starts_with("The model "), "{:?}", overall.result.texts);
    let sr = &bench.stored(&outcome, "SR")[0];
    let said = comments(sr);
    let has = |start: &str, text: &str| said.iter().any(|s| s.contains(start) && s.contains(text));
    assert!(has("All images: ", &overall.result.texts["en"][0]), "{said:?}");
    for told in &report.explanations {
        let n = report.images.iter().find(|i| i.instance_uid == told.instance_uid).unwrap();
        assert!(has(&format!("{}: ", n.view), &told.texts["en"][0]), "{}: {said:?}", n.view);
        assert!(has(&format!("{}: ", n.view), "Region 1: "), "{}: {said:?}", n.view);
    }
    let regions: usize = report.explanations.iter().map(|e| e.regions.len()).sum();
    assert_eq!(count_codes(sr, "HEAT_PEAK"), regions);

    // A repeat says the same of the same objects.
    let again = bench.run(&mut model).unwrap();
    assert_eq!(again.report.explanations, report.explanations);
    assert_eq!(bench.stored_files(), 3);
}

#[test]
fn without_an_explanation_in_the_manifest_there_is_none() {
    let bench = Bench::new(CtSeries { size: 256, ..CtSeries::new(4, 3) }.files());
    let outcome = bench.run(&mut bench.model(|_| ())).unwrap();
    assert!(outcome.report.explanations.is_empty() && bench.stored(&outcome, "SC").is_empty());
    assert!(outcome.report.overall.unwrap().result.texts.is_empty());
}

#[test]
fn what_is_no_head_is_refused_or_flagged() {
    // The skull as soft as the brain.
    let boneless = |o: &mut InMemDicomObject| {
        let pixels = o.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
        let pixels = pixels.into_iter().map(|v| if v > 2000 { 1060 } else { v });
        o.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.collect())));
    };
    let series = CtSeries { size: 256, ..CtSeries::new(4, 3) };
    let bench = Bench::new((0..3).map(|n| series.file(n, boneless)).collect());
    let error = bench.run(&mut bench.model(explained_head)).unwrap_err();
    assert!(matches!(error, RunError::Implausible(_)), "{error}");
    assert!(
        error.to_string().starts_with("this does not look like a head CT: found a closed skull in 0 of 3"),
        "{error}"
    );
    assert_eq!(bench.stored_files(), 0);

    let outcome = bench
        .run(&mut bench.model(|json| {
            explained_head(json);
            json["input"]["plausibility"] = head_ct("flag");
        }))
        .unwrap();
    let told = &outcome.report.out_of_domain;
    assert!(told.len() == 1 && told[0].contains("this does not look like a head CT"), "{told:?}");
    assert_eq!(&outcome.warnings, told);
    let said = comments(&bench.stored(&outcome, "SR")[0]);
    assert!(said.iter().any(|s| s.contains("this does not look like a head CT")), "{said:?}");
    // Without a skull no side is told.
    let regions = outcome.report.explanations.iter().flat_map(|e| &e.regions);
    assert!(regions.clone().count() > 0 && regions.clone().all(|r| r.side.is_none()));
}

/// A photograph as DICOM: RGB, 8 bits.
fn photograph(colour: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
    let (rows, columns) = (200u16, 260u16);
    let mut o = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY"),
        (tags::SOP_CLASS_UID, VR::UI, uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE),
        (tags::SOP_INSTANCE_UID, VR::UI, "2.25.61"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "2.25.62"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "2.25.63"),
        (tags::STUDY_DATE, VR::DA, "20260302"),
        (tags::STUDY_TIME, VR::TM, "101500"),
        (tags::PATIENT_NAME, VR::PN, "Phantom^Skin"),
        (tags::PATIENT_ID, VR::LO, "PHANTOM-3"),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19600229"),
        (tags::PATIENT_SEX, VR::CS, "F"),
        (tags::MODALITY, VR::CS, "XC"),
        (tags::SERIES_NUMBER, VR::IS, "1"),
        (tags::INSTANCE_NUMBER, VR::IS, "1"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB"),
    ] {
        put(&mut o, tag, vr, value);
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::PLANAR_CONFIGURATION, 0),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        put_us(&mut o, tag, value);
    }
    let columns = usize::from(columns);
    let pixels: Vec<u8> = (0..usize::from(rows) * columns).flat_map(|i| colour(i / columns, i % columns)).collect();
    o.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(pixels)));
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    o.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

fn explained_skin(json: &mut Value) {
    json["input"] = json!({
        "where": [{"keyword": "Modality", "equals": "XC"}],
        "select": {"Images": {"count": 1}},
        "plausibility": [{"expected": "a photograph of skin", "check": {"SkinColour":
            {"min_skin_share": 0.6, "max_flat_share": 0.6, "max_grey_share": 0.7, "min_side": 64}}}]
    });
    json["preprocessing"] = json!([
        {"ToRgb": {"grey": "as_shown"}},
        {"Resize": {"spatial_size": [128, 128], "mode": "area"}},
        {"NormalizeIntensity": {"subtrahend": [123.675, 116.28, 103.53], "divisor": [58.395, 57.12, 57.375]}}
    ]);
    let task = json["task"]["Classification"].as_object_mut().unwrap();
    task.remove("aggregate");
    task.insert("explanation".into(), json!({"place": {"Skull": {}}, "opacity": 0.05}));
    json["report"]["sentences"] = sentences();
}

#[test]
fn a_heat_map_lies_over_a_photograph_in_its_colours_and_what_is_no_skin_is_refused() {
    let skin = |r: usize, c: usize| [200 + (r * 7 + c * 13) as u8 % 11, 140 + (r * 5 + c * 3) as u8 % 9, 120];
    let bench = Bench::new(vec![photograph(skin)]);
    let outcome = bench.run(&mut bench.model(explained_skin)).unwrap();
    assert_eq!(outcome.warnings, Vec::<String>::new());
    let map = &bench.stored(&outcome, "SC")[0];
    let number = |tag| map.element(tag).unwrap().to_int::<usize>().unwrap();
    assert_eq!([number(tags::ROWS), number(tags::COLUMNS)], [200, 260]);
    let pixels = map.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    // Heat that hardly covers: nearly all pixels are near those of the photograph.
    let near = (0..200 * 260).filter(|i| {
        let source = skin(i / 260, i % 260);
        (0..3).all(|channel| pixels[3 * i + channel].abs_diff(source[channel]) <= 16)
    });
    let share = near.count() as f64 / (200.0 * 260.0);
    assert!((0.75..1.0).contains(&share), "{share}");
    let told = &outcome.report.explanations[0];
    // A photograph has a left and a right side, but not the patient's.
    assert!(!told.regions.is_empty(), "{told:?}");
    assert!(told.regions.iter().all(|r| r.image_side.is_some() && r.side.is_none()), "{:?}", told.regions);

    // Stained tissue.
    let stained = |r: usize, c: usize| [150 + (r * 7 + c * 13) as u8 % 11, 100 + (r * 5 + c * 3) as u8 % 9, 190];
    let bench = Bench::new(vec![photograph(stained)]);
    let error = bench.run(&mut bench.model(explained_skin)).unwrap_err();
    assert!(error.to_string().starts_with("this does not look like a photograph of skin: "), "{error}");
    assert_eq!(bench.stored_files(), 0);
}
