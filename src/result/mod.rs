//! What a run says, as DICOM objects and as JSON for people. One file an IOD; nothing here runs a model or talks to a
//! server.

pub mod charset;
pub mod codes;
pub mod common;
pub mod content;
pub mod encapsulated;
pub mod evidence;
pub mod image_group;
pub mod image_library;
pub mod reference;
pub mod report;
pub mod secondary_capture;
pub mod seg;
pub mod segmented;
pub mod source;
pub mod sr;
pub mod uid;
pub mod vr;

use std::collections::HashSet;

use time::OffsetDateTime;

use crate::imaging::{ImageAttributes, SliceSource};
use crate::manifest::Manifest;
use crate::predict::{ImageExplanation, Prediction, Segmentation};
use segmented::Segmented;

pub use common::MANUFACTURER;
pub use image_group::{ImageFailure, ImageGroup, ImageSegmentationContext, SegmentedImage, encode_image_segmentation};
pub use report::{ExplanationReport, Report};
pub use secondary_capture::heat_map_object;
pub use sr::{SrSopClass, measurement_report};
pub use uid::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, ResultUids};

/// Why no result object was made. Never quotes a patient's data.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    #[error("no source image")]
    NoImages,
    /// The images are of more than one patient or study.
    #[error("the source images differ in {attribute}: expected one patient and one study")]
    MixedStudies { attribute: &'static str },
    /// Nothing to report: an error of the run, not a report without findings.
    #[error("none of the {images} images could be analysed: no report is made")]
    AllFailed { images: usize },
    /// The prediction is not one of these images or of this model.
    #[error("prediction: {reason}")]
    Prediction { reason: String },
    /// A value of ours breaks its VR's rules.
    #[error("{attribute}: {reason}")]
    Value { attribute: String, reason: String },
    /// A value of the source that the result cannot do without.
    #[error("source image, {attribute}: {reason}")]
    Source { attribute: String, reason: String },
    #[error(
        "the manifest's texts need UTF-8, but the source's (SpecificCharacterSet \"{declared}\") cannot be converted: \
         expected ASCII texts in the manifest"
    )]
    CharacterSet { declared: String },
    /// What must be burned into a picture of this image would hide it.
    #[error(
        "heat map: the image has {rows} x {columns} pixels, expected {min_rows} x {min_columns} or more: its text needs room"
    )]
    Picture { rows: usize, columns: usize, min_rows: usize, min_columns: usize },
    #[error("encoding: {0}")]
    Encoding(String),
}

/// What every result object of one run needs to know.
#[derive(Debug, Clone)]
pub struct ResultContext<'a> {
    pub manifest: &'a Manifest,
    /// SHA-256 of the weights file, 64 hexadecimal digits.
    pub weights_sha256: &'a str,
    /// The source instances, in the order of the report. `ImagePrediction::image` indexes it.
    pub images: &'a [&'a ImageAttributes],
    /// When the run ended. Written in the study's TimezoneOffsetFromUTC where it has one, else in this value's own
    /// offset.
    pub created: OffsetDateTime,
    pub uids: ResultUids,
    /// Version of this plugin.
    pub software_version: &'a str,
    pub sr_sop_class: SrSopClass,
}

/// What the result objects of a segmentation need to know.
#[derive(Debug, Clone)]
pub struct SegmentationContext<'a> {
    /// `images`: every instance of `channels` once, see [`distinct_instances`].
    pub run: ResultContext<'a>,
    /// In the manifest's order.
    pub channels: &'a [ChannelSource],
}

/// What one channel was read from.
#[derive(Debug, Clone)]
pub struct ChannelSource {
    /// In the order of the masks; of a resampled channel those it was read from.
    pub slices: Vec<SliceSource>,
    /// Whether the channel's values were interpolated on the first channel's grid, where the masks lie: then its slices are not
    /// those of the masks.
    pub resampled: bool,
}

/// Every instance that slices of `channels` were read from, once, in order of first appearance: what
/// [`ResultContext::images`] and [`ResultUids::new`] take for a segmentation.
pub fn distinct_instances(channels: &[ChannelSource]) -> Vec<&ImageAttributes> {
    let mut seen = HashSet::new();
    let instances = channels.iter().flat_map(|c| &c.slices).map(|s| &*s.instance);
    instances.filter(|i| seen.insert(i.sop_instance_uid.as_str())).collect()
}

