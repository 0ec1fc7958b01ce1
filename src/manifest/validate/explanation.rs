//! What explanations, sentences and plausibility checks may not say.

use super::{Checked, require};
use crate::manifest::plausibility::{PlausibilityCheck, PlausibilitySpec};
use crate::manifest::{ExplanationSpec, Manifest, PlaceSpec, SentenceSpec, SentenceSubject, TaskSpec};

/// What a sentence about anything may name, and what only one about a region may.
const PLACEHOLDERS: [&str; 3] = ["class", "probability", "regions"];
const REGION_PLACEHOLDERS: [&str; 5] = ["region", "side", "part", "size", "peak"];
/// Claims that no model may make of a patient, in the languages that we can read.
const CLAIMS: [&str; 12] = [
    "diagnosed",
    "diagnosis is",
    "diagnosis:",
    "you have",
    "patient has",
    "patient is",
    "confirms",
    "confirmed",
    "proves",
    "certainly",
    "확진",
    "진단되",
];

pub(super) fn explanation(m: &Manifest, spec: &ExplanationSpec) -> Checked {
    let path = |key: &str| format!("task.Classification.explanation.{key}");
    require(m.network.is_explainable(), "task.Classification.explanation", || {
        format!("found the network {}, expected one with a heat map: ResNet50", m.network.name())
    })?;
    for (i, name) in spec.classes.iter().enumerate() {
        class(m, name, &format!("{}[{i}]", path("classes")))?;
    }
    require((1..=64).contains(&spec.max_images), path("max_images"), || {
        format!("found {}, expected 1 to 64", spec.max_images)
    })?;
    require((0.05..=1.0).contains(&spec.opacity), path("opacity"), || {
        format!("found {}, expected 0.05 to 1", spec.opacity)
    })?;
    let r = &spec.regions;
    require(r.threshold > 0.0 && r.threshold < 1.0, path("regions.threshold"), || {
        format!("found {}, expected a value between 0 and 1", r.threshold)
    })?;
    require((0.0..100.0).contains(&r.min_area_percent), path("regions.min_area_percent"), || {
        format!("found {}, expected 0 to below 100", r.min_area_percent)
    })?;
    require((1..=50).contains(&r.max_regions), path("regions.max_regions"), || {
        format!("found {}, expected 1 to 50", r.max_regions)
    })?;
    match &spec.place {
        Some(PlaceSpec::Skull(s)) => {
            require((50.0..=3000.0).contains(&s.bone_hu), path("place.Skull.bone_hu"), || {
                format!("found {}, expected 50 to 3000", s.bone_hu)
            })?;
            require((0.0..=50.0).contains(&s.midline_mm), path("place.Skull.midline_mm"), || {
                format!("found {}, expected 0 to 50", s.midline_mm)
            })
        }
        None => Ok(()),
    }
}

fn class(m: &Manifest, name: &str, path: &str) -> Checked {
    require(m.classes().iter().any(|c| c.name == name), path, || {
        let names: Vec<&str> = m.classes().iter().map(|c| c.name.as_str()).collect();
        format!("found \"{name}\", expected one of the classes {}", names.join(", "))
    })
}

pub(super) fn sentences(m: &Manifest) -> Checked {
    let sentences = &m.report.sentences;
    let graded = sentences.is_empty() || matches!(m.task, TaskSpec::Classification(_));
    require(graded, "report.sentences", || {
        "found sentences graded by probability, expected Classification as the task".into()
    })?;
    for (i, s) in sentences.iter().enumerate() {
        let at = format!("report.sentences[{i}]");
        if let Some(name) = &s.class {
            class(m, name, &format!("{at}.class"))?;
        }
        require((0.0..=1.0).contains(&s.at_least), format!("{at}.at_least"), || {
            format!("found {}, expected a probability from 0 to 1", s.at_least)
        })?;
        require(s.below.is_none_or(|below| below > s.at_least && below <= 1.0), format!("{at}.below"), || {
            format!("found {}, expected above at_least {}, at most 1", s.below.unwrap_or_default(), s.at_least)
        })?;
        text(s, &s.text, &format!("{at}.text"))?;
        let names_the_model = |t: &str| ["model", "AI", "algorithm"].iter().any(|word| t.contains(word));
        require(s.about != SentenceSubject::Finding || names_the_model(&s.text), format!("{at}.text"), || {
            "a finding is what the model says, not a fact: expected \"model\", \"AI\" or \"algorithm\" in it".into()
        })?;
        for (language, translated) in &s.translations {
            let path = format!("{at}.translations.{language}");
            text(s, translated, &path)?;
            let placed = placeholders(translated).any(|p| p == "side" || p == "part");
            require(!placed || m.report.place_words.contains_key(language), path, || {
                format!("found {{side}} or {{part}}, expected their words in report.place_words.{language}")
            })?;
        }
    }
    Ok(())
}

