//! One suite for every store: what a database means must not depend on which it is.

mod claims;
mod faults;
mod feedback;
mod history;
mod keys;
#[path = "../../../../tests/support/postgres.rs"]
mod postgres_server;
mod tls;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use self::postgres_server::PostgresServer;
use super::{Claim, InsertRule, Inserted, Lease, RunStore, postgres, sqlite};
use crate::run::record::{ModelCard, Origin, Run, RunRequest, RunState};
use crate::run::select::Input;
use crate::run::timestamp::Timestamp;
use crate::source::{InstanceId, Level, Resource, StoreStatus, StoredInstance};

/// A database, and connections to it.
pub enum Bench {
    Memory(Arc<dyn RunStore>),
    File(tempfile::TempDir),
    Postgres(String),
}

impl Bench {
    fn memory() -> Option<Self> {
        Some(Self::Memory(sqlite::in_memory()))
    }

    fn file() -> Option<Self> {
        Some(Self::File(tempfile::tempdir().unwrap()))
    }

    fn postgres() -> Option<Self> {
        static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
        Some(Self::Postgres(SERVER.get_or_init(PostgresServer::start).as_ref()?.database()))
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::File(folder) => folder.path().join("runs.sqlite"),
            Self::Memory(_) | Self::Postgres(_) => panic!("no file"),
        }
    }

    /// Another connection, as another process has it.
    fn open(&self) -> Arc<dyn RunStore> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::File(_) => sqlite::open_shared(self.path()),
            Self::Postgres(address) => postgres::open(address.parse().unwrap(), None),
        }
    }
}

/// Each test on each store, as tests that say which.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod in_memory { $(#[test] fn $test() { super::$test(&super::Bench::memory().unwrap()); })+ }
        mod in_a_file { $(#[test] fn $test() { super::$test(&super::Bench::file().unwrap()); })+ }
        mod in_postgres { $(#[test] fn $test() {
            if let Some(bench) = super::Bench::postgres() { super::$test(&bench); }
        })+ }
    };
}
use on_every_store;

const MINUTE: Duration = Duration::from_secs(60);
const WITHOUT_LIMIT: InsertRule = InsertRule { limit: usize::MAX, unless_known: false };

/// A run on the image `uid`.
fn run(uid: &str) -> Run {
    let request = RunRequest {
        model: "model".into(),
        resource: Resource::new(Level::Study, format!("study-{uid}")),
        study: format!("study-{uid}"),
        inputs: vec![Input {
            id: InstanceId(format!("instance-{uid}")),
            sop_instance_uid: uid.into(),
            view: "L-CC".into(),
            group: 0,
            frame: None,
        }],
        warnings: vec!["a warning".into()],
        origin: Origin::Rest,
        priority: 0,
        force: false,
        not_before: None,
    };
    let card = ModelCard {
        title: "Model".into(),
        version: "1.0".into(),
        weights_sha256: "0".repeat(64),
        demo: true,
        disclaimer: "research".into(),
    };
    Run::new(request, card)
}

fn stored(id: &str) -> StoredInstance {
    StoredInstance {
        id: id.into(),
        kind: "SR".into(),
        path: format!("/instances/{id}"),
        series_id: "series".into(),
        study_id: "study".into(),
        sop_instance_uid: format!("uid-{id}"),
        status: StoreStatus::Stored,
    }
}

#[track_caller]
fn insert(store: &dyn RunStore, run: &Run) -> Run {
    match store.insert(run, WITHOUT_LIMIT).unwrap() {
        Inserted::New(run) => run,
        other => panic!("{other:?}"),
    }
}

fn claim(store: &dyn RunStore, node: &str) -> Option<Run> {
    store.claim(&Claim { node, models: None, lease: MINUTE }).unwrap()
}

#[track_caller]
fn claimed(store: &dyn RunStore, node: &str) -> (Run, Lease) {
    let run = claim(store, node).expect("nothing waits");
    let lease = Lease::of(&run);
    (run, lease)
}

/// Ends a run as its worker does.
#[track_caller]
fn finish(store: &dyn RunStore, lease: &Lease, state: RunState) -> Run {
    let finished = store.update(lease, &mut |run| {
        run.state = state;
        run.finished = Some(Timestamp::now());
    });
    finished.unwrap().expect("the lease is lost")
}

#[track_caller]
fn state(store: &dyn RunStore, run: &Run) -> RunState {
    store.get(&run.id).unwrap().expect("the run is gone").state
}
