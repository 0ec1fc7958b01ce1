//! Orthanc's plugin SDK as bindgen reads it (build.rs), under shorter names.
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals, dead_code, missing_docs)]
#![allow(clippy::all, clippy::pedantic, clippy::undocumented_unsafe_blocks)]

include!(concat!(env!("OUT_DIR"), "/orthanc_sdk.rs"));

pub(super) use self::{
    _OrthancPluginProperty as Property, _OrthancPluginService as Service, OrthancPluginContext as Context,
    OrthancPluginErrorCode as Code, OrthancPluginHttpMethod as HttpMethod, OrthancPluginMemoryBuffer as MemoryBuffer,
};

/// `InvokeService` without the `Option` around it.
pub(super) type InvokeService = unsafe extern "C" fn(*mut Context, Service, *const std::os::raw::c_void) -> Code;
/// `Free` without the `Option` around it.
pub(super) type Free = unsafe extern "C" fn(*mut std::os::raw::c_void);

/// `(value, name, description)` of every `OrthancPluginErrorCode`, sorted by value, in the header's words.
pub(super) const ERROR_CODES: &[(i32, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/orthanc_error_codes.rs"));
