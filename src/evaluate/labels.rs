//! The table of labels: CSV with a header, one case a line.
//!
//! Errors name lines and columns, never a case: its name may be a patient's.

use std::collections::HashMap;

use super::classification::Truth;

/// What a line of the table names its case by, the most particular first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    SopInstanceUid,
    File,
    SeriesInstanceUid,
    StudyInstanceUid,
    /// Orthanc's own id of an instance or of a study.
    OrthancId,
    PatientId,
}

impl KeyKind {
    pub const ALL: [Self; 6] = [
        Self::SopInstanceUid,
        Self::File,
        Self::SeriesInstanceUid,
        Self::StudyInstanceUid,
        Self::OrthancId,
        Self::PatientId,
    ];

    /// As the DICOM keyword, or as the column is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::SopInstanceUid => "SOPInstanceUID",
            Self::File => "File",
            Self::SeriesInstanceUid => "SeriesInstanceUID",
            Self::StudyInstanceUid => "StudyInstanceUID",
            Self::OrthancId => "OrthancID",
            Self::PatientId => "PatientID",
        }
    }

    /// Names of the column, without case and punctuation.
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::SopInstanceUid => &["sopinstanceuid", "instanceuid", "instance"],
            Self::File => &["file", "filename", "path"],
            Self::SeriesInstanceUid => &["seriesinstanceuid", "seriesuid", "series"],
            Self::StudyInstanceUid => &["studyinstanceuid", "studyuid", "study"],
            Self::OrthancId => &["orthancid", "orthanc"],
            Self::PatientId => &["patientid", "patient"],
        }
    }
}

const LABEL_COLUMNS: &[&str] = &["label", "class", "truth", "groundtruth", "target"];
const REFERENCE_COLUMNS: &[&str] = &["reference", "segmentation", "seg", "mask"];

/// A table that is larger is none.
pub const MAX_BYTES: usize = 64 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Of the table, from 1.
    pub line: usize,
    pub kind: KeyKind,
    /// The case, as the table names it.
    pub key: String,
    /// A class, or 0 or 1; empty where the table only names references.
    pub value: String,
    /// Of a segmentation: the file of the reference masks.
    pub reference: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Labels {
    entries: Vec<Label>,
    by_key: HashMap<(KeyKind, String), usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    #[error("labels: {0}")]
    Table(String),
    #[error("labels, line {line}: {reason}")]
    Line { line: usize, reason: String },
}

