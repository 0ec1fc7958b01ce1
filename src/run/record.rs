//! A run as the store keeps it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::select::Input;
use super::stages::KnownRegions;
use super::timestamp::Timestamp;
use crate::result::Report;
use crate::result::report::{OverallReport, SegmentationReport};
use crate::source::{Resource, StoreStatus, StoredInstance};

/// A random UUID: says nothing about the patient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RunId(pub String);

impl RunId {
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl RunState {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// The stages that progress and timings are told by (ARCHITECTURE.md, "The data path").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    Fetch,
    Read,
    Prepare,
    Infer,
    Interpret,
    Encode,
    Store,
}

impl Stage {
    pub const ALL: [Self; 7] =
        [Self::Fetch, Self::Read, Self::Prepare, Self::Infer, Self::Interpret, Self::Encode, Self::Store];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Read => "read",
            Self::Prepare => "prepare",
            Self::Infer => "infer",
            Self::Interpret => "interpret",
            Self::Encode => "encode",
            Self::Store => "store",
        }
    }

    /// The run's progress with `done` of `total` images through this stage, 0..=100: preparing is about a tenth of a run's
    /// time, encoding and storing less.
    pub fn percent(self, done: usize, total: usize) -> u8 {
        let (from, to) = match self {
            Self::Fetch | Self::Read => (0.0, 0.0),
            Self::Prepare => (0.0, 10.0),
            Self::Infer => (10.0, 95.0),
            Self::Interpret => (95.0, 95.0),
            Self::Encode => (95.0, 97.0),
            Self::Store => (97.0, 99.0),
        };
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let percent = (from + (to - from) * done as f64 / total.max(1) as f64) as u8;
        percent
    }
}

/// Who asked for the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    Rest,
    Tool,
    /// A rule of the configuration, by its name.
    Rule(String),
}

impl Origin {
    /// As REST shows it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rest => "Rest",
            Self::Tool => "Tool",
            Self::Rule(_) => "Rule",
        }
    }

    /// The rule's name.
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Rule(name) => Some(name),
            Self::Rest | Self::Tool => None,
        }
    }
}

/// What is asked for: enough to carry the run out, and to do it again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunRequest {
    pub model: String,
    pub resource: Resource,
    /// The source's id of the study that the inputs belong to.
    pub study: String,
    /// The selection, frozen when the run was asked for.
    pub inputs: Vec<Input>,
    pub warnings: Vec<String>,
    pub origin: Origin,
    /// Higher first.
    pub priority: i32,
    /// New result UIDs even where the same input was analysed before.
    pub force: bool,
    /// Its first attempt is not taken up earlier.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
}

/// The model as it was when the run was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModelCard {
    pub title: String,
    pub version: String,
    pub weights_sha256: String,
    pub demo: bool,
    pub disclaimer: String,
}

/// Which inputs a model analyses: two runs with the same key answer the same question, whoever asks. The order in which a
/// source lists the instances does not matter, the group (series, channel) of each does, and the objects whose masks are the regions looked at.
pub fn run_key(request: &RunRequest, card: &ModelCard, regions: Option<&KnownRegions>) -> String {
    let mut inputs: Vec<(usize, &str)> =
        request.inputs.iter().map(|i| (i.group, i.sop_instance_uid.as_str())).collect();
    inputs.sort_unstable();
    let mut question = vec![json!(request.model), json!(card.version), json!(card.weights_sha256), json!(inputs)];
    if let Some(regions) = regions {
        let mut objects: Vec<&str> = regions.objects.iter().map(|o| o.sop_instance_uid.as_str()).collect();
        objects.sort_unstable();
        question.push(json!(objects));
    }
    let question = serde_json::Value::Array(question);
    crate::result::uid::fingerprint(question.to_string().as_bytes())
}

