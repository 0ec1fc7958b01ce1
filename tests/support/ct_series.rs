//! Synthetic head CT as files, classic and multi-frame, and a narrow ResNet50 with pseudo-random weights that classifies its slices. Shared by
//! unit and integration tests (`orthanc_ai` names the crate in both).
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use orthanc_ai::manifest::network::ResNet50Spec;
use orthanc_ai::model::nets::resnet50::keys;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value, json};

pub const STUDY_UID: &str = "2.25.300000000000000000000000000000000007";
const FRAME_OF_REFERENCE_UID: &str = "2.25.300000000000000000000000000000000008";

/// One series of a head CT whose gantry is tilted.
#[derive(Debug, Clone)]
pub struct CtSeries {
    /// SeriesNumber, and a part of the UIDs.
    pub number: usize,
    pub slices: usize,
    pub size: usize,
    pub kernel: &'static str,
    pub image_type: &'static str,
}

impl CtSeries {
    pub fn new(number: usize, slices: usize) -> Self {
        Self { number, slices, size: 64, kernel: "Hr38s\\3", image_type: "ORIGINAL\\PRIMARY\\AXIAL" }
    }

    pub fn series_uid(&self) -> String {
        format!("2.25.6100{}", self.number)
    }

    /// SOPInstanceUID of slice `n`; of the multi-frame instance that of slice 0.
    pub fn instance_uid(&self, n: usize) -> String {
        format!("2.25.71{}{n:05}", self.number)
    }

    fn header(&self, n: usize, sop_class: &str) -> InMemDicomObject {
        let mut o = InMemDicomObject::new_empty();
        for (tag, vr, value) in [
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
            (tags::IMAGE_TYPE, VR::CS, self.image_type),
            (tags::SOP_CLASS_UID, VR::UI, sop_class),
            (tags::STUDY_INSTANCE_UID, VR::UI, STUDY_UID),
            (tags::STUDY_DATE, VR::DA, "20260302"),
            (tags::STUDY_TIME, VR::TM, "101500"),
            (tags::STUDY_ID, VR::SH, "S1"),
            (tags::ACCESSION_NUMBER, VR::SH, "ACC-19"),
            (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Referrer^R"),
            (tags::STUDY_DESCRIPTION, VR::LO, "Head CT, synthetic"),
            (tags::PATIENT_NAME, VR::PN, "Phantom^Head"),
            (tags::PATIENT_ID, VR::LO, "PHANTOM-2"),
            (tags::PATIENT_BIRTH_DATE, VR::DA, "19600229"),
            (tags::PATIENT_SEX, VR::CS, "F"),
            (tags::PATIENT_POSITION, VR::CS, "HFS"),
            (tags::BODY_PART_EXAMINED, VR::CS, "HEAD"),
            (tags::MODALITY, VR::CS, "CT"),
            (tags::MANUFACTURER, VR::LO, "Phantom maker"),
            (tags::CONVOLUTION_KERNEL, VR::SH, self.kernel),
            (tags::FRAME_OF_REFERENCE_UID, VR::UI, FRAME_OF_REFERENCE_UID),
            (tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""),
            (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
            (tags::RESCALE_SLOPE, VR::DS, "1"),
            (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
            (tags::WINDOW_CENTER, VR::DS, "40"),
            (tags::WINDOW_WIDTH, VR::DS, "80"),
        ] {
            put(&mut o, tag, vr, value);
        }
        put(&mut o, tags::SERIES_INSTANCE_UID, VR::UI, &self.series_uid());
        put(&mut o, tags::SERIES_NUMBER, VR::IS, &self.number.to_string());
        put(&mut o, tags::SOP_INSTANCE_UID, VR::UI, &self.instance_uid(n));
        // Against the order of positions, as many scanners number.
        put(&mut o, tags::INSTANCE_NUMBER, VR::IS, &(self.slices - n).to_string());
        let size = self.size as u16;
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, size),
            (tags::COLUMNS, size),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 12),
            (tags::HIGH_BIT, 11),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            o.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        o
    }

    /// Slices 5 mm apart, tilted by 18 degrees about x.
    fn plane(n: usize) -> [(Tag, String); 3] {
        [
            (tags::IMAGE_POSITION_PATIENT, format!("-120\\-110\\{}", 5 * n)),
            (tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\0.951057\\-0.309017".into()),
            (tags::PIXEL_SPACING, "0.45\\0.45".into()),
        ]
    }

    /// Stored values of slice `n`: a skull with a brain that is brighter from slice to slice.
    fn pixels(&self, n: usize) -> impl Iterator<Item = u16> {
        let (size, step) = (self.size as f64, n as f64 / self.slices as f64);
        (0..self.size * self.size).map(move |i| {
            let (row, column) = ((i / size as usize) as f64 / size - 0.5, (i % size as usize) as f64 / size - 0.5);
            let radius = (row * row * 1.4 + column * column * 2.0).sqrt();
            match radius {
                r if r > 0.5 => 24,
                r if r > 0.45 => 2100,
                _ => 1024 + 20 + (40.0 * step) as u16 + (i % 7) as u16 + ((column * 20.0 * step).abs()) as u16,
            }
        })
    }

    /// The header of slice `n`.
    pub fn dataset(&self, n: usize) -> InMemDicomObject {
        let mut o = self.header(n, uids::CT_IMAGE_STORAGE);
        Self::plane(n).iter().for_each(|(tag, value)| put(&mut o, *tag, VR::DS, value));
        put(&mut o, tags::SLICE_THICKNESS, VR::DS, "5");
        o
    }

    /// The file of slice `n`, changed.
    pub fn file(&self, n: usize, change: impl FnOnce(&mut InMemDicomObject)) -> Vec<u8> {
        let mut o = self.dataset(n);
        o.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(self.pixels(n).collect())));
        change(&mut o);
        file(o)
    }

