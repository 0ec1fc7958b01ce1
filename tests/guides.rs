//! The guides in docs/ say what the code does: keys and defaults of the configuration, manifests, commands, messages, DICOM objects.

#[path = "guides/author.rs"]
mod author;
#[path = "guides/configuration.rs"]
mod configuration;
#[path = "guides/conformance.rs"]
mod conformance;
#[path = "guides/messages.rs"]
mod messages;
#[path = "orthanc/torch_script.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod torch_script;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The contents of the fenced blocks of one language, in order; one within a list without its indentation.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let (mut blocks, mut open): (Vec<String>, Option<(usize, bool)>) = (Vec::new(), None);
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match (line.trim_start().strip_prefix("```"), open) {
            (Some(found), None) => {
                open = Some((indent, found == language));
                if found == language {
                    blocks.push(String::new());
                }
            }
            (Some(_), Some(_)) => open = None,
            (None, Some((of_fence, true))) => {
                let block = blocks.last_mut().unwrap();
                block.push_str(line.get(of_fence..).unwrap_or_default());
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

/// The cells of a table's row; none of a line that is none.
fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().strip_prefix('|').and_then(|l| l.strip_suffix('|'));
    inner.map(|l| l.split('|').map(str::trim).collect()).unwrap_or_default()
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The files below `src` with these first path elements.
fn sources(folders: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    folders.iter().for_each(|folder| walk(&root().join("src").join(folder), &mut files));
    assert!(!files.is_empty());
    files
}
