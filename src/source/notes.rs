//! What may be written on a study beside its images: texts under a number, and labels.

use super::SourceError;

/// A text on a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub text: String,
    /// Changes with the text; an archive that checks it refuses to overwrite what somebody has written meanwhile.
    pub version: Option<String>,
}

/// Texts and labels of studies, which are named by the source's own id.
pub trait StudyNotes: Send + Sync {
    /// The text under the number; None where there is none.
    ///
    /// # Errors
    /// [`SourceError`], as for all of these; [`SourceError::UnknownResource`] where the study is gone.
    fn note(&self, study: &str, number: u16) -> Result<Option<Note>, SourceError>;

    /// Writes a text, or takes it away (None). `before` is what [`Self::note`] gave. False: somebody else has changed it since.
    ///
    /// # Errors
    /// [`SourceError`]
    fn set_note(
        &self,
        study: &str,
        number: u16,
        text: Option<&str>,
        before: Option<&Note>,
    ) -> Result<bool, SourceError>;

    /// The study's labels; None where the archive has no labels.
    ///
    /// # Errors
    /// [`SourceError`]
    fn labels(&self, study: &str) -> Result<Option<Vec<String>>, SourceError>;

    /// Puts a label on the study, or takes it off.
    ///
    /// # Errors
    /// [`SourceError`]
    fn set_label(&self, study: &str, label: &str, present: bool) -> Result<(), SourceError>;
}
