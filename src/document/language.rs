//! The languages that documents are written in.

/// Of fixed words; names and sentences of a model have what its manifest gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
pub enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "ko")]
    Korean,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// As manifests, browsers and HTML name it (BCP 47).
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }

    /// None for a language that there is not.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The first that an Accept-Language header (RFC 9110, 12.5.4) prefers and that there is; English without one.
    pub fn accepted(header: Option<&str>) -> Self {
        let mut wanted: Vec<(f32, Self)> = header.unwrap_or_default().split(',').filter_map(range).collect();
        // Stable: of equal weights the first.
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        wanted.first().map(|(_, language)| *language).unwrap_or_default()
    }
}

/// "ko-KR;q=0.8"
fn range(text: &str) -> Option<(f32, Language)> {
    let (range, parameter) = text.split_once(';').unwrap_or((text, ""));
    let primary = range.trim().split('-').next()?.to_ascii_lowercase();
    let weight = parameter.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok())?;
    let language = Language::from_code(&primary)?;
    (weight > 0.0).then_some((weight, language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_says_which() {
        for (header, expected) in [
            (None, Language::English),
            (Some("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"), Language::Korean),
            (Some("de, en;q=0.3, ko;q=0.5"), Language::Korean),
            (Some("en-GB, ko"), Language::English),
            (Some("ko;q=0, fr"), Language::English),
            (Some("KO"), Language::Korean),
            (Some(";;q=x,,"), Language::English),
        ] {
            assert_eq!(Language::accepted(header), expected, "{header:?}");
        }
    }
}
