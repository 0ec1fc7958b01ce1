//! An answer in words, graded by its probability: the manifest's sentences with their placeholders filled in.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3};

use crate::imaging::SliceSource;
use crate::imaging::geometry::decimal;
use crate::manifest::{Manifest, PlaceWords, SentenceSpec, SentenceSubject};

use super::{HeatRegion, ImageSide, Part, Place, Side};

/// A region of a heat map and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedRegion {
    pub region: HeatRegion,
    pub place: Place,
}

/// What the answer on one image rests on.
#[derive(Debug, Clone)]
pub struct ImageExplanation {
    /// Index into the run's input images.
    pub image: usize,
    /// From 1, in a multi-frame instance.
    pub frame: Option<u32>,
    /// Of a slice, where it says how it lies.
    pub slice: Option<SliceSource>,
    /// The class that is explained, and its probability on this image.
    pub class: usize,
    pub probability: f64,
    /// The image as people see it: (row, column, channel), RGB.
    pub picture: Array3<u8>,
    /// Rows × columns of the image, 0 to 1.
    pub heat: Array2<f32>,
    /// The highest peak first.
    pub regions: Vec<PlacedRegion>,
}

impl ImageExplanation {
    pub fn statement(&self) -> Statement<'_> {
        Statement { class: self.class, probability: self.probability, regions: Some(&self.regions) }
    }
}

/// What a sentence is about: an answer, with the regions of its heat map where there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statement<'a> {
    /// Indexes `Manifest::classes`.
    pub class: usize,
    /// Of the class, 0 to 1.
    pub probability: f64,
    /// None: nothing was explained.
    pub regions: Option<&'a [PlacedRegion]>,
}

/// The sentences of a statement by language, "en" always among them; the disclaimer is the last of each. A language in which a sentence has no
/// translation has the English one in its place.
pub fn sentences(manifest: &Manifest, statement: &Statement<'_>) -> BTreeMap<String, Vec<String>> {
    let report = &manifest.report;
    let mut languages: Vec<&str> =
        report.sentences.iter().flat_map(|s| s.translations.keys()).map(String::as_str).collect();
    languages.extend(report.disclaimer_translations.keys().map(String::as_str));
    languages.push(ENGLISH);
    let in_language = |language: &str| {
        let mut texts: Vec<String> = Vec::new();
        texts.extend(first_that_fits(manifest, statement, SentenceSubject::Finding, None, language));
        match statement.regions {
            Some([]) => texts.extend(first_that_fits(manifest, statement, SentenceSubject::NoRegion, None, language)),
            Some(regions) => texts.extend((1..).zip(regions).filter_map(|numbered| {
                first_that_fits(manifest, statement, SentenceSubject::Region, Some(numbered), language)
            })),
            None => {}
        }
        texts.extend(first_that_fits(manifest, statement, SentenceSubject::Recommendation, None, language));
        texts.push(report.disclaimer_translations.get(language).unwrap_or(&report.disclaimer).clone());
        (language.to_owned(), texts)
    };
    languages.into_iter().map(in_language).collect()
}

const ENGLISH: &str = "en";

type Numbered<'a> = (usize, &'a PlacedRegion);

fn first_that_fits(
    manifest: &Manifest,
    statement: &Statement<'_>,
    about: SentenceSubject,
    region: Option<Numbered<'_>>,
    language: &str,
) -> Option<String> {
    let class = manifest.classes().get(statement.class)?;
    let fits = |s: &&SentenceSpec| {
        s.about == about
            && s.class.as_ref().is_none_or(|name| *name == class.name)
            && statement.probability >= s.at_least
            && s.below.is_none_or(|below| statement.probability < below)
    };
    let english = PlaceWords::english();
    manifest.report.sentences.iter().filter(fits).find_map(|sentence| {
        // The language of the text decides about that of the words in it.
        let (text, language) = match sentence.translations.get(language) {
            Some(text) => (text, language),
            None => (&sentence.text, ENGLISH),
        };
        let words = manifest.report.place_words.get(language).unwrap_or(&english);
        let class_name = class.translations.get(language).unwrap_or(&class.name);
        fill(text, |placeholder| match placeholder {
            "class" => Some(class_name.clone()),
            "probability" => Some(percent(statement.probability)),
            "regions" => Some(statement.regions?.len().to_string()),
            "region" => Some(region?.0.to_string()),
            "side" => side(&region?.1.place, words),
            "part" => Some(part(region?.1.place.part?, words)),
            "size" => Some(format!("{} mm", decimal(region?.1.region.size_mm()?, 0))),
            "peak" => Some(percent(f64::from(region?.1.region.peak))),
            _ => None,
        })
    })
}

