//! The host: the only folder that talks to Orthanc's C interface, and the only one with unsafe code (SAFETY.md).
//!
//! What is here: [`entry`] (the four exported functions), [`host`] (the re-settable context), [`guard`] (the panic boundary),
//! [`buffer`] (memory that the core owns), [`rest_server`], [`http_filter`] and [`rest_client`], [`decode`] (the core's image decoder), [`events`], [`jobs`],
//! [`metrics`], [`audit`], [`explorer`], [`log`], [`thread`]. What is absent: any knowledge of models, runs or DICOM attributes.
#![warn(clippy::undocumented_unsafe_blocks)]
#![allow(clippy::used_underscore_items, reason = "the params structures of the SDK begin with an underscore")]

pub mod audit;
pub mod buffer;
pub mod decode;
pub mod entry;
mod error;
pub mod events;
pub mod explorer;
#[cfg(test)]
mod fake;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod guard;
pub mod host;
pub mod http_filter;
pub mod jobs;
pub mod log;
pub mod metrics;
pub mod rest_client;
mod rest_error;
pub mod rest_server;
mod sys;
pub mod thread;

pub use error::{ErrorCode, HostError};
pub use host::{Host, Version};
pub use rest_error::RestError;
