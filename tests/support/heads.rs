//! Images of a made-up head and what a model would say of them: sources of heat maps and of the reports that go with them.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use ndarray::{Array2, Array3};
use orthanc_ai::imaging::{ImageAttributes, SliceSource};
use orthanc_ai::manifest::Manifest;
use orthanc_ai::predict::{
    Finding, ImageExplanation, ImagePrediction, Part, Place, PlacedRegion, Prediction, Side, heat_regions,
};
use orthanc_ai::result::{ResultContext, ResultUids, SrSopClass};
use serde_json::json;
use time::macros::datetime;

pub const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// A classifier with an explanation, of the codes of an intracranial haemorrhage.
pub fn manifest() -> Manifest {
    let mut json: serde_json::Value =
        serde_json::from_str(include_str!("../../models/mammography-4view-demo/manifest.json")).unwrap();
    let code = |value: &str, meaning: &str| json!({"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning});
    let class = |name: &str, ko: &str, concept| {
        json!({"name": name, "color": "#cc2222", "concept": concept, "thresholds": {"present": 0.5, "absent": 0.5},
               "translations": {"ko": ko}})
    };
    let task = &mut json["task"]["Classification"];
    task["classes"] = json!([
        class("Haemorrhage", "출혈", code("1386000", "Intracranial hemorrhage")),
        class("No haemorrhage", "출혈 없음", code("17621005", "Normal"))
    ]);
    task["explanation"] =
        json!({"place": {"Skull": {}}, "regions": {"threshold": 0.5, "min_area_percent": 0.05, "max_regions": 5}});
    json["network"]["ResNet50"]["num_classes"] = json!(2);
    json["report"]["finding_site"] = code("12738006", "Brain");
    json["report"]["procedure_reported"] = code("363679005", "Imaging procedure");
    json["report"]["series_description"] = json!("AI brain CT (research only)");
    json["report"]["sentences"] = json!([
        {"about": "finding", "at_least": 0.5, "text": "The model sees signs of {class} ({probability})."},
        {"about": "region", "text": "Region {region}: {side}, {part} third, about {size}."},
        {"about": "region", "text": "Region {region}."}
    ]);
    Manifest::from_json(&json.to_string()).unwrap()
}

/// An image that was analysed.
pub struct Source {
    pub name: &'static str,
    pub image: ImageAttributes,
    pub slice: Option<SliceSource>,
    pub frame: Option<u32>,
}

fn put(o: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    let values: Vec<String> = value.split('\\').map(str::to_owned).collect();
    o.put(DataElement::new(tag, vr, PrimitiveValue::Strs(values.into())));
}

fn header(rows: u16, columns: u16) -> InMemDicomObject {
    let mut o = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
        (tags::SOP_INSTANCE_UID, VR::UI, "2.25.7001"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "2.25.7002"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "2.25.7003"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.7004"),
        (tags::POSITION_REFERENCE_INDICATOR, VR::LO, "OM"),
        (tags::PATIENT_ID, VR::LO, "P-1"),
        (tags::PATIENT_NAME, VR::PN, "Test^Head"),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19700101"),
        (tags::PATIENT_SEX, VR::CS, "O"),
        (tags::STUDY_DATE, VR::DA, "20260301"),
        (tags::STUDY_TIME, VR::TM, "101112"),
        (tags::STUDY_ID, VR::SH, "1"),
        (tags::ACCESSION_NUMBER, VR::SH, "A-7"),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Ref^A"),
        (tags::MODALITY, VR::CS, "CT"),
        (tags::MANUFACTURER, VR::LO, "Nobody"),
        (tags::SERIES_NUMBER, VR::IS, "2"),
        (tags::INSTANCE_NUMBER, VR::IS, "9"),
        (tags::ACQUISITION_NUMBER, VR::IS, "1"),
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
        (tags::PATIENT_POSITION, VR::CS, "HFS"),
        (tags::BODY_PART_EXAMINED, VR::CS, "HEAD"),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "-125\\-160.25\\42.5"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0.948324\\-0.317305"),
        (tags::PIXEL_SPACING, VR::DS, "0.488281\\0.488281"),
        (tags::SLICE_THICKNESS, VR::DS, "5"),
        (tags::KVP, VR::DS, "120"),
        (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
        (tags::RESCALE_SLOPE, VR::DS, "1"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ] {
        put(&mut o, tag, vr, value);
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        o.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    o
}

fn attributes(o: InMemDicomObject) -> ImageAttributes {
    ImageAttributes::from_dataset(o).unwrap()
}

/// A tilted CT slice, a frame of a multi-frame object, a photograph without a plane, an X-ray with its laterality, small and large ones.
pub fn sources() -> Vec<Source> {
    let plain = |name, o| Source { name, image: attributes(o), slice: None, frame: None };
    let ct = header(512, 512);
    let mut photograph = header(225, 301);
    for tag in [
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PIXEL_SPACING,
        tags::FRAME_OF_REFERENCE_UID,
        tags::POSITION_REFERENCE_INDICATOR,
        tags::PATIENT_POSITION,
        tags::BODY_PART_EXAMINED,
    ] {
        photograph.remove_element(tag);
    }
    put(&mut photograph, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01");
    put(&mut photograph, tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS, "12.5");
    put(&mut photograph, tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS, "ISO_10918_1");
    let mut x_ray = photograph.clone();
    put(&mut x_ray, tags::BODY_PART_EXAMINED, VR::CS, "BREAST");
    put(&mut x_ray, tags::IMAGE_LATERALITY, VR::CS, "L");
    put(&mut x_ray, tags::LATERALITY, VR::CS, "L");
    put(&mut x_ray, tags::PATIENT_ORIENTATION, VR::CS, "A\\F");
    put(&mut x_ray, tags::IMAGER_PIXEL_SPACING, VR::DS, "0.07\\0.07");
    let slice_of = |image: &ImageAttributes, frame| SliceSource {
        instance: Arc::new(image.clone()),
        frame,
        position: ["-125".into(), "-160.25".into(), "47.5".into()],
        orientation: ["1", "0", "0", "0", "1", "0"].map(String::from),
        pixel_spacing: ["0.5".into(), "0.5".into()],
        thickness: Some("5".into()),
    };
    let mut enhanced = header(256, 256);
    put(&mut enhanced, tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_CT_IMAGE_STORAGE);
    put(&mut enhanced, tags::NUMBER_OF_FRAMES, VR::IS, "4");
    let enhanced = attributes(enhanced);
    vec![
        plain("ct", ct),
        plain("small", header(224, 224)),
        plain("large", header(1500, 1200)),
        plain("photograph", photograph),
        plain("x_ray", x_ray),
        Source { name: "enhanced", slice: Some(slice_of(&enhanced, Some(3))), image: enhanced, frame: None },
    ]
}

/// Two hot places, the hotter one on the image's left.
pub fn explanation(source: &Source, probability: f64) -> ImageExplanation {
    let (rows, columns) = (source.image.rows, source.image.columns);
    let hill = |r: usize, c: usize, at: [f64; 2], width: f64| {
        let d = |i: usize, size: usize, at: f64| ((i as f64 + 0.5) / size as f64 - at) / width;
        (-(d(r, rows, at[0]).powi(2) + d(c, columns, at[1]).powi(2))).exp()
    };
    let heat = Array2::from_shape_fn((rows, columns), |(r, c)| {
        hill(r, c, [0.45, 0.35], 0.12).max(0.8 * hill(r, c, [0.7, 0.65], 0.07)) as f32
    });
    let picture = Array3::from_shape_fn((rows, columns, 3), |(r, c, _)| {
        let d = ((r as f64 / rows as f64 - 0.5) / 0.44).hypot((c as f64 / columns as f64 - 0.5) / 0.36);
        if d > 1.0 {
            0
        } else if d > 0.9 {
            250
        } else {
            100 + ((r / 3 + c / 5) % 20) as u8
        }
    });
    let spacing = source.image.pixel_spacing_mm;
    let spec = orthanc_ai::manifest::RegionsSpec::default();
    let places = [
        Place { side: Some(Side::Right), part: Some(Part::Middle), image_side: None },
        Place { side: Some(Side::Midline), part: Some(Part::Back), image_side: None },
    ];
    let known = source.name != "photograph";
    let regions = heat_regions(heat.view(), &spec, spacing)
        .into_iter()
        .zip(places)
        .map(|(region, place)| PlacedRegion { region, place: if known { place } else { Place::default() } });
    ImageExplanation {
        image: 0,
        frame: source.frame,
        slice: source.slice.clone(),
        class: 0,
        probability,
        picture,
        regions: regions.collect(),
        heat,
    }
}

pub fn prediction(probability: f64) -> Prediction {
    let finding = Finding::from_probabilities(&[probability, 1.0 - probability]);
    Prediction {
        overall: None,
        images: vec![ImagePrediction { image: 0, frame: None, view: "Image 1".into(), outcome: Ok(finding) }],
    }
}

pub fn context<'a>(manifest: &'a Manifest, images: &'a [&'a ImageAttributes]) -> ResultContext<'a> {
    ResultContext {
        manifest,
        weights_sha256: SHA,
        images,
        created: datetime!(2026-03-02 11:22:33 UTC),
        uids: ResultUids::new(images, manifest, SHA),
        software_version: "0.1.0",
        sr_sop_class: SrSopClass::default(),
    }
}

/// Writes the source as a file, grey throughout.
pub fn write_file(dir: &Path, source: &Source) -> PathBuf {
    let image = &source.image;
    let mut object = image.dataset.clone();
    let pixels = vec![1060u16; image.rows * image.columns * image.number_of_frames];
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    let path = dir.join(format!("{}.dcm", source.name));
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    object.with_meta(meta).unwrap().write_to_file(&path).unwrap();
    path
}
