//! One entry of `Ai.Rules`: which arrivals are analysed by themselves, by which model, and when.

use chrono::{DateTime, Local, NaiveDateTime, NaiveTime, TimeZone};
use serde::{Deserialize, Serialize};

use crate::manifest::Condition;
use crate::run::Timestamp;
use crate::source::InstanceHeader;

/// Keys as an administrator writes them. What a rule lets through, the model's own selection rule judges as ever.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Rule {
    /// For logs and answers; unique.
    pub name: String,
    pub model: String,
    #[serde(default)]
    pub trigger: Trigger,
    /// Instances that fulfil every condition are the model's candidates; absent: all.
    #[serde(default, rename = "Where")]
    pub conditions: Vec<Condition>,
    /// AE titles of senders, one of which the instances came from; absent: any, and those that came by REST.
    #[serde(default)]
    pub remote_aet: Vec<String>,
    /// Fewer candidates are not complete.
    #[serde(default)]
    pub min_instances: usize,
    /// Higher first; what people ask for by REST has 0 unless they say otherwise.
    #[serde(default)]
    pub priority: i32,
    #[serde(default)]
    pub quiet_hours: Option<QuietHours>,
    #[serde(default = "yes")]
    pub enable: bool,
}

fn yes() -> bool {
    true
}

/// What makes a rule look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Trigger {
    /// A study into which nothing has come for `StableAge` seconds.
    #[default]
    StableStudy,
    /// The same for a series.
    StableSeries,
    /// Each instance by itself: for models that take one image.
    NewInstance,
}

/// A time of day, of the server's clock, at which no automatic run begins: those that arrive wait for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct QuietHours {
    #[serde(deserialize_with = "time_of_day")]
    pub from: NaiveTime,
    /// Before `from`: on the next day.
    #[serde(deserialize_with = "time_of_day")]
    pub to: NaiveTime,
}

fn time_of_day<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<NaiveTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    NaiveTime::parse_from_str(&text, "%H:%M")
        .map_err(|_| serde::de::Error::custom(format!("found \"{text}\", expected HH:MM")))
}

impl QuietHours {
    /// When a run that arrives `now` may begin; None: at once.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let now = DateTime::from_timestamp_millis(now.milliseconds())?.with_timezone(&Local);
        let end = self.end_after(now.naive_local())?;
        // A time that the change to summer time skips: the next that exists.
        let exists = |minutes| Local.from_local_datetime(&(end + chrono::Duration::minutes(minutes))).earliest();
        let end = [0, 60, 120].into_iter().find_map(exists)?;
        Timestamp::from_milliseconds(end.timestamp_millis())
    }

    /// The end of the quiet hours that `now` lies in.
    fn end_after(&self, now: NaiveDateTime) -> Option<NaiveDateTime> {
        let (from, to, time) = (self.from, self.to, now.time());
        let over_midnight = from > to;
        let quiet = if over_midnight { time >= from || time < to } else { (from..to).contains(&time) };
        let day = if over_midnight && time >= from { now.date().succ_opt()? } else { now.date() };
        quiet.then(|| day.and_time(to))
    }
}

impl Rule {
    /// # Errors
    /// (the key, what was found and expected)
    pub fn validate(&self) -> Result<(), (String, String)> {
        if self.name.is_empty() || self.name.len() > 64 || self.name.chars().any(char::is_control) {
            return Err((".Name".into(), "expected 1 to 64 characters".into()));
        }
        for (i, condition) in self.conditions.iter().enumerate() {
            condition.validate().map_err(|(path, reason)| (format!(".Where[{i}]{path}"), reason))?;
        }
        match self.quiet_hours {
            Some(QuietHours { from, to }) if from == to => {
                Err((".QuietHours".into(), "From and To are the same".into()))
            }
            _ => Ok(()),
        }
    }

