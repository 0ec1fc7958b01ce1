//! What `/tools/metrics-prometheus` shows of runs and models: atomics and one line of /proc, since they are read inside the scrape, under
//! a lock of the core.
//!
//! Counters begin at 0 with the server, as Prometheus expects; each node of a cluster counts its own work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::feedback::Verdict;
use super::feedback::agreement::FeedbackCount;
use super::record::{RunState, Stage};
use super::store::{RunCount, RunStore};
use crate::model::{ModelInfo, ModelState};

const STATES: [RunState; 3] = [RunState::Succeeded, RunState::Failed, RunState::Cancelled];
const STAGES: [Stage; 7] = Stage::ALL;

/// One model's.
#[derive(Debug)]
struct ModelMetrics {
    name: String,
    /// In the order of [`STATES`].
    runs: [AtomicU64; STATES.len()],
    /// In the order of [`STAGES`].
    stage_microseconds: [AtomicU64; STAGES.len()],
    retries: AtomicU64,
    /// Seconds since 1970, 0 before the first.
    last_success: AtomicI64,
    /// Findings that readers have judged, in the order of [`Verdict::ALL`].
    feedback: [AtomicI64; Verdict::ALL.len()],
}

/// A metric's value. Which of the two a metric has never changes: the core keeps it by kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricValue {
    Integer(i64),
    Float(f64),
}

/// Every metric's name, with the labels it has.
pub const NAMES: [(&str, &[&str]); 10] = [
    ("orthanc_ai_queue_length", &[]),
    ("orthanc_ai_running", &[]),
    ("orthanc_ai_store_reachable", &[]),
    ("orthanc_ai_models", &["state"]),
    ("orthanc_ai_process_resident_memory_bytes", &[]),
    ("orthanc_ai_runs_total", &["model", "state"]),
    ("orthanc_ai_stage_seconds_total", &["model", "stage"]),
    ("orthanc_ai_retries_total", &["model"]),
    ("orthanc_ai_last_success_timestamp_seconds", &["model"]),
    ("orthanc_ai_feedback", &["model", "verdict"]),
];

#[derive(Debug)]
pub struct Metrics {
    models: Vec<ModelMetrics>,
    queued: AtomicI64,
    running: AtomicI64,
    store_reachable: AtomicI64,
}

impl Metrics {
    /// For these models; others are not counted.
    pub fn new(models: impl IntoIterator<Item = String>) -> Self {
        let of_model = |name| ModelMetrics {
            name,
            runs: Default::default(),
            stage_microseconds: Default::default(),
            retries: AtomicU64::new(0),
            last_success: AtomicI64::new(0),
            feedback: Default::default(),
        };
        Self {
            models: models.into_iter().map(of_model).collect(),
            queued: AtomicI64::new(0),
            running: AtomicI64::new(0),
            store_reachable: AtomicI64::new(1),
        }
    }

    fn model(&self, name: &str) -> Option<&ModelMetrics> {
        self.models.iter().find(|m| m.name == name)
    }

