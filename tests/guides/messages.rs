//! The tables of messages in the guides: what they quote, the code says.

use std::fs;

use super::{cells, code, document, sources};

/// Shorter pieces between placeholders say nothing.
const MIN: usize = 8;

/// All string literals' text, in one piece: continued lines joined, escaped quotes as they are seen.
fn said() -> String {
    let files = sources(&[""]).into_iter().map(|path| fs::read_to_string(path).unwrap());
    let joined = files.map(|text| {
        let mut joined = String::with_capacity(text.len());
        for line in text.lines() {
            match line.trim_end().strip_suffix('\\') {
                Some(head) if joined.ends_with('\u{1}') => {
                    joined.pop();
                    joined.push_str(head.trim_start());
                    joined.push('\u{1}');
                }
                Some(head) => {
                    joined.push_str(head);
                    joined.push('\u{1}');
                }
                None if joined.ends_with('\u{1}') => {
                    joined.pop();
                    joined.push_str(line.trim_start());
                    joined.push('\n');
                }
                None => {
                    joined.push_str(line);
                    joined.push('\n');
                }
            }
        }
        joined
    });
    joined.collect::<String>().replace("\\\"", "\"").replace("{{", "{").replace("}}", "}")
}

#[test]
fn messages_are_quoted_as_they_are() {
    let said = said();
    let (mut checked, mut unsaid) = (0, Vec::new());
    for path in ["docs/administrator.md", "docs/model-author.md"] {
        let guide = document(path);
        let heading = if path.contains("author") { "\n## When something is wrong\n" } else { "\n## Troubleshooting\n" };
        let (_, tables) = guide.split_once(heading).unwrap();
        for row in tables.lines().map(cells).filter(|c| c.len() == 2) {
            // What "…" or a number stands for is the code's placeholder.
            let pieces = code(row[0]).into_iter().flat_map(|message| message.split(['…', '/']));
            for piece in pieces.map(str::trim).filter(|piece| piece.len() >= MIN) {
                checked += 1;
                if !said.contains(piece) {
                    unsaid.push(format!("{path}: \"{piece}\" of {}", row[0]));
                }
            }
        }
    }
    assert!(unsaid.is_empty(), "nothing in src says:\n{}", unsaid.join("\n"));
    assert!(checked > 60, "{checked} pieces were looked for");
}
