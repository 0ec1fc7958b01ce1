//! Data path step 2: which of a resource's instances a model takes, and in words why not.

mod images;
mod one_series;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

use crate::manifest::{InputSpec, SelectSpec};
use crate::result::is_own_result;
use crate::source::{InstanceHeader, InstanceId};

/// The instances of one run, in the order in which they are reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    pub inputs: Vec<Input>,
    /// What a reader should know although the run goes ahead.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub id: InstanceId,
    pub sop_instance_uid: String,
    /// Of an image "L-CC", or "Image 1" where laterality or view position is missing; of a slice of one series "Slice 1"; of a slice of a
    /// volume its channel's name.
    pub view: String,
    /// Images: the image's own number. Series: 0. Volumes: number of the series, in the order of the channels.
    pub group: usize,
    /// Images and series: number of the frame, from 1, in a multi-frame instance. None: the only frame, or all of them (volumes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u32>,
}

impl Input {
    fn new(header: &InstanceHeader, view: String, group: usize) -> Self {
        let sop_instance_uid = header.get(tags::SOP_INSTANCE_UID).unwrap_or_default().to_string();
        Self { id: header.id.clone(), sop_instance_uid, view, group, frame: None }
    }

    fn frame(header: &InstanceHeader, frame: Option<u32>, view: String, group: usize) -> Self {
        Self { frame, ..Self::new(header, view, group) }
    }
}

/// Images that one run takes at most, each frame counted: a header may claim two thousand million.
const MAX_IMAGES: usize = 10_000;

/// Frames of one instance; 1 where the header does not say.
fn frame_count(header: &InstanceHeader) -> usize {
    let number = header.get(tags::NUMBER_OF_FRAMES).and_then(|n| n.parse::<f64>().ok());
    number.filter(|n| *n >= 1.0).map_or(1, |n| n as usize)
}

/// Of all of them together.
fn image_count(headers: &[&InstanceHeader]) -> usize {
    headers.iter().fold(0, |sum, header| sum.saturating_add(frame_count(header)))
}

/// The images that instances are made of: an instance of one frame, or each frame by its number.
fn images_of<'a>(headers: &[&'a InstanceHeader]) -> Vec<(&'a InstanceHeader, Option<u32>)> {
    let frames = |header: &'a InstanceHeader| match frame_count(header) {
        1 => vec![(header, None)],
        n => (1..=n).map(|frame| (header, u32::try_from(frame).ok())).collect(),
    };
    headers.iter().flat_map(|header| frames(header)).collect()
}

/// # Errors
/// Headers of more than one study.
fn one_study<'a>(headers: impl IntoIterator<Item = &'a InstanceHeader>, what: &str) -> Result<(), String> {
    let studies: BTreeSet<_> = headers.into_iter().map(|h| h.get(tags::STUDY_INSTANCE_UID)).collect();
    if studies.len() > 1 {
        return Err(format!("found {what} of {} studies, expected one StudyInstanceUID", studies.len()));
    }
    Ok(())
}

/// Why a model does not take a resource: what was found, what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotApplicable(pub String);

/// Applies the manifest's selection rule. `channels`: the SeriesInstanceUIDs that the caller names as the channels, in their
/// order; empty: the rule finds them.
///
/// # Errors
/// [`NotApplicable`] names what was found and expected, and why instances were left out.
pub fn select(rule: &InputSpec, headers: &[InstanceHeader], channels: &[String]) -> Result<Selection, NotApplicable> {
    let candidates = Candidates::of(rule, headers);
    match &rule.select {
        SelectSpec::Images(_) if !channels.is_empty() => {
            Err(NotApplicable(format!("found {} channels, expected none: the model takes images", channels.len())))
        }
        SelectSpec::Images(images) => images::select(images, &candidates),
        SelectSpec::Series(series) => one_series::select(series, &candidates, channels, headers.len() == 1),
        SelectSpec::Volumes(volumes) => volumes::select(volumes, &candidates, channels),
    }
}

/// The instances that fulfil every condition, and why the others do not.
struct Candidates<'a> {
    taken: Vec<&'a InstanceHeader>,
    left_out: BTreeMap<String, usize>,
}

impl<'a> Candidates<'a> {
    fn of(rule: &InputSpec, headers: &'a [InstanceHeader]) -> Self {
        let mut candidates = Self { taken: Vec::new(), left_out: BTreeMap::new() };
        for header in headers {
            match why_left_out(rule, header) {
                None => candidates.taken.push(header),
                Some(reason) => *candidates.left_out.entry(reason).or_default() += 1,
            }
        }
        candidates
    }

    /// "; left out: 3 × Modality = MR expected, found SR, …", or nothing.
    fn left_out(&self) -> String {
        let parts: Vec<String> = self.left_out.iter().map(|(reason, n)| format!("{n} × {reason}")).collect();
        if parts.is_empty() { String::new() } else { format!("; left out: {}", parts.join(", ")) }
    }
}

fn why_left_out(rule: &InputSpec, header: &InstanceHeader) -> Option<String> {
    if header.unreadable_reason().is_some() {
        return Some("header cannot be read".into());
    }
    if is_own_result(header.get(tags::MANUFACTURER)) {
        return Some("result of an earlier analysis".into());
    }
    let failed = rule.conditions.iter().find_map(|c| c.failing(&|keyword| header.by_keyword(keyword)))?;
    // A group of conditions has no keyword of its own.
    let found = if failed.keyword.is_empty() { "other values".into() } else { header.quotable(&failed.keyword) };
    Some(format!("{} expected, found {found}", failed.describe()))
}
