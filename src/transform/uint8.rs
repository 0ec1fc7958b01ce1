//! ConvertToUint8: a table from stored values to bytes, so that each pixel costs one look-up whatever the mode.

use ndarray::Array2;

use crate::imaging::histogram::{Histogram, level};
use crate::imaging::{ImageAttributes, VoiLutFunction, VoiWindow};
use crate::manifest::transform::Uint8Mode;

use super::Shades;

/// The byte of each stored value, by its bit pattern.
pub type Table = [u8; 1 << 16];

/// Tabulates a mode of ConvertToUint8. Fractions are cut, as numpy's `astype(uint8)` does.
///
/// - `min_max`: `trunc((v - min) / (max - min) * 255)` in f64, over the levels (inverted for MONOCHROME1).
/// - `voi_window`: modality LUT, then the instance's first window (PS3.3 C.11.2.1.2), then MONOCHROME1 inverts the
///   output, for a window is given in the values before inversion. Without a window as `min_max`.
/// - `as_shown`: as `voi_window`; without a window the levels of 8-bit images as they are, of others as `min_max`.
/// - `wrap`: the level modulo 256. MONOCHROME1 is inverted here too: the training images of such a checkpoint were
///   bright on dark, and for them this is the original's arithmetic to the bit.
pub fn uint8_table(mode: Uint8Mode, attributes: &ImageAttributes, shades: Shades, histogram: &Histogram) -> Box<Table> {
    let byte: Box<dyn Fn(i32) -> u8> = match (mode, attributes.voi) {
        (Uint8Mode::VoiWindow | Uint8Mode::AsShown, Some(window)) => {
            let rescale = attributes.rescale;
            let white_low = attributes.photometric == crate::imaging::Photometric::Monochrome1;
            Box::new(move |stored| {
                let share = voi_share(&window, rescale.slope * f64::from(stored) + rescale.intercept);
                ((if white_low { 1.0 - share } else { share }) * 255.0) as u8
            })
        }
        (Uint8Mode::AsShown, None) if attributes.bits_stored == 8 && !attributes.signed => {
            Box::new(move |stored| shades.level(stored) as u8)
        }
        (Uint8Mode::Wrap, _) => Box::new(move |stored| shades.level(stored) as u8),
        (Uint8Mode::MinMax | Uint8Mode::VoiWindow | Uint8Mode::AsShown, _) => {
            let (min, max) = (f64::from(histogram.min()), f64::from(histogram.max()));
            let range = max - min;
            // A constant image is all background; `as u8` takes levels that do not occur to the nearest end.
            let scale = move |level: i32| if range > 0.0 { (f64::from(level) - min) / range * 255.0 } else { 0.0 };
            Box::new(move |stored| scale(shades.level(stored)) as u8)
        }
    };
    let mut table = Box::new([0; 1 << 16]);
    // Only levels that occur are looked up.
    for (bright, _) in histogram.levels() {
        let stored = shades.level(bright);
        let pattern = stored as u16;
        debug_assert_eq!(level(pattern, attributes.signed), stored);
        table[usize::from(pattern)] = byte(stored);
    }
    table
}

/// Values after the modality LUT as a screen shows them: through the instance's first VOI window, without one from the least
/// to the greatest value; MONOCHROME1 is inverted.
pub fn displayed(values: &Array2<f32>, attributes: &ImageAttributes) -> Array2<u8> {
    let (min, max) = values.iter().fold((f32::MAX, f32::MIN), |(min, max), &v| (min.min(v), max.max(v)));
    let low_is_white = attributes.photometric == crate::imaging::Photometric::Monochrome1;
    values.mapv(|value| {
        let share = match attributes.voi {
            Some(window) => voi_share(&window, f64::from(value)),
            None if max > min => f64::from(value - min) / f64::from(max - min),
            None => 0.0,
        };
        ((if low_is_white { 1.0 - share } else { share }) * 255.0) as u8
    })
}

/// Output of a window as a share of the output range (PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2).
fn voi_share(window: &VoiWindow, x: f64) -> f64 {
    let VoiWindow { center: c, width: w, function } = *window;
    match function {
        VoiLutFunction::Linear if x <= c - 0.5 - (w - 1.0) / 2.0 => 0.0,
        VoiLutFunction::Linear if x > c - 0.5 + (w - 1.0) / 2.0 => 1.0,
        VoiLutFunction::Linear => (x - (c - 0.5)) / (w - 1.0) + 0.5,
        VoiLutFunction::LinearExact if x <= c - w / 2.0 => 0.0,
        VoiLutFunction::LinearExact if x > c + w / 2.0 => 1.0,
        VoiLutFunction::LinearExact => (x - c) / w + 0.5,
        VoiLutFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (x - c) / w).exp()),
    }
}
