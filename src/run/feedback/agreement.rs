//! How often readers agree with a model.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Verdict;
use crate::evaluate::Measure;
use crate::run::timestamp::Timestamp;

/// Verdicts that count, of one version of a model on one day (UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackCount {
    pub model: String,
    pub version: String,
    /// Days since 1970-01-01.
    pub day: i64,
    pub verdict: Verdict,
    pub verdicts: usize,
}

/// So many findings accepted, so many rejected.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Agreement {
    pub accepted: usize,
    pub rejected: usize,
    /// Accepted of both, with Wilson's 95 % interval; it takes verdicts for independent, which those of one study are not quite.
    pub agreement: Measure,
}

/// What GET `/ai/models/{name}/feedback` answers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ModelAgreement {
    pub model: String,
    #[serde(flatten)]
    pub all: Agreement,
    pub versions: Vec<VersionAgreement>,
    /// Those with a verdict, the earliest first.
    pub months: Vec<MonthAgreement>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct VersionAgreement {
    pub version: String,
    #[serde(flatten)]
    pub agreement: Agreement,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct MonthAgreement {
    /// `2026-01`, of the verdicts' time in UTC.
    pub month: String,
    #[serde(flatten)]
    pub agreement: Agreement,
}

impl Agreement {
    fn of<'a>(counts: impl IntoIterator<Item = &'a FeedbackCount>) -> Self {
        let (mut accepted, mut rejected) = (0, 0);
        for count in counts {
            match count.verdict {
                Verdict::Accept => accepted += count.verdicts,
                Verdict::Reject => rejected += count.verdicts,
            }
        }
        let agreement = Measure::proportion(accepted, accepted + rejected, "no verdict yet");
        Self { accepted, rejected, agreement }
    }
}

impl ModelAgreement {
    /// `counts` of that model.
    pub fn new(model: &str, counts: &[FeedbackCount]) -> Self {
        let by = |key: &dyn Fn(&FeedbackCount) -> String| {
            let mut groups: BTreeMap<String, Vec<&FeedbackCount>> = BTreeMap::new();
            counts.iter().for_each(|count| groups.entry(key(count)).or_default().push(count));
            groups.into_iter().map(|(key, counts)| (key, Agreement::of(counts))).collect::<Vec<_>>()
        };
        let version = |(version, agreement)| VersionAgreement { version, agreement };
        let month = |(month, agreement)| MonthAgreement { month, agreement };
        Self {
            model: model.to_owned(),
            all: Agreement::of(counts),
            versions: by(&|count| count.version.clone()).into_iter().map(version).collect(),
            months: by(&|count| month_of(count.day)).into_iter().map(month).collect(),
        }
    }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn month_of(day: i64) -> String {
    let time = Timestamp::from_milliseconds(day.saturating_mul(DAY_MS));
    time.map(|time| time.to_string().chars().take("2026-01".len()).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn verdicts_are_counted_by_version_and_month() {
        let count = |version: &str, day, verdict, verdicts| FeedbackCount {
            model: "m".into(),
            version: version.into(),
            day,
            verdict,
            verdicts,
        };
        // 2026-01-31, 2026-02-01
        let counts = [
            count("1", 20_484, Verdict::Accept, 8),
            count("1", 20_485, Verdict::Reject, 1),
            count("2", 20_485, Verdict::Accept, 1),
        ];
        let found = serde_json::to_value(ModelAgreement::new("m", &counts)).unwrap();
        assert_eq!((&found["Accepted"], &found["Rejected"]), (&json!(9), &json!(1)));
        assert_eq!(found["Agreement"]["Value"], json!(0.9));
        // Wilson's interval of 9 of 10, as statsmodels' proportion_confint(9, 10, method="wilson") gives it.
        for (end, expected) in [(0, 0.595_849_985), (1, 0.982_123_787)] {
            let found = found["Agreement"]["Interval"][end].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-6, "{found}");
        }
        let months: Vec<_> =
            found["Months"].as_array().unwrap().iter().map(|m| (&m["Month"], &m["Accepted"])).collect();
        assert_eq!(months, [(&json!("2026-01"), &json!(8)), (&json!("2026-02"), &json!(1))]);
        let versions: Vec<_> =
            found["Versions"].as_array().unwrap().iter().map(|v| (&v["Version"], &v["Rejected"])).collect();
        assert_eq!(versions, [(&json!("1"), &json!(1)), (&json!("2"), &json!(0))]);
    }

    #[test]
    fn of_no_verdict_there_is_no_rate() {
        let found = serde_json::to_value(ModelAgreement::new("m", &[])).unwrap();
        assert_eq!(found["Agreement"], json!({"Undefined": "no verdict yet"}));
    }
}