/// Everything known about one run: what the store keeps. REST shows its [`super::view::RunView`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Run {
    pub id: RunId,
    /// [`run_key`]
    pub key: String,
    pub request: RunRequest,
    pub card: ModelCard,
    /// Where an earlier model has found the regions that this one looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<KnownRegions>,
    pub state: RunState,
    /// 0..=100
    pub progress: u8,
    pub stage: Option<Stage>,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// How often a worker has taken the run up.
    pub attempts: u32,
    /// A run that waits for its next attempt is not taken up earlier.
    pub not_before: Option<Timestamp>,
    /// The node that carries the run out, or did.
    pub node: Option<String>,
    /// A later run that analysed a more complete input.
    pub superseded_by: Option<RunId>,
    /// Seconds of work by stage, summed over the images (two threads prepare at a time), and "total" by the clock.
    pub stage_seconds: BTreeMap<String, f64>,
    pub error: Option<String>,
    /// Whether the result objects are new or were there already.
    pub status: Option<StoreStatus>,
    /// What the attempt that succeeded would have a reader know, beside the request's warnings.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The host's job that shows the latest attempt.
    pub job_id: Option<String>,
    pub results: Vec<ImageResult>,
    /// The answer for all images, where the model makes one.
    #[serde(default)]
    pub overall: Option<OverallReport>,
    /// What a segmentation found; None for other tasks, and until the run has succeeded.
    pub segmentation: Option<SegmentationReport>,
    /// The slices that a segmentation's masks lie on.
    pub slices: Vec<SliceResult>,
    pub stored: Vec<StoredInstance>,
    /// What the attempts so far were about to store.
    pub intents: Vec<Intent>,
    pub report: Option<Report>,
}

impl Run {
    /// What a reader should know: of the request, then of the attempt that succeeded.
    pub fn all_warnings(&self) -> impl Iterator<Item = &String> {
        self.request.warnings.iter().chain(&self.warnings)
    }

    /// A run that waits for its first attempt.
    pub fn new(request: RunRequest, card: ModelCard) -> Self {
        Self::on_regions(request, card, None)
    }

    /// The same, of images whose regions of interest are known.
    pub fn on_regions(request: RunRequest, card: ModelCard, regions: Option<KnownRegions>) -> Self {
        Self {
            id: RunId::random(),
            key: run_key(&request, &card, regions.as_ref()),
            card,
            regions,
            state: RunState::Queued,
            progress: 0,
            stage: None,
            created: Timestamp::now(),
            started: None,
            finished: None,
            attempts: 0,
            not_before: request.not_before,
            node: None,
            superseded_by: None,
            stage_seconds: BTreeMap::new(),
            error: None,
            status: None,
            warnings: Vec::new(),
            job_id: None,
            results: Vec::new(),
            overall: None,
            segmentation: None,
            slices: Vec::new(),
            stored: Vec::new(),
            intents: Vec::new(),
            report: None,
            request,
        }
    }

    /// Whether both came by rule, and this run was asked for later and analyses another input that shares instances with the earlier
    /// one's: late slices make an input more complete.
    pub fn supersedes(&self, earlier: &Self) -> bool {
        let by_rule = |run: &Self| matches!(run.request.origin, Origin::Rule(_));
        let uids: HashSet<&str> = earlier.request.inputs.iter().map(|i| i.sop_instance_uid.as_str()).collect();
        by_rule(self)
            && by_rule(earlier)
            && earlier.superseded_by.is_none()
            && self.request.model == earlier.request.model
            && self.request.study == earlier.request.study
            && self.key != earlier.key
            && (self.created, &self.id) > (earlier.created, &earlier.id)
            && self.request.inputs.iter().any(|i| uids.contains(i.sop_instance_uid.as_str()))
    }

    /// Whether an attempt of this run put the object into the archive; otherwise it was there before the run.
    pub fn made(&self, sop_instance_uid: &str) -> bool {
        self.intents.iter().find(|i| i.sop_instance_uid == sop_instance_uid).is_some_and(|i| !i.existed)
    }
}

