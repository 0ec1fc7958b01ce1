//! Synthetic MR series with whole headers, masks on them, and a manifest that asks for them. Shared by unit and integration
//! tests (`orthanc_ai` names the crate in both).
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use ndarray::Array3;
use orthanc_ai::imaging::{Geometry, ImageAttributes, SliceSource};
use orthanc_ai::manifest::Manifest;
use orthanc_ai::predict::{Lesion, LongAxis, Outline, SegmentMask, Segmentation};
use orthanc_ai::result::ChannelSource;
use serde_json::{Value, json};

pub const STUDY_UID: &str = "2.25.300000000000000000000000000000000002";
pub const FRAME_OF_REFERENCE_UID: &str = "2.25.300000000000000000000000000000000003";
pub const PHASES: [&str; 4] = ["pre-contrast", "phase 1", "phase 2", "phase 3"];

pub const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
pub const CORONAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];
/// Turned by 20 degrees about x, then by 10 about z.
pub const OBLIQUE: [f64; 6] = [
    0.984_807_753_012_208,
    0.173_648_177_666_93,
    0.0,
    -0.163_175_911_166_535,
    0.925_416_578_398_323,
    0.342_020_143_325_669,
];

/// How the phases lie in instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    SeriesPerPhase,
    /// One series of single-frame instances.
    OneSeries,
    /// One multi-frame instance a phase, each in its series.
    Enhanced,
}

#[derive(Debug, Clone)]
pub struct Exam {
    pub layout: Layout,
    pub orientation: [f64; 6],
    /// (slices, rows, columns)
    pub size: [usize; 3],
    /// Between slices, rows, columns.
    pub spacing_mm: [f64; 3],
    pub phases: usize,
    pub edit: fn(&mut InMemDicomObject),
}

impl Exam {
    pub fn new(layout: Layout, orientation: [f64; 6], size: [usize; 3]) -> Self {
        Self { layout, orientation, size, spacing_mm: [2.5, 0.75, 0.75], phases: 4, edit: |_| {} }
    }

    pub fn geometry(&self) -> Geometry {
        let o = self.orientation;
        let (row, column) = ([o[0], o[1], o[2]], [o[3], o[4], o[5]]);
        let normal = [
            row[1] * column[2] - row[2] * column[1],
            row[2] * column[0] - row[0] * column[2],
            row[0] * column[1] - row[1] * column[0],
        ];
        let [slice_mm, row_mm, column_mm] = self.spacing_mm;
        Geometry {
            size: self.size,
            origin_mm: [-30.5, -42.25, 7.125],
            steps_mm: [normal.map(|v| v * slice_mm), column.map(|v| v * row_mm), row.map(|v| v * column_mm)],
            frame_of_reference_uid: Some(FRAME_OF_REFERENCE_UID.into()),
        }
    }

    fn position(&self, slice: usize) -> [String; 3] {
        self.geometry().to_patient([slice as f64, 0.0, 0.0]).map(ds)
    }

    /// By phase and slice.
    pub fn channels(&self) -> Vec<ChannelSource> {
        let channel = |slices| ChannelSource { slices, resampled: false };
        self.slices().into_iter().map(channel).collect()
    }

    fn slices(&self) -> Vec<Vec<SliceSource>> {
        let slices = self.size[0];
        let source = |instance: &Arc<ImageAttributes>, frame, slice| {
            let [spacing, thickness] = measures(&instance.dataset);
            SliceSource {
                instance: instance.clone(),
                frame,
                position: self.position(slice),
                orientation: self.orientation.map(ds),
                pixel_spacing: spacing.unwrap().split('\\').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap(),
                thickness,
            }
        };
        (0..self.phases)
            .map(|phase| {
                if self.layout == Layout::Enhanced {
                    let instance = Arc::new(read(self.enhanced(phase)));
                    return (0..slices).map(|n| source(&instance, Some(n as u32 + 1), n)).collect();
                }
                (0..slices).map(|n| source(&Arc::new(read(self.classic(phase, n))), None, n)).collect()
            })
            .collect()
    }

