//! labels.csv: the truth about what was written, for `orthanc-ai evaluate` and for people.

use std::fmt::Write as _;
use std::path::Path;

/// One case: a study, or an image where each is a case of its own.
#[derive(Debug, Default)]
pub struct Case {
    /// From the folder of labels.csv: the file, or the folder of a case that is more than one image.
    pub file: String,
    pub folder: String,
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    /// Empty where the case is more than one image.
    pub sop_instance_uid: String,
    /// The name of the class in the manifests.
    pub label: String,
    /// What kind of it, for people.
    pub detail: String,
}

/// Writes the cases in their order. No value needs quotes: they are UIDs, paths and words of our own.
///
/// # Errors
/// As the disk says.
pub fn write(folder: &Path, cases: &[Case]) -> std::io::Result<()> {
    let mut text = String::from("folder,file,StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID,label,detail\n");
    for c in cases {
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{}",
            c.folder, c.file, c.study_instance_uid, c.series_instance_uid, c.sop_instance_uid, c.label, c.detail
        );
    }
    std::fs::write(folder.join("labels.csv"), text)
}
