//! Synthetic mammograms: what a detector would store of a breast that was never there.

mod anatomy;
pub mod dicom;
mod exam;
mod field;
mod lesion;
pub mod view;

pub use dicom::PhantomInstance;
pub use exam::{ExamOptions, exam};
pub use view::{FULL_SIZE, FULL_SPACING_MM, LesionPlace, Phantom, PhantomView};

/// What a phantom shows, in the order of the mammography manifests' classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Mass,
    Calcification,
    ArchitecturalAsymmetry,
    Normal,
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Mass, Self::Calcification, Self::ArchitecturalAsymmetry, Self::Normal];

    /// The class's name in the manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mass => "Mass",
            Self::Calcification => "Calcification",
            Self::ArchitecturalAsymmetry => "Architectural/Asymmetry",
            Self::Normal => "Normal",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(name))
    }
}

/// ImageLaterality (0020,0062).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Laterality {
    Left,
    Right,
}

impl Laterality {
    /// The attribute's value.
    pub fn code(self) -> &'static str {
        match self {
            Self::Left => "L",
            Self::Right => "R",
        }
    }
}

/// ViewPosition (0018,5101).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// Cranio-caudal.
    Cc,
    /// Medio-lateral oblique: the pectoral muscle is in the picture.
    Mlo,
}

impl View {
    /// The attribute's value.
    pub fn code(self) -> &'static str {
        match self {
            Self::Cc => "CC",
            Self::Mlo => "MLO",
        }
    }
}

/// Composition of the breast, BI-RADS a to d.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Density {
    Fatty,
    Scattered,
    Heterogeneous,
    Dense,
}

#[cfg(test)]
mod tests;
