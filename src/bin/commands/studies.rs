//! A folder's instances by study, numbered: a study's UID or folder name is nobody's business on a screen.

use std::error::Error;
use std::path::Path;

use dicom_dictionary_std::tags;
use orthanc_ai::source::directory::DirectorySource;
use orthanc_ai::source::{InstanceHeader, InstanceSource, Level, Resource, SourceError};

/// The folder that was named on the command line.
pub fn open(folder: &Path) -> Result<DirectorySource, Box<dyn Error>> {
    DirectorySource::open(folder).map_err(|e| format!("{}: {e}", folder.display()).into())
}

pub struct Study {
    /// 1, 2, … in the order of the study's first file.
    pub number: usize,
    pub headers: Vec<InstanceHeader>,
}

pub fn of(source: &DirectorySource) -> Result<Vec<Study>, SourceError> {
    let mut studies: Vec<(String, Study)> = Vec::new();
    for header in source.headers(&Resource::new(Level::Study, "folder"))? {
        if let Some(reason) = header.unreadable_reason() {
            eprintln!("file {} left out: {reason}", header.id);
            continue;
        }
        let uid = header.get(tags::STUDY_INSTANCE_UID).unwrap_or_default().to_string();
        match studies.iter_mut().find(|(u, _)| *u == uid) {
            Some((_, study)) => study.headers.push(header),
            None => studies.push((uid, Study { number: studies.len() + 1, headers: vec![header] })),
        }
    }
    Ok(studies.into_iter().map(|(_, study)| study).collect())
}
