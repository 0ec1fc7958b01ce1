//! `orthanc-ai`: AI models inside the Orthanc DICOM server. See ARCHITECTURE.md for the house and its data path.
#![deny(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod config;
pub mod document;
pub mod evaluate;
pub mod imaging;
pub mod manifest;
pub mod model;
#[allow(unsafe_code, reason = "the C interface of Orthanc; see SAFETY.md")]
pub mod orthanc;
pub mod phantom;
pub mod plugin;
pub mod predict;
pub mod result;
pub mod run;
pub mod source;
pub mod surface;
pub mod transform;
pub mod web;

// So that fixtures under tests/support name the crate alike in unit tests and in integration tests.
#[cfg(test)]
extern crate self as orthanc_ai;

#[cfg(test)]
#[path = "../tests/support/ct_series.rs"]
mod ct_series;
