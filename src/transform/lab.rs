//! 8-bit RGB to LAB and back as `cv2.cvtColor` does it (OpenCV 5.0; sRGB, D65), to the bit: CIE 1976 in fixed point, with
//! tables. L, a and b are in 0..=255: L × 255 / 100, a + 128, b + 128.

use std::sync::LazyLock;

/// sRGB's primaries in XYZ, and back (ITU-R BT.709, D65).
const TO_XYZ: [[f64; 3]; 3] =
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]];
const FROM_XYZ: [[f64; 3]; 3] =
    [[3.240479, -1.53715, -0.498535], [-0.969256, 1.875991, 0.041556], [0.055648, -0.204043, 1.057311]];
const WHITE: [f64; 3] = [0.950456, 1.0, 1.088754];

/// Linear light has 2040 levels, its cube root 2^15.
const LIGHT: f64 = 2040.0;
const ROOTS: usize = 3072;
/// The way back works in 14 bits, with 4096 levels of light.
const BASE: i32 = 1 << 14;
const LEVELS: usize = 4096;
/// Least argument of the table of cubes.
const LEAST: i32 = -8145;

struct Tables {
    to_xyz: [[i32; 3]; 3],
    from_xyz: [[i32; 3]; 3],
    light: [i32; 256],
    root: Vec<i32>,
    /// Of each L: Y, and its root.
    y: [[i32; 2]; 256],
    cube: Vec<i32>,
    gamma: Vec<u8>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

impl Tables {
    fn new() -> Self {
        let fixed = |v: f64| v.round_ties_even() as i32;
        let light = |v: f64| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) };
        let display = |v: f64| if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
        let root = |v: f64| if v < 216.0 / 24389.0 { v * 841.0 / 108.0 + 16.0 / 116.0 } else { v.cbrt() };
        let mut roots: Vec<i32> = (0..ROOTS).map(|i| fixed(32768.0 * root(i as f64 / LIGHT))).collect();
        // Within 2e-4 of a half, where OpenCV's single precision rounds the other way.
        (roots[49], roots[628]) = (9454, 22126);
        Self {
            to_xyz: std::array::from_fn(|i| TO_XYZ[i].map(|c| fixed(4096.0 * c / WHITE[i]))),
            from_xyz: FROM_XYZ.map(|row| std::array::from_fn(|i| fixed(4096.0 * row[i] * WHITE[i]))),
            light: std::array::from_fn(|i| fixed(LIGHT * light(i as f64 / 255.0))),
            root: roots,
            y: std::array::from_fn(|l| luminance(l as i32)),
            cube: (LEAST..BASE * 9 / 4 + LEAST).map(cube).collect(),
            gamma: (0..LEVELS).map(|i| (255.0 * display(i as f64 / LEVELS as f64)).round_ties_even() as u8).collect(),
        }
    }
}

/// Y and its root of an L, in single precision.
fn luminance(l: i32) -> [i32; 2] {
    let base = BASE as f32;
    let (y, root) = if l <= 20 {
        let y = (l * BASE * 20 * 9) as f32 / (17 * 29 * 29 * 29) as f32;
        (y, base * (16f32 / 116.0 + (l * 5) as f32 / (3 * 17 * 29) as f32))
    } else {
        let root = (l * 100 * BASE) as f32 / (255 * 116) as f32 + (16 * BASE) as f32 / 116.0;
        (root * root * root / (base * base), root)
    };
    [y, root].map(|v| v.round_ties_even() as i32)
}

/// The cube of a root, or its linear continuation near 0.
fn cube(root: i32) -> i32 {
    if root <= 3390 { root * 108 / 841 - BASE * 16 / 116 * 108 / 841 } else { root * root / BASE * root / BASE }
}

fn descale(value: i32, bits: u32) -> i32 {
    (value + (1 << (bits - 1))) >> bits
}

fn product(row: &[i32; 3], vector: [i32; 3]) -> i32 {
    row.iter().zip(vector).map(|(a, b)| a * b).sum()
}

pub fn rgb_to_lab(rgb: [u8; 3]) -> [u8; 3] {
    // 116 f(Y) - 16 in 0..=255; 500 (f(X) - f(Y)) and 200 (f(Y) - f(Z)) around 128.
    const SCALE: i32 = (116 * 255 + 50) / 100;
    const SHIFT: i32 = -((16 * 255 * (1 << 15) + 50) / 100);
    let tables = &*TABLES;
    let light = rgb.map(|v| tables.light[usize::from(v)]);
    let root = |row: &[i32; 3]| tables.root[(descale(product(row, light), 12) as usize).min(ROOTS - 1)];
    let [x, y, z] = tables.to_xyz.each_ref().map(root);
    [SCALE * y + SHIFT, 500 * (x - y) + (128 << 15), 200 * (y - z) + (128 << 15)]
        .map(|v| descale(v, 15).clamp(0, 255) as u8)
}

pub fn lab_to_rgb([l, a, b]: [u8; 3]) -> [u8; 3] {
    let tables = &*TABLES;
    let [y, root] = tables.y[usize::from(l)];
    // (a - 128) / 500 and (b - 128) / 200, times 2^14.
    let a = ((5 * i32::from(a) * 53687 + (1 << 7)) >> 13) - 128 * BASE / 500;
    let b = ((i32::from(b) * 41943 + (1 << 4)) >> 9) - 128 * BASE / 200 + 1;
    let cube = |root: i32| tables.cube[((root - LEAST).max(0) as usize).min(tables.cube.len() - 1)];
    let xyz = [cube(root + a), y, cube(root - b)];
    let level = |row: &[i32; 3]| descale(product(row, xyz), 14).clamp(0, LEVELS as i32 - 1);
    tables.from_xyz.each_ref().map(|row| tables.gamma[level(row) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_of_the_cube() {
        // As OpenCV gives them there and back; in CIE's own units 53.24, 80.09, 67.20 of red, 87.73, -86.18, 83.18 of green,
        // 32.30, 79.19, -107.86 of blue.
        for (rgb, lab, back) in [
            ([0, 0, 0], [0, 128, 128], [0, 0, 0]),
            ([255, 255, 255], [255, 128, 128], [255, 255, 255]),
            ([255, 0, 0], [136, 208, 195], [255, 2, 1]),
            ([0, 255, 0], [224, 42, 211], [7, 255, 3]),
            ([0, 0, 255], [82, 207, 20], [0, 1, 255]),
        ] {
            assert_eq!(rgb_to_lab(rgb), lab);
            assert_eq!(lab_to_rgb(lab), back);
        }
    }
}
