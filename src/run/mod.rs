//! Runs: from "analyse this" to stored results.
//!
//! [`select`] decides what a model takes, [`pipeline`] carries one run out (one line a stage), [`store`] keeps runs and the queue,
//! [`worker`] owns the networks and the device ([`attempt`] holds a run while it works, [`settle`] decides what becomes of it),
//! [`limits`] says what a run may take. [`host_job`] shows a run in `/jobs`, [`view`] over REST, [`metrics`] to Prometheus, [`marks`] on the study,
//! [`audit`] to the host's audit log. [`stages`] joins a model to the one whose segment it looks at. [`automatic`] asks for runs of what arrives, by rule.
//! [`evaluation`] runs a model over cases whose truth is known, [`feedback`] is what readers say of the findings.

mod attempt;
pub mod audit;
pub mod automatic;
mod enqueue;
pub mod evaluation;
pub mod fault;
pub mod feedback;
pub mod host_job;
pub mod limits;
pub mod marks;
pub mod metrics;
pub mod pipeline;
pub mod receiving;
pub mod record;
pub mod select;
pub mod service;
mod settle;
pub mod stages;
pub mod store;
pub mod timestamp;
pub mod view;
pub mod worker;

#[cfg(test)]
mod tests;

pub use limits::Limits;
pub use pipeline::{Monitor, RunError, RunOutcome};
pub use record::{Origin, Run, RunId, RunRequest, RunState, Stage};
pub use service::{RunService, SubmitError};
pub use store::{RunFilter, RunStore, StoreError};
pub use timestamp::Timestamp;
