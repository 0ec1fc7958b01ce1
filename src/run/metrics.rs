//! What `/tools/metrics-prometheus` shows of the runs: atomics alone, since they are read inside the scrape, under a lock of the core.
//!
//! Counters begin at 0 with the server, as Prometheus expects; each node of a cluster counts its own work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::record::{RunState, Stage};
use super::store::{RunCount, RunStore};

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
}

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

    /// Asks the store what waits and runs.
    pub fn count(&self, store: &dyn RunStore) {
        let of = |counts: &[RunCount], state| {
            let runs: usize = counts.iter().filter(|c| c.state == state).map(|c| c.runs).sum();
            i64::try_from(runs).unwrap_or(i64::MAX)
        };
        let counts = store.counts().ok();
        self.queue(counts.map(|c| (of(&c, RunState::Queued), of(&c, RunState::Running))));
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
    pub fn values(&self) -> Vec<(String, f64)> {
        let load = |value: &AtomicI64| value.load(Ordering::Relaxed) as f64;
        let mut values = vec![
            ("orthanc_ai_queue_length".to_owned(), load(&self.queued)),
            ("orthanc_ai_running".to_owned(), load(&self.running)),
            ("orthanc_ai_store_reachable".to_owned(), load(&self.store_reachable)),
        ];
        for model in &self.models {
            let name = &model.name;
            for (state, count) in STATES.iter().zip(&model.runs) {
                let label = format!("orthanc_ai_runs_total{{model=\"{name}\",state=\"{state:?}\"}}");
                values.push((label, count.load(Ordering::Relaxed) as f64));
            }
            for (stage, total) in STAGES.iter().zip(&model.stage_microseconds) {
                let label = format!("orthanc_ai_stage_seconds_total{{model=\"{name}\",stage=\"{}\"}}", stage.name());
                values.push((label, total.load(Ordering::Relaxed) as f64 / 1e6));
            }
            let retries = model.retries.load(Ordering::Relaxed) as f64;
            values.push((format!("orthanc_ai_retries_total{{model=\"{name}\"}}"), retries));
            let last = load(&model.last_success);
            values.push((format!("orthanc_ai_last_success_timestamp_seconds{{model=\"{name}\"}}"), last));
        }
        values
    }
}

#[cfg(test)]
mod tests {
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
        let values: BTreeMap<String, f64> = metrics.values().into_iter().collect();
        for (name, expected) in [
            ("orthanc_ai_runs_total{model=\"a\",state=\"Succeeded\"}", 2.0),
            ("orthanc_ai_runs_total{model=\"a\",state=\"Failed\"}", 1.0),
            ("orthanc_ai_runs_total{model=\"b\",state=\"Failed\"}", 0.0),
            ("orthanc_ai_stage_seconds_total{model=\"a\",stage=\"infer\"}", 3.0),
            ("orthanc_ai_last_success_timestamp_seconds{model=\"a\"}", 1_800_000_001.0),
            ("orthanc_ai_retries_total{model=\"b\"}", 1.0),
            ("orthanc_ai_queue_length", 4.0),
            ("orthanc_ai_store_reachable", 0.0),
        ] {
            assert_eq!(values[name], expected, "{name}");
        }
    }
}
