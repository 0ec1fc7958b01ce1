//! The ports of the pipeline: where instances come from, where results go, and what is written on their studies ([`notes`]).
//!
//! [`orthanc`] speaks to the server we live in, [`directory`] to a folder: the same pipeline runs over both.

pub mod directory;
pub mod header;
pub mod notes;
pub mod orthanc;
pub mod pictures;

use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use header::InstanceHeader;

use crate::result::ResultObject;

/// The levels of DICOM's hierarchy that a run can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Level {
    Study,
    Series,
    Instance,
}

impl Level {
    /// The level's collection in Orthanc's REST interface.
    pub fn collection(self) -> &'static str {
        match self {
            Self::Study => "studies",
            Self::Series => "series",
            Self::Instance => "instances",
        }
    }

    pub fn from_collection(name: &str) -> Option<Self> {
        [Self::Study, Self::Series, Self::Instance].into_iter().find(|l| l.collection() == name)
    }
}

/// A resource by the source's own identifier: Orthanc's hash, not a DICOM UID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resource {
    pub level: Level,
    pub id: String,
}

impl Resource {
    pub fn new(level: Level, id: impl Into<String>) -> Self {
        Self { level, id: id.into() }
    }
}

impl fmt::Display for Resource {
    /// The resource's REST path, e.g. `/studies/1a2b…`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.level.collection(), self.id)
    }
}

/// The source's own identifier of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InstanceId(pub String);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a source or store failed. No message carries attribute values or file names.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("unknown resource {0}")]
    UnknownResource(String),
    #[error("instance {id} cannot be read: {reason}")]
    Fetch { id: InstanceId, reason: String },
    #[error("the result object {sop_instance_uid} was not stored: {reason}")]
    Store { sop_instance_uid: String, reason: String },
    #[error("{0}")]
    Host(String),
}

impl SourceError {
    /// Whether the same may succeed another time: a server that is busy or stops, a disk that is full. What is not there is not.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::UnknownResource(_))
    }
}

/// A DICOM file's bytes in whatever memory the source holds them: nothing is copied to hand 19 MB on.
pub type InstanceBytes = Box<dyn Deref<Target = [u8]> + Send>;

/// Where a run's instances come from.
pub trait InstanceSource: Sync {
    /// Every instance under the resource, with the attributes that selection rules look at. An instance whose header
    /// cannot be read is listed with the reason.
    ///
    /// # Errors
    /// [`SourceError::UnknownResource`] where there is no such resource.
    fn headers(&self, resource: &Resource) -> Result<Vec<InstanceHeader>, SourceError>;

    /// The instance's DICOM file (Part 10).
    ///
    /// # Errors
    /// [`SourceError::Fetch`]
    fn fetch(&self, id: &InstanceId) -> Result<InstanceBytes, SourceError>;

    /// Decodes one frame by other means than our own codecs, where the source has any.
    fn frame_decoder(&self) -> Option<&dyn crate::imaging::FrameDecoder> {
        None
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StoreStatus {
    Stored,
    /// The store held an object with this SOP Instance UID already and kept it.
    AlreadyStored,
}

/// A result object where it now lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct StoredInstance {
    #[serde(rename = "ID")]
    pub id: String,
    /// "SR", …
    pub kind: String,
    /// REST path in Orthanc; the file's name for the command-line tool.
    pub path: String,
    #[serde(rename = "SeriesID")]
    pub series_id: String,
    #[serde(rename = "StudyID")]
    pub study_id: String,
    pub sop_instance_uid: String,
    pub status: StoreStatus,
}

/// What a source knows of its resources besides their instances' files: its own log of changes, who sent what.
pub trait Catalogue: Send + Sync {
    /// At most `limit` changes after number `since`, oldest first.
    ///
    /// # Errors
    /// [`SourceError`], as for all of these.
    fn changes(&self, since: i64, limit: usize) -> Result<Vec<Change>, SourceError>;

    /// The number of the newest change; 0 before the first.
    ///
    /// # Errors
    /// [`SourceError`]
    fn last_change(&self) -> Result<i64, SourceError>;

    /// The series of an instance, the study of a series; None where the resource is gone.
    ///
    /// # Errors
    /// [`SourceError`]
    fn parent(&self, resource: &Resource) -> Result<Option<Resource>, SourceError>;

    /// When an instance last came into a study or series; None where it is gone.
    ///
    /// # Errors
    /// [`SourceError`]
    fn last_update(&self, resource: &Resource) -> Result<Option<OffsetDateTime>, SourceError>;

    /// The AE title that sent the resource, of a study or series its first instance; None where it did not come by DICOM.
    ///
    /// # Errors
    /// [`SourceError`]
    fn remote_aet(&self, resource: &Resource) -> Result<Option<String>, SourceError>;

    /// The modalities of the resource's series, without a look at its instances; those of an instance are not known so.
    ///
    /// # Errors
    /// [`SourceError`]
    fn modalities(&self, resource: &Resource) -> Result<Option<Vec<String>>, SourceError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Rises by time.
    pub seq: i64,
    pub kind: ChangeKind,
    /// The source's id of the resource.
    pub id: String,
    pub date: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    NewInstance,
    StableSeries,
    StableStudy,
    Other,
}

/// Where a run's results go.
pub trait ResultStore: Sync {
    /// # Errors
    /// [`SourceError::Store`]; then nothing of the object is kept.
    fn store(&self, object: &ResultObject) -> Result<StoredInstance, SourceError>;

    /// The path of the instance with this SOPInstanceUID, as in [`StoredInstance::path`]; None where the store has none.
    ///
    /// # Errors
    /// [`SourceError::Host`]
    fn find(&self, sop_instance_uid: &str) -> Result<Option<String>, SourceError>;

    /// Takes back what a run has stored, because the rest of its results could not be.
    ///
    /// # Errors
    /// [`SourceError`]; then the object is still there.
    fn discard(&self, path: &str) -> Result<(), SourceError>;
}
