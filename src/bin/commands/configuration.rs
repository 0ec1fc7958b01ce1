//! Orthanc's configuration as Orthanc reads it: one JSON file or a folder of them, with comments.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The sections of all files together. (Orthanc also fills in `${VARIABLES}`; those stay as they are here.)
///
/// # Errors
/// A file cannot be read, is no JSON object, or has a section that another one has.
pub fn read(path: &Path) -> Result<Value, String> {
    let mut merged = serde_json::Map::new();
    for file in files(path).map_err(|e| format!("{}: {e}", path.display()))? {
        let refuse = |reason: String| format!("{}: {reason}", file.display());
        let text = fs::read_to_string(&file).map_err(|e| refuse(e.to_string()))?;
        let value: Value = serde_json::from_str(&without_comments(&text)).map_err(|e| refuse(e.to_string()))?;
        let Value::Object(sections) = value else { return Err(refuse("expected a JSON object".into())) };
        for (key, section) in sections {
            if merged.insert(key.clone(), section).is_some() {
                return Err(refuse(format!("\"{key}\" is in another file as well")));
            }
        }
    }
    Ok(Value::Object(merged))
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

/// Comments as in C, outside of strings, become blanks; lines stay where they are, for the errors' sake.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map_or(rest.len(), |end| end + 4),
            c => c.len_utf8(),
        };
        let (part, tail) = rest.split_at(length);
        if part.starts_with("//") || part.starts_with("/*") {
            out.extend(part.chars().map(|c| if c == '\n' { c } else { ' ' }));
        } else {
            out.push_str(part);
        }
        rest = tail;
    }
    out
}

/// Bytes of the string that `text` begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}
