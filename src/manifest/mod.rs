//! `models/<name>/manifest.json` as types. Every fact about a model lives there; no code knows a system's name.
//!
//! Three gates, all in words and with the JSON path: [`Manifest::from_json`] refuses syntax errors and unknown keys,
//! then `validate` refuses values that cannot be. `models/schema.json` is generated from these types.

pub mod code;
pub mod condition;
pub mod ensemble;
pub mod explanation;
pub mod form;
pub mod inferer;
pub mod input;
pub mod network;
pub mod override_file;
pub mod plausibility;
pub mod region_of_interest;
pub mod report;
pub mod stages;
pub mod task;
pub mod transform;
mod validate;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use code::CodedConcept;
pub use condition::{Condition, RangeSpec};
pub use ensemble::{Answers, AugmentationSpec, CombineMode, EnsembleSpec, TestTimeAugmentationSpec};
pub use explanation::{
    ExplanationSpec, PlaceSpec, PlaceWords, RegionsSpec, SentenceSpec, SentenceSubject, SkullPlaceSpec,
};
pub use inferer::InfererSpec;
pub use input::{
    ChannelSpec, CountRange, CountSpec, FoundChannelSpec, ImagesSpec, InputSpec, MismatchPolicy, SelectSpec,
    SeriesSpec, TimePointKey, ViewPolicy, VolumesSpec,
};
pub use network::{NetworkSpec, WeightsFormat, WeightsSpec};
pub use override_file::{OVERRIDE_FILE, Override, OverrideEvaluation, OverridePoint};
pub use plausibility::{PlausibilityCheck, PlausibilityPolicy, PlausibilitySpec};
pub use region_of_interest::{MissingPolicy, RegionOfInterestSpec};
pub use report::{ClassSpec, ReportSpec, SupersedePolicy, Thresholds};
pub use task::{
    Activation, AggregateSpec, ClassificationSpec, DenseActivation, InvertMode, PostprocessingSpec, SegEncoding,
    SegmentSpec, SegmentationSpec, SurfaceSpec, TaskSpec,
};
pub use transform::TransformSpec;

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, a missing or unknown key, a value of the wrong type.
    #[error("manifest.json: at {path}: {reason}")]
    Syntax { path: String, reason: String },
    /// Well-formed, but impossible.
    #[error("manifest.json: at {path}: {reason}")]
    Value { path: String, reason: String },
    /// The thresholds of the site's own do not belong to this manifest.
    #[error("override.json: at {path}: {reason}")]
    Override { path: String, reason: String },
}

/// A model: what it takes, how the input is prepared, the network, what its outputs mean, and what is said about them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// JSON Schema reference for editors; not read.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Form of this file; 1.
    pub manifest_version: u32,
    /// Unique name, the folder's name too: lower case, digits and dashes.
    pub name: String,
    /// Version of weights + processing together ("1.0.0"). A new version makes new result objects.
    pub version: String,
    /// One line for people.
    pub title: String,
    pub description: String,
    /// True for weights trained on synthetic data: marked DEMO wherever a result is shown.
    #[serde(default)]
    pub demo: bool,
    /// Which instances of a study the model takes.
    pub input: InputSpec,
    /// Declarative steps from the decoded image to the network's input, in order.
    pub preprocessing: Vec<TransformSpec>,
    pub network: NetworkSpec,
    pub weights: WeightsSpec,
    #[serde(default, skip_serializing_if = "is_default")]
    pub inferer: InfererSpec,
    /// Each network also answers to the input turned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_time_augmentation: Option<TestTimeAugmentationSpec>,
    /// Other networks answer as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<EnsembleSpec>,
    /// What the network's outputs mean.
    pub task: TaskSpec,
    /// Texts and codes of the structured report.
    pub report: ReportSpec,
    /// Names of the models that are run at once when this one has succeeded, on the same resource. One whose region of interest is
    /// a segment of this model is not where no image has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<String>,
    /// Thresholds of the site's own, from the file `override.json` beside this one; no key of this file.
    #[serde(skip)]
    pub thresholds_override: Option<Override>,
}

fn is_default(inferer: &InfererSpec) -> bool {
    *inferer == InfererSpec::default()
}

impl Manifest {
    /// Reads and validates a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] with the JSON path of the first offending key or value.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        let deserializer = &mut serde_json::Deserializer::from_str(text);
        let manifest: Self = serde_path_to_error::deserialize(deserializer)
            .map_err(|e| ManifestError::Syntax { path: e.path().to_string(), reason: e.inner().to_string() })?;
        validate::validate(&manifest)?;
        Ok(manifest)
    }

    /// Whether heat maps can say where in an image an answer comes from: every network that is asked can.
    pub fn is_explainable(&self) -> bool {
        let others = self.ensemble.iter().flat_map(|ensemble| &ensemble.members).filter_map(|m| m.network.as_ref());
        self.network.is_explainable() && others.into_iter().all(NetworkSpec::is_explainable)
    }

    /// The answers that the model's one is made of; None where it is one itself.
    pub fn answers(&self) -> Option<Answers> {
        Answers::of(self.test_time_augmentation.as_ref(), self.ensemble.as_ref())
    }

    /// The classes of a classification; of another task none.
    pub fn classes(&self) -> &[ClassSpec] {
        match &self.task {
            TaskSpec::Classification(task) => &task.classes,
            TaskSpec::Segmentation(_) => &[],
        }
    }

    /// The segments of a segmentation; of another task none.
    pub fn segments(&self) -> &[SegmentSpec] {
        match &self.task {
            TaskSpec::Segmentation(task) => &task.segments,
            TaskSpec::Classification(_) => &[],
        }
    }

    /// The JSON Schema of `manifest.json`, as stored in `models/schema.json`.
    pub fn json_schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Manifest).to_value();
        if let Some(object) = schema.as_object_mut() {
            object.insert("title".into(), "orthanc-ai model manifest".into());
        }
        schema
    }
}

#[cfg(test)]
mod tests;
