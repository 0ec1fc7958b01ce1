//! The worker and the service over a store in memory, without a network and without a server.

mod marks;
mod service;
mod settling;
mod stages;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::attempt::Attempt;
use super::limits::Limits;
use super::marks::{MarkSettings, Marks};
use super::pipeline::RunOutcome;
use super::record::{ModelCard, Origin, Run, RunRequest};
use super::store::{Claim, InsertRule, Inserted, Lease, RunStore, sqlite};
use super::worker::{Control, Worker, WorkerSettings};
use crate::model::ModelRegistry;
use crate::result::{Report, ResultObject};
use crate::run::metrics::Metrics;
use crate::source::notes::{Note, StudyNotes};
use crate::source::{
    InstanceBytes, InstanceHeader, InstanceId, InstanceSource, Level, Resource, ResultStore, SourceError, StoreStatus,
    StoredInstance,
};

/// Nothing can be fetched.
struct NoSource;

impl InstanceSource for NoSource {
    fn headers(&self, _: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
        Ok(Vec::new())
    }

    fn fetch(&self, id: &InstanceId) -> Result<InstanceBytes, SourceError> {
        Err(SourceError::UnknownResource(id.to_string()))
    }
}

/// SOP Instance UIDs of what is there.
#[derive(Default)]
struct Archive(Mutex<Vec<String>>);

impl Archive {
    fn put(&self, uid: &str) {
        self.0.lock().unwrap().push(uid.into());
    }

    fn uids(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl ResultStore for Archive {
    fn store(&self, _: &ResultObject) -> Result<StoredInstance, SourceError> {
        Err(SourceError::Host("not asked for".into()))
    }

    fn find(&self, uid: &str) -> Result<Option<String>, SourceError> {
        Ok(self.uids().iter().any(|u| u == uid).then(|| format!("/instances/{uid}")))
    }

    fn discard(&self, path: &str) -> Result<(), SourceError> {
        self.0.lock().unwrap().retain(|uid| path != format!("/instances/{uid}"));
        Ok(())
    }
}

/// One study's text and labels.
#[derive(Default)]
struct Notes {
    state: Mutex<NotesState>,
}

struct NotesState {
    text: Option<String>,
    labels: BTreeSet<String>,
    has_labels: bool,
    away: bool,
    /// Written by another node after the next look.
    meanwhile: Option<String>,
}

impl Default for NotesState {
    fn default() -> Self {
        Self { text: None, labels: BTreeSet::new(), has_labels: true, away: false, meanwhile: None }
    }
}

impl StudyNotes for Notes {
    fn note(&self, _: &str, number: u16) -> Result<Option<Note>, SourceError> {
        assert_eq!(number, 4230);
        let mut state = self.state.lock().unwrap();
        if state.away {
            return Err(SourceError::Host("away".into()));
        }
        let note = state.text.clone().map(|text| Note { version: Some(text.clone()), text });
        if let Some(text) = state.meanwhile.take() {
            state.text = Some(text);
        }
        Ok(note)
    }

    fn set_note(&self, _: &str, _: u16, text: Option<&str>, before: Option<&Note>) -> Result<bool, SourceError> {
        let mut state = self.state.lock().unwrap();
        if state.text != before.and_then(|note| note.version.clone()) {
            return Ok(false);
        }
        state.text = text.map(str::to_owned);
        Ok(true)
    }

    fn labels(&self, study: &str) -> Result<Option<Vec<String>>, SourceError> {
        assert_eq!(study, "study");
        let state = self.state.lock().unwrap();
        if state.away {
            return Err(SourceError::Host("away".into()));
        }
        Ok(state.has_labels.then(|| state.labels.iter().cloned().collect()))
    }

    fn set_label(&self, _: &str, label: &str, present: bool) -> Result<(), SourceError> {
        let labels = &mut self.state.lock().unwrap().labels;
        let changed = if present { labels.insert(label.into()) } else { labels.remove(label) };
        assert!(changed, "asked for what is so already");
        Ok(())
    }
}

struct Bench {
    store: Arc<dyn RunStore>,
    archive: Arc<Archive>,
    notes: Arc<Notes>,
    worker: Worker,
}

impl Bench {
    fn new() -> Self {
        let (store, archive, notes) = (sqlite::in_memory(), Arc::new(Archive::default()), Arc::new(Notes::default()));
        let worker = Worker {
            store: store.clone(),
            models: ModelRegistry::default(),
            control: Arc::new(Control::default()),
            source: Arc::new(NoSource),
            results: archive.clone(),
            announce: |_| Some("job".into()),
            settings: settings(),
            metrics: Arc::new(Metrics::new(["m".to_owned()])),
            marks: Marks::new(MarkSettings::default(), notes.clone()),
            audit: |_| (),
            evaluations: Arc::default(),
        };
        Self { store, archive, notes, worker }
    }

    fn insert(&self, uid: &str) -> Run {
        let rule = InsertRule { limit: 100, unless_known: false };
        match self.store.insert(&run(uid), rule).unwrap() {
            Inserted::New(run) => run,
            other => panic!("{other:?}"),
        }
    }

    /// The next run, and an attempt at it.
    fn claim(&self) -> (Run, Attempt<'_>) {
        let claim = Claim { node: "node", models: None, lease: Duration::from_secs(60) };
        let run = self.store.claim(&claim).unwrap().expect("nothing waits");
        let attempt = Attempt::new(&self.worker, Lease::of(&run), &run);
        (run, attempt)
    }

    fn get(&self, run: &Run) -> Run {
        self.store.get(&run.id).unwrap().unwrap()
    }
}

fn settings() -> WorkerSettings {
    WorkerSettings {
        node: "node".into(),
        lease: Duration::from_secs(60),
        attempts: 2,
        backoff: Duration::ZERO,
        history: 100,
        history_days: None,
        limits: Limits::default(),
        encapsulated_pdf: None,
    }
}

fn request(uid: &str) -> RunRequest {
    RunRequest {
        model: "model".into(),
        resource: Resource::new(Level::Study, "study"),
        study: "study".into(),
        inputs: vec![super::select::Input {
            id: InstanceId("instance".into()),
            sop_instance_uid: uid.into(),
            view: "L-CC".into(),
            group: 0,
            frame: None,
        }],
        warnings: Vec::new(),
        origin: Origin::Rest,
        priority: 0,
        force: false,
        not_before: None,
    }
}

fn run(uid: &str) -> Run {
    let card = ModelCard {
        title: "Model".into(),
        version: "1".into(),
        weights_sha256: "0".into(),
        demo: true,
        disclaimer: String::new(),
    };
    Run::new(request(uid), card)
}

fn outcome(stored: &[(&str, StoreStatus)]) -> RunOutcome {
    let report = serde_json::json!({
        "Model": "model", "Title": "Model", "Version": "1", "Weights": "0", "Demo": true, "Disclaimer": "", "Created": "",
    });
    let stored = stored.iter().map(|(uid, status)| StoredInstance {
        id: format!("id-{uid}"),
        kind: "SR".into(),
        path: format!("/instances/{uid}"),
        series_id: String::new(),
        study_id: String::new(),
        sop_instance_uid: (*uid).to_string(),
        status: *status,
    });
    RunOutcome {
        warnings: Vec::new(),
        report: serde_json::from_value::<Report>(report).unwrap(),
        slices: Vec::new(),
        stored: stored.collect(),
        stage_seconds: BTreeMap::new(),
    }
}