    fn header(&self, phase: usize, instance: usize) -> InMemDicomObject {
        let mut o = InMemDicomObject::new_empty();
        let enhanced = self.layout == Layout::Enhanced;
        for (tag, vr, value) in [
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
            (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\M\\NONE"),
            (
                tags::SOP_CLASS_UID,
                VR::UI,
                if enhanced { uids::ENHANCED_MR_IMAGE_STORAGE } else { uids::MR_IMAGE_STORAGE },
            ),
            (tags::STUDY_INSTANCE_UID, VR::UI, STUDY_UID),
            (tags::STUDY_DATE, VR::DA, "20260302"),
            (tags::STUDY_TIME, VR::TM, "101500.25"),
            (tags::STUDY_ID, VR::SH, "S1"),
            (tags::ACCESSION_NUMBER, VR::SH, "ACC-18"),
            (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Referrer^R"),
            (tags::STUDY_DESCRIPTION, VR::LO, "Breast MR, synthetic"),
            (tags::PATIENT_NAME, VR::PN, "M\u{fc}ller^Anna"),
            (tags::PATIENT_ID, VR::LO, "PHANTOM-1"),
            (tags::PATIENT_BIRTH_DATE, VR::DA, "19600229"),
            (tags::PATIENT_SEX, VR::CS, "F"),
            (tags::PATIENT_POSITION, VR::CS, "FFP"),
            (tags::BODY_PART_EXAMINED, VR::CS, "BREAST"),
            (tags::MODALITY, VR::CS, "MR"),
            (tags::MANUFACTURER, VR::LO, "Phantom maker"),
            (tags::FRAME_OF_REFERENCE_UID, VR::UI, FRAME_OF_REFERENCE_UID),
            (tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""),
            (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        ] {
            put(&mut o, tag, vr, value);
        }
        let series = if self.layout == Layout::OneSeries { 0 } else { phase };
        put(&mut o, tags::SERIES_INSTANCE_UID, VR::UI, &format!("2.25.6000{series}"));
        put(&mut o, tags::SERIES_NUMBER, VR::IS, &(series + 2).to_string());
        put(&mut o, tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.7{phase}{instance:04}"));
        put(&mut o, tags::INSTANCE_NUMBER, VR::IS, &(phase * self.size[0] + instance + 1).to_string());
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, self.size[1] as u16),
            (tags::COLUMNS, self.size[2] as u16),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 12),
            (tags::HIGH_BIT, 11),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            o.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        o
    }

    fn classic(&self, phase: usize, slice: usize) -> InMemDicomObject {
        let mut o = self.header(phase, slice);
        put(&mut o, tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, &(phase + 1).to_string());
        put(&mut o, tags::IMAGE_POSITION_PATIENT, VR::DS, &self.position(slice).join("\\"));
        put(&mut o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &self.orientation.map(ds).join("\\"));
        put_measures(&mut o, self.spacing_mm);
        (self.edit)(&mut o);
        o
    }

    /// All slices of a phase as frames, with the functional groups that say where they lie.
    fn enhanced(&self, phase: usize) -> InMemDicomObject {
        let mut o = self.header(phase, 0);
        put(&mut o, tags::NUMBER_OF_FRAMES, VR::IS, &self.size[0].to_string());
        let (mut measures, mut orientation) = (InMemDicomObject::new_empty(), InMemDicomObject::new_empty());
        put_measures(&mut measures, self.spacing_mm);
        put(&mut orientation, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &self.orientation.map(ds).join("\\"));
        let mut shared = InMemDicomObject::new_empty();
        put_item(&mut shared, tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
        put_item(&mut shared, tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
        put_item(&mut o, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
        let frames = (0..self.size[0]).map(|n| {
            let (mut frame, mut position) = (InMemDicomObject::new_empty(), InMemDicomObject::new_empty());
            put(&mut position, tags::IMAGE_POSITION_PATIENT, VR::DS, &self.position(n).join("\\"));
            put_item(&mut frame, tags::PLANE_POSITION_SEQUENCE, vec![position]);
            frame
        });
        put_item(&mut o, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames.collect());
        (self.edit)(&mut o);
        o
    }

    /// Writes every instance as a file with a gradient for pixels.
    pub fn write_files(&self, dir: &Path) -> Vec<PathBuf> {
        let channels = self.channels();
        let instances = orthanc_ai::result::distinct_instances(&channels);
        let write = |(n, image): (usize, &&ImageAttributes)| {
            let samples = image.rows * image.columns * image.number_of_frames;
            let pixels: Vec<u16> = (0..samples).map(|i| (i % 4096) as u16).collect();
            let mut object = image.dataset.clone();
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
            let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
            let path = dir.join(format!("source_{n:04}.dcm"));
            object.with_meta(meta).unwrap().write_to_file(&path).unwrap();
            path
        };
        instances.iter().enumerate().map(write).collect()
    }
}

/// PixelSpacing and SliceThickness, of the functional group that all frames share where there is one.
fn measures(dataset: &InMemDicomObject) -> [Option<String>; 2] {
    let first = |object: &InMemDicomObject, tag| object.get(tag)?.value().items()?.first().cloned();
    let shared = first(dataset, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let group = shared.and_then(|s| first(&s, tags::PIXEL_MEASURES_SEQUENCE));
    let holder = group.as_ref().unwrap_or(dataset);
    [tags::PIXEL_SPACING, tags::SLICE_THICKNESS].map(|tag| Some(holder.get(tag)?.to_str().ok()?.trim().to_owned()))
}

fn read(dataset: InMemDicomObject) -> ImageAttributes {
    ImageAttributes::from_dataset(dataset).unwrap()
}

/// As a scanner may write it: six decimals.
fn ds(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::Strs(value.split('\\').map(str::to_owned).collect())));
}

fn put_item(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

fn put_measures(object: &mut InMemDicomObject, [slice, row, column]: [f64; 3]) {
    // Trailing zeros, as some scanners write them: texts must come back as they are.
    put(object, tags::PIXEL_SPACING, VR::DS, &format!("{row:.5}\\{column:.5}"));
    put(object, tags::SLICE_THICKNESS, VR::DS, &format!("{slice}"));
}

/// A manifest for volumes of `phases` channels with segments of these names.
pub fn manifest(phases: usize, segments: &[&str], encoding: &str) -> Manifest {
    Manifest::from_json(&manifest_json(phases, segments, encoding).to_string()).unwrap()
}

pub fn manifest_json(phases: usize, segments: &[&str], encoding: &str) -> Value {
    let code = |value: &str, scheme: &str, meaning: &str| json!({"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning});
    let segment = |(n, name): (usize, &&str)| {
        let concepts = [("108369006", "Neoplasm"), ("52988006", "Lesion")];
        let (value, meaning) = concepts[n % 2];
        let color = ["#ff0000", "#00a0ff"][n % 2];
        json!({
            "name": name, "color": color,
            "category": code("49755003", "SCT", "Morphologically Abnormal Structure"),
            "concept": code(value, "SCT", meaning),
        })
    };
    json!({
        "manifest_version": 1, "name": "volumes-test", "version": "1.0.0", "title": "Volumes, test", "description": "For tests.",
        "demo": true,
        "input": {
            "where": [{"keyword": "Modality", "equals": "MR"}],
            "select": {"Volumes": {"channels": &PHASES[..phases], "time_points": ["TemporalPositionIdentifier"]}},
        },
        "preprocessing": [],
        "network": {"TorchScript": {"in_channels": phases, "num_classes": segments.len(), "spatial_dims": 3}},
        "weights": {"file": "weights.pt", "format": "torchscript"},
        "task": {"Segmentation": {
            "activation": "sigmoid",
            "postprocessing": [{"AsDiscrete": {"threshold": 0.7}}, {"BinaryErosion": {"size": [3, 3, 3]}}, {"Invert": {"mode": "linear"}}],
            "segments": segments.iter().enumerate().map(segment).collect::<Vec<_>>(),
            "encoding": encoding,
        }},
        "report": {
            "series_description": "AI DEMO volumes (research only)", "series_number": 9011,
            "disclaimer": "DEMO. For research use only. Not for diagnostic use. Unverified.", "algorithm_name": "volumes-test",
            "procedure_reported": code("363679005", "SCT", "Imaging procedure"),
            "finding_site": code("76752008", "SCT", "Breast"),
        },
    })
}

/// A lopsided blob about `centre` (slice, row, column): no flip or turn of it is itself.
pub fn blob(size: [usize; 3], centre: [f64; 3], radius: f64) -> Array3<u8> {
    Array3::from_shape_fn(size, |(s, r, c)| {
        let d = [s as f64 - centre[0], r as f64 - centre[1], c as f64 - centre[2]];
        let reach = radius * (1.0 + 0.3 * (d[1] > 0.0) as u8 as f64 + 0.5 * (d[2] > 0.0) as u8 as f64);
        u8::from((3.0 * d[0]).hypot(d[1]).hypot(d[2]) <= reach)
    })
}

/// Masks with simple measurements: the box of the largest slice as outline, channel n's mean 100 + 50 n.
pub fn segmentation(exam: &Exam, masks: Vec<Array3<u8>>) -> Segmentation {
    let geometry = exam.geometry();
    let segments = masks.into_iter().map(|mask| SegmentMask { lesion: lesion(&geometry, &mask, exam.phases), mask });
    Segmentation { segments: segments.collect(), geometry: geometry.clone() }
}

fn lesion(geometry: &Geometry, mask: &Array3<u8>, phases: usize) -> Option<Lesion> {
    let inside: Vec<[usize; 3]> =
        mask.indexed_iter().filter(|(_, v)| **v != 0).map(|((s, r, c), _)| [s, r, c]).collect();
    let count = |slice: usize| inside.iter().filter(|i| i[0] == slice).count();
    let slice = inside.iter().map(|i| i[0]).max_by_key(|s| count(*s))?;
    let bounds = |axis: usize| {
        let on_slice = || inside.iter().filter(|i| i[0] == slice).map(|i| i[axis]);
        Some((on_slice().min()? as f32, on_slice().max()? as f32 + 1.0))
    };
    let ((top, bottom), (left, right)) = (bounds(1)?, bounds(2)?);
    let at = |i: &[usize; 3]| geometry.to_patient(i.map(|v| v as f64));
    let (from_mm, to_mm) = (at(inside.first()?), at(inside.last()?));
    Some(Lesion {
        voxels: inside.len(),
        volume_ml: inside.len() as f64 * geometry.voxel_mm3() / 1000.0,
        ratio_percent: 100.0 * inside.len() as f64 / mask.len() as f64,
        long_axis: LongAxis {
            length_mm: (0..3).map(|a| (to_mm[a] - from_mm[a]).powi(2)).sum::<f64>().sqrt(),
            from_mm,
            to_mm,
        },
        channel_means: (0..phases).map(|n| 100.0 + 50.0 * n as f64).collect(),
        spread: None,
        outline: Outline {
            slice,
            points: vec![[left, top], [right, top], [right, bottom], [left, bottom], [left, top]],
        },
    })
}
