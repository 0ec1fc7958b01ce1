//! Live tests: the plugin in a real Orthanc, oldest and newest supported (`make test-live`).

mod automatic;
mod bad_input;
mod bad_volumes;
mod breast_mri;
mod cluster;
mod compat;
#[path = "../support/ct_series.rs"]
mod ct_series;
mod demo_models;
mod durable;
mod end_to_end;
mod evaluate;
mod exam;
mod feedback;
#[path = "../support/image_models.rs"]
mod image_models;
mod images;
mod kills;
mod late_input;
mod lifecycle;
mod limits;
mod operations;
#[path = "../support/postgres.rs"]
mod postgres_server;
mod real_data;
mod runs;
mod segmentation;
mod series;
mod server;
mod soak;
mod surface;
mod torch_script;
mod two_stages;
