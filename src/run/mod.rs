//! Runs: from "analyse this" to stored results.
//!
//! [`select`] decides what a model takes, [`pipeline`] carries one run out (one line a stage), [`store`] remembers runs,
//! [`queue`] holds those that wait, [`worker`] owns the networks and the device, [`host_job`] shows a run in `/jobs`.

pub mod host_job;
pub mod pipeline;
pub mod queue;
pub mod record;
pub mod select;
pub mod service;
pub mod store;
pub mod worker;

pub use pipeline::{Monitor, RunError, RunOutcome};
pub use record::{Origin, Run, RunId, RunRequest, RunState, Stage};
pub use service::{RunService, SubmitError};
pub use store::{MemoryRunStore, RunFilter, RunStore};