    pub fn files(&self) -> Vec<Vec<u8>> {
        (0..self.slices).map(|n| self.file(n, |_| ())).collect()
    }

    /// All slices as frames of one instance without pixels; the rescale is each frame's own, and the window all frames'.
    pub fn multi_frame_dataset(&self) -> InMemDicomObject {
        let mut o = self.header(0, uids::ENHANCED_CT_IMAGE_STORAGE);
        for tag in [tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT, tags::WINDOW_CENTER, tags::WINDOW_WIDTH] {
            o.remove_element(tag);
        }
        put(&mut o, tags::NUMBER_OF_FRAMES, VR::IS, &self.slices.to_string());
        let item = |values: &[(Tag, &str)]| {
            let mut item = InMemDicomObject::new_empty();
            values.iter().for_each(|(tag, value)| put(&mut item, *tag, VR::DS, value));
            item
        };
        let group = |tag: Tag, item: InMemDicomObject| DataElement::new(tag, VR::SQ, DataSetSequence::from(vec![item]));
        let [_, (_, orientation), (_, spacing)] = Self::plane(0);
        let mut shared = InMemDicomObject::new_empty();
        let measures = item(&[(tags::PIXEL_SPACING, &spacing), (tags::SLICE_THICKNESS, "5")]);
        shared.put(group(tags::PIXEL_MEASURES_SEQUENCE, measures));
        shared.put(group(tags::PLANE_ORIENTATION_SEQUENCE, item(&[(tags::IMAGE_ORIENTATION_PATIENT, &orientation)])));
        let window = item(&[(tags::WINDOW_CENTER, "40"), (tags::WINDOW_WIDTH, "80")]);
        shared.put(group(tags::FRAME_VOILUT_SEQUENCE, window));
        o.put(group(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, shared));
        let frames = (0..self.slices).map(|n| {
            let [(_, position), ..] = Self::plane(n);
            let mut frame = InMemDicomObject::new_empty();
            frame.put(group(tags::PLANE_POSITION_SEQUENCE, item(&[(tags::IMAGE_POSITION_PATIENT, &position)])));
            let rescale = item(&[(tags::RESCALE_INTERCEPT, "-1024"), (tags::RESCALE_SLOPE, "1")]);
            frame.put(group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, rescale));
            frame
        });
        let frames = DataSetSequence::from(frames.collect::<Vec<_>>());
        o.put(DataElement::new(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, frames));
        o
    }

    pub fn multi_frame_file(&self) -> Vec<u8> {
        let mut o = self.multi_frame_dataset();
        let pixels = (0..self.slices).flat_map(|n| self.pixels(n)).collect();
        o.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels)));
        file(o)
    }
}

