//! YBR_FULL to RGB (PS3.3 C.7.6.3.1.2; ITU-T T.871 6.2), in 16-bit fixed point as libjpeg rounds it.

const HALF: i32 = 1 << 15;

/// 2^16 × 1.402, 0.344136, 0.714136 and 1.772, rounded.
const RED: i32 = 91_881;
const GREEN: [i32; 2] = [22_554, 46_802];
const BLUE: i32 = 116_130;

/// Converts pixels of three samples in place.
pub fn to_rgb(samples: &mut [u8]) {
    samples.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| *pixel = pixel_to_rgb(*pixel));
}

#[inline(always)]
pub fn pixel_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    [y + ((RED * cr + HALF) >> 16), y + ((HALF - GREEN[0] * cb - GREEN[1] * cr) >> 16), y + ((BLUE * cb + HALF) >> 16)]
        .map(|v| v.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_of_the_cube() {
        // The standard's own equations, rounded.
        for (rgb, ybr) in [
            ([0, 0, 0], [0, 128, 128]),
            ([255, 255, 255], [255, 128, 128]),
            ([255, 0, 0], [76, 85, 255]),
            ([0, 255, 0], [150, 44, 21]),
            ([0, 0, 255], [29, 255, 107]),
        ] {
            let found = pixel_to_rgb(ybr);
            assert!(found.iter().zip(rgb).all(|(a, b): (&u8, u8)| a.abs_diff(b) <= 2), "{ybr:?}: {found:?}");
        }
        for y in 0..=255 {
            assert_eq!(pixel_to_rgb([y, 128, 128]), [y; 3]);
        }
    }

    #[test]
    fn within_rounding_of_the_equations() {
        for i in 0..4096u32 {
            let pixel = [(i * 31 % 256) as u8, (i * 57 % 256) as u8, (i * 101 % 256) as u8];
            let [y, cb, cr] = pixel.map(f64::from);
            let (cb, cr) = (cb - 128.0, cr - 128.0);
            let exact = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
            for (found, exact) in pixel_to_rgb(pixel).into_iter().zip(exact) {
                assert!((f64::from(found) - exact.clamp(0.0, 255.0)).abs() <= 0.51, "{pixel:?}");
            }
        }
    }
}
