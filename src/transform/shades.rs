//! The order of grey levels: from stored values to "brighter is denser".

use crate::imaging::histogram::Histogram;
use crate::imaging::{ImageAttributes, Photometric, Pixels};

/// Maps stored values to levels, which rise with brightness: the identity, or `sum - v`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shades {
    inverted: bool,
    /// Lowest plus highest value of BitsStored.
    sum: i32,
}

impl Shades {
    /// See the module `transform` for the rules.
    pub fn of(attributes: &ImageAttributes) -> Self {
        let low_is_white = attributes.photometric == Photometric::Monochrome1;
        let falling = attributes.rescale.slope < 0.0;
        // Unsigned: 0 + (2^bits - 1). Signed: -2^(bits-1) + (2^(bits-1) - 1).
        let sum = if attributes.signed { -1 } else { (1 << attributes.bits_stored.min(16)) - 1 };
        Self { inverted: low_is_white != falling, sum }
    }

    pub fn inverted(self) -> bool {
        self.inverted
    }

    /// The level of a stored value; its own inverse.
    pub fn level(self, stored: i32) -> i32 {
        if self.inverted { self.sum - stored } else { stored }
    }

    /// The histogram of the levels.
    pub fn histogram(self, pixels: &Pixels) -> Histogram {
        let stored = Histogram::of(pixels);
        if self.inverted { stored.mirrored(self.sum) } else { stored }
    }
}