    /// The instances that the rule lets through. `remote_aet` is the sender's AE title; None: they did not come by DICOM.
    ///
    /// # Errors
    /// Why the rule does not apply, in words without patient data.
    pub fn candidates(
        &self,
        headers: &[InstanceHeader],
        remote_aet: Option<&str>,
    ) -> Result<Vec<InstanceHeader>, String> {
        if !self.enable {
            return Err("the rule is switched off (Enable)".into());
        }
        if !self.remote_aet.is_empty() && !remote_aet.is_some_and(|aet| self.remote_aet.iter().any(|a| a == aet)) {
            let expected = self.remote_aet.join(", ");
            return Err(match remote_aet {
                Some(_) => format!("RemoteAet in [{expected}] expected, found another sender"),
                None => format!("RemoteAet in [{expected}] expected, found no DICOM sender"),
            });
        }
        let (mut fits, mut first_failing) = (Vec::new(), None);
        for header in headers {
            match self.conditions.iter().find_map(|c| c.failing(&|keyword| header.by_keyword(keyword))) {
                None => fits.push(header.clone()),
                Some(failing) => first_failing = first_failing.or(Some(failing.describe())),
            }
        }
        if fits.len() < self.min_instances.max(1) {
            let (found, expected) = (fits.len(), self.min_instances.max(1));
            let failing = first_failing.map(|c| format!("; not fulfilled: {c}")).unwrap_or_default();
            return Err(format!("found {found} instances that fulfil the rule, expected {expected} or more{failing}"));
        }
        Ok(fits)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dicom_dictionary_std::tags;
    use serde_json::{Value, json};

    use super::*;
    use crate::source::InstanceId;

    fn rule(json: Value) -> Rule {
        let rule: Rule = serde_json::from_value(json).unwrap();
        rule.validate().unwrap();
        rule
    }

    fn headers() -> Vec<InstanceHeader> {
        let header = |(i, modality): (usize, &str)| {
            let values =
                BTreeMap::from([(tags::MODALITY, modality.to_owned()), (tags::PATIENT_NAME, "DOE^JANE".into())]);
            InstanceHeader::new(InstanceId(i.to_string()), values)
        };
        ["MR", "MR", "SR"].into_iter().enumerate().map(header).collect()
    }

    #[test]
    fn candidates_fulfil_the_conditions() {
        let mr = json!([{"keyword": "Modality", "equals": "MR"}]);
        let by = |rule: Value, aet| self::rule(rule).candidates(&headers(), aet).map(|c| c.len());
        assert_eq!(by(json!({"Name": "a", "Model": "m"}), None), Ok(3));
        assert_eq!(by(json!({"Name": "a", "Model": "m", "Where": mr}), None), Ok(2));
        let few = by(json!({"Name": "a", "Model": "m", "Where": mr, "MinInstances": 3}), None).unwrap_err();
        assert_eq!(few, "found 2 instances that fulfil the rule, expected 3 or more; not fulfilled: Modality = MR");
        let named = json!([{"keyword": "PatientName", "regex": "^SMITH"}]);
        let none = by(json!({"Name": "a", "Model": "m", "Where": named}), None).unwrap_err();
        assert!(none.contains("found 0 instances") && !none.contains("DOE"), "{none}");
        let from = json!({"Name": "a", "Model": "m", "RemoteAet": ["MR1", "MR2"]});
        assert_eq!(by(from.clone(), Some("MR2")), Ok(3));
        assert!(by(from.clone(), Some("CT")).unwrap_err().contains("[MR1, MR2]"));
        assert!(by(from, None).unwrap_err().contains("no DICOM sender"));
        assert!(by(json!({"Name": "a", "Model": "m", "Enable": false}), None).unwrap_err().contains("switched off"));
    }

    #[test]
    fn quiet_hours_end_on_the_day_that_they_should() {
        let hours =
            |from: &str, to: &str| -> QuietHours { serde_json::from_value(json!({"From": from, "To": to})).unwrap() };
        let at = |text: &str| NaiveDateTime::parse_from_str(&format!("2026-11-{text}"), "%Y-%m-%d %H:%M").unwrap();
        for (hours, now, end) in [
            (hours("08:00", "17:30"), "20 07:59", None),
            (hours("08:00", "17:30"), "20 08:00", Some("20 17:30")),
            (hours("08:00", "17:30"), "20 17:30", None),
            (hours("22:00", "06:00"), "20 23:00", Some("21 06:00")),
            (hours("22:00", "06:00"), "21 05:59", Some("21 06:00")),
            (hours("22:00", "06:00"), "21 12:00", None),
        ] {
            assert_eq!(hours.end_after(at(now)), end.map(at), "{hours:?} {now}");
        }
        let now = Local::now();
        let quiet_now = QuietHours {
            from: (now - chrono::Duration::hours(1)).time(),
            to: (now + chrono::Duration::hours(1)).time(),
        };
        let now = Timestamp::from_milliseconds(now.timestamp_millis()).unwrap();
        let wait = quiet_now.until(now).unwrap().milliseconds() - now.milliseconds();
        assert!((3_599_000..=3_600_000).contains(&wait), "{wait}");
    }

    #[test]
    fn mistakes_are_named() {
        let error = |json: Value| match serde_json::from_value::<Rule>(json) {
            Ok(rule) => rule.validate().map_err(|(path, reason)| format!("{path}: {reason}")).unwrap_err(),
            Err(e) => e.to_string(),
        };
        for (json, expected) in [
            (json!({"Model": "m"}), "missing field `Name`"),
            (json!({"Name": "a", "Model": "m", "Triger": "StableStudy"}), "unknown field `Triger`"),
            (json!({"Name": "", "Model": "m"}), ".Name: expected 1 to 64"),
            (json!({"Name": "a", "Model": "m", "Trigger": "Stable"}), "unknown variant `Stable`"),
            (json!({"Name": "a", "Model": "m", "Where": [{"keyword": "Modality"}]}), ".Where[0]: found 0 of"),
            (
                json!({"Name": "a", "Model": "m", "QuietHours": {"From": "8", "To": "9:00"}}),
                "found \"8\", expected HH:MM",
            ),
            (json!({"Name": "a", "Model": "m", "QuietHours": {"From": "08:00", "To": "08:00"}}), ".QuietHours: "),
        ] {
            let error = error(json);
            assert!(error.contains(expected), "{error} / {expected}");
        }
    }
}