fn percent(share: f64) -> String {
    format!("{} %", decimal(share * 100.0, 1))
}

/// `text` with its placeholders filled in; None where one is not known.
fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut pieces = text.split('{');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (placeholder, rest) = piece.split_once('}')?;
        filled.push_str(&value(placeholder)?);
        filled.push_str(rest);
    }
    Some(filled)
}

fn side(place: &Place, words: &PlaceWords) -> Option<String> {
    let word = match (place.side, place.image_side) {
        (Some(Side::Left), _) => &words.left,
        (Some(Side::Right), _) => &words.right,
        (Some(Side::Midline), _) => &words.midline,
        (None, Some(ImageSide::Left)) => &words.image_left,
        (None, Some(ImageSide::Right)) => &words.image_right,
        (None, None) => return None,
    };
    Some(word.clone())
}

fn part(part: Part, words: &PlaceWords) -> String {
    match part {
        Part::Front => &words.front,
        Part::Middle => &words.middle,
        Part::Back => &words.back,
    }
    .clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::Outline;
    use serde_json::json;

    /// A shipped manifest with sentences of its own.
    fn manifest() -> Manifest {
        let mut json: serde_json::Value =
            serde_json::from_str(include_str!("../../models/mammography-4view-demo/manifest.json")).unwrap();
        json["report"]["place_words"] = json!({"ko": {"left": "왼쪽", "right": "오른쪽", "midline": "정중앙", "front": "앞쪽", "middle": "가운데",
            "back": "뒤쪽", "image_left": "영상의 왼쪽", "image_right": "영상의 오른쪽"}});
        json["report"]["disclaimer_translations"] = json!({"ko": "연구용."});
        json["report"]["sentences"] = json!([
            {"about": "finding", "class": "Mass", "at_least": 0.8, "text": "The model sees strong signs of {class} ({probability}).",
             "translations": {"ko": "모델이 {class} 소견을 강하게 시사합니다 ({probability})."}},
            {"about": "finding", "class": "Mass", "at_least": 0.5, "below": 0.8, "text": "The model sees signs of {class} ({probability})."},
            {"about": "finding", "text": "The model found nothing that stands out."},
            {"about": "region", "text": "Region {region}: {side}, {part} third, {size}.", "translations": {"ko": "영역 {region}: {side}, {part}, {size}."}},
            {"about": "region", "text": "Region {region}: {side}."},
            {"about": "region", "text": "Region {region}, {peak} of the greatest heat."},
            {"about": "no_region", "text": "No region stands out."},
            {"about": "recommendation", "at_least": 0.5, "text": "A radiologist should look at the {regions} region(s)."},
            {"about": "recommendation", "text": "Reading as usual."}
        ]);
        Manifest::from_json(&json.to_string()).unwrap()
    }

    fn region(place: Place, extent_mm: Option<[f64; 2]>) -> PlacedRegion {
        let outline = Outline { slice: 0, points: Vec::new() };
        let (rows, columns) = ([0, 3], [0, 5]);
        let region = HeatRegion {
            peak: 0.875,
            peak_at: [0, 0],
            center: [1.0, 2.0],
            pixels: 24,
            rows,
            columns,
            area_mm2: None,
            extent_mm,
            outline,
        };
        PlacedRegion { region, place }
    }

    fn said(probability: f64, regions: Option<&[PlacedRegion]>, language: &str) -> Vec<String> {
        let statement = Statement { class: 0, probability, regions };
        sentences(&manifest(), &statement).remove(language).unwrap()
    }

    #[test]
    fn bands_grade_the_sentence_and_the_disclaimer_is_the_last() {
        let disclaimer = manifest().report.disclaimer;
        for (probability, first) in [
            (0.934, "The model sees strong signs of Mass (93.4 %)."),
            (0.8, "The model sees strong signs of Mass (80 %)."),
            (0.79999, "The model sees signs of Mass (80 %)."),
            (0.5, "The model sees signs of Mass (50 %)."),
            (0.49, "The model found nothing that stands out."),
        ] {
            let found = said(probability, None, "en");
            assert_eq!(found[0], first);
            assert_eq!(found.last(), Some(&disclaimer));
            // Without a heat map there is no count of regions to be named.
            assert_eq!(found[1], "Reading as usual.");
        }
        let other = sentences(&manifest(), &Statement { class: 3, probability: 0.99, regions: None });
        assert_eq!(other["en"][0], "The model found nothing that stands out.");
    }

    #[test]
    fn regions_say_what_is_known_of_them_and_no_more() {
        let known = Place { side: Some(Side::Left), part: Some(Part::Front), image_side: None };
        let picture = Place { image_side: Some(ImageSide::Right), ..Place::default() };
        let regions = [region(known, Some([12.0, 23.4])), region(picture, None), region(Place::default(), None)];
        let found = said(0.9, Some(&regions), "en");
        assert_eq!(
            found[1..5],
            [
                "Region 1: left, front third, 23 mm.",
                "Region 2: right side of the image.",
                "Region 3, 87.5 % of the greatest heat.",
                "A radiologist should look at the 3 region(s)."
            ]
        );
        let korean = said(0.9, Some(&regions), "ko");
        assert_eq!(
            korean[0],
            format!("모델이 {} 소견을 강하게 시사합니다 (90 %).", manifest().classes()[0].translations["ko"])
        );
        assert_eq!(korean[1], "영역 1: 왼쪽, 앞쪽, 23 mm.");
        // What is not translated is said in English, with English words.
        assert_eq!(korean[2], "Region 2: right side of the image.");
        assert_eq!(korean.last().unwrap(), "연구용.");
        assert_eq!(said(0.9, Some(&[]), "en")[1], "No region stands out.");
    }

    #[test]
    fn what_a_sentence_may_not_say() {
        let with = |sentence: serde_json::Value| {
            let mut json: serde_json::Value =
                serde_json::from_str(include_str!("../../models/mammography-4view-demo/manifest.json")).unwrap();
            json["report"]["sentences"] = json!([sentence]);
            Manifest::from_json(&json.to_string()).map(drop).unwrap_err().to_string()
        };
        for (sentence, expected) in [
            (
                json!({"about": "finding", "text": "There is a mass."}),
                "at report.sentences[0].text: a finding is what the model says",
            ),
            (json!({"about": "finding", "text": "The model confirms a mass."}), "found \"confirms\""),
            (json!({"about": "recommendation", "text": "The patient has cancer."}), "found \"patient has\""),
            (
                json!({"about": "finding", "text": "AI: {side}"}),
                "found {side}, expected one of {class}, {probability}, {regions}",
            ),
            (
                json!({"about": "region", "text": "{where}"}),
                "expected one of {class}, {probability}, {regions}, {region}, {side}",
            ),
            (json!({"about": "region", "text": "{side"}), "found a brace without its other"),
            (
                json!({"about": "finding", "class": "Cyst", "text": "AI"}),
                "at report.sentences[0].class: found \"Cyst\"",
            ),
            (json!({"about": "finding", "at_least": 0.8, "below": 0.5, "text": "AI"}), "at report.sentences[0].below"),
            (json!({"about": "region", "text": "x", "translations": {"ko": "{side}"}}), "report.place_words.ko"),
        ] {
            let error = with(sentence.clone());
            assert!(error.contains(expected), "{sentence}: {error}");
        }
    }
}
