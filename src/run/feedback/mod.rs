//! What readers say of a run's findings: accepted, rejected, a comment.
//!
//! [`findings`] are what can be judged, each by a key that stays; [`agreement`] counts a model's verdicts, [`table`] writes them for a
//! spreadsheet. The store keeps every judgement with its run; of one user on one finding the latest counts. A comment may name a patient:
//! it is in the store, in the answers of its routes and in the table, and nowhere else.

pub mod agreement;
mod findings;
mod table;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::RunId;
use super::timestamp::Timestamp;

pub use findings::{JudgedFinding, findings};
pub use table::feedback_csv;

/// Of a comment, in characters.
pub const MAX_COMMENT_CHARS: usize = 2000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    Accept,
    Reject,
}

impl Verdict {
    pub const ALL: [Self; 2] = [Self::Accept, Self::Reject];

    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "Accept",
            Self::Reject => "Reject",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// What a reader says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// [`JudgedFinding::key`]
    pub finding: String,
    /// What the model had said, in its words.
    pub answer: String,
    /// None: takes back an earlier one, or says something without one.
    pub verdict: Option<Verdict>,
    pub comment: Option<String>,
    /// None: nobody that is known.
    pub user: Option<String>,
}

/// A judgement as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Feedback {
    pub run: RunId,
    pub model: String,
    pub version: String,
    /// The source's id of the study.
    pub study: String,
    pub finding: String,
    pub answer: String,
    pub verdict: Option<Verdict>,
    pub comment: Option<String>,
    pub user: Option<String>,
    pub time: Timestamp,
    /// False: the same user has said something else of the finding since.
    pub current: bool,
}

/// Why a text is no comment; never quotes it.
///
/// # Errors
/// Found and expected, in words.
pub fn check_comment(text: &str) -> Result<(), String> {
    let characters = text.chars().count();
    if characters > MAX_COMMENT_CHARS {
        return Err(format!("found {characters} characters, expected at most {MAX_COMMENT_CHARS}"));
    }
    if text.chars().any(char::is_control) {
        return Err("found a control character, expected one line of text".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_one_line_of_bounded_length() {
        assert_eq!(check_comment("Außerhalb, 乳房, 🩻"), Ok(()));
        assert_eq!(check_comment(&"ä".repeat(MAX_COMMENT_CHARS)), Ok(()));
        let refused = check_comment(&"ä".repeat(MAX_COMMENT_CHARS + 1)).unwrap_err();
        assert_eq!(refused, "found 2001 characters, expected at most 2000");
        for control in ["\0", "a\nb", "\u{1b}[31m", "\u{85}", "\u{7f}"] {
            assert!(check_comment(control).unwrap_err().starts_with("found a control character"));
        }
    }

    #[test]
    fn verdicts_have_names() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::from_name(verdict.name()), Some(verdict));
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.name());
        }
        assert_eq!(Verdict::from_name("accept"), None);
    }
}
