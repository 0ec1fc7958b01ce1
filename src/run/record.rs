//! A run as the store keeps it and REST shows it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::result::Report;
use crate::result::report::SegmentationReport;
use crate::run::select::Input;
use crate::source::{Resource, StoredInstance};

/// A random UUID: says nothing about the patient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl RunState {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// The stages that progress and timings are told by (ARCHITECTURE.md, "The data path").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    Rest,
    Tool,
}

/// What is asked for: enough to carry the run out, and to do it again.
#[derive(Debug, Clone)]
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
}

/// Everything known about one run. Serialises as REST shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Run {
    #[serde(rename = "ID")]
    pub id: RunId,
    pub model: String,
    pub model_title: String,
    pub version: String,
    pub demo: bool,
    pub disclaimer: String,
    #[serde(serialize_with = "as_text")]
    pub resource: Resource,
    pub study: String,
    pub origin: Origin,
    pub priority: i32,
    pub force: bool,
    pub state: RunState,
    /// 0..=100
    pub progress: u8,
    pub stage: Option<Stage>,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// Seconds of work by stage, summed over the images (two threads prepare at a time), and "total" by the clock.
    pub stage_seconds: BTreeMap<String, f64>,
    pub error: Option<String>,
    /// Whether the result objects are new or were there already.
    pub status: Option<crate::source::StoreStatus>,
    #[serde(rename = "JobID")]
    pub job_id: Option<String>,
    pub warnings: Vec<String>,
    pub results: Vec<ImageResult>,
    /// What a segmentation found; None for other tasks, and until the run has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<SegmentationReport>,
    /// The slices that a segmentation's masks lie on. Only where one run is asked for: there are hundreds.
    #[serde(skip)]
    pub slices: Vec<SliceResult>,
    pub stored: Vec<StoredInstance>,
    #[serde(skip)]
    pub request: RunRequest,
    #[serde(skip)]
    pub report: Option<Report>,
}

/// One card: an image of the report with the source's id of its instance.
#[derive(Debug, Clone, Serialize)]
pub struct ImageResult {
    #[serde(rename = "InstanceID")]
    pub instance_id: String,
    #[serde(flatten)]
    pub image: crate::result::report::ImageReport,
}

/// A slice of a segmented volume, in the source's terms.
#[derive(Debug, Clone, Serialize)]
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

fn as_text<S: serde::Serializer>(resource: &Resource, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(resource)
}

/// UTC, to the millisecond, ISO 8601 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub time::OffsetDateTime);

impl Timestamp {
    pub fn now() -> Self {
        Self(time::OffsetDateTime::now_utc())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
