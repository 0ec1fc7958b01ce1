//! A result store that forgets: an evaluation leaves nothing in the archive.

use std::sync::{Mutex, PoisonError};

use crate::result::{ResultKind, ResultObject};
use crate::source::{ResultStore, SourceError, StoreStatus, StoredInstance};

/// Keeps the masks until they are compared.
#[derive(Default)]
pub(super) struct MemoryStore(Mutex<Vec<ResultObject>>);

impl MemoryStore {
    /// The segmentation objects that were stored, as files.
    pub fn into_segmentations(self) -> Vec<Vec<u8>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().map(|object| object.bytes).collect()
    }
}

impl ResultStore for MemoryStore {
    fn store(&self, object: &ResultObject) -> Result<StoredInstance, SourceError> {
        if object.kind == ResultKind::Seg {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(object.clone());
        }
        Ok(StoredInstance {
            id: object.sop_instance_uid.clone(),
            kind: object.kind.to_string(),
            path: object.sop_instance_uid.clone(),
            series_id: object.series_instance_uid.clone(),
            study_id: object.study_instance_uid.clone(),
            sop_instance_uid: object.sop_instance_uid.clone(),
            status: StoreStatus::Stored,
        })
    }

    fn find(&self, _: &str) -> Result<Option<String>, SourceError> {
        Ok(None)
    }

    fn discard(&self, path: &str) -> Result<(), SourceError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|object| object.sop_instance_uid != path);
        Ok(())
    }
}