    /// A run has ended; `stage_seconds` by the stages' names. States that are not final do not count.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of a run are small and positive"
    )]
    pub fn finished(&self, model: &str, state: RunState, stage_seconds: &BTreeMap<String, f64>, now: i64) {
        let Some(model) = self.model(model) else { return };
        if let Some(i) = STATES.iter().position(|s| *s == state) {
            model.runs[i].fetch_add(1, Ordering::Relaxed);
        }
        if state == RunState::Succeeded {
            model.last_success.store(now, Ordering::Relaxed);
        }
        for (stage, total) in STAGES.iter().zip(&model.stage_microseconds) {
            if let Some(seconds) = stage_seconds.get(stage.name()) {
                total.fetch_add((seconds * 1e6) as u64, Ordering::Relaxed);
            }
        }
    }

    /// A run has failed for a reason that may pass, and waits for its next attempt.
    pub fn retried(&self, model: &str) {
        if let Some(model) = self.model(model) {
            model.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks the store what waits and runs, and what readers have said.
    pub fn count(&self, store: &dyn RunStore) {
        let of = |counts: &[RunCount], state| {
            let runs: usize = counts.iter().filter(|c| c.state == state).map(|c| c.runs).sum();
            i64::try_from(runs).unwrap_or(i64::MAX)
        };
        let counts = store.counts().ok();
        self.queue(counts.map(|c| (of(&c, RunState::Queued), of(&c, RunState::Running))));
        if let Ok(counts) = store.feedback_counts(None) {
            self.feedback(&counts);
        }
    }

    /// The verdicts that count; runs that were forgotten have taken theirs along.
    fn feedback(&self, counts: &[FeedbackCount]) {
        for model in &self.models {
            for (verdict, value) in Verdict::ALL.into_iter().zip(&model.feedback) {
                let of_it = counts.iter().filter(|c| c.model == model.name && c.verdict == verdict);
                let verdicts: usize = of_it.map(|c| c.verdicts).sum();
                value.store(i64::try_from(verdicts).unwrap_or(i64::MAX), Ordering::Relaxed);
            }
        }
    }

    /// What the store holds; None: it cannot be reached.
    fn queue(&self, waiting_and_running: Option<(i64, i64)>) {
        self.store_reachable.store(i64::from(waiting_and_running.is_some()), Ordering::Relaxed);
        if let Some((queued, running)) = waiting_and_running {
            self.queued.store(queued, Ordering::Relaxed);
            self.running.store(running, Ordering::Relaxed);
        }
    }

    /// (name with labels, value), as Orthanc prints them.
    #[allow(clippy::cast_precision_loss, reason = "a metric is a floating-point number")]
    pub fn values(&self) -> Vec<(String, MetricValue)> {
        let load = |value: &AtomicI64| MetricValue::Integer(value.load(Ordering::Relaxed));
        let counter =
            |value: &AtomicU64| MetricValue::Integer(i64::try_from(value.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
        let mut values = vec![
            ("orthanc_ai_queue_length".to_owned(), load(&self.queued)),
            ("orthanc_ai_running".to_owned(), load(&self.running)),
            ("orthanc_ai_store_reachable".to_owned(), load(&self.store_reachable)),
        ];
        if let Some(bytes) = resident_bytes() {
            values.push(("orthanc_ai_process_resident_memory_bytes".to_owned(), MetricValue::Integer(bytes)));
        }
        for model in &self.models {
            let name = &model.name;
            for (state, count) in STATES.iter().zip(&model.runs) {
                let label = format!("orthanc_ai_runs_total{{model=\"{name}\",state=\"{state:?}\"}}");
                values.push((label, counter(count)));
            }
            for (stage, total) in STAGES.iter().zip(&model.stage_microseconds) {
                let label = format!("orthanc_ai_stage_seconds_total{{model=\"{name}\",stage=\"{}\"}}", stage.name());
                let seconds = total.load(Ordering::Relaxed) as f64 / 1e6;
                values.push((label, MetricValue::Float(seconds)));
            }
            values.push((format!("orthanc_ai_retries_total{{model=\"{name}\"}}"), counter(&model.retries)));
            let last = load(&model.last_success);
            values.push((format!("orthanc_ai_last_success_timestamp_seconds{{model=\"{name}\"}}"), last));
            for (verdict, count) in Verdict::ALL.into_iter().zip(&model.feedback) {
                let verdict = verdict.name();
                values.push((format!("orthanc_ai_feedback{{model=\"{name}\",verdict=\"{verdict}\"}}"), load(count)));
            }
        }
        values
    }
}

/// How many models are in each state.
pub fn models(models: &[ModelInfo]) -> impl Iterator<Item = (String, MetricValue)> {
    ModelState::ALL.into_iter().map(|state| {
        let count = models.iter().filter(|m| m.state == state).count();
        let name = format!("orthanc_ai_models{{state=\"{state:?}\"}}");
        (name, MetricValue::Integer(i64::try_from(count).unwrap_or(i64::MAX)))
    })
}

/// Memory that the whole server holds in RAM: on a CPU the networks are in it.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn runs_are_counted_by_model_and_state() {
        let metrics = Metrics::new(["a".to_owned(), "b".to_owned()]);
        let seconds = BTreeMap::from([("infer".to_owned(), 1.5), ("total".to_owned(), 2.0)]);
        metrics.finished("a", RunState::Succeeded, &seconds, 1_800_000_000);
        metrics.finished("a", RunState::Succeeded, &seconds, 1_800_000_001);
        metrics.finished("a", RunState::Failed, &BTreeMap::new(), 1_800_000_002);
        metrics.finished("unknown", RunState::Failed, &BTreeMap::new(), 0);
        metrics.retried("b");
        metrics.queue(Some((4, 1)));
        metrics.queue(None);
        let said = |model: &str, day, verdict, verdicts| FeedbackCount {
            model: model.into(),
            version: "1".into(),
            day,
            verdict,
            verdicts,
        };
        metrics.feedback(&[said("a", 1, Verdict::Accept, 9), said("b", 1, Verdict::Accept, 1)]);
        let gone = said("gone", 1, Verdict::Reject, 1);
        metrics.feedback(&[said("a", 1, Verdict::Accept, 2), said("a", 2, Verdict::Accept, 3), gone]);
        let number = |value| match value {
            MetricValue::Integer(n) => n as f64,
            MetricValue::Float(x) => x,
        };
        let values: BTreeMap<String, f64> = metrics.values().into_iter().map(|(n, v)| (n, number(v))).collect();
        assert!(values["orthanc_ai_process_resident_memory_bytes"] > 1e6);
        for (name, expected) in [
            ("orthanc_ai_runs_total{model=\"a\",state=\"Succeeded\"}", 2.0),
            ("orthanc_ai_runs_total{model=\"a\",state=\"Failed\"}", 1.0),
            ("orthanc_ai_runs_total{model=\"b\",state=\"Failed\"}", 0.0),
            ("orthanc_ai_stage_seconds_total{model=\"a\",stage=\"infer\"}", 3.0),
            ("orthanc_ai_last_success_timestamp_seconds{model=\"a\"}", 1_800_000_001.0),
            ("orthanc_ai_retries_total{model=\"b\"}", 1.0),
            ("orthanc_ai_feedback{model=\"a\",verdict=\"Accept\"}", 5.0),
            ("orthanc_ai_feedback{model=\"a\",verdict=\"Reject\"}", 0.0),
            ("orthanc_ai_feedback{model=\"b\",verdict=\"Accept\"}", 0.0),
            ("orthanc_ai_queue_length", 4.0),
            ("orthanc_ai_store_reachable", 0.0),
        ] {
            assert_eq!(values[name], expected, "{name}");
        }
    }

    /// The names in a text: of metrics in expressions, of what is shown.
    fn names(text: &str) -> BTreeSet<String> {
        let name = regex::Regex::new("orthanc_ai_[a-z_]+").unwrap();
        name.find_iter(text).map(|m| m.as_str().to_owned()).collect()
    }

    #[test]
    fn every_metric_is_documented_and_nothing_else_is_asked_for() {
        let metrics = Metrics::new(["a".to_owned()]);
        let shown: Vec<String> = metrics.values().into_iter().chain(models(&[])).map(|(name, _)| name).collect();
        let expected: BTreeSet<String> = NAMES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names(&shown.join(" ")), expected);
        for (name, labels) in NAMES {
            let of_it = shown.iter().filter(|s| s.split('{').next() == Some(name));
            for shown in of_it {
                let found: Vec<&str> =
                    shown.split(['{', ',', '}']).filter_map(|part| Some(part.split_once('=')?.0)).collect();
                assert_eq!(found, labels, "{shown}");
            }
        }
        let read = |text: &str| names(text);
        let documented = read(include_str!("../../docs/monitoring/README.md"));
        let documented: BTreeSet<String> = documented.into_iter().filter(|name| name != "orthanc_ai_").collect();
        assert_eq!(documented, expected);
        let dashboard: serde_json::Value =
            serde_json::from_str(include_str!("../../docs/monitoring/grafana-dashboard.json")).unwrap();
        let mut expressions = Vec::new();
        expressions_in(&dashboard, &mut expressions);
        assert!(expressions.len() >= 8, "{expressions:?}");
        for text in [&expressions.join("\n"), include_str!("../../docs/monitoring/alerts.yml")] {
            let asked = read(text);
            assert!(asked.is_subset(&expected), "{:?}", asked.difference(&expected).collect::<Vec<_>>());
            labels_exist(text);
        }
    }

    /// What panels and variables ask Prometheus.
    fn expressions_in(value: &serde_json::Value, into: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    match value.as_str() {
                        Some(text) if matches!(key.as_str(), "expr" | "query" | "definition") => into.push(text.into()),
                        _ => expressions_in(value, into),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| expressions_in(item, into)),
            _ => {}
        }
    }

    /// Prometheus adds `instance` and `job` itself.
    fn labels_exist(text: &str) {
        let selector = regex::Regex::new(r"(orthanc_ai_[a-z_]+)\{([^}]*)\}").unwrap();
        for found in selector.captures_iter(text) {
            let known = NAMES.iter().find(|(name, _)| *name == &found[1]).map_or(&[][..], |(_, labels)| labels);
            for label in found[2].split(',').filter_map(|part| part.split(['=', '!']).next()) {
                let label = label.trim();
                assert!(known.contains(&label) || matches!(label, "instance" | "job"), "{}: {label}", &found[1]);
            }
        }
    }
}
