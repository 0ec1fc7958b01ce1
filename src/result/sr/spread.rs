//! How far the answers agree that a model combines (test-time augmentation, an ensemble): their standard deviation.
//!
//! Beside a probability it is the measurement's uncertainty (PS3.16 TID 1419 includes TID 310, whose row 5 is a NUM of CID 225 under HAS
//! PROPERTIES), "+/-", post-coordinated with what it is by a modifier "Derivation" "Standard Deviation". As a number of its own with the
//! probability's concept (TID 1419 row 8) readers that look at no modifier would show it for a probability. TID 311's statistics are those of a
//! reference population, which answers to one image are not.

use super::super::content::{Item, Num};
use super::super::{ResultError, codes, vr};
use crate::manifest::{EnsembleSpec, Manifest, TestTimeAugmentationSpec};

/// `number`, a probability in %, with its uncertainty where it has one. `spread`: 0 to 0.5.
pub(super) fn with_uncertainty(number: Item<Num>, spread: Option<f64>) -> Result<Item<Num>, ResultError> {
    let Some(spread) = spread else { return Ok(number) };
    let percent = vr::decimal_string("Standard deviation of a probability", spread * 100.0, 4)?;
    let range = Item::num(codes::MEASUREMENT_UNCERTAINTY, &percent, codes::PERCENT)?
        .has_concept_mod(Item::code(codes::DERIVATION, codes::STANDARD_DEVIATION)?);
    Ok(number.has_properties(range))
}

/// For TID 4019's parameters: whose answers were combined, how, and what their spread is. None: there is one answer.
pub(super) fn parameter(manifest: &Manifest, spread: &str) -> Option<String> {
    let answers = manifest.answers()?;
    let how = match (&manifest.test_time_augmentation, &manifest.ensemble) {
        (Some(views), Some(networks)) if views.combine != networks.combine => {
            format!("{} of the views, {} of the networks", views.combine.name(), networks.combine.name())
        }
        (Some(TestTimeAugmentationSpec { combine, .. }), _) | (None, Some(EnsembleSpec { combine, .. })) => {
            combine.name().to_owned()
        }
        (None, None) => return None,
    };
    let what = answers.describe();
    Some(format!("answers: {what}, combined by {how}; {spread}"))
}
