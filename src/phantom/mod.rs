//! Synthetic exams: data the project makes itself, for tests, for the demo and for training the demo weights.
//!
//! A phantom is drawn in millimetres and only then sampled, so that the same seed gives the same breast at any pixel
//! spacing. It looks like the real thing to a network, and teaches nothing about real breasts.

pub mod breast_mri;
mod dicom;
pub mod mammography;
mod noise;
mod random;

pub use breast_mri::{
    BreastMri, BreastMriInstance, BreastMriPhantom, BreastMriStudy, Orientation, PHASES, SeriesLayout, TumourPlace,
};
pub use dicom::PhantomError;
pub use mammography::{
    Class, ExamOptions, FULL_SIZE, FULL_SPACING_MM, Laterality, LesionPlace, Phantom, PhantomInstance, PhantomView,
    View, exam,
};
pub use random::Random;
pub(crate) use random::mix;
