//! The report for people: what the page shows and `GET /studies/{id}/ai/report` answers. No patient data.

mod explanation;
mod images;
mod segmentation;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;

use super::codes::Presence;
use super::common::demo_marked;
use super::segmented::Segmented;
use super::{ResultContext, ResultError, ResultObject};
use crate::imaging::ImageAttributes;
use crate::manifest::{Answers, ClassificationSpec, Override, TaskSpec};
use crate::predict::{Finding, ImagePrediction, OverallPrediction, Prediction, Statement};

pub use explanation::{ExplanationReport, RegionReport};
pub use images::{ImageSegmentReport, ImageSegmentationReport, RegionMeasurements};
pub use segmentation::{ChannelReport, SegmentReport, SegmentationReport};

/// One run in words and numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Report {
    pub model: String,
    pub title: String,
    pub version: String,
    /// SHA-256 of the weights.
    pub weights: String,
    pub demo: bool,
    pub disclaimer: String,
    /// Where the thresholds come from, if they are the site's own (`override.json`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<String>,
    /// Of a model that combines several answers: of how many. What spread there is, is theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// RFC 3339.
    pub created: String,
    /// Of a classification, and of a segmentation of single images (then an entry is an image or a frame of one); of volumes none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageReport>,
    /// Of a classification that makes one answer of all images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overall: Option<OverallReport>,
    /// Of a segmentation of volumes, and of images that are one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<SegmentationReport>,
    /// What the answers rest on, where the manifest asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explanations: Vec<ExplanationReport>,
    /// Why the images may not be what the model was made for, in words; empty where the manifest's checks passed or there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out_of_domain: Vec<String>,
}

/// One image: either analysed (all but `error`) or not (only `error`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ImageReport {
    pub view: String,
    /// SOPInstanceUID of the source.
    pub instance_uid: String,
    /// From 1, in a multi-frame source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_number: Option<u32>,
    pub success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub result: Option<Classification>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<ImageSegmentationReport>,
}

/// The answer for all images of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct OverallReport {
    /// SeriesInstanceUID, where all images are of one series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_uid: Option<String>,
    #[serde(flatten)]
    pub result: Classification,
    /// How it was made of the images' probabilities, for people.
    pub method: String,
    pub total: usize,
    /// Of `total`; the others failed.
    pub analysed: usize,
    /// The images that carry the answer, those that speak most for it first: indices into `Images`.
    pub carrying: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Classification {
    /// The winning class's name.
    pub class: String,
    /// `#rrggbb`
    pub color: String,
    /// Of the winning class, 0..=1.
    pub probability: f64,
    /// Class name to probability, in the manifest's order.
    pub all_probabilities: Map<String, Value>,
    /// Standard deviation of the winning class's probability over the answers that the model combines, 0..=0.5. Of the answer for all
    /// images the mean of those of the images that its probability is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// Class name to spread, in the manifest's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_spreads: Option<Map<String, Value>>,
    /// One line for people: "Mass: 87.0 %, present".
    pub finding: String,
    /// The manifest's sentences on it by language, the disclaimer the last of each; empty where it has none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, Vec<String>>,
}

impl Report {
    /// The report of a run; in contrast to the SR there is one, too, when every image failed.
    ///
    /// # Errors
    /// [`ResultError::Prediction`] where the prediction names an image or a class that is not there.
    pub fn new(ctx: &ResultContext, prediction: &Prediction) -> Result<Self, ResultError> {
        let images = prediction.images.iter().map(|p| image_report(ctx, p)).collect::<Result<_, _>>()?;
        let overall =
            prediction.overall.as_ref().map(|overall| overall_report(ctx, prediction, overall)).transpose()?;
        Ok(Self { images, overall, ..Self::empty(ctx)? })
    }

    /// The report of a segmentation; `seg` is the object with the masks, if there are any.
    ///
    /// # Errors
    /// [`ResultError::Encoding`]
    pub fn of_segmentation(segmented: &Segmented, seg: Option<&ResultObject>) -> Result<Self, ResultError> {
        let segmentation = SegmentationReport::new(segmented, seg)?;
        Ok(Self { segmentation: Some(segmentation), ..Self::empty(segmented.ctx)? })
    }

    /// Which model, and when.
    fn empty(ctx: &ResultContext) -> Result<Self, ResultError> {
        let manifest = ctx.manifest;
        Ok(Self {
            model: manifest.name.clone(),
            title: demo_marked(manifest, &manifest.title),
            version: manifest.version.clone(),
            weights: ctx.weights_sha256.to_owned(),
            demo: manifest.demo,
            disclaimer: demo_marked(manifest, &manifest.report.disclaimer),
            thresholds: manifest.thresholds_override.as_ref().map(Override::summary),
            answers: manifest.answers(),
            created: ctx.created.format(&Rfc3339).map_err(|e| ResultError::Encoding(e.to_string()))?,
            images: Vec::new(),
            overall: None,
            segmentation: None,
            explanations: Vec::new(),
            out_of_domain: Vec::new(),
        })
    }
}