/// One object to be stored.
#[derive(Debug, Clone)]
pub struct ResultObject {
    pub kind: ResultKind,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub series_instance_uid: String,
    pub study_instance_uid: String,
    /// A DICOM file (PS3.10), Explicit VR Little Endian.
    pub bytes: Vec<u8>,
    /// Keywords of patient and study attributes that were not copied because the source's value is not valid.
    pub left_out: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKind {
    /// TID 1500 measurement report.
    Sr,
    /// Segmentation, or Label Map Segmentation.
    Seg,
    /// Secondary Capture: a heat map.
    Sc,
    /// Encapsulated STL: a segment's surface.
    M3d,
    /// Encapsulated PDF: the report for people.
    Doc,
}

impl std::fmt::Display for ResultKind {
    /// The object's Modality; of a heat map what it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sr => f.write_str("SR"),
            Self::Seg => f.write_str("SEG"),
            Self::Sc => f.write_str("SC"),
            Self::M3d => f.write_str("M3D"),
            Self::Doc => f.write_str("DOC"),
        }
    }
}

/// Everything that one run says.
#[derive(Debug, Clone)]
pub struct Results {
    pub objects: Vec<ResultObject>,
    pub report: Report,
    /// What was asked for and is not among the objects, and why.
    pub warnings: Vec<String>,
}

/// Data path step 9: the result objects and the report of a classification.
///
/// # Errors
/// [`ResultError`]
pub fn encode(ctx: &ResultContext, prediction: &Prediction) -> Result<Results, ResultError> {
    encode_remarked(ctx, prediction, &Remarks::default())
}

/// What is said beside a classification's answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Remarks<'a> {
    /// What answers rest on, one an image.
    pub explanations: &'a [ImageExplanation],
    /// Why the images may not be what the model was made for, in words.
    pub out_of_domain: &'a [String],
}

/// Data path step 9: as [`encode`], with a heat map for each explanation, and regions, sentences and remarks in report and SR.
///
/// # Errors
/// [`ResultError`]
pub fn encode_remarked(
    ctx: &ResultContext,
    prediction: &Prediction,
    remarks: &Remarks<'_>,
) -> Result<Results, ResultError> {
    let maps = (1..).zip(remarks.explanations).map(|(number, e)| heat_map_object(ctx, e, number));
    let maps: Vec<ResultObject> = maps.collect::<Result<_, _>>()?;
    let sr = sr::remarked_report(ctx, prediction, remarks)?;
    let explanations = remarks.explanations.iter().zip(&maps).map(|(e, map)| ExplanationReport::new(ctx, e, map));
    let report = Report {
        explanations: explanations.collect::<Result<_, _>>()?,
        out_of_domain: remarks.out_of_domain.to_vec(),
        ..Report::new(ctx, prediction)?
    };
    Ok(Results { objects: maps.into_iter().chain([sr]).collect(), report, warnings: Vec::new() })
}

/// Data path step 9: the result objects and the report of a segmentation. The SEG is left out where no segment has a
/// voxel; the SR is always there; surfaces where the manifest asks for them.
///
/// # Errors
/// [`ResultError`]
pub fn encode_segmentation(ctx: &SegmentationContext, segmentation: &Segmentation) -> Result<Results, ResultError> {
    let segmented = Segmented::new(ctx, segmentation)?;
    let seg = seg::segmentation_object(&segmented)?;
    let sr = sr::segmentation_report(&segmented, seg.as_ref())?;
    let report = Report::of_segmentation(&segmented, seg.as_ref())?;
    let (surfaces, warnings) = encapsulated::surface_objects(&segmented, seg.as_ref())?;
    Ok(Results { objects: seg.into_iter().chain([sr]).chain(surfaces).collect(), report, warnings })
}

/// Whether an instance's Manufacturer says that we made it: no model takes what a model has made.
pub fn is_own_result(manufacturer: Option<&str>) -> bool {
    manufacturer == Some(MANUFACTURER)
}

#[cfg(test)]
mod tests;
