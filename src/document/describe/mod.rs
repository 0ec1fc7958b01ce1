//! From the reports of runs to a document.

mod about;
mod images;
mod regions;
mod segments;

use super::words::{Words, fill, words};
use super::{Block, Document, Jpeg, Language, Part, Picture, Subject, Tone, Wanted};
use crate::manifest::Manifest;
use crate::result::Report;

/// Of images or segments no more stand in one table: the CSV has all.
const MAX_ROWS: usize = 60;
/// Of one model.
const MAX_PICTURES: usize = 8;
/// Warnings and failures shown of many.
const MAX_LINES: usize = 12;

/// One run that has succeeded.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    pub report: &'a Report,
    /// Of the model as it is loaded now, for translations; None where it is gone.
    pub manifest: Option<&'a Manifest>,
    /// What a reader should know although the run has succeeded.
    pub warnings: &'a [String],
}

/// The document in one language. `pictures` brings what is wanted, None where it cannot.
pub fn describe(
    subject: &Subject,
    answers: &[Answered<'_>],
    language: Language,
    program: &str,
    pictures: &mut dyn FnMut(&Wanted) -> Option<Jpeg>,
) -> Document {
    let words = words(language);
    let mut parts = Vec::with_capacity(answers.len());
    for answered in answers {
        let mut teller = Teller { answered, language, words, program, pictures, shown: 0, missing: false };
        parts.push(teller.part());
    }
    Document {
        language,
        title: words.report.to_owned(),
        mark: words.research_only.to_owned(),
        foot: words.foot.to_owned(),
        page_number: words.page_number.to_owned(),
        subject: subject.facts(words),
        parts,
        created: answers.iter().map(|a| a.report.created.clone()).max().unwrap_or_default(),
    }
}

/// Tells one run.
struct Teller<'a, 'p> {
    answered: &'a Answered<'a>,
    language: Language,
    words: &'static Words,
    program: &'a str,
    pictures: &'p mut dyn FnMut(&Wanted) -> Option<Jpeg>,
    /// Pictures so far.
    shown: usize,
    /// One that was wanted could not be had.
    missing: bool,
}

impl Teller<'_, '_> {
    fn part(&mut self) -> Part {
        let report = self.answered.report;
        let mut blocks = vec![self.disclaimer()];
        blocks.extend(self.warnings());
        blocks.extend(self.overall());
        blocks.extend(self.volume());
        blocks.extend(self.images());
        blocks.extend(self.explanations());
        if self.missing {
            blocks.push(Block::Note(self.words.no_picture.to_owned()));
        }
        if report.answers.is_some() {
            blocks.push(Block::Note(self.words.spread_note.to_owned()));
        }
        blocks.extend(self.about());
        Part { title: report.title.clone(), blocks }
    }

    /// In the document's language first, then in all others that there are.
    fn disclaimer(&self) -> Block {
        let mut lines = vec![self.answered.report.disclaimer.clone()];
        if let Some(manifest) = self.answered.manifest {
            for (code, text) in &manifest.report.disclaimer_translations {
                let at = if code == self.language.code() { 0 } else { lines.len() };
                lines.insert(at, text.clone());
            }
        }
        for texts in self.said_by_language() {
            if let Some(last) = texts.last().filter(|text| !lines.contains(text)) {
                lines.push(last.clone());
            }
        }
        Block::Notice { tone: Tone::Caution, title: self.words.disclaimer.to_owned(), lines }
    }

    /// The sentences of the run in all languages, the disclaimer the last of each; of a model that is gone they are all that is known.
    fn said_by_language(&self) -> Vec<&Vec<String>> {
        let report = self.answered.report;
        if self.answered.manifest.is_some() {
            return Vec::new();
        }
        let overall = report.overall.iter().flat_map(|overall| overall.result.texts.values());
        overall.chain(report.explanations.iter().take(1).flat_map(|e| e.texts.values())).collect()
    }

    fn warnings(&self) -> Vec<Block> {
        let out_of_domain = &self.answered.report.out_of_domain;
        let others = self.answered.warnings.iter().filter(|w| !out_of_domain.contains(w)).cloned().collect();
        let failed = self
            .answered
            .report
            .images
            .iter()
            .filter_map(|image| image.error.as_ref().map(|error| format!("{}: {error}", image.view)));
        [
            (self.words.out_of_domain, out_of_domain.clone()),
            (self.words.warnings, others),
            (self.words.failed, failed.collect()),
        ]
        .into_iter()
        .filter(|(_, lines): &(_, Vec<String>)| !lines.is_empty())
        .map(|(title, lines)| Block::Notice {
            tone: Tone::Warning,
            title: title.to_owned(),
            lines: self.first_of(lines, MAX_LINES),
        })
        .collect()
    }

    /// At most `max` lines, and how many are left out.
    fn first_of(&self, mut lines: Vec<String>, max: usize) -> Vec<String> {
        let more = lines.len().saturating_sub(max);
        if more > 0 {
            lines.truncate(max);
            lines.push(self.more(more));
        }
        lines
    }

    fn more(&self, count: usize) -> String {
        fill(self.words.more, &[("count", &count.to_string())])
    }

    /// The picture, where there is room for one more and it can be had.
    fn picture(&mut self, wanted: &Wanted, caption: String) -> Option<Picture> {
        if self.shown >= MAX_PICTURES {
            return None;
        }
        let image = (self.pictures)(wanted);
        self.missing |= image.is_none();
        let image = image?;
        self.shown += 1;
        Some(Picture { caption, image })
    }

    /// The name of a class in the document's language.
    fn class_name(&self, name: &str) -> String {
        let class = self.answered.manifest.and_then(|m| m.classes().iter().find(|class| class.name == name));
        class.and_then(|class| class.translations.get(self.language.code())).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// The sentences in the document's language without the disclaimer, which stands above.
    fn sentences(&self, texts: &std::collections::BTreeMap<String, Vec<String>>) -> Vec<String> {
        let texts = texts.get(self.language.code()).or_else(|| texts.get(Language::English.code()));
        texts.and_then(|texts| texts.split_last()).map(|(_, sentences)| sentences.to_vec()).unwrap_or_default()
    }
}
