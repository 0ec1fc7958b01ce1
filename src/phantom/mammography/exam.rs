//! Four views of a made-up patient.

use super::dicom::{Identity, PhantomInstance, encode};
use super::view::{FULL_SIZE, FULL_SPACING_MM, PhantomView};
use super::{Class, Laterality, View};
use crate::phantom::dicom::{PhantomError, uid};
use crate::phantom::random::mix;

/// A four-view exam. Equal options give equal files, byte by byte.
#[derive(Debug, Clone, PartialEq)]
pub struct ExamOptions {
    pub seed: u64,
    /// What L-CC, R-CC, L-MLO and R-MLO show.
    pub classes: [Class; 4],
    /// (rows, columns) of each picture.
    pub size: (usize, usize),
    pub spacing_mm: f32,
    /// 8 to 16.
    pub bits_stored: u16,
    /// MONOCHROME1 in place of MONOCHROME2.
    pub inverted: bool,
}

impl Default for ExamOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            classes: Class::ALL,
            size: FULL_SIZE,
            spacing_mm: FULL_SPACING_MM,
            bits_stored: 12,
            inverted: false,
        }
    }
}

const VIEWS: [(Laterality, View); 4] = [
    (Laterality::Left, View::Cc),
    (Laterality::Right, View::Cc),
    (Laterality::Left, View::Mlo),
    (Laterality::Right, View::Mlo),
];

/// Draws an exam: L-CC, R-CC, L-MLO, R-MLO of one made-up patient, in one series.
///
/// # Errors
/// [`PhantomError::Option`] for sizes, spacings or bit depths that no file can have.
pub fn exam(options: &ExamOptions) -> Result<Vec<PhantomInstance>, PhantomError> {
    let instances = VIEWS.into_iter().zip(options.classes).enumerate().map(|(i, ((laterality, view), class))| {
        let phantom = PhantomView {
            laterality,
            view,
            class,
            seed: mix(options.seed ^ mix(i as u64)),
            spacing_mm: options.spacing_mm,
            size: options.size,
            bits_stored: options.bits_stored,
            inverted: options.inverted,
        };
        let identity = Identity {
            patient_id: format!("PHANTOM-{}", options.seed),
            study_instance_uid: uid(options, "study"),
            series_instance_uid: uid(options, "series"),
            sop_instance_uid: uid(options, &format!("instance {i}")),
            instance_number: i + 1,
        };
        encode(&phantom, &identity)
    });
    instances.collect()
}

/// Whether the picture can be drawn and stored.
pub(super) fn check(phantom: &PhantomView) -> Result<(), PhantomError> {
    let fail = |key, found: String, expected| Err(PhantomError::Option { key, found, expected });
    let (rows, columns) = phantom.size;
    if !(64..=16384).contains(&rows) || !(64..=16384).contains(&columns) {
        return fail("size", format!("{rows}x{columns}"), "64 to 16384 rows and columns");
    }
    if !(0.02..=2.0).contains(&phantom.spacing_mm) {
        return fail("spacing", format!("{} mm", phantom.spacing_mm), "0.02 to 2 mm");
    }
    let (width, height) = (columns as f32 * phantom.spacing_mm, rows as f32 * phantom.spacing_mm);
    if !(120.0..=400.0).contains(&width) || !(160.0..=400.0).contains(&height) {
        let expected = "120 to 400 mm wide, 160 to 400 mm high: smaller pictures need a coarser spacing";
        return fail("field of view", format!("{width:.0} mm wide, {height:.0} mm high"), expected);
    }
    if !(8..=16).contains(&phantom.bits_stored) {
        return fail("bits stored", phantom.bits_stored.to_string(), "8 to 16");
    }
    Ok(())
}
