//! Synthetic exams: data the project makes itself, for tests, for the demo and for training the demo weights.
//!
//! A phantom is drawn in millimetres and only then sampled, so that the same seed gives the same body at any pixel
//! spacing. It looks like the real thing to a network, and teaches nothing about real patients.

pub mod breast_mri;
pub mod demo;
pub mod dermoscopy;
mod dicom;
pub mod head_ct;
pub mod mammography;
mod noise;
mod random;
mod shapes;

pub use breast_mri::{
    BreastMri, BreastMriInstance, BreastMriPhantom, BreastMriStudy, BreastSlice, BreastSliceInstance,
    BreastSlicePhantom, Orientation, PHASES, SeriesLayout, TumourKind, TumourPlace,
};
pub use dermoscopy::{Dermoscopy, DermoscopyInstance, DermoscopyPhantom, DermoscopySopClass, SkinLesion};
pub use dicom::PhantomError;
pub use head_ct::{
    Haemorrhage, HaemorrhagePlace, HeadCt, HeadCtInstance, HeadCtLayout, HeadCtPhantom, HeadCtSeries, HeadCtStudy,
    Kernel,
};
pub use mammography::{
    Class, ExamOptions, FULL_SIZE, FULL_SPACING_MM, Laterality, LesionPlace, Phantom, PhantomInstance, PhantomView,
    View, exam,
};
pub use random::Random;
pub(crate) use random::mix;
