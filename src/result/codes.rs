//! The coded concepts that result objects use, by name. Values and meanings as in PS3.16 Annex D and the context
//! groups named here; `sr_readers` has other people's dictionaries check them.

use crate::manifest::{CodedConcept, Thresholds};
use crate::predict::Part;

/// A concept of the standard: (value, scheme, meaning).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concept {
    pub value: &'static str,
    pub scheme: &'static str,
    pub meaning: &'static str,
}

impl From<Concept> for CodedConcept {
    fn from(c: Concept) -> Self {
        Self::new(c.value, c.scheme, c.meaning)
    }
}

const fn dcm(value: &'static str, meaning: &'static str) -> Concept {
    Concept { value, scheme: "DCM", meaning }
}

const fn sct(value: &'static str, meaning: &'static str) -> Concept {
    Concept { value, scheme: "SCT", meaning }
}

/// Designator of the project's own codes.
pub const PRIVATE: &str = "99ORTHAI";

/// A concept that no standard scheme has.
const fn private(value: &'static str, meaning: &'static str) -> Concept {
    Concept { value, scheme: PRIVATE, meaning }
}

const fn ucum(value: &'static str, meaning: &'static str) -> Concept {
    Concept { value, scheme: "UCUM", meaning }
}

// TID 1500 and what it includes
pub const IMAGING_MEASUREMENT_REPORT: Concept = dcm("126000", "Imaging Measurement Report");
pub const LANGUAGE: Concept = dcm("121049", "Language of Content Item and Descendants");
pub const ENGLISH_US: Concept = Concept { value: "en-US", scheme: "RFC5646", meaning: "English (United States)" };
pub const PROCEDURE_REPORTED: Concept = dcm("121058", "Procedure reported");
pub const IMAGING_MEASUREMENTS: Concept = dcm("126010", "Imaging Measurements");
/// The standard's own code for this container, TID 1500 row 12.
pub const QUALITATIVE_EVALUATIONS: Concept =
    Concept { value: "C0034375", scheme: "UMLS", meaning: "Qualitative Evaluations" };
pub const COMMENT: Concept = dcm("121106", "Comment");

// TID 1001, TID 1004: device observer
pub const OBSERVER_TYPE: Concept = dcm("121005", "Observer Type");
pub const DEVICE: Concept = dcm("121007", "Device");
pub const DEVICE_OBSERVER_UID: Concept = dcm("121012", "Device Observer UID");
pub const DEVICE_OBSERVER_NAME: Concept = dcm("121013", "Device Observer Name");
pub const DEVICE_OBSERVER_MANUFACTURER: Concept = dcm("121014", "Device Observer Manufacturer");
pub const DEVICE_OBSERVER_MODEL_NAME: Concept = dcm("121015", "Device Observer Model Name");
pub const DEVICE_OBSERVER_SERIAL_NUMBER: Concept = dcm("121016", "Device Observer Serial Number");

// TID 1600–1603: image library
pub const IMAGE_LIBRARY: Concept = dcm("111028", "Image Library");
pub const IMAGE_LIBRARY_GROUP: Concept = dcm("126200", "Image Library Group");
pub const SOURCE: Concept = sct("260753009", "Source");
pub const MODALITY: Concept = dcm("121139", "Modality");
pub const IMAGE_LATERALITY: Concept = dcm("111027", "Image Laterality");
pub const PIXEL_DATA_ROWS: Concept = dcm("110910", "Pixel Data Rows");
pub const PIXEL_DATA_COLUMNS: Concept = dcm("110911", "Pixel Data Columns");
pub const IMAGE_VIEW: Concept = dcm("111031", "Image View");
pub const PATIENT_ORIENTATION_ROW: Concept = dcm("111044", "Patient Orientation Row");
pub const PATIENT_ORIENTATION_COLUMN: Concept = dcm("111043", "Patient Orientation Column");
pub const HORIZONTAL_PIXEL_SPACING: Concept = dcm("111026", "Horizontal Pixel Spacing");
pub const VERTICAL_PIXEL_SPACING: Concept = dcm("111066", "Vertical Pixel Spacing");

// TID 1410, 1419: measurement group
pub const MEASUREMENT_GROUP: Concept = dcm("125007", "Measurement Group");
pub const TRACKING_IDENTIFIER: Concept = dcm("112039", "Tracking Identifier");
pub const TRACKING_UNIQUE_IDENTIFIER: Concept = dcm("112040", "Tracking Unique Identifier");
pub const FINDING: Concept = dcm("121071", "Finding");
pub const FINDING_SITE: Concept = sct("363698007", "Finding Site");
pub const LATERALITY: Concept = sct("272741003", "Laterality");
/// TID 1410 row 6c: where in the site.
pub const TOPOGRAPHICAL_MODIFIER: Concept = sct("106233006", "Topographical modifier");
pub const IMAGE_REGION: Concept = dcm("111030", "Image Region");
pub const ORIGINAL_SOURCE: Concept = dcm("111040", "Original Source");

