//! A folder of DICOM files and pictures (JPEG, PNG) as source, and a folder as result store: the command-line tool's two ports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::pictures::{PictureParent, dicom_picture};
use super::{
    InstanceBytes, InstanceHeader, InstanceId, InstanceSource, Resource, ResultStore, SourceError, StoreStatus,
    StoredInstance,
};
use crate::imaging;
use crate::result::ResultObject;
use crate::result::uid::derived_uid;

/// Every file below a folder. An instance's id is its number in the sorted listing ("3"): file names may hold patient
/// names, so they stay inside.
pub struct DirectorySource {
    files: Vec<PathBuf>,
    /// Of each folder the StudyInstanceUID of the pictures (JPEG, PNG) that lie in it.
    pictures: BTreeMap<PathBuf, String>,
}

impl DirectorySource {
    /// # Errors
    /// [`SourceError::Host`] where the folder cannot be listed.
    pub fn open(folder: &Path) -> Result<Self, SourceError> {
        let mut files = Vec::new();
        collect(folder, &mut files, 0).map_err(|e| SourceError::Host(format!("the folder cannot be listed: {e}")))?;
        files.sort();
        let pictures = studies_of_pictures(&files);
        Ok(Self { files, pictures })
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The file behind an id, for the person at the keyboard; not for logs.
    pub fn path(&self, id: &InstanceId) -> Option<&Path> {
        self.files.get(id.0.parse::<usize>().ok()?).map(PathBuf::as_path)
    }
}

/// From the sizes of the folder's files: its name may be a patient's.
fn studies_of_pictures(files: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let mut sizes: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for file in files {
        if let (Some(folder), Ok(about)) = (file.parent(), fs::metadata(file)) {
            sizes.entry(folder.to_path_buf()).or_default().push(about.len().to_string());
        }
    }
    let uid =
        |sizes: &[String]| derived_uid(["folder of pictures"].into_iter().chain(sizes.iter().map(String::as_str)));
    sizes.into_iter().map(|(folder, sizes)| (folder, uid(&sizes))).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>, depth: usize) -> std::io::Result<()> {
    const DEPTH_LIMIT: usize = 16;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < DEPTH_LIMIT {
            collect(&entry.path(), files, depth + 1)?;
        } else if kind.is_file() && entry.file_name() != "DICOMDIR" {
            files.push(entry.path());
        }
    }
    Ok(())
}

impl InstanceSource for DirectorySource {
    /// The whole folder, whatever the resource: the caller groups by study.
    fn headers(&self, _resource: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
        let read = |i: usize| {
            let id = InstanceId(i.to_string());
            match self
                .fetch(&id)
                .map_err(|e| e.to_string())
                .and_then(|bytes| imaging::read_header(&bytes).map_err(|e| e.to_string()))
            {
                Ok(dataset) => InstanceHeader::from_dataset(id, &dataset),
                Err(reason) => InstanceHeader::unreadable(id, reason),
            }
        };
        Ok((0..self.files.len()).map(read).collect())
    }

    fn fetch(&self, id: &InstanceId) -> Result<InstanceBytes, SourceError> {
        let path = self.path(id).ok_or_else(|| SourceError::UnknownResource(id.to_string()))?;
        let wrong = |reason: String| SourceError::Fetch { id: id.clone(), reason };
        let bytes = fs::read(path).map_err(|e| wrong(e.to_string()))?;
        if !imaging::is_picture(&bytes) {
            return Ok(Box::new(bytes));
        }
        let study_instance_uid = path.parent().and_then(|folder| self.pictures.get(folder)).map_or("", String::as_str);
        let number = id.0.parse().unwrap_or(0) + 1;
        let object = dicom_picture(&bytes, &PictureParent::Folder { study_instance_uid }, None, number, None);
        Ok(Box::new(object.map_err(|e| wrong(e.to_string()))?.bytes))
    }
}

/// Writes result objects as `<SOPInstanceUID>.dcm`.
pub struct DirectoryStore {
    folder: PathBuf,
}

impl DirectoryStore {
    /// # Errors
    /// [`SourceError::Host`] where the folder cannot be made.
    pub fn create(folder: &Path) -> Result<Self, SourceError> {
        fs::create_dir_all(folder).map_err(|e| SourceError::Host(format!("the output folder cannot be made: {e}")))?;
        Ok(Self { folder: folder.to_path_buf() })
    }
}

impl ResultStore for DirectoryStore {
    fn store(&self, object: &ResultObject) -> Result<StoredInstance, SourceError> {
        let name = format!("{}.dcm", object.sop_instance_uid);
        let path = self.folder.join(&name);
        let status = if path.exists() { StoreStatus::AlreadyStored } else { StoreStatus::Stored };
        if status == StoreStatus::Stored {
            // Written beside and renamed: a reader never meets half a file.
            let part = self.folder.join(format!("{name}.part"));
            fs::write(&part, &object.bytes).and_then(|()| fs::rename(&part, &path)).map_err(|e| {
                SourceError::Store { sop_instance_uid: object.sop_instance_uid.clone(), reason: e.to_string() }
            })?;
        }
        Ok(StoredInstance {
            id: object.sop_instance_uid.clone(),
            kind: object.kind.to_string(),
            path: name,
            series_id: object.series_instance_uid.clone(),
            study_id: object.study_instance_uid.clone(),
            sop_instance_uid: object.sop_instance_uid.clone(),
            status,
        })
    }

    fn find(&self, sop_instance_uid: &str) -> Result<Option<String>, SourceError> {
        let name = format!("{sop_instance_uid}.dcm");
        Ok(self.folder.join(&name).exists().then_some(name))
    }

    fn discard(&self, path: &str) -> Result<(), SourceError> {
        fs::remove_file(self.folder.join(path)).map_err(|e| SourceError::Host(e.to_string()))
    }
}