fn image_report(ctx: &ResultContext, p: &ImagePrediction) -> Result<ImageReport, ResultError> {
    let image = ctx.images.get(p.image).ok_or_else(|| ResultError::Prediction {
        reason: format!("found image {}, expected 0..{}", p.image, ctx.images.len()),
    })?;
    let (result, error) = match &p.outcome {
        Ok(finding) => (Some(classification(ctx, finding, &|_, presence| presence)?), None),
        Err(reason) => (None, Some(reason.clone())),
    };
    Ok(ImageReport {
        view: p.view.clone(),
        instance_uid: image.sop_instance_uid.clone(),
        frame_number: p.frame,
        success: result.is_some(),
        error,
        result,
        segmentation: None,
    })
}

fn overall_report(
    ctx: &ResultContext,
    prediction: &Prediction,
    overall: &OverallPrediction,
) -> Result<OverallReport, ResultError> {
    let (total, analysed) = (prediction.images.len(), overall.analysed);
    let said = |class, presence| said_of_all(ctx, class, presence, analysed == total);
    let texts = overall_statement(ctx, prediction).map(|answer| said_in_words(ctx, &answer)).unwrap_or_default();
    Ok(OverallReport {
        series_uid: one_series(ctx.images).map(str::to_owned),
        result: Classification { texts, ..classification(ctx, &overall.finding, &said)? },
        method: method(ctx),
        total,
        analysed,
        carrying: overall.carrying.clone(),
    })
}

/// What sentences on the answer for all images are about. None where there is no such answer, and where some images could not be analysed: then
/// sentences are said of what is present alone.
pub(super) fn overall_statement(ctx: &ResultContext, prediction: &Prediction) -> Option<Statement<'static>> {
    let OverallPrediction { finding, analysed, .. } = prediction.overall.as_ref()?;
    let presence = Presence::of(finding.probability, ctx.manifest.classes().get(finding.class)?.thresholds);
    let complete = *analysed == prediction.images.len();
    let told = complete || said_of_all(ctx, finding.class, presence, complete) == Presence::Present;
    told.then_some(Statement { class: finding.class, probability: finding.probability, regions: None })
}

/// By language; empty where the manifest has no sentences.
fn said_in_words(ctx: &ResultContext, answer: &Statement<'_>) -> BTreeMap<String, Vec<String>> {
    if ctx.manifest.report.sentences.is_empty() {
        return BTreeMap::new();
    }
    explanation::texts(ctx.manifest, answer)
}

/// How the answer for all images is made.
pub(super) fn method(ctx: &ResultContext) -> String {
    match &ctx.manifest.task {
        TaskSpec::Classification(ClassificationSpec { aggregate: Some(aggregate), .. }) => aggregate.describe(),
        _ => String::new(),
    }
}

/// The SeriesInstanceUID that all images share.
pub(super) fn one_series<'a>(images: &[&'a ImageAttributes]) -> Option<&'a str> {
    let uid = images.first()?.series_instance_uid.as_str();
    images.iter().all(|image| image.series_instance_uid == uid).then_some(uid)
}

/// What may be said of a class on all images together; `complete`: all of them were analysed.
pub(super) fn said_of_all(ctx: &ResultContext, class: usize, presence: Presence, complete: bool) -> Presence {
    let negative = match &ctx.manifest.task {
        TaskSpec::Classification(task) => task.negative() == Some(class),
        TaskSpec::Segmentation(_) => false,
    };
    if complete { presence } else { presence.as_far_as_seen(negative) }
}

/// `said`: what becomes of the presence that a class's thresholds give.
fn classification(
    ctx: &ResultContext,
    finding: &Finding,
    said: &dyn Fn(usize, Presence) -> Presence,
) -> Result<Classification, ResultError> {
    let class = |index: usize| {
        ctx.manifest.classes().get(index).ok_or_else(|| ResultError::Prediction {
            reason: format!("found class {index}, expected 0..{}", ctx.manifest.classes().len()),
        })
    };
    let winner = class(finding.class)?;
    let (mut all_probabilities, mut all_spreads) = (Map::new(), Map::new());
    for c in &finding.all {
        let name = &class(c.class)?.name;
        all_probabilities.insert(name.clone(), c.probability.into());
        if let Some(spread) = c.spread {
            all_spreads.insert(name.clone(), spread.into());
        }
    }
    let presence = match said(finding.class, Presence::of(finding.probability, winner.thresholds)) {
        Presence::Present => "present",
        Presence::Absent => "absent",
        Presence::Undetermined => "undetermined",
    };
    Ok(Classification {
        class: winner.name.clone(),
        color: winner.color.clone(),
        probability: finding.probability,
        all_probabilities,
        spread: finding.spread(),
        all_spreads: (!all_spreads.is_empty()).then_some(all_spreads),
        finding: format!("{}: {:.1} %, {presence}", winner.name, finding.probability * 100.0),
        texts: said_in_words(ctx, &Statement { class: finding.class, probability: finding.probability, regions: None }),
    })
}
