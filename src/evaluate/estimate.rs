//! A figure with its 95 % interval, or in words why there is none.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The two-sided 95 % quantile of the normal distribution.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;

/// What was measured. Never NaN: a figure that has no value says why.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    Estimate(Estimate),
    Undefined(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    pub value: f64,
    /// 95 %; None where the data say nothing about it (every resample gives the same value).
    pub interval: Option<[f64; 2]>,
    /// Of a proportion: so many of so many.
    pub counts: Option<[usize; 2]>,
}

impl Measure {
    /// A figure; one that is no number is undefined.
    pub fn new(value: f64, interval: Option<[f64; 2]>) -> Self {
        if !value.is_finite() {
            return Self::Undefined("the value is no finite number".into());
        }
        let interval = interval.filter(|i| i.iter().all(|end| end.is_finite()));
        Self::Estimate(Estimate { value, interval, counts: None })
    }

    pub fn undefined(reason: impl Into<String>) -> Self {
        Self::Undefined(reason.into())
    }

    /// `hits` of `total` with Wilson's score interval; `none`: why there is nothing to count.
    pub fn proportion(hits: usize, total: usize, none: &str) -> Self {
        match wilson(hits, total) {
            Some(interval) => Self::Estimate(Estimate {
                value: hits as f64 / total as f64,
                interval: Some(interval),
                counts: Some([hits, total]),
            }),
            None => Self::undefined(none),
        }
    }

    pub fn value(&self) -> Option<f64> {
        self.estimate().map(|e| e.value)
    }

    pub fn interval(&self) -> Option<[f64; 2]> {
        self.estimate().and_then(|e| e.interval)
    }

    pub fn estimate(&self) -> Option<&Estimate> {
        match self {
            Self::Estimate(estimate) => Some(estimate),
            Self::Undefined(_) => None,
        }
    }
}

impl Serialize for Measure {
    /// `{"Value", "Interval", "Counts"}` or `{"Undefined": "why"}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Undefined(reason) => map.serialize_entry("Undefined", reason)?,
            Self::Estimate(estimate) => {
                map.serialize_entry("Value", &estimate.value)?;
                map.serialize_entry("Interval", &estimate.interval)?;
                if let Some(counts) = estimate.counts {
                    map.serialize_entry("Counts", &counts)?;
                }
            }
        }
        map.end()
    }
}

impl JsonSchema for Measure {
    fn schema_name() -> Cow<'static, str> {
        "Measure".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A figure with its 95 % interval, of a proportion also so many of so many; or in words why there is none.",
            "oneOf": [
                {
                    "type": "object",
                    "required": ["Value", "Interval"],
                    "properties": {
                        "Value": {"type": "number"},
                        "Interval": {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
                        "Counts": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                    },
                },
                {"type": "object", "required": ["Undefined"], "properties": {"Undefined": {"type": "string"}}},
            ],
        })
    }
}

/// The 95 % score interval of a proportion (Wilson 1927), without continuity correction. None of nothing.
pub fn wilson(hits: usize, total: usize) -> Option<[f64; 2]> {
    if total == 0 || hits > total {
        return None;
    }
    let (n, p, z2) = (total as f64, hits as f64 / total as f64, Z_95 * Z_95);
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // Rounding leaves 1e-17 where the end is exactly 0 or 1.
    let low = if hits == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if hits == total { 1.0 } else { (centre + half).min(1.0) };
    Some([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ever_nan() {
        for measure in [
            Measure::new(f64::NAN, None),
            Measure::new(f64::INFINITY, Some([0.0, 1.0])),
            Measure::new(0.5, Some([f64::NAN, 1.0])),
            Measure::proportion(0, 0, "no case"),
        ] {
            let json = serde_json::to_string(&measure).unwrap();
            assert!(json.contains("Undefined") || json == r#"{"Value":0.5,"Interval":null}"#, "{json}");
        }
    }

    #[test]
    fn an_interval_holds_its_value_and_stays_within_0_and_1() {
        for total in 1..60 {
            for hits in 0..=total {
                let p = hits as f64 / total as f64;
                let [low, high] = wilson(hits, total).unwrap();
                assert!((0.0..=p).contains(&low) && (p..=1.0).contains(&high) && low < high, "{hits} of {total}");
            }
        }
        assert_eq!((wilson(3, 2), wilson(0, 0)), (None, None));
    }
}