pub fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::Strs(value.split('\\').map(str::to_owned).collect())));
}

pub fn put_us(object: &mut InMemDicomObject, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

fn file(object: InMemDicomObject) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

pub fn code(value: &str, scheme: &str, meaning: &str) -> Value {
    json!({"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning})
}

pub fn class(name: &str, color: &str, concept: &Value, (present, absent): (f64, f64)) -> Value {
    json!({"name": name, "color": color, "concept": concept, "thresholds": {"present": present, "absent": absent}})
}

/// A manifest that classifies the slices of one head CT series: haemorrhage or none by one logit, three slices make the answer.
pub fn manifest(name: &str) -> Value {
    json!({
        "manifest_version": 1, "name": name, "version": "1.0.0", "title": "Head CT, slices (test)",
        "description": "Pseudo-random weights: its answers mean nothing.", "demo": true,
        "input": {
            "where": [
                {"keyword": "Modality", "equals": "CT"},
                {"keyword": "PhotometricInterpretation", "in": ["MONOCHROME1", "MONOCHROME2"]},
                {"keyword": "ImageType", "lacks": "LOCALIZER"}
            ],
            "select": {"Series": {
                "prefer": [{"keyword": "ConvolutionKernel", "regex": "^(Hr[34]|STD|UB|FC2|STANDARD)"}], "min_slices": 2
            }}
        },
        "preprocessing": [
            {"ConvertToUint8": {"mode": "voi_window"}},
            {"Resize": {"spatial_size": [64, 64], "mode": "pil_bilinear"}},
            {"ScaleIntensityRange": {"a_min": 0, "a_max": 255, "b_min": -1, "b_max": 1}},
            {"RepeatChannel": {"repeats": 3}}
        ],
        "network": {"ResNet50": {"in_channels": 3, "num_classes": 1, "width": 4}},
        "weights": {"file": "weights.safetensors", "format": "safetensors"},
        "inferer": {"SimpleInferer": {"batch_size": 8}},
        "task": {"Classification": {
            "activation": "sigmoid_binary",
            "aggregate": {"TopKMean": {"k": 3}},
            "classes": [
                class("No haemorrhage", "#388e3c", &code("17621005", "SCT", "Normal"), (0.7, 0.5)),
                class("Haemorrhage", "#d32f2f", &code("1386000", "SCT", "Intracranial hemorrhage"), (0.5, 0.3))
            ],
            "probability_concept": code("122157", "DCM", "Probability")
        }},
        "report": {
            "series_description": "AI test (research only)", "series_number": 9200,
            "disclaimer": "Test. AI-generated, for research use only.", "algorithm_name": name,
            "procedure_reported": code("363679005", "SCT", "Imaging procedure"),
            "finding_site": code("12738006", "SCT", "Brain")
        }
    })
}

/// Writes a model of [`manifest`], changed, into the folder `models`; its ResNet50 gets pseudo-random weights.
pub fn write_model(models: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let mut manifest = manifest(name);
    change(&mut manifest);
    let folder = models.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let spec: ResNet50Spec = serde_json::from_value(manifest["network"]["ResNet50"].clone()).unwrap();
    write_weights(&spec, &folder.join("weights.safetensors"));
}

/// Uniform in ±sqrt(6 / fan_in); norms near one.
pub fn write_weights(spec: &ResNet50Spec, path: &Path) {
    let mut state = 11_u64;
    let mut unit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = keys(spec)
        .into_iter()
        .map(|(key, shape)| {
            let count: i64 = shape.iter().product();
            let (center, amplitude) = match key.rsplit('.').next() {
                _ if shape.len() > 1 => (0.0, (6.0 / (count / shape[0]) as f32).sqrt()),
                Some("weight") => (0.5, 0.05),
                Some("running_var") => (1.0, 0.05),
                _ => (0.0, 0.05),
            };
            let bytes = (0..count).flat_map(|_| (center + amplitude * unit()).to_le_bytes()).collect();
            (key, shape.into_iter().map(|d| d as usize).collect(), bytes)
        })
        .collect();
    let views = tensors.iter().map(|(k, s, b)| (k, TensorView::new(Dtype::F32, s.clone(), b).unwrap()));
    serialize_to_file(views, None, path).unwrap();
}