// TID 1411, 1419: what is measured on a segment
pub const REFERENCED_SEGMENT: Concept = dcm("121191", "Referenced Segment");
pub const SOURCE_SERIES: Concept = dcm("121232", "Source series for segmentation");
pub const VOLUME: Concept = sct("118565006", "Volume");
pub const MEASUREMENT_METHOD: Concept = sct("370129005", "Measurement Method");
pub const SUM_OF_VOXELS: Concept = dcm("126030", "Sum of segmented voxel method for volume");
pub const LONG_AXIS: Concept = sct("103339001", "Long axis");
pub const DERIVATION: Concept = dcm("121401", "Derivation");
pub const MEAN: Concept = sct("373098007", "Mean");
pub const AREA: Concept = sct("42798000", "Area");
/// CID 225, by TID 310 row 5 a property of any measurement.
pub const MEASUREMENT_UNCERTAINTY: Concept = sct("371884006", "+/-, range of measurement uncertainty");
/// CID 7464.
pub const STANDARD_DEVIATION: Concept = sct("386136009", "Standard Deviation");
/// How far the answers of which a segment is made agree, over its pixels or voxels.
pub const SEGMENT_SPREAD: Concept = private("SEGMENT_SPREAD", "Mean standard deviation of the probability inside");
/// The greatest value of a region of a heat map, which goes from 0 to 1.
pub const HEAT_PEAK: Concept = private("HEAT_PEAK", "Peak of the visual explanation");
pub const MAXIMUM: Concept = sct("56851009", "Maximum");
/// TID 1502 row 1.
pub const TIME_POINT: Concept = Concept { value: "C2348792", scheme: "UMLS", meaning: "Time Point" };
/// How much of one image a segment takes.
pub const IMAGE_SHARE: Concept = private("IMAGE_SHARE", "Share of the image");
/// How much of the analysed volume a segment takes.
pub const VOLUME_SHARE: Concept = private("VOLUME_SHARE", "Share of the analysed volume");
/// (mean - mean of the first time point) / mean of the first time point.
pub const ENHANCEMENT: Concept = private("ENHANCEMENT", "Relative enhancement over the first time point");

// TID 4019: algorithm identification
pub const ALGORITHM_NAME: Concept = dcm("111001", "Algorithm Name");
pub const ALGORITHM_VERSION: Concept = dcm("111003", "Algorithm Version");
pub const ALGORITHM_PARAMETERS: Concept = dcm("111002", "Algorithm Parameters");

// Segmentation: SegmentSequence, functional groups
pub const ARTIFICIAL_INTELLIGENCE: Concept = dcm("123110", "Artificial Intelligence");
pub const SEGMENTATION: Concept = dcm("113076", "Segmentation");
pub const SOURCE_IMAGE_FOR_PROCESSING: Concept = dcm("121322", "Source image for image processing operation");
pub const SPATIAL_AND_RELATIONAL_CONCEPT: Concept = sct("309825002", "Spatial and Relational Concept");
pub const BACKGROUND: Concept = dcm("125040", "Background");

// Model document title (CID 7061)
pub const CT_MODEL: Concept = Concept { value: "85040-4", scheme: "LN", meaning: "CT 3D CAM model" };
pub const MR_MODEL: Concept = Concept { value: "85041-2", scheme: "LN", meaning: "MR 3D CAM model" };
pub const MIXED_MODEL: Concept = dcm("129019", "Mixed Modality 3D CAM model");

// Whether there was anything to report (CID 6047)
pub const CAD_PROCESSING_SUMMARY: Concept = dcm("111017", "CAD Processing and Findings Summary");
pub const SUCCEEDED_WITHOUT_FINDINGS: Concept = dcm("111241", "All algorithms succeeded; without findings");
pub const SUCCEEDED_WITH_FINDINGS: Concept = dcm("111242", "All algorithms succeeded; with findings");
pub const NO_ALGORITHMS_SUCCEEDED: Concept = dcm("111245", "No algorithms succeeded; without findings");

// Purpose of Reference (CID 7005, CID 7060)
pub const SOURCE_IMAGE: Concept = dcm("121324", "Source image");
pub const PROCESSING_EQUIPMENT: Concept = dcm("109102", "Processing Equipment");