impl Labels {
    /// Reads a table: UTF-8 with or without a byte order mark, separated by commas, semicolons or tabs, quoted where needed (RFC 4180).
    /// Columns: what names the case (`SOPInstanceUID`, `File`, `SeriesInstanceUID`, `StudyInstanceUID`, `OrthancID`,
    /// `PatientID`; of several that are
    /// filled, the first of these counts), `label`, and for segmentations `reference`.
    ///
    /// # Errors
    /// [`LabelsError`]: no such columns, a line without a case or a label, a case twice.
    pub fn from_csv(text: &[u8]) -> Result<Self, LabelsError> {
        let table = LabelsError::Table;
        if text.len() > MAX_BYTES {
            return Err(table(format!("found {} bytes, at most {MAX_BYTES} are read", text.len())));
        }
        let text = std::str::from_utf8(text)
            .map_err(|e| table(format!("not UTF-8 from byte {} on: save it as \"CSV UTF-8\"", e.valid_up_to())))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter(text)).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| table(csv_reason(&e)))?.clone();
        let columns = Columns::of(&header)?;
        let mut labels = Self::default();
        for record in reader.records() {
            let record = record.map_err(|e| {
                let line = e.position().map_or(0, |p| p.line() as usize);
                LabelsError::Line { line, reason: csv_reason(&e) }
            })?;
            let line = record.position().map_or(0, |p| p.line() as usize);
            let cell = |column: usize| record.get(column).unwrap_or_default().trim();
            // Spreadsheets leave empty lines behind.
            if record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let key = columns.keys.iter().find(|(_, column)| !cell(*column).is_empty());
            let Some((kind, column)) = key else {
                let names: Vec<&str> = columns.keys.iter().map(|(kind, _)| kind.name()).collect();
                return Err(LabelsError::Line { line, reason: format!("no {}", names.join(" and no ")) });
            };
            let value = columns.label.map(cell).unwrap_or_default().to_owned();
            let reference = columns.reference.map(cell).filter(|r| !r.is_empty()).map(str::to_owned);
            if value.is_empty() && reference.is_none() {
                return Err(LabelsError::Line { line, reason: "no label".into() });
            }
            labels.push(Label { line, kind: *kind, key: cell(*column).to_owned(), value, reference })?;
        }
        if labels.entries.is_empty() {
            return Err(table("a header and no case".into()));
        }
        Ok(labels)
    }

    /// # Errors
    /// The case is there already.
    pub fn push(&mut self, label: Label) -> Result<(), LabelsError> {
        let key = (label.kind, normalized(label.kind, &label.key));
        if let Some(earlier) = self.by_key.insert(key, self.entries.len()) {
            let reason = format!("the case of line {} again", self.entries[earlier].line);
            return Err(LabelsError::Line { line: label.line, reason });
        }
        self.entries.push(label);
        Ok(())
    }

    pub fn entries(&self) -> &[Label] {
        &self.entries
    }

    /// The label of a case by one of its names.
    pub fn find(&self, kind: KeyKind, key: &str) -> Option<usize> {
        self.by_key.get(&(kind, normalized(kind, key))).copied()
    }

    /// Whether any line names its case so.
    pub fn names_by(&self, kind: KeyKind) -> bool {
        self.entries.iter().any(|label| label.kind == kind)
    }
}

fn normalized(kind: KeyKind, key: &str) -> String {
    match kind {
        KeyKind::File => key.replace('\\', "/").trim_start_matches("./").to_owned(),
        _ => key.trim_matches([' ', '\0']).to_owned(),
    }
}

/// A class by its name (without case), or yes or no: 1, true, yes, positive; 0, false, no, negative.
///
/// # Errors
/// What was found and expected.
pub fn truth(value: &str, classes: &[String]) -> Result<Truth, String> {
    let value = value.trim();
    if let Some(class) = classes.iter().position(|name| name.to_lowercase() == value.to_lowercase()) {
        return Ok(Truth::Class(class));
    }
    match value.to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" | "positive" => Ok(Truth::Positive(true)),
        "0" | "0.0" | "false" | "no" | "negative" => Ok(Truth::Positive(false)),
        _ => {
            let shown: String = value.chars().filter(|c| !c.is_control()).take(40).collect();
            Err(format!("found the label \"{shown}\", expected one of {}, or 0 or 1", classes.join(", ")))
        }
    }
}

