//! Reports as runs leave them, and the documents made of them.
#![allow(dead_code, reason = "each test binary uses its part")]

use image::{Rgb, RgbImage};
use orthanc_ai::document::{Answered, Document, Jpeg, Language, Subject, Wanted, describe};
use orthanc_ai::manifest::Manifest;
use orthanc_ai::result::Report;
use serde_json::{Value, json};

pub const WEIGHTS: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn manifest(text: &str) -> Manifest {
    let mut json: Value = serde_json::from_str(text).unwrap();
    json["report"]["disclaimer_translations"] = json!({"ko": "본 결과는 연구용이며 진단 목적으로 사용할 수 없습니다."});
    Manifest::from_json(&json.to_string()).unwrap()
}

fn report(manifest: &Manifest, own: Value) -> Report {
    let mut report = json!({"Model": manifest.name, "Title": manifest.title, "Version": manifest.version, "Weights": WEIGHTS, "Demo": manifest.demo,
        "Disclaimer": manifest.report.disclaimer, "Created": "2026-03-02T11:22:33Z"});
    report.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    serde_json::from_value(report).unwrap()
}

/// A run and what it warns of.
pub struct Run {
    pub manifest: Manifest,
    pub report: Report,
    pub warnings: Vec<String>,
}

fn classified(haemorrhage: f64, texts: bool) -> Value {
    let (class, color) = if haemorrhage >= 0.5 { ("Haemorrhage", "#c62828") } else { ("No haemorrhage", "#2e7d32") };
    let probability = haemorrhage.max(1.0 - haemorrhage);
    let mut value = json!({"Class": class, "Color": color, "Probability": probability,
        "AllProbabilities": {"No haemorrhage": 1.0 - haemorrhage, "Haemorrhage": haemorrhage},
        "Spread": 0.031, "AllSpreads": {"No haemorrhage": 0.031, "Haemorrhage": 0.031},
        "Finding": format!("{class}: {:.1} %, present", probability * 100.0)});
    if texts {
        value["Texts"] = json!({"en": ["The model sees strong signs of haemorrhage (97.0 %).", "For research use only."],
            "ko": ["모델이 출혈 소견을 강하게 시사합니다 (97.0 %). 신경외과 전문의의 판독과 임상 소견을 함께 확인하시기 바랍니다.",
                   "본 결과는 연구용이며 진단 목적으로 사용할 수 없습니다."]});
    }
    value
}

/// A series of head CT with one answer, an explanation, and a slice that failed.
pub fn head_ct() -> Run {
    let manifest = manifest(include_str!("../../models/head-ct-haemorrhage-demo/manifest.json"));
    let mut images: Vec<Value> = (0..30)
        .map(|n| {
            let mut image = classified(if (11..15).contains(&n) { 0.97 } else { 0.04 }, false);
            image["View"] = json!(format!("slice {}", n + 1));
            image["InstanceUid"] = json!(format!("2.25.{}", 9000 + n));
            image["Success"] = json!(true);
            image
        })
        .collect();
    images.push(json!({"View": "slice 31", "InstanceUid": "2.25.9031", "Success": false, "Error": "PixelData: found 12 bytes, expected 524288"}));
    let mut overall = classified(0.97, true);
    overall.as_object_mut().unwrap().extend(
        json!({"Method": "mean of the 3 highest probabilities", "Total": 31, "Analysed": 30, "Carrying": [11, 12, 13]})
            .as_object()
            .unwrap()
            .clone(),
    );
    let region = |number, side: &str, part: &str| json!({"Number": number, "Peak": 0.93, "Center": [200.5, 130.25], "AreaMm2": 212.4, "ExtentMm": [15.2, 21.7], "Side": side, "Part": part});
    let explanation = |n: usize| {
        json!({"InstanceUid": format!("2.25.{}", 9000 + n), "Class": "Haemorrhage", "Probability": 0.97, "HeatMapInstanceUid": format!("2.25.77{n}"),
            "HeatMapSeriesUid": "2.25.770", "Regions": [region(1, "left", "front"), region(2, "midline", "back")],
            "Texts": {"en": ["Region 1: left, front third, about 22 mm.", "For research use only."],
                      "ko": ["영역 1: 왼쪽, 앞쪽, 약 22 mm.", "연구용."]}})
    };
    let own = json!({"Images": images, "Overall": overall, "Answers": {"Views": 4, "Models": 2}, "Explanations": [explanation(11), explanation(12)],
        "OutOfDomain": ["slice 3: no ring of bone was found: the series may not be of a head"]});
    let report = report(&manifest, own);
    let warnings = vec![report.out_of_domain[0].clone(), "2 series were left out: scouts".to_owned()];
    Run { report, manifest, warnings }
}