// Units
pub const PERCENT: Concept = ucum("%", "Percent");
pub const MILLIMETER: Concept = ucum("mm", "mm");
pub const SQUARE_MILLIMETER: Concept = ucum("mm2", "mm2");
pub const CUBIC_CENTIMETER: Concept = ucum("cm3", "cm3");
pub const PIXELS: Concept = ucum("{pixels}", "Pixels");
pub const NO_UNITS: Concept = ucum("1", "no units");
pub const HOUNSFIELD_UNIT: Concept = ucum("[hnsf'U]", "Hounsfield unit");

/// What the report says of one class on one image (CID 240).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Present,
    Absent,
    Undetermined,
}

impl Presence {
    /// Present at `present` and above, Absent below `absent`, else Undetermined. `probability` is in 0..=1.
    pub fn of(probability: f64, thresholds: Thresholds) -> Self {
        if probability >= thresholds.present {
            Self::Present
        } else if probability < thresholds.absent {
            Self::Absent
        } else {
            Self::Undetermined
        }
    }

    /// What may be said of a class where a part was not seen, which may hold what was found nowhere else. `negative`: the class says that there
    /// is no finding.
    pub fn as_far_as_seen(self, negative: bool) -> Self {
        match (self, negative) {
            (Self::Absent, false) | (Self::Present, true) => Self::Undetermined,
            (presence, _) => presence,
        }
    }

    pub fn concept(self) -> Concept {
        match self {
            Self::Present => sct("52101004", "Present"),
            Self::Absent => sct("272519000", "Absent"),
            Self::Undetermined => sct("373068000", "Undetermined"),
        }
    }
}

/// Laterality (CID 244) of ImageLaterality's "L", "R", "B".
pub fn laterality(code: &str) -> Option<Concept> {
    match code {
        "L" => Some(sct("7771000", "Left")),
        "R" => Some(sct("24028007", "Right")),
        "B" => Some(sct("51440002", "Bilateral")),
        _ => None,
    }
}

/// Anatomic modifier (CID 2) of a third of the inside of the skull.
pub fn part(part: Part) -> Concept {
    match part {
        Part::Front => sct("255549009", "Anterior"),
        Part::Middle => sct("26216008", "Central"),
        Part::Back => sct("255551008", "Posterior"),
    }
}

/// View for mammography (CID 4014) of ViewPosition's terms (PS3.3 C.8.11.7.1.2, Table of equivalents).
pub fn mammography_view(view_position: &str) -> Option<Concept> {
    match view_position {
        "CC" => Some(sct("399162004", "cranio-caudal")),
        "MLO" => Some(sct("399368009", "medio-lateral oblique")),
        "ML" => Some(sct("399260004", "medial-lateral")),
        "LM" => Some(sct("399352003", "latero-medial")),
        "LMO" => Some(sct("399099002", "latero-medial oblique")),
        "XCCL" => Some(sct("399192008", "cranio-caudal exaggerated laterally")),
        "XCCM" => Some(sct("399101009", "cranio-caudal exaggerated medially")),
        "FB" => Some(sct("399196006", "caudo-cranial")),
        "SIO" => Some(sct("399188001", "superolateral to inferomedial oblique")),
        "ISO" => Some(sct("441555000", "inferomedial to superolateral oblique")),
        _ => None,
    }
}

/// Acquisition modality (CID 29) of Modality's terms, as far as models of this plugin take them.
pub fn modality(code: &str) -> Option<Concept> {
    match code {
        "MG" => Some(dcm("MG", "Mammography")),
        "CR" => Some(dcm("CR", "Computed Radiography")),
        "DX" => Some(dcm("DX", "Digital Radiography")),
        "CT" => Some(dcm("CT", "Computed Tomography")),
        "MR" => Some(dcm("MR", "Magnetic Resonance")),
        "US" => Some(dcm("US", "Ultrasound")),
        "DMS" => Some(dcm("DMS", "Dermoscopy")),
        "XC" => Some(dcm("XC", "External-camera Photography")),
        _ => None,
    }
}

/// What the values of an image measure, with their unit (CID 218, CID 7180), by Modality; `dynamic`: of one of several
/// time points after contrast medium. None where values of that modality have no name.
pub fn signal(modality: &str, dynamic: bool) -> Option<(Concept, Concept)> {
    match (modality, dynamic) {
        ("MR", true) => Some((dcm("110816", "T1 Weighted Dynamic Contrast Enhanced MR Signal Intensity"), NO_UNITS)),
        ("MR", false) => Some((dcm("110852", "MR signal intensity"), NO_UNITS)),
        ("CT", _) => Some((dcm("112031", "Attenuation Coefficient"), HOUNSFIELD_UNIT)),
        _ => None,
    }
}
