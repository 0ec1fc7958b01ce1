//! Data path step 2: which of a resource's instances a model takes, and in words why not.

mod images;
mod volumes;

use std::collections::BTreeMap;

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
    /// Of an image "L-CC", or "Image 1" where laterality or view position is missing; of a slice its channel's name.
    pub view: String,
    /// Images: the image's own number. Volumes: number of the series, in the order of the channels.
    pub group: usize,
}

impl Input {
    fn new(header: &InstanceHeader, view: String, group: usize) -> Self {
        let sop_instance_uid = header.get(tags::SOP_INSTANCE_UID).unwrap_or_default().to_string();
        Self { id: header.id.clone(), sop_instance_uid, view, group }
    }
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