/// A breast MRI with a tumour.
pub fn breast_mri() -> Run {
    let manifest = manifest(include_str!("../../models/breast-dce-swinunetr-demo/manifest.json"));
    let measured = json!({"Name": "Tumour", "Color": "#d32f2f", "Found": true, "Finding": "Tumour: 3.21 ml, long axis 21.4 mm, slices 31 to 45",
        "SegmentNumber": 1, "TrackingUid": "2.25.5", "Voxels": 4012, "VolumeMl": 3.21, "LongAxisMm": 21.4, "RatioPercent": 0.12, "Spread": 0.042,
        "Channels": [{"Name": "pre", "Mean": 200.0}, {"Name": "post1", "Mean": 410.5, "EnhancementPercent": 105.25}],
        "FirstSlice": 30, "LastSlice": 44, "OutlineSlice": 37, "OutlineInstanceUid": "2.25.600"});
    let own = json!({"Answers": {"Views": 8, "Models": 1}, "Segmentation": {"Slices": 96, "SeriesUid": "2.25.601", "Channel": "post1",
        "SegInstanceUid": "2.25.602", "SegSeriesUid": "2.25.603", "Segments": [measured, {"Name": "Necrosis", "Color": "#1565c0", "Found": false, "Finding": "Necrosis: not found"}]}});
    Run { report: report(&manifest, own), manifest, warnings: Vec::new() }
}

/// Four mammograms, each on its own.
pub fn mammography() -> Run {
    let manifest = manifest(include_str!("../../models/mammography-4view-demo/manifest.json"));
    let names: Vec<&str> = manifest.classes().iter().map(|c| c.name.as_str()).collect();
    let image = |(n, view): (usize, &&str)| {
        let all: serde_json::Map<String, Value> = names
            .iter()
            .enumerate()
            .map(|(i, name)| ((*name).to_owned(), json!(if i == 1 { 0.8 } else { 0.2 / (names.len() - 1) as f64 })))
            .collect();
        json!({"View": view, "InstanceUid": format!("2.25.{n}"), "Success": true, "Class": names[1], "Color": "#ef6c00", "Probability": 0.8,
            "AllProbabilities": all, "Finding": format!("{}: 80.0 %, present", names[1])})
    };
    let images: Vec<Value> = ["R-CC", "L-CC", "R-MLO", "L-MLO"].iter().enumerate().map(image).collect();
    Run { report: report(&manifest, json!({"Images": images})), manifest, warnings: Vec::new() }
}

pub fn subject() -> Subject {
    Subject {
        patient_name: "Hong^Gildong=洪^吉洞=홍^길동".into(),
        patient_id: "P-<0042>".into(),
        birth_date: "19700131".into(),
        sex: "M".into(),
        study_date: "20260301".into(),
        study_description: "CT 뇌 & 두경부".into(),
        accession_number: "A-7".into(),
    }
}

/// A picture of its own for each thing wanted.
pub fn picture(wanted: &Wanted) -> Option<Jpeg> {
    let red = if matches!(wanted, Wanted::HeatMap { .. }) { 200 } else { 20 };
    let shade = |x: u32, y: u32| Rgb([red, (x / 3) as u8, (y / 3) as u8]);
    Jpeg::of(&RgbImage::from_fn(512, 512, shade)).ok()
}

pub fn document(runs: &[Run], language: Language) -> Document {
    let answers: Vec<Answered<'_>> = runs
        .iter()
        .map(|run| Answered { report: &run.report, manifest: Some(&run.manifest), warnings: &run.warnings })
        .collect();
    describe(&subject(), &answers, language, "orthanc-ai 0.1.0", &mut picture)
}