/// An object that an attempt was about to store. Recorded before, so that whatever a killed server leaves behind is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Intent {
    pub attempt: u32,
    #[serde(rename = "SOPInstanceUID")]
    pub sop_instance_uid: String,
    /// The archive held it when it was looked for.
    pub existed: bool,
}

/// One card: an image of the report with the source's id of its instance.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ImageResult {
    #[serde(rename = "InstanceID")]
    pub instance_id: String,
    #[serde(flatten)]
    pub image: crate::result::report::ImageReport,
}

/// A slice of a segmented volume, in the source's terms.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SliceResult {
    /// The displayed channel's instance.
    #[serde(rename = "InstanceID")]
    pub instance_id: String,
    /// From 0 as Orthanc counts, in a multi-frame instance.
    pub frame: Option<u32>,
    /// Whether the network saw the slice.
    pub analysed: bool,
    /// Frames of the SEG on this slice, from 0.
    pub mask_frames: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::stages::RegionObject;
    use crate::source::{InstanceId, Level};

    fn input(group: usize, uid: &str) -> Input {
        Input {
            id: InstanceId(format!("id-{uid}")),
            sop_instance_uid: uid.into(),
            view: "view".into(),
            group,
            frame: None,
        }
    }

    fn key(inputs: Vec<Input>, change: impl FnOnce(&mut RunRequest, &mut ModelCard)) -> String {
        let mut request = RunRequest {
            model: "m".into(),
            resource: Resource::new(Level::Study, "s"),
            study: "s".into(),
            inputs,
            warnings: Vec::new(),
            origin: Origin::Rest,
            priority: 0,
            force: false,
            not_before: None,
        };
        let mut card = ModelCard {
            title: "M".into(),
            version: "1".into(),
            weights_sha256: "w".into(),
            demo: false,
            disclaimer: String::new(),
        };
        change(&mut request, &mut card);
        Run::new(request, card).key
    }

    #[test]
    fn the_key_is_the_question_and_not_who_asks() {
        let inputs = || vec![input(0, "1.2"), input(1, "1.3")];
        let same = key(inputs(), |_, _| ());
        let asked_otherwise = |request: &mut RunRequest, _: &mut ModelCard| {
            request.origin = Origin::Rule("night".into());
            request.resource = Resource::new(Level::Series, "x");
            request.priority = 7;
        };
        assert_eq!(key(inputs(), asked_otherwise), same);
        assert_eq!(key(vec![input(1, "1.3"), input(0, "1.2")], |_, _| ()), same);
        for other in [
            key(vec![input(0, "1.2"), input(0, "1.3")], |_, _| ()),
            key(vec![input(0, "1.2")], |_, _| ()),
            key(inputs(), |request, _| request.model = "n".into()),
            key(inputs(), |_, card| card.version = "2".into()),
            key(inputs(), |_, card| card.weights_sha256 = "v".into()),
        ] {
            assert_ne!(other, same);
        }
    }

    #[test]
    fn the_key_tells_regions_apart() {
        let region = |uids: &[&str]| {
            let object = |uid: &&str| RegionObject { id: InstanceId((*uid).into()), sop_instance_uid: (*uid).into() };
            Some(KnownRegions { objects: uids.iter().map(object).collect(), images: Vec::new() })
        };
        let on = |regions: Option<KnownRegions>| {
            let mut keyed = String::new();
            key(vec![input(0, "1.2")], |request, card| {
                keyed = Run::on_regions(request.clone(), card.clone(), regions.clone()).key;
            });
            keyed
        };
        assert_eq!(on(None), key(vec![input(0, "1.2")], |_, _| ()));
        assert_eq!(on(region(&["1", "2"])), on(region(&["2", "1"])));
        assert!(on(region(&["1"])) != on(None) && on(region(&["1"])) != on(region(&["2"])));
    }
}
