//! What can be wrong with an instance, in words that name the attribute, what was found and what was expected.
//! Values of attributes that may identify a patient never appear: only those of the image modules and UIDs do.

/// Why an instance cannot be read as an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImagingError {
    /// No Part 10 file (PS3.10 7.1).
    #[error("not a DICOM file: found {found}, expected 128 bytes of preamble, \"DICM\" and file meta information")]
    NotDicom { found: String },

    /// The encoding of the data set contradicts itself or ends early (PS3.5 7).
    #[error("malformed data set at byte {offset}, element {tag}: {reason}")]
    Malformed { offset: usize, tag: String, reason: String },

    #[error("{keyword} is missing, expected {expected}")]
    Missing { keyword: &'static str, expected: &'static str },

    #[error("{keyword}: found {found}, expected {expected}")]
    Invalid { keyword: &'static str, found: String, expected: String },

    /// The files of one input claim more than is read.
    #[error(
        "Rows × Columns × NumberOfFrames: found {voxels} pixels after {before} of other files, expected at most {limit} in all"
    )]
    TooManyVoxels { before: usize, voxels: usize, limit: usize },

    /// Neither the built-in codecs nor the fallback decode this transfer syntax.
    #[error("TransferSyntaxUID: found {uid}, expected one that a decoder is at hand for{}", reason_suffix(.reason))]
    Undecodable { uid: String, reason: String },
}

fn reason_suffix(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

impl ImagingError {
    pub(crate) fn invalid(keyword: &'static str, found: impl ToString, expected: impl ToString) -> Self {
        Self::Invalid { keyword, found: found.to_string(), expected: expected.to_string() }
    }
}