struct Columns {
    /// In the order of [`KeyKind::ALL`].
    keys: Vec<(KeyKind, usize)>,
    label: Option<usize>,
    reference: Option<usize>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, LabelsError> {
        let plain = |name: &str| -> String {
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        let names: Vec<String> = header.iter().map(plain).collect();
        let column = |known: &[&str]| {
            let found: Vec<usize> = (0..names.len()).filter(|i| known.contains(&names[*i].as_str())).collect();
            match found[..] {
                [] => Ok(None),
                [column] => Ok(Some(column)),
                _ => Err(LabelsError::Table(format!("found {} columns named {}, expected one", found.len(), known[0]))),
            }
        };
        let mut keys = Vec::new();
        for kind in KeyKind::ALL {
            keys.extend(column(kind.columns())?.map(|column| (kind, column)));
        }
        let (label, reference) = (column(LABEL_COLUMNS)?, column(REFERENCE_COLUMNS)?);
        if keys.is_empty() {
            let known: Vec<&str> = KeyKind::ALL.iter().map(|kind| kind.name()).collect();
            let reason = format!("the header has no column that names the case, expected one of {}", known.join(", "));
            return Err(LabelsError::Table(reason));
        }
        if label.is_none() && reference.is_none() {
            return Err(LabelsError::Table("the header has no column \"label\"".into()));
        }
        Ok(Self { keys, label, reference })
    }
}

/// The separator that the header has most of; a comma where it has one column.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |delimiter: &u8| header.bytes().filter(|b| b == delimiter).count();
    // max_by_key takes the last of equals.
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// The crate's own words may quote the line.
fn csv_reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("found {len} columns, expected {expected_len} as in the header")
        }
        _ => "not readable as CSV".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Labels, LabelsError> {
        Labels::from_csv(text.as_bytes())
    }

    #[test]
    fn tables_of_every_kind_are_read() {
        for text in [
            "SOPInstanceUID,label\n1.2.3,Mass\n1.2.4,Normal\n",
            "\u{feff}sop_instance_uid;Class\r\n1.2.3;Mass\r\n1.2.4;Normal\r\n;\r\n",
            "label\tSOP Instance UID\nMass\t 1.2.3 \nNormal\t1.2.4",
            "note,\"SOPInstanceUID\",\"Ground truth\"\n\"a, \"\"b\"\"\",\"1.2.3\",\"Mass\"\nx,1.2.4,Normal\n",
        ] {
            let labels = read(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            let found: Vec<(&str, &str)> =
                labels.entries().iter().map(|l| (l.key.as_str(), l.value.as_str())).collect();
            assert_eq!(found, [("1.2.3", "Mass"), ("1.2.4", "Normal")], "{text}");
            assert_eq!(labels.find(KeyKind::SopInstanceUid, "1.2.4"), Some(1));
            assert_eq!(labels.find(KeyKind::PatientId, "1.2.4"), None);
        }
        let labels = read("PatientID,file,label\nP1,,1\nP1,a\\b.dcm,0\n").unwrap();
        assert_eq!(labels.find(KeyKind::File, "./a/b.dcm"), Some(1), "the more particular name counts");
        assert_eq!(labels.find(KeyKind::PatientId, "P1"), Some(0));
        let labels = read("study,reference\n1.2,masks/1.dcm\n").unwrap();
        assert_eq!(labels.entries()[0].reference.as_deref(), Some("masks/1.dcm"));
    }

    #[test]
    fn mistakes_are_named_by_their_line() {
        for (text, words) in [
            ("", "no column that names the case"),
            ("label\nMass\n", "no column that names the case, expected one of SOPInstanceUID, File"),
            ("PatientID,outcome\nP1,Mass\n", "no column \"label\""),
            ("PatientID,label\n", "a header and no case"),
            ("PatientID,label,class\nP1,Mass,Mass\n", "found 2 columns named label"),
            ("PatientID,label\nP1,Mass\nP2\n", "line 3: found 1 columns, expected 2"),
            ("PatientID,label\nP1,Mass\n,Mass\n", "line 3: no PatientID"),
            ("PatientID,label\nDoe^Jane,Mass\nP2,\n", "line 3: no label"),
            ("PatientID,label\nDoe^Jane,Mass\nP2,Mass\n Doe^Jane ,Mass\n", "line 4: the case of line 2 again"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("Doe"), "{error}");
        }
        let latin1 = Labels::from_csv(b"PatientID,label\nM\xfcller,1\n").unwrap_err();
        assert!(latin1.to_string().contains("not UTF-8 from byte 17 on"), "{latin1}");
    }

    #[test]
    fn a_label_is_a_class_or_yes_or_no() {
        let classes = ["Mass".to_owned(), "Normal".to_owned(), "0".to_owned()];
        assert_eq!(truth(" mass", &classes), Ok(Truth::Class(0)));
        assert_eq!(truth("0", &classes), Ok(Truth::Class(2)), "a class of that name comes first");
        assert_eq!(
            (truth("1", &classes), truth("No", &classes)),
            (Ok(Truth::Positive(true)), Ok(Truth::Positive(false)))
        );
        let error = truth("Masss", &classes).unwrap_err();
        assert_eq!(error, "found the label \"Masss\", expected one of Mass, Normal, 0, or 0 or 1");
    }
}
