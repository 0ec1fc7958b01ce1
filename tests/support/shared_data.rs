//! Other people's DICOM files, where the folder is at hand (`ORTHANC_AI_SHARED`, else `../shared`).

use std::path::{Path, PathBuf};

/// A folder of data, or a line that says that the test is skipped.
pub fn folder(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("ORTHANC_AI_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = shared.join("data").join(name);
    if !folder.is_dir() {
        eprintln!("SKIPPED: no files at {}; set ORTHANC_AI_SHARED", folder.display());
        return None;
    }
    Some(folder)
}

/// The files whose names begin so, by name.
pub fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let named = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix));
    let mut found: Vec<PathBuf> = entries.filter(named).collect();
    found.sort();
    assert!(!found.is_empty(), "no file {prefix}* in {}", folder.display());
    found
}

pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