fn text(s: &SentenceSpec, text: &str, path: &str) -> Checked {
    require((1..=1000).contains(&text.trim().chars().count()), path, || "expected 1–1000 characters".into())?;
    let lower = text.to_lowercase();
    let claim = CLAIMS.iter().find(|claim| lower.contains(**claim));
    require(claim.is_none(), path, || {
        format!(
            "found \"{}\": a sentence says what the model says, and makes no diagnosis",
            claim.copied().unwrap_or_default()
        )
    })?;
    require(text.matches('{').count() == text.matches('}').count(), path, || "found a brace without its other".into())?;
    for placeholder in placeholders(text) {
        let about_region = s.about == SentenceSubject::Region && REGION_PLACEHOLDERS.contains(&placeholder);
        require(PLACEHOLDERS.contains(&placeholder) || about_region, path, || {
            let regional = if s.about == SentenceSubject::Region { &REGION_PLACEHOLDERS[..] } else { &[] };
            let known: Vec<String> = PLACEHOLDERS.iter().chain(regional).map(|p| format!("{{{p}}}")).collect();
            format!("found {{{placeholder}}}, expected one of {}", known.join(", "))
        })?;
    }
    Ok(())
}

fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default())
}

pub(super) fn plausibility(specs: &[PlausibilitySpec]) -> Checked {
    for (i, spec) in specs.iter().enumerate() {
        let at = format!("input.plausibility[{i}]");
        require((1..=64).contains(&spec.expected.trim().chars().count()), format!("{at}.expected"), || {
            "expected 1–64 characters that say what the images should be".into()
        })?;
        check(&spec.check, &format!("{at}.check"))?;
    }
    Ok(())
}

fn check(check: &PlausibilityCheck, at: &str) -> Checked {
    let share = |value: f64, key: &str| {
        require((0.0..=1.0).contains(&value), format!("{at}.{key}"), || {
            format!("found {value}, expected a share from 0 to 1")
        })
    };
    match check {
        PlausibilityCheck::HounsfieldRange(s) => {
            require(!s.ranges.is_empty(), format!("{at}.HounsfieldRange.ranges"), || "empty".into())?;
            for (i, r) in s.ranges.iter().enumerate() {
                let path = format!("{at}.HounsfieldRange.ranges[{i}]");
                require(!r.name.trim().is_empty(), format!("{path}.name"), || "empty".into())?;
                require(r.from_hu < r.to_hu, format!("{path}.from_hu"), || {
                    format!("found {} to {}, expected the lower one first", r.from_hu, r.to_hu)
                })?;
                let ordered = 0.0 <= r.min_share && r.min_share <= r.max_share && r.max_share <= 1.0;
                require(ordered, format!("{path}.min_share"), || {
                    format!("found {} to {}, expected 0 <= min_share <= max_share <= 1", r.min_share, r.max_share)
                })?;
            }
            Ok(())
        }
        PlausibilityCheck::SkullRing(s) => {
            let ordered = s.min_area_cm2 > 0.0 && s.min_area_cm2 < s.max_area_cm2;
            require(ordered, format!("{at}.SkullRing.min_area_cm2"), || {
                format!("found {} to {}, expected two areas, the smaller first", s.min_area_cm2, s.max_area_cm2)
            })?;
            require((50.0..=3000.0).contains(&s.bone_hu), format!("{at}.SkullRing.bone_hu"), || {
                format!("found {}, expected 50 to 3000", s.bone_hu)
            })?;
            share(s.min_soft_tissue_share, "SkullRing.min_soft_tissue_share")?;
            share(s.min_slices_share, "SkullRing.min_slices_share")
        }
        PlausibilityCheck::GreyLevels(s) => {
            require((0.0..=255.0).contains(&s.max_corner_level), format!("{at}.GreyLevels.max_corner_level"), || {
                format!("found {}, expected a level from 0 to 255", s.max_corner_level)
            })?;
            share(s.min_grey_share, "GreyLevels.min_grey_share")?;
            share(s.min_ring_share, "GreyLevels.min_ring_share")?;
            share(s.max_ring_share, "GreyLevels.max_ring_share")?;
            share(s.min_mid_grey_share, "GreyLevels.min_mid_grey_share")
        }
        PlausibilityCheck::SkinColour(s) => {
            share(s.min_skin_share, "SkinColour.min_skin_share")?;
            share(s.max_flat_share, "SkinColour.max_flat_share")?;
            share(s.max_grey_share, "SkinColour.max_grey_share")
        }
    }
}
