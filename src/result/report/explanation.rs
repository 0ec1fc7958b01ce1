//! What an answer rests on, for people.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::common::demo_marked;
use super::super::{ResultContext, ResultError, ResultObject};
use crate::manifest::Manifest;
use crate::predict::{ImageExplanation, ImageSide, Part, PlacedRegion, Side, Statement, sentences};

/// One explained image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ExplanationReport {
    /// SOPInstanceUID of the source.
    pub instance_uid: String,
    /// From 1, in a multi-frame instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u32>,
    /// The class that is explained.
    pub class: String,
    /// On this image, 0..=1.
    pub probability: f64,
    /// The stored heat map.
    pub heat_map_instance_uid: String,
    pub heat_map_series_uid: String,
    /// The highest peak first.
    pub regions: Vec<RegionReport>,
    /// Sentences by language; the disclaimer is the last of each.
    pub texts: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct RegionReport {
    /// From 1, as in the heat map's picture.
    pub number: usize,
    /// Greatest heat, 0..=1.
    pub peak: f64,
    /// (row, column), the first pixel's centre at 0.
    pub center: [f64; 2],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area_mm2: Option<f64>,
    /// Height and width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent_mm: Option<[f64; 2]>,
    /// Of the patient: "left", "right", "midline".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// "front", "middle", "back".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Of a picture: "left", "right".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_side: Option<String>,
}

impl ExplanationReport {
    /// # Errors
    /// [`ResultError::Prediction`] where the explanation names an image or a class that is not there.
    pub fn new(ctx: &ResultContext, explanation: &ImageExplanation, map: &ResultObject) -> Result<Self, ResultError> {
        let misfit = |what: &str, found: usize, count: usize| ResultError::Prediction {
            reason: format!("found {what} {found}, expected 0..{count}"),
        };
        let (images, classes) = (ctx.images, ctx.manifest.classes());
        let image = images.get(explanation.image).ok_or_else(|| misfit("image", explanation.image, images.len()))?;
        let class = classes.get(explanation.class).ok_or_else(|| misfit("class", explanation.class, classes.len()))?;
        Ok(Self {
            instance_uid: image.sop_instance_uid.clone(),
            frame: explanation.frame.or(explanation.slice.as_ref().and_then(|slice| slice.frame)),
            class: class.name.clone(),
            probability: explanation.probability,
            heat_map_instance_uid: map.sop_instance_uid.clone(),
            heat_map_series_uid: map.series_instance_uid.clone(),
            regions: (1..)
                .zip(&explanation.regions)
                .map(|(number, placed)| RegionReport::new(number, placed))
                .collect(),
            texts: texts(ctx.manifest, &explanation.statement()),
        })
    }
}

/// The manifest's sentences by language, the disclaimer the last of each, marked DEMO where the weights are.
pub(super) fn texts(manifest: &Manifest, statement: &Statement<'_>) -> BTreeMap<String, Vec<String>> {
    let mut texts = sentences(manifest, statement);
    for text in texts.values_mut().filter_map(|texts| texts.last_mut()) {
        *text = demo_marked(manifest, text);
    }
    texts
}

impl RegionReport {
    fn new(number: usize, PlacedRegion { region, place }: &PlacedRegion) -> Self {
        Self {
            number,
            peak: f64::from(region.peak),
            center: region.center,
            area_mm2: region.area_mm2,
            extent_mm: region.extent_mm,
            side: place.side.map(|side| {
                word(match side {
                    Side::Left => "left",
                    Side::Right => "right",
                    Side::Midline => "midline",
                })
            }),
            part: place.part.map(|part| {
                word(match part {
                    Part::Front => "front",
                    Part::Middle => "middle",
                    Part::Back => "back",
                })
            }),
            image_side: place.image_side.map(|side| {
                word(match side {
                    ImageSide::Left => "left",
                    ImageSide::Right => "right",
                })
            }),
        }
    }
}

fn word(word: &str) -> String {
    word.to_owned()
}
