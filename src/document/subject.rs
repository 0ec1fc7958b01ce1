//! Whose study a document is about.

use dicom_dictionary_std::tags;

use super::words::Words;
use super::{Fact, number};
use crate::imaging::ImageAttributes;
use crate::result::source::readable_text;

/// Patient and study as the archive has them, DICOM's own forms; empty where it has nothing. For the document that the user asks for, never for
/// logs, errors or file names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// PN (PS3.5 6.2.1): component groups apart by `=`, components by `^`.
    pub patient_name: String,
    pub patient_id: String,
    pub birth_date: String,
    pub sex: String,
    pub study_date: String,
    pub study_description: String,
    pub accession_number: String,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subject")
    }
}

impl Subject {
    /// As an image says it.
    pub fn of(image: &ImageAttributes) -> Self {
        let text = |tag| readable_text(image, tag).unwrap_or_default();
        Self {
            patient_name: text(tags::PATIENT_NAME),
            patient_id: text(tags::PATIENT_ID),
            birth_date: text(tags::PATIENT_BIRTH_DATE),
            sex: text(tags::PATIENT_SEX),
            study_date: text(tags::STUDY_DATE),
            study_description: text(tags::STUDY_DESCRIPTION),
            accession_number: text(tags::ACCESSION_NUMBER),
        }
    }

    /// Whether it says who the patient is.
    pub fn names_patient(&self) -> bool {
        !(self.patient_name.trim().is_empty() && self.patient_id.trim().is_empty())
    }

    /// What is known, in the order of a report's head.
    pub(super) fn facts(&self, words: &Words) -> Vec<Fact> {
        let known = [
            (words.patient, person_name(&self.patient_name)),
            (words.patient_id, self.patient_id.trim().to_owned()),
            (words.birth_date, number::date(self.birth_date.trim())),
            (words.sex, self.sex.trim().to_owned()),
            (words.study_date, number::date(self.study_date.trim())),
            (words.study, self.study_description.trim().to_owned()),
            (words.accession_number, self.accession_number.trim().to_owned()),
        ];
        let known = known.into_iter().filter(|(_, value)| !value.is_empty());
        known.map(|(key, value)| Fact { key: key.to_owned(), value: shortened(value), wide: false }).collect()
    }
}

/// DICOM's longest component has 64 characters; what is in an archive may have any number, and a page has so many.
fn shortened(value: String) -> String {
    const MOST: usize = 256;
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value,
    }
}

/// "Hong Gildong (홍 길동)": the alphabetic group, then the phonetic one. The ideographic group is shown only where it stands alone.
fn person_name(pn: &str) -> String {
    let groups: Vec<String> = pn
        .split('=')
        .map(|group| group.split('^').map(str::trim).filter(|c| !c.is_empty()).collect::<Vec<_>>().join(" "))
        .collect();
    let group = |index: usize| groups.get(index).map(String::as_str).filter(|g| !g.is_empty());
    match (group(0), group(1), group(2)) {
        (Some(alphabetic), _, Some(phonetic)) => format!("{alphabetic} ({phonetic})"),
        (Some(name), _, None) | (None, _, Some(name)) | (None, Some(name), None) => name.to_owned(),
        (None, None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_people_write_them() {
        assert_eq!(person_name("Hong^Gildong=洪^吉洞=홍^길동"), "Hong Gildong (홍 길동)");
        assert_eq!(person_name("Doe^Jane^^Dr"), "Doe Jane Dr");
        assert_eq!(person_name("==홍^길동"), "홍 길동");
        assert_eq!(person_name("=洪^吉洞"), "洪 吉洞");
        assert_eq!(person_name("^"), "");
    }

    #[test]
    fn a_value_without_end_has_one() {
        let subject = Subject { study_description: "가.".repeat(40_000), ..Subject::default() };
        let facts = subject.facts(super::super::words::words(crate::document::Language::English));
        assert_eq!(facts[0].value.chars().count(), 257);
        assert_eq!(shortened("x".repeat(256)), "x".repeat(256));
    }

    #[test]
    fn no_print_shows_whose() {
        let subject = Subject { patient_name: "Secret".into(), ..Subject::default() };
        assert!(!format!("{subject:?}").contains("Secret"));
    }
}
